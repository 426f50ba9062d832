/**
 * A clock that only goes when it is told to: hours in milliseconds.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../../lib/base/clock.ts";

interface Alarm {
  readonly id: number;
  readonly at: number;
  readonly action: () => void;
}

/** Lets everything happen that needs no time: promises, and what the runtime has ready. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Waits, in real time, until `condition` holds. */
export async function until(condition: () => boolean, limit = 10_000): Promise<void> {
  const deadline = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited in vain");
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
}

/** A clock under the test's control. */
export class FakeClock implements Clock {
  #now = 1_000;
  #nextId = 1;
  #alarms: Alarm[] = [];

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return 1_767_225_600_000 + this.#now;
  }

  after(delay: number, action: () => void): Timer {
    const id = this.#nextId++;
    this.#alarms.push({ id, at: this.#now + Math.max(0, delay), action });
    return id;
  }

  cancel(timer: Timer | undefined): void {
    this.#alarms = this.#alarms.filter((alarm) => alarm.id !== timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#alarms.length;
  }

  /** Lets `delay` milliseconds pass: every timer that is due fires in order, and all it causes happens before the next. */
  async advance(delay: number): Promise<void> {
    const end = this.#now + delay;
    await settle();
    while (true) {
      const next = this.#earliest();
      if (!next || next.at > end) break;
      this.cancel(next.id);
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  /** The program is stopped for `delay` milliseconds: no timer fires meanwhile, all that were due fire then. */
  async sleep(delay: number): Promise<void> {
    this.#now += delay;
    await this.advance(0);
  }

  #earliest(): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (!earliest || alarm.at < earliest.at) earliest = alarm;
    }
    return earliest;
  }
}
