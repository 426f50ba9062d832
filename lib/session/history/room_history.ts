/**
 * One's own history of one room: records what happens, and finds it again (PROTOCOL.md §16).
 *
 * @module
 */

import { type Bytes, decodeHex } from "../../base/bytes.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { ENTRY, type HistoryEntry, type PackedEntry } from "../../protocol/history_entry.ts";
import { decodeFingerprint } from "../../protocol/identity.ts";
import type { ChatEvent, NoteEvent } from "../events.ts";
import type { Happening, HistoryRequest, RoomHome } from "../recorder.ts";
import { decoded, parseQuery, search, toEvents } from "./history_events.ts";
import type { HistoryKey } from "./history_key.ts";
import { readLogs, stateOfLogs, tidyLogs } from "./log_files.ts";
import { LogWriter } from "./log_writer.ts";

/** How often old logs are looked for. */
const TIDY_MS = 3_600_000;
/** What was read is kept so long, as who searches once searches again. */
const KEEP_MS = 60_000;
/** Messages that are found at once at most. */
const MAX_FOUND = 1000;

type HistoryEntries = (ChatEvent | NoteEvent)[];

interface RoomHistoryOptions {
  readonly clock: Clock;
  readonly key: HistoryKey;
  readonly home: RoomHome;
  /** 32 hex digits. */
  readonly instance: string;
  /** The user's own fingerprint, 32 bytes. */
  readonly own: Bytes;
  /** How long it is kept. */
  readonly days: number;
  onFault(error: unknown): void;
  /** Key or log are gone. */
  onGone(): void;
}

/** Records what happens in one room, and finds it again. */
export class RoomHistory {
  /** What is kept may change, the home does not. */
  home: RoomHome;
  readonly #options: RoomHistoryOptions;
  readonly #folder: string;
  readonly #writer: LogWriter;
  #timer: Timer | undefined;
  #tidying: Promise<void> = Promise.resolve();
  /** What was read of late, and of which state of the logs. */
  #kept: { readonly state: string; readonly entries: PackedEntry[] } | undefined;
  #keeping: Timer | undefined;
  #isClosed = false;

  constructor(options: RoomHistoryOptions) {
    const { key, home } = options;
    this.home = home;
    this.#options = options;
    this.#folder = key.roomFolder(decodeFingerprint(home.home), decodeHex(home.room));
    this.#writer = new LogWriter({ ...options, folder: this.#folder });
    this.#tidy();
  }

  /** Records something; what is private only if the user has asked for that. */
  record(happening: Happening): void {
    const { type, to } = happening;
    const isPrivate = to !== undefined && (type === ENTRY.MESSAGE || type === ENTRY.NOTE);
    if (isPrivate && this.home.keep !== "private") return;
    const { at = Math.max(0, this.#options.clock.wallTime()) } = happening;
    this.#writer.add({ ...happening, at });
  }

  /** What was shown since a time, in ms since 1970, the oldest first. @throws {UsageError} A log cannot be read. */
  async since(time: number): Promise<HistoryEntry[]> {
    const all = await this.#read();
    return all.filter(({ at }) => at >= time).flatMap((entry) => decoded(entry) ?? []);
  }

  /**
   * The newest messages, the oldest first, and what was done to them.
   *
   * @throws {UsageError} A log cannot be read, or the search is not understood.
   */
  async find({ search: text = "", limit, before }: HistoryRequest): Promise<HistoryEntries> {
    const query = parseQuery(text, this.#options.clock.wallTime());
    const all = await this.#read();
    const end = before === undefined ? all.length : all.findLastIndex(({ id }) => id === before);
    const count = Math.min(limit, MAX_FOUND);
    return toEvents(search(all.slice(0, Math.max(0, end)), query, count), all, this.#options.own);
  }

  async #read(): Promise<PackedEntry[]> {
    await this.#writer.flush();
    const { clock, key } = this.#options;
    const state = await stateOfLogs(this.#folder);
    if (this.#kept?.state !== state) {
      this.#kept = { state, entries: await readLogs(this.#folder, key.key) };
    }
    const { entries } = this.#kept;
    clock.cancel(this.#keeping);
    if (!this.#isClosed) this.#keeping = clock.after(KEEP_MS, () => this.#kept = undefined);
    return entries;
  }

  /** Ends; what was recorded is on the disk. */
  async close(): Promise<void> {
    this.#options.clock.cancel(this.#timer);
    this.#isClosed = true;
    this.#options.clock.cancel(this.#keeping);
    await this.#tidying;
    await this.#writer.close();
  }

  #tidy(): void {
    const { clock, key, days } = this.#options;
    this.#timer = clock.after(TIDY_MS, () => this.#tidy());
    const options = { days, now: clock.wallTime() };
    this.#tidying = tidyLogs(this.#folder, key.key, options)
      .catch((error) => this.#writer.fail(error));
  }
}
