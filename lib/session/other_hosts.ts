/**
 * The host's side of two hosts that become one: who is asked, and when this one gives way (PROTOCOL.md §14).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { type Entry, type Place, STATE, type Whereabouts } from "../protocol/succession.ts";
import { NO_PERSON } from "./first_lists.ts";
import type { Inquiry, InquiryListener } from "./inquiry.ts";
import type { LastShown } from "./last_shown.ts";
import { keyOf, type PassedOver } from "./passed_over.ts";

/** Between two rounds of questions while this host is alone or young, or counts the time of another. */
const QUICK_MS = 2000;
/** At other times. */
const SLOW_MS = 10_000;
/** For this long a host is young. */
const YOUNG_MS = 60_000;
/** For this long it is not alone: the others are on their way. */
const GATHERING_MS = 5000;
/** For so long one before this host has had others before one with others gives way, or two are alone that know no order. */
const AGREED_MS = 8000;
/** Of two that are alone and know no order, the smaller key goes as well after so long: the other may not know it. */
const UNKNOWN_MS = 30_000;
/** Of two that are alone and stand before each other, the smaller key lets the other come for so long: less than a round. */
const TIE_MS = 1000;
/** A clock that is late by so much was stopped. */
const ASLEEP_MS = 2000;
/** After that, in so long it is heard who is there. */
const AWAKE_MS = 3000;
/** Between two looks around of a host that is alone. */
const LOOK_MS = 60_000;
/** "At X" is followed so many times in a row. */
const MAX_FOLLOWED = 4;
/** An answer is used for a JOIN within this time, or this host goes on asking. */
const JOIN_MS = 12_000;
/** Relays that were named, and people who have left. */
const MAX_REMEMBERED = 256;
/** Hosts that have said where they are: each round they are all dialled, wherever they say. */
const MAX_VISITORS = 8;

/** What it needs. */
export interface OtherHostsOptions {
  readonly clock: Clock;
  readonly passedOver: PassedOver;
  /** Who stood before this host. */
  readonly before: readonly Entry[];
  /** Who was shown in the room, here and wherever it was before. */
  readonly lastShown: LastShown;
  /** Our own entry, by the key of its relay and port. */
  isOwn(place: Place): boolean;
  /** Who is named now, or was by the host before. */
  named(): readonly Entry[];
  /** Other persons that were heard lately. */
  others(): number;
  /** The fingerprints, 32 bytes, of whom is shown here and was heard lately. */
  present(): readonly Bytes[];
  ask(place: Place, listener: InquiryListener): Inquiry;
  /** Relays on this network with known keys. */
  look(): Promise<readonly Place[]>;
  /** Whether our relay has the smaller fingerprint. */
  isSmaller(relay: Bytes): boolean;
  /** Another host is to take over. @param inquiry It has answered "here", and is not closed. */
  giveWay(to: Entry, inquiry: Inquiry): void;
}

interface Answer {
  readonly entry: Entry;
  readonly isBefore: boolean;
  readonly others: number;
  readonly inquiry: Inquiry;
}

/** Asks other hosts from its making on until it is stopped. */
export class OtherHosts {
  readonly #options: OtherHostsOptions;
  readonly #begunAt: number;
  readonly #before = new Map<string, Entry>();
  /** Whom this host has named, or the one before it. */
  readonly #named = new BoundedMap<string, Entry>(MAX_REMEMBERED);
  /** Who has left for good, by fingerprint in hex; whoever named them may still do so. */
  readonly #gone = new BoundedMap<string, true>(MAX_REMEMBERED);
  /** Hosts that have come to ask and said where they are, one for each person, by fingerprint in hex. */
  readonly #visitors = new BoundedMap<string, Entry>(MAX_VISITORS);
  /** Since when another says what this host gives way to in the end. */
  readonly #agreed = new Map<string, number>();
  #lookedAt = -Infinity;
  #found: readonly Place[] = [];
  #timer: Timer | undefined;
  #dueAt = 0;
  #isStopped = false;

  constructor(options: OtherHostsOptions) {
    this.#options = options;
    this.#begunAt = options.clock.now();
    for (const entry of options.before) this.#before.set(keyOf(entry), entry);
    this.#wait(QUICK_MS);
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#isStopped = true;
    this.#options.clock.cancel(this.#timer);
  }

  /** A person has left for good: nobody goes where they are. */
  quit(person: Bytes): void {
    const name = encodeHex(person);
    for (const entries of [this.#before, this.#named]) {
      for (const [key, entry] of entries) if (encodeHex(entry.person) === name) entries.delete(key);
    }
    this.#visitors.delete(name);
    this.#gone.renew(name, true);
  }

  /** A host of the same room has come to ask and said where it is. */
  visited(person: Bytes, place: Place): void {
    if (!this.#options.lastShown.has(person)) return;
    const name = encodeHex(person);
    this.#gone.delete(name); // it has come back
    this.#visitors.renew(name, { ...place, person });
  }

  get #isAlone(): boolean {
    return this.#options.others() === 0;
  }

  #wait(ms: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#dueAt = clock.wallTime() + ms;
    this.#timer = clock.after(ms, () => void this.#wake());
  }

  async #wake(): Promise<void> {
    const { clock } = this.#options;
    if (clock.wallTime() - this.#dueAt >= ASLEEP_MS) return this.#wait(AWAKE_MS);
    const hasOffered = await this.#ask();
    if (hasOffered) return this.#wait(JOIN_MS);
    const isYoung = clock.now() - this.#begunAt < YOUNG_MS;
    const isQuick = this.#isAlone || isYoung || this.#agreed.size > 0;
    this.#wait(isQuick ? QUICK_MS : SLOW_MS);
  }

  /** @returns Whether this host gives way. */
  async #ask(): Promise<boolean> {
    this.#noticePresent();
    await this.#lookAround();
    const answers = await Promise.all(this.#targets().map((entry) => this.#askOne(entry)));
    const chosen = this.#isStopped
      ? undefined
      : this.#judge(answers.filter((it) => it !== undefined));
    for (const answer of answers) if (answer !== chosen) answer?.inquiry.close();
    if (chosen) this.#options.giveWay(chosen.entry, chosen.inquiry);
    return chosen !== undefined;
  }

  /** Who has joined here is before this host no longer. */
  #noticePresent(): void {
    const { lastShown, present, named } = this.#options;
    for (const person of present()) {
      const name = encodeHex(person);
      lastShown.add(person);
      this.#gone.delete(name);
      for (const [key, entry] of this.#before) {
        if (encodeHex(entry.person) === name) this.#before.delete(key);
      }
    }
    for (const entry of named()) this.#named.renew(keyOf(entry), entry);
  }

  async #lookAround(): Promise<void> {
    const { clock, look } = this.#options;
    if (!this.#isAlone) this.#found = [];
    else if (clock.now() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = clock.now();
      this.#found = await look().catch(() => []);
    }
  }

  /** Everybody who may host and is not here, those before this host first. */
  #targets(): Entry[] {
    const { isOwn, present, passedOver } = this.#options;
    const here = new Set(present().map(encodeHex));
    const found = this.#found.map((place) => ({ ...place, person: NO_PERSON }));
    const visitors = this.#isAlone ? this.#visitors.values() : [];
    const all = new Map<string, Entry>();
    for (
      const entry of [...this.#before.values(), ...this.#named.values(), ...visitors, ...found]
    ) {
      const key = keyOf(entry);
      const name = encodeHex(entry.person);
      if (all.has(key) || isOwn(entry) || here.has(name) || this.#gone.has(name)) continue;
      if (!passedOver.has(entry)) all.set(key, entry);
    }
    return [...all.values()];
  }

  /** Asks where the room is, and follows "at X" while this host is alone. */
  async #askOne(entry: Entry): Promise<Answer | undefined> {
    let target = entry;
    for (let followed = 0; followed <= MAX_FOLLOWED; followed++) {
      const { where, inquiry } = await this.#inquire(target);
      if (where?.state === STATE.HERE) {
        const isBefore = this.#before.has(keyOf(target));
        return { entry: target, isBefore, others: where.others, inquiry };
      }
      inquiry.close();
      if (where?.state !== STATE.AT_PLACE || !this.#isAlone || this.#isStopped) return undefined;
      if (this.#options.isOwn(where.place)) return undefined;
      target = { ...where.place, person: this.#personOf(where.place) };
    }
    return undefined;
  }

  /** Whose relay it is, if a list has said so. */
  #personOf(place: Place): Bytes {
    const key = keyOf(place);
    return (this.#before.get(key) ?? this.#named.get(key))?.person ?? NO_PERSON;
  }

  async #inquire(
    target: Entry,
  ): Promise<{ where: Whereabouts | undefined; inquiry: Inquiry }> {
    const answer = Promise.withResolvers<Whereabouts | undefined>();
    const inquiry = this.#options.ask(target, {
      answered: (where) => answer.resolve(where),
      ended: () => answer.resolve(undefined),
    });
    return { where: await answer.promise, inquiry };
  }

  /** Whom this host gives way to: all answers together, in their order, so that a liar is not quicker. */
  #judge(answers: readonly Answer[]): Answer | undefined {
    const { clock, passedOver } = this.#options;
    const now = clock.now();
    const isAlone = this.#isAlone;
    const patienceMs = (answer: Answer) => this.#patienceMs(answer, isAlone);
    const claimed = new Set(
      answers.filter((it) => patienceMs(it) < Infinity).map(({ entry }) => keyOf(entry)),
    );
    for (const key of this.#agreed.keys()) if (!claimed.has(key)) this.#agreed.delete(key);
    if (isAlone && now - this.#begunAt < GATHERING_MS) return undefined;
    return answers.find((answer) => {
      const { entry } = answer;
      const key = keyOf(entry);
      if (passedOver.has(entry) || !claimed.has(key)) return false;
      const since = this.#agreed.get(key) ?? now;
      this.#agreed.set(key, since);
      return now - since >= patienceMs(answer);
    });
  }

  /** For how long another has to go on to say what it says, until this host gives way; Infinity: it never does. */
  #patienceMs({ entry, isBefore, others }: Answer, isAlone: boolean): number {
    if (!isAlone) return isBefore && others > 0 ? AGREED_MS : Infinity;
    if (others > 0) return 0;
    const isSmaller = this.#options.isSmaller(entry.relay);
    if (isBefore) return isSmaller ? TIE_MS : 0;
    return isSmaller ? UNKNOWN_MS : AGREED_MS;
  }
}
