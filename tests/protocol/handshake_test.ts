import assert from "node:assert/strict";
import {
  type Bytes,
  concat,
  decodeHex,
  encodeHex,
  label,
  withLength,
} from "../../lib/base/bytes.ts";
import { cipherReady, openAead, sealAead } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import {
  type HandshakeOptions,
  type HandshakeResult,
  Initiator,
  M1_BYTES,
  MAX_PEER_CT_BYTES,
  MAX_TRANSPORT_CT_BYTES,
  type Mode,
  Responder,
} from "../../lib/protocol/handshake.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "../../lib/protocol/crypto/hash.ts";
import { decodeId, KEY_BITS } from "../../lib/protocol/identity.ts";
import { sharedSecret } from "../../lib/protocol/crypto/x25519.ts";
import { cheapKey, decodeCheapId } from "../support/cheap_key.ts";
import {
  doubleKey,
  type KeyDouble,
  recordedDecodeId,
  recordedKey,
  recordedRandom,
} from "../support/doubles.ts";
import { kat, type KatHandshake, katHandshake, katKey } from "../support/kat.ts";

await cipherReady();

const handshakes = [...kat.transport.cases, ...kat.peer.cases];
const UNUSED = "00".repeat(32);

/** The fields of a plaintext that is `L(x)` several times. */
function fieldsOf(plaintext: Uint8Array): Bytes[] {
  const fields: Bytes[] = [];
  for (let offset = 0; offset < plaintext.length;) {
    const end = offset + 2 + (plaintext[offset]! << 8) + plaintext[offset + 1]!;
    fields.push(plaintext.slice(offset + 2, end));
    offset = end;
  }
  return fields;
}

function common(known: KatHandshake): Pick<HandshakeOptions, "mode" | "prologue" | "psk"> {
  return { mode: known.mode, prologue: decodeHex(known.prologue), psk: decodeHex(known.psk) };
}

/** The recorded initiator: real keys, recorded random bytes, signature and c. */
async function makeInitiator(
  known: KatHandshake,
  options: Partial<HandshakeOptions> = {},
): Promise<Initiator> {
  const signature = fieldsOf(decodeHex(known.ct3_plaintext)).at(-1)!;
  const { s, c } = known;
  return new Initiator({
    ...common(known),
    key: recordedKey(await katKey(known.initiator), signature),
    random: recordedRandom(known.eI_private, ...(s ? [s] : [])),
    decodeId: s && c ? recordedDecodeId(decodeId, { s: decodeHex(s), c: decodeHex(c) }) : decodeId,
    ...options,
  });
}

/** The recorded responder, which has taken M1. */
async function makeResponder(
  known: KatHandshake,
  options: Partial<HandshakeOptions> & { double?: KeyDouble } = {},
): Promise<Responder> {
  const signature = fieldsOf(decodeHex(known.ct2_plaintext))[1]!;
  const responder = new Responder({
    ...common(known),
    key: doubleKey(await katKey(known.responder), { sign: () => signature, ...options.double }),
    random: recordedRandom(known.eR_private, UNUSED),
    ...options,
  });
  assert.equal(encodeHex(await responder.consumeM1(decodeHex(known.M1))), known.M2);
  return responder;
}

/** Chain keys by role. */
function chains(result: HandshakeResult, role: "initiator" | "responder") {
  const [ckI, ckR] = role === "initiator"
    ? [result.sendKey, result.receiveKey]
    : [result.receiveKey, result.sendKey];
  return { ckI: encodeHex(ckI), ckR: encodeHex(ckR), th3: encodeHex(result.th3) };
}

/** What a step refuses with: a code of ProtocolError, or "decrypt"; anything else is thrown on. */
async function refusal(step: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    if (error instanceof DecryptError) return "decrypt";
    throw error;
  }
}

/** One bit of one byte, another one in each byte. */
function flipped(bytes: Uint8Array, index: number): Bytes {
  const changed = new Uint8Array(bytes);
  changed[index]! ^= 1 << (index & 7);
  return changed;
}

Deno.test("Initiator and Responder make the known messages and keys", async () => {
  let count = 0;
  for (const known of handshakes) {
    const { ckI, ckR, th3 } = known;
    const fingerprints = [kat.keys[known.initiator].fp, kat.keys[known.responder].fp];
    const [initiatorFp, responderFp] = fingerprints.map((fp) => decodeHex(fp));
    const initiator = await makeInitiator(known, { expected: responderFp! });
    assert.equal(encodeHex(initiator.m1), known.M1);
    const sent = await initiator.consumeM2(decodeHex(known.M2));
    assert.equal(encodeHex(sent.m3), known.M3);
    assert.deepEqual(chains(sent, "initiator"), { ckI, ckR, th3 });
    assert.equal(encodeHex(sent.peer.id), kat.keys[known.responder].id);
    const responder = await makeResponder(known, { expected: initiatorFp! });
    const taken = await responder.consumeM3(decodeHex(known.M3));
    assert.deepEqual(chains(taken, "responder"), { ckI, ckR, th3 });
    assert.equal(encodeHex(taken.peer.id), kat.keys[known.initiator].id);
    count++;
  }
  assert.equal(count, 5);
});

Deno.test("every intermediate value of the known handshakes follows from the formulas of section 3", async () => {
  let count = 0;
  for (const known of handshakes) {
    const bytes = (name: keyof KatHandshake) => decodeHex(known[name] as string);
    const th0 = sha256(label(`hearth/1 ${known.mode}`), bytes("prologue"), bytes("M1"));
    const th1 = sha256(th0, bytes("eR"));
    const ee = sharedSecret(bytes("eI_private"), bytes("eR"));
    assert.deepEqual(ee, sharedSecret(bytes("eR_private"), bytes("eI")));
    const prk = hkdfExtract(th1, concat(ee, bytes("psk")));
    const expand = (key: Bytes, text: string) =>
      hkdfExpand(key, new TextEncoder().encode(`hearth/1 ${text}`), 32);
    const [kR, kI] = [expand(prk, "hs responder"), expand(prk, "hs initiator")];
    const ct2 = sealAead(kR, 0, th1, bytes("ct2_plaintext"));
    const th2 = sha256(th1, withLength(ct2));
    const ct3 = sealAead(kI, 0, th2, bytes("ct3_plaintext"));
    assert.deepEqual(openAead(kI, 0, th2, ct3), bytes("ct3_plaintext"));
    const th3 = sha256(th2, withLength(ct3));
    const prk2 = hkdfExtract(th3, concat(prk, decodeHex(known.s ?? "")));
    const [ckI, ckR] = [expand(prk2, "ap initiator"), expand(prk2, "ap responder")];
    const computed = { th0, ee, th1, prk, kR, kI, ct2, th2, ct3, th3, prk2, ckI, ckR };
    for (const [name, value] of Object.entries(computed)) {
      assert.equal(encodeHex(value), known[name as keyof KatHandshake], `${known.name} ${name}`);
    }
    assert.deepEqual(concat(bytes("eR"), withLength(ct2)), bytes("M2"));
    if (known.prologue_parts) {
      const { fp_s, room, fp_i, fp_r, sid_i, sid_r } = known.prologue_parts;
      assert.equal(fp_s + room + fp_i + fp_r + sid_i + sid_r, known.prologue);
      const secret = await (await katKey(known.responder)).decrypt(bytes("c"));
      assert.equal(encodeHex(secret), known.s);
    }
    count++;
  }
  assert.equal(count, 5);
});

Deno.test("Initiator and Responder refuse the known bad messages", async () => {
  const known = katHandshake("transport-small");
  let count = 0;
  for (const { message, reason, hex } of kat.handshakes_rejected.cases) {
    const refused = message === "M2"
      ? await refusal(async () => (await makeInitiator(known)).consumeM2(decodeHex(hex)))
      : await refusal(async () => (await makeResponder(known)).consumeM3(decodeHex(hex)));
    assert.ok(refused, `${message}: ${reason}`);
    count++;
  }
  assert.equal(count, 26);
});

Deno.test("Initiator and Responder refuse points that give zeros", async () => {
  const known = katHandshake("transport-small");
  let count = 0;
  for (const { hex, note } of kat.points_rejected.cases) {
    for (const top of [0, 0x80]) {
      const point = decodeHex(hex);
      point[31]! |= top;
      const m1 = concat(decodeHex(known.M1).subarray(0, 8), point);
      const responder = new Responder({ ...common(known), key: await katKey("weak") });
      assert.equal(await refusal(() => responder.consumeM1(m1)), "bad-point", note);
      const m2 = concat(point, decodeHex(known.M2).subarray(32));
      const initiator = await makeInitiator(known);
      assert.equal(await refusal(() => initiator.consumeM2(m2)), "bad-point", note);
      count++;
    }
  }
  assert.equal(count, 14);
});

Deno.test("a byte changed anywhere in M1 is refused by its receiver, or M2 by the initiator", async () => {
  for (const name of ["transport-small", "peer-open"]) {
    const known = katHandshake(name);
    const signature = fieldsOf(decodeHex(known.ct2_plaintext))[1]!;
    for (let index = 0; index < M1_BYTES; index++) {
      const responder = new Responder({
        ...common(known),
        key: recordedKey(await katKey(known.responder), signature),
      });
      const m1 = flipped(decodeHex(known.M1), index);
      if (index < 8) {
        assert.equal(await refusal(() => responder.consumeM1(m1)), "bad-magic");
        continue;
      }
      const m2 = await responder.consumeM1(m1);
      const initiator = await makeInitiator(known);
      assert.equal(await refusal(() => initiator.consumeM2(m2)), "decrypt");
    }
  }
});

Deno.test("a byte changed anywhere in M2 or M3 is refused by its receiver", async () => {
  for (const name of ["transport-small", "peer-open"]) {
    const known = katHandshake(name);
    const [m2, m3] = [decodeHex(known.M2), decodeHex(known.M3)];
    for (let index = 0; index < m2.length; index++) {
      const initiator = await makeInitiator(known);
      const code = await refusal(() => initiator.consumeM2(flipped(m2, index)));
      assert.equal(code, index >= 32 && index < 34 ? "bad-length" : "decrypt", `M2 ${index}`);
    }
    for (let index = 0; index < m3.length; index++) {
      const responder = await makeResponder(known);
      const code = await refusal(() => responder.consumeM3(flipped(m3, index)));
      assert.equal(code, index < 2 ? "bad-length" : "decrypt", `M3 ${index}`);
    }
  }
});

Deno.test("M1, M2 and M3 are refused at every other length", async () => {
  const known = katHandshake("transport-small");
  const [m1, m2, m3] = [known.M1, known.M2, known.M3].map((hex) => decodeHex(hex)) as Bytes[];
  for (const length of [0, 1, 8, 39, 41]) {
    const responder = new Responder({ ...common(known), key: await katKey("weak") });
    const cut = concat(m1!, new Uint8Array(8)).subarray(0, length);
    assert.equal(await refusal(() => responder.consumeM1(cut)), "bad-length");
  }
  const lengths = (whole: number) => [0, 1, 2, 31, 32, 33, 34, whole - 1, whole + 1];
  for (const length of lengths(m2!.length)) {
    const cut = concat(m2!, Uint8Array.of(0)).subarray(0, length);
    const initiator = await makeInitiator(known);
    assert.equal(await refusal(() => initiator.consumeM2(cut)), "bad-length");
  }
  for (const length of lengths(m3!.length)) {
    const cut = concat(m3!, Uint8Array.of(0)).subarray(0, length);
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(cut)), "bad-length");
  }
});

Deno.test("ciphertexts within their bounds are opened, others are not even tried", async () => {
  const small = katHandshake("transport-small");
  const eR = decodeHex(small.eR);
  const ciphertext = (length: number) => withLength(new Uint8Array(length));
  const atM2 = async (known: KatHandshake, length: number) => {
    const initiator = await makeInitiator(known);
    return await refusal(() => initiator.consumeM2(concat(eR, ciphertext(length))));
  };
  const atM3 = async (known: KatHandshake, length: number) => {
    const responder = await makeResponder(known);
    return await refusal(() => responder.consumeM3(ciphertext(length)));
  };
  const open = katHandshake("peer-open");
  for (
    const [step, known, max] of [
      [atM2, small, MAX_TRANSPORT_CT_BYTES],
      [atM2, open, MAX_TRANSPORT_CT_BYTES],
      [atM3, small, MAX_TRANSPORT_CT_BYTES],
      [atM3, open, MAX_PEER_CT_BYTES],
    ] as const
  ) {
    const codes: (string | undefined)[] = [];
    for (const length of [15, 16, 17, max - 1, max, max + 1]) codes.push(await step(known, length));
    const expected = ["bad-length", ...Array(4).fill("decrypt"), "bad-length"];
    assert.deepEqual(codes, expected);
  }
});

/** A handshake between two cheap identities. */
async function shake(
  mode: Mode,
  [initiatorBits, responderBits]: readonly [number, number],
): Promise<{ m2: Bytes; m3: Bytes; initiator: HandshakeResult; responder: HandshakeResult }> {
  const options = { mode, decodeId: decodeCheapId };
  const initiator = new Initiator({ ...options, key: cheapKey(1, initiatorBits) });
  const responder = new Responder({ ...options, key: cheapKey(2, responderBits) });
  const m2 = await responder.consumeM1(initiator.m1);
  const sent = await initiator.consumeM2(m2);
  return { m2, m3: sent.m3, initiator: sent, responder: await responder.consumeM3(sent.m3) };
}

Deno.test("Initiator and Responder agree for all sizes of keys; the largest fill the bounds exactly", async () => {
  for (const mode of ["transport", "peer"] as const) {
    for (const initiatorBits of KEY_BITS) {
      for (const responderBits of KEY_BITS) {
        const { m2, m3, initiator, responder } = await shake(mode, [initiatorBits, responderBits]);
        assert.deepEqual(chains(initiator, "initiator"), chains(responder, "responder"));
        assert.deepEqual([initiator.peer.bits, responder.peer.bits], [
          responderBits,
          initiatorBits,
        ]);
        if (initiatorBits < 4096 || responderBits < 4096) continue;
        assert.equal(m2.length, 32 + 2 + MAX_TRANSPORT_CT_BYTES);
        const max = mode === "peer" ? MAX_PEER_CT_BYTES : MAX_TRANSPORT_CT_BYTES;
        assert.equal(m3.length, 2 + max);
      }
    }
  }
});

Deno.test("Initiator and Responder never make the same messages twice", async () => {
  const [first, second] = [await shake("peer", [2048, 2048]), await shake("peer", [2048, 2048])];
  assert.notDeepEqual(first.m2, second.m2);
  assert.notDeepEqual(first.m3, second.m3);
  assert.notDeepEqual(first.initiator.sendKey, second.initiator.sendKey);
  assert.notDeepEqual(first.initiator.sendKey, first.initiator.receiveKey);
});

Deno.test("Initiator refuses M2 when mode, prologue or psk differ", async () => {
  const same = { mode: "peer", decodeId: decodeCheapId } as const;
  const prologue = new Uint8Array(144);
  const differences: Partial<HandshakeOptions>[] = [
    { mode: "transport" },
    { psk: new Uint8Array(32).fill(1) },
    { prologue: flipped(prologue, 0) },
    { prologue: flipped(prologue, 143) },
    { prologue: prologue.subarray(1) },
  ];
  for (const difference of [{}, ...differences]) {
    const initiator = new Initiator({ ...same, prologue, key: cheapKey(1) });
    const responder = new Responder({ ...same, prologue, key: cheapKey(2), ...difference });
    const m2 = await responder.consumeM1(initiator.m1);
    const expected = Object.keys(difference).length === 0 ? undefined : "decrypt";
    assert.equal(await refusal(() => initiator.consumeM2(m2)), expected);
  }
});

Deno.test("Initiator and Responder take each message once, in order, and are dead after an error", async () => {
  const known = katHandshake("transport-small");
  const [m1, m2, m3] = [known.M1, known.M2, known.M3].map((hex) => decodeHex(hex)) as [
    Bytes,
    Bytes,
    Bytes,
  ];
  const initiator = await makeInitiator(known);
  await initiator.consumeM2(m2);
  assert.equal(await refusal(() => initiator.consumeM2(m2)), "unexpected");
  const failed = await makeInitiator(known);
  assert.equal(await refusal(() => failed.consumeM2(flipped(m2, 100))), "decrypt");
  assert.equal(await refusal(() => failed.consumeM2(m2)), "unexpected");

  const early = new Responder({ ...common(known), key: await katKey("weak") });
  assert.equal(await refusal(() => early.consumeM3(m3)), "unexpected");
  const responder = await makeResponder(known);
  assert.equal(await refusal(() => responder.consumeM1(m1)), "unexpected");
  const other = await makeResponder(known);
  await other.consumeM3(m3);
  assert.equal(await refusal(() => other.consumeM3(m3)), "unexpected");
  const broken = await makeResponder(known);
  assert.equal(await refusal(() => broken.consumeM3(flipped(m3, 100))), "decrypt");
  assert.equal(await refusal(() => broken.consumeM3(m3)), "unexpected");
});

/** One thing wrong with a message, in the order of the checks of section 3. */
type Fault = "bounds" | "aead" | "fields" | "id" | "signature" | "identity" | "secret";
const FAULTS: readonly Fault[] = ["bounds", "aead", "fields", "id", "signature", "identity"];
const CODES: Readonly<Record<Fault, string | undefined>> = {
  bounds: "bad-length",
  aead: "decrypt",
  fields: "bad-length",
  id: "bad-id",
  signature: "bad-signature",
  identity: "wrong-identity",
  secret: undefined,
};

/** All sets of faults, the empty one first. */
function faultSets(faults: readonly Fault[]): Set<Fault>[] {
  return Array.from(
    { length: 2 ** faults.length },
    (_, set) => new Set(faults.filter((_, i) => set >> i & 1)),
  );
}

/** Seals fields as `L(ct)` with what `faults` want wrong about them. */
function sealFields(
  fields: readonly Bytes[],
  faults: Set<Fault>,
  { key, ad }: { key: string; ad: string },
): Bytes {
  const [id, ...rest] = fields.map((field) => field.slice()) as [Bytes, ...Bytes[]];
  if (faults.has("id")) id[id.length - 1]! ^= 1;
  if (faults.has("signature")) rest.at(-1)![9]! ^= 1;
  const trailing = new Uint8Array(faults.has("fields") ? 1 : 0);
  const plaintext = concat(...[id, ...rest].map(withLength), trailing);
  const message = withLength(sealAead(decodeHex(key), 0, decodeHex(ad), plaintext));
  if (faults.has("aead")) message[message.length - 1]! ^= 1;
  return faults.has("bounds") ? concat(message, Uint8Array.of(0)) : message;
}

Deno.test("Initiator checks M2 in the order of section 3", async () => {
  const known = katHandshake("transport-small");
  let count = 0;
  for (const faults of faultSets(FAULTS)) {
    const fields = fieldsOf(decodeHex(known.ct2_plaintext));
    const sealed = sealFields(fields, faults, { key: known.kR, ad: known.th1 });
    const expected = decodeHex(kat.keys[faults.has("identity") ? "bob" : "weak"].fp);
    const initiator = await makeInitiator(known, { expected });
    const first = FAULTS.find((fault) => faults.has(fault));
    const code = await refusal(() => initiator.consumeM2(concat(decodeHex(known.eR), sealed)));
    assert.equal(code, first && CODES[first], [...faults].join());
    count++;
  }
  assert.equal(count, 64);
});

Deno.test("Responder checks M3 in the order of section 3, and decrypts c only when all is right", async () => {
  const known = katHandshake("peer-open");
  const alice = await katKey("alice");
  const [id, , signature] = fieldsOf(decodeHex(known.ct3_plaintext)) as [Bytes, Bytes, Bytes];
  const badSecret = decodeHex(known.c!).fill(0x55, 10, 20);
  const signed = concat(decodeHex(known.th2), id, badSecret);
  const badSecretSignature = await alice.sign("hearth/1 initiator", signed);
  let count = 0;
  for (const faults of faultSets([...FAULTS, "secret"])) {
    const fields = faults.has("secret")
      ? [id, badSecret, badSecretSignature]
      : [id, decodeHex(known.c!), signature];
    let decryptions = 0;
    const responder = await makeResponder(known, {
      expected: decodeHex(kat.keys[faults.has("identity") ? "bob" : "alice"].fp),
      double: {
        async decrypt(c) {
          decryptions++;
          return await (await katKey("bob")).decrypt(c);
        },
      },
    });
    const first = FAULTS.find((fault) => faults.has(fault));
    const m3 = sealFields(fields, faults, { key: known.kI, ad: known.th2 });
    const code = await refusal(() => responder.consumeM3(m3));
    assert.equal(code, first && CODES[first], [...faults].join());
    assert.equal(decryptions, first ? 0 : 1);
    count++;
  }
  assert.equal(count, 128);
});

Deno.test("Responder refuses a c or a signature of another length, whatever else they are", async () => {
  const known = katHandshake("peer-open");
  const alice = await katKey("alice");
  const [id, c, signature] = fieldsOf(decodeHex(known.ct3_plaintext)) as [Bytes, Bytes, Bytes];
  for (const length of [0, 255, 257, 384]) {
    const other = new Uint8Array(length);
    const proof = await alice.sign("hearth/1 initiator", concat(decodeHex(known.th2), id, other));
    const m3 = sealFields([id, other, proof], new Set(), { key: known.kI, ad: known.th2 });
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(m3)), "bad-length");
  }
  for (const length of [0, 256, 383, 385]) {
    const other = concat(signature, Uint8Array.of(0)).slice(0, length);
    const m3 = sealFields([id, c, other], new Set(), { key: known.kI, ad: known.th2 });
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(m3)), "bad-length");
  }
});

Deno.test("Responder goes on with keys that fit nothing when c cannot be decrypted", async () => {
  const known = katHandshake("peer-open");
  const doubles: KeyDouble[] = [
    { decrypt: () => Promise.reject(new DecryptError()) },
    { decrypt: () => Promise.resolve(new Uint8Array(31)) },
    { decrypt: () => Promise.resolve(new Uint8Array(33)) },
  ];
  for (const double of doubles) {
    const responder = await makeResponder(known, { double });
    const result = await responder.consumeM3(decodeHex(known.M3));
    const { ckI, ckR, th3 } = chains(result, "responder");
    assert.equal(th3, known.th3);
    assert.notEqual(ckI, known.ckI);
    assert.notEqual(ckR, known.ckR);
  }
});

Deno.test("Responder's substitute for a c that fails is random, and taken with good ones too", async () => {
  const known = katHandshake("peer-open");
  const double: KeyDouble = { decrypt: () => Promise.reject(new DecryptError()) };
  const keyOf = async (substitute: string) => {
    const random = recordedRandom(known.eR_private, substitute);
    const responder = await makeResponder(known, { double, random });
    return chains(await responder.consumeM3(decodeHex(known.M3)), "responder").ckI;
  };
  assert.notEqual(await keyOf("01".repeat(32)), await keyOf("02".repeat(32)));
  // Drawn before the decryption, so that its time tells nothing: without it the recorded bytes run out.
  const random = recordedRandom(known.eR_private);
  const responder = await makeResponder(known, { random });
  await assert.rejects(responder.consumeM3(decodeHex(known.M3)), RangeError);
});

Deno.test("Responder throws on what is our own mistake", async () => {
  const known = katHandshake("peer-open");
  const double: KeyDouble = { decrypt: () => Promise.reject(new TypeError("ours")) };
  const responder = await makeResponder(known, { double });
  await assert.rejects(responder.consumeM3(decodeHex(known.M3)), new TypeError("ours"));
});
