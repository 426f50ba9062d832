/**
 * The file `transfers.json`: what others have accepted and do not have yet, for the next start (PROTOCOL.md §15).
 *
 * @module
 */

import { join } from "node:path";
import { decodeUtf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import { lockWithin, readSmallFile, writeFileAtomically } from "../../base/files.ts";
import type { StoredOffer } from "./transfers.ts";
import { PART_KEPT_MS } from "./part.ts";

/** An offer of one room. */
interface Row extends StoredOffer {
  readonly room: string;
  /** When it was noted, in ms since 1970. */
  readonly since: number;
}

/** How long to wait for the lock, which whoever has it keeps: Deno 2.6 cannot try without waiting. */
const LOCK_WAIT_MS = 1000;

interface StoreOptions {
  /** The state folder. */
  readonly folder: string;
  readonly clock: Clock;
  /** It cannot be saved: said once. */
  warn(text: string): void;
}

export class TransferStore {
  readonly #options: StoreOptions;
  readonly #path: string;
  /** Held as long as the program runs: of several programs of one person, one goes on with what is noted. */
  #lock: Deno.FsFile | undefined;
  #rows: Row[] = [];
  #saving: Promise<void> = Promise.resolve();
  #hasWarned = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#path = join(options.folder, "transfers.json");
  }

  /** Reads the file, unless another program does already. */
  async open(): Promise<void> {
    try {
      const lock = await Deno.open(`${this.#path}.lock`, {
        write: true,
        create: true,
        mode: 0o600,
      });
      if (!await lockWithin(lock, LOCK_WAIT_MS, this.#options.clock)) return;
      this.#lock = lock;
      const bytes = await readSmallFile(this.#path);
      const oldest = this.#options.clock.wallTime() - PART_KEPT_MS;
      this.#rows = bytes ? readRows(bytes).filter(({ since }) => since >= oldest) : [];
    } catch (error) {
      this.#warn(error);
    }
  }

  /** What is noted for a room. */
  of(room: string): StoredOffer[] {
    return this.#rows.filter((row) => row.room === room);
  }

  /** Notes what stands in a room now. */
  keep(room: string, offers: readonly StoredOffer[]): void {
    if (this.#lock === undefined) return;
    const sinceOf = (id: string) => this.#rows.find((row) => row.id === id)?.since;
    const rows = offers.map((offer) => ({
      ...offer,
      room,
      since: sinceOf(offer.id) ?? this.#options.clock.wallTime(),
    }));
    this.#rows = [...this.#rows.filter((row) => row.room !== room), ...rows];
    const text = JSON.stringify(this.#rows);
    this.#saving = this.#saving.then(() => writeFileAtomically(this.#path, text)).catch(
      (error) => this.#warn(error),
    );
  }

  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.warn(`transfers of files cannot be noted: ${describeError(error)}`);
  }

  /** Waits until everything is saved. */
  async close(): Promise<void> {
    await this.#saving;
    this.#lock?.close();
    this.#lock = undefined;
  }
}

/** @returns Nothing of a file that was torn or changed. */
function readRows(bytes: Uint8Array): Row[] {
  try {
    const rows: unknown = JSON.parse(decodeUtf8(bytes));
    return Array.isArray(rows) ? rows.filter(isRow) : [];
  } catch {
    return [];
  }
}

function isRow(row: unknown): row is Row {
  const { id, room, since, to, offered } = (row ?? {}) as Partial<Row>;
  return typeof id === "string" && /^[\da-f]{32}$/.test(id) && typeof room === "string" &&
    typeof since === "number" && Array.isArray(to) && to.every((it) => typeof it === "string") &&
    isOffered(offered);
}

function isOffered(offered: Partial<StoredOffer["offered"]> | undefined): boolean {
  const { path, kind, name, size, entries, mtime, executable, listing } = offered ?? {};
  return typeof path === "string" && (kind === "file" || kind === "folder") &&
    typeof name === "string" && Number.isSafeInteger(size) && Number.isSafeInteger(entries) &&
    Number.isSafeInteger(mtime) && typeof executable === "boolean" &&
    typeof listing === "string" && /^[\da-f]{64}$/.test(listing);
}
