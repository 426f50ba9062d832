import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { applyCompletion } from "../../../lib/ui/terminal/edit.ts";
import { InputLine } from "../../../lib/ui/terminal/input.ts";

const MAX_BYTES = 100;

/** An input line that notes what it tells. */
function newInput(): { input: InputLine; told: string[]; type: (text: string) => void } {
  const told: string[] = [];
  const input = new InputLine({
    maxBytes: MAX_BYTES,
    complete: (line, cursor) => ({
      start: 0,
      end: cursor,
      candidates: ["alice", "albert", "bob"].filter((nick) => nick.startsWith(line)),
    }),
    onLine(text) {
      told.push(`line ${JSON.stringify(text)}`);
      return text !== "keep";
    },
    onInterrupt: () => told.push("interrupt"),
    onEnd: () => told.push("end"),
  }, {
    redraw() {},
    bell: () => told.push("bell"),
    clear: () => told.push("clear"),
    stop: () => told.push("stop"),
  });
  return { input, told, type: (text) => input.feed(new TextEncoder().encode(text)) };
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
  ["words with accents", ["ae\u0301b cd", "\x1bb", "\x1bb"], "ae\u0301|b cd"],
  ["no control characters", ["a\x1d\x00\x1b[15~b\x1b[99~"], "ab|"],
  ["Alt-Enter as a line break", ["a", "\x1b\r", "b"], "a\nb|"],
  ["a long text in one read", ["x".repeat(4000)], "x".repeat(4000) + "|"],
  ["a long text behind a key", ["ab", `${LEFT}${"x".repeat(40)}`], `a${"x".repeat(40)}|b`],
  ["a paste at the cursor", ["ab", LEFT, pasted("1\r2\r")], "a1\n2|b"],
  ["UTF-8 in pieces", ["日本"], "日本|"],
  ["a completion", ["b\t"], "bob|"],
  ["a completion as far as all agree", ["a\t"], "al|"],
  ["no completion", ["x\t"], "x|"],
  ["an earlier line", ["one\r", "two\r", UP, UP], "one|"],
  ["an earlier line and back", ["one\r", UP, DOWN], "|"],
  ["an earlier line that begins so, and the whole draft back", [
    ...["one\r", "two\r", "one and a half", "\x1b[H", RIGHT, UP],
    DOWN,
  ], "o|ne and a half"],
  ["a draft whose beginning no earlier line has", ["one\r", "two", LEFT, UP], "tw|o"],
  ["nothing beyond the earliest line", ["one\r", UP, UP, UP], "one|"],
  ["nothing beyond the earliest line by Ctrl-P", ["one\r", "\x10\x10\x10"], "one|"],
  ["the latest line after Ctrl-C, too", ["one\r", "two\r", "o", UP, "\x03", UP], "two|"],
  ["Ctrl-C", ["abc", "\x03"], "|"],
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

Deno.test("InputLine takes bytes of one character in several reads", () => {
  const { input } = newInput();
  for (const byte of new TextEncoder().encode("日👍")) input.feed(Uint8Array.of(byte));
  assert.equal(input.view.line, "日👍");
});

const TOLD: [string[], string[], string][] = [
  [["hello\r"], ['line "hello"'], ""],
  [["\r", " ", "\r", "\t\r"], [], " "],
  [["  indented  \r"], ['line "  indented"'], ""],
  [[pasted("\n \n  a\n\nb\n\n"), "\r"], ['line "  a\\n\\nb"'], ""],
  [["keep\r"], ['line "keep"'], "keep"],
  [["x".repeat(MAX_BYTES), "\r"], [`line "${"x".repeat(MAX_BYTES)}"`], ""],
  [["x".repeat(MAX_BYTES + 1), "\r"], ["bell"], "x".repeat(MAX_BYTES + 1)],
  [["é".repeat(MAX_BYTES / 2) + "x", "\r"], ["bell"], "é".repeat(MAX_BYTES / 2) + "x"],
  [["\x03"], ["interrupt"], ""],
  [["x\x03", "\x03"], ["interrupt"], ""],
  [["\x04"], ["end"], ""],
  [["x\x04"], [], "x"],
  [["\x0c\x1a"], ["clear", "stop"], ""],
];

Deno.test("InputLine tells what is sent, and keeps what is not", () => {
  for (const [reads, expected, line] of TOLD) {
    const { input, told, type } = newInput();
    for (const read of reads) type(read);
    assert.deepEqual(told, expected, JSON.stringify(reads));
    assert.equal(input.view.line, line);
  }
});

Deno.test("InputLine hints at what Enter would do where that is not plain", () => {
  const { input, type } = newInput();
  type("x".repeat(MAX_BYTES));
  assert.equal(input.view.hint, "");
  type("x");
  assert.equal(input.view.hint, "101 bytes: at most 100 can be sent, Ctrl-C drops");
  type("\x15ü");
  type(pasted("\na\nb\n"));
  assert.equal(input.view.hint, "3 lines, 6 bytes — Enter sends, Ctrl-C drops");
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

Deno.test("InputLine asks, and keeps the line for afterwards", async () => {
  const { input, told, type } = newInput();
  type("half");
  const answer = input.ask("Name? ", { secret: false });
  type(pasted("bob\n"));
  assert.equal(await answer, "bob");
  assert.equal(input.view.question, undefined);
  assert.equal(input.view.line, "half");
  await new Promise((resolve) => setTimeout(resolve));
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
  Deno.test(`InputLine answers nothing at ${what}`, async () => {
    const { input, told, type } = newInput();
    const answer = input.ask("? ", { secret: true });
    type(key);
    assert.equal(await answer, undefined);
    assert.deepEqual(told, []);
  });
}

Deno.test("InputLine gives what is typed ahead to the next question, never to the line", async () => {
  const { input, told, type } = newInput();
  const first = input.ask("1? ", { secret: true });
  type("one\rtwo\rthree\r");
  assert.equal(await first, "one");
  assert.equal(await input.ask("2? ", { secret: true }), "two");
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(input.view.line, "");
  assert.deepEqual(told, []);
  type("four");
  type("\r");
  assert.deepEqual(told, ['line "four"']);
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
      // Nothing waits for the rest of an escape sequence any more.
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

const COMPLETIONS: [string, number, number, string[], string, string[]][] = [
  ["/n", 0, 2, ["/nick "], "/nick |", []],
  ["/n", 0, 2, ["/names", "/nick"], "/n|", ["/names", "/nick"]],
  ["/ni x", 0, 3, ["/nick"], "/nick| x", []],
  ["a", 0, 1, ["alice", "alina"], "ali|", []],
  ["AL", 0, 2, ["alice", "alina"], "ali|", []],
  ["AL", 0, 2, ["Alice", "albert"], "AL|", ["Alice", "albert"]],
  ["AL", 0, 2, ["al"], "al|", []],
  ["x", 0, 1, [], "x|", []],
  ["", 0, 0, ["e\u0301", "e\u0300"], "|", ["e\u0301", "e\u0300"]],
  ["", 0, 0, ["👍", "👎"], "|", ["👍", "👎"]],
];

Deno.test("applyCompletion() adds what all candidates have in common, or lists them", () => {
  for (const [line, start, end, candidates, expected, list] of COMPLETIONS) {
    const completed = applyCompletion(line, { start, end, candidates });
    const { cursor } = completed;
    const shown = `${completed.line.slice(0, cursor)}|${completed.line.slice(cursor)}`;
    assert.deepEqual([shown, completed.list], [expected, list]);
  }
});
