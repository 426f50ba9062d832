/**
 * The peer handshake through the relay: who begins, M1 to M3, and the limits on answering (PROTOCOL.md §3, §6).
 *
 * No I/O: payloads in, payloads out. Knows nothing of what the channels that come of it carry.
 *
 * @module
 */

import { type Bytes, compareBytes, concat, decodeHex, encodeHex } from "../base/bytes.ts";
import type { Channel } from "./peer_channel.ts";
import type { Clock, RandomBytes, Timer } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import {
  type HandshakeOptions,
  type HandshakeResult,
  Initiator,
  M1_BYTES,
  Responder,
} from "../protocol/handshake.ts";
import type { Line } from "../base/job_queue.ts";
import type { Outbox } from "./outbox.ts";
import type { DecodeId, PrivateKey } from "../protocol/identity.ts";
import { KIND } from "../protocol/frames.ts";

/** A handshake that has not come to an end by then is forgotten, §6. */
export const HANDSHAKE_TIMEOUT_MS = 15_000;
/** M1s of one member that are answered within a minute, §6. */
export const MAX_ANSWERS_PER_MINUTE = 6;
/** Records that may arrive while M3 is being verified; an honest initiator sends a few. */
const MAX_EARLY_RECORDS = 16;

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

/** What a pairing asks of and tells its peer. */
export interface PairingListener {
  /** Tells whether a channel has this tag. */
  isInUse(tag: string): boolean;
  /** The responder is proven: makes the channel that its initiator's first record will open. */
  makeChannel(tag: string, keys: HandshakeResult): Channel;
  /** As initiator: M3 is on its way, and the channel can be used. */
  initiated(tag: string, keys: HandshakeResult): void;
  /** As responder: a record that came before M3 was verified. */
  early(tag: string, record: Bytes): void;
  /** A handshake came to nothing. */
  failed(): void;
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

/** The handshakes with one member of the roster, one at a time. */
export class Pairing {
  /** One's own side is the initiator. */
  readonly initiates: boolean;
  #member: { readonly sid: string; readonly fingerprint: Bytes };
  #context: PeerContext;
  #listener: PairingListener;
  #handshake: Handshake | undefined;
  #answered: number[] = [];
  #timer: Timer | undefined;
  #gone = false;

  constructor(
    member: { sid: string; fingerprint: Bytes },
    context: PeerContext,
    listener: PairingListener,
  ) {
    this.#member = member;
    this.#context = context;
    this.#listener = listener;
    // §6, "Pairing": the smaller fingerprint begins; of equal ones the smaller sid.
    const order = compareBytes(context.key.publicKey.fingerprint, member.fingerprint);
    this.initiates = order < 0 || (order === 0 && context.sid < member.sid);
  }

  /** A handshake is under way. */
  get busy(): boolean {
    return this.#handshake !== undefined;
  }

  /** Sends M1. */
  start(): void {
    const { clock, send } = this.#context;
    const tag = this.#newTag();
    const state = new Initiator(this.#handshakeOptions());
    this.#handshake = { role: "initiator", tag, begun: clock.now(), state, busy: false };
    send(this.#member.sid, KIND.M1, tag, state.m1);
  }

  /** Nothing more is sent or told. */
  dispose(): void {
    this.#gone = true;
    this.forget();
  }

  /** Forgets the handshake under way. */
  forget(): void {
    this.#handshake = undefined;
    this.#context.clock.cancel(this.#timer);
  }

  /** Forgets a handshake that has taken too long. */
  tick(): void {
    const handshake = this.#handshake;
    if (!handshake || this.#context.clock.now() - handshake.begun < HANDSHAKE_TIMEOUT_MS) return;
    this.#handshake = undefined;
    this.#listener.failed();
  }

  /** Takes M1, M2 or M3; what does not fit is dropped without effect (§6). */
  receive(kind: number, tag: string, payload: Uint8Array): void {
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

  /**
   * Takes a record whose tag no channel has.
   *
   * @returns The channel that it opens, if M3 has been verified: the handshake is over.
   */
  takeRecord(tag: string, record: Uint8Array): Channel | undefined {
    const handshake = this.#handshake;
    if (handshake?.role !== "responder" || handshake.tag !== tag) return undefined;
    if (handshake.channel) this.#handshake = undefined;
    else if (handshake.early.length < MAX_EARLY_RECORDS) {
      handshake.early.push(new Uint8Array(record));
    }
    return handshake.channel;
  }

  #handshakeOptions(): HandshakeOptions {
    const { key, relay, room, sid, psk, random, decodeId } = this.#context;
    const own = { fingerprint: key.publicKey.fingerprint, sid };
    const [initiator, responder] = this.initiates ? [own, this.#member] : [this.#member, own];
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
      expected: this.#member.fingerprint,
      random,
      ...(decodeId ? { decodeId } : {}),
    };
  }

  #inUse(tag: string): boolean {
    return tag === this.#handshake?.tag || this.#listener.isInUse(tag);
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
      clock.cancel(this.#timer);
      this.#timer = clock.after(this.#answered[0]! + 60_000 - now, () => {
        if (this.#handshake?.role === "asked") this.#queueAnswer();
      });
      return;
    }
    line.add(() => this.#answer(), () => this.#isAsked);
  }

  /** An M1 waits for its answer. */
  get #isAsked(): boolean {
    return !this.#gone && this.#handshake?.role === "asked";
  }

  async #answer(): Promise<void> {
    const asked = this.#handshake as Handshake & { role: "asked" };
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
      handshake.begun = clock.now(); // the initiator's time has begun before: its M3 is never too late
      send(this.#member.sid, KIND.M2, handshake.tag, m2);
    });
  }

  async #takeM2(handshake: Handshake & { role: "initiator" }, m2: Bytes): Promise<void> {
    await this.#guard(handshake, async () => {
      const { m3, ...keys } = await handshake.state.consumeM2(m2);
      if (this.#handshake !== handshake || this.#gone) return;
      this.#handshake = undefined;
      this.#context.send(this.#member.sid, KIND.M3, handshake.tag, m3);
      this.#listener.initiated(handshake.tag, keys);
    });
  }

  async #takeM3(handshake: Handshake & { role: "responder" }, m3: Bytes): Promise<void> {
    const { begun } = handshake;
    // It came in time. Were it forgotten now, its sender would wait half a minute for a channel that never opens.
    handshake.begun = Infinity;
    await this.#guard(handshake, async () => {
      const keys = await handshake.state.consumeM3(m3);
      if (this.#handshake !== handshake || this.#gone) return;
      handshake.begun = begun;
      handshake.channel = this.#listener.makeChannel(handshake.tag, keys);
      for (const record of handshake.early) this.#listener.early(handshake.tag, record);
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
      this.#listener.failed();
    }
  }
}
