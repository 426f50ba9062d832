import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import {
  historyRoomName,
  MAX_BLOCK_BYTES,
  openBlocks,
  SegmentSealer,
  unwrapHistoryKey,
  wrapHistoryKey,
} from "../../lib/protocol/history_seal.ts";
import { cipherReady } from "../../lib/protocol/records.ts";

await cipherReady();

const KEY = new Uint8Array(32).fill(1);
const EXPONENT = new Uint8Array(384).fill(2);
const SALT = new Uint8Array(16).fill(3);
const BLOCKS = ["one", "two", "three"].map((text) => new TextEncoder().encode(text));

/** A log of one segment, and where its blocks begin. */
function makeLog(salt = SALT, texts = BLOCKS) {
  const sealer = new SegmentSealer(KEY, salt);
  const blocks = texts.map((text) => sealer.seal(text));
  const starts = blocks.map((_, i) =>
    blocks.slice(0, i).reduce((sum, { length }) => sum + length, sealer.head.length)
  );
  return { log: concat(sealer.head, ...blocks), starts };
}

function textsOf(log: Uint8Array, key = KEY): string[] {
  return [...openBlocks(key, log)].map((block) => new TextDecoder().decode(block));
}

Deno.test("unwrapHistoryKey() opens only what wrapHistoryKey() made for this exponent", () => {
  const file = wrapHistoryKey(KEY, { exponent: EXPONENT, salt: SALT });
  assert.equal(file.length, 72);
  assert.equal(new TextDecoder().decode(file.subarray(0, 8)), "HEARTH/K");
  assert.deepEqual(unwrapHistoryKey(file, EXPONENT), KEY);
  assert.throws(() => unwrapHistoryKey(file, new Uint8Array(384)), DecryptError);
  assert.throws(() => unwrapHistoryKey(file.subarray(1), EXPONENT), ProtocolError);
  for (let i = 0; i < file.length; i++) {
    const bad = file.slice();
    bad[i]! ^= 1;
    assert.throws(() => unwrapHistoryKey(bad, EXPONENT), i < 8 ? ProtocolError : DecryptError);
  }
});

Deno.test("historyRoomName() depends on key, home and room", () => {
  const [home, room] = [new Uint8Array(32).fill(4), new Uint8Array(32).fill(5)];
  const name = historyRoomName(KEY, home, room);
  assert.match(name, /^[0-9a-f]{32}$/);
  const others = [
    historyRoomName(SALT, home, room),
    historyRoomName(KEY, room, room),
    historyRoomName(KEY, home, home),
  ];
  assert.equal(new Set([name, ...others]).size, 4);
});

Deno.test("openBlocks() opens several segments, and gives nothing under another key", () => {
  const second = makeLog(new Uint8Array(16).fill(9), [BLOCKS[0]!]).log;
  const log = concat(makeLog().log, second.subarray(8));
  assert.deepEqual(textsOf(log), ["one", "two", "three", "one"]);
  assert.deepEqual(textsOf(log, new Uint8Array(32)), []);
  assert.deepEqual(textsOf(new Uint8Array()), []);
  assert.deepEqual(textsOf(concat(Uint8Array.of(0), log)), []);
});

Deno.test("openBlocks() leaves out what is torn, and the rest of a segment that was damaged", () => {
  const { log, starts } = makeLog();
  const second = makeLog(new Uint8Array(16).fill(9), [BLOCKS[2]!]).log.subarray(8);
  for (let length = 0; length < log.length; length++) {
    const whole = starts.filter((_, i) => (starts[i + 1] ?? log.length) <= length).length;
    assert.equal(textsOf(log.subarray(0, length)).length, whole, `${length}`);
  }
  const damaged = log.slice();
  damaged[starts[1]! + 5]! ^= 1;
  assert.deepEqual(textsOf(concat(damaged, second)), ["one", "three"]);
  for (const bytes of [[0, 0, 0, 16], [0, 1, 0, 17], [255, 255, 255, 255]]) {
    assert.deepEqual(textsOf(concat(log, Uint8Array.from(bytes), second)), ["one", "two", "three"]);
  }
});

Deno.test("openBlocks() takes blocks of 1 to 65536 bytes", () => {
  const sizes = [1, MAX_BLOCK_BYTES];
  const { log } = makeLog(SALT, sizes.map((size) => new Uint8Array(size)));
  assert.deepEqual([...openBlocks(KEY, log)].map(({ length }) => length), sizes);
});
