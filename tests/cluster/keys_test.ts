import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { ClusterKeys, isForeign, readU48, writeU48 } from "../../lib/cluster/keys.ts";
import { cipherReady } from "../../lib/protocol/records.ts";

/** Computed with Python's hmac and cryptography. */
const SECRET = Uint8Array.from({ length: 256 }, (_, i) => i);
const TAG = "07".repeat(32);
const R = "00112233445566778899aabbccddeeff";
const OTHER = "ff".repeat(16);
const ROSTER = "r.5134ceadc587d11b9c339e5bde526a49";
const VALUE =
  "00112233445566778899aabbccddeeff000000000102f9c52e9c949e2afab55891d6520c91f0ba0fe56d";

Deno.test("names and keys of a cluster have known values", () => {
  const keys = new ClusterKeys(SECRET);
  equal(keys.name, "9491525b8832e9ec");
  equal(keys.rosterKey(TAG), ROSTER);
  equal(
    encodeHex(keys.linkKey(R, OTHER, 3)),
    "33832f6821116050423787bf71295fb44a576e6a129495707566dd2d7e13e4c2",
  );
  const other = new ClusterKeys(SECRET.slice().fill(1));
  notEqual(other.name, keys.name);
  notEqual(other.rosterKey(TAG), ROSTER);
});

Deno.test("a sealed value has known bytes, and opens under its key alone", async () => {
  await cipherReady();
  const keys = new ClusterKeys(SECRET);
  const plain = decodeHex("01000000");
  equal(encodeHex(keys.seal(plain, { writer: R, n: 258, key: ROSTER })), VALUE);
  deepEqual(keys.open(ROSTER, decodeHex(VALUE)), { writer: R, n: 258, plain });
  throws(() => keys.open(`${ROSTER}0`, decodeHex(VALUE)), isForeign);
  throws(() => new ClusterKeys(SECRET.slice(1)).open(ROSTER, decodeHex(VALUE)), isForeign);
  throws(() => keys.open(ROSTER, decodeHex(VALUE).subarray(0, 37)), isForeign);
  for (let i = 0; i < 200; i++) { // whoever carries it may put any R before it
    const value = decodeHex(VALUE);
    value[i % 16]! ^= 1 + (i >> 4);
    throws(() => keys.open(ROSTER, value), isForeign);
  }
  deepEqual(keys.open(ROSTER, decodeHex(VALUE)).plain, plain);
});

Deno.test("a u48 is six bytes, big-endian", () => {
  const bytes = new Uint8Array(8).fill(0xaa);
  writeU48(bytes, 1, 0x010203040506);
  equal(encodeHex(bytes), "aa010203040506aa");
  equal(readU48(bytes, 1), 0x010203040506);
  writeU48(bytes, 1, 2 ** 48 - 1);
  equal(readU48(bytes, 1), 2 ** 48 - 1);
});
