/**
 * What the connections of one program share: one timer for all their deadlines, and one list of those that have
 * something to write.
 *
 * Knows nothing of records and streams.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "./clock.ts";

/** Deadlines this close together are looked at together. */
const MIN_SCAN_GAP_MS = 50;
/** A timer later than this means that the whole program was stopped or the computer asleep. */
const ASLEEP_MS = 1_000;

/** Something with deadlines and, perhaps, something to write. */
export interface GroupMember {
  /** Does what is due; returns when it wants to be asked again at the latest, by {@linkcode Group.now}. */
  check(now: number): number;
  /** Begins to write what waits. */
  flush(): void;
}

/** Options of {@linkcode Group}. */
export interface GroupOptions {
  readonly clock?: Clock;
  /** Runs an action a little later: by default at the end of what the program is doing just now. */
  readonly defer?: (action: () => void) => void;
}

/** One timer and one list of the unwritten for many connections. */
export class Group {
  readonly #clock: Clock;
  readonly #defer: (action: () => void) => void;
  readonly #members = new Set<GroupMember>();
  #timer: Timer | undefined;
  #wakeAt = Infinity;
  #scanning = false;
  #lastScan = -Infinity;
  /** How long the program has been stopped so far. */
  #asleep = 0;
  #unwritten: GroupMember[] = [];

  constructor(options: GroupOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#defer = options.defer ?? queueMicrotask;
  }

  /** Milliseconds since an arbitrary moment, not counting those in which the program was stopped, §5. */
  now(): number {
    return this.#clock.now() - this.#asleep;
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
    this.#wakeAt = time;
    if (!this.#scanning) this.#setTimer();
  }

  #setTimer(): void {
    this.#clock.cancel(this.#timer);
    if (this.#wakeAt === Infinity) return;
    const now = this.now();
    this.#wakeAt = Math.max(this.#wakeAt, now, this.#lastScan + MIN_SCAN_GAP_MS);
    this.#timer = this.#clock.after(this.#wakeAt - now, () => this.#scan());
  }

  /** A member has something to write: all of those are flushed together. */
  flushSoon(member: GroupMember): void {
    this.#unwritten.push(member);
    if (this.#unwritten.length === 1) this.#defer(() => this.#flush());
  }

  #flush(): void {
    const unwritten = this.#unwritten;
    this.#unwritten = [];
    for (const member of unwritten) member.flush();
  }

  #scan(): void {
    const late = this.now() - this.#wakeAt;
    if (late > ASLEEP_MS) this.#asleep += late;
    const now = this.now();
    this.#lastScan = now;
    this.#wakeAt = Infinity;
    this.#scanning = true;
    for (const member of this.#members) this.wakeAt(member.check(now));
    this.#scanning = false;
    this.#setTimer();
  }
}
