import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { MAX_MESSAGE_BYTES, pad, paddedLength, unpad } from "../../lib/protocol/padding.ts";
import kat from "../vectors/kat.json" with { type: "json" };

Deno.test("paddedLength() gives the known lengths", () => {
  let count = 0;
  for (const [length, padded] of kat.padding.sizes as [number, number][]) {
    assert.equal(paddedLength(length), padded, `${length}`);
    assert.equal(pad(new Uint8Array(length).fill(1)).length, padded);
    count++;
  }
  assert.equal(count, 67);
});

Deno.test("pad() and unpad() give the known plaintexts and messages", () => {
  let count = 0;
  for (const { message, plaintext } of kat.padding.cases) {
    assert.equal(encodeHex(pad(decodeHex(message))), plaintext);
    assert.equal(encodeHex(unpad(decodeHex(plaintext))), message);
    count++;
  }
  assert.equal(count, 6);
});

Deno.test("unpad() refuses the known bad plaintexts", () => {
  let count = 0;
  for (const { reason, hex } of kat.padding.rejected) {
    assert.throws(() => unpad(decodeHex(hex)), new ProtocolError("bad-padding"), reason);
    count++;
  }
  assert.equal(count, 8);
});

Deno.test("unpad() undoes pad() for every length and nothing else, and padding adds at most an eighth", () => {
  for (let length = 1; length <= MAX_MESSAGE_BYTES; length++) {
    const padded = paddedLength(length);
    assert.ok(padded > length && padded - length <= Math.max(2, Math.ceil((length + 1) / 8)));
    assert.ok(padded >= paddedLength(length - 1));
  }
  for (const length of [1, 2, 31, 32, 100, 8192, MAX_MESSAGE_BYTES]) {
    const message = new Uint8Array(length).fill(0x80);
    assert.deepEqual(unpad(pad(message)), message);
    const zeros = new Uint8Array(length);
    assert.deepEqual(unpad(pad(zeros)), zeros);
  }
});

Deno.test("pad() throws for what fits in no payload", () => {
  for (const length of [0, MAX_MESSAGE_BYTES + 1]) {
    assert.throws(() => pad(new Uint8Array(length)), RangeError);
  }
});
