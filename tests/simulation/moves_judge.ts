/**
 * Judges what a village does: what has to hold at every moment while its room moves (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, decodeHex, encodeHex, equalBytes } from "../../lib/base/bytes.ts";
import {
  CONTEXT_SUCCESSION,
  decodeList,
  encodeList,
  type Entry,
  type List,
  listMessage,
} from "../../lib/protocol/succession.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import type { OwnRelay } from "../../lib/session/own_relay.ts";
import { keyOf } from "../../lib/session/passed_over.ts";
import type { Random } from "./random.ts";
import { Program, Words } from "./moves_words.ts";
import { TAG, type Village, type Villager } from "./village.ts";

/** A client that has heard its host within this time has not lost it. */
const HEARD_MS = 2000;
/** `others` counts who was heard in 6 s; what is looked at now and then adds to it. */
const COUNTED_MS = 7000;
/** A stand-by that hears nothing hosts within this, and what one that says "lost" costs for each before it. */
const LOST_MS = 20_000;
const HELD_MS = 10_000;
/** An answer counts at the latest after this, whatever others say. */
const HERE_MS = 10_000;
/** Who was there for so long could be asked. */
const SETTLED_MS = 5000;
/** Connections from one computer to another in a second. */
const MAX_DIALS = 12;

/** Watches a village from its beginning. */
export class MovesJudge {
  readonly #village: Village;
  readonly #log: (text: string) => void;
  readonly #programs = new Map<Villager, Program>();
  readonly #seen = new Map<Villager, number>();
  readonly #words: Words;
  /** Who has signed each list, by its hex digits. */
  readonly #signed = new Map<string, Program>();
  /** Whose relays a list has named. */
  readonly #named = new Set<string>();
  /** All lists, for whoever wants to say one again. */
  readonly #lists: { person: Villager; signature: Bytes; list: List }[] = [];
  readonly #dials = new Map<string, number[]>();
  /** How often a relay has opened the room. */
  moves = 0;
  failure: string | undefined;
  /** Who lies. */
  liar: Villager | undefined;

  constructor(village: Village, log: (text: string) => void) {
    this.#village = village;
    this.#log = log;
    this.#words = new Words({
      now: () => this.#now,
      programWith: (fingerprint) => this.#programWith(fingerprint),
      fail: (what) => this.fail(what),
    });
    village.onStart = (person, joins) => this.#starts(person, joins);
    village.onServe = (person, own) => this.#watch(person, own);
    village.onDial = (from, to) => this.#countDial(from, to);
  }

  get messages(): number {
    return this.#words.count;
  }

  get #now(): number {
    return this.#village.clock.now;
  }

  fail(what: string): void {
    this.failure ??= what;
  }

  /** A program starts. @param joins Whose computer it was told to join. */
  #starts(person: Villager, joins: Villager | undefined): void {
    const program = new Program(person, joins);
    program.awakeSince = this.#now;
    this.#watchLists(person);
    this.#programs.set(person, program);
    this.#seen.set(person, person.events.length);
  }

  #programOf(person: Villager): Program {
    return this.#programs.get(person)!;
  }

  /** Whoever runs and tells the truth. */
  get honest(): Villager[] {
    return this.#village.people.filter((person) => person !== this.liar && person.isAlive);
  }

  /** The honest who have been in the room. */
  get present(): Villager[] {
    return this.honest.filter((person) => this.#programOf(person).enteredAt !== undefined);
  }

  #ownerOf(relay: Bytes): Villager | undefined {
    return this.#village.people.find((it) => it.relayIs(relay));
  }

  // --- The relays ---

  #watch(person: Villager, own: OwnRelay): void {
    const { sign, open, shut } = own;
    own.sign = (context, message) => {
      // After the relay and the room.
      if (context !== CONTEXT_SUCCESSION) return sign(context, message);
      const list = decodeList(message.slice(64));
      const signature = sign(context, message);
      this.#names(person, list);
      void signature.then((it) => this.#lists.push({ person, signature: it, list }));
      return signature;
    };
    own.open = (room, joinKey) => {
      this.moves++;
      this.#log(`${person.nick} hosts`);
      this.#programOf(person).before = new Set();
      const hasEntered = this.#programOf(person).enteredAt !== undefined;
      if (hasEntered && person.session.joined && person.session.silentMs! < HEARD_MS) {
        this.fail(`${person.nick} opens the room and has not lost its host`);
      }
      open(room, joinKey);
    };
    own.shut = (room) => {
      this.#givesWay(person, own);
      shut(room);
    };
  }

  /** Only the relay that a program has joined last names anybody to it. */
  #watchLists({ nick, events, lastLists, place }: Villager): void {
    if (Object.hasOwn(lastLists, "keep")) return; // it was watched before
    const { keep } = lastLists;
    lastLists.keep = (room, list) => {
      const { relay } = list.entries[list.at]!;
      const joined = events.findLast((event) => event.event === "connected");
      const isOwn = equalBytes(relay, place.relay);
      if (!isOwn && joined && encodeFingerprint(relay) !== joined.fingerprint) {
        this.fail(`${nick} takes a list of ${this.#ownerOf(relay)?.nick}, whose room it has left`);
      }
      keep.call(lastLists, room, list);
    };
  }

  /** A host signs a list. */
  #names(person: Villager, list: List): void {
    const program = this.#programOf(person);
    program.said = list;
    this.#signed.set(encodeHex(encodeList(list)), program);
    for (const [i, entry] of list.entries.entries()) {
      const key = keyOf(entry);
      this.#named.add(key);
      if (i < list.at) program.before.add(key);
      if (i > list.at && this.#ownerOf(entry.relay)?.isFirewalled) {
        this.fail(`${person.nick} names a relay that nobody reaches`);
      }
    }
  }

  /** With others, a host goes only to one before it. */
  #givesWay(person: Villager, own: OwnRelay): void {
    const { said, before } = this.#programOf(person);
    const next = said?.entries[said.at + 1];
    if (own.others(TAG) === 0 || !next || !person.session.joined) return;
    if (before.has(keyOf(next))) return;
    this.fail(`${person.nick} gives way to one that did not stand before it`);
  }

  #countDial(from: Villager, to: Villager): void {
    const key = `${from.nick} ${to.nick}`;
    const since = this.#now - 1000;
    const times = (this.#dials.get(key) ?? []).filter((at) => at > since);
    this.#dials.set(key, [...times, this.#now]);
    if (from !== to && times.length >= MAX_DIALS) {
      this.fail(`${from.nick} connects to ${to.nick} more than ${MAX_DIALS} times a second`);
    }
  }

  // --- What is seen now and then ---

  look(): void {
    for (const person of this.#village.people) {
      this.#takeEvents(person);
      if (!person.isAlive) continue;
      if (person.clock.asleep) this.#programOf(person).awakeSince = this.#now;
      if (person === this.liar) continue;
      const { joined, silentMs = Infinity } = person.session;
      if (joined && silentMs < HEARD_MS) this.#programOf(person).heardAt = this.#now - silentMs;
      this.#lookAtList(person);
      this.#lookForHost(person);
    }
    for (const person of this.honest) {
      this.#noteReach(person);
      this.#countOthers(person);
    }
  }

  /** Every list that is held was signed by the relay that was joined, and they only get newer. */
  #lookAtList(person: Villager): void {
    const program = this.#programOf(person);
    const { list } = person.session.succession!;
    if (!list || list === program.list) return;
    program.list = list;
    const { relay } = list.entries[list.at]!;
    if (list.serial === 0 || person.relayIs(relay) || !person.session.joined) return;
    const signer = this.#signed.get(encodeHex(encodeList(list)));
    const { nick } = person;
    if (!signer) return this.fail(`${nick} holds a list that no relay has signed`);
    if (!program.relays.slice(-2).includes(encodeFingerprint(relay))) {
      return this.fail(
        `${nick} takes a list of ${signer.person.nick}, whose relay it has not joined`,
      );
    }
    const key = `${signer.person.nick} ${signer.person.starts}`;
    if (list.serial < (program.serials.get(key) ?? 0)) this.fail(`${nick} takes an older list`);
    program.serials.set(key, list.serial);
  }

  /** A stand-by that hears nobody hosts soon. */
  #lookForHost(person: Villager): void {
    const program = this.#programOf(person);
    const mayHost = program.enteredAt !== undefined && this.#standsBy(person);
    if (!mayHost || person.session.succession!.hosts) return;
    const { list } = program;
    const rank = list!.entries.findIndex(({ relay }) => person.relayIs(relay));
    const silentMs = this.#now - Math.max(program.heardAt, program.awakeSince);
    if (silentMs <= LOST_MS + HELD_MS * (rank - list!.at)) return;
    this.fail(`${person.nick} has lost the room for long and does not host`);
  }

  /** Whether the list that it holds names it. */
  #standsBy(person: Villager): boolean {
    const { list } = this.#programOf(person);
    return list !== undefined &&
      list.entries.findIndex(({ relay }) => person.relayIs(relay)) > list.at;
  }

  #noteReach(person: Villager): void {
    const { reached, apart } = this.#programOf(person);
    const { cables } = this.#village;
    for (const other of this.#village.people) {
      const program = this.#programOf(other);
      if (other.isAlive && cables.reaches(other, person)) reached.set(program, this.#now);
      if (!other.isAlive || !cables.connects(person, other)) apart.set(program, this.#now);
    }
  }

  /** `others` counts nobody who cannot have been heard. */
  #countOthers(person: Villager): void {
    const program = this.#programOf(person);
    const isAwake = this.#now - program.awakeSince > COUNTED_MS;
    if (!isAwake || !person.session.succession!.hosts) return;
    const most = program.reached.entries().filter(([other, at]) =>
      other !== program && this.#now - at <= COUNTED_MS
    );
    const count = person.own!.others(TAG);
    if (count > [...most].length) this.fail(`${person.nick} counts ${count} others, dead ones too`);
  }

  // --- What is shown ---

  #takeEvents(person: Villager): void {
    const seen = this.#seen.get(person) ?? 0;
    for (const event of person.events.slice(seen)) this.#take(person, event);
    this.#seen.set(person, person.events.length);
  }

  #nickOf(fingerprint: string): string {
    return this.#personWith(fingerprint)?.nick ?? "?";
  }

  #personWith(fingerprint: string): Villager | undefined {
    return this.#village.people.find((it) => it.fingerprint === fingerprint);
  }

  #programWith(fingerprint: string): Program | undefined {
    const person = this.#personWith(fingerprint);
    return person && this.#programOf(person);
  }

  #take(person: Villager, event: SessionEvent): void {
    const program = this.#programOf(person);
    const { nick } = person;
    switch (event.event) {
      case "joined":
        this.#words.joined(program, event.fingerprint);
        return this.#log(`${nick} sees ${event.nick} joined`);
      case "left":
        return this.#log(`${nick} sees ${event.nick} left`);
      case "undelivered":
        this.#log(`${nick}: ${event.id} does not reach ${event.to.map((it) => this.#nickOf(it))}`);
        return this.#words.undelivered(program, event);
      case "disconnected":
        program.isGivingWay = event.reason === "moved";
        return this.#log(`${nick} is disconnected: ${event.reason}`);
      case "sent":
        this.#log(`${nick} sends ${event.id} to ${event.to.map((it) => this.#nickOf(it))}`);
        return this.#words.sent(program, event);
      case "chat":
        return this.#words.shown(program, event);
      case "connected":
        return this.#joins(program, event.fingerprint);
      case "welcome":
        program.enteredAt ??= this.#now;
        return;
      case "moved":
        this.#log(`${nick} moves to ${event.address}`);
        // A lone host that gives way goes to whoever the rules for two hosts choose.
        if (!event.own && !program.isGivingWay) this.#passes(program, event.fingerprint);
        return;
      case "error":
        if (event.code === "fatal") this.fail(`${nick}: ${event.message}`);
    }
  }

  /** Nobody joins a relay that was not typed, named, or announced. */
  #joins(program: Program, fingerprint: string): void {
    const owner = this.#village.people.find((it) => it.relayFingerprint === fingerprint);
    program.relays.push(fingerprint);
    const isKnown = owner && (owner === program.joins || owner === program.person ||
      this.#named.has(keyOf(owner.place)));
    if (isKnown) return;
    this.fail(`${program.person.nick} joins a relay that nobody has named: ${owner?.nick}`);
  }

  /** Who has lost its host goes past no stand-by that could be asked, before 10 s are over. */
  #passes(program: Program, fingerprint: string): void {
    const { list, heardAt, person, apart } = program;
    const next = list?.entries.findIndex((it) =>
      this.#ownerOf(it.relay)?.relayFingerprint === fingerprint
    );
    if (person === this.liar || !list || next === undefined) return;
    if (this.#now - heardAt > HERE_MS) return;
    for (const entry of list.entries.slice(list.at + 1, Math.max(next, 0))) {
      const passed = this.#ownerOf(entry.relay)!;
      const isOut = !passed.isAlive || passed === person || passed === this.liar ||
        !this.#isSettled(passed) || this.#programOf(passed).relays.at(-1) === fingerprint ||
        person.session.succession!.passedOver.has(entry);
      const since = Math.max(
        apart.get(this.#programOf(passed)) ?? -Infinity,
        this.#programOf(passed).enteredAt ?? Infinity,
      );
      if (isOut || heardAt - since < SETTLED_MS) continue;
      this.fail(`${person.nick} goes past ${passed.nick}, which stands before`);
    }
  }

  // --- Moments ---

  /**
   * A member of the room, at another terminal of one who has hosted it, sends a list that does not count: of an earlier
   * time, of an earlier relay, newly signed by that, or with a signature that is wrong.
   */
  async forge(victim: Villager, random: Random): Promise<void> {
    const { membership, succession, joined } = victim.session;
    if (!joined) return;
    const members = [...membership.roster.members.values()];
    // The last list of one who hosted this member before, of one who is here, or any.
    const hosts = this.#lists.filter(({ person }) =>
      members.some(({ name }) => name === person.fingerprint)
    );
    const last = [...new Map(hosts.map((it) => [it.person, it])).values()];
    if (last.length === 0) return;
    const relays = this.#programOf(victim).relays;
    const isHost = (person: Villager) => person.relayFingerprint === relays.at(-1);
    const former = last.filter(({ person }) =>
      relays.includes(person.relayFingerprint) && !isHost(person)
    );
    const isFormer = former.length > 0 && random.chance(0.7);
    const said = random.pick(isFormer ? former : random.chance(0.5) ? last : hosts);
    const { person, list } = said;
    const host = members.find(({ name }) => name === person.fingerprint)!;
    const forged = random.chance(0.3) ? list : { ...list, serial: list.serial + 10_000 };
    const message = listMessage({ host: person.place.relay, room: decodeHex(TAG) }, forged);
    const signature = random.chance(0.3) || isHost(person) || !person.relay
      ? said.signature
      : await person.relay.sign(CONTEXT_SUCCESSION, message);
    // Another terminal has a sid of its own.
    succession!.message(Object.create(host), { type: "succession", signature, list: forged });
  }

  /** A host quits: the first stand-by hosts at once. @returns What has to be so a moment later. */
  expectFirst(host: Villager): () => void {
    const { list, hosts } = host.session.succession!;
    const [first] = list?.entries.slice(list.at + 1) ?? [];
    const heir = first && this.#ownerOf(first.relay);
    const held = heir?.isAlive ? heir.session.succession!.list : undefined;
    const isReady = hosts && heir?.isAlive && heir !== this.liar && heir.session.joined &&
      this.#isSettled(heir) && this.#village.cables.connects(host, heir) &&
      heir.session.silentMs! < HEARD_MS && held?.entries[held.at + 1] &&
      host.relayIs(held.entries[held.at]!.relay) &&
      heir.relayIs(held.entries[held.at + 1]!.relay);
    const at = this.#now;
    return () => {
      if (!isReady || heir.session.succession!.hosts) return;
      this.fail(`${host.nick} quits at ${at}, and ${heir.nick} does not host at once`);
    };
  }

  #isSettled(person: Villager): boolean {
    return !person.clock.asleep && this.#now - this.#programOf(person).awakeSince >= SETTLED_MS;
  }

  // --- The end ---

  /** Why not everybody is with everybody. */
  get rift(): string | undefined {
    const { present } = this;
    const hosts = present.filter(({ session }) => session.succession?.hosts);
    if (hosts.length !== 1) return `${hosts.length} host: ${hosts.map(({ nick }) => nick)}`;
    for (const { nick, session } of present) {
      if (!session.joined) return `${nick} is in no room`;
      const here = new Set(session.people().map(({ fingerprint }) => fingerprint));
      const missing = present.find((other) => other.nick !== nick && !here.has(other.fingerprint));
      if (missing) return `${nick} does not see ${missing.nick}`;
    }
    return undefined;
  }

  /**
   * Why the rules do not make one room of what there is: nobody who runs may host; or there are hosts that do not give
   * way to each other, or somebody knows none of those who could tell where the room is.
   */
  get excuse(): "hostless" | "split" | undefined {
    const { present } = this;
    const hosts = present.filter(({ session }) => session.succession?.hosts);
    if (hosts.length === 0) {
      return present.some((one) => this.#standsBy(one)) ? undefined : "hostless";
    }
    const knowsWay = (one: Villager) =>
      one.session.joined ||
      present.some((other) => other.own && other.session.joined && this.#knows(one, other));
    const isOne = present.every(knowsWay) &&
      hosts.every((one) => hosts.every((other) => one === other || this.#becomeOne(one, other)));
    return isOne ? undefined : "split";
  }

  /** Whether hosts find each other only by looking around, which they do once a minute. */
  get needsLook(): boolean {
    const hosts = this.present.filter(({ session }) => session.succession?.hosts);
    return hosts.some((one) => hosts.some((other) => one !== other && !this.#hears(one, other)));
  }

  #becomeOne(one: Villager, other: Villager): boolean {
    return this.#yields(one, other) || this.#yields(other, one);
  }

  /** Whether a host gives way to another in the end. */
  #yields(one: Villager, other: Villager): boolean {
    const [here, there] = [one, other].map(({ own }) => own!.others(TAG)) as [number, number];
    if (here > 0) return there > 0 && this.#programOf(one).before.has(keyOf(other.place));
    return this.#hears(one, other) || one.knows(other.own!.key);
  }

  /** Whether a host asks another without looking around: it knows where it is, or is called. */
  #hears(one: Villager, other: Villager): boolean {
    const isCalled = this.#programOf(one).met.has(other.fingerprint) && this.#knows(other, one);
    return this.#knows(one, other) || isCalled;
  }

  #knows({ session }: Villager, other: Villager): boolean {
    const entries: readonly Entry[] = session.succession?.list?.entries ?? [];
    return entries.some(({ relay }) => other.relayIs(relay));
  }

  /** What somebody who was there all the time has not been shown of what is for them. */
  get missing(): string | undefined {
    return this.#words.missingOf(this.honest.map((person) => this.#programOf(person)));
  }
}
