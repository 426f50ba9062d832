/**
 * What others have handed on, put together: each message with who says so (PROTOCOL.md §17, "What others hand on").
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../base/bytes.ts";
import { ENTRY, ENTRY_FLAGS, type HistoryEntry } from "../protocol/history_entry.ts";
import { NOTE } from "../protocol/messages.ts";
import { messageReference } from "../protocol/references.ts";
import { ABSENT_LIMIT } from "./heard.ts";

/** What one helper has handed on. */
export interface Handed {
  /** Their fingerprint, `SHA256:…`. */
  readonly by: string;
  /** As they came. */
  readonly entries: readonly HistoryEntry[];
}

/** A message that others tell of. */
export interface Hearsay {
  /** With the text that its author has given it last. */
  readonly entry: HistoryEntry & { readonly id: string };
  /** The fingerprints of those who say so, `SHA256:…`. */
  readonly by: readonly string[];
}

/**
 * Puts together what helpers have handed on, the oldest first. Two who say the same of a message vouch for it together;
 * what they say differently stands beside each other.
 *
 * @param own The user's own fingerprint, 32 bytes: nobody tells the user what they have written.
 */
export function mergeHearsay(handed: readonly Handed[], own: Bytes): Hearsay[] {
  const told = new Map<string, Hearsay & { readonly by: string[] }>();
  for (const { by, entries } of handed) {
    for (const entry of messagesOf(entries, own)) {
      const key = nameOf(entry);
      const same = told.get(key);
      if (same) same.by.push(by);
      else told.set(key, { entry, by: [by] });
    }
  }
  return [...told.values()].sort((a, b) => a.entry.at - b.entry.at);
}

/** What tells hearsay apart: another text of a message is told as well. */
export function nameOf({ fingerprint, id, flags, text }: Hearsay["entry"]): string {
  return `${encodeHex(fingerprint)} ${id} ${flags} ${text}`;
}

/** The messages that one helper tells of, each once, changed as their authors' last notes say. */
function messagesOf(entries: readonly HistoryEntry[], own: Bytes): Hearsay["entry"][] {
  const messages = new Map<string, Hearsay["entry"]>();
  for (const entry of entries) {
    const { type, id, reply, to, fingerprint, flags, what, text } = entry;
    const isPrivate = to !== undefined || (flags & ENTRY_FLAGS.PRIVATE) !== 0;
    if (isPrivate || equalBytes(fingerprint, own)) continue;
    if (type === ENTRY.MESSAGE && id !== undefined) {
      const reference = messageReference(fingerprint, id);
      if (messages.has(reference) || messages.size >= ABSENT_LIMIT.messages) continue;
      messages.set(reference, {
        ...entry,
        id,
        flags: flags & ENTRY_FLAGS.ACTION | ENTRY_FLAGS.HEARSAY,
      });
    } else if (type === ENTRY.NOTE && what === NOTE.EDIT) {
      const message = messages.get(reply!);
      if (!message || !equalBytes(message.fingerprint, fingerprint)) continue;
      messages.set(reply!, { ...message, text });
    }
  }
  return [...messages.values()];
}
