import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { decodeMessage, encodeMessage, type SentMessage } from "../../lib/protocol/messages.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { settle } from "../support/fake_clock.ts";
import { chat, HELLO } from "../support/messages.ts";
import { BOTH, describe, Rig } from "../support/peer_rig.ts";

await cipherReady();

// A new channel beside an old one.

Deno.test("Peer as initiator: from M3 on it sends on the new channel, and receives on both until the other moves", async () => {
  const rig = new Rig({ initiates: true });
  const old = await rig.connect();
  rig.peer.start();
  const m1 = rig.take().at(-1)!;
  rig.write("a");
  await rig.say(old, chat(1, "still here"));
  await rig.clock.advance(1000); // the ACK
  assert.deepEqual(rig.heard(old), ["chat 1 a", "ack 1"]);
  const responder = new Responder(rig.otherOptions());
  await rig.give(KIND.M2, m1.tag, await responder.consumeM1(m1.payload));
  const [m3, ...records] = rig.take();
  const { sendKey, receiveKey } = await responder.consumeM3(m3!.payload);
  const fresh = { tag: m1.tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  const first = records.map(({ payload }) => describe(decodeMessage(fresh.opener.open(payload))));
  assert.deepEqual(first, ["hello me"]);
  rig.write("b");
  assert.deepEqual(rig.take(), []); // not on the old one, and not yet on the new one
  await rig.say(old, chat(2, "on the old one"));
  await rig.say(old, { type: "ack", received: 1 });
  assert.deepEqual(rig.happened(), ["chat 1 still here", "chat 2 on the old one", "delivered a"]);
  await rig.say(fresh, HELLO);
  await rig.say(old, chat(3, "too late"));
  await rig.say(fresh, { type: "ack", received: 1 });
  await rig.say(fresh, chat(3, "on the new one"));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(fresh), ["ack 2", "chat 2 b", "ack 3"]);
  assert.deepEqual(rig.happened(), ["hello Anna", "ready", "chat 3 on the new one"]);
});

Deno.test("Peer as responder moves to the new channel when the first record on it has verified", async () => {
  const rig = new Rig({ initiates: false });
  const old = await rig.connect("000000c1");
  rig.write("a");
  const fresh = await (async () => {
    rig.heard(old);
    return await rig.begin("000000c2");
  })();
  rig.write("b");
  await rig.say(old, chat(1, "x"));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(old), ["chat 2 b", "ack 1"]);
  await rig.say(fresh, HELLO);
  assert.deepEqual(rig.heard(fresh), ["hello me", "ack 1"]);
  await rig.say(old, chat(2, "too late"));
  await rig.say(fresh, { type: "ack", received: 1 });
  assert.deepEqual(rig.heard(fresh), ["chat 2 b"]);
  assert.deepEqual(
    rig.happened(),
    ["chat 1 x", "hello Anna", "delivered a", "ready"],
  );
});

Deno.test("Peer as responder: who begins anew before the last channel was live has none", async () => {
  const rig = new Rig({ initiates: false });
  await rig.connect("000000c1");
  await rig.say(await rig.begin("000000c2"), HELLO);
  assert.deepEqual(rig.happened(), ["hello Anna"]); // on its way from a live channel to the next
  rig.take();
  await rig.say(await rig.begin("000000c3"), HELLO);
  assert.deepEqual(rig.happened(), ["down", "hello Anna"]);
});

Deno.test("Peer as responder: a handshake that fails beside an established channel disturbs nothing", async () => {
  const failures: ((rig: Rig) => Promise<void>)[] = [
    async (rig) => { // no M3
      await rig.give(KIND.M1, "000000c2", new Initiator(rig.otherOptions()).m1);
      rig.one(KIND.M2);
      await rig.clock.advance(20_000);
    },
    async (rig) => { // a bad M3
      await rig.give(KIND.M1, "000000c2", new Initiator(rig.otherOptions()).m1);
      rig.one(KIND.M2);
      await rig.give(KIND.M3, "000000c2", new Uint8Array(600));
    },
    async (rig) => { // no record
      await rig.begin("000000c2");
      await rig.clock.advance(20_000);
    },
    async (rig) => { // a bad first record
      await rig.begin("000000c2");
      await rig.give(KIND.RECORD, "000000c2", new Uint8Array(40));
    },
    async (rig) => { // no point
      const magic = new TextEncoder().encode("HEARTH/1");
      await rig.give(KIND.M1, "000000c2", concat(magic, new Uint8Array(32)));
    },
  ];
  for (const fail of failures) {
    const rig = new Rig({ initiates: false });
    const end = await rig.connect("000000c1");
    await fail(rig);
    rig.write("a");
    await rig.say(end, { type: "ack", received: 1 });
    await rig.say(end, chat(1, "x"));
    assert.deepEqual(rig.heard(end), ["chat 1 a"]);
    assert.deepEqual(rig.happened(), ["delivered a", "chat 1 x"]);
  }
});

Deno.test("Peer as initiator: a handshake that fails beside an established channel disturbs nothing", async () => {
  for (const answers of [false, true]) {
    const rig = new Rig({ initiates: true });
    const end = await rig.connect();
    rig.peer.start();
    const m1 = rig.one(KIND.M1);
    if (answers) await rig.give(KIND.M2, m1.tag, new Uint8Array(600));
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.take(), []); // and nothing is tried again: there is a channel
    rig.write("a");
    await rig.say(end, { type: "ack", received: 1 });
    await rig.say(end, chat(1, "x"));
    assert.deepEqual(rig.heard(end), ["chat 1 a"]);
    assert.deepEqual(rig.happened(), ["delivered a", "chat 1 x"]);
  }
});

Deno.test("Peer: what was in flight on the old channel is sent again on the new one, and taken once", async () => {
  const rig = new Rig({ initiates: false });
  const old = await rig.connect("000000c1");
  for (const text of ["a", "b", "c"]) rig.write(text);
  assert.deepEqual(rig.heard(old), ["chat 1 a", "chat 2 b", "chat 3 c"]);
  const fresh = await rig.begin("000000c2");
  await rig.say(fresh, HELLO);
  await rig.say(fresh, { type: "ack", received: 2 }); // the other side has taken a and b
  assert.deepEqual(rig.heard(fresh), ["hello me", "ack 0", "chat 3 c"]);
  await rig.say(fresh, { type: "ack", received: 3 });
  assert.deepEqual(
    rig.happened(),
    ["hello Anna", "delivered a", "delivered b", "ready", "delivered c"],
  );
});

Deno.test("Peer as responder takes records that come right behind M3, in order", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = new Initiator(rig.otherOptions());
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  const sealer = new Sealer(sendKey);
  rig.peer.receive(KIND.M3, "000000c1", m3); // and without any wait:
  for (
    const message of [
      HELLO,
      { type: "ack", received: 0 },
      chat(1, "a"),
      chat(2, "b"),
    ] as SentMessage[]
  ) {
    rig.peer.receive(KIND.RECORD, "000000c1", sealer.seal(encodeMessage(message)));
  }
  assert.deepEqual(rig.happened(), []);
  await settle();
  assert.deepEqual(rig.happened(), ["hello Anna", "ready", "chat 1 a", "chat 2 b"]);
});

Deno.test("Peer copies the payloads it keeps", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = new Initiator(rig.otherOptions());
  const buffer = new Uint8Array(2000);
  const lend = async (kind: number, payload: Uint8Array) => {
    buffer.set(payload);
    rig.peer.receive(kind, "000000c1", buffer.subarray(0, payload.length));
    buffer.fill(0); // the connection reads on into the same memory
    await settle();
  };
  await lend(KIND.M1, initiator.m1);
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  const sealer = new Sealer(sendKey);
  await lend(KIND.M3, m3);
  await lend(KIND.RECORD, sealer.seal(encodeMessage(HELLO)));
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

// The rest.

Deno.test("Peer acknowledges within 1 s, many messages with one ACK", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  for (let seq = 1; seq <= 100; seq++) await rig.say(end, chat(seq, "x"));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(end), ["ack 100"]);
  await rig.say(end, chat(100, "x")); // said again: its ACK may be lost
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(end), ["ack 100"]);
  await rig.say(end, { type: "gap", next: 200 });
  rig.peer.flushAck();
  assert.deepEqual(rig.heard(end), ["ack 199"]);
  rig.peer.flushAck();
  await rig.clock.advance(5000);
  assert.deepEqual(rig.heard(end), []);
});

Deno.test("Peer says AWAY after HELLO, and at each change", async () => {
  const rig = new Rig({ initiates: true });
  rig.away = "lunch";
  rig.peer.start();
  rig.peer.sendAway("lunch");
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me", "away lunch"]);
  await rig.say(end, HELLO);
  await rig.say(end, { type: "ack", received: 0 });
  rig.heard(end);
  rig.away = "";
  rig.peer.sendAway("");
  assert.deepEqual(rig.heard(end), ["away "]);
});

Deno.test("Peer says AWAY also when that changes between its HELLO and the other's", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me"]);
  rig.away = "lunch";
  rig.peer.sendAway("lunch");
  await rig.say(end, HELLO);
  await rig.say(end, { type: "ack", received: 0 });
  assert.ok(rig.heard(end).includes("away lunch"));
});

Deno.test("Peer sends and tells nothing after dispose()", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const end = await rig.connect();
    await rig.say(end, chat(1, "a"));
    rig.happened();
    rig.dispose();
    await rig.say(end, chat(2, "b"));
    rig.peer.start();
    rig.peer.sendAway("x");
    rig.peer.flushAck();
    await rig.give(KIND.M1, "000000c2", new Initiator(rig.otherOptions()).m1);
    await rig.clock.advance(120_000);
    assert.deepEqual(rig.take(), []);
    assert.deepEqual(rig.happened(), []);
  }
});

Deno.test("Peer sends nothing of a handshake that was under way at dispose()", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  const m1 = rig.one(KIND.M1);
  const m2 = await new Responder(rig.otherOptions()).consumeM1(m1.payload);
  rig.peer.receive(KIND.M2, m1.tag, m2);
  rig.dispose();
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.take(), []);
});
