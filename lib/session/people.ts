/**
 * The people of a room: who is shown, who is lost, and the streams of their instances (PROTOCOL.md §6, "People").
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock } from "../base/clock.ts";
import { KEPT_MS, STREAMS_REMEMBERED } from "../protocol/limits.ts";
import type { GivenUp } from "./outbox.ts";
import { Stream } from "./streams.ts";

/** An FP that was in the roster for this long without being shown is warned about, §6. */
export const UNAUTHENTICATED_MS = 30_000;
/** Lost instances of one person that get copies, §6. */
export const MAX_LOST_INSTANCES = 4;
/** People remembered, besides those of the roster and those with streams. */
const MAX_PEOPLE = 1024;

/** A clock that stands still while there is no connection. */
class ConnectedClock {
  readonly #clock: Clock;
  #before = 0;
  #since: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#before + (this.#since === undefined ? 0 : this.#clock.now() - this.#since);
  }

  start(): void {
    this.#since ??= this.#clock.now();
  }

  stop(): void {
    this.#before = this.now();
    this.#since = undefined;
  }
}

/** A person, shown or not: everything with one fingerprint. */
export class Person {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly streams = new Set<Stream>();
  /** How many entries of the roster it has. */
  listed = 0;
  /** The warning that it cannot be authenticated was given, and it was not shown since. */
  warned = false;
  /** How long it was in the roster without being shown, up to `unshownSince`. */
  unshownMs = 0;
  unshownSince: number | undefined;
  /** The clock's time when it was shown for the first time. */
  firstShownAt: number | undefined;
  /** The last nick of a member, as sent. */
  nick = "";

  constructor(fingerprint: string) {
    this.fingerprint = fingerprint;
  }

  /** A channel with one of its members is up. */
  get shown(): boolean {
    return this.streams.values().some(({ holder }) => holder !== undefined);
  }

  /** One of its instances is lost. */
  get lost(): boolean {
    return this.streams.values().some(({ lostAt }) => lostAt !== undefined);
  }

  /** When the last of its lost instances was, as {@linkcode Stream.lostAt} has it. */
  get lostAt(): number | undefined {
    const times = [...this.streams].flatMap(({ lostAt }) => lostAt ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /** How long its instances were shown in all. */
  get shownMs(): number {
    return this.streams.values().reduce((sum, { shownMs }) => sum + shownMs, 0);
  }

  /** The streams that get a copy of what is for this person. */
  get addressed(): Stream[] {
    return [...this.streams].filter(({ holder, lostAt }) => holder || lostAt !== undefined);
  }
}

interface PeopleOptions {
  readonly clock: Clock;
  /** Gives up what a stream holds. */
  giveUp(stream: Stream, why: GivenUp): void;
  /** A stream is waited for no longer: it may hold too much now. */
  waive(stream: Stream): void;
  /** In the roster for 30 s without being shown. */
  warn(person: Person): void;
  /** How long somebody is lost, in ms; asked once KEPT_MS are over. */
  keptMs(person: Person): number;
}

/** Everybody who is or was in the room. */
export class People {
  readonly #options: PeopleOptions;
  readonly #connected: ConnectedClock;
  readonly #people = new BoundedMap<string, Person>(
    MAX_PEOPLE,
    ({ listed, streams }) => listed === 0 && streams.size === 0,
  );
  /** The one used longest ago first. */
  readonly #streams = new Map<string, Stream>();
  #capacity = Infinity;

  constructor(options: PeopleOptions) {
    this.#options = options;
    this.#connected = new ConnectedClock(options.clock);
  }

  /** The time, without that in which there was no connection. */
  now(): number {
    return this.#connected.now();
  }

  /** WELCOME. */
  connect(capacity: number): void {
    this.#capacity = capacity;
    this.#connected.start();
    this.#limitLost();
  }

  /** The connection is gone, and with it the roster. */
  disconnect(): void {
    this.#connected.stop();
  }

  get(fingerprint: string): Person {
    const person = this.#people.get(fingerprint) ?? new Person(fingerprint);
    this.#people.renew(fingerprint, person);
    return person;
  }

  /** The person with a fingerprint, if it is shown or lost. */
  find(fingerprint: string): Person | undefined {
    const person = this.#people.get(fingerprint);
    return person && (person.shown || person.lost) ? person : undefined;
  }

  /** The people shown or lost: whom a message to the room is for. */
  addressed(): Person[] {
    return [...this.#people.values()].filter((person) => person.shown || person.lost);
  }

  /** The streams that nobody waits for and that hold something, by person, the one shown for the shortest time first. */
  waived(): Stream[][] {
    return [...this.#people.values()].sort((a, b) => a.shownMs - b.shownMs).map(({ streams }) =>
      [...streams].filter(({ waived, items }) => waived && items.length > 0)
    );
  }

  /** All streams. */
  streams(): Iterable<Stream> {
    return this.#streams.values();
  }

  /** A member with this fingerprint has entered the roster. */
  list(fingerprint: string): void {
    const person = this.get(fingerprint);
    person.listed++;
    this.#watch(person);
  }

  /** One of its members has left the roster. */
  unlist(fingerprint: string): void {
    const person = this.get(fingerprint);
    person.listed--;
    this.#watch(person);
  }

  /** HELLO of a member of the roster was taken: the instance is shown. */
  show(member: { readonly sid: string; readonly person: Person }, instance: string): Stream {
    const { fingerprint } = member.person;
    const stream = this.#streams.get(keyOf({ fingerprint, instance })) ??
      new Stream(fingerprint, instance, this.#options.clock);
    this.#renew(stream);
    member.person.streams.add(stream);
    stream.show(member);
    member.person.firstShownAt ??= this.#options.clock.now();
    member.person.unshownMs = 0;
    member.person.warned = false;
    this.#watch(member.person);
    this.#forgetIdle();
    return stream;
  }

  /** The channel of a shown instance has ended: it is lost. */
  lose(stream: Stream): void {
    const person = this.#hide(stream);
    stream.lostAt = this.now();
    this.#options.waive(stream);
    const lost = [...person.streams].filter(({ lostAt }) => lostAt !== undefined);
    for (const old of lost.sort(byLoss).slice(0, -MAX_LOST_INSTANCES)) this.#drop(old, "failed");
    this.#watch(person);
    this.#limitLost();
  }

  /** The instance has left for good, was removed, or refuses a channel after it was lost. */
  leave(stream: Stream, why: GivenUp): void {
    const person = this.#hide(stream);
    this.#drop(stream, why);
    this.#watch(person);
  }

  /** The channel has ended for good: what waits for the person is given up, unless another instance is shown. */
  refuse(stream: Stream): void {
    const person = this.#hide(stream);
    stream.lostAt = undefined;
    if (!person.shown) {
      for (const each of person.streams) this.#options.giveUp(each, "failed");
    }
    this.#options.waive(stream);
    this.#watch(person);
  }

  #hide(stream: Stream): Person {
    stream.hide();
    this.#renew(stream);
    return this.get(stream.fingerprint);
  }

  /** The stream was used last. */
  #renew(stream: Stream): void {
    const key = keyOf(stream);
    this.#streams.delete(key);
    this.#streams.set(key, stream);
  }

  /** Applies the time limits; call it about once a second. */
  tick(): void {
    for (const stream of this.#streams.values()) {
      if (stream.lostAt === undefined) continue;
      const lostMs = this.now() - stream.lostAt;
      if (lostMs < KEPT_MS || lostMs < this.#options.keptMs(this.get(stream.fingerprint))) continue;
      stream.lostAt = undefined;
    }
    for (const person of this.#people.values()) {
      const { warned, unshownMs, unshownSince } = person;
      if (warned || unshownSince === undefined) continue;
      if (unshownMs + this.#options.clock.now() - unshownSince < UNAUTHENTICATED_MS) continue;
      person.warned = true;
      this.#options.warn(person);
    }
  }

  /** Counts the time in the roster without being shown. */
  #watch(person: Person): void {
    const now = this.#options.clock.now();
    const isUnshown = person.listed > 0 && !person.shown;
    if (isUnshown) person.unshownSince ??= now;
    else if (person.unshownSince !== undefined) {
      if (!person.shown) person.unshownMs += now - person.unshownSince;
      person.unshownSince = undefined;
    }
  }

  /** Stops addressing an instance. */
  #drop(stream: Stream, why: GivenUp): void {
    stream.lostAt = undefined;
    this.#options.giveUp(stream, why);
  }

  /** At most as many people are lost as the room has places; those shown for the shortest time are given up first. */
  #limitLost(): void {
    const lost = this.#people.values().filter((person) => person.lost && !person.shown).toArray();
    lost.sort((a, b) => a.shownMs - b.shownMs);
    for (const person of lost.slice(0, Math.max(0, lost.length - this.#capacity))) {
      for (const stream of person.streams) this.#drop(stream, "failed");
    }
  }

  /** Forgets the numbers of the streams that were idle longest. */
  #forgetIdle(): void {
    const idle = this.#streams.entries().filter(([, { holder, lostAt, items }]) =>
      !holder && lostAt === undefined && items.length === 0
    ).toArray();
    for (const [key, stream] of idle.slice(0, Math.max(0, idle.length - STREAMS_REMEMBERED))) {
      this.#streams.delete(key);
      this.#people.get(stream.fingerprint)?.streams.delete(stream);
    }
  }
}

function keyOf({ fingerprint, instance }: Pick<Stream, "fingerprint" | "instance">): string {
  return `${fingerprint} ${instance}`;
}

function byLoss(a: Stream, b: Stream): number {
  return a.lostAt! - b.lostAt!;
}
