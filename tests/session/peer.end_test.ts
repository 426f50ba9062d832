import assert from "node:assert/strict";
import { cipherReady, Sealer } from "../../lib/protocol/records.ts";
import { Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { Line } from "../../lib/base/job_queue.ts";
import { encodeMessage } from "../../lib/protocol/messages.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { MAX_ANSWERS_PER_MINUTE } from "../../lib/session/peer_handshake.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { doubleKey } from "../support/doubles.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { chat, HELLO } from "../support/messages.ts";
import { BOTH, type End, Rig, type RigOptions } from "../support/peer_rig.ts";

await cipherReady();

// Ends.

Deno.test("Peer tries nothing again after CLOSE(0), (2), (9), and tries again after any other", async () => {
  for (const reason of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 200, 255]) {
    const rig = new Rig({ initiates: true });
    const end = await rig.connect();
    await rig.say(end, { type: "close", reason });
    const final = [0, 2, 9].includes(reason);
    assert.deepEqual(rig.happened(), final ? ["down", `refused ${reason} by them`] : ["down"]);
    assert.equal(rig.peer.refused, final);
    await rig.clock.advance(999);
    assert.deepEqual(rig.take(), []); // no answer to CLOSE either
    await rig.clock.advance(1);
    assert.equal(rig.take().length, final ? 0 : 1);
    await rig.clock.advance(3_600_000);
    if (final) assert.deepEqual(rig.take(), []);
  }
});

Deno.test("Peer that was refused, or refuses, answers no M1 any more", async () => {
  for (const reason of [0, 2, 9]) {
    const rig = new Rig({ initiates: false });
    const end = await rig.connect();
    await rig.say(end, { type: "close", reason });
    await rig.give(KIND.M1, "000000c2", new Initiator(rig.otherOptions()).m1);
    assert.deepEqual(rig.take(), []);
  }
});

Deno.test("Peer refuses keys below the least size with CLOSE(9), as initiator with its first record", async () => {
  for (const { initiates } of BOTH) {
    for (
      const [minKeyBits, refused] of [[3071, false], [3072, false], [3073, true], [4096, true]]
    ) {
      const rig = new Rig({ initiates, minKeyBits: minKeyBits as number });
      if (initiates) rig.peer.start();
      const end = initiates ? await rig.answer() : await rig.begin("000000c1");
      if (!initiates) {
        assert.deepEqual(rig.take(), []); // not before its first record has verified
        await rig.say(end, HELLO);
      }
      assert.equal(rig.peer.refused, refused);
      if (!refused) continue;
      assert.deepEqual(rig.heard(end), ["close 9"]);
      assert.deepEqual(rig.happened(), ["refused 9 by us"]);
      await rig.say(end, HELLO);
      await rig.clock.advance(120_000);
      assert.deepEqual(rig.take(), []);
    }
  }
});

Deno.test("Peer as responder does not refuse a weak key whose first record does not verify", async () => {
  const rig = new Rig({ initiates: false, minKeyBits: 4096 });
  await rig.begin("000000c1");
  await rig.give(KIND.RECORD, "000000c1", new Uint8Array(40));
  assert.deepEqual(rig.take(), []);
  assert.ok(!rig.peer.refused);
});

Deno.test("Peer ends a channel with CLOSE(3) when a record or message is bad after one that verified", async () => {
  const bad: ((rig: Rig, end: End) => Promise<void>)[] = [
    (rig, end) => rig.give(KIND.RECORD, end.tag, new Uint8Array(40)),
    (rig, end) => rig.give(KIND.RECORD, end.tag, new Uint8Array(1)),
    (rig, end) => rig.give(KIND.RECORD, end.tag, end.sealer.seal(Uint8Array.of(0x25))),
    (rig, end) => rig.give(KIND.RECORD, end.tag, end.sealer.seal(new Uint8Array(0))),
    (rig, end) => rig.say(end, HELLO),
    (rig, end) => rig.say(end, { type: "ack", received: 1 }),
    (rig, end) => rig.say(end, { type: "gap", next: 0 }),
    (rig, end) => rig.say(end, chat(2, "b")),
  ];
  for (const { initiates } of BOTH) {
    for (const act of bad) {
      const rig = new Rig({ initiates });
      const end = await rig.connect();
      await act(rig, end);
      assert.deepEqual(rig.heard(end), ["close 3"]);
      assert.deepEqual(rig.happened(), ["down"]);
      await rig.say(end, { type: "away", text: "x" }); // the channel is dead
      assert.deepEqual(rig.happened(), []);
      await rig.clock.advance(1000);
      assert.equal(rig.take().length, initiates ? 1 : 0);
    }
  }
});

Deno.test("Peer says nothing when not even the first record verifies", async () => {
  const initiating = new Rig({ initiates: true });
  initiating.peer.start();
  const end = await initiating.answer();
  initiating.heard(end);
  await initiating.give(KIND.RECORD, end.tag, new Uint8Array(40));
  assert.deepEqual(initiating.take(), []);
  await initiating.clock.advance(1000);
  assert.equal(initiating.one(KIND.M1).kind, KIND.M1);

  const responding = new Rig({ initiates: false });
  const begun = await responding.begin("000000c1");
  await responding.give(KIND.RECORD, begun.tag, new Uint8Array(40));
  await responding.say(begun, HELLO);
  assert.deepEqual(responding.take(), []);
  assert.deepEqual(responding.happened(), []);
});

Deno.test("Peer ends with CLOSE(3) when the first message is not HELLO", async () => {
  for (const { initiates } of BOTH) {
    for (const message of [{ type: "ack", received: 0 } as const, chat(1, "a")]) {
      const rig = new Rig({ initiates });
      if (initiates) rig.peer.start();
      const end = initiates ? await rig.answer() : await rig.begin("000000c1");
      await rig.say(end, message);
      assert.deepEqual(rig.heard(end), ["hello me", "close 3"]);
    }
  }
});

Deno.test("Peer takes nobody who proves another key than the roster names", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const options = { ...rig.otherOptions(), key: cheapKey(3) };
    if (initiates) {
      rig.peer.start();
      const m1 = rig.one(KIND.M1);
      await rig.give(KIND.M2, m1.tag, await new Responder(options).consumeM1(m1.payload));
    } else {
      const initiator = new Initiator(options);
      await rig.give(KIND.M1, "000000c1", initiator.m1);
      const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
      await rig.give(KIND.M3, "000000c1", m3);
      await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(encodeMessage(HELLO)));
    }
    assert.deepEqual([rig.take(), rig.happened()], [[], []]);
    assert.ok(!rig.peer.channel);
  }
});

Deno.test("Peer as responder answers nothing to CLOSE as the first record", async () => {
  for (const reason of [4, 9]) {
    const rig = new Rig({ initiates: false });
    const end = await rig.begin("000000c1");
    await rig.say(end, { type: "close", reason });
    assert.deepEqual(rig.take(), []);
    assert.equal(rig.peer.refused, reason === 9);
  }
});

Deno.test("Peer as responder: a c that cannot be decrypted ends in silence at the first record", async () => {
  const rig = new Rig({
    initiates: false,
    key: (key) => doubleKey(key, { decrypt: () => Promise.resolve(new Uint8Array(31)) }),
  });
  const end = await rig.begin("000000c1");
  await rig.say(end, HELLO);
  assert.deepEqual(rig.take(), []);
  assert.deepEqual(rig.happened(), []);
});

Deno.test("Peer and another password: the handshake is forgotten, nothing is sent, tried again later", async () => {
  const initiating = new Rig({ initiates: true, otherPsk: new Uint8Array(32).fill(1) });
  initiating.peer.start();
  const m1 = initiating.one(KIND.M1);
  const responder = new Responder(initiating.otherOptions());
  await initiating.give(KIND.M2, m1.tag, await responder.consumeM1(m1.payload));
  assert.deepEqual(initiating.take(), []);
  await initiating.clock.advance(1000);
  initiating.one(KIND.M1);
});

// Many M1.

Deno.test("Peer answers at most 6 M1 a minute, and then the newest", async () => {
  const rig = new Rig({ initiates: false });
  const initiators: Initiator[] = [];
  const ask = async (n: number) => {
    initiators[n] = new Initiator(rig.otherOptions());
    await rig.give(KIND.M1, `0000000${n}`, initiators[n].m1);
  };
  for (let n = 1; n <= MAX_ANSWERS_PER_MINUTE; n++) {
    await ask(n);
    await rig.clock.advance(1000);
  }
  assert.deepEqual(rig.take().map(({ tag }) => tag.at(-1)), ["1", "2", "3", "4", "5", "6"]);
  await rig.clock.advance(44_000); // 50 s after the first
  await ask(7);
  await rig.clock.advance(5000);
  await ask(8);
  await rig.clock.advance(4999);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(1);
  assert.deepEqual(rig.take().map(({ tag }) => tag.at(-1)), ["8"]);
  await ask(9); // 61 s after the first, 60 s after the second
  await rig.clock.advance(999);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(1);
  assert.deepEqual(rig.take().map(({ tag }) => tag.at(-1)), ["9"]);
});

Deno.test("Peer forgets an M1 that has waited 15 s for its turn", async () => {
  const rig = new Rig({ initiates: false });
  for (let n = 1; n <= 7; n++) {
    await rig.give(KIND.M1, `0000000${n}`, new Initiator(rig.otherOptions()).m1);
  }
  assert.equal(rig.take().length, MAX_ANSWERS_PER_MINUTE);
  await rig.clock.advance(120_000);
  assert.deepEqual(rig.take(), []);
  await rig.give(KIND.M1, "00000008", new Initiator(rig.otherOptions()).m1);
  assert.equal(rig.take().length, 1);
});

Deno.test("Peer as responder: the 15 s of a handshake begin with its M2", async () => {
  for (const [wait, alive] of [[14_999, true], [15_000, false]] as const) {
    const clock = new FakeClock();
    const line = new Line(clock, { atOnce: 4, perSecond: 1 });
    const rig = new Rig({ initiates: false, clock, line });
    for (let i = 0; i < 10; i++) line.add(() => Promise.resolve());
    const initiator = new Initiator(rig.otherOptions());
    await rig.give(KIND.M1, "000000c1", initiator.m1);
    await clock.advance(10_000);
    const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
    await clock.advance(wait);
    await rig.give(KIND.M3, "000000c1", m3);
    await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(encodeMessage(HELLO)));
    assert.deepEqual(rig.happened(), alive ? ["hello Anna"] : []);
  }
});

Deno.test("Peer as responder finishes an M3 that came in time, however long that takes", async () => {
  const { promise: slow, resolve: go } = Promise.withResolvers<void>();
  const key = (key: PrivateKey) =>
    doubleKey(key, { decrypt: (ciphertext) => slow.then(() => key.decrypt(ciphertext)) });
  const rig = new Rig({ initiates: false, key });
  const initiator = new Initiator(rig.otherOptions());
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  await rig.clock.advance(14_000);
  await rig.give(KIND.M3, "000000c1", m3);
  await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(encodeMessage(HELLO)));
  await rig.clock.advance(20_000);
  assert.deepEqual(rig.happened(), []);
  go();
  await settle();
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

Deno.test("Peer as responder: the newest M1 replaces a pending handshake", async () => {
  const rig = new Rig({ initiates: false });
  const old = new Initiator(rig.otherOptions());
  await rig.give(KIND.M1, "00000001", old.m1);
  const { m3 } = await old.consumeM2(rig.one(KIND.M2).payload);
  const fresh = new Initiator(rig.otherOptions());
  await rig.give(KIND.M1, "00000002", fresh.m1);
  const m2 = rig.one(KIND.M2);
  await rig.give(KIND.M3, "00000001", m3); // belongs to nothing any more
  const { m3: good, sendKey } = await fresh.consumeM2(m2.payload);
  await rig.give(KIND.M3, "00000002", good);
  const record = new Sealer(sendKey).seal(encodeMessage(HELLO));
  await rig.give(KIND.RECORD, "00000002", record);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

/** Many responders that share one line, as the members of a room do. */
async function makeCrowd(count: number, options: Partial<RigOptions> = {}) {
  const clock = new FakeClock();
  const line = new Line(clock, { atOnce: 4, perSecond: 20 });
  const rigs = Array.from({ length: count }, (_, i) => {
    const sid = (i + 1).toString(16).padStart(16, "6");
    return new Rig({ initiates: false, clock, line, sid, ...options });
  });
  for (const rig of rigs) {
    await rig.give(KIND.M1, "00000001", new Initiator(rig.otherOptions()).m1);
  }
  const answered = () => rigs.filter((rig) => rig.secondsOf(KIND.M2).length > 0).length;
  return { clock, rigs, answered };
}

Deno.test("Peers of one room begin at most 20 answers a second", async () => {
  const { clock, answered } = await makeCrowd(50);
  assert.equal(answered(), 20);
  await clock.advance(999);
  assert.equal(answered(), 20);
  await clock.advance(1);
  assert.equal(answered(), 40);
  await clock.advance(1000);
  assert.equal(answered(), 50);
});

Deno.test("Peers of one room make at most 4 signatures at once, and none for who is gone", async () => {
  const waiting: (() => void)[] = [];
  const slow = (key: PrivateKey) =>
    doubleKey(key, {
      sign: async (context, message) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return await key.sign(context, message);
      },
    });
  const { rigs, answered } = await makeCrowd(9, { key: slow });
  assert.equal(waiting.length, 4);
  rigs[4]!.dispose();
  for (const signed of waiting.splice(0)) signed();
  await settle();
  assert.equal(answered(), 4);
  assert.equal(waiting.length, 4);
  for (const signed of waiting.splice(0)) signed();
  await settle();
  assert.equal(answered(), 8);
  assert.equal(waiting.length, 0);
});

Deno.test("Peers of one room: who is gone takes no turn of the others", async () => {
  const { clock, rigs, answered } = await makeCrowd(100);
  assert.equal(answered(), 20);
  for (const rig of rigs.slice(20, 90)) rig.dispose();
  await clock.advance(1000);
  assert.equal(answered(), 30);
});
