/**
 * The last messages and notes of a room, in memory: what can be told another terminal of one's own (PROTOCOL.md §17).
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { encodeUtf8 } from "../base/bytes.ts";
import { ENTRY, type HistoryEntry } from "../protocol/history_entry.ts";

/** Messages and notes that are remembered. */
export const MAX_RECENT = 2048;
/** Bytes of their texts. */
export const MAX_RECENT_BYTES = 1024 * 1024;

/** What was shown last. */
export class Recent {
  readonly #clock: Clock;
  readonly #entries: { readonly entry: HistoryEntry; readonly addedAt: number }[] = [];
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers a message or a note; nothing else. */
  add(entry: HistoryEntry): void {
    if (entry.type !== ENTRY.MESSAGE && entry.type !== ENTRY.NOTE) return;
    this.#entries.push({ entry, addedAt: this.#clock.now() });
    this.#bytes += bytesOf(entry);
    while (this.#entries.length > MAX_RECENT || this.#bytes > MAX_RECENT_BYTES) {
      this.#bytes -= bytesOf(this.#entries.shift()!.entry);
    }
  }

  /** What was shown in the last `ms`, in the order in which it was added. */
  within(ms: number): HistoryEntry[] {
    const time = this.#clock.wallTime() - ms;
    const addedAt = this.#clock.now() - ms;
    // The calendar may have been set meanwhile; the other clock may stand still while the computer sleeps.
    return this.#entries.filter((it) => it.entry.at >= time || it.addedAt >= addedAt)
      .map(({ entry }) => entry);
  }
}

function bytesOf({ text }: HistoryEntry): number {
  return encodeUtf8(text).length;
}
