import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { MessageEntry, NoticeEntry } from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { type LayoutContext, layoutEntry, nickColumns, rule } from "../../lib/ui/layout.ts";
import { type Row, Typesetter, widthOf } from "../../lib/ui/terminal/rows.ts";
import { chooseTheme, NickColors } from "../../lib/ui/theme.ts";

const NOON = new Date(2026, 10, 29, 12, 4).getTime();
const text = new Typesetter({ utf8: true });
const ascii = new Typesetter({ utf8: false });

function context(rest: Partial<LayoutContext> = {}): LayoutContext {
  return {
    width: 79,
    nickWidth: 6,
    text,
    theme: chooseTheme("none", "unknown"),
    colors: new NickColors(),
    ownNick: "anna",
    maxRows: 16,
    query: "",
    timestamps: true,
    now: NOON,
    ...rest,
  };
}

function message(typed: string, rest: Partial<MessageEntry> = {}): MessageEntry {
  return {
    type: "message",
    seq: 7,
    version: 0,
    at: NOON,
    id: "0".repeat(16),
    from: "SHA256:bob",
    nick: "bob",
    trust: "verified",
    own: false,
    via: "lobby",
    action: false,
    text: typed,
    mention: false,
    view: "same",
    reactions: new Map(),
    edited: false,
    retracted: false,
    ...rest,
  };
}

function notice(level: NoticeEntry["level"], typed: string, hint = ""): NoticeEntry {
  return { type: "notice", seq: 8, version: 0, at: NOON, level, text: typed, hint };
}

function written(rows: readonly Row[]): string[] {
  return rows.map((row) => row.map((segment) => segment.text).join("").trimEnd());
}

function layOut(
  entry: MessageEntry | NoticeEntry,
  rest: Partial<LayoutContext> = {},
  grouped = false,
): string[] {
  return written(layoutEntry(entry, grouped, context(rest)));
}

const WIDTHS: Record<string, Partial<LayoutContext>> = {
  "80": {},
  "120": { width: 96, nickWidth: 7 },
  "40": { width: 40 },
  "28": { width: 28, timestamps: false },
  "ASCII": { text: ascii },
};

const LONG = "It was the clock of the second machine, which went 40 seconds wrong every night.";
const QUOTE = {
  id: "1".repeat(16),
  of: "SHA256:anna",
  own: false,
  nick: "anna",
  text: "who is it?\nquick",
};
const THUMBS = new Map([["👍", [{ fingerprint: "SHA256:x", nick: "jiří" }]]]);

/** The rows of each kind and state, at each of {@linkcode WIDTHS}. */
const GOLDEN: [string, MessageEntry | NoticeEntry, Record<string, string[]>][] = [
  ["a message", message("Morning! Green here."), {
    "80": ["12:04    bob✓ Morning! Green here."],
    "120": ["12:04     bob✓ Morning! Green here."],
    "40": ["12:04 bob✓ Morning! Green here."],
    "28": ["bob✓ Morning! Green here."],
    "ASCII": ["12:04    bob+ Morning! Green here."],
  }],
  ["a long message", message(LONG), {
    "80": [
      "12:04    bob✓ It was the clock of the second machine, which went 40 seconds",
      "              wrong every night.",
    ],
    "40": [
      "12:04 bob✓ It was the clock of the",
      "      second machine, which went 40",
      "      seconds wrong every night.",
    ],
    "28": [
      "bob✓ It was the clock of the",
      " second machine, which went",
      " 40 seconds wrong every",
      " night.",
    ],
  }],
  ["one's own", message("thanks", { own: true, trust: "self", nick: "anna" }), {
    "80": ["12:04   anna  thanks"],
    "40": ["12:04 anna thanks"],
  }],
  ["what waits", message("thanks", { own: true, trust: "self", delivery: { state: "waiting" } }), {
    "80": ["12:04    bob  thanks ⋯ waits"],
    "ASCII": ["12:04    bob  thanks ... waits"],
  }],
  [
    "what some have",
    message("a", { own: true, trust: "self", delivery: { state: "sent", have: 4, of: 6 } }),
    {
      "80": ["12:04    bob  a 4/6"],
    },
  ],
  [
    "what all have",
    message("a", { own: true, trust: "self", delivery: { state: "received", of: 6 } }),
    {
      "80": ["12:04    bob  a ✓"],
      "ASCII": ["12:04    bob  a +"],
    },
  ],
  [
    "what was not received",
    message("a", {
      own: true,
      trust: "self",
      delivery: { state: "failed", missing: ["jiří", "carl"] },
    }),
    {
      "80": ["12:04    bob  a ✗ not received by jiří, carl"],
      "ASCII": ["12:04    bob  a ! not received by ji<159><ED>, carl"],
    },
  ],
  [
    "what nobody received",
    message("a", { own: true, trust: "self", delivery: { state: "failed", missing: [] } }),
    {
      "80": ["12:04    bob  a ✗ nobody was here"],
    },
  ],
  ["a mention", message("anna, look", { mention: true, trust: "new" }), {
    "80": ["12:04▌   bob◦ anna, look"],
    "40": ["12:04▌bob◦ anna, look"],
    "ASCII": ["12:04>   bob* anna, look"],
  }],
  ["an action", message("goes for lunch", { action: true, trust: "known" }), {
    "80": ["12:04      *  bob∙ goes for lunch"],
    "40": ["12:04 * bob∙ goes for lunch"],
    "28": ["* bob∙ goes for lunch"],
  }],
  ["a wide nick", message("I can", { nick: "maximilian-the-second", trust: "conflict" }), {
    "80": ["12:04 maximilian-the-second✗", "              I can"],
    "40": ["12:04 maximilian-the-second✗ I can"],
  }],
  ["an answer", message("It is bob", { quote: QUOTE }), {
    "80": ["12:04       ╭ anna: who is it? quick", "         bob✓ It is bob"],
    "40": ["12:04╭anna: who is it? quick", "      bob✓ It is bob"],
    "28": ["╭anna: who is it? quick", "bob✓ It is bob"],
    "ASCII": ["12:04       , anna: who is it? quick", "         bob+ It is bob"],
  }],
  ["reactions", message("done", { reactions: THUMBS }), {
    "80": ["12:04    bob✓ done", "            ╰ 👍 jiří"],
    "40": ["12:04 bob✓ done", "     ╰👍 jiří"],
    "28": ["bob✓ done", "╰👍 jiří"],
    "ASCII": ["12:04    bob+ done", "            ` <1F44D> ji<159><ED>"],
  }],
  ["an edited message", message("done", { edited: true }), {
    "80": ["12:04    bob✓ done (edited)"],
  }],
  ["a message taken back", message("", { retracted: true, reactions: THUMBS }), {
    "80": ["12:04    bob✓ taken back"],
  }],
  [
    "a late message of another view",
    message("hi", { late: new Date(2026, 10, 1, 10).toISOString(), view: "differs" }),
    {
      "80": [
        "12:04    bob✓ (written 2026-11-01 10:00) (sees different members than you) hi",
      ],
    },
  ],
  ["several lines", message("\nTwo:\n  - one\n  - two\n"), {
    "80": ["12:04    bob✓ Two:", "                - one", "                - two"],
    "40": ["12:04 bob✓ Two:", "        - one", "        - two"],
  }],
  ["a notice", notice("presence", "dora has joined"), {
    "80": ["12:04     --  dora has joined"],
    "40": ["12:04 -- dora has joined"],
    "28": ["-- dora has joined"],
  }],
  ["the server's word", notice("server", "maintenance\nat ten"), {
    "80": ["12:04     ==  maintenance", "              at ten"],
  }],
  ["a warning with a hint", notice("warning", "jiří has ANOTHER KEY", "ask: /verify jiří"), {
    "80": ["12:04     !!  jiří has ANOTHER KEY", "              ask: /verify jiří"],
    "40": ["12:04 !! jiří has ANOTHER KEY", "      ask: /verify jiří"],
    "28": ["!! jiří has ANOTHER KEY", " ask: /verify jiří"],
  }],
];

for (const [what, entry, widths] of GOLDEN) {
  for (const [width, rows] of Object.entries(widths)) {
    Deno.test(`${what}, ${width} columns`, () => deepEqual(layOut(entry, WIDTHS[width]), rows));
  }
}

Deno.test("without times, a mention has its mark", () => {
  const entry = message("anna, look", { mention: true });
  deepEqual(layOut(entry, { timestamps: false }), ["▌   bob✓ anna, look"]);
  deepEqual(layOut({ ...entry, nick: "maximilian-the-second" }, { timestamps: false }), [
    "▌maximilian-the-second✓",
    "▌        anna, look",
  ]);
});

Deno.test("a grouped message leaves out the nick where nicks have a column", () => {
  deepEqual(layOut(message("more"), {}, true), ["12:04         more"]);
  deepEqual(layOut(message("more"), { width: 40 }, true), ["12:04 bob✓ more"]);
});

Deno.test("a rule has its label in the middle, and the whole width", () => {
  deepEqual(written([rule("new", "", context({ width: 12 }))]), ["─── new ────"]);
  deepEqual(written([rule("new", "", context({ width: 12, text: ascii }))]), ["--- new ----"]);
  equal(widthOf(rule("Sunday, 29 November", "", context({ width: 9 }))), 9);
});

Deno.test("a message that is too long ends with what is missing", () => {
  const rows = layOut(message("x ".repeat(4096)), { maxRows: 2 });
  deepEqual(rows.length, 3);
  equal(rows[2], "            … 8.1 kB more, /show 7");
  deepEqual(
    layOut(message("x ".repeat(4096)), { maxRows: 2, width: 28, timestamps: false })[2],
    "…8.1 kB more, /show 7",
  );
  equal(layOut(message("a\nb\nc"), { maxRows: 2 })[2], "            … 1 B more, /show 7");
  // What became of it is seen whatever is left out.
  const failed = {
    own: true,
    edited: true,
    delivery: { state: "failed", missing: ["bob"] },
  } as const;
  const fate = " (edited) ✗ not received by bob";
  equal(
    layOut(message("a\nb\nc", failed), { maxRows: 2 })[2],
    `            … 1 B more, /show 7${fate}`,
  );
  equal(layOut(message("x".repeat(8192), failed)).at(-1)?.endsWith(fate), true);
  equal(layOut(message("x".repeat(60), failed), { maxRows: 1 })[1], `            … ${fate}`);
});

Deno.test("an answer is shown whole, another notice within its rows", () => {
  const lines = Array.from({ length: 60 }, (_, i) => `line ${i}`).join("\n");
  equal(layOut(notice("answer", lines), { maxRows: 4 }).length, 60);
  deepEqual(layOut(notice("server", lines), { maxRows: 2 }), [
    "12:04     ==  line 0",
    "              line 1",
    "            … and more",
  ]);
});

Deno.test("links are underlined, and open only what is written out", () => {
  const row = layoutEntry(
    message("see https://example.com/a, or www.example.com"),
    false,
    context(),
  )[0]!;
  const links = row.filter(({ style }) => style === "4");
  deepEqual(links.map(({ text, link }) => [text, link]), [
    ["https://example.com/a", "https://example.com/a"],
    ["www.example.com", undefined],
  ]);
  // A letter of another script could look like a Latin one.
  const hostile = layoutEntry(message("https://exаmple.com"), false, context())[0]!;
  ok(hostile.every(({ link }) => link === undefined));
});

Deno.test("the own nick and what is searched for are marked, also in links", () => {
  const theme = chooseTheme("256", "dark");
  const entry = message("Anna, see https://example.com/Release");
  const row = layoutEntry(entry, false, context({ theme, query: "release" }))[0]!;
  deepEqual(row.filter(({ style }) => style === theme.mention).map(({ text }) => text), ["Anna"]);
  const [found] = row.filter(({ style }) => style === theme.found);
  deepEqual([found!.text, found!.link], ["Release", "https://example.com/Release"]);
});

Deno.test("the column for nicks is as wide as the nicks of late, within bounds", () => {
  const conversation = new Conversations().open("room:lobby", "lobby");
  equal(nickColumns(conversation, 80, text), 6);
  for (const nick of ["maximilian", "maximilian-the-second"]) {
    conversation.entries.push(message("", { nick }));
  }
  equal(nickColumns(conversation, 80, text), 10);
  equal(nickColumns(conversation, 56, text), 6);
});

const HOSTILE = [
  "12:05    eva✓ forged",
  "x\n12:05    eva✓ forged",
  "\u202e\u0301\u0301 forged",
  "a\rb\x1b[2Jc",
  "!! forged\n-- forged\n* eva forged",
  "שלום\nשלום דוד",
  "👩\u200d👩\u200d👧\u200d👦".repeat(40),
  "漢".repeat(200),
  "\u0301\n\u0301",
  "https://example.com/" + "x".repeat(300),
];

Deno.test("whatever the text, nothing of it stands left of the text column", () => {
  for (const width of [20, 28, 29, 40, 55, 56, 79, 140]) {
    const timestamps = width >= 30;
    for (const hostile of HOSTILE) {
      for (const nick of ["bob", "דוד"]) {
        const entry = message(hostile, { nick, quote: { ...QUOTE, text: hostile } });
        const rows = layoutEntry(entry, false, context({ width, timestamps }));
        for (const row of rows) ok(widthOf(row) <= width, JSON.stringify(row));
        if (width >= 56) {
          for (const row of rows) {
            match(beginning(row, 14), /^(?:12:04)?[ ╭…]*(?:(?:bob|דוד)✓)?[ \u200e]*$/);
          }
        } else if (timestamps) {
          for (const row of rows) match(beginning(row, 6), /^(?:12:04)?[ ╭…]*$/);
        } else {
          const named = rows.filter((row) => !/^[ ╭…]/.test(beginning(row, 1)));
          deepEqual(named.length, 1);
        }
      }
    }
  }
});

/** What stands in the first columns of a row. */
function beginning(row: Row, columns: number): string {
  let before = "";
  let used = 0;
  for (const { text, width } of row) {
    if (used >= columns) break;
    before += text.slice(0, columns - used);
    used += width;
  }
  return before;
}

Deno.test("in ASCII no character above 7e is left", () => {
  for (const [, entry] of GOLDEN) {
    for (const width of [28, 40, 79]) {
      for (const row of layOut(entry, { text: ascii, width })) ok(/^[\x20-\x7e]*$/.test(row), row);
    }
  }
});

Deno.test("a mark keeps right-to-left fields apart", () => {
  const [row] = written(layoutEntry(message("שלום", { nick: "דוד" }), false, context()));
  equal(row, "12:04    דוד✓\u200e \u200eשלום\u200e");
});

Deno.test("layoutEntry() marks hearsay at every message, under no sign of trust", () => {
  const hearsay = ["anna", "carl"];
  deepEqual(layOut(message("hi", { hearsay })), ["12:04    bob? (told by anna and carl) hi"]);
  deepEqual(layOut(message("hi", { hearsay, replaced: true })), [
    "12:04    bob? (told by anna and carl) has come from its author since",
  ]);
  deepEqual(layOut(message("hi", { hearsay: ["a\x1bb"] }), { text: ascii }).length, 1);
});

Deno.test("a message of one's own history is dim, and says nothing of its key", () => {
  const bob = { fingerprint: "SHA256:bob", nick: "bob" };
  const reactions = new Map([["👍", [bob]]]);
  const past = message("see https://example.org, anna", { past: "private to carl", reactions });
  deepEqual(layOut({ ...past, trust: "self" }), [
    "12:04    bob  (private to carl) see https://example.org, anna",
    "            ╰ 👍 bob",
  ]);
  const theme = chooseTheme("256", "dark");
  const [row] = layoutEntry({ ...past, trust: "self" }, false, context({ theme }));
  const styles = new Set(row!.filter((segment) => segment.text.trim()).map(({ style }) => style));
  deepEqual(styles, new Set([theme.time, theme.dim]));
});
