/**
 * A real process under test: its input, output, events, signals and exit.
 *
 * All its output under `--json` is checked against the events in the user manual, whatever a test looks at.
 *
 * @module
 */

import { checkJsonLine } from "./event_shapes.ts";

/** How long an awaited event may take; only a failing test waits this long. */
export const DEADLINE_MS = 60_000;
const POLL_MS = 10;
/** Variables of the environment that would change how the programs behave. */
const FOREIGN_VARIABLES = /^(HEARTH_.*|XDG_CONFIG_HOME|NO_COLOR|TERM|USER|LOGNAME|USERNAME)$/;

/** An event of either program. */
export type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

/** Fields an event must have. */
export type Fields = Readonly<Record<string, unknown>>;

/** How a program is started. */
export interface StartOptions {
  readonly args: readonly string[];
  /** Its state folder. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Waits until `look` returns something truthy. @throws {Error} After the deadline; names what is `missing`. */
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
  /** Its name in error messages. */
  readonly name: string;
  /** Its events so far, under `--json`. */
  readonly events: Event[] = [];
  /** Invalid JSON lines, and why. */
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
    // Lists and reports are not events.
    const isJson = args.includes("--json") && !args.includes("--list") && !args.includes("doctor");
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

  /** Whether it is still running. */
  get running(): boolean {
    return this.#running;
  }

  /** The port it listens on. */
  get port(): number {
    return this.first("listening").port as number;
  }

  /** The events of a kind with these fields. */
  all(event: string, fields: Fields = {}): Event[] {
    return this.events.filter((found) => found.event === event && matches(found, fields));
  }

  /** The first event of a kind. @throws {Error} When there is none. */
  first(event: string, fields: Fields = {}): Event {
    const found = this.all(event, fields)[0];
    if (!found) throw new Error(`${this.name} has no ${event} ${JSON.stringify(fields)}`);
    return found;
  }

  /** Waits for the `count`-th event with these fields. */
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

  /** Waits until its standard error or output contains a text. */
  waitForText(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    return poll(
      () => pattern.exec(this[stream]) ?? undefined,
      () => `${pattern} in the ${stream} of ${this.describe()}`,
    );
  }

  /** Writes an object as a JSON line to its standard input. */
  async say(...lines: readonly Fields[]): Promise<void> {
    await this.write(lines.map((line) => JSON.stringify(line) + "\n").join(""));
  }

  /** Sends messages to the room in one write. */
  async chat(...texts: readonly string[]): Promise<void> {
    await this.say(...texts.map((text) => ({ type: "chat", text })));
  }

  /** Types a command. */
  async command(text: string): Promise<void> {
    await this.say({ type: "command", text });
  }

  /** Writes text to its standard input. */
  async write(data: string | Uint8Array): Promise<void> {
    await this.#writer.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Closes its standard input. */
  async closeInput(): Promise<void> {
    try {
      await this.#writer.close();
    } catch {
      // It has already ended.
    }
  }

  /** Stops reading its standard output, like `head`. */
  async stopReading(): Promise<void> {
    await this.#reader.cancel();
  }

  /** Waits until it exits. @returns The exit code. */
  async ended(timeoutMs: number = DEADLINE_MS): Promise<number> {
    await poll(() => !this.#running, () => `the end of ${this.describe()}`, timeoutMs);
    return await this.#ended;
  }

  /** Closes its standard input, and waits until it exits. */
  async leave(): Promise<number> {
    await this.closeInput();
    return await this.ended();
  }

  /** Sends a signal, and waits until it exits. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<number> {
    this.signal(signal);
    return await this.ended();
  }

  /** Sends a signal, unless it has already exited. */
  signal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch (error) {
      // "Child process has already terminated."
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Its output so far, for error messages. */
  describe(): string {
    const events = this.events.slice(-15).map((event) => `    ${JSON.stringify(event)}`);
    const said = this.events.length > 0 ? events.join("\n") : this.stdout.slice(-2000);
    return `${this.name}; it said\n${said}\n${this.stderr.slice(-2000)}`;
  }

  /** Kills it. */
  async dispose(): Promise<void> {
    this.signal("SIGKILL");
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
