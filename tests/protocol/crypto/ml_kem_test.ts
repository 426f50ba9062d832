import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import {
  checkKemKey,
  encapsulate,
  KEM_KEY_BYTES,
  makeKemKeyPair,
} from "../../../lib/protocol/crypto/ml_kem.ts";
import { recordedRandom } from "../../support/doubles.ts";
import encapsVectors from "../../vectors/wycheproof_mlkem_768_encaps.json" with { type: "json" };
import vectors from "../../vectors/wycheproof_mlkem_768.json" with { type: "json" };
import kat from "../../vectors/kat.json" with { type: "json" };

/** Who computes here: older runtimes have no ML-KEM. */
const ALL = "encapsulateBits" in crypto.subtle ? ["runtime", "noble"] as const : ["noble"] as const;

for (const by of ALL) {
  Deno.test(`makeKemKeyPair() and decapsulate() give the known answers, by ${by}`, async () => {
    let count = 0;
    for (const known of kat.kem.cases) {
      const pair = await makeKemKeyPair({ random: recordedRandom(known.dk_seed), by });
      assert.equal(encodeHex(pair.publicKey), known.ek);
      const open = async (kct: string) => encodeHex(await pair.decapsulate(decodeHex(kct)));
      assert.equal(await open(known.kct), known.kss);
      assert.equal(await open(known.forged_kct), known.forged_kss);
      count += 3;
    }
    assert.equal(count, 6);
  });

  Deno.test(`makeKemKeyPair() and decapsulate() agree with Wycheproof, by ${by}`, async () => {
    let count = 0;
    for (const { tcId, seed, ek, c, K, result } of vectors.groups[0]!.tests) {
      const random = () => decodeHex(seed);
      const compute = async () => {
        const pair = await makeKemKeyPair({ random, by });
        return {
          ek: encodeHex(pair.publicKey),
          K: encodeHex(await pair.decapsulate(decodeHex(c))),
        };
      };
      if (result === "valid") assert.deepEqual(await compute(), { ek, K }, `tcId ${tcId}`);
      else await assert.rejects(compute(), `tcId ${tcId}`);
      count++;
    }
    assert.equal(count, 49);
  });

  Deno.test(`encapsulate() takes the keys that Wycheproof takes, by ${by}`, async () => {
    let count = 0;
    for (const { tcId, ek, m, c, K, result } of encapsVectors.groups[0]!.tests) {
      const random = by === "noble" ? { random: recordedRandom(m) } : {};
      const made = encapsulate(decodeHex(ek), { ...random, by });
      if (result !== "valid") await assert.rejects(made, ProtocolError, `tcId ${tcId}`);
      else if (by === "runtime") await made;
      else {
        const { ciphertext, secret } = await made;
        assert.deepEqual([encodeHex(ciphertext), encodeHex(secret)], [c, K], `tcId ${tcId}`);
      }
      count++;
    }
    assert.equal(count, 38);
  });
}

Deno.test("encapsulate() gives the known answers for a given randomness", async () => {
  let count = 0;
  for (const { ek, m, kct, kss } of kat.kem.cases) {
    const { ciphertext, secret } = await encapsulate(decodeHex(ek), { random: recordedRandom(m) });
    assert.deepEqual([encodeHex(ciphertext), encodeHex(secret)], [kct, kss]);
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("runtime and noble open what the other has sealed", async () => {
  for (const opener of ALL) {
    const pair = await makeKemKeyPair({ by: opener });
    for (const by of ALL) {
      const { ciphertext, secret } = await encapsulate(pair.publicKey, { by });
      assert.deepEqual(await pair.decapsulate(ciphertext), secret);
      const other = await encapsulate(pair.publicKey, { by });
      assert.notDeepEqual(other, { ciphertext, secret });
    }
  }
});

Deno.test("checkKemKey() takes coefficients up to 3328 in every place, and no other length", async () => {
  const { publicKey } = await makeKemKeyPair();
  checkKemKey(publicKey);
  for (const length of [0, KEM_KEY_BYTES - 1, KEM_KEY_BYTES + 1]) {
    const key = new Uint8Array(length);
    assert.throws(() => checkKemKey(key), new ProtocolError("bad-length"));
    await assert.rejects(encapsulate(key), new ProtocolError("bad-length"));
  }
  const withValue = (index: number, value: number) => {
    const key = publicKey.slice();
    const offset = Math.floor(index / 2) * 3;
    if (index % 2 === 0) {
      key[offset] = value & 0xff;
      key[offset + 1] = key[offset + 1]! & 0xf0 | value >>> 8;
    } else {
      key[offset + 1] = key[offset + 1]! & 0x0f | (value & 0x0f) << 4;
      key[offset + 2] = value >>> 4;
    }
    return key;
  };
  for (let index = 0; index < 768; index++) {
    for (const value of [0, 3328]) checkKemKey(withValue(index, value));
    for (const value of [3329, 4095]) {
      assert.throws(() => checkKemKey(withValue(index, value)), new ProtocolError("bad-point"));
    }
  }
  const rest = publicKey.slice().fill(0xff, 1152);
  checkKemKey(rest);
});
