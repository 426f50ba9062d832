/**
 * Judges what a person is told about the keys and nicks of others, by rules of its own: whose a nick is, and how often
 * it may change (PROTOCOL.md §8, §10).
 *
 * @module
 */

import type { SessionEvent } from "../../lib/session/events.ts";
import { NICKS_PER_MINUTE } from "../../lib/protocol/limits.ts";
import { MAX_NICKS_PER_PEER } from "../../lib/session/peer_table.ts";
import { foldNick } from "../../lib/protocol/names.ts";
import type { Place } from "./place.ts";

const MINUTE_MS = 60_000;

/** The nick under which a place shows a key, and when it changed. */
interface Shown {
  nick: string | undefined;
  times: number[];
}

/** Follows what the processes of one person remember and show. */
export class TrustJudge {
  #fail: (what: string) => void;
  #now: () => number;
  readonly #known = new Set<string>();
  /** Folded nick to fingerprint. */
  readonly #owners = new Map<string, string>();
  /** Fingerprint to its folded nicks, most recently used last. */
  readonly #nicks = new Map<string, string[]>();
  readonly #shown = new Map<string, Shown>();

  constructor(course: { now(): number; fail(what: string): void }) {
    this.#now = () => course.now();
    this.#fail = (what) => course.fail(what);
  }

  /** The keys that were ever remembered. */
  get known(): ReadonlySet<string> {
    return new Set(this.#known);
  }

  /** A key has used a nick, and is to be remembered with it. */
  remembered(fingerprint: string, nick: string): void {
    this.#known.add(fingerprint);
    const folded = foldNick(nick);
    const owner = this.#owners.get(folded);
    if (owner !== undefined && owner !== fingerprint) return;
    this.#owners.set(folded, fingerprint);
    const others = (this.#nicks.get(fingerprint) ?? []).filter((other) => other !== folded);
    const nicks = [...others, folded];
    if (nicks.length > MAX_NICKS_PER_PEER) this.#owners.delete(nicks.shift()!);
    this.#nicks.set(fingerprint, nicks);
  }

  /** Something was told to the user of a place. */
  told(place: Place, event: SessionEvent): void {
    if (event.event !== "joined" && event.event !== "nick") return;
    const { fingerprint } = event;
    const people = place.session.people();
    for (const { usedNick, trust, fingerprint } of people) {
      const owner = this.#owners.get(foldNick(usedNick));
      const isForeign = owner !== undefined && owner !== fingerprint;
      if (isForeign !== (trust === "conflict")) {
        this.#fail(
          `${place.name} is told "${trust}" of a nick that is ${isForeign ? "not " : ""}theirs`,
        );
      }
    }
    const [person, ...more] = people.filter((person) => person.fingerprint === fingerprint);
    this.#count(place, fingerprint, more.length > 0 ? undefined : person?.usedNick, event.event);
  }

  #count(place: Place, key: string, nick: string | undefined, why: "joined" | "nick"): void {
    const shown = this.#shown.get(`${place.name} ${key}`) ?? { nick: undefined, times: [] };
    this.#shown.set(`${place.name} ${key}`, shown);
    const hasChanged = nick !== undefined && shown.nick !== undefined && nick !== shown.nick;
    shown.nick = nick;
    if (why === "joined" || !hasChanged) return;
    const now = this.#now();
    shown.times = [...shown.times.filter((time) => now - time < MINUTE_MS), now];
    if (shown.times.length > NICKS_PER_MINUTE) {
      this.#fail(`${place.name} is shown ${shown.times.length} nicks of one key within a minute`);
    }
  }
}
