/**
 * Costly work in an orderly queue: so many at once, so many begun a second, the others wait in line (PROTOCOL.md §10).
 *
 * @module
 */

import type { Clock, Timer } from "./clock.ts";

const SECOND_MS = 1_000;

/** How much work there may be. */
export interface TurnLimits {
  readonly atOnce: number;
  readonly perSecond: number;
}

/** Lets work begin when its turn has come. */
export class Turns {
  readonly #clock: Clock;
  readonly #limits: TurnLimits;
  #running = 0;
  /** When the last ones began, the oldest first. */
  #begun: number[] = [];
  #line: (() => void)[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: TurnLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Runs `work` when its turn has come.
   *
   * @param signal Aborted when nobody wants the result any more: a place in line is given up, work that has begun
   * goes on.
   * @throws What `work` throws; the signal's reason.
   */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#advance();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const begin = () => {
      signal.removeEventListener("abort", leave);
      resolve();
    };
    const leave = () => {
      this.#line = this.#line.filter((other) => other !== begin);
      reject(signal.reason);
    };
    if (signal.aborted) leave();
    else {
      signal.addEventListener("abort", leave, { once: true });
      this.#line.push(begin);
      this.#advance();
    }
    return promise;
  }

  #advance(): void {
    const { atOnce, perSecond } = this.#limits;
    while (this.#line.length > 0 && this.#running < atOnce) {
      const now = this.#clock.now();
      while (this.#begun[0] !== undefined && now - this.#begun[0] >= SECOND_MS) this.#begun.shift();
      if (this.#begun.length >= perSecond) {
        this.#timer ??= this.#clock.after(this.#begun[0]! + SECOND_MS - now, () => {
          this.#timer = undefined;
          this.#advance();
        });
        return;
      }
      this.#begun.push(now);
      this.#running++;
      this.#line.shift()!();
    }
  }
}
