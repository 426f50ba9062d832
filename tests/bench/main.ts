/**
 * `deno task bench`: the relay beside the servers that people would pick instead, measured in interleaved rounds.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportPrivateKey } from "../../lib/protocol/identity.ts";
import { measureMemory, measureRoom, type Scale, type Values } from "./forward.ts";
import { residentKb } from "./meter.ts";
import { measurePour } from "./pour.ts";
import { measureMulticast } from "./multicast.ts";
import { BUSY_KEYS, measureBusyChat } from "./busy_chat.ts";
import { measureStorm } from "./storm.ts";
import { measureMoves } from "./moves.ts";
import { makePlot } from "./plot.ts";
import {
  makeKeys,
  measureNcatStart,
  measurePipe,
  measureRoomOf64,
  measureStart,
} from "./product.ts";
import {
  type Baseline,
  findRegressions,
  makeBaseline,
  makeTable,
  makeTargetTable,
  OWN,
  type Results,
} from "./report.ts";
import {
  makeCertificate,
  type Place,
  type RunningServer,
  serverFlags,
  type ServerKind,
  SERVERS,
  startServer,
} from "./servers.ts";

const USAGE = `Usage: deno task bench [options]

  --quick          one short round of those with encryption, under a minute
  --rounds N       how many rounds (5)
  --seconds N      how long the paced parts take (10)
  --only NAME,...  only these servers
  --skip PART,...  leave out: room, memory, client, room64, moves, busy, multicast, storm, pour,
                   pipe
  --json FILE      where the results go (dist/bench.json)
  --svg FILE       where the plot goes (dist/bench.svg)
  --check          compare with tests/bench/baseline.json: exit 1 when something got worse
  --keep           write tests/bench/baseline.json

SSH_CHAT names a binary of ssh-chat; HEARTH_SERVER and HEARTH_CLIENT compiled programs to measure.`;

const FULL: Scale = {
  members: 50,
  oneByOne: 20,
  messages: 2000,
  seconds: 10,
  crowds: [50, 300, 900],
  manySenders: 64,
  slowReader: true,
};
const QUICK: Scale = {
  members: 50,
  oneByOne: 3,
  messages: 1000,
  seconds: 1,
  crowds: [],
  manySenders: 0,
  slowReader: false,
};
const BASELINE = fileURLToPath(new URL("baseline.json", import.meta.url));

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean" },
    check: { type: "boolean" },
    keep: { type: "boolean" },
    help: { type: "boolean" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    only: { type: "string" },
    skip: { type: "string" },
    json: { type: "string" },
    svg: { type: "string" },
  },
});

/** One run, from start to report. */
class Run {
  readonly scale: Scale = {
    ...(flags.quick ? QUICK : FULL),
    ...(flags.seconds && { seconds: Number(flags.seconds) }),
  };
  readonly rounds = Number(flags.rounds ?? (flags.quick ? 1 : 5));
  readonly skip = new Set(
    flags.skip?.split(",") ??
      (flags.quick
        ? ["memory", "room64", "moves", "busy", "multicast", "storm", "pour", "pipe"]
        : []),
  );
  readonly folder = Deno.makeTempDirSync({ prefix: "bench-" });
  readonly results: Results;
  #place!: Omit<Place, "port">;
  #keys!: string[];

  constructor() {
    this.results = {
      machine: describeMachine(),
      deno: Deno.version.deno,
      date: new Date().toISOString(),
      scale: { ...this.scale, rounds: this.rounds },
      settings: {},
      missing: [],
      rounds: {},
    };
  }

  /** Measures everything, as far as that goes. */
  async measure(): Promise<void> {
    Deno.chmodSync(this.folder, 0o755); // servers that drop their rights read their files here
    this.#place = { folder: this.folder, ...await makeCertificate(this.folder) };
    Deno.chmodSync(this.#place.key, 0o644);
    this.#keys = (await makeKeys(BUSY_KEYS)).map(exportPrivateKey);
    const kinds = SERVERS.filter((kind) => this.#has(kind));
    for (const { name } of kinds) this.results.rounds[name] = [];
    for (let round = 0; round < this.rounds; round++) {
      for (const kind of kinds) {
        const values: Values = {};
        this.results.rounds[kind.name]!.push(values);
        console.error(`round ${round + 1} of ${this.rounds}: ${kind.name}`);
        await this.#measureServer(kind, { values, isFirst: round === 0 });
      }
    }
  }

  #has({ name, tls, settings, missing }: ServerKind): boolean {
    if (flags.only && !flags.only.split(",").includes(name)) return false;
    const reason = flags.quick && !flags.only && !tls
      ? "without encryption, left out by --quick"
      : missing();
    if (reason) this.results.missing.push(`${name}: ${reason}`);
    else this.results.settings[name] = settings;
    return !reason;
  }

  async #measureServer(
    kind: ServerKind,
    { values, isFirst }: { values: Values; isFirst: boolean },
  ): Promise<void> {
    const { scale } = this;
    const options = { setup: { textBytes: 128, keyPem: this.#keys[0]! }, scale, values };
    await this.#attempt(kind, "room", (server) => measureRoom(server, options));
    // One crowd tells: it is as large each time.
    if (isFirst) await this.#attempt(kind, "memory", (server) => measureMemory(server, options));
    const [keys, folder] = [this.#keys, Deno.makeTempDirSync({ dir: this.folder })];
    if (kind.name === OWN) {
      const product = (server: RunningServer) => ({ server, values, folder, keys });
      await this.#attempt(kind, "client", (server) => measureStart(product(server)));
      if (isFirst) {
        await this.#attempt(kind, "pipe", (server) => measurePipe(product(server)));
        for (const face of ["plain", "full"] as const) {
          const folder = Deno.makeTempDirSync({ dir: this.folder });
          const work = (server: RunningServer) =>
            measureBusyChat({ ...product(server), face, folder });
          await this.#attempt(kind, "busy", work);
        }
        await this.#attempt(kind, "room64", (server) => measureRoomOf64(product(server)));
        await this.#attempt(kind, "moves", () => measureMoves(values));
        const flood = { values, seconds: scale.seconds, keyPem: this.#keys[0]! };
        await this.#attempt(kind, "multicast", () => measureMulticast(flood));
        await this.#attempt(kind, "storm", () => measureStorm(flood));
        await this.#attempt(kind, "pour", ({ port }) => measurePour({ ...flood, port }));
      }
      values["memory.idle_kb"] = await measureIdle();
    } else if (kind.name === "ncat --ssl") {
      await this.#attempt(kind, "client", (server) => measureNcatStart(server, values));
    }
  }

  /** Runs a part on a fresh server; what goes wrong is named. */
  async #attempt(
    kind: ServerKind,
    part: string,
    work: (server: RunningServer) => Promise<void>,
  ): Promise<void> {
    if (this.skip.has(part)) return;
    const folder = `${this.folder}/${kind.speech}`;
    await Deno.mkdir(folder, { recursive: true });
    let server: RunningServer | undefined;
    try {
      server = await startServer(kind, { ...this.#place, folder });
      await work(server);
    } catch (error) {
      const why = server?.died() ?? (error instanceof Error ? error.message : String(error));
      this.results.missing.push(`${kind.name}, ${part}: ${why}`);
    } finally {
      await server?.stop();
    }
  }
}

/** Memory of a program that does nothing; the same flags, so the same runtime. */
async function measureIdle(): Promise<number> {
  const script = fileURLToPath(new URL("idle.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...serverFlags(), script, "0"],
    stdout: "null",
  }).spawn();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const resident = residentKb(child.pid);
  child.kill("SIGKILL");
  await child.status;
  return resident;
}

function describeMachine(): string {
  const { os, arch } = Deno.build;
  const memory = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  let cpu = "";
  try {
    cpu = Deno.readTextFileSync("/proc/cpuinfo").match(/^model name\s*: (.*)$/m)?.[1] ?? "";
  } catch {
    // not Linux
  }
  return `${os} ${Deno.osRelease()} ${arch}, ${navigator.hardwareConcurrency} cores ${cpu}, ${memory} GiB`;
}

function checkBaseline(results: Results): number {
  const worse = findRegressions(results, JSON.parse(Deno.readTextFileSync(BASELINE)) as Baseline);
  for (const line of worse) console.log(`worse: ${line}`);
  if (worse.length === 0) console.log("nothing got worse");
  return worse.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  if (flags.help) {
    console.log(USAGE);
    return 0;
  }
  const run = new Run();
  try {
    await run.measure();
  } finally {
    await Deno.remove(run.folder, { recursive: true });
  }
  const { results } = run;
  const write = async (path: string, text: string) => {
    await Deno.mkdir(path.replace(/[^/]*$/, "") || ".", { recursive: true });
    await Deno.writeTextFile(path, text);
    console.error(`written: ${path}`);
  };
  await write(flags.json ?? "dist/bench.json", JSON.stringify(results, null, 1) + "\n");
  await write(flags.svg ?? "dist/bench.svg", makePlot(results));
  console.log(`${results.machine}, Deno ${results.deno}, rounds: ${run.rounds}\n`);
  console.log(makeTable(results) + "\n");
  console.log(makeTargetTable(results) + "\n");
  for (const [name, settings] of Object.entries(results.settings)) {
    console.log(`${name}: ${settings}`);
  }
  for (const line of results.missing) console.log(`not measured: ${line}`);
  if (flags.keep) await write(BASELINE, JSON.stringify(makeBaseline(results), null, 2) + "\n");
  const measured = Object.values(results.rounds).flat().some((values) =>
    "flood.cpu_us" in values || "client.connected_ms" in values
  );
  if (!measured) return 1;
  return flags.check ? checkBaseline(results) : 0;
}

if (import.meta.main) Deno.exit(await main());
