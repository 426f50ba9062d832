/**
 * The receiving end of a transfer: file frames in, a file or folder on the disk (PROTOCOL.md §15). Without sockets and
 * clocks.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { type FileFrame, RESERVE_BYTES } from "../../protocol/file_frames.ts";
import { FileHash } from "../../protocol/file_hash.ts";
import { FILE_HASH_BYTES } from "../../protocol/file_messages.ts";
import type { Disk } from "./disk.ts";
import type { PartHead } from "./part.ts";
import type { Pause } from "./slices.ts";

const HASH_CHUNK_BYTES = 1024 * 1024;
/** Files that get onto the disk at once: a file system writes what it notes of many together. */
const SYNCS_AT_ONCE = 16;

/** A path in a folder that cannot be kept: STOP(7). */
export class NameError extends Error {
  override name = "NameError";
}

/** The disk has too little room: ANSWER(4) or STOP(4). */
export class NoRoomError extends Error {
  override name = "NoRoomError";
  /** In bytes. */
  readonly missing: number;

  constructor(missing: number) {
    super("too little room on the disk");
    this.missing = missing;
  }
}

export interface SinkOptions {
  readonly disk: Disk;
  /** Where it is kept; it exists. */
  readonly folder: string;
  readonly head: PartHead;
}

/** What is there already. */
export interface Have {
  readonly have: number;
  /** 32 bytes; zeros where `have` is 0. */
  readonly hash: Bytes;
}

/** Nothing is. */
export const NOTHING: Have = { have: 0, hash: new Uint8Array(FILE_HASH_BYTES) };

export interface Sink {
  /** Bytes that are written. */
  readonly position: number;
  /** Entries that could not be read at the other side. */
  readonly skipped: number;
  /**
   * Looks for what is there already: before the first GO, and again for each new connection. Takes as long as reading
   * all of it.
   *
   * @throws {NoRoomError} The rest does not fit.
   * @throws {NoPlaceError} Every name is taken.
   * @throws The error of the operating system.
   */
  look(pause: Pause): Promise<Have>;
  /**
   * Takes a frame of the sender, but DONE: no other before it resolves.
   *
   * @throws {ProtocolError} STOP(8).
   * @throws {NameError} STOP(7).
   * @throws The error of the operating system.
   */
  take(frame: FileFrame): void | Promise<void>;
  /**
   * Takes DONE: what is complete gets its name. Takes as long as it takes to get everything onto the disk.
   *
   * @returns The path where it is kept; undefined if it was not to go on.
   * @throws {ProtocolError} It is not complete: STOP(8).
   * @throws {NoPlaceError} Every name is taken: STOP(7).
   * @throws The error of the operating system.
   */
  finish(total: number, pause: Pause): Promise<string | undefined>;
  /** Lets go of the disk; what is there stays. */
  close(): void;
  /** Lets go of the disk, and removes what is there. */
  discard(): Promise<void>;
}

/**
 * Makes sure that what is missing fits on the disk.
 *
 * @throws {NoRoomError} It does not.
 */
export function expectRoom({ disk, folder, head }: SinkOptions, have: number): void {
  if (head.size === null) return;
  const missing = head.size - have + RESERVE_BYTES - disk.free(folder);
  if (missing > 0) throw new NoRoomError(missing);
}

/** A file and how much of it counts. */
export type Piece = readonly [path: string, size: number];

/**
 * SHA-256 over the beginnings of files, one after the other.
 *
 * @returns Zeros if it was not to go on.
 */
export async function hashPieces(
  disk: Disk,
  pieces: readonly Piece[],
  pause: Pause,
): Promise<Bytes> {
  const hash = new FileHash();
  const chunk = new Uint8Array(HASH_CHUNK_BYTES);
  for (const [path, size] of pieces) {
    const file = disk.open(path, "read");
    try {
      for (let done = 0; done < size;) {
        const read = file.read(chunk.subarray(0, Math.min(chunk.length, size - done)));
        if (read === 0) break;
        hash.update(chunk.subarray(0, read));
        done += read;
        if (!await pause()) return NOTHING.hash;
      }
    } finally {
      file.close();
    }
  }
  return hash.digest();
}

/** Resolves once files are on the disk, or it was not to go on. */
export async function syncFiles(
  disk: Disk,
  paths: readonly string[],
  pause: Pause,
): Promise<void> {
  const rest = paths.values();
  const syncNext = async () => {
    for (const path of rest) {
      const file = disk.open(path, "write");
      try {
        await file.sync();
      } finally {
        file.close();
      }
      if (!await pause()) return;
    }
  };
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, syncNext));
}
