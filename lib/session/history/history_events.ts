/**
 * What a history is shown as: the events that its messages and notes were (PROTOCOL.md §16).
 *
 * @module
 */

import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { unlessMalformed, UsageError } from "../../base/errors.ts";
import { ENTRY, type HistoryEntry, type PackedEntry } from "../../protocol/history_entry.ts";
import { encodeFingerprint } from "../../protocol/identity.ts";
import { isReactionNote, NOTE } from "../../protocol/messages.ts";
import { foldNick, showNick } from "../../protocol/names.ts";
import { messageReference } from "../../protocol/references.ts";
import { isoTime, marksOf } from "../entry_events.ts";
import type { ChatEvent, NoteEvent } from "../events.ts";
import { NOTE_KINDS } from "../notes.ts";

const latin1 = new TextDecoder("latin1");

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
/** What is looked for. */
export interface HistoryQuery {
  /** All of them are in the text, in any case. */
  readonly words: readonly string[];
  /** The nick as shown, in any case. */
  readonly from: string | undefined;
  /** In ms since 1970. */
  readonly since: number;
}

/**
 * Reads `WORDS from:NICK since:2d`.
 *
 * @param now In ms since 1970.
 * @throws {UsageError} A time is not understood.
 */
export function parseQuery(text: string, now: number): HistoryQuery {
  const words: string[] = [];
  let from: string | undefined;
  let since = 0;
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    const [, name, value = ""] = /^(from|since):(.+)$/.exec(word) ?? [];
    if (name === "from") from = value;
    else if (name === "since") since = now - parseSpan(value);
    else words.push(fold(word));
  }
  return { words, from, since };
}

/** Reads `30m`, `12h` or `2d`, in ms. @throws {UsageError} It is none of these. */
function parseSpan(text: string): number {
  const [, count, unit] = /^(\d{1,4})([mhd])$/.exec(text) ?? [];
  if (count === undefined) throw new UsageError("a time is 30m, 12h or 2d");
  return Number(count) * UNITS[unit!]!;
}

function fold(text: string): string {
  return text.normalize("NFC").toLowerCase();
}

/** The messages that a query finds, the oldest first; at most the newest `limit`. */
export function search(
  entries: readonly PackedEntry[],
  { words, from, since }: HistoryQuery,
  limit: number,
): PackedEntry[] {
  const nick = from === undefined ? undefined : foldNick(from);
  const found: PackedEntry[] = [];
  for (let i = entries.length - 1; i >= 0 && found.length < limit; i--) {
    const entry = entries[i]!;
    if (entry.at < since) break;
    if (entry.type !== ENTRY.MESSAGE || !hasWords(entry, words)) continue;
    if (nick !== undefined && foldNick(nickOf(entry)) !== nick) continue;
    found.push(entry);
  }
  return found.reverse();
}

function hasWords(entry: PackedEntry, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = foldAscii(entry.textBytes) ?? fold(decoded(entry)?.text ?? "");
  return words.every((word) => text.includes(word));
}

/** The same as `fold`, in a fraction of its time, where a text has nothing but ASCII; else undefined. */
function foldAscii(text: Uint8Array): string | undefined {
  for (let i = 0; i < text.length; i++) if (text[i]! >= 0x80) return undefined;
  return latin1.decode(text).toLowerCase();
}

function nickOf(entry: PackedEntry): string {
  const whole = decoded(entry);
  return whole ? showNick(whole.nick, encodeFingerprint(whole.fingerprint)) : "";
}

/** Decodes an entry; undefined if it is malformed. */
export function decoded(entry: PackedEntry): HistoryEntry | undefined {
  return unlessMalformed(() => entry.decode());
}

/**
 * The events of some messages, and behind them those of what still stands of the notes about them.
 *
 * @param messages The oldest first.
 * @param all Everything that the history has.
 * @param own The user's own fingerprint, 32 bytes.
 */
export function toEvents(
  messages: readonly PackedEntry[],
  all: readonly PackedEntry[],
  own: Bytes,
): (ChatEvent | NoteEvent)[] {
  const shown = new Map<string, HistoryEntry & { id: string }>();
  for (const packed of messages) {
    const entry = decoded(packed);
    if (entry?.id === undefined) continue;
    shown.set(messageReference(entry.fingerprint, entry.id), { ...entry, id: entry.id });
  }
  const holders = Map.groupBy(shown.values(), ({ id }) => id);
  const name = ({ id, fingerprint }: HistoryEntry & { id: string }) =>
    holders.get(id)!.length > 1 ? { id, of: encodeFingerprint(fingerprint) } : { id };
  const chats = [...shown.values()].map((entry): ChatEvent => {
    const { id, fingerprint, to, at, text, nick } = entry;
    const answered = entry.reply === undefined ? undefined : shown.get(entry.reply);
    const { id: reply, of } = answered ? name(answered) : {};
    const isOwn = equalBytes(fingerprint, own);
    const author = encodeFingerprint(fingerprint);
    return {
      event: "chat",
      id,
      nick: showNick(nick, author),
      fingerprint: author,
      ...marksOf(entry),
      ...(reply !== undefined && { reply }),
      ...(of !== undefined && { of }),
      text,
      history: true,
      at: isoTime(at),
      ...(isOwn && { own: true }),
      ...(isOwn && to && { to: [encodeFingerprint(to)] }),
    };
  });
  const notes = standingNotes(all, shown).map(({ note, message }): NoteEvent => {
    const author = encodeFingerprint(note.fingerprint);
    const { id: ref, of } = name(message);
    return {
      event: "note",
      ref,
      ...(of !== undefined && { of }),
      what: NOTE_KINDS[note.what!]!,
      nick: showNick(note.nick, author),
      fingerprint: author,
      private: message.to !== undefined,
      text: note.text,
      history: true,
    };
  });
  return [...chats, ...notes];
}

/** Of one person's notes to one message the last reaction, and the last change, stands. */
function standingNotes<T extends HistoryEntry>(
  all: readonly PackedEntry[],
  shown: ReadonlyMap<string, T>,
): { note: HistoryEntry; message: T }[] {
  const standing = new Map<string, { note: HistoryEntry; message: T }>();
  for (const packed of all) {
    if (packed.type !== ENTRY.NOTE) continue;
    const note = decoded(packed);
    const message = note?.reply === undefined ? undefined : shown.get(note.reply);
    if (!note || !message || NOTE_KINDS[note.what!] === undefined) continue;
    const isReaction = isReactionNote(note.what!);
    if (!isReaction && !equalBytes(note.fingerprint, message.fingerprint)) continue;
    const key = `${encodeFingerprint(note.fingerprint)} ${note.reply} ${isReaction}`;
    standing.delete(key);
    standing.set(key, { note, message });
  }
  return [...standing.values()].filter(({ note }) => note.what !== NOTE.UNREACT);
}
