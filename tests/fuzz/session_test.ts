/**
 * Whole sessions that are changed somewhere: what a stranger who does the cryptography right may put into handshakes,
 * records and their order, against a relay and against a client. FUZZ_SECONDS is for all of them together.
 */
import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type Bytes, concat, decodeHex, withLength } from "../../lib/base/bytes.ts";
import { cipherReady, sealAead, TAG_BYTES } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError, UsageError } from "../../lib/base/errors.ts";
import { M2_HEADER_BYTES, MAX_CT2_BYTES, MAX_CT3_BYTES } from "../../lib/protocol/handshake.ts";
import { NO_SHARE } from "../../lib/protocol/password.ts";
import { type ByteStream, writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, type Frame, KIND, REASON } from "../../lib/protocol/frames.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import { HostileRelay } from "../support/hostile_relay.ts";
import { kat, katHandshake } from "../support/kat.ts";
import { makeInitiator, makeResponder } from "../support/recorded_handshake.ts";
import { RawClient } from "../support/raw_client.ts";
import { LOBBY, RelayRig } from "../support/relay_rig.ts";
import { assertTimed, fuzzLimits } from "../support/timed.ts";

await cipherReady();

const TARGETS = 4;

/** A change somewhere in bytes: what to do, where, with which value. */
type Change = readonly [how: "set" | "flip" | "cut" | "insert" | "drop" | "length", number, number];

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom("set", "flip", "cut", "insert", "drop", "length"),
  fc.nat(),
  fc.nat(0xffff),
);
const changes = fc.array(change, { maxLength: 3 });

function mutate(bytes: Bytes, done: readonly Change[]): Bytes {
  let result = bytes.slice();
  for (const [how, number, value] of done) {
    const at = number % Math.max(1, result.length);
    if (how === "cut") result = result.slice(0, at);
    else if (how === "drop") result = concat(result.slice(0, at), result.slice(at + value % 40));
    else if (how === "insert") {
      const more = new Uint8Array(1 + value % 40).fill(value >> 8);
      result = concat(result.slice(0, at), more, result.slice(at));
    } else if (how === "set") result.set([value].slice(0, result.length), at);
    else if (how === "flip") {
      result.set([(result[at] ?? 0) ^ (1 << value % 8)].slice(0, result.length), at);
    } else if (at + 1 < result.length) result.set([value >> 8, value], at);
  }
  return result;
}

async function expectWireErrors(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
    return false;
  }
}

// --- What is sealed in a handshake ---

const handshakes = [...kat.transport.cases, ...kat.peer.cases];

const names = handshakes.map(({ name }) => name);

Deno.test("Initiator takes what is sealed in M2 only as it was, transport and peer, else a wire error", async () => {
  let good = 0;
  await assertTimed(fc.tuple(fc.constantFrom(...names), changes), async ([name, done]) => {
    const it = katHandshake(name);
    const plaintext = decodeHex(it.ct2_plaintext);
    const changed = mutate(plaintext, done);
    if (changed.length > MAX_CT2_BYTES - TAG_BYTES) return;
    const ct2 = sealAead(decodeHex(it.kR), 0, decodeHex(it.th1), changed);
    const side = await makeInitiator(it);
    const header = decodeHex(it.M2).slice(0, M2_HEADER_BYTES[it.mode]);
    const taken = await expectWireErrors(() => side.consumeM2(concat(header, withLength(ct2))));
    if (taken) assert.deepEqual(changed, plaintext);
    good += Number(taken);
  }, fuzzLimits(100, TARGETS));
  assert.ok(good > 0);
});

Deno.test("Responder takes what is sealed in M3 only as it was, transport and peer, else a wire error", async () => {
  let good = 0;
  await assertTimed(fc.tuple(fc.constantFrom(...names), changes), async ([name, done]) => {
    const it = katHandshake(name);
    const plaintext = decodeHex(it.ct3_plaintext);
    const changed = mutate(plaintext, done);
    if (changed.length > MAX_CT3_BYTES[it.mode] - TAG_BYTES) return;
    const side = await makeResponder(it);
    const ct3 = sealAead(decodeHex(it.kI), 0, decodeHex(it.th2), changed);
    const taken = await expectWireErrors(() => side.consumeM3(withLength(ct3)));
    if (taken) assert.deepEqual(changed, plaintext);
    good += Number(taken);
  }, fuzzLimits(100, TARGETS));
  assert.ok(good > 0);
});

// --- A client's session, against a relay ---

/** What a client may do next; most of it is honest, and then changed. */
interface Step {
  readonly what: "join" | "ping" | "pong" | "send" | "close" | "raw" | "wait" | "cut";
  readonly to: number;
  readonly size: number;
  readonly done: readonly Change[];
  /** Travels in one record with the step before. */
  readonly joined: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    "join",
    "ping",
    "pong",
    "send",
    "send",
    "send",
    "raw",
    "wait",
    "close",
    "cut",
  ),
  to: fc.nat(3),
  size: fc.oneof(fc.nat(50), fc.constantFrom(0, 1, 40, 15_999, 16_000, 16_001)),
  done: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: changes }),
  joined: fc.boolean(),
});

const JOIN: Frame = {
  type: "join",
  share: NO_SHARE,
  room: LOBBY,
  instance: new Uint8Array(16),
};

function frameOf({ what, size, done }: Step, sid: string): Bytes {
  const payload = new Uint8Array(size);
  const frame = what === "join"
    ? encodeFrame(JOIN)
    : what === "send"
    ? encodeFrame({ type: "send", sid, kind: KIND.RECORD, tag: "00000000", payload })
    : what === "close"
    ? encodeFrame({ type: "close", reason: size & 0xff })
    : what === "raw"
    ? payload
    : encodeFrame({ type: what === "pong" ? "pong" : "ping", data: new Uint8Array(8) });
  return mutate(frame, done);
}

async function play(rig: RelayRig, stream: ByteStream, steps: readonly Step[], sids: string[]) {
  const raw = await RawClient.open(stream, cheapKey(77));
  let isFirst = true;
  let record: Bytes = new Uint8Array();
  const flush = async () => {
    if (record.length === 0 || record.length > 16_500) return;
    await (isFirst ? raw.begin(record) : raw.send(record));
    isFirst = false;
    record = new Uint8Array();
  };
  for (const next of steps) {
    if (next.what === "cut") break;
    if (next.what === "wait") {
      await flush();
      await rig.clock.advance(100 * next.size);
      continue;
    }
    if (!next.joined) await flush();
    record = concat(record, frameOf(next, sids[next.to % sids.length]!));
  }
  await flush();
  await settle();
}

Deno.test("Relay against whole sessions, changed anywhere: it forwards what is right, ends the rest, and keeps nothing", async () => {
  const session = fc.tuple(
    fc.array(step, { maxLength: 12 }),
    fc.boolean(),
    fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: changes }),
  );
  const rig = new RelayRig();
  const [ann, bob] = await rig.room(2);
  let count = 0;
  let joined = 0;
  await assertTimed(session, async ([steps, joins, onWire]) => {
    const client = rig.dial();
    const { stream } = client;
    const wire: ByteStream = {
      read: (into) => stream.read(into),
      write: async (bytes) => {
        const changed = mutate(new Uint8Array(bytes), onWire);
        await writeAll(stream, changed);
        return bytes.length;
      },
      closeWrite: () => stream.closeWrite(),
      close: () => stream.close(),
    };
    const whole = joins ? [JOINING, ...steps] : steps;
    const playing = play(rig, wire, whole, [ann.sid, bob.sid, "0000000000000001"]).catch(() => {});
    await rig.clock.advance(25);
    ann.send(bob.sid, `${count++}`);
    await rig.clock.advance(25);
    client.stream.cut();
    await playing;
    await rig.clock.advance(2000);
    assert.deepEqual([rig.relay.members, rig.relay.pending], [2, 0]);
    assert.equal(bob.texts.filter((text) => text === `${count - 1}`).length, 1);
    bob.frames.length = Math.min(bob.frames.length, 1); // its WELCOME; the rest has been looked at
    ann.frames.length = Math.min(ann.frames.length, 1);
    joined += rig.events.filter(({ event }) => event === "joined").length;
    assert.deepEqual(
      rig.events.splice(0).filter((event) => JSON.stringify(event).includes("internal")),
      [],
    );
    assert.ok(rig.clock.timers < 20, `${rig.clock.timers} timers`);
  }, fuzzLimits(100, TARGETS));
  assert.ok(count > 10 && joined > count / 4, `${joined} of ${count} got as far as the room`);
});

const JOINING: Step = { what: "join", to: 0, size: 0, done: [], joined: false };

// --- A relay's session, against clients ---

/** What a relay may tell next, out of turn or not. */
interface Telling {
  readonly what:
    | "joined"
    | "left"
    | "recv"
    | "part"
    | "welcome"
    | "share"
    | "result"
    | "notice"
    | "ping"
    | "close"
    | "real";
  readonly who: number;
  readonly value: number;
  readonly done: readonly Change[];
}

const telling: fc.Arbitrary<Telling> = fc.record({
  what: fc.constantFrom(
    "joined",
    "left",
    "recv",
    "recv",
    "part",
    "part",
    "welcome",
    "share",
    "result",
    "notice",
    "ping",
    "close",
    "real",
    "real",
  ),
  who: fc.nat(4),
  value: fc.nat(255),
  done: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: changes }),
});

/** Reasons after which a client rightly stops for good. */
const FINAL: readonly number[] = [
  REASON.NORMAL,
  REASON.PASSWORD,
  REASON.NOT_ALLOWED,
  REASON.REPLACED,
  REASON.REMOVED,
  REASON.WEAK_KEY,
];

Deno.test("Session against whole sessions of a relay, changed anywhere: nothing forged, all heals", async () => {
  const session = fc.array(telling, { minLength: 1, maxLength: 12 });
  await assertTimed(session, async (tellings) => {
    await HostileRelay.use(async (relay) => {
      const [ann, bob] = await relay.meet(10, 11);
      const line = ann!.line;
      const heard: Uint8Array[] = [];
      const { route } = relay;
      relay.route = (sent) => {
        heard.push(sent.frame.payload.slice());
        return route(sent);
      };
      const sids = [
        bob!.line.sid,
        line.sid,
        "00000000000000aa",
        "00000000000000bb",
        "0".repeat(16),
      ];
      ann!.say("first");
      bob!.say("second");
      await relay.advance(200);
      for (const { what, who, value, done } of tellings) {
        if (what === "close" && FINAL.includes(value) && done.length === 0) continue;
        const sid = sids[who]!;
        const payload = what === "real" ? heard[value % heard.length]! : new Uint8Array(1 + value);
        const long = new Uint8Array(28 + value);
        const frame: Frame = what === "joined"
          ? { type: "joined", sid, fingerprint: new Uint8Array(32).fill(value) }
          : what === "left"
          ? { type: "left", sid, why: 1 + value % 2 }
          : what === "welcome"
          ? relay.welcomeOf(line)
          : what === "part"
          ? { type: "part", sid, tag: "00000000", box: new Uint8Array(57), common: long }
          : what === "share"
          ? { type: "share", share: new Uint8Array(32).fill(value) }
          : what === "result"
          ? { type: "result", request: "00000000", status: value, data: long }
          : what === "notice"
          ? { type: "notice", what: value, text: "x".repeat(1 + value) }
          : what === "ping"
          ? { type: "ping", data: new Uint8Array(8) }
          : what === "close"
          ? { type: "close", reason: value }
          : { type: "recv", sid, kind: 1 + value % 4, tag: "00000000", payload };
        const bytes = mutate(encodeFrame(frame), done);
        if (bytes.length > 3) relay.tellRaw(line, bytes[0]!, bytes.slice(3));
        await relay.advance(50);
      }
      // A CLOSE that a change made final ends the session, and that is all it does.
      if (ann!.failure instanceof UsageError) return relay.assertTruth();
      await relay.assertHeals();
    });
  }, fuzzLimits(20, TARGETS));
});
