/**
 * Our views of the last seconds, with which the views in others' messages are compared (PROTOCOL.md §6, "View").
 *
 * @module
 */

import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";

/** A message's view may equal ours from this long before its receipt until this long after it, §6. */
export const VIEW_WINDOW_MS = 5000;

/** Our views of the last seconds. */
export class ViewLog {
  readonly #clock: Clock;
  #current = "";
  /** Our former views, and until when. */
  #past: { view: string; until: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  change(view: Bytes): void {
    const now = this.#clock.now();
    this.#past = this.#past.filter(({ until }) => now - until <= VIEW_WINDOW_MS);
    this.#past.push({ view: this.#current, until: now });
    this.#current = encodeHex(view);
  }

  /** Tells whether a view, as hex digits, is ours now, or was within the last 5 s. */
  has(view: string): boolean {
    const now = this.#clock.now();
    return view === this.#current ||
      this.#past.some((past) => past.view === view && now - past.until <= VIEW_WINDOW_MS);
  }
}
