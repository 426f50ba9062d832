/**
 * The peer handshake through the relay: who initiates, M1 to M3, and the limits on answering (PROTOCOL.md §3, §6, §7).
 * No I/O: payloads in, payloads out.
 *
 * @module
 */

import { type Bytes, compareBytes, decodeHex, encodeHex } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { KIND } from "../protocol/frames.ts";
import {
  checkM1,
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  type HandshakeResult,
  peerPrologue,
} from "../protocol/handshake.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import type { Primitives } from "../protocol/primitives.ts";
import type { SessionKey } from "../protocol/session_key.ts";
import type { Guesses, PendingGuess } from "./guesses.ts";
import type { HandshakeQueue } from "./handshake_queue.ts";
import type { PeerChannel } from "./peer_channel.ts";

/** An unfinished handshake is forgotten after this, §6. */
export const HANDSHAKE_TIMEOUT_MS = 15_000;
/** An M1 that has waited this long in line is dropped, §6. */
export const M1_WAIT_MS = 10_000;
/** M1s from one member that are answered per minute, §6. */
export const MAX_ANSWERS_PER_MINUTE = 6;

/** What all peers of one connection share. */
export interface PeerContext {
  readonly key: PrivateKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly primitives?: Primitives;
  /** Our session key of this connection, §3. */
  readonly session: Promise<SessionKey>;
  /** The relay's fingerprint, 32 bytes. */
  readonly relay: Bytes;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** Our sid, 16 hex digits. */
  readonly sid: string;
  /** Of our HELLO: what this program understands. */
  features(): number;
  /** Our instance, 32 hex digits. */
  readonly instance: string;
  /** Kroom, 32 bytes; undefined without a password. */
  readonly roomKey: Bytes | undefined;
  /** Keys below this many bits are refused. */
  readonly minKeyBits: number;
  readonly queue: HandshakeQueue;
  readonly guesses: Guesses;
  nick(): string;
  /** Our away text; empty when present. */
  away(): string;
  /** The topic as a message; undefined if we know none. */
  topic(): { type: "topic"; time: number; text: string } | undefined;
  /** Hands a payload to the relay. */
  send(sid: string, kind: number, tag: string, payload: Uint8Array): void;
}

/** Callbacks of a handshake. */
interface PeerHandshakeListener {
  /** Tells whether a channel has this tag. */
  isInUse(tag: string): boolean;
  /** As responder: M3 has verified; makes the channel that the initiator's first record will open. */
  makeChannel(tag: string, keys: HandshakeResult): PeerChannel;
  /** As initiator: M3 was sent. */
  initiated(tag: string, keys: HandshakeResult): void;
  /** The handshake failed or timed out. */
  failed(): void;
  /** Runs a step; what arrives from the member meanwhile waits, §4. */
  work(step: () => Promise<void>): void;
}

/** A handshake under way. */
type Handshake =
  /** Our M1 is not sent yet. */
  | { role: "planned"; tag: string; startedAt: number; begun: boolean }
  | { role: "initiator"; tag: string; startedAt: number; state: HandshakeInitiator; busy: boolean }
  /** An M1 that is not answered yet. */
  | { role: "queued"; tag: string; startedAt: number; begun: boolean; m1: Bytes }
  | {
    role: "responder";
    tag: string;
    startedAt: number;
    state: HandshakeResponder;
    busy: boolean;
    guess: PendingGuess | undefined;
    /** Set once M3 has verified; the first record opens it. */
    channel?: PeerChannel;
  };

/** The handshakes with one member of the roster, one at a time. */
export class PeerHandshake {
  /** We are the initiator. */
  readonly initiates: boolean;
  readonly #member: { readonly sid: string; readonly fingerprint: Bytes };
  readonly #name: string;
  readonly #context: PeerContext;
  readonly #listener: PeerHandshakeListener;
  readonly #answered: SlidingWindow;
  #handshake: Handshake | undefined;
  #gone = false;

  constructor(
    member: { sid: string; fingerprint: Bytes },
    context: PeerContext,
    listener: PeerHandshakeListener,
  ) {
    this.#member = member;
    this.#name = encodeFingerprint(member.fingerprint);
    this.#context = context;
    this.#answered = new SlidingWindow(context.clock, {
      limit: MAX_ANSWERS_PER_MINUTE,
      spanMs: 60_000,
    });
    this.#listener = listener;
    // §6, "Pairing": the smaller fingerprint initiates; if they are equal, the smaller sid.
    const order = compareBytes(context.key.publicKey.fingerprint, member.fingerprint);
    this.initiates = order < 0 || (order === 0 && context.sid < member.sid);
  }

  /** A handshake is under way. */
  get busy(): boolean {
    return this.#handshake !== undefined;
  }

  /** Sends M1, as soon as the limits allow it. */
  start(): void {
    const startedAt = this.#context.clock.now();
    this.#handshake = { role: "planned", tag: this.#newTag(), startedAt, begun: false };
    this.#begin();
  }

  /** Nothing more is sent or reported. */
  dispose(): void {
    this.#gone = true;
    this.forget();
  }

  /** Forgets the handshake under way. */
  forget(): void {
    if (this.#handshake?.role === "responder") this.#handshake.guess?.settle();
    this.#handshake = undefined;
  }

  /** Forgets a handshake that has taken too long, and begins one that waits; call it about once a second. */
  tick(): void {
    const handshake = this.#handshake;
    if (!handshake) return;
    const age = this.#context.clock.now() - handshake.startedAt;
    if (handshake.role === "planned") return this.#begin();
    if (handshake.role === "queued") {
      if (age >= M1_WAIT_MS && !handshake.begun) this.forget();
      else this.#begin();
    } else if (age >= HANDSHAKE_TIMEOUT_MS && !(handshake.role === "responder" && handshake.busy)) {
      this.forget();
      this.#listener.failed();
    }
  }

  /** Takes M1, M2 or M3; ignores what does not fit the current state (§6). */
  receive(kind: number, tag: string, payload: Bytes): void {
    const handshake = this.#handshake;
    if (kind === KIND.M1) {
      if (!this.initiates && !this.#inUse(tag)) {
        this.#listener.work(() => this.#takeM1(tag, payload));
      }
    } else if (handshake?.tag !== tag) {
      return;
    } else if (kind === KIND.M2 && handshake.role === "initiator" && !handshake.busy) {
      this.#listener.work(() => this.#takeM2(handshake, payload));
    } else if (kind === KIND.M3 && handshake.role === "responder" && !handshake.busy) {
      if (!handshake.channel) this.#listener.work(() => this.#takeM3(handshake, payload));
    }
  }

  /** As responder: the channel with this tag that waits for its first record. */
  channelOf(tag: string): PeerChannel | undefined {
    const handshake = this.#handshake;
    return handshake?.role === "responder" && handshake.tag === tag ? handshake.channel : undefined;
  }

  /** As responder: the first record has been opened. @param verified It has verified: the handshake is complete. */
  finish(verified: boolean): void {
    const handshake = this.#handshake;
    if (verified && handshake?.role === "responder") {
      handshake.guess?.cancel();
      handshake.guess = undefined;
    }
    this.forget();
  }

  #handshakeOptions(): HandshakeOptions {
    const { key, relay, room, sid, roomKey, random, primitives, session } = this.#context;
    const own = { fingerprint: key.publicKey.fingerprint, sid: decodeHex(sid) };
    const other = { fingerprint: this.#member.fingerprint, sid: decodeHex(this.#member.sid) };
    const [initiator, responder] = this.initiates ? [own, other] : [other, own];
    return {
      key,
      mode: "peer",
      session,
      prologue: peerPrologue({ relay, room, initiator, responder }),
      roomKey,
      expected: this.#member.fingerprint,
      random,
      ...(primitives && { primitives }),
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

  /** One more guess at the password is allowed, or there is none. */
  #mayGuess(kind: "m1" | "m2"): boolean {
    const { roomKey, guesses } = this.#context;
    return !roomKey || guesses.allows(this.#name, kind);
  }

  /** Puts the handshake that waits in line; without room for another guess it waits on. */
  #begin(): void {
    const handshake = this.#handshake;
    if (handshake?.role !== "planned" && handshake?.role !== "queued") return;
    const isAnswer = handshake.role === "queued";
    if (handshake.begun || !this.#mayGuess(isAnswer ? "m2" : "m1")) return;
    handshake.begun = true;
    this.#context.queue.add({
      isAnswer,
      isWanted: () => this.#isWanted(handshake),
      begin: async () => {
        if (handshake.role === "planned") await this.#initiate(handshake);
        else await this.#workOnAnswer(handshake);
      },
    });
  }

  #isWanted(handshake: Handshake & { role: "planned" | "queued" }): boolean {
    if (this.#gone || this.#handshake !== handshake) return false;
    if (handshake.role === "planned") return true;
    if (this.#context.clock.now() - handshake.startedAt < M1_WAIT_MS) return true;
    this.forget();
    return false;
  }

  async #initiate(planned: Handshake & { role: "planned" }): Promise<void> {
    const { clock, send } = this.#context;
    const state = await HandshakeInitiator.start(this.#handshakeOptions());
    if (this.#gone || this.#handshake !== planned) return;
    const { tag } = planned;
    this.#handshake = { role: "initiator", tag, startedAt: clock.now(), state, busy: false };
    send(this.#member.sid, KIND.M1, tag, state.m1);
  }

  async #takeM1(tag: string, m1: Bytes): Promise<void> {
    const { roomKey, primitives, clock } = this.#context;
    // §6: past the limit M1s are dropped.
    if (this.#answered.waitMs > 0) return;
    try {
      await checkM1(m1, { mode: "peer", roomKey, ...(primitives && { primitives }) });
    } catch (error) {
      if (error instanceof ProtocolError) return;
      throw error;
    }
    if (this.#gone) return;
    this.forget(); // the newest replaces a pending handshake
    this.#handshake = { role: "queued", tag, startedAt: clock.now(), begun: false, m1 };
    this.#begin();
  }

  /** Answers when it is its turn among what has arrived from the member. */
  #workOnAnswer(queued: Handshake & { role: "queued" }): Promise<void> {
    return new Promise((resolve) => {
      this.#listener.work(async () => {
        if (this.#isWanted(queued)) await this.#answer(queued);
        resolve();
      });
    });
  }

  async #answer(queued: Handshake & { role: "queued" }): Promise<void> {
    const { clock, send, roomKey, guesses } = this.#context;
    if (!this.#mayGuess("m2")) {
      queued.begun = false; // it waits on
      return;
    }
    this.#answered.count();
    const handshake: Handshake = {
      role: "responder",
      tag: queued.tag,
      startedAt: queued.startedAt,
      state: new HandshakeResponder(this.#handshakeOptions()),
      busy: true,
      guess: roomKey && guesses.begin(this.#name),
    };
    this.#handshake = handshake;
    let isSent = false;
    await this.#guard(handshake, async () => {
      const m2 = await handshake.state.consumeM1(queued.m1);
      if (this.#handshake !== handshake || this.#gone) return;
      handshake.busy = false;
      handshake.startedAt = clock.now(); // later than the initiator's own start, so its M3 is never too late
      send(this.#member.sid, KIND.M2, handshake.tag, m2);
      isSent = true;
    });
    if (!isSent) handshake.guess?.cancel(); // §7: only an M2 that was sent is one
  }

  async #takeM2(handshake: Handshake & { role: "initiator" }, m2: Bytes): Promise<void> {
    const { roomKey, guesses } = this.#context;
    if (this.#handshake !== handshake || !this.#mayGuess("m1")) return;
    handshake.busy = true;
    const guess = roomKey && guesses.begin(this.#name);
    await this.#guard(handshake, async () => {
      try {
        const { m3, ...keys } = await handshake.state.consumeM2(m2);
        guess?.cancel();
        if (this.#handshake !== handshake || this.#gone) return;
        this.#handshake = undefined;
        this.#context.send(this.#member.sid, KIND.M3, handshake.tag, m3);
        this.#listener.initiated(handshake.tag, keys);
      } catch (error) {
        // Only what reached the password's key has tried one.
        if (error instanceof DecryptError) guess?.settle();
        else guess?.cancel();
        throw error;
      }
    });
  }

  async #takeM3(handshake: Handshake & { role: "responder" }, m3: Bytes): Promise<void> {
    if (this.#handshake !== handshake) return;
    const { clock, queue } = this.#context;
    const arrivedAt = clock.now();
    handshake.busy = true;
    await this.#guard(handshake, async () => {
      const keys = await queue.decrypt(() => handshake.state.consumeM3(m3));
      if (this.#handshake !== handshake || this.#gone) return;
      handshake.busy = false;
      handshake.startedAt += clock.now() - arrivedAt; // §6: the wait for the decryption does not count
      handshake.channel = this.#listener.makeChannel(handshake.tag, keys);
    });
  }

  /** Runs one step of a handshake; on any error the handshake is forgotten and nothing is sent (§3). */
  async #guard(handshake: Handshake, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof DecryptError)) throw error;
      if (this.#handshake !== handshake) return;
      this.forget();
      this.#listener.failed();
    }
  }
}
