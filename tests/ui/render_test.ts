import assert from "node:assert/strict";
import type { ChatEvent, SessionEvent } from "../../lib/session/events.ts";
import type { ColorDepth } from "../../lib/ui/terminal/colors.ts";
import { receiptNotice } from "../../lib/ui/notices.ts";
import {
  mentions,
  type OwnMessage,
  type RenderContext,
  renderEvent,
  renderNotice,
  renderOwn,
  renderPlain,
  trustSign,
} from "../../lib/ui/render.ts";
import { columns } from "../../lib/base/text.ts";

const NOW = new Date(2025, 0, 2, 12, 4, 30);
const FINGERPRINT = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

const CONTEXT: RenderContext = {
  columns: 40,
  color: "none",
  utf8: true,
  ownNick: "me",
  timestamps: "time",
  now: NOW,
  quiet: "off",
  trust: () => "known",
  nickOf: (fingerprint) => fingerprint === FINGERPRINT ? "bob" : "carol",
  ownText: (id) => id === "1" ? "hello there" : id === "2" ? "x".repeat(31) : undefined,
};

const CHAT: ChatEvent = {
  event: "chat",
  id: "0000000000000000",
  nick: "bob",
  fingerprint: FINGERPRINT,
  sent: new Date(2025, 0, 2, 11, 58).toISOString(),
  private: false,
  action: false,
  late: false,
  view: "same",
  text: "hello",
};

function chat(event: Partial<ChatEvent>, context: Partial<RenderContext> = {}): string[] {
  return renderEvent({ ...CHAT, ...event }, { ...CONTEXT, ...context });
}

const MESSAGES: [string, Partial<ChatEvent>, Partial<RenderContext>, string[]][] = [
  ["a message", {}, {}, ["12:04 bob∙: hello"]],
  ["an action", { action: true, text: "waves" }, {}, ["12:04 * bob∙ waves"]],
  ["a private message", { private: true }, {}, ["12:04 bob∙ (private): hello"]],
  ["a private action", { private: true, action: true }, {}, ["12:04 * bob∙ (private) hello"]],
  ["a late message", { late: true }, {}, ["12:04 bob∙ (written 11:58): hello"]],
  [
    "a late message of another day",
    { late: true, sent: new Date(2024, 11, 31, 23, 5).toISOString() },
    { columns: 80 },
    ["12:04 bob∙ (written 2024-12-31 23:05): hello"],
  ],
  ["a late message without a time", { late: true, sent: "+275761-01-01" }, { columns: 80 }, [
    "12:04 bob∙ (written at an unknown time): hello",
  ]],
  ["another view", { view: "differs" }, { columns: 80 }, [
    "12:04 bob∙ (sees other members than you): hello",
  ]],
  ["all labels at once", { private: true, late: true, view: "differs" }, { columns: 80 }, [
    "12:04 bob∙ (private, written 11:58, sees other members than you): hello",
  ]],
  ["no time", {}, { timestamps: "off" }, ["bob∙: hello"]],
  ["the date", {}, { timestamps: "date" }, ["2025-01-02 12:04 bob∙: hello"]],
  ["a new key", {}, { trust: () => "new" }, ["12:04 bob◦: hello"]],
  ["a verified key", {}, { trust: () => "verified" }, ["12:04 bob✓: hello"]],
  ["another key than before", {}, { trust: () => "conflict" }, ["12:04 bob✗: hello"]],
  ["a new key in ASCII", {}, { trust: () => "new", utf8: false }, ["12:04 bob*: hello"]],
  ["a known key in ASCII", {}, { utf8: false }, ["12:04 bob=: hello"]],
  ["a verified key in ASCII", {}, { trust: () => "verified", utf8: false }, [
    "12:04 bob+: hello",
  ]],
  ["another key in ASCII", {}, { trust: () => "conflict", utf8: false }, ["12:04 bob!: hello"]],
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
  ["a head wider than the terminal", { nick: "a".repeat(24), private: true, text: "hello" }, {
    columns: 20,
  }, ["12:04 " + "a".repeat(14), "  " + "a".repeat(10) + "∙ (priva", "  te): hello"]],
  ["ASCII only in the C locale", { nick: "jörg", text: "grüße…\u202e" }, { utf8: false }, [
    "12:04 j<F6>rg=: gr<FC><DF>e...<202E>",
  ]],
];

for (const [what, event, context, expected] of MESSAGES) {
  Deno.test(`renderEvent() lays out ${what}`, () => {
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

Deno.test("renderEvent() never lets a text out of its own rows", () => {
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

Deno.test("renderEvent() breaks a cluster that no row has room for", () => {
  assert.deepEqual(chat({ text: "\u1100".repeat(20) }), [
    "12:04 bob∙: " + "\u1100".repeat(14),
    "            " + "\u1100".repeat(6),
  ]);
  const rows = chat({ text: "👩\u200d".repeat(19) + "👩" });
  assert.deepEqual(rows.map((row) => row.match(/👩/g)?.length), [14, 6]);
});

Deno.test("renderEvent() gives vowel signs that take a place of their own a column", () => {
  const rows = chat({ text: "का".repeat(20) });
  assert.deepEqual(rows.map((row) => row.trimStart().match(/का/g)?.length), [14, 6]);
});

Deno.test("renderEvent() leaves room for terminals that draw the parts of an emoji apart", () => {
  const rows = chat({ text: "👩\u200d👩\u200d👧".repeat(5) });
  assert.deepEqual(rows.map((row) => row.trimStart().match(/👧/g)?.length), [4, 1]);
});

Deno.test("renderEvent() colours the nick, marks mentions and ends all looks on each row", () => {
  const looks = (color: ColorDepth, text: string, event: Partial<ChatEvent> = {}): string =>
    chat({ text, ...event }, { color })[0]!;
  assert.match(
    looks("256", "hi Me, me-too"),
    // deno-lint-ignore no-control-regex
    /^\x1b\[2m12:04 \x1b\[0m\x1b\[1;38;5;\d+mbob\x1b\[0m∙: hi \x1b\[1mMe\x1b\[0m, me-too$/,
  );
  assert.match(looks("16", "hi"), /\[1;3[1256]mbob/);
  assert.match(looks("16", "hi", { view: "differs" }), /\[1;31msees other members than/);
  for (const row of chat({ text: "me ".repeat(40) }, { color: "16" })) {
    assert.equal(row.split("\x1b[").length % 2, 1, "as many ends as beginnings");
  }
});

const SOMEONE = { nick: "bob", fingerprint: FINGERPRINT };

const NOTICES: [SessionEvent, string[]][] = [
  [
    { event: "connected", address: "host:40623", fingerprint: FINGERPRINT, server: "new" },
    [`12:04 -- connected to host:40623 for the first time; its key is ${FINGERPRINT}`],
  ],
  [{ event: "connected", address: "host:40623", fingerprint: FINGERPRINT, server: "known" }, []],
  [{ event: "welcome", room: "lobby", members: 0 }, ["12:04 -- you are in lobby, alone so far"]],
  [{ event: "welcome", room: "lobby", members: 1 }, ["12:04 -- you are in lobby, with one other"]],
  [{ event: "welcome", room: "lobby", members: 9 }, ["12:04 -- you are in lobby, with 9 others"]],
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
    `12:04 !! bob has joined with ANOTHER KEY than before: ${FINGERPRINT}`,
    "12:04 -- ask whether it is really them: /verify bob compares, /trust bob accepts it",
  ]],
  [{ event: "left", ...SOMEONE, why: "left" }, ["12:04 -- bob has left"]],
  [{ event: "left", ...SOMEONE, why: "lost" }, ["12:04 -- bob has lost the connection"]],
  [{ event: "left", ...SOMEONE, why: "replaced" }, ["12:04 -- bob is connecting again"]],
  [{ event: "left", ...SOMEONE, why: "removed" }, [
    "12:04 -- bob was removed by the server's operator",
  ]],
  [{ event: "nick", from: "rob", ...SOMEONE }, ["12:04 -- rob is now bob"]],
  [{ event: "away", ...SOMEONE, text: "lunch\n!! x\x1b[2J" }, [
    "12:04 -- bob is away: lunch !! x⟨001B⟩[2J",
  ]],
  [{ event: "away", ...SOMEONE, text: "" }, ["12:04 -- bob is back"]],
  [{ event: "lost", ...SOMEONE, count: 1 }, ["12:04 !! a message of bob was lost"]],
  [{ event: "lost", ...SOMEONE, count: 2 }, ["12:04 !! 2 messages of bob were lost"]],
  [{ event: "sent", id: "1" }, []],
  [{ event: "delivered", id: "1", to: [FINGERPRINT] }, [
    "12:04 -- now received by everyone: “hello there”",
  ]],
  [{ event: "undelivered", id: "2", to: [FINGERPRINT, "SHA256:x"] }, [
    `12:04 !! not delivered to bob and carol: “${"x".repeat(30)}…”`,
  ]],
  [{ event: "undelivered", id: "3", to: [] }, ["12:04 !! nobody is here to receive message 3"]],
  [{ event: "disconnected", reason: "cut" }, ["12:04 -- connection lost: cut"]],
  [{ event: "reconnecting", seconds: 4 }, []],
  [{ event: "notice", text: "some\u202e text" }, ["12:04 -- some⟨202E⟩ text"]],
  [{ event: "error", code: "x", message: "it broke", hint: "mend it" }, [
    "12:04 !! it broke",
    "12:04 -- mend it",
  ]],
  [{ event: "error", code: "x", message: "it broke", hint: "" }, ["12:04 !! it broke"]],
  [{ event: "bye" }, []],
];

Deno.test("renderEvent() puts every event into words", () => {
  for (const [event, expected] of NOTICES) {
    assert.deepEqual(renderEvent(event, { ...CONTEXT, columns: 120 }), expected);
  }
  assert.equal(new Set(NOTICES.map(([{ event }]) => event)).size, 15);
});

Deno.test("renderEvent() leaves out what is not wanted, but no warning", () => {
  const shown = (quiet: RenderContext["quiet"]): string[] =>
    NOTICES.filter(([event]) => renderEvent(event, { ...CONTEXT, quiet }).length > 0)
      .map(([event]) => event.event);
  const loud = ["joined", "lost", "lost", "undelivered", "undelivered", "error", "error"];
  assert.deepEqual(shown("notices"), loud);
  assert.deepEqual(
    shown("presence").filter((event) => !loud.includes(event)),
    ["connected", "welcome", "welcome", "welcome", "delivered", "disconnected", "notice"],
  );
  assert.deepEqual(chat({}, { quiet: "notices" }), ["12:04 bob∙: hello"]);
});

Deno.test("renderNotice() dims notices, and wraps them under their own text", () => {
  const notice = receiptNotice("pending", { ids: ["1"], to: [FINGERPRINT] }, CONTEXT);
  assert.deepEqual(renderNotice(notice, CONTEXT), [
    "12:04 -- not yet received by bob: “hello",
    "         there”",
  ]);
  assert.deepEqual(renderNotice(notice, { ...CONTEXT, color: "16", columns: 80 }), [
    "\x1b[2m12:04 -- not yet received by bob: “hello there”\x1b[0m",
  ]);
});

Deno.test("renderNotice() shows answers in any case, and not dimmed", () => {
  const notice = { level: "answer", text: "35147 28778", hint: "" } as const;
  const context = { ...CONTEXT, color: "16", quiet: "notices" } as const;
  assert.deepEqual(renderNotice(notice, context), ["\x1b[2m12:04 -- \x1b[0m35147 28778"]);
});

const OWN: OwnMessage = {
  fingerprint: FINGERPRINT,
  text: "hello",
  action: false,
  to: undefined,
  waiting: false,
};

const OWN_MESSAGES: [Partial<OwnMessage>, string][] = [
  [{}, "12:04 me: hello"],
  [{ action: true, text: "waves" }, "12:04 * me waves"],
  [{ to: "bob" }, "12:04 me (private to bob): hello"],
  [{ waiting: true }, "12:04 me (waiting): hello"],
  [{ to: "bob", waiting: true }, "12:04 me (private to bob, waiting): hello"],
  [{ text: "a\u202eb" }, "12:04 me: a⟨202E⟩b"],
];

Deno.test("renderOwn() lays out a message of one's own", () => {
  for (const [message, expected] of OWN_MESSAGES) {
    assert.deepEqual(renderOwn({ ...OWN, ...message }, { ...CONTEXT, columns: 80 }), [expected]);
  }
});

const MENTIONS: [string, boolean][] = [
  ["bob", true],
  ["hi bob", true],
  ["BOB: look", true],
  ["@bob!", true],
  ["it is bob.", true],
  ["bob's", true],
  ["(bob)", true],
  ["bob-", true],
  ["bobby", false],
  ["abob", false],
  ["bob2", false],
  ["bob_", false],
  ["bob-2", false],
  ["x.bob", false],
  ["böb", false],
  ["bob\u0301", false],
  ["", false],
];

Deno.test("mentions() finds whole words without case", () => {
  for (const [text, expected] of MENTIONS) assert.equal(mentions(text, "bob"), expected, text);
  assert.equal(mentions("Grüße an JÖRG.", "jörg"), true);
  assert.equal(mentions("axb", "a.b"), false);
  assert.equal(mentions("a.b", "a.b"), true);
});

Deno.test("mentions() takes every nick as it is", () => {
  for (const nick of ["jean-luc", "a.b-c_d", "bob#a1b2", "?a+/b", "j<F6>rg", "日本-2"]) {
    assert.equal(mentions(`hi ${nick}, look`, nick), true, nick);
    assert.equal(mentions("hi there", nick), false, nick);
    assert.deepEqual(chat({ text: `hi ${nick}` }, { ownNick: nick, columns: 80 }), [
      `12:04 bob∙: hi ${nick}`,
    ]);
  }
});

Deno.test("renderPlain() writes nick and text, further lines behind a tab", () => {
  assert.equal(renderPlain(CHAT), "bob: hello");
  assert.equal(renderPlain({ ...CHAT, text: "a\nb\tc\n\x1b[2J" }), "bob: a\n\tb\tc\n\t⟨001B⟩[2J");
  assert.equal(renderPlain({ ...CHAT, action: true, private: true }), "bob: hello");
  assert.equal(renderPlain({ event: "bye" }), undefined);
});

Deno.test("trustSign() has one column and differs for each trust", () => {
  for (const utf8 of [false, true]) {
    const signs = (["new", "known", "verified", "conflict"] as const)
      .map((trust) => trustSign(trust, utf8));
    assert.equal(new Set(signs).size, 4);
    for (const sign of signs) assert.equal(columns(sign), 1);
    // None of them can be in a nick (PROTOCOL.md §9).
    for (const sign of signs) assert.doesNotMatch(sign, /[\p{L}\p{M}\p{Nd}._\-]/u);
  }
});
