import assert from "node:assert/strict";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { encodeKey, encodeMessage } from "../../lib/protocol/messages.ts";
import { pad } from "../../lib/protocol/padding.ts";
import { KIND, REASON } from "../../lib/protocol/frames.ts";
import { MAX_ANSWERS_PER_MINUTE } from "../../lib/session/peer_handshake.ts";
import {
  HandshakeQueue,
  HANDSHAKES_PER_SECOND,
  MAX_DECRYPTIONS,
} from "../../lib/session/handshake_queue.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { doubleKey } from "../support/doubles.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { chat, HELLO } from "../support/messages.ts";
import { BOTH, type End, Rig, type RigOptions } from "../support/peer_rig.ts";

await cipherReady();

// Ends.

Deno.test("Peer does not retry after CLOSE(0), (2), (6), (9), and retries after any other", async () => {
  for (const reason of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 200, 255]) {
    for (const byUs of [false, true]) {
      const rig = new Rig({ initiates: true });
      const end = await rig.connect();
      if (byUs) rig.peer.end(reason);
      else await rig.say(end, { type: "close", reason });
      const final = [0, 2, 6, 9].includes(reason);
      const how = `${reason} by ${byUs ? "us" : "them"}`;
      assert.deepEqual(rig.happened(), [`down ${how}`, ...final ? [`refused ${how}`] : []]);
      assert.deepEqual(rig.heard(end), byUs ? [`close ${reason}`] : []); // a CLOSE is not answered
      await rig.clock.advance(999);
      assert.deepEqual(rig.take(), []);
      await rig.clock.advance(1);
      assert.equal(rig.take().length, final ? 0 : 1);
      if (final) {
        await rig.clock.advance(3_600_000);
        assert.deepEqual(rig.take(), []);
      }
    }
  }
});

Deno.test("Peer as responder that sent a final CLOSE answers M1 all the same, and refuses again with its first record", async () => {
  const refusals: ((rig: Rig) => Promise<number>)[] = [
    async (rig) => {
      await rig.connect("000000c1");
      rig.peer.end(REASON.REPLACED);
      return REASON.REPLACED;
    },
    async (rig) => {
      await rig.say(await rig.begin("000000c1"), HELLO);
      return REASON.WEAK_KEY;
    },
  ];
  for (const [i, refuse] of refusals.entries()) {
    const rig = new Rig({ initiates: false, ...(i === 1 && { minKeyBits: 4096 }) });
    const reason = await refuse(rig);
    rig.take();
    for (const tag of ["000000c2", "000000c3"]) {
      const end = await rig.begin(tag);
      await rig.say(end, HELLO);
      assert.deepEqual(rig.heard(end), [`close ${reason}`]);
      await rig.say(end, { type: "ack", received: 0 });
      assert.deepEqual(rig.take(), []);
      assert.ok(!rig.peer.channel);
    }
    assert.ok(!rig.happened().includes("ready"));
  }
});

Deno.test("Peer as responder that got a final CLOSE takes another channel if the other side begins one", async () => {
  const rig = new Rig({ initiates: false });
  await rig.say(await rig.connect("000000c1"), { type: "close", reason: 0 });
  assert.deepEqual(rig.happened(), ["down 0 by them", "refused 0 by them"]);
  await rig.connect("000000c2");
  assert.ok(rig.peer.channel?.live);
});

Deno.test("Peer refuses keys below the minimum size with CLOSE(9), as initiator in its first record", async () => {
  for (const { initiates } of BOTH) {
    for (
      const [minKeyBits, refused] of [[3071, false], [3072, false], [3073, true], [4096, true]]
    ) {
      const rig = new Rig({ initiates, minKeyBits: minKeyBits as number });
      if (initiates) await rig.start();
      const end = initiates ? await rig.answer() : await rig.begin("000000c1");
      if (!initiates) {
        assert.deepEqual(rig.take(), []); // not before its first record has verified
        await rig.say(end, HELLO);
      }
      if (!refused) {
        assert.equal(rig.heard(end)[0], "hello me");
        continue;
      }
      assert.deepEqual(rig.heard(end), ["close 9"]);
      const down = initiates ? [] : ["down 9 by us"];
      assert.deepEqual(rig.happened(), [...down, "refused 9 by us"]);
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
  assert.deepEqual(rig.happened(), []);
});

Deno.test("Peer ends a channel with CLOSE(3) when a record or message is bad after one has verified", async () => {
  const bad: ((rig: Rig, end: End) => Promise<void>)[] = [
    (rig, end) => rig.give(KIND.RECORD, end.tag, new Uint8Array(40)),
    (rig, end) => rig.give(KIND.RECORD, end.tag, new Uint8Array(1)),
    (rig, end) => rig.give(KIND.RECORD, end.tag, end.sealer.seal(new Uint8Array(0))),
    (rig, end) => rig.give(KIND.RECORD, end.tag, end.sealer.seal(Uint8Array.of(0x41))), // not padded
    (rig, end) => rig.give(KIND.RECORD, end.tag, end.sealer.seal(Uint8Array.of(0x41, 0x80, 0))),
    (rig, end) => rig.sayBytes(end, encodeKey(1, new Uint8Array(32))), // only in a box
    (rig, end) => rig.sayBytes(end, Uint8Array.of(0x27)),
    (rig, end) => rig.say(end, HELLO),
    (rig, end) => rig.say(end, { type: "ack", received: 1 }),
    (rig, end) => rig.say(end, chat(2, "b")),
  ];
  for (const { initiates } of BOTH) {
    for (const act of bad) {
      const rig = new Rig({ initiates });
      const end = await rig.connect();
      await act(rig, end);
      assert.deepEqual(rig.heard(end), ["close 3"]);
      assert.deepEqual(rig.happened(), ["down 3 by us"]);
      await rig.say(end, { type: "away", text: "x" }); // the channel is closed
      assert.deepEqual(rig.happened(), []);
      await rig.clock.advance(1000);
      assert.equal(rig.take().length, initiates ? 1 : 0);
    }
  }
});

Deno.test("Peer sends nothing when not even the first record verifies", async () => {
  const initiating = new Rig({ initiates: true });
  await initiating.start();
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
      if (initiates) await rig.start();
      const end = initiates ? await rig.answer() : await rig.begin("000000c1");
      await rig.say(end, message);
      assert.deepEqual(rig.heard(end), ["hello me", "close 3"]);
    }
  }
});

Deno.test("Peer refuses a member that proves a different key than the roster names", async () => {
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates });
    const options = { key: cheapKey(3) };
    if (initiates) {
      await rig.start();
      const m1 = rig.one(KIND.M1);
      await rig.give(KIND.M2, m1.tag, await rig.responder(options).consumeM1(m1.payload));
    } else {
      const initiator = await rig.initiator(options);
      await rig.give(KIND.M1, "000000c1", initiator.m1);
      const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
      await rig.give(KIND.M3, "000000c1", m3);
      await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(pad(encodeMessage(HELLO))));
    }
    assert.deepEqual([rig.take(), rig.happened()], [[], []]);
    assert.ok(!rig.peer.channel);
  }
});

Deno.test("Peer as responder does not answer CLOSE as the first record", async () => {
  for (const reason of [4, 9]) {
    const rig = new Rig({ initiates: false });
    const end = await rig.begin("000000c1");
    await rig.say(end, { type: "close", reason });
    assert.deepEqual(rig.take(), []);
    const refused = reason === 9 ? ["refused 9 by them"] : [];
    assert.deepEqual(rig.happened(), [`down ${reason} by them`, ...refused]);
  }
});

Deno.test("Peer as responder: a c that cannot be decrypted ends silently at the first record", async () => {
  const rig = new Rig({
    initiates: false,
    key: (key) => doubleKey(key, { decrypt: () => Promise.resolve(new Uint8Array(31)) }),
  });
  const end = await rig.begin("000000c1");
  await rig.say(end, HELLO);
  assert.deepEqual(rig.take(), []);
  assert.deepEqual(rig.happened(), []);
});

Deno.test("Peer with another password: the handshake is forgotten, nothing is sent, and it is retried later", async () => {
  const rig = new Rig({
    initiates: true,
    roomKey: new Uint8Array(32).fill(1),
    otherRoomKey: new Uint8Array(32).fill(2),
  });
  await rig.start();
  const m1 = rig.one(KIND.M1);
  await rig.give(KIND.M2, m1.tag, await rig.responder().consumeM1(m1.payload));
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(1000);
  rig.one(KIND.M1);
});

// Limits on answering M1.

Deno.test("Peer answers at most 6 M1s of a sid within a minute, and drops further ones", async () => {
  const rig = new Rig({ initiates: false });
  const ask = async (tag: string) => await rig.give(KIND.M1, tag, (await rig.initiator()).m1);
  for (let n = 1; n <= MAX_ANSWERS_PER_MINUTE; n++) {
    await ask(`0000000${n}`);
    await rig.clock.advance(1000);
  }
  assert.deepEqual(rig.take().map(({ tag }) => tag.at(-1)), ["1", "2", "3", "4", "5", "6"]);
  await rig.clock.advance(53_999); // 59.999 s after the first
  await ask("00000007");
  await rig.clock.advance(500);
  assert.deepEqual(rig.take(), []);
  await ask("00000008");
  assert.equal(rig.one(KIND.M2).tag, "00000008");
  await ask("00000009");
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.take(), []);
});

Deno.test("Peer drops an M1 that has waited in line for 10 s; the newest of a sid replaces one that waits", async () => {
  for (const [wait, alive] of [[9_000, true], [10_000, false]] as const) {
    const clock = new FakeClock();
    const queue = new HandshakeQueue(clock);
    const rig = new Rig({ initiates: false, clock, queue });
    const waiting = holdDecryptions(queue);
    for (const tag of ["00000001", "00000002"]) {
      await rig.give(KIND.M1, tag, (await rig.initiator()).m1);
      assert.deepEqual(rig.take(), []);
    }
    await clock.advance(wait);
    waiting.release();
    await settle();
    assert.deepEqual(rig.take().map(({ tag }) => tag), alive ? ["00000002"] : []);
  }
});

/** Keeps as many M3s in decryption as there may be. */
function holdDecryptions(queue: HandshakeQueue): { release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (let i = 0; i < MAX_DECRYPTIONS; i++) void queue.decrypt(() => promise);
  return { release: resolve };
}

Deno.test("Peer as responder answers no M1 while 16 M3s wait for their decryption; as initiator it goes on", async () => {
  const clock = new FakeClock();
  const queue = new HandshakeQueue(clock);
  const { promise, resolve: go } = Promise.withResolvers<void>();
  const slow = (key: PrivateKey) =>
    doubleKey(key, { decrypt: (ciphertext) => promise.then(() => key.decrypt(ciphertext)) });
  const make = (i: number) =>
    new Rig({ initiates: false, clock, queue, key: slow, sid: i.toString(16).padStart(16, "7") });
  const rigs = Array.from({ length: MAX_DECRYPTIONS - 1 }, (_, i) => make(i));
  for (const rig of rigs) await rig.begin("000000c1");
  const last = make(100);
  const end = await last.begin("000000c1"); // the 16th
  const late = make(101);
  await late.give(KIND.M1, "000000c1", (await late.initiator()).m1);
  assert.deepEqual(late.take(), []);
  const own = new Rig({ initiates: true, clock, queue });
  await own.start();
  own.one(KIND.M1);
  await last.say(end, HELLO);
  assert.deepEqual(last.happened(), []);
  go();
  await settle();
  assert.deepEqual(last.happened(), ["hello Anna"]);
  late.one(KIND.M2);
});

Deno.test("Peer as responder finishes an M3 that arrived in time, however long its decryption takes", async () => {
  const { promise: slow, resolve: go } = Promise.withResolvers<void>();
  const key = (key: PrivateKey) =>
    doubleKey(key, { decrypt: (ciphertext) => slow.then(() => key.decrypt(ciphertext)) });
  for (const wait of [999, 1000]) {
    const rig = new Rig({ initiates: false, key });
    const initiator = await rig.initiator();
    await rig.give(KIND.M1, "000000c1", initiator.m1);
    const { m3, sendKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
    await rig.clock.advance(14_000);
    await rig.give(KIND.M3, "000000c1", m3);
    await rig.clock.advance(20_000); // does not count
    assert.deepEqual(rig.happened(), []);
    go();
    await settle();
    await rig.clock.advance(wait);
    await rig.give(KIND.RECORD, "000000c1", new Sealer(sendKey).seal(pad(encodeMessage(HELLO))));
    assert.deepEqual(rig.happened(), wait < 1000 ? ["hello Anna"] : []);
  }
});

Deno.test("Peer: what arrives while an M3 is decrypted waits for that, and so does what LEFT ends", async () => {
  const waiting: (() => void)[] = [];
  const key = (key: PrivateKey) =>
    doubleKey(key, {
      decrypt: async (ciphertext) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return await key.decrypt(ciphertext);
      },
    });
  const go = async () => {
    for (const each of waiting.splice(0)) each();
    await settle();
  };
  const rig = new Rig({ initiates: false, key });
  const initiator = await rig.initiator();
  await rig.give(KIND.M1, "000000c1", initiator.m1);
  const { m3, sendKey, receiveKey } = await initiator.consumeM2(rig.one(KIND.M2).payload);
  await rig.give(KIND.M3, "000000c1", m3);
  await go();
  const old = { tag: "000000c1", sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  await rig.say(old, HELLO);
  await rig.say(old, { type: "ack", received: 0 });
  rig.take();
  rig.happened();
  const again = await rig.initiator();
  await rig.give(KIND.M1, "000000c2", again.m1);
  await rig.give(KIND.M3, "000000c2", (await again.consumeM2(rig.one(KIND.M2).payload)).m3);
  const buffer = old.sealer.seal(pad(encodeMessage(chat(1, "last words"))));
  rig.peer.receive(KIND.RECORD, old.tag, buffer);
  buffer.fill(0); // the connection reuses it
  rig.peer.leave(() => rig.events.push("left"));
  await rig.say(old, chat(2, "too late"));
  assert.deepEqual(rig.happened(), []);
  await go();
  assert.deepEqual(rig.happened(), ["chat 1 last words", "left"]);
  rig.gone = true;
});

Deno.test("Peer as responder: the newest M1 replaces a pending handshake", async () => {
  const rig = new Rig({ initiates: false });
  const old = await rig.initiator();
  await rig.give(KIND.M1, "00000001", old.m1);
  const { m3 } = await old.consumeM2(rig.one(KIND.M2).payload);
  const fresh = await rig.initiator();
  await rig.give(KIND.M1, "00000002", fresh.m1);
  const m2 = rig.one(KIND.M2);
  await rig.give(KIND.M3, "00000001", m3); // its handshake is forgotten
  const { m3: good, sendKey } = await fresh.consumeM2(m2.payload);
  await rig.give(KIND.M3, "00000002", good);
  const record = new Sealer(sendKey).seal(pad(encodeMessage(HELLO)));
  await rig.give(KIND.RECORD, "00000002", record);
  assert.deepEqual(rig.happened(), ["hello Anna"]);
});

Deno.test("Peers of one client begin 200 handshakes a second, their own and others' together", async () => {
  const clock = new FakeClock();
  const queue = new HandshakeQueue(clock);
  const rigs = Array.from({ length: 260 }, (_, i) => {
    const sid = (i + 1).toString(16).padStart(16, "6");
    return new Rig({ initiates: i % 2 === 0, clock, queue, sid });
  });
  const { m1 } = await rigs[1]!.initiator();
  for (const rig of rigs) {
    if (rig.peer.initiates) rig.peer.start();
    else rig.peer.receive(KIND.M1, "00000001", m1);
    await settle(1);
  }
  const begun = () => rigs.filter(({ sent }) => sent.length > 0).length;
  assert.equal(begun(), HANDSHAKES_PER_SECOND);
  for (const rig of rigs.slice(-20)) rig.dispose(); // what is gone uses up no turn
  await clock.advance(999);
  assert.equal(begun(), HANDSHAKES_PER_SECOND);
  await clock.advance(1);
  assert.equal(begun(), 240);
  for (const rig of rigs) rig.dispose();
});

// Guesses at the password.

/** A peer with a password, and another side with another one. */
function guesser(options: Partial<RigOptions> & { initiates: boolean }): Rig {
  return new Rig({
    roomKey: new Uint8Array(32).fill(1),
    otherRoomKey: new Uint8Array(32).fill(2),
    ...options,
  });
}

Deno.test("Peer as responder answers a stranger's guesses 3 times in 10 minutes; one more waits in line, and is dropped", async () => {
  const rig = guesser({ initiates: false });
  const ask = async (tag: string) => await rig.give(KIND.M1, tag, (await rig.initiator()).m1);
  for (const tag of ["1", "2", "3"]) {
    await ask(`0000000${tag}`);
    rig.one(KIND.M2);
    await rig.clock.advance(20_000);
  }
  await ask("00000004");
  await rig.clock.advance(10_000);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(600_000 - 70_000 - 5000);
  await ask("00000005"); // 595 s after the first: in line
  await rig.clock.advance(4000);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(2000);
  assert.equal(rig.one(KIND.M2).tag, "00000005");
});

Deno.test("Peer as initiator sends no M1 that could bring one guess too many, and does not read such an M2", async () => {
  const rig = guesser({ initiates: true });
  await rig.start();
  for (const seconds of [1, 2, 4]) {
    const m1 = rig.one(KIND.M1);
    await rig.give(KIND.M2, m1.tag, await rig.responder().consumeM1(m1.payload));
    await rig.clock.advance(seconds * 1000);
  }
  assert.deepEqual(rig.take(), []); // planned, but unsent
  await rig.clock.advance(600_000 - 8000);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(2000);
  const m1 = rig.one(KIND.M1);
  const stranger = encodeFingerprint(rig.otherKey.publicKey.fingerprint);
  while (rig.guesses.allows(stranger, "m1")) rig.guesses.begin(stranger).settle();
  await rig.give(
    KIND.M2,
    m1.tag,
    await rig.responder({
      roomKey: new Uint8Array(32).fill(1),
    }).consumeM1(m1.payload),
  );
  assert.deepEqual(rig.take(), []); // the right password, dropped unread
});

Deno.test("Peer: a handshake that verifies is no guess, and neither is a malformed M2", async () => {
  const roomKey = new Uint8Array(32).fill(1);
  for (const { initiates } of BOTH) {
    const rig = new Rig({ initiates, roomKey });
    const stranger = encodeFingerprint(rig.otherKey.publicKey.fingerprint);
    let end = await rig.connect("00000000");
    for (let i = 1; i < 5; i++) {
      await rig.clock.advance(30_000);
      await rig.say(end, { type: "close", reason: 3 });
      await rig.clock.advance(1000);
      end = initiates ? await rig.answer() : await rig.begin(`0000000${i}`);
      await rig.say(end, HELLO);
      await rig.say(end, { type: "ack", received: 0 });
      rig.heard(end);
    }
    if (initiates) {
      await rig.clock.advance(30_000);
      await rig.say(end, { type: "close", reason: 3 });
      await rig.clock.advance(1000);
      await rig.give(KIND.M2, rig.one(KIND.M1).tag, new Uint8Array(600));
    }
    for (let i = 0; i < 3; i++) {
      assert.ok(rig.guesses.allows(stranger, "m2"), `${i}`);
      rig.guesses.begin(stranger).settle();
    }
    assert.ok(!rig.guesses.allows(stranger, "m2"));
  }
});

Deno.test("Peer as responder: an M1 that gets no M2 is no guess", async () => {
  const rig = guesser({ initiates: false });
  for (const tag of ["1", "2", "3", "4"]) {
    const { m1 } = await rig.initiator();
    m1.fill(0, 8, 40); // an eI with which every shared secret is zero
    await rig.give(KIND.M1, `0000000${tag}`, m1);
    assert.deepEqual(rig.take(), []);
  }
  await rig.give(KIND.M1, "00000005", (await rig.initiator()).m1);
  rig.one(KIND.M2);
});

Deno.test("Peer drops what comes after 2048 payloads that wait for an earlier one", async () => {
  for (const count of [2047, 2048]) {
    const waiting = Promise.withResolvers<void>();
    const key = (key: PrivateKey) =>
      doubleKey(key, {
        decrypt: async (ciphertext) => {
          await waiting.promise;
          return await key.decrypt(ciphertext);
        },
      });
    const rig = new Rig({ initiates: false, key });
    await rig.begin("000000c1");
    for (let i = 0; i < count; i++) rig.peer.receive(KIND.M1, "000000c2", Uint8Array.of(1));
    rig.peer.receive(KIND.M1, "000000c3", (await rig.initiator()).m1);
    waiting.resolve();
    await settle();
    assert.deepEqual(rig.take().map(({ tag }) => tag), count < 2048 ? ["000000c3"] : []);
  }
});
