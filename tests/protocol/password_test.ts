import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { ProtocolError, UsageError } from "../../lib/base/errors.ts";
import {
  checkProof,
  decodeJoinKey,
  derivePassword,
  encodeJoinKey,
  type JoinOptions,
  makePassword,
  NO_SHARE,
  startJoin,
} from "../../lib/protocol/password.ts";
import { recordedRandom } from "../support/doubles.ts";
import kat from "../vectors/kat.json" with { type: "json" };

Deno.test("derivePassword() gives the known keys", async () => {
  let count = 0;
  for (const known of kat.password.cases) {
    const keys = await derivePassword(known.password, decodeHex(known.fp_s));
    assert.equal(encodeHex(keys.joinKey), known.Kjoin);
    assert.equal(encodeHex(keys.roomKey), known.Kroom);
    assert.equal(encodeHex(keys.joinKey) + encodeHex(keys.roomKey), known.K);
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("derivePassword() treats composed and decomposed letters alike", async () => {
  const known = kat.password.cases[1]!;
  const keys = await derivePassword(known.password.normalize("NFD"), decodeHex(known.fp_s));
  assert.equal(encodeHex(keys.joinKey), known.Kjoin);
});

Deno.test("derivePassword() rejects an empty password and a fingerprint of another length", async () => {
  await assert.rejects(derivePassword("", new Uint8Array(32)), RangeError);
  for (const length of [0, 31, 33]) {
    await assert.rejects(derivePassword("x", new Uint8Array(length)), RangeError);
  }
});

Deno.test("startJoin() gives the known shares, proofs and answers on both sides", async () => {
  let count = 0;
  for (const known of kat.password.cases) {
    const join = {
      joinKey: decodeHex(known.Kjoin),
      client: decodeHex(known.fp_i),
      relay: decodeHex(known.fp_s),
      th3: decodeHex(known.th3),
    };
    const client = await startJoin("client", { ...join, random: recordedRandom(known.ya) });
    const relay = await startJoin("relay", { ...join, random: recordedRandom(known.yb) });
    assert.deepEqual([encodeHex(client.share), encodeHex(relay.share)], [known.Ya, known.Yb]);
    for (const { proof, answer } of [client.finish(relay.share), relay.finish(client.share)]) {
      assert.deepEqual([encodeHex(proof), encodeHex(answer)], [known.proof, known.answer]);
      assert.ok(checkProof(decodeHex(known.proof), proof));
      assert.ok(!checkProof(answer, proof));
      assert.ok(!checkProof(proof.subarray(1), proof));
      for (let bit = 0; bit < proof.length * 8; bit++) {
        const changed = proof.slice();
        changed[bit >> 3]! ^= 1 << (bit & 7);
        assert.ok(!checkProof(changed, proof));
      }
    }
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("startJoin() gives other proofs and answers when the password or the connection is another", async () => {
  const bytes = (fill: number) => new Uint8Array(32).fill(fill);
  const join = { joinKey: bytes(1), client: bytes(2), relay: bytes(3), th3: bytes(4) };
  const exchange = async (difference: Partial<JoinOptions>) => {
    const client = await startJoin("client", join);
    const relay = await startJoin("relay", { ...join, ...difference });
    return [client.finish(relay.share), relay.finish(client.share)] as const;
  };
  const [same, alike] = await exchange({});
  assert.deepEqual(same, alike);
  assert.notDeepEqual(same.proof, same.answer);
  for (const name of ["joinKey", "client", "relay", "th3"] as const) {
    const [ours, theirs] = await exchange({ [name]: bytes(9) });
    assert.notDeepEqual(ours.proof, theirs.proof, name);
    assert.notDeepEqual(ours.answer, theirs.answer, name);
  }
  const client = await startJoin("client", join);
  for (const share of [NO_SHARE, bytes(0xff)]) {
    assert.throws(() => client.finish(share), new ProtocolError("bad-point"));
  }
});

Deno.test("encodeJoinKey() and decodeJoinKey() give the known texts", () => {
  for (const known of kat.password.cases) {
    assert.equal(encodeJoinKey(decodeHex(known.Kjoin)), known.join_text);
    assert.deepEqual(decodeJoinKey(known.join_text), decodeHex(known.Kjoin));
  }
});

Deno.test("decodeJoinKey() refuses every other text without repeating it", () => {
  const text = kat.password.cases[1]!.join_text;
  const bad = [
    "",
    "hearth2-join:",
    text.slice(0, -1),
    text + "A",
    text + "=",
    text + "\n",
    " " + text,
    text.toUpperCase(),
    text.replace("/", "_"),
    text.slice(0, -1) + "1", // The key of "0", but for the bits that count for nothing.
    text.replace("hearth2-join", "hearth-join"),
  ];
  assert.equal(new Set(bad).size, bad.length);
  assert.ok(text.endsWith("0") && text.includes("/"));
  for (const wrong of bad) {
    assert.throws(() => decodeJoinKey(wrong), (error) => {
      assert.ok(error instanceof UsageError);
      assert.ok(!error.message.includes(text.slice(12, 40)));
      return true;
    });
  }
});

Deno.test("makePassword() uses all of its 80 bits, each for one character", () => {
  const make = (bytes: Uint8Array<ArrayBuffer>) =>
    makePassword((length) => {
      assert.equal(length, 10);
      return bytes;
    });
  const none = make(new Uint8Array(10));
  assert.equal(none, "babab-babab-babab-babab-babab");
  const seen = new Set([none]);
  for (let bit = 0; bit < 80; bit++) {
    const bytes = new Uint8Array(10);
    bytes[bit >> 3] = 0x80 >> (bit & 7);
    const password = make(bytes);
    assert.match(password, /^(?:[bdfghjkmnprstvwz][aeiu]){2}[bdfghjkmnprstvwz]-/);
    assert.equal([...password].filter((character, i) => character !== none[i]).length, 1);
    seen.add(password);
  }
  assert.equal(seen.size, 81);
  assert.equal(make(new Uint8Array(10).fill(255)), "zuzuz-zuzuz-zuzuz-zuzuz-zuzuz");
});
