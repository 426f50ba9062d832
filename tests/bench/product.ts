/**
 * The whole product, client to client with real cryptography, and beside it the client of ncat.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { generateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import type { Values } from "./forward.ts";
import { CpuMeter } from "./meter.ts";
import { readLines } from "./remote.ts";
import { commandOf, type RunningServer } from "./servers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PATIENCE_MS = 30_000;
/** How often somebody of ncat speaks while another one starts. */
const TALK_MS = 5;
const STARTS = 5;
const LINES = 10_000;

/** A client program that is running. */
export class Client {
  readonly cpu: CpuMeter;
  readonly #child: Deno.ChildProcess;
  readonly #out: AsyncGenerator<string>;
  readonly #err: AsyncGenerator<string>;
  readonly #in: WritableStreamDefaultWriter<Uint8Array>;

  constructor(program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(program, {
      args: [...args],
      env: { ...env, NO_COLOR: "1" },
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.cpu = new CpuMeter(this.#child.pid);
    this.#out = readLines(this.#child.stdout);
    this.#err = readLines(this.#child.stderr);
    this.#in = this.#child.stdin.getWriter();
  }

  /** Waits for a line that contains `text`, and returns it. */
  async until(text: string, from: "out" | "err" = "out"): Promise<string> {
    const lines = from === "out" ? this.#out : this.#err;
    const timer = setTimeout(() => void this.stop(), PATIENCE_MS);
    try {
      for (let line; !(line = await lines.next()).done;) {
        if (line.value.includes(text)) return line.value;
      }
    } finally {
      clearTimeout(timer);
    }
    throw new Error(`a client has ended before it said ${text}`);
  }

  async write(text: string): Promise<void> {
    await this.#in.write(new TextEncoder().encode(text)).catch(() => {});
  }

  async closeInput(): Promise<void> {
    await this.#in.close();
  }

  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended already
    }
    await this.#child.status;
  }
}

/** Starts a client of the server's version. @param args Besides its server. */
export function startHearth(server: RunningServer, home: string, args: readonly string[]): Client {
  const [program, ...start] = commandOf(server.kind, "client");
  const options = [...start, "--host", `127.0.0.1:${server.port}`, ...args];
  return new Client(program!, options, { HEARTH_HOME: home });
}

/** Makes a state folder with an identity. */
export async function makeHome(folder: string, name: string, pem: string): Promise<string> {
  const home = `${folder}/${name}`;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${home}/identity.pem`, pem, { mode: 0o600 });
  return home;
}

/** What both kinds of client are asked for. */
export interface ProductOptions {
  readonly server: RunningServer;
  readonly values: Values;
  readonly folder: string;
  /** Identities in PEM, a person each. */
  readonly keys: readonly string[];
}

/** From the start of the client to its being connected, and to the first message it shows. */
export async function measureStart(
  { server, values, folder, keys }: ProductOptions,
): Promise<void> {
  const homes = [
    await makeHome(folder, "anna", keys[0]!),
    await makeHome(folder, "bert", keys[1]!),
  ] as const;
  const other = startHearth(server, homes[0], ["--json", "--nick", "anna"]);
  try {
    await other.until('"welcome"');
    await hearthStart(server, homes[1], other); // the first one ever has pins to write
    await startSeveral(values, () => hearthStart(server, homes[1], other));
  } finally {
    await other.stop();
  }
}

async function hearthStart(
  server: RunningServer,
  home: string,
  other: Client,
): Promise<Values> {
  const start = performance.now();
  const client = startHearth(server, home, ["--json", "--nick", "bert"]);
  try {
    await client.until('"connected"');
    const connected = performance.now() - start;
    const cpu = client.cpu.read() / 1000;
    await other.until('"joined"');
    await other.write('{"type":"chat","text":"hello"}\n');
    await client.until('"chat"');
    return {
      "client.connected_ms": connected,
      "client.connected_cpu_ms": cpu,
      "client.message_ms": performance.now() - start,
    };
  } finally {
    await client.stop();
  }
}

/** The same for ncat: somebody there speaks all the time. */
export async function measureNcatStart(server: RunningServer, values: Values): Promise<void> {
  const args = ["--ssl", "-v", "127.0.0.1", `${server.port}`];
  const other = new Client("ncat", args);
  let timer: ReturnType<typeof setInterval> | undefined;
  try {
    await other.until("SSL connection", "err");
    timer = setInterval(() => void other.write("hello\n"), TALK_MS);
    await startSeveral(values, () => ncatStart(args));
  } finally {
    clearInterval(timer);
    await other.stop();
  }
}

async function ncatStart(args: readonly string[]): Promise<Values> {
  const start = performance.now();
  const client = new Client("ncat", args);
  try {
    await client.until("SSL connection", "err");
    const connected = performance.now() - start;
    const cpu = client.cpu.read() / 1000;
    await client.until("hello");
    return {
      "client.connected_ms": connected,
      "client.connected_cpu_ms": cpu,
      "client.message_ms": performance.now() - start,
    };
  } finally {
    await client.stop();
  }
}

async function startSeveral(values: Values, start: () => Promise<Values>): Promise<void> {
  await measureSeveral(values, STARTS, start);
}

/** Keeps the medians of several measurements of the same. */
export async function measureSeveral(
  values: Values,
  times: number,
  measure: () => Promise<Values>,
): Promise<void> {
  const all: Values[] = [];
  for (let i = 0; i < times; i++) all.push(await measure());
  for (const name of Object.keys(all[0]!)) {
    values[name] = all.map((one) => one[name]!).toSorted((a, b) => a - b)[times >> 1]!;
  }
}

/** Ten thousand lines from one client's standard input to another's standard output. */
export async function measurePipe({ server, values, folder, keys }: ProductOptions): Promise<void> {
  const room = ["--room", "pipe"];
  const from = startHearth(server, await makeHome(folder, "anna", keys[0]!), [
    ...["--json", "--nick", "anna"],
    ...room,
  ]);
  await from.until('"welcome"');
  const to = startHearth(server, await makeHome(folder, "bert", keys[1]!), [
    ...["--nick", "bert"],
    ...room,
  ]);
  try {
    await from.until('"joined"');
    await from.stop();
    const sender = startHearth(server, `${folder}/anna`, ["--nick", "anna", ...room]);
    const start = performance.now();
    const lines = Array.from({ length: LINES }, (_, i) => `line ${i} of many\n`);
    const writing = sender.write(lines.join("")).then(() => sender.closeInput());
    await to.until(`line ${LINES - 1} of many`);
    values["pipe.ms"] = performance.now() - start;
    await writing;
    await sender.stop();
  } finally {
    await to.stop();
  }
}

/** Makes identities of the usual size. */
export function makeKeys(count: number): Promise<PrivateKey[]> {
  return Promise.all(Array.from({ length: count }, () => generateKey(3072)));
}
