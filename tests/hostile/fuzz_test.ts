import { KEPT_MS } from "../../lib/protocol/limits.ts";
import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type Bytes,
  concat,
  decodeHex,
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  withLength,
} from "../../lib/base/bytes.ts";
import { PeerChannel } from "../../lib/session/peer_channel.ts";
import { cipherReady, Opener, sealAead, Sealer, TAG_BYTES } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError, UsageError } from "../../lib/base/errors.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import {
  HandshakeResponder,
  M2_HEADER_BYTES,
  MAX_CT2_BYTES,
  MAX_CT3_BYTES,
} from "../../lib/protocol/handshake.ts";
import { decodeAdmin, decodeBans, encodeAdmin, encodeBans } from "../../lib/protocol/admin.ts";
import { openPart, sealBox, sealEnvelope } from "../../lib/protocol/cast.ts";
import { LineSplitter } from "../../lib/ui/standard_input.ts";
import { decodeMessage, encodeMessage, NOTE } from "../../lib/protocol/messages.ts";
import {
  BOX_BYTES,
  checkCast,
  checkRoute,
  decodeFrame,
  encodeFrame,
  forEachFrame,
  KIND,
} from "../../lib/protocol/frames.ts";
import { checkNick, isReceivableNick, normalizeRoom, showNick } from "../../lib/protocol/names.ts";
import { pad } from "../../lib/protocol/padding.ts";
import {
  decodeList,
  decodeWhereabouts,
  encodeList,
  encodeWhereabouts,
  STATE,
} from "../../lib/protocol/succession.ts";
import { Inbox } from "../../lib/session/inbox.ts";
import { ViewLog } from "../../lib/session/view_log.ts";
import { Stream } from "../../lib/session/streams.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import { decodeJoinKey } from "../../lib/protocol/password.ts";
import { decodeFingerprint, decodeId, decodeSshKey } from "../../lib/protocol/identity.ts";
import { cleanLine } from "../../lib/base/text.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { kat, katBytes, katHandshake } from "../support/kat.ts";
import { makeInitiator, makeResponder, responderOptions } from "../support/recorded_handshake.ts";
import { TestRoom } from "../support/test_room.ts";
import { assertTimed, fuzzLimits } from "../support/timed.ts";

await cipherReady();

const TARGETS = 11;
const limits = fuzzLimits(300, TARGETS);

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

/** Mutated samples, and random bytes. */
function mutated(samples: readonly Bytes[]): fc.Arbitrary<Bytes> {
  assert.ok(samples.length > 0); // an empty corpus would test nothing
  const changed = fc.tuple(fc.constantFrom(...samples), fc.array(mutation, { maxLength: 4 }))
    .map(([sample, mutations]) =>
      mutations.reduce<Bytes>((bytes, mutate) => mutate(bytes), sample.slice())
    );
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: noise });
}

/** Runs a decoder, which may throw only the two wire errors. */
function expectWireErrors(decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
  }
}

const KNOWN_NOTES: readonly number[] = Object.values(NOTE);

const frames = [...kat.frames.edge, ...kat.frames.rejected].map((known) => katBytes(known))
  .concat(kat.frames.valid.map(({ frame }) => decodeHex(frame)));
const messages = [...kat.messages.edge, ...kat.messages.rejected].map((known) => katBytes(known))
  .concat(kat.messages.valid.map(({ hex }) => decodeHex(hex)));

Deno.test("decodeFrame() on any bytes gives a frame that encodes to the same bytes, or ProtocolError", () => {
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
      expectWireErrors(() => checkCast(plaintext));
    }),
    limits,
  );
});

Deno.test("decodeMessage() on any bytes gives a message that encodes to the same bytes, or ProtocolError", () => {
  fc.assert(
    fc.property(mutated(messages), (plaintext) => {
      expectWireErrors(() => {
        const message = decodeMessage(plaintext);
        // The text of an unknown note is not looked at.
        if (message.type === "note" && !KNOWN_NOTES.includes(message.what)) return;
        if (message.type !== "extension") assert.deepEqual(encodeMessage(message), plaintext);
      });
    }),
    limits,
  );
});

Deno.test("decodeWhereabouts() and decodeList() on any bytes give what encodes to the same bytes, or ProtocolError", () => {
  const bytes = new Uint8Array(32).fill(7);
  const place = { relay: bytes, port: 1, addresses: ["10.0.0.1", "fe80::1"] };
  const entry = { ...place, person: bytes };
  const bodies = [
    encodeWhereabouts({ state: STATE.HERE, others: 3 }),
    encodeWhereabouts({ state: STATE.AT_PLACE, place }),
    encodeList({ serial: 7, at: 1, entries: [entry, entry, entry] }),
  ];
  fc.assert(
    fc.property(mutated(bodies), (body) => {
      expectWireErrors(() => assert.deepEqual(encodeWhereabouts(decodeWhereabouts(body)), body));
      expectWireErrors(() => assert.deepEqual(encodeList(decodeList(body)), body));
    }),
    limits,
  );
});

Deno.test("InputBuffer on any stream gives records within their limits, or ProtocolError", () => {
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

Deno.test("decodeId() on any bytes gives an identity of exactly these bytes, or ProtocolError", () => {
  const ids = (["alice", "bob", "weak"] as const).map((name) => decodeHex(kat.keys[name].id));
  fc.assert(
    fc.property(mutated(ids), (id) => {
      expectWireErrors(() => assert.deepEqual(decodeId(id).id, id));
    }),
    limits,
  );
});

Deno.test("Opener throws DecryptError on any record but the one that was sealed", () => {
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

Deno.test("HandshakeInitiator and HandshakeResponder accept only the known messages", async () => {
  for (const known of [kat.transport.cases[0]!, ...kat.peer.cases]) {
    const [m1, m2, m3] = [known.M1, known.M2, known.M3].map((hex) => decodeHex(hex));
    const message = fc.tuple(fc.constantFrom(1, 2, 3), mutated([m1!, m2!, m3!]));
    await assertTimed(
      message,
      async ([step, bytes]) => {
        const isKnown = equalBytes(bytes, [m1!, m2!, m3!][step - 1]!);
        try {
          if (step === 1) {
            const answer = await new HandshakeResponder(await responderOptions(known))
              .consumeM1(bytes);
            assert.equal(answer.length, m2!.length);
            assert.equal(decodeUtf8(bytes.subarray(0, 8)), "HEARTH/2");
            return;
          }
          if (step === 2) await (await makeInitiator(known)).consumeM2(bytes);
          else await (await makeResponder(known)).consumeM3(bytes);
          assert.ok(isKnown);
        } catch (error) {
          assert.ok(!isKnown || error instanceof assert.AssertionError);
          if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
        }
      },
      fuzzLimits(30, TARGETS * (1 + kat.peer.cases.length)),
    );
  }
});

Deno.test("handshakes accept only the known plaintexts of M2 and M3", async () => {
  // A stranger with a correct handshake may put anything into its last message.
  const known = katHandshake("peer-open");
  const [two, three] = [known.ct2_plaintext, known.ct3_plaintext].map((hex) => decodeHex(hex));
  const header = decodeHex(known.M2).subarray(0, M2_HEADER_BYTES.peer);
  await assertTimed(
    fc.tuple(fc.boolean(), mutated([two!, three!])),
    async ([isTwo, bytes]) => {
      if (bytes.length > (isTwo ? MAX_CT2_BYTES : MAX_CT3_BYTES.peer) - TAG_BYTES) return;
      const [key, ad] = isTwo ? [known.kR, known.th1] : [known.kI, known.th2];
      const sealed = withLength(sealAead(decodeHex(key), 0, decodeHex(ad), bytes));
      try {
        if (isTwo) await (await makeInitiator(known)).consumeM2(concat(header, sealed));
        else await (await makeResponder(known)).consumeM3(sealed);
        assert.deepEqual(bytes, isTwo ? two : three);
      } catch (error) {
        if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      }
    },
    limits,
  );
});

Deno.test("openPart() accepts the known PART alone, decodeAdmin() and decodeBans() what encodes back", async () => {
  const key = new Uint8Array(32).fill(1);
  const content = decodeHex(kat.cast.cases[0]!.content);
  const envelope = sealEnvelope(content, (length) => new Uint8Array(length).fill(2));
  const box = sealBox(new Sealer(key), envelope, 1);
  const whole = concat(box, envelope.common);
  await assertTimed(
    mutated([whole]),
    (bytes) => {
      expectWireErrors(() => {
        const part = { box: bytes.subarray(0, BOX_BYTES), common: bytes.subarray(BOX_BYTES) };
        openPart(new Opener(key), part);
        assert.deepEqual(bytes, whole);
      });
      expectWireErrors(() => {
        const [verb = 0] = bytes;
        const request = decodeAdmin(verb, bytes.slice(1, 40));
        if (request) assert.deepEqual(encodeAdmin(request).argument, bytes.slice(1, 40));
      });
      expectWireErrors(() => assert.deepEqual(encodeBans(decodeBans(bytes)), bytes));
      return Promise.resolve();
    },
    limits,
  );
});

Deno.test("any typed, pasted or configured text gives a value or UsageError", () => {
  const samples = [
    "anna",
    "#general",
    kat.keys.alice.text,
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== a@b",
    "hearth2-join:ytNKD7HMVysrcFIzKxiQh9Qtf+WDfNZ4SgCboP9Txnk",
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

Deno.test("Membership never throws on a payload, and other members are not disturbed", async () => {
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
      fuzzLimits(50, TARGETS),
    );
    // Everything from Dora, whom nobody impersonated, arrived.
    const fromDora = bert.events.flatMap((event) =>
      event.event === "chat" && event.nick === "dora" ? [event.text] : []
    );
    assert.deepEqual(fromDora, Array.from({ length: count }, (_, i) => `${i}`));
    // The impersonated members recover, with all their messages.
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

/** A channel whose other end may send anything. */
function makeChannel(): PeerChannel {
  const clock = new FakeClock();
  const outbox = new Outbox({
    own: "own",
    now: () => clock.now(),
    delivered: () => {},
    undelivered: () => {},
    keptMs: () => KEPT_MS,
    waived: () => [],
    kept: () => {},
  });
  const inbox = new Inbox(clock, new ViewLog(clock));
  const stream = new Stream("anna", "00", clock);
  return new PeerChannel({
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
      hello: () => ({ stream, inbox }),
      ready: () => {},
      closed: (channel) => channel.close(),
      message: (message) => {
        if (message.type === "chat") assert.ok(message.text.length > 0);
        else if (message.type === "nick") assert.ok(isReceivableNick(message.nick));
        else if (message.type === "gap") assert.ok(inbox.skipTo(message.next) >= 0);
        else if (message.type === "note") assert.ok(encodeUtf8(message.text).length <= 8192);
        else if ("text" in message) assert.ok(encodeUtf8(message.text).length <= 200);
      },
    },
  });
}

Deno.test("PeerChannel takes any messages, or throws ProtocolError", () => {
  const hello = decodeHex(kat.messages.valid.find(({ type }) => type === "HELLO")!.hex);
  const history = fc.array(mutated(messages), { maxLength: 6 });
  fc.assert(
    fc.property(fc.boolean(), history, (greets, plaintexts) => {
      const sealer = new Sealer(new Uint8Array(32));
      const channel = makeChannel();
      expectWireErrors(() => {
        for (const plaintext of greets ? [hello, ...plaintexts] : plaintexts) {
          channel.take(
            channel.open(sealer.seal(plaintext.length > 0 ? pad(plaintext) : plaintext)),
          );
        }
      });
    }),
    limits,
  );
});
