/**
 * Several servers that are one: what a delivery to another of them costs, a busy room on several, and 10 000 members.
 *
 * @module
 */

import { NatsServer, NO_NATS } from "../support/nats.ts";
import { Bench, flood, type Generator, pace, PROBES, type Setup, type Values } from "./forward.ts";
import { CpuMeter, residentKb } from "./meter.ts";
import { measureSeveral } from "./product.ts";
import { clustered, type Place, type RunningServer, startServer } from "./servers.ts";

const MEMBERS = 50;
const AT_ONCE = 8;
const FAR = MEMBERS - PROBES - 1;
const PACED_RATE = 100;
const LATENCY_RATE = 20;
/** How often a delivery here and one there are measured, in turn. */
const WAYS = 3;
/** Until everybody has heard of the last newcomer, on all servers. */
const HEARD_MS = 1_000;
/** Processes of members: each has so many rooms, fills so many of them at a time, and says so many texts a second. */
const CROWDS = 4;
const ROOMS = 50;
const ROOMS_AT_A_TIME = 5;
/** Of each process; a server keeps at most 64 that have not joined yet. */
const CROWD_AT_ONCE = 4;
const TRIES = 10;
const CROWD_RATE = 50;
const CROWD_MEMBERS = CROWDS * ROOMS * MEMBERS;
/** A crowd that has just come leaves garbage. */
const QUIET_MS = 10_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What is asked for. */
export interface ClusterOptions {
  readonly values: Values;
  readonly place: Omit<Place, "port">;
  readonly setup: Setup;
  readonly messages: number;
  readonly seconds: number;
}

/** NATS, and servers that are one over it. */
class Servers implements AsyncDisposable {
  private constructor(readonly nats: NatsServer, readonly list: readonly RunningServer[]) {}

  /** @throws {Error} When there is no nats-server here. */
  static async start(count: number, place: Omit<Place, "port">): Promise<Servers> {
    if (NO_NATS) throw new Error(NO_NATS);
    const nats = await NatsServer.start();
    const list: RunningServer[] = [];
    const servers = new Servers(nats, list);
    try {
      for (let i = 0; i < count; i++) {
        const folder = `${place.folder}/server${i}`;
        await Deno.mkdir(folder, { recursive: true });
        list.push(await startServer(clustered(nats.url), { ...place, folder }));
      }
      return servers;
    } catch (error) {
      await servers[Symbol.asyncDispose]();
      throw error;
    }
  }

  get ports(): number[] {
    return this.list.map(({ port }) => port);
  }

  bench(setup: Setup): Bench {
    const [first, ...others] = this.list;
    return new Bench(first!, setup, [...others.map(({ pid }) => pid), this.nats.pid]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.list.map((server) => server.stop()));
    await this.nats[Symbol.asyncDispose]();
  }
}

/** Fills a room: who speaks and who listens may be at different servers. */
async function fill(
  [near, far]: readonly [Generator, Generator],
  { speaker, others }: { speaker: readonly number[]; others: readonly number[] },
): Promise<void> {
  const rooms = false;
  await near.tell("connect", { count: PROBES, atOnce: 1, rooms, ports: others });
  await near.tell("connect", { count: 1, atOnce: 1, rooms, ports: speaker });
  await far.tell("connect", { count: FAR, atOnce: AT_ONCE, rooms, ports: others });
  await sleep(HEARD_MS);
}

async function clear(generators: readonly Generator[]): Promise<void> {
  for (const generator of generators) await generator.tell("leave", null);
  await sleep(HEARD_MS);
}

/**
 * A delivery on one server, then to another one: `remote.here_*` and `remote.there_*`; the CPU of all servers and of NATS.
 *
 * @throws {Error} When there is no nats-server here.
 */
export async function measureRemote(
  { values, place, setup, messages, seconds }: ClusterOptions,
): Promise<void> {
  await using servers = await Servers.start(2, place);
  const [here, there] = servers.ports as [number, number];
  const bench = servers.bench(setup);
  try {
    const room = { near: await bench.start("a"), far: await bench.start("b"), members: MEMBERS };
    const measure = async () => ({
      ...await measureWay(bench, { name: "here", room, seconds, messages, ways: [there, there] }),
      ...await measureWay(bench, { name: "there", room, seconds, messages, ways: [here, there] }),
    });
    await measure(); // until everything is compiled
    await measureSeveral(values, WAYS, measure);
  } finally {
    await bench.stop();
  }
}

/** One speaks at the first of two servers, all others are at the second. */
async function measureWay(
  bench: Bench,
  { name, room, seconds, messages, ways: [speaker, others] }: {
    name: string;
    room: { near: Generator; far: Generator; members: number };
    seconds: number;
    messages: number;
    ways: readonly [number, number];
  },
): Promise<Values> {
  const { near, far } = room;
  await fill([near, far], { speaker: [speaker], others: [others] });
  const flooded = await flood(bench, { ...room, messages, senders: 1 });
  const paced = await pace(bench, { near, far, scale: { ...room, seconds }, rate: PACED_RATE });
  await clear([near, far]);
  return {
    [`remote.${name}_flood_us`]: flooded.cpu_us!,
    [`remote.${name}_per_second`]: flooded.per_second!,
    [`remote.${name}_paced_us`]: paced.cpu,
    [`remote.${name}_p50_ms`]: paced.latency.p50,
    [`remote.${name}_p99_ms`]: paced.latency.p99,
    [`remote.${name}_lost`]: flooded.lost! + paced.lost,
  };
}

/**
 * One room on one, two and four servers, in which four flood: `room_on1.*`, `room_on2.*`, `room_on4.*`; then 10 000
 * members in 200 rooms: at one server without a cluster `alone.*`, over four `four.*`, of which one is killed.
 *
 * @throws {Error} When there is no nats-server here.
 */
export async function measureCluster(options: ClusterOptions): Promise<void> {
  await measureBusyRoom(options);
  await measureAlone(options);
  await measureFour(options);
}

async function measureBusyRoom(
  { values, place, setup, messages }: ClusterOptions,
): Promise<void> {
  await using servers = await Servers.start(4, place);
  const bench = servers.bench(setup);
  try {
    const [near, far] = [await bench.start("a"), await bench.start("b")];
    for (const count of [1, 2, 4]) {
      const ports = servers.ports.slice(0, count);
      // Everybody in `near` speaks: one at each of four servers.
      const [first, ...rest] = ports as [number, ...number[]];
      await fill([near, far], { speaker: [first], others: [...rest, first] });
      const room = { near, far, members: MEMBERS, messages, senders: PROBES + 1 };
      await flood(bench, room); // until everything is compiled
      const meters = servers.list.slice(0, count).map(({ pid }) => new CpuMeter(pid));
      const before = meters.map((meter) => meter.read());
      const { cpu_us, per_second, lost } = await flood(bench, room);
      const busiest = Math.max(...meters.map((meter, i) => meter.read() - before[i]!));
      const deliveries = messages * (MEMBERS - 1) - lost!;
      values[`room_on${count}.cpu_us`] = cpu_us!;
      values[`room_on${count}.busiest_us`] = busiest / deliveries;
      values[`room_on${count}.per_second`] = per_second!;
      values[`room_on${count}.lost`] = lost!;
      await clear([near, far]);
    }
  } finally {
    await bench.stop();
  }
}

async function measureAlone(
  { values, place, setup, seconds }: ClusterOptions,
): Promise<void> {
  const folder = `${place.folder}/alone`;
  await Deno.mkdir(folder, { recursive: true });
  const server = await startServer(clustered(undefined), { ...place, folder });
  const crowd = new Crowd([server], new Bench(server, setup), { values, name: "alone" });
  try {
    await crowd.join();
    await crowd.talk("p", [server.port], seconds);
  } finally {
    await crowd.stop();
    await server.stop();
  }
}

async function measureFour(
  { values, place, setup, seconds }: ClusterOptions,
): Promise<void> {
  await using servers = await Servers.start(4, place);
  const crowd = new Crowd(servers.list, servers.bench(setup), { values, name: "four" });
  try {
    await crowd.join();
    await crowd.talk("p", servers.ports.slice(0, 1), seconds);
    await crowd.talk("spread_p", servers.ports, seconds);
    await crowd.loseLast();
  } finally {
    await crowd.stop();
  }
}

/** 10 000 members in 200 rooms, each of which is at one server, as clients keep them together. */
class Crowd {
  readonly #generators: Generator[] = [];

  constructor(
    readonly servers: readonly RunningServer[],
    readonly bench: Bench,
    readonly report: { readonly values: Values; readonly name: string },
  ) {}

  #set(key: string, value: number): void {
    this.report.values[`${this.report.name}.${key}`] = value;
  }

  get #residentKb(): number {
    return this.servers.reduce((sum, { pid }) => sum + residentKb(pid), 0);
  }

  async join(): Promise<void> {
    for (let i = 0; i < CROWDS; i++) this.#generators.push(await this.bench.start(`crowd${i}`));
    const empty = this.#residentKb;
    const start = performance.now();
    const ports = this.servers.map(({ port }) => port);
    const count = ROOMS_AT_A_TIME * MEMBERS;
    const batch = { count, atOnce: CROWD_AT_ONCE, rooms: MEMBERS, ports, tries: TRIES };
    const { server } = await this.bench.cost(() =>
      Promise.all(this.#generators.map(async (generator) => {
        for (let i = 0; i < ROOMS; i += ROOMS_AT_A_TIME) await generator.tell("connect", batch);
      }))
    );
    this.#set("joins_per_second", CROWD_MEMBERS / (performance.now() - start) * 1000);
    this.#set("join_cpu_ms", server / CROWD_MEMBERS / 1000);
    await sleep(QUIET_MS);
    this.#set("kb_each", (this.#residentKb - empty) / CROWD_MEMBERS);
    await this.#look("incomplete", "closed");
  }

  /** Everybody talks; in one more room the time from sending to receipt is measured. */
  async talk(key: string, ports: readonly number[], seconds: number): Promise<void> {
    const probes = await this.bench.start(`probes-${key}`);
    const connecting = { count: MEMBERS, atOnce: 1, rooms: false, ports, tries: TRIES };
    await probes.tell("connect", connecting);
    await sleep(HEARD_MS);
    const talking = { perSecond: CROWD_RATE, seconds: seconds + 2 };
    const { result, server } = await this.bench.cost(async () => {
      const others = this.#generators.map((it) => it.tell("chatter", talking));
      const latency = await probes.tell("pace", { rate: LATENCY_RATE, seconds });
      await Promise.all(others);
      return latency;
    });
    this.#set(`${key}50_ms`, result.p50);
    this.#set(`${key}99_ms`, result.p99);
    this.#set(`${key}_cpu_percent`, server / talking.seconds / 10_000);
    await probes.tell("leave", null);
  }

  /** One server is killed; its members go to the others. */
  async loseLast(): Promise<void> {
    const last = this.servers.at(-1)!;
    const ports = this.servers.slice(0, -1).map(({ port }) => port);
    const start = performance.now();
    await last.stop();
    const back = { from: last.port, ports, tries: TRIES };
    const counts = await Promise.all(this.#generators.map((it) => it.tell("comeBack", back)));
    this.#set("back", counts.reduce((sum, count) => sum + count, 0));
    this.#set("back_s", (performance.now() - start) / 1000);
    await sleep(QUIET_MS);
    await this.#look("back_incomplete", "back_closed");
  }

  /** Members who do not see exactly the others of their room, and those whose server has closed them. */
  async #look(incomplete: string, ended: string): Promise<void> {
    const looks = this.#generators.map((it) => it.tell("look", { others: MEMBERS - 1 }));
    const all = await Promise.all(looks);
    this.#set(incomplete, all.reduce((sum, it) => sum + it.incomplete, 0));
    this.#set(ended, all.reduce((sum, it) => sum + it.ended, 0));
  }

  async stop(): Promise<void> {
    await this.bench.stop();
  }
}
