/**
 * The output queue of a connection: frames coalesced into records, charged to their senders (PROTOCOL.md §4, §5, §10).
 *
 * @module
 */

import { writeU16 } from "../base/bytes.ts";
import { FRAME, FRAME_HEADER_BYTES } from "../protocol/frames.ts";
import {
  type Batch,
  type CastPart,
  FULL_BYTES,
  giveBatch,
  PONG_BYTES,
  takeBatch,
} from "./batch.ts";
import type { Scheduler } from "./scheduler.ts";
import { costOf, PONG_BODY_BYTES, type SendCredit, type Source } from "./send_credit.ts";

/** What a waiting PONG costs. */
const PONG_COST = costOf(FRAME.PONG, PONG_BODY_BYTES);

/** Frames of one member, or our own, in order. */
interface Lane {
  /** Undefined: our own. */
  readonly owner: SendCredit | undefined;
  readonly batches: Batch[];
}

/** Lanes that are written in turn: of members, or a single one of our own. */
interface Section {
  readonly lanes: Lane[];
  /** Whose turn it is; past the last lane: that of the next member who comes, or else of the first lane. */
  next: number;
}

/**
 * What waits to be written on one connection: frames of different members in turn, one of each; frames of our own in
 * their places among them, §5.
 *
 * As long as all of it fits into one record, it is in one batch, in the order in which it came.
 */
export class OutputQueue {
  readonly #clock: Pick<Scheduler, "recent">;
  /** Everything, unless that is more than a record. */
  #only: Batch | undefined;
  /** Everything else; empty while there is `#only`. */
  readonly #sections: Section[] = [];
  #bytes = 0;
  #ownFrames = 0;
  #pong: Uint8Array | undefined;
  #pongOwner: SendCredit | undefined;

  constructor(clock: Pick<Scheduler, "recent">) {
    this.#clock = clock;
  }

  /** Bytes of waiting frames. */
  get bytes(): number {
    return this.#bytes + (this.#pong ? PONG_BYTES : 0);
  }

  /** Nothing waits. */
  get empty(): boolean {
    return this.#bytes === 0 && !this.#pong;
  }

  /** At least one record is full. */
  get hasFullRecord(): boolean {
    return this.#bytes > FULL_BYTES;
  }

  /** Waiting frames of our own; a PONG does not count. */
  get ownFrames(): number {
    return this.#ownFrames;
  }

  /** When the oldest frame was queued; a PONG has no age. */
  get since(): number | undefined {
    if (this.#only) return this.#only.oldest;
    const lanes = this.#sections[0]?.lanes; // what is in later sections is younger
    return lanes?.reduce((since, { batches }) => Math.min(since, batches[0]!.oldest), Infinity);
  }

  /**
   * Queues a frame of our own.
   *
   * @param frame `u8 type || L(body)`, at most 16384 bytes; copied.
   */
  push(frame: Uint8Array): void {
    this.#pushOwn(frame);
  }

  /**
   * Queues the RECV for a SEND, and charges the sender.
   *
   * @param body Body of the SEND; copied.
   * @param source The sender's sid (8 bytes) and credit.
   */
  pushReceived(body: Uint8Array, { sid, credit }: Source): void {
    const batch = this.#batchFor(credit, FRAME_HEADER_BYTES + body.length);
    batch.pushReceived(sid, body);
    charge(batch, credit, costOf(FRAME.RECV, body.length));
  }

  /** Queues an entry of a member's CAST, to be sent as PART; it counts like a RECV with box and common, §5. */
  pushPart(part: CastPart, { sid, credit }: Source): void {
    const length = part.entry.length + part.common.length;
    const batch = this.#batchFor(credit, FRAME_HEADER_BYTES + length);
    batch.pushPart(sid, part);
    charge(batch, credit, costOf(FRAME.PART, length));
  }

  /** Queues the answer to an ADMIN, which its sender pays for, §10. */
  pushResult(frame: Uint8Array, owner: SendCredit): void {
    const cost = costOf(FRAME.RESULT, frame.length - FRAME_HEADER_BYTES);
    this.#pushOwn(frame).chargeAsker(owner, cost);
    owner.charge(cost);
  }

  #pushOwn(frame: Uint8Array): Batch {
    const batch = this.#batchFor(undefined, frame.length);
    batch.push(frame);
    batch.own(undefined, 0);
    this.#ownFrames++;
    return batch;
  }

  /** Queues a PONG in place of one that still waits, §5. */
  pushPong(data: Uint8Array, owner: SendCredit): void {
    if (!this.#pong) {
      this.#pong = new Uint8Array(PONG_BYTES);
      this.#pong[0] = FRAME.PONG;
      writeU16(this.#pong, 1, PONG_BODY_BYTES);
      this.#pongOwner = owner;
      owner.charge(PONG_COST); // §10: the sender of the PING pays
    }
    this.#pong.set(data, FRAME_HEADER_BYTES);
  }

  /** Queues the last frame; drops a PONG, which would follow it. */
  pushLast(frame: Uint8Array): void {
    this.#dropPong();
    this.push(frame);
  }

  /** Takes the next batch: seal it, write it, and pass it to {@linkcode OutputQueue.release}. */
  take(): Batch | undefined {
    if (this.empty) return undefined;
    const batch = this.#takeOnly() ?? this.#takeWhole() ?? this.#gather();
    this.#bytes -= batch.length;
    this.#ownFrames -= batch.ownFrames;
    if (this.#pong && batch.fits(0)) { // the largest CAST leaves no space
      batch.push(this.#pong);
      batch.chargeAsker(this.#pongOwner!, PONG_COST);
      this.#pong = undefined;
    }
    return batch;
  }

  #takeOnly(): Batch | undefined {
    const batch = this.#only;
    this.#only = undefined;
    if (!batch || batch.isInTurn) return batch;
    const sorted = takeBatch(Infinity);
    batch.moveInTurn(sorted);
    this.release(batch);
    return sorted;
  }

  /** Takes a full batch as it is where no others' frames wait. */
  #takeWhole(): Batch | undefined {
    const section = this.#sections[0];
    if (section?.lanes.length !== 1 || this.#sections.length > 1) return undefined;
    const { batches } = section.lanes[0]!;
    if (batches[0]!.length < FULL_BYTES / 2) return undefined;
    const batch = batches.shift();
    this.#passTurn(section, 0);
    return batch;
  }

  /** Fills a batch with frames in the order in which they are to be written. */
  #gather(): Batch {
    const record = takeBatch(Infinity);
    for (let section = this.#sections[0]; section; section = this.#sections[0]) {
      const index = section.next % section.lanes.length;
      const { batches } = section.lanes[index]!;
      const batch = batches[0]!;
      if (!record.fits(batch.firstLength)) break;
      batch.moveFirst(record);
      if (batch.length === 0) this.release(batches.shift()!);
      this.#passTurn(section, index);
    }
    return record;
  }

  /** After lane `index` of the first section has had its turn. */
  #passTurn(section: Section, index: number): void {
    const isEmpty = section.lanes[index]!.batches.length === 0;
    if (isEmpty) section.lanes.splice(index, 1);
    section.next = isEmpty ? index : index + 1;
    if (section.lanes.length === 0) this.#sections.shift();
  }

  /** A batch has been written. */
  release(batch: Batch): void {
    batch.refund();
    giveBatch(batch);
  }

  /** A batch will never be written completely; its buffer may still be in use. */
  abandon(batch: Batch): void {
    batch.refund();
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#dropPong();
    if (this.#only) this.release(this.#only);
    this.#only = undefined;
    for (const { lanes } of this.#sections.splice(0)) {
      for (const { batches } of lanes) for (const batch of batches) this.release(batch);
    }
    this.#bytes = this.#ownFrames = 0;
  }

  #dropPong(): void {
    if (this.#pong) this.#pongOwner!.refund(PONG_COST);
    this.#pong = undefined;
  }

  /** The batch for a frame of `length` bytes that `owner` sends, or we ourselves. */
  #batchFor(owner: SendCredit | undefined, length: number): Batch {
    const now = this.#clock.recent;
    this.#bytes += length;
    if (this.#sections.length === 0) {
      this.#only ??= takeBatch(now);
      if (this.#only.accepts(length, now)) return this.#only;
      this.#split(this.#only, now);
    }
    return this.#lastBatch(owner, length, now);
  }

  /** Distributes what no longer fits into one record to its senders. */
  #split(batch: Batch, now: number): void {
    this.#only = undefined;
    if (batch.isOfOne) {
      batch.shrink();
      this.#laneFor(batch.firstOwner).batches.push(batch);
      return;
    }
    while (batch.length > 0) {
      batch.moveFirst(this.#lastBatch(batch.firstOwner, batch.firstLength, now));
    }
    this.release(batch);
  }

  #lastBatch(owner: SendCredit | undefined, length: number, now: number): Batch {
    const { batches } = this.#laneFor(owner);
    const last = batches.at(-1);
    if (last?.accepts(length, now)) return last;
    last?.shrink();
    const batch = takeBatch(now, true);
    batches.push(batch);
    return batch;
  }

  #laneFor(owner: SendCredit | undefined): Lane {
    const last = this.#sections.at(-1);
    const isLast = last && (last.lanes[0]!.owner === undefined) === (owner === undefined);
    const section = isLast ? last : { lanes: [], next: 0 };
    if (!isLast) this.#sections.push(section);
    for (const lane of section.lanes) if (lane.owner === owner) return lane;
    const lane: Lane = { owner, batches: [] };
    section.lanes.push(lane);
    return lane;
  }
}

function charge(batch: Batch, owner: SendCredit, cost: number): void {
  batch.own(owner, cost);
  owner.charge(cost);
}
