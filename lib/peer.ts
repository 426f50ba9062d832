/**
 * One member of the roster as this client deals with it: pairing, handshakes, the channel and its successors
 * (PROTOCOL.md §6). No I/O: payloads in, payloads out; clock and randomness are parameters.
 *
 * Knows nothing of the relay's frames, of files or of what is shown.
 *
 * @module
 */

import { type Bytes, compareBytes, concat, decodeHex, encodeHex } from "./bytes.ts";
import { Channel, type ChannelListener } from "./channel.ts";
import type { Clock, RandomBytes, Timer } from "./clock.ts";
import { DecryptError, ProtocolError } from "./errors.ts";
import { type HandshakeResult, Initiator, M1_BYTES, Responder } from "./handshake.ts";
import type { Line } from "./line.ts";
import { MESSAGE } from "./message.ts";
import { KIND, REASON } from "./transport_frame.ts";
import type { Outbox } from "./outbox.ts";
import type { Target } from "./target.ts";
import type { DecodeId, PrivateKey } from "./rsa.ts";

/** A handshake that has not come to an end by then is forgotten, §6. */
export const HANDSHAKE_TIMEOUT_MS = 15_000;
/** HELLO and the first ACK have to arrive within this after M3, §6. */
export const CHANNEL_TIMEOUT_MS = 30_000;
/** Something unacknowledged for so long ends a channel, §6. */
export const ACK_TIMEOUT_MS = 30_000;
/** M1s of one member that are answered within a minute, §6. */
export const MAX_ANSWERS_PER_MINUTE = 6;
/** Waits between attempts, §6; the last one repeats. */
export const RETRY_SECONDS: readonly number[] = [1, 2, 4, 8, 16, 30];
/** One ACK for everything that arrives within this; §6 allows 1 s. */
const ACK_DELAY_MS = 50;
/** Records that may arrive while M3 is being verified; an honest initiator sends a few. */
const MAX_EARLY_RECORDS = 16;

/** Reasons after which nothing is tried again until the sid changes, §6. */
const FINAL_REASONS: readonly number[] = [REASON.NORMAL, REASON.NOT_ALLOWED, REASON.WEAK_KEY];

/** What all peers of one connection have in common. */
export interface PeerContext {
  readonly key: PrivateKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly decodeId?: DecodeId;
  /** The relay's fingerprint, 32 bytes. */
  readonly relay: Bytes;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** One's own sid, 16 hex digits. */
  readonly sid: string;
  /** One's own instance, 32 hex digits. */
  readonly instance: string;
  /** 32 bytes; zeros without a password. */
  readonly psk: Bytes;
  /** Keys below this many bits are refused. */
  readonly minKeyBits: number;
  /** Where answers to M1 wait for their turn. */
  readonly line: Line;
  readonly outbox: Outbox;
  nick(): string;
  /** One's own away text; empty when present. */
  away(): string;
  /** Hands a payload to the relay. */
  send(sid: string, kind: number, tag: string, payload: Uint8Array): void;
}

/** What a peer tells its session. */
export interface PeerListener
  extends Pick<ChannelListener, "chat" | "nick" | "lost" | "away" | "hello" | "ready"> {
  /** There is no channel any more. */
  down(): void;
  /** Nothing more will be tried with this sid. */
  refused(reason: number, byUs: boolean): void;
}

/** A handshake under way. */
type Handshake =
  | { role: "initiator"; tag: string; begun: number; state: Initiator; busy: boolean }
  | { role: "asked"; tag: string; begun: number; m1: Bytes }
  | {
    role: "responder";
    tag: string;
    begun: number;
    state: Responder;
    busy: boolean;
    /** Records that came before M3 was verified. */
    early: Bytes[];
    /** The channel that the first record will open. */
    channel?: Channel;
  };

/** One member of the roster. */
export class Peer {
  readonly sid: string;
  /** The fingerprint the relay claims, 32 bytes. */
  readonly fingerprint: Bytes;
  /** One's own side is the initiator. */
  readonly initiates: boolean;
  /** Ended for good. */
  refused = false;
  #context: PeerContext;
  #listener: PeerListener;
  #handshake: Handshake | undefined;
  #current: Channel | undefined;
  /** The channel before the present one, on which the responder may still be sending. */
  #older: Channel | undefined;
  #attempts = 0;
  #retryTimer: Timer | undefined;
  #ackTimer: Timer | undefined;
  #answered: number[] = [];
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
    // §6, "Pairing": the smaller fingerprint begins; of equal ones the smaller sid.
    const order = compareBytes(context.key.publicKey.fingerprint, member.fingerprint);
    this.initiates = order < 0 || (order === 0 && context.sid < member.sid);
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
    if (!this.initiates || this.refused || this.#gone) return;
    const { context, tag } = { context: this.#context, tag: this.#newTag() };
    const state = new Initiator(this.#handshakeOptions());
    this.#handshake = { role: "initiator", tag, begun: context.clock.now(), state, busy: false };
    context.send(this.sid, KIND.M1, tag, state.m1);
  }

  /** The member is gone, or the connection is: nothing more is sent or told. */
  dispose(): void {
    this.#gone = true;
    this.#current?.close();
    this.#older?.close();
    this.#handshake = undefined;
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
    const handshake = this.#handshake;
    if (handshake && now - handshake.begun >= HANDSHAKE_TIMEOUT_MS) {
      this.#handshake = undefined;
      this.#retry();
    }
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
    if (kind === KIND.RECORD) return this.#takeRecord(tag, payload);
    const handshake = this.#handshake;
    if (kind === KIND.M1) {
      if (!this.initiates && payload.length === M1_BYTES && !this.#inUse(tag)) {
        this.#takeM1(tag, new Uint8Array(payload));
      }
    } else if (handshake?.tag !== tag) {
      return;
    } else if (kind === KIND.M2 && handshake.role === "initiator" && !handshake.busy) {
      handshake.busy = true;
      void this.#takeM2(handshake, new Uint8Array(payload));
    } else if (kind === KIND.M3 && handshake.role === "responder" && !handshake.busy) {
      handshake.busy = true;
      void this.#takeM3(handshake, new Uint8Array(payload));
    }
  }

  #handshakeOptions(): ConstructorParameters<typeof Responder>[0] {
    const { key, relay, room, sid, psk, random, decodeId } = this.#context;
    const own = { fingerprint: key.publicKey.fingerprint, sid };
    const [initiator, responder] = this.initiates ? [own, this] : [this, own];
    return {
      key,
      mode: "peer",
      prologue: concat(
        relay,
        room,
        initiator.fingerprint,
        responder.fingerprint,
        decodeHex(initiator.sid),
        decodeHex(responder.sid),
      ),
      psk,
      expected: this.fingerprint,
      random,
      ...(decodeId ? { decodeId } : {}),
    };
  }

  #inUse(tag: string): boolean {
    return tag === this.#handshake?.tag || tag === this.#current?.tag || tag === this.#older?.tag;
  }

  #newTag(): string {
    let tag: string;
    do tag = encodeHex(this.#context.random(4)); while (this.#inUse(tag));
    return tag;
  }

  #takeM1(tag: string, m1: Bytes): void {
    const begun = this.#context.clock.now();
    const waits = this.#handshake?.role === "asked";
    this.#handshake = { role: "asked", tag, begun, m1 }; // the newest replaces a pending one
    if (!waits) this.#queueAnswer();
  }

  #queueAnswer(): void {
    const { clock, line } = this.#context;
    const now = clock.now();
    while (this.#answered.length > 0 && this.#answered[0]! <= now - 60_000) this.#answered.shift();
    if (this.#answered.length >= MAX_ANSWERS_PER_MINUTE) {
      clock.cancel(this.#retryTimer);
      this.#retryTimer = clock.after(this.#answered[0]! + 60_000 - now, () => {
        if (this.#handshake?.role === "asked") this.#queueAnswer();
      });
      return;
    }
    line.add(() => this.#answer());
  }

  async #answer(): Promise<void> {
    const asked = this.#handshake;
    if (this.#gone || asked?.role !== "asked") return;
    const { clock, send } = this.#context;
    this.#answered.push(clock.now());
    const state = new Responder(this.#handshakeOptions());
    const handshake: Handshake = {
      role: "responder",
      tag: asked.tag,
      begun: asked.begun,
      state,
      busy: true,
      early: [],
    };
    this.#handshake = handshake;
    await this.#guard(handshake, async () => {
      const m2 = await state.consumeM1(asked.m1);
      if (this.#handshake !== handshake || this.#gone) return;
      handshake.busy = false;
      send(this.sid, KIND.M2, handshake.tag, m2);
    });
  }

  async #takeM2(handshake: Handshake & { role: "initiator" }, m2: Bytes): Promise<void> {
    await this.#guard(handshake, async () => {
      const result = await handshake.state.consumeM2(m2);
      if (this.#handshake !== handshake || this.#gone) return;
      this.#handshake = undefined;
      this.#context.send(this.sid, KIND.M3, handshake.tag, result.m3);
      const channel = this.#makeChannel(handshake.tag, result);
      if (this.#refuseWeak(channel)) return;
      this.#older?.close();
      this.#older = this.#current;
      this.#current = channel;
      this.#greet(channel);
    });
  }

  async #takeM3(handshake: Handshake & { role: "responder" }, m3: Bytes): Promise<void> {
    await this.#guard(handshake, async () => {
      const result = await handshake.state.consumeM3(m3);
      if (this.#handshake !== handshake || this.#gone) return;
      handshake.channel = this.#makeChannel(handshake.tag, result);
      for (const record of handshake.early) this.#takeRecord(handshake.tag, record);
    });
  }

  /** Runs a step of a handshake; whatever goes wrong, the handshake is forgotten and nothing is sent (§3). */
  async #guard(handshake: Handshake, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      if (this.#handshake !== handshake) return;
      this.#handshake = undefined;
      this.#retry();
    }
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
    const handshake = this.#handshake;
    if (handshake?.role !== "responder" || handshake.tag !== tag) return;
    if (handshake.channel) this.#takeFirst(handshake, handshake.channel, record);
    else if (handshake.early.length < MAX_EARLY_RECORDS) {
      handshake.early.push(new Uint8Array(record));
    }
  }

  /** The initiator's first record: only now is it connected (§3), and only now does the new channel take over (§6). */
  #takeFirst(handshake: Handshake, channel: Channel, record: Uint8Array): void {
    if (this.#handshake === handshake) this.#handshake = undefined;
    const plaintext = this.#open(channel, record);
    if (!plaintext) return;
    const isClose = plaintext[0] === MESSAGE.CLOSE; // §4: closed without answering
    if (!isClose && this.#refuseWeak(channel)) return;
    this.#current?.close();
    this.#current = channel;
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
    this.#handshake = undefined;
    this.refused = true;
    this.#listener.refused(reason, byUs);
  }

  /** §6: the initiator tries again after 1, 2, 4, 8, 16, 30, 30 … seconds. */
  #retry(): void {
    if (!this.initiates || this.refused || this.#gone) return;
    const seconds = RETRY_SECONDS[Math.min(this.#attempts++, RETRY_SECONDS.length - 1)]!;
    this.#context.clock.cancel(this.#retryTimer);
    this.#retryTimer = this.#context.clock.after(seconds * 1000, () => {
      if (!this.#handshake && !this.#current) this.start();
    });
  }

  #scheduleAck(): void {
    this.#ackTimer ??= this.#context.clock.after(ACK_DELAY_MS, () => {
      this.#ackTimer = undefined;
      this.#current?.acknowledge();
    });
  }
}
