/**
 * The key file of one's own history, and where its logs are (PROTOCOL.md §16).
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../../base/bytes.ts";
import { systemRandom } from "../../base/clock.ts";
import { DecryptError, ProtocolError, UsageError } from "../../base/errors.ts";
import { makeFolder, readSmallFile, withLock, writeFileAtomically } from "../../base/files.ts";
import {
  HISTORY_KEY_BYTES,
  HISTORY_SALT_BYTES,
  historyRoomName,
  unwrapHistoryKey,
  wrapHistoryKey,
} from "../../protocol/history_seal.ts";
import { privateExponent, type PrivateKey } from "../../protocol/identity.ts";
import { cipherReady } from "../../protocol/records.ts";

/** Bytes of the fingerprint in the names of key file and folder. */
const NAME_BYTES = 8;

/** An opened key. */
export class HistoryKey {
  /** Khist, 32 bytes. */
  readonly key: Bytes;
  readonly #path: string;
  readonly #content: Bytes;
  readonly #folder: string;

  constructor(paths: Paths, content: Bytes, key: Bytes) {
    this.#path = paths.key;
    this.#folder = paths.folder;
    this.#content = content;
    this.key = key;
  }

  /** The folder of a room's logs. @param home, room Fingerprint of a relay and tag, 32 bytes each. */
  roomFolder(home: Bytes, room: Bytes): string {
    return `${this.#folder}/${historyRoomName(this.key, home, room)}`;
  }

  /** The file is still the one that was opened: else somebody has asked to forget everything. */
  async isInPlace(): Promise<boolean> {
    const content = await readSmallFile(this.#path);
    return content !== undefined && equalBytes(content, this.#content);
  }
}

interface Paths {
  readonly key: string;
  readonly folder: string;
}

function pathsOf(folder: string, fingerprint: Bytes): Paths {
  const name = encodeHex(fingerprint.subarray(0, NAME_BYTES));
  return { key: `${folder}/history-${name}.key`, folder: `${folder}/history/${name}` };
}

/**
 * Opens the key of an identity's history; makes it where there is none. One process makes it, and others wait.
 *
 * @param folder The state folder.
 * @throws {UsageError} The file is of another identity, or damaged; it is left as it is.
 * @throws The error of the operating system.
 */
export async function openHistoryKey(folder: string, identity: PrivateKey): Promise<HistoryKey> {
  const found = await findHistoryKey(folder, identity);
  if (found) return found;
  const paths = pathsOf(folder, identity.publicKey.fingerprint);
  await makeFolder(folder);
  return await withLock(paths.key, async () => {
    const made = await findHistoryKey(folder, identity);
    if (made) return made;
    await cipherReady();
    const key = systemRandom(HISTORY_KEY_BYTES);
    const salt = systemRandom(HISTORY_SALT_BYTES);
    const content = wrapHistoryKey(key, { exponent: privateExponent(identity), salt });
    await writeFileAtomically(paths.key, content);
    return new HistoryKey(paths, content, key);
  });
}

/** Opens the key of an identity's history as {@linkcode openHistoryKey} does; undefined where there is none. */
export async function findHistoryKey(
  folder: string,
  identity: PrivateKey,
): Promise<HistoryKey | undefined> {
  const paths = pathsOf(folder, identity.publicKey.fingerprint);
  const content = await readSmallFile(paths.key);
  if (content === undefined) return undefined;
  await cipherReady();
  try {
    const key = unwrapHistoryKey(content, privateExponent(identity));
    return new HistoryKey(paths, new Uint8Array(content), key);
  } catch (error) {
    if (!(error instanceof DecryptError) && !(error instanceof ProtocolError)) throw error;
    throw new UsageError(`${paths.key}: damaged, or of another identity: no history can be read`, [
      "restore the file, or remove what it was for: client history --forget",
    ]);
  }
}

/**
 * Removes the key and all logs of an identity: nothing of them can be read any more.
 *
 * @returns Whether there was anything.
 */
export async function forgetHistory(folder: string, fingerprint: Bytes): Promise<boolean> {
  const paths = pathsOf(folder, fingerprint);
  const hadKey = await remove(paths.key); // first: from here on the rest is noise
  await remove(`${paths.key}.lock`);
  return await remove(paths.folder) || hadKey;
}

async function remove(path: string): Promise<boolean> {
  try {
    await Deno.remove(path, { recursive: true });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
