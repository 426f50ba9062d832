/**
 * The one virtual clock of a run, and the clocks of the computers in it: they can be stopped, killed and set wrong.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../../lib/base/clock.ts";

interface Alarm {
  readonly id: number;
  readonly at: number;
  action: (() => void) | undefined;
}

/** More alarms in one go mean that something goes round in circles. */
const MAX_STEPS = 1_000_000;
/** Less than this is lost where it is added to a time, and then time would stand still. */
const MIN_DELAY_MS = 1e-6;

/** Virtual time: a heap of alarms, run one after the other, whatever they cause in between. */
export class WorldClock {
  /** Milliseconds since the run began. */
  now = 0;
  /** Alarms that went off so far. */
  steps = 0;
  #nextId = 1;
  #heap: Alarm[] = [];
  #alarms = new Map<number, Alarm>();

  /** How many alarms are set. */
  get alarms(): number {
    return this.#alarms.size;
  }

  /** Calls `action` in `delay` milliseconds; equal times in the order they were set. */
  after(delay: number, action: () => void): number {
    return this.at(this.now + (delay > 0 ? Math.max(MIN_DELAY_MS, delay) : 0), action);
  }

  /** Calls `action` at this time. */
  at(time: number, action: () => void): number {
    const alarm = { id: this.#nextId++, at: time, action };
    this.#alarms.set(alarm.id, alarm);
    this.#push(alarm);
    return alarm.id;
  }

  /** Forgets an alarm. */
  cancel(id: number): void {
    const alarm = this.#alarms.get(id);
    if (!alarm) return;
    alarm.action = undefined;
    this.#alarms.delete(id);
  }

  /**
   * Lets time pass until `end`, or until `stop` says so.
   *
   * @param stop Asked after each alarm and all that it caused.
   */
  async run(end: number, stop: () => boolean): Promise<void> {
    const before = this.steps;
    await settle();
    while (!stop()) {
      const alarm = this.#pop(end);
      if (!alarm) {
        this.now = Math.max(this.now, end);
        return;
      }
      this.now = alarm.at;
      this.steps++;
      if (this.steps - before > MAX_STEPS) throw new Error("time stands still");
      alarm.action!();
      await settle();
    }
  }

  #push(alarm: Alarm): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(alarm);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(alarm, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = alarm;
  }

  #pop(end: number): Alarm | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (!first || first.at > end) return undefined;
      this.#removeFirst();
      if (!first.action) continue;
      this.#alarms.delete(first.id);
      return first;
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Alarm, b: Alarm): boolean {
  return a.at < b.at || (a.at === b.at && a.id < b.id);
}

/** Everything that needs no time happens: in a run there is nothing but promises, and one turn settles them all. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a stream asks of the computer at its end. */
export interface Host {
  /** Nothing runs there just now. */
  readonly asleep: boolean;
}

/** The clock of one process on one computer. */
export class HostClock implements Clock, Host {
  /** How wrong the computer's calendar is, in milliseconds. */
  skew = 0;
  #world: WorldClock;
  /** The world's alarms by the process's timers. */
  #timers = new Map<number, number>();
  #nextId = 1;
  /** What would have happened while the process was stopped, by timer. */
  #missed: Map<number, () => void> | undefined;
  #dead = false;
  /** When the process was last stopped and went on. */
  wokenAt = -Infinity;

  constructor(world: WorldClock) {
    this.#world = world;
  }

  /** The process is stopped, or gone. */
  get asleep(): boolean {
    return this.#dead || this.#missed !== undefined;
  }

  /** The process is gone. */
  get isDead(): boolean {
    return this.#dead;
  }

  /** How many timers the process has. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#world.now;
  }

  wallTime(): number {
    return 1_767_225_600_000 + Math.floor(this.#world.now) + this.skew;
  }

  after(delay: number, action: () => void): Timer {
    if (this.#dead) return 0;
    const id = this.#nextId++;
    this.#set(id, delay, action);
    return id;
  }

  #set(id: number, delay: number, action: () => void): void {
    const alarm = this.#world.after(delay, () => {
      this.#timers.delete(id);
      if (this.#missed) this.#missed.set(id, action);
      else action();
    });
    this.#timers.set(id, alarm);
  }

  cancel(timer: Timer | undefined): void {
    if (typeof timer !== "number") return;
    this.#missed?.delete(timer);
    const alarm = this.#timers.get(timer);
    if (alarm === undefined) return;
    this.#timers.delete(timer);
    this.#world.cancel(alarm);
  }

  /** The process is stopped: its timers wait. */
  sleep(): void {
    this.#missed ??= new Map();
  }

  /** The process goes on, with what it missed. */
  wake(): void {
    const missed = this.#missed;
    this.#missed = undefined;
    this.wokenAt = this.#world.now;
    if (this.#dead || !missed) return;
    for (const [id, action] of missed) this.#set(id, 0, action);
  }

  /** The process is gone: nothing happens there any more. */
  kill(): void {
    for (const alarm of this.#timers.values()) this.#world.cancel(alarm);
    this.#timers.clear();
    this.#dead = true;
  }
}
