/**
 * The terminal device of this process, and standard output: reading in raw mode, writing without blocking, signals.
 *
 * @module
 */

import type { Size } from "./screen.ts";
import { type OutputStream, writeText } from "../../base/output.ts";

const FALLBACK_SIZE: Size = { columns: 80, rows: 24 };
const READ_BYTES = 65536;

/** A terminal device. */
export interface Tty {
  /** Reads some bytes; null when the terminal is gone. */
  read(): Promise<Uint8Array | null>;
  /**
   * Writes a text after those before it, without blocking the program.
   *
   * @returns When it is written, if that is not yet; rejects when the terminal is gone.
   */
  write(text: string): Promise<void> | void;
  /** In raw mode every key is read as it is pressed, nothing is echoed, and no key raises a signal. */
  setRaw(raw: boolean): void;
  size(): Size;
  /** Calls back when the window is resized, and when the process continues after a stop. */
  listen(onResize: () => void, onContinue: () => void): void;
  /** Undoes {@linkcode listen}. */
  unlisten(): void;
  /** Whether a shell would notice that this job has stopped, and could continue it. */
  canStop(): Promise<boolean>;
  /** Stops this job as Ctrl-Z does; resolves when it continues. */
  stop(): Promise<void>;
}

/** The pending read: it cannot be cancelled, so the next reader gets its result. */
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
 * Opens the terminal on standard input.
 *
 * @param screen What to write to, if not standard output.
 */
export function openTty(screen: OutputStream = Deno.stdout): Tty {
  const signals: [Deno.Signal, () => void][] = [];
  let written = Promise.resolve();
  return {
    read: () => reading ??= readInput(),
    write: (text) => written = written.then(() => writeText(screen, text)),
    setRaw: (raw) => Deno.stdin.setRaw(raw),
    size() {
      const { columns, rows } = Deno.consoleSize();
      // A terminal whose size was never set reports 0.
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
    async canStop() {
      if (Deno.build.os === "windows") return false;
      const processes = await runQuietly("ps", ["-A", "-o", "pid=,ppid=,pgid=,tty="]);
      return processes !== undefined && hasJobControl(processes, Deno.pid);
    },
    async stop() {
      // 0 is our process group: the whole job stops, as the shell expects, a task runner included. Task runners take
      // SIGTSTP for themselves and go on: then the shell would never get its terminal back.
      await runQuietly("kill", ["-STOP", "0"]);
    },
  };
}

/** @returns What a program prints; undefined if it cannot be run, or fails. */
async function runQuietly(command: string, args: string[]): Promise<string | undefined> {
  // A permission prompt would garble the screen.
  if (Deno.permissions.querySync({ name: "run", command }).state !== "granted") return undefined;
  try {
    const output = new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
    const { success, stdout } = await output;
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined; // small systems lack the program
  }
}

/**
 * Whether a process was started by a shell that does job control on the same terminal: its nearest ancestor in another
 * process group. Without one, nobody would continue a stopped job.
 *
 * @param processes Lines of a process id, that of its parent, that of its group, and its terminal.
 */
export function hasJobControl(processes: string, pid: number): boolean {
  const byPid = new Map(
    processes.split("\n").map((line) => {
      const [id, parent, group, terminal] = line.trim().split(/\s+/);
      return [id, { parent, group, terminal }];
    }),
  );
  const own = byPid.get(String(pid));
  const seen = new Set<string>(); // the list may have changed while it was made
  let parent = own?.parent;
  while (own !== undefined && parent !== undefined && !seen.has(parent)) {
    const process = byPid.get(parent);
    if (process !== undefined && process.group !== own.group) {
      return process.terminal === own.terminal;
    }
    seen.add(parent);
    parent = process?.parent;
  }
  return false;
}
