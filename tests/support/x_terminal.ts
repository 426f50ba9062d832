/**
 * Graphical terminals on an X server without a screen (Xvfb), for pictures and pixels.
 *
 * @module
 */

import { poll } from "./program.ts";

/** The size of the window in cells. */
const SIZE = { columns: 100, rows: 30 };
/** The screen counts as settled when it has not changed for so long. */
const SETTLED_MS = 500;
const FONT = "DejaVu Sans Mono";

const VTE = `
import sys, gi
gi.require_version("Gtk", "3.0"); gi.require_version("Vte", "2.91")
from gi.repository import Gtk, Vte, GLib, Pango
window, terminal = Gtk.Window(title="vte"), Vte.Terminal()
terminal.set_font(Pango.FontDescription("${FONT} 10"))
terminal.set_size(${SIZE.columns}, ${SIZE.rows})
terminal.set_cursor_blink_mode(Vte.CursorBlinkMode.OFF)
terminal.connect("child-exited", Gtk.main_quit)
terminal.connect("window-title-changed", lambda _: window.set_title(terminal.get_window_title()))
window.add(terminal); window.show_all(); window.move(0, 0)
terminal.spawn_async(Vte.PtyFlags.DEFAULT, None, sys.argv[1:], None, GLib.SpawnFlags.SEARCH_PATH, None, None, -1, None, None)
Gtk.main()
`;
/** The system's own, which has the modules of the desktop. */
const PYTHON = "/usr/bin/python3";

/** How each terminal is started with a command. */
const TERMINALS: Readonly<Record<string, (command: readonly string[]) => string[]>> = {
  xterm: (command) => [
    ...["xterm", "-fa", FONT, "-fs", "10", "-u8", "+bc"],
    ...["-geometry", `${SIZE.columns}x${SIZE.rows}+0+0`, "-e", ...command],
  ],
  kitty: (command) => [
    ...["kitty", "--config", "NONE", "-o", "cursor_blink_interval=0", "-o", "enable_audio_bell=no"],
    ...["-o", "remember_window_size=no", "-o", `initial_window_width=${SIZE.columns}c`],
    ...["-o", `initial_window_height=${SIZE.rows}c`, "-o", "update_check_interval=0", ...command],
  ],
  vte: (command) => [PYTHON, "-c", VTE, ...command],
};

export const TERMINAL_NAMES: readonly string[] = Object.keys(TERMINALS);

/** Why a terminal cannot be tried here; undefined when it can. */
export async function xTerminalMissing(name: string): Promise<string | undefined> {
  for (const tool of ["Xvfb", "xdotool", "xwd"]) {
    if (!await runs("sh", "-c", `command -v ${tool}`)) return `${tool} is not installed`;
  }
  const isThere = name === "vte"
    ? await runs(PYTHON, "-c", 'import gi; gi.require_version("Vte", "2.91")')
    : await runs("sh", "-c", `command -v ${name}`);
  return isThere ? undefined : `${name} is not installed`;
}

async function runs(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** One terminal alone on an X server. */
export class XTerminal implements AsyncDisposable {
  readonly #display: string;
  readonly #children: readonly Deno.ChildProcess[];

  private constructor(display: string, children: readonly Deno.ChildProcess[]) {
    this.#display = display;
    this.#children = children;
  }

  /**
   * Opens a terminal that runs a command, and gives it the focus.
   *
   * @param title How the name begins that the command gives the window when it takes keys.
   */
  static async open(
    name: string,
    command: readonly string[],
    title: string,
  ): Promise<XTerminal> {
    // Without -noreset the first client that leaves, an xdotool that looks for the window, takes the others with it;
    // without -r a key that is let go late is repeated.
    const screen = ["-screen", "0", "1000x700x24"];
    const args = ["-displayfd", "1", ...screen, "-nolisten", "tcp", "-noreset", "-r"];
    const server = new Deno.Command("Xvfb", { args, stdout: "piped", stderr: "null" }).spawn();
    const { value } = await server.stdout.getReader().read();
    const display = `:${new TextDecoder().decode(value).trim()}`;
    const [program, ...rest] = TERMINALS[name]!(command);
    const terminal = new Deno.Command(program!, {
      args: rest,
      env: {
        ...{ DISPLAY: display, LC_ALL: "C.UTF-8", LIBGL_ALWAYS_SOFTWARE: "1" },
        ...{ GDK_BACKEND: "x11", NO_AT_BRIDGE: "1", TMUX: "" },
      },
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const opened = new XTerminal(display, [terminal, server]);
    let end = "";
    void terminal.status.then(({ code }) => end = `, which has ended with ${code}`);
    const find = ["search", "--onlyvisible", "--name", beginning(title), "windowfocus", "--sync"];
    await poll(() => opened.#do(...find), () => `a window of ${name}${end}`);
    return opened;
  }

  /** Waits for a title of the window that begins so. */
  async titled(title: string): Promise<void> {
    await poll(() => this.#do("search", "--name", beginning(title)), () => `the title ${title}`);
  }

  /** Types a text. */
  async type(text: string): Promise<void> {
    await this.#do("type", "--delay", "20", text);
  }

  /** Presses keys, by their names in X. */
  async press(...keys: string[]): Promise<void> {
    await this.#do("key", "--delay", "60", ...keys);
  }

  /** What is on the screen now, as a file of `xwd`. */
  async capture(): Promise<Uint8Array> {
    const args = ["-root", "-silent", "-display", this.#display];
    const { success, stdout } = await new Deno.Command("xwd", { args }).output();
    if (!success) throw new Error("xwd captures nothing");
    return stdout;
  }

  /** What is on the screen once it does not change any more. */
  async settled(): Promise<Uint8Array> {
    let last = await this.capture();
    return await poll(async () => {
      await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
      const before = last;
      last = await this.capture();
      return differences(before, last) === 0 && last;
    }, () => "a screen that stays as it is");
  }

  async #do(...args: string[]): Promise<boolean> {
    const env = { DISPLAY: this.#display };
    return (await new Deno.Command("xdotool", { args, env, stderr: "null" }).output()).success;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended.
      }
      await child.status;
    }
  }
}

/** A regular expression for what begins with a text, as xdotool takes it. */
function beginning(title: string): string {
  return `^${title.replaceAll(/[[\]]/g, "[$&]")}`;
}

/** How many pixels of two captures differ. */
export function differences(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return Infinity;
  const pixels = new Set<number>();
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) pixels.add(i >> 2);
  return pixels.size;
}
