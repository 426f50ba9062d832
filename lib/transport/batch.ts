/**
 * Frames that become one record, and what their senders are charged for them (PROTOCOL.md §4, §5, §10).
 *
 * This is the fast path of forwarding: nothing is allocated for a frame, and short pieces are copied byte by byte, which
 * costs less than a view of them.
 *
 * @module
 */

import { readU16, writeU16 } from "../base/bytes.ts";
import { FRAME, FRAME_HEADER_BYTES } from "../protocol/frames.ts";
import { MAX_RECORD_BYTES } from "../protocol/limits.ts";
import { type Sealer, TAG_BYTES } from "../protocol/records.ts";
import { RECORD_HEADER_BYTES } from "./input_buffer.ts";
import { costOf, PONG_BODY_BYTES, type SendCredit } from "./send_credit.ts";

/** Bytes of a PONG, for which a record keeps room. */
export const PONG_BYTES: number = FRAME_HEADER_BYTES + PONG_BODY_BYTES;

/** Room for a chat message or two. */
const SMALL_BYTES = 512;
const LARGE_BYTES = RECORD_HEADER_BYTES + MAX_RECORD_BYTES;
/** Bytes of frames from which on another one may not fit into the record. */
export const FULL_BYTES: number = LARGE_BYTES - RECORD_HEADER_BYTES - PONG_BYTES - TAG_BYTES;
/** Between the first and the last frame of a batch. */
const MAX_SPAN_MS = 5_000;
/** Buffers for more than that; where the frames of several senders wait, each sender has a small one at first. */
const SIZES = [4 * SMALL_BYTES, 16 * SMALL_BYTES, LARGE_BYTES] as const;
/** Spare batches and buffers, shared by all connections: as many as are busy at a time in a large room. */
const MAX_SPARE = 4096;
const MAX_SPARE_BYTES = 4 * 1024 * 1024;
const spare: Batch[] = [];
/** By size. */
const spareBuffers = new Map<number, Uint8Array[]>(SIZES.map((size) => [size, []]));
const NO_COMMON = new Uint8Array(0);
/** Up to here a piece is copied byte by byte. */
const SHORT_BYTES = 128;
/** Marks are never used twice, so they need not be cleared. */
let lastMark = 0;
/** Reused: the frames of each sender, each as 256 times its offset plus the number of the next common. */
const lanes: number[][] = [];

/** An empty batch for frames that are queued from `now` on; a frugal one grows step by step. */
export function takeBatch(now: number, isFrugal = false): Batch {
  return (spare.pop() ?? new Batch()).begin(now, isFrugal);
}

/** Empties a batch for reuse; its buffer must not be in use any more. */
export function giveBatch(batch: Batch): void {
  batch.clear();
  if (spare.length < MAX_SPARE) spare.push(batch);
}

function takeBuffer(size: number): Uint8Array {
  return spareBuffers.get(size)!.pop() ?? new Uint8Array(size);
}

function giveBuffer(bytes: Uint8Array): void {
  const others = spareBuffers.get(bytes.length);
  if (others && others.length * bytes.length < MAX_SPARE_BYTES) others.push(bytes);
}

/**
 * Frames in the buffer in which they are sealed as one record: space for the length, frames, space for the tag. They
 * can also be moved to another batch.
 */
export class Batch {
  /** When the first of its frames was queued. */
  since = 0;
  /** When the last was. */
  #until = 0;
  /** How many frames are our own. */
  ownFrames = 0;
  readonly #small = new Uint8Array(SMALL_BYTES);
  #bytes: Uint8Array = this.#small;
  #start = RECORD_HEADER_BYTES;
  #end = RECORD_HEADER_BYTES;
  /** Grows step by step instead of to the size of a record at once. */
  #isFrugal = false;
  // These lists keep their memory when they are emptied: from `…Start` to before `…End` they are in use.
  /** The senders of runs of frames; undefined for our own. */
  readonly #owners: (SendCredit | undefined)[] = [];
  /** How many frames each run has. */
  readonly #counts: number[] = [];
  /** What the sender of each run is charged. */
  readonly #shares: number[] = [];
  #runStart = 0;
  #runEnd = 0;
  /** Who is charged for our answers in it: the other side. */
  #asker: SendCredit | undefined;
  #askerShare = 0;
  /** The commons of PARTs, shared with other receivers, and where each belongs. */
  readonly #commons: Uint8Array[] = [];
  readonly #places: number[] = [];
  #commonStart = 0;
  #commonEnd = 0;
  #commonBytes = 0;

  /** Bytes of its frames. */
  get length(): number {
    return this.#end + this.#commonBytes - this.#start;
  }

  /** When the oldest of its frames was queued, or later. */
  get oldest(): number {
    return this.#start === RECORD_HEADER_BYTES ? this.since : this.#until;
  }

  /** Prepares it for its first frame. */
  begin(now: number, isFrugal: boolean): this {
    this.since = this.#until = now;
    this.#isFrugal = isFrugal;
    return this;
  }

  /** Whether `length` more bytes fit beside a PONG. */
  fits(length: number): boolean {
    return this.#end + this.#commonBytes + length + PONG_BYTES + TAG_BYTES <= LARGE_BYTES;
  }

  /** Whether a frame of `length` bytes may be added `now`: all its frames have about the same age. */
  accepts(length: number, now: number): boolean {
    if (!this.fits(length) || now - this.since >= MAX_SPAN_MS) return false;
    this.#until = now;
    return true;
  }

  /** Appends a frame, without recording whose it is. */
  push(frame: Uint8Array): void {
    this.#makeRoom(frame.length);
    this.#bytes.set(frame, this.#end);
    this.#end += frame.length;
  }

  #append(from: Uint8Array, start: number, end: number): void {
    if (end - start > SHORT_BYTES) return this.push(from.subarray(start, end));
    this.#makeRoom(end - start);
    const bytes = this.#bytes;
    let to = this.#end;
    for (let i = start; i < end; i++) bytes[to++] = from[i]!;
    this.#end = to;
  }

  /** Appends the RECV for a SEND: the same body with the sender's sid, §5. */
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

  /** Appends the PART that an entry of a CAST becomes, §5. */
  pushPart(source: Uint8Array, { entry, common }: CastPart): void {
    this.#makeRoom(FRAME_HEADER_BYTES + entry.length);
    const bytes = this.#bytes;
    const start = this.#end + FRAME_HEADER_BYTES;
    bytes[this.#end] = FRAME.PART;
    writeU16(bytes, this.#end + 1, entry.length + common.length);
    bytes.set(entry, start);
    bytes.set(source, start);
    this.#end = start + entry.length;
    this.#pushCommon(common);
  }

  #pushCommon(common: Uint8Array): void {
    const index = this.#commonEnd++;
    this.#commons[index] = common;
    this.#places[index] = this.#end;
    this.#commonBytes += common.length;
  }

  /** Records whose the last frame is, and what its sender is charged; undefined: our own. */
  own(owner: SendCredit | undefined, cost: number): void {
    if (!owner) this.ownFrames++;
    const last = this.#runEnd - 1;
    if (last >= this.#runStart && this.#owners[last] === owner) {
      this.#counts[last]!++;
      this.#shares[last]! += cost;
    } else this.#addRun(owner, 1, cost);
  }

  #addRun(owner: SendCredit | undefined, count: number, share: number): void {
    const index = this.#runEnd++;
    this.#owners[index] = owner;
    this.#counts[index] = count;
    this.#shares[index] = share;
  }

  /** Records that the other side is charged `cost` for an answer of ours. */
  chargeAsker(asker: SendCredit, cost: number): void {
    this.#asker = asker;
    this.#askerShare += cost;
  }

  /** Whether all of its frames are of the same sender, or our own. */
  get isOfOne(): boolean {
    return this.#runEnd - this.#runStart === 1;
  }

  /** The sender of the first frame. */
  get firstOwner(): SendCredit | undefined {
    return this.#owners[this.#runStart];
  }

  /** Bytes of the first frame. */
  get firstLength(): number {
    return FRAME_HEADER_BYTES + readU16(this.#bytes, this.#start + 1);
  }

  /** Moves the first frame to another batch, with what its sender is charged. It must fit there. */
  moveFirst(to: Batch): void {
    const type = this.#bytes[this.#start]!;
    const cost = costOf(type, this.firstLength - FRAME_HEADER_BYTES);
    to.since = Math.min(to.since, this.oldest);
    this.#start = this.#copyFrame(this.#start, this.#commonStart, to);
    if (type === FRAME.PART) this.#commonBytes -= this.#commons[this.#commonStart++]!.length;
    const run = this.#runStart;
    const owner = this.#owners[run];
    to.own(owner, cost);
    this.#shares[run]! -= cost;
    if (!owner) {
      this.ownFrames--;
      if (this.#asker && cost > 0) to.chargeAsker(this.#asker, cost);
      this.#askerShare -= cost;
    }
    if (--this.#counts[run]! === 0) this.#runStart++;
  }

  /** Copies the frame at `offset`, whose common is number `common`; returns where it ends. */
  #copyFrame(offset: number, common: number, to: Batch): number {
    const end = this.#endOf(offset, common);
    to.#append(this.#bytes, offset, end);
    if (this.#bytes[offset] === FRAME.PART) to.#pushCommon(this.#commons[common]!);
    return end;
  }

  #endOf(offset: number, common: number): number {
    if (this.#bytes[offset] === FRAME.PART) return this.#places[common]!;
    return offset + FRAME_HEADER_BYTES + readU16(this.#bytes, offset + 1);
  }

  /** Whether the frames of different senders are in turn already, one of each. */
  get isInTurn(): boolean {
    const owners = this.#owners;
    const [first, last] = [this.#runStart, this.#runEnd - 1];
    if (first >= last) return true;
    let mark = ++lastMark;
    for (let run = first; run <= last; run++) {
      const owner = owners[run];
      if (!owner) mark = ++lastMark;
      else {
        const isAlone = !(run > first && owners[run - 1]) && !(run < last && owners[run + 1]);
        if (owner.mark === mark || (this.#counts[run]! > 1 && !isAlone)) return false;
        owner.mark = mark;
      }
    }
    return true;
  }

  /** Moves everything to an empty batch, the frames of different senders in turn. */
  moveInTurn(to: Batch): void {
    let senders = 0;
    let mark = ++lastMark;
    let place = 256 * this.#start + this.#commonStart;
    for (let run = this.#runStart; run < this.#runEnd; run++) {
      const owner = this.#owners[run];
      to.#addRun(owner, this.#counts[run]!, this.#shares[run]!);
      if (!owner) {
        this.#copyInTurn(senders, to);
        senders = 0;
        mark = ++lastMark;
      } else if (owner.mark !== mark) {
        owner.mark = mark;
        owner.lane = senders++;
        (lanes[owner.lane] ??= []).length = 0;
      }
      for (let i = 0; i < this.#counts[run]!; i++) {
        if (owner) lanes[owner.lane]!.push(place);
        else this.#copyFrame(place >> 8, place & 255, to);
        place = this.#next(place);
      }
    }
    this.#copyInTurn(senders, to);
    to.since = this.since;
    to.ownFrames = this.ownFrames;
    this.#runStart = this.#runEnd;
    [to.#asker, to.#askerShare, this.#askerShare] = [this.#asker, this.#askerShare, 0];
  }

  #next(place: number): number {
    const [offset, common] = [place >> 8, place & 255];
    const isPart = this.#bytes[offset] === FRAME.PART;
    return 256 * this.#endOf(offset, common) + common + (isPart ? 1 : 0);
  }

  /** Copies the frames in the first so many lanes. */
  #copyInTurn(senders: number, to: Batch): void {
    for (let turn = 0; senders > 0; turn++) {
      let left = 0;
      for (let i = 0; i < senders; i++) {
        const lane = lanes[i]!;
        this.#copyFrame(lane[turn]! >> 8, lane[turn]! & 255, to);
        if (turn + 1 === lane.length) continue;
        lanes[i] = lanes[left]!;
        lanes[left++] = lane;
      }
      senders = left;
    }
  }

  /** Moves everything apart, from the end, to make room for the commons. */
  #insertCommons(): void {
    this.#makeRoom(this.#commonBytes);
    const bytes = this.#bytes;
    let from = this.#end;
    let to = this.#end += this.#commonBytes;
    for (let i = this.#commonEnd - 1; i >= this.#commonStart; i--) {
      const [common, place] = [this.#commons[i]!, this.#places[i]!];
      to -= from - place;
      bytes.copyWithin(to, place, from);
      to -= common.length;
      bytes.set(common, to);
      from = place;
    }
    this.#dropCommons();
  }

  #dropCommons(): void {
    this.#commons.fill(NO_COMMON, 0, this.#commonEnd); // so that nothing holds them longer than it must
    this.#commonStart = this.#commonEnd = this.#commonBytes = 0;
  }

  /**
   * Turns the frames into a record, in place.
   *
   * @returns `L(ct)`, valid until the batch is released.
   */
  seal(sealer: Pick<Sealer, "sealInPlace">): Uint8Array {
    this.#insertCommons();
    // Frames that were moved have left more than enough space for the length.
    const record = this.#bytes.subarray(this.#start - RECORD_HEADER_BYTES, this.#end + TAG_BYTES);
    writeU16(record, 0, record.length - RECORD_HEADER_BYTES);
    sealer.sealInPlace(record.subarray(RECORD_HEADER_BYTES));
    return record;
  }

  /** Gives the senders their credit back. */
  refund(): void {
    for (let i = this.#runStart; i < this.#runEnd; i++) this.#owners[i]?.refund(this.#shares[i]!);
    this.#owners.fill(undefined, 0, this.#runEnd); // so that nothing holds who has left
    this.#runStart = this.#runEnd = 0;
    this.#asker?.refund(this.#askerShare);
    this.#asker = undefined;
    this.#askerShare = 0;
  }

  /** Empties it for reuse; its buffer must not be in use any more. */
  clear(): void {
    giveBuffer(this.#bytes);
    this.#dropCommons();
    this.#bytes = this.#small;
    this.#start = this.#end = RECORD_HEADER_BYTES;
    this.ownFrames = 0;
  }

  /** No more frames will come: replaces a buffer that is much too large. */
  shrink(): void {
    const size = this.#end + PONG_BYTES + TAG_BYTES;
    if (size * 4 < this.#bytes.length * 3) this.#bytes = this.#bytes.slice(0, size);
  }

  #makeRoom(length: number): void {
    const size = this.#end + length + TAG_BYTES;
    if (size <= this.#bytes.length) return;
    const wanted = this.#isFrugal ? SIZES.find((it) => it >= size) : undefined;
    const bytes = takeBuffer(wanted ?? LARGE_BYTES);
    bytes.set(this.#bytes.subarray(0, this.#end));
    giveBuffer(this.#bytes);
    this.#bytes = bytes;
  }
}

/** One receiver's part of a CAST. */
export interface CastPart {
  /** Its entry, 69 bytes: sid, tag and box. */
  readonly entry: Uint8Array;
  /** What all receivers get; not copied before it is sent, so that many receivers hold it once. */
  readonly common: Uint8Array;
}
