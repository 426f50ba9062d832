import assert from "node:assert/strict";
import { type Bytes, concat, decodeHex, encodeHex } from "../lib/bytes.ts";
import type { Inbox } from "../lib/channel.ts";
import { cipherReady, Opener, Sealer } from "../lib/cipher.ts";
import type { RandomBytes } from "../lib/clock.ts";
import { type HandshakeOptions, Initiator, Responder } from "../lib/handshake.ts";
import { Line } from "../lib/line.ts";
import { decodeMessage, encodeMessage, type Message } from "../lib/message.ts";
import { KIND } from "../lib/transport_frame.ts";
import { Outbox } from "../lib/outbox.ts";
import type { Outgoing, Target } from "../lib/target.ts";
import { Peer } from "../lib/peer.ts";
import { MAX_ANSWERS_PER_MINUTE, type PeerContext } from "../lib/pairing.ts";
import type { PrivateKey } from "../lib/rsa.ts";
import { cheapKey, decodeCheapId } from "./support/cheap_key.ts";
import { doubleKey, seededRandom } from "./support/doubles.ts";
import { FakeClock, settle } from "./support/fake_clock.ts";

await cipherReady();

type Sendable = Exclude<Message, { type: "extension" }>;

const OWN_SID = "5000000000000000";
const OTHER_SID = "6000000000000000";
const INSTANCE = "02".repeat(16);
const RELAY = new Uint8Array(32).fill(7);
const ROOM = new Uint8Array(32).fill(8);
const NO_PSK = new Uint8Array(32);

/** Two identities of a size, the one with the smaller fingerprint first. */
function sortedKeys(bits = 3072): [PrivateKey, PrivateKey] {
  const keys = [cheapKey(1, bits), cheapKey(2, bits)];
  keys.sort((a, b) =>
    encodeHex(a.publicKey.fingerprint) < encodeHex(b.publicKey.fingerprint) ? -1 : 1
  );
  return keys as [PrivateKey, PrivateKey];
}

interface RigOptions {
  /** The peer under test is the one that begins. */
  initiates: boolean;
  bits?: number;
  minKeyBits?: number;
  /** The other side's password. */
  otherPsk?: Bytes;
  random?: RandomBytes;
  line?: Line;
  clock?: FakeClock;
  sid?: string;
  key?: (key: PrivateKey) => PrivateKey;
}

/** A payload the peer sent. */
interface Sent {
  readonly kind: number;
  readonly tag: string;
  readonly payload: Bytes;
  /** The clock's time. */
  readonly at: number;
}

/** The other side's end of a channel. */
interface End {
  readonly tag: string;
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/** A Peer under test with what a session has around it, and the other side driven by hand. */
class Rig {
  readonly clock: FakeClock;
  readonly events: string[] = [];
  readonly sent: Sent[] = [];
  readonly outbox: Outbox;
  readonly peer: Peer;
  readonly otherKey: PrivateKey;
  readonly inbox: Inbox = { received: 0, took: false };
  readonly startedAt: number;
  target: Target;
  away = "";
  nick = "me";
  gone = false;
  #options: RigOptions;
  #ownKey: PrivateKey;
  #serial = 0;
  /** What the other side has not looked at yet. */
  #unread: Sent[] = [];

  constructor(options: RigOptions) {
    this.#options = options;
    this.clock = options.clock ?? new FakeClock();
    this.startedAt = this.clock.now();
    const [low, high] = sortedKeys(options.bits);
    [this.#ownKey, this.otherKey] = options.initiates ? [low, high] : [high, low];
    this.outbox = new Outbox(this.clock, {
      delivered: (message) => this.events.push(`delivered ${message.text}`),
      undelivered: (message) => this.events.push(`undelivered ${message.text}`),
    });
    this.target = this.outbox.addWaiting("other");
    const sid = options.sid ?? OTHER_SID;
    const { fingerprint } = this.otherKey.publicKey;
    this.peer = new Peer({ sid, fingerprint }, this.#context(), {
      hello: (_, { nick, instance }) => {
        this.events.push(`hello ${nick}`);
        this.target = this.outbox.bind(this.target, instance, { adopt: false });
        return { target: this.target, inbox: this.inbox };
      },
      ready: () => {
        this.events.push("ready");
        this.target.downAt = undefined;
        this.pump();
      },
      chat: ({ seq, text }) => this.events.push(`chat ${seq} ${text}`),
      nick: (nick) => this.events.push(`nick ${nick}`),
      lost: (count) => this.events.push(`lost ${count}`),
      away: (text) => this.events.push(`away ${text}`),
      down: () => {
        this.events.push("down");
        this.target.downAt = this.clock.now();
      },
      refused: (reason, byUs) => this.events.push(`refused ${reason} by ${byUs ? "us" : "them"}`),
    });
    this.#tick();
  }

  #context(): PeerContext {
    return {
      key: this.#options.key?.(this.#ownKey) ?? this.#ownKey,
      clock: this.clock,
      random: this.#options.random ?? seededRandom("peer"),
      decodeId: decodeCheapId,
      relay: RELAY,
      room: ROOM,
      sid: OWN_SID,
      instance: "01".repeat(16),
      psk: NO_PSK,
      minKeyBits: this.#options.minKeyBits ?? 2048,
      line: this.#options.line ?? new Line(this.clock, { atOnce: 4, perSecond: 20 }),
      outbox: this.outbox,
      nick: () => this.nick,
      away: () => this.away,
      send: (_, kind, tag, payload) => {
        const sent = { kind, tag, payload: payload.slice(), at: this.clock.now() };
        this.sent.push(sent);
        this.#unread.push(sent);
      },
    };
  }

  #tick(): void {
    if (this.gone) return;
    this.peer.tick(this.target);
    this.clock.after(1000, () => this.#tick());
  }

  /** The session has no such member any more. */
  dispose(): void {
    this.gone = true;
    this.peer.dispose();
  }

  /** The options with which the other side shakes hands. */
  otherOptions(): HandshakeOptions {
    const own = { fingerprint: this.#ownKey.publicKey.fingerprint, sid: OWN_SID };
    const other = { fingerprint: this.otherKey.publicKey.fingerprint, sid: this.peer.sid };
    const [first, second] = this.#options.initiates ? [own, other] : [other, own];
    return {
      key: this.otherKey,
      mode: "peer",
      prologue: concat(
        RELAY,
        ROOM,
        first.fingerprint,
        second.fingerprint,
        decodeHex(first.sid),
        decodeHex(second.sid),
      ),
      psk: this.#options.otherPsk ?? NO_PSK,
      expected: own.fingerprint,
      decodeId: decodeCheapId,
    };
  }

  /** What the peer sent since the last call. */
  take(): Sent[] {
    return this.#unread.splice(0);
  }

  /** Gives the peer a payload, and lets it do what comes of it. */
  async give(kind: number, tag: string, payload: Uint8Array): Promise<void> {
    this.peer.receive(kind, tag, payload);
    await settle(1);
  }

  /** Takes the one payload the peer has sent, of this kind. */
  one(kind: number): Sent {
    const sent = this.take();
    assert.deepEqual(sent.map((payload) => payload.kind), [kind]);
    return sent[0]!;
  }

  /** The other side answers the M1 that was sent: gives its end of the channel, and has not sent HELLO. */
  async answer(): Promise<End> {
    const m1 = this.one(KIND.M1);
    const responder = new Responder(this.otherOptions());
    await this.give(KIND.M2, m1.tag, await responder.consumeM1(m1.payload));
    const m3 = this.#unread.shift()!;
    assert.deepEqual([m3.kind, m3.tag], [KIND.M3, m1.tag]);
    const { sendKey, receiveKey } = await responder.consumeM3(m3.payload);
    return { tag: m1.tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  }

  /** The other side begins: gives its end of the channel once M3 is sent, and has not sent HELLO. */
  async begin(tag: string): Promise<End> {
    const initiator = new Initiator(this.otherOptions());
    await this.give(KIND.M1, tag, initiator.m1);
    const m2 = this.one(KIND.M2);
    assert.equal(m2.tag, tag);
    const { m3, sendKey, receiveKey } = await initiator.consumeM2(m2.payload);
    await this.give(KIND.M3, tag, m3);
    return { tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  }

  /** A channel on which messages flow. */
  async connect(tag = "000000c1", received = 0): Promise<End> {
    const end = this.peer.initiates ? (this.peer.start(), await this.answer()) : await this.begin(
      tag,
    );
    await this.say(end, HELLO);
    await this.say(end, { type: "ack", received });
    this.heard(end);
    this.events.length = 0;
    return end;
  }

  async say(end: End, message: Sendable): Promise<void> {
    await this.give(KIND.RECORD, end.tag, end.sealer.seal(encodeMessage(message)));
  }

  /** What the peer has said on a channel since the last call; nothing else may have been sent. */
  heard(end: End): string[] {
    return this.take().map(({ kind, tag, payload }) => {
      assert.deepEqual([kind, tag], [KIND.RECORD, end.tag]);
      return describe(decodeMessage(end.opener.open(payload)));
    });
  }

  write(text: string): void {
    const message: Outgoing = {
      id: (this.#serial++).toString(16).padStart(16, "0"),
      serial: this.#serial,
      time: 0,
      action: false,
      private: false,
      text,
      bytes: text.length,
    };
    this.outbox.add(message, [this.target]);
    this.pump();
  }

  pump(): void {
    this.peer.channel?.pump({
      nick: this.nick,
      now: this.clock.now(),
      room: () => true,
      encode: ({ message }, seq) => chat(seq, message!.text),
    });
  }

  /** The seconds at which payloads of a kind were sent. */
  secondsOf(kind: number): number[] {
    return this.sent.filter((sent) => sent.kind === kind)
      .map(({ at }) => (at - this.startedAt) / 1000);
  }

  /** What happened since the last call. */
  happened(): string[] {
    return this.events.splice(0);
  }
}

const HELLO: Sendable = { type: "hello", features: 0, instance: INSTANCE, nick: "Anna" };

function chat(seq: number, text: string): Sendable {
  return {
    type: "chat",
    seq,
    id: "00".repeat(8),
    time: 0,
    action: false,
    private: false,
    late: false,
    view: new Uint8Array(32),
    text,
  };
}

function describe(message: Message): string {
  const { type, ...fields } = message;
  switch (message.type) {
    case "chat":
      return `chat ${message.seq} ${message.text}`;
    case "hello":
      return `hello ${message.nick}`;
    default:
      return [type, ...Object.values(fields)].join(" ");
  }
}

const BOTH = [{ initiates: true }, { initiates: false }];

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

Deno.test("Peer that was refused answers no M1 any more", async () => {
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

Deno.test("Peer that refuses a weak key says so again to who begins again: the first CLOSE may be lost", async () => {
  const rig = new Rig({ initiates: false, minKeyBits: 4096 });
  for (const tag of ["000000c1", "000000c2"]) {
    const end = await rig.begin(tag);
    assert.deepEqual(rig.take(), []);
    await rig.say(end, HELLO);
    assert.deepEqual(rig.heard(end), ["close 9"]);
  }
  assert.deepEqual(rig.happened(), ["refused 9 by us"]); // told once
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
    const message of [HELLO, { type: "ack", received: 0 }, chat(1, "a"), chat(2, "b")] as Sendable[]
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
