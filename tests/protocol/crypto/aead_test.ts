import assert from "node:assert/strict";
import sodium from "libsodium-wrappers";
import {
  cipherFast,
  cipherReady,
  decryptInPlace,
  encryptInPlace,
  KEY_BYTES,
  TAG_BYTES,
} from "../../../lib/protocol/crypto/aead.ts";
import { concat, decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import vectors from "../../vectors/wycheproof_chacha20_poly1305.json" with { type: "json" };

const KEY = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i);
const NONCE = new Uint8Array(12).fill(9);
const KEY_NONCE = concat(KEY, NONCE);
const NOTHING = new Uint8Array(0);
/** Around the length from which the runtime's cipher is used, and that of a whole record; one beyond all room, one of a file. */
const LARGE = 262_144;
const LENGTHS = [0, 1, 63, 64, 65, 2047, 2048, 2049, 4096, 16_384, 17_408, 40_000, LARGE];

function makeText(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i * 7);
}

function encrypt(text: Uint8Array, ad = NOTHING): Uint8Array {
  const buffer = concat(text, new Uint8Array(TAG_BYTES));
  encryptInPlace(buffer, { keyNonce: KEY_NONCE, ad });
  return buffer;
}

function decrypt(ct: Uint8Array, ad = NOTHING): Uint8Array | undefined {
  const buffer = new Uint8Array(ct);
  if (!decryptInPlace(buffer, { keyNonce: KEY_NONCE, ad })) return undefined;
  return buffer.subarray(0, ct.length - TAG_BYTES);
}

const CHECKS: Readonly<Record<string, () => void>> = {
  "encryptInPlace() and decryptInPlace() agree with Wycheproof's ChaCha20-Poly1305"() {
    let count = 0;
    for (const group of vectors.groups) {
      if (group.ivSize !== 96) continue; // the type of a nonce has no other length
      for (const test of group.tests) {
        const input = { keyNonce: decodeHex(test.key + test.iv), ad: decodeHex(test.aad) };
        const ct = decodeHex(test.ct + test.tag);
        const buffer = new Uint8Array(ct);
        assert.equal(decryptInPlace(buffer, input), test.result === "valid", `${test.tcId}`);
        if (test.result === "valid") {
          assert.equal(
            encodeHex(buffer.subarray(0, buffer.length - TAG_BYTES)),
            test.msg,
            `${test.tcId}`,
          );
          encryptInPlace(buffer, input);
          assert.deepEqual(buffer, ct, `${test.tcId}`);
        }
        count++;
      }
    }
    assert.equal(count, 316);
  },

  "encryptInPlace() agrees with libsodium's own function at every length, with associated data"() {
    for (const length of LENGTHS) {
      for (const ad of [NOTHING, makeText(32)]) {
        const expected = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
          makeText(length),
          ad,
          null,
          NONCE,
          KEY,
        );
        assert.deepEqual(encrypt(makeText(length), ad), expected, `${length} bytes`);
        assert.deepEqual(decrypt(expected, ad), makeText(length), `${length} bytes`);
      }
    }
  },

  "decryptInPlace() rejects any flipped bit of text, tag and associated data, at every length"() {
    for (const length of LENGTHS) {
      const ad = makeText(32);
      const ct = encrypt(makeText(length), ad);
      for (const at of new Set([0, length >> 1, Math.max(length - 1, 0), length, length + 15])) {
        const bad = new Uint8Array(ct);
        bad[at]! ^= 1;
        assert.equal(decrypt(bad, ad), undefined, `byte ${at} of ${length}`);
      }
      assert.equal(decrypt(ct, makeText(31)), undefined);
      assert.equal(decrypt(ct), undefined);
      assert.deepEqual(decrypt(ct, ad), makeText(length));
    }
  },

  "encryptInPlace() stays within its buffer"() {
    for (const length of LENGTHS) {
      const around = new Uint8Array(8 + length + TAG_BYTES + 8).fill(0xee);
      const buffer = around.subarray(8, -8);
      encryptInPlace(buffer, { keyNonce: KEY_NONCE, ad: NOTHING });
      assert.ok(decryptInPlace(buffer, { keyNonce: KEY_NONCE, ad: NOTHING }));
      for (const edge of [around.subarray(0, 8), around.subarray(-8)]) {
        assert.ok(edge.every((byte) => byte === 0xee), `${length} bytes`);
      }
      assert.ok(buffer.subarray(0, length).every((byte) => byte === 0xee), `${length} bytes`);
    }
  },

  "encryptInPlace() and decryptInPlace() leave no garbage of large texts"() {
    const buffer = new Uint8Array(LARGE + TAG_BYTES);
    const input = { keyNonce: KEY_NONCE, ad: NOTHING };
    const rounds = 64;
    encryptInPlace(buffer, input); // libsodium's heap may have to grow
    assert.ok(decryptInPlace(buffer, input));
    const before = Deno.memoryUsage().external;
    for (let round = 0; round < rounds; round++) {
      encryptInPlace(buffer, input);
      assert.ok(decryptInPlace(buffer, input));
    }
    const grown = Deno.memoryUsage().external - before;
    assert.ok(grown < rounds * LARGE / 8, `${grown} bytes`);
  },
};

/** What a check throws. */
function attempt(check: () => void): unknown {
  try {
    return void check();
  } catch (error) {
    return error;
  }
}

// Where the runtime has the cipher, libsodium comes some turns later: until then everything goes the other way.
await sodium.ready;
await cipherReady();
const early = Object.entries(CHECKS).map(([name, check]) => ({ name, error: attempt(check) }));
await cipherFast();

for (const { name, error } of early) {
  Deno.test(`${name}, at once`, () => assert.ifError(error));
}
for (const [name, check] of Object.entries(CHECKS)) Deno.test(name, check);
