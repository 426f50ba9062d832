import assert from "node:assert/strict";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { encodeMessage, type SentMessage } from "../../lib/protocol/messages.ts";
import { pad } from "../../lib/protocol/padding.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { RENEW_MS } from "../../lib/protocol/limits.ts";
import { seededRandom } from "../support/doubles.ts";
import { settle } from "../support/fake_clock.ts";
import { chat, HELLO } from "../support/messages.ts";
import { BOTH, type End, Rig, type Sent } from "../support/peer_rig.ts";

await cipherReady();

// A new channel beside an old one.

Deno.test("Peer as initiator: all but the new HELLO goes over the old channel until the responder's first record", async () => {
  const rig = new Rig({ initiates: true });
  const old = await rig.connect();
  await rig.start();
  const m1 = rig.one(KIND.M1);
  rig.write("a");
  await rig.say(old, chat(1, "still here"));
  await rig.clock.advance(1000); // the ACK
  assert.deepEqual(rig.heard(old), ["chat 1 a", "ack 1"]);
  rig.sent.length = 0;
  const fresh = await renew(rig, m1);
  assert.deepEqual(rig.heard(fresh), ["hello me"]);
  rig.write("b");
  rig.peer.send({ type: "away", text: "lunch" });
  rig.away = "lunch";
  assert.deepEqual(rig.heard(old), ["chat 2 b", "away lunch"]);
  await rig.say(old, chat(2, "on the old one"));
  await rig.say(old, { type: "ack", received: 1 });
  assert.deepEqual(rig.happened(), ["chat 1 still here", "chat 2 on the old one", "delivered a"]);
  await rig.say(fresh, HELLO);
  assert.deepEqual(rig.heard(fresh), ["away lunch", "ack 2"]);
  await rig.say(old, chat(3, "too late"));
  await rig.say(fresh, { type: "ack", received: 1 });
  await rig.say(fresh, chat(3, "on the new one"));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(fresh), ["chat 2 b", "ack 3"]);
  assert.deepEqual(rig.happened(), ["hello Anna", "ready", "chat 3 on the new one"]);
});

/** Answers an M1 beside a channel. @returns The other end of the new channel, before its first record. */
async function renew(rig: Rig, m1: Sent): Promise<End> {
  const responder = rig.responder();
  const m2 = await responder.consumeM1(m1.payload);
  const before = rig.sent.length;
  await rig.give(KIND.M2, m1.tag, m2);
  const m3 = rig.sent.slice(before).find(({ kind }) => kind === KIND.M3)!;
  rig.drop(m3);
  const { sendKey, receiveKey } = await responder.consumeM3(m3.payload);
  return { tag: m1.tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
}

Deno.test("Peer as initiator: a new channel that ends before anything came on it leaves the old one alone", async () => {
  const ends: ((rig: Rig, fresh: End) => Promise<void>)[] = [
    (rig, fresh) => rig.give(KIND.RECORD, fresh.tag, new Uint8Array(40)),
    (rig) => rig.clock.advance(30_000),
  ];
  for (const end of ends) {
    const rig = new Rig({ initiates: true });
    const old = await rig.connect();
    await rig.start();
    const fresh = await renew(rig, rig.one(KIND.M1));
    assert.deepEqual(rig.heard(fresh), ["hello me"]);
    await end(rig, fresh);
    rig.write("a");
    assert.deepEqual(rig.heard(old), ["chat 1 a"]);
    await rig.say(old, { type: "ack", received: 1 });
    assert.deepEqual(rig.happened(), ["delivered a"]);
    await rig.clock.advance(1000);
    rig.one(KIND.M1); // tried again like any other handshake
  }
});

Deno.test("Peer as initiator: when the old channel ends first, the new one takes its place", async () => {
  const rig = new Rig({ initiates: true });
  const old = await rig.connect();
  await rig.start();
  const fresh = await renew(rig, rig.one(KIND.M1));
  rig.heard(fresh);
  await rig.say(old, { type: "close", reason: 3 });
  assert.deepEqual(rig.happened(), ["down 3 by them"]);
  await rig.say(fresh, HELLO);
  await rig.say(fresh, { type: "ack", received: 0 });
  assert.deepEqual(rig.happened(), ["hello Anna", "ready"]);
  rig.heard(fresh);
  await rig.clock.advance(25_000);
  assert.deepEqual(rig.take(), []); // no further handshake
});

// Renewal.

Deno.test("Peer as initiator renews a channel an hour after its M3, times 0.9 to 1.1", async () => {
  for (const [byte, factor] of [[0, 0.9], [255, 1.1]] as const) {
    const seeded = seededRandom("renewal");
    const random = (length: number) => length === 1 ? Uint8Array.of(byte) : seeded(length);
    const rig = new Rig({ initiates: true, random });
    let end = await rig.connect();
    for (let round = 0; round < 2; round++) {
      await rig.clock.advance(RENEW_MS * factor - 1);
      assert.deepEqual(rig.take(), []);
      await rig.clock.advance(1);
      const fresh = await renew(rig, rig.one(KIND.M1));
      assert.notEqual(fresh.tag, end.tag);
      rig.heard(fresh);
      await rig.say(fresh, HELLO);
      await rig.say(fresh, { type: "ack", received: 0 });
      rig.heard(fresh);
      assert.deepEqual(rig.happened(), ["hello Anna", "ready"]);
      end = fresh;
    }
    rig.write("a");
    assert.deepEqual(rig.heard(end), ["chat 1 a"]);
  }
});

Deno.test("Peer as initiator: a renewal that fails is tried again after 1, 2, 4 … s, and the channel goes on", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  while (rig.secondsOf(KIND.M1).length < 2) await rig.clock.advance(10_000);
  for (const seconds of [1, 2, 4]) {
    await rig.give(KIND.M2, rig.one(KIND.M1).tag, new Uint8Array(600));
    await rig.clock.advance(seconds * 1000 - 1);
    assert.deepEqual(rig.take(), []);
    await rig.clock.advance(1);
  }
  rig.one(KIND.M1);
  rig.write("a");
  assert.deepEqual(rig.heard(end), ["chat 1 a"]);
  assert.deepEqual(rig.happened(), []);
});

Deno.test("Peer as responder never renews, and answers a renewal", async () => {
  const rig = new Rig({ initiates: false });
  await rig.connect("000000c1");
  await rig.clock.advance(2 * RENEW_MS);
  assert.deepEqual(rig.take(), []);
  const fresh = await rig.connect("000000c2");
  rig.write("a");
  assert.deepEqual(rig.heard(fresh), ["chat 1 a"]);
});

Deno.test("Peer as responder switches to the new channel when its first record has verified", async () => {
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

Deno.test("Peer as responder: a repeated handshake leaves nothing of the channel before, live or not", async () => {
  const rig = new Rig({ initiates: false });
  const first = await rig.connect("000000c1");
  const second = await rig.begin("000000c2");
  await rig.say(second, HELLO);
  assert.deepEqual(rig.happened(), ["hello Anna"]); // shown all the time
  rig.take();
  await rig.say(await rig.begin("000000c3"), HELLO);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
  rig.take();
  for (const end of [first, second]) await rig.say(end, { type: "away", text: "x" });
  assert.deepEqual(rig.happened(), []);
});

Deno.test("Peer as responder: a failed handshake does not disturb an established channel", async () => {
  const failures: ((rig: Rig) => Promise<void>)[] = [
    async (rig) => { // no M3
      await rig.give(KIND.M1, "000000c2", (await rig.initiator()).m1);
      rig.one(KIND.M2);
      await rig.clock.advance(20_000);
    },
    async (rig) => { // a bad M3
      await rig.give(KIND.M1, "000000c2", (await rig.initiator()).m1);
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
    async (rig) => { // another version
      const { m1 } = await rig.initiator();
      m1[7] = 0x31;
      await rig.give(KIND.M1, "000000c2", m1);
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

Deno.test("Peer as initiator: a failed handshake does not disturb an established channel", async () => {
  for (const answers of [false, true]) {
    const rig = new Rig({ initiates: true });
    const end = await rig.connect();
    await rig.start();
    const m1 = rig.one(KIND.M1);
    if (answers) await rig.give(KIND.M2, m1.tag, new Uint8Array(600));
    await rig.clock.advance(16_500);
    rig.take(); // it is tried again
    rig.write("a");
    await rig.say(end, { type: "ack", received: 1 });
    await rig.say(end, chat(1, "x"));
    assert.deepEqual(rig.heard(end), ["chat 1 a"]);
    assert.deepEqual(rig.happened(), ["delivered a", "chat 1 x"]);
  }
});

Deno.test("Peer: messages in flight on the old channel are sent again on the new one, and received once", async () => {
  const rig = new Rig({ initiates: false });
  const old = await rig.connect("000000c1");
  for (const text of ["a", "b", "c"]) rig.write(text);
  assert.deepEqual(rig.heard(old), ["chat 1 a", "chat 2 b", "chat 3 c"]);
  const fresh = await rig.begin("000000c2");
  await rig.say(fresh, HELLO);
  await rig.say(fresh, { type: "ack", received: 2 }); // the other side has received a and b
  assert.deepEqual(rig.heard(fresh), ["hello me", "ack 0", "chat 3 c"]);
  await rig.say(fresh, { type: "ack", received: 3 });
  assert.deepEqual(
    rig.happened(),
    ["hello Anna", "delivered a", "delivered b", "ready", "delivered c"],
  );
});

Deno.test("Peer as responder accepts records that arrive right after M3, in order", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = await rig.initiator();
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  const sealer = new Sealer(sendKey);
  rig.peer.receive(KIND.M3, "000000c1", m3); // and at once:
  for (
    const message of [
      HELLO,
      { type: "ack", received: 0 },
      chat(1, "a"),
      chat(2, "b"),
    ] as SentMessage[]
  ) {
    rig.peer.receive(KIND.RECORD, "000000c1", sealer.seal(pad(encodeMessage(message))));
  }
  assert.deepEqual(rig.happened(), []);
  await settle();
  assert.deepEqual(rig.happened(), ["hello Anna", "ready", "chat 1 a", "chat 2 b"]);
});

Deno.test("Peer copies the payloads it keeps", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = await rig.initiator();
  const buffer = new Uint8Array(2000);
  const lend = async (kind: number, payload: Uint8Array) => {
    buffer.set(payload);
    rig.peer.receive(kind, "000000c1", buffer.subarray(0, payload.length));
    buffer.fill(0); // the connection reuses its buffer
    await settle();
  };
  await lend(KIND.M1, initiator.m1);
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  const sealer = new Sealer(sendKey);
  await lend(KIND.M3, m3);
  await lend(KIND.RECORD, sealer.seal(pad(encodeMessage(HELLO))));
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

// ACK and AWAY.

Deno.test("Peer acknowledges within 1 s, several messages with one ACK", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  for (let seq = 1; seq <= 100; seq++) await rig.say(end, chat(seq, "x"));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.heard(end), ["ack 100"]);
  await rig.say(end, chat(101, "x"));
  rig.peer.flushAck();
  assert.deepEqual(rig.heard(end), ["ack 101"]);
  rig.peer.flushAck();
  await rig.clock.advance(5000);
  assert.deepEqual(rig.heard(end), []);
});

Deno.test("Peer acknowledges a flow when it pauses, and within 1 s", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  await rig.say(end, chat(1, "x"));
  await rig.clock.advance(50);
  assert.deepEqual(rig.heard(end), ["ack 1"]);
  await rig.say(end, chat(2, "x"));
  await rig.clock.advance(249);
  assert.deepEqual(rig.heard(end), []);
  await rig.clock.advance(1);
  assert.deepEqual(rig.heard(end), ["ack 2"]);
  for (let seq = 3; seq <= 11; seq++) {
    assert.deepEqual(rig.heard(end), []);
    await rig.say(end, chat(seq, "x"));
    await rig.clock.advance(100);
  }
  assert.deepEqual(rig.heard(end), ["ack 11"]);
  await rig.say(end, chat(12, "x"));
  await rig.clock.advance(2500);
  assert.deepEqual(rig.heard(end), ["ack 12"]);
  await rig.say(end, chat(13, "x"));
  await rig.clock.advance(50);
  assert.deepEqual(rig.heard(end), ["ack 13"]);
});

Deno.test("Peer sends AWAY and TOPIC after the HELLOs, and at each change", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    rig.away = "lunch";
    rig.topic = { type: "topic", time: 1, text: "plans" };
    rig.peer.send({ type: "away", text: "lunch" });
    const end = await rig.meet("000000c1");
    if (initiates) assert.deepEqual(rig.heard(end), ["hello me"]);
    await rig.say(end, HELLO);
    const greeting = [...initiates ? [] : ["hello me"], "away lunch", "topic 1 plans", "ack 0"];
    assert.deepEqual(rig.heard(end), greeting);
    rig.away = "";
    rig.peer.send({ type: "away", text: "" });
    assert.deepEqual(rig.heard(end), ["away "]);
  }
});

Deno.test("Peer as initiator sends AWAY even when it changes between the two HELLOs", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me"]);
  rig.away = "lunch";
  rig.peer.send({ type: "away", text: "lunch" });
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["away lunch", "ack 0"]);
});

Deno.test("Peer sends and reports nothing after dispose()", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const end = await rig.connect();
    await rig.say(end, chat(1, "a"));
    rig.happened();
    rig.dispose();
    await rig.say(end, chat(2, "b"));
    await rig.start();
    rig.peer.send({ type: "away", text: "x" });
    rig.peer.flushAck();
    await rig.give(KIND.M1, "000000c2", (await rig.initiator()).m1);
    await rig.clock.advance(120_000);
    assert.deepEqual(rig.take(), []);
    assert.deepEqual(rig.happened(), []);
  }
});

Deno.test("Peer sends nothing for a handshake that was under way at dispose()", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
  const m1 = rig.one(KIND.M1);
  const m2 = await rig.responder().consumeM1(m1.payload);
  rig.peer.receive(KIND.M2, m1.tag, m2);
  rig.dispose();
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.take(), []);
});
