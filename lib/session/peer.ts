/**
 * The connection to one roster member: its channel, the successors of that, and retries (PROTOCOL.md §6). No I/O:
 * payloads in, payloads out; clock and randomness are parameters.
 *
 * @module
 */

import { Backoff } from "../base/backoff.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { KIND, REASON } from "../protocol/frames.ts";
import type { HandshakeResult } from "../protocol/handshake.ts";
import { RENEW_MS } from "../protocol/limits.ts";
import type { Message, SentMessage } from "../protocol/messages.ts";
import type { Outbox } from "./outbox.ts";
import { PeerChannel, type PeerChannelListener, type PeerRecord } from "./peer_channel.ts";
import { type PeerContext, PeerHandshake } from "./peer_handshake.ts";

/** Time limit for HELLO and the first ACK, counted from M3, §6. */
export const CHANNEL_TIMEOUT_MS = 30_000;
/** A channel that has lasted this long since its M3 resets the delay of retries, §6. */
const STABLE_MS = 30_000;
/** Delay of an ACK, which covers everything that arrives meanwhile; §6 allows 1 s. */
const ACK_DELAY_MS = 50;
/** Messages flow if the last ACK is not older than this. */
const FLOW_MS = 2_000;
/** In a flow, an ACK waits until nothing has come for this long … */
const FLOW_QUIET_MS = 250;
/** … but not for longer than this. */
const FLOW_ACK_DELAY_MS = 900;
/** Reasons after which the initiator does not retry until the sid changes, §6. */
const FINAL_REASONS: readonly number[] = [
  REASON.NORMAL,
  REASON.NOT_ALLOWED,
  REASON.REPLACED,
  REASON.WEAK_KEY,
];
/** What may wait while an earlier payload of the member is being worked on; an honest member sends less. */
const MAX_WAITING_PAYLOADS = 2048;

/** How a channel ended. */
export interface ChannelEnd {
  readonly reason: number;
  readonly byUs: boolean;
}

/** Callbacks of a peer. */
interface PeerListener extends Pick<PeerChannelListener, "hello" | "ready" | "message"> {
  /** A channel has ended, and no other replaces it. */
  down(end: ChannelEnd): void;
  /** Refused for good. Called after `down`, if there was a channel. */
  refused(end: ChannelEnd): void;
}

/** One roster member. */
export class Peer {
  readonly sid: string;
  /** The fingerprint the relay claims, 32 bytes. */
  readonly fingerprint: Bytes;
  readonly #context: PeerContext;
  readonly #outbox: Outbox;
  readonly #listener: PeerListener;
  readonly #handshake: PeerHandshake;
  readonly #backoff = new Backoff();
  #current: PeerChannel | undefined;
  /** As initiator: M3 was sent, and nothing has come on this channel yet. The current one is used until then, §6. */
  #next: PeerChannel | undefined;
  /** As initiator: refused for good. */
  #refused = false;
  /** As responder: what every further channel is closed with. */
  #refusal: number | undefined;
  #stable = false;
  #retryTimer: Timer | undefined;
  #renewTimer: Timer | undefined;
  #ackTimer: Timer | undefined;
  /** When the last delayed ACK was sent, when something was last given to the user, and until when it may wait. */
  #ackedAt = -Infinity;
  #givenAt = 0;
  #ackBy = 0;
  #gone = false;
  /** An earlier payload is being worked on. */
  #busy = false;
  #waiting: (() => void)[] = [];

  constructor(
    member: { sid: string; fingerprint: Bytes },
    context: PeerContext,
    options: { outbox: Outbox; listener: PeerListener },
  ) {
    this.sid = member.sid;
    this.fingerprint = member.fingerprint;
    this.#context = context;
    this.#outbox = options.outbox;
    this.#listener = options.listener;
    this.#handshake = new PeerHandshake(member, context, {
      isInUse: (tag) => tag === this.#current?.tag || tag === this.#next?.tag,
      makeChannel: (tag, keys) => this.#makeChannel(tag, keys),
      initiated: (tag, keys) => this.#initiated(this.#makeChannel(tag, keys)),
      failed: () => this.#retry(),
      work: (step) => this.#work(step),
    });
  }

  /** We are the initiator. */
  get initiates(): boolean {
    return this.#handshake.initiates;
  }

  /** The current channel; it may still wait for HELLO or the first ACK. */
  get channel(): PeerChannel | undefined {
    return this.#current;
  }

  /** Starts the handshake if we are the initiator. */
  start(): void {
    if (this.initiates && !this.#refused && !this.#gone) this.#handshake.start();
  }

  /** The member has left, or the connection is gone: calls `done` after all that arrived before. */
  leave(done: () => void): void {
    this.#inTurn(() => {
      this.dispose();
      done();
    });
  }

  /** Nothing more is sent or reported. */
  dispose(): void {
    this.#gone = true;
    this.#current?.close();
    this.#next?.close();
    this.#handshake.dispose();
    const { clock } = this.#context;
    for (const timer of [this.#retryTimer, this.#renewTimer, this.#ackTimer]) clock.cancel(timer);
  }

  /** Ends the channel with a reason; the initiator retries unless the reason is final. */
  end(reason: number): void {
    const channel = this.#current;
    if (!channel) return;
    channel.close(reason);
    this.#ended(channel, { reason, byUs: true });
  }

  /** Sends a message without a seq, if there is a channel in which our HELLO has been sent. */
  send(message: SentMessage): void {
    this.#current?.send(message);
  }

  /** Something was given to the user: acknowledges it soon. */
  acknowledgeSoon(): void {
    this.#givenAt = this.#context.clock.now();
    if (this.#ackTimer !== undefined) return;
    const isFlowing = this.#givenAt - this.#ackedAt < FLOW_MS;
    this.#ackBy = this.#givenAt + (isFlowing ? FLOW_ACK_DELAY_MS : ACK_DELAY_MS);
    this.#delayAck();
  }

  #delayAck(): void {
    const { clock } = this.#context;
    const delay = Math.min(this.#givenAt + FLOW_QUIET_MS, this.#ackBy) - clock.now();
    if (delay <= 0) this.flushAck();
    else this.#ackTimer = clock.after(delay, () => this.#delayAck());
  }

  /** Sends a delayed ACK now. */
  flushAck(): void {
    if (this.#ackTimer === undefined) return;
    const { clock } = this.#context;
    clock.cancel(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#ackedAt = clock.now();
    this.#current?.acknowledge();
  }

  /** Applies the time limits; call it about once a second. */
  tick(): void {
    const now = this.#context.clock.now();
    this.#handshake.tick();
    if (this.#next && now - this.#next.startedAt >= CHANNEL_TIMEOUT_MS) this.#dropNext();
    const channel = this.#current;
    if (!channel) return;
    this.#checkStable(channel);
    const { stream } = channel;
    const isLate = channel.live ? stream!.overdue : now - channel.startedAt >= CHANNEL_TIMEOUT_MS;
    if (!isLate) return;
    stream?.markSlow();
    this.end(REASON.TIMEOUT);
  }

  /** Takes a payload from the relay; ignores what does not fit the current state (§6). */
  receive(kind: number, tag: string, payload: Uint8Array): void {
    if (kind === KIND.RECORD) {
      return this.#receiveRecord(tag, this.#busy ? payload.slice() : payload);
    }
    const copy = new Uint8Array(payload);
    this.#takeInTurn(() => {
      if (!this.#gone) this.#handshake.receive(kind, tag, copy);
    });
  }

  /** Takes a PART, which counts as a payload of kind 4. */
  receivePart(tag: string, { box, common }: { box: Uint8Array; common: Uint8Array }): void {
    const part = this.#busy ? { box: box.slice(), common: common.slice() } : { box, common };
    this.#receiveRecord(tag, part);
  }

  #receiveRecord(tag: string, record: PeerRecord): void {
    this.#takeInTurn(() => this.#takeRecord(tag, record));
  }

  /** Drops a payload past the limit. */
  #takeInTurn(take: () => void): void {
    if (this.#waiting.length < MAX_WAITING_PAYLOADS) this.#inTurn(take);
  }

  /** §4: runs an action after the work on all that arrived before. */
  #inTurn(action: () => void): void {
    if (this.#busy) this.#waiting.push(action);
    else action();
  }

  #work(step: () => Promise<void>): void {
    this.#inTurn(() => {
      this.#busy = true;
      void step().finally(() => {
        this.#busy = false;
        while (!this.#busy && this.#waiting.length > 0) this.#waiting.shift()!();
      });
    });
  }

  /** M3 was sent; an old channel stays in use until the responder's first record. */
  #initiated(channel: PeerChannel): void {
    if (this.#isWeak(channel)) {
      channel.close(REASON.WEAK_KEY);
      return this.#refuse({ reason: REASON.WEAK_KEY, byUs: true });
    }
    this.#next = channel;
    this.#sendHello(channel);
  }

  #makeChannel(tag: string, keys: HandshakeResult): PeerChannel {
    const { clock, send } = this.#context;
    return new PeerChannel({
      tag,
      keys,
      outbox: this.#outbox,
      startedAt: clock.now(),
      send: (record) => send(this.sid, KIND.RECORD, tag, record),
      listener: {
        hello: (channel, message) => this.#listener.hello(channel, message),
        ready: (channel) => this.#listener.ready(channel),
        closed: (channel, reason) => this.#ended(channel, { reason, byUs: false }),
        message: (message, inbox) => this.#listener.message(message, inbox),
      },
    });
  }

  #sendHello(channel: PeerChannel): void {
    const { instance, nick, features } = this.#context;
    channel.sentNick = nick();
    channel.send({ type: "hello", features: features(), instance, nick: channel.sentNick });
  }

  /** §3: the key size is checked once the other side is authenticated. */
  #isWeak(channel: PeerChannel): boolean {
    return channel.peer.bits < this.#context.minKeyBits;
  }

  #takeRecord(tag: string, record: PeerRecord): void {
    if (this.#gone) return;
    if (this.#current?.tag === tag) return this.#takeFrom(this.#current, record);
    const first = this.#next?.tag === tag ? this.#next : this.#handshake.channelOf(tag);
    if (first) this.#takeFirst(first, record);
  }

  /** The other side's first record completes the handshake (§3); only then does the new channel take over (§6). */
  #takeFirst(channel: PeerChannel, record: PeerRecord): void {
    const message = this.#open(channel, record);
    if (!channel.verified) {
      if (channel === this.#next) this.#dropNext();
      else this.#handshake.finish(false);
      return;
    }
    if (channel === this.#next) this.#next = undefined;
    else this.#handshake.finish(true);
    this.#adopt(channel);
    if (!message) return this.#fail(channel);
    if (message.type !== "close") {
      if (!this.initiates) {
        if (this.#isWeak(channel)) this.#refusal = REASON.WEAK_KEY;
        if (this.#refusal !== undefined) return this.end(this.#refusal);
        this.#sendHello(channel);
      }
      this.#greet(channel);
    }
    this.#act(channel, message);
  }

  /** Forgets the channel before, without a CLOSE. */
  #adopt(channel: PeerChannel): void {
    this.#current?.close();
    this.#current = channel;
    this.#stable = false;
    if (!this.initiates) return;
    const { clock, random } = this.#context;
    clock.cancel(this.#renewTimer);
    const lifetime = RENEW_MS * (0.9 + 0.2 * random(1)[0]! / 255);
    this.#renewTimer = clock.after(channel.startedAt + lifetime - clock.now(), () => {
      if (!this.#handshake.busy && !this.#next) this.start();
    });
  }

  /** §6: what follows HELLO. */
  #greet(channel: PeerChannel): void {
    const { away, topic } = this.#context;
    if (away() !== "") channel.send({ type: "away", text: away() });
    const known = topic();
    if (known) channel.send(known);
  }

  #takeFrom(channel: PeerChannel, record: PeerRecord): void {
    const message = this.#open(channel, record);
    if (message) this.#act(channel, message);
    else this.#fail(channel);
  }

  #open(channel: PeerChannel, record: PeerRecord): Message | undefined {
    try {
      return channel.open(record);
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      return undefined;
    }
  }

  #act(channel: PeerChannel, message: Message): void {
    try {
      channel.take(message);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(channel);
    }
  }

  /** §4: CLOSE(3) if at least one record has verified, otherwise nothing. */
  #fail(channel: PeerChannel): void {
    channel.close(channel.verified ? REASON.PROTOCOL : undefined);
    this.#ended(channel, { reason: REASON.PROTOCOL, byUs: true });
  }

  #ended(channel: PeerChannel, end: ChannelEnd): void {
    channel.close();
    if (channel !== this.#current) return;
    this.#checkStable(channel);
    this.#current = undefined;
    this.#context.clock.cancel(this.#ackTimer);
    this.#context.clock.cancel(this.#renewTimer);
    this.#ackTimer = undefined;
    this.#listener.down(end);
    if (FINAL_REASONS.includes(end.reason)) this.#refuse(end);
    else this.#retry();
  }

  #refuse(end: ChannelEnd): void {
    this.#next?.close();
    this.#next = undefined;
    this.#handshake.forget();
    if (this.initiates) this.#refused = true;
    else if (end.byUs) this.#refusal = end.reason;
    this.#listener.refused(end);
  }

  /** The new channel ends before anything came on it: the old one, if there is one, goes on. */
  #dropNext(): void {
    this.#next?.close();
    this.#next = undefined;
    this.#retry();
  }

  #checkStable({ startedAt }: PeerChannel): void {
    if (this.#stable || this.#context.clock.now() - startedAt < STABLE_MS) return;
    this.#stable = true;
    this.#backoff.reset();
  }

  /** §6: the initiator retries after 1, 2, 4, 8, 16, 30, 30 … seconds. */
  #retry(): void {
    if (!this.initiates || this.#refused || this.#gone) return;
    if (this.#next || this.#handshake.busy) return;
    this.#context.clock.cancel(this.#retryTimer);
    this.#retryTimer = this.#context.clock.after(this.#backoff.next(), () => {
      if (!this.#handshake.busy && !this.#next) this.start();
    });
  }
}
