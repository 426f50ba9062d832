/**
 * The search for a room whose host is gone, or silent: order, answers and clock in, and out comes whom to join, or that
 * this client hosts (PROTOCOL.md §14). Asking is handed in.
 *
 * @module
 */

import type { Clock, RandomBytes, Timer } from "../base/clock.ts";
import { type Entry, type Place, STATE, type Whereabouts } from "../protocol/succession.ts";
import type { InquiryListener, NoAnswer } from "./inquiry.ts";
import { keyOf, type PassedOver } from "./passed_over.ts";

/** Who has not answered for this long is out. */
export const OUT_MS = 3000;
/** So is who has refused the connection this often. */
const MAX_REFUSALS = 2;
/** The host counts as silent when it has not answered for this long. */
const HOST_SILENT_MS = 1000;
/** One that says "lost", or "at X" without an end, holds up entry k for k times this long. */
const HELD_MS = 10_000;
/** "Here" counts at the latest after this. */
const HERE_MS = 10_000;
/** The next try after a failure, the quick ones at first. */
const QUICK_MS = 150;
/** A try that has failed after more than this was at a computer with much to do: the next one waits for as long again. */
const SLOW_TRY_MS = 2000;
const QUICK_TRIES = 10;
const SLOWER = 1.3;
const MAX_RETRY_MS = 2000;
/** After this long tries are rare. */
const LONG_MS = 300_000;
const RARE_MS = 10_000;
/** A host that has said CLOSE(7) is asked after this, in case it has come back. */
const CLOSED_MS = 5000;
/** The host and the first stand-by are asked at once. */
const FIRST_ASKED = 2;
/** The next in the order is asked so long after the one before, or once all before it are out: by who may host … */
export const NEXT_ASKED_MS = 1000;
/** … and by a guest, of whom there may be many. */
export const GUEST_NEXT_MS = 3000;
/** Guests ask spread over so long for each member, so that a relay is not asked by all at once. */
const SPREAD_MS = 3;
/** "At X" is followed so many times in a row. */
const MAX_FOLLOWED = 4;
/** The next place that the same relay names is asked after this at the earliest. */
const NEXT_PLACE_MS = 1000;
/** An answer counts no longer when nothing was heard on its connection for this long. */
const STALE_MS = 5000;
const TICK_MS = 100;
/** A clock that is late by so much was stopped. */
export const ASLEEP_MS = 2000;

/** A relay that is being asked; an {@linkcode Inquiry} is one. */
export interface Question {
  readonly silentMs: number;
  close(): void;
}

/** What a search needs. */
export interface SearchOptions<Q extends Question> {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The host, then its successors. */
  readonly order: readonly Entry[];
  /** Hosts of earlier: asked too, and hold nobody up. */
  readonly earlier: readonly Entry[];
  /** The index of this process's own relay in the order; undefined for a guest, or who may not host. */
  readonly own: number | undefined;
  /** Whether an entry is this process's own relay. */
  isOwn(place: Place): boolean;
  /** The host has said that it goes: it is out. */
  readonly hostClosed: boolean;
  /**
   * The connection to the host is kept meanwhile: its "here" counts after a second in which nothing is heard on it.
   * {@linkcode Search.lostConnection} says that it has ended.
   */
  readonly keepsConnection: boolean;
  /** How many members there are. */
  readonly members: number;
  readonly passedOver: PassedOver;
  /** Asks a relay. @param isHost It is the host, which may be asked where it was last reached, too. */
  ask(place: Place, isHost: boolean, listener: InquiryListener): Q;
}

/** What a search has found. */
export type Found<Q extends Question> =
  /** The room is there; `entry` is of the order unless somebody named it. */
  | { readonly type: "join"; readonly entry: Place; readonly question: Q }
  | { readonly type: "host" };

/** One relay that is asked again and again. */
interface Candidate<Q extends Question> {
  readonly place: Place;
  /** Its place in the order; Infinity for those that hold nobody up. */
  readonly index: number;
  /** How many named each other up to this one; 0 for one of the order. */
  readonly depth: number;
  /** Whom it has named last, and since when that one is asked. */
  named: Candidate<Q> | undefined;
  namedAt: number;
  question: Q | undefined;
  /** Its last answer; undefined while there is none. */
  where: Whereabouts | undefined;
  /** Since when it has not answered. */
  silentSince: number;
  /** Since when it has said nothing but "here". */
  hereSince: number | undefined;
  refusals: number;
  tries: number;
  triedAt: number;
  timer: Timer | undefined;
}

/** One search; it asks until it has found something or is stopped. */
export class Search<Q extends Question> {
  /** What was found; never settles once stopped. */
  readonly found: Promise<Found<Q>>;
  readonly #options: SearchOptions<Q>;
  readonly #resolve: (found: Found<Q>) => void;
  readonly #candidates = new Map<string, Candidate<Q>>();
  /** Who is asked next, and then: each of the order, then hosts of earlier together. */
  readonly #others: Candidate<Q>[][] = [];
  /** Since when the last of those that are asked is. */
  #askedAt: number;
  #begunAt: number;
  #tickedAt: number;
  #keepsConnection: boolean;
  #isOver = false;
  #timer: Timer | undefined;

  constructor(options: SearchOptions<Q>) {
    this.#options = options;
    this.#begunAt = this.#tickedAt = this.#askedAt = options.clock.now();
    this.#keepsConnection = options.keepsConnection;
    const { promise, resolve } = Promise.withResolvers<Found<Q>>();
    this.found = promise;
    this.#resolve = resolve;
    for (const [index, entry] of options.order.entries()) {
      const candidate = this.#add(entry, index, 0);
      if (!candidate) continue;
      if (index >= FIRST_ASKED) this.#others.push([candidate]);
      else this.#askIn(candidate, index === 0 && options.hostClosed ? CLOSED_MS : this.#spreadMs);
    }
    const earlier = options.earlier.map((entry) => this.#add(entry, Infinity, 0));
    this.#others.push(earlier.filter((it) => it !== undefined));
    this.#tick();
  }

  /** Ends it; `found` stays pending. */
  stop(): void {
    this.#end(undefined);
  }

  /** The connection to the host that was kept has ended. */
  lostConnection(): void {
    this.#keepsConnection = false;
    this.#decide();
  }

  /**
   * Silence is counted in this process's own time: if it has too little of the processor, what others have said waits
   * for it. If it was suspended or the computer asleep, every silence begins anew.
   */
  #noticeSleep(): void {
    const now = this.#options.clock.now();
    const late = now - this.#tickedAt - TICK_MS;
    if (late <= 0) return;
    this.#tickedAt = now - TICK_MS;
    const isAsleep = late >= ASLEEP_MS;
    const since = (time: number) => isAsleep ? now : Math.min(now, time + late);
    this.#begunAt = since(this.#begunAt);
    this.#askedAt = since(this.#askedAt);
    for (const candidate of this.#candidates.values()) {
      candidate.silentSince = since(candidate.silentSince);
      if (isAsleep) candidate.refusals = 0;
    }
  }

  /** @returns The new candidate, not asked yet; undefined if it is one already, or this process's own relay. */
  #add(place: Place, index: number, depth: number): Candidate<Q> | undefined {
    const key = keyOf(place);
    if (this.#candidates.has(key) || this.#options.isOwn(place)) return undefined;
    const candidate: Candidate<Q> = {
      place,
      index,
      depth,
      named: undefined,
      namedAt: -Infinity,
      question: undefined,
      where: undefined,
      silentSince: this.#options.clock.now(),
      hereSince: undefined,
      refusals: 0,
      tries: 0,
      triedAt: -Infinity,
      timer: undefined,
    };
    this.#candidates.set(key, candidate);
    return candidate;
  }

  get #spreadMs(): number {
    const { own, members, random } = this.#options;
    return own === undefined ? members * SPREAD_MS * random(1)[0]! / 256 : 0;
  }

  /**
   * One after the other: mostly the first stand-by hosts, and nobody else need be asked. If all asked all at once, a large
   * room would be busiest just when somebody is to host it.
   */
  #askOthers(): void {
    const { clock, order, own } = this.#options;
    const gap = own === undefined ? GUEST_NEXT_MS : NEXT_ASKED_MS;
    for (let next = this.#others[0]; next; next = this.#others[0]) {
      const before = order.slice(0, next[0]?.index);
      const areOut = before.every((_, index) => this.#isOut(this.#at(index), index));
      if (!areOut && clock.now() - this.#askedAt < gap) return;
      this.#askedAt = clock.now();
      for (const candidate of next) {
        candidate.silentSince = clock.now();
        this.#askIn(candidate, this.#spreadMs);
      }
      this.#others.shift();
    }
  }

  /** Asks whom a relay names: of each only the newest, so that none can have this client dial at will. */
  #follow(candidate: Candidate<Q>): void {
    const { where, named, namedAt, depth, index } = candidate;
    if (where?.state !== STATE.AT_PLACE || depth >= MAX_FOLLOWED) return;
    const now = this.#options.clock.now();
    if (this.#candidates.has(keyOf(where.place)) || now - namedAt < NEXT_PLACE_MS) return;
    if (named) this.#drop(named);
    candidate.namedAt = now;
    candidate.named = this.#add(where.place, index, depth + 1);
    if (candidate.named) this.#askIn(candidate.named, this.#spreadMs);
  }

  /** Asks one no longer, nor whom it has named. */
  #drop({ place, question, timer, named }: Candidate<Q>): void {
    this.#candidates.delete(keyOf(place));
    this.#options.clock.cancel(timer);
    question?.close();
    if (named) this.#drop(named);
  }

  #askIn(candidate: Candidate<Q>, ms: number): void {
    candidate.timer = this.#options.clock.after(ms, () => this.#ask(candidate));
  }

  #ask(candidate: Candidate<Q>): void {
    if (this.#isOver) return;
    candidate.tries++;
    candidate.triedAt = this.#options.clock.now();
    candidate.question = this.#options.ask(candidate.place, isHost(candidate), {
      answered: (where) => this.#answered(candidate, where),
      ended: (why) => this.#ended(candidate, why),
    });
  }

  #answered(candidate: Candidate<Q>, where: Whereabouts): void {
    if (this.#isOver) return;
    candidate.where = where;
    candidate.refusals = 0;
    if (where.state !== STATE.HERE) candidate.hereSince = undefined;
    else candidate.hereSince ??= this.#options.clock.now();
    this.#follow(candidate);
    this.#decide();
  }

  #ended(candidate: Candidate<Q>, why: NoAnswer): void {
    if (this.#isOver) return;
    const { clock, passedOver } = this.#options;
    if (candidate.where) candidate.silentSince = clock.now();
    candidate.question = undefined;
    if (why === "refused") candidate.refusals++;
    if (why === "closed" || why === "unsupported") passedOver.refused(candidate.place);
    const took = clock.now() - candidate.triedAt;
    const isSlow = !candidate.where && took >= SLOW_TRY_MS;
    candidate.where = undefined;
    this.#askIn(candidate, Math.max(isSlow ? took : 0, this.#retryMs(candidate)));
    this.#decide();
  }

  #retryMs({ tries }: Candidate<Q>): number {
    if (this.#options.clock.now() - this.#begunAt >= LONG_MS) return RARE_MS;
    return Math.min(QUICK_MS * SLOWER ** Math.max(0, tries - QUICK_TRIES), MAX_RETRY_MS);
  }

  /** Whether entry `rank` waits for this one no longer. */
  #isOut(candidate: Candidate<Q> | undefined, rank: number): boolean {
    if (!candidate) return true; // this process's own relay
    const { clock, passedOver, hostClosed } = this.#options;
    const { place, where, silentSince, refusals } = candidate;
    if (passedOver.has(place) || isHost(candidate) && hostClosed) return true;
    const now = clock.now();
    if (!where) return refusals >= MAX_REFUSALS || now - silentSince >= OUT_MS;
    if (where.state === STATE.UNKNOWN) return true;
    return where.state !== STATE.HERE && now - this.#begunAt >= HELD_MS * rank;
  }

  #at(index: number): Candidate<Q> | undefined {
    return this.#candidates.get(keyOf(this.#options.order[index]!));
  }

  /** Whether what a candidate says counts now. */
  #counts(candidate: Candidate<Q>): boolean {
    const { index, hereSince, place } = candidate;
    const { clock, order, own } = this.#options;
    const now = clock.now();
    const told = now - hereSince!;
    if (told >= HERE_MS) return true;
    if (isHost(candidate)) return !this.#keepsConnection || told >= HOST_SILENT_MS;
    const names = (other: Candidate<Q> | undefined) =>
      other?.where?.state === STATE.AT_PLACE && keyOf(other.where.place) === keyOf(place);
    const rank = Math.min(index, order.length);
    const host = this.#at(0);
    const isHostGone = !host || this.#isOut(host, rank) || names(host) ||
      !host.where && now - host.silentSince >= HOST_SILENT_MS;
    if (!isHostGone) return false;
    const before = order.slice(1, Math.min(rank, own ?? rank)).map((_, i) => this.#at(i + 1));
    return before.every((other) => this.#isOut(other, rank) || names(other));
  }

  #decide(): void {
    if (this.#isOver) return;
    this.#noticeSleep();
    this.#askOthers();
    const { own, order, passedOver } = this.#options;
    const candidates = [...this.#candidates.values()].sort((a, b) => a.index - b.index);
    for (const candidate of candidates) {
      const { index, where, place, question } = candidate;
      if (where?.state !== STATE.HERE || passedOver.has(place)) continue;
      // A stand-by never goes to one behind it.
      if (own !== undefined && index > own && index < order.length) continue;
      if (this.#counts(candidate)) {
        return this.#end({ type: "join", entry: place, question: question! });
      }
    }
    if (own === undefined) return;
    if (order.slice(0, own).every((_, i) => this.#isOut(this.#at(i), own))) {
      this.#end({ type: "host" });
    }
  }

  #tick(): void {
    for (const { question, where } of this.#candidates.values()) {
      if (question && where && question.silentMs >= STALE_MS) this.#forget(question);
    }
    for (const [key, candidate] of [...this.#candidates]) {
      if (this.#candidates.get(key) === candidate) this.#follow(candidate);
    }
    this.#decide();
    this.#tickedAt = this.#options.clock.now();
    if (!this.#isOver) this.#timer = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  /** Its connection seems to be dead: another is tried. */
  #forget(question: Q): void {
    for (const candidate of this.#candidates.values()) {
      if (candidate.question !== question) continue;
      question.close();
      this.#ended(candidate, "failed");
    }
  }

  #end(found: Found<Q> | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.clock.cancel(this.#timer);
    const kept = found?.type === "join" ? found.question : undefined;
    for (const { question, timer } of this.#candidates.values()) {
      this.#options.clock.cancel(timer);
      if (question !== kept) question?.close();
    }
    if (found) this.#resolve(found);
  }
}

/** Whether it is the host of the order, and not one that the host has named. */
function isHost({ index, depth }: Pick<Candidate<never>, "index" | "depth">): boolean {
  return index === 0 && depth === 0;
}
