/**
 * How long a message takes at most from writing to showing while the host of its room goes: real programs, each on a
 * computer of its own. Beside it, what the handshakes of as many people take alone; and what hosting costs without a
 * loss: on a message, and on the start.
 *
 * @module
 */

import { type Mover, MovingRoom, sleep } from "../support/moving_room.ts";
import { NO_NETWORKS } from "../support/netns.ts";
import { freePort, FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";
import type { Values } from "./forward.ts";
import { CpuMeter } from "./meter.ts";

/** Messages of all in a second: a gap is measured as exactly as they are close together. */
const RATE = 60;
const CROWDS: readonly number[] = [12, 64];
const TEXTS = 200;
const TEXT_GAP_MS = 20;
const STARTS = 5;
const NEIGHBOURS = 16_384;
/** Lists have reached everybody within this. */
const LISTS_MS = 3000;
const PATIENCE_MS = 300_000;

type End = (room: MovingRoom, host: Mover) => Promise<void>;

const ENDS: Readonly<Record<string, End>> = {
  quit: (_, host) => host.quit(),
  kill: (_, host) => host.kill(),
  cut: (room, host) => room.unplug(host),
};

/** Measures rooms whose host quits, is killed, or is cut off; and what hosting costs otherwise. */
export async function measureMoves(values: Values): Promise<void> {
  if (NO_NETWORKS !== undefined) throw new Error(NO_NETWORKS);
  for (const [name, end] of Object.entries(ENDS)) {
    values[`move.${name}_s`] = await measureMove(3, end, values);
  }
  values["move.hosted_p50_ms"] = await measureTexts(true);
  values["move.server_p50_ms"] = await measureTexts(false);
  values["move.start_ms"] = await measureStart();
  for (const people of CROWDS) {
    await measureCrowd(people, values);
    await measureHandshakes(people - 1, values);
  }
}

async function measureMove(people: number, end: End, values: Values): Promise<number> {
  await using room = await MovingRoom.make({ people });
  const [host, ...rest] = room.people as [Mover, ...Mover[]];
  room.talk(rest, RATE / people);
  await sleep(1000);
  const from = performance.now() - 500;
  await end(room, host);
  await room.leaves(rest, host);
  await room.assemble(rest);
  await sleep(1000);
  room.hush();
  return await judge(room, rest, from, values);
}

/** Waits until everything has arrived. @returns The longest time from writing to showing, in s. */
async function judge(
  room: MovingRoom,
  people: readonly Mover[],
  from: number,
  values: Values,
): Promise<number> {
  const { longest, lost, doubled } = await room.report(people, from);
  values["move.lost"] = (values["move.lost"] ?? 0) + lost.length + doubled.length;
  return longest;
}

/**
 * In one room a host quits, the next one is killed, and the one after that is cut off. As it goes, everybody writes
 * once: the last of that is shown when everybody has everybody again.
 */
async function measureCrowd(people: number, values: Values): Promise<void> {
  await using _ = await makeRoomForNeighbours();
  await using room = await MovingRoom.make({ people });
  const meters = new Map(room.people.map((it) => [it, new CpuMeter(it.program.pid)]));
  let all = room.people;
  for (const [name, end] of Object.entries(ENDS)) {
    const host = all.find(({ program }) => program.all("moved").at(-1)?.own) ?? all[0]!;
    await poll(
      async () => await namedBy(host) > 1,
      () => `two who stand by, named by ${host.program.describe()}`,
      PATIENCE_MS,
    );
    await sleep(LISTS_MS);
    all = all.filter((it) => it !== host);
    const readAll = () => all.reduce((sum, it) => sum + meters.get(it)!.read(), 0);
    const [from, cpu] = [performance.now(), readAll()];
    await end(room, host);
    for (const mover of all) room.say(mover);
    await room.leaves(all, host);
    values[`move.${people}_${name}_s`] = await judge(room, all, from, values);
    values[`move.${people}_${name}_cpu_s`] = (readAll() - cpu) / 1e6;
  }
}

/**
 * All network namespaces together know so many neighbours as the kernel allows, which are too few for 64 computers that
 * may all know each other: until this is disposed of it allows more.
 */
async function makeRoomForNeighbours(): Promise<AsyncDisposable> {
  const files = ["ipv4", "ipv6"].flatMap((version) =>
    [3, 2, 1].map((level) => `/proc/sys/net/${version}/neigh/default/gc_thresh${level}`)
  );
  const before = await Promise.all(files.map((file) => Deno.readTextFile(file)));
  for (const file of files) await Deno.writeTextFile(file, String(NEIGHBOURS));
  return {
    async [Symbol.asyncDispose]() {
      for (const [i, file] of files.entries()) await Deno.writeTextFile(file, before[i]!);
    },
  };
}

/** How many stand by, as a host's newest list has it. */
async function namedBy(host: Mover): Promise<number> {
  const { entries, at } = await host.list() ?? { entries: [], at: 0 };
  return entries.length - at - 1;
}

/** From the first connection to a server that was killed and is there again, until everybody has everybody. */
async function measureHandshakes(people: number, values: Values): Promise<void> {
  await using world = await World.open(FROM_SOURCE);
  const server = await world.server(["--max-clients", "256"]);
  const clients: Program[] = [];
  for (let i = 0; i < people; i++) {
    const client = await world.client(`p${i}`);
    await client.waitFor("welcome", {}, { timeoutMs: PATIENCE_MS });
    clients.push(client);
  }
  const until = (event: string, some: readonly Program[], count: number, every: boolean) => {
    const has = (client: Program) => client.all(event).length >= count;
    return poll(
      () => every ? some.every(has) : some.some(has),
      () => `${count} times ${event} of ${some.map((it) => it.describe()).join("\n")}`,
      PATIENCE_MS,
    );
  };
  await until("joined", clients, people - 1, true);
  await server.kill();
  const again = await world.server(["--max-clients", "256"], { port: server.port });
  const meters = [again, ...clients].map(({ pid }) => new CpuMeter(pid));
  const readAll = () => meters.reduce((sum, meter) => sum + meter.read(), 0);
  const cpu = readAll();
  await until("connected", clients, 2, false);
  const start = performance.now();
  await until("joined", clients, 2 * (people - 1), true);
  values[`move.${people + 1}_alone_s`] = (performance.now() - start) / 1000;
  values[`move.${people + 1}_alone_cpu_s`] = (readAll() - cpu) / 1e6;
}

/** From writing to showing between two of three programs, at a host with a stand-by or at a server: ms, p50. */
async function measureTexts(isHosted: boolean): Promise<number> {
  await using world = await World.open(FROM_SOURCE);
  const port = freePort();
  const names = ["anna", "bob", "carl"];
  if (!isHosted) await world.server([], { port });
  const clients: Program[] = [];
  for (const [i, nick] of names.entries()) {
    const where = isHosted && i === 0 ? [] : ["--host", "127.0.0.1"];
    const args = ["--json", "--nick", nick, "--port", String(port), ...where];
    const client = world.start("client", {
      args: isHosted ? ["--serve", ...args] : args,
      home: await world.home(nick),
    }, nick);
    await client.waitFor("welcome");
    clients.push(client);
  }
  for (const client of clients) await client.waitFor("joined", {}, { count: 2 });
  const [, writer, reader] = clients as [Program, Program, Program];
  const took: number[] = [];
  for (let i = 0; i < TEXTS; i++) {
    const start = performance.now();
    await writer.chat(`text ${i}`);
    while (reader.all("chat").length <= i) {
      if (performance.now() - start > PATIENCE_MS) throw new Error(`text ${i} was not shown`);
      await sleep(1);
    }
    took.push(performance.now() - start);
    await sleep(TEXT_GAP_MS);
  }
  return median(took);
}

/** How much later a client is in its room with `--serve`, where nobody has the room, than without: ms. */
async function measureStart(): Promise<number> {
  await using world = await World.open(FROM_SOURCE);
  const { port } = await world.server();
  const home = await world.home("anna");
  await world.home("anna", { file: "server.pem" });
  const start = async (...args: string[]) => {
    const start = performance.now();
    const client = world.start("client", { args: ["--json", ...args], home });
    await client.waitFor("welcome");
    const took = performance.now() - start;
    await client.leave();
    return took;
  };
  const joins: number[] = [];
  const serves: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    joins.push(await start("--host", "127.0.0.1", "--port", String(port)));
    serves.push(await start("--serve", "--port", String(freePort())));
  }
  return median(serves) - median(joins);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
