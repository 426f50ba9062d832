/**
 * What an entry, new or of a history, has in common with the event that tells of it (PROTOCOL.md §16).
 *
 * @module
 */

import { ENTRY_FLAGS, type HistoryEntry } from "../protocol/history_entry.ts";
import type { ChatEvent } from "./events.ts";

/** The last time that a `Date` can hold. */
const MAX_DATE_MS = 8.64e15;

/** A time in ms since 1970, as events have it: ISO 8601. */
export function isoTime(ms: number): string {
  return new Date(Math.min(ms, MAX_DATE_MS)).toISOString();
}

/** When a message was sent, and how. */
export function marksOf(
  { sent, to, flags }: Pick<HistoryEntry, "sent" | "to" | "flags">,
): Pick<ChatEvent, "sent" | "private" | "action" | "late" | "view"> {
  return {
    sent: isoTime(sent),
    private: to !== undefined,
    action: (flags & ENTRY_FLAGS.ACTION) !== 0,
    late: (flags & ENTRY_FLAGS.LATE) !== 0,
    view: (flags & ENTRY_FLAGS.VIEW_DIFFERS) !== 0 ? "differs" : "same",
  };
}
