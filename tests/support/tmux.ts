/**
 * A terminal for tests: tmux on a private socket, without a configuration file.
 *
 * @module
 */

import { columns, graphemes } from "../../lib/base/text.ts";

/** Marks the cursor. */
const CURSOR = "‸";
/** How long an expected screen may take; only a failing test waits this long. */
const DEADLINE_MS = 60_000;
const POLL_MS = 15;

/** Why tmux cannot be used; undefined when it can. */
export async function tmuxMissing(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("tmux", { args: ["-V"] }).output();
    return success ? undefined : "tmux does not start";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "tmux is not installed";
    throw error;
  }
}

/** Options of {@linkcode Tmux}. */
export interface TmuxOptions {
  columns: number;
  rows: number;
  /** The whole environment, besides PATH, HOME and TERM. */
  env?: Record<string, string>;
}

/** One terminal window. */
export class Tmux {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Opens a window that runs a program. */
  static async start(command: readonly string[], options: TmuxOptions): Promise<Tmux> {
    const tmux = new Tmux(`hearth-test-${crypto.randomUUID()}`);
    const variables = {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: Deno.env.get("HOME") ?? "",
      TERM: "tmux-256color",
      ...options.env,
    };
    const env = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    await tmux.#run(
      ...["start-server", ";", "set", "-g", "status", "off", ";"],
      ...["set", "-g", "remain-on-exit", "on", ";", "set", "-g", "history-limit", "5000", ";"],
      ...["new-session", "-d", "-x", String(options.columns), "-y", String(options.rows)],
      ...["env", "-i", ...env, ...command],
    );
    return tmux;
  }

  /** Presses keys, by tmux's names (`Enter`, `C-c`, `Left`). */
  async press(...keys: string[]): Promise<void> {
    await this.#run("send-keys", ...keys);
  }

  /** Types text in one write. */
  async type(text: string): Promise<void> {
    await this.#run("send-keys", "-l", "--", text);
  }

  /** Types raw bytes. */
  async typeBytes(bytes: Uint8Array): Promise<void> {
    await this.#run("send-keys", "-H", ...Array.from(bytes, (byte) => byte.toString(16)));
  }

  /** Pastes text like a terminal, with bracketed paste if the program has enabled it. */
  async paste(text: string): Promise<void> {
    await this.#run("set-buffer", "--", text);
    await this.#run("paste-buffer", "-p");
  }

  /** Resizes the window. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#run("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** The rows on the screen without blank ones at either end, with `‸` at the cursor. */
  async screen(): Promise<string[]> {
    const output = await this.#run(
      "display-message",
      "-p",
      "#{cursor_x},#{cursor_y}",
      ";",
      "capture-pane",
      "-p",
    );
    const [cursor, ...rows] = output.split("\n");
    const [column, row] = cursor!.split(",").map(Number);
    rows[row!] = withCursor(rows[row!] ?? "", column!);
    return trimRows(rows);
  }

  /** All rows since the start, including the scrollback. */
  async scrollback(): Promise<string[]> {
    return trimRows((await this.#run("capture-pane", "-p", "-S", "-")).split("\n"));
  }

  /** The screen, with escape sequences. */
  async coloredScreen(): Promise<string[]> {
    return trimRows((await this.#run("capture-pane", "-p", "-e")).split("\n"));
  }

  /** The screen with wrapped rows joined, as they would be copied. */
  async joinedScreen(): Promise<string[]> {
    return trimRows((await this.#run("capture-pane", "-p", "-J")).split("\n"));
  }

  /** Records the output of the program from here on. @returns A function that reads it. */
  async record(path: string): Promise<() => Promise<string>> {
    await Deno.writeTextFile(path, "");
    await this.#run("pipe-pane", `cat >> ${path}`);
    return () => Deno.readTextFile(path);
  }

  /** Asks tmux for one of its variables. */
  async query(format: string): Promise<string> {
    return (await this.#run("display-message", "-p", format)).trim();
  }

  /** The process id of the program. */
  async pid(): Promise<number> {
    return Number(await this.query("#{pane_pid}"));
  }

  /**
   * Waits until `condition` holds for the screen.
   *
   * @throws {Error} After the deadline; shows the screen.
   */
  async waitFor(condition: (rows: string[]) => boolean, what: string): Promise<string[]> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const rows = await this.screen();
      if (condition(rows)) return rows;
      if (Date.now() > deadline) {
        throw new Error(`Not seen: ${what}. The screen was:\n${rows.join("\n")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Waits until the screen is exactly these rows, with `‸` where the cursor is. */
  async expect(...rows: string[]): Promise<void> {
    const wanted = rows.join("\n");
    await this.waitFor((seen) => seen.join("\n") === wanted, `\n${wanted}\n`);
  }

  /** Closes the terminal and ends the program. */
  async close(): Promise<void> {
    await this.#run("kill-server");
  }

  async #run(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-u", "-L", this.#socket, "-f", "/dev/null", ...args],
    }).output();
    const decoder = new TextDecoder();
    if (!success) throw new Error(`tmux ${args[0]}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  }
}

function trimRows(rows: readonly string[]): string[] {
  const trimmed = rows.map((row) => row.trimEnd());
  const filled = (row: string): boolean => row !== "";
  return trimmed.slice(trimmed.findIndex(filled), trimmed.findLastIndex(filled) + 1);
}

function withCursor(row: string, column: number): string {
  let before = "";
  for (const cluster of graphemes(row)) {
    if (columns(before) >= column) break;
    before += cluster;
  }
  return before.padEnd(before.length + column - columns(before)) + CURSOR +
    row.slice(before.length);
}
