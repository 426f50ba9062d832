/**
 * Several relays as one server: this one's side of it. It keeps the rooms of all relays, sends what is for members elsewhere
 * over links, and knows which relays live.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, decodeUtf8, encodeHex, encodeUtf8 } from "../base/bytes.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../base/clock.ts";
import {
  CAST_ENTRY_BYTES,
  CAST_HEADER_BYTES,
  FRAME,
  REASON,
  SID_BYTES,
  VERB,
  WHY,
} from "../protocol/frames.ts";
import { FLUSH_MS } from "../protocol/limits.ts";
import { cipherReady } from "../protocol/records.ts";
import type { Application, Registry, RelaySide, Resident } from "../relay/mod.ts";
import { costOf, type SendCredit } from "../transport/mod.ts";
import type { Bus, BusHandlers, Entry } from "./bus.ts";
import type {
  ClusterCounts,
  ClusterEvent,
  ClusterOptions,
  ClusterState,
} from "./cluster_options.ts";
import {
  encodeForwardedHead,
  encodeLeft,
  encodeOrder,
  ENTRY,
  type EntryVisitor,
  forEachEntry,
  forEachPosition,
} from "./entries.ts";
import { Held } from "./held.ts";
import { ClusterKeys, isForeign, RELAY_BYTES } from "./keys.ts";
import { IncomingLink, type Opened, OutgoingLink, readSender } from "./link.ts";
import { Lives } from "./lives.ts";
import { ORDERS_KEY, SharedOrders } from "./orders.ts";
import { type Remote, RemoteSource } from "./remote.ts";
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
  readonly #locals = new Map<string, { readonly member: Resident; readonly room: SharedRoom }>();
  readonly #remotes = new Map<string, Remote>();
  readonly #sources = new Map<string, RemoteSource>();
  readonly #gone = new BoundedMap<string, true>(MAX_GONE_SIDS);
  /** By R of the other relay. */
  readonly #outgoing = new Map<string, OutgoingLink>();
  readonly #incoming = new Map<string, IncomingLink>();
  readonly #held: Held;
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
    this.#held = new Held(
      this.#clock,
      (pair, { body, from }) =>
        this.#credit(pair.slice(0, SID_BYTES * 2), from, costOf(FRAME.RECV, body.length)),
    );
    this.#lives = this.#makeLives(digestFacts(options.capacity, options.joinKey));
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
      undelivered: this.#outgoing.values().reduce((sum, { undelivered }) => sum + undelivered, 0),
      held: this.#outgoing.values().reduce((sum, { held }) => sum + held, 0),
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
    for (const link of this.#outgoing.values()) link.flush();
    await this.#lives.resign();
    await this.#bus.flush();
    this.#isClosed = true;
    this.#held.clear();
    this.#orders.close();
    for (const room of this.#rooms.values()) room.close();
    for (const link of this.#outgoing.values()) link.close();
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
    this.#forgetOthers();
    this.#lives.restart(encodeHex(this.#random(RELAY_BYTES)));
    for (const room of [...this.#rooms.values()]) room.fence();
    this.#bus.moveInbox(this.#lives.relay);
  }

  #forgetOthers(): void {
    for (const link of this.#outgoing.values()) link.close();
    this.#outgoing.clear();
    this.#incoming.clear();
    this.#held.clear();
  }

  /** The bus is away for too long: this relay goes on alone, with those who are here. */
  #isolate(): void {
    if (this.#isClosed) return;
    this.#counts.alone++;
    this.#report({ event: "alone" });
    this.#isAlone = true;
    this.#forgetOthers();
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
    this.#outgoing.get(relay)?.close();
    this.#outgoing.delete(relay);
    this.#incoming.delete(relay);
    this.#pumpAll();
  }

  // --- What the bus tells ---

  readonly #handlers: BusHandlers = {
    onMessage: (message) => this.#receive(message),
    onNobody: (inbox) => this.#lives.nobody(inbox),
    onEntry: (entry) => this.#takeEntry(entry),
    onWatchBegun: () => void (this.#found = new Set()),
    onWatchCaughtUp: () => this.#caughtUp(),
    onUp: () => {
      this.#report({ event: "bus-up" });
      this.#found = new Set(); // until the watch has caught up
      this.#lives.up();
      for (const link of this.#outgoing.values()) link.reconnected();
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
      appeared: (room, { sid, relay }) => {
        this.#remotes.set(sid, { room, relay });
        this.#retry(sid);
      },
      vanished: (sid) => {
        this.#remotes.delete(sid);
        this.#sources.delete(sid);
      },
      left: (sid, why, relays) => {
        const left = encodeLeft(sid, why);
        for (const relay of relays) this.#linkTo(relay)?.tell(left);
      },
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
        this.#retry(sid);
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

  // --- Operators ---

  serve(relay: RelaySide): void {
    this.#side = relay;
    this.#orders.begin(relay.orders);
  }

  kick(fingerprint: Uint8Array): boolean {
    this.#tellAll(encodeOrder(VERB.KICK, fingerprint)); // for applicants
    return [...this.#rooms.values()].filter((room) => room.kick(fingerprint)).length > 0;
  }

  ban(name: string, until: number | undefined): void {
    this.#orders.ban(name, until);
  }

  setMotd(text: string): void {
    this.#orders.setMotd(text);
  }

  announce(text: string): void {
    this.#tellAll(encodeOrder(VERB.ANNOUNCE, encodeUtf8(text)));
  }

  #tellAll(entry: Bytes): void {
    for (const relay of this.#lives.others) this.#linkTo(relay)?.tell(entry);
  }

  /** An operator elsewhere has said something, of which the bucket says nothing. */
  #obey(verb: number, argument: Uint8Array): void {
    if (verb === VERB.KICK) this.#side?.remove(argument);
    else if (verb === VERB.ANNOUNCE) this.#side?.announce(decodeUtf8(argument));
  }

  // --- To other relays ---

  #linkTo(relay: string): OutgoingLink | undefined {
    const known = this.#outgoing.get(relay);
    if (known || relay === this.#lives.relay || this.#lives.isDead(relay)) return known;
    const link = new OutgoingLink({
      bus: this.#bus,
      clock: this.#clock,
      keys: this.#keys,
      from: this.#lives.relay,
      to: relay,
      defer: this.#defer,
      onLost: (credits) => this.#endSenders(credits),
    });
    this.#outgoing.set(relay, link);
    return link;
  }

  /** What these have sent is lost: they come again, and send it again. */
  #endSenders(credits: ReadonlySet<SendCredit>): void {
    for (const { member } of [...this.#locals.values()]) {
      if (!credits.has(member.source.credit)) continue;
      member.why = WHY.LOST;
      void member.connection.close(REASON.SHUTTING_DOWN);
    }
  }

  send(from: Resident, body: Uint8Array): void {
    const { sid } = from;
    const remote = this.#remoteFor(sid, body);
    const link = remote && this.#linkTo(remote.relay);
    if (!link) return;
    const { source } = from;
    this.#counts.sent++;
    link.forward([encodeForwardedHead(ENTRY.SEND, source.sid, body.length), body], sid, {
      credit: source.credit,
      bytes: costOf(FRAME.RECV, body.length),
    });
  }

  /** The member elsewhere whose sid `bytes` begins with, if it is in the room of a member here. */
  #remoteFor(from: string, bytes: Uint8Array): Remote | undefined {
    const remote = this.#remotes.get(encodeHex(bytes.subarray(0, SID_BYTES)));
    return remote && remote.room === this.#locals.get(from)?.room ? remote : undefined;
  }

  cast(from: Resident, entries: readonly Uint8Array[], common: Uint8Array): void {
    const { sid, source } = from;
    const byRelay = new Map<string, Map<Remote, Uint8Array>>(); // §5: one PART for each member
    for (const entry of entries) {
      const remote = this.#remoteFor(sid, entry);
      if (!remote) continue;
      const parts = byRelay.get(remote.relay) ?? new Map<Remote, Uint8Array>();
      if (!parts.has(remote)) parts.set(remote, entry);
      byRelay.set(remote.relay, parts);
    }
    const cost = costOf(FRAME.PART, CAST_ENTRY_BYTES + common.length);
    for (const [relay, parts] of byRelay) {
      const link = this.#linkTo(relay);
      if (!link) continue;
      const length = CAST_HEADER_BYTES + parts.size * CAST_ENTRY_BYTES + common.length;
      const head = encodeForwardedHead(ENTRY.CAST, source.sid, length);
      this.#counts.sent += parts.size;
      link.forward([head, Uint8Array.of(parts.size), ...parts.values(), common], sid, {
        credit: source.credit,
        bytes: parts.size * cost,
      });
    }
  }

  // --- From other relays ---

  #receive(message: Bytes): void {
    const from = readSender(message);
    const { relay } = this.#lives;
    if (from === undefined || from === relay || this.#lives.isDead(from)) return;
    const incoming = this.#incoming.get(from) ??
      new IncomingLink({ keys: this.#keys, from, to: relay });
    const opened = incoming.open(message);
    if (!opened) return;
    this.#incoming.set(from, incoming);
    this.#counts.messages++;
    try {
      this.#takeMessage(from, incoming, opened);
    } catch (error) {
      if (!isForeign(error)) throw error;
      this.#counts.malformed++;
    }
  }

  #takeMessage(from: string, incoming: IncomingLink, { entries, verdict, at }: Opened): void {
    const link = this.#linkTo(from)!;
    const hasMore = forEachPosition(entries, (type, position) => {
      if (type === ENTRY.GOT) link.takeGot(position);
      else link.takeLost(position);
    });
    if (verdict === "early") {
      this.#counts.gaps++;
      const missing = incoming.missing(at, this.#clock.now());
      if (missing) link.lost(missing);
      return;
    }
    let when: "now" | "soon" | "anyway" = hasMore ? "soon" : "anyway";
    if (verdict === "next") {
      forEachEntry(entries, this.#visitorOf(from, () => void (when = "now")));
      if (incoming.owesGot) when = "now";
    }
    link.got(incoming.position, when);
  }

  #visitorOf(from: string, onAsk: () => void): EntryVisitor {
    return {
      forwarded: (type, source, body) => {
        const sid = encodeHex(source);
        if (type === ENTRY.CAST) this.#deliverCast(sid, from, body);
        else if (this.#held.has(pairOf(sid, body))) this.#hold(sid, from, body);
        else this.#deliver(sid, from, body);
      },
      left: (sid, why) => this.#takeLeft(encodeHex(sid), why, from),
      credit: (source, bytes) => this.#outgoing.get(from)?.takeCredit(encodeHex(source), bytes),
      order: (verb, argument) => this.#obey(verb, argument),
      ask: onAsk,
    };
  }

  #takeLeft(sid: string, why: number, from: string): void {
    const remote = this.#remotes.get(sid);
    if (remote) remote.room.takeLeft(sid, why, from);
    else if (!this.#locals.has(sid)) this.#gone.set(sid, true);
  }

  #source(sid: string, from: string): RemoteSource {
    const known = this.#sources.get(sid);
    if (known) return known;
    const source = new RemoteSource(sid, (debt) => this.#outgoing.get(from)?.owe(debt));
    if (this.#remotes.has(sid)) this.#sources.set(sid, source);
    return source;
  }

  /** Gives back what is charged for something that is dropped. */
  #credit(sid: string, from: string, cost: number): void {
    this.#source(sid, from).take(cost, () => {});
  }

  /** Somebody is known now, or here. */
  #retry(sid: string): void {
    for (const pair of this.#held.pairsOf(sid)) {
      const source = pair.slice(0, SID_BYTES * 2);
      for (const { body, from } of this.#held.take(pair)) this.#deliver(source, from, body);
    }
  }

  #hold(sid: string, from: string, body: Uint8Array): void {
    this.#held.add(pairOf(sid, body), { body: body.slice(), from });
  }

  /** A SEND of a member of another relay. */
  #deliver(sid: string, from: string, body: Uint8Array): void {
    const remote = this.#remotes.get(sid);
    if (!remote && !this.#gone.has(sid)) return this.#hold(sid, from, body);
    const to = this.#localFor(remote, from, body);
    if (to && !to.room.isMember(to.member.sid)) return this.#hold(sid, from, body);
    const source = this.#source(sid, from);
    source.take(costOf(FRAME.RECV, body.length), () => to?.member.connection.forward(body, source));
    this.#counts.received++;
  }

  /** The member here whose sid `bytes` begins with, if the sender is where it says, and in the same room. */
  #localFor(remote: Remote | undefined, from: string, bytes: Uint8Array) {
    if (remote?.relay !== from) return undefined;
    const to = this.#locals.get(encodeHex(bytes.subarray(0, SID_BYTES)));
    return to?.room === remote.room ? to : undefined;
  }

  /** A CAST, which does not wait: who does not know its sender has no channel with them. */
  #deliverCast(sid: string, from: string, body: Uint8Array): void {
    const remote = this.#remotes.get(sid);
    const source = this.#source(sid, from);
    const end = CAST_HEADER_BYTES + body[0]! * CAST_ENTRY_BYTES;
    const common = body.slice(end); // shared by all queues that it waits in
    const cost = costOf(FRAME.PART, CAST_ENTRY_BYTES + common.length);
    for (let offset = CAST_HEADER_BYTES; offset < end; offset += CAST_ENTRY_BYTES) {
      const entry = body.subarray(offset, offset + CAST_ENTRY_BYTES);
      const to = this.#localFor(remote, from, entry);
      const member = to?.room.isMember(to.member.sid) ? to.member : undefined;
      source.take(cost, () => member?.connection.forwardPart({ entry, common }, source));
      this.#counts.received++;
    }
  }
}

/** From whom to whom a SEND is, as {@linkcode Held} has it. */
function pairOf(source: string, body: Uint8Array): string {
  return source + encodeHex(body.subarray(0, SID_BYTES));
}
