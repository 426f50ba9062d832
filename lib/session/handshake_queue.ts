/**
 * The line in which peer handshakes wait to be begun, our own and those of others (PROTOCOL.md §6, "Pairing").
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";

/** Handshakes begun within a second, §6. */
export const HANDSHAKES_PER_SECOND = 200;
/** While this many M3s wait for their decryption, no M1 is answered, §6. */
export const MAX_DECRYPTIONS = 16;
/** Handshakes being begun at one time. */
const MAX_AT_ONCE = 16;

interface Job {
  /** We are the responder. */
  readonly isAnswer: boolean;
  /** Called when the job is next: if false, it is dropped and does not count. */
  isWanted(): boolean;
  /** Never rejects. */
  begin(): Promise<void>;
}

/** Begins handshakes in order, within the limits. */
export class HandshakeQueue {
  readonly #clock: Clock;
  readonly #begun: SlidingWindow;
  #jobs: Job[] = [];
  #running = 0;
  #decrypting = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begun = new SlidingWindow(clock, { limit: HANDSHAKES_PER_SECOND, spanMs: 1000 });
  }

  /** Adds a handshake at the end of the line. */
  add(job: Job): void {
    this.#jobs.push(job);
    this.#advance();
  }

  /** Runs the decryption of an M3, and counts it meanwhile. */
  async decrypt<T>(work: () => Promise<T>): Promise<T> {
    this.#decrypting++;
    try {
      return await work();
    } finally {
      this.#decrypting--;
      this.#advance();
    }
  }

  #advance(): void {
    while (this.#running < MAX_AT_ONCE) {
      const isHeld = this.#decrypting >= MAX_DECRYPTIONS;
      const next = this.#jobs.findIndex(({ isAnswer }) => !isAnswer || !isHeld);
      if (next < 0) return;
      if (!this.#jobs[next]!.isWanted()) {
        this.#jobs.splice(next, 1);
        continue;
      }
      const { waitMs } = this.#begun;
      if (waitMs > 0) return this.#wait(waitMs);
      this.#begun.count();
      void this.#run(this.#jobs.splice(next, 1)[0]!);
    }
  }

  #wait(delay: number): void {
    this.#timer ??= this.#clock.after(delay, () => {
      this.#timer = undefined;
      this.#advance();
    });
  }

  async #run(job: Job): Promise<void> {
    this.#running++;
    try {
      await job.begin();
    } finally {
      this.#running--;
      this.#advance();
    }
  }
}
