import assert from "node:assert/strict";
import type { ChatEvent, SessionEvent } from "../../lib/session/events.ts";
import type { ColorDepth } from "../../lib/ui/terminal/colors.ts";
import type { MessageEntry, Quote } from "../../lib/ui/conversation.ts";
import { hides, type Names, noticeOf, receiptNotice, replacesLabel } from "../../lib/ui/notices.ts";
import {
  type RenderContext,
  renderMessage,
  renderNotice,
  renderPlain,
  trustSign,
} from "../../lib/ui/render.ts";
import { columns } from "../../lib/base/text.ts";
import { messageEntry } from "../support/entries.ts";

const NOW = new Date(2025, 0, 2, 12, 4, 30);
const FINGERPRINT = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

const CONTEXT: RenderContext = {
  columns: 40,
  color: "none",
  utf8: true,
  ownNick: "me",
  timestamps: "time",
  now: NOW,
};

const NAMES: Names = {
  nickOf: (fingerprint) => fingerprint === FINGERPRINT ? "bob" : "carol",
  ownText: (id) => id === "1" ? "hello there" : id === "2" ? "x".repeat(31) : undefined,
};

const LATE = new Date(2025, 0, 2, 11, 58).toISOString();

const PLAIN: Omit<ChatEvent, "event" | "id" | "sent" | "late"> = {
  nick: "bob",
  fingerprint: FINGERPRINT,
  private: false,
  action: false,
  view: "same",
  text: "hello",
};

/** A message of bob's. */
function chat(
  message: Partial<MessageEntry> & { place?: string },
  context: Partial<RenderContext> = {},
): string[] {
  const { place, ...some } = message;
  const entry = messageEntry({ from: FINGERPRINT, ...some });
  return renderMessage(entry, { ...CONTEXT, ...context }, { place });
}

const BOB = { fingerprint: FINGERPRINT, nick: "bob" };
const LATER = new Date(2024, 11, 31, 23, 5);
const REACTIONS = new Map([
  ["👍", [BOB, { fingerprint: "SHA256:anna", nick: "anna" }]],
  ["🎉", [BOB]],
]);

const MESSAGES: [string, Parameters<typeof chat>[0], Partial<RenderContext>, string[]][] = [
  ["a message", {}, {}, ["12:04 bob∙: hello"]],
  ["an action", { action: true, text: "waves" }, {}, ["12:04 * bob∙ waves"]],
  ["a private message", { place: "private" }, {}, ["12:04 bob∙ (private): hello"]],
  ["a private action", { place: "private", action: true }, {}, ["12:04 * bob∙ (private) hello"]],
  [
    "one of one's own history",
    { past: "", at: LATER.getTime(), text: "anna: hello\nall", edited: true, reactions: REACTIONS },
    {},
    ["23:05 bob (edited): anna: hello", "                    all 👍 2 🎉"],
  ],
  [
    "a private one of one's own history, taken back",
    { past: "private to carl", at: LATER.getTime(), retracted: true, text: "", place: "to build" },
    { columns: 80 },
    ["23:05 bob (to build, private to carl): (taken back)"],
  ],
  [
    "a late message written just now",
    { late: new Date(NOW.getTime() - 59_000).toISOString() },
    {},
    ["12:04 bob∙: hello"],
  ],
  ["a late message", { late: LATE }, {}, ["12:04 bob∙ (written 11:58): hello"]],
  [
    "a late message of another day",
    { late: new Date(2024, 11, 31, 23, 5).toISOString() },
    { columns: 80 },
    ["12:04 bob∙ (written 2024-12-31 23:05): hello"],
  ],
  ["a late message without a time", { late: "+275761-01-01" }, { columns: 80 }, [
    "12:04 bob∙ (written at an unknown time): hello",
  ]],
  ["another view", { view: "differs" }, { columns: 80 }, [
    "12:04 bob∙ (sees different members than you): hello",
  ]],
  ["all labels at once", { place: "private", late: LATE, view: "differs" }, { columns: 80 }, [
    "12:04 bob∙ (private, written 11:58, sees different members than you): hello",
  ]],
  ["hearsay", { hearsay: ["anna", "ca\x1brl"], trust: "verified", late: LATE }, { columns: 80 }, [
    "12:04 bob? (told by anna and ca⟨001B⟩rl, written 11:58): hello",
  ]],
  ["no time", {}, { timestamps: "off" }, ["bob∙: hello"]],
  ["the date", {}, { timestamps: "date" }, ["2025-01-02 12:04 bob∙: hello"]],
  ["a new key", { trust: "new" }, {}, ["12:04 bob◦: hello"]],
  ["a verified key", { trust: "verified" }, {}, ["12:04 bob✓: hello"]],
  ["another key than before", { trust: "conflict" }, {}, ["12:04 bob✗ (another key): hello"]],
  ["a new key in ASCII", { trust: "new" }, { utf8: false }, ["12:04 bob*: hello"]],
  ["a known key in ASCII", {}, { utf8: false }, ["12:04 bob=: hello"]],
  ["a verified key in ASCII", { trust: "verified" }, { utf8: false }, [
    "12:04 bob+: hello",
  ]],
  ["another key in ASCII", { trust: "conflict" }, { utf8: false }, [
    "12:04 bob! (another key): hello",
  ]],
  ["words below its own text", { text: "one two three four five six seven" }, {}, [
    "12:04 bob∙: one two three four five six",
    "            seven",
  ]],
  ["a word that just fits", { text: "1234567890 12345678901234567" }, {}, [
    "12:04 bob∙: 1234567890 12345678901234567",
  ]],
  ["a word that does not fit", { text: "1234567890 123456789012345678" }, {}, [
    "12:04 bob∙: 1234567890",
    "            123456789012345678",
  ]],
  ["a word longer than a row", { text: "see " + "x".repeat(60) }, {}, [
    "12:04 bob∙: see " + "x".repeat(24),
    "            " + "x".repeat(28),
    "            " + "x".repeat(8),
  ]],
  ["a long word behind a full row", { text: "x".repeat(27) + " " + "y".repeat(29) }, {}, [
    "12:04 bob∙: " + "x".repeat(27),
    "            " + "y".repeat(28),
    "            y",
  ]],
  ["blanks as they are", { text: "a   b\n  c" }, {}, ["12:04 bob∙: a   b", "              c"]],
  ["line breaks", { text: "one\n\ntwo" }, {}, ["12:04 bob∙: one", "", "            two"]],
  ["no blank rows at its ends", { text: "\n\none\n\n" }, {}, ["12:04 bob∙: one"]],
  ["tabs as blanks", { text: "a\tb" }, {}, ["12:04 bob∙: a    b"]],
  ["wide characters at their columns", { text: "日".repeat(15) }, {}, [
    "12:04 bob∙: " + "日".repeat(14),
    "            日",
  ]],
  ["wide characters in an odd place", { text: "a" + "日".repeat(14) }, {}, [
    "12:04 bob∙: a" + "日".repeat(13),
    "            日",
  ]],
  ["combining marks without columns", { text: "e\u0301".repeat(29) }, {}, [
    "12:04 bob∙: " + "e\u0301".repeat(28),
    "            e\u0301",
  ]],
  ["a narrow terminal", { text: "one two three four" }, { columns: 20 }, [
    "12:04 bob∙: one two",
    "  three four",
  ]],
  ["a narrow terminal without times", { text: "one two three four" }, {
    columns: 20,
    timestamps: "off",
  }, ["bob∙: one two three", "      four"]],
  ["a head wider than the terminal", { nick: "a".repeat(24), place: "private", text: "hello" }, {
    columns: 20,
  }, ["12:04 " + "a".repeat(14), "  " + "a".repeat(10) + "∙ (priva", "  te): hello"]],
  ["ASCII only in the C locale", { nick: "jörg", text: "grüße…\u202e" }, { utf8: false }, [
    "12:04 j<F6>rg=: gr<FC><DF>e...<202E>",
  ]],
];

for (const [what, event, context, expected] of MESSAGES) {
  Deno.test(`renderMessage() lays out ${what}`, () => {
    const rows = chat(event, context);
    assert.deepEqual(rows, expected);
    const width = context.columns ?? CONTEXT.columns;
    for (const row of rows) assert.ok(columns(row) <= width, row);
  });
}

const HOSTILE = [
  "x\r12:04 carol∙: forged",
  "x\n12:04 carol∙: forged\n-- carol has left\n!! error",
  "x\x1b[1A\x1b[2K12:04 carol∙: forged",
  "x\u2028-- forged",
  "x\u0085-- forged",
  "x\u202e\u2066\u200f",
  "\u200b\u200c\u2060\ufeff\u00ad",
  "a" + "\u0301".repeat(4096),
  "\ud800x\udc00",
  "\x9b2J\x07\x00",
  "👩\u200d👩\u200d👧".repeat(40) + "12:04 carol∙: forged",
  "🇩🇪".repeat(100) + "👍🏽".repeat(100) + "❤\ufe0f".repeat(100),
  // Each of these is one cluster, wider than any row.
  "\u1100".repeat(200) + "12:04 carol∙: forged",
  "👩\u200d".repeat(200) + "12:04 carol∙: forged",
  "कािाि".repeat(200) + "12:04 carol∙: forged",
  "日".repeat(100) + " " + "x".repeat(100) + "\t".repeat(100),
  " ".repeat(200) + "-- forged",
];

Deno.test("renderMessage() keeps any text within its own rows", () => {
  let cases = 0;
  for (const text of HOSTILE) {
    for (const width of [10, 20, 80, 200]) {
      for (const action of [false, true]) {
        const rows = chat({ text, action }, { columns: width });
        assert.match(rows[0]!, action ? /^12:04 \* bo/ : /^12:04 bob/);
        for (const row of rows.slice(1)) assert.match(row, /^( {2}|$)/);
        for (const row of rows) {
          // deno-lint-ignore no-control-regex
          assert.doesNotMatch(row, /[\x00-\x1f\x7f-\x9f\u200b-\u200c\u2028-\u202e\u2060-\u206f]/);
          assert.ok(columns(row) <= width);
        }
        cases++;
      }
    }
  }
  assert.equal(cases, HOSTILE.length * 8);
});

const LIMIT = { rows: 4, number: () => 7 };

Deno.test("renderMessage() cuts a long text, and says how much more there is", () => {
  assert.deepEqual(chat({ text: "one two three four five six ".repeat(200) }, { limit: LIMIT }), [
    "12:04 bob∙: one two three four five six",
    ...new Array<string>(3).fill("            one two three four five six"),
    "            … 5.5 kB more, /show 7",
  ]);
  assert.deepEqual(chat({ text: "a\nb\nc\nd" }, { limit: LIMIT }).length, 4);
  assert.deepEqual(
    chat({ text: "a\nb\nc\nd\ne" }, { limit: LIMIT }).at(-1),
    "            … 2 B more, /show 7",
  );
  assert.deepEqual(
    chat({ text: "\u0001".repeat(8192) + "x" }, { columns: 80, limit: { ...LIMIT, rows: 40 } }),
    [
      "12:04 bob∙: ⟨8192 characters that do not print⟩x",
    ],
  );
});

Deno.test("renderMessage() bounds the rows of any text", () => {
  for (const text of HOSTILE.map((text) => text.repeat(Math.ceil(8192 / text.length)))) {
    for (const width of [10, 80, 300]) {
      const rows = chat({ text }, { columns: width, limit: LIMIT });
      assert.ok(
        rows.length <= LIMIT.rows + 3,
        `${rows.length} rows of ${JSON.stringify(text.slice(0, 20))}`,
      );
      for (const row of rows) assert.ok(columns(row) <= width);
    }
  }
});

Deno.test("renderMessage() never breaks a link", () => {
  const link = `https://example.lan/${"x".repeat(50)}?q=1`;
  assert.deepEqual(chat({ text: `see ${link} and me` }), [
    "12:04 bob∙: see",
    link,
    "            and me",
  ]);
  assert.deepEqual(chat({ text: `${link}\nnext` }), ["12:04 bob∙:", link, "            next"]);
  assert.deepEqual(chat({ text: link }), ["12:04 bob∙:", link]);
  assert.deepEqual(chat({ text: "a long text http://a.lan/123456789" }), [
    "12:04 bob∙: a long text",
    "            http://a.lan/123456789",
  ]);
  assert.deepEqual(chat({ text: link }, { limit: { ...LIMIT, rows: 2 } }), [
    "12:04 bob∙:",
    "            … 74 B more, /show 7",
  ]);
  // What is not all ASCII could imitate something else.
  assert.ok(chat({ text: `${link}é` }).every((row) => columns(row) <= 40));
});

Deno.test("renderMessage() breaks a cluster that is wider than a row", () => {
  assert.deepEqual(chat({ text: "\u1100".repeat(20) }), [
    "12:04 bob∙: " + "\u1100".repeat(14),
    "            " + "\u1100".repeat(6),
  ]);
  const rows = chat({ text: "👩\u200d".repeat(19) + "👩" });
  assert.deepEqual(rows.map((row) => row.match(/👩/g)?.length), [14, 6]);
});

Deno.test("renderMessage() gives spacing vowel signs a column", () => {
  const rows = chat({ text: "का".repeat(20) });
  assert.deepEqual(rows.map((row) => row.trimStart().match(/का/g)?.length), [14, 6]);
});

Deno.test("renderMessage() leaves room for terminals that draw the parts of an emoji separately", () => {
  const rows = chat({ text: "👩\u200d👩\u200d👧".repeat(5) });
  assert.deepEqual(rows.map((row) => row.trimStart().match(/👧/g)?.length), [4, 1]);
});

Deno.test("renderMessage() colours the nick, marks mentions and resets attributes at the end of each row", () => {
  const looks = (color: ColorDepth, text: string, event: Partial<MessageEntry> = {}): string =>
    chat({ text, ...event }, { color })[0]!;
  assert.match(
    looks("256", "hi Me, me-too"),
    // deno-lint-ignore no-control-regex
    /^\x1b\[2m12:04 \x1b\[0m\x1b\[1;38;5;\d+mbob\x1b\[0m∙: hi \x1b\[1mMe\x1b\[0m, me-too$/,
  );
  assert.match(looks("16", "hi"), /\[1;3[1256]mbob/);
  assert.match(looks("16", "hi", { view: "differs" }), /\[1;31msees different members than/);
  for (const row of chat({ text: "me ".repeat(40) }, { color: "16" })) {
    assert.equal(row.split("\x1b[").length % 2, 1, "as many ends as beginnings");
  }
});

function notice(event: SessionEvent, context: Partial<RenderContext>): string[] {
  const notice = noticeOf(event, NAMES);
  return notice === undefined ? [] : renderNotice(notice, { ...CONTEXT, ...context });
}

const SOMEONE = { nick: "bob", fingerprint: FINGERPRINT };

const NOTICES: [SessionEvent, string[]][] = [
  [{ event: "connected", address: "host:40623", fingerprint: FINGERPRINT, server: "known" }, []],
  [{ event: "welcome", room: "lobby", members: 0, authenticated: "key" }, []],
  [{ event: "joined", ...SOMEONE, trust: "known", weak: false }, ["12:04 -- bob has joined"]],
  [
    { event: "joined", ...SOMEONE, trust: "new", weak: true },
    [`12:04 -- bob has joined with a new key: ${FINGERPRINT} (a weak key)`],
  ],
  [
    { event: "joined", ...SOMEONE, trust: "verified", weak: false },
    ["12:04 -- bob has joined (verified)"],
  ],
  [{ event: "joined", ...SOMEONE, trust: "conflict", weak: false }, [
    `12:04 !! bob has joined with a DIFFERENT KEY than before: ${FINGERPRINT}`,
    "12:04 -- make sure it is them: /verify bob compares digits, /trust bob accepts the key",
  ]],
  [{ event: "left", ...SOMEONE, why: "left" }, ["12:04 -- bob has left"]],
  [{ event: "left", ...SOMEONE, why: "lost" }, ["12:04 -- bob has lost the connection"]],
  [{ event: "left", ...SOMEONE, why: "replaced" }, ["12:04 -- bob is reconnecting"]],
  [{ event: "left", ...SOMEONE, why: "removed" }, [
    "12:04 -- bob was removed by the server's operator",
  ]],
  [{ event: "nick", from: "rob", ...SOMEONE }, ["12:04 -- rob is now bob"]],
  [{ event: "away", ...SOMEONE, text: "lunch\n!! x\x1b[2J" }, [
    "12:04 -- bob is away: lunch !! x⟨001B⟩[2J",
  ]],
  [{ event: "away", ...SOMEONE, text: "" }, ["12:04 -- bob is back"]],
  [{ event: "lost", ...SOMEONE, count: 1 }, ["12:04 !! a message from bob was lost"]],
  [{ event: "lost", ...SOMEONE, count: 2 }, ["12:04 !! 2 messages from bob were lost"]],
  [{ event: "sent", id: "1", text: "hi", private: false, action: false, to: [] }, []],
  [{ event: "delivered", id: "1", to: [FINGERPRINT] }, [
    "12:04 -- now received by everyone: “hello there”",
  ]],
  [{ event: "undelivered", id: "2", to: [FINGERPRINT, "SHA256:x"] }, [
    `12:04 !! not delivered to bob and carol: “${"x".repeat(30)}…”`,
  ]],
  [{ event: "undelivered", id: "3", to: [] }, ["12:04 !! nobody is here to receive message 3"]],
  [{ event: "topic", text: "the\nweather" }, ["12:04 -- the topic is: the weather"]],
  [{ event: "topic", text: "" }, ["12:04 -- the topic was removed"]],
  [{ event: "server", what: "motd", text: "be kind\nbob: \u202e!! x" }, [
    "12:04 == the server says: be kind",
    "         bob: ⟨202E⟩!! x",
  ]],
  [{ event: "server", what: "announcement", text: "closing" }, [
    "12:04 == announcement of the server: closing",
  ]],
  [{ event: "disconnected", reason: "cut" }, []],
  [{ event: "reconnecting", seconds: 4 }, []],
  [{ event: "notice", text: "some\u202e text" }, ["12:04 -- some⟨202E⟩ text"]],
  [{ event: "error", code: "x", message: "it broke", hint: "fix it" }, [
    "12:04 !! it broke",
    "12:04 -- fix it",
  ]],
  [{ event: "error", code: "x", message: "it broke", hint: "" }, ["12:04 !! it broke"]],
  [{ event: "bye" }, []],
];

Deno.test("noticeOf() puts every event into words", () => {
  for (const [event, expected] of NOTICES) {
    assert.deepEqual(notice(event, { columns: 120 }), expected);
  }
  assert.equal(new Set(NOTICES.map(([{ event }]) => event)).size, 17);
});

Deno.test("hides() leaves out unwanted notices, but no warning", () => {
  const shown = (quiet: Parameters<typeof hides>[1]): string[] =>
    NOTICES.flatMap(([event]) => {
      const notice = noticeOf(event, NAMES);
      return notice === undefined || hides(notice.level, quiet) ? [] : event.event;
    });
  const loud = ["joined", "lost", "lost", "undelivered", "undelivered", "error", "error"];
  assert.deepEqual(shown("notices"), loud);
  assert.deepEqual(
    shown("presence").filter((event) => !loud.includes(event)),
    [
      ..."delivered topic topic server server notice".split(" "),
    ],
  );
  assert.equal(hides("answer", "notices"), false);
});

Deno.test("renderNotice() dims notices, and wraps them under their own text", () => {
  const notice = receiptNotice("pending", { ids: ["1"], to: [FINGERPRINT] }, NAMES);
  assert.deepEqual(renderNotice(notice, CONTEXT), [
    "12:04 -- not yet received by bob: “hello",
    "         there”",
  ]);
  assert.deepEqual(renderNotice(notice, { ...CONTEXT, color: "16", columns: 80 }), [
    "\x1b[2m12:04 -- not yet received by bob: “hello there”\x1b[0m",
  ]);
});

Deno.test("renderNotice() does not dim answers", () => {
  const notice = { level: "answer", text: "35147 28778", hint: "" } as const;
  const context = { ...CONTEXT, color: "16" } as const;
  assert.deepEqual(renderNotice(notice, context), ["\x1b[2m12:04 -- \x1b[0m35147 28778"]);
});

const OWN_MESSAGES: [Parameters<typeof chat>[0], string][] = [
  [{}, "12:04 me: hello"],
  [{ action: true, text: "waves" }, "12:04 * me waves"],
  [{ place: "private to bob" }, "12:04 me (private to bob): hello"],
  [{ delivery: { state: "waiting" } }, "12:04 me (waiting): hello"],
  [
    { place: "to build", delivery: { state: "waiting" } },
    "12:04 me (to build, waiting): hello",
  ],
  [{ text: "a\u202eb, me" }, "12:04 me: a⟨202E⟩b, me"],
];

Deno.test("renderMessage() lays out a message of the user's own", () => {
  for (const [message, expected] of OWN_MESSAGES) {
    const own = { nick: "me", own: true, trust: "self" } as const;
    assert.deepEqual(chat({ ...own, ...message }, { columns: 80 }), [expected]);
  }
});

Deno.test("renderMessage() says what a message answers or replaces", () => {
  const quote: Quote = {
    id: "1",
    of: FINGERPRINT,
    own: false,
    nick: "bert",
    text: "two\nlines that are longer",
  };
  const head = (some: Partial<Quote>) => chat({ quote: { ...quote, ...some } }, { columns: 80 });
  assert.deepEqual(head({}), ["12:04 bob∙ (answers bert: “two lines that are l…”): hello"]);
  assert.deepEqual(head({ own: true, text: "x" }), ["12:04 bob∙ (answers you: “x”): hello"]);
  assert.deepEqual(head({ text: "" }), ["12:04 bob∙ (answers bert: a message taken back): hello"]);
  assert.deepEqual(head({ of: undefined, nick: "" }), [
    "12:04 bob∙ (answers an older message): hello",
  ]);
  const labels = { place: "private", replaces: replacesLabel("two\n!! lines") };
  assert.deepEqual(renderMessage(messageEntry(), { ...CONTEXT, columns: 80 }, labels), [
    "12:04 bob∙ (private, replaces “two !! lines”): hello",
  ]);
  assert.equal(replacesLabel(undefined), "replaces an older message");
  assert.equal(renderPlain(PLAIN, "known", { isEdit: true }), "bob (edited): hello");
});

Deno.test("renderPlain() writes nick and text, further lines behind a tab", () => {
  assert.equal(renderPlain(PLAIN, "known"), "bob: hello");
  assert.equal(
    renderPlain({ ...PLAIN, text: "a\nb\tc\n\x1b[2J" }, "new"),
    "bob: a\n\tb\tc\n\t⟨001B⟩[2J",
  );
  assert.equal(renderPlain({ ...PLAIN, action: true }, "verified"), "bob: hello");
});

Deno.test("renderPlain() shows a conflict, a private message and another view", () => {
  assert.equal(renderPlain(PLAIN, "conflict"), "bob✗: hello");
  assert.equal(renderPlain({ ...PLAIN, private: true }, "new"), "bob (private): hello");
  assert.equal(renderPlain({ ...PLAIN, view: "differs" }, "new"), "bob (another view): hello");
  assert.equal(
    renderPlain({ ...PLAIN, private: true, view: "differs" }, "conflict"),
    "bob✗ (private, another view): hello",
  );
});

Deno.test("trustSign() is one column wide and different for each trust", () => {
  for (const utf8 of [false, true]) {
    const signs = (["new", "known", "verified", "conflict"] as const)
      .map((trust) => trustSign(trust, utf8));
    assert.equal(new Set(signs).size, 4);
    for (const sign of signs) assert.equal(columns(sign), 1);
    // No nick contains them (PROTOCOL.md §9).
    for (const sign of signs) assert.doesNotMatch(sign, /[\p{L}\p{M}\p{Nd}._\-]/u);
  }
});

Deno.test("renderPlain() says who vouches for hearsay, under no sign of trust", () => {
  const hearsay = ["SHA256:a", "SHA256:b"];
  assert.equal(
    renderPlain({ ...PLAIN, missed: true, hearsay }, "conflict", { nickOf: (who) => who.slice(7) }),
    "bob? (told by a and b): hello",
  );
});
