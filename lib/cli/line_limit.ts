/**
 * Sums up log lines of one kind when there are too many of them, so that strangers cannot fill the disk.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";

/** How long lines are counted before their sum is written. */
const SUM_MS = 10_000;

/** How many lines of one kind are written one by one. */
interface Allowance {
  readonly atOnce: number;
  readonly perSecond: number;
}

/** What is known of one kind of lines. */
interface Kind {
  allowed: number;
  updatedAt: number;
  /** Lines not written since the last sum. */
  count: number;
  timer?: Timer;
  writeSum: (count: number) => void;
}

/** Decides which lines are written, and counts the others by kind; the caller sees to it that the kinds are few. */
export class LineLimit {
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether to write a line of that kind; if not, it is counted.
   *
   * @param writeSum Gets how many lines were not written, at most 10 s after the first of them.
   */
  admits(
    name: string,
    { atOnce, perSecond }: Allowance,
    writeSum: (count: number) => void,
  ): boolean {
    const now = this.#clock.now();
    const kind = this.#kinds.get(name) ?? { allowed: atOnce, updatedAt: now, count: 0, writeSum };
    this.#kinds.set(name, kind);
    const earned = (now - kind.updatedAt) / 1000 * perSecond;
    kind.allowed = Math.min(atOnce, kind.allowed + earned);
    kind.updatedAt = now;
    // While lines are counted, none are written: the sum would claim to be about earlier ones.
    if (kind.count === 0 && kind.allowed >= 1) {
      kind.allowed--;
      return true;
    }
    kind.count++;
    kind.timer ??= this.#clock.after(SUM_MS, () => this.#sumUp(kind));
    return false;
  }

  /** Writes all sums now. */
  flush(): void {
    for (const kind of this.#kinds.values()) {
      if (kind.count > 0) this.#sumUp(kind);
    }
  }

  #sumUp(kind: Kind): void {
    this.#clock.cancel(kind.timer);
    delete kind.timer;
    const { count } = kind;
    kind.count = 0;
    kind.writeSum(count);
  }
}
