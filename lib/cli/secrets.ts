/**
 * Where passwords come from: a file, the environment, or a question at the terminal.
 *
 * @module
 */

import type { PasswordSource } from "./arguments.ts";
import { UsageError } from "../base/errors.ts";
import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { cannotRead, readTrustedFile } from "../base/files.ts";

/** Characters of a secret in a file. */
const MAX_SECRET_LENGTH = 4096;

/**
 * Asks for a secret without showing it.
 *
 * @returns undefined when there is no terminal, or the person gave up.
 */
export type AskSecret = (question: string) => Promise<string | undefined>;

/**
 * Reads the password from where the command line says; by default from the environment.
 *
 * @returns Empty when there is none.
 * @throws {UsageError} When it cannot be asked for, or the file cannot be read.
 */
export async function readPassword(
  { source, ask }: { readonly source: PasswordSource | undefined; readonly ask: AskSecret },
): Promise<string> {
  if (source === undefined) return Deno.env.get("HEARTH_PASSWORD") ?? "";
  if (source.from === "file") return await readFirstLine(source.path);
  const password = await ask("Password: ");
  if (password !== undefined) return password;
  throw new UsageError("cannot ask for the password: no terminal", [
    "use --password-file FILE or HEARTH_PASSWORD instead",
  ]);
}

/**
 * Reads the first line of a file that holds a secret.
 *
 * @throws {UsageError} When the file cannot be read, every user may write it, or its first line is empty or too long.
 */
export async function readFirstLine(path: string): Promise<string> {
  let text: string;
  try {
    text = decodeUtf8(await readTrustedFile(path));
  } catch (error) {
    throw error instanceof UsageError ? error : cannotRead(path, error);
  }
  // Windows editors may put U+FEFF at the start of the file and \r at the end of each line.
  const line = text.replace(/^\uFEFF/, "").split("\n", 1)[0]!.replace(/\r$/, "");
  if (line === "") throw new UsageError(`${path}: the first line is empty`);
  if (line.length > MAX_SECRET_LENGTH) throw new UsageError(`${path}: the first line is too long`);
  return line;
}

/** Asks at the terminal, which is loaded only for this; see {@linkcode AskSecret}. */
export async function askSecretly(question: string): Promise<string | undefined> {
  const late: typeof import("../ui/terminal/ask_secretly.ts") = await import(
    "../ui/terminal/ask_secretly.ts" as string
  );
  return await late.askSecretly(question);
}

/** Asks at the terminal; what is typed is shown. @returns undefined at the end of input. */
export async function askOpenly(question: string): Promise<string | undefined> {
  await Deno.stderr.write(encodeUtf8(question));
  const buffer = new Uint8Array(MAX_SECRET_LENGTH); // a terminal gives whole lines
  const length = await Deno.stdin.read(buffer);
  return length === null
    ? undefined
    : new TextDecoder().decode(buffer.subarray(0, length)).trimEnd();
}
