/**
 * What the connections of one program share: one timer for all their deadlines, and one list of those that have
 * something to write.
 *
 * Knows nothing of records and streams.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../base/clock.ts";

/** Deadlines this close together are looked at together. */
const MIN_SCAN_GAP_MS = 50;
/** A timer later than this means that the whole program was stopped or the computer asleep. */
const ASLEEP_MS = 1_000;

/** Something with deadlines and, perhaps, something to write. */
export interface GroupMember {
  /** Does what is due; returns when it wants to be asked again at the latest, by {@linkcode Group.now}. */
  check(now: number): number;
  /** Begins to write what waits, or returns a later time to be asked again. */
  flush(now: number): number;
}

/** Options of {@linkcode Group}. */
export interface GroupOptions {
  readonly clock?: Clock;
  /** Runs an action a little later: by default at the end of what the program is doing just now. */
  readonly defer?: (action: () => void) => void;
  /** Milliseconds; see {@linkcode Group.gather}. None by default. */
  readonly gather?: number;
}

/** One timer and one list of the unwritten for many connections. */
export class Group {
  /** Where the time of all members comes from. */
  readonly clock: Clock;
  /** After a write so many milliseconds pass before the next one to the same side: under load each carries more. */
  readonly gather: number;
  readonly #defer: (action: () => void) => void;
  readonly #members = new Set<GroupMember>();
  #timer: Timer | undefined;
  #wakeAt = Infinity;
  #scanning = false;
  #lastScan = -Infinity;
  /** How long the program has been stopped so far. */
  #asleep = 0;
  #unwritten: GroupMember[] = [];
  #isDeferred = false;
  #flushTimer: Timer | undefined;

  constructor(options: GroupOptions = {}) {
    this.clock = options.clock ?? systemClock;
    this.#defer = options.defer ?? queueMicrotask;
    this.gather = options.gather ?? 0;
  }

  /** Milliseconds since an arbitrary moment, not counting those in which the program was stopped, §5. */
  now(): number {
    const now = this.clock.now() - this.#asleep;
    const late = now - this.#wakeAt;
    if (late <= ASLEEP_MS) return now;
    this.#asleep += late;
    return now - late;
  }

  /** Takes on a member, which is asked for its deadlines at `first`. */
  add(member: GroupMember, first: number): void {
    this.#members.add(member);
    this.wakeAt(first);
  }

  /** Forgets a member. */
  remove(member: GroupMember): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#wakeAt = Infinity;
    if (!this.#scanning) this.#setTimer();
  }

  /** A member has a deadline that may be earlier than all others. */
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

  /** A member has something to write: all of those are flushed together. */
  flushSoon(member: GroupMember): void {
    this.#unwritten.push(member);
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(() => {
      this.#isDeferred = false;
      this.#flush();
    });
  }

  #flush(): void {
    const now = this.now();
    const unwritten = this.#unwritten;
    this.#unwritten = [];
    let next = Infinity;
    for (const member of unwritten) {
      const again = member.flush(now);
      if (again <= now) continue;
      this.#unwritten.push(member);
      next = Math.min(next, again);
    }
    this.clock.cancel(this.#flushTimer);
    if (next < Infinity) this.#flushTimer = this.clock.after(next - now, () => this.#flush());
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
