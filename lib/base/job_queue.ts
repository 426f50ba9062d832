/**
 * A waiting line for expensive work: so many at once, so many begun a second, in order (PROTOCOL.md §6, §10).
 *
 * @module
 */

import type { Clock, Timer } from "./clock.ts";

/** A place in line. */
interface Job {
  readonly begin: () => Promise<void>;
  readonly isWanted: () => boolean;
}

/** Runs jobs in order, within two limits. */
export class Line {
  #clock: Clock;
  #atOnce: number;
  #perSecond: number;
  #jobs: Job[] = [];
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

  /**
   * Puts a job at the end of the line.
   *
   * @param begin Never rejects.
   * @param isWanted Asked when its turn has come: a job that nobody wants any more takes none.
   */
  add(begin: () => Promise<void>, isWanted: () => boolean = () => true): void {
    this.#jobs.push({ begin, isWanted });
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
      const begin = async () => {
        signal.removeEventListener("abort", leave);
        await work().then(resolve, reject);
      };
      const leave = () => {
        this.#jobs = this.#jobs.filter((job) => job.begin !== begin);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.add(begin);
    });
  }

  #advance(): void {
    for (let next = this.#jobs[0]; next && this.#running < this.#atOnce; next = this.#jobs[0]) {
      if (!next.isWanted()) {
        this.#jobs.shift();
        continue;
      }
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
      this.#jobs.shift();
      void this.#run(next);
    }
  }

  async #run(job: Job): Promise<void> {
    try {
      await job.begin();
    } finally {
      this.#running--;
      this.#advance();
    }
  }
}
