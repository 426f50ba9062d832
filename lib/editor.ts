/**
 * The line being typed: node:readline does the editing, its own painting is thrown away.
 *
 * Knows nothing of the screen; the cursor never stands inside a character that a person sees as one.
 *
 * @module
 */

import { createInterface } from "node:readline";
import type { Interface, Key } from "node:readline";
import { PassThrough, Writable } from "node:stream";

const segmenter = new Intl.Segmenter();

/** A line that can be edited; `line` and `cursor` (in UTF-16 units) say what it is now. */
export class Editor {
  readonly #readline: Interface;

  /** @param historySize How many earlier lines can be recalled; 0 for secrets. */
  constructor(historySize: number) {
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    // Wide enough that readline never thinks about rows.
    Object.assign(sink, { columns: 1e6 });
    this.#readline = createInterface({
      input: new PassThrough(),
      output: sink,
      terminal: true,
      prompt: "",
      historySize,
      removeHistoryDuplicates: true,
    });
  }

  get line(): string {
    return this.#readline.line;
  }

  get cursor(): number {
    return this.#readline.cursor;
  }

  /** Does what a key does in readline, to whole characters. Keys that mean nothing to it do nothing. */
  press(text: string | undefined, key: Key): void {
    // A control character without a name would be put into the line.
    if (key.name === undefined && (text === undefined || /^\p{Cc}/u.test(text))) return;
    for (let i = this.#repeats(key); i > 0; i--) this.#readline.write(text, key);
    // Word by word, readline may stop between a letter and its accent.
    while (!isBoundary(this.line, this.cursor)) this.#readline.write(undefined, { name: "right" });
  }

  /** Puts text in at the cursor, line breaks and all. */
  insert(text: string): void {
    const { line, cursor } = this;
    this.replace(line.slice(0, cursor) + text + line.slice(cursor), cursor + text.length);
  }

  /** Sets the whole line. */
  replace(line: string, cursor: number): void {
    // readline's own way in takes a line break for Enter; both properties are plain ones.
    Object.assign(this.#readline, { line, cursor });
  }

  /** Empties the line and remembers it for recall. */
  accept(): string {
    const { line } = this;
    this.#readline.write(undefined, { name: "return" });
    return line;
  }

  /** Drops the line. */
  clear(): void {
    this.replace("", 0);
  }

  /** How often a key that readline applies to one code point must be pressed for one grapheme cluster. */
  #repeats(key: Key): number {
    const { line, cursor } = this;
    const name = (key.meta ? "M-" : "") + (key.ctrl ? "C-" : "") + key.name;
    if (BACKWARD_KEYS.has(name) && cursor > 0) {
      return codePoints(line.slice(clusterAt(line, cursor - 1).index, cursor));
    }
    if (FORWARD_KEYS.has(name) && cursor < line.length) {
      return codePoints(clusterAt(line, cursor).segment);
    }
    return 1;
  }
}

const BACKWARD_KEYS = new Set(["left", "backspace", "C-b", "C-h"]);
const FORWARD_KEYS = new Set(["right", "delete", "C-f", "C-d"]);

function clusterAt(line: string, index: number): Intl.SegmentData {
  return segmenter.segment(line).containing(index)!;
}

function isBoundary(line: string, cursor: number): boolean {
  return cursor >= line.length || clusterAt(line, cursor).index === cursor;
}

function codePoints(text: string): number {
  return [...text].length;
}

/** What may stand in place of `line` from `start` to `end`. */
export interface Completion {
  start: number;
  end: number;
  candidates: readonly string[];
}

/**
 * Completes as far as all candidates agree.
 *
 * @returns The new line and cursor, and the candidates to show when nothing could be added.
 */
export function applyCompletion(
  line: string,
  completion: Completion,
): { line: string; cursor: number; list: readonly string[] } {
  const { start, end, candidates } = completion;
  const common = commonStart(candidates);
  const typed = line.slice(start, end);
  // What was typed in other letter case is replaced too, but never by less.
  const complete = common.length > typed.length || candidates.length === 1 ? common : typed;
  return {
    line: line.slice(0, start) + complete + line.slice(end),
    cursor: start + complete.length,
    list: complete === typed && candidates.length > 1 ? candidates : [],
  };
}

function commonStart(texts: readonly string[]): string {
  let common = texts[0] ?? "";
  for (const text of texts) {
    let length = 0;
    while (length < common.length && common[length] === text[length]) length++;
    common = common.slice(0, length);
  }
  while (!isBoundary(texts[0] ?? "", common.length)) common = common.slice(0, -1);
  return common;
}
