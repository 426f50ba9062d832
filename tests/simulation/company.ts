/**
 * Whom a process has to count as shown or lost (PROTOCOL.md §6, "People"), as its own frames and records tell it:
 * worked out apart from the code under test.
 *
 * @module
 */

import { WHY } from "../../lib/protocol/frames.ts";
import { KEEP_KNOWN_MS, KEPT_MS } from "../../lib/protocol/limits.ts";
import type { PeerChannel } from "../../lib/session/peer_channel.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import type { Place } from "./place.ts";

/** Time limits are looked at about once a second. */
export const TICK_SLACK_MS = 1_500;
/** Lost instances of one person that get copies. */
const MAX_LOST = 4;
/** Somebody who was first shown this long ago is known. */
const KNOWN_AFTER_MS = 86_400_000;
/** Reasons of CLOSE after which an instance is not lost. */
const FINAL_REASONS: readonly number[] = [0, 2, 9];

/** What was written to an instance and is not acknowledged. */
interface Written {
  /** Of a CHAT. */
  readonly id: string | undefined;
  /** In connected time. */
  readonly acceptedAt: number;
  /** How long the instance had been shown; undefined again after a CLOSE(4). */
  at: number | undefined;
}

/** How sure it is that somebody is counted; "unsure" within a second of a limit. */
export type Certainty = "yes" | "unsure" | "no";

/** One instance as another process sees it. */
export class Sight {
  readonly place: Place;
  /** Open channels in which its HELLO was taken. */
  readonly channels = new Set<PeerChannel>();
  /** In connected time. */
  lostAt: number | undefined;
  /** When it was last shown again after it had been lost, in connected time. */
  foundAt = -Infinity;
  /** It has left for good. */
  gone = false;
  /** It was given up, since more people were lost than the room has places. */
  dropped = false;
  /** Something it did not acknowledge in time was given up waiting for. */
  everSlow = false;
  /** By seq. */
  readonly written = new Map<number, Written>();
  /** Which message had a seq. */
  readonly ids = new Map<number, string | undefined>();
  /** A first ACK has arrived in these. */
  readonly live = new WeakSet<PeerChannel>();
  /** When the last of them did. */
  liveSince = 0;
  #shownMs = 0;
  #shownSince: number | undefined;

  constructor(place: Place) {
    this.place = place;
  }

  get shown(): boolean {
    return this.channels.size > 0;
  }

  shownMs(now: number): number {
    return this.#shownMs + (this.#shownSince === undefined ? 0 : now - this.#shownSince);
  }

  show(channel: PeerChannel, { now, connected }: { now: number; connected: number }): void {
    this.channels.add(channel);
    if (this.lostAt !== undefined) this.foundAt = connected;
    this.lostAt = undefined;
    this.dropped = false;
    this.gone = false; // who was removed may come back as the same process
    this.#shownSince ??= now;
  }

  /** @returns Whether that was the last channel. */
  hide(channel: PeerChannel, now: number): boolean {
    if (!this.channels.delete(channel) || this.shown) return false;
    this.#shownMs = this.shownMs(now);
    this.#shownSince = undefined;
    return true;
  }

  /**
   * For how long the oldest has been unacknowledged, of the time in which the instance was shown.
   *
   * @param acceptedFrom Of what was accepted since, in connected time.
   */
  oldestMs(now: number, acceptedFrom = -Infinity): number {
    const counted = this.written.values().filter(({ acceptedAt }) => acceptedAt >= acceptedFrom);
    return this.shownMs(now) - Math.min(...counted.map(({ at }) => at ?? Infinity));
  }
}

/** The others as one process has to see them. */
export class Company {
  readonly #place: Place;
  readonly #now: () => number;
  readonly #capacity: number;
  readonly #sights = new Map<Place, Sight>();
  readonly #byChannel = new Map<PeerChannel, Sight>();
  readonly #sids = new Map<PeerChannel, string>();
  /** The instance that has said HELLO under a sid of the present connection. */
  readonly #instances = new Map<string, Sight>();
  readonly #leaving = new Map<string, number>();
  readonly #departing = new Map<string, RosterMember>();
  /** The reason of a CLOSE that arrived. */
  readonly #closed = new Map<PeerChannel, number>();
  #connectedBefore = 0;
  #connectedSince: number | undefined;

  readonly #over: (sight: Sight) => void;
  readonly #known: ReadonlySet<string>;
  readonly #mayConflict: () => boolean;
  /** When each person was first shown. */
  readonly #shownAt = new Map<string, number>();

  /**
   * @param options.over Nothing is kept for an instance any more.
   * @param options.known The people whom the user knew before.
   * @param options.mayConflict Somebody may have a nick that is known with another key.
   */
  constructor(
    place: Place,
    options: {
      now: () => number;
      capacity: number;
      over: (sight: Sight) => void;
      known: ReadonlySet<string>;
      mayConflict: () => boolean;
    },
  ) {
    this.#over = options.over;
    this.#known = options.known;
    this.#mayConflict = options.mayConflict;
    this.#place = place;
    this.#now = options.now;
    this.#capacity = options.capacity;
  }

  /** The time, without that in which there was no connection. */
  now(): number {
    return this.#connectedBefore +
      (this.#connectedSince === undefined ? 0 : this.#now() - this.#connectedSince);
  }

  /** Connected, by its own frames. */
  get connected(): boolean {
    return this.#connectedSince !== undefined;
  }

  sights(): IterableIterator<Sight> {
    return this.#sights.values();
  }

  of(place: Place): Sight | undefined {
    return this.#sights.get(place);
  }

  /** Whom an open channel is with. */
  with(channel: PeerChannel): Sight | undefined {
    return this.#byChannel.get(channel);
  }

  /** The sid that a channel is with. */
  sidOf(channel: PeerChannel): string | undefined {
    return this.#sids.get(channel);
  }

  welcome(): void {
    this.#connectedSince ??= this.#now();
    this.#instances.clear();
    this.#leaving.clear();
    this.#departing.clear();
  }

  disconnected(): void {
    this.#connectedBefore = this.now();
    this.#connectedSince = undefined;
  }

  /** LEFT is about to be taken. */
  leaving(sid: string, why: number): void {
    this.#leaving.set(sid, why);
    const member = this.#place.session.membership.roster.members.get(sid);
    if (member) this.#departing.set(sid, member); // what came before LEFT may still be taken
    const sight = this.#instances.get(sid);
    if (sight && !sight.shown && isFinal(why)) this.#end(sight);
  }

  #end(sight: Sight): void {
    sight.gone = true;
    sight.lostAt = undefined;
    this.#over(sight);
  }

  /** HELLO is about to be taken. */
  hello(channel: PeerChannel, other: Place): Sight {
    const { fingerprint } = other;
    this.#shownAt.set(fingerprint, this.#shownAt.get(fingerprint) ?? this.#now());
    const sight = this.#sights.get(other) ?? new Sight(other);
    this.#sights.set(other, sight);
    this.#byChannel.set(channel, sight);
    const { members } = this.#place.session.membership.roster;
    const member = [...members.values(), ...this.#departing.values()].find(({ peer }) =>
      peer?.channel === channel
    );
    if (member) {
      this.#sids.set(channel, member.sid);
      this.#instances.set(member.sid, sight);
    }
    sight.show(channel, { now: this.#now(), connected: this.now() });
    return sight;
  }

  /** CLOSE is about to be taken. */
  closed(channel: PeerChannel, reason: number): void {
    this.#closed.set(channel, reason);
  }

  /** A channel has ended. */
  ended(channel: PeerChannel, sent: number | undefined): void {
    const sight = this.#byChannel.get(channel);
    const taken = this.#closed.get(channel);
    const sid = this.#sids.get(channel);
    this.#closed.delete(channel);
    this.#byChannel.delete(channel);
    this.#sids.delete(channel);
    if (!sight?.hide(channel, this.#now())) return;
    const why = sid === undefined ? undefined : this.#leaving.get(sid);
    if (why !== undefined && isFinal(why)) return this.#end(sight);
    const isRefused = [sent, taken].some((reason) => FINAL_REASONS.includes(reason ?? -1));
    if (isRefused) return;
    sight.lostAt = this.now();
    for (const other of this.sightsOf(sight.place.fingerprint)) {
      if (this.isCrowdedOut(other)) this.#over(other);
    }
    this.#limit();
  }

  /** No more people are lost than the room has places: those shown for the shortest time are given up. */
  #limit(): void {
    const lost = Map.groupBy(this.#sights.values(), ({ place }) => place.fingerprint).values()
      .filter((sights) =>
        sights.every(({ shown }) => !shown) && sights.some(({ lostAt }) => lostAt !== undefined)
      ).toArray();
    const now = this.#now();
    const shownMs = (sights: Sight[]) => sights.reduce((sum, each) => sum + each.shownMs(now), 0);
    lost.sort((a, b) => shownMs(a) - shownMs(b));
    for (const sight of lost.slice(0, Math.max(0, lost.length - this.#capacity)).flat()) {
      sight.lostAt = undefined;
      sight.dropped = true;
      this.#over(sight);
    }
  }

  /** How long a person counts as lost, and what was written for them is kept: at least, and at most. */
  keptMs(fingerprint: string): { least: number; most: number } {
    const age = this.#now() - (this.#shownAt.get(fingerprint) ?? Infinity);
    const isKnown = this.#known.has(fingerprint) || age >= KNOWN_AFTER_MS - TICK_SLACK_MS;
    if (!isKnown) return { least: KEPT_MS, most: KEPT_MS };
    const isSure = !this.#mayConflict() &&
      (this.#known.has(fingerprint) || age >= KNOWN_AFTER_MS + TICK_SLACK_MS);
    return { least: isSure ? KEEP_KNOWN_MS : KEPT_MS, most: KEEP_KNOWN_MS };
  }

  /** Whether an instance gets what is written now. */
  counts(sight: Sight): Certainty {
    if (sight.shown) return "yes";
    if (sight.lostAt === undefined) return "no";
    const age = this.now() - sight.lostAt;
    const { wokenAt } = this.#place.clock;
    const isFresh = this.#now() - wokenAt < TICK_SLACK_MS;
    const { least, most } = this.keptMs(sight.place.fingerprint);
    if (age > most + TICK_SLACK_MS && !isFresh) return "no";
    if (this.isCrowdedOut(sight)) return "no";
    return age < least - TICK_SLACK_MS ? "yes" : "unsure";
  }

  /** Four others of the person were lost later. */
  isCrowdedOut({ place, lostAt }: Sight): boolean {
    if (lostAt === undefined) return false;
    const others = this.sightsOf(place.fingerprint).filter((sight) =>
      sight.place !== place && sight.lostAt !== undefined && sight.lostAt >= lostAt
    );
    return others.length >= MAX_LOST;
  }

  sightsOf(fingerprint: string): Sight[] {
    return [...this.#sights.values()].filter(({ place }) => place.fingerprint === fingerprint);
  }

  /** The person has a channel. */
  shows(fingerprint: string): boolean {
    return this.sightsOf(fingerprint).some(({ shown }) => shown);
  }
}

function isFinal(why: number): boolean {
  return why === WHY.LEFT || why === WHY.REMOVED;
}
