/**
 * Which of the transfers that wait may begin.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import type { Transfer } from "./transfer.ts";

/** A transfer that does not move for so long holds no place, §10: the other side may never begin. */
export const STALLED_MS = 60_000;

interface Waiting {
  readonly transfer: Transfer;
  /** It has a place among those that go on at once. */
  isRunning: boolean;
  /** When it was the other side's turn, or bytes were written, last; undefined before that. */
  movedAt: number | undefined;
}

interface TurnsOptions<T> {
  readonly clock: Clock;
  /** Of those that run at once. */
  readonly limit: number;
  all(): Iterable<T>;
  isWaiting(transfer: T): boolean;
  /** Called with one that has a place now. */
  begin(transfer: T): void;
}

/** Gives places to what waits, in order, one to each person. */
export class Turns<T extends Waiting> {
  readonly #options: TurnsOptions<T>;
  /** Until it is looked again whether there are places. */
  #looking: Timer | undefined;

  constructor(options: TurnsOptions<T>) {
    this.#options = options;
  }

  /** Begins as many as have a place now. */
  beginNext(): void {
    const { clock, all, isWaiting, begin } = this.#options;
    for (const next of this.#choose()) {
      next.isRunning = true;
      next.movedAt = undefined;
      begin(next);
    }
    const waits = Array.from(all()).some((it) => isWaiting(it) && !it.isRunning);
    if (!waits || this.#looking !== undefined) return;
    this.#looking = clock.after(STALLED_MS, () => {
      this.#looking = undefined;
      this.beginNext();
    });
  }

  #choose(): T[] {
    const { limit, all, isWaiting } = this.#options;
    const transfers = Array.from(all());
    const running = transfers.filter(({ isRunning }) => isRunning);
    const busy = new Set(running.map(personOf));
    let room = limit - running.filter((it) => !this.#isStalled(it)).length;
    return transfers.filter((waiting) => {
      if (room <= 0 || waiting.isRunning || !isWaiting(waiting) || busy.has(personOf(waiting))) {
        return false;
      }
      busy.add(personOf(waiting));
      room--;
      return true;
    });
  }

  #isStalled({ movedAt }: T): boolean {
    return movedAt !== undefined && this.#options.clock.now() - movedAt >= STALLED_MS;
  }
}

function personOf({ transfer }: Waiting): string {
  return transfer.options.person;
}
