/**
 * The whole product, client to client with real cryptography, and beside it the client of ncat.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import { generateKey, importPrivateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import type { Values } from "./forward.ts";
import { CpuMeter } from "./meter.ts";
import type { PeopleActions } from "./people.ts";
import { readLines, Remote } from "./remote.ts";
import type { RunningServer } from "./servers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PATIENCE_MS = 30_000;
/** How often somebody of ncat speaks while another one starts. */
const TALK_MS = 5;
const LINES = 10_000;
const ROOM = 64;
const PROCESSES = 2;
const SAID = 100;
const KIB = 1024;

/** A client program that is running. */
class Client {
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

  /** Waits for a line that contains `text`. */
  async until(text: string, from: "out" | "err" = "out"): Promise<void> {
    const lines = from === "out" ? this.#out : this.#err;
    const timer = setTimeout(() => void this.stop(), PATIENCE_MS);
    try {
      for (let line; !(line = await lines.next()).done;) if (line.value.includes(text)) return;
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

function startHearth(server: RunningServer, home: string, args: readonly string[]): Client {
  const own = Deno.env.get("HEARTH_CLIENT"); // a compiled one
  const words = settings.tasks.client.split(" "); // deno run FLAGS client.ts
  const start = own
    ? []
    : ["run", "--quiet", ...words.slice(2, words.indexOf("client.ts")), "client.ts"];
  return new Client(
    own ?? Deno.execPath(),
    [...start, "--host", `127.0.0.1:${server.port}`, ...args],
    { HEARTH_HOME: home },
  );
}

async function makeHome(folder: string, name: string, pem: string): Promise<string> {
  const home = `${folder}/${name}`;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${home}/identity.pem`, pem, { mode: 0o600 });
  return home;
}

/** What both kinds of client are asked for. */
interface StartOptions {
  readonly server: RunningServer;
  readonly values: Values;
  readonly folder: string;
  /** Two identities in PEM. */
  readonly keys: readonly string[];
}

/** From the start of the client to its being connected, and to the first message it shows. */
export async function measureStart({ server, values, folder, keys }: StartOptions): Promise<void> {
  const homes = [
    await makeHome(folder, "anna", keys[0]!),
    await makeHome(folder, "bert", keys[1]!),
  ] as const;
  const other = startHearth(server, homes[0], ["--json", "--nick", "anna"]);
  try {
    await other.until('"welcome"');
    await hearthStart(server, homes[1], other, values); // the first one ever has pins to write
    await hearthStart(server, homes[1], other, values);
  } finally {
    await other.stop();
  }
}

async function hearthStart(
  server: RunningServer,
  home: string,
  other: Client,
  values: Values,
): Promise<void> {
  const start = performance.now();
  const client = startHearth(server, home, ["--json", "--nick", "bert"]);
  try {
    await client.until('"connected"');
    values["client.connected_ms"] = performance.now() - start;
    values["client.connected_cpu_ms"] = client.cpu.read() / 1000;
    await other.until('"joined"');
    await other.write('{"type":"chat","text":"hello"}\n');
    await client.until('"chat"');
    values["client.message_ms"] = performance.now() - start;
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
    const start = performance.now();
    const client = new Client("ncat", args);
    try {
      await client.until("SSL connection", "err");
      values["client.connected_ms"] = performance.now() - start;
      values["client.connected_cpu_ms"] = client.cpu.read() / 1000;
      await client.until("hello");
      values["client.message_ms"] = performance.now() - start;
    } finally {
      await client.stop();
    }
  } finally {
    clearInterval(timer);
    await other.stop();
  }
}

/** Ten thousand lines from one client's standard input to another's standard output. */
export async function measurePipe({ server, values, folder, keys }: StartOptions): Promise<void> {
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

/** A room of 64, and what a message costs in it. */
export async function measureRoomOf64(
  { server, values, folder, keys }: StartOptions,
): Promise<void> {
  const crowd = Array.from({ length: PROCESSES }, () => new Remote<PeopleActions>("people.ts"));
  const one = new Remote<PeopleActions>("people.ts");
  try {
    const { port } = server;
    await Promise.all([...crowd, one].map((remote) => remote.tell("complete", { others: 0 })));
    const start = performance.now();
    const sizes = crowd.map((_, i) => Math.floor((ROOM - 1 + i) / PROCESSES));
    await Promise.all([
      one.tell("enter", { count: 1, port, keys, name: "one", folder }),
      ...crowd.map((remote, i) =>
        remote.tell("enter", { count: sizes[i]!, port, keys, name: `p${i}n`, folder })
      ),
    ]);
    await Promise.all(
      [...crowd, one].map((remote) => remote.tell("complete", { others: ROOM - 1 })),
    );
    values["room64.ms"] = performance.now() - start;
    values["room64.rsa_ms"] = await timeRsa(await importPrivateKey(keys[0]!));
    for (
      const [name, bytes, atOnce] of [
        ["send", 128, 1],
        ["send20", 128, 20],
        ["send8k", 8 * KIB, 1],
      ] as const
    ) {
      const count = SAID * atOnce;
      await one.tell("say", { count: count / 10, bytes, atOnce });
      const before = one.cpu.read();
      await one.tell("say", { count, bytes, atOnce });
      values[`room64.${name}_cpu_ms`] = (one.cpu.read() - before) / count / 1000;
    }
  } finally {
    await Promise.all([...crowd, one].map((remote) => remote.stop()));
  }
}

/** How long the RSA operations of all handshakes in a room of 64 take when all cores do nothing else. */
async function timeRsa(key: PrivateKey): Promise<number> {
  const message = new Uint8Array(64);
  const sealed = await key.publicKey.encrypt(new Uint8Array(32));
  const signature = await key.sign("bench", message);
  const cores = navigator.hardwareConcurrency;
  const rounds = 20;
  const handshake = async () => {
    for (let i = 0; i < rounds; i++) {
      await key.sign("bench", message);
      await key.sign("bench", message);
      await key.publicKey.verify("bench", message, signature);
      await key.publicKey.verify("bench", message, signature);
      await key.publicKey.encrypt(new Uint8Array(32));
    }
  };
  let start = performance.now();
  await Promise.all(Array.from({ length: cores }, handshake));
  const parallel = (performance.now() - start) / rounds / cores;
  start = performance.now();
  for (let i = 0; i < rounds; i++) await key.decrypt(sealed);
  const decrypt = (performance.now() - start) / rounds / cores; // synchronous, in as many processes
  return (parallel + decrypt) * ROOM * (ROOM - 1) / 2;
}

/** Makes identities of the usual size. */
export function makeKeys(count: number): Promise<PrivateKey[]> {
  return Promise.all(Array.from({ length: count }, () => generateKey(3072)));
}
