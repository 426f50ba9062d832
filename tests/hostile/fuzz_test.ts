import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type Bytes,
  concat,
  decodeHex,
  decodeUtf8,
  encodeUtf8,
  withLength,
} from "../../lib/base/bytes.ts";
import { Channel } from "../../lib/session/peer_channel.ts";
import { cipherReady, Opener, sealAead, Sealer } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError, UsageError } from "../../lib/base/errors.ts";
import { forEachFrame, InputBuffer } from "../../lib/transport/input_buffer.ts";
import { Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { LineSplitter } from "../../lib/ui/standard_input.ts";
import { decodeMessage, encodeMessage } from "../../lib/protocol/messages.ts";
import { checkRoute, decodeFrame, encodeFrame, KIND } from "../../lib/protocol/frames.ts";
import { checkNick, isReceivableNick, normalizeRoom, showNick } from "../../lib/protocol/names.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import { decodeJoinKey } from "../../lib/protocol/password.ts";
import { decodeFingerprint, decodeId, decodeSshKey } from "../../lib/protocol/identity.ts";
import { cleanLine } from "../../lib/base/text.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { recordedKey, recordedRandom } from "../support/doubles.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { kat, katBytes, katHandshake, katKey } from "../support/kat.ts";
import { TestRoom } from "../support/test_room.ts";
import { assertTimed, fuzzSeconds } from "../support/timed.ts";

await cipherReady();

const TARGETS = 10;
/** Wall time for each test here, in milliseconds; FUZZ_SECONDS is for all of them together. */
const budgetMs = fuzzSeconds(2) * 1000 / TARGETS;
const limits = { numRuns: 100_000_000, interruptAfterTimeLimit: budgetMs };

/** A change to bytes. */
type Mutation = (bytes: Bytes) => Bytes;

const INTERESTING = [0, 1, 0x0f, 0x10, 0x40, 0x41, 0x7f, 0x80, 0xc0, 0xed, 0xff];
const byte = fc.oneof(fc.nat(255), fc.constantFrom(...INTERESTING));

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(fc.nat(), byte).map(([place, value]): Mutation => (bytes) => {
    if (bytes.length > 0) bytes[place % bytes.length] = value;
    return bytes;
  }),
  fc.tuple(fc.nat(), fc.nat(7)).map(([place, bit]): Mutation => (bytes) => {
    if (bytes.length > 0) bytes[place % bytes.length]! ^= 1 << bit;
    return bytes;
  }),
  fc.nat().map((place): Mutation => (bytes) => bytes.slice(0, place % (bytes.length + 1))),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 20 })).map(
    ([place, inserted]): Mutation => (bytes) => {
      const at = place % (bytes.length + 1);
      return concat(bytes.subarray(0, at), inserted, bytes.subarray(at));
    },
  ),
  fc.tuple(fc.nat(), fc.nat(40)).map(([place, count]): Mutation => (bytes) => {
    const at = place % (bytes.length + 1);
    return concat(bytes.subarray(0, at), bytes.subarray(at + count));
  }),
  fc.tuple(fc.nat(), fc.nat(0xffff)).map(([place, length]): Mutation => (bytes) => {
    if (bytes.length > 1) bytes.set([length >> 8, length], place % (bytes.length - 1));
    return bytes;
  }),
);

/** Samples with some changes, and bytes that were never any. */
function mutated(samples: readonly Bytes[]): fc.Arbitrary<Bytes> {
  assert.ok(samples.length > 0); // a corpus that vanished would test nothing
  const changed = fc.tuple(fc.constantFrom(...samples), fc.array(mutation, { maxLength: 4 }))
    .map(([sample, mutations]) =>
      mutations.reduce<Bytes>((bytes, mutate) => mutate(bytes), sample.slice())
    );
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: noise });
}

/** Runs a decoder: nothing but the two errors of the wire may come out. */
function expectWireErrors(decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
  }
}

const frames = [...kat.frames.edge, ...kat.frames.rejected].map((known) => katBytes(known))
  .concat(kat.frames.valid.map(({ frame }) => decodeHex(frame)));
const messages = [...kat.messages.edge, ...kat.messages.rejected].map((known) => katBytes(known))
  .concat(kat.messages.valid.map(({ hex }) => decodeHex(hex)));

Deno.test("decodeFrame() on any bytes: a frame that encodes to the same bytes, or ProtocolError", () => {
  fc.assert(
    fc.property(mutated(frames), (plaintext) => {
      expectWireErrors(() =>
        forEachFrame(plaintext, (type, body) => {
          const encoded = encodeFrame(decodeFrame(type, body));
          assert.equal(encoded[0], type);
          assert.deepEqual(encoded.subarray(3), new Uint8Array(body));
        })
      );
      expectWireErrors(() => checkRoute(plaintext));
    }),
    limits,
  );
});

Deno.test("decodeMessage() on any bytes: a message that encodes to the same bytes, or ProtocolError", () => {
  fc.assert(
    fc.property(mutated(messages), (plaintext) => {
      expectWireErrors(() => {
        const message = decodeMessage(plaintext);
        if (message.type !== "extension") assert.deepEqual(encodeMessage(message), plaintext);
      });
    }),
    limits,
  );
});

Deno.test("InputBuffer on any stream: records within their bounds, or ProtocolError", () => {
  const records = kat.records.first.map(({ tcp }) => decodeHex(tcp));
  const stream = fc.array(mutated([concat(...records), ...records]), { maxLength: 5 });
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 300 }), (parts, readSize) => {
      const input = new InputBuffer();
      let rest: Uint8Array = concat(...parts);
      expectWireErrors(() => {
        while (rest.length > 0) {
          const space = input.space();
          assert.ok(space.length > 0);
          const length = Math.min(space.length, readSize, rest.length);
          space.set(rest.subarray(0, length));
          input.add(length);
          rest = rest.subarray(length);
          for (let record = input.takeRecord(); record; record = input.takeRecord()) {
            assert.ok(record.length >= 17 && record.length <= 16400);
          }
        }
      });
    }),
    limits,
  );
});

Deno.test("decodeId() on any bytes: an identity of exactly these bytes, or ProtocolError", () => {
  const ids = (["alice", "bob", "weak"] as const).map((name) => decodeHex(kat.keys[name].id));
  fc.assert(
    fc.property(mutated(ids), (id) => {
      expectWireErrors(() => assert.deepEqual(decodeId(id).id, id));
    }),
    limits,
  );
});

Deno.test("Opener on any record: DecryptError, unless it is the very one that was sealed", () => {
  const key = new Uint8Array(32);
  const sealed = new Sealer(key).seal(encodeUtf8("plaintext"));
  fc.assert(
    fc.property(mutated([sealed]), (record) => {
      const open = () => new Opener(key).open(record);
      if (record.length === sealed.length && record.every((byte, i) => byte === sealed[i])) open();
      else assert.throws(open, DecryptError);
    }),
    limits,
  );
});

Deno.test("Initiator and Responder on any messages: only the known one is taken, the rest ends in a wire error", async () => {
  const known = katHandshake("transport-small");
  const [m1, m2, m3] = [known.M1, known.M2, known.M3].map((hex) => decodeHex(hex));
  const weak = await katKey("weak");
  const key = recordedKey(weak, new Uint8Array(128));
  const message = fc.tuple(fc.constantFrom(1, 2, 3), mutated([m1!, m2!, m3!]));
  await assertTimed(
    message,
    async ([step, bytes]) => {
      try {
        if (step === 2) await new Initiator({ key, mode: "transport" }).consumeM2(bytes);
        else {
          const responder = new Responder({ key, mode: "transport" });
          const answer = await responder.consumeM1(step === 1 ? bytes : m1!);
          assert.equal(answer.length, m2!.length);
          if (step === 3) await responder.consumeM3(bytes);
        }
        assert.equal(step, 1);
        assert.equal(decodeUtf8(bytes.subarray(0, 8)), "HEARTH/1");
      } catch (error) {
        if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      }
    },
    budgetMs,
  );
});

Deno.test("Responder on any plaintext of M3: taken only as it was, else a wire error", async () => {
  // What a stranger who does the handshake right may put into its last message.
  const known = katHandshake("peer-open");
  const plaintext = decodeHex(known.ct3_plaintext);
  const signature = decodeHex(known.ct2_plaintext).slice(-256);
  const key = recordedKey(await katKey("bob"), signature);
  await assertTimed(
    mutated([plaintext]),
    async (bytes) => {
      const responder = new Responder({
        key,
        mode: "peer",
        prologue: decodeHex(known.prologue),
        random: recordedRandom(known.eR_private, "00".repeat(32)),
      });
      await responder.consumeM1(decodeHex(known.M1));
      if (bytes.length > 1565) return;
      const ct3 = sealAead(decodeHex(known.kI), 0, decodeHex(known.th2), bytes);
      try {
        await responder.consumeM3(withLength(ct3));
        assert.deepEqual(bytes, plaintext);
      } catch (error) {
        if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      }
    },
    budgetMs,
  );
});

Deno.test("what a person types, pastes or a file says: a value or UsageError, whatever it is", () => {
  const samples = [
    "anna",
    "#general",
    kat.keys.alice.text,
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== a@b",
    "hearth-join:ytNKD7HMVysrcFIzKxiQh9Qtf+WDfNZ4SgCboP9Txnk",
  ].map(encodeUtf8);
  fc.assert(
    fc.property(fc.oneof(mutated(samples), mutated(messages)), (bytes) => {
      const text = new TextDecoder().decode(bytes);
      for (
        const read of [checkNick, normalizeRoom, decodeFingerprint, decodeSshKey, decodeJoinKey]
      ) {
        try {
          read(text);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
      if (isReceivableNick(text)) assert.ok(showNick(text, kat.keys.bob.text).length > 0);
      assert.doesNotMatch(cleanLine(text), /[\p{Cc}\p{Zl}\p{Zp}]/u);
      assert.ok(new LineSplitter().push(bytes).length <= bytes.length);
    }),
    { ...limits, examples: [[encodeUtf8("ssh-rsa AAAAA")]] },
  );
});

Deno.test("Membership on any payload of a member: nothing is thrown, and others are not disturbed", async () => {
  const samples = [
    ...kat.peer.cases.flatMap(({ M1, M2, M3 }) => [M1, M2, M3]).map((hex) => decodeHex(hex)),
    ...kat.records.around.map(({ ct }) => decodeHex(ct)),
  ];
  await TestRoom.use(async (room) => {
    const anna = await room.enter({ seed: 5, nick: "anna" });
    const bert = await room.enter({ seed: 3, nick: "bert" });
    const carl = await room.enter({ seed: 2, nick: "carl" });
    const dora = await room.enter({ seed: 1, nick: "dora" });
    let count = 0;
    const tags = () => [...room.log.map(({ tag }) => tag).slice(-20), "00000000"];
    const payload = fc.record({
      bytes: mutated(samples).filter(({ length }) => length > 0),
      kind: fc.constantFrom(...Object.values(KIND)),
      tag: fc.nat(),
      from: fc.constantFrom(anna, carl),
    });
    await assertTimed(
      payload,
      async ({ bytes, kind, tag, from }) => {
        const known = tags();
        const frame = { kind, tag: known[tag % known.length]!, payload: bytes } as const;
        await room.inject(bert, { type: "recv", sid: from.sid, ...frame });
        dora.say(`${count++}`);
        await room.advance(200);
        assert.deepEqual(bert.faults, []);
      },
      budgetMs,
    );
    // From Dora, whom nobody imitated, everything came through.
    const fromDora = bert.events.flatMap((event) =>
      event.event === "chat" && event.nick === "dora" ? [event.text] : []
    );
    assert.deepEqual(fromDora, Array.from({ length: count }, (_, i) => `${i}`));
    // And those who were imitated are back after a while, with all that was theirs.
    anna.say("from anna");
    carl.say("from carl");
    await room.advance(120_000);
    const texts = bert.events.flatMap((event) => event.event === "chat" ? [event.text] : []);
    assert.deepEqual(texts.filter((text) => text.startsWith("from")).sort(), [
      "from anna",
      "from carl",
    ]);
  });
});

/** A channel whose other end may say anything. */
function makeChannel(): Channel {
  const clock = new FakeClock();
  const outbox = new Outbox(clock, { delivered: () => {}, undelivered: () => {} });
  return new Channel({
    tag: "00000001",
    keys: {
      peer: cheapKey(1).publicKey,
      sendKey: new Uint8Array(32).fill(1),
      receiveKey: new Uint8Array(32),
      th3: new Uint8Array(32),
    },
    outbox,
    startedAt: 0,
    send: () => {},
    listener: {
      hello: () => ({ target: outbox.addWaiting("anna"), inbox: { received: 0, took: false } }),
      ready: () => {},
      closed: (channel) => channel.close(),
      chat: ({ text }) => assert.ok(text.length > 0),
      nick: (nick) => assert.ok(isReceivableNick(nick)),
      lost: (count) => assert.ok(count > 0),
      away: (text) => assert.ok(encodeUtf8(text).length <= 200),
      ackDue: () => {},
    },
  });
}

Deno.test("Channel on any messages: they are taken, or ProtocolError ends it", () => {
  const hello = decodeHex(kat.messages.valid.find(({ type }) => type === "HELLO")!.hex);
  const history = fc.array(mutated(messages), { maxLength: 6 });
  fc.assert(
    fc.property(fc.boolean(), history, (greets, plaintexts) => {
      const sealer = new Sealer(new Uint8Array(32));
      const channel = makeChannel();
      expectWireErrors(() => {
        for (const plaintext of greets ? [hello, ...plaintexts] : plaintexts) {
          channel.take(channel.open(sealer.seal(plaintext)));
        }
      });
    }),
    limits,
  );
});
