/**
 * A rate limit over a sliding window.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Allows at most `limit` events within any `spanMs`. */
export class SlidingWindow {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #spanMs: number;
  #times: number[] = [];

  constructor(clock: Clock, { limit, spanMs }: { limit: number; spanMs: number }) {
    this.#clock = clock;
    this.#limit = limit;
    this.#spanMs = spanMs;
  }

  /** Milliseconds until the next event is allowed; 0 if it is allowed now. */
  get waitMs(): number {
    const now = this.#clock.now();
    while (this.#times.length > 0 && this.#times[0]! + this.#spanMs <= now) this.#times.shift();
    return this.#times.length < this.#limit ? 0 : this.#times[0]! + this.#spanMs - now;
  }

  /** Counts an event that happens now. */
  count(): void {
    this.#times.push(this.#clock.now());
  }
}
