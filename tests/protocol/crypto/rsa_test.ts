import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { decodeHex, encodeHex, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { DecryptError } from "../../../lib/base/errors.ts";
import {
  decryptOaep,
  decryptRaw,
  decryptRawWithForge,
  encryptOaep,
  generatePrivateKey,
  importPublicKey,
  type RawDecrypt,
  rawDecryptFor,
  toKeyObject,
  verifyPss,
} from "../../../lib/protocol/crypto/rsa.ts";

interface Kat {
  keys: Record<string, { pem: string; id: string }>;
  peer: { cases: { responder: string; s: string; c: string }[] };
}
interface Vectors {
  numberOfTests: number;
  groups: {
    n: string;
    sLen: number;
    privateKeyPkcs8: string;
    tests: {
      tcId: number;
      msg: string;
      sig: string;
      ct: string;
      label: string;
      result: string;
      comment: string;
    }[];
  }[];
}

const vectors = new URL("../../vectors/", import.meta.url);
const kat: Kat = await readJson("kat.json");

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(new URL(name, vectors)));
}

function isDecryptError(error: unknown): boolean {
  return error instanceof DecryptError && error.message === "Cannot decrypt" &&
    error.cause === undefined;
}

// The runtime has the private operation alone since Deno 2.8.
const [major, minor] = Deno.version.deno.split(".").map(Number);
const hasNative = major! > 2 || minor! >= 8;
const ways: [string, RawDecrypt][] = [
  ...(hasNative ? [["runtime", decryptRaw] as [string, RawDecrypt]] : []),
  ["node-forge", decryptRawWithForge],
];

Deno.test("rawDecryptFor() chooses the runtime where it has the operation", () => {
  const key = createPrivateKey(kat.keys["weak"]!.pem);
  assert.equal(rawDecryptFor(key), ways[0]![1]);
});

Deno.test("generatePrivateKey() leaves the event loop free", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const key = await generatePrivateKey(2048);
  clearInterval(timer);
  const { asymmetricKeyDetails } = toKeyObject(key.der);
  assert.deepEqual(asymmetricKeyDetails, { modulusLength: 2048, publicExponent: 65537n });
  assert.equal(key.modulus.length, 256);
  assert.ok(turns > 0);
});

for (
  const [name, cases, valid] of [
    ["rsa_pss_2048_sha256_mgf1_32", 108, 63],
    ["rsa_pss_3072_sha256_mgf1_32", 108, 63],
    ["rsa_pss_2048_sha256_mgf1_0", 103, 1],
  ] as const
) {
  Deno.test(`verifyPss() agrees with wycheproof_${name}`, async () => {
    const { groups }: Vectors = await readJson(`wycheproof_${name}.json`);
    let count = 0, accepted = 0;
    for (const { n, sLen, tests } of groups) {
      const key = await importPublicKey(decodeHex(n).subarray(1), "verify");
      for (const { tcId, msg, sig, result, comment } of tests) {
        // Where the file wants salts of 0 bytes, only the one with 32 is right for us.
        const expected = sLen === 32 ? result === "valid" : comment === "s_len changed to 32";
        const ok = await verifyPss(key, decodeHex(msg), decodeHex(sig));
        assert.equal(ok, expected, `tcId ${tcId}`);
        count++;
        if (ok) accepted++;
      }
    }
    assert.deepEqual([count, accepted], [cases, valid]);
  });
}

for (const [way, raw] of ways) {
  for (const size of [2048, 3072]) {
    const name = `wycheproof_rsa_oaep_${size}_sha256_mgf1sha256`;
    Deno.test(`decryptOaep() agrees with ${name}, private operation: ${way}`, async () => {
      const { groups }: Vectors = await readJson(`${name}.json`);
      let count = 0, decrypted = 0;
      for (const { privateKeyPkcs8, tests } of groups) {
        const der = Buffer.from(privateKeyPkcs8, "hex");
        const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
        for (const { tcId, msg, ct, label, result } of tests) {
          const options = { label: decodeHex(label), raw };
          const decrypting = decryptOaep(key, decodeHex(ct), options);
          if (result === "valid") {
            assert.equal(encodeHex(await decrypting), msg, `tcId ${tcId}`);
            decrypted++;
          } else await assert.rejects(decrypting, isDecryptError, `tcId ${tcId}`);
          count++;
        }
      }
      assert.deepEqual([count, decrypted], [37, 18]);
    });
  }

  Deno.test(`decryptOaep() decrypts the known c of a peer handshake, private operation: ${way}`, async () => {
    let count = 0;
    for (const { responder, c, s } of kat.peer.cases) {
      const key = createPrivateKey(kat.keys[responder]!.pem);
      const options = { label: encodeUtf8("hearth/2 kem"), raw };
      assert.equal(encodeHex(await decryptOaep(key, decodeHex(c), options)), s);
      await assert.rejects(
        decryptOaep(key, decodeHex(c), { ...options, label: encodeUtf8("hearth/2 ken") }),
        isDecryptError,
      );
      count++;
    }
    assert.equal(count, 2);
  });

  Deno.test(`decryptOaep() fails in one way whatever is changed, private operation: ${way}`, async () => {
    const key = createPrivateKey(kat.keys["weak"]!.pem);
    const modulus = decodeHex(kat.keys["weak"]!.id).subarray(23);
    const options = { label: encodeUtf8("hearth/2 kem"), raw };
    const ciphertext = await encryptOaep(
      await importPublicKey(modulus, "encrypt"),
      new Uint8Array(32),
      options.label,
    );
    assert.deepEqual(await decryptOaep(key, ciphertext, options), new Uint8Array(32));
    for (const length of [0, 1, 127, 129, 256]) {
      const other = new Uint8Array(length);
      other.set(ciphertext.subarray(0, length));
      await assert.rejects(decryptOaep(key, other, options), isDecryptError);
    }
    for (let byte = 0; byte < ciphertext.length; byte += 9) {
      const changed = new Uint8Array(ciphertext);
      changed[byte]! ^= 0x10;
      await assert.rejects(decryptOaep(key, changed, options), isDecryptError);
    }
    // 0, 1 and n - 1 decrypt to known blocks; n is out of range.
    for (const last of [0, 1]) {
      const small = new Uint8Array(128);
      small[127] = last;
      await assert.rejects(decryptOaep(key, small, options), isDecryptError);
      const large = new Uint8Array(modulus);
      large[127]! -= last;
      await assert.rejects(decryptOaep(key, large, options), isDecryptError);
    }
  });
}
