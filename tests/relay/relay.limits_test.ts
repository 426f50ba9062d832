import assert from "node:assert/strict";
import { roomTag } from "../../lib/protocol/rooms.ts";
import {
  HANDSHAKES_PER_CORE,
  JOIN_TIMEOUT_MS,
  MAX_CLIENTS_PER_ADDRESS,
  MAX_HANDSHAKES_IN_ORDER,
  MAX_PENDING,
  MAX_PENDING_PER_ADDRESS,
  MAX_UNDELIVERED_BYTES,
} from "../../lib/protocol/limits.ts";
import { REASON, WHY } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
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

Deno.test("Relay cuts without CLOSE a connection that has not joined after 10 s", async () => {
  for (const stage of ["nothing", "M1", "no first record"]) {
    const rig = new RelayRig();
    const client = rig.dial();
    if (stage === "M1") await client.stream.write(new TextEncoder().encode("HEARTH/2"));
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

Deno.test("Relay cuts the oldest pending connection of an address past 16", async () => {
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

Deno.test("Relay loses track of no connection, whenever it is cut", async () => {
  for (const joinKey of [undefined, JOIN_KEY]) {
    for (let turns = 0; turns < 40; turns++) {
      const rig = new RelayRig({ joinKey });
      const [near, far] = memoryPair();
      rig.relay.accept(far, "192.0.2.1");
      const raw = await RawClient.open(near, cheapKey(3));
      void raw.begin(joinFrame(0, joinKey && new Uint8Array(32).fill(1)));
      for (let i = 0; i < turns; i++) await Promise.resolve();
      for (let i = 0; i < 16; i++) rig.relay.accept(memoryPair()[1], "192.0.2.1");
      await settle();
      assert.equal(far.closed, rig.relay.members + rig.relay.pending === 16, `${turns}`);
    }
  }
});

Deno.test("Relay cuts the oldest pending connection of the address with the most past 64", async () => {
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

Deno.test("Relay frees a pending slot when a client has joined", async () => {
  const rig = new RelayRig();
  for (let i = 0; i < MAX_PENDING_PER_ADDRESS + 4; i++) {
    await rig.clock.advance(100);
    const client = await rig.join({ address: "192.0.2.1" });
    assert.ok(client.find("welcome"));
  }
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay limits members per room and in total", async () => {
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

Deno.test("Relay accepts 64 members per address, more from loopback", async () => {
  const rig = new RelayRig({
    capacity: 256,
    isNear: (address) => address.startsWith("2001:db8:aaaa:"),
  });
  const fill = async (addressOf: (i: number) => string, count: number) => {
    for (let i = 0; i < count; i++) {
      if (i % 40 === 0) await rig.clock.advance(1000);
      assert.ok((await rig.join({ address: addressOf(i) })).find("welcome"));
    }
    await rig.clock.advance(1000);
  };
  // A /64 is one address, unless it is a network of the relay's computer.
  await fill((i) => `2001:db8::${i.toString(16)}`, MAX_CLIENTS_PER_ADDRESS);
  assert.equal((await rig.join({ address: "2001:DB8::1" })).reason, REASON.FULL);
  assert.equal((await rig.join({ address: "2001:db8::9999" })).reason, REASON.FULL);
  assert.ok((await rig.join({ address: "2001:db8:0:1::1" })).find("welcome"));
  await fill(() => "2001:db8:aaaa::1", MAX_CLIENTS_PER_ADDRESS);
  assert.equal((await rig.join({ address: "2001:db8:aaaa::1" })).reason, REASON.FULL);
  assert.ok((await rig.join({ address: "2001:db8:aaaa::2" })).find("welcome"));
  await fill(() => "::1", MAX_CLIENTS_PER_ADDRESS + 1);
});

Deno.test("Relay counts members again once they have left, by the same address", async () => {
  const rig = new RelayRig();
  const members = [];
  for (let i = 0; i < MAX_CLIENTS_PER_ADDRESS; i++) {
    if (i % 40 === 0) await rig.clock.advance(1000);
    members.push(await rig.join({ room: roomTag(`${i % 2}`), address: `2001:db8::${i}` }));
  }
  assert.equal((await rig.join({ address: "2001:db8::ff" })).reason, REASON.FULL);
  void members[9]!.connection.close(REASON.NORMAL);
  await settle();
  await rig.clock.advance(1000);
  assert.ok((await rig.join({ address: "2001:db8::ff" })).find("welcome"));
});

Deno.test("Relay counts what is pending from a /64 together, and cuts the busiest address in it", async () => {
  const rig = new RelayRig({ isNear: () => true });
  const dial = (address: string) => rig.dial({ address });
  const first = dial("2001:db8::1");
  const busy = [dial("2001:db8::2"), dial("2001:db8::2")];
  const rest = Array.from(
    { length: MAX_PENDING_PER_ADDRESS - 3 },
    (_, i) => dial(`2001:db8::1:${i}`),
  );
  const elsewhere = dial("2001:db8:0:1::1");
  await settle();
  assert.equal(rig.relay.pending, MAX_PENDING_PER_ADDRESS + 1);
  rest.push(dial("2001:db8::3"));
  await settle();
  const closed = [first, ...busy, ...rest, elsewhere].map((it) => it.relayStream.closed);
  assert.deepEqual(closed.indexOf(true), 1, "the first of the two from one address");
  assert.equal(closed.filter(Boolean).length, 1);
  rest.push(dial("2001:db8::4"));
  await settle();
  assert.equal(first.relayStream.closed, true, "then the oldest");
});

Deno.test("Relay serves the newest handshake while more than 25 wait", async () => {
  const gates: (() => void)[] = [];
  const rig = new RelayRig({
    cores: 1,
    primitives: {
      ...cheapPrimitives,
      encapsulate: async (publicKey, options) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return await cheapPrimitives.encapsulate(publicKey, options);
      },
    },
  });
  const joined: number[] = [];
  const start = (n: number) => void rig.start().then(() => joined.push(n), () => {});
  for (let n = 0; n < HANDSHAKES_PER_CORE + MAX_HANDSHAKES_IN_ORDER + 10; n++) start(n);
  await settle(10);
  start(1000);
  await settle(10);
  for (let i = 0; i <= HANDSHAKES_PER_CORE; i++) {
    gates.shift()!();
    await settle(10);
  }
  assert.deepEqual(joined, [0, 1, 2, 3, 1000]);
});

Deno.test("Relay lets others join while one host sends 150 first messages a second", async () => {
  for (const addressOf of [(i: number) => `192.0.2.${i}`, (i: number) => `2001:db8::${i}`]) {
    const rig = new RelayRig({ cores: 1, isNear: () => true });
    for (let i = 0; i < 500; i++) {
      const { stream } = rig.dial({ address: addressOf(i % 200) });
      void RawClient.open(stream, cheapKey(3)).catch(() => {}); // M1, and nothing after M2
      await rig.clock.advance(1000 / 150);
      if (i < 200 || i % 30 > 0) continue;
      assert.ok((await rig.join({ address: addressOf(250) })).find("welcome"));
    }
    assert.equal(rig.relay.members, 10);
    assert.ok(rig.relay.pending <= MAX_PENDING);
  }
});

Deno.test("Relay runs 4 handshakes a core at once, in order", async () => {
  const gates: (() => void)[] = [];
  const rig = new RelayRig({
    cores: 1,
    primitives: {
      ...cheapPrimitives,
      encapsulate: async (publicKey, options) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return await cheapPrimitives.encapsulate(publicKey, options);
      },
    },
  });
  const clients = Array.from({ length: 20 }, () => rig.start());
  await settle(10);
  assert.equal(gates.length, HANDSHAKES_PER_CORE);
  gates.shift()!();
  await settle(10);
  assert.equal(gates.length, HANDSHAKES_PER_CORE);
  const first = await Promise.race(clients.map((client, i) => client.then(() => i)));
  assert.equal(first, 0);
  for (let i = 0; i < 25; i++) {
    gates.shift()?.();
    await settle(2);
  }
  await Promise.all(clients);
  assert.equal(rig.relay.members, 20);
});

Deno.test("Relay begins 200 handshakes a core a second, 800 with many cores", async () => {
  for (const [cores, limit] of [[1, 200], [16, 800]] as const) {
    const rig = new RelayRig({ cores, capacity: 256 });
    for (let i = 0; i < limit; i++) await rig.join({ room: roomTag(`${i % 8}`) });
    const late = rig.start();
    await settle(10);
    await rig.clock.advance(999);
    assert.equal(rig.relay.members, limit);
    await rig.clock.advance(1);
    await late;
    await settle();
    assert.equal(rig.relay.members, limit + 1);
  }
});

Deno.test("Relay stops reading from a sender past 1 MiB undelivered, until half is delivered", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const carl = await rig.join();
  bert.relayStream.stalled = true;
  // The relay counts 256 bytes more than the payload.
  const payload = new Uint8Array(8192 - 256);
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

Deno.test("Relay closes a receiver that does not read, and its senders continue", async () => {
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

Deno.test("Relay writes what waits for one receiver in turn, one frame of each sender", async () => {
  for (const length of [20, 2000, 16_000]) {
    const rig = new RelayRig();
    const [anna, bert] = await rig.room(2);
    const carl = await rig.join();
    bert.relayStream.stalled = true;
    const pad = "x".repeat(length);
    for (let i = 0; i < 40; i++) anna.send(bert.sid, `anna ${i} ${pad}`.slice(0, length));
    await settle(300);
    const late = await rig.join();
    await settle();
    for (let i = 0; i < 3; i++) carl.send(bert.sid, `carl ${i} ${pad}`.slice(0, length));
    await settle(300);
    for (let i = 40; i < 43; i++) anna.send(bert.sid, `anna ${i} ${pad}`.slice(0, length));
    await settle(300);
    bert.relayStream.stalled = false;
    await settle(300);
    // The JOINED stays behind what came before it.
    const place = bert.frames.findIndex((frame) =>
      frame.type === "joined" && frame.sid === late.sid
    );
    assert.equal(bert.frames.slice(0, place).filter(({ type }) => type === "recv").length, 40);
    const names = bert.texts.map((text) => text.split(" ", 2).join(" "));
    assert.deepEqual(names, [
      ...Array.from({ length: 40 }, (_, i) => `anna ${i}`),
      ...["carl 0", "anna 40", "carl 1", "anna 41", "carl 2", "anna 42"],
    ]);
  }
});

Deno.test("Relay lets no sender delay another's frames by more than its own", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const carl = await rig.join();
  bert.relayStream.stalled = true;
  for (let i = 0; i < 200; i++) anna.send(bert.sid, new Uint8Array(4000));
  await settle(300);
  carl.send(bert.sid, "carl");
  await settle();
  bert.relayStream.stalled = false;
  await settle(300);
  assert.equal(bert.texts.length, 201);
  const before = bert.texts.indexOf("carl");
  assert.ok(before <= 5, `${before} of anna's: one record, which was being written, and one frame`);
});

// --- The operator ---

Deno.test("Relay removes members missing from a new allow list: CLOSE(8) and LEFT(3)", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  rig.relay.setAllow(new Set([encodeFingerprint(cheapKey(10).publicKey.fingerprint)]));
  await settle();
  assert.equal(bert.reason, REASON.REMOVED);
  assert.deepEqual(comings(anna).slice(1), [`-${bert.sid}:${WHY.REMOVED}`]);
  assert.deepEqual(anna.ends, []);
  assert.equal((await rig.join({ seed: 11 })).reason, REASON.NOT_ALLOWED);
});

Deno.test("Relay.stop() sends CLOSE(7) to members and waiting clients, and nothing else", async () => {
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

Deno.test("Relay.stop() waits at most 2 s for clients that do not read", async () => {
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

Deno.test("Relay reports who joined, left or was refused, and why a connection was closed", async () => {
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
