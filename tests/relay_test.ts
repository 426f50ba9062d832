import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type Bytes, concat, decodeHex, withLength } from "../lib/bytes.ts";
import {
  JOIN_TIMEOUT_MS,
  MAX_CLIENTS_PER_ADDRESS,
  MAX_PENDING,
  MAX_PENDING_PER_ADDRESS,
  MAX_UNDELIVERED_BYTES,
} from "../lib/limits.ts";
import { decodeFrame, encodeFrame, FRAME, REASON, WHY } from "../lib/transport_frame.ts";
import { encodeFingerprint } from "../lib/rsa.ts";
import { cheapKey } from "./support/cheap_key.ts";
import { settle } from "./support/fake_clock.ts";
import { memoryPair } from "./support/memory_stream.ts";
import { RawClient } from "./support/raw_client.ts";
import { LOBBY, RelayRig, repeated, type RigClient, TAG } from "./support/relay_rig.ts";

const OTHER_ROOM = new Uint8Array(32).fill(7);
const JOIN_KEY: Bytes = new Uint8Array(32).fill(5);
const WRONG_KEY: Bytes = new Uint8Array(32).fill(6);
const CLOSE_PROTOCOL = encodeFrame({ type: "close", reason: REASON.PROTOCOL });

function join(seed = 0, proof = new Uint8Array(32)): Uint8Array {
  const instance = new Uint8Array(16).fill(seed);
  return encodeFrame({ type: "join", proof, room: LOBBY, instance });
}

/** What happened in the room, as a client saw it: `+sid` and `-sid:why`. */
function comings(client: RigClient): string[] {
  return client.frames.flatMap((frame) =>
    frame.type === "joined"
      ? [`+${frame.sid}`]
      : frame.type === "left"
      ? [`-${frame.sid}:${frame.why}`]
      : []
  );
}

// --- Forwarding ---

Deno.test("Relay forwards payloads between the members of a room, in order", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  for (let i = 0; i < 100; i++) anna.send(bert.sid, `message ${i}`);
  bert.send(anna.sid, "answer");
  await settle();
  assert.deepEqual(bert.texts, Array.from({ length: 100 }, (_, i) => `message ${i}`));
  assert.deepEqual(anna.texts, ["answer"]);
  const { sid, kind, tag } = bert.find("recv")!;
  assert.deepEqual([sid, kind, tag], [anna.sid, 4, "a13f49b2"]);
});

Deno.test("Relay lists the others in the order they joined, and tells them", async () => {
  const rig = new RelayRig({ capacity: 7 });
  const [anna, bert, carl] = await rig.room(3);
  const welcome = carl.find("welcome")!;
  assert.equal(welcome.capacity, 7);
  assert.deepEqual(welcome.members.map(({ sid }) => sid), [anna.sid, bert.sid]);
  assert.deepEqual(welcome.members[0]!.fingerprint, cheapKey(10).publicKey.fingerprint);
  assert.deepEqual(comings(anna), [`+${bert.sid}`, `+${carl.sid}`]);
  assert.deepEqual(comings(bert), [`+${carl.sid}`]);
  assert.deepEqual(comings(carl), []);
});

Deno.test("Relay keeps rooms apart, and drops what goes to nobody or to oneself", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const other = await rig.join({ room: OTHER_ROOM });
  anna.send(other.sid, "over there");
  anna.send("0000000000000000", "nobody");
  anna.send("00112233445566aa", "nobody");
  anna.send(anna.sid.slice(0, 8) + "00000000", "half right");
  anna.send(anna.sid, "myself");
  anna.send(bert.sid, "hello");
  await settle();
  assert.deepEqual([anna.texts, bert.texts, other.texts], [[], ["hello"], []]);
  assert.deepEqual(comings(anna), [`+${bert.sid}`]);
  assert.deepEqual(other.find("welcome")!.members, []);
  assert.equal(rig.relay.members, 3);
});

Deno.test("Relay says why somebody left: 0 for CLOSE(0), 1 for anything else", async () => {
  const rig = new RelayRig();
  const watcher = await rig.join();
  const ends: [(client: RigClient) => unknown, number][] = [
    [(client) => client.connection.close(REASON.NORMAL), WHY.LEFT],
    [(client) => client.connection.close(REASON.TIMEOUT), WHY.LOST],
    [(client) => client.connection.close(200), WHY.LOST],
    [(client) => client.connection.abort(), WHY.LOST],
    [(client) => client.stream.cut(), WHY.LOST],
    [(client) => client.connection.send(Uint8Array.of(0x77, 0, 0)), WHY.LOST],
  ];
  for (const [end, why] of ends) {
    const client = await rig.join();
    void end(client);
    await settle();
    assert.deepEqual(comings(watcher).slice(-2), [`+${client.sid}`, `-${client.sid}:${why}`]);
  }
  assert.equal(rig.relay.members, 1);
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay delivers what was sent before a CLOSE, and LEFT after it", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  anna.send(bert.sid, "the last word");
  void anna.connection.close(REASON.NORMAL);
  await settle();
  const types = bert.frames.map(({ type }) => type);
  assert.deepEqual(types, ["welcome", "recv", "left"]);
});

// --- Known answers ---

interface KnownFrame {
  receiver: "relay" | "client" | "both";
  reason: string;
  hex: string;
  repeat?: [string, number];
  state?: string;
}

const KAT = JSON.parse(
  await Deno.readTextFile(new URL("./vectors/kat.json", import.meta.url)),
).frames as { known: string; own: string; edge: KnownFrame[]; rejected: KnownFrame[] };

/** A member called `own` in a room with a member called `known`, whose records are the test's. */
async function memberWithSids() {
  const sids = [KAT.known, KAT.own].map((hex) => decodeHex(hex));
  const random = (length: number) =>
    length === 8 && sids.length > 0
      ? sids.shift()!
      : crypto.getRandomValues(new Uint8Array(length));
  const rig = new RelayRig({ random });
  const known = await rig.join();
  assert.equal(known.sid, KAT.known);
  const [near, far] = memoryPair();
  rig.relay.accept(far, "127.0.0.1");
  const raw = await RawClient.open(near, cheapKey(3));
  return { rig, known, raw };
}

Deno.test("Relay refuses with CLOSE(3) what kat.json says, and tells the room", async () => {
  let count = 0;
  for (const { receiver, reason, hex, repeat, state } of KAT.rejected) {
    if (receiver === "client") continue;
    const { known, raw } = await memberWithSids();
    const plaintext = repeated(hex, repeat);
    if (state === "first record") await raw.begin(plaintext);
    else {
      await raw.begin(join());
      assert.equal((await raw.receive())?.[0], FRAME.WELCOME);
      await raw.send(plaintext);
    }
    assert.deepEqual(await raw.receiveAll(), [CLOSE_PROTOCOL], reason);
    const told = state === "first record" ? [] : [`+${KAT.own}`, `-${KAT.own}:${WHY.LOST}`];
    assert.deepEqual(comings(known), told, reason);
    count++;
  }
  assert.equal(count, 26);
});

Deno.test("Relay accepts what kat.json says, without a word", async () => {
  let count = 0;
  for (const { receiver, reason, hex, repeat } of KAT.edge) {
    if (receiver !== "relay") continue;
    const { known, raw } = await memberWithSids();
    await raw.begin(join());
    await raw.receive();
    const frame = repeated(hex, repeat);
    await raw.send(frame);
    await raw.send(encodeFrame({ type: "ping", data: new Uint8Array(8) }));
    assert.equal((await raw.receive())?.[0], FRAME.PONG, reason);
    const isForwarded = hex.includes(KAT.known);
    const received = known.frames.filter(({ type }) => type === "recv");
    assert.equal(received.length, isForwarded ? 1 : 0, reason);
    if (isForwarded) {
      const sent = decodeFrame(FRAME.SEND, frame.subarray(3));
      assert.ok(sent.type === "send");
      assert.deepEqual(received[0], { ...sent, type: "recv", sid: KAT.own });
    }
    count++;
  }
  assert.equal(count, 6);
});

Deno.test("decodeFrame() refuses by form what kat.json says a client must refuse", () => {
  let count = 0;
  const byState = /before WELCOME|^(JOIN|SEND) from|second WELCOME|known sid|own sid|unknown sid/;
  for (const { receiver, reason, hex, state } of KAT.rejected) {
    if (receiver !== "client") continue;
    const bytes = decodeHex(hex);
    if (byState.test(reason) && !(state === "before WELCOME" && hex.startsWith("11"))) continue;
    assert.throws(
      () => decodeFrame(bytes[0]!, bytes.subarray(3)),
      { name: "ProtocolError" },
      reason,
    );
    count++;
  }
  assert.equal(count, 16);
});

Deno.test("Relay ends nobody but who sends hostile bytes", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const hostile = fc.oneof(
    fc.record({ plaintext: fc.uint8Array({ maxLength: 100 }) }),
    fc.record({ type: fc.constantFrom(...Object.values(FRAME)), body: fc.uint8Array() }),
    fc.record({ wire: fc.uint8Array({ minLength: 1, maxLength: 100 }) }),
  );
  await fc.assert(
    fc.asyncProperty(hostile, fc.boolean(), async (bytes, isFirst) => {
      const { stream } = rig.dial();
      await rig.clock.advance(25); // at most 50 handshakes a second
      const raw = await RawClient.open(stream, cheapKey(3));
      if (!isFirst) await raw.begin(join());
      const plaintext = "plaintext" in bytes
        ? bytes.plaintext
        : "body" in bytes
        ? concat(Uint8Array.of(bytes.type), withLength(bytes.body))
        : undefined;
      if ("wire" in bytes) await stream.write(bytes.wire);
      else if (isFirst) await raw.begin(plaintext!);
      else await raw.send(plaintext!);
      await stream.closeWrite();
      await raw.receiveAll();
      await settle();
      assert.equal(rig.relay.members, 2);
      assert.equal(rig.relay.pending, 0);
    }),
    { numRuns: 150 },
  );
  anna.send(bert.sid, "still here");
  await settle();
  assert.deepEqual(bert.texts, ["still here"]);
});

// --- JOIN ---

Deno.test("Relay takes further frames behind JOIN in its record", async () => {
  for (const joinKey of [undefined, JOIN_KEY]) {
    const rig = new RelayRig({ joinKey });
    const known = await rig.join({ joinKey: JOIN_KEY });
    const [near, far] = memoryPair();
    rig.relay.accept(far, "127.0.0.1");
    const raw = await RawClient.open(near, cheapKey(3));
    const { computeProof } = await import("../lib/password.ts");
    await raw.begin(concat(
      join(3, computeProof(JOIN_KEY, raw.th3)),
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
  client.connection.send(join());
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

// --- Limits ---

Deno.test("Relay cuts without CLOSE who has not joined 10 s after accept", async () => {
  for (const stage of ["nothing", "M1", "no first record"]) {
    const rig = new RelayRig();
    const client = rig.dial();
    if (stage === "M1") await client.stream.write(new TextEncoder().encode("HEARTH/1"));
    if (stage === "no first record") await RawClient.open(client.stream, cheapKey(3));
    await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
    assert.equal(client.relayStream.closed, false, stage);
    await rig.clock.advance(1);
    assert.equal(client.relayStream.closed, true, stage);
    assert.equal(rig.relay.pending, 0);
    const causes = rig.events.map((event) => event.event === "closed" ? event.cause : event.event);
    assert.deepEqual(causes, ["no JOIN in time"], stage);
  }
});

Deno.test("Relay cuts the oldest pending of an address that has more than 16", async () => {
  const rig = new RelayRig();
  const other = rig.dial({ address: "192.0.2.2" });
  const dials = Array.from(
    { length: MAX_PENDING_PER_ADDRESS },
    () => rig.dial({ address: "192.0.2.1" }),
  );
  await settle();
  assert.ok(dials.every(({ relayStream }) => !relayStream.closed));
  dials.push(rig.dial({ address: "::ffff:192.0.2.1" }));
  await settle();
  assert.deepEqual(dials.map(({ relayStream }) => relayStream.closed).indexOf(false), 1);
  assert.equal(other.relayStream.closed, false);
  assert.equal(rig.relay.pending, MAX_PENDING_PER_ADDRESS + 1);
});

Deno.test("Relay forgets none that it cuts, at whatever moment that is", async () => {
  for (const joinKey of [undefined, JOIN_KEY]) {
    for (let turns = 0; turns < 40; turns++) {
      const rig = new RelayRig({ joinKey });
      const [near, far] = memoryPair();
      rig.relay.accept(far, "192.0.2.1");
      const raw = await RawClient.open(near, cheapKey(3));
      void raw.begin(join());
      for (let i = 0; i < turns; i++) await Promise.resolve();
      for (let i = 0; i < 16; i++) rig.relay.accept(memoryPair()[1], "192.0.2.1");
      await settle();
      assert.equal(far.closed, rig.relay.members + rig.relay.pending === 16, `${turns}`);
    }
  }
});

Deno.test("Relay cuts the oldest pending of the address with the most when there are more than 64", async () => {
  const rig = new RelayRig();
  const single = rig.dial({ address: "192.0.2.9" });
  const local = Array.from({ length: 40 }, () => rig.dial());
  const rest = Array.from(
    { length: MAX_PENDING - 41 },
    (_, i) => rig.dial({ address: `192.0.2.${20 + i % 2}` }),
  );
  await settle();
  assert.equal(rig.relay.pending, MAX_PENDING);
  for (const client of [single, ...local, ...rest]) assert.equal(client.relayStream.closed, false);
  const last = rig.dial({ address: "198.51.100.1" });
  await settle();
  assert.equal(rig.relay.pending, MAX_PENDING);
  assert.equal(local[0]!.relayStream.closed, true);
  for (const client of [single, ...local.slice(1), ...rest, last]) {
    assert.equal(client.relayStream.closed, false);
  }
});

Deno.test("Relay lets a place among the pending go when a member has joined", async () => {
  const rig = new RelayRig();
  for (let i = 0; i < MAX_PENDING_PER_ADDRESS + 4; i++) {
    await rig.clock.advance(100);
    const client = await rig.join({ address: "192.0.2.1" });
    assert.ok(client.find("welcome"));
  }
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay takes as many members of a room and in all as it is told", async () => {
  for (
    const [options, room] of [[{ capacity: 3 }, LOBBY], [{ maxClients: 3 }, OTHER_ROOM]] as const
  ) {
    const rig = new RelayRig(options);
    const members = [await rig.join(), await rig.join(), await rig.join({ room })];
    for (const client of members) assert.ok(client.find("welcome"));
    assert.equal((await rig.join()).reason, REASON.FULL);
    void members[0]!.connection.close(REASON.NORMAL);
    await settle();
    assert.ok((await rig.join()).find("welcome"));
  }
});

Deno.test("Relay takes 64 members of one address, of loopback more", async () => {
  const rig = new RelayRig({ capacity: 256 });
  const fill = async (address: string, count: number) => {
    for (let i = 0; i < count; i++) {
      if (i % 40 === 0) await rig.clock.advance(1000);
      assert.ok((await rig.join({ address })).find("welcome"));
    }
  };
  await fill("2001:db8::1", MAX_CLIENTS_PER_ADDRESS);
  await rig.clock.advance(1000);
  assert.equal((await rig.join({ address: "2001:DB8::1" })).reason, REASON.FULL);
  assert.ok((await rig.join({ address: "2001:db8::2" })).find("welcome"));
  await fill("::1", MAX_CLIENTS_PER_ADDRESS + 1);
});

Deno.test("Relay works on 4 handshakes at once and begins 50 a second, the others wait in order", async () => {
  const gates: (() => void)[] = [];
  const key = cheapKey(1);
  const rig = new RelayRig({
    key: {
      publicKey: key.publicKey,
      decrypt: (ciphertext) => key.decrypt(ciphertext),
      sign: async (context, message) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return await key.sign(context, message);
      },
    },
  });
  const clients = Array.from({ length: 60 }, () => rig.start());
  await settle(10);
  assert.equal(gates.length, 4);
  gates.shift()!();
  await settle(10);
  assert.equal(gates.length, 4);
  const first = await Promise.race(clients.map((client, i) => client.then(() => i)));
  assert.equal(first, 0);
  for (let i = 0; i < 100; i++) {
    gates.shift()?.();
    await settle(2);
  }
  assert.equal(rig.relay.members, 50);
  await rig.clock.advance(999);
  assert.equal(gates.length, 0);
  await rig.clock.advance(1);
  for (let i = 0; i < 20; i++) {
    gates.shift()?.();
    await settle(2);
  }
  assert.equal(rig.relay.members, 60);
  await Promise.all(clients);
});

Deno.test("Relay reads no more from a sender with over 1 MiB undelivered, until half is gone", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const carl = await rig.join();
  bert.relayStream.stalled = true;
  // What the relay counts for a payload: 14 bytes more.
  const payload = new Uint8Array(8192 - 14);
  const whole = MAX_UNDELIVERED_BYTES / 8192;
  for (let i = 0; i < whole; i++) anna.send(bert.sid, payload);
  await settle(300);
  anna.send(carl.sid, "just at the limit");
  await settle();
  assert.deepEqual(carl.texts, ["just at the limit"]);
  anna.send(bert.sid, "x");
  await settle();
  anna.send(carl.sid, "above it");
  await settle();
  assert.deepEqual(carl.texts, ["just at the limit"]);
  carl.send(anna.sid, "others go on");
  carl.send(bert.sid, "others go on");
  await settle();
  assert.deepEqual(anna.texts, ["others go on"]);
  bert.relayStream.stalled = false;
  await settle(300);
  assert.deepEqual(carl.texts, ["just at the limit", "above it"]);
  assert.equal(bert.texts.length, whole + 2);
});

Deno.test("Relay closes a receiver that does not read, and its senders go on", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const carl = await rig.join();
  bert.relayStream.stalled = true;
  for (let i = 0; i < 100; i++) anna.send(bert.sid, new Uint8Array(16_000));
  await settle(300);
  anna.send(carl.sid, "waits");
  await rig.clock.advance(14_000);
  assert.deepEqual(carl.texts, []);
  await rig.clock.advance(1_100);
  await settle(300);
  assert.deepEqual(comings(carl), [`-${bert.sid}:${WHY.LOST}`]);
  assert.deepEqual(carl.texts, ["waits"]);
  assert.ok(rig.events.some((event) => event.event === "closed" && event.cause === "too slow"));
  await rig.clock.advance(60_000);
  assert.deepEqual([anna.ends, carl.ends], [[], []]);
});

// --- The operator ---

Deno.test("Relay removes members that a new list does not name: CLOSE(8) and LEFT(3)", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  rig.relay.setAllow(new Set([encodeFingerprint(cheapKey(10).publicKey.fingerprint)]));
  await settle();
  assert.equal(bert.reason, REASON.REMOVED);
  assert.deepEqual(comings(anna).slice(1), [`-${bert.sid}:${WHY.REMOVED}`]);
  assert.deepEqual(anna.ends, []);
  assert.equal((await rig.join({ seed: 11 })).reason, REASON.NOT_ALLOWED);
});

Deno.test("Relay.stop() tells everybody CLOSE(7), also who waits, and nothing else", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const anna = await rig.join({ joinKey: JOIN_KEY });
  const bert = await rig.join({ joinKey: JOIN_KEY });
  const waiting = await rig.start({ joinKey: WRONG_KEY });
  const silent = rig.dial();
  await settle();
  const stopping = rig.relay.stop();
  await settle();
  for (const client of [anna, bert, waiting]) assert.equal(client.reason, REASON.SHUTTING_DOWN);
  assert.deepEqual(comings(anna), [`+${bert.sid}`]);
  await stopping;
  assert.ok(silent.relayStream.closed);
  await settle();
  assert.deepEqual([rig.relay.members, rig.relay.pending], [0, 0]);
  assert.ok(rig.dial().relayStream.closed, "takes nobody any more");
});

Deno.test("Relay.stop() waits at most 2 s for who does not read", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  bert.relayStream.stalled = true;
  anna.send(bert.sid, "stuck");
  await settle();
  let hasStopped = false;
  const stopping = rig.relay.stop().then(() => hasStopped = true);
  await rig.clock.advance(1_999);
  assert.equal(anna.reason, REASON.SHUTTING_DOWN);
  assert.equal(hasStopped, false);
  await rig.clock.advance(1);
  assert.equal(hasStopped, true);
  await stopping;
  assert.ok(bert.relayStream.closed);
  await settle();
  assert.equal(rig.clock.timers, 0);
});

Deno.test("Relay tells who joined, left, was refused and why a connection was closed", async () => {
  const rig = new RelayRig();
  const anna = await rig.join({ address: "::ffff:192.0.2.1" });
  await rig.join({ bits: 1024 });
  void anna.connection.close(REASON.NORMAL);
  const dial = rig.dial();
  await dial.stream.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  await settle();
  assert.equal(rig.relay.pending, 1, "as long as it lingers");
  await rig.clock.advance(1000);
  const fingerprint = encodeFingerprint(cheapKey(10).publicKey.fingerprint);
  const weak = encodeFingerprint(cheapKey(11, 1024).publicKey.fingerprint);
  assert.deepEqual(rig.events, [
    { event: "joined", fingerprint, address: "192.0.2.1" },
    { event: "refused", fingerprint: weak, address: "127.0.0.1", reason: REASON.WEAK_KEY },
    { event: "left", fingerprint, address: "192.0.2.1", why: WHY.LEFT },
    { event: "closed", address: "127.0.0.1", cause: "protocol error: bad-magic" },
  ]);
});

// --- Against a naive model ---

/** What a relay has to do, in the simplest words: who is in which room, and what each has been sent. */
class Model {
  readonly rooms: number[][] = [[], []];
  readonly seen: string[][] = [];

  join(who: number, room: number): void {
    this.seen[who] = [`welcome ${this.rooms[room]!.join(" ")}`];
    for (const other of this.rooms[room]!) this.seen[other]!.push(`joined ${who}`);
    this.rooms[room]!.push(who);
  }

  leave(who: number, why: number): void {
    for (const members of this.rooms) {
      const index = members.indexOf(who);
      if (index < 0) continue;
      members.splice(index, 1);
      for (const other of members) this.seen[other]!.push(`left ${who} ${why}`);
    }
  }

  send(from: number, to: number, text: string): void {
    const together = this.rooms.some((room) => room.includes(from) && room.includes(to));
    if (together && from !== to) this.seen[to]!.push(`recv ${from} ${text}`);
  }
}

Deno.test("Relay does what a naive model of it does", async () => {
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("join" as const), room: fc.nat(1) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom("leave" as const, "drop" as const),
        who: fc.nat(9),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("send" as const),
        who: fc.nat(9),
        to: fc.nat(9),
        size: fc.constantFrom(1, 100, 16_000),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { maxLength: 40 }),
      fc.integer({ min: 1, max: 3000 }),
      async (actions, readSize) => {
        const rig = new RelayRig();
        const model = new Model();
        const clients: RigClient[] = [];
        const present = (who: number) => who < clients.length && clients[who]!.ends.length === 0;
        for (const [i, step] of actions.entries()) {
          if (step.do === "join") {
            model.join(clients.length, step.room);
            const room = step.room === 0 ? LOBBY : OTHER_ROOM;
            clients.push(await rig.join({ room, readSize }));
          } else if (!present(step.who)) continue;
          else if (step.do === "send") {
            const to = clients[step.to];
            const text = `${i} `.padEnd(step.size, ".").slice(0, step.size);
            if (to) model.send(step.who, step.to, text);
            clients[step.who]!.send(to?.sid ?? "00000000000000aa", text);
          } else {
            model.leave(step.who, step.do === "leave" ? WHY.LEFT : WHY.LOST);
            if (step.do === "leave") void clients[step.who]!.connection.close(REASON.NORMAL);
            else clients[step.who]!.connection.abort();
          }
          await settle(20_000 / readSize > 20 ? 60 : 20);
        }
        const names = new Map(clients.map((client, i) => [client.sid, i]));
        const seen = clients.map((client) =>
          client.frames.map((frame) => {
            switch (frame.type) {
              case "welcome":
                return `welcome ${frame.members.map(({ sid }) => names.get(sid)).join(" ")}`;
              case "joined":
                return `joined ${names.get(frame.sid)}`;
              case "left":
                return `left ${names.get(frame.sid)} ${frame.why}`;
              case "recv":
                return `recv ${names.get(frame.sid)} ${new TextDecoder().decode(frame.payload)}`;
              default:
                return frame.type;
            }
          })
        );
        assert.deepEqual(seen, model.seen);
        await rig.relay.stop();
      },
    ),
    { numRuns: 30 },
  );
});
