/**
 * The sending side of one stream: what one instance of a person has not acknowledged, and its numbers (PROTOCOL.md §6,
 * "Streams").
 *
 * @module
 */

import { MAX_COUNTER } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Outgoing } from "./outgoing.ts";

/** Messages kept for one instance, §6. */
export const MAX_KEPT_MESSAGES = 1024;
/** Bytes of text kept for one instance, §6. */
export const MAX_KEPT_BYTES = 4 * 1024 * 1024;
/** Bytes of text kept for all instances that are lost or slow; what several wait for counts once, §6. */
export const MAX_KEPT_FOR_ALL_BYTES = 32 * 1024 * 1024;
/** An instance is slow when something is unacknowledged for this long of the time it was shown, §6. */
export const ACK_TIMEOUT_MS = 30_000;

/** A queued message; without a message, a change of nick, which is sent as the nick at that moment. */
export interface Item {
  /** 0 while the stream has no numbers. */
  seq: number;
  readonly message: Outgoing | undefined;
  /** Is given to this instance because no other has acknowledged it, §6. */
  readonly moved: boolean;
  /** By the clock that stands still without a connection. */
  readonly acceptedAt: number;
  /** How long the instance had been shown when it was first written; undefined again after each CLOSE(4). */
  writtenAt: number | undefined;
}

/** The member of the roster whose channel is up. */
interface Holder {
  readonly sid: string;
}

/** One instance of a person, and what it has not acknowledged. */
export class Stream {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** 32 hex digits. */
  readonly instance: string;
  /** Unacknowledged, in order. */
  items: Item[] = [];
  /** Bytes of text in `items`. */
  bytes = 0;
  /** The highest seq that was ever written, or skipped with GAP. */
  sentSeq = 0;
  /** The member whose channel is up: the instance is shown, §6. */
  holder: Holder | undefined;
  /** When it was lost, by the clock that stands still without a connection; undefined if it is shown or gone for good. */
  lostAt: number | undefined;
  readonly #clock: Clock;
  #next: number | undefined;
  #shownSince: number | undefined;
  #shownMs = 0;
  /** The seq whose ACK shows that the instance is not slow any more. */
  #slowUntil: number | undefined;

  constructor(fingerprint: string, instance: string, clock: Clock) {
    this.fingerprint = fingerprint;
    this.instance = instance;
    this.#clock = clock;
  }

  /** What it did not acknowledge in time is not waited for. */
  get slow(): boolean {
    return this.#slowUntil !== undefined;
  }

  /** The oldest may be given up: nobody waits for this instance. */
  get waived(): boolean {
    // A false first ACK may leave no numbers: nothing more can be sent.
    const isUsedUp = this.#next !== undefined && this.#next > MAX_COUNTER;
    return this.slow || this.holder === undefined || isUsedUp;
  }

  /** Holds more than may be kept for an instance that is lost or slow. */
  get overfull(): boolean {
    return this.items.length > MAX_KEPT_MESSAGES || this.bytes > MAX_KEPT_BYTES;
  }

  /** Holds so much that no more input is taken while the instance is shown and not slow. */
  get full(): boolean {
    return this.items.length >= MAX_KEPT_MESSAGES || this.bytes >= MAX_KEPT_BYTES;
  }

  /** How long the instance has been shown in all, in milliseconds. */
  get shownMs(): number {
    const since = this.#shownSince;
    return this.#shownMs + (since === undefined ? 0 : this.#clock.now() - since);
  }

  /** HELLO was taken. */
  show(holder: Holder): void {
    this.holder = holder;
    this.lostAt = undefined;
    this.#shownSince ??= this.#clock.now();
  }

  /** The channel has ended. */
  hide(): void {
    this.#shownMs = this.shownMs;
    this.#shownSince = undefined;
    this.holder = undefined;
  }

  /**
   * The first ACK of a channel: a stream without numbers takes them from it.
   *
   * @throws {ProtocolError} When it is above every number given out: the other side's fault.
   */
  resume(received: number): void {
    if (this.#next === undefined) {
      if (received + 1 >= MAX_COUNTER) throw new ProtocolError("counter");
      this.#next = received + 1;
      this.sentSeq = received;
      for (const item of this.items) item.seq = this.#next++;
    }
    this.#check(received);
  }

  /** A further ACK. @throws {ProtocolError} As {@linkcode Stream.resume}. */
  #check(received: number): void {
    if (received > this.sentSeq) throw new ProtocolError("bad-field");
  }

  /** ACK: returns the items that it covers. @throws {ProtocolError} When it is above every number given out. */
  acknowledge(received: number): Item[] {
    this.#check(received);
    if (this.#slowUntil !== undefined && received >= this.#slowUntil) this.#slowUntil = undefined;
    const rest = this.items.findIndex(({ seq }) => seq > received);
    return this.remove(rest < 0 ? this.items.length : rest);
  }

  /** Removes the oldest items. */
  remove(count: number): Item[] {
    const removed = this.items.splice(0, count);
    for (const { message } of removed) this.bytes -= message?.bytes ?? 0;
    return removed;
  }

  /** Removes the items accepted up to a time. */
  removeUpTo(acceptedAt: number): Item[] {
    const removed = this.items.filter((item) => item.acceptedAt <= acceptedAt);
    if (removed.length === 0) return removed;
    this.items = this.items.filter((item) => item.acceptedAt > acceptedAt);
    for (const { message } of removed) this.bytes -= message?.bytes ?? 0;
    return removed;
  }

  /** Adds a new item at the end; it gets its number as soon as the stream has numbers. */
  add(item: Pick<Item, "message" | "moved" | "acceptedAt">): void {
    const seq = this.#next === undefined ? 0 : this.#next++;
    this.items.push({ ...item, seq, writtenAt: undefined });
    this.bytes += item.message?.bytes ?? 0;
  }

  /** An item is being written. */
  write(item: Item): void {
    item.writtenAt ??= this.shownMs;
    this.sentSeq = Math.max(this.sentSeq, item.seq);
  }

  /** The lowest seq that is still kept, or would be used next. */
  get lowest(): number {
    return this.items[0]?.seq ?? this.#next!;
  }

  /** Something has been unacknowledged for 30 s of the time that the instance was shown. */
  get overdue(): boolean {
    const written = this.items.find(({ writtenAt }) => writtenAt !== undefined)?.writtenAt;
    return written !== undefined && this.shownMs - written >= ACK_TIMEOUT_MS;
  }

  /** The channel is ended with CLOSE(4). */
  markSlow(): void {
    this.#slowUntil = (this.#next ?? 1) - 1;
    for (const item of this.items) item.writtenAt = undefined;
  }
}
