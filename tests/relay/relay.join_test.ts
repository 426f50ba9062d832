import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { JOIN_TIMEOUT_MS } from "../../lib/protocol/limits.ts";
import { encodeFrame, FRAME, REASON, WHY } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import { memoryPair } from "../support/memory_stream.ts";
import { RawClient } from "../support/raw_client.ts";
import {
  comings,
  JOIN_KEY,
  joinFrame,
  OTHER_ROOM,
  RelayRig,
  TAG,
  WRONG_KEY,
} from "../support/relay_rig.ts";

// --- JOIN ---

Deno.test("Relay takes further frames behind JOIN in its record", async () => {
  for (const joinKey of [undefined, JOIN_KEY]) {
    const rig = new RelayRig({ joinKey });
    const known = await rig.join({ joinKey: JOIN_KEY });
    const [near, far] = memoryPair();
    rig.relay.accept(far, "127.0.0.1");
    const raw = await RawClient.open(near, cheapKey(3));
    const { computeProof } = await import("../../lib/protocol/password.ts");
    await raw.begin(concat(
      joinFrame(3, computeProof(JOIN_KEY, raw.th3)),
      encodeFrame({
        type: "send",
        sid: known.sid,
        kind: 4,
        tag: "00000000",
        payload: Uint8Array.of(0x68, 0x69),
      }),
    ));
    assert.equal((await raw.receive())?.[0], FRAME.WELCOME);
    assert.deepEqual(known.texts, ["hi"]);
  }
});

Deno.test("Relay ends a connection with CLOSE instead of JOIN without an answer", async () => {
  const rig = new RelayRig();
  const client = await rig.start({ first: encodeFrame({ type: "close", reason: 0 }) });
  await settle();
  assert.deepEqual(client.ends, [{ type: "cut" }]);
  assert.deepEqual([rig.relay.members, rig.relay.pending], [0, 0]);
  assert.deepEqual(rig.events, []);
});

Deno.test("Relay refuses in the order key, list, password, room", async () => {
  const allowed = encodeFingerprint(cheapKey(20).publicKey.fingerprint);
  const weakAllowed = encodeFingerprint(cheapKey(20, 1024).publicKey.fingerprint);
  const rig = new RelayRig({
    allow: new Set([allowed, weakAllowed]),
    joinKey: JOIN_KEY,
    capacity: 1,
  });
  const first = await rig.join({ seed: 20, joinKey: JOIN_KEY });
  assert.ok(first.find("welcome"));
  const cases: [number, Parameters<typeof rig.join>[0]][] = [
    [REASON.WEAK_KEY, { seed: 21, bits: 1024, joinKey: WRONG_KEY }],
    [REASON.NOT_ALLOWED, { seed: 21, joinKey: WRONG_KEY }],
    [REASON.FULL, { seed: 20, joinKey: JOIN_KEY, instance: new Uint8Array(16) }],
  ];
  for (const [reason, options] of cases) assert.equal((await rig.join(options)).reason, reason);
  const wrong = await rig.start({ seed: 20, joinKey: WRONG_KEY, instance: new Uint8Array(16) });
  await rig.clock.advance(1000);
  assert.equal(wrong.reason, REASON.PASSWORD);
  assert.deepEqual(
    rig.events.flatMap((event) => event.event === "refused" ? [event.reason] : []),
    [REASON.WEAK_KEY, REASON.NOT_ALLOWED, REASON.FULL, REASON.PASSWORD],
  );
});

Deno.test("Relay takes keys from the smallest size on that its operator allows", async () => {
  const rig = new RelayRig({ minKeyBits: 1024 });
  assert.ok((await rig.join({ bits: 1024 })).find("welcome"));
  const usual = new RelayRig();
  assert.ok((await usual.join({ bits: 2048 })).find("welcome"));
  assert.equal((await usual.join({ bits: 1024 })).reason, REASON.WEAK_KEY);
});

Deno.test("Relay without a password ignores proofs", async () => {
  const rig = new RelayRig();
  assert.ok((await rig.join({ joinKey: JOIN_KEY })).find("welcome"));
});

// --- Password ---

Deno.test("Relay answers a wrong password late, and pings meanwhile", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  // The delays of one address: 1, 2, 4 … 60 s.
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    const client = await rig.start({ joinKey: WRONG_KEY });
    await rig.clock.advance(seconds * 1000 - 1);
    assert.deepEqual(client.ends, [], `${seconds} s`);
    await rig.clock.advance(1);
    assert.equal(client.reason, REASON.PASSWORD, `${seconds} s`);
  }
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay lets nobody of that address past a wrong password that waits for its answer", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const wrong = await rig.start({ joinKey: WRONG_KEY });
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

Deno.test("Relay cuts a JOIN that has waited 10 s in line behind wrong ones", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  for (const seconds of [1, 2, 4, 8]) {
    await rig.start({ joinKey: WRONG_KEY });
    await rig.clock.advance(seconds * 1000);
  }
  const slow = await rig.start({ joinKey: WRONG_KEY }); // waits 16 s
  await settle();
  const behind = await rig.start({ joinKey: JOIN_KEY });
  await settle();
  await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
  assert.deepEqual(behind.ends, []);
  await rig.clock.advance(1);
  assert.deepEqual(behind.ends, [{ type: "cut" }]);
  assert.deepEqual(slow.ends, []);
  await rig.clock.advance(6_000);
  assert.equal(slow.reason, REASON.PASSWORD);
});

Deno.test("Relay drops SEND and refuses a second JOIN while the first one waits", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const client = await rig.start({ joinKey: WRONG_KEY });
  client.send("00112233445566aa", "too early");
  await settle();
  assert.deepEqual(client.ends, []);
  client.connection.send(joinFrame());
  await settle();
  assert.equal(client.reason, REASON.PROTOCOL);
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay looks at SEND while a JOIN waits as it does later", async () => {
  for (const [kind, length] of [[0, 1], [5, 1], [4, 0], [4, 16_001]] as const) {
    const rig = new RelayRig({ joinKey: JOIN_KEY });
    const client = await rig.start({ joinKey: WRONG_KEY });
    const payload = new Uint8Array(length);
    client.connection.send(
      encodeFrame({ type: "send", sid: "00112233445566aa", kind, tag: TAG, payload }),
    );
    await settle();
    assert.equal(client.reason, REASON.PROTOCOL);
  }
});

Deno.test("Relay applies a list that came while a JOIN waited", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  await rig.start({ joinKey: WRONG_KEY });
  const behind = await rig.start({ joinKey: JOIN_KEY });
  await settle();
  rig.relay.setAllow(new Set());
  await rig.clock.advance(1000);
  assert.equal(behind.reason, REASON.NOT_ALLOWED);
});

Deno.test("Relay gives no sid of zeros, and none that a member has", async () => {
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

Deno.test("Relay replaces a member by the same instance of the same identity", async () => {
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

Deno.test("Relay replaces only within the room, and only the same instance and identity", async () => {
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
