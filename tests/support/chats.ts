/**
 * Chats in terminals: the real client in tmux, among real servers and clients.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type ClientOptions, FROM_SOURCE, World } from "./programs.ts";
import { Tmux } from "./tmux.ts";

/** How a chat is started. */
export interface ChatOptions extends ClientOptions {
  readonly columns?: number;
  readonly rows?: number;
  /** Fill the terminal; otherwise it is a log with a line below. */
  readonly isFull?: boolean;
  /** Contents of `settings.json`; times are off by default, so that screens can be compared. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Serve on this port instead of joining a server. */
  readonly serving?: number;
  /** The command that runs the client; by default that of the source. */
  readonly client?: readonly string[];
  /** A module to preload, from the source. */
  readonly preload?: string;
  /** A bash script to run instead; `CLIENT` stands for the client's command. */
  readonly shell?: string;
}

/** A world with terminals; ends everything when disposed. */
export class Chats implements AsyncDisposable {
  readonly world: World;
  readonly #terminals: Tmux[] = [];

  private constructor(world: World) {
    this.world = world;
  }

  /** Opens an empty one. */
  static async open(): Promise<Chats> {
    return new Chats(await World.open(FROM_SOURCE));
  }

  /** Starts a client in a terminal. */
  async start(nick: string, options: ChatOptions = {}): Promise<Tmux> {
    const { world } = this;
    const { home = nick, settings = { timestamp: "off" }, preload, shell } = options;
    const folder = await world.home(home);
    await Deno.writeTextFile(`${folder}/settings.json`, JSON.stringify(settings));
    const [deno, run, ...rest] = options.client ?? FROM_SOURCE.client;
    const command = [
      ...[deno!, run!, ...preload === undefined ? [] : ["--preload", preload], ...rest],
      ...options.serving !== undefined
        ? ["--serve", "--port", String(options.serving), "--no-announce"]
        : ["--host", `127.0.0.1:${options.port ?? world.port}`],
      ...options.isFull ? [] : ["--plain"],
      ...["--nick", nick, ...options.args ?? []],
    ];
    const terminal = await Tmux.start(
      shell === undefined ? command : ["bash", "-c", shell.replaceAll("CLIENT", command.join(" "))],
      {
        columns: options.columns ?? 80,
        rows: options.rows ?? 24,
        env: {
          LC_ALL: "C.UTF-8",
          NO_COLOR: "1",
          USER: "somebody",
          HEARTH_HOME: folder,
          ...options.env,
        },
      },
    );
    this.#terminals.push(terminal);
    return terminal;
  }

  /** Starts a client in a terminal and waits until it is in the room. */
  async chat(nick: string, options: ChatOptions = {}): Promise<Tmux> {
    const terminal = await this.start(nick, options);
    await terminal.waitFor((rows) => rows.at(-1) === `${nick}> ‸`, `${nick} in the room`);
    return terminal;
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#terminals.map((terminal) => terminal.close()));
    await this.world[Symbol.asyncDispose]();
  }
}

/** Types a line. Wait until it has been taken before typing more: two lines in one read count as a paste. */
export async function enter(terminal: Tmux, text: string): Promise<void> {
  await terminal.type(text);
  await terminal.press("Enter");
}

/** Waits for a row. */
export async function see(terminal: Tmux, pattern: RegExp): Promise<void> {
  await terminal.waitFor((rows) => rows.some((row) => pattern.test(row)), String(pattern));
}

/** Waits for these rows directly above the input line. */
export async function expectLast(terminal: Tmux, ...rows: string[]): Promise<void> {
  const wanted = rows.join("\n");
  await terminal.waitFor(
    (screen) => logOf(screen).slice(-rows.length).join("\n") === wanted,
    wanted,
  );
}

/** The rows above an input line of one row, without blank ones left by a higher one. */
export function logOf(screen: readonly string[]): string[] {
  const log = screen.slice(0, -1);
  while (log.at(-1) === "") log.pop();
  return log;
}

/** Runs the client, then prints its exit code and whether it restored the terminal. */
export const AFTERWARDS = `before=$(stty -g); CLIENT; echo "exit $?"
  [ "$before" = "$(stty -g)" ] && echo restored; cat -v`;

/** Waits until {@linkcode AFTERWARDS} has printed this, and nothing of the client is left in the terminal. */
export async function expectRestored(
  terminal: Tmux,
  code: number,
  ...last: string[]
): Promise<void> {
  const ended = [...last, `exit ${code}`, "restored"];
  await terminal.waitFor(
    (rows) => rows.slice(-ended.length - 1).join() === `${ended},‸`,
    `${ended}`,
  );
  // Echo is on, paste mode off, and nothing has a colour.
  await terminal.paste("pasted\n");
  await terminal.waitFor((rows) => rows.slice(-3).join() === "pasted,pasted,‸", "the echo");
  assert.equal(await terminal.query(MODES), MODES_BEFORE);
  assert.deepEqual((await terminal.coloredScreen()).slice(-2), ["pasted", "pasted"]);
}

/** The cursor is shown, rows wrap, and the alternate screen is not shown. */
export const MODES = "#{cursor_flag} #{wrap_flag} #{alternate_on}";
export const MODES_BEFORE = "1 1 0";
