/**
 * The file `received_files`: which offers are complete, for senders who have not learnt it before this program ended
 * (PROTOCOL.md §15).
 *
 * @module
 */

import { join } from "node:path";
import { BoundedMap } from "../../base/bounded_map.ts";
import { decodeUtf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { readSmallFile, writeFileAtomically } from "../../base/files.ts";
import { PART_KEPT_MS } from "./part.ts";

/** Offers that are remembered, §10. */
export const MAX_RECEIVED = 1024;
/** The file is written anew when it has more lines than this. */
const MAX_LINES = 2 * MAX_RECEIVED;
/** `SHA256:…`, 32 hex digits, ms since 1970. */
const LINE = /^(\S+ [\da-f]{32}) (\d{1,15})$/;

/** Complete offers. What cannot be read or written costs a question, and is not reported. */
export class ReceivedStore {
  readonly #path: string;
  readonly #clock: Clock;
  /** When each was complete, in ms since 1970, by person and id. */
  readonly #times = new BoundedMap<string, number>(MAX_RECEIVED);
  #lines = 0;
  #saving: Promise<void> = Promise.resolve();

  /** @param folder The state folder. */
  constructor(folder: string, clock: Clock) {
    this.#path = join(folder, "received_files");
    this.#clock = clock;
  }

  /** Reads the file. */
  async open(): Promise<void> {
    const bytes = await readSmallFile(this.#path).catch(() => undefined);
    if (bytes === undefined) return;
    const lines = readLines(bytes);
    this.#lines = lines.length;
    for (const line of lines) {
      const [, key, time] = LINE.exec(line) ?? [];
      if (key !== undefined && this.#isRecent(Number(time))) this.#times.renew(key, Number(time));
    }
    if (this.#times.size < lines.length) this.#save(() => this.#writeAll());
  }

  #isRecent(time: number): boolean {
    return this.#clock.wallTime() - time < PART_KEPT_MS;
  }

  /** @param person Who has offered it, `SHA256:…`. */
  has(person: string, id: string): boolean {
    return this.#isRecent(this.#times.get(`${person} ${id}`) ?? -Infinity);
  }

  /** It is on the disk, under its name. */
  add(person: string, id: string): void {
    const key = `${person} ${id}`;
    const time = this.#clock.wallTime();
    this.#times.renew(key, time);
    // Other programs of this person append to the file, too.
    this.#save(() =>
      ++this.#lines > MAX_LINES
        ? this.#writeAll()
        : Deno.writeTextFile(this.#path, `${key} ${time}\n`, { append: true, mode: 0o600 })
    );
  }

  #save(write: () => Promise<void>): void {
    this.#saving = this.#saving.then(write).catch(() => {});
  }

  async #writeAll(): Promise<void> {
    const lines = Array.from(this.#times, ([key, time]) => `${key} ${time}\n`);
    await writeFileAtomically(this.#path, lines.join(""));
    this.#lines = lines.length;
  }

  /** Waits until everything is saved. */
  async close(): Promise<void> {
    await this.#saving;
  }
}

/** @returns Nothing of a file that is not text. */
function readLines(bytes: Uint8Array): string[] {
  try {
    return decodeUtf8(bytes).split("\n").slice(0, -1);
  } catch {
    return [];
  }
}
