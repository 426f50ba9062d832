/**
 * A job queue with a concurrency limit and a rate limit (PROTOCOL.md §6, §10).
 *
 * @module
 */

import type { Clock, Timer } from "./clock.ts";
import { SlidingWindow } from "./sliding_window.ts";

interface Job {
  readonly begin: () => Promise<void>;
  readonly isWanted: () => boolean;
}

/** Limits of a {@linkcode JobQueue}. */
interface JobLimits {
  /** How many jobs may run at once. */
  readonly atOnce: number;
  /** How many may start within any second. */
  readonly perSecond: number;
  /** While more than this many wait, the newest is next, so that a flood delays nobody who comes later. */
  readonly inOrder?: number;
}

/** Starts jobs in order, within a concurrency limit and a rate limit. */
export class JobQueue {
  #clock: Clock;
  #atOnce: number;
  #inOrder: number;
  #jobs: Job[] = [];
  #running = 0;
  #starts: SlidingWindow;
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: JobLimits) {
    this.#clock = clock;
    this.#atOnce = limits.atOnce;
    this.#inOrder = limits.inOrder ?? Infinity;
    this.#starts = new SlidingWindow(clock, { limit: limits.perSecond, spanMs: 1000 });
  }

  /** Jobs that have not started. */
  get waiting(): number {
    return this.#jobs.length;
  }

  /**
   * Adds a job at the end of the queue.
   *
   * @param begin Never rejects.
   * @param isWanted Called when the job is next: if false, it is dropped and does not count.
   */
  add(begin: () => Promise<void>, isWanted: () => boolean = () => true): void {
    this.#jobs.push({ begin, isWanted });
    this.#advance();
  }

  /**
   * Runs work when it is its turn.
   *
   * @param signal Removes the job from the queue; work that has started goes on.
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
    while (this.#jobs.length > 0 && this.#running < this.#atOnce) {
      const index = this.#jobs.length > this.#inOrder ? this.#jobs.length - 1 : 0;
      const next = this.#jobs[index]!;
      if (!next.isWanted()) {
        this.#jobs.splice(index, 1);
        continue;
      }
      const { waitMs } = this.#starts;
      if (waitMs > 0) {
        this.#timer ??= this.#clock.after(waitMs, () => {
          this.#timer = undefined;
          this.#advance();
        });
        return;
      }
      this.#starts.count();
      this.#running++;
      this.#jobs.splice(index, 1);
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
