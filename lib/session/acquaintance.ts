/**
 * Whom this process knows, for how long it keeps what is for them, and how long it has seen them (PROTOCOL.md §6, §8).
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { KEEP_KNOWN_MS, KEPT_MS } from "../protocol/limits.ts";
import type { KnownPeers } from "./known_peers.ts";
import type { People, Person } from "./people.ts";
import type { LostPerson, Roster } from "./roster.ts";
import type { Sender } from "./sender.ts";

/** More time than this between two looks does not count as seen. */
const MAX_SEEN_MS = 5000;
/** Somebody who was first shown this long ago is known, §6. */
const KNOWN_AFTER_MS = 24 * 3_600_000;

/** What it shares with the rest of a membership. */
export interface AcquaintanceParts {
  readonly clock: Clock;
  /** Our own fingerprint, `SHA256:…`. */
  readonly own: string;
  readonly knownPeers: KnownPeers;
  readonly roster: Roster;
  people(): People;
  sender(): Sender;
}

/** The people of one membership, as far as they are known. */
export class Acquaintance {
  readonly #parts: AcquaintanceParts;
  #seenAt: number;

  constructor(parts: AcquaintanceParts) {
    this.#parts = parts;
    this.#seenAt = parts.clock.now();
  }

  /** Whether a person is known, §6. */
  includes({ fingerprint, firstShownAt = Infinity }: Person): boolean {
    const { clock, own, knownPeers, sender } = this.#parts;
    const isFamiliar = fingerprint === own || knownPeers.isFamiliar(fingerprint) ||
      clock.now() - firstShownAt >= KNOWN_AFTER_MS;
    return isFamiliar && !sender().isConflict(fingerprint);
  }

  /** How long somebody is lost, and what is written is kept for them, in ms, §6. */
  keptMs(person: Person): number {
    return this.includes(person) ? KEEP_KNOWN_MS : KEPT_MS;
  }

  /** The time so many milliseconds from now, ISO 8601. */
  dateIn(ms: number): string {
    return new Date(this.#parts.clock.wallTime() + ms).toISOString();
  }

  /** The people who are lost, and get what is written all the same. */
  lost(): LostPerson[] {
    const { knownPeers, roster, people, sender } = this.#parts;
    const here = new Set(roster.people().map(({ fingerprint }) => fingerprint));
    const lost = sender().everybody().filter(({ shown, fingerprint }) =>
      !shown && !here.has(fingerprint)
    );
    const names = roster.namesAmong(lost);
    return lost.map((person, i) => {
      const { fingerprint, lostAt, nick } = person;
      const passed = people().now() - lostAt!;
      const trust = knownPeers.judge(fingerprint, nick);
      return {
        nick: names[i]!,
        fingerprint,
        // A key first seen in this run stays new until it ends.
        trust: trust === "known" && !knownPeers.isFamiliar(fingerprint) ? "new" : trust,
        since: this.dateIn(-passed),
        until: this.dateIn(this.keptMs(person) - passed),
      };
    });
  }

  /** Tells the remembered people that they were seen. */
  see(): void {
    const { clock, knownPeers, roster } = this.#parts;
    const now = clock.now();
    const present = new Set<string>();
    for (const { name, announced } of roster.members.values()) {
      if (announced) present.add(name);
    }
    // A computer that slept has seen nobody meanwhile.
    const ms = Math.min(now - this.#seenAt, MAX_SEEN_MS);
    this.#seenAt = now;
    knownPeers.see(present, ms);
  }
}
