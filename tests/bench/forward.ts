/**
 * The scenarios of a server that forwards: the same for the relay and for every rival.
 *
 * @module
 */

import type { Latency, LoadActions, LoadOptions } from "./load.ts";
import { CpuMeter, residentKb } from "./meter.ts";
import { Remote } from "./remote.ts";
import { memberScript, type RunningServer, ServerError } from "./servers.ts";

/** How much is done; the numbers, or fewer for a quick look. */
export interface Scale {
  readonly members: number;
  /** Of them, how many connect one after another; the rest 8 at once. */
  readonly oneByOne: number;
  readonly messages: number;
  readonly seconds: number;
  /** Members at which memory is looked at. */
  readonly crowds: readonly number[];
  readonly manySenders: number;
  readonly slowReader: boolean;
}

/** Names of measurements to their values; what could not be measured is absent. */
export type Values = Record<string, number>;

const WINDOW = 64;
const PACED_RATE = 100;
const LATENCY_RATE = 20;
const AT_ONCE = 8;
const SLOW_BYTES_PER_SECOND = 10_000;
/** Until a server that has just been started has nothing more to do. */
const STARTED_MS = 2_000;
/** Until everybody has heard of the last newcomer. */
const HEARD_MS = 500;
/** A crowd that has just come leaves garbage: its memory is looked at when each server had time to give that back. */
const QUIET_MS = 10_000;
/** Members in the process of the sender: their latency is measured, so they are few. */
export const PROBES = 3;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A process of members. */
export type Generator = Remote<LoadActions>;
/** What all members have in common. */
export type Setup = Omit<LoadOptions, "name" | "speech" | "tls" | "port">;

/** A server, and processes of members. */
export class Bench {
  readonly #cpus: readonly CpuMeter[];
  readonly #generators: Generator[] = [];

  /** @param others Processes whose CPU counts as the server's. */
  constructor(
    readonly server: RunningServer,
    readonly setup: Setup,
    others: readonly number[] = [],
  ) {
    this.#cpus = [server.pid, ...others].map((pid) => new CpuMeter(pid));
  }

  async start(name: string): Promise<Generator> {
    const { kind, port } = this.server;
    const { speech, tls } = kind;
    const generator = new Remote<LoadActions>(memberScript(kind, "load.ts"));
    this.#generators.push(generator);
    await generator.tell("configure", { ...this.setup, name, speech, tls, port });
    return generator;
  }

  /** Runs `work`; returns the CPU µs of the server meanwhile and of the generator. */
  async cost<T>(work: () => Promise<T>): Promise<{ result: T; server: number; load: number }> {
    const sum = (meters: readonly CpuMeter[]) => meters.reduce((all, it) => all + it.read(), 0);
    const server = () => sum(this.#cpus);
    const load = () => sum(this.#generators.map(({ cpu }) => cpu));
    const before = { server: server(), load: load() };
    const result = await work();
    const died = this.server.died();
    if (died) throw new ServerError(`died: ${died}`);
    return { result, server: server() - before.server, load: load() - before.load };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#generators.map((generator) => generator.stop()));
  }
}

/** Runs all scenarios of one room; what was measured before something went wrong is kept in `values`. */
export async function measureRoom(
  server: RunningServer,
  { setup, scale, values }: { setup: Setup; scale: Scale; values: Values },
): Promise<void> {
  const bench = new Bench(server, setup);
  try {
    const [near, far] = await Promise.all([bench.start("a"), bench.start("b")]);
    await sleep(STARTED_MS);
    values["memory.empty_kb"] = residentKb(server.pid);
    const one = { count: 1, atOnce: 1, rooms: false };
    const several = { ...one, count: scale.oneByOne };
    const left = scale.members - PROBES - 2 - scale.oneByOne;
    const rest = { ...one, count: left, atOnce: AT_ONCE };
    await near.tell("connect", { ...one, count: PROBES });
    await far.tell("connect", one); // the first of a process is slow
    for (
      const [name, batch] of [["one", several], ["8", rest]] as const
    ) {
      const { result, server: cpu } = await bench.cost(() => far.tell("connect", batch));
      values[`connect.${name}_ms`] = result.reduce((a, b) => a + b, 0) / result.length;
      values[`connect.${name}_cpu_ms`] = cpu / batch.count / 1000;
    }
    await near.tell("connect", one);
    await sleep(HEARD_MS);

    for (const senders of [1, PROBES + 1]) {
      await flood(bench, { ...scale, near, far, senders }); // until everything is compiled
      const result = await flood(bench, { ...scale, near, far, senders });
      const name = senders === 1 ? "flood" : `flood${senders}`;
      for (const [key, value] of Object.entries(result)) values[`${name}.${key}`] = value;
    }
    await pace(bench, { near, far, scale: { ...scale, seconds: 1 }, rate: PACED_RATE });
    const paced = await pace(bench, { near, far, scale, rate: PACED_RATE });
    values["paced.cpu_us"] = paced.cpu;
    values["paced.load_us"] = paced.load;
    values["paced.lost"] = paced.lost;
    values["paced.p99_ms"] = paced.latency.p99;
    const calm = await pace(bench, { near, far, scale, rate: LATENCY_RATE });
    for (const [key, value] of Object.entries(calm.latency)) values[`latency.${key}_ms`] = value;
    if (scale.slowReader) {
      await far.tell("slow", { bytesPerSecond: SLOW_BYTES_PER_SECOND });
      const slowed = await near.tell("pace", { rate: PACED_RATE, seconds: scale.seconds });
      values["slow.p99_ms"] = slowed.p99;
    }
    await Promise.all([near.tell("leave", null), far.tell("leave", null)]);
    await manySenders(bench, { scale, values });
  } finally {
    await bench.stop();
  }
}

/** Longer texts than those of {@linkcode measureRoom}: the name of a row, and bytes. */
const LONG_TEXTS = [["1k", 1024], ["8k", 8192]] as const;
/** Of these fewer are sent. */
const LONG_SHARE = 0.2;

/** The flood and the paced load with longer texts, for servers that take them. */
export async function measureLongTexts(
  server: RunningServer,
  { setup, scale, values }: { setup: Setup; scale: Scale; values: Values },
): Promise<void> {
  for (const [name, textBytes] of LONG_TEXTS) {
    const bench = new Bench(server, { ...setup, textBytes });
    try {
      const [near, far] = await Promise.all([bench.start("a"), bench.start("b")]);
      const there = scale.members - PROBES - 1;
      await far.tell("connect", { count: there, atOnce: AT_ONCE, rooms: false });
      await near.tell("connect", { count: PROBES + 1, atOnce: 1, rooms: false });
      await sleep(HEARD_MS);
      const messages = scale.messages * LONG_SHARE;
      const options = { ...scale, near, far, messages, senders: 1 };
      await flood(bench, options); // until everything is compiled
      const { cpu_us, lost } = await flood(bench, options);
      values[`flood${name}.cpu_us`] = cpu_us!;
      values[`flood${name}.lost`] = lost!;
      await pace(bench, { near, far, scale: { ...scale, seconds: 1 }, rate: PACED_RATE });
      const paced = await pace(bench, { near, far, scale, rate: PACED_RATE });
      values[`paced${name}.cpu_us`] = paced.cpu;
      values[`paced${name}.lost`] = paced.lost;
      values[`paced${name}.p99_ms`] = paced.latency.p99;
    } finally {
      await bench.stop();
    }
  }
}

/** Everybody in a room of its own process speaks. */
async function manySenders(
  bench: Bench,
  { scale, values }: { scale: Scale; values: Values },
): Promise<void> {
  const { manySenders: members, messages } = scale;
  if (members === 0) return;
  const near = await bench.start("c");
  await near.tell("connect", { count: members, atOnce: AT_ONCE, rooms: false });
  await sleep(HEARD_MS);
  const options = { near, messages, senders: members, members };
  await flood(bench, options); // until everything is compiled
  const result = await flood(bench, options);
  for (const [key, value] of Object.entries(result)) values[`flood64.${key}`] = value;
}

/** Says so many messages as fast as everybody gets them; `near` has {@linkcode PROBES} and a sender, `far` the others. */
export async function flood(
  bench: Bench,
  { near, far, messages, senders, members }: {
    near: Generator;
    far?: Generator;
    messages: number;
    senders: number;
    members: number;
  },
): Promise<Values> {
  const here = far ? PROBES + 1 : members;
  const there = members - here;
  const { result, server, load } = await bench.cost(async () => {
    const start = performance.now();
    const [, other] = await Promise.all([
      near.tell("flood", { messages, senders, window: WINDOW }),
      far?.tell("expect", { total: messages * there }),
    ]);
    return { received: other?.received ?? 0, ms: performance.now() - start };
  });
  const { received } = await near.tell("expect", { total: 0 });
  const deliveries = received + result.received;
  return {
    cpu_us: server / deliveries,
    load_us: load / deliveries,
    per_second: deliveries / result.ms * 1000,
    lost: messages * (members - 1) - deliveries,
  };
}

/** Says so many messages a second. @returns CPU in µs a delivery, of the servers and of the generators. */
export async function pace(
  bench: Bench,
  { near, far, scale, rate }: {
    near: Generator;
    far: Generator;
    scale: Pick<Scale, "members" | "seconds">;
    rate: number;
  },
): Promise<{ cpu: number; load: number; lost: number; latency: Latency }> {
  const messages = rate * scale.seconds;
  const expected = messages * (scale.members - PROBES - 1);
  const { result: [latency, other], server, load } = await bench.cost(() =>
    Promise.all([
      near.tell("pace", { rate, seconds: scale.seconds }),
      far.tell("expect", { total: expected }),
    ])
  );
  const { received } = await near.tell("expect", { total: 0 });
  const deliveries = received + other.received;
  return {
    cpu: server / deliveries,
    load: load / deliveries,
    lost: messages * (scale.members - 1) - deliveries,
    latency,
  };
}

/** Fills rooms of 60 and looks at the memory. */
export async function measureMemory(
  server: RunningServer,
  { setup, scale, values }: { setup: Setup; scale: Scale; values: Values },
): Promise<void> {
  const bench = new Bench(server, setup);
  try {
    const load = await bench.start("m");
    await sleep(STARTED_MS);
    const empty = residentKb(server.pid);
    values["memory.empty_kb"] = empty;
    let members = 0;
    const sizes: { crowd: number; resident: number }[] = [];
    for (const crowd of scale.crowds) {
      await load.tell("connect", { count: crowd - members, atOnce: AT_ONCE, rooms: true });
      members = crowd;
      await sleep(QUIET_MS);
      const died = server.died();
      if (died) throw new ServerError(`died: ${died}`);
      const resident = residentKb(server.pid);
      values[`memory.${crowd}_kb`] = resident;
      values[`memory.${crowd}_kb_each`] = (resident - empty) / members;
      sizes.push({ crowd, resident });
    }
    const [first, last] = [sizes[0], sizes.at(-1)];
    if (!first || !last || first === last) return;
    // The first ones bring the code and the caches with them.
    values["memory.marginal_kb"] = (last.resident - first.resident) / (last.crowd - first.crowd);
  } finally {
    await bench.stop();
  }
}
