/**
 * What was sent before: Up and Down bring it back, Ctrl-R searches it. Pure.
 *
 * @module
 */

import { EditBuffer } from "./edit.ts";

/** How many lines can be recalled. */
export const MAX_SENT_LINES = 500;

interface SentLine {
  readonly text: string;
  /** Where alone it is recalled; undefined for everywhere. */
  readonly place: string | undefined;
}

/** Lines that were sent, the newest last; each once, as it was sent last. */
export class SentLines {
  readonly #lines: SentLine[] = [];

  get length(): number {
    return this.#lines.length;
  }

  /**
   * Keeps a line.
   *
   * @param place Where it is recalled, if not everywhere: what was written to one person must not come up elsewhere.
   */
  add(text: string, place?: string): void {
    const same = this.#lines.findIndex((line) => line.text === text && line.place === place);
    if (same >= 0) this.#lines.splice(same, 1);
    this.#lines.push({ text, place });
    if (this.#lines.length > MAX_SENT_LINES) this.#lines.shift();
  }

  /**
   * The nearest line older (-1) or newer (1) than an index that can be recalled here.
   *
   * @returns Its index; undefined if there is none.
   */
  find(from: number, step: -1 | 1, place?: string, query = ""): number | undefined {
    const wanted = query.toLowerCase();
    for (let i = from + step; i >= 0 && i < this.#lines.length; i += step) {
      const line = this.#lines[i]!;
      const isHere = line.place === undefined || line.place === place;
      if (isHere && line.text.toLowerCase().includes(wanted)) return i;
    }
    return undefined;
  }

  text(index: number): string {
    return this.#lines[index]!.text;
  }
}

/** Goes through the lines that were sent, and keeps what was being typed. */
export class Recall {
  readonly #lines: SentLines;
  readonly #buffer: EditBuffer;
  readonly #place: string | undefined;
  /** Which line is shown; undefined for the one being typed. */
  #index: number | undefined;
  #draft = { text: "", cursor: 0 };

  constructor(lines: SentLines, buffer: EditBuffer, place?: string) {
    this.#lines = lines;
    this.#buffer = buffer;
    this.#place = place;
  }

  older(): void {
    const { text, cursor } = this.#buffer;
    const found = this.#lines.find(this.#index ?? this.#lines.length, -1, this.#place);
    if (found === undefined) return;
    if (this.#index === undefined) this.#draft = { text, cursor };
    this.#index = found;
    this.#buffer.set(this.#lines.text(found));
  }

  newer(): void {
    if (this.#index === undefined) return;
    this.#index = this.#lines.find(this.#index, 1, this.#place);
    if (this.#index === undefined) this.#buffer.set(this.#draft.text, this.#draft.cursor);
    else this.#buffer.set(this.#lines.text(this.#index));
  }

  /** The next older() begins at the newest line: what is in the buffer has been sent or dropped. */
  restart(): void {
    this.#index = undefined;
  }
}

/** Finds lines that contain what is typed, in upper or lower case. */
export class RecallSearch {
  readonly query: EditBuffer = new EditBuffer();
  readonly #lines: SentLines;
  readonly #place: string | undefined;
  #index: number | undefined;

  constructor(lines: SentLines, place?: string) {
    this.#lines = lines;
    this.#place = place;
  }

  /** The line found; undefined if there is none, or nothing was looked for. */
  get found(): string | undefined {
    return this.#index === undefined ? undefined : this.#lines.text(this.#index);
  }

  /** Takes what was typed or pasted. */
  type(text: string): void {
    this.query.type(text.replaceAll("\n", " "));
    this.#restart();
  }

  /**
   * Does what a key means.
   *
   * @returns False if the search is over: Enter takes what was found, and so does any key that means nothing here.
   */
  press(name: string): boolean {
    switch (name) {
      case "C-r":
      case "up":
      case "C-p":
        this.#step(-1);
        return true;
      case "C-s":
      case "down":
      case "C-n":
        this.#step(1);
        return true;
      case "backspace":
      case "C-h":
      case "C-w":
      case "M-backspace":
      case "C-backspace":
      case "C-u":
        this.query.press(name);
        this.#restart();
        return true;
      default:
        return false;
    }
  }

  #restart(): void {
    const { text } = this.query;
    this.#index = text === ""
      ? undefined
      : this.#lines.find(this.#lines.length, -1, this.#place, text);
  }

  /** Goes on, where there is another one. */
  #step(step: -1 | 1): void {
    const from = this.#index ?? this.#lines.length;
    this.#index = this.#lines.find(from, step, this.#place, this.query.text) ?? this.#index;
  }
}
