import assert from "node:assert/strict";
import {
  JOIN_TIMEOUT_MS,
  MAX_CLIENTS_PER_ADDRESS,
  MAX_PENDING,
  MAX_PENDING_PER_ADDRESS,
  MAX_UNDELIVERED_BYTES,
} from "../../lib/protocol/limits.ts";
import { REASON, WHY } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import { memoryPair } from "../support/memory_stream.ts";
import { RawClient } from "../support/raw_client.ts";
import {
  comings,
  JOIN_KEY,
  joinFrame,
  LOBBY,
  OTHER_ROOM,
  RelayRig,
  WRONG_KEY,
} from "../support/relay_rig.ts";

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
      void raw.begin(joinFrame());
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
