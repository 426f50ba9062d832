import assert from "node:assert/strict";
import { concat, encodeUtf8 } from "../../lib/base/bytes.ts";
import {
  LineMerger,
  LineSplitter,
  MAX_AHEAD_BYTES,
  MAX_LINE_BYTES,
  MERGE_MS,
  ReadAhead,
} from "../../lib/ui/standard_input.ts";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** The texts or errors of all lines of an input that arrives in chunks of `size` bytes. */
function split(bytes: Uint8Array, size = bytes.length || 1, options = {}): string[] {
  const splitter = new LineSplitter(options);
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += size) {
    lines.push(...splitter.push(bytes.subarray(offset, offset + size)));
  }
  lines.push(...splitter.end());
  return lines.map((line) => "text" in line ? line.text : `error: ${line.error}`);
}

Deno.test("LineSplitter cuts at line breaks, however the bytes arrive", () => {
  const bytes = encodeUtf8("one\n\nthrée\r\nfour\rfour\n🦊\n");
  for (let size = 1; size <= bytes.length; size++) {
    assert.deepEqual(split(bytes, size), ["one", "", "thrée", "four\rfour", "🦊"]);
  }
});

Deno.test("LineSplitter gives a last line without a line break, and nothing for an empty input", () => {
  assert.deepEqual(split(encodeUtf8("a\nb")), ["a", "b"]);
  assert.deepEqual(split(encodeUtf8("a\n")), ["a"]);
  assert.deepEqual(split(encodeUtf8("")), []);
  assert.deepEqual(split(encodeUtf8("\n")), [""]);
  assert.deepEqual(split(encodeUtf8("\r")), [""]);
  assert.deepEqual(split(encodeUtf8("a\n\r")), ["a", ""]);
});

Deno.test("LineSplitter names a line that is not UTF-8, and goes on with the next", () => {
  const bytes = concat(encodeUtf8("a\n"), Uint8Array.of(0x61, 0xff, 0x0a), encodeUtf8("b\n"));
  assert.deepEqual(split(bytes), ["a", "error: line 2 of standard input is not UTF-8", "b"]);
  assert.deepEqual(split(bytes, 1), split(bytes));
  const cut = concat(encodeUtf8("a\n"), Uint8Array.of(0xc3));
  assert.deepEqual(split(cut), ["a", "error: line 2 of standard input is not UTF-8"]);
});

Deno.test("LineSplitter drops one byte order mark at the very beginning, and no other", () => {
  const table: [input: string, lines: string[]][] = [
    ["\ufeffa\n", ["a"]],
    ["\ufeffa", ["a"]],
    ["\ufeff\ufeffa\n", ["\ufeffa"]],
    ["a\n\ufeffb\n", ["a", "\ufeffb"]],
    ["\n\ufeffb\n", ["", "\ufeffb"]],
    [" \ufeffa\n", [" \ufeffa"]],
    ["\ufeff\nb", ["", "b"]],
    ["\ufeff", []],
  ];
  for (const [input, lines] of table) {
    for (const size of [1, 2, 3, 64]) {
      assert.deepEqual(split(encodeUtf8(input), size), lines, JSON.stringify(input));
    }
  }
  const half = "error: line 1 of standard input is not UTF-8";
  assert.deepEqual(split(Uint8Array.of(0xef, 0xbb)), [half]);
});

Deno.test("LineSplitter gives a long line in parts of whole characters, if asked to", () => {
  for (const unit of ["x", "é", "€", "🦊", "x🦊"]) {
    const text = unit.repeat(Math.ceil(2.5 * MAX_LINE_BYTES / encodeUtf8(unit).length));
    for (const size of [4093, MAX_LINE_BYTES, MAX_LINE_BYTES * 4]) {
      const lines = split(encodeUtf8(`a\n${text}\nb`), size, { cuts: true });
      assert.equal(lines.length, 5);
      assert.deepEqual([lines[0], lines.slice(1, 4).join(""), lines[4]], ["a", text, "b"]);
    }
  }
  const bad = concat(Uint8Array.of(0xff), new Uint8Array(3 * MAX_LINE_BYTES), encodeUtf8("\nb"));
  assert.deepEqual(split(bad, 4096, { cuts: true }), [
    "error: line 1 of standard input is not UTF-8",
    "b",
  ]);
});

Deno.test("LineSplitter takes lines of up to 131072 bytes, and refuses longer ones", () => {
  for (const length of [MAX_LINE_BYTES - 1, MAX_LINE_BYTES]) {
    const text = "x".repeat(length);
    assert.deepEqual(split(encodeUtf8(`${text}\nb\n`), 4096), [text, "b"]);
  }
  for (const length of [MAX_LINE_BYTES + 1, MAX_LINE_BYTES * 3]) {
    const error = `error: line 1 of standard input is too long: ${length} bytes`;
    assert.deepEqual(split(encodeUtf8(`${"x".repeat(length)}\nb\n`), 4096), [error, "b"]);
    assert.deepEqual(split(encodeUtf8("x".repeat(length)), 4096), [error]);
  }
});

Deno.test("LineSplitter copies the bytes it is given", () => {
  const splitter = new LineSplitter();
  const chunk = encodeUtf8("abc");
  splitter.push(chunk);
  chunk.fill(0);
  assert.deepEqual(splitter.push(encodeUtf8("\n")), [{ text: "abc" }]);
});

/** A merger, and the messages it sent. */
function makeMerger(): { clock: FakeClock; merger: LineMerger; sent: string[] } {
  const clock = new FakeClock();
  const sent: string[] = [];
  return { clock, merger: new LineMerger(clock, (text) => sent.push(text)), sent };
}

Deno.test("LineMerger joins lines that arrive within 100 ms of each other", async () => {
  const { clock, merger, sent } = makeMerger();
  for (const line of ["a", "b", "c"]) {
    merger.add(line);
    await clock.advance(MERGE_MS - 1);
  }
  assert.deepEqual(sent, []);
  await clock.advance(1);
  assert.deepEqual(sent, ["a\nb\nc"]);
  merger.add("d");
  await clock.advance(MERGE_MS);
  merger.add("e");
  await clock.advance(MERGE_MS);
  assert.deepEqual(sent, ["a\nb\nc", "d", "e"]);
  assert.equal(clock.timers, 0);
});

Deno.test("LineMerger keeps blank lines inside a message and none at its ends", async () => {
  const { clock, merger, sent } = makeMerger();
  for (const line of ["", " ", "a", "", "  ", "b", "", "\t"]) merger.add(line);
  await clock.advance(MERGE_MS);
  assert.deepEqual(sent, ["a\n\n  \nb"]);
  for (const line of ["", "   "]) merger.add(line);
  await clock.advance(MERGE_MS);
  assert.equal(sent.length, 1);
  assert.equal(clock.timers, 0);
});

Deno.test("LineMerger cuts a line of more than 8192 bytes between characters", async () => {
  for (const unit of ["x", "é", "e\u0301", "🦊", "👩‍💻", "🇩🇪"]) {
    const { clock, merger, sent } = makeMerger();
    const text = unit.repeat(30_000 / encodeUtf8(unit).length);
    merger.add("before");
    merger.add(text.slice(0, 10_000), { isCut: true });
    merger.add(text.slice(10_000));
    merger.add("after");
    await clock.advance(MERGE_MS);
    const [before, ...parts] = sent;
    assert.equal(before, "before");
    assert.equal(parts.join(""), `${text}\nafter`);
    for (const part of parts) assert.ok(encodeUtf8(part).length <= MAX_TEXT_BYTES);
    for (const part of parts.slice(0, -1)) {
      assert.ok(encodeUtf8(part).length > MAX_TEXT_BYTES - encodeUtf8(unit).length);
      assert.equal(part.replaceAll(unit, ""), "");
    }
  }
  const { clock, merger, sent } = makeMerger();
  merger.add("a" + "\u0301".repeat(5000)); // a single cluster
  merger.add(" ".repeat(9000) + "b");
  await clock.advance(MERGE_MS);
  for (const text of sent) assert.ok(encodeUtf8(text).length <= MAX_TEXT_BYTES);
  assert.equal(sent.join("").replace(/[\n ]/g, ""), "a" + "\u0301".repeat(5000) + "b");
});

Deno.test("LineMerger begins a new message before one exceeds 8192 bytes", async () => {
  const { clock, merger, sent } = makeMerger();
  const half = "é".repeat(MAX_TEXT_BYTES / 4); // 4096 bytes
  merger.add(half);
  merger.add(half.slice(1) + "a"); // 1 + 4095: 8192 with the line break
  assert.deepEqual(sent, []);
  merger.add("");
  assert.deepEqual(sent, [`${half}\n${half.slice(1)}a`]);
  merger.add(half);
  merger.add(half);
  assert.deepEqual(sent.slice(1), [half]);
  await clock.advance(MERGE_MS);
  assert.deepEqual(sent.slice(1), [half, half]);
});

Deno.test("LineMerger.flush() sends the pending lines once, and nothing if there are none", async () => {
  const { clock, merger, sent } = makeMerger();
  merger.flush();
  merger.add("a");
  merger.flush();
  merger.flush();
  await clock.advance(1000);
  assert.deepEqual(sent, ["a"]);
});

/** An input in chunks, and how many of them have been read. */
function inputOf(chunks: readonly Uint8Array[]) {
  const input = {
    taken: 0,
    read(into: Uint8Array): Promise<number | null> {
      const chunk = chunks[input.taken];
      if (chunk === undefined) return Promise.resolve(null);
      input.taken++;
      into.set(chunk);
      return Promise.resolve(chunk.length);
    },
  };
  return input;
}

/** Reads everything, in pieces of at most `size` bytes. */
async function readAll(input: ReadAhead, size: number): Promise<string> {
  const buffer = new Uint8Array(size);
  let text = "";
  for (let length; (length = await input.read(buffer)) !== null;) {
    text += new TextDecoder().decode(buffer.subarray(0, length));
  }
  return text;
}

Deno.test("ReadAhead sees the end, and gives everything in order", async () => {
  for (const size of [1, 3, 100]) {
    const input = new ReadAhead(inputOf([encodeUtf8("one "), encodeUtf8("two")]).read);
    assert.equal(input.ended, false);
    await input.fill(() => false);
    assert.equal(input.ended, true);
    assert.equal(input.blank, false);
    assert.equal(await readAll(input, size), "one two");
  }
  const blank = new ReadAhead(inputOf([encodeUtf8(" \n"), encodeUtf8("\t\r\n")]).read);
  await blank.fill(() => false);
  assert.deepEqual([blank.ended, blank.blank], [true, true]);
});

Deno.test("ReadAhead reads ahead until it is enough, or its limit is reached", async () => {
  const source = inputOf(Array.from({ length: 100 }, () => new Uint8Array(65536).fill(0x61)));
  const input = new ReadAhead(source.read);
  await input.fill(() => source.taken === 3);
  assert.equal(source.taken, 3);
  await input.fill(() => false);
  assert.equal(source.taken, 3 + MAX_AHEAD_BYTES / 65536);
  assert.equal(input.ended, false);
  assert.equal((await readAll(input, 65536)).length, 100 * 65536);
});

Deno.test("ReadAhead gives the result of a pending read before later input", async () => {
  const chunks = ["one ", "two ", "three"].map((text) => encodeUtf8(text));
  const source = inputOf(chunks);
  const gate = Promise.withResolvers<void>();
  const input = new ReadAhead(async (into) => {
    if (source.taken === 0) await gate.promise;
    return await source.read(into);
  });
  const filled = input.fill(() => source.taken > 0);
  const all = readAll(input, 100);
  gate.resolve();
  await filled;
  assert.equal(await all, "one two three");
});

Deno.test("ReadAhead stops reading ahead once it is read from", async () => {
  const pending: ((text: string) => void)[] = [];
  const input = new ReadAhead((into) =>
    new Promise((resolve) => {
      pending.push((text) => {
        into.set(encodeUtf8(text));
        resolve(text.length);
      });
    })
  );
  void input.fill(() => false); // the connection has been lost again
  const buffer = new Uint8Array(10);
  const reading = input.read(buffer);
  pending.shift()!("one");
  assert.equal(await reading, 3);
  assert.equal(pending.length, 0);
});
