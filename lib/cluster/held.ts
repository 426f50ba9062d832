/**
 * SENDs that came sooner than the roster that names their sender, or their receiver's WELCOME: they wait for a moment.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";

/** How long they wait, and how many bytes from one member to another and of all. */
const HELD_MS = 2_000;
const MAX_PAIR_BYTES = 64 * 1024;
const MAX_BYTES = 4 * 1024 * 1024;
/** Charged for each besides its body. */
const COUNTED_BYTES = 256;

/** A SEND that waits. */
export interface HeldSend {
  readonly body: Bytes;
  /** R of the relay that it came from, in hex. */
  readonly from: string;
}

interface Waiting {
  readonly sends: HeldSend[];
  bytes: number;
  readonly timer: Timer;
}

/** What waits, by the sids of sender and receiver in hex, one after the other. */
export class Held {
  readonly #clock: Clock;
  readonly #drop: (pair: string, send: HeldSend) => void;
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;

  /** @param drop Called with each that has waited for too long. */
  constructor(clock: Clock, drop: (pair: string, send: HeldSend) => void) {
    this.#clock = clock;
    this.#drop = drop;
  }

  /** Whether something from one to the other waits, so that what follows has to wait, too. */
  has(pair: string): boolean {
    return this.#waiting.has(pair);
  }

  /** Lets one wait; where that is too much, what came first between the two is dropped, so that nothing is missing later. */
  add(pair: string, send: HeldSend): void {
    const waiting = this.#waiting.get(pair) ?? this.#begin(pair);
    this.#count(waiting, send, 1);
    waiting.sends.push(send);
    while (waiting.bytes > MAX_PAIR_BYTES || this.#bytes > MAX_BYTES && waiting.bytes > 0) {
      const first = waiting.sends.shift()!;
      this.#count(waiting, first, -1);
      this.#drop(pair, first);
    }
  }

  #count(waiting: Waiting, { body }: HeldSend, sign: number): void {
    const bytes = sign * (body.length + COUNTED_BYTES);
    waiting.bytes += bytes;
    this.#bytes += bytes;
  }

  #begin(pair: string): Waiting {
    const timer = this.#clock.after(HELD_MS, () => {
      for (const send of this.take(pair)) this.#drop(pair, send);
    });
    const waiting: Waiting = { sends: [], bytes: 0, timer };
    this.#waiting.set(pair, waiting);
    return waiting;
  }

  /** What waits from one to the other, and waits no longer. */
  take(pair: string): HeldSend[] {
    const waiting = this.#waiting.get(pair);
    if (!waiting) return [];
    this.#waiting.delete(pair);
    this.#clock.cancel(waiting.timer);
    this.#bytes -= waiting.bytes;
    return waiting.sends;
  }

  /** Those between whom something waits, of which somebody is one. */
  pairsOf(sid: string): string[] {
    return this.#waiting.keys().filter((pair) => pair.startsWith(sid) || pair.endsWith(sid))
      .toArray();
  }

  /** Forgets everything. */
  clear(): void {
    for (const pair of this.#waiting.keys()) this.take(pair);
  }
}
