/**
 * Schedules deadlines and batched writes for many connections with one timer.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../base/clock.ts";

/** Deadlines closer together than this are checked together. */
const MIN_SCAN_GAP_MS = 50;
/** A timer that fires later than this means that the program was suspended or the computer asleep. */
const ASLEEP_MS = 1_000;
/**
 * How long connections whose peers send without a break are read before they rest. The runtime asks the kernel what else
 * has come only when nothing is left to do: without rests others would wait for as long as a second.
 */
const READING_MS = 20;
const REST_MS = 1;

/** Something with deadlines and output, such as a connection. */
export interface Scheduled {
  /** Does what is due; returns the next deadline, in the time of {@linkcode Scheduler.now}. */
  check(now: number): number;
  /** Starts writing and returns `now`, or returns a later time at which to call it again. */
  flush(now: number): number;
}

/** What connections have read and sent, in all. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  framesIn: number;
  /** Those that were queued, without PONGs. */
  framesOut: number;
}

/** Options of {@linkcode Scheduler}. */
interface SchedulerOptions {
  readonly clock?: Clock;
  /** Runs an action soon: by default as a microtask. */
  readonly defer?: (action: () => void) => void;
  /** Milliseconds; see {@linkcode Scheduler.coalesceMs}. None by default. */
  readonly coalesceMs?: number;
}

/** One timer and one list of pending writes for many connections. */
export class Scheduler {
  readonly clock: Clock;
  /** Minimum milliseconds between two writes of one connection: under load each write carries more frames. */
  readonly coalesceMs: number;
  /** Of all connections that it has served. */
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 };
  readonly #defer: (action: () => void) => void;
  readonly #members = new Set<Scheduled>();
  #timer: Timer | undefined;
  #wakeAt = Infinity;
  #scanning = false;
  #lastScan = -Infinity;
  /** Milliseconds for which the program was suspended so far. */
  #asleep = 0;
  #toFlush: Scheduled[] = [];
  #isDeferred = false;
  #flushTimer: Timer | undefined;
  #restedAt = -Infinity;
  #resting: (() => void)[] = [];

  constructor(options: SchedulerOptions = {}) {
    this.clock = options.clock ?? systemClock;
    this.#defer = options.defer ?? queueMicrotask;
    this.coalesceMs = options.coalesceMs ?? 0;
  }

  /** What {@linkcode Scheduler.now} returned last; costs nothing. */
  recent = 0;

  /** Milliseconds since an arbitrary moment, without those in which the program was suspended, §5. */
  now(): number {
    const now = this.clock.now() - this.#asleep;
    const late = now - this.#wakeAt;
    if (late <= ASLEEP_MS) return this.recent = now;
    this.#asleep += late;
    return this.recent = now - late;
  }

  /** Adds a member, and checks it first at `first`. */
  add(member: Scheduled, first: number): void {
    this.#members.add(member);
    this.wakeAt(first);
  }

  /** Removes a member. */
  remove(member: Scheduled): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#wakeAt = Infinity;
    if (!this.#scanning) this.#setTimer();
  }

  /** Makes sure that members are checked at `time`. */
  wakeAt(time: number): void {
    if (time >= this.#wakeAt) return;
    this.#wakeAt = Math.max(time, this.now());
    if (!this.#scanning) this.#setTimer();
  }

  #setTimer(): void {
    this.clock.cancel(this.#timer);
    if (this.#wakeAt === Infinity) return;
    const now = this.now();
    this.#wakeAt = Math.max(this.#wakeAt, now, this.#lastScan + MIN_SCAN_GAP_MS);
    this.#timer = this.clock.after(this.#wakeAt - now, () => this.#scan());
  }

  /** Flushes a member soon, together with all others that have output. */
  flushSoon(member: Scheduled): void {
    this.#toFlush.push(member);
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(() => {
      this.#isDeferred = false;
      this.#flush();
    });
  }

  #flush(): void {
    const now = this.now();
    const members = this.#toFlush;
    this.#toFlush = [];
    let next = Infinity;
    for (const member of members) {
      const again = member.flush(now);
      if (again <= now) continue;
      this.#toFlush.push(member);
      next = Math.min(next, again);
    }
    this.clock.cancel(this.#flushTimer);
    if (next < Infinity) this.#flushTimer = this.clock.after(next - now, () => this.#flush());
  }

  /** Whether a connection that always has more to read is to wait for {@linkcode Scheduler.rest} first. */
  get needsRest(): boolean {
    return this.#resting.length > 0 || this.now() - this.#restedAt >= READING_MS;
  }

  /** Calls `resume` once others have been read. */
  rest(resume: () => void): void {
    if (this.#resting.push(resume) > 1) return;
    // Deferred, so that what is to be flushed does not use up the rest.
    this.#defer(() => void this.clock.after(REST_MS, () => this.#resume()));
  }

  #resume(): void {
    this.#restedAt = this.now();
    for (const resume of this.#resting.splice(0)) resume();
  }

  #scan(): void {
    const now = this.now();
    this.#lastScan = now;
    this.#wakeAt = Infinity;
    this.#scanning = true;
    for (const member of this.#members) this.wakeAt(member.check(now));
    this.#scanning = false;
    this.#setTimer();
  }
}
