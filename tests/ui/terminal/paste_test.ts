import assert from "node:assert/strict";
import { type Input, InputFilter, PASTE_TIMEOUT_MS } from "../../../lib/ui/terminal/paste.ts";

const START = "\x1b[200~";
const END = "\x1b[201~";

/** Feeds reads that come `gap` milliseconds after each other, and joins pieces of one kind. */
function feed(reads: readonly string[], gap = 100): Input[] {
  const filter = new InputFilter();
  const inputs = reads.flatMap((read, i) => filter.feed(read, i * gap));
  return join([...inputs, ...filter.flush()]);
}

function join(inputs: readonly Input[]): Input[] {
  const joined: Input[] = [];
  for (const { type, text } of inputs) {
    const last = joined.at(-1);
    if (last?.type === type) last.text += text;
    else joined.push({ type, text });
  }
  return joined;
}

const keys = (text: string): Input => ({ type: "keys", text });
const paste = (text: string): Input => ({ type: "paste", text });

const CASES: [string, string[], Input[]][] = [
  ["keys as they are", ["ab\x1b[A\x03"], [keys("ab\x1b[A\x03")]],
  ["a line and Enter as keys", ["hello\r"], [keys("hello\r")]],
  ["Enter and a key behind it as keys", ["hello\r\x1b[A"], [keys("hello\r\x1b[A")]],
  ["Enter on blanks and a line as keys", ["\r  \rx"], [keys("\r  \rx")]],
  ["two lines in one read as a paste", ["one\rtwo"], [paste("one\ntwo")]],
  ["two lines with Enter as a paste", ["one\r\ntwo\r"], [paste("one\ntwo\n")]],
  ["a marked paste among keys", [`a${START}b${END}c`], [keys("a"), paste("b"), keys("c")]],
  ["a marked paste over reads", [`${START}one`, `\rtwo${END}`], [paste("one\ntwo")]],
  ["line breaks of all kinds", [`${START}a\rb\r\nc\nd${END}`], [paste("a\nb\nc\nd")]],
  ["a paste without control characters", [`${START}\x1b[2J\x00\x9b\x7fa\tb${END}`], [
    paste("[2Ja\tb"),
  ]],
  ["an end marker in a paste", [`${START}a${END}b\r${END}`], [paste("ab\n")]],
  ["an end marker in a paste over reads", [`${START}a${END}`, `b\r${END}x`], [
    paste("ab\n"),
    keys("x"),
  ]],
  ["a start marker in a paste", [`${START}a${START}b${END}`], [paste("ab")]],
  ["a paste without an end", [`${START}a\rb`], [paste("a\nb")]],
  ["an empty paste", [`${START}${END}x`], [keys("x")]],
];

for (const [what, reads, expected] of CASES) {
  Deno.test(`InputFilter gives ${what}`, () => assert.deepEqual(feed(reads), expected));
}

Deno.test("InputFilter gives the same however a marked paste is cut into two reads", () => {
  const text = `ab${START}one\rtwo\x1b[A${END}cd`;
  for (let cut = 1; cut < text.length; cut++) {
    const expected = [keys("ab"), paste("one\ntwo[A"), keys("cd")];
    assert.deepEqual(feed([text.slice(0, cut), text.slice(cut)]), expected, `cut at ${cut}`);
  }
  assert.deepEqual(feed([...text]), feed([text]), "one character at a time");
});

Deno.test("InputFilter takes what follows an unmarked paste at once for a part of it", () => {
  assert.deepEqual(feed(["one\rtwo\rth", "ree\r"], 1), [paste("one\ntwo\nthree\n")]);
  assert.deepEqual(feed(["one\rtwo\r", "three\r"], 50), [paste("one\ntwo\n"), keys("three\r")]);
  assert.deepEqual(feed(["one\rtwo", "\r"], 1), [paste("one\ntwo"), keys("\r")]);
  assert.deepEqual(feed(["one\rtwo", "\x03", "x\r"], 1), [paste("one\ntwo"), keys("\x03x\r")]);
});

Deno.test("InputFilter ends a paste that does not go on in time", () => {
  const filter = new InputFilter();
  assert.deepEqual(filter.feed(`${START}a`, 0), []);
  assert.equal(filter.pasting, true);
  assert.deepEqual(filter.feed("b", PASTE_TIMEOUT_MS - 1), []);
  assert.deepEqual(filter.feed("c", 2 * PASTE_TIMEOUT_MS - 1), [paste("ab"), keys("c")]);
  assert.equal(filter.pasting, false);
});

Deno.test("InputFilter forgets Escape pressed alone", () => {
  assert.deepEqual(feed(["\x1b", "x"], PASTE_TIMEOUT_MS), [keys("x")]);
  assert.deepEqual(feed(["\x1b", "[A"], 1), [keys("\x1b[A")]);
});
