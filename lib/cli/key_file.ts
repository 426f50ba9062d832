/**
 * Key files on disk: finding one's identity, or making it at the first start (PROTOCOL.md §1).
 *
 * Knows nothing of terminals: who wants to ask or tell something is given as a function.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { cannotRead, makeFolder, withLock, writeWhole } from "../base/files.ts";
import {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  PassphraseError,
  type PrivateKey,
} from "../protocol/identity.ts";

/** Size of a new key, §1. */
export const DEFAULT_KEY_BITS = 3072;
/** A key file is never longer. */
const MAX_KEY_FILE_BYTES = 65536;

/** Options of {@linkcode loadIdentity}. */
export interface IdentityOptions {
  /** The state folder; made when a key has to be made in it. */
  folder: string;
  /** The key file in it. */
  name: "identity.pem" | "server.pem";
  /** Another key file to be used instead; it is never made, and `folder` not touched. */
  keyFile?: string | undefined;
  /** Size of a key that has to be made; {@linkcode DEFAULT_KEY_BITS} by default. */
  bits?: number | undefined;
  /** Called before a key is made, which takes up to some seconds. */
  onMaking?: (path: string, bits: number) => void;
  /** Gets the passphrase of an encrypted key file; `undefined` when there is nobody to ask. */
  askPassphrase?: (path: string) => Promise<string | undefined>;
}

/**
 * Loads one's identity, or makes it when its file in the state folder is missing.
 *
 * Of several programs that start at once one makes the key, and the others wait for it and use it.
 *
 * @throws {UsageError} When the file can be read by others, is no key, damaged, or locked, or
 * `keyFile` is missing: the file is left as it is; when a key cannot be written.
 */
export async function loadIdentity(options: IdentityOptions): Promise<PrivateKey> {
  const { keyFile, folder, name } = options;
  if (keyFile !== undefined) {
    const key = await readIdentity(keyFile, options);
    if (key !== undefined) return key;
    throw new UsageError(`${keyFile}: there is no such file`, [
      "leave --key out to use the key in the state folder, which is made when it is missing",
    ]);
  }
  const path = `${folder}/${name}`;
  const found = await readIdentity(path, options);
  if (found !== undefined) return found;
  try {
    await makeFolder(folder);
    return await withLock(
      path,
      // Somebody else may have made it while we waited.
      async () => await readIdentity(path, options) ?? await makeIdentity(path, options),
    );
  } catch (error) {
    throw isOfSystem(error) ? cannotWrite(path, error) : error;
  }
}

/** The operating system has said no, and it is no bug. */
function isOfSystem(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function cannotWrite(path: string, { message }: Error): UsageError {
  return new UsageError(`${path}: cannot be written: ${message}`, [
    "make room or give the right to write there, or choose another folder with HEARTH_HOME",
  ]);
}

async function makeIdentity(path: string, options: IdentityOptions): Promise<PrivateKey> {
  const { bits = DEFAULT_KEY_BITS, onMaking } = options;
  await refuseDeadLink(path);
  onMaking?.(path, bits);
  const key = await generateKey(bits);
  await writeWhole(path, exportPrivateKey(key));
  return key;
}

/** A key on a disk that is not there now must not be replaced by another. */
async function refuseDeadLink(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new UsageError(`${path}: a link to a file that is not there`, [
    `bring the file back, or remove the link to have a new key made`,
  ]);
}

/** Reads a key file; `undefined` when there is none. */
async function readIdentity(
  path: string,
  options: IdentityOptions,
): Promise<PrivateKey | undefined> {
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  try {
    return await unlock(text, path, options);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${path}: ${error.message}`, error.hints);
  }
}

async function unlock(text: string, path: string, options: IdentityOptions): Promise<PrivateKey> {
  try {
    return await importPrivateKey(text);
  } catch (error) {
    if (!(error instanceof PassphraseError)) throw error;
  }
  const passphrase = await options.askPassphrase?.(path);
  try {
    return await importPrivateKey(text, passphrase);
  } catch (error) {
    if (!(error instanceof PassphraseError)) throw error;
    throw new UsageError(error.message, [
      error.reason === "wrong"
        ? "if the passphrase is right, the file is damaged"
        : "type it at a terminal, or set HEARTH_KEY_PASSPHRASE",
    ]);
  }
}

/** Reads a file that nobody else may read; `undefined` when there is none. */
async function readPrivateFile(path: string): Promise<string | undefined> {
  let file;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw cannotRead(path, error);
  }
  try {
    const { mode, isDirectory } = await file.stat();
    if (isDirectory) throw new UsageError(`${path}: a folder, not a key file`);
    if (Deno.build.os !== "windows" && ((mode ?? 0) & 0o077) !== 0) {
      throw new UsageError(`${path}: others than its owner may read it`, [`chmod 600 ${path}`]);
    }
    const buffer = new Uint8Array(MAX_KEY_FILE_BYTES);
    let length = 0;
    for (let read; (read = await file.read(buffer.subarray(length)));) length += read;
    return new TextDecoder().decode(buffer.subarray(0, length));
  } finally {
    file.close();
  }
}
