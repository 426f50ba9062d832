import assert from "node:assert/strict";
import sodium from "libsodium-wrappers";
import {
  type Bytes,
  concat,
  decodeHex,
  encodeHex,
  encodeUtf8,
  MAX_COUNTER,
  withLength,
} from "../../lib/base/bytes.ts";
import {
  cipherReady,
  openAead,
  Opener,
  RECORDS_PER_KEY,
  sealAead,
  Sealer,
  TAG_BYTES,
} from "../../lib/protocol/records.ts";
import { LateOpener, LateSealer } from "../support/late_records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { hkdfExpand, sha256 } from "../../lib/protocol/crypto/hash.ts";
import { kat, katHandshake } from "../support/kat.ts";
import vectors from "../vectors/wycheproof_chacha20_poly1305.json" with { type: "json" };
import { forEachFrame } from "../../lib/protocol/frames.ts";

await cipherReady();
await sodium.ready; // cipherReady() leaves it out where the runtime has the cipher

const { ckI, ckR } = katHandshake("transport-3072");
const chainKeys = { I: decodeHex(ckI), R: decodeHex(ckR) };
const NOTHING = new Uint8Array(0);

// The functions of cipher.ts only make nonces of counters below 2^48, and none of Wycheproof's is one: so it is the
// package's own two functions that are held against other people's vectors, and then ours against them.
function sealRaw(key: string, nonce: string, ad: string, plaintext: Uint8Array): Uint8Array {
  return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
    plaintext,
    decodeHex(ad),
    null,
    decodeHex(nonce),
    decodeHex(key),
  );
}

function openRaw(key: string, nonce: string, ad: string, ct: Uint8Array): Uint8Array {
  return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
    null,
    ct,
    decodeHex(ad),
    decodeHex(nonce),
    decodeHex(key),
  );
}

Deno.test("libsodium's ChaCha20-Poly1305 agrees with RFC 8439 A.5", () => {
  const plaintext = encodeUtf8(
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, " +
      "replaced, or obsoleted by other documents at any time. It is inappropriate to use " +
      "Internet-Drafts as reference material or to cite them other than as /“work in progress./”",
  );
  const key = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
  const ct = sealRaw(key, "000000000102030405060708", "f33388860000000000004e91", plaintext);
  assert.equal(encodeHex(ct.subarray(-TAG_BYTES)), "eead9d67890cbb22392336fea1851f38");
  assert.equal(encodeHex(ct.subarray(0, 16)), "64a0861575861af460f062c79be643bd");
});

Deno.test("libsodium's ChaCha20-Poly1305 agrees with Wycheproof, including RFC 8439 2.8.2", () => {
  let count = 0;
  for (const { tests } of vectors.groups) {
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of tests) {
      const sealed = decodeHex(ct + tag);
      if (result === "valid") {
        assert.equal(encodeHex(sealRaw(key, iv, aad, decodeHex(msg))), ct + tag, `tcId ${tcId}`);
        assert.equal(encodeHex(openRaw(key, iv, aad, sealed)), msg, `tcId ${tcId}`);
      } else {
        assert.throws(() => openRaw(key, iv, aad, sealed), `tcId ${tcId}`);
      }
      count++;
    }
  }
  assert.equal(count, 325);
});

Deno.test("sealAead() writes the counter as the last 8 bytes of the nonce", () => {
  const key = sha256(encodeUtf8("key"));
  const ad = encodeUtf8("ad");
  const plaintext = encodeUtf8("plaintext");
  const nonces = {
    0: "0".repeat(24),
    1: "1".padStart(24, "0"),
    4294967296: "00000000" + "0000000100000000",
    [MAX_COUNTER - 1]: "00000000" + "0000ffffffffffff",
  };
  for (const [n, nonce] of Object.entries(nonces)) {
    const ct = sealAead(key, Number(n), ad, plaintext);
    assert.equal(
      encodeHex(ct),
      encodeHex(sealRaw(encodeHex(key), nonce, encodeHex(ad), plaintext)),
    );
    assert.deepEqual(openAead(key, Number(n), ad, ct), plaintext);
  }
});

Deno.test("openAead() rejects any flipped bit, another counter, other data, and less than a tag", () => {
  const key = sha256();
  const ad = encodeUtf8("ad");
  const ct = sealAead(key, 5, ad, encodeUtf8("plaintext"));
  for (let bit = 0; bit < ct.length * 8; bit++) {
    const changed = ct.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => openAead(key, 5, ad, changed), DecryptError);
  }
  assert.throws(() => openAead(key, 4, ad, ct), DecryptError);
  assert.throws(() => openAead(key, 5, NOTHING, ct), DecryptError);
  assert.throws(() => openAead(sha256(key), 5, ad, ct), DecryptError);
  for (let length = 0; length < ct.length; length++) {
    assert.throws(() => openAead(key, 5, ad, ct.subarray(0, length)), DecryptError);
  }
  const empty = sealAead(key, 6, ad, NOTHING);
  assert.equal(empty.length, TAG_BYTES);
  assert.deepEqual(openAead(key, 6, ad, empty), NOTHING);
});

Deno.test("DecryptError has the same message whatever was wrong", () => {
  const isPlain = (error: Error) => error.message === "Cannot decrypt" && !("cause" in error);
  assert.throws(() => openAead(sha256(), 0, NOTHING, NOTHING), isPlain);
  assert.throws(() => openAead(sha256(), 0, NOTHING, new Uint8Array(40)), isPlain);
});

Deno.test("the key chain gives the known keys", () => {
  let count = 0;
  for (const { direction, j, ck, key } of kat.records.keys) {
    let chainKey: Bytes = chainKeys[direction];
    for (let i = 0; i < j; i++) chainKey = hkdfExpand(chainKey, encodeUtf8("hearth/2 next"), 32);
    assert.equal(encodeHex(chainKey), ck);
    assert.equal(encodeHex(hkdfExpand(chainKey, encodeUtf8("hearth/2 key"), 32)), key);
    count++;
  }
  assert.equal(count, 6);
});

Deno.test("Sealer and Opener agree with the known records around key changes", () => {
  const known = new Map(kat.records.around.map((record) => [record.n, record]));
  const sealer = new Sealer(chainKeys.I);
  const opener = new Opener(chainKeys.I);
  let count = 0;
  for (let n = 0; n <= 2 * RECORDS_PER_KEY + 1; n++) {
    const record = known.get(n);
    const ct = sealer.seal(record ? decodeHex(record.plaintext) : NOTHING);
    assert.equal(opener.verified, n);
    const plaintext = opener.open(ct);
    if (!record) continue;
    assert.equal(encodeHex(ct), record.ct);
    assert.equal(encodeHex(plaintext), record.plaintext);
    const raw = sealRaw(record.key, record.nonce, "", decodeHex(record.plaintext));
    assert.equal(encodeHex(raw), record.ct);
    count++;
  }
  assert.equal(count, 9);
});

Deno.test("Sealer makes the known first records of both directions", () => {
  let count = 0;
  for (const { direction, plaintext, ct, tcp } of kat.records.first) {
    const record = new Sealer(chainKeys[direction]).seal(decodeHex(plaintext));
    assert.equal(encodeHex(record), ct);
    assert.equal(encodeHex(withLength(record)), tcp);
    assert.equal(encodeHex(new Opener(chainKeys[direction]).open(record)), plaintext);
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("forEachFrame() splits the known record of several frames", () => {
  const { frames, plaintext, ct } = kat.records.several;
  assert.equal(frames.join(""), plaintext);
  const opened = new Opener(chainKeys.I).open(decodeHex(ct));
  const found: string[] = [];
  forEachFrame(
    opened,
    (type, body) => found.push(encodeHex(concat(Uint8Array.of(type), withLength(body)))),
  );
  assert.deepEqual(found, frames);
  assert.equal(found.length, 5);
});

Deno.test("Opener opens nothing after its first error", () => {
  const sealer = new Sealer(chainKeys.I);
  const [first, second, third] = [0, 1, 2].map((n) => sealer.seal(Uint8Array.of(n))) as [
    Bytes,
    Bytes,
    Bytes,
  ];
  const opener = new Opener(chainKeys.I);
  assert.deepEqual(opener.open(first), Uint8Array.of(0));
  assert.throws(() => opener.open(third), DecryptError); // out of order
  assert.throws(() => opener.open(second), DecryptError);
  assert.equal(opener.verified, 1);
  const replayed = new Opener(chainKeys.I);
  replayed.open(first);
  assert.throws(() => replayed.open(first), DecryptError);
});

Deno.test("Opener counts no record as verified before one has", () => {
  const opener = new Opener(chainKeys.I);
  assert.equal(opener.verified, 0);
  assert.throws(() => opener.open(new Uint8Array(40)), DecryptError);
  assert.equal(opener.verified, 0);
});

Deno.test("Opener rejects the other direction's records", () => {
  const record = new Sealer(chainKeys.R).seal(NOTHING);
  assert.throws(() => new Opener(chainKeys.I).open(record), DecryptError);
});

Deno.test("Sealer and Opener go up to record 2^48 - 1 and no further", () => {
  const last = MAX_COUNTER - 1;
  const sealer = new LateSealer(chainKeys.I, last - 1);
  const opener = new LateOpener(chainKeys.I, last - 1);
  assert.deepEqual(opener.open(sealer.seal(Uint8Array.of(1))), Uint8Array.of(1));
  assert.ok(!sealer.exhausted);
  assert.deepEqual(opener.open(sealer.seal(Uint8Array.of(2))), Uint8Array.of(2));
  assert.ok(sealer.exhausted);
  assert.throws(() => sealer.seal(NOTHING), new ProtocolError("counter"));
  assert.throws(() => sealer.seal(NOTHING), new ProtocolError("counter"));
  assert.throws(() => opener.open(new Uint8Array(16)), new ProtocolError("counter"));
});

Deno.test("Sealer keeps its own copy of the chain key", () => {
  const chainKey = chainKeys.I.slice();
  const sealer = new Sealer(chainKey);
  chainKey.fill(0);
  for (let n = 0; n < RECORDS_PER_KEY; n++) sealer.seal(NOTHING);
  const [changed] = kat.records.around.filter(({ n }) => n === RECORDS_PER_KEY);
  assert.equal(encodeHex(sealer.seal(decodeHex(changed!.plaintext))), changed!.ct);
});

Deno.test("Sealer and Opener bind a record to its associated data, and those without keep their numbers", () => {
  const [sealer, opener] = [new Sealer(chainKeys.I), new Opener(chainKeys.I)];
  const ad = encodeUtf8("common");
  for (const data of [undefined, ad, undefined, ad]) {
    const ct = sealer.seal(Uint8Array.of(1), data);
    assert.deepEqual(opener.open(ct, data), Uint8Array.of(1));
  }
  assert.throws(() => opener.open(sealer.seal(NOTHING, ad)), DecryptError);
  const other = new Opener(chainKeys.R);
  assert.throws(() => other.open(new Sealer(chainKeys.R).seal(NOTHING), ad), DecryptError);
});
