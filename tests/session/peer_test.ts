import assert from "node:assert/strict";
import { concat, decodeHex } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { encodeMessage } from "../../lib/protocol/messages.ts";
import { pad } from "../../lib/protocol/padding.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { Peer } from "../../lib/session/peer.ts";
import type { PeerContext } from "../../lib/session/peer_handshake.ts";
import { doubleKey, seededRandom } from "../support/doubles.ts";
import { settle } from "../support/fake_clock.ts";
import { HELLO } from "../support/messages.ts";
import { BOTH, OWN_SID, Rig, type RigOptions, sortedKeys } from "../support/peer_rig.ts";

await cipherReady();

// PeerHandshake.

Deno.test("Peer: the smaller fingerprint initiates; if equal, the smaller sid", async () => {
  const initiating = new Rig({ initiates: true });
  await initiating.start();
  assert.ok(initiating.peer.initiates);
  assert.equal(initiating.one(KIND.M1).payload.length, 1256);
  const responding = new Rig({ initiates: false });
  await responding.start();
  assert.ok(!responding.peer.initiates);
  assert.deepEqual(responding.take(), []);

  const [key] = sortedKeys();
  for (const [sid, initiates] of [["4fffffffffffffff", false], ["5000000000000001", true]]) {
    const context = { key, sid: OWN_SID } as PeerContext;
    const member = { sid: sid as string, fingerprint: key.publicKey.fingerprint };
    assert.equal(new Peer(member, context, {} as never).initiates, initiates);
  }
});

Deno.test("Peer as initiator sends M1, M3 with HELLO, and after the first ACK what has a seq", async () => {
  const rig = new Rig({ initiates: true });
  rig.write("a");
  await rig.start();
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me"]);
  assert.deepEqual(rig.happened(), []);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
  assert.ok(!rig.peer.channel?.live);
  await rig.say(end, { type: "ack", received: 0 });
  assert.deepEqual(rig.heard(end), ["chat 1 a"]);
  assert.deepEqual(rig.happened(), ["ready"]);
  assert.ok(rig.peer.channel?.live);
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

Deno.test("Peer chooses an unused tag for each handshake", async () => {
  const tags = ["0000000a", "0000000a", "0000000b", "0000000a", "0000000b", "0000000c"];
  const seeded = seededRandom("tags");
  const rig = new Rig({
    initiates: true,
    random: (length) => length === 4 ? decodeHex(tags.shift()!) : seeded(length),
  });
  const first = await rig.connect();
  assert.equal(first.tag, "0000000a");
  await rig.start(); // 0a is the tag of the channel
  const second = await rig.answer();
  assert.equal(second.tag, "0000000b");
  await rig.start(); // receives on 0a, sends on 0b
  assert.equal(rig.take().at(-1)!.tag, "0000000c");
  assert.deepEqual(tags, []);
});

Deno.test("Peer as initiator ignores what does not fit, and continues", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
  const m1 = rig.sent[0]!;
  const responder = rig.responder();
  const m2 = await responder.consumeM1(m1.payload);
  const foreign = await rig.initiator();
  for (
    const [kind, tag, payload] of [
      [KIND.M1, "000000ff", foreign.m1], // M1 from the responder
      [KIND.M1, m1.tag, foreign.m1],
      [KIND.M2, "000000ff", m2], // an unknown tag
      [KIND.M3, m1.tag, m2], // the wrong kind
      [KIND.RECORD, m1.tag, new Uint8Array(40)],
      [KIND.RECORD, "000000ff", new Uint8Array(40)],
    ] as const
  ) await rig.give(kind, tag, payload);
  const end = await rig.answer();
  await rig.give(KIND.M2, end.tag, m2); // a repeated M2
  await rig.give(KIND.M1, end.tag, foreign.m1);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

Deno.test("Peer as responder ignores what does not fit, and continues", async () => {
  const rig = new Rig({ initiates: false });
  const initiator = await rig.initiator();
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
  await rig.give(KIND.M1, "000000c1", (await rig.initiator()).m1); // the tag is in use
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
  await rig.give(KIND.M1, "000000c1", (await rig.initiator()).m1); // the channel's tag
  assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

/** A rig whose signatures wait until `sign` is called. */
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

Deno.test("Peer as initiator accepts only the first M2, even while processing it", async () => {
  const { rig, sign } = slowRig({ initiates: true });
  await rig.start();
  const m1 = rig.one(KIND.M1);
  const m2 = await rig.responder().consumeM1(m1.payload);
  for (let i = 0; i < 3; i++) await rig.give(KIND.M2, m1.tag, m2);
  await sign();
  assert.deepEqual(rig.take().map(({ kind }) => kind), [KIND.M3, KIND.RECORD]);
});

Deno.test("Peer sends nothing for a handshake that ended or timed out during processing", async () => {
  const ends: ((rig: Rig) => unknown)[] = [
    (rig) => rig.dispose(),
    (rig) => rig.clock.advance(15_999), // forgotten, and not yet retried
  ];
  for (const end of ends) {
    const { rig, sign } = slowRig({ initiates: true });
    await rig.start();
    const m1 = rig.one(KIND.M1);
    await rig.give(KIND.M2, m1.tag, await rig.responder().consumeM1(m1.payload));
    await end(rig);
    await sign();
    assert.deepEqual(rig.take(), []);
  }
  const { rig, sign } = slowRig({ initiates: false });
  await rig.give(KIND.M1, "000000c1", (await rig.initiator()).m1);
  rig.dispose();
  await sign();
  assert.deepEqual(rig.take(), []);
});

Deno.test("Peer as responder: an M2 that was not sent, since the handshake ended meanwhile, is no guess", async () => {
  const { rig, sign } = slowRig({ initiates: false, roomKey: new Uint8Array(32).fill(1) });
  const stranger = encodeFingerprint(rig.otherKey.publicKey.fingerprint);
  rig.guesses.begin(stranger).settle();
  rig.guesses.begin(stranger).settle();
  await rig.give(KIND.M1, "000000c1", (await rig.initiator()).m1);
  assert.ok(!rig.guesses.allows(stranger, "m2"));
  rig.dispose();
  await sign();
  assert.deepEqual(rig.take(), []);
  assert.ok(rig.guesses.allows(stranger, "m2"));
});

Deno.test("Peer as responder: M2 waits for the session key, and its time starts then", async () => {
  const { rig, sign } = slowRig({ initiates: false });
  const initiator = await rig.initiator();
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.take(), []);
  await sign();
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  await rig.clock.advance(14_999);
  await rig.give(KIND.M3, "000000c1", m3);
  await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(pad(encodeMessage(HELLO))));
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

Deno.test("Peer does not answer an M1 of another version, without a proper ek, or whose Y does not fit", async () => {
  const roomKey = new Uint8Array(32).fill(3);
  for (const own of [undefined, roomKey]) {
    const rig = new Rig({ initiates: false, ...(own && { roomKey: own }) });
    const good = (await rig.initiator()).m1;
    const change = (offset: number, ...bytes: number[]) => {
      const m1 = good.slice();
      m1.set(bytes, offset);
      return m1;
    };
    const wrongs = [
      change(7, 0x31), // HEARTH/1
      change(40, 0xff, 0xff), // a value of ek that is too large
      (await rig.initiator({ roomKey: own ? undefined : roomKey })).m1,
      ...(own ? [] : [change(1255, 1)]),
      good.subarray(1),
      concat(good, Uint8Array.of(0)),
    ];
    for (const m1 of wrongs) await rig.give(KIND.M1, "00000001", m1);
    assert.deepEqual(rig.take(), []);
    await rig.give(KIND.M1, "00000002", good);
    rig.one(KIND.M2);
    for (const m1 of wrongs) await rig.give(KIND.M1, "00000003", m1); // replaces nothing, and does not count
    const end = await rig.begin("00000004");
    await rig.say(end, HELLO);
    assert.deepEqual(rig.heard(end), ["hello me", "ack 0"]);
  }
});

// Time limits and retries.

Deno.test("Peer forgets a handshake that is unfinished after 15 s", async () => {
  for (const [wait, alive] of [[14_999, true], [15_000, false]] as const) {
    const rig = new Rig({ initiates: true });
    await rig.start();
    const m1 = rig.one(KIND.M1);
    const m2 = await rig.responder().consumeM1(m1.payload);
    await rig.clock.advance(wait);
    await rig.give(KIND.M2, m1.tag, m2);
    assert.equal(rig.secondsOf(KIND.M3).length, alive ? 1 : 0);

    const answering = new Rig({ initiates: false });
    const initiator = await answering.initiator();
    await answering.give(KIND.M1, "000000c1", initiator.m1);
    const { m3, sendKey } = await initiator.consumeM2(answering.one(KIND.M2).payload);
    await answering.clock.advance(wait);
    await answering.give(KIND.M3, "000000c1", m3);
    const record = new Sealer(sendKey).seal(pad(encodeMessage(HELLO)));
    await answering.give(KIND.RECORD, "000000c1", record);
    assert.deepEqual(answering.happened(), alive ? ["hello Anna"] : []);
  }
});

Deno.test("Peer as responder forgets a handshake whose first record does not arrive within 15 s of M1", async () => {
  const rig = new Rig({ initiates: false });
  const end = await rig.begin("000000c1");
  await rig.clock.advance(15_000);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.happened(), []);
  assert.deepEqual(rig.take(), []);
});

Deno.test("Peer as initiator retries after 1, 2, 4, 8, 16, 30, 30 s", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
  await rig.clock.advance(300_000);
  const times = rig.secondsOf(KIND.M1);
  const waits = times.slice(1).map((time, i) => time - times[i]! - 15); // each handshake lasts 15 s
  assert.deepEqual(waits.slice(0, 7), [1, 2, 4, 8, 16, 30, 30]);
  assert.equal(new Set(rig.sent.map(({ tag }) => tag)).size, times.length);
});

Deno.test("Peer as initiator retries after 1, 2, 4 … s when M2 is bad, and sends nothing in reply", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
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

Deno.test("Peer as initiator resets its retry delay once a channel has lasted 30 s since its M3", async () => {
  for (const [lasted, wait] of [[29_999, 4], [30_000, 1]] as const) {
    const rig = new Rig({ initiates: true });
    await rig.clock.advance(300); // not at the times of the tick
    await rig.start();
    for (const seconds of [1, 2]) {
      await rig.give(KIND.M2, rig.one(KIND.M1).tag, new Uint8Array(600));
      await rig.clock.advance(seconds * 1000);
    }
    const end = await rig.answer();
    await rig.say(end, HELLO);
    await rig.say(end, { type: "ack", received: 0 });
    await rig.clock.advance(lasted);
    await rig.say(end, { type: "close", reason: 4 });
    rig.take();
    await rig.clock.advance(wait * 1000 - 1);
    assert.deepEqual(rig.take(), []);
    await rig.clock.advance(1);
    rig.one(KIND.M1);
  }
});

Deno.test("Peer as responder never initiates, whatever ends", async () => {
  const rig = new Rig({ initiates: false });
  await rig.give(KIND.M3, "000000c1", new Uint8Array(600));
  const end = await rig.connect();
  await rig.say(end, { type: "close", reason: 3 });
  await rig.clock.advance(120_000);
  assert.deepEqual(rig.take(), []);
  assert.deepEqual(rig.happened(), ["down 3 by them"]);
});

Deno.test("Peer ends a channel with CLOSE(4) without the first ACK 30 s after M3, and its instance is slow", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const end = await rig.meet("000000c1");
    await rig.say(end, HELLO);
    rig.heard(end);
    await rig.clock.advance(29_999);
    assert.deepEqual(rig.take(), []);
    assert.ok(!rig.stream.slow);
    await rig.clock.advance(1);
    assert.deepEqual(rig.heard(end), ["close 4"]);
    assert.deepEqual(rig.happened(), ["hello Anna", "down 4 by us"]);
    assert.ok(rig.stream.slow);
    await rig.clock.advance(1000);
    assert.equal(rig.take().length, initiates ? 1 : 0); // the next M1
  }
});

Deno.test("Peer as initiator forgets a channel on which nothing came 30 s after M3, and sends no CLOSE", async () => {
  const rig = new Rig({ initiates: true });
  await rig.start();
  const end = await rig.answer();
  assert.deepEqual(rig.heard(end), ["hello me"]);
  await rig.clock.advance(30_000);
  assert.deepEqual(rig.take(), []);
  await rig.say(end, HELLO);
  assert.deepEqual(rig.happened(), []);
  await rig.clock.advance(1000);
  rig.one(KIND.M1);
});

Deno.test("Peer ends a channel with CLOSE(4) when something is unacknowledged for 30 s", async () => {
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
    assert.ok(rig.peer.channel?.live);
    await rig.clock.advance(1);
    assert.deepEqual(rig.heard(end), ["close 4"]);
    assert.deepEqual(rig.happened(), ["delivered a", "down 4 by us"]);
    const again = initiates
      ? (await rig.clock.advance(1000), await rig.answer())
      : await rig.begin("000000c2");
    await rig.say(again, HELLO);
    await rig.say(again, { type: "ack", received: 1 });
    assert.deepEqual(rig.heard(again), ["hello me", "ack 0", "chat 2 b"]);
  }
});

Deno.test("Peer keeps a channel without traffic", async () => {
  const rig = new Rig({ initiates: true });
  const end = await rig.connect();
  await rig.clock.advance(3_000_000);
  assert.deepEqual(rig.heard(end), []);
  assert.ok(rig.peer.channel?.live);
});
