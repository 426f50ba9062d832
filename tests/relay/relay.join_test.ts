import assert from "node:assert/strict";
import { concat, encodeHex } from "../../lib/base/bytes.ts";
import { JOIN_TIMEOUT_MS, MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import {
  decodeFrame,
  encodeFrame,
  forEachFrame,
  FRAME,
  REASON,
  VERB,
  WHY,
} from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { startJoin } from "../../lib/protocol/password.ts";
import { realPrimitives } from "../../lib/protocol/primitives.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { settle, until } from "../support/fake_clock.ts";
import { memoryPair, type MemoryStream } from "../support/memory_stream.ts";
import { RawClient } from "../support/raw_client.ts";
import {
  comings,
  JOIN_KEY,
  joinFrame,
  OTHER_ROOM,
  RELAY_KEY,
  RelayRig,
  TAG,
  WRONG_KEY,
} from "../support/relay_rig.ts";

/** A raw client that knows the password, and how it answers a SHARE. */
async function openRaw(rig: RelayRig) {
  const [near, far] = memoryPair();
  rig.relay.accept(far, "127.0.0.1");
  const key = cheapKey(3);
  const raw = await RawClient.open(near, key);
  const exchange = await startJoin("client", {
    joinKey: JOIN_KEY,
    client: key.publicKey.fingerprint,
    relay: RELAY_KEY.publicKey.fingerprint,
    th3: raw.th3,
    primitives: cheapPrimitives,
  });
  const prove = async () => {
    const frame = decodeFrame(FRAME.SHARE, (await raw.receive())!.subarray(3));
    assert.equal(frame.type, "share");
    const { proof } = exchange.finish(frame.share);
    return encodeFrame({ type: "proof", proof });
  };
  return { raw: Object.assign(raw, { share: exchange.share }), prove };
}

function framesOf(plaintext: Uint8Array): string[] {
  const types: string[] = [];
  forEachFrame(plaintext, (type, body) => types.push(decodeFrame(type, body).type));
  return types;
}

// --- JOIN ---

Deno.test("Relay takes further frames in the record of JOIN, and behind PROOF", async () => {
  for (const joinKey of [undefined, JOIN_KEY]) {
    const rig = new RelayRig({ joinKey });
    const known = await rig.join({ joinKey: JOIN_KEY });
    const { raw, prove } = await openRaw(rig);
    const send = (text: string) =>
      encodeFrame({
        type: "send",
        sid: known.sid,
        kind: 4,
        tag: TAG,
        payload: new TextEncoder().encode(text),
      });
    const admin = encodeFrame({
      type: "admin",
      request: "01020304",
      verb: VERB.BANS,
      argument: new Uint8Array(0),
    });
    await raw.begin(concat(joinFrame(3, raw.share), send("one"), admin));
    if (joinKey) {
      await settle();
      assert.deepEqual(known.texts, [], "waits for the WELCOME");
      await raw.send(concat(await prove(), send("two")));
    }
    const frames: string[] = [];
    while (!frames.includes("result")) frames.push(...framesOf((await raw.receive())!));
    assert.deepEqual(frames, [...(joinKey ? ["proof"] : []), "welcome", "result"]);
    assert.deepEqual(known.texts, joinKey ? ["one", "two"] : ["one"]);
  }
});

Deno.test("Relay ends without an answer a connection that sends CLOSE instead of JOIN", async () => {
  const rig = new RelayRig();
  const client = await rig.start({ first: encodeFrame({ type: "close", reason: 0 }) });
  await settle();
  assert.deepEqual(client.ends, [{ type: "cut" }]);
  assert.deepEqual([rig.relay.members, rig.relay.pending], [0, 0]);
  assert.deepEqual(rig.events, []);
});

Deno.test("Relay checks in the order key, allow list, password, capacity", async () => {
  const allowed = encodeFingerprint(cheapKey(20).publicKey.fingerprint);
  const weakAllowed = encodeFingerprint(cheapKey(20, 1024).publicKey.fingerprint);
  const bad = new Uint8Array(32);
  const rig = new RelayRig({
    allow: new Set([allowed, weakAllowed]),
    joinKey: JOIN_KEY,
    capacity: 1,
  });
  const first = await rig.join({ seed: 20, joinKey: JOIN_KEY });
  assert.ok(first.find("welcome"));
  const cases: [number, Parameters<typeof rig.join>[0]][] = [
    [REASON.WEAK_KEY, { seed: 21, bits: 1024, joinKey: WRONG_KEY }],
    [REASON.WEAK_KEY, { seed: 20, bits: 1024, share: bad }],
    [REASON.NOT_ALLOWED, { seed: 21, joinKey: WRONG_KEY }],
    [REASON.NOT_ALLOWED, { seed: 21, share: bad }],
    [REASON.PASSWORD, { seed: 20, share: bad }],
    [REASON.FULL, { seed: 20, joinKey: JOIN_KEY, instance: new Uint8Array(16) }],
  ];
  for (const [reason, options] of cases) assert.equal((await rig.join(options)).reason, reason);
  const wrong = await rig.start({ seed: 20, joinKey: WRONG_KEY, instance: new Uint8Array(16) });
  await settle();
  await rig.clock.advance(1000);
  assert.equal(wrong.reason, REASON.PASSWORD);
  assert.deepEqual(
    rig.events.flatMap((event) => event.event === "refused" ? [event.reason] : []),
    [...cases.map(([reason]) => reason), REASON.PASSWORD],
  );
});

Deno.test("Relay accepts keys from the minimum size of its operator", async () => {
  const rig = new RelayRig({ minKeyBits: 1024 });
  assert.ok((await rig.join({ bits: 1024 })).find("welcome"));
  const usual = new RelayRig();
  assert.ok((await usual.join({ bits: 2048 })).find("welcome"));
  assert.equal((await usual.join({ bits: 1024 })).reason, REASON.WEAK_KEY);
});

Deno.test("Relay without a password ignores shares, whatever they are", async () => {
  const rig = new RelayRig();
  for (const share of [undefined, new Uint8Array(32).fill(0xff)]) {
    const client = await rig.join({ joinKey: JOIN_KEY, ...(share && { share }) });
    assert.deepEqual(client.frames.map(({ type }) => type), ["welcome"]);
  }
});

// --- Password ---

Deno.test("Relay proves to know the password before it sends WELCOME", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const client = await rig.join({ joinKey: JOIN_KEY });
  assert.deepEqual(client.frames.map(({ type }) => type), ["share", "proof", "welcome"]);
  const { answer } = client.exchange!.finish(client.find("share")!.share);
  assert.deepEqual(client.find("proof")!.proof, answer);
});

Deno.test("Relay sends another share each time", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const clients = await rig.room(3, { joinKey: JOIN_KEY });
  const shares = new Set(clients.map((client) => encodeHex(client.find("share")!.share)));
  assert.equal(shares.size, 3);
});

Deno.test("Relay answers a JOIN without a share with CLOSE(1) at once", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  await rig.start({ joinKey: WRONG_KEY }); // a delayed answer makes no difference
  const client = await rig.join();
  assert.deepEqual(client.frames, []);
  assert.equal(client.reason, REASON.PASSWORD);
  assert.equal(rig.relay.pending, 1);
});

Deno.test("Relay answers a share that does not decode with CLOSE(3)", async () => {
  const bad = new Uint8Array(32).fill(0xff);
  const rig = new RelayRig({
    joinKey: JOIN_KEY,
    primitives: { ...cheapPrimitives, startCpace: realPrimitives.startCpace },
  });
  const client = await rig.start({ joinKey: JOIN_KEY, share: bad });
  await until(() => client.ends.length > 0);
  assert.deepEqual(client.frames, []);
  assert.equal(client.reason, REASON.PROTOCOL);
  assert.equal(rig.relay.pending, 0);
  assert.deepEqual(rig.events.map((event) => event.event === "closed" && event.cause), [
    "protocol error: bad-point",
  ]);
});

Deno.test("Relay and client agree with the real CPace, and differ with another key", async () => {
  const primitives = { ...cheapPrimitives, startCpace: realPrimitives.startCpace };
  for (const [joinKey, isRight] of [[JOIN_KEY, true], [WRONG_KEY, false]] as const) {
    const rig = new RelayRig({ joinKey: JOIN_KEY, primitives });
    const client = await rig.start({ joinKey, primitives });
    await until(() => client.find("welcome") !== undefined || rig.clock.timers > 2);
    await rig.clock.advance(1000);
    assert.equal(client.find("welcome") !== undefined, isRight);
    assert.equal(client.reason, isRight ? undefined : REASON.PASSWORD);
  }
});

Deno.test("Relay delays the answer to a wrong password, and pings meanwhile", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  // The delays of one address: 1, 2, 4 … 60 s.
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    const client = await rig.start({ joinKey: WRONG_KEY });
    await settle();
    await rig.clock.advance(seconds * 1000 - 1);
    assert.deepEqual(client.ends, [], `${seconds} s`);
    assert.ok(!client.find("proof"));
    await rig.clock.advance(1);
    assert.equal(client.reason, REASON.PASSWORD, `${seconds} s`);
  }
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay sends no SHARE to an address while an answer is delayed", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const wrong = await rig.start({ joinKey: WRONG_KEY });
  await settle();
  const right = await rig.start({ joinKey: JOIN_KEY });
  const elsewhere = await rig.join({ joinKey: JOIN_KEY, address: "192.0.2.1" });
  assert.ok(elsewhere.find("welcome"));
  await settle();
  assert.deepEqual(right.frames, []);
  assert.equal(rig.relay.pending, 2);
  await rig.clock.advance(1000);
  await settle();
  assert.equal(wrong.reason, REASON.PASSWORD);
  assert.ok(right.find("welcome"));
});

Deno.test("Relay delays answers to a whole /64, or to one address of its own network", async () => {
  for (const isNear of [true, false]) {
    const rig = new RelayRig({ joinKey: JOIN_KEY, isNear: () => isNear });
    await rig.start({ joinKey: WRONG_KEY, address: "2001:db8::1" });
    await settle();
    const beside = await rig.start({ joinKey: JOIN_KEY, address: "2001:db8::2" });
    const same = await rig.start({ joinKey: JOIN_KEY, address: "2001:db8::1" });
    const far = await rig.join({ joinKey: JOIN_KEY, address: "2001:db8:0:1::1" });
    assert.ok(far.find("welcome"));
    await settle(10);
    assert.equal(beside.find("welcome") !== undefined, isNear);
    assert.equal(same.find("welcome"), undefined);
    await rig.clock.advance(1000);
    await settle(10);
    for (const client of [beside, same]) assert.ok(client.find("welcome"));
  }
});

Deno.test("Relay makes an identity wait no more that has given a right PROOF", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const known = await rig.join({ seed: 20, joinKey: JOIN_KEY });
  void known.connection.close(REASON.NORMAL);
  await rig.start({ seed: 21, joinKey: WRONG_KEY });
  await settle();
  assert.ok((await rig.join({ seed: 20, joinKey: JOIN_KEY })).find("welcome"));
  assert.equal(rig.relay.pending, 1);
});

Deno.test("Relay checks no PROOF that was asked for before another one was wrong", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const slow = await openRaw(rig);
  await slow.raw.begin(joinFrame(3, slow.raw.share));
  await settle();
  const wrong = await rig.start({ joinKey: WRONG_KEY });
  await settle();
  await slow.raw.send(await slow.prove());
  await settle();
  assert.equal(rig.relay.members, 0);
  await rig.clock.advance(999);
  assert.equal(rig.relay.members, 0);
  await rig.clock.advance(1);
  await settle();
  assert.equal(wrong.reason, REASON.PASSWORD);
  assert.equal(rig.relay.members, 1);
});

Deno.test("Relay cuts a PROOF that has waited 10 s behind wrong ones", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  for (const seconds of [1, 2, 4, 8]) {
    await rig.start({ joinKey: WRONG_KEY });
    await rig.clock.advance(seconds * 1000);
  }
  const behind = await openRaw(rig);
  await behind.raw.begin(joinFrame(3, behind.raw.share));
  const proof = await behind.prove();
  const slow = await rig.start({ joinKey: WRONG_KEY }); // waits 16 s
  await settle();
  await rig.clock.advance(5_000);
  await behind.raw.send(proof);
  await settle();
  assert.equal(rig.relay.pending, 2);
  await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
  assert.equal(rig.relay.pending, 2);
  await rig.clock.advance(1);
  assert.equal(rig.relay.pending, 1);
  assert.deepEqual((await behind.raw.receiveAll()).filter(([type]) => type === FRAME.CLOSE), []);
  assert.deepEqual(slow.ends, []);
  await rig.clock.advance(1_000);
  assert.equal(slow.reason, REASON.PASSWORD);
});

Deno.test("Relay cuts a client without CLOSE whose PROOF has not come 10 s after accept", async () => {
  for (const isHeld of [false, true]) {
    const rig = new RelayRig({ joinKey: JOIN_KEY });
    if (isHeld) {
      for (const seconds of [1, 2, 4, 8]) {
        await rig.start({ joinKey: WRONG_KEY });
        await rig.clock.advance(seconds * 1000);
      }
      await rig.start({ joinKey: WRONG_KEY }); // holds the address for 16 s
    }
    await settle();
    const { raw } = await openRaw(rig);
    await raw.begin(joinFrame(3, raw.share));
    await settle();
    const before = rig.relay.pending;
    await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
    assert.equal(rig.relay.pending, before);
    await rig.clock.advance(1);
    assert.equal(rig.relay.pending, before - 1);
    const types = (await raw.receiveAll()).flatMap(framesOf);
    assert.deepEqual(types, isHeld ? [] : ["share"]);
  }
});

const NO_PROOFS = [
  joinFrame(3),
  encodeFrame({ type: "share", share: new Uint8Array(32).fill(1) }),
  encodeFrame({
    type: "send",
    sid: "00112233445566aa",
    kind: 4,
    tag: TAG,
    payload: new Uint8Array(1),
  }),
  encodeFrame({ type: "admin", request: "01020304", verb: 4, argument: new Uint8Array(0) }),
  encodeFrame({
    type: "cast",
    entries: [{ sid: "00112233445566aa", tag: TAG, box: new Uint8Array(57) }],
    common: new Uint8Array(28),
  }),
  Uint8Array.of(FRAME.PROOF, 0, 31, ...new Uint8Array(31)),
  Uint8Array.of(FRAME.PROOF, 0, 33, ...new Uint8Array(33)),
];

Deno.test("Relay takes nothing but PROOF, PING and PONG behind SHARE", async () => {
  for (const frame of NO_PROOFS) {
    const rig = new RelayRig({ joinKey: JOIN_KEY });
    const { raw, prove } = await openRaw(rig);
    await raw.begin(joinFrame(3, raw.share));
    await prove();
    await raw.send(frame);
    const types = (await raw.receiveAll()).flatMap(framesOf);
    assert.deepEqual(types, ["close"]);
  }
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const { raw, prove } = await openRaw(rig);
  await raw.begin(joinFrame(3, raw.share));
  const proof = await prove();
  await raw.send(concat(
    encodeFrame({ type: "ping", data: new Uint8Array(8) }),
    encodeFrame({ type: "pong", data: new Uint8Array(8) }),
    proof,
  ));
  const types: string[] = [];
  while (!types.includes("welcome")) types.push(...framesOf((await raw.receive())!));
  assert.deepEqual(types.toSorted(), ["pong", "proof", "welcome"]);
});

Deno.test("Relay refuses a PROOF that it has not asked for, and a second one", async () => {
  const proof = encodeFrame({ type: "proof", proof: new Uint8Array(32) });
  const closed = async (raw: RawClient) =>
    framesOf((await raw.receiveAll()).at(-1)!).at(-1) === "close";
  for (const joinKey of [undefined, JOIN_KEY]) {
    const early = new RelayRig({ joinKey });
    const { raw } = await openRaw(early);
    await raw.begin(concat(joinFrame(3, raw.share), proof));
    assert.ok(await closed(raw));
    assert.deepEqual([early.relay.members, early.relay.pending], [0, 0]);
  }
  for (const isWrong of [false, true]) {
    const rig = new RelayRig({ joinKey: JOIN_KEY });
    const { raw, prove } = await openRaw(rig);
    await raw.begin(joinFrame(3, raw.share));
    const right = await prove();
    await raw.send(isWrong ? proof : right);
    await settle();
    assert.equal(rig.relay.members, isWrong ? 0 : 1);
    await raw.send(proof);
    assert.ok(await closed(raw));
    assert.deepEqual([rig.relay.members, rig.relay.pending], [0, 0]);
  }
});

Deno.test("Relay checks what follows a PROOF, and drops it if that is wrong", async () => {
  const send = (kind: number, length: number) =>
    encodeFrame({
      type: "send",
      sid: "00112233445566aa",
      kind,
      tag: TAG,
      payload: new Uint8Array(length),
    });
  for (const [kind, length] of [[0, 1], [5, 1], [4, 0], [4, 16_001]] as const) {
    const rig = new RelayRig({ joinKey: JOIN_KEY });
    const client = await rig.start({ joinKey: WRONG_KEY });
    await settle();
    client.connection.send(send(4, 1));
    await settle();
    assert.deepEqual(client.ends, []);
    client.connection.send(send(kind, length));
    await settle();
    assert.equal(client.reason, REASON.PROTOCOL);
    assert.equal(rig.relay.pending, 0);
  }
});

Deno.test("Relay stops reading from a client that sends too much before its WELCOME", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const known = await rig.join({ joinKey: JOIN_KEY });
  const { raw, prove } = await openRaw(rig);
  await raw.begin(joinFrame(3, raw.share));
  const proof = await prove();
  await rig.start({ joinKey: WRONG_KEY });
  await settle();
  await raw.send(proof); // waits for 1 s
  const large = encodeFrame({
    type: "send",
    sid: known.sid,
    kind: 4,
    tag: TAG,
    payload: new Uint8Array(15_000),
  });
  const sending = (async () => {
    for (let i = 0; i < 100; i++) await raw.send(large);
  })();
  await rig.clock.advance(1); // the relay rests
  await settle(200);
  const stream = raw.stream as MemoryStream;
  assert.ok(stream.written < 1.25 * MAX_UNDELIVERED_BYTES, "the rest has not been taken");
  await rig.clock.advance(1001);
  await sending;
  await settle(200);
  assert.equal(known.texts.length, 100);
});

Deno.test("Relay applies an allow list set while a JOIN waits", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  await rig.start({ joinKey: WRONG_KEY });
  await settle();
  const behind = await rig.start({ joinKey: JOIN_KEY });
  await settle();
  rig.relay.setAllow(new Set());
  await rig.clock.advance(1000);
  await settle();
  assert.equal(behind.reason, REASON.NOT_ALLOWED);
});

Deno.test("Relay assigns no zero sid and none in use", async () => {
  const sids = [0, 7, 7, 0, 8].map((byte) => new Uint8Array(8).fill(byte));
  const random = (length: number) =>
    length === 8 && sids.length > 0
      ? sids.shift()!
      : crypto.getRandomValues(new Uint8Array(length));
  const rig = new RelayRig({ random });
  const members = await rig.room(2);
  assert.deepEqual(members.map(({ sid }) => sid), ["07".repeat(8), "08".repeat(8)]);
});

// --- Replacement ---

Deno.test("Relay replaces a member when the same instance of the same identity joins", async () => {
  const rig = new RelayRig({ capacity: 2 });
  const [anna, bert] = await rig.room(2);
  const again = await rig.join({ seed: 11 });
  await settle();
  assert.equal(bert.reason, REASON.REPLACED);
  assert.deepEqual(comings(anna).slice(1), [`-${bert.sid}:${WHY.REPLACED}`, `+${again.sid}`]);
  assert.deepEqual(again.find("welcome")!.members.map(({ sid }) => sid), [anna.sid]);
  assert.equal(rig.relay.members, 2);
  anna.send(bert.sid, "to the old one");
  anna.send(again.sid, "to the new one");
  await settle();
  assert.deepEqual(again.texts, ["to the new one"]);
});

Deno.test("Relay replaces only in the same room, and only the same instance and identity", async () => {
  const rig = new RelayRig();
  const instance = new Uint8Array(16).fill(9);
  const anna = await rig.join({ seed: 20, instance });
  const others = [
    await rig.join({ seed: 20, instance, room: OTHER_ROOM }),
    await rig.join({ seed: 20, instance: new Uint8Array(16).fill(8) }),
    await rig.join({ seed: 21, instance }),
  ];
  for (const client of [anna, ...others]) assert.deepEqual(client.ends, []);
  assert.equal(rig.relay.members, 4);
});

Deno.test("Relay replaces the only member of a room", async () => {
  const rig = new RelayRig({ maxClients: 1 });
  const old = await rig.join({ seed: 20 });
  const again = await rig.join({ seed: 20 });
  await settle();
  assert.equal(old.reason, REASON.REPLACED);
  assert.deepEqual(again.find("welcome")!.members, []);
  const next = await rig.join({ seed: 20 });
  assert.deepEqual(next.find("welcome")!.members, []);
  assert.equal(rig.relay.members, 1);
});
