/**
 * The terminal this process runs in, as the few things the screen needs of it.
 *
 * The only module that reads standard input in raw mode. Knows nothing of what is drawn.
 *
 * @module
 */

import { type StandardStream, writeOutput } from "../../base/output.ts";
import type { Size } from "./screen.ts";

/** A terminal device; tests have their own. */
export interface Tty {
  /** Reads some bytes; `null` when the terminal is gone. */
  read(): Promise<Uint8Array | null>;
  /** Writes all of the text before it returns. */
  write(text: string): void;
  /** Raw: every key is read as it is pressed, nothing is echoed, no key makes a signal. */
  setRaw(raw: boolean): void;
  size(): Size;
  /** Calls the functions when the window has a new size and when the process goes on after a stop. */
  listen(onResize: () => void, onContinue: () => void): void;
  /** Undoes {@linkcode listen}. */
  unlisten(): void;
  /** Stops this job as Ctrl-Z does; resolves when it goes on, or at once where nothing can stop it. */
  stop(): Promise<void>;
}

const FALLBACK_SIZE: Size = { columns: 80, rows: 24 };
const READ_BYTES = 65536;

/** The read that is going on: nothing can stop it, so who reads next gets what it gives. */
let reading: Promise<Uint8Array | null> | undefined;

async function readInput(): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(READ_BYTES);
  try {
    const length = await Deno.stdin.read(buffer);
    return length === null ? null : buffer.subarray(0, length);
  } finally {
    reading = undefined;
  }
}

/**
 * Opens the terminal on standard input and output.
 *
 * @param screen What to write to, if standard output is no terminal.
 */
export function openTty(screen: StandardStream = Deno.stdout): Tty {
  const signals: [Deno.Signal, () => void][] = [];
  return {
    read: () => reading ??= readInput(),
    write: (text) => writeOutput(text, screen),
    setRaw: (raw) => Deno.stdin.setRaw(raw),
    size() {
      const { columns, rows } = Deno.consoleSize();
      // A terminal that was never told its size says 0.
      return columns > 0 && rows > 0 ? { columns, rows } : FALLBACK_SIZE;
    },
    listen(onResize, onContinue) {
      if (Deno.build.os === "windows") return;
      signals.push(["SIGWINCH", onResize], ["SIGCONT", onContinue]);
      for (const [signal, handler] of signals) Deno.addSignalListener(signal, handler);
    },
    unlisten() {
      for (const [signal, handler] of signals.splice(0)) Deno.removeSignalListener(signal, handler);
    },
    async stop() {
      // Asking for a permission would be drawn into our screen; without it Ctrl-Z does nothing.
      const run = { name: "run", command: "kill" } as const;
      if (Deno.build.os === "windows" || Deno.permissions.querySync(run).state !== "granted") {
        return;
      }
      // 0 is this process's group: the whole job stops, a task runner included, as the shell expects.
      const kill = new Deno.Command("kill", { args: ["-TSTP", "0"], stdin: "null" });
      try {
        await kill.output();
      } catch {
        // Small systems have no such program: as without the permission.
      }
    },
  };
}
