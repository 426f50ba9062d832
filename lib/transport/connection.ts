/**
 * A connection after its handshake, for relay and client: records, pings, time limits, closing (PROTOCOL.md §3 to §5, §10).
 *
 * @module
 */

import type { Opener, Sealer, Suite } from "../protocol/records.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import type { InputBuffer } from "./input_buffer.ts";
import type { Scheduled, Scheduler } from "./scheduler.ts";
import {
  FLUSH_MS,
  MAX_QUEUE_AGE_MS,
  MAX_QUEUED_FRAMES,
  PING_DELAY_MS,
  SILENCE_MS,
  STALL_MS,
  WATCH_PING_MS,
} from "../protocol/limits.ts";
import {
  decodeFrame,
  encodeFrame,
  forEachFrame,
  FRAME,
  type Frame,
  REASON,
} from "../protocol/frames.ts";
import type { Batch, CastPart } from "./batch.ts";
import { OutputQueue } from "./output_queue.ts";
import { SendCredit, type Source } from "./send_credit.ts";
import { type ByteStream, closeAtOnce, closeStream, settledWithin } from "./byte_stream.ts";

/** How a connection ended. */
export type End =
  /** By the other side's CLOSE. */
  | { type: "closed"; reason: number }
  /** EOF or an error without CLOSE, or {@linkcode Connection.abort}. */
  | { type: "cut" }
  /** By us: the other side broke the protocol (3), was silent (4) or too slow (10); CLOSE was sent if §4 allows it. */
  | { type: "failed"; reason: number; error?: Error }
  /** By {@linkcode Connection.close}. */
  | { type: "ended"; reason: number };

/** Callbacks of a connection; none is called after `onEnd`. */
export interface Handlers {
  /**
   * Every frame but PING, PONG and CLOSE. If it throws, the connection ends with CLOSE(3).
   *
   * @param body Valid only during the call.
   */
  onFrame(type: number, body: Uint8Array): void;
  /**
   * The other side's first record has verified, which completes its authentication. To a client, which may not be ready
   * yet for what is in it, nothing is given before a returned promise resolves.
   */
  onVerified?(): Promise<void> | void;
  /** A write is done: more may be sent. */
  onDrain?(): void;
  /** Called exactly once, perhaps before the last bytes are written. */
  onEnd(end: End): void;
}

/** What {@linkcode Connection} takes over from a handshake. */
export interface RecordOptions {
  readonly stream: ByteStream;
  /** May hold bytes that follow the handshake. */
  readonly input: InputBuffer;
  readonly sealer: Sealer;
  readonly opener: Opener;
  /** A relay sends nothing before the client's first record, which starts with JOIN (§3, §5), and drops slow receivers. */
  readonly role: "relay" | "client";
  /** What opens the first record, if not the opener alone. */
  readonly suite?: Suite;
  readonly scheduler: Scheduler;
  readonly random?: RandomBytes;
}

/** When to retry a PING that could not be sent. */
const PING_RETRY_MS = 1_000;
/** A write that makes no progress for this long is counted as stalled by those who watch. */
const STALLED_MS = 1_000;

/** A connection whose handshake is done. */
export class Connection implements Scheduled {
  /** Counts data from this peer that is still undelivered; while it is exhausted, nothing is read. */
  readonly credit: SendCredit = new SendCredit();
  readonly #stream: ByteStream;
  readonly #input: InputBuffer;
  readonly #scheduler: Scheduler;
  readonly #random: RandomBytes;
  #handlers!: Handlers;
  readonly #opener: Opener;
  /** Until the first record. */
  #suite: Suite | undefined;
  readonly #sealer: Sealer;
  readonly #take = (type: number, body: Uint8Array): void => this.#takeFrame(type, body);
  readonly #queue: OutputQueue;
  readonly #isRelay: boolean;
  #state: "open" | "closing" | "closed" = "open";
  #verified = false;
  /** The next frame is a client's first. */
  #isFirst: boolean;
  /** Sending waits for the other side's first record, §3. */
  #held: boolean;
  #reading: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #writing: Batch | undefined;
  /** The unwritten rest of the current record. */
  #record: Uint8Array | undefined;
  #flushing = false;
  /** When the current write last made progress. */
  #progressAt: number;
  /** When a record was last sent. */
  #sentAt: number;
  #flushedAt = -Infinity;
  /** When a record last verified. */
  #heardAt: number;
  /** The same, by the computer's clock: it goes on while the program is suspended. */
  #heardWallTime: number;
  /** PINGs follow a short silence: since when, or when the last was sent. */
  #watchedAt = Infinity;
  #written: (() => void) | undefined;

  /** Inactive until {@linkcode Connection.start}. */
  constructor(options: RecordOptions) {
    this.#stream = options.stream;
    this.#input = options.input;
    this.#scheduler = options.scheduler;
    this.#random = options.random ?? systemRandom;
    this.#opener = options.opener;
    this.#suite = options.suite;
    this.#sealer = options.sealer;
    this.#queue = new OutputQueue(this.#scheduler);
    this.#isRelay = options.role === "relay";
    this.#held = this.#isFirst = this.#isRelay;
    this.#progressAt = this.#heardAt = this.#sentAt = this.#scheduler.now();
    this.#heardWallTime = this.#scheduler.clock.wallTime();
  }

  /** Starts reading; call it once. */
  start(handlers: Handlers): void {
    this.#handlers = handlers;
    this.#scheduler.add(this, this.#sentAt + PING_DELAY_MS);
    this.#read();
  }

  /** Bytes of frames that are not written yet. */
  get queuedBytes(): number {
    return this.#queue.bytes + (this.#writing?.length ?? 0);
  }

  /** A write has made no progress for {@linkcode STALLED_MS}. */
  get isStalled(): boolean {
    return this.#writing !== undefined && this.#scheduler.now() - this.#progressAt >= STALLED_MS;
  }

  /** Milliseconds since a record last verified, without those in which the program was suspended. */
  get silentMs(): number {
    return this.#scheduler.now() - this.#heardAt;
  }

  /** When a record last verified, by {@linkcode Clock.wallTime}. */
  get heardWallTime(): number {
    return this.#heardWallTime;
  }

  /** From now on also sends a PING whenever it has heard nothing for {@linkcode WATCH_PING_MS}, §5. */
  watch(): void {
    if (this.#watchedAt !== Infinity || this.#state !== "open") return;
    this.#watchedAt = this.#scheduler.now();
    this.#scheduler.wakeAt(this.#watchedAt + WATCH_PING_MS);
  }

  /** Queues an encoded frame; frames sent together share a record. Does nothing after the end. */
  send(frame: Uint8Array): void {
    if (this.#state !== "open") return;
    const now = this.#scheduler.now();
    this.#queue.push(frame);
    this.#scheduler.traffic.framesOut++;
    if (this.#isOverfull) this.#scheduler.wakeAt(now); // it ends later, not while a frame is sent to many
    this.#flushSoon();
  }

  /**
   * Queues the body of a SEND as a RECV, and charges its sender until it is written, §10.
   *
   * @param body Copied.
   * @param source The sender's sid (8 bytes) and credit.
   */
  forward(body: Uint8Array, source: Source): void {
    if (this.#state !== "open") return;
    this.#queue.pushReceived(body, source);
    this.#scheduler.traffic.framesOut++;
    this.#flushSoon();
  }

  /** Queues an entry of a CAST as a PART, and charges its sender like {@linkcode Connection.forward}. */
  forwardPart(part: CastPart, source: Source): void {
    if (this.#state !== "open") return;
    this.#queue.pushPart(part, source);
    this.#scheduler.traffic.framesOut++;
    this.#flushSoon();
  }

  /** Queues a RESULT, which the other side pays for until it is written, §10. */
  sendResult(frame: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#queue.pushResult(frame, this.credit);
    this.#scheduler.traffic.framesOut++;
    this.#flushSoon();
  }

  /**
   * Ends the connection with a CLOSE after everything that is queued.
   *
   * @returns Resolves when the stream is closed, within about 3 s.
   */
  close(reason: number): Promise<void> {
    if (this.#state === "open") this.#end({ type: "ended", reason }, reason);
    return this.#ending ?? Promise.resolve();
  }

  /** Ends the connection without writing anything more. */
  abort(): void {
    this.#cut();
  }

  // --- Reading ---

  #read(): void {
    if (this.#suite) return void this.#readFirst(this.#suite);
    this.#takeRecords();
    if (this.#state !== "open") return;
    if (this.credit.exhausted) return void this.#pause();
    if (this.#input.flooded && this.#scheduler.needsRest) {
      return this.#scheduler.rest(() => this.#readMore());
    }
    this.#readMore();
  }

  #readMore(): void {
    if (this.#state !== "open") return;
    const reading = this.#stream.read(this.#input.space());
    this.#reading = reading.then(this.#onRead, () => this.#onRead(null)); // a reset, or our own close
  }

  readonly #onRead = (length: number | null): void => {
    if (this.#state !== "open") return;
    if (length === null) return this.#cut();
    this.#scheduler.traffic.bytesIn += length;
    this.#input.add(length);
    this.#read();
  };

  async #pause(): Promise<void> {
    const since = this.#scheduler.now();
    await this.credit.wait();
    this.#heardAt += this.#scheduler.now() - since; // §5: a pause in reading is no silence
    this.#read();
  }

  #takeRecords(): void {
    try {
      while (this.#state === "open" && !this.credit.exhausted) {
        const ct = this.#input.takeRecord();
        if (!ct) return;
        this.#takeFrames(this.#opener.openInPlace(ct));
      }
    } catch (error) {
      this.#fail(REASON.PROTOCOL, error as Error);
    }
  }

  /** Takes the first record as soon as it is there; nothing else is read until it is open. */
  async #readFirst(suite: Suite): Promise<void> {
    try {
      const ct = this.#input.takeRecord();
      if (!ct) return this.#readMore();
      this.#suite = undefined;
      const plaintext = await this.#opener.openFirst(ct, suite);
      if (this.#state === "open") await this.#start();
      this.#takeFrames(plaintext);
    } catch (error) {
      this.#fail(REASON.PROTOCOL, error as Error);
    }
    if (this.#state === "open") this.#read();
  }

  #takeFrames(plaintext: Uint8Array): void {
    this.#heardAt = this.#scheduler.now();
    this.#heardWallTime = this.#scheduler.clock.wallTime();
    if (!this.#verified) void this.#start();
    forEachFrame(plaintext, this.#take);
  }

  #start(): Promise<void> | void {
    this.#verified = true;
    this.#held = false;
    const ready = this.#handlers.onVerified?.();
    if (!this.#queue.empty) this.#flushSoon();
    return ready;
  }

  #takeFrame(type: number, body: Uint8Array): void {
    if (this.#state !== "open") return; // ended by an earlier frame of the same record
    this.#scheduler.traffic.framesIn++;
    if (type <= FRAME.PONG) return this.#takeOwn(decodeFrame(type, body));
    this.#isFirst = false;
    this.#handlers.onFrame(type, body);
  }

  #takeOwn(frame: Frame): void {
    // §4: the receiver of a CLOSE closes without answering.
    if (frame.type === "close") return this.#end({ type: "closed", reason: frame.reason });
    if (this.#isFirst) throw new ProtocolError("unexpected"); // §5: a client's first frame is its JOIN
    if (frame.type !== "ping") return;
    this.#queue.pushPong(frame.data, this.credit);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing || this.#writing || this.#held) return;
    this.#flushing = true;
    this.#scheduler.flushSoon(this);
  }

  /** Writes what is queued, or returns when to: shortly after a write it waits to coalesce frames. */
  flush(now: number): number {
    const readyAt = this.#flushedAt + this.#scheduler.coalesceMs;
    if (now < readyAt && !this.#queue.hasFullRecord) return readyAt;
    this.#flushing = false;
    this.#writeNext(now);
    return now;
  }

  /** Seals and writes the next record; a write in progress does it when it ends. */
  #writeNext(now = this.#scheduler.now()): void {
    if (this.#writing || this.#held || this.#state === "closed") return;
    const batch = this.#queue.take();
    if (!batch) return this.#written?.();
    this.#flushedAt = this.#sentAt = this.#progressAt = now;
    this.#writing = batch;
    if (this.#state === "open") {
      this.#scheduler.wakeAt(Math.min(now + STALL_MS, batch.since + MAX_QUEUE_AGE_MS));
    }
    this.#write(batch.seal(this.#sealer));
  }

  #write(record: Uint8Array): void {
    this.#record = record;
    this.#stream.write(record).then(this.#onWritten, this.#cut);
  }

  readonly #onWritten = (length: number): void => {
    this.#scheduler.traffic.bytesOut += length;
    if (this.#state === "closed") return;
    if (length < this.#record!.length) {
      this.#progressAt = this.#scheduler.now();
      return this.#write(this.#record!.subarray(length));
    }
    const batch = this.#writing!;
    this.#writing = undefined;
    this.#record = undefined;
    this.#queue.release(batch);
    if (this.#sealer.exhausted) return this.#cut(); // §4: the last possible record
    this.#handlers.onDrain?.();
    if (this.#state === "open" && !this.#queue.empty) this.#flushSoon();
    else if (this.#state !== "open") this.#writeNext();
  };

  /** Sends a PING when due; ends the connection if the other side is silent or too slow. */
  check(now: number): number {
    const slowAt = this.#isRelay ? this.#slowAt() : Infinity;
    const silentAt = this.credit.exhausted ? Infinity : this.#heardAt + SILENCE_MS;
    if (now >= Math.min(slowAt, silentAt)) {
      this.#fail(now >= slowAt ? REASON.TOO_SLOW : REASON.TIMEOUT);
      return Infinity;
    }
    let pingAt = Math.min(this.#sentAt + PING_DELAY_MS, this.#watchAt());
    if (now >= pingAt) {
      // A write in progress serves as well, and before the first record nothing may be sent (§3).
      if (!this.#writing && !this.#held) {
        this.send(encodeFrame({ type: "ping", data: this.#random(8) }));
        if (this.#watchedAt !== Infinity) this.#watchedAt = now;
      }
      pingAt = now + PING_RETRY_MS;
    }
    return Math.min(slowAt, silentAt, pingAt);
  }

  /** When a PING is due because nothing is heard. */
  #watchAt(): number {
    return Math.max(this.#heardAt, this.#watchedAt) + WATCH_PING_MS;
  }

  /** When the other side counts as too slow, §10. Not for relays: one may pause reading for a while. */
  #slowAt(): number {
    if (this.#isOverfull) return -Infinity;
    const stallAt = this.#writing ? this.#progressAt + STALL_MS : Infinity;
    const oldest = Math.min(this.#writing?.since ?? Infinity, this.#queue.since ?? Infinity);
    return Math.min(stallAt, oldest + MAX_QUEUE_AGE_MS);
  }

  get #isOverfull(): boolean {
    return this.#isRelay && this.#queue.ownFrames > MAX_QUEUED_FRAMES;
  }

  // --- The end ---

  #fail(reason: number, error?: Error): void {
    if (this.#state !== "open") return;
    // A CLOSE after what is queued would be too slow as well.
    if (reason === REASON.TOO_SLOW) this.#queue.clear();
    const end: End = error ? { type: "failed", reason, error } : { type: "failed", reason };
    // §4: no CLOSE if the very first record is bad.
    this.#end(end, error && !this.#verified ? undefined : reason);
  }

  readonly #cut = (): void => {
    if (this.#state === "open") this.#end({ type: "cut" });
    else this.#discard();
  };

  /** Ends the connection; with a `reason`, sends CLOSE after what is queued. */
  #end(end: End, reason?: number): void {
    this.#state = "closing";
    this.#scheduler.remove(this);
    this.credit.resume();
    if (reason === undefined || this.#held) this.#queue.clear();
    else this.#queue.pushLast(encodeFrame({ type: "close", reason }));
    if (end.type === "cut") this.#discard();
    else this.#ending = this.#leave(!this.#queue.empty);
    this.#handlers.onEnd(end);
  }

  async #leave(hasOutput: boolean): Promise<void> {
    if (hasOutput) {
      const written = new Promise<void>((resolve) => this.#written = resolve);
      this.#writeNext();
      await settledWithin(this.#scheduler.clock, FLUSH_MS, written);
    }
    await closeStream(this.#stream, this.#scheduler.clock, this.#reading);
    this.#discard();
  }

  /** Closes the stream and drops what is not written. */
  #discard(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    closeAtOnce(this.#stream);
    this.#queue.clear();
    if (this.#writing) this.#queue.abandon(this.#writing);
    this.#writing = undefined;
    this.#written?.();
  }
}
