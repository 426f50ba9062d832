/**
 * A relay, its clients and the network between them: what can be done to them, and what is seen of it.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/mod.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { MAX_ROOM_MEMBERS } from "../../lib/protocol/limits.ts";
import { REASON } from "../../lib/protocol/frames.ts";
import { REASON_TEXTS } from "../../lib/protocol/reasons.ts";
import { FORGED, stealKey } from "./attacks.ts";
import { NoteLedger } from "./notes.ts";
import { Relay } from "../../lib/relay/relay.ts";
import { Relays } from "./relays.ts";
import type { RelayEvent } from "../../lib/relay/relay_event.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { memoryPeers, memoryServers } from "./books.ts";
import type { Sight } from "./company.ts";
import { WorldClock } from "./clock.ts";
import { type Course, Ledger } from "./ledger.ts";
import { type Quality, Wire } from "./network.ts";
import { type Identity, Place, type Surroundings } from "./place.ts";
import { Witness } from "./witness.ts";
import { Random } from "./random.ts";
import { TrustJudge } from "./trust_judge.ts";
import { forgetCharges } from "./taps.ts";

const RELAY_KEY = cheapKey(1);
/** Of the relay of every run, 32 bytes. */
export const RELAY_FINGERPRINT: Uint8Array<ArrayBuffer> = RELAY_KEY.publicKey.fingerprint;
/** A channel is renewed after an hour times 0.9 to 1.1, where nothing is wrong. */
const OLDEST_MS = 1.1 * 3_600_000 + 60_000;
/** How long the operating system may try to connect. */
const SLOW_DIAL_MS = 12_000;
/** A client that was told to end has ended by then: 2 s to write, 1 s to read on. */
export const STOP_MS = 5_000;
/** How often a client looks for a relay before its first connection. */
const FIRST_DIAL_MS = 400;
/** Whatever was done to somebody, so much later everybody has noticed. */
const QUIET_MS = 120_000;
/** How the connections of those end who are kicked or banned. */
const FINAL_ENDS = new Set(["removed", REASON_TEXTS[REASON.NOT_ALLOWED]!]);
/** A network with no more delay, and room for at least so much under way, takes all that others can send. */
const FAST_MS = 60;
const FAST_BYTES = 65_536;
/** So long after a disturbance, what had piled up is written. */
const FAST_AFTER_MS = 5_000;
/** What the relay may tell of a connection with nobody to blame. */
const BLAMELESS =
  /^(protocol error: cut|no JOIN in time|silent for too long|too slow|the relay stops)$/;

/** How a run is begun. */
export interface WorldOptions {
  readonly seed: number;
  readonly people: number;
  readonly quality: Quality;
  /** There are keys that some do not take. */
  readonly weakKeys: boolean;
  /** So many of them, the first, have met before. */
  readonly acquainted: number;
  /** The first of them sends only to some. */
  readonly strict: boolean;
  /** How many rooms there are, 1 or 2. */
  readonly rooms: number;
  /** What everybody knows; the last of them another one, where `ghost` is set. */
  readonly passwords: Passwords | undefined;
  /** Of the room; as many as there are people, and ghosts keep them out. */
  readonly capacity: number;
  /** The first of them is an operator. */
  readonly operators: boolean;
  /** Somebody stands in the roster of some, and is shown to others only. */
  readonly lurker: boolean;
  /** Somebody claims to be the first of them. */
  readonly thief: boolean;
  /** So many relays are one server; one by default. */
  readonly relays?: number;
  readonly trace: boolean;
}

/** The passwords of a run. */
export interface Passwords {
  readonly shared: Identity["password"];
  readonly other: Identity["password"];
  /** The last of the people knows only the other one, and the relay takes anybody. */
  readonly ghost: boolean;
}

/** What is counted over all runs. */
export interface Totals {
  messages: number;
  cuts: number;
  restarts: number;
  /** Messages that somebody did not get, and the sender was told so. */
  reported: number;
}

/** Ways in which a computer goes down, as those it was connected with notice it. */
export type Crash = "reset" | "finish" | "lose";

/** Of several relays, some are found dead, or come back, within this. */
const UPSET_MS = 60_000;

/** Everything of one run. */
export class World implements Surroundings, Course {
  readonly clock: WorldClock = new WorldClock();
  readonly relay: Uint8Array<ArrayBuffer> = RELAY_FINGERPRINT;
  readonly identities: Identity[] = [];
  /** All processes there ever were. */
  readonly places: Place[] = [];
  readonly ledger: Ledger;
  readonly notes: NoteLedger;
  readonly witness: Witness = new Witness(this);
  readonly totals: Totals = { messages: 0, cuts: 0, restarts: 0, reported: 0 };
  readonly trace: string[] = [];
  quality: Quality;
  /** What an operator announced. */
  readonly announced: Set<string> = new Set();
  /** What went wrong first. */
  failure: string | undefined;
  flooded = false;
  renamed = false;
  #options: WorldOptions;
  #network: Random;
  readonly #relays: Relays;
  #sids = new Map<string, Place>();
  #instances = new Map<string, Place>();
  /** Until when, by fingerprint. */
  #bans = new Map<string, number>();
  /** By fingerprint. */
  #judges = new Map<string, TrustJudge>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.quality = options.quality;
    this.#network = new Random(options.seed, "network");
    this.#relays = this.#makeRelays();
    this.ledger = new Ledger(this);
    this.notes = new NoteLedger(this.ledger, {
      now: () => this.clock.now,
      fail: (what) => this.fail(what),
    });
    this.#makePeople();
    this.startRelay();
  }

  #makePeople(): void {
    const { seed, people, weakKeys, strict, rooms, passwords, lurker, thief } = this.#options;
    const random = new Random(seed, "people");
    const bits = () => weakKeys ? random.pick([2048, 3072]) : 3072;
    const keys = Array.from({ length: people }, (_, i) => cheapKey(10 + i, bits()));
    const fingerprints = keys.map((key) => encodeFingerprint(key.publicKey.fingerprint));
    for (const [i, key] of keys.entries()) {
      const name = String.fromCharCode(65 + i);
      const verified = strict && i === 0
        ? new Set(fingerprints.filter(() => random.chance(0.5)))
        : undefined;
      const judge = new TrustJudge(this);
      this.#judges.set(fingerprints[i]!, judge);
      this.identities.push({
        name,
        key,
        fingerprint: fingerprints[i]!,
        book: memoryPeers(verified ?? new Set(), (key, nick) => judge.remembered(key, nick)),
        servers: memoryServers(),
        strict: verified,
        room: i % rooms === 0 ? "lobby" : "attic",
        password: passwords?.ghost && i === people - 1 ? passwords.other : passwords?.shared,
        minKeyBits: weakKeys ? random.pick([2048, 2048, 3072]) : 2048,
        nick: `nick${name}`,
        ...(lurker && i === people - 1 && {
          hidden: new Set(["A", "B", "C"].filter((_, i) => i === 0 || random.chance(0.4))),
        }),
      });
    }
    const friends = this.identities.slice(0, this.#options.acquainted);
    for (const { book } of friends) {
      for (const { fingerprint, nick } of friends) book.remember(fingerprint, nick);
    }
    const [first] = this.identities;
    if (!thief) return;
    this.identities.push({ ...first!, name: "Z", key: stealKey(first!.key), thief });
  }

  now(): number {
    return this.clock.now;
  }

  /** Most members of a room. */
  get capacity(): number {
    return this.#options.capacity;
  }

  /** Something is wrong: the run ends. */
  fail(what: string): void {
    this.log(`FAILED: ${what}`);
    this.failure ??= what;
  }

  look(place: Place): void {
    if (!this.flooded) this.notes.check(place); // or what they are about may be forgotten
    for (const { channels, place: other } of place.company.sights()) {
      for (const { startedAt } of channels) {
        if (this.clock.now - startedAt <= OLDEST_MS) continue;
        this.fail(`${place.name} does not renew its channel with ${other.name}`);
      }
    }
  }

  metBy({ fingerprint }: Identity): ReadonlySet<string> {
    return this.#judges.get(fingerprint)!.known;
  }

  /** Notes a line for whoever reads the trace. */
  log(text: string): void {
    if (!this.#options.trace) return;
    this.trace.push(`${(this.clock.now / 1000).toFixed(3).padStart(9)} ${text}`);
  }

  /** The processes that run. */
  get alive(): Place[] {
    return this.places.filter((place) => place.alive);
  }

  gaveUp(place: Place, sight: Sight): void {
    this.ledger.gaveUp(place, sight);
  }

  /** The process with this instance, 32 hex digits. */
  placeWith(instance: string): Place | undefined {
    return this.#instances.get(instance);
  }

  placeOf(sid: string): Place | undefined {
    return this.#sids.get(sid);
  }

  /** A relay has given a sid to whoever has this address. */
  admitted(sid: string, address: string): void {
    const place = this.places.find((each) => each.address === address);
    this.log(`relay: ${place?.name} is ${sid}`);
    if (place) this.#sids.set(sid, place);
  }

  // --- Clients ---

  /** Starts one more process of somebody. */
  startPlace(identity: Identity): Place {
    const number = 1 + this.places.filter((place) => place.identity === identity).length;
    const name = `${identity.name}${number}`;
    const place = new Place(this, identity, {
      name,
      address: `10.0.${this.places.length >> 8}.${this.places.length & 255}`,
      random: new Random(this.#options.seed, name),
    });
    this.places.push(place);
    this.ledger.add(place);
    this.#instances.set(place.instance, place);
    this.log(`${name} starts`);
    this.#trouble();
    place.start();
    return place;
  }

  /** Ends a process in the middle of whatever it does. */
  kill(place: Place, crash: Crash): void {
    this.log(`${place.name} is killed (${crash})`);
    this.#trouble();
    place.kill();
    this.#closeCalm(place);
    if (place.wire) this.#crash(place.wire, crash);
  }

  /** Ends a process in order. */
  stop(place: Place): void {
    this.log(`${place.name} stops`);
    this.#trouble();
    place.stop();
    this.clock.after(STOP_MS, () => {
      const isStuck = place.fate === "stopping" && place.clock.wokenAt < this.clock.now - STOP_MS;
      if (isStuck && !place.clock.asleep) this.fail(`${place.name} does not end`);
    });
  }

  /** Breaks a place's connection. */
  cut(place: Place, crash: Crash): void {
    const { wire } = place;
    if (!wire || wire.over) return;
    this.totals.cuts++;
    this.log(`${place.name} is cut off (${crash})`);
    this.#trouble();
    this.#closeCalm(place);
    this.#crash(wire, crash);
    // One's own computer notices at some time; the relay has to find out for itself.
    if (crash === "lose" && this.#network.chance(0.7)) {
      this.clock.after(this.#network.below(30_000), () => wire.tellClient());
    }
  }

  #crash(wire: Wire, crash: Crash): void {
    if (crash === "reset") wire.reset();
    else if (crash === "finish") wire.finish();
    else wire.lose();
  }

  /** Nothing arrives for a while. */
  stall(place: Place, direction: "up" | "down" | "both", duration: number): void {
    this.log(`${place.name} is stalled (${direction}) for ${duration} ms`);
    this.#stalledUntil = Math.max(this.#stalledUntil, this.clock.now + duration);
    this.#disturb(this.clock.now + duration);
    place.wire?.stall(direction, this.clock.now + duration);
  }

  /** Stops a process, as Ctrl-Z or a closed lid does. */
  sleep(place: Place): void {
    this.log(`${place.name} sleeps`);
    this.#disturb(Infinity);
    place.clock.sleep();
  }

  /** A stopped process goes on. */
  wake(place: Place): void {
    this.log(`${place.name} wakes`);
    place.clock.wake();
    this.#disturbNoMore();
    place.wire?.advance();
  }

  dial(place: Place, signal: AbortSignal, first: boolean): Promise<ByteStream> {
    const { promise, resolve, reject } = Promise.withResolvers<ByteStream>();
    const attempt = () => {
      if (signal.aborted) return;
      const process = place.offlineUntil <= this.clock.now ? this.#relays.open : undefined;
      if (process) {
        const wire = new Wire({
          clock: this.clock,
          random: this.#network,
          quality: this.quality,
          client: place.clock,
          relay: process.clock,
        });
        place.wire = wire;
        process.wires.add(wire);
        process.accept(wire.relay, place.address);
        resolve(wire.client);
      } else if (first) place.clock.after(FIRST_DIAL_MS, attempt);
      else reject(new Error("connection refused"));
    };
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    const isSlow = this.quality.slowDial && this.#network.chance(0.2);
    const most = isSlow ? SLOW_DIAL_MS : 2 * this.quality.latency + 5;
    place.clock.after(this.#network.below(most), attempt);
    return promise;
  }

  tell(place: Place, event: SessionEvent): void {
    const { event: name, ...fields } = event;
    this.log(`${place.name} ${name} ${this.#describe(fields)}`);
    if (event.event === "error" && event.code !== "refused") {
      this.fail(`${place.name}: ${event.message}`);
    }
    const isRemoved = event.event === "disconnected" && FINAL_ENDS.has(event.reason);
    if (isRemoved) place.fate = "stopping";
    if (event.event === "disconnected") {
      if (event.reason === "protocol error") this.fail(`${place.name} finds a protocol error`);
      if (this.#quietFor > QUIET_MS) this.fail(`${place.name} is disconnected, for no cause`);
    }
    if (event.event === "notice" && event.text.startsWith("cannot authenticate")) {
      this.#checkWarning(place, event.about!);
    }
    if (event.event === "joined") place.warnedOf.delete(event.fingerprint);
    if (event.event === "note") this.notes.shown(place, event);
    if (event.event === "away" && event.text === FORGED) {
      this.fail(`${place.name} takes what is padded too much`);
    }
    if (event.event === "server" && !this.announced.has(event.text)) {
      this.fail(`${place.name} is told by the server what nobody announced`);
    }
    this.#judges.get(place.fingerprint)!.told(place, event);
    this.ledger.tell(place, event);
  }

  /** §6: once of somebody who is not shown, and again only after they were. */
  #checkWarning(place: Place, about: string): void {
    if (place.company.shows(about)) this.fail(`${place.name} is warned of somebody who is shown`);
    if (place.warnedOf.has(about)) this.fail(`${place.name} is warned twice`);
    place.warnedOf.add(about);
  }

  /** Fields of an event, with names instead of fingerprints and numbers instead of ids. */
  #describe(fields: Readonly<Record<string, unknown>>): string {
    if (!this.#options.trace) return "";
    let text = "";
    for (const [name, value] of Object.entries(fields)) {
      if (name === "text" || name === "sent" || name === "nick") continue;
      const shown = name === "id"
        ? `#${this.ledger.messages.get(value as string)?.number ?? "?"}`
        : JSON.stringify(value);
      text += `${name}=${shown} `;
    }
    for (const { name, fingerprint } of this.identities) {
      text = text.replaceAll(fingerprint, name);
    }
    return text;
  }

  over(place: Place, error: unknown): void {
    this.log(`${place.name} has ended${error ? `: ${error}` : ""}`);
    this.#closeCalm(place);
    if (error && !(error instanceof Error && /refused/.test(error.message))) {
      this.fail(`${place.name} has ended: ${error}`);
    }
  }

  // --- The relay ---

  #makeRelays(): Relays {
    const { seed, capacity, passwords, relays = 1, operators } = this.#options;
    const joinKey = passwords?.ghost ? undefined : passwords?.shared?.keys.joinKey;
    return new Relays({
      ...{ seed, capacity, joinKey, count: relays, clock: this.clock },
      log: (text) => this.log(text),
      fail: (what) => this.fail(what),
      make: (clock, random, registry) =>
        new Relay({
          key: RELAY_KEY,
          ...{ clock, random, capacity, joinKey, registry },
          primitives: cheapPrimitives,
          minKeyBits: 2048,
          operators: new Set(operators ? [this.identities[0]!.fingerprint] : []),
          onEvent: (event) => this.#follow(event),
        }),
    });
  }

  /** Several relays are one server. */
  get isCluster(): boolean {
    return this.#relays.areCluster;
  }

  /** There is a relay. */
  get relayRuns(): boolean {
    return this.#relays.running.length > 0;
  }

  /** Starts the relays that do not run, with the same key each time. */
  startRelay(): void {
    if (!this.#relays.start()) return;
    this.log("the relay starts");
    this.#bans.clear();
    this.#trouble();
  }

  /** The relays have so many members, and nobody waits to become one. */
  relayHolds(members: number): boolean {
    const { running } = this.#relays;
    return running.reduce((sum, { relay }) => sum + relay.members, 0) === members &&
      running.every(({ relay }) => relay.pending === 0);
  }

  /** Stops a relay's process for a while, or what it needs. */
  sleepRelay(): void {
    this.log("the relay sleeps");
    this.#disturb(Infinity);
    this.#relays.trouble();
  }

  /** The relay's process goes on, if it was stopped. */
  wakeRelay(): void {
    this.log("the relay wakes");
    this.#relays.mend();
    this.#disturbNoMore();
    this.#upset();
  }

  /** Others may take a relay for dead, or those elsewhere for gone, long after what has happened to it. */
  #upset(): void {
    if (this.isCluster) this.#disturb(this.clock.now + UPSET_MS);
  }

  /** Ends a relay's process in the middle of whatever it does. */
  killRelay(crash: Crash): void {
    this.log(`the relay is killed (${crash})`);
    this.#trouble();
    const process = this.#relays.kill();
    if (!process) return;
    if (!this.isCluster) forgetCharges();
    for (const place of this.places) {
      if (!this.isCluster || place.wire && process.wires.has(place.wire)) this.#closeCalm(place);
    }
    for (const wire of process.wires) this.#crash(wire, crash);
    this.#upset();
  }

  /** Ends the relays in order. */
  async stopRelay(): Promise<void> {
    if (!this.relayRuns || !this.isCluster && this.#relays.areTroubled) return;
    this.log("the relay stops");
    this.#trouble();
    this.#upset();
    const stopped = await this.#relays.stop();
    this.log("the relay has stopped");
    if (stopped.some(({ relay }) => relay.members > 0 || relay.pending > 0)) {
      this.fail("a stopped relay has members");
    }
  }

  /** The operator throws somebody out, and lets them in again. */
  remove(identity: Identity): void {
    this.log(`${identity.name} is removed`);
    this.#trouble();
    const others = this.identities.filter((other) => other !== identity);
    for (const { relay } of this.#relays.running) {
      relay.setAllow(new Set(others.map(({ fingerprint }) => fingerprint)));
      relay.setAllow(new Set(this.identities.map(({ fingerprint }) => fingerprint)));
    }
  }

  /** An operator does something to somebody. */
  operates(): void {
    this.#trouble(this.clock.now + 60_000);
  }

  /** Timers of the relay and of all clients. */
  get timers(): number {
    return this.places.reduce((sum, { clock }) => sum + clock.timers, this.#relays.timers);
  }

  #follow(event: RelayEvent): void {
    const address = "address" in event ? event.address : undefined;
    const place = this.places.find((each) => each.address === address);
    const name = place?.name;
    if (event.event === "closed") {
      this.log(`relay: ${name} closed: ${event.cause}`);
      if (!BLAMELESS.test(event.cause)) this.fail(`the relay about ${name}: ${event.cause}`);
      if (event.cause === "too slow" && place && this.#isFast(place)) {
        this.fail(`the relay closes ${name} as too slow, which was only busy`);
      }
    } else if (event.event === "refused") {
      this.log(`relay: ${name} refused: ${event.reason}`);
      const isFull = event.reason === REASON.FULL && this.#options.capacity < MAX_ROOM_MEMBERS;
      const isBanned = event.reason === REASON.NOT_ALLOWED && this.#options.operators;
      const isAway = event.reason === REASON.SHUTTING_DOWN && this.isCluster;
      if (!isFull && !isBanned && !isAway) this.fail(`the relay refuses ${name}: ${event.reason}`);
    } else if (event.event === "banned" || event.event === "kicked") {
      const [first] = this.identities;
      if (event.operator !== first!.fingerprint) this.fail("somebody else is an operator");
      if (event.event === "banned") {
        this.#bans.set(event.fingerprint, this.clock.now + event.seconds * 1000);
      }
    } else if (event.event === "unbanned") {
      this.#bans.delete(event.fingerprint);
    } else if (event.event === "joined" && place) {
      const until = this.#bans.get(event.fingerprint) ?? 0;
      if (this.clock.now < until) this.fail(`${name} joins and is banned`);
      this.log(`relay: ${name} joined`);
      place.calm.push({ from: Math.max(this.clock.now, this.#disturbedUntil), to: Infinity });
    } else if (event.event === "left" && place) {
      this.log(`relay: ${name} left: ${event.why}`);
      this.#closeCalm(place);
    }
  }

  /** For how long nothing has been done to anybody, and nobody was stopped. */
  get #quietFor(): number {
    const isStopped = this.#relays.areTroubled || this.alive.some(({ clock }) => clock.asleep);
    return isStopped ? 0 : this.clock.now - this.#troubledAt;
  }

  #trouble(until = this.clock.now): void {
    this.#troubledAt = Math.max(this.#troubledAt, until);
  }

  /** Nothing has been wrong with a place lately, and its network takes what the others can send. */
  #isFast({ calm }: Place): boolean {
    const { latency, jitter, capacity } = this.#options.quality;
    const last = calm.at(-1);
    return latency + jitter <= FAST_MS && capacity >= FAST_BYTES &&
      last?.to === Infinity && this.clock.now - last.from > FAST_AFTER_MS;
  }

  // --- Calm: times in which nothing was wrong ---

  #disturbedUntil = 0;
  #stalledUntil = 0;
  #troubledAt = 0;

  #disturb(until: number): void {
    this.#disturbedUntil = Math.max(this.#disturbedUntil, until);
    if (until < Infinity) this.#trouble(until);
    for (const place of this.places) {
      if (this.#closeCalm(place)) place.calm.push({ from: this.#disturbedUntil, to: Infinity });
    }
  }

  /** Somebody goes on; calm returns once nobody is stopped any more. */
  #disturbNoMore(): void {
    if (this.#relays.areTroubled || this.alive.some(({ clock }) => clock.asleep)) return;
    this.#disturbedUntil = Math.max(this.clock.now, this.#stalledUntil);
    this.#disturb(this.clock.now);
  }

  #closeCalm(place: Place): boolean {
    const last = place.calm.at(-1);
    if (last?.to !== Infinity) return false;
    last.to = this.clock.now;
    return true;
  }
}
