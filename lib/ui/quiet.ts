/**
 * `/dnd`: a time in which nothing rings and nothing is told.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";

const MS_PER_MINUTE = 60_000;

/** Whether nothing is to disturb. */
export class Quiet {
  readonly #clock: Clock;
  readonly #over: () => void;
  #isOn = false;
  #end: Timer | undefined;

  /** @param over Called when its minutes are over. */
  constructor(clock: Clock, over = () => {}) {
    this.#clock = clock;
    this.#over = over;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Turns it on for some minutes; without a number on without end, or off. @returns Whether it is on now. */
  turn(minutes?: number): boolean {
    this.close();
    this.#isOn = minutes !== undefined || !this.#isOn;
    if (minutes !== undefined) {
      this.#end = this.#clock.after(minutes * MS_PER_MINUTE, () => {
        this.#isOn = false;
        this.#over();
      });
    }
    return this.#isOn;
  }

  /** Stays as it is from now on. */
  close(): void {
    this.#clock.cancel(this.#end);
  }
}
