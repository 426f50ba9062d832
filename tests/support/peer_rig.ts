/**
 * A {@linkcode Peer} driven by hand: the other side is the test.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Bytes, concat, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import type { Inbox } from "../../lib/session/peer_channel.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import { type HandshakeOptions, Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { Line } from "../../lib/base/job_queue.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
} from "../../lib/protocol/messages.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import type { Outgoing, Target } from "../../lib/target.ts";
import { Peer } from "../../lib/session/peer.ts";
import type { PeerContext } from "../../lib/session/peer_handshake.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { cheapKey, decodeCheapId } from "./cheap_key.ts";
import { seededRandom } from "./doubles.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { chat, HELLO } from "./messages.ts";

export const OWN_SID = "5000000000000000";
export const OTHER_SID = "6000000000000000";
export const RELAY = new Uint8Array(32).fill(7);
export const ROOM = new Uint8Array(32).fill(8);
export const NO_PSK = new Uint8Array(32);

/** Two identities of a size, the one with the smaller fingerprint first. */
export function sortedKeys(bits = 3072): [PrivateKey, PrivateKey] {
  const keys = [cheapKey(1, bits), cheapKey(2, bits)];
  keys.sort((a, b) =>
    encodeHex(a.publicKey.fingerprint) < encodeHex(b.publicKey.fingerprint) ? -1 : 1
  );
  return keys as [PrivateKey, PrivateKey];
}

export interface RigOptions {
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
export interface Sent {
  readonly kind: number;
  readonly tag: string;
  readonly payload: Bytes;
  /** The clock's time. */
  readonly at: number;
}

/** The other side's end of a channel. */
export interface End {
  readonly tag: string;
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/** A Peer under test with what a session has around it, and the other side driven by hand. */
export class Rig {
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

  async say(end: End, message: SentMessage): Promise<void> {
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
      encode: ({ message, seq }) => encodeMessage(chat(seq, message!.text)),
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
