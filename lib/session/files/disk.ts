/**
 * What transfers need of a file system, synchronous because it runs in a Worker of its own; tests put a small one in
 * its place that fills, fails and lies.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { settledWithin } from "../../transport/mod.ts";
import { PART_SUFFIX } from "./name.ts";

/** What is found under a path; `other` is a symbolic link or a device. */
export interface Found {
  readonly kind: "file" | "folder" | "other";
  /** In bytes. */
  readonly size: number;
  /** Time of the last change, in ms since 1970. */
  readonly mtime: number;
  readonly executable: boolean;
}

/** An open file. Each method throws the error of the operating system. */
export interface OpenFile {
  /** @returns The bytes read; 0 at the end. */
  read(buffer: Uint8Array): number;
  /** Writes all of it. */
  write(bytes: Uint8Array): void;
  seek(position: number): void;
  truncate(size: number): void;
  size(): number;
  /** Resolves once what was written is on the disk. */
  sync(): Promise<void>;
  /** @returns Whether nobody else holds the file; soon. It is held until it is closed. */
  tryHold(): Promise<boolean>;
  close(): void;
}

/** A file system. Each method throws the error of the operating system. */
export interface Disk {
  /** @returns What is there, undefined for nothing; a link is not followed. */
  look(path: string): Found | undefined;
  /** The same; a link is followed. */
  follow(path: string): Found | undefined;
  /** The names in a folder. */
  list(path: string): string[];
  open(path: string, how: "read" | "write" | "new"): OpenFile;
  makeFolder(path: string): void;
  rename(from: string, to: string): void;
  /** Fails with AlreadyExists rather than replace anything, or with something else where there are no links. */
  link(from: string, to: string): void;
  /** Removes a file or an empty folder. */
  remove(path: string): void;
  /** Removes a folder and what is in it, or a file, without holding up others. */
  removeAll(path: string): Promise<void>;
  /** Gives a finished file or folder the mode of an ordinary one, and its time, where the file system can. */
  release(path: string, options: { executable: boolean; mtime: number }): void;
  /** The bytes that are free in a folder. */
  free(folder: string): number;
}

/** Whether an error says that there is no room on the disk. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT";
}

const PRIVATE_MODE = 0o600;
const FILE_MODE = 0o666;
const PROGRAM_MODE = 0o777;
const EXECUTE_BITS = 0o111;
const isWindows = Deno.build.os === "windows";

/** The real one. */
export const realDisk: Disk = {
  look: (path) => describe(() => Deno.lstatSync(path)),
  follow: (path) => describe(() => Deno.statSync(path)),
  list: (path) => Array.from(Deno.readDirSync(path), ({ name }) => name),
  open: (path, how) => new RealFile(path, how),
  makeFolder: (path) => Deno.mkdirSync(path, { mode: 0o700 }),
  rename: (from, to) => Deno.renameSync(from, to),
  link: (from, to) => Deno.linkSync(from, to),
  remove: (path) => Deno.removeSync(path),
  removeAll: (path) => Deno.remove(path, { recursive: true }),
  release(path, { executable, mtime }) {
    try {
      if (!isWindows) {
        const isProgram = executable || Deno.lstatSync(path).isDirectory;
        ordinaryMode ??= findOrdinaryMode(dirname(path));
        Deno.chmodSync(path, (isProgram ? PROGRAM_MODE : FILE_MODE) & ordinaryMode);
      }
      Deno.utimeSync(path, new Date(), new Date(mtime));
    } catch {
      // FAT has no modes, and lets only an owner set times: the file is worth more than they are.
    }
  },
  free(folder) {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  },
};

function describe(stat: () => Deno.FileInfo): Found | undefined {
  let info: Deno.FileInfo;
  try {
    info = stat();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return {
    kind: info.isFile ? "file" : info.isDirectory ? "folder" : "other",
    size: info.size,
    mtime: Math.max(0, info.mtime?.getTime() ?? 0),
    executable: info.isFile && ((info.mode ?? 0) & EXECUTE_BITS) !== 0,
  };
}

/** The mode bits that new files get. */
let ordinaryMode: number | undefined;

/** To ask for the umask takes a permission, to create an empty file none. */
function findOrdinaryMode(folder: string): number {
  const probe = join(folder, `.${crypto.randomUUID()}${PART_SUFFIX}`);
  const file = Deno.openSync(probe, { write: true, createNew: true, mode: PROGRAM_MODE });
  try {
    return file.statSync().mode ?? PROGRAM_MODE;
  } finally {
    file.close();
    Deno.removeSync(probe);
  }
}

/** The paths of files that this program holds, or waits for. */
const held = new Set<string>();
/** How long to wait for a lock where one cannot try without waiting. */
const LOCK_WAIT_MS = 1000;

class RealFile implements OpenFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #isHeld = false;
  #isClosed = false;

  constructor(path: string, how: "read" | "write" | "new") {
    this.#path = path;
    this.#file = Deno.openSync(path, {
      read: true,
      write: how !== "read",
      createNew: how === "new",
      mode: PRIVATE_MODE,
    });
  }

  read(buffer: Uint8Array): number {
    return this.#file.readSync(buffer) ?? 0;
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
  }

  seek(position: number): void {
    this.#file.seekSync(position, Deno.SeekMode.Start);
  }

  truncate(size: number): void {
    this.#file.truncateSync(size);
  }

  size(): number {
    return this.#file.statSync().size;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  async tryHold(): Promise<boolean> {
    const path = this.#path;
    if (held.has(path)) return false;
    held.add(path);
    let isTooLate = false;
    const locking = tryLock(this.#file).then((isLocked) => {
      this.#isHeld = isLocked && !isTooLate;
      if (!this.#isHeld) held.delete(path);
      if (isTooLate) this.close();
    });
    await settledWithin(systemClock, LOCK_WAIT_MS, locking);
    isTooLate = true;
    return this.#isHeld;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isHeld) held.delete(this.#path);
    this.#file.close();
  }
}

/**
 * Locks a file if no other program holds it. Deno 2.6 can only wait for that: the promise may not resolve before the
 * other one has ended.
 *
 * @returns Whether it is ours, as it is where the file system has no locks.
 */
async function tryLock(file: Deno.FsFile): Promise<boolean> {
  try {
    if ("tryLockSync" in file) return file.tryLockSync(true);
    await (file as Deno.FsFile).lock(true);
  } catch {
    // Without locks a part can be gone on with all the same.
  }
  return true;
}
