/**
 * Files of the state folder: whole or not at all, one writer at a time, private from the first
 * byte.
 *
 * Knows nothing of what the files contain.
 *
 * @module
 */

import { encodeHex, encodeUtf8 } from "./bytes.ts";
import { systemRandom } from "./clock.ts";
import { UsageError } from "./errors.ts";

/** Nobody but the owner reads or writes. */
const PRIVATE_FILE_MODE = 0o600;
const PRIVATE_FOLDER_MODE = 0o700;

/** Options of {@linkcode writeWhole}. */
export interface WriteOptions {
  /** Permission bits of the new file, 0600 by default; has no meaning on Windows. */
  mode?: number;
}

/**
 * Replaces a file, or makes it: whoever reads it, and whoever kills us, finds the old or the new
 * content, never a part.
 *
 * The content is written aside in the same folder, brought to the disk, and renamed. Two writers
 * need {@linkcode withLock} if the later one has to know what the earlier one wrote.
 *
 * @param path The file; its folder exists.
 * @param content All of it; text is written as UTF-8.
 * @throws What the operating system says; then the old file is untouched and nothing is left beside
 * it.
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const { mode = PRIVATE_FILE_MODE } = options;
  const bytes = typeof content === "string" ? encodeUtf8(content) : content;
  const aside = `${path}.${encodeHex(systemRandom(8))}.new`;
  // The mode is set at creation: a moment of 0644 is enough for somebody else to open it.
  const file = await Deno.open(aside, { write: true, createNew: true, mode });
  try {
    try {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(aside, path);
  } catch (error) {
    // The first error is the one to report, whether this works or not.
    await Deno.remove(aside).catch(() => {});
    throw error;
  }
}

/**
 * Reads a file of the state folder.
 *
 * @returns All of it; undefined when there is no such file.
 * @throws {UsageError} When it cannot be read: names it.
 */
export async function readWhole(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw cannotRead(path, error);
  }
}

/** Says which file the operating system does not let us read, and what helps. */
export function cannotRead(path: string, error: unknown): UsageError {
  // Deno keeps programs from most of /dev and /proc, and its message would name a flag that is not ours.
  if (error instanceof Deno.errors.NotCapable) {
    return new UsageError(`${path}: not a plain file, and cannot be read`);
  }
  // Deno's own mention of the file is left out: it stands before it already.
  const why = error instanceof Error ? error.message.replace(/: \w+ '.*'$/s, "") : String(error);
  return new UsageError(`${path}: cannot be read: ${why}`, [
    "give the right to read it, or choose another state folder with HEARTH_HOME",
  ]);
}

/**
 * Runs `action` while no other holder of the same lock runs, in this process or another.
 *
 * The lock is on `path` + `.lock`, which stays; the operating system gives it free when its holder
 * ends, however it ends. Not reentrant: an action that asks for its own lock waits for ever.
 *
 * @param path The file the lock is about; its folder exists, the file need not.
 * @returns What `action` returns.
 * @throws What `action` throws, or what the operating system says about the lock file.
 */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const file = await Deno.open(`${path}.lock`, {
    write: true,
    create: true,
    mode: PRIVATE_FILE_MODE,
  });
  try {
    await file.lock(true);
    return await action();
  } finally {
    file.close();
  }
}

/**
 * Finds the folder where keys, pins and settings are kept; does not make it.
 *
 * @param env Reads an environment variable; an empty one counts as none.
 * @param os The operating system as `Deno.build.os` names it.
 * @throws {UsageError} When the environment names no place at all.
 */
export function stateFolder(
  env: (name: string) => string | undefined,
  os: string = Deno.build.os,
): string {
  const own = env("HEARTH_HOME");
  if (own) return own;
  const windows = os === "windows";
  const config = env("XDG_CONFIG_HOME");
  if (config) return windows ? `${config}\\hearth` : `${config}/hearth`;
  const home = env(windows ? "APPDATA" : "HOME");
  if (home) return windows ? `${home}\\hearth` : `${home}/.config/hearth`;
  throw new UsageError("no place for the state folder", [
    "set HEARTH_HOME to the folder where keys and settings are to be kept",
  ]);
}

/**
 * Makes a folder, and those above it, with mode 0700; one that exists is used as it is.
 *
 * @throws What the operating system says, also when the path names something that is no folder.
 */
export async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: PRIVATE_FOLDER_MODE });
}
