import assert from "node:assert/strict";
import type { TerminalInput } from "../../../lib/ui/terminal/keys.ts";
import { InputReader } from "../../../lib/ui/terminal/paste.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const START = "\x1b[200~";
const END = "\x1b[201~";

function newReader() {
  const clock = new FakeClock();
  const given: TerminalInput[] = [];
  const reader = new InputReader(clock, (inputs) => given.push(...inputs));
  return {
    clock,
    given,
    feed: (text: string) => reader.feed(new TextEncoder().encode(text)),
    close: () => reader.close(),
  };
}

/** Feeds reads `gap` milliseconds apart: text as it is, keys as `<enter>`, pastes as `{…}`. */
async function read(reads: readonly string[], gap = 30): Promise<string> {
  const { clock, given, feed } = newReader();
  for (const read of reads) {
    feed(read);
    await clock.advance(gap);
  }
  await clock.advance(2000);
  assert.equal(clock.timers, 0);
  return show(given);
}

function show(inputs: readonly TerminalInput[]): string {
  return inputs.map((input) => {
    if (input.type === "key") return `<${input.name}>`;
    if (input.type === "paste") return `{${input.text}}`;
    return input.type === "text" ? input.text : input.type;
  }).join("");
}

const CASES: [string, string[], string][] = [
  ["keys", ["ab\x1b[A\x03"], "ab<up><C-c>"],
  ["a line and Enter as keys", ["hello\r"], "hello<enter>"],
  ["Enter and a key behind it as keys", ["hello\r\x1b[A"], "hello<enter><up>"],
  ["Enter on blanks and a line as keys", ["\r  \rx"], "<enter>  <enter>x"],
  ["two lines in one read as a paste", ["one\rtwo"], "{one\ntwo}"],
  ["two lines with Enter as a paste", ["one\r\ntwo\r"], "{one\ntwo\n}"],
  ["a marked paste among keys", [`a${START}b${END}c`], "a{b}c"],
  ["a marked paste over reads", [`${START}one`, `\rtwo${END}`], "{one\ntwo}"],
  ["line breaks of all kinds", [`${START}a\rb\r\nc\nd${END}`], "{a\nb\nc\nd}"],
  ["a paste without control characters", [`${START}\x1b[2J\x00\x9b\x7fa\tb${END}`], "{[2Ja\tb}"],
  ["an end marker in a paste", [`${START}a${END}b\r${END}`], "{ab\n}"],
  ["an end marker in a paste over reads", [`${START}a${END}`, `b\r${END}x`], "{a}{b\n}x"],
  ["a start marker in a paste", [`${START}a${START}b${END}`], "{ab}"],
  ["a paste without an end", [`${START}a\rb`], "{a\nb}"],
  ["an empty paste", [`${START}${END}x`], "x"],
  ["a key in several reads", ["\x1b", "[", "A"], "<up>"],
];

for (const [what, reads, expected] of CASES) {
  Deno.test(`InputReader gives ${what}`, async () => assert.equal(await read(reads), expected));
}

Deno.test("InputReader gives the same wherever a marked paste is split", async () => {
  const text = `ab${START}one\rtwo\x1b[A${END}cd`;
  for (let cut = 1; cut < text.length; cut++) {
    const got = await read([text.slice(0, cut), text.slice(cut)]);
    assert.equal(got, "ab{one\ntwo[A}cd", `split at ${cut}`);
  }
  assert.equal(await read([...text]), "ab{one\ntwo[A}cd", "one character at a time");
});

Deno.test("InputReader takes one character in several reads", () => {
  const given: TerminalInput[] = [];
  const reader = new InputReader(new FakeClock(), (inputs) => given.push(...inputs));
  for (const byte of new TextEncoder().encode("日👍")) reader.feed(Uint8Array.of(byte));
  assert.deepEqual(given, [{ type: "text", text: "日" }, { type: "text", text: "👍" }]);
});

Deno.test("InputReader joins a read to the unmarked paste just before it", async () => {
  assert.equal(await read(["one\rtwo\rth", "ree\r"], 1), "{one\ntwo\nth}{ree\n}");
  assert.equal(await read(["one\rtwo\r", "three\r"], 50), "{one\ntwo\n}three<enter>");
  assert.equal(await read(["one\rtwo", "\r"], 1), "{one\ntwo}<enter>");
  assert.equal(await read(["one\rtwo", "\x03", "x\r"], 1), "{one\ntwo}<C-c>x<enter>");
});

Deno.test("InputReader ends an unfinished paste after a second without input", async () => {
  const { clock, given, feed } = newReader();
  feed(`${START}a`);
  await clock.advance(999);
  feed("b");
  await clock.advance(999);
  assert.equal(show(given), "");
  await clock.advance(1);
  feed("c");
  assert.equal(show(given), "{ab}c");
});

Deno.test("InputReader takes a lone Escape for the key after 40 ms", async () => {
  const { clock, given, feed } = newReader();
  feed("\x1b");
  await clock.advance(39);
  assert.equal(show(given), "");
  await clock.advance(1);
  feed("[A");
  assert.equal(show(given), "<escape>[A");
});

Deno.test("InputReader does not take half a sequence for a key because the program was busy", async () => {
  const { clock, given, feed } = newReader();
  feed("\x1b");
  await clock.sleep(60);
  feed("[A");
  assert.equal(show(given), "<up>");
});

Deno.test("InputReader keeps only so much of a paste that never ends", async () => {
  const { clock, given, feed } = newReader();
  feed(START);
  for (let i = 0; i < 40; i++) feed("x".repeat(65536));
  await clock.advance(1000);
  const [paste] = given;
  assert.equal(paste?.type === "paste" && paste.text.length, 1 << 20);
});

Deno.test("InputReader gives nothing more once it is closed", async () => {
  const { clock, given, feed, close } = newReader();
  feed("\x1b");
  close();
  await clock.advance(1000);
  assert.deepEqual(given, []);
});
