/**
 * Appends to the logs of one room (PROTOCOL.md §16): every second, to a file of this process alone.
 *
 * @module
 */

import { type Bytes, concat } from "../../base/bytes.ts";
import { type Clock, systemRandom, type Timer } from "../../base/clock.ts";
import { makeFolder } from "../../base/files.ts";
import { encodeEntry, type HistoryEntry } from "../../protocol/history_entry.ts";
import { HISTORY_SALT_BYTES, MAX_BLOCK_BYTES, SegmentSealer } from "../../protocol/history_seal.ts";
import type { HistoryKey } from "./history_key.ts";
import { lockLog, logName } from "./log_files.ts";

/** What is recorded is written at the latest after this. */
const WRITE_MS = 1000;
/** So many bytes are written at once. */
const WRITE_BYTES = 16 * 1024;
/** What is written is synced this often. */
const SYNC_MS = 5000;
/** A log goes on in another file after this, or at so many bytes. */
const MAX_LOG_MS = 24 * 3_600_000;
const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** What waits while the disk takes nothing; more is left out. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

interface WriterOptions {
  readonly clock: Clock;
  readonly key: HistoryKey;
  /** The room's. */
  readonly folder: string;
  /** 32 hex digits. */
  readonly instance: string;
  /** It could not be written; what waits is tried again. Called once for as long as it lasts. */
  onFault(error: unknown): void;
  /** The key or the log is gone: nothing is recorded any more. */
  onGone(): void;
}

interface OpenLog {
  readonly file: Deno.FsFile;
  readonly lock: Deno.FsFile;
  readonly path: string;
  readonly sealer: SegmentSealer;
  readonly since: number;
  size: number;
  /** It has no block yet. */
  isEmpty: boolean;
}

/** Writes what is recorded, in the background. */
export class LogWriter {
  readonly #options: WriterOptions;
  #waiting: Bytes[] = [];
  #bytes = 0;
  #log: OpenLog | undefined;
  #writing: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #syncedAt = 0;
  #isSynced = true;
  #isFaulty = false;
  #isGone = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Records an entry; it is on the disk a second later. */
  add(entry: HistoryEntry): void {
    if (this.#isGone) return;
    const bytes = encodeEntry(entry);
    if (this.#bytes + bytes.length > MAX_WAITING_BYTES) return;
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= WRITE_BYTES && !this.#isFaulty) return void this.flush();
    this.#timer ??= this.#options.clock.after(WRITE_MS, () => void this.flush());
  }

  /** Writes what waits. */
  flush(): Promise<void> {
    this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
    return this.#writing = this.#writing.then(() => this.#write());
  }

  /** Tells what goes wrong with the logs: once, until something can be written again. */
  fail(error: unknown): void {
    if (!this.#isFaulty) this.#options.onFault(error);
    this.#isFaulty = true;
  }

  /** Writes and syncs what waits; records nothing any more. */
  async close(): Promise<void> {
    await this.flush();
    this.#isGone = true;
    this.#options.clock.cancel(this.#timer);
    await this.#log?.file.syncData().catch(() => {});
    this.#closeLog();
  }

  async #write(): Promise<void> {
    if (this.#isGone || this.#waiting.length === 0 && this.#isSynced) return;
    try {
      if (!await this.#isInPlace()) return this.#end();
      await this.#turn();
      await this.#append();
      this.#isFaulty = false;
    } catch (error) {
      await this.#giveUpLog(); // the next one has a salt of its own, and no torn block before it
      this.fail(error);
      this.#timer ??= this.#options.clock.after(SYNC_MS, () => void this.flush());
    }
  }

  async #isInPlace(): Promise<boolean> {
    if (!await this.#options.key.isInPlace()) return false;
    if (!this.#log) return true;
    try {
      return (await Deno.stat(this.#log.path)).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  #end(): void {
    this.#isGone = true;
    this.#waiting = [];
    this.#closeLog();
    this.#options.onGone();
  }

  /** Begins a log, where there is none or it is old or large. */
  async #turn(): Promise<void> {
    const { clock, folder, instance, key } = this.#options;
    const now = clock.wallTime();
    const log = this.#log;
    const isFresh = log && log.size < MAX_LOG_BYTES && now - log.since < MAX_LOG_MS;
    if (isFresh) return;
    if (log) {
      await log.file.syncData();
      this.#closeLog();
    }
    await makeFolder(folder);
    const path = `${folder}/${logName(now, instance)}`;
    const lock = await lockLog(path);
    if (!lock) throw new Error("another process writes this log");
    try {
      const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
      const sealer = new SegmentSealer(key.key, systemRandom(HISTORY_SALT_BYTES));
      this.#log = { file, lock, path, sealer, since: now, size: 0, isEmpty: true };
    } catch (error) {
      lock.close();
      await Deno.remove(`${path}.lock`);
      throw error;
    }
    await this.#put(this.#log.sealer.head);
  }

  async #append(): Promise<void> {
    while (this.#waiting.length > 0) {
      let bytes = 0;
      const fits = this.#waiting.findIndex((entry) => (bytes += entry.length) > MAX_BLOCK_BYTES);
      const count = fits < 0 ? this.#waiting.length : fits;
      const entries = concat(...this.#waiting.slice(0, count));
      await this.#put(this.#log!.sealer.seal(entries));
      this.#log!.isEmpty = false;
      this.#waiting.splice(0, count);
      this.#bytes -= entries.length;
    }
    const { clock } = this.#options;
    this.#isSynced = clock.now() - this.#syncedAt >= SYNC_MS;
    if (!this.#isSynced) {
      return void (this.#timer ??= clock.after(SYNC_MS, () => void this.flush()));
    }
    this.#syncedAt = clock.now();
    await this.#log!.file.syncData();
  }

  async #put(bytes: Bytes): Promise<void> {
    const { file } = this.#log!;
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    this.#log!.size += bytes.length;
  }

  /** Closes a log that could not be written, without the torn block, and removes one without any: a full disk would gather them. */
  async #giveUpLog(): Promise<void> {
    const log = this.#log;
    // The error that has led here is told.
    await log?.file.truncate(log.size).catch(() => {});
    this.#closeLog();
    if (!log?.isEmpty) return;
    await Deno.remove(log.path).catch(() => {});
    await Deno.remove(`${log.path}.lock`).catch(() => {});
  }

  #closeLog(): void {
    this.#log?.file.close();
    this.#log?.lock.close();
    this.#log = undefined;
  }
}
