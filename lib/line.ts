/**
 * A waiting line for expensive work: so many at once, so many begun a second, in order (PROTOCOL.md §6, §10).
 *
 * @module
 */

import type { Clock, Timer } from "./clock.ts";

/** Runs jobs in order, within two limits. */
export class Line {
  #clock: Clock;
  #atOnce: number;
  #perSecond: number;
  #jobs: (() => Promise<void>)[] = [];
  #running = 0;
  #begun: number[] = [];
  #timer: Timer | undefined;

  /** @param limits How many run at once, and how many begin within any second. */
  constructor(clock: Clock, limits: { atOnce: number; perSecond: number }) {
    this.#clock = clock;
    this.#atOnce = limits.atOnce;
    this.#perSecond = limits.perSecond;
  }

  /** Jobs that have not begun. */
  get waiting(): number {
    return this.#jobs.length;
  }

  /** Puts a job at the end of the line; the job itself finds out whether it is still wanted, and never rejects. */
  add(job: () => Promise<void>): void {
    this.#jobs.push(job);
    this.#advance();
  }

  /**
   * Does work when its turn has come.
   *
   * @param signal Aborted when nobody wants the result any more: a place in line is given up, work that has begun
   * goes on.
   * @throws What `work` throws; the signal's reason.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const job = async () => {
        signal.removeEventListener("abort", leave);
        await work().then(resolve, reject);
      };
      const leave = () => {
        this.#jobs = this.#jobs.filter((other) => other !== job);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.add(job);
    });
  }

  #advance(): void {
    while (this.#jobs.length > 0 && this.#running < this.#atOnce) {
      const now = this.#clock.now();
      while (this.#begun.length > 0 && this.#begun[0]! <= now - 1000) this.#begun.shift();
      if (this.#begun.length >= this.#perSecond) {
        this.#timer ??= this.#clock.after(this.#begun[0]! + 1000 - now, () => {
          this.#timer = undefined;
          this.#advance();
        });
        return;
      }
      this.#begun.push(now);
      this.#running++;
      void this.#run(this.#jobs.shift()!);
    }
  }

  async #run(job: () => Promise<void>): Promise<void> {
    try {
      await job();
    } finally {
      this.#running--;
      this.#advance();
    }
  }
}
