import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { makeKeyPair, sharedSecret } from "../../../lib/protocol/crypto/x25519.ts";
import { recordedRandom } from "../../support/doubles.ts";
import { kat } from "../../support/kat.ts";
import vectors from "../../vectors/wycheproof_x25519.json" with { type: "json" };

const BASE_POINT = "09".padEnd(64, "0");

function multiply(scalar: string, point: string): string {
  return encodeHex(sharedSecret(decodeHex(scalar), decodeHex(point)));
}

Deno.test("sharedSecret() agrees with RFC 7748 section 5.2", () => {
  assert.equal(
    multiply(
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
    ),
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
  );
  assert.equal(
    multiply(
      "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
    ),
    "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
  );
  let [k, u] = [BASE_POINT, BASE_POINT];
  for (let i = 0; i < 1000; i++) [k, u] = [multiply(k, u), k];
  assert.equal(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
});

Deno.test("makeKeyPair() and sharedSecret() agree with RFC 7748 section 6.1", () => {
  const privateA = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
  const privateB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
  const a = makeKeyPair(recordedRandom(privateA));
  const b = makeKeyPair(recordedRandom(privateB));
  assert.equal(
    encodeHex(a.publicKey),
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  );
  assert.equal(
    encodeHex(b.publicKey),
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
  );
  const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  assert.equal(encodeHex(sharedSecret(a.privateKey, b.publicKey)), shared);
  assert.equal(encodeHex(sharedSecret(b.privateKey, a.publicKey)), shared);
});

Deno.test("sharedSecret() agrees with Wycheproof; an all-zero result is bad-point", () => {
  let count = 0;
  let zeros = 0;
  for (const { tests } of vectors.groups) {
    for (const vector of tests) {
      const compute = () => multiply(vector.private, vector.public);
      if (/^0*$/.test(vector.shared)) {
        assert.throws(compute, new ProtocolError("bad-point"), `tcId ${vector.tcId}`);
        zeros++;
      } else {
        assert.equal(compute(), vector.shared, `tcId ${vector.tcId}`);
      }
      count++;
    }
  }
  assert.equal(count, 518);
  assert.ok(zeros > 0);
});

Deno.test("sharedSecret() rejects points of small order, also with the top bit set", () => {
  const own = makeKeyPair();
  let count = 0;
  for (const { hex, note } of kat.points_rejected.cases) {
    const point = decodeHex(hex);
    assert.throws(() => sharedSecret(own.privateKey, point), new ProtocolError("bad-point"), note);
    point[31]! |= 0x80;
    assert.throws(() => sharedSecret(own.privateKey, point), new ProtocolError("bad-point"), note);
    count++;
  }
  assert.equal(count, 7);
});

Deno.test("sharedSecret() rejects a public key of another length", () => {
  const own = makeKeyPair();
  for (const length of [0, 31, 33]) {
    const point = new Uint8Array(length).fill(9);
    assert.throws(() => sharedSecret(own.privateKey, point), new ProtocolError("bad-point"));
  }
});

Deno.test("makeKeyPair() makes a different pair each time", () => {
  assert.notDeepEqual(makeKeyPair(), makeKeyPair());
});
