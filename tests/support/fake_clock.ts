/**
 * A clock under the test's control: hours pass in milliseconds.
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

/** Runs everything that needs no time: promise jobs and ready events. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Waits, in real time, until `condition` holds. */
export async function until(condition: () => boolean, limit = 10_000): Promise<void> {
  const deadline = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("timed out");
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
}

/** A clock that moves only by {@linkcode advance} and {@linkcode sleep}. */
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

  /** The number of timers set. */
  get timers(): number {
    return this.#alarms.length;
  }

  /** Advances by `delay` milliseconds: due timers fire in order, each after the effects of the one before have settled. */
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

  /** Simulates a program stopped for `delay` milliseconds: all timers due meanwhile fire at the end. */
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
