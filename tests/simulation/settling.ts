/**
 * When a message may be accepted, and when it must (PROTOCOL.md §6, "Settling").
 *
 * @module
 */

import { TICK_SLACK_MS } from "./company.ts";
import type { Place } from "./place.ts";

/** After WELCOME, and after somebody was first shown since. */
const QUIET_MS = 5_000;
/** After WELCOME. */
const MOST_MS = 15_000;

/** Judges one process. */
export class SettlingJudge {
  readonly #place: Place;
  readonly #now: () => number;
  #welcomedAt: number | undefined;
  /** When a person was first shown since, and when a sid was. */
  #personAt = 0;
  #sidAt = 0;
  #seen = new Set<string>();
  /** There was time enough since the last WELCOME. */
  #settled = false;
  /** When everybody in the roster was shown. */
  #completeAt = Infinity;
  /** When that was seen. */
  #settledAt = Infinity;
  /** It was so in some connection, for long enough that the process must have seen it. */
  #everSettled = false;
  /** What waits, in order. */
  #waiting: string[] = [];

  constructor(place: Place, now: () => number) {
    this.#place = place;
    this.#now = now;
  }

  welcome(): void {
    this.#welcomedAt = this.#personAt = this.#sidAt = this.#now();
    this.#seen.clear();
    this.#settled = false;
  }

  disconnected(): void {
    this.look();
    this.#completeAt = Infinity;
    this.#settled = false; // if that was only now, the process may not have seen it
    this.#welcomedAt = undefined;
  }

  shown(fingerprint: string): void {
    this.look();
    this.#sidAt = this.#now();
    if (this.#seen.has(fingerprint)) return;
    this.#seen.add(fingerprint);
    this.#personAt = this.#now();
  }

  #due(shownAt: number): number {
    if (this.#welcomedAt === undefined) return Infinity;
    return Math.min(shownAt + QUIET_MS, this.#welcomedAt + MOST_MS);
  }

  waits(id: string): void {
    this.#waiting.push(id);
  }

  /** What waited was refused: a private message to somebody whose nick belongs to another key. */
  refused(id: string): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== id);
  }

  /** A message is accepted. @returns What is wrong with that. */
  accepted(id: string, hasWaited: boolean): string | undefined {
    if (hasWaited) {
      const isNext = this.#waiting.shift() === id;
      if (!isNext) return "is accepted before what was written earlier";
    } else if (this.#waiting.length > 0) return "is accepted before what waits";
    if (!this.#place.alive) return undefined; // whoever ends waits no longer
    if (this.#welcomedAt === undefined) return "is accepted without a connection";
    this.look();
    const isOpen = this.#settled || !hasWaited && this.#settledAt < Infinity;
    return isOpen ? undefined : "is accepted before people are shown";
  }

  /** Whom the place sees may have changed. */
  look(): void {
    if (this.#settled || this.#welcomedAt === undefined) return;
    const isComplete = !this.#everSettled && this.#isComplete();
    if (isComplete) this.#completeAt = this.#now();
    if (isComplete || this.#now() >= this.#due(this.#personAt)) {
      this.#settled = true;
      this.#settledAt = this.#now();
    }
  }

  /** Everybody in the roster is shown or refused for good, and there is somebody. */
  #isComplete(): boolean {
    const { roster, session } = this.#place;
    const { membership } = session;
    return roster.size > 0 &&
      membership.roster.members.values().every((member) =>
        this.#place.company.shows(member.name) || member.refused
      );
  }

  /** Looks at the time. @returns What is wrong, if something should have been accepted by now. */
  check(): string | undefined {
    this.look();
    const now = this.#now();
    const isDue = now >= this.#due(this.#sidAt) + TICK_SLACK_MS;
    if (isDue || now > this.#completeAt + TICK_SLACK_MS) this.#everSettled = true;
    if (!isDue) return undefined;
    return this.#waiting.length > 0 ? "has not accepted what waits" : undefined;
  }
}
