/**
 * When people were last shown in the room of this process, whoever hosted it then (PROTOCOL.md §14).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";

/** How long somebody who was shown may call a host that is alone. */
const SHOWN_MS = 24 * 3_600_000;
const MAX_PEOPLE = 256;

/** People by their fingerprints, 32 bytes. */
export class LastShown {
  readonly #clock: Clock;
  /** Times of the wall clock, by fingerprint in hex. */
  readonly #times = new BoundedMap<string, number>(MAX_PEOPLE);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A person is shown. */
  add(person: Bytes): void {
    this.#times.renew(encodeHex(person), this.#clock.wallTime());
  }

  /** Whether a person was shown in the last 24 h. */
  has(person: Bytes): boolean {
    const shownAt = this.#times.get(encodeHex(person)) ?? -Infinity;
    return this.#clock.wallTime() - shownAt <= SHOWN_MS;
  }
}
