/**
 * How much work strangers may cause in a second.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";

/** A token bucket: fills at a constant rate, and may be overdrawn by the work whose size is known only afterwards. */
export class WorkBudget {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #filledAt: number;

  /** @param limits How much is added in a second, and the most that is kept. */
  constructor(clock: Clock, { perSecond, burst }: { perSecond: number; burst: number }) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#filledAt = clock.now();
  }

  /** Takes work that was done off the budget. */
  spend(work: number): void {
    this.#fill();
    this.#left -= work;
  }

  /** Milliseconds until half of it is available again, if all of it is spent; 0 if some is left. */
  get waitMs(): number {
    this.#fill();
    if (this.#left > 0) return 0;
    return (this.#burst / 2 - this.#left) * 1000 / this.#perSecond;
  }

  #fill(): void {
    const now = this.#clock.now();
    const gained = (now - this.#filledAt) * this.#perSecond / 1000;
    this.#left = Math.min(this.#burst, this.#left + gained);
    this.#filledAt = now;
  }
}
