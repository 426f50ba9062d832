/**
 * The last messages and notes of a room, in memory: what can be told another terminal of one's own (PROTOCOL.md §17).
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import { ENTRY, type HistoryEntry } from "../protocol/history_entry.ts";

/** Messages and notes that are remembered. */
export const MAX_RECENT = 2048;
/** Bytes of their texts. */
export const MAX_RECENT_BYTES = 1024 * 1024;

/** What was shown last. */
export class Recent {
  readonly #entries: HistoryEntry[] = [];
  #bytes = 0;

  /** Remembers a message or a note; nothing else. */
  add(entry: HistoryEntry): void {
    if (entry.type !== ENTRY.MESSAGE && entry.type !== ENTRY.NOTE) return;
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry);
    while (this.#entries.length > MAX_RECENT || this.#bytes > MAX_RECENT_BYTES) {
      this.#bytes -= bytesOf(this.#entries.shift()!);
    }
  }

  /** What was shown since a time, in ms since 1970, in the order in which it was added. */
  since(time: number): HistoryEntry[] {
    return this.#entries.filter(({ at }) => at >= time);
  }
}

function bytesOf({ text }: HistoryEntry): number {
  return encodeUtf8(text).length;
}
