/**
 * Work that is done in slices: all transfers share one thread, and while one hashes a large file or writes thousands of
 * small ones, the others' connections must not fall silent.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";

/** Called often by long work: resolves to whether to go on, at once or once others had their turn. */
export type Pause = () => Promise<boolean>;

/** How long others wait at most, but for one call of the operating system. */
const SLICE_MS = 20;

export class Slices {
  readonly #clock: Clock;
  #end: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#end = clock.now() + SLICE_MS;
  }

  /** The present slice has lasted long enough: {@linkcode rest}. */
  get isOver(): boolean {
    return this.#clock.now() >= this.#end;
  }

  /** Rests if it is time to. */
  readonly pause: Pause = async () => {
    if (this.isOver) await this.rest();
    return true;
  };

  /** Lets others have their turn; then the next slice begins. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.after(0, resolve));
    this.#end = this.#clock.now() + SLICE_MS;
  }
}
