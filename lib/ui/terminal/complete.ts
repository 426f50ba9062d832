/**
 * Completion by Tab: first what all candidates have in common, then one candidate after another. Pure.
 *
 * @module
 */

import { graphemes } from "../../base/text.ts";
import type { EditBuffer } from "./edit.ts";

/** Candidates that may replace a line from `start` to `end`, in UTF-16 units. */
export interface Completion {
  start: number;
  end: number;
  candidates: readonly string[];
}

/** Candidates to choose from, in place of what was typed. */
export class CompletionMenu {
  readonly candidates: readonly string[];
  readonly #buffer: EditBuffer;
  readonly #before: string;
  readonly #behind: string;
  readonly #typed: string;
  #chosen: number | undefined;

  private constructor(buffer: EditBuffer, { start, end, candidates }: Completion) {
    this.candidates = candidates;
    this.#buffer = buffer;
    this.#before = buffer.text.slice(0, start);
    this.#behind = buffer.text.slice(end);
    this.#typed = buffer.text.slice(start, end);
  }

  /**
   * Completes what all candidates have in common.
   *
   * @returns The candidates to choose from, where nothing could be added.
   */
  static open(buffer: EditBuffer, completion: Completion): CompletionMenu | undefined {
    const { candidates } = completion;
    const menu = new CompletionMenu(buffer, completion);
    const common = commonStart(candidates);
    // Text typed in another case is replaced too, but never by something shorter.
    const isLonger = common.length > menu.#typed.length || candidates.length === 1;
    if (isLonger && common !== menu.#typed) menu.#put(common);
    return !isLonger && candidates.length > 1 ? menu : undefined;
  }

  /** The index of the candidate in the line; undefined before the first {@linkcode step}. */
  get chosen(): number | undefined {
    return this.#chosen;
  }

  /** Puts the next candidate into the line, or the one before; behind the last comes the first. */
  step(by: number): void {
    const { length } = this.candidates;
    this.#chosen = this.#chosen === undefined
      ? by > 0 ? 0 : length - 1
      : (this.#chosen + by + length) % length;
    this.#put(this.candidates[this.#chosen]!);
  }

  /** Puts back what was typed. */
  cancel(): void {
    if (this.#chosen !== undefined) this.#put(this.#typed);
    this.#chosen = undefined;
  }

  #put(word: string): void {
    const start = this.#before + word;
    this.#buffer.set(start + this.#behind, start.length);
  }
}

/** In whole clusters. */
function commonStart([first = "", ...others]: readonly string[]): string {
  let common = "";
  for (const cluster of graphemes(first)) {
    const longer = common + cluster;
    if (!others.every((text) => text.startsWith(longer))) break;
    common = longer;
  }
  return common;
}
