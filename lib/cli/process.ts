/**
 * What the two programs have in common at their edges: how errors are said, signals, passwords, what the operating
 * system meant.
 *
 * Messages go to standard error as `NAME: error: …` and `NAME: hint: …`: lower case, no full stop, one line each.
 *
 * @module
 */

import type { PasswordSource } from "./arguments.ts";
import { decodeUtf8 } from "../base/bytes.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { cannotRead } from "../base/files.ts";
import { cleanLine } from "../base/text.ts";

/** Exit code of a command line that means nothing. */
export const EXIT_USAGE = 2;
/** Exit code of everything else that fails. */
export const EXIT_FAILURE = 1;
/** Exit code after a second signal. */
const EXIT_AT_ONCE = 130;
/** A task runner passes a signal on again: within this it counts as the same. */
const SAME_SIGNAL_MS = 500;
/** A secret in a file is never longer. */
const MAX_SECRET_BYTES = 4096;

/** Says what went wrong: one line, and one for each hint; never a stack trace. */
export function reportError(program: string, error: unknown): void {
  const hints = error instanceof UsageError ? error.hints : [];
  console.error(`${program}: error: ${cleanLine(describeError(error))}`);
  for (const hint of hints) console.error(`${program}: hint: ${cleanLine(hint)}`);
}

/**
 * Runs a program from its arguments to its exit.
 *
 * @param parse Reads the command line; its UsageError ends the program with exit code 2.
 * @param run Gives the exit code; what it throws is said and ends the program with exit code 1.
 */
export async function runProgram<Request>(
  program: string,
  parse: (args: readonly string[]) => Request,
  run: (request: Request) => Promise<number>,
): Promise<never> {
  let code = EXIT_USAGE;
  try {
    const request = parse(Deno.args);
    code = EXIT_FAILURE;
    code = await run(request);
  } catch (error) {
    reportError(program, error);
  }
  Deno.exit(code);
}

/** One line about any error. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : error.message;
}

/**
 * Listens for the signals that end a program, from now on.
 *
 * @param onEnd Called for the first signal; a later one, but for its echo, ends the process at once.
 */
export function onEndSignal(
  signals: readonly Deno.Signal[],
  onEnd: (signal: Deno.Signal) => void,
): void {
  let firstAt: number | undefined;
  for (const signal of signals) {
    if (Deno.build.os === "windows" && signal !== "SIGINT" && signal !== "SIGBREAK") continue;
    Deno.addSignalListener(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        onEnd(signal);
      } else if (now - firstAt > SAME_SIGNAL_MS) Deno.exit(EXIT_AT_ONCE);
    });
  }
}

/** Gives up permissions for the rest of the run, whether there are any of that name or not. */
export async function dropPermissions(
  ...names: readonly Deno.PermissionDescriptor["name"][]
): Promise<void> {
  for (const name of names) await Deno.permissions.revoke({ name });
}

/** Where a password may come from. */
export interface PasswordPlaces {
  readonly source: PasswordSource | undefined;
  /** Asks for it without showing it; undefined when there is nobody to ask, or they gave up. */
  ask(question: string): Promise<string | undefined>;
}

/**
 * Finds the password: asked for, in a file, or in the environment.
 *
 * @returns An empty one for none.
 * @throws {UsageError} When nobody can be asked, or the file cannot be read.
 */
export async function readPassword({ source, ask }: PasswordPlaces): Promise<string> {
  if (source === undefined) return Deno.env.get("HEARTH_PASSWORD") ?? "";
  if (source.from === "file") return await readFirstLine(source.path);
  const password = await ask("Password: ");
  if (password !== undefined) return password;
  throw new UsageError("there is nobody to ask for the password", [
    "without a terminal: --password-file FILE, or HEARTH_PASSWORD",
  ]);
}

/**
 * Finds the passphrase of an encrypted key: in the environment, or asked for.
 *
 * @param ask Gives undefined when there is nobody to ask.
 */
export async function readPassphrase(
  path: string,
  ask: PasswordPlaces["ask"],
): Promise<string | undefined> {
  return Deno.env.get("HEARTH_KEY_PASSPHRASE") || await ask(`Passphrase of ${path}: `);
}

/**
 * Reads the first line of a file that holds a secret.
 *
 * @throws {UsageError} When there is no such file, it is no text, or its first line is empty or too long.
 */
export async function readFirstLine(path: string): Promise<string> {
  let text: string;
  try {
    text = decodeUtf8(await Deno.readFile(path));
  } catch (error) {
    throw fileError(path, error);
  }
  // Editors of other systems put U+FEFF at the start and \r at each end.
  const line = text.replace(/^\uFEFF/, "").split("\n", 1)[0]!.replace(/\r$/, "");
  if (line === "") throw new UsageError(`${path}: the first line is empty`);
  if (line.length > MAX_SECRET_BYTES) throw new UsageError(`${path}: the first line is too long`);
  return line;
}

/** Says in plain words why a file cannot be used. */
export function fileError(path: string, error: unknown): UsageError {
  if (error instanceof Deno.errors.NotFound) {
    return new UsageError(`${path}: there is no such file`);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UsageError(`${path}: may not be read`);
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return new UsageError(`${path}: a folder, not a file`);
  }
  if (error instanceof Deno.errors.NotCapable) return cannotRead(path, error);
  if (error instanceof ProtocolError) return new UsageError(`${path}: not UTF-8 text`);
  return new UsageError(`${path}: ${describeError(error)}`);
}

/** Says in plain words why a connection could not be made, and what helps. */
export function connectError(address: string, error: unknown): UsageError {
  const code = (error as { code?: string }).code ?? "";
  const text = `${code} ${describeError(error)}`;
  const fault = (what: string, ...hints: string[]) =>
    new UsageError(`cannot connect to ${address}: ${what}`, hints);
  if (error instanceof Deno.errors.ConnectionRefused || /ECONNREFUSED/.test(text)) {
    return fault(
      "nothing is listening there",
      "start the server on that computer (./server), and check the address and the port it prints",
    );
  }
  if (/TimedOut|ETIMEDOUT|timed out/i.test(text) || isTimeout(error)) {
    return fault(
      "no answer",
      "is that computer on, in this network, and does its firewall let the port through?",
    );
  }
  if (/lookup|resolve|ENOTFOUND|EAI_|Name or service/i.test(text)) {
    return fault(
      "no computer of that name was found",
      "give the address the server prints instead",
    );
  }
  if (/EINVAL|Invalid argument/i.test(text) && /^\[fe[89ab]/i.test(address)) {
    return fault(
      "an address of this kind needs the network interface that leads there",
      "write it behind a percent sign, as in fe80::1%eth0",
    );
  }
  if (/EHOSTUNREACH|No route to host/i.test(text)) {
    return Deno.build.os === "darwin"
      ? fault(
        "no route to it",
        "allow it in System Settings › Privacy & Security › Local Network, then start again",
      )
      : fault(
        "no route to it",
        "is that computer on and in this network, and no firewall in between?",
      );
  }
  if (/ENETUNREACH|NetworkUnreachable|Network is unreachable/i.test(`${text} ${nameOf(error)}`)) {
    return fault("this computer is in no network that leads there", "check the cable or the Wi-Fi");
  }
  return fault(describeError(error));
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}
