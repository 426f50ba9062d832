/**
 * Several relays as one server: this one's side of it. It keeps the rooms of all relays, sends what is for members elsewhere
 * over links, and knows which relays live.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, decodeUtf8, encodeHex, encodeUtf8 } from "../base/bytes.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../base/clock.ts";
import { VERB } from "../protocol/frames.ts";
import { FLUSH_MS } from "../protocol/limits.ts";
import { cipherReady } from "../protocol/records.ts";
import type { Application, Registry, RelaySide, Resident } from "../relay/mod.ts";
import type { Bus, BusHandlers, Entry } from "./bus.ts";
import type {
  ClusterCounts,
  ClusterEvent,
  ClusterOptions,
  ClusterState,
} from "./cluster_options.ts";
import { encodeLeft, encodeOrder } from "./entries.ts";
import { Forwarding, type LocalMember } from "./forwarding.ts";
import { ClusterKeys, RELAY_BYTES } from "./keys.ts";
import { Lives } from "./lives.ts";
import { ORDERS_KEY, SharedOrders } from "./orders.ts";
import { SharedRoom, type Surroundings } from "./shared_room.ts";
import { digestFacts } from "./values.ts";

/** Who has left never comes back, and is remembered: for ten minutes of a busy cluster, or longer. */
const MAX_GONE_SIDS = 65_536;
/** Between two looks whether everything is written that has to be before the end. */
const LOOK_MS = 20;
/** Members who have to come again after this relay was alone, at most so many a second. */
const MAX_RETURNS_PER_SECOND = 50;

/** The registry of a relay that is one of several. */
export class Cluster implements Registry {
  readonly #options: ClusterOptions;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #keys: ClusterKeys;
  readonly #defer: (action: () => void) => void;
  readonly #lives: Lives;
  readonly #around: Surroundings;
  /** The number of the last value that was sealed. */
  #sealed = 0;
  /** By key. */
  readonly #rooms = new Map<string, SharedRoom>();
  /** Of those who are here, by sid. */
  readonly #locals = new Map<string, LocalMember>();
  readonly #gone = new BoundedMap<string, true>(MAX_GONE_SIDS);
  readonly #forwarding: Forwarding;
  readonly #orders: SharedOrders;
  /** The relay, once it is there. */
  #side: RelaySide | undefined;
  /** The keys that the watch has told since it began; undefined once it has caught up. */
  #found: Set<string> | undefined;
  #hasCaughtUp = false;
  /** It has been without the bus for so long that it goes on alone. */
  #isAlone = false;
  readonly #started = Promise.withResolvers<void>();
  #isClosed = false;
  readonly #counts: ClusterCounts = {
    sent: 0,
    received: 0,
    messages: 0,
    gaps: 0,
    malformed: 0,
    written: 0,
    conflict: 0,
    unknown: 0,
    fenced: 0,
    alone: 0,
  };

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#bus = options.bus;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#defer = options.defer ?? queueMicrotask;
    this.#keys = new ClusterKeys(options.secret);
    this.#lives = this.#makeLives(digestFacts(options.capacity, options.joinKey));
    this.#forwarding = this.#makeForwarding();
    this.#around = this.#makeSurroundings();
    this.#orders = new SharedOrders({
      bus: this.#bus,
      clock: this.#clock,
      mayWrite: () => this.#around.mayWrite,
      seal: (key, plain, above) => this.#seal(key, plain, above),
      open: (key, value) => this.#keys.open(key, value),
      onOrders: (orders) => this.#side?.adopt(orders),
    });
  }

  /** What it is doing, in numbers. */
  get state(): ClusterState {
    const { leases } = this.#lives;
    return {
      relays: leases.length + 1,
      members: leases.reduce((sum, { members }) => sum + members, this.#locals.size),
      rooms: this.#rooms.values().filter(({ size }) => size > 0).toArray().length,
      undelivered: this.#forwarding.undelivered,
      held: this.#forwarding.held,
      counts: { ...this.#counts },
    };
  }

  // --- The beginning and the end ---

  /**
   * Joins the cluster.
   *
   * @returns Resolves when clients may come: this relay has its lease, and every other that has one was seen to live and
   * is like this one, or was found dead. That takes some 2 s where there are others, 6 s where they are dead.
   * @throws {UsageError} They are not like this one.
   */
  async start(): Promise<void> {
    await cipherReady();
    this.#bus.start(this.#lives.relay, this.#handlers);
    await this.#started.promise;
  }

  /** Ends this relay's part, once the relay itself has stopped; takes some 10 s at most. */
  async stop(): Promise<void> {
    const end = this.#clock.now() + FLUSH_MS;
    const isDone = () => this.#rooms.values().every(({ hasOwn }) => !hasOwn);
    while (this.#bus.isUp && !isDone() && this.#clock.now() < end) await this.#pause(LOOK_MS);
    this.#forwarding.flush();
    await this.#lives.resign();
    await this.#bus.flush();
    this.#isClosed = true;
    this.#orders.close();
    for (const room of this.#rooms.values()) room.close();
    this.#forwarding.forgetAll();
    await this.#bus.close();
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(delay, resolve));
  }

  #makeLives(facts: Bytes): Lives {
    return new Lives(encodeHex(this.#random(RELAY_BYTES)), {
      bus: this.#bus,
      clock: this.#clock,
      facts,
      address: this.#options.address ?? "",
      members: () => this.#locals.size,
      seal: (key, plain) => this.#seal(key, plain),
      open: (key, value) => this.#keys.open(key, value),
      onAlive: (relay) => {
        this.#report({ event: "relay-alive", relay: this.#lives.nameOf(relay) });
        this.#pumpAll();
      },
      onDead: (relay, name) => this.#bury(relay, name),
      onLease: () => {
        this.#pumpAll();
        void this.#rejoin();
      },
      onFenced: () => this.#fence(),
      onAlone: () => this.#isolate(),
      onFault: (error) => {
        this.#options.onFault(error);
        this.#started.reject(error);
      },
      onNews: () => {
        if (this.#lives.isSure) this.#started.resolve();
      },
    });
  }

  #report(event: ClusterEvent): void {
    this.#options.onEvent?.(event);
  }

  #seal(key: string, plain: Bytes, above = 0): Bytes {
    this.#sealed = Math.max(this.#sealed, above) + 1;
    return this.#keys.seal(plain, { writer: this.#lives.relay, n: this.#sealed, key });
  }

  /** The others have taken this relay for dead: it begins anew, without anybody. */
  #fence(): void {
    if (this.#isClosed) return;
    if (!this.#isAlone) {
      this.#counts.fenced++;
      this.#report({ event: "fenced" });
    }
    this.#forwarding.forgetAll();
    this.#lives.restart(encodeHex(this.#random(RELAY_BYTES)));
    for (const room of [...this.#rooms.values()]) room.fence();
    this.#bus.moveInbox(this.#lives.relay);
  }

  /** The bus is away for too long: this relay goes on alone, with those who are here. */
  #isolate(): void {
    if (this.#isClosed) return;
    this.#counts.alone++;
    this.#report({ event: "alone" });
    this.#isAlone = true;
    this.#forwarding.forgetAll();
    this.#lives.isolate(encodeHex(this.#random(RELAY_BYTES)));
    for (const room of [...this.#rooms.values()]) room.isolate();
    this.#bus.moveInbox(this.#lives.relay);
  }

  /** The bus is back, and what is in it is known: the rooms of this relay become those of all. */
  async #rejoin(): Promise<void> {
    if (!this.#isAlone || !this.#lives.hasLease || this.#found) return;
    this.#isAlone = false;
    this.#report({ event: "rejoined" });
    const rooms = Map.groupBy(this.#rooms.values(), ({ mustYield }) => mustYield);
    for (const room of rooms.get(false) ?? []) room.rejoin(); // before others take this relay's old name for dead
    for (const room of rooms.get(true) ?? []) {
      if (this.#isAlone || this.#isClosed) return;
      const { size } = room;
      room.rejoin();
      await this.#pause(size * 1000 / MAX_RETURNS_PER_SECOND);
    }
  }

  #bury(relay: string, name: string | undefined): void {
    if (name !== undefined) this.#report({ event: "relay-dead", relay: name });
    this.#forwarding.forget(relay);
    this.#pumpAll();
  }

  // --- What the bus tells ---

  readonly #handlers: BusHandlers = {
    onMessage: (message) => this.#forwarding.receive(message),
    onNobody: (inbox) => this.#lives.nobody(inbox),
    onEntry: (entry) => this.#takeEntry(entry),
    onWatchBegun: () => void (this.#found = new Set()),
    onWatchCaughtUp: () => this.#caughtUp(),
    onUp: () => {
      this.#report({ event: "bus-up" });
      this.#found = new Set(); // until the watch has caught up
      this.#lives.up();
      this.#forwarding.reconnected();
      this.#pumpAll();
    },
    onDown: () => this.#report({ event: "bus-down" }),
  };

  #takeEntry(entry: Entry): void {
    this.#found?.add(entry.key);
    if (this.#lives.take(entry)) return;
    if (entry.key === ORDERS_KEY) this.#orders.take(entry);
    else if (entry.key.startsWith("r.")) this.#room(entry.key).take(entry);
  }

  #caughtUp(): void {
    const found = this.#found!;
    this.#found = undefined;
    this.#lives.caughtUp(found);
    for (const [key, room] of this.#rooms) if (!found.has(key)) void room.confirm();
    void this.#orders.caughtUp(found.has(ORDERS_KEY));
    void this.#rejoin();
    if (this.#hasCaughtUp) return;
    this.#hasCaughtUp = true;
    this.#lives.start();
  }

  #makeForwarding(): Forwarding {
    return new Forwarding({
      bus: this.#bus,
      clock: this.#clock,
      keys: this.#keys,
      defer: this.#defer,
      lives: this.#lives,
      locals: this.#locals,
      counts: this.#counts,
      gone: this.#gone,
      onOrder: (verb, argument) => this.#obey(verb, argument),
    });
  }

  // --- Rooms ---

  #makeSurroundings(): Surroundings {
    const [bus, clock, lives] = [this.#bus, this.#clock, this.#lives];
    const mayWrite = () => bus.isUp && lives.hasLease && !this.#isClosed;
    return {
      bus,
      clock,
      capacity: this.#options.capacity,
      get relay() {
        return lives.relay;
      },
      get mayWrite() {
        return mayWrite();
      },
      defer: this.#defer,
      seal: (key, plain) => this.#seal(key, plain),
      open: (key, value) => this.#keys.open(key, value),
      isAlive: (relay) => lives.isAlive(relay),
      isDead: (relay) => lives.isDead(relay),
      ask: (relay) => lives.ask(relay),
      hasGone: (sid) => this.#gone.has(sid),
      setGone: (sid) => void this.#gone.set(sid, true),
      forgetGone: (sids) => {
        for (const sid of sids) this.#gone.delete(sid);
      },
      appeared: (room, { sid, relay }) => this.#forwarding.appeared(sid, { room, relay }),
      vanished: (sid) => this.#forwarding.vanished(sid),
      left: (sid, why, relays) => this.#forwarding.tell(relays, encodeLeft(sid, why)),
      wrote: (type) => void this.#counts[type]++,
      settled: (room) => {
        if (room.isIdle && this.#rooms.get(room.key) === room) this.#rooms.delete(room.key);
      },
    };
  }

  #room(key: string): SharedRoom {
    const known = this.#rooms.get(key);
    if (known) return known;
    const room = new SharedRoom(key, this.#around);
    if (this.#isAlone) room.isolate();
    this.#rooms.set(key, room);
    return room;
  }

  #pumpAll(): void {
    for (const room of [...this.#rooms.values()]) room.pump();
    void this.#orders.write();
  }

  join(member: Resident, application: Application): void {
    const { sid } = member;
    const room = this.#room(this.#keys.rosterKey(member.room.tag));
    this.#locals.set(sid, { member, room });
    room.join(member, {
      admit: (others) => {
        application.admit(others);
        this.#forwarding.retry(sid);
      },
      refuse: (reason) => {
        this.#locals.delete(sid);
        application.refuse(reason);
      },
    });
  }

  leave(member: Resident, why: number): void {
    const { sid } = member;
    const room = this.#locals.get(sid)?.room;
    this.#locals.delete(sid);
    room?.leave(member, why);
  }

  send(from: Resident, body: Uint8Array): void {
    this.#forwarding.send(from, body);
  }

  cast(from: Resident, entries: readonly Uint8Array[], common: Uint8Array): void {
    this.#forwarding.cast(from, entries, common);
  }

  // --- Operators ---

  serve(relay: RelaySide): void {
    this.#side = relay;
    this.#orders.begin(relay.orders);
  }

  kick(fingerprint: Uint8Array): boolean {
    this.#forwarding.tell(this.#lives.others, encodeOrder(VERB.KICK, fingerprint)); // for applicants
    return [...this.#rooms.values()].filter((room) => room.kick(fingerprint)).length > 0;
  }

  ban(name: string, until: number | undefined): void {
    this.#orders.ban(name, until);
  }

  setMotd(text: string): void {
    this.#orders.setMotd(text);
  }

  announce(text: string): void {
    this.#forwarding.tell(this.#lives.others, encodeOrder(VERB.ANNOUNCE, encodeUtf8(text)));
  }

  /** An operator elsewhere has said something, of which the bucket says nothing. */
  #obey(verb: number, argument: Uint8Array): void {
    if (verb === VERB.KICK) this.#side?.remove(argument);
    else if (verb === VERB.ANNOUNCE) this.#side?.announce(decodeUtf8(argument));
  }
}
