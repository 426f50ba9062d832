/**
 * What waits to be written to one connection: frames gathered into records, and whose they are (PROTOCOL.md §4, §10).
 *
 * The fast path of forwarding: a frame is copied once, into the buffer in which it will be sealed and written. Knows
 * neither streams nor rooms.
 *
 * @module
 */

import type { Allowance } from "./send_credit.ts";
import { writeU16 } from "../base/bytes.ts";
import { type Sealer, TAG_BYTES } from "../protocol/records.ts";
import type { Clock } from "../base/clock.ts";
import { RECORD_HEADER_BYTES } from "./input_buffer.ts";
import { MAX_RECORD_BYTES } from "../protocol/limits.ts";
import { FRAME, FRAME_HEADER_BYTES, ROUTE_BYTES } from "../protocol/frames.ts";

const PONG_BODY_BYTES = 8;
const PONG_BYTES = FRAME_HEADER_BYTES + PONG_BODY_BYTES;
/** What §10 counts for a frame besides its payload. */
const COUNTED_BYTES = 14;

/** A batch that holds one chat message or two. */
const SMALL_BYTES = 512;
const LARGE_BYTES = RECORD_HEADER_BYTES + MAX_RECORD_BYTES;
/** Empty batches and large buffers kept for all connections together: as many as are busy at one time in a large room. */
const MAX_SPARE = 256;
const MAX_SPARE_LARGE = 64;
const spare: Batch[] = [];
const spareLarge: Uint8Array[] = [];

/** The frames of one record, in the buffer in which it is sealed: room for its length, frames, room for its tag. */
export class Batch {
  /** When the first of its frames was queued. */
  since = 0;
  readonly #small = new Uint8Array(SMALL_BYTES);
  #bytes: Uint8Array = this.#small;
  #end = RECORD_HEADER_BYTES;
  /** Whose bytes these are: runs of frames of one sender after another. */
  readonly #owners: Allowance[] = [];
  readonly #shares: number[] = [];

  /** Bytes of its frames. */
  get length(): number {
    return this.#end - RECORD_HEADER_BYTES;
  }

  /** Tells whether `length` more bytes fit; beyond the frames there is always room for a PONG. */
  fits(length: number): boolean {
    return this.#end + length + PONG_BYTES + TAG_BYTES <= LARGE_BYTES;
  }

  /** Appends a frame. */
  push(frame: Uint8Array): void {
    this.#makeRoom(frame.length);
    this.#bytes.set(frame, this.#end);
    this.#end += frame.length;
  }

  /** Appends the RECV of a SEND: the same body with another sid, §5. */
  pushReceived(source: Uint8Array, body: Uint8Array): void {
    this.#makeRoom(FRAME_HEADER_BYTES + body.length);
    const bytes = this.#bytes;
    const start = this.#end;
    bytes[start] = FRAME.RECV;
    writeU16(bytes, start + 1, body.length);
    bytes.set(body, start + FRAME_HEADER_BYTES);
    bytes.set(source, start + FRAME_HEADER_BYTES);
    this.#end = start + FRAME_HEADER_BYTES + body.length;
  }

  /** Notes that the last `bytes` belong to `owner`. */
  own(owner: Allowance, bytes: number): void {
    const last = this.#owners.length - 1;
    if (last >= 0 && this.#owners[last] === owner) this.#shares[last]! += bytes;
    else {
      this.#owners.push(owner);
      this.#shares.push(bytes);
    }
  }

  /**
   * Turns the frames into a record, in place.
   *
   * @param sealer Seals the plaintext where it is.
   * @returns `L(ct)`, valid until the batch is released.
   */
  seal(sealer: Pick<Sealer, "sealInPlace">): Uint8Array {
    const record = this.#bytes.subarray(0, this.#end + TAG_BYTES);
    writeU16(record, 0, record.length - RECORD_HEADER_BYTES);
    sealer.sealInPlace(record.subarray(RECORD_HEADER_BYTES));
    return record;
  }

  /** Gives back what was counted. */
  credit(): void {
    for (let i = 0; i < this.#owners.length; i++) this.#owners[i]!.credit(this.#shares[i]!);
    this.#owners.length = this.#shares.length = 0;
  }

  /** Empties it for other frames; nobody may be reading its buffer any more. */
  clear(): void {
    if (this.#bytes.length === LARGE_BYTES && spareLarge.length < MAX_SPARE_LARGE) {
      spareLarge.push(this.#bytes);
    }
    this.#bytes = this.#small;
    this.#end = RECORD_HEADER_BYTES;
  }

  /** No more frames will come: a buffer with much room to spare is exchanged for one that fits. */
  shrink(): void {
    const size = this.#end + PONG_BYTES + TAG_BYTES;
    if (size * 4 < this.#bytes.length * 3) this.#bytes = this.#bytes.slice(0, size);
  }

  #makeRoom(length: number): void {
    if (this.#end + length + TAG_BYTES <= this.#bytes.length) return;
    const bytes = spareLarge.pop() ?? new Uint8Array(LARGE_BYTES);
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
  }
}

/** The batches of one connection that have not been taken for writing. */
export class OutputQueue {
  readonly #clock: Pick<Clock, "now">;
  #batches: Batch[] = [];
  #pong: Uint8Array | undefined;
  #pongOwner: Allowance | undefined;

  /** @param clock Tells the present time. */
  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** Bytes of frames that wait here. */
  get bytes(): number {
    let bytes = this.#pong ? PONG_BYTES : 0;
    for (const batch of this.#batches) bytes += batch.length;
    return bytes;
  }

  /** Nothing waits. */
  get empty(): boolean {
    return this.#batches.length === 0 && !this.#pong;
  }

  /** What waits fills at least one record. */
  get hasFullRecord(): boolean {
    return this.#batches.length > 1;
  }

  /** When the oldest frame was queued; a PONG has no age. */
  get since(): number | undefined {
    return this.#batches[0]?.since;
  }

  /**
   * Queues a frame of our own.
   *
   * @param frame `u8 type || L(body)`, at most 16373 bytes; copied.
   */
  push(frame: Uint8Array): void {
    this.#batchFor(frame.length).push(frame);
  }

  /**
   * Queues what a member sent, as the RECV it becomes.
   *
   * @param body Body of the SEND; copied.
   * @param source The sender's sid, 8 bytes, and where its bytes are counted.
   */
  pushReceived(
    body: Uint8Array,
    source: { readonly sid: Uint8Array; readonly allowance: Allowance },
  ): void {
    const batch = this.#batchFor(FRAME_HEADER_BYTES + body.length);
    batch.pushReceived(source.sid, body);
    const counted = body.length - ROUTE_BYTES + COUNTED_BYTES;
    batch.own(source.allowance, counted);
    source.allowance.charge(counted);
  }

  /** Queues the answer to a PING; it replaces one that still waits, §5. */
  pushPong(data: Uint8Array, owner: Allowance): void {
    if (!this.#pong) {
      this.#pong = new Uint8Array(PONG_BYTES);
      this.#pong[0] = FRAME.PONG;
      writeU16(this.#pong, 1, PONG_BODY_BYTES);
      this.#pongOwner = owner;
      owner.charge(PONG_BODY_BYTES + COUNTED_BYTES); // §10: counts for who sent the PING
    }
    this.#pong.set(data, FRAME_HEADER_BYTES);
  }

  /** Queues the frame behind which nothing comes any more; a PONG would. */
  pushLast(frame: Uint8Array): void {
    this.#dropPong();
    this.push(frame);
  }

  /** Takes the next record's frames, to be sealed, written and given to {@linkcode OutputQueue.release}. */
  take(): Batch | undefined {
    if (this.#pong) {
      const batch = this.#batches[0] ?? this.#begin();
      batch.push(this.#pong);
      batch.own(this.#pongOwner!, PONG_BODY_BYTES + COUNTED_BYTES);
      this.#pong = undefined;
    }
    return this.#batches.shift();
  }

  /** A batch that was taken has been written. */
  release(batch: Batch): void {
    batch.credit();
    batch.clear();
    if (spare.length < MAX_SPARE) spare.push(batch);
  }

  /** A batch that was taken will never be written whole; its buffer may still be in use. */
  abandon(batch: Batch): void {
    batch.credit();
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#dropPong();
    for (const batch of this.#batches) this.release(batch);
    this.#batches = [];
  }

  #dropPong(): void {
    if (this.#pong) this.#pongOwner!.credit(PONG_BODY_BYTES + COUNTED_BYTES);
    this.#pong = undefined;
  }

  #batchFor(length: number): Batch {
    const last = this.#batches.at(-1);
    if (last?.fits(length)) return last;
    last?.shrink();
    return this.#begin();
  }

  #begin(): Batch {
    const batch = spare.pop() ?? new Batch();
    batch.since = this.#clock.now();
    this.#batches.push(batch);
    return batch;
  }
}
