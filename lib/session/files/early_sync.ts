/**
 * Brings a large file to the disk while more of it comes: otherwise all of it would wait for the end, and what the
 * sender is told would be far ahead of a slow disk.
 *
 * @module
 */

import type { Disk, OpenFile } from "./disk.ts";

/** What is written to a file before it is brought to the disk; at most twice as much is not there yet. */
export const EARLY_SYNC_BYTES: number = 16 * 1024 * 1024;

export class EarlySync {
  readonly #disk: Disk;
  #path: string | undefined;
  /** Written to the file since its last sync began. */
  #bytes = 0;
  #running = Promise.resolve();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * So many bytes have been written to a file.
   *
   * @returns What to wait for before more is written; mostly nothing.
   * @throws The error of the operating system.
   */
  wrote(path: string, bytes: number): Promise<void> | undefined {
    this.#bytes = bytes + (path === this.#path ? this.#bytes : 0);
    this.#path = path;
    if (this.#bytes < EARLY_SYNC_BYTES) return undefined;
    this.#bytes = 0;
    // While Deno syncs a file, nothing can be written through the same handle.
    const file = this.#disk.open(path, "write");
    const before = this.#running;
    this.#running = syncAfter(before, file);
    this.#running.catch(() => {}); // whoever waits next is told
    return before;
  }

  /** Resolves once nothing is being brought to the disk any more. @throws The error of the operating system. */
  get ended(): Promise<void> {
    return this.#running;
  }
}

async function syncAfter(before: Promise<void>, file: OpenFile): Promise<void> {
  try {
    await before;
    await file.sync();
  } finally {
    file.close();
  }
}
