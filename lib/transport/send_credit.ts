/**
 * Flow control for members that send to others: what waits is charged to its sender (PROTOCOL.md §10).
 *
 * @module
 */

import { BOX_BYTES, CAST_ENTRY_BYTES, FRAME, ROUTE_BYTES } from "../protocol/frames.ts";
import { MAX_UNDELIVERED_BYTES } from "../protocol/limits.ts";

/** Charged for a frame in addition to its payload, §10. */
const COUNTED_BYTES = 256;
/** Bytes of a PONG's body. */
export const PONG_BODY_BYTES = 8;

/** What a frame with a body of so many bytes costs its sender while it waits, §10; nothing if it is our own. */
export function costOf(type: number, bodyLength: number): number {
  switch (type) {
    case FRAME.RECV:
      return bodyLength - ROUTE_BYTES + COUNTED_BYTES;
    case FRAME.PART:
      return bodyLength - (CAST_ENTRY_BYTES - BOX_BYTES) + COUNTED_BYTES;
    case FRAME.PONG: // paid by the sender of the PING
    case FRAME.RESULT: // by that of the ADMIN
      return bodyLength + COUNTED_BYTES;
    default:
      return 0;
  }
}

/** A member that sends to others. */
export interface Source {
  /** Its sid, 8 bytes. */
  readonly sid: Uint8Array;
  /** What it is charged to. */
  readonly credit: SendCredit;
}

/** Flow control for one sender: exhausted above 1 MiB of undelivered data, until it falls to half of that (§10). */
export class SendCredit {
  #undelivered = 0;
  #exhausted = false;
  #resumed: (() => void) | undefined;
  /** The lane that {@linkcode Batch} has given this sender, as long as the mark is its own. */
  mark = 0;
  lane = 0;

  /** Stop reading from the sender. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Adds bytes that wait for a receiver. */
  charge(bytes: number): void {
    this.#undelivered += bytes;
    if (this.#undelivered > MAX_UNDELIVERED_BYTES) this.#exhausted = true;
  }

  /** Subtracts bytes that have been written or dropped. */
  refund(bytes: number): void {
    this.#undelivered -= bytes;
    if (this.#exhausted && this.#undelivered <= MAX_UNDELIVERED_BYTES / 2) this.resume();
  }

  /** Resolves when reading may continue. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#resumed = resolve);
  }

  /** Lets reading continue, however much is undelivered. */
  resume(): void {
    this.#exhausted = false;
    this.#resumed?.();
  }
}
