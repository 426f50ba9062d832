/**
 * SENDs that came sooner than the roster that names their sender, or their receiver's WELCOME: they wait for a moment.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";

/** How long they wait, and how many bytes of one sender and of all. */
const HELD_MS = 2_000;
const MAX_SOURCE_BYTES = 64 * 1024;
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

/** What waits, by the sid of its sender in hex. */
export class Held {
  readonly #clock: Clock;
  readonly #drop: (source: string, send: HeldSend) => void;
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;

  /** @param drop Called with each that has waited for too long. */
  constructor(clock: Clock, drop: (source: string, send: HeldSend) => void) {
    this.#clock = clock;
    this.#drop = drop;
  }

  /** Whether something of a sender waits, so that what follows has to wait, too. */
  has(source: string): boolean {
    return this.#waiting.has(source);
  }

  /** @returns False if it is too much: it does not wait. */
  add(source: string, send: HeldSend): boolean {
    const bytes = send.body.length + COUNTED_BYTES;
    const waiting = this.#waiting.get(source) ?? this.#begin(source);
    if (waiting.bytes + bytes > MAX_SOURCE_BYTES || this.#bytes + bytes > MAX_BYTES) return false;
    waiting.sends.push(send);
    waiting.bytes += bytes;
    this.#bytes += bytes;
    return true;
  }

  #begin(source: string): Waiting {
    const timer = this.#clock.after(HELD_MS, () => {
      for (const send of this.take(source)) this.#drop(source, send);
    });
    const waiting: Waiting = { sends: [], bytes: 0, timer };
    this.#waiting.set(source, waiting);
    return waiting;
  }

  /** What waits of a sender, which waits no longer. */
  take(source: string): HeldSend[] {
    const waiting = this.#waiting.get(source);
    if (!waiting) return [];
    this.#waiting.delete(source);
    this.#clock.cancel(waiting.timer);
    this.#bytes -= waiting.bytes;
    return waiting.sends;
  }

  /** The senders of what waits. */
  sources(): string[] {
    return [...this.#waiting.keys()];
  }

  /** Forgets everything. */
  clear(): void {
    for (const source of this.sources()) this.take(source);
  }
}
