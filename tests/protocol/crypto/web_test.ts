import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import { systemRandom } from "../../../lib/base/clock.ts";
import { DecryptError, ProtocolError } from "../../../lib/base/errors.ts";
import { cipherReady } from "../../../lib/protocol/crypto/aead.ts";
import { nodeSuite } from "../../../lib/protocol/crypto/suite.ts";
import { hasWebSuite, webSuite } from "../../../lib/protocol/crypto/web.ts";
import { recordedRandom } from "../../support/doubles.ts";
import vectors from "../../vectors/wycheproof_x25519.json" with { type: "json" };

const ignore = !await hasWebSuite();
await cipherReady();
const LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 1163, 2048, 16_384];

Deno.test("both suites hash alike", async () => {
  for (const length of LENGTHS) {
    const [a, b] = [systemRandom(length), systemRandom(33)];
    assert.deepEqual(await webSuite.sha256(a, b), nodeSuite.sha256(a, b));
    const key = systemRandom(32);
    assert.deepEqual(await webSuite.hkdfExtract(key, a), nodeSuite.hkdfExtract(key, a));
    assert.deepEqual(await webSuite.hkdfExpand(key, a, 32), nodeSuite.hkdfExpand(key, a, 32));
    assert.deepEqual(await webSuite.hkdfExpand(key, b, 7), nodeSuite.hkdfExpand(key, b, 7));
  }
  assert.deepEqual(await webSuite.sha256(), nodeSuite.sha256());
  await assert.rejects(async () =>
    await webSuite.hkdfExpand(systemRandom(32), systemRandom(1), 33)
  );
});

Deno.test({
  name: "what one suite has sealed the other opens, and a changed byte neither",
  ignore,
  async fn() {
    for (const [i, length] of LENGTHS.entries()) {
      const [key, ad, text] = [systemRandom(32), systemRandom(i), systemRandom(length)];
      const n = 2 ** 40 + i;
      const ct = await webSuite.sealAead(key, n, ad, text);
      assert.deepEqual(ct, nodeSuite.sealAead(key, n, ad, text));
      assert.deepEqual(await webSuite.openAead(key, n, ad, ct), text);
      ct[length >> 1]! ^= 1;
      await assert.rejects(async () => await webSuite.openAead(key, n, ad, ct), DecryptError);
      ct[length >> 1]! ^= 1;
      await assert.rejects(async () => await webSuite.openAead(key, n + 1, ad, ct), DecryptError);
      await assert.rejects(
        async () => await webSuite.openAead(key, n, ad, ct.subarray(0, 15)),
        DecryptError,
      );
    }
  },
});

Deno.test("both suites agree about X25519 and Wycheproof's points", async () => {
  const seed = encodeHex(systemRandom(32));
  const own = await webSuite.makeKeyPair(recordedRandom(seed));
  assert.deepEqual(own, nodeSuite.makeKeyPair(recordedRandom(seed)));
  assert.notDeepEqual(await webSuite.makeKeyPair(), await webSuite.makeKeyPair());
  let zeros = 0;
  for (const { tests } of vectors.groups) {
    for (const vector of tests) {
      const [mine, other] = [decodeHex(vector.private), decodeHex(vector.public)];
      const isZero = /^0*$/.test(vector.shared);
      if (isZero) zeros++;
      const compute = async () => encodeHex(await webSuite.sharedSecret(mine, other));
      if (isZero) await assert.rejects(compute, new ProtocolError("bad-point"));
      else assert.equal(await compute(), vector.shared, `tcId ${vector.tcId}`);
    }
  }
  assert.ok(zeros > 10, `only ${zeros}`);
  for (const length of [0, 31, 33]) {
    await assert.rejects(
      async () => await webSuite.sharedSecret(own.privateKey, systemRandom(length)),
      new ProtocolError("bad-point"),
    );
  }
});
