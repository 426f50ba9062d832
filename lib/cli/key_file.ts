/**
 * Private key files: loads a key, or makes it at the first start (PROTOCOL.md §1).
 *
 * @module
 */

import { PassphraseError, UsageError } from "../base/errors.ts";
import { cannotRead, makeFolder, withLock, writeFileAtomically } from "../base/files.ts";
import {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  type PrivateKey,
} from "../protocol/identity.ts";
import { DEFAULT_KEY_BITS } from "../protocol/limits.ts";
import type { AskSecret } from "./secrets.ts";

const MAX_KEY_FILE_BYTES = 65536;
/** The start of a public key file: OpenSSH, RFC 4716, PEM. */
const PUBLIC_KEY =
  /^\s*(?:(?:ssh-|ecdsa-|sk-)[\w@.-]+ |---- BEGIN SSH2 PUBLIC KEY|-----BEGIN (?:RSA )?PUBLIC KEY-----)/;

/** Options of {@linkcode loadKey}. */
interface KeyOptions {
  /** The state folder; made when a key has to be made in it. */
  readonly folder: string;
  /** The key file in it. */
  readonly name: "identity.pem" | "server.pem";
  /** Another key file to use instead; it is never made, and `folder` not touched. */
  readonly keyFile?: string | undefined;
  /** Size of a new key; {@linkcode DEFAULT_KEY_BITS} by default. */
  readonly bits?: number | undefined;
  /** Called with one line before a key is made, which takes up to some seconds. */
  readonly progress?: (text: string) => void;
  /** Asks for the passphrase of an encrypted key file, unless HEARTH_KEY_PASSPHRASE is set. */
  readonly ask?: AskSecret;
}

/**
 * Loads a private key; makes it when its file in the state folder is missing.
 *
 * When several programs start at once, one of them makes the key and the others wait for it.
 *
 * @throws {UsageError} When the file is not a key, is damaged, locked or readable by others, or
 * `keyFile` is missing: the file is left as it is; also when a new key cannot be written.
 */
export async function loadKey(options: KeyOptions): Promise<PrivateKey> {
  const { keyFile, folder, name } = options;
  if (keyFile !== undefined) {
    const key = await readKeyFile(keyFile, options);
    if (key !== undefined) return key;
    throw new UsageError(`${keyFile}: no such file`, [
      "leave --key out to use the key in the state folder, which is made when it is missing",
    ]);
  }
  const path = `${folder}/${name}`;
  const found = await readKeyFile(path, options);
  if (found !== undefined) return found;
  try {
    await makeFolder(folder);
    return await withLock(
      path,
      // Another program may have made it while we waited.
      async () => await readKeyFile(path, options) ?? await makeKeyFile(path, options),
    );
  } catch (error) {
    throw isOsError(error) ? cannotWrite(path, error) : error;
  }
}

function isOsError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function cannotWrite(path: string, { message }: Error): UsageError {
  return new UsageError(`${path}: cannot be written: ${message}`, [
    "free some space or change the permissions, or choose another folder with HEARTH_HOME",
  ]);
}

async function makeKeyFile(path: string, options: KeyOptions): Promise<PrivateKey> {
  const { name, bits = DEFAULT_KEY_BITS, progress } = options;
  await refuseDeadLink(path);
  const whose = name === "server.pem" ? "the server's" : "your";
  progress?.(`making ${whose} key of ${bits} bits: ${path}`);
  const key = await generateKey(bits);
  await writeFileAtomically(path, exportPrivateKey(key));
  return key;
}

/** The key may be on a disk that is not mounted now: another one must not take its place. */
async function refuseDeadLink(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new UsageError(`${path}: a link to a missing file`, [
    "restore the file, or remove the link to make a new key",
  ]);
}

/** Reads a key file; `undefined` when there is none. */
async function readKeyFile(
  path: string,
  options: KeyOptions,
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

async function unlock(text: string, path: string, options: KeyOptions): Promise<PrivateKey> {
  try {
    return await importPrivateKey(text);
  } catch (error) {
    if (!(error instanceof PassphraseError)) throw error;
  }
  const passphrase = Deno.env.get("HEARTH_KEY_PASSPHRASE") ||
    await options.ask?.(`Passphrase of ${path}: `);
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

/** Reads a file that only its owner can read; `undefined` when there is none. */
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
    if (isDirectory) throw new UsageError(`${path}: a folder, not a file`);
    const buffer = new Uint8Array(MAX_KEY_FILE_BYTES);
    let length = 0;
    for (let read; (read = await file.read(buffer.subarray(length)));) length += read;
    const text = new TextDecoder().decode(buffer.subarray(0, length));
    if (PUBLIC_KEY.test(text) && !text.includes("PRIVATE KEY-----")) {
      throw new UsageError(`${path}: this is the public half of a key`, [
        "use the file with the private half, which ssh-keygen names the same, but without .pub",
      ]);
    }
    if (Deno.build.os !== "windows" && ((mode ?? 0) & 0o077) !== 0) {
      throw new UsageError(`${path}: readable by others than its owner`, [`chmod 600 ${path}`]);
    }
    return text;
  } finally {
    file.close();
  }
}
