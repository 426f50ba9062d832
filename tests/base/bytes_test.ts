import assert from "node:assert/strict";
import {
  compareBytes,
  concat,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
  isZero,
  label,
  MAX_COUNTER,
  MAX_TIME_MS,
  readU16,
  readU32,
  readU64,
  release,
  withLength,
  writeU16,
  writeU32,
  writeU64,
} from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";

const of = (...bytes: number[]) => Uint8Array.of(...bytes);

Deno.test("concat() joins in order into new memory", () => {
  const part = of(1, 2);
  const joined = concat(part, of(), of(3));
  part[0] = 9;
  assert.deepEqual(joined, of(1, 2, 3));
  assert.deepEqual(concat(), of());
});

Deno.test("release() frees large memory, and leaves short pieces alone", () => {
  const large = new Uint8Array(16_384);
  release(large.subarray(100));
  assert.equal(large.length, 0);
  const short = new Uint8Array(8192);
  release(short);
  assert.equal(short.length, 8192);
});

Deno.test("compareBytes() orders by the first difference, then by length", () => {
  const sorted = [of(), of(0), of(0, 0), of(0, 255), of(1), of(127), of(128), of(255), of(255, 0)];
  for (const [i, a] of sorted.entries()) {
    for (const [j, b] of sorted.entries()) {
      assert.equal(Math.sign(compareBytes(a, b)), Math.sign(i - j));
      assert.equal(equalBytes(a, b), i === j);
    }
  }
});

Deno.test("isZero() looks at every byte", () => {
  assert.ok(isZero(of()));
  assert.ok(isZero(of(0, 0, 0)));
  for (let i = 0; i < 3; i++) {
    const bytes = of(0, 0, 0);
    bytes[i] = 1;
    assert.ok(!isZero(bytes));
  }
});

Deno.test("readU16(), readU32() and readU64() read what was written, big-endian, at any offset", () => {
  const bytes = new Uint8Array(12);
  for (const value of [0, 1, 0xff, 0x100, 0x1234, 0xffff]) {
    writeU16(bytes, 3, value);
    assert.equal(readU16(bytes, 3), value);
  }
  for (const value of [0, 0xffff, 0x10000, 0x12345678, 0x80000000, 0xffffffff]) {
    writeU32(bytes, 3, value);
    assert.equal(readU32(bytes, 3), value);
  }
  for (const value of [0, 0xffffffff, 2 ** 32, 2 ** 40 + 7, 2 ** 52 + 1, 2 ** 53 - 1]) {
    writeU64(bytes, 3, value);
    assert.equal(readU64(bytes, 3, MAX_TIME_MS), value);
  }
  writeU64(bytes, 0, 0x01020304050607);
  assert.equal(encodeHex(bytes.subarray(0, 8)), "0001020304050607");
});

Deno.test("readU64() rejects values at or above its limit or 2^53", () => {
  const bytes = new Uint8Array(8);
  for (const limit of [1, 1024, MAX_COUNTER, MAX_TIME_MS]) {
    writeU64(bytes, 0, limit - 1);
    assert.equal(readU64(bytes, 0, limit), limit - 1);
    if (limit < MAX_TIME_MS) {
      writeU64(bytes, 0, limit);
      assert.throws(() => readU64(bytes, 0, limit), new ProtocolError("bad-field"));
    }
  }
  for (const high of [0x00200000, 0x00200001, 0x80000000, 0xffffffff]) {
    for (const low of [0, 1, 0xffffffff]) {
      writeU32(bytes, 0, high);
      writeU32(bytes, 4, low);
      assert.throws(() => readU64(bytes, 0, MAX_TIME_MS), new ProtocolError("bad-field"));
    }
  }
});

Deno.test("withLength() prefixes a u16, up to 65535 bytes", () => {
  assert.deepEqual(withLength(of()), of(0, 0));
  assert.deepEqual(withLength(of(7, 8)), of(0, 2, 7, 8));
  const longest = withLength(new Uint8Array(0xffff));
  assert.equal(longest.length, 0x10001);
  assert.equal(readU16(longest, 0), 0xffff);
  assert.throws(() => withLength(new Uint8Array(0x10000)), RangeError);
});

Deno.test("label() is the text and one zero byte", () => {
  assert.deepEqual(label("ab"), of(0x61, 0x62, 0));
});

Deno.test("decodeUtf8() reads what encodeUtf8() writes, byte-order marks included", () => {
  for (const text of ["", "a\0b", "Zoë", "\u{feff}", "\u{feff}a", "\u{ffff}", "\u{10ffff}", "🦊"]) {
    assert.equal(decodeUtf8(encodeUtf8(text)), text);
  }
});

Deno.test("decodeUtf8() rejects everything that is not strict UTF-8", () => {
  const malformed = [
    of(0x80), // a continuation alone
    of(0xc3), // cut
    of(0xe2, 0x82), // cut
    of(0xf0, 0x9f, 0xa6), // cut
    of(0xc0, 0xaf), // overlong
    of(0xe0, 0x80, 0xaf), // overlong
    of(0xf0, 0x80, 0x80, 0xaf), // overlong
    of(0xed, 0xa0, 0x80), // a surrogate
    of(0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80), // a pair of surrogates
    of(0xf4, 0x90, 0x80, 0x80), // above U+10FFFF
    of(0xf8, 0x88, 0x80, 0x80, 0x80), // five bytes
    of(0xfe),
    of(0xff),
    of(0x61, 0xff, 0x61),
  ];
  for (const bytes of malformed) {
    assert.throws(() => decodeUtf8(bytes), new ProtocolError("bad-utf8"), encodeHex(bytes));
  }
});

Deno.test("encodeUtf8() writes a lone surrogate as U+FFFD", () => {
  assert.deepEqual(encodeUtf8("\ud800"), of(0xef, 0xbf, 0xbd));
});
