/**
 * The room's messages that may be handed on to people who come later, with who was there
 * (PROTOCOL.md §17, "What others hand on").
 *
 * @module
 */

import { encodeUtf8, equalBytes } from "../base/bytes.ts";
import { encodeEntry, ENTRY, type HistoryEntry } from "../protocol/history_entry.ts";
import { NOTE } from "../protocol/messages.ts";
import { messageReference } from "../protocol/references.ts";
import { MAX_GIVEN_BYTES } from "./giving.ts";

/** Handed on to somebody who was there when they came. */
export const ABSENT_LIMIT = { messages: 200, ms: 24 * 3_600_000, bytes: MAX_GIVEN_BYTES } as const;
/** Handed on to anybody else who knows the password. */
export const NEWCOMER_LIMIT = { messages: 20, ms: 3_600_000, bytes: 32 * 1024 } as const;

/** A message that may be handed on. */
interface Heard {
  readonly entry: HistoryEntry;
  readonly reference: string;
  /** Who was shown or lost when it came, `SHA256:…`. */
  readonly present: ReadonlySet<string>;
  /** What its author has put in its place. */
  edit?: HistoryEntry | undefined;
}

/** Who asks, and for what. */
interface Asker {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Their key is known: what came while they were there may be handed on to them. */
  readonly isKnown: boolean;
  /** They know the password of the room. */
  readonly hasPassword: boolean;
  /** In ms since 1970: nothing older. */
  readonly since: number;
  /** References of what they have. */
  readonly known: ReadonlySet<string>;
}

/** The last of what was heard. */
export class HeardMessages {
  #messages: Heard[] = [];
  #bytes = 0;

  /** Takes a message to the room whose author lets it be handed on. */
  add(entry: HistoryEntry, present: ReadonlySet<string>): void {
    const reference = messageReference(entry.fingerprint, entry.id!);
    this.#messages.push({ entry, reference, present });
    this.#bytes += bytesOf(entry);
    const { messages, bytes } = ABSENT_LIMIT;
    while (this.#messages.length > messages || this.#bytes > bytes) this.#drop(this.#messages[0]!);
  }

  /**
   * Takes a note to a message of the room. Only its author's count: what was taken back is forgotten, and so is what was
   * changed into something that may not be handed on.
   */
  note(entry: HistoryEntry, isOpen: boolean): void {
    const message = this.#messages.find(({ reference }) => reference === entry.reply);
    if (!message || !equalBytes(message.entry.fingerprint, entry.fingerprint)) return;
    if (entry.what === NOTE.EDIT && isOpen) {
      this.#bytes += bytesOf(entry) - (message.edit ? bytesOf(message.edit) : 0);
      message.edit = entry;
    } else if (entry.what === NOTE.EDIT || entry.what === NOTE.RETRACT) this.#drop(message);
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }

  /** What is handed on to somebody, the oldest first; behind a message what its author has put in its place. */
  for(asker: Asker, now: number): HistoryEntry[] {
    const missing = this.#messages.filter(({ entry, reference }) =>
      entry.at >= asker.since && !asker.known.has(reference)
    );
    const wasThere = ({ present }: Heard) => asker.isKnown && present.has(asker.fingerprint);
    const chosen = new Set([
      ...newestOf(missing.filter(wasThere), ABSENT_LIMIT, now),
      ...newestOf(asker.hasPassword ? missing : [], NEWCOMER_LIMIT, now),
    ]);
    return missing.filter((message) => chosen.has(message)).flatMap(entriesOf);
  }

  #drop(message: Heard): void {
    this.#messages = this.#messages.filter((other) => other !== message);
    for (const entry of entriesOf(message)) this.#bytes -= bytesOf(entry);
  }
}

function entriesOf({ entry, edit }: Heard): HistoryEntry[] {
  return edit ? [entry, edit] : [entry];
}

function bytesOf({ text }: HistoryEntry): number {
  return encodeUtf8(text).length;
}

/** The newest messages within a limit. */
function newestOf(
  messages: readonly Heard[],
  limit: typeof ABSENT_LIMIT | typeof NEWCOMER_LIMIT,
  now: number,
): Heard[] {
  let bytes = 0;
  const chosen = messages.filter(({ entry }) => entry.at >= now - limit.ms).slice(-limit.messages);
  const first = chosen.findLastIndex((message) => {
    for (const entry of entriesOf(message)) bytes += encodeEntry(entry).length;
    return bytes > limit.bytes;
  });
  return chosen.slice(first + 1);
}

/** Whether an entry can be heard: a message or note to the room. */
export function isToRoom({ type, to }: Pick<HistoryEntry, "type" | "to">): boolean {
  return to === undefined && (type === ENTRY.MESSAGE || type === ENTRY.NOTE);
}
