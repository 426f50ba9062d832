/**
 * What takes keys before the line that is typed: something laid over the conversation, a search in it, the choice of a
 * message.
 *
 * @module
 */

import type { Conversation, Entry, MessageEntry } from "../conversation.ts";
import { isFirstHand } from "../conversations.ts";
import { EditBuffer, type Row, type TerminalInput } from "../terminal/mod.ts";

/** Keys that close what covers the conversation, and do nothing else. */
const CLOSING_KEYS: ReadonlySet<string> = new Set(["escape", "enter", "C-c", "C-g", "f1"]);

/** Rows that cover the conversation until a key closes them. */
export class Overlay {
  readonly title: string;
  /** Lays it out for a width. */
  readonly rows: (width: number) => readonly Row[];
  /** What `c` copies. */
  readonly copied: string | undefined;
  /** A key has closed it. */
  isClosed = false;
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

  /** @returns Whether the input is done with; otherwise it means what it does without this. */
  take(input: TerminalInput, copy: (text: string) => void): boolean {
    const isText = input.type === "text";
    if (input.type === "key" && this.press(input.name)) return true;
    if (input.type === "key" && input.name === "C-l") return false;
    if (isText && input.text === "c" && this.copied !== undefined) {
      copy(this.copied);
      return true;
    }
    this.isClosed = true;
    return input.type === "key" ? CLOSING_KEYS.has(input.name) : isText && input.text === "q";
  }

  /** @returns Whether the key scrolls. */
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

/** What a key does to a search: it may be over, where the screen is or back at the newest, or not its own. */
type FindStep = "goes on" | "stays" | "back" | "scrolls" | "other";

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

  /** Takes what is typed while it is open. */
  take(input: TerminalInput): FindStep {
    if (input.type === "text" || input.type === "paste") {
      this.buffer.type(input.text.replaceAll("\n", " "));
    } else if (input.type === "key") {
      const step = this.#press(input.name);
      if (step !== "goes on") return step;
    }
    this.search();
    return "goes on";
  }

  #press(name: string): FindStep {
    switch (name) {
      case "up":
      case "C-p":
      case "C-r":
      case "C-f":
        this.step(-1);
        return "goes on";
      case "down":
      case "C-n":
      case "C-s":
        this.step(1);
        return "goes on";
      case "enter":
        return "stays";
      case "escape":
      case "C-c":
      case "C-g":
        return "back";
      case "pageup":
      case "pagedown":
      case "S-up":
      case "S-down":
        return "scrolls";
      case "C-l":
      case "C-z":
        return "other";
      default:
        this.buffer.press(name);
        return "goes on";
    }
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

/** What a key does with the message that is chosen, or that it ends the choice and does no more, or is not its own. */
type ChoiceStep =
  | "goes on"
  | "answer"
  | "react"
  | "edit"
  | "takes back"
  | "copies"
  | "back"
  | "ends"
  | "ends for another"
  | "other";

/** A message that is chosen, to do something with it. */
export class Choice {
  readonly conversation: Conversation;
  /** What to say about the last key. */
  hint = "";
  #seq: number;
  /** The message that another `d` takes back. */
  #takesBack: MessageEntry | undefined;

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

  /** Takes what is typed while it is open, one character at a time. */
  take(input: TerminalInput): ChoiceStep {
    const { entry } = this;
    const takesBack = this.#takesBack === entry;
    this.#takesBack = undefined;
    this.hint = "";
    if (entry === undefined || input.type !== "key" && input.type !== "text") {
      return "ends for another";
    }
    const name = input.type === "text" ? input.text : input.name;
    switch (name) {
      case "up":
      case "k":
        this.step(-1);
        return "goes on";
      case "down":
      case "j":
        this.step(1);
        return "goes on";
      case "enter":
      case "r":
        return "answer";
      case "+":
        return "react";
      case "e":
        if (entry.own) return "edit";
        this.hint = "only your own messages can be changed";
        return "goes on";
      case "d":
        if (entry.own && takesBack) return "takes back";
        this.#takesBack = entry.own ? entry : undefined;
        this.hint = entry.own
          ? "d again takes it back"
          : "only your own messages can be taken back";
        return "goes on";
      case "c":
        this.hint = "copied";
        return "copies";
      case "C-l":
      case "C-z":
        return "other";
      case "escape":
      case "C-c":
      case "C-g":
      case "q":
        return "back";
      default:
        return input.type === "text" ? "ends" : "ends for another";
    }
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
  return isFirstHand(entry) && !entry.retracted;
}
