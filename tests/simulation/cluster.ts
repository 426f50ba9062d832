/**
 * Clusters of relays, drawn from a seed: over a bus that loses, repeats, reorders, delays, is cut and answers late or not
 * at all, with relays that are killed, stopped, started and put to sleep, and clients that come and go.
 *
 * @module
 */

import { encodeHex } from "../../lib/base/bytes.ts";
import { Cluster } from "../../lib/cluster/cluster.ts";
import type { ClusterEvent } from "../../lib/cluster/cluster_options.ts";
import { ClusterKeys } from "../../lib/cluster/keys.ts";
import { decodeRoster, type RosterEntry } from "../../lib/cluster/values.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { Relay } from "../../lib/relay/relay.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { BusServer, FINE, type MemoryBus, type Weather } from "../support/memory_bus.ts";
import { HostClock, settle, WorldClock } from "./clock.ts";
import { type ClientWorld, SimClient } from "./cluster_client.ts";
import { type Quality, Wire } from "./network.ts";
import { Random } from "./random.ts";

const RELAY_KEY = cheapKey(1);
const SECRET = new Uint8Array(384).fill(9);
const KEYS = new ClusterKeys(SECRET);
const ROOMS = [roomTag("lobby"), roomTag("attic")] as const;
/** Once nothing is wrong any more, everybody is together within this. */
const HEAL_MS = 60_000;
const POLL_MS = 500;
/** Words that are said in a burst, of so many bytes. */
const BURST = 40;
const BURST_BYTES = 12_000;
/** A relay without the bus is alone after this: 20 s, and what it takes to find that nothing is answered. */
const ALONE_MS = 28_000;
/** A JOIN that no other relay decides is answered within this. */
const ANSWER_MS = 5_000;
/** Rooms of a relay that was alone become those of all one after the other, within this. */
const RETURN_MS = 2_000;
/** More alarms than this in a run mean that it goes round in circles. */
const MAX_STEPS = 2_000_000;

/** What can happen, and how often. */
const ACTIONS = {
  say: 12,
  cast: 8,
  burst: 2,
  come: 3,
  hasty: 2,
  stop: 2,
  cut: 2,
  killRelay: 1.2,
  stopRelay: 0.8,
  startRelay: 2,
  sleepRelay: 0.8,
  cutBus: 1,
  downBus: 1,
  weather: 1,
} as const;
type Action = keyof typeof ACTIONS;

/** What is counted over all runs. */
export interface ClusterTotals {
  words: number;
  members: number;
  kills: number;
  outages: number;
  gaps: number;
  conflicts: number;
  unknown: number;
  fenced: number;
  alone: number;
}

/** What became of a run. */
export interface ClusterOutcome {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly totals: ClusterTotals;
  /** Empty unless it was asked for. */
  readonly trace: readonly string[];
}

/** A relay's process. */
interface Node {
  readonly relay: Relay;
  readonly cluster: Cluster;
  readonly bus: MemoryBus;
  readonly clock: HostClock;
  /** Clients may come. */
  isOpen: boolean;
  /** It was put to sleep, or cut off alone: the others may have taken it for dead. */
  mayBeFenced: boolean;
  /** Since when it is open, awake and without the bus; Infinity if it is not. */
  awaySince: number;
  hasBeenAlone: boolean;
}

/** What a run is made of. */
interface Plan {
  readonly relays: number;
  readonly clients: number;
  readonly capacity: number;
  readonly actions: number;
  readonly pace: number;
  readonly weights: Partial<Record<Action, number>>;
}

function makePlan(random: Random): Plan {
  const weights: Partial<Record<Action, number>> = {};
  for (const [name, weight] of Object.entries(ACTIONS) as [Action, number][]) {
    const isTrouble = !["say", "cast", "come"].includes(name);
    if (!isTrouble || random.chance(0.5)) weights[name] = weight;
  }
  const clients = random.between(3, 10);
  return {
    relays: random.between(2, 4),
    clients,
    // In some runs there is no room for all.
    capacity: random.chance(0.25) ? Math.max(2, clients >> 1) : 16,
    actions: random.between(60, 160),
    pace: random.pick([30, 150, 600]),
    weights,
  };
}

class ClusterWorld implements ClientWorld {
  readonly clock = new WorldClock();
  readonly random: Random;
  readonly relay = RELAY_KEY.publicKey.fingerprint;
  readonly capacity: number;
  readonly trace: string[] = [];
  readonly totals: ClusterTotals = {
    words: 0,
    members: 0,
    kills: 0,
    outages: 0,
    gaps: 0,
    conflicts: 0,
    unknown: 0,
    fenced: 0,
    alone: 0,
  };
  failure: string | undefined;
  readonly #plan: Plan;
  readonly #server: BusServer;
  readonly #serverClock: HostClock;
  readonly #nodes: (Node | undefined)[] = [];
  readonly #clients: SimClient[] = [];
  readonly #wires = new Set<Wire>();
  /** When a relay ended, was taken for dead or had been alone, by its number. */
  readonly #endedAt = new Map<number, number>();
  /** At which relay each sid is or was, by its number. */
  readonly #homes = new Map<string, number>();
  #quality: Quality;
  #people = 10;
  /** Renewals may have come late, or never. */
  #isUnruly = false;
  readonly #isTracing: boolean;

  constructor(seed: number, isTracing: boolean) {
    this.random = new Random(seed, "cluster");
    this.#plan = makePlan(new Random(seed, "plan"));
    this.capacity = this.#plan.capacity;
    this.#isTracing = isTracing;
    this.#serverClock = new HostClock(this.clock);
    this.#server = new BusServer(this.#serverClock, FINE);
    this.#quality = {
      latency: this.random.below(20),
      jitter: this.random.below(30),
      capacity: 65_536,
      slowDial: false,
      piece: this.random.pick([Infinity, Infinity, 400]),
    };
    this.log(`seed ${seed}: ${JSON.stringify(this.#plan)}`);
  }

  log(text: string): void {
    if (!this.#isTracing) return;
    this.trace.push(`${(this.clock.now / 1000).toFixed(3).padStart(9)} ${text}`);
  }

  fail(what: string): void {
    this.log(`FAILED: ${what}`);
    this.failure ??= what;
  }

  heard(): void {
    this.totals.words++;
  }

  hasEnded(relay: number, since: number): boolean {
    return (this.#endedAt.get(relay) ?? -1) >= since;
  }

  // --- Relays ---

  #startRelay(index: number): void {
    if (this.#nodes[index]) return;
    this.log(`relay ${index} starts`);
    const clock = new HostClock(this.clock);
    const bus = this.#server.connect(clock);
    const { random, capacity } = this;
    const cluster = new Cluster({
      bus,
      secret: SECRET,
      capacity,
      joinKey: undefined,
      address: `relay ${index}`,
      clock,
      random: random.bytes,
      onEvent: (event) => {
        this.log(`relay ${index}: ${JSON.stringify(event)}`);
        this.#takeEvent(index, node, event.event);
      },
      onFault: (error) => this.fail(`relay ${index}: ${error.message}`),
    });
    const relay = new Relay({
      key: RELAY_KEY,
      clock,
      random: random.bytes,
      primitives: cheapPrimitives,
      minKeyBits: 2048,
      capacity,
      registry: cluster,
      onEvent: (event) => {
        if (event.event === "closed" && /internal|bad-/.test(event.cause)) {
          this.fail(`relay ${index}: ${event.cause}`);
        }
      },
    });
    const node: Node = {
      ...{ relay, cluster, bus, clock },
      ...{ isOpen: false, mayBeFenced: false, awaySince: Infinity, hasBeenAlone: false },
    };
    this.#nodes[index] = node;
    cluster.start().then(
      () => {
        node.isOpen = true;
        if (!bus.isUp) node.awaySince = this.clock.now;
        this.log(`relay ${index} is open`);
      },
      (error: unknown) => this.fail(`relay ${index} does not start: ${error}`),
    );
  }

  #takeEvent(index: number, node: Node, event: ClusterEvent["event"]): void {
    const { now } = this.clock;
    if (event === "bus-down" && node.isOpen) node.awaySince = now;
    if (event === "bus-up") node.awaySince = Infinity;
    if (event === "alone") node.hasBeenAlone = true;
    if (event === "fenced") {
      this.#endedAt.set(index, now);
      if (!node.mayBeFenced && !this.#isUnruly) {
        this.fail(`relay ${index} is taken for dead, for no cause`);
      }
    }
    const mayReturn = event === "rejoined" || event === "bus-up" && node.hasBeenAlone;
    if (mayReturn) this.#endedAt.set(index, now + RETURN_MS);
  }

  /** Who has been without the bus for long lets people join, and shows nobody who is elsewhere. */
  #judgeAlone(): void {
    const { now } = this.clock;
    for (const client of this.#clients) {
      const node = this.#nodes[client.relay];
      if (!node || node.clock.asleep || now - node.awaySince < ALONE_MS) continue;
      const stranger = [...client.roster.keys()].find((sid) =>
        (this.#homes.get(sid) ?? client.relay) !== client.relay
      );
      if (stranger) this.fail(`${client.name} still sees ${stranger}, who is elsewhere`);
      if (client.waitsSince <= now - ANSWER_MS) this.fail(`${client.name} is not let in`);
    }
  }

  welcomed({ sid, relay }: SimClient): void {
    this.#homes.set(sid!, relay);
  }

  #killRelay(index: number): void {
    const node = this.#nodes[index];
    if (!node) return;
    this.log(`relay ${index} is killed`);
    this.totals.kills++;
    this.#count(node);
    this.#nodes[index] = undefined;
    this.#endedAt.set(index, this.clock.now);
    node.clock.kill();
    node.bus.vanish();
    if (this.random.chance(0.5)) this.#server.remove(node.bus); // the server of the bus notices
    for (const client of this.#clients) if (client.relay === index) client.wire?.reset();
  }

  async #stopRelay(index: number): Promise<void> {
    const node = this.#nodes[index];
    if (!node?.isOpen || node.clock.asleep) return;
    this.log(`relay ${index} stops`);
    this.#count(node);
    this.#nodes[index] = undefined;
    this.#endedAt.set(index, this.clock.now);
    await node.relay.stop();
    await node.cluster.stop();
    this.log(`relay ${index} has stopped`);
  }

  #sleepRelay(index: number): void {
    const node = this.#nodes[index];
    if (!node || node.clock.asleep) return;
    this.log(`relay ${index} sleeps`);
    node.mayBeFenced = true;
    node.clock.sleep();
    this.clock.after(this.random.between(500, 12_000), () => this.#wakeRelay(node));
  }

  #wakeRelay(node: Node): void {
    const { clock } = node;
    if (!clock.asleep || clock.isDead) return;
    this.log("a relay wakes");
    clock.wake();
    if (node.awaySince < Infinity) node.awaySince = this.clock.now;
    for (const wire of this.#wires) wire.advance();
  }

  #count({ cluster: { state: { counts } } }: Node): void {
    this.totals.gaps += counts.gaps;
    this.totals.conflicts += counts.conflict;
    this.totals.unknown += counts.unknown;
    this.totals.fenced += counts.fenced;
    this.totals.alone += counts.alone;
  }

  // --- The bus ---

  #cutBus(index: number): void {
    const node = this.#nodes[index];
    if (!node) return;
    const duration = this.random.pick([200, 3_000, 8_000, 15_000, 40_000]);
    this.log(`relay ${index} is cut off the bus for ${duration} ms`);
    this.totals.outages++;
    node.mayBeFenced = true;
    node.bus.cut();
    this.clock.after(duration, () => node.bus.reconnect(0));
  }

  #downBus(): void {
    if (this.#server.isDown) return;
    const duration = this.random.pick([500, 4_000, 15_000, 40_000]);
    this.log(`the bus is down for ${duration} ms`);
    this.totals.outages++;
    this.#server.goDown();
    this.clock.after(duration, () => this.#comeBack());
  }

  #comeBack(): void {
    this.log("the bus is back");
    this.#server.comeBack();
    for (const node of this.#nodes) node?.bus.reconnect(this.random.between(50, 3_000));
  }

  #changeWeather(): void {
    const { random } = this;
    const chance = () => random.pick([0, 0, 0.02, 0.2]);
    const [loss, repeat, reorder, mute] = [chance(), chance(), chance(), chance()];
    const [delay, pause] = [random.pick([1, 20, 200]), random.pick([0, 0, 0.02])];
    this.log(`weather: ${JSON.stringify({ loss, repeat, reorder, mute, delay, pause })}`);
    this.#isUnruly ||= mute > 0 || pause > 0;
    const weather: Weather = {
      delay: () => 1 + random.below(delay) + (random.chance(pause) ? random.below(3_000) : 0),
      loses: () => random.chance(loss),
      repeats: () => random.chance(repeat),
      reorders: () => random.chance(reorder),
      mutes: () => random.chance(mute),
      forgets: () => random.chance(0.5),
    };
    this.#server.weather = weather;
  }

  // --- Clients ---

  #come(): void {
    if (this.#clients.length >= this.#plan.clients) return;
    const number = this.#people++;
    const client = new SimClient(this, {
      name: `client ${number}`,
      key: cheapKey(number),
      instance: this.random.bytes(16),
      room: this.random.chance(0.8) ? ROOMS[0] : ROOMS[1],
    });
    this.#clients.push(client);
    client.connect();
  }

  /** Somebody comes and goes, perhaps while their JOIN is being answered. */
  #hurry(): void {
    const count = this.#clients.length;
    this.#come();
    const client = this.#clients[count];
    if (client) this.clock.after(this.random.below(500), () => this.#end(client));
  }

  dial(client: SimClient): Wire | undefined {
    const open = [...this.#nodes.keys()].filter((index) => this.#nodes[index]?.isOpen);
    if (open.length === 0) return undefined;
    client.relay = this.random.pick(open);
    const { relay, clock } = this.#nodes[client.relay]!;
    const wire = new Wire({
      clock: this.clock,
      random: this.random,
      quality: this.#quality,
      client: client.clock,
      relay: clock,
    });
    this.#wires.add(wire);
    relay.accept(wire.relay, `10.0.0.${this.#clients.indexOf(client)}`);
    return wire;
  }

  #end(client: SimClient): void {
    if (!this.#clients.includes(client)) return;
    this.#clients.splice(this.#clients.indexOf(client), 1);
    this.log(`${client.name} ends`);
    if (this.random.chance(0.5)) return client.stop();
    client.kill();
    if (this.random.chance(0.5)) client.wire?.reset();
    else client.wire?.finish();
  }

  #cut(client: SimClient): void {
    this.log(`${client.name} is cut off`);
    if (this.random.chance(0.5)) return client.wire?.reset();
    // Its own computer notices; the relay does not, until it is silent for too long, or comes again.
    const { wire } = client;
    wire?.lose();
    this.clock.after(1_000, () => wire?.tellClient());
  }

  // --- What happens ---

  async run(): Promise<void> {
    const { relays, clients, actions, pace, weights } = this.#plan;
    for (let index = 0; index < relays; index++) this.#startRelay(index);
    for (let i = 0; i < clients; i++) this.#come();
    await this.#pass(5_000);
    for (let i = 0; i < actions && !this.failure; i++) {
      this.#act(this.random.weighted(weights));
      await this.#pass(this.random.gap(pace));
      this.#judgeAlone();
    }
    await this.#heal();
    if (!this.failure) await this.#finish();
  }

  async #pass(duration: number): Promise<void> {
    await this.clock.run(this.clock.now + duration, () => this.failure !== undefined);
    if (this.#server.hasReusedNonce) this.fail("two messages were sealed with one nonce");
    if (this.clock.steps > MAX_STEPS) this.fail("the run goes round in circles");
  }

  #act(action: Action): void {
    const { random } = this;
    const index = random.below(this.#plan.relays);
    const client = this.#clients.length > 0 ? random.pick(this.#clients) : undefined;
    switch (action) {
      case "say":
        return this.#say(client);
      case "cast":
        return client?.cast();
      case "burst":
        for (let i = 0; i < BURST; i++) this.#say(client, random.below(BURST_BYTES));
        return;
      case "come":
        return this.#come();
      case "hasty":
        return this.#hurry();
      case "stop":
        return client && this.#end(client);
      case "cut":
        return client && this.#cut(client);
      case "killRelay":
        return this.#killRelay(index);
      case "stopRelay":
        return void this.#stopRelay(index);
      case "startRelay":
        return this.#startRelay(index);
      case "sleepRelay":
        return this.#sleepRelay(index);
      case "cutBus":
        return this.#cutBus(index);
      case "downBus":
        return this.#downBus();
      case "weather":
        return this.#changeWeather();
    }
  }

  /** To somebody in the roster, and now and then to somebody who is in another room. */
  #say(client: SimClient | undefined, bytes = this.random.below(300)): void {
    if (!client?.sid) return;
    const strangers = this.#clients.filter(({ sid, room }) => sid && room !== client.room);
    const stranger = strangers.length > 0 && this.random.chance(0.05);
    const sids = [...client.roster.keys()];
    const to = stranger
      ? this.random.pick(strangers).sid!
      : sids.length > 0 && this.random.pick(sids);
    if (to) client.say(to, bytes);
  }

  // --- The end ---

  async #heal(): Promise<void> {
    this.log("from now on nothing goes wrong");
    this.#server.weather = FINE;
    this.#quality.latency = 1;
    this.#quality.jitter = 0;
    if (this.#server.isDown) this.#comeBack();
    for (let index = 0; index < this.#plan.relays; index++) {
      const node = this.#nodes[index];
      if (node) this.#wakeRelay(node);
      node?.bus.reconnect(0);
      this.#startRelay(index);
    }
    let rift: string | undefined = "";
    for (let ms = 0; rift !== undefined && ms < HEAL_MS && !this.failure; ms += POLL_MS) {
      await this.#pass(POLL_MS);
      rift = this.#findRift();
    }
    if (rift !== undefined) return this.fail(`not whole after ${HEAL_MS / 1000} s: ${rift}`);
    for (const client of this.#clients) {
      for (let i = 0; i < 3; i++) client.cast();
      for (const sid of client.roster.keys()) client.say(sid);
    }
    await this.#pass(5_000);
    const left = this.#findRift() ?? this.#findUnheard();
    if (left !== undefined) this.fail(`not whole any more: ${left}`);
  }

  /** What is not yet as it has to be. */
  #findRift(): string | undefined {
    for (const room of ROOMS) {
      const rift = this.#findRiftIn(encodeHex(room));
      if (rift) return rift;
    }
    for (const [index, node] of this.#nodes.entries()) {
      const { relays, undelivered, held } = node!.cluster.state;
      if (relays !== this.#plan.relays) return `relay ${index} knows of ${relays} relays`;
      if (undelivered > 0) return `relay ${index} still counts ${undelivered} bytes`;
      if (held > 0 || node!.relay.state.held > 0) return `relay ${index} still holds somebody`;
    }
    return undefined;
  }

  #findRiftIn(room: string): string | undefined {
    const roster = this.#readRoster(room);
    const clients = this.#clients.filter((client) => client.room === room);
    const members = clients.filter(({ sid }) => sid !== undefined);
    if (members.length !== Math.min(clients.length, this.capacity)) {
      return `${members.length} of ${clients.length} clients are members`;
    }
    if (roster.length !== members.length) return `the roster has ${roster.length} members`;
    const order = roster.map(({ sid }) => sid);
    for (const { name, sid, roster } of members) {
      const expected = order.filter((other) => other !== sid).join();
      if ([...roster.keys()].join() !== expected) return `${name} sees another order`;
    }
    return undefined;
  }

  #readRoster(room: string): readonly RosterEntry[] {
    const key = KEYS.rosterKey(room);
    const { value } = this.#server.find(key);
    return value ? decodeRoster(KEYS.open(key, value).plain).entries : [];
  }

  #findUnheard(): string | undefined {
    for (const one of this.#clients) {
      for (const other of this.#clients) {
        if (!one.sid || !other.sid || !one.roster.has(other.sid)) continue;
        const [said, heard] = [one.lastSaid(other.sid), other.lastHeard(one.sid)];
        if (said !== heard) return `${other.name} has heard ${heard} of ${said} of ${one.name}`;
      }
    }
    return undefined;
  }

  /** Everybody leaves, then the relays stop: nothing may be left. */
  async #finish(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await this.#pass(5_000);
    const stopped = Promise.all(this.#nodes.map((_, index) => this.#stopRelay(index)));
    await this.#pass(20_000);
    await stopped;
    this.#server.close();
    const { entries } = this.#server;
    if (entries.length > 0) this.fail(`the bucket still has ${entries.map(({ key }) => key)}`);
    this.totals.members = this.#people;
  }

  /** Nothing of it happens any more. */
  close(): void {
    for (const node of this.#nodes) {
      node?.clock.kill();
      void node?.bus.close();
    }
    for (const { clock } of this.#clients) clock.kill();
    this.#serverClock.kill();
  }
}

/** Runs one seed. */
export async function runCluster(
  seed: number,
  { trace = false }: { trace?: boolean } = {},
): Promise<ClusterOutcome> {
  await cipherReady();
  const world = new ClusterWorld(seed, trace);
  try {
    await world.run();
  } catch (error) {
    world.fail(`an error: ${error instanceof Error ? error.stack : error}`);
  } finally {
    world.close();
    await settle(); // a run that was broken off leaves nothing to the next one
  }
  const { failure, totals } = world;
  return { seed, failure, totals, trace: world.trace };
}
