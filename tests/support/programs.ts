/**
 * Real processes to test with: servers and clients on free ports, each with a state folder of its own, JSON lines in
 * and out.
 *
 * Run by default from the source; {@linkcode Commands} may name compiled programs instead. Everything a program
 * writes under `--json` is held against the list of events in the user manual, whatever a test looks at.
 *
 * @module
 */

import {
  encodeFingerprint,
  exportPrivateKey,
  generateKey,
  type PrivateKey,
} from "../../lib/rsa.ts";
import { checkJsonLine } from "./event_shapes.ts";

/** How long anything may take before a test fails. */
export const DEADLINE_MS = 20_000;
const POLL_MS = 10;
/** Keys that are made in a hurry. */
const KEY_BITS = 2048;
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
/** Variables of the tester's own that would change what the programs do. */
const FOREIGN_VARIABLES = /^(HEARTH_.*|XDG_CONFIG_HOME|NO_COLOR|TERM|USER|LOGNAME|USERNAME)$/;

/** The command lines that start the two programs, to which arguments are added. */
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

/** An event of either program; what a test reads of it must be there. */
export type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

/** What an event must have in its fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** What a program left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started. */
export interface StartOptions {
  readonly args: readonly string[];
  /** Its state folder. */
  readonly home: string;
  /** A server may announce itself: nothing that tests do leaves their own networks. */
  readonly announce?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Waits until `look` gives something. @throws {Error} When it does not in time; says what was `missing`. */
export async function poll<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  missing: () => string,
  timeoutMs: number = DEADLINE_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`Not in ${timeoutMs} ms: ${missing()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** One running program. */
export class Program {
  /** What it is called in messages. */
  readonly name: string;
  /** Its events so far, under `--json`. */
  readonly events: Event[] = [];
  /** What was wrong with its JSON lines. */
  readonly faults: string[] = [];
  /** Its standard output so far. */
  stdout = "";
  /** Its standard error so far. */
  stderr = "";
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: Reader;
  readonly #ended: Promise<number>;
  #running = true;
  #unread = "";

  /** Starts it. */
  constructor(name: string, command: readonly string[], { args, home, env }: StartOptions) {
    this.name = name;
    const own = Object.entries(Deno.env.toObject()).filter(([key]) => !FOREIGN_VARIABLES.test(key));
    this.#process = new Deno.Command(command[0]!, {
      args: [...command.slice(1), ...args],
      cwd: home,
      clearEnv: true,
      env: { ...Object.fromEntries(own), USER: "somebody", HEARTH_HOME: home, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.getReader();
    const isJson = args.includes("--json");
    this.#ended = Promise.all([
      this.#process.status,
      collect(this.#reader, (text) => {
        this.stdout += text;
        if (isJson) this.#parse(text);
      }),
      collect(this.#process.stderr.getReader(), (text) => this.stderr += text),
    ]).then(([{ code }]) => {
      this.#running = false;
      if (isJson && this.#unread !== "") this.faults.push(`a line without end: ${this.#unread}`);
      return code;
    });
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** It has not ended yet. */
  get running(): boolean {
    return this.#running;
  }

  /** The port it listens on. */
  get port(): number {
    return this.first("listening").port as number;
  }

  /** The events of a kind, those with these fields. */
  all(event: string, fields: Fields = {}): Event[] {
    return this.events.filter((found) => found.event === event && matches(found, fields));
  }

  /** The first event of a kind, that must be there. */
  first(event: string, fields: Fields = {}): Event {
    const found = this.all(event, fields)[0];
    if (!found) throw new Error(`${this.name} has no ${event} ${JSON.stringify(fields)}`);
    return found;
  }

  /** Waits for an event, the `count`-th of those with these fields. */
  waitFor(
    event: string,
    fields: Fields = {},
    { count = 1, timeoutMs = DEADLINE_MS }: { count?: number; timeoutMs?: number } = {},
  ): Promise<Event> {
    return poll(
      () => this.all(event, fields)[count - 1],
      () => `${count} x ${event} ${JSON.stringify(fields)} of ${this.describe()}`,
      timeoutMs,
    );
  }

  /** Waits until its standard error or output, whichever is named, has what is looked for. */
  waitForText(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    return poll(
      () => pattern.exec(this[stream]) ?? undefined,
      () => `${pattern} in the ${stream} of ${this.describe()}`,
    );
  }

  /** Writes an object to its standard input, on a line of its own. */
  async say(...lines: readonly Fields[]): Promise<void> {
    await this.write(lines.map((line) => JSON.stringify(line) + "\n").join(""));
  }

  /** Sends messages to the room, all in one write. */
  async chat(...texts: readonly string[]): Promise<void> {
    await this.say(...texts.map((text) => ({ type: "chat", text })));
  }

  /** Types a command. */
  async command(text: string): Promise<void> {
    await this.say({ type: "command", text });
  }

  /** Writes to its standard input as it is. */
  async write(data: string | Uint8Array): Promise<void> {
    await this.#writer.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Ends its standard input. */
  async closeInput(): Promise<void> {
    try {
      await this.#writer.close();
    } catch {
      // It has gone already.
    }
  }

  /** Reads its standard output no more, as `head` does when it has enough. */
  async stopReading(): Promise<void> {
    await this.#reader.cancel();
  }

  /** Waits for its end. @returns The exit code. */
  async ended(timeoutMs: number = DEADLINE_MS): Promise<number> {
    await poll(() => !this.#running, () => `the end of ${this.describe()}`, timeoutMs);
    return await this.#ended;
  }

  /** Ends its standard input and waits for its end. */
  async leave(): Promise<number> {
    await this.closeInput();
    return await this.ended();
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<number> {
    this.signal(signal);
    return await this.ended();
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** What it has said so far, for messages. */
  describe(): string {
    const events = this.events.slice(-15).map((event) => `    ${JSON.stringify(event)}`);
    const said = this.events.length > 0 ? events.join("\n") : this.stdout.slice(-2000);
    return `${this.name}; it said\n${said}\n${this.stderr.slice(-2000)}`;
  }

  /** Ends it however it is. */
  async dispose(): Promise<void> {
    if (this.#running) {
      try {
        this.#process.kill("SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    await this.closeInput();
    await this.#ended;
  }

  #parse(text: string): void {
    const lines = (this.#unread + text).split("\n");
    this.#unread = lines.pop()!;
    for (const line of lines) {
      try {
        this.events.push(checkJsonLine(line));
      } catch (error) {
        this.faults.push(`${(error as Error).message}: ${line}`);
      }
    }
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

async function collect(reader: Reader, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(decoder.decode(value, { stream: true }));
  }
}

function matches(event: Event, fields: Fields): boolean {
  return Object.entries(fields).every(([name, value]) =>
    JSON.stringify(event[name]) === JSON.stringify(value)
  );
}

/** Keys are made once for each name: whoever is called ann has the same one in every test of a run. */
const keys = new Map<string, Promise<PrivateKey>>();

function keyOf(name: string, bits: number = KEY_BITS): Promise<PrivateKey> {
  const id = `${name} ${bits}`;
  const key = keys.get(id) ?? generateKey(bits);
  keys.set(id, key);
  return key;
}

/** The fingerprint of the key in somebody's state folder, as {@linkcode World.home} makes it. */
export async function fingerprintOf(name: string, bits?: number): Promise<string> {
  return encodeFingerprint((await keyOf(name, bits)).publicKey.fingerprint);
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

/** A folder with everybody's state in it, and the programs started there; all of it goes at the end. */
export class World implements AsyncDisposable {
  readonly #commands: Commands;
  readonly #folder: string;
  readonly #programs: Program[] = [];
  #port: number | undefined;

  private constructor(commands: Commands, folder: string) {
    this.#commands = commands;
    this.#folder = folder;
  }

  /** Makes an empty one. */
  static async open(commands: Commands): Promise<World> {
    return new World(commands, await Deno.makeTempDir({ prefix: "hearth_test_" }));
  }

  /** The port of the last server that was started. */
  get port(): number {
    return this.#port!;
  }

  /** A path in the folder. */
  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Writes a file, readable by its owner alone. @returns Its path. */
  async file(name: string, content: string): Promise<string> {
    const path = this.path(name);
    await Deno.writeTextFile(path, content, { mode: 0o600 });
    return path;
  }

  /** Makes a state folder with a key in it, unless it is there. @returns Its path. */
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

  /** Makes a state folder without a key. @returns Its path. */
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
    if (!server.running) throw new Error(`A server has not started: ${server.describe()}`);
    this.#port = server.port;
    return server;
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

  /** Starts clients, and waits until each of them sees all the others. */
  async gather(...nicks: readonly string[]): Promise<Program[]> {
    const clients = await Promise.all(nicks.map((nick) => this.client(nick)));
    await Promise.all(
      clients.map((client) => client.waitFor("joined", {}, { count: nicks.length - 1 })),
    );
    return clients;
  }

  /** Starts a program with just these arguments. */
  start(which: keyof Commands, options: StartOptions, name: string = which): Program {
    const { args, announce = false } = options;
    const serves = args.includes("--serve") || (which === "server" && !/^\w/.test(args[0] ?? "-"));
    const command = [...this.#commands[which], ...(serves && !announce ? ["--no-announce"] : [])];
    const program = new Program(name, command, options);
    this.#programs.push(program);
    return program;
  }

  /** Runs a program to its end, with nothing or `input` on its standard input. */
  async run(
    which: keyof Commands,
    { input = "", ...options }: StartOptions & { input?: string | Uint8Array },
  ): Promise<Outcome> {
    const program = this.start(which, options, `${which} ${options.args.join(" ")}`);
    if (input.length > 0) await program.write(input).catch(() => {}); // it may have gone already
    const code = await program.leave();
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  /** Ends everything. @throws {Error} When a program wrote something that its manual does not allow. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.dispose()));
    await Deno.remove(this.#folder, { recursive: true });
    for (const { name, faults, stderr } of this.#programs) {
      if (faults.length > 0) {
        throw new Error(`${name} wrote what is no event: ${faults.join("\n")}`);
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

/** Finds a port that nobody uses at this moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** One test: a sentence, and what happens in a world of its own. */
export type Conversation = readonly [name: string, run: (world: World) => Promise<void>];

/** Makes a test of each conversation. */
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
