/**
 * The growing delays between attempts (PROTOCOL.md §5, §6).
 *
 * @module
 */

/** The last one repeats. */
const DELAYS_MS = [1000, 2000, 4000, 8000, 16_000, 30_000];

/** Delays of 1, 2, 4, 8, 16, 30, 30 … seconds between failed attempts. */
export class Backoff {
  #attempts = 0;

  /** Failed attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Counts a failed attempt and returns the delay before the next one, in milliseconds. */
  next(): number {
    return DELAYS_MS[Math.min(this.#attempts++, DELAYS_MS.length - 1)]!;
  }

  /** Starts over after a success. */
  reset(): void {
    this.#attempts = 0;
  }
}
