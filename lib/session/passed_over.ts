/**
 * The relays that are passed over for a while because they did not do what they said (PROTOCOL.md §14).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { encodeHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Place } from "../protocol/succession.ts";

/** Who said "here" and did not take anybody in: for this long at first, then twice as long each time. */
const FIRST_MS = 10_000;
const MAX_MS = 600_000;
/** Who closed a connection before its WELCOME, or has another key. */
const REFUSED_MS = 60_000;
/** Relays that are remembered. */
const MAX_RELAYS = 256;

/** Names a relay as an entry of a list does: two processes of one state folder differ by their port. */
export function keyOf({ relay, port }: Pick<Place, "relay" | "port">): string {
  return `${encodeHex(relay)}:${port}`;
}

interface Record {
  readonly until: number;
  readonly lies: number;
}

/** Who is passed over, and until when. */
export class PassedOver {
  readonly #clock: Clock;
  readonly #records = new BoundedMap<string, Record>(MAX_RELAYS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a relay is passed over now. */
  has(place: Pick<Place, "relay" | "port">): boolean {
    return this.#clock.now() < (this.#records.get(keyOf(place))?.until ?? -Infinity);
  }

  /** It said "here" and took nobody in. @param gaveWay A room with others gave way to it: the longest time at once. */
  lied(place: Pick<Place, "relay" | "port">, gaveWay = false): void {
    const lies = this.#records.get(keyOf(place))?.lies ?? 0;
    this.#pass(place, gaveWay ? MAX_MS : Math.min(FIRST_MS * 2 ** lies, MAX_MS), lies + 1);
  }

  /** It closed a connection before its WELCOME, or its key is another one. */
  refused(place: Pick<Place, "relay" | "port">): void {
    this.#pass(place, REFUSED_MS, this.#records.get(keyOf(place))?.lies ?? 0);
  }

  #pass(place: Pick<Place, "relay" | "port">, ms: number, lies: number): void {
    const key = keyOf(place);
    const until = Math.max(this.#records.get(key)?.until ?? -Infinity, this.#clock.now() + ms);
    this.#records.renew(key, { until, lies });
  }
}
