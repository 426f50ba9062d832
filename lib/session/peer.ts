/**
 * One member of the roster as this client deals with it: the channel, its successors, and when to try again
 * (PROTOCOL.md §6). No I/O: payloads in, payloads out; clock and randomness are parameters.
 *
 * Knows nothing of the relay's frames, of files or of what is shown.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { Channel, type ChannelListener } from "./peer_channel.ts";
import type { Timer } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import type { HandshakeResult } from "../protocol/handshake.ts";
import { Pairing, type PeerContext } from "./peer_handshake.ts";
import { MESSAGE } from "../protocol/messages.ts";
import { KIND, REASON } from "../protocol/frames.ts";
import type { Target } from "../target.ts";

/** HELLO and the first ACK have to arrive within this after M3, §6. */
export const CHANNEL_TIMEOUT_MS = 30_000;
/** Something unacknowledged for so long ends a channel, §6. */
export const ACK_TIMEOUT_MS = 30_000;
/** Waits between attempts, §6; the last one repeats. */
export const RETRY_SECONDS: readonly number[] = [1, 2, 4, 8, 16, 30];
/** One ACK for everything that arrives within this; §6 allows 1 s. */
const ACK_DELAY_MS = 50;
/** Reasons after which nothing is tried again until the sid changes, §6. */
const FINAL_REASONS: readonly number[] = [REASON.NORMAL, REASON.NOT_ALLOWED, REASON.WEAK_KEY];

/** What a peer tells its session. */
export interface PeerListener
  extends Pick<ChannelListener, "chat" | "nick" | "lost" | "away" | "hello" | "ready"> {
  /** There is no live channel any more, and none about to follow a live one. */
  down(): void;
  /** Nothing more will be tried with this sid. */
  refused(reason: number, byUs: boolean): void;
}

/** One member of the roster. */
export class Peer {
  readonly sid: string;
  /** The fingerprint the relay claims, 32 bytes. */
  readonly fingerprint: Bytes;
  /** Ended for good. */
  refused = false;
  #context: PeerContext;
  #listener: PeerListener;
  #pairing: Pairing;
  #current: Channel | undefined;
  /** The channel before the present one, on which the responder may still be sending. */
  #older: Channel | undefined;
  #attempts = 0;
  #retryTimer: Timer | undefined;
  #ackTimer: Timer | undefined;
  #gone = false;

  constructor(
    member: { sid: string; fingerprint: Bytes },
    context: PeerContext,
    listener: PeerListener,
  ) {
    this.sid = member.sid;
    this.fingerprint = member.fingerprint;
    this.#context = context;
    this.#listener = listener;
    this.#pairing = new Pairing(member, context, {
      isInUse: (tag) => tag === this.#current?.tag || tag === this.#older?.tag,
      makeChannel: (tag, keys) => this.#makeChannel(tag, keys),
      initiated: (tag, keys) => this.#initiated(this.#makeChannel(tag, keys)),
      early: (tag, record) => this.#takeRecord(tag, record),
      failed: () => this.#retry(),
    });
  }

  /** One's own side is the initiator. */
  get initiates(): boolean {
    return this.#pairing.initiates;
  }

  /** The channel in use; it may be waiting for HELLO or the first ACK. */
  get channel(): Channel | undefined {
    return this.#current;
  }

  /** Messages flow. */
  get live(): boolean {
    return this.#current?.live ?? false;
  }

  /** Begins pairing, where it is this side that begins. */
  start(): void {
    if (this.initiates && !this.refused && !this.#gone) this.#pairing.start();
  }

  /** The member is gone, or the connection is: nothing more is sent or told. */
  dispose(): void {
    this.#gone = true;
    this.#current?.close();
    this.#older?.close();
    this.#pairing.dispose();
    this.#context.clock.cancel(this.#retryTimer);
    this.#context.clock.cancel(this.#ackTimer);
  }

  /** Ends the channel with a reason; the initiator tries again if that reason is not final. */
  end(reason: number): void {
    const channel = this.#current;
    if (!channel) return;
    channel.close(reason);
    this.#ended(channel, reason, true);
  }

  /** Tells the other side of a changed away text. */
  sendAway(text: string): void {
    this.#current?.send({ type: "away", text }); // one's own HELLO has been sent in it
  }

  /** Sends an ACK that is due at once, before the connection closes. */
  flushAck(): void {
    if (this.#ackTimer === undefined) return;
    this.#context.clock.cancel(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#current?.acknowledge();
  }

  /** Ends what has taken too long; call it about once a second. */
  tick(target: Target): void {
    const now = this.#context.clock.now();
    this.#pairing.tick();
    const channel = this.#current;
    if (!channel) return;
    if (!channel.live) {
      if (now - channel.startedAt >= CHANNEL_TIMEOUT_MS) this.end(REASON.TIMEOUT);
      return;
    }
    const sentAt = target.items[0]?.sentAt;
    if (sentAt !== undefined && now - sentAt >= ACK_TIMEOUT_MS) this.end(REASON.TIMEOUT);
  }

  /** Takes a payload from the relay; what does not fit is dropped without effect (§6). */
  receive(kind: number, tag: string, payload: Uint8Array): void {
    if (this.#gone || this.refused) return;
    if (kind === KIND.RECORD) this.#takeRecord(tag, payload);
    else this.#pairing.receive(kind, tag, payload);
  }

  /** The new channel is the one to send on; the responder may go on with the old one for a while (§6). */
  #initiated(channel: Channel): void {
    if (this.#refuseWeak(channel)) return;
    this.#older?.close();
    this.#older = this.#current;
    this.#current = channel;
    this.#greet(channel);
  }

  #makeChannel(tag: string, keys: HandshakeResult): Channel {
    const { clock, outbox, send } = this.#context;
    return new Channel({
      tag,
      keys,
      outbox,
      startedAt: clock.now(),
      send: (record) => send(this.sid, KIND.RECORD, tag, record),
      listener: {
        hello: (channel, message) => this.#listener.hello(channel, message),
        ready: (channel) => {
          this.#attempts = 0;
          this.#listener.ready(channel);
        },
        closed: (channel, reason) => this.#ended(channel, reason, false),
        chat: (message) => this.#listener.chat(message),
        nick: (nick) => this.#listener.nick(nick),
        lost: (count) => this.#listener.lost(count),
        away: (text) => this.#listener.away(text),
        ackDue: () => this.#scheduleAck(),
      },
    });
  }

  /** The first messages in a channel; §6: AWAY comes after HELLO. */
  #greet(channel: Channel): void {
    const { instance, nick, away } = this.#context;
    channel.toldNick = nick();
    channel.send({ type: "hello", features: 0, instance, nick: channel.toldNick });
    if (away() !== "") channel.send({ type: "away", text: away() });
  }

  /** §3: the policy on keys is applied once the other side is proven, and answered with CLOSE(9). */
  #refuseWeak(channel: Channel): boolean {
    if (channel.peer.bits >= this.#context.minKeyBits) return false;
    channel.close(REASON.WEAK_KEY);
    this.#refuse(REASON.WEAK_KEY, true);
    return true;
  }

  #takeRecord(tag: string, record: Uint8Array): void {
    const channel = [this.#current, this.#older].find((channel) => channel?.tag === tag);
    if (channel) return this.#takeFrom(channel, record);
    const opened = this.#pairing.takeRecord(tag, record);
    if (opened) this.#takeFirst(opened, record);
  }

  /** The initiator's first record: only now is it connected (§3), and only now does the new channel take over (§6). */
  #takeFirst(channel: Channel, record: Uint8Array): void {
    const plaintext = this.#open(channel, record);
    if (!plaintext) return;
    const isClose = plaintext[0] === MESSAGE.CLOSE; // §4: closed without answering
    if (!isClose && this.#refuseWeak(channel)) return;
    const isDown = this.#current?.live === false; // who only ever begins anew is gone, §6
    this.#current?.close();
    this.#current = channel;
    if (isDown) this.#listener.down();
    if (!isClose) this.#greet(channel);
    this.#act(channel, plaintext);
  }

  #takeFrom(channel: Channel, record: Uint8Array): void {
    if (channel.closed) return;
    const plaintext = this.#open(channel, record);
    if (!plaintext) return this.#fail(channel);
    if (channel === this.#current && this.#older) {
      // The responder's first record on the new channel: it sends nothing on the old one any more.
      this.#older.close();
      this.#older = undefined;
    }
    this.#act(channel, plaintext);
  }

  #open(channel: Channel, record: Uint8Array): Bytes | undefined {
    try {
      return channel.open(record);
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      return undefined;
    }
  }

  #act(channel: Channel, plaintext: Bytes): void {
    try {
      channel.take(plaintext);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(channel);
    }
  }

  /** §4: CLOSE(3) if at least one record had verified, else nothing. */
  #fail(channel: Channel): void {
    channel.close(channel.verified ? REASON.PROTOCOL : undefined);
    this.#ended(channel, REASON.PROTOCOL, true);
  }

  #ended(channel: Channel, reason: number, byUs: boolean): void {
    channel.close();
    if (channel === this.#older) {
      this.#older = undefined;
      return;
    }
    if (channel !== this.#current) return;
    this.#current = undefined;
    this.#older?.close();
    this.#older = undefined;
    this.#context.clock.cancel(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#listener.down();
    if (FINAL_REASONS.includes(reason)) this.#refuse(reason, byUs);
    else this.#retry();
  }

  #refuse(reason: number, byUs: boolean): void {
    this.#current?.close();
    this.#current = undefined;
    this.#pairing.forget();
    this.refused = true;
    this.#listener.refused(reason, byUs);
  }

  /** §6: the initiator tries again after 1, 2, 4, 8, 16, 30, 30 … seconds. */
  #retry(): void {
    if (!this.initiates || this.refused || this.#gone) return;
    const seconds = RETRY_SECONDS[Math.min(this.#attempts++, RETRY_SECONDS.length - 1)]!;
    this.#context.clock.cancel(this.#retryTimer);
    this.#retryTimer = this.#context.clock.after(seconds * 1000, () => {
      if (!this.#pairing.busy && !this.#current) this.start();
    });
  }

  #scheduleAck(): void {
    this.#ackTimer ??= this.#context.clock.after(ACK_DELAY_MS, () => {
      this.#ackTimer = undefined;
      this.#current?.acknowledge();
    });
  }
}
