/**
 * Bounds how many nicks of one key are shown and remembered (PROTOCOL.md §10).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { NICKS_PER_MINUTE } from "../protocol/limits.ts";

const MINUTE_MS = 60_000;
/** Keys that are counted; one that was forgotten starts anew. */
const MAX_KEYS = 4096;

interface Count {
  readonly window: SlidingWindow;
  /** The last nick that was taken. */
  nick: string;
}

/** Counts the nicks of each key. */
export class NickLimit {
  #clock: Clock;
  #counts = new BoundedMap<string, Count>(MAX_KEYS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts a nick unless it changes nothing.
   *
   * @param fingerprint `SHA256:…`.
   * @param shown The nick under which the member is shown; without one, the last nick of the key counts.
   * @returns The nick that takes effect: this one, or the one of before if the key has had too many.
   */
  take(fingerprint: string, nick: string, shown: string | undefined): string {
    const count = this.#counts.get(fingerprint) ?? {
      window: new SlidingWindow(this.#clock, { limit: NICKS_PER_MINUTE, spanMs: MINUTE_MS }),
      nick: "",
    };
    this.#counts.renew(fingerprint, count);
    const before = shown ?? count.nick;
    if (nick === before || count.window.waitMs > 0) return before;
    count.window.count();
    count.nick = nick;
    return nick;
  }
}
