/**
 * What takes keys before the line that is typed: something laid over the conversation, a search in it, the choice of a
 * message.
 *
 * @module
 */

import type { Conversation, Entry, MessageEntry } from "../conversation.ts";
import { EditBuffer, type Row } from "../terminal/mod.ts";

/** Rows that cover the conversation until a key closes them. */
export class Overlay {
  readonly title: string;
  /** Lays it out for a width. */
  readonly rows: (width: number) => readonly Row[];
  /** What `c` copies. */
  readonly copied: string | undefined;
  /** The first row that is shown. */
  #top = 0;
  /** Rows that were shown last, and that there were. */
  #height = 1;
  #total = 0;

  constructor(title: string, rows: (width: number) => readonly Row[], copied?: string) {
    this.title = title;
    this.rows = rows;
    this.copied = copied;
  }

  /** The rows to show. */
  visible(width: number, height: number): readonly Row[] {
    const rows = this.rows(width);
    this.#height = height;
    this.#total = rows.length;
    this.#scroll(0);
    return rows.slice(this.#top, this.#top + height);
  }

  /** Whether there are rows below those that are shown. */
  get hasMore(): boolean {
    return this.#top + this.#height < this.#total;
  }

  /** @returns Whether it stays open. */
  press(name: string): boolean {
    switch (name) {
      case "pageup":
        this.#scroll(-Math.max(1, this.#height - 1));
        return true;
      case "pagedown":
        this.#scroll(Math.max(1, this.#height - 1));
        return true;
      case "up":
      case "S-up":
      case "C-p":
        this.#scroll(-1);
        return true;
      case "down":
      case "S-down":
      case "C-n":
        this.#scroll(1);
        return true;
      case "home":
      case "M-home":
        this.#scroll(-Infinity);
        return true;
      case "end":
      case "M-end":
        this.#scroll(Infinity);
        return true;
      default:
        return false;
    }
  }

  #scroll(by: number): void {
    this.#top = Math.max(0, Math.min(this.#top + by, this.#total - this.#height));
  }
}

/** A search in a conversation. */
export class Find {
  readonly conversation: Conversation;
  readonly buffer: EditBuffer = new EditBuffer();
  /** The `seq` of each entry with the text. */
  matches: readonly number[] = [];
  /** Which of them is shown. */
  at = -1;
  #query = "";

  constructor(conversation: Conversation, query: string) {
    this.conversation = conversation;
    this.buffer.set(query);
    this.search();
  }

  get query(): string {
    return this.#query;
  }

  /** The `seq` of the entry that is shown; undefined if nothing is found. */
  get found(): number | undefined {
    return this.matches[this.at];
  }

  /** Takes a text that has changed; begins with the newest entry. */
  search(): void {
    const query = this.buffer.text;
    if (query === this.#query) return;
    this.#query = query;
    const wanted = query.toLowerCase();
    this.matches = query === ""
      ? []
      : this.conversation.entries.filter((entry) => contains(entry, wanted)).map(({ seq }) => seq);
    this.at = this.matches.length - 1;
  }

  /** Goes to an older entry (-1) or a newer one (1). */
  step(by: number): void {
    this.at = Math.max(0, Math.min(this.at + by, this.matches.length - 1));
  }
}

function contains(entry: Entry, wanted: string): boolean {
  const text = entry.type === "notice" ? entry.text : `${entry.nick}: ${entry.text}`;
  return text.toLowerCase().includes(wanted);
}

/** A message that is chosen, to do something with it. */
export class Choice {
  readonly conversation: Conversation;
  #seq: number;

  private constructor(conversation: Conversation, seq: number) {
    this.conversation = conversation;
    this.#seq = seq;
  }

  /** Chooses the newest message; undefined if there is none. */
  static open(conversation: Conversation): Choice | undefined {
    const newest = conversation.entries.findLast(canBeChosen);
    return newest && new Choice(conversation, newest.seq);
  }

  get seq(): number {
    return this.#seq;
  }

  /** Undefined if it has been dropped meanwhile. */
  get entry(): MessageEntry | undefined {
    return this.conversation.entries.filter(canBeChosen).find(({ seq }) => seq === this.#seq);
  }

  /** Goes to the message before (-1) or behind (1). */
  step(by: -1 | 1): void {
    const messages = this.conversation.entries.filter(canBeChosen);
    const next = by < 0
      ? messages.findLast(({ seq }) => seq < this.#seq)
      : messages.find(({ seq }) => seq > this.#seq);
    if (next !== undefined) this.#seq = next.seq;
  }
}

function canBeChosen(entry: Entry): entry is MessageEntry {
  return entry.type === "message" && !entry.retracted;
}
