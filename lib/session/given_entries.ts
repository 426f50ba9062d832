/**
 * Which entries one terminal tells another of the same person, and in which order (PROTOCOL.md §17).
 *
 * @module
 */

import { ENTRY, ENTRY_FLAGS, type HistoryEntry } from "../protocol/history_entry.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { isReactionNote } from "../protocol/messages.ts";
import { messageReference } from "../protocol/references.ts";

/** Of a message that was not only told by others. */
export function firstHandReference({ type, id, flags, fingerprint }: HistoryEntry): string[] {
  if (type !== ENTRY.MESSAGE || (flags & ENTRY_FLAGS.HEARSAY) !== 0) return [];
  return [messageReference(fingerprint, id!)];
}

/** Messages and notes by time, each message once; of one person's notes of a kind to one message the last. */
export function inOrder(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const kept = new Map<string, HistoryEntry>();
  for (const entry of entries.toSorted((a, b) => a.at - b.at)) {
    const { type, id, reply, what = 0 } = entry;
    if (type !== ENTRY.MESSAGE && type !== ENTRY.NOTE) continue;
    const key = `${encodeFingerprint(entry.fingerprint)} ${
      id ?? `${reply} ${isReactionNote(what)}`
    }`;
    if (type === ENTRY.NOTE) kept.delete(key);
    if (!kept.has(key)) kept.set(key, entry);
  }
  return [...kept.values()];
}
