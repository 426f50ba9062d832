/**
 * Atomic, locked, owner-only file access in the state folder.
 *
 * @module
 */

import { nodePath } from "./builtin.ts";
import { concat, encodeHex, encodeUtf8 } from "./bytes.ts";
import { type Clock, systemClock, systemRandom } from "./clock.ts";
import { describeError, ProtocolError, UsageError } from "./errors.ts";

const PRIVATE_FILE_MODE = 0o600;
const PRIVATE_FOLDER_MODE = 0o700;
/** The permission bit of everybody else. */
const WRITABLE_BY_ALL = 0o002;
const MAX_SMALL_FILE_BYTES = 1024 * 1024;
const READ_BYTES = 65536;

interface WriteOptions {
  /** Permission bits of the new file, 0600 by default; ignored on Windows. */
  mode?: number;
}

/**
 * Creates or replaces a file: readers, and a crash, see either the old content or the new, never a part.
 *
 * The content is written to a temporary file in the same folder, synced, and renamed. Use {@linkcode withLock} if one
 * writer must see what another has written.
 *
 * @param path The file, or a link to it, which remains; its folder exists.
 * @param content All of it; text is written as UTF-8.
 * @throws The error of the operating system; the old file is untouched, and the temporary file is gone.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const { mode = PRIVATE_FILE_MODE } = options;
  const bytes = typeof content === "string" ? encodeUtf8(content) : content;
  const target = await followLinks(path);
  const temporary = `${target}.${encodeHex(systemRandom(8))}.new`;
  // The mode is set at creation: others could open a file that is 0644 for only a moment.
  const file = await Deno.open(temporary, { write: true, createNew: true, mode });
  try {
    try {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    // Report the first error, whether this works or not.
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** The file that a path leads to through symbolic links; it need not exist. */
async function followLinks(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  try {
    const link = await Deno.readLink(path);
    const { dirname, isAbsolute, join } = nodePath();
    return isAbsolute(link) ? link : join(dirname(path), link);
  } catch {
    return path; // not a link: a file that does not exist yet
  }
}

/**
 * Appends text to an existing file, as UTF-8, and syncs it.
 *
 * @throws The error of the operating system; the file is as long as before, if it could be cut.
 */
export async function appendToFile(path: string, text: string): Promise<void> {
  using file = await Deno.open(path, { write: true, append: true });
  const { size } = await file.stat();
  const bytes = encodeUtf8(text);
  try {
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.syncData();
  } catch (error) {
    await file.truncate(size).catch(() => {});
    throw error;
  }
}

/**
 * Reads a file of the state folder.
 *
 * @returns Its content; undefined if there is no such file.
 * @throws {UsageError} It cannot be read, or is larger than `maxBytes`.
 */
export async function readSmallFile(
  path: string,
  maxBytes: number = MAX_SMALL_FILE_BYTES,
): Promise<Uint8Array | undefined> {
  try {
    using file = await Deno.open(path);
    return await readWhole(file, path, maxBytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof UsageError) throw error;
    throw cannotRead(path, error);
  }
}

/**
 * Reads a file whose content decides who is let in, or proves who one is.
 *
 * @throws {UsageError} Every user of this computer may write it, or it is larger than 1 MiB.
 * @throws The error of the operating system when it cannot be read.
 */
export async function readTrustedFile(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const { mode, isFile } = await file.stat();
  if (isFile && Deno.build.os !== "windows" && ((mode ?? 0) & WRITABLE_BY_ALL) !== 0) {
    throw new UsageError(`${path}: every user of this computer may write it`, [
      `chmod o-w ${path}`,
    ]);
  }
  return await readWhole(file, path, MAX_SMALL_FILE_BYTES);
}

async function readWhole(file: Deno.FsFile, path: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = new Uint8Array(READ_BYTES);
    const read = await file.read(chunk);
    if (read === null) break;
    chunks.push(chunk.subarray(0, read));
    length += read;
    if (length > maxBytes) throw new UsageError(`${path}: larger than ${maxBytes} bytes`);
  }
  return concat(...chunks);
}

/** Explains why a file could not be read, from the error of the operating system or of decoding its text. */
export function cannotRead(path: string, error: unknown): UsageError {
  if (error instanceof Deno.errors.NotFound) return new UsageError(`${path}: no such file`);
  if (error instanceof Deno.errors.IsADirectory) {
    return new UsageError(`${path}: a folder, not a file`);
  }
  if (error instanceof ProtocolError) return new UsageError(`${path}: not UTF-8 text`);
  // Deno denies access to most of /dev and /proc, and its message names a flag that our programs do not have.
  if (error instanceof Deno.errors.NotCapable) {
    return new UsageError(`${path}: cannot be read: it is not a regular file`);
  }
  // Deno's message repeats the file's name.
  const why = error instanceof Error ? error.message.replace(/: \w+ '.*'$/s, "") : String(error);
  return new UsageError(`${path}: cannot be read: ${why}`, [
    error instanceof Deno.errors.PermissionDenied
      ? "check its permissions, and those of the folders that it is in"
      : "check its path, or choose another state folder with HEARTH_HOME",
  ]);
}

/**
 * Runs `action` while holding the lock of a file, which excludes other holders in this process and others.
 *
 * The lock is on `path` + `.lock`, beside the file if `path` is a link, and remains; the OS releases it when the process
 * exits. Not reentrant: an action that requests the same lock waits forever.
 *
 * @param path The file that the lock protects; its folder exists, the file need not.
 * @throws {UsageError} The file system has no locks.
 * @throws What `action` throws, or the error of the operating system for the lock file.
 */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const lockPath = `${await followLinks(path)}.lock`;
  using file = await Deno.open(lockPath, { write: true, create: true, mode: PRIVATE_FILE_MODE });
  await lock(file, lockPath, { exclusive: true });
  return await action();
}

/**
 * Checks that files can be locked in a folder, with a file that exists there; waits for whoever holds it.
 *
 * @throws {UsageError} They cannot be.
 */
export async function checkLocks(path: string): Promise<void> {
  using file = await Deno.open(path);
  await lock(file, path, { exclusive: false });
}

async function lock(
  file: Deno.FsFile,
  path: string,
  { exclusive }: { exclusive: boolean },
): Promise<void> {
  try {
    await file.lock(exclusive);
  } catch (error) {
    throw new UsageError(`${path}: cannot be locked: ${describeError(error)}`, [
      "its file system may have no locks: choose another state folder with HEARTH_HOME",
    ]);
  }
}

/**
 * Locks a file for itself alone, if nobody holds it for longer than `waitMs`; it is closed otherwise. (Deno 2.6 has no
 * tryLock, and can only wait.)
 *
 * @returns Whether it is locked; it is free once the file is closed.
 */
export async function lockWithin(
  file: Deno.FsFile,
  waitMs: number,
  clock: Clock = systemClock,
): Promise<boolean> {
  const timedOut = Promise.withResolvers<false>();
  const timer = clock.after(waitMs, () => timedOut.resolve(false));
  const locking = file.lock(true).then(() => true);
  try {
    const isLocked = await Promise.race([locking, timedOut.promise]);
    if (!isLocked) locking.finally(() => file.close()).catch(() => {});
    return isLocked;
  } catch (error) {
    file.close();
    throw error;
  } finally {
    clock.cancel(timer);
  }
}

/**
 * The path of the folder for keys, pins and settings; it may not exist yet.
 *
 * @param env Reads an environment variable; an empty one counts as unset.
 * @throws {UsageError} No environment variable says where it could be.
 */
export function stateFolder(
  env: (name: string) => string | undefined,
  os: string = Deno.build.os,
): string {
  const own = env("HEARTH_HOME");
  if (own) return own;
  const windows = os === "windows";
  const config = env("XDG_CONFIG_HOME");
  // A relative one is invalid and must be ignored (XDG Base Directory Specification).
  if (config && (windows ? /^(?:[a-z]:)?[\\/]/i : /^\//).test(config)) {
    return windows ? `${config}\\hearth` : `${config}/hearth`;
  }
  const home = env(windows ? "APPDATA" : "HOME");
  if (home) return windows ? `${home}\\hearth` : `${home}/.config/hearth`;
  throw new UsageError("cannot tell where the state folder is", [
    "set HEARTH_HOME to a folder for keys and settings",
  ]);
}

/**
 * Creates a folder and its parents with mode 0700; leaves existing ones as they are.
 *
 * @throws The error of the operating system, also if the path names something else than a folder.
 */
export async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: PRIVATE_FOLDER_MODE });
}
