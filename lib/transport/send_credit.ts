/**
 * How much of one sender may wait at its receivers before nothing more is read from it (PROTOCOL.md §10).
 *
 * @module
 */

import { MAX_UNDELIVERED_BYTES } from "../protocol/limits.ts";

/** Counts the undelivered bytes of one sender; spent above 1 MiB, until half of that is gone. */
export class Allowance {
  #undelivered = 0;
  #spent = false;
  #renewed: (() => void) | undefined;

  /** Nothing more is to be read from the sender. */
  get spent(): boolean {
    return this.#spent;
  }

  /** So many more bytes of the sender wait at some receiver. */
  charge(bytes: number): void {
    this.#undelivered += bytes;
    if (this.#undelivered > MAX_UNDELIVERED_BYTES) this.#spent = true;
  }

  /** So many have been written, or will never be. */
  credit(bytes: number): void {
    this.#undelivered -= bytes;
    if (this.#spent && this.#undelivered <= MAX_UNDELIVERED_BYTES / 2) this.renew();
  }

  /** Resolves when the sender may be read from again. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#renewed = resolve);
  }

  /** Lets the sender be read from, whatever is undelivered: at half of the limit, or at its end. */
  renew(): void {
    this.#spent = false;
    this.#renewed?.();
  }
}
