/**
 * Works out the password's keys for relays that may be joined next, before they are needed (PROTOCOL.md §14). The host
 * says which relays those are, and each costs a second of a processor and 128 MiB: one at a time, and few in a minute.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";

/** Relays whose keys are worked out in a minute; those of others are once they are needed. */
export const PREPARED_PER_MINUTE = 4;
const MINUTE_MS = 60_000;
/** Relays that are remembered as done, as many as the password's keys. */
const MAX_DONE = 16;

/** The keys that are worked out beforehand. */
export class Beforehand {
  readonly #work: (relay: Bytes) => Promise<unknown>;
  readonly #window: SlidingWindow;
  readonly #done = new BoundedMap<string, true>(MAX_DONE);
  #waiting: Bytes[] = [];
  #isWorking = false;

  /** @param work Works out the keys for a relay, by its fingerprint. */
  constructor(clock: Clock, work: (relay: Bytes) => Promise<unknown>) {
    this.#work = work;
    this.#window = new SlidingWindow(clock, { limit: PREPARED_PER_MINUTE, spanMs: MINUTE_MS });
  }

  /** Asks for the keys of relays, 32 bytes each, instead of those that still wait. */
  prepare(relays: readonly Bytes[]): void {
    this.#waiting = [...relays];
    if (!this.#isWorking) void this.#advance();
  }

  async #advance(): Promise<void> {
    this.#isWorking = true;
    for (let relay = this.#waiting.shift(); relay; relay = this.#waiting.shift()) {
      const name = encodeHex(relay);
      if (this.#done.has(name) || this.#window.waitMs > 0) continue;
      this.#window.count();
      this.#done.renew(name, true);
      await this.#work(relay).catch(() => {}); // then it is tried again when it is needed
    }
    this.#isWorking = false;
  }
}
