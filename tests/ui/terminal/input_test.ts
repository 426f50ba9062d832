import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { InputLine } from "../../../lib/ui/terminal/input.ts";
import { InputReader } from "../../../lib/ui/terminal/paste.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const MAX_BYTES = 100;

/** An input line that logs its calls. */
function newInput() {
  const clock = new FakeClock();
  const told: string[] = [];
  const input = new InputLine({
    maxBytes: MAX_BYTES,
    complete: (line, cursor) => ({
      start: 0,
      end: cursor,
      candidates: ["alice", "albert", "bob"].filter((nick) => nick.startsWith(line)),
    }),
    rewrite: (line) => line.startsWith("/r ") ? `/msg bob ${line.slice(3)}` : undefined,
    onLine(text) {
      told.push(`line ${JSON.stringify(text)}`);
      return text !== "keep";
    },
    onKey: (name) => told.push(`key ${name}`),
    onInterrupt: () => told.push("interrupt"),
    onEnd: () => told.push("end"),
  }, {
    redraw() {},
    bell: () => told.push("bell"),
    clear: () => told.push("clear"),
    stop: () => told.push("stop"),
  }, clock);
  const reader = new InputReader(clock, (inputs) => inputs.forEach((one) => input.take(one)));
  return {
    clock,
    input,
    told,
    type: (text: string) => reader.feed(new TextEncoder().encode(text)),
    close: () => reader.close(),
  };
}

const pasted = (text: string): string => `\x1b[200~${text}\x1b[201~`;
const [LEFT, RIGHT, UP, DOWN, DELETE] = ["\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[3~"];
const FAMILY = "👩\u200d👩\u200d👧";

const EDITS: [string, string[], string][] = [
  ["text", ["abc"], "abc|"],
  ["text in one read with Enter before it", ["x\r", "abc"], "abc|"],
  ["a whole cluster to the left", [`a${FAMILY}e\u0301`, LEFT, LEFT], `a|${FAMILY}e\u0301`],
  ["a whole cluster to the right", [`a${FAMILY}b`, "\x1b[H", RIGHT, RIGHT], `a${FAMILY}|b`],
  ["Backspace on a whole cluster", [`a${FAMILY}e\u0301`, "\x7f\x7f"], "a|"],
  ["Backspace at the start", ["a", "\x1b[H", "\x7f"], "|a"],
  ["Delete on a whole cluster", [`${FAMILY}e\u0301x`, "\x1b[H", DELETE, DELETE], "|x"],
  ["Ctrl-D on a line as Delete", ["ab", "\x1b[H", "\x04"], "|b"],
  ["Ctrl-W", ["one two", "\x17"], "one |"],
  ["words with accents", ["ae\u0301b cd", "\x1bb", "\x1bb"], "|ae\u0301b cd"],
  ["no control characters", ["a\x1d\x00\x1b[15~b\x1b[99~"], "ab|"],
  ["Alt-Enter as a line break", ["a", "\x1b\r", "b"], "a\nb|"],
  ["a long text in one read", ["x".repeat(4000)], "x".repeat(4000) + "|"],
  ["a long text behind a key", ["ab", `${LEFT}${"x".repeat(40)}`], `a${"x".repeat(40)}|b`],
  ["a paste at the cursor", ["ab", LEFT, pasted("1\r2\r")], "a1\n2|b"],
  ["UTF-8 in pieces", ["日本"], "日本|"],
  ["a line that is rewritten", ["/r", " x"], "/msg bob x|"],
  ["a line that is rewritten at a cursor inside", ["/r x", "\x1b[H", "y"], "y|/msg bob x"],
  ["a paste that is rewritten", [pasted("/r x\ny")], "/msg bob x\ny|"],
  [
    "a long text in one read that is rewritten",
    [`/r ${"x".repeat(40)}`],
    `/msg bob ${"x".repeat(40)}|`,
  ],
  ["a line that is rewritten at its start", ["r x", "\x1b[H", "/"], "/msg bob| x"],
  ["a completion", ["b\t"], "bob|"],
  ["a completion as far as all agree", ["a\t"], "al|"],
  ["no completion", ["x\t"], "x|"],
  ["an earlier line", ["one\r", "two\r", UP, UP], "one|"],
  ["an earlier line and back", ["one\r", UP, DOWN], "|"],
  ["an earlier line, and the whole draft back", ["one\r", "two", LEFT, UP, DOWN], "tw|o"],
  ["the row above, then an earlier line", ["one\r", "two\nx", UP, UP], "one|"],
  ["the row below, then nothing", ["one\r", "two\nx", UP, DOWN, DOWN], "two\nx|"],
  ["nothing beyond the earliest line", ["one\r", UP, UP, UP], "one|"],
  ["nothing beyond the earliest line by Ctrl-P", ["one\r", "\x10\x10\x10"], "one|"],
  ["the latest line after Ctrl-C, too", ["one\r", "two\r", "o", UP, "\x03", UP], "two|"],
  ["Ctrl-C", ["abc", "\x03"], "|"],
  ["Ctrl-J as a line break", ["a", "\n", "b"], "a\nb|"],
  ["Shift-Enter as a line break", ["a", "\x1b[13;2u", "b"], "a\nb|"],
  ["undo behind Ctrl-C", ["abc", "\x03", "\x1f"], "abc|"],
  ["undo of a paste", ["ab", pasted("c d"), "\x1f"], "ab|"],
  ["undo of a rewritten line", ["/r", " x", "\x1f"], "/r x|"],
  ["candidates one by one", ["al\t\t"], "alice|"],
  ["candidates backwards", ["al\t", "\x1b[Z", "\x1b[Z"], "alice|"],
  ["candidates by arrows", ["al\t\t", DOWN, DOWN, UP], "albert|"],
  ["a candidate that Enter takes", ["al\t\t", "\r", "x"], "alicex|"],
  ["a candidate that Ctrl-G gives up", ["al\t\t", "\x07"], "al|"],
  ["an earlier line behind candidates that were only listed", ["x\r", "al\t", UP], "x|"],
  ["a line that was searched for", ["one\r", "two\r", "x", "\x12", "ON\r"], "one|"],
  ["a line that was searched for and changed", ["one\r", "\x12o", LEFT, "x"], "onx|e"],
  ["a search that Ctrl-C ends", ["one\r", "x", "\x12o\x03"], "x|"],
  ["a search that found nothing", ["one\r", "x", "\x12z\r"], "x|"],
  ["a search in a paste", ["one\r", "x", "\x12", pasted("ne\n"), "\r"], "x|"],
  ["Alt-Y behind anything else", ["one two", "\x17", "\x15", "abc", "\x1by", "\x1by"], "abc|"],
];

for (const [what, reads, expected] of EDITS) {
  Deno.test(`InputLine edits: ${what}`, () => {
    const { input, type } = newInput();
    for (const read of reads) type(read);
    const { line, cursor } = input.view;
    assert.equal(`${line.slice(0, cursor)}|${line.slice(cursor)}`, expected);
    input.close();
  });
}

const TOLD: [string[], string[], string][] = [
  [["hello\r"], ['line "hello"'], ""],
  [["\r", " ", "\r", "\t\r"], [], ""],
  [[" \r", "hello\r"], ['line "hello"'], ""],
  [["  indented  \r"], ['line "  indented"'], ""],
  [[pasted("\n \n  a\n\nb\n\n"), "\r"], ['line "  a\\n\\nb"'], ""],
  [["keep\r"], ['line "keep"', "bell"], "keep"],
  [["x".repeat(MAX_BYTES), "\r"], [`line "${"x".repeat(MAX_BYTES)}"`], ""],
  [["x".repeat(MAX_BYTES + 1), "\r"], ["bell"], "x".repeat(MAX_BYTES + 1)],
  [["é".repeat(MAX_BYTES / 2) + "x", "\r"], ["bell"], "é".repeat(MAX_BYTES / 2) + "x"],
  [["\x03"], ["interrupt"], ""],
  [["x\x03", "\x03"], ["interrupt"], ""],
  [["\x04"], ["end"], ""],
  [["x\x04"], [], "x"],
  [["\x0c\x1a"], ["clear", "stop"], ""],
];

Deno.test("InputLine reports what is sent, and keeps the rest", () => {
  for (const [reads, expected, line] of TOLD) {
    const { input, told, type } = newInput();
    for (const read of reads) type(read);
    assert.deepEqual(told, expected, JSON.stringify(reads));
    assert.equal(input.view.line, line);
  }
});

Deno.test("InputLine hints at what Enter would do where that is not obvious", () => {
  const { input, type } = newInput();
  type("x".repeat(MAX_BYTES));
  assert.equal(input.view.hint, "");
  type("x");
  assert.equal(input.view.hint, "101 bytes: at most 100 can be sent, Ctrl-C drops");
  type("\x15ü");
  type(pasted("\na\nb\n"));
  assert.equal(input.view.hint, "3 lines — Enter sends, Ctrl-C drops");
});

Deno.test("InputLine refuses a paste that no line can hold, and keeps the line", () => {
  const { input, told, type } = newInput();
  type("abc");
  type(pasted("x".repeat(65536 - 3)));
  assert.equal(input.view.line.length, 65536);
  type(pasted("y"));
  assert.equal(input.view.line.length, 65536);
  assert.equal(input.view.hint, "65537 bytes: not pasted, at most 100 can be sent");
  assert.deepEqual(told, ["bell"]);
});

Deno.test("InputLine shows candidates until the next key", () => {
  const { input, type } = newInput();
  type("al\t");
  assert.deepEqual(input.view.candidates, ["alice", "albert"]);
  type("i");
  assert.deepEqual(input.view.candidates, []);
});

Deno.test("InputLine shows what a search has found", () => {
  const { input, type } = newInput();
  type("one\r");
  type("half\x12");
  const view = { question: "sent before: ", line: "", cursor: 0, candidates: [], hint: "" };
  assert.deepEqual(input.view, view);
  type("n");
  assert.deepEqual(input.view, { ...view, line: "n", cursor: 1, hint: "one" });
  type("z");
  assert.deepEqual(input.view, { ...view, line: "nz", cursor: 2, hint: "never sent" });
});

Deno.test("InputLine ends a completion and a search by Escape", async () => {
  const { clock, input, type } = newInput();
  type("one\r");
  for (const key of ["al\t\t", "\x12o"]) {
    type(key);
    type("\x1b");
    await clock.advance(40);
    assert.deepEqual([input.view.question, input.view.line], [undefined, "al"]);
  }
});

Deno.test("InputLine passes on keys that mean nothing to the line", () => {
  const { told, type } = newInput();
  type("\x1bOP\x1b1\x1b[5~\x1b[A\x01");
  assert.deepEqual(told, ["key f1", "key M-1", "key pageup"]);
});

Deno.test("InputLine keeps a draft for each recipient, and recalls private lines only there", () => {
  const { input, told, type } = newInput();
  type("hello");
  input.turnTo("room", false);
  assert.equal(input.view.line, "hello");
  type("\r");
  input.turnTo("bob", true);
  type("secret\r");
  type("half\x1b[D");
  input.turnTo("room", false);
  assert.equal(input.view.line, "");
  type("\x1b[A");
  assert.equal(input.view.line, "hello");
  type("\x03\x12sec");
  assert.equal(input.view.hint, "never sent");
  input.turnTo("bob", true);
  assert.deepEqual([input.view.line, input.view.cursor], ["half", 3]);
  type("\x1b[A");
  assert.equal(input.view.line, "secret");
  type("\x15");
  input.turnTo("room", false);
  type("\x19");
  assert.equal(input.view.line, "secret", "what was cut is shared");
  assert.deepEqual(told, ['line "hello"', 'line "secret"']);
});

Deno.test("InputLine asks, and keeps the line until the answer", async () => {
  const { clock, input, told, type } = newInput();
  type("half");
  const answer = input.ask("Name? ", { secret: false });
  type(pasted("bob\n"));
  assert.equal(await answer, "bob");
  assert.equal(input.view.question, undefined);
  assert.equal(input.view.line, "half");
  await clock.advance(0);
  type("\r");
  assert.deepEqual(told, ['line "half"']);
});

Deno.test("InputLine shows nothing of a secret", async () => {
  const { input, type } = newInput();
  const answer = input.ask("Password: ", { secret: true });
  type("pä👍\x7f\t" + "x".repeat(40) + "\x1b[A");
  assert.deepEqual(input.view, {
    question: "Password: ",
    line: "",
    cursor: 0,
    candidates: [],
    hint: "",
  });
  assert.throws(() => input.ask("again", { secret: true }), TypeError);
  type("\r");
  assert.equal(await answer, "pä" + "x".repeat(40));
});

for (const [what, key] of [["Ctrl-C", "\x03"], ["Ctrl-D", "\x04"]] as const) {
  Deno.test(`InputLine answers undefined on ${what}`, async () => {
    const { input, told, type } = newInput();
    const answer = input.ask("? ", { secret: true });
    type(key);
    assert.equal(await answer, undefined);
    assert.deepEqual(told, []);
  });
}

Deno.test("InputLine passes keys typed ahead to the next question, never to the line", async () => {
  const { clock, input, told, type } = newInput();
  const first = input.ask("1? ", { secret: true });
  type("one\rtwo\rthree\r");
  assert.equal(await first, "one");
  const second = input.ask("2? ", { secret: true });
  await clock.advance(0);
  assert.equal(await second, "two");
  await clock.advance(0);
  assert.equal(input.view.line, "");
  assert.deepEqual(told, []);
  type("four");
  type("\r");
  assert.deepEqual(told, ['line "four"']);
});

Deno.test("InputLine takes no line while it is held", async () => {
  const { clock, input, told, type } = newInput();
  const first = input.ask("1? ", { secret: true });
  type("one\r");
  assert.equal(await first, "one");
  input.hold("Checking ");
  await clock.advance(60_000);
  type("tw");
  type(pasted("o\nthree"));
  const waiting = { question: "Checking ", line: "", cursor: 0, candidates: [], hint: "" };
  assert.deepEqual(input.view, waiting);
  const second = input.ask("2? ", { secret: true });
  assert.equal(await second, "two");
  input.hold("Checking ");
  type("four\r\x03\x04");
  assert.deepEqual(told.splice(0), ["interrupt", "end"]);
  input.release();
  assert.equal(input.view.question, undefined);
  assert.equal(input.view.line, "");
  type("five\r");
  assert.deepEqual(told, ['line "five"']);
});

Deno.test("InputLine keeps the cursor between whole characters, whatever keys come", () => {
  const keys = fc.constantFrom(
    ...["a", "b c ", "日本", "e\u0301", FAMILY, "🇩🇪🇩", "का", "\ud83d", pasted("x\ny"), "\t", "\r"],
    ...[
      LEFT,
      RIGHT,
      UP,
      DOWN,
      DELETE,
      "\x7f",
      "\x1b",
      "\x1b\r",
      "\x1b[1;5D",
      "\x1b[1;5C",
      "\x1bOH",
    ],
    ...Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)),
    ...Array.from("bdfyul\x7f<>", (key) => `\x1b${key}`),
  );
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 40 }), (typed) => {
      const { input, type } = newInput();
      for (const key of typed) {
        type(key);
        const { line, cursor } = input.view;
        const starts = [...new Intl.Segmenter().segment(line)].map(({ index }) => index);
        assert.ok(
          [...starts, line.length].includes(cursor),
          `${cursor} in ${JSON.stringify(line)}`,
        );
      }
      // Completes a pending escape sequence.
      type("x");
      input.close();
    }),
    { numRuns: 300 },
  );
});

Deno.test("InputLine.close() answers an open question", async () => {
  const { input } = newInput();
  const answer = input.ask("? ", { secret: false });
  input.close();
  assert.equal(await answer, undefined);
});
