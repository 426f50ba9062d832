import assert from "node:assert/strict";
import {
  type Bytes,
  concat,
  decodeHex,
  encodeHex,
  encodeUtf8,
  label,
  withLength,
} from "../../lib/base/bytes.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { startCpace } from "../../lib/protocol/crypto/cpace.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "../../lib/protocol/crypto/hash.ts";
import { makeKemKeyPair } from "../../lib/protocol/crypto/ml_kem.ts";
import { sharedSecret } from "../../lib/protocol/crypto/x25519.ts";
import {
  checkM1,
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  type HandshakeResult,
  M1_BYTES,
  M2_HEADER_BYTES,
  MAX_CT2_BYTES,
  MAX_CT3_BYTES,
  type Mode,
  peerPrologue,
} from "../../lib/protocol/handshake.ts";
import { KEY_BITS } from "../../lib/protocol/limits.ts";
import { cipherReady, openAead, sealAead } from "../../lib/protocol/records.ts";
import { makeSessionKey, type SessionKey } from "../../lib/protocol/session_key.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { type KeyDouble, recordedRandom } from "../support/doubles.ts";
import { kat, type KatHandshake, katHandshake, katKey } from "../support/kat.ts";
import {
  common,
  fieldsOf,
  makeInitiator,
  makeResponder,
  recordedSession,
  responderOptions,
} from "../support/recorded_handshake.ts";

await cipherReady();

const handshakes = [...kat.transport.cases, ...kat.peer.cases];
/** The fingerprint that a side of a known handshake proves. */
function fingerprintOf(known: KatHandshake, role: "initiator" | "responder"): Bytes {
  return decodeHex(kat.keys[known[role]].fp);
}

/** Chain keys by role. */
function chains(result: HandshakeResult, role: "initiator" | "responder") {
  const [ckI, ckR] = role === "initiator"
    ? [result.sendKey, result.receiveKey]
    : [result.receiveKey, result.sendKey];
  return { ckI: encodeHex(ckI), ckR: encodeHex(ckR), th3: encodeHex(result.th3) };
}

/** The code of the ProtocolError that a step throws, or "decrypt"; rethrows other errors. */
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

/** Every index of the first `dense`, then every `step`th, and the last. */
function* indices(length: number, dense: number, step: number): Generator<number> {
  for (let index = 0; index < length; index += index < dense ? 1 : step) yield index;
  yield length - 1;
}

Deno.test("Initiator and Responder make the known messages and keys", async () => {
  let count = 0;
  for (const known of handshakes) {
    const { ckI, ckR, th3 } = known;
    const initiator = await makeInitiator(known, { expected: fingerprintOf(known, "responder") });
    assert.equal(encodeHex(initiator.m1), known.M1);
    const sent = await initiator.consumeM2(decodeHex(known.M2));
    assert.equal(encodeHex(sent.m3), known.M3);
    assert.deepEqual(chains(sent, "initiator"), { ckI, ckR, th3 });
    assert.equal(encodeHex(sent.peer.id), kat.keys[known.responder].id);
    const responder = await makeResponder(known, { expected: fingerprintOf(known, "initiator") });
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
    const kem = await makeKemKeyPair({ random: recordedRandom(known.dk_seed) });
    assert.equal(encodeHex(kem.publicKey), known.ek);
    const kss = await kem.decapsulate(bytes("kct"));
    const th0 = sha256(label(`hearth/2 ${known.mode}`), bytes("prologue"), bytes("M1"));
    const shareR = decodeHex(known.YR ?? "");
    const th1 = sha256(th0, bytes("eR"), bytes("kct"), shareR);
    const ee = sharedSecret(bytes("eI_private"), bytes("eR"));
    assert.deepEqual(ee, sharedSecret(bytes("eR_private"), bytes("eI")));
    let psk: Bytes = new Uint8Array(64);
    let ci: Bytes | undefined;
    if (known.mode === "peer") ci = sha256(label("hearth/2 cpace peer"), bytes("prologue"));
    if (known.Kroom) {
      const input = { secret: bytes("Kroom"), context: ci!, session: bytes("eI") };
      const i = await startCpace({ ...input, role: "initiator" }, recordedRandom(known.yI!));
      psk = i.finish(bytes("YR"));
    }
    const prk = hkdfExtract(th1, concat(ee, kss, psk));
    const expand = (key: Bytes, text: string) =>
      hkdfExpand(key, encodeUtf8(`hearth/2 ${text}`), 32);
    const [kR, kI] = [expand(prk, "hs responder"), expand(prk, "hs initiator")];
    const ct2 = sealAead(kR, 0, th1, bytes("ct2_plaintext"));
    const th2 = sha256(th1, withLength(ct2));
    const ct3 = sealAead(kI, 0, th2, bytes("ct3_plaintext"));
    assert.deepEqual(openAead(kI, 0, th2, ct3), bytes("ct3_plaintext"));
    const th3 = sha256(th2, withLength(ct3));
    const prk2 = hkdfExtract(th3, concat(prk, decodeHex(known.s ?? "")));
    const [ckI, ckR] = [expand(prk2, "ap initiator"), expand(prk2, "ap responder")];
    const computed = { th0, ee, kss, psk, th1, prk, kR, kI, ct2, th2, ct3, th3, prk2, ckI, ckR };
    for (const [name, value] of Object.entries({ ...computed, ...(ci && { ci }) })) {
      assert.equal(encodeHex(value), known[name as keyof KatHandshake], `${known.name} ${name}`);
    }
    assert.deepEqual(concat(bytes("eR"), bytes("kct"), shareR, withLength(ct2)), bytes("M2"));
    if (known.prologue_parts) {
      const { fp_s, room, fp_i, fp_r, sid_i, sid_r } = known.prologue_parts;
      const prologue = peerPrologue({
        relay: decodeHex(fp_s),
        room: decodeHex(room),
        initiator: { fingerprint: decodeHex(fp_i), sid: decodeHex(sid_i) },
        responder: { fingerprint: decodeHex(fp_r), sid: decodeHex(sid_r) },
      });
      assert.equal(encodeHex(prologue), known.prologue);
      const secret = await (await katKey(known.responder)).decrypt(bytes("c"));
      assert.equal(encodeHex(secret), known.s);
    }
    count++;
  }
  assert.equal(count, 5);
});

Deno.test("Initiator and Responder reject the known bad messages", async () => {
  const known = katHandshake("transport-small");
  const counts = { M1: 0, M2: 0, M3: 0 };
  for (const { message, reason, hex } of kat.handshakes_rejected.cases) {
    const bytes = decodeHex(hex);
    const steps = {
      M1: async () => new HandshakeResponder(await responderOptions(known)).consumeM1(bytes),
      M2: async () => (await makeInitiator(known)).consumeM2(bytes),
      M3: async () => (await makeResponder(known)).consumeM3(bytes),
    };
    assert.ok(await refusal(steps[message]), `${message}: ${reason}`);
    counts[message]++;
  }
  assert.deepEqual(counts, { M1: 8, M2: 27, M3: 14 });
});

Deno.test("between peers each known bad CERT, ED and identity is refused, and another good one accepted", async () => {
  const known = katHandshake(kat.sessions.handshake);
  const header = decodeHex(known.M2).subarray(0, M2_HEADER_BYTES.peer);
  const take = {
    M2: async (ct2: Bytes) => {
      const expected = fingerprintOf(known, "responder");
      return (await makeInitiator(known, { expected })).consumeM2(concat(header, ct2));
    },
    M3: async (m3: Bytes) => {
      const expected = fingerprintOf(known, "initiator");
      return (await makeResponder(known, { expected })).consumeM3(m3);
    },
  };
  let rejected = 0;
  for (const { message, reason, hex } of kat.sessions.rejected) {
    const refused = await refusal(() => take[message](decodeHex(hex)));
    assert.ok(refused, `${message}: ${reason}`);
    rejected++;
  }
  let accepted = 0;
  for (const { message, hex } of kat.sessions.accepted) {
    await take[message](decodeHex(hex));
    accepted++;
  }
  assert.deepEqual([rejected, accepted], [56, 2]);
});

Deno.test("Initiator and Responder reject points whose shared secret is zero", async () => {
  const known = katHandshake("transport-small");
  let count = 0;
  for (const { hex, note } of kat.points_rejected.cases) {
    for (const top of [0, 0x80]) {
      const point = decodeHex(hex);
      point[31]! |= top;
      const m1 = concat(
        decodeHex(known.M1).subarray(0, 8),
        point,
        decodeHex(known.M1).subarray(40),
      );
      const responder = new HandshakeResponder(await responderOptions(known));
      assert.equal(await refusal(() => responder.consumeM1(m1)), "bad-point", note);
      const m2 = concat(point, decodeHex(known.M2).subarray(32));
      const initiator = await makeInitiator(known);
      assert.equal(await refusal(() => initiator.consumeM2(m2)), "bad-point", note);
      count++;
    }
  }
  assert.equal(count, 14);
});

Deno.test("checkM1() and both roles take a share only if it fits whether they have a password", async () => {
  const [locked, open] = [katHandshake("peer-password"), katHandshake("peer-open")];
  const zeros = new Uint8Array(32);
  const bad = kat.cpace.rejected.map(({ hex }) => decodeHex(hex));
  const good = decodeHex(locked.YI!);
  let count = 0;
  for (
    const [known, share, fits] of [
      [locked, good, true],
      ...bad.map((share) => [locked, share, false] as const),
      [open, zeros, true],
      [open, good, false],
      [open, flipped(zeros, 31), false],
    ] as const
  ) {
    const m1 = concat(decodeHex(known.M1).subarray(0, 1224), share);
    const expected = fits ? undefined : "bad-point";
    assert.equal(await refusal(() => checkM1(m1, common(known))), expected);
    const responder = new HandshakeResponder(await responderOptions(known));
    assert.equal(await refusal(() => responder.consumeM1(m1)), expected);
    const m2 = decodeHex(known.M2);
    m2.set(share, M2_HEADER_BYTES.peer - 32);
    const code = await refusal(async () => (await makeInitiator(known)).consumeM2(m2));
    // A share that fits and is not the recorded one makes another key.
    assert.equal(code, fits && share === good ? "decrypt" : expected);
    count++;
  }
  assert.equal(count, 4 + 10);
});

Deno.test("a byte changed anywhere in M1 is refused by its receiver, or M2 by the initiator", async () => {
  for (const name of ["transport-small", "peer-password"]) {
    const known = katHandshake(name);
    const initiator = async () => await makeInitiator(known);
    for (const index of indices(M1_BYTES[known.mode], 40, 61)) {
      const m1 = flipped(decodeHex(known.M1), index);
      const responder = new HandshakeResponder(await responderOptions(known));
      if (index < 8) {
        assert.equal(await refusal(() => responder.consumeM1(m1)), "bad-magic");
        continue;
      }
      let m2: Bytes;
      try {
        m2 = await responder.consumeM1(m1);
      } catch (error) {
        assert.ok(index >= 40, `M1 ${index}`); // an ek out of range, or no share
        assert.deepEqual(error, new ProtocolError("bad-point"));
        continue;
      }
      const code = await refusal(async () => (await initiator()).consumeM2(m2));
      assert.equal(code, "decrypt", `M1 ${index}`);
    }
  }
});

Deno.test("a byte changed anywhere in M2 or M3 makes its receiver reject it", async () => {
  for (const name of ["transport-small", "peer-open"]) {
    const known = katHandshake(name);
    const header = M2_HEADER_BYTES[known.mode];
    const [m2, m3] = [decodeHex(known.M2), decodeHex(known.M3)];
    const code2 = (index: number) => {
      if (index >= header && index < header + 2) return "bad-length";
      return index >= 1120 && index < header ? "bad-point" : "decrypt"; // no zeros for a share
    };
    for (const index of [...indices(m2.length, 32, 17), header - 1, header, header + 1]) {
      const initiator = await makeInitiator(known);
      const code = await refusal(() => initiator.consumeM2(flipped(m2, index)));
      assert.equal(code, code2(index), `M2 ${index}`);
    }
    for (const index of indices(m3.length, 4, 17)) {
      const responder = await makeResponder(known);
      const code = await refusal(() => responder.consumeM3(flipped(m3, index)));
      assert.equal(code, index < 2 ? "bad-length" : "decrypt", `M3 ${index}`);
    }
  }
});

Deno.test("M1, M2 and M3 are rejected at every other length", async () => {
  const known = katHandshake("transport-small");
  const [m1, m2, m3] = [known.M1, known.M2, known.M3].map((hex) => decodeHex(hex)) as Bytes[];
  for (const length of [0, 1, 8, 40, 1223, 1225, 1256]) {
    const responder = new HandshakeResponder(await responderOptions(known));
    const cut = concat(m1!, new Uint8Array(32)).subarray(0, length);
    assert.equal(await refusal(() => responder.consumeM1(cut)), "bad-length");
  }
  const lengths = (whole: number) => [0, 1, 2, 1119, 1120, 1121, 1122, whole - 1, whole + 1];
  for (const length of lengths(m2!.length)) {
    const cut = concat(m2!, Uint8Array.of(0)).subarray(0, length);
    const initiator = await makeInitiator(known);
    assert.equal(await refusal(() => initiator.consumeM2(cut)), "bad-length");
  }
  for (const length of [0, 1, 2, 31, 32, 33, 34, m3!.length - 1, m3!.length + 1]) {
    const cut = concat(m3!, Uint8Array.of(0)).subarray(0, length);
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(cut)), "bad-length");
  }
});

Deno.test("ciphertexts within their bounds are opened, others are not even tried", async () => {
  const ciphertext = (length: number) => withLength(new Uint8Array(length));
  const atM2 = async (known: KatHandshake, length: number) => {
    const header = decodeHex(known.M2).subarray(0, M2_HEADER_BYTES[known.mode]);
    const initiator = await makeInitiator(known);
    return await refusal(() => initiator.consumeM2(concat(header, ciphertext(length))));
  };
  const atM3 = async (known: KatHandshake, length: number) => {
    const responder = await makeResponder(known);
    return await refusal(() => responder.consumeM3(ciphertext(length)));
  };
  const [small, open] = [katHandshake("transport-small"), katHandshake("peer-open")];
  for (
    const [step, known, max] of [
      [atM2, small, MAX_CT2_BYTES],
      [atM2, open, MAX_CT2_BYTES],
      [atM3, small, MAX_CT3_BYTES.transport],
      [atM3, open, MAX_CT3_BYTES.peer],
    ] as const
  ) {
    const codes: (string | undefined)[] = [];
    for (const length of [15, 16, 17, max - 1, max, max + 1]) codes.push(await step(known, length));
    const expected = ["bad-length", ...Array(4).fill("decrypt"), "bad-length"];
    assert.deepEqual(codes, expected);
  }
});

const PLACES = {
  relay: new Uint8Array(32).fill(1),
  room: new Uint8Array(32).fill(2),
  initiator: { fingerprint: new Uint8Array(32).fill(3), sid: new Uint8Array(8).fill(4) },
  responder: { fingerprint: new Uint8Array(32).fill(5), sid: new Uint8Array(8).fill(6) },
};

/** The two roles of a handshake between cheap identities, each with some options of its own. */
async function cheapRoles(
  mode: Mode,
  [initiator, responder]: readonly [Partial<HandshakeOptions>, Partial<HandshakeOptions>],
  [initiatorBits, responderBits]: readonly [number, number] = [2048, 2048],
) {
  const [keyI, keyR] = [cheapKey(1, initiatorBits), cheapKey(2, responderBits)];
  const primitives = cheapPrimitives;
  const { relay, room } = PLACES;
  const session = (key: typeof keyI, role: "initiator" | "responder") =>
    makeSessionKey(key, {
      primitives,
      ...(mode === "peer" && { membership: { relay, room, sid: PLACES[role].sid } }),
    });
  const shared = {
    mode,
    primitives,
    ...(mode === "peer" && { prologue: peerPrologue(PLACES) }),
  };
  return {
    initiator: await HandshakeInitiator.start({
      ...shared,
      key: keyI,
      ...(mode === "peer" && { session: session(keyI, "initiator") }),
      ...initiator,
    }),
    responder: new HandshakeResponder({
      ...shared,
      key: keyR,
      session: session(keyR, "responder"),
      ...responder,
    }),
  };
}

/** A handshake between two cheap identities. */
async function shake(
  mode: Mode,
  bits: readonly [number, number],
  options: Partial<HandshakeOptions> = {},
): Promise<{ m2: Bytes; m3: Bytes; initiator: HandshakeResult; responder: HandshakeResult }> {
  const { initiator, responder } = await cheapRoles(mode, [options, options], bits);
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
        assert.equal(m2.length, M2_HEADER_BYTES[mode] + 2 + MAX_CT2_BYTES);
        assert.equal(m3.length, 2 + MAX_CT3_BYTES[mode]);
      }
    }
  }
});

Deno.test("Initiator and Responder never make the same messages twice", async () => {
  const roomKey = new Uint8Array(32).fill(9);
  for (const options of [{}, { roomKey }]) {
    const shakes = [await shake("peer", [2048, 2048], options), await shake("peer", [2048, 2048])];
    const [first, second] = shakes as [typeof shakes[0], typeof shakes[0]];
    assert.notDeepEqual(first.m2, second.m2);
    assert.notDeepEqual(first.m3, second.m3);
    assert.notDeepEqual(first.initiator.sendKey, second.initiator.sendKey);
    assert.notDeepEqual(first.initiator.sendKey, first.initiator.receiveKey);
  }
});

Deno.test("Initiator refuses M2 when prologue or password differ", async () => {
  const prologue = peerPrologue(PLACES);
  const roomKey = new Uint8Array(32).fill(1);
  const differences: [Partial<HandshakeOptions>, Partial<HandshakeOptions>, string | undefined][] =
    [
      [{}, {}, undefined],
      [{ roomKey }, { roomKey }, undefined],
      [{ roomKey }, { roomKey: flipped(roomKey, 7) }, "decrypt"],
      [{}, { roomKey }, "bad-point"],
      [{ roomKey }, {}, "bad-point"],
      [{}, { prologue: flipped(prologue, 0) }, "decrypt"],
      [{}, { prologue: flipped(prologue, 143) }, "decrypt"],
    ];
  for (const [initiatorOptions, responderOptions, expected] of differences) {
    const roles = await cheapRoles("peer", [initiatorOptions, responderOptions]);
    const code = await refusal(async () => {
      await roles.initiator.consumeM2(await roles.responder.consumeM1(roles.initiator.m1));
    });
    assert.equal(code, expected);
  }
});

Deno.test("M1 goes out, and is checked, before the session key is made", async () => {
  const { promise, resolve } = Promise.withResolvers<SessionKey>();
  const { initiator, responder } = await cheapRoles("peer", [{}, { session: promise }]);
  let isAnswered = false;
  const answer = responder.consumeM1(initiator.m1).then((m2) => {
    isAnswered = true;
    return m2;
  });
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assert.ok(!isAnswered);
  const { relay, room, responder: { sid } } = PLACES;
  const membership = { relay, room, sid };
  resolve(makeSessionKey(cheapKey(2, 2048), { membership, primitives: cheapPrimitives }));
  await initiator.consumeM2(await answer);
});

Deno.test("Initiator and Responder refuse options that are our own mistake", async () => {
  const key = cheapKey(1);
  const roomKey = new Uint8Array(32);
  const prologue = new Uint8Array(144);
  await assert.rejects(HandshakeInitiator.start({ key, mode: "peer" }), RangeError);
  await assert.rejects(HandshakeInitiator.start({ key, mode: "transport", roomKey }), TypeError);
  assert.throws(() => new HandshakeResponder({ key, mode: "transport", prologue }), RangeError);
  const { initiator } = await cheapRoles("transport", [{}, {}]);
  const bare = new HandshakeResponder({ key, mode: "transport", primitives: cheapPrimitives });
  await assert.rejects(bare.consumeM1(initiator.m1), TypeError);
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

  const early = new HandshakeResponder(await responderOptions(known));
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
type Fault =
  | "bounds"
  | "aead"
  | "fields"
  | "id"
  | "identity"
  | "certificate"
  | "signature"
  | "secret";
const CODES: Readonly<Record<Fault, string | undefined>> = {
  bounds: "bad-length",
  aead: "decrypt",
  fields: "bad-length",
  id: "bad-id",
  identity: "wrong-identity",
  certificate: "bad-signature",
  signature: "bad-signature",
  secret: undefined,
};
const PEER_FAULTS: readonly Fault[] = [
  "bounds",
  "aead",
  "fields",
  "id",
  "identity",
  "certificate",
  "signature",
];
/** On the transport the pin counts last. */
const TRANSPORT_FAULTS: readonly Fault[] = [
  "bounds",
  "aead",
  "fields",
  "id",
  "certificate",
  "signature",
  "identity",
];

/** All sets of faults, the empty one first. */
function faultSets(faults: readonly Fault[]): Set<Fault>[] {
  return Array.from(
    { length: 2 ** faults.length },
    (_, set) => new Set(faults.filter((_, i) => set >> i & 1)),
  );
}

/** The fields of `ct2` or of a peer's `ct3`. */
interface ProofFields {
  id: Bytes;
  c?: Bytes;
  publicKey: Bytes;
  certificate: Bytes;
  signature: Bytes;
}

/** Seals fields as `L(ct)` with what `faults` want wrong about them. */
function sealFields(
  fields: ProofFields,
  faults: Set<Fault>,
  { key, ad }: { key: string; ad: string },
): Bytes {
  const id = fields.id.slice();
  if (faults.has("id")) id[id.length - 1]! ^= 1;
  const plaintext = concat(
    withLength(id),
    ...(fields.c ? [withLength(fields.c)] : []),
    fields.publicKey,
    withLength(faults.has("certificate") ? flipped(fields.certificate, 9) : fields.certificate),
    faults.has("signature") ? flipped(fields.signature, 9) : fields.signature,
    new Uint8Array(faults.has("fields") ? 1 : 0),
  );
  const message = withLength(sealAead(decodeHex(key), 0, decodeHex(ad), plaintext));
  if (faults.has("aead")) message[message.length - 1]! ^= 1;
  return faults.has("bounds") ? concat(message, Uint8Array.of(0)) : message;
}

function fieldsOfM2(known: KatHandshake): ProofFields {
  const [id, publicKey, certificate, signature] = fieldsOf(decodeHex(known.ct2_plaintext), [
    "L",
    32,
    "L",
    64,
  ]) as [Bytes, Bytes, Bytes, Bytes];
  return { id, publicKey, certificate, signature };
}

function fieldsOfM3(known: KatHandshake): ProofFields & { c: Bytes } {
  const [id, c, publicKey, certificate, signature] = fieldsOf(decodeHex(known.ct3_plaintext), [
    "L",
    "L",
    32,
    "L",
    64,
  ]) as [Bytes, Bytes, Bytes, Bytes, Bytes];
  return { id, c, publicKey, certificate, signature };
}

Deno.test("Initiator checks M2 in the order of section 3; the pin first between peers, last on the transport", async () => {
  let count = 0;
  for (
    const [name, order] of [
      ["transport-small", TRANSPORT_FAULTS],
      ["peer-open", PEER_FAULTS],
    ] as const
  ) {
    const known = katHandshake(name);
    const header = decodeHex(known.M2).subarray(0, M2_HEADER_BYTES[known.mode]);
    for (const faults of faultSets(order)) {
      const sealed = sealFields(fieldsOfM2(known), faults, { key: known.kR, ad: known.th1 });
      const expected = decodeHex(kat.keys[faults.has("identity") ? "alice" : known.responder].fp);
      const initiator = await makeInitiator(known, { expected });
      const first = order.find((fault) => faults.has(fault));
      const code = await refusal(() => initiator.consumeM2(concat(header, sealed)));
      assert.equal(code, first && CODES[first], [...faults].join());
      count++;
    }
  }
  assert.equal(count, 256);
});

Deno.test("Responder checks M3 in the order of section 3, and decrypts c last", async () => {
  const known = katHandshake("peer-open");
  const fields = fieldsOfM3(known);
  const { id, publicKey } = fields;
  const badSecret = decodeHex(known.c!).fill(0x55, 10, 20);
  const session = await recordedSession(known.skI!, known.CERTI!);
  const badSecretSignature = await session.sign(
    "hearth/2 peer initiator",
    concat(decodeHex(known.th2), id, badSecret, publicKey),
  );
  let count = 0;
  for (const faults of faultSets([...PEER_FAULTS, "secret"])) {
    const chosen = faults.has("secret")
      ? { ...fields, c: badSecret, signature: badSecretSignature }
      : fields;
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
    const first = PEER_FAULTS.find((fault) => faults.has(fault));
    const m3 = sealFields(chosen, faults, { key: known.kI, ad: known.th2 });
    const code = await refusal(() => responder.consumeM3(m3));
    assert.equal(code, first && CODES[first], [...faults].join());
    assert.equal(decryptions, first ? 0 : 1);
    count++;
  }
  assert.equal(count, 256);
});

Deno.test("Responder refuses a c or a CERT of another length, whatever else they are", async () => {
  const known = katHandshake("peer-open");
  const fields = fieldsOfM3(known);
  const session = await recordedSession(known.skI!, known.CERTI!);
  const where = { key: known.kI, ad: known.th2 };
  for (const length of [0, 255, 257, 384]) {
    const c = new Uint8Array(length);
    const message = concat(decodeHex(known.th2), fields.id, c, fields.publicKey);
    const signature = await session.sign("hearth/2 peer initiator", message);
    const m3 = sealFields({ ...fields, c, signature }, new Set(), where);
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(m3)), "bad-length");
  }
  for (const length of [0, 256, 383, 385]) {
    const certificate = concat(fields.certificate, Uint8Array.of(0)).slice(0, length);
    const m3 = sealFields({ ...fields, certificate }, new Set(), where);
    const responder = await makeResponder(known);
    assert.equal(await refusal(() => responder.consumeM3(m3)), "bad-length");
  }
});

Deno.test("Responder continues with keys that match nothing when c cannot be decrypted", async () => {
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

Deno.test("Responder draws a random substitute for the secret even if c is valid", async () => {
  const known = katHandshake("peer-open");
  const double: KeyDouble = { decrypt: () => Promise.reject(new DecryptError()) };
  const keyOf = async (substitute: string) => {
    const random = recordedRandom(known.eR_private, known.m, substitute);
    const responder = await makeResponder(known, { double, random });
    return chains(await responder.consumeM3(decodeHex(known.M3)), "responder").ckI;
  };
  assert.notEqual(await keyOf("01".repeat(32)), await keyOf("02".repeat(32)));
  // Drawn before the decryption, so that its time tells nothing: without it the recorded bytes run out.
  const random = recordedRandom(known.eR_private, known.m);
  const responder = await makeResponder(known, { random });
  await assert.rejects(responder.consumeM3(decodeHex(known.M3)), RangeError);
});

Deno.test("Responder rethrows errors that are bugs", async () => {
  const known = katHandshake("peer-open");
  const double: KeyDouble = { decrypt: () => Promise.reject(new TypeError("ours")) };
  const responder = await makeResponder(known, { double });
  await assert.rejects(responder.consumeM3(decodeHex(known.M3)), new TypeError("ours"));
});
