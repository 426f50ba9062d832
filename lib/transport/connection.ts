/**
 * One TCP connection after its handshake: records in and out, pings, time limits, and its end (PROTOCOL.md §3 to §5, §10).
 *
 * Used by relay and client alike; connection.ts makes one. Knows neither rooms nor messages, and no runtime: the
 * stream is handed in, time comes from the group.
 *
 * @module
 */

import { Allowance } from "./send_credit.ts";
import type { Opener, Sealer } from "../protocol/records.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { forEachFrame, type InputBuffer } from "./input_buffer.ts";
import type { Group, GroupMember } from "./scheduler.ts";
import {
  FLUSH_MS,
  MAX_QUEUE_AGE_MS,
  PING_DELAY_MS,
  SILENCE_MS,
  STALL_MS,
} from "../protocol/limits.ts";
import { decodeFrame, encodeFrame, FRAME, type Frame, REASON } from "../protocol/frames.ts";
import { type Batch, OutputQueue } from "./output_queue.ts";
import { type ByteStream, closeAtOnce, closeStream, settledWithin } from "./byte_stream.ts";

/** How a connection ended. */
export type End =
  /** By the other side's CLOSE. */
  | { type: "closed"; reason: number }
  /** EOF or an error without CLOSE, or {@linkcode Connection.abort}. */
  | { type: "cut" }
  /** By us: the other side broke the protocol (3), was silent (4) or too slow (10); CLOSE was sent if that is allowed. */
  | { type: "failed"; reason: number; error?: Error }
  /** By {@linkcode Connection.close}. */
  | { type: "ended"; reason: number };

/** Who is told what a connection receives. Nothing is called after `onEnd`. */
export interface Handlers {
  /**
   * Takes every frame but PING, PONG and CLOSE. An error thrown here ends the connection with CLOSE(3).
   *
   * @param body Valid only during the call.
   */
  onFrame(type: number, body: Uint8Array): void;
  /** The other side's first record has verified: it is who it says. */
  onVerified?(): void;
  /** A write is done: there is room for more. */
  onDrain?(): void;
  /** The connection is over; called exactly once, while the last bytes may still be on their way. */
  onEnd(end: End): void;
}

/** What a handshake leaves for the records. */
export interface RecordOptions {
  readonly stream: ByteStream;
  /** What was read beyond the handshake. */
  readonly input: InputBuffer;
  readonly sealer: Sealer;
  readonly opener: Opener;
  /** A relay sends nothing before the client's first record, which begins with JOIN (§3, §5), and ends slow receivers. */
  readonly role: "relay" | "client";
  readonly group: Group;
  readonly random?: RandomBytes;
}

/** A PING that could not go out is tried again. */
const PING_RETRY_MS = 1_000;

/** One connection whose handshake is done. */
export class Connection implements GroupMember {
  /** Where the other side's bytes are counted that wait at others; while it is spent, nothing more is read. */
  readonly allowance: Allowance = new Allowance();
  readonly #stream: ByteStream;
  readonly #input: InputBuffer;
  readonly #group: Group;
  readonly #random: RandomBytes;
  #handlers!: Handlers;
  readonly #opener: Opener;
  readonly #sealer: Sealer;
  readonly #take = (type: number, body: Uint8Array): void => this.#takeFrame(type, body);
  readonly #queue: OutputQueue;
  readonly #isRelay: boolean;
  #state: "open" | "closing" | "closed" = "open";
  #verified = false;
  /** The next frame is the first one of a client. */
  #isFirst: boolean;
  /** Nothing may be sent before the other side's first record, §3. */
  #held: boolean;
  #reading: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #writing: Batch | undefined;
  /** What is left of the record being written. */
  #record: Uint8Array | undefined;
  #flushing = false;
  /** When the write under way last made progress, a record was last sent, one last verified. */
  #progressAt: number;
  #sentAt: number;
  #flushedAt = -Infinity;
  #heardAt: number;
  #written: (() => void) | undefined;

  /** Neither reads nor has deadlines before {@linkcode Connection.start}. */
  constructor(options: RecordOptions) {
    this.#stream = options.stream;
    this.#input = options.input;
    this.#group = options.group;
    this.#random = options.random ?? systemRandom;
    this.#opener = options.opener;
    this.#sealer = options.sealer;
    this.#queue = new OutputQueue(this.#group);
    this.#isRelay = options.role === "relay";
    this.#held = this.#isFirst = this.#isRelay;
    this.#progressAt = this.#heardAt = this.#sentAt = this.#group.now();
  }

  /** Begins to read, with what was read beyond the handshake; once only. */
  start(handlers: Handlers): void {
    this.#handlers = handlers;
    this.#group.add(this, this.#sentAt + PING_DELAY_MS);
    this.#read();
  }

  /** Bytes of frames that have not been written. */
  get queuedBytes(): number {
    return this.#queue.bytes + (this.#writing?.length ?? 0);
  }

  /** Queues an encoded frame; those of one moment travel in one record. Ignored after the end. */
  send(frame: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#queue.push(frame);
    this.#flushSoon();
  }

  /**
   * Queues the body of a SEND as the RECV it becomes, and counts it for its sender until it has been written, §10.
   *
   * @param body Copied.
   * @param source The sender's sid, 8 bytes, and where its bytes are counted.
   */
  forward(
    body: Uint8Array,
    source: { readonly sid: Uint8Array; readonly allowance: Allowance },
  ): void {
    if (this.#state !== "open") return;
    this.#queue.pushReceived(body, source);
    this.#flushSoon();
  }

  /**
   * Ends the connection with a CLOSE behind all that is queued.
   *
   * @returns Resolves when the stream is closed, some 3 s later at most.
   */
  close(reason: number): Promise<void> {
    if (this.#state === "open") this.#end({ type: "ended", reason }, reason);
    return this.#ending ?? Promise.resolve();
  }

  /** Cuts the connection: nothing more is written. */
  abort(): void {
    this.#cut();
  }

  // --- Reading ---

  #read(): void {
    this.#takeRecords();
    if (this.#state !== "open") return;
    if (this.allowance.spent) return void this.#pause();
    const reading = this.#stream.read(this.#input.space());
    this.#reading = reading.then(this.#onRead, () => this.#onRead(null)); // a reset, or our own end
  }

  readonly #onRead = (length: number | null): void => {
    if (this.#state !== "open") return;
    if (length === null) return this.#cut();
    this.#input.add(length);
    this.#read();
  };

  async #pause(): Promise<void> {
    const since = this.#group.now();
    await this.allowance.wait();
    this.#heardAt += this.#group.now() - since; // §5: time without reading does not count
    this.#read();
  }

  #takeRecords(): void {
    try {
      while (this.#state === "open" && !this.allowance.spent) {
        const ct = this.#input.takeRecord();
        if (!ct) return;
        const plaintext = this.#opener.openInPlace(ct);
        this.#heardAt = this.#group.now();
        if (!this.#verified) this.#start();
        forEachFrame(plaintext, this.#take);
      }
    } catch (error) {
      this.#fail(REASON.PROTOCOL, error as Error);
    }
  }

  #start(): void {
    this.#verified = true;
    this.#held = false;
    this.#handlers.onVerified?.();
    if (!this.#queue.empty) this.#flushSoon();
  }

  #takeFrame(type: number, body: Uint8Array): void {
    if (this.#state !== "open") return; // ended by an earlier frame of the same record
    if (type <= FRAME.PONG) return this.#takeOwn(decodeFrame(type, body));
    this.#isFirst = false;
    this.#handlers.onFrame(type, body);
  }

  #takeOwn(frame: Frame): void {
    // §4: the receiver of a CLOSE closes without answering.
    if (frame.type === "close") return this.#end({ type: "closed", reason: frame.reason });
    if (this.#isFirst) throw new ProtocolError("unexpected"); // §5: a client's first frame is its JOIN
    if (frame.type !== "ping") return;
    this.#queue.pushPong(frame.data, this.allowance);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing || this.#writing || this.#held) return;
    this.#flushing = true;
    this.#group.flushSoon(this);
  }

  /** Writes what is queued, or says when: a receiver that was just written to waits for more to gather. */
  flush(now: number): number {
    const gathered = this.#flushedAt + this.#group.gather;
    if (now < gathered && !this.#queue.hasFullRecord) return gathered;
    this.#flushing = false;
    this.#writeNext(now);
    return now;
  }

  /** Seals and writes the next record, unless a write is under way: then its end does that. */
  #writeNext(now = this.#group.now()): void {
    if (this.#writing || this.#held || this.#state === "closed") return;
    const batch = this.#queue.take();
    if (!batch) return this.#written?.();
    this.#flushedAt = this.#sentAt = this.#progressAt = now;
    this.#writing = batch;
    if (this.#state === "open") {
      this.#group.wakeAt(Math.min(now + STALL_MS, batch.since + MAX_QUEUE_AGE_MS));
    }
    this.#write(batch.seal(this.#sealer));
  }

  #write(record: Uint8Array): void {
    this.#record = record;
    this.#stream.write(record).then(this.#onWritten, this.#cut);
  }

  readonly #onWritten = (length: number): void => {
    if (this.#state === "closed") return;
    if (length < this.#record!.length) {
      this.#progressAt = this.#group.now();
      return this.#write(this.#record!.subarray(length));
    }
    const batch = this.#writing!;
    this.#writing = undefined;
    this.#record = undefined;
    this.#queue.release(batch);
    if (this.#sealer.exhausted) return this.#cut(); // §4: the last record there can be
    this.#handlers.onDrain?.();
    if (this.#state === "open" && !this.#queue.empty) this.#flushSoon();
    else if (this.#state !== "open") this.#writeNext();
  };

  /** Sends a PING when one is due, and ends the connection when the other side is silent or too slow. */
  check(now: number): number {
    const slowAt = this.#isRelay ? this.#slowAt() : Infinity;
    const silentAt = this.allowance.spent ? Infinity : this.#heardAt + SILENCE_MS;
    if (now >= Math.min(slowAt, silentAt)) {
      this.#fail(now >= slowAt ? REASON.TOO_SLOW : REASON.TIMEOUT);
      return Infinity;
    }
    let pingAt = this.#sentAt + PING_DELAY_MS;
    if (now >= pingAt) {
      // A write under way speaks for this side, and before the first record it has to be silent (§3).
      if (!this.#writing && !this.#held) {
        this.send(encodeFrame({ type: "ping", data: this.#random(8) }));
      }
      pingAt = now + PING_RETRY_MS;
    }
    return Math.min(slowAt, silentAt, pingAt);
  }

  /** When the other side is too slow, §10. A client waits for its relay, which may not read for a while. */
  #slowAt(): number {
    const stallAt = this.#writing ? this.#progressAt + STALL_MS : Infinity;
    const oldest = this.#writing?.since ?? this.#queue.since;
    return oldest === undefined ? Infinity : Math.min(stallAt, oldest + MAX_QUEUE_AGE_MS);
  }

  // --- The end ---

  #fail(reason: number, error?: Error): void {
    if (this.#state !== "open") return;
    // Too slow for what is queued: it would be as slow for a CLOSE behind it.
    if (reason === REASON.TOO_SLOW) this.#queue.clear();
    const end: End = error ? { type: "failed", reason, error } : { type: "failed", reason };
    // §4: nothing is said where the very first record is bad.
    this.#end(end, error && !this.#verified ? undefined : reason);
  }

  readonly #cut = (): void => {
    if (this.#state === "open") this.#end({ type: "cut" });
    else this.#discard();
  };

  /** Ends the connection; a `reason` is told, behind what is queued. */
  #end(end: End, reason?: number): void {
    this.#state = "closing";
    this.#group.remove(this);
    this.allowance.renew();
    if (reason === undefined || this.#held) this.#queue.clear();
    else this.#queue.pushLast(encodeFrame({ type: "close", reason }));
    if (end.type === "cut") this.#discard();
    else this.#ending = this.#leave(!this.#queue.empty);
    this.#handlers.onEnd(end);
  }

  async #leave(speaks: boolean): Promise<void> {
    if (speaks) {
      const written = new Promise<void>((resolve) => this.#written = resolve);
      this.#writeNext();
      await settledWithin(this.#group.clock, FLUSH_MS, written);
    }
    await closeStream(this.#stream, this.#group.clock, this.#reading);
    this.#discard();
  }

  /** Closes the stream and forgets what could not be written. */
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
