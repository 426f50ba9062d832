/**
 * People with a computer each, in one network, in virtual time: sessions, each perhaps with a relay of its own, whose
 * cables can be pulled and whose programs can be killed.
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../../lib/base/bytes.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import { LOOPBACK } from "../../lib/base/ip.ts";
import type { HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { encodeFingerprint, type PrivateKey, type PublicKey } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import type { Place } from "../../lib/protocol/succession.ts";
import { Relay } from "../../lib/relay/mod.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import type { KnownPeers } from "../../lib/session/known_peers.ts";
import { LastLists } from "../../lib/session/last_lists.ts";
import type { FoundRelay, Network, OwnRelay } from "../../lib/session/own_relay.ts";
import type { Happening } from "../../lib/session/recorder.ts";
import { Session } from "../../lib/session/session.ts";
import type { ByteStream } from "../../lib/transport/mod.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { memoryPeers, memoryServers, reopenPeers } from "./books.ts";
import { Cables } from "./cables.ts";
import { HostClock, WorldClock } from "./clock.ts";
import { Wire } from "./network.ts";
import { Random } from "./random.ts";

const PORT = 40623;
/** Only the ids of messages are drawn in such a length. */
const ID_BYTES = 8;
const ROOM = "lobby";
/** Looking by multicast DNS takes so long. */
const LOOK_MS = 1000;
/** The room's tag, as relays name it. */
export const TAG = encodeHex(roomTag(ROOM));
/** Whom a person knows who knows others. */
const KNOWN_PEOPLE = 4;
/** A host has come to ask, and said where it is. */
type Visited = Parameters<OwnRelay["watchHosts"]>[1];
/** A network in one building. */
const QUALITY = { latency: 1, jitter: 0, capacity: 65_536, piece: Infinity, slowDial: false };

/** What a person's program is started with. */
export interface VillagerOptions {
  /** It has a relay of its own. */
  readonly serves?: boolean;
  /** It hosts from the start; else it joins this person's computer. */
  readonly joins?: Villager;
  readonly password?: string;
  /** Knows the keys of the first people, under other nicks. */
  readonly knows?: boolean;
  /** Nobody else reaches its relay. */
  readonly isFirewalled?: boolean;
  /** Other hosts that it finds when the one that it joins refuses. */
  readonly finds?: readonly Villager[];
  /** It is a terminal of this person's, on a computer of its own. */
  readonly isTerminalOf?: Villager;
  /** Other terminals of its person are told nothing. */
  readonly keepsApart?: boolean;
  /** What happened in earlier runs of its program is known in the next. */
  readonly keepsHistory?: boolean;
}

/** One person, their computer and their program. */
export class Villager {
  readonly events: SessionEvent[] = [];
  /** What was told to whoever keeps a history: the nick of whose relay it is, and whether the room was found there. */
  readonly arrivals: (readonly [nick: string, follows: boolean])[] = [];
  readonly happenings: Happening[] = [];
  readonly key: PrivateKey;
  readonly fingerprint: string;
  readonly relayKey: PrivateKey;
  readonly relayFingerprint: string;
  /** Where its relay is, once it has one. */
  readonly place: Place;
  readonly address: string;
  clock!: HostClock;
  session!: Session;
  own: OwnRelay | undefined;
  relay: Relay | undefined;
  /** Nobody gets through to its relay. */
  isFirewalled = false;
  isAlive = true;
  /** Counts the starts of the program. */
  starts = 0;
  readonly lastLists: LastLists;
  readonly knownServers = memoryServers();
  running: Promise<void> = Promise.resolve();
  /** Why the session has ended. */
  error: unknown;
  /** How wrong the computer's calendar is when its program starts, in ms. */
  skew = 0;
  /** The id of its next message, 8 bytes; random if undefined. */
  nextId: Bytes | undefined;

  constructor(
    readonly village: Village,
    readonly number: number,
    readonly nick: string,
    key: PrivateKey = cheapKey(number),
  ) {
    this.address = `10.0.0.${number}`;
    this.key = key;
    this.fingerprint = encodeFingerprint(this.key.publicKey.fingerprint);
    this.relayKey = cheapKey(100 + number);
    const { fingerprint: relay } = this.relayKey.publicKey;
    this.relayFingerprint = encodeFingerprint(relay);
    this.place = { relay, port: PORT, addresses: [this.address] };
    this.lastLists = new LastLists(undefined, { wallTime: () => this.clock.wallTime() });
  }

  /** The texts that were shown, with the nick of who wrote them. */
  get heard(): string[] {
    return this.events.flatMap((event) =>
      event.event === "chat" ? [`${event.nick}: ${event.text}`] : []
    );
  }

  /** Whether a fingerprint, 32 bytes, is of its relay. */
  relayIs(relay: Bytes): boolean {
    return equalBytes(this.place.relay, relay);
  }

  /** Whether it has pinned the key of a relay. */
  knows({ fingerprint }: PublicKey): boolean {
    return this.knownServers.findKey(encodeFingerprint(fingerprint)) !== undefined;
  }

  /** Where the room is for this person. */
  get host(): string | undefined {
    return this.session.succession?.list &&
      this.village.nameOf(this.session.succession.list);
  }

  /** The names of the events since the last call, without what was said. */
  #seen = 0;
  take<Name extends SessionEvent["event"]>(
    ...names: Name[]
  ): Extract<SessionEvent, { event: Name }>[] {
    const isWanted = (event: SessionEvent): event is Extract<SessionEvent, { event: Name }> =>
      (names as string[]).includes(event.event);
    const events = this.events.slice(this.#seen).filter(isWanted);
    this.#seen = this.events.length;
    return events;
  }
}

/** A network of villagers. */
export class Village {
  readonly clock = new WorldClock();
  readonly people: Villager[] = [];
  readonly #seed: number;
  readonly #random: Random;
  readonly cables = new Cables<Villager>();
  /** Who answers at the addresses of those who are gone. */
  #impostor: { readonly person: Villager; readonly relay: Relay } | undefined;

  /** Called with each program that starts, and whom it joins. */
  onStart: (person: Villager, joins: Villager | undefined) => void = () => {};
  /** Called with each relay of a program that starts. */
  onServe: (person: Villager, own: OwnRelay) => void = () => {};
  /** Called with each connection. */
  onDial: (from: Villager, to: Villager) => void = () => {};

  constructor(seed = 0) {
    this.#seed = seed;
    this.#random = new Random(seed, "wires");
  }

  static async use(run: (village: Village) => Promise<void>): Promise<void> {
    const village = new Village();
    try {
      await run(village);
    } finally {
      await village.end();
    }
  }

  /** Ends all programs. */
  async end(): Promise<void> {
    for (const person of this.people) if (person.isAlive) void person.session.stop();
    await this.advance(5000);
    for (const person of this.people) {
      if (!person.isAlive) continue;
      void person.relay?.stop();
      await this.advance(5000);
      person.clock.kill();
    }
  }

  /** Lets time pass. */
  async advance(ms: number): Promise<void> {
    await this.clock.run(this.clock.now + ms, () => false);
  }

  /** Starts a person's program. */
  async start(nick: string, options: VillagerOptions = {}): Promise<Villager> {
    const { isTerminalOf } = options;
    const person = new Villager(this, this.people.length + 1, nick, isTerminalOf?.key);
    person.isFirewalled = options.isFirewalled ?? false;
    this.people.push(person);
    await this.run(person, options);
    return person;
  }

  /** Starts the program of a person, perhaps again. */
  async run(person: Villager, options: VillagerOptions): Promise<void> {
    const { serves = true, joins, password, knows = false, finds } = options;
    const { keepsApart = false, keepsHistory = false } = options;
    const { key } = person;
    this.onStart(person, joins);
    person.isAlive = true;
    person.own = person.relay = undefined;
    const clock = person.clock = new HostClock(this.clock);
    clock.skew = person.skew;
    const { bytes } = new Random(this.#seed, `${person.nick} ${++person.starts}`);
    const random = (length: number) => {
      const id = length === ID_BYTES ? person.nextId : undefined;
      if (id) person.nextId = undefined;
      return id ?? bytes(length);
    };
    const own = serves ? this.#serve(person, random) : undefined;
    if (!joins) {
      own!.open(TAG, password === undefined ? undefined : new Uint8Array(own!.key.fingerprint));
    }
    const target = joins ?? person;
    person.session = new Session({
      key,
      nick: person.nick,
      room: ROOM,
      minKeyBits: 1024,
      address: `${target.address}:${PORT}`,
      knownServers: person.knownServers,
      knownPeers: makeBook(knows),
      dial: (signal) =>
        joins ? this.dial(person, target.address, signal) : person.own!.dial(signal),
      recorder: {
        arrived: (relay, follows) => {
          const isRelay = ({ number }: Villager) =>
            equalBytes(cheapKey(100 + number).publicKey.fingerprint, relay);
          person.arrivals.push([this.people.find(isRelay)?.nick ?? "?", follows]);
        },
        record: (happening) => void person.happenings.push(happening),
        since: (time) => Promise.resolve(keepsHistory ? keptSince(person, time) : []),
      },
      emit: (event) => void person.events.push(event),
      keepsApart,
      clock,
      random,
      primitives: cheapPrimitives,
      ...(password !== undefined && { password }),
      derive: (_, relay) =>
        Promise.resolve({ joinKey: new Uint8Array(relay), roomKey: new Uint8Array(32).fill(3) }),
      succession: {
        network: this.#networkOf(person),
        own: person.own,
        hosts: !joins,
        names: true,
        lastLists: person.lastLists,
        ...(finds && { lookAgain: () => Promise.resolve(finds.map(({ place }) => place)) }),
      },
    });
    person.running = person.session.run().catch((error) => void (person.error = error));
    await Promise.resolve();
  }

  #serve(person: Villager, random: RandomBytes): OwnRelay {
    const key = person.relayKey;
    let visited: Visited | undefined;
    const relay = this.#makeRelay(person, key, random, (who, place) => visited?.(who, place));
    person.relay = relay;
    const own: OwnRelay = {
      key: key.publicKey,
      port: PORT,
      addresses: () => [person.address],
      sign: (context, message) => relay.sign(context, message),
      prepare: () => Promise.resolve(true),
      open: (room, joinKey) => relay.open(room, joinKey),
      shut: (room) => relay.shut(room),
      tell: (room, where) => relay.tell(room, where),
      others: (room) => relay.others(room),
      sourceOf: (sid) => relay.sourceOf(sid),
      isHeard: (sid) => relay.isHeard(sid),
      watchHosts: (_, listener) => void (visited = listener),
      dial: () => Promise.resolve(this.#connect(person, person)),
    };
    person.own = own;
    this.onServe(person, own);
    return own;
  }

  #makeRelay(person: Villager, key: PrivateKey, random: RandomBytes, visited: Visited): Relay {
    return new Relay({
      key,
      minKeyBits: 1024,
      clock: person.clock,
      random,
      primitives: cheapPrimitives,
      cores: 2,
      host: {
        person: person.key.publicKey.fingerprint,
        onPlace: (_, who, place) => visited(who, place),
      },
    });
  }

  #networkOf(person: Villager): Network {
    return {
      dial: ({ address }, signal) => this.dial(person, address, signal, true),
      interfaces: () => [],
      look: () => this.#look(person),
    };
  }

  /** Looks by multicast DNS: who hosts is announced. */
  async #look(person: Villager): Promise<FoundRelay[]> {
    await new Promise<void>((resolve) => person.clock.after(LOOK_MS, resolve));
    return this.#findHosts(person).map(({ own, address }) => ({
      fingerprint: encodeFingerprint(own!.key.fingerprint),
      place: { port: PORT, addresses: [address] },
    }));
  }

  /** The hosts that answer a person. */
  #findHosts(person: Villager): Villager[] {
    return this.people.filter((other) =>
      other !== person && other.isAlive && !other.clock.asleep &&
      other.session.succession?.hosts && this.cables.connects(person, other)
    );
  }

  /** Where a program that starts finds the room, before it hosts. */
  findHost(person: Villager): Villager | undefined {
    const kept = person.lastLists.find(roomTag(ROOM))?.entries ?? [];
    return this.#findHosts(person).find(({ own }) =>
      kept.some(({ relay }) => equalBytes(relay, own!.key.fingerprint)) || person.knows(own!.key)
    );
  }

  /** Connects to a computer: refused where no relay listens, silence where a cable is out. */
  async dial(
    from: Villager,
    address: string,
    signal: AbortSignal,
    isSearch = false,
  ): Promise<ByteStream> {
    const to = this.people.find((person) => person.address === address);
    const { clock } = from;
    // Whoever connects goes on trying until it is told to stop.
    while (!to || to.isFirewalled && to !== from || !this.cables.connects(from, to)) {
      await this.cables.changed(signal);
    }
    if (clock.isDead) return await new Promise(() => {}); // it was killed meanwhile
    const { person, relay } = this.#impostor ?? {};
    if (isSearch && !to.isAlive && person?.isAlive && this.cables.connects(from, person)) {
      this.onDial(from, to);
      return this.#connect(from, person, relay);
    }
    if (!to.isAlive || !to.relay) throw new Deno.errors.ConnectionRefused();
    this.onDial(from, to);
    return await Promise.resolve(this.#connect(from, to));
  }

  #connect(from: Villager, to: Villager, relay = to.relay!): ByteStream {
    const wire = new Wire({
      clock: this.clock,
      random: this.#random,
      quality: QUALITY,
      client: from.clock,
      relay: to.clock,
    });
    this.cables.add({ wire, from, to });
    const [source, target] = from === to ? [LOOPBACK, LOOPBACK] : [from.address, to.address];
    relay.accept(wire.relay, source);
    return Object.assign(wire.client, {
      localAddr: { hostname: source },
      remoteAddr: { hostname: target },
    });
  }

  /** Ends a program at once. */
  kill(person: Villager): void {
    person.isAlive = false;
    person.clock.kill();
    this.cables.cut(person);
  }

  /** Pulls a cable, or puts it back. */
  plug(person: Villager, isPlugged: boolean): void {
    this.cables.plug(person, isPlugged);
  }

  /** Decides what reaches whom, besides the cables. */
  rewire(route: (from: Villager, to: Villager) => boolean): void {
    this.cables.rewire(route);
  }

  /** At the addresses of those who are gone a person's computer answers searches: with another key, and "here". */
  impersonate(person: Villager): void {
    const { bytes } = new Random(this.#seed, `${person.nick} as others`);
    const relay = this.#makeRelay(person, cheapKey(200 + person.number), bytes, () => {});
    relay.open(TAG, undefined);
    relay.others = () => 50;
    this.#impostor = { person, relay };
  }

  /** A program's client is gone without a word; its relay goes on. */
  abandon(person: Villager): void {
    this.cables.lose(person);
    void person.session.stop();
  }

  /** Stops a program, as SIGSTOP does. */
  stop(person: Villager): void {
    person.clock.sleep();
  }

  /** It goes on. */
  wake(person: Villager): void {
    person.clock.wake();
    this.cables.advance(person);
  }

  /** Ends a program as its user does. */
  async quit(person: Villager): Promise<void> {
    void person.session.stop();
    await this.advance(50);
    void person.relay?.stop();
    await this.advance(50);
    person.isAlive = false;
  }

  /** Whether the list that a person's program has kept names its own relay. */
  isNamed({ lastLists, place }: Villager): boolean {
    return lastLists.find(roomTag(ROOM), place.relay) !== undefined;
  }

  /** The nick of the host in a list. */
  nameOf({ at, entries }: { at: number; entries: readonly { person: Uint8Array }[] }): string {
    const name = encodeFingerprint(entries[at]!.person);
    return this.people.find(({ fingerprint }) => fingerprint === name)?.nick ?? "?";
  }

  /** Whose relays admit to the room now. */
  get hosts(): string[] {
    return this.people.filter(({ isAlive, session }) => isAlive && session.succession?.hosts)
      .map(({ nick }) => nick);
  }

  /** Advances until a condition holds; returns after how long. */
  async until(condition: () => boolean, limitMs = 60_000): Promise<number> {
    const start = this.clock.now;
    while (!condition()) {
      if (this.clock.now - start > limitMs) throw new Error(`not within ${limitMs} ms`);
      await this.advance(50);
    }
    return this.clock.now - start;
  }
}

function keptSince({ happenings }: Villager, time: number): HistoryEntry[] {
  return happenings.flatMap((it) =>
    it.at !== undefined && it.at >= time ? [{ ...it, at: it.at }] : []
  );
}

function makeBook(knows: boolean): KnownPeers {
  const book = memoryPeers(new Set());
  for (let number = 1; knows && number <= KNOWN_PEOPLE; number++) {
    book.remember(encodeFingerprint(cheapKey(number).publicKey.fingerprint), `person${number}`);
  }
  return reopenPeers(book);
}
