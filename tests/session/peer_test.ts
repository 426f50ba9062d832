import assert from "node:assert/strict";
import { concat, decodeHex } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { encodeMessage } from "../../lib/protocol/messages.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { Peer } from "../../lib/session/peer.ts";
import type { PeerContext } from "../../lib/session/peer_handshake.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { doubleKey, seededRandom } from "../support/doubles.ts";
import { settle } from "../support/fake_clock.ts";
import { HELLO } from "../support/messages.ts";
import { BOTH, OWN_SID, Rig, type RigOptions, sortedKeys } from "../support/peer_rig.ts";

await cipherReady();

// Pairing.

Deno.test("Peer: the smaller fingerprint begins; of equal ones the smaller sid", () => {
  const initiating = new Rig({ initiates: true });
  initiating.peer.start();
  assert.ok(initiating.peer.initiates);
  assert.equal(initiating.one(KIND.M1).payload.length, 40);
  const responding = new Rig({ initiates: false });
  responding.peer.start();
  assert.ok(!responding.peer.initiates);
  assert.deepEqual(responding.take(), []);

  const [key] = sortedKeys();
  for (const [sid, initiates] of [["4fffffffffffffff", false], ["5000000000000001", true]]) {
    const context = { key, sid: OWN_SID } as PeerContext;
    const member = { sid: sid as string, fingerprint: key.publicKey.fingerprint };
    assert.equal(new Peer(member, context, {} as never).initiates, initiates);
  }
});

Deno.test("Peer as initiator sends M1, M3 with HELLO, and what has a seq after the first ACK", async () => {
  const rig = new Rig({ initiates: true });
  rig.write("a");
  rig.peer.start();
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me"]);
  assert.deepEqual(rig.happened(), []);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
  assert.ok(!rig.peer.live);
  await rig.say(end, { type: "ack", received: 0 });
  assert.deepEqual(rig.heard(end), ["chat 1 a"]);
  assert.deepEqual(rig.happened(), ["ready"]);
  assert.ok(rig.peer.live);
});

Deno.test("Peer as responder sends nothing between M2 and the initiator's first record", async () => {
  const rig = new Rig({ initiates: false });
  rig.write("a");
  const end = await rig.begin("000000c1");
  await rig.clock.advance(10_000);
  assert.deepEqual(rig.take(), []);
  assert.equal(rig.peer.channel, undefined);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  await rig.say(end, { type: "ack", received: 0 });
  assert.deepEqual(rig.heard(end), ["chat 1 a"]);
  assert.deepEqual(rig.happened(), ["hello Anna", "ready"]);
});

Deno.test("Peer chooses a new tag for each handshake, none that is in use", async () => {
  const tags = ["0000000a", "0000000a", "0000000b", "0000000a", "0000000b", "0000000c"];
  const seeded = seededRandom("tags");
  const rig = new Rig({
    initiates: true,
    random: (length) => length === 4 ? decodeHex(tags.shift()!) : seeded(length),
  });
  const first = await rig.connect();
  assert.equal(first.tag, "0000000a");
  rig.peer.start(); // 0a is the channel's
  const second = await rig.answer();
  assert.equal(second.tag, "0000000b");
  rig.peer.start(); // 0a is still received on, 0b is sent on
  assert.equal(rig.take().at(-1)!.tag, "0000000c");
  assert.deepEqual(tags, []);
});

Deno.test("Peer as initiator drops what does not fit, and goes on", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  const m1 = rig.sent[0]!;
  const responder = new Responder(rig.otherOptions());
  const m2 = await responder.consumeM1(m1.payload);
  const foreign = new Initiator(rig.otherOptions());
  for (
    const [kind, tag, payload] of [
      [KIND.M1, "000000ff", foreign.m1], // not from the side that is not the initiator
      [KIND.M1, m1.tag, foreign.m1],
      [KIND.M2, "000000ff", m2], // a tag that names nothing
      [KIND.M3, m1.tag, m2], // a kind that does not fit
      [KIND.RECORD, m1.tag, new Uint8Array(40)],
      [KIND.RECORD, "000000ff", new Uint8Array(40)],
    ] as const
  ) await rig.give(kind, tag, payload);
  const end = await rig.answer();
  await rig.give(KIND.M2, end.tag, m2); // once more
  await rig.give(KIND.M1, end.tag, foreign.m1);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

Deno.test("Peer as responder drops what does not fit, and goes on", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = new Initiator(rig.otherOptions());
  const noise = async () => {
    for (const kind of [KIND.M2, KIND.M3, KIND.RECORD]) {
      await rig.give(kind, "000000ff", new Uint8Array(40));
    }
    await rig.give(KIND.M2, "000000c1", new Uint8Array(600));
    await rig.give(KIND.M1, "000000fe", initiator.m1.subarray(1));
    await rig.give(KIND.M1, "000000fe", concat(initiator.m1, Uint8Array.of(0)));
  };
  await noise();
  assert.deepEqual(rig.take(), []);
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  await noise();
  await rig.give(KIND.M1, "000000c1", new Initiator(rig.otherOptions()).m1); // the tag is in use
  const { m3, sendKey, receiveKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  await noise();
  await rig.give(KIND.M3, "000000c1", m3);
  await noise();
  await rig.give(KIND.M3, "000000c1", m3);
  const end = {
    tag: "000000c1",
    sealer: new Sealer(sendKey),
    opener: new Opener(receiveKey),
  };
  await rig.say(end, HELLO);
  await noise();
  await rig.give(KIND.M1, "000000c1", new Initiator(rig.otherOptions()).m1); // the channel's tag
  assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

/** A rig whose signatures are not made before they are asked for with `sign`. */
function slowRig(options: RigOptions): { rig: Rig; sign: () => Promise<void> } {
  const waiting: (() => void)[] = [];
  const key = (real: PrivateKey) =>
    doubleKey(real, {
      sign: async (context, message) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return await real.sign(context, message);
      },
    });
  const sign = async () => {
    for (const go of waiting.splice(0)) go();
    await settle();
  };
  return { rig: new Rig({ ...options, key }), sign };
}

Deno.test("Peer as initiator takes the first M2 and no other, also while it works on it", async () => {
  const { rig, sign } = slowRig({ initiates: true });
  rig.peer.start();
  const m1 = rig.one(KIND.M1);
  const m2 = await new Responder(rig.otherOptions()).consumeM1(m1.payload);
  for (let i = 0; i < 3; i++) await rig.give(KIND.M2, m1.tag, m2);
  await sign();
  assert.deepEqual(rig.take().map(({ kind }) => kind), [KIND.M3, KIND.RECORD]);
});

Deno.test("Peer sends nothing of a handshake that came to its end while it worked on it", async () => {
  const ends: ((rig: Rig) => unknown)[] = [
    (rig) => rig.dispose(),
    (rig) => rig.clock.advance(15_999), // forgotten, and not yet begun anew
  ];
  for (const end of ends) {
    const { rig, sign } = slowRig({ initiates: true });
    rig.peer.start();
    const m1 = rig.one(KIND.M1);
    await rig.give(KIND.M2, m1.tag, await new Responder(rig.otherOptions()).consumeM1(m1.payload));
    await end(rig);
    await sign();
    assert.deepEqual(rig.take(), []);

    const other = slowRig({ initiates: false });
    await other.rig.give(KIND.M1, "000000c1", new Initiator(other.rig.otherOptions()).m1);
    await end(other.rig);
    await other.sign();
    assert.deepEqual(other.rig.take(), []);
  }
});

Deno.test("Peer answers an M1 that is no point, or from another version, with nothing", async () => {
  const rig = new Rig({ initiates: false });
  const magic = new TextEncoder().encode("HEARTH/1");
  await rig.give(KIND.M1, "00000001", concat(magic, new Uint8Array(32)));
  await rig.give(
    KIND.M1,
    "00000002",
    concat(new TextEncoder().encode("HEARTH/2"), new Uint8Array(32).fill(9)),
  );
  assert.deepEqual(rig.take(), []);
  const end = await rig.connect();
  assert.deepEqual(rig.heard(end), []);
});

// Time limits and attempts.

Deno.test("Peer forgets a handshake that is unfinished after 15 s", async () => {
  for (const [wait, alive] of [[14_999, true], [15_000, false]] as const) {
    const rig = new Rig({ initiates: true });
    rig.peer.start();
    const m1 = rig.one(KIND.M1);
    const m2 = await new Responder(rig.otherOptions()).consumeM1(m1.payload);
    await rig.clock.advance(wait);
    await rig.give(KIND.M2, m1.tag, m2);
    assert.equal(rig.secondsOf(KIND.M3).length, alive ? 1 : 0);

    const answering = new Rig({ initiates: false });
    const initiator = new Initiator(answering.otherOptions());
    await answering.give(KIND.M1, "000000c1", initiator.m1);
    const { m3, sendKey } = await initiator.consumeM2(answering.one(KIND.M2).payload);
    await answering.clock.advance(wait);
    await answering.give(KIND.M3, "000000c1", m3);
    const record = new Sealer(sendKey).seal(encodeMessage(HELLO));
    await answering.give(KIND.RECORD, "000000c1", record);
    assert.deepEqual(answering.happened(), alive ? ["hello Anna"] : []);
  }
});

Deno.test("Peer as responder forgets a handshake whose first record does not come within 15 s of M1", async () => {
  const rig = new Rig({ initiates: false });
  const end = await rig.begin("000000c1");
  await rig.clock.advance(15_000);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.happened(), []);
  assert.deepEqual(rig.take(), []);
});

Deno.test("Peer as initiator tries again after 1, 2, 4, 8, 16, 30, 30 s", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  await rig.clock.advance(300_000);
  const times = rig.secondsOf(KIND.M1);
  const waits = times.slice(1).map((time, i) => time - times[i]! - 15); // each lives for 15 s
  assert.deepEqual(waits.slice(0, 7), [1, 2, 4, 8, 16, 30, 30]);
  assert.equal(new Set(rig.sent.map(({ tag }) => tag)).size, times.length);
});

Deno.test("Peer as initiator tries again after 1, 2, 4 … s when M2 is bad, and sends nothing of it", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  const waits: number[] = [];
  while (waits.length < 7) {
    const { tag, at } = rig.one(KIND.M1);
    await rig.give(KIND.M2, tag, new Uint8Array(600));
    const count = rig.sent.length;
    while (rig.sent.length === count) await rig.clock.advance(500);
    waits.push((rig.sent.at(-1)!.at - at) / 1000);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30]);
});

Deno.test("Peer as initiator begins with 1 s again once HELLO and the first ACK have come, not before", async () => {
  const rig = new Rig({ initiates: true });
  rig.peer.start();
  const fail = async () => {
    await rig.give(KIND.M2, rig.take().at(-1)!.tag, new Uint8Array(600));
  };
  const waitFor = async (seconds: number) => {
    await rig.clock.advance(seconds * 1000 - 1);
    assert.equal(
      rig.sent.at(-1)!.kind === KIND.M1 && rig.sent.at(-1)!.at === rig.clock.now(),
      false,
    );
    const before = rig.secondsOf(KIND.M1).length;
    await rig.clock.advance(1);
    assert.equal(rig.secondsOf(KIND.M1).length, before + 1);
  };
  await fail();
  await waitFor(1);
  await fail();
  await waitFor(2);
  const half = await rig.answer(); // HELLO, but no ACK
  await rig.say(half, HELLO);
  await rig.say(half, { type: "close", reason: 4 });
  rig.take();
  await waitFor(4);
  const whole = await rig.answer();
  await rig.say(whole, HELLO);
  await rig.say(whole, { type: "ack", received: 0 });
  await rig.say(whole, { type: "close", reason: 4 });
  rig.take();
  await waitFor(1);
});

Deno.test("Peer as responder never begins, whatever ends", async () => {
  const rig = new Rig({ initiates: false });
  await rig.give(KIND.M3, "000000c1", new Uint8Array(600));
  const end = await rig.connect();
  await rig.say(end, { type: "close", reason: 3 });
  await rig.clock.advance(120_000);
  assert.deepEqual(rig.take(), []);
  assert.deepEqual(rig.happened(), ["down"]);
});

Deno.test("Peer ends a channel without HELLO and first ACK 30 s after M3 with CLOSE(4)", async () => {
  for (const { initiates } of BOTH) {
    for (const saysHello of initiates ? [false, true] : [true]) {
      const rig = new Rig({ initiates });
      if (initiates) rig.peer.start();
      const end = initiates ? await rig.answer() : await rig.begin("000000c1");
      if (saysHello) await rig.say(end, HELLO);
      rig.heard(end);
      await rig.clock.advance(29_999);
      assert.deepEqual(rig.take(), []);
      await rig.clock.advance(1);
      assert.deepEqual(rig.heard(end), ["close 4"]);
      assert.ok(rig.happened().includes("down"));
      await rig.clock.advance(1000);
      assert.equal(rig.take().length, initiates ? 1 : 0); // the next M1
    }
  }
});

Deno.test("Peer ends a channel in which something is unacknowledged for 30 s with CLOSE(4)", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const end = await rig.connect();
    rig.write("a");
    await rig.clock.advance(10_000);
    rig.write("b");
    await rig.clock.advance(19_999);
    await rig.say(end, { type: "ack", received: 1 });
    assert.deepEqual(rig.heard(end), ["chat 1 a", "chat 2 b"]);
    await rig.clock.advance(10_000);
    assert.deepEqual(rig.take(), []);
    assert.ok(rig.peer.live);
    await rig.clock.advance(1);
    assert.deepEqual(rig.heard(end), ["close 4"]);
    assert.deepEqual(rig.happened(), ["delivered a", "down"]);
    const again = initiates
      ? (await rig.clock.advance(1000), await rig.answer())
      : await rig.begin("000000c2");
    await rig.say(again, HELLO);
    await rig.say(again, { type: "ack", received: 1 });
    assert.deepEqual(rig.heard(again), ["hello me", "ack 0", "chat 2 b"]);
  }
});

Deno.test("Peer lets a channel without traffic live", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  await rig.clock.advance(3_600_000);
  assert.deepEqual(rig.heard(end), []);
  assert.ok(rig.peer.live);
});
