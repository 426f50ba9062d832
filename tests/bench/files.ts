/**
 * Sending a file from one program to another on this computer, straight and through the relay, beside what others send
 * files with: `deno run -A tests/bench/files.ts`. All take turns, round by round.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { exportPrivateKey } from "../../lib/protocol/identity.ts";
import { FROM_SOURCE } from "../support/programs.ts";
import { type Errand, missing, RIVALS, sleep } from "./file_rivals.ts";
import { residentKb } from "./meter.ts";
import { makeKeys } from "./product.ts";
import { readLines } from "./remote.ts";
import { digits, OWN } from "./report.ts";
import { freePort } from "./servers.ts";

const USAGE = `Usage: deno run -A tests/bench/files.ts [options]

  --bytes N        how large the file is (1000000000)
  --rounds N       how many rounds (5)
  --folder FOLDER  where the file and its copies are (the system's folder for temporary files)
  --json FILE      where the values of all rounds go

HEARTH_SERVER and HEARTH_CLIENT name compiled programs to measure.`;

/** Milliseconds between two messages beside a transfer. */
const CHAT_MS = 20;
const CALM_MS = 3000;
const MEMORY_MS = 50;

type Values = Record<string, number>;

/** Of the server and of two people. */
export const FILE_KEYS = 3;

function readFlags() {
  return parseArgs({
    args: Deno.args,
    options: {
      bytes: { type: "string", default: "1000000000" },
      rounds: { type: "string", default: "5" },
      folder: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  }).values;
}

/** A program that speaks JSON. */
class Speaker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: { event: string; resolve(event: Event): void; reject(error: Error): void }[] =
    [];
  readonly #seen: Event[] = [];
  onEvent: (event: Event) => void = () => {};

  constructor(command: readonly string[], args: readonly string[], home: string) {
    this.#child = new Deno.Command(command[0]!, {
      args: [...command.slice(1), ...args, "--json"],
      env: { HEARTH_HOME: home, NO_COLOR: "1" },
      cwd: home,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    void this.#read();
  }

  async #read(): Promise<void> {
    for await (const line of readLines(this.#child.stdout)) {
      const event: Event = JSON.parse(line);
      this.onEvent(event);
      const found = this.#waiting.findIndex((it) => it.event === event.event);
      if (found < 0) this.#seen.push(event);
      else this.#waiting.splice(found, 1)[0]!.resolve(event);
    }
    const error = new Error(await new Response(this.#child.stderr).text());
    for (const { reject } of this.#waiting) reject(error);
  }

  get residentMb(): number {
    return residentKb(this.#child.pid) / 1000;
  }

  /** The first such event that nobody has waited for yet. */
  next(event: string): Promise<Event> {
    const found = this.#seen.findIndex((it) => it.event === event);
    if (found >= 0) return Promise.resolve(this.#seen.splice(found, 1)[0]!);
    return new Promise((resolve, reject) => this.#waiting.push({ event, resolve, reject }));
  }

  async say(request: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#child.status;
  }
}

interface Event {
  readonly event: string;
  readonly [name: string]: unknown;
}

/** One sends the other a file, and writes to it all the time. */
async function measureHearth(
  way: "direct" | "relayed",
  { path, bytes, into, folder }: Errand,
  keys: readonly string[],
): Promise<Values> {
  const compiled = { client: Deno.env.get("HEARTH_CLIENT"), server: Deno.env.get("HEARTH_SERVER") };
  const command = (which: "client" | "server") =>
    compiled[which] === undefined ? FROM_SOURCE[which] : [compiled[which]!];
  const home = async (name: string, key: string) => {
    const home = `${folder}/${name}`;
    await Deno.mkdir(home, { recursive: true, mode: 0o700 });
    const file = name === "server" ? "server.pem" : "identity.pem";
    await Deno.writeTextFile(`${home}/${file}`, key, { mode: 0o600 });
    return home;
  };
  const port = `${freePort()}`;
  const listen = ["--host", "127.0.0.1", "--port", port, "--no-announce"];
  await using server = new Speaker(command("server"), listen, await home("server", keys[0]!));
  await server.next("listening");
  const args = [
    "--host",
    "127.0.0.1",
    "--port",
    port,
    ...(way === "direct" ? [] : ["--no-direct"]),
  ];
  const [anna, bert] = await Promise.all([home("anna", keys[1]!), home("bert", keys[2]!)]);
  await using sender = new Speaker(command("client"), [...args, "--nick", "anna"], anna);
  const download = ["--nick", "bert", "--download", into];
  await using receiver = new Speaker(command("client"), [...args, ...download], bert);
  await sender.next("joined");

  const latencies: number[] = [];
  const written = new Map<string, number>();
  receiver.onEvent = ({ event, text }) => {
    if (event === "chat") latencies.push(performance.now() - written.get(text as string)!);
  };
  let count = 0;
  const chatting = setInterval(() => {
    const text = `${++count}`;
    written.set(text, performance.now());
    void sender.say({ type: "chat", text });
  }, CHAT_MS);
  const before = [sender.residentMb, receiver.residentMb] as const;
  const peaks = [...before] as [number, number];
  const watching = setInterval(() => {
    for (const [i, program] of [sender, receiver].entries()) {
      peaks[i] = Math.max(peaks[i]!, program.residentMb);
    }
  }, MEMORY_MS);
  try {
    await sleep(CALM_MS);
    const calm = p99(latencies.splice(0));
    await sender.say({ type: "send", to: "bert", path });
    const { id } = await receiver.next("offer");
    const start = performance.now();
    await receiver.say({ type: "accept", id });
    await receiver.next("received");
    const seconds = (performance.now() - start) / 1000;
    return {
      mbps: bytes / 1e6 / seconds,
      calm_p99_ms: calm,
      p99_ms: p99(latencies),
      sender_mb: peaks[0] - before[0],
      receiver_mb: peaks[1] - before[1],
    };
  } finally {
    clearInterval(chatting);
    clearInterval(watching);
  }
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? NaN;
}

async function measureRival(send: (errand: Errand) => Promise<number>, errand: Errand) {
  const seconds = await send(errand);
  const [{ name }] = Array.from(Deno.readDirSync(errand.into)) as [Deno.DirEntry];
  const { size } = await Deno.stat(`${errand.into}/${name}`);
  return { mbps: size / 1e6 / seconds, lost_mb: (errand.bytes - size) / 1e6 };
}

const ROWS: Readonly<Record<string, string>> = {
  mbps: "MB/s",
  calm_p99_ms: "chat p99 before, ms",
  p99_ms: "chat p99 beside it, ms",
  sender_mb: "sender's memory, more MB",
  receiver_mb: "receiver's memory, more MB",
  lost_mb: "lost at the end, MB",
};

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** A column for each program: the median, and the range. */
function makeTable(rounds: Readonly<Record<string, readonly Values[]>>): string {
  const names = Object.keys(rounds).filter((name) => rounds[name]!.length > 0);
  const lines = [["", ...names], ["---", ...names.map(() => "---")]];
  for (const [key, title] of Object.entries(ROWS)) {
    const cells = names.map((name) => {
      const values = rounds[name]!.flatMap((round) =>
        Number.isFinite(round[key]) ? round[key]! : []
      );
      if (values.length === 0) return "";
      return `${digits(median(values))} (${digits(Math.min(...values))} – ${
        digits(Math.max(...values))
      })`;
    });
    lines.push([title, ...cells]);
  }
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** What one program has shown, or why it has not. */
interface Shown {
  readonly name: string;
  readonly way: "direct" | "relayed";
  readonly values: Values;
  readonly why?: string;
}

/** Has each program send a file once; `folder` has room for it twice. */
export async function* sendOnce(
  { bytes, folder, keys }: { bytes: number; folder: string; keys: readonly string[] },
): AsyncGenerator<Shown> {
  const path = `${folder}/film.bin`;
  const [into, own] = [`${folder}/in`, `${folder}/own`];
  {
    using file = await Deno.open(path, { write: true, createNew: true });
    const block = new Uint8Array(65_536);
    for (let left = bytes; left > 0; left -= block.length) {
      file.writeSync(crypto.getRandomValues(block).subarray(0, left));
    }
  }
  const hearth = (["direct", "relayed"] as const).map((way) => ({
    ...{ name: OWN, way, programs: [] },
    measure: (errand: Errand) => measureHearth(way, errand, keys),
  }));
  const rivals = RIVALS.map(({ name, way, programs, send }) => ({
    ...{ name, way, programs },
    measure: (errand: Errand) => measureRival(send, errand),
  }));
  for (const { name, way, programs, measure } of [...hearth, ...rivals]) {
    const why = await missing(programs);
    if (why !== undefined) {
      yield { name, way, values: {}, why };
      continue;
    }
    await Deno.mkdir(into);
    await Deno.mkdir(own);
    try {
      yield { name, way, values: await measure({ path, bytes, into, folder: own }) };
    } catch (error) {
      yield { name, way, values: {}, why: error instanceof Error ? error.message : `${error}` };
    }
    await Deno.remove(into, { recursive: true });
    await Deno.remove(own, { recursive: true });
  }
  await Deno.remove(path);
}

async function main(flags: ReturnType<typeof readFlags>): Promise<void> {
  const folder = await Deno.makeTempDir({
    prefix: "bench_files_",
    ...(flags.folder && { dir: flags.folder }),
  });
  const rounds: Record<string, Values[]> = {};
  const reasons = new Set<string>();
  try {
    const keys = (await makeKeys(FILE_KEYS)).map(exportPrivateKey);
    const options = { bytes: Number(flags.bytes), folder, keys };
    for (let round = 0; round < Number(flags.rounds); round++) {
      for await (const { name, way, values, why } of sendOnce(options)) {
        const column = `${name}, ${way}`;
        if (why !== undefined) reasons.add(`${column}: ${why}`);
        else (rounds[column] ??= []).push(values);
        console.error(`round ${round + 1}: ${column}: ${why ?? JSON.stringify(values)}`);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(makeTable(rounds));
  for (const reason of reasons) console.log(`not measured: ${reason}`);
  if (flags.json) await Deno.writeTextFile(flags.json, JSON.stringify(rounds, null, 1) + "\n");
}

if (import.meta.main) {
  const flags = readFlags();
  if (flags.help) console.log(USAGE);
  else await main(flags);
}
