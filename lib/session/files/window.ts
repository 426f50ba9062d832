/**
 * How much of the files that go through the relay may be under way: it grows while that delays nothing (PROTOCOL.md
 * §15).
 *
 * @module
 */

import { MAX_PIECE_BYTES } from "../../protocol/file_messages.ts";

/** Bounds of the window over all transfers of a client, in bytes, §10. */
export const MIN_FILE_WINDOW_BYTES = 65_536;
export const MAX_FILE_WINDOW_BYTES = 786_432;
/** Beyond the shortest round trip: below the first the window grows, from the second on it shrinks. */
const GROW_WITHIN_MS = 50;
const SHRINK_FROM_MS = 100;
/** So long the shortest round trip counts; then the way may be another one, or everything slower than it was. */
const SHORTEST_MS = 10_000;

interface Mark {
  readonly position: number;
  readonly at: number;
}

/** What of one transfer is under way. */
interface Flight {
  sent: number;
  got: number;
  /** When the receiver's positions were sent, in order. */
  marks: Mark[];
}

export class FileWindow {
  #size = MIN_FILE_WINDOW_BYTES;
  #shortest = Infinity;
  #measuredAt = -Infinity;
  /** GOTs for what was sent before this change nothing: the window was another one then. */
  #changedAt = -Infinity;
  readonly #flights = new Map<number, Flight>();

  /** In bytes. */
  get size(): number {
    return this.#size;
  }

  /**
   * Bytes of a transfer that may be sent now. All have equal shares, so that one whose receiver says nothing holds up no
   * other; a share is at least one PIECE.
   */
  roomFor(transfer: number): number {
    const { sent, got } = this.#flights.get(transfer)!;
    return Math.max(MAX_PIECE_BYTES, this.#size / this.#flights.size) - (sent - got);
  }

  /** A transfer begins, or begins anew, at a position. */
  begin(transfer: number, position: number): void {
    this.#flights.set(transfer, { sent: position, got: position, marks: [] });
  }

  /** Bytes up to a position have been sent; it falls where the beginning of a file is taken back. */
  sent(transfer: number, position: number, now: number): void {
    const flight = this.#flights.get(transfer);
    if (flight === undefined || position === flight.sent) return;
    if (position < flight.sent) return this.begin(transfer, position);
    flight.sent = position;
    flight.marks.push({ position, at: now });
  }

  /** The receiver has written up to a position. */
  got(transfer: number, position: number, now: number): void {
    const flight = this.#flights.get(transfer);
    if (flight === undefined || position <= flight.got || position > flight.sent) return;
    flight.got = position;
    let last: Mark | undefined;
    while (flight.marks[0] && flight.marks[0].position <= position) last = flight.marks.shift();
    if (last !== undefined) this.#adapt(last.at, now);
  }

  #adapt(sentAt: number, now: number): void {
    const roundTrip = now - sentAt;
    if (roundTrip <= this.#shortest) {
      this.#shortest = roundTrip;
      this.#measuredAt = now;
    }
    if (sentAt < this.#changedAt) return;
    if (now - this.#measuredAt >= SHORTEST_MS) return this.#measureAnew(now);
    const delay = roundTrip - this.#shortest;
    const factor = delay <= GROW_WITHIN_MS ? 2 : delay >= SHRINK_FROM_MS ? 0.5 : 1;
    if (factor === 1) return;
    this.#changedAt = now;
    const size = Math.max(MIN_FILE_WINDOW_BYTES, this.#size * factor);
    this.#size = Math.min(MAX_FILE_WINDOW_BYTES, size);
  }

  /** What was under way delays the next round trip: with little under way it is the way's own. */
  #measureAnew(now: number): void {
    this.#changedAt = this.#measuredAt = now;
    this.#size = MIN_FILE_WINDOW_BYTES;
    this.#shortest = Infinity;
  }

  end(transfer: number): void {
    this.#flights.delete(transfer);
  }
}
