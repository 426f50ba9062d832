/**
 * Events on their way to the screen: shown in slices, so that input, timers and acknowledgements come in between, and
 * from different people in turn, so that nobody who sends a lot keeps the others waiting.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import type { SessionEvent } from "../session/mod.ts";

/** Events that wait; with more, each new one makes the oldest of whoever has most be shown at once. */
export const MAX_QUEUED_EVENTS = 4096;
/** The same for units of text: as much as four senders may have unacknowledged, §6. */
export const MAX_QUEUED_UNITS = 16 * 1024 * 1024;
/** How long an event waits for a busy screen: less than the 30 s after which its sender takes us to be slow, §6. */
export const MAX_WAIT_MS = 10_000;
/** How long events are shown in one go. */
export const SLICE_MS = 8;

interface EventQueueOptions {
  readonly clock: Clock;
  /** Whether the screen can take nothing now; {@linkcode EventQueue.resume} when it can. */
  isBusy(): boolean;
  /** Shows an event. */
  show(event: SessionEvent): void;
}

/** An event that waits. */
interface Queued {
  readonly event: SessionEvent;
  readonly units: number;
  readonly since: number;
  /** Says that it was shown. */
  done(): void;
}

/** By fingerprint the events of one person, in order; by an empty text those about nobody. */
type Lanes = Map<string, Queued[]>;

export class EventQueue {
  readonly #options: EventQueueOptions;
  /** Everybody's events between two changes of the connection. */
  readonly #epochs: Lanes[] = [];
  #length = 0;
  #units = 0;
  #timer: Timer | undefined;
  /** When the oldest event has waited for long enough. */
  #dueTimer: Timer | undefined;
  /** Until when events may be shown in this turn of the event loop; undefined before the first. */
  #until: number | undefined;
  #hasEnded = false;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  /** How many events wait. */
  get length(): number {
    return this.#length;
  }

  /**
   * Shows an event: now if nothing waits and there is time in this turn of the event loop, otherwise later.
   *
   * @returns Resolves when it was shown; undefined if that is now.
   */
  push(event: SessionEvent): Promise<void> | undefined {
    const { isBusy, show } = this.#options;
    const isUrgent = isAboutOwn(event) || this.#hasEnded;
    if (isUrgent || this.#length === 0 && !isBusy() && this.#hasTime()) {
      show(event);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#add(event, resolve);
    while (this.#length > MAX_QUEUED_EVENTS || this.#units > MAX_QUEUED_UNITS) {
      this.#showOfLongest();
    }
    this.resume();
    return promise;
  }

  /** Goes on: the screen is no longer busy. */
  resume(): void {
    const { clock, isBusy } = this.#options;
    if (this.#length === 0) return;
    if (!isBusy()) this.#timer ??= clock.after(0, () => this.#showSlice());
    else this.#dueTimer ??= clock.after(MAX_WAIT_MS, () => this.#showSlice());
  }

  /** Shows everything that waits. */
  flush(): void {
    while (this.#length > 0) this.#showNext(Infinity);
    this.#cancel();
    this.#until = undefined;
  }

  /** Shows everything that waits, and from now on all events at once. */
  end(): void {
    this.#hasEnded = true;
    this.flush();
  }

  #hasTime(): boolean {
    const { clock } = this.#options;
    const now = clock.now();
    if (this.#until === undefined) {
      this.#until = now + SLICE_MS;
      this.#timer ??= clock.after(0, () => this.#showSlice());
    }
    return now < this.#until;
  }

  #showSlice(): void {
    const { clock, isBusy } = this.#options;
    this.#cancel();
    const until = clock.now() + SLICE_MS;
    const due = clock.now() - MAX_WAIT_MS;
    while (clock.now() < until && this.#showNext(isBusy() ? due : Infinity));
    this.#until = undefined;
    this.resume();
  }

  #add(event: SessionEvent, done: () => void): void {
    // Who was there before and after an interruption must not be mixed up.
    const isBoundary = event.event === "welcome" || event.event === "disconnected";
    if (isBoundary || this.#epochs.length === 0) this.#epochs.push(new Map());
    const lanes = this.#epochs.at(-1)!;
    const who = "fingerprint" in event && !isBoundary ? laneOf(event) : "";
    const units = event.event === "chat" || event.event === "note" ? event.text.length : 0;
    const queued = { event, units, since: this.#options.clock.now(), done };
    const lane = lanes.get(who);
    if (lane === undefined) lanes.set(who, [queued]);
    else lane.push(queued);
    this.#length++;
    this.#units += units;
    if (isBoundary) this.#epochs.push(new Map());
  }

  /**
   * Shows the next event of whoever's turn it is.
   *
   * @param due Only if it has waited since then.
   * @returns Whether there was one.
   */
  #showNext(due: number): boolean {
    const lanes = this.#oldestLanes();
    const next = lanes?.entries().find(([, [first]]) => first!.since <= due);
    if (next) this.#showFirst(lanes!, next);
    return next !== undefined;
  }

  /** Shows the next event of whoever has most: should there be no space for it, only they lose something. */
  #showOfLongest(): void {
    const lanes = this.#oldestLanes()!;
    this.#showFirst(lanes, [...lanes].reduce((a, b) => b[1].length > a[1].length ? b : a));
  }

  #oldestLanes(): Lanes | undefined {
    while (this.#epochs[0]?.size === 0) this.#epochs.shift();
    return this.#epochs[0];
  }

  #showFirst(lanes: Lanes, [who, lane]: [string, Queued[]]): void {
    lanes.delete(who);
    const { event, units, done } = lane.shift()!;
    if (lane.length > 0) lanes.set(who, lane);
    this.#length--;
    this.#units -= units;
    this.#options.show(event);
    done();
  }

  #cancel(): void {
    const { clock } = this.#options;
    for (const timer of [this.#timer, this.#dueTimer]) clock.cancel(timer);
    this.#timer = this.#dueTimer = undefined;
  }
}

/** What one has missed stays in its order, whoever has written it. */
function laneOf(event: SessionEvent & { fingerprint?: unknown; missed?: true }): string {
  return event.missed ? "" : String(event.fingerprint);
}

/** Whether an event tells what became of something the user did: others cannot make many of them. */
function isAboutOwn({ event }: SessionEvent): boolean {
  return ["sent", "delivered", "undelivered", "self", "ignored", "result"].includes(event);
}
