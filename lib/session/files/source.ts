/**
 * The sending end of a transfer: a file or folder on the disk, file frames out (PROTOCOL.md §15). Without sockets and
 * clocks.
 *
 * @module
 */

import { basename, join } from "node:path";
import { type Bytes, compareBytes, encodeHex, encodeUtf8, equalBytes } from "../../base/bytes.ts";
import {
  encodeFileFrame,
  type FileEntry,
  type FileFrame,
  MAX_PATH_BYTES,
  type StopCode,
} from "../../protocol/file_frames.ts";
import { FileHash } from "../../protocol/file_hash.ts";
import { MAX_FILE_NAME_BYTES, MAX_FOLDER_ENTRIES } from "../../protocol/file_messages.ts";
import type { Disk, Found, OpenFile } from "./disk.ts";
import { hashPieces, type Have, type Piece } from "./sink.ts";
import type { Pause } from "./slices.ts";

/** What is offered, and what it was when it was offered. */
export interface Offered {
  /** Absolute. */
  readonly path: string;
  readonly kind: "file" | "folder";
  /** Its last component. */
  readonly name: string;
  /** In bytes; null for a pipe. */
  readonly size: number | null;
  /** Files and folders in it; 1 for a file. */
  readonly entries: number;
  /** In ms since 1970. */
  readonly mtime: number;
  readonly executable: boolean;
  /** 64 hex digits; zeros for a file. */
  readonly listing: string;
}

/** Why something cannot be offered or sent any longer. */
export class SourceError extends Error {
  override name = "SourceError";
  readonly code: StopCode;

  /** @param message In words, for the sender. */
  constructor(code: StopCode, message: string) {
    super(message);
    this.code = code;
  }
}

interface Walked {
  readonly entries: FileEntry[];
  /** Where each entry is, in the same order. */
  readonly paths: string[];
  /** Links and devices, which are never sent. */
  readonly leftOut: number;
}

/** What a file has in place of a listing. */
export const NO_LISTING = "0".repeat(64);

/**
 * Looks at what is to be offered. Takes as long as looking at everything in a folder.
 *
 * @param path Absolute; a link is followed here, and nowhere below.
 * @returns It, and how many links and devices in it are left out.
 * @throws {SourceError} It cannot be offered.
 * @throws The error of the operating system.
 */
export async function describeSource(
  disk: Disk,
  path: string,
  pause: Pause,
): Promise<{ offered: Offered; leftOut: number }> {
  const found = disk.follow(path);
  if (found === undefined) throw new SourceError("unreadable", "there is no such file");
  if (found.kind === "other") {
    throw new SourceError("unreadable", "it is neither a file nor a folder");
  }
  const name = basename(path);
  if (name === "") throw new SourceError("name", "it has no name");
  if (encodeUtf8(name).length > MAX_FILE_NAME_BYTES) {
    throw new SourceError("name", "its name is too long");
  }
  const { kind, mtime, executable } = found;
  if (kind === "file") {
    disk.open(path, "read").close(); // better to fail now
    const { size } = found;
    const offered = { path, kind, name, size, entries: 1, mtime, executable, listing: NO_LISTING };
    return { offered, leftOut: 0 };
  }
  const { entries, leftOut } = await walk(disk, path, pause);
  if (entries.length === 0) throw new SourceError("unreadable", "the folder is empty");
  const offered: Offered = {
    path,
    kind,
    name,
    size: entries.reduce((sum, { size }) => sum + size, 0),
    entries: entries.length,
    mtime,
    executable: false,
    listing: encodeHex(await hashListing(entries, pause)),
  };
  return { offered, leftOut };
}

/** Everything in a folder, in the order of path bytes; a part of it if it was not to go on. */
async function walk(disk: Disk, root: string, pause: Pause): Promise<Walked> {
  const entries: FileEntry[] = [];
  const paths: string[] = [];
  let count = 0;
  let leftOut = 0;
  const visit = async (folder: string, prefix: string) => {
    const found: { key: Bytes; entry?: FileEntry; path: string; place: string }[] = [];
    for (const name of listReadable(disk, folder)) {
      if (!await pause()) return;
      const path = prefix + name;
      const place = join(folder, name);
      const info = disk.look(place);
      if (info === undefined) continue;
      if (info.kind === "other") leftOut++;
      else {
        if (++count > MAX_FOLDER_ENTRIES) {
          throw new SourceError("name", `it has more than ${MAX_FOLDER_ENTRIES} files and folders`);
        }
        const entry = toEntry(info, path);
        found.push({ key: entry.path, entry, path, place });
        // What is in `a` comes after `a.txt`.
        if (info.kind === "folder") found.push({ key: encodeUtf8(`${path}/`), path, place });
      }
    }
    found.sort((a, b) => compareBytes(a.key, b.key));
    for (const { entry, path, place } of found) {
      if (entry === undefined) await visit(place, `${path}/`);
      else {
        entries.push(entry);
        paths.push(place);
      }
    }
  };
  await visit(root, "");
  return { entries, paths, leftOut };
}

/** The names in a folder; none if it may not be read, which is then sent empty. */
function listReadable(disk: Disk, folder: string): string[] {
  try {
    return disk.list(folder);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
}

function toEntry({ kind, size, mtime, executable }: Found, path: string): FileEntry {
  const bytes = encodeUtf8(path);
  if (bytes.length > MAX_PATH_BYTES) throw new SourceError("name", "a path in it is too long");
  const isFolder = kind === "folder";
  return {
    type: "entry",
    kind: isFolder ? "folder" : "file",
    executable,
    size: isFolder ? 0 : size,
    mtime,
    path: bytes,
  };
}

/** @returns Something else if it was not to go on. */
async function hashListing(entries: readonly FileEntry[], pause: Pause): Promise<Bytes> {
  const hash = new FileHash();
  for (const entry of entries) {
    if (!await pause()) break;
    hash.update(encodeFileFrame(entry).subarray(1));
  }
  return hash.digest();
}

/** Where a job that sends takes its frames from. */
export interface JobSource {
  /** Bytes that were read. */
  readonly position: number;
  /** Entries that could not be read. */
  readonly skipped: number;
  /** Set by the job: called once there is something after {@linkcode next} had nothing, before DONE. */
  onReady?: () => void;
  /**
   * Begins after what the receiver has, if it is the same. Takes as long as looking at everything, and reading that.
   *
   * @returns The GO to send.
   * @throws {SourceError} It cannot be begun any more.
   * @throws The error of the operating system.
   */
  begin(have: Have, pause: Pause): Promise<FileFrame>;
  /**
   * Reads on.
   *
   * @param space Where the bytes of a DATA are read to; not empty.
   * @returns The next frame; undefined if there is none now, and after DONE.
   * @throws {SourceError} It has changed, or cannot be read.
   */
  next(space: Uint8Array): FileFrame | undefined;
  close(): void;
}

/** One transfer of a file or folder to one receiver. */
export class Source implements JobSource {
  readonly #disk: Disk;
  readonly #offered: Offered;
  /** Everything in a folder, since {@linkcode begin}. */
  #walked: Walked | undefined;
  #file: OpenFile | undefined;
  #position = 0;
  /** In the folder: the entry that is being sent, and how much of it is. */
  #index = -1;
  #rest = 0;
  /** Where the next entry begins in itself: past 0 only for the first one after a GO. */
  #offset = 0;
  /** The present entry cannot be read, or has changed while it was: its SKIP follows. */
  #mustSkip = false;
  #skipped = 0;
  #isDone = false;

  constructor(disk: Disk, offered: Offered) {
    this.#disk = disk;
    this.#offered = offered;
  }

  get position(): number {
    return this.#position;
  }

  async begin({ have, hash }: Have, pause: Pause): Promise<FileFrame> {
    this.close();
    this.#isDone = this.#mustSkip = false;
    this.#skipped = 0;
    if (!await this.#isThere(pause)) return { type: "go", from: 0 }; // its job has ended
    const from = have > 0 && await this.#isBeginning({ have, hash }, pause) ? have : 0;
    if (!await pause()) return { type: "go", from }; // its job has ended
    this.#position = from;
    if (this.#walked === undefined) {
      this.#file = this.#disk.open(this.#offered.path, "read");
      this.#file.seek(from);
      this.#rest = this.#offered.size! - from;
    } else this.#seekEntry(this.#walked.entries, from);
    return { type: "go", from };
  }

  /**
   * @returns Whether to go on.
   * @throws {SourceError} It is not any more what was offered.
   */
  async #isThere(pause: Pause): Promise<boolean> {
    const { path, kind, listing } = this.#offered;
    const found = this.#disk.follow(path);
    if (found === undefined) throw new SourceError("unreadable", "it is gone");
    if (kind === "file") {
      if (!isUnchanged(found, this.#offered)) throw changed();
      return true;
    }
    this.#walked = await walk(this.#disk, path, pause);
    const hash = await hashListing(this.#walked.entries, pause);
    if (!await pause()) return false;
    if (encodeHex(hash) !== listing) throw changed();
    return true;
  }

  async #isBeginning({ have, hash }: Have, pause: Pause): Promise<boolean> {
    if (have > this.#offered.size!) return false;
    return equalBytes(await hashPieces(this.#disk, this.#piecesUpTo(have), pause), hash);
  }

  #piecesUpTo(have: number): Piece[] {
    if (this.#walked === undefined) return [[this.#offered.path, have]];
    const { entries, paths } = this.#walked;
    const pieces: Piece[] = [];
    let rest = have;
    for (let i = 0; rest > 0; i++) {
      const size = Math.min(entries[i]!.size, rest);
      if (size > 0) pieces.push([paths[i]!, size]);
      rest -= size;
    }
    return pieces;
  }

  /** Turns to the entry in which a byte lies, or to the first one that has none there. */
  #seekEntry(entries: readonly FileEntry[], from: number): void {
    let start = 0;
    let index = 0;
    while (index < entries.length) {
      const { size } = entries[index]!;
      if (from === 0 || start + size > from || (size === 0 && start === from)) break;
      start += size;
      index++;
    }
    this.#index = index - 1;
    this.#rest = 0;
    this.#offset = from - start;
  }

  next(space: Uint8Array): FileFrame | undefined {
    if (this.#isDone) return undefined;
    if (this.#rest > 0 || this.#mustSkip) return this.#read(space);
    if (this.#walked !== undefined && this.#index + 1 < this.#walked.entries.length) {
      return this.#enter(this.#walked, ++this.#index);
    }
    this.#closeFile();
    this.#expectUnchanged();
    this.#isDone = true;
    return { type: "done", total: this.#position };
  }

  /** What changes while it is read may have arrived half old, half new. */
  #expectUnchanged(): void {
    if (this.#walked !== undefined) return; // each file was looked at when it had been read
    const found = this.#disk.follow(this.#offered.path);
    if (found === undefined || !isUnchanged(found, this.#offered)) throw changed();
  }

  #enter({ entries, paths }: Walked, index: number): FileFrame {
    this.#closeFile();
    const entry = entries[index]!;
    const offset = this.#offset;
    this.#offset = 0;
    this.#rest = entry.size - offset;
    if (this.#rest > 0) {
      try {
        this.#file = this.#disk.open(paths[index]!, "read");
        this.#file.seek(offset);
      } catch {
        this.#mustSkip = true;
      }
    }
    return entry;
  }

  #read(space: Uint8Array): FileFrame {
    if (this.#mustSkip) return this.#skip();
    const data = space.subarray(0, this.#rest);
    let read: number;
    try {
      read = this.#file!.read(data);
    } catch (error) {
      if (this.#walked !== undefined) return this.#skip();
      throw new SourceError("unreadable", error instanceof Error ? error.message : "");
    }
    if (read === 0) {
      if (this.#walked !== undefined) return this.#skip();
      throw changed();
    }
    this.#rest -= read;
    this.#position += read;
    if (this.#rest === 0 && this.#walked !== undefined) {
      const found = this.#disk.look(this.#walked.paths[this.#index]!);
      const { size, mtime } = this.#walked.entries[this.#index]!;
      this.#mustSkip = found === undefined || !isUnchanged(found, { size, mtime });
    }
    return { type: "data", data: data.subarray(0, read) };
  }

  #skip(): FileFrame {
    this.#mustSkip = false;
    const { size } = this.#walked!.entries[this.#index]!;
    this.#position -= size - this.#rest;
    this.#skipped++;
    this.#rest = 0;
    this.#closeFile();
    return { type: "skip", why: 0 };
  }

  get skipped(): number {
    return this.#skipped;
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  close(): void {
    this.#closeFile();
  }
}

function isUnchanged(found: Found, { size, mtime }: Pick<Offered, "size" | "mtime">): boolean {
  return found.kind === "file" && found.size === size && found.mtime === mtime;
}

function changed(): SourceError {
  return new SourceError("changed", "it has changed since it was offered");
}
