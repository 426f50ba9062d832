/**
 * `deno task bench`: the relay beside the servers that people would pick instead, measured in interleaved rounds.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportPrivateKey } from "../../lib/protocol/identity.ts";
import {
  measureLongTexts,
  measureMemory,
  measureRoom,
  type Scale,
  type Values,
} from "./forward.ts";
import { residentKb } from "./meter.ts";
import { measurePour } from "./pour.ts";
import { measureMulticast } from "./multicast.ts";
import { BUSY_KEYS, measureBusyChat } from "./busy_chat.ts";
import { measureStorm } from "./storm.ts";
import { measureWeb } from "./web.ts";
import { measureCluster, measureRemote } from "./cluster.ts";
import { measureMoves } from "./moves.ts";
import { fillDocuments } from "./documents.ts";
import { sendOnce } from "./files.ts";
import { makePlot } from "./plot.ts";
import { makeKeys, measureNcatStart, measurePipe, measureStart } from "./product.ts";
import { measureRoomOf64, ROOM_KEYS } from "./room64.ts";
import {
  type Baseline,
  dropLost,
  findRegressions,
  makeBaseline,
  makeTable,
  makeTargetTable,
  OWN,
  type Results,
  targetNames,
} from "./report.ts";
import {
  BARE,
  makeCertificate,
  type Place,
  type RunningServer,
  serverFlags,
  type ServerKind,
  SERVERS,
  startServer,
} from "./servers.ts";

/** What can be measured, in this order. */
const PARTS = [
  ...["room", "texts", "memory", "client", "pipe", "web", "room64", "files"],
  ...["moves", "busy", "multicast", "storm", "pour", "remote", "cluster"],
];
/** They say nothing about others. */
const LONG_PARTS = ["moves", "busy", "multicast", "storm", "pour", "remote", "cluster"];
/** Parts that a quick look has. */
const QUICK_PARTS = ["room", "client"];

const USAGE = `Usage: deno task bench [options]

  --quick          one short round of those with encryption, under a minute
  --rounds N       how many rounds (3)
  --seconds N      how long the paced parts take (5)
  --only NAME,...  only these servers
  --parts PART,... only these parts: ${PARTS.join(", ")};
                   without it, all but ${LONG_PARTS.join(", ")}
  --json FILE      where the results go (dist/bench.json)
  --svg FILE       where the plot goes (dist/bench.svg)
  --check          compare with tests/bench/baseline.json: exit 1 when something got worse
  --keep           write tests/bench/baseline.json; without --parts, --only and --quick also
                   docs/bench.svg and the tables of README.md and docs/performance.md;
                   with --parts remote,cluster the table of the cluster there

SSH_CHAT names a binary of ssh-chat; HEARTH_SERVER and HEARTH_CLIENT compiled programs to measure.
HEARTH_0_1 names a folder with the version before HEARTH/2: see README.`;

const FULL: Scale = {
  members: 50,
  oneByOne: 20,
  messages: 2000,
  seconds: 5,
  crowds: [100, 900],
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
/** Enough for a speed, and little enough for a run. */
const FILE_BYTES = 250_000_000;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
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
    parts: { type: "string" },
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
  readonly rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
  readonly parts = new Set(
    flags.parts?.split(",") ??
      (flags.quick ? QUICK_PARTS : PARTS.filter((part) => !LONG_PARTS.includes(part))),
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
    const keys = this.parts.has("room64") ? ROOM_KEYS : BUSY_KEYS;
    this.#keys = (await makeKeys(keys)).map(exportPrivateKey);
    const kinds = SERVERS.filter((kind) => this.#has(kind));
    for (const { name } of kinds) this.results.rounds[name] = [];
    for (let round = 0; round < this.rounds; round++) {
      for (const kind of kinds) {
        const values: Values = {};
        this.results.rounds[kind.name]!.push(values);
        console.error(`round ${round + 1} of ${this.rounds}: ${kind.name}`);
        await this.#measureServer(kind, { values, isFirst: round === 0 });
        if (kind.name !== OWN) this.results.missing.push(...dropLost(kind.name, values));
      }
      if (round === 0 && this.parts.has("files")) await this.#measureFiles();
    }
  }

  async #measureFiles(): Promise<void> {
    console.error("files");
    const { rounds, missing } = this.results;
    const options = { bytes: FILE_BYTES, folder: this.folder, keys: this.#keys };
    for await (const { name, way, values, why } of sendOnce(options)) {
      if (why !== undefined) missing.push(`${name}, files: ${why}`);
      else (rounds[name] ??= [{}])[0]![`file.${way}_mbps`] = values.mbps!;
    }
  }

  #has(kind: ServerKind): boolean {
    const { name, tls, settings } = kind;
    if (flags.only && !flags.only.split(",").includes(name)) return false;
    // Nobody would use them; they show what encryption costs the others.
    const isLeftOut = !flags.only && !tls && name !== BARE;
    const reason = isLeftOut ? "without encryption, only with --only" : kind.missing();
    if (reason) this.results.missing.push(`${name}: ${reason}`);
    else this.results.settings[name] = settings;
    return !reason;
  }

  async #measureServer(
    kind: ServerKind,
    { values, isFirst }: { values: Values; isFirst: boolean },
  ): Promise<void> {
    const isOwn = kind.name === OWN;
    const scale = { ...this.scale, slowReader: this.scale.slowReader && isOwn };
    const options = { setup: { textBytes: 128, keyPem: this.#keys[0]! }, scale, values };
    await this.#attempt(kind, "room", (server) => measureRoom(server, options));
    const takesLong = kind.tls && (kind.speech === "hearth" || kind.speech === "lines");
    if (takesLong) await this.#attempt(kind, "texts", (it) => measureLongTexts(it, options));
    // One crowd tells: it is as large each time.
    if (isFirst) await this.#attempt(kind, "memory", (server) => measureMemory(server, options));
    const [keys, folder] = [this.#keys, Deno.makeTempDirSync({ dir: this.folder })];
    const product = (server: RunningServer) => ({ server, values, folder, keys });
    if (kind.speech === "hearth") {
      await this.#attempt(kind, "client", (server) => measureStart(product(server)));
      if (isFirst) await this.#attempt(kind, "room64", (it) => measureRoomOf64(product(it)));
    }
    if (isOwn) {
      const { messages, seconds } = scale;
      const cluster = { ...options, place: { ...this.#place, folder }, messages, seconds };
      await this.#attempt(kind, "remote", () => measureRemote(cluster));
      if (isFirst) {
        await this.#attempt(kind, "cluster", () => measureCluster(cluster));
        await this.#attempt(kind, "pipe", (server) => measurePipe(product(server)));
        await this.#attempt(kind, "web", (server) => measureWeb(product(server)));
        for (const face of ["plain", "full"] as const) {
          const folder = Deno.makeTempDirSync({ dir: this.folder });
          const work = (server: RunningServer) =>
            measureBusyChat({ ...product(server), face, folder });
          await this.#attempt(kind, "busy", work);
        }
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
    if (!this.parts.has(part)) return;
    const folder = `${this.folder}/${kind.name.replaceAll(/\W+/g, "-")}`;
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

function readBaseline(): Baseline {
  return JSON.parse(Deno.readTextFileSync(BASELINE)) as Baseline;
}

function checkBaseline(results: Results): number {
  const worse = findRegressions(results, readBaseline());
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
  if (flags.keep) {
    const kept = { ...readBaseline(), ...makeBaseline(results) };
    const names = targetNames().filter((name) => name in kept);
    const baseline = Object.fromEntries(names.map((name) => [name, kept[name]]));
    await write(BASELINE, JSON.stringify(baseline, null, 2) + "\n");
    const isWhole = !flags.parts && !flags.only && !flags.quick;
    if (isWhole) await write(`${ROOT}docs/bench.svg`, makePlot(results));
    await fillDocuments(results, isWhole);
  }
  const measured = Object.values(results.rounds).flat().some((values) =>
    Object.keys(values).some((name) => name !== "memory.idle_kb")
  );
  if (!measured) return 1;
  return flags.check ? checkBaseline(results) : 0;
}

if (import.meta.main) Deno.exit(await main());
