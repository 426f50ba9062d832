/**
 * Chats in terminals: the real client in tmux, among real servers and clients.
 *
 * @module
 */

import { type ClientOptions, FROM_SOURCE, World } from "./programs.ts";
import { Tmux } from "./tmux.ts";

/** How a chat is started. */
export interface ChatOptions extends ClientOptions {
  readonly columns?: number;
  readonly rows?: number;
  /** What is in `settings.json`; without times by default, so that screens can be compared. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Serve on this port instead of joining a server. */
  readonly serving?: number;
  /** A module that is loaded before the client. */
  readonly preload?: string;
  /** A script for bash in place of the client itself; `CLIENT` stands for that. */
  readonly shell?: string;
}

/** A world with terminals in it; all of it goes at the end. */
export class Chats implements AsyncDisposable {
  readonly world: World;
  readonly #terminals: Tmux[] = [];

  private constructor(world: World) {
    this.world = world;
  }

  /** Makes an empty one. */
  static async open(): Promise<Chats> {
    return new Chats(await World.open(FROM_SOURCE));
  }

  /** Starts a client in a terminal. */
  async start(nick: string, options: ChatOptions = {}): Promise<Tmux> {
    const { world } = this;
    const { home = nick, settings = { timestamp: "off" }, preload, shell } = options;
    const folder = await world.home(home);
    await Deno.writeTextFile(`${folder}/settings.json`, JSON.stringify(settings));
    const [deno, run, ...rest] = FROM_SOURCE.client;
    const command = [
      ...[deno!, run!, ...preload === undefined ? [] : ["--preload", preload], ...rest],
      ...options.serving !== undefined
        ? ["--serve", "--port", String(options.serving)]
        : ["--host", `127.0.0.1:${options.port ?? world.port}`],
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

/** Types a line. What follows must wait until it was taken: two lines in one read are a paste. */
export async function enter(terminal: Tmux, text: string): Promise<void> {
  await terminal.type(text);
  await terminal.press("Enter");
}

/** Waits until these rows are the last ones above the input line. */
export async function expectLast(terminal: Tmux, ...rows: string[]): Promise<void> {
  const wanted = rows.join("\n");
  await terminal.waitFor(
    (screen) => logOf(screen).slice(-rows.length).join("\n") === wanted,
    wanted,
  );
}

/** The rows above the input line, which is one row, without the blank ones that a higher one left. */
export function logOf(screen: readonly string[]): string[] {
  const log = screen.slice(0, -1);
  while (log.at(-1) === "") log.pop();
  return log;
}
