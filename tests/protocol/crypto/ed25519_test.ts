import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import { makeSigningKey, verifyEd25519 } from "../../../lib/protocol/crypto/ed25519.ts";
import { recordedRandom } from "../../support/doubles.ts";
import vectors from "../../vectors/wycheproof_ed25519.json" with { type: "json" };

// RFC 8032 section 7.1, tests 1 to 3 and SHA(abc).
const RFC_8032: readonly [seed: string, publicKey: string, message: string, signature: string][] = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
  [
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  ],
];

Deno.test("makeSigningKey() gives the known keys and signatures of RFC 8032 section 7.1", async () => {
  let count = 0;
  for (const [seed, publicKey, message, signature] of RFC_8032) {
    const key = await makeSigningKey(recordedRandom(seed));
    assert.equal(encodeHex(key.publicKey), publicKey);
    assert.equal(encodeHex(await key.sign(decodeHex(message))), signature);
    assert.ok(await verifyEd25519(key.publicKey, decodeHex(message), decodeHex(signature)));
    count++;
  }
  assert.equal(count, 4);
});

Deno.test("verifyEd25519() agrees with Wycheproof", async () => {
  let count = 0;
  for (const { pk, tests } of vectors.groups) {
    for (const { tcId, msg, sig, result } of tests) {
      const verified = await verifyEd25519(decodeHex(pk), decodeHex(msg), decodeHex(sig));
      assert.equal(verified, result === "valid", `tcId ${tcId}`);
      count++;
    }
  }
  assert.equal(count, 151);
});

Deno.test("verifyEd25519() is false for keys and signatures of other lengths and keys off the curve", async () => {
  const key = await makeSigningKey();
  const data = new Uint8Array(5);
  const signature = await key.sign(data);
  assert.ok(await verifyEd25519(key.publicKey, data, signature));
  for (const length of [0, 31, 33]) {
    assert.ok(!await verifyEd25519(new Uint8Array(length), data, signature));
  }
  for (const length of [0, 63, 65]) {
    assert.ok(!await verifyEd25519(key.publicKey, data, new Uint8Array(length)));
  }
  const offCurve = new Uint8Array(32);
  offCurve[0] = 2; // y = 2 has no x
  assert.ok(!await verifyEd25519(offCurve, data, signature));
});

Deno.test("makeSigningKey() makes another key each time", async () => {
  const [first, second] = [await makeSigningKey(), await makeSigningKey()];
  assert.notDeepEqual(first.publicKey, second.publicKey);
  const data = new Uint8Array(1);
  assert.ok(!await verifyEd25519(second.publicKey, data, await first.sign(data)));
});
