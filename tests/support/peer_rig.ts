/**
 * A {@linkcode Peer} whose other side is driven by the test.
 *
 * @module
 */

import { KEPT_MS } from "../../lib/protocol/limits.ts";
import assert from "node:assert/strict";
import { type Bytes, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import {
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  peerPrologue,
} from "../../lib/protocol/handshake.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
} from "../../lib/protocol/messages.ts";
import { pad, unpad } from "../../lib/protocol/padding.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import { Guesses } from "../../lib/session/guesses.ts";
import { HandshakeQueue } from "../../lib/session/handshake_queue.ts";
import { Inbox } from "../../lib/session/inbox.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import type { OutgoingChat } from "../../lib/session/outgoing.ts";
import { Peer } from "../../lib/session/peer.ts";
import type { PeerContext } from "../../lib/session/peer_handshake.ts";
import { ViewLog } from "../../lib/session/view_log.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import { Stream } from "../../lib/session/streams.ts";
import { cheapKey, cheapPrimitives } from "./cheap_key.ts";
import { seededRandom } from "./doubles.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { chat, HELLO, INSTANCE } from "./messages.ts";

export const OWN_SID = "5000000000000000";
export const OTHER_SID = "6000000000000000";
export const RELAY = new Uint8Array(32).fill(7);
export const ROOM = new Uint8Array(32).fill(8);

/** Two identities of one size, the smaller fingerprint first. */
export function sortedKeys(bits = 3072): [PrivateKey, PrivateKey] {
  const keys = [cheapKey(1, bits), cheapKey(2, bits)];
  keys.sort((a, b) =>
    encodeHex(a.publicKey.fingerprint) < encodeHex(b.publicKey.fingerprint) ? -1 : 1
  );
  return keys as [PrivateKey, PrivateKey];
}

export interface RigOptions {
  /** The peer under test is the initiator. */
  initiates: boolean;
  bits?: number;
  minKeyBits?: number;
  /** Kroom of the peer under test, and by default of the other side. */
  roomKey?: Bytes;
  /** Kroom of the other side. */
  otherRoomKey?: Bytes;
  random?: RandomBytes;
  queue?: HandshakeQueue;
  guesses?: Guesses;
  clock?: FakeClock;
  sid?: string;
  key?: (key: PrivateKey) => PrivateKey;
}

/** A payload the peer sent. */
export interface Sent {
  readonly kind: number;
  readonly tag: string;
  readonly payload: Bytes;
  /** The clock's time. */
  readonly at: number;
}

/** The other end of a channel. */
export interface End {
  readonly tag: string;
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/** A Peer under test in the surroundings of a session, with the other side driven by hand. */
export class Rig {
  readonly clock: FakeClock;
  readonly events: string[] = [];
  readonly sent: Sent[] = [];
  readonly outbox: Outbox;
  readonly peer: Peer;
  readonly otherKey: PrivateKey;
  readonly inbox: Inbox;
  readonly stream: Stream;
  readonly guesses: Guesses;
  readonly startedAt: number;
  away = "";
  topic: { type: "topic"; time: number; text: string } | undefined;
  nick = "me";
  gone = false;
  readonly #options: RigOptions;
  readonly #ownKey: PrivateKey;
  #serial = 0;
  /** What the other side has not read yet. */
  readonly #unread: Sent[] = [];

  constructor(options: RigOptions) {
    this.#options = options;
    this.clock = options.clock ?? new FakeClock();
    this.startedAt = this.clock.now();
    this.guesses = options.guesses ?? new Guesses(this.clock);
    const [low, high] = sortedKeys(options.bits);
    [this.#ownKey, this.otherKey] = options.initiates ? [low, high] : [high, low];
    this.outbox = new Outbox({
      own: "own",
      now: () => this.clock.now(),
      delivered: (message) => this.events.push(`delivered ${message.text}`),
      undelivered: (message) => this.events.push(`undelivered ${message.text}`),
      keptMs: () => KEPT_MS,
      waived: () => [],
      kept: () => {},
    });
    const sid = options.sid ?? OTHER_SID;
    const { fingerprint } = this.otherKey.publicKey;
    this.stream = new Stream(encodeFingerprint(fingerprint), INSTANCE, this.clock);
    this.inbox = new Inbox(this.clock, new ViewLog(this.clock));
    this.inbox.onGiven = () => this.peer.acknowledgeSoon();
    const member = { sid } as RosterMember;
    this.peer = new Peer({ sid, fingerprint }, this.#context(), {
      outbox: this.outbox,
      listener: {
        hello: (_, { nick }) => {
          this.events.push(`hello ${nick}`);
          this.stream.show(member);
          return { stream: this.stream, inbox: this.inbox };
        },
        ready: () => {
          this.events.push("ready");
          this.pump();
        },
        message: (message) => {
          this.events.push(describe(message));
          if (message.type === "gap") this.inbox.skipTo(message.next);
          if ("seq" in message) this.inbox.add({ seq: message.seq, give: () => {} });
        },
        down: ({ reason, byUs }) => {
          this.events.push(`down ${reason} by ${byUs ? "us" : "them"}`);
          if (this.stream.holder) this.stream.hide();
        },
        refused: ({ reason, byUs }) =>
          this.events.push(`refused ${reason} by ${byUs ? "us" : "them"}`),
      },
    });
    this.#tick();
  }

  #context(): PeerContext {
    const { key, random, minKeyBits, queue, roomKey } = this.#options;
    const own = key?.(this.#ownKey) ?? this.#ownKey;
    return {
      key: own,
      session: makeSessionKey(own, {
        membership: { relay: RELAY, room: ROOM, sid: decodeHex(OWN_SID) },
        primitives: cheapPrimitives,
      }),
      clock: this.clock,
      random: random ?? seededRandom("peer"),
      primitives: cheapPrimitives,
      relay: RELAY,
      room: ROOM,
      sid: OWN_SID,
      instance: "01".repeat(16),
      roomKey,
      minKeyBits: minKeyBits ?? 2048,
      queue: queue ?? new HandshakeQueue(this.clock),
      guesses: this.guesses,
      nick: () => this.nick,
      away: () => this.away,
      features: () => 0,
      topic: () => this.topic,
      send: (_, kind, tag, payload) => {
        const sent = { kind, tag, payload: payload.slice(), at: this.clock.now() };
        this.sent.push(sent);
        this.#unread.push(sent);
      },
    };
  }

  #tick(): void {
    if (this.gone) return;
    this.peer.tick();
    this.clock.after(1000, () => this.#tick());
  }

  /** The session has removed this member. */
  dispose(): void {
    this.gone = true;
    this.peer.dispose();
  }

  /** The handshake options of the other side. */
  otherOptions(): HandshakeOptions {
    const { initiates, roomKey, otherRoomKey } = this.#options;
    const own = {
      fingerprint: this.#ownKey.publicKey.fingerprint,
      sid: decodeHex(OWN_SID),
    };
    const sid = decodeHex(this.peer.sid);
    const other = { fingerprint: this.otherKey.publicKey.fingerprint, sid };
    const [initiator, responder] = initiates ? [own, other] : [other, own];
    return {
      key: this.otherKey,
      mode: "peer",
      session: makeSessionKey(this.otherKey, {
        membership: { relay: RELAY, room: ROOM, sid },
        primitives: cheapPrimitives,
      }),
      prologue: peerPrologue({ relay: RELAY, room: ROOM, initiator, responder }),
      roomKey: otherRoomKey ?? roomKey,
      expected: own.fingerprint,
      primitives: cheapPrimitives,
    };
  }

  /** A handshake that the other side initiates. */
  initiator(options: Partial<HandshakeOptions> = {}): Promise<HandshakeInitiator> {
    return HandshakeInitiator.start({ ...this.otherOptions(), ...options });
  }

  /** A handshake that the other side answers. */
  responder(options: Partial<HandshakeOptions> = {}): HandshakeResponder {
    return new HandshakeResponder({ ...this.otherOptions(), ...options });
  }

  /** What the peer sent since the last call. */
  take(): Sent[] {
    return this.#unread.splice(0);
  }

  /** Takes one payload out of what was not read yet. */
  drop(sent: Sent): void {
    this.#unread.splice(this.#unread.indexOf(sent), 1);
  }

  /** Starts the peer's own handshake, and waits for its M1. */
  async start(): Promise<void> {
    this.peer.start();
    await settle(1);
  }

  /** Gives the peer a payload, and waits until it has processed it. */
  async give(kind: number, tag: string, payload: Uint8Array): Promise<void> {
    this.peer.receive(kind, tag, payload);
    await settle(1);
  }

  /** The only payload that the peer has sent, which must be of this kind. */
  one(kind: number): Sent {
    const sent = this.take();
    assert.deepEqual(sent.map((payload) => payload.kind), [kind]);
    return sent[0]!;
  }

  /** Answers the M1 that was sent, up to M3. @returns The other end of the channel, before HELLO. */
  async answer(): Promise<End> {
    const m1 = this.one(KIND.M1);
    const responder = this.responder();
    await this.give(KIND.M2, m1.tag, await responder.consumeM1(m1.payload));
    const m3 = this.#unread.shift()!;
    assert.deepEqual([m3.kind, m3.tag], [KIND.M3, m1.tag]);
    const { sendKey, receiveKey } = await responder.consumeM3(m3.payload);
    return { tag: m1.tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  }

  /** Initiates a handshake, up to M3. @returns The other end of the channel, before HELLO. */
  async begin(tag: string): Promise<End> {
    const initiator = await this.initiator();
    await this.give(KIND.M1, tag, initiator.m1);
    const m2 = this.one(KIND.M2);
    assert.equal(m2.tag, tag);
    const { m3, sendKey, receiveKey } = await initiator.consumeM2(m2.payload);
    await this.give(KIND.M3, tag, m3);
    return { tag, sealer: new Sealer(sendKey), opener: new Opener(receiveKey) };
  }

  /** A channel up to M3, whoever initiates. */
  async meet(tag: string): Promise<End> {
    if (!this.peer.initiates) return await this.begin(tag);
    await this.start();
    return await this.answer();
  }

  /** Makes a live channel. */
  async connect(tag = "000000c1", received = 0): Promise<End> {
    const end = await this.meet(tag);
    await this.say(end, HELLO);
    await this.say(end, { type: "ack", received });
    this.heard(end);
    this.events.length = 0;
    return end;
  }

  async say(end: End, message: SentMessage): Promise<void> {
    await this.sayBytes(end, encodeMessage(message));
  }

  /** Sends a plaintext, padded. */
  async sayBytes(end: End, message: Uint8Array): Promise<void> {
    await this.give(KIND.RECORD, end.tag, end.sealer.seal(pad(message)));
  }

  /** What the peer has sent on a channel since the last call; it must have sent nothing else. */
  heard(end: End): string[] {
    return this.take().map(({ kind, tag, payload }) => {
      assert.deepEqual([kind, tag], [KIND.RECORD, end.tag]);
      return describe(decodeMessage(unpad(end.opener.open(payload))));
    });
  }

  write(text: string): void {
    const message: OutgoingChat = {
      type: "chat",
      id: (this.#serial++).toString(16).padStart(16, "0"),
      serial: this.#serial,
      writtenAt: this.clock.now(),
      time: 0,
      action: false,
      private: false,
      reply: undefined,
      text,
      bytes: text.length,
    };
    this.outbox.add(message, [{ fingerprint: this.stream.fingerprint, streams: [this.stream] }]);
    this.pump();
  }

  pump(): void {
    const { channel } = this.peer;
    for (let item = channel?.nextItem(); item; item = channel!.nextItem()) {
      channel!.sendItem(item, encodeMessage(chat(item.seq, item.message!.text)));
    }
  }

  /** The times in seconds at which payloads of a kind were sent. */
  secondsOf(kind: number): number[] {
    return this.sent.filter((sent) => sent.kind === kind)
      .map(({ at }) => (at - this.startedAt) / 1000);
  }

  /** Events since the last call. */
  happened(): string[] {
    return this.events.splice(0);
  }
}

export function describe(message: Message): string {
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

export const BOTH = [{ initiates: true }, { initiates: false }];
