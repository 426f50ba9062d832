/**
 * Real servers and clients under test, on free ports, each with its own state folder. Run from source or, by
 * {@linkcode Commands}, compiled.
 *
 * @module
 */

import {
  encodeFingerprint,
  exportPrivateKey,
  generateKey,
  type PrivateKey,
} from "../../lib/protocol/identity.ts";
import { poll, Program, type StartOptions } from "./program.ts";

export { DEADLINE_MS, type Event, type Fields, poll, Program } from "./program.ts";

/** Small keys, which are generated quickly. */
const KEY_BITS = 2048;
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** The commands that start the two programs, before their arguments. */
export interface Commands {
  readonly client: readonly string[];
  readonly server: readonly string[];
}

/** The programs as the tasks of deno.json run them. */
export const FROM_SOURCE: Commands = await (async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const command = (name: "client" | "server") => {
    const words: string[] = tasks[name].split(" ");
    const script = words.indexOf(`${name}.ts`);
    return [Deno.execPath(), ...words.slice(1, script), `${ROOT}${name}.ts`];
  };
  return { client: command("client"), server: command("server") };
})();

/** The result of a program. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Keys by name: one name has the same key in all tests of a run. */
const keys = new Map<string, Promise<PrivateKey>>();

function keyOf(name: string, bits: number = KEY_BITS): Promise<PrivateKey> {
  const id = `${name} ${bits}`;
  const key = keys.get(id) ?? generateKey(bits);
  keys.set(id, key);
  return key;
}

/** The fingerprint of the key in the state folder made by {@linkcode World.home}. */
export async function fingerprintOf(name: string, bits?: number): Promise<string> {
  return encodeFingerprint((await keyOf(name, bits)).publicKey.fingerprint);
}

/** Options of a program in a world. */
export interface WorldStartOptions extends StartOptions {
  /** Lets a server announce itself; only inside isolated networks. */
  readonly announce?: boolean;
}

/** How a client is started. */
export interface ClientOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The state folder's name; the nick by default. */
  readonly home?: string;
  /** Where the server is; the last one started by default. */
  readonly port?: number;
}

/** A folder with the state folders, and the programs started there; disposing removes all. */
export class World implements AsyncDisposable {
  readonly #commands: Commands;
  readonly #folder: string;
  readonly #programs: Program[] = [];
  #port: number | undefined;
  #server: Program | undefined;

  private constructor(commands: Commands, folder: string) {
    this.#commands = commands;
    this.#folder = folder;
  }

  /** Opens an empty one. */
  static async open(commands: Commands): Promise<World> {
    return new World(commands, await Deno.makeTempDir({ prefix: "hearth_test_" }));
  }

  /** The port of the last server started. */
  get port(): number {
    return this.#port!;
  }

  /** A path in the folder. */
  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Writes a file that only its owner may read. @returns Its path. */
  async file(name: string, content: string | Uint8Array): Promise<string> {
    const path = this.path(name);
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(path, bytes, { mode: 0o600 });
    return path;
  }

  /** Creates a state folder with a key, unless it exists. @returns Its path. */
  async home(
    name: string,
    { bits, file = "identity.pem" }: { bits?: number; file?: string } = {},
  ): Promise<string> {
    const home = await this.emptyHome(name);
    try {
      const options = { mode: 0o600, createNew: true };
      await Deno.writeTextFile(
        `${home}/${file}`,
        exportPrivateKey(await keyOf(name, bits)),
        options,
      );
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    return home;
  }

  /** Creates a state folder without a key. @returns Its path. */
  async emptyHome(name: string): Promise<string> {
    await Deno.mkdir(this.path(name), { recursive: true, mode: 0o700 });
    return this.path(name);
  }

  /** Starts a server on a free port and waits until it listens. */
  async server(
    args: readonly string[] = [],
    { port = 0, home = "server" }: { port?: number; home?: string } = {},
  ): Promise<Program> {
    const server = this.start("server", {
      args: ["--port", String(port), "--json", ...args],
      home: await this.home(home, { file: "server.pem" }),
    });
    await poll(
      () => server.all("listening").length > 0 || !server.running,
      () => `the start of ${server.describe()}`,
    );
    if (!server.running) throw new Error(`The server did not start: ${server.describe()}`);
    this.#port = server.port;
    this.#server = server;
    return server;
  }

  /** Ends the last server started, as an operator does. */
  async stopServer(): Promise<void> {
    await this.#server!.kill("SIGTERM");
  }

  /** Starts a program whose standard output and error are a full pipe that nobody reads. */
  async startUnread(
    which: "client" | "server",
    options: WorldStartOptions,
    name: string = which,
  ): Promise<Program> {
    const pipe = this.path(`pipe_${name}`);
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    // It is its own reader; 64 KiB is what a pipe holds.
    const script = `exec 3<>"$0"; head -c 65536 /dev/zero >&3; exec "$@" >&3 2>&3`;
    return this.start(which, options, name, ["sh", "-c", script, pipe]);
  }

  /** Starts a client that speaks JSON. */
  async client(nick: string, options: ClientOptions = {}): Promise<Program> {
    return await this.pipe(nick, { ...options, args: ["--json", ...options.args ?? []] });
  }

  /** Starts a client that speaks plain lines. */
  async pipe(
    nick: string,
    { args = [], env = {}, home = nick, port = this.#port! }: ClientOptions = {},
  ): Promise<Program> {
    const address = ["--host", "127.0.0.1", "--port", String(port), "--nick", nick];
    return this.start("client", {
      args: [...address, ...args],
      home: await this.home(home),
      env,
    }, nick);
  }

  /** Starts clients, and waits until they all see each other. */
  async gather(...nicks: readonly string[]): Promise<Program[]> {
    const clients = await Promise.all(nicks.map((nick) => this.client(nick)));
    await Promise.all(
      clients.map((client) => client.waitFor("joined", {}, { count: nicks.length - 1 })),
    );
    return clients;
  }

  /** Starts a program with exactly these arguments. */
  start(
    which: keyof Commands,
    options: WorldStartOptions,
    name: string = which,
    wrapper: readonly string[] = [],
  ): Program {
    const { args, announce = false } = options;
    const serves = args.includes("--serve") || (which === "server" && !/^\w/.test(args[0] ?? "-"));
    const command = [
      ...wrapper,
      ...this.#commands[which],
      ...(serves && !announce ? ["--no-announce"] : []),
    ];
    const program = new Program(name, command, options);
    this.#programs.push(program);
    return program;
  }

  /** Runs a program to its end, with `input` on its standard input. */
  async run(
    which: keyof Commands,
    { input = "", ...options }: WorldStartOptions & { input?: string | Uint8Array },
  ): Promise<Outcome> {
    const program = this.start(which, options, `${which} ${options.args.join(" ")}`);
    if (input.length > 0) await program.write(input).catch(() => {}); // it may have exited
    const code = await program.leave();
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  /** @returns Whether it is gone: a client in a terminal that was closed may still be writing there. */
  async #removeFolder(): Promise<boolean> {
    return await Deno.remove(this.#folder, { recursive: true }).then(
      () => true,
      (error) => {
        if (!/not empty/i.test(error.message)) throw error;
        return false;
      },
    );
  }

  /** Ends everything. @throws {Error} When a program wrote an invalid event or crashed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.dispose()));
    await poll(() => this.#removeFolder(), () => `the end of what writes to ${this.#folder}`);
    for (const { name, faults, stderr } of this.#programs) {
      if (faults.length > 0) {
        throw new Error(`${name} wrote invalid events: ${faults.join("\n")}`);
      }
      if (/^\s+at .*:\d+:\d+|Uncaught/m.test(stderr)) throw new Error(`${name} crashed: ${stderr}`);
    }
  }
}

/** Waits until something listens on a port of this computer. */
export async function waitForPort(port: number): Promise<void> {
  await poll(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      return false;
    }
  }, () => `anybody on port ${port}`);
}

/** Finds a free port, not among those that the system gives to whoever asks for any. */
export function freePort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A test: its name, and a function that gets a new world. */
export type Conversation = readonly [name: string, run: (world: World) => Promise<void>];

/** Registers each conversation as a test. */
export function testConversations(
  conversations: readonly Conversation[],
  commands: Commands = FROM_SOURCE,
): void {
  for (const [name, run] of conversations) {
    Deno.test(name, async () => {
      await using world = await World.open(commands);
      await run(world);
    });
  }
}
