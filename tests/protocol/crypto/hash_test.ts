import assert from "node:assert/strict";
import { decodeHex, encodeHex, encodeUtf8, equalBytes } from "../../../lib/base/bytes.ts";
import {
  hkdfExpand,
  hkdfExtract,
  hmacSha256,
  sha256,
  sha512,
} from "../../../lib/protocol/crypto/hash.ts";
import hkdf from "../../vectors/wycheproof_hkdf_sha256.json" with { type: "json" };
import hmac from "../../vectors/wycheproof_hmac_sha256.json" with { type: "json" };

/** The bytes from `first` to `last`, as hex. */
function range(first: number, last: number): string {
  return encodeHex(Uint8Array.from({ length: last - first + 1 }, (_, i) => first + i));
}

Deno.test("sha256() and sha512() give the known digests, however the bytes are split", () => {
  const abc256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const abc512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
  for (const parts of [["abc"], ["a", "bc"], ["", "a", "b", "", "c", ""]]) {
    assert.equal(encodeHex(sha256(...parts.map(encodeUtf8))), abc256);
    assert.equal(encodeHex(sha512(...parts.map(encodeUtf8))), abc512);
  }
  const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  assert.equal(encodeHex(sha256()), nothing);
});

Deno.test("hmacSha256() agrees with Wycheproof", () => {
  let count = 0;
  for (const group of hmac.groups) {
    for (const { tcId, key, msg, tag, result } of group.tests) {
      const whole = hmacSha256(decodeHex(key), decodeHex(msg));
      const half = msg.length / 4 >> 0;
      const cut = hmacSha256(
        decodeHex(key),
        decodeHex(msg).subarray(0, half),
        decodeHex(msg).subarray(half),
      );
      assert.deepEqual(cut, whole);
      const shortened = whole.subarray(0, group.tagSize / 8);
      assert.equal(equalBytes(shortened, decodeHex(tag)), result === "valid", `tcId ${tcId}`);
      count++;
    }
  }
  assert.equal(count, 174);
});

Deno.test("hkdfExtract() and hkdfExpand() agree with RFC 5869 A.1 to A.3", () => {
  const examples = [
    {
      ikm: "0b".repeat(22),
      salt: range(0x00, 0x0c),
      info: range(0xf0, 0xf9),
      prk: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
      ikm: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      prk: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
      okm: "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c" +
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5" +
        "c1f3434f1d87",
    },
    {
      ikm: "0b".repeat(22),
      salt: "",
      info: "",
      prk: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
      okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
  ];
  for (const { ikm, salt, info, prk, okm } of examples) {
    const extracted = hkdfExtract(decodeHex(salt), decodeHex(ikm));
    assert.equal(encodeHex(extracted), prk);
    assert.equal(encodeHex(hkdfExpand(extracted, decodeHex(info), okm.length / 2)), okm);
  }
});

Deno.test("hkdfExtract() and hkdfExpand() agree with Wycheproof", () => {
  let count = 0;
  for (const { tests } of hkdf.groups) {
    for (const { tcId, ikm, salt, info, size, okm, result } of tests) {
      const expand = () =>
        hkdfExpand(hkdfExtract(decodeHex(salt), decodeHex(ikm)), decodeHex(info), size);
      if (result === "valid") assert.equal(encodeHex(expand()), okm, `tcId ${tcId}`);
      else assert.throws(expand, RangeError, `tcId ${tcId}`);
      count++;
    }
  }
  assert.equal(count, 86);
});

Deno.test("hkdfExpand() gives 0 to 8160 bytes, each result a prefix of the longer ones", () => {
  const prk = sha256();
  const info = encodeUtf8("info");
  const longest = hkdfExpand(prk, info, 255 * 32);
  for (const length of [0, 1, 31, 32, 33, 63, 64, 65, 8159, 8160]) {
    assert.deepEqual(hkdfExpand(prk, info, length), longest.slice(0, length));
  }
  assert.throws(() => hkdfExpand(prk, info, 8161), RangeError);
});
