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

/** What readline keeps in plain properties, and its type does not name. */
interface Recall {
  /** The latest line first. */
  readonly history: readonly string[];
  /** Which of them is in the line; -1: what is being typed. */
  historyIndex: number;
}

/** A line that can be edited; `line` and `cursor` (in UTF-16 units) say what it is now. */
export class Editor {
  readonly #readline: Interface & Recall;
  /** What was being typed when an earlier line was recalled. */
  #draft = { line: "", cursor: 0 };
  /** The last key has put in what was killed, and Alt-Y may change it for what was killed before. */
  #yanked = false;

  /** @param historySize How many earlier lines can be recalled; 0 for secrets. */
  constructor(historySize: number) {
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    // Wide enough that readline never thinks about rows.
    Object.assign(sink, { columns: 1e6 });
    const readline = createInterface({
      input: new PassThrough(),
      output: sink,
      terminal: true,
      prompt: "",
      historySize,
      removeHistoryDuplicates: true,
    });
    this.#readline = readline as Interface & Recall;
  }

  get line(): string {
    return this.#readline.line;
  }

  get cursor(): number {
    return this.#readline.cursor;
  }

  /** Does what a key does in readline, to whole characters. Keys that mean nothing to it do nothing. */
  press(text: string | undefined, key: Key): void {
    const name = nameOf(key);
    // A control character without a name would be put into the line.
    if (name === "" && (text === undefined || /^\p{Cc}/u.test(text))) return;
    // readline would take away something else.
    if (name === "M-y" && !this.#yanked) return;
    this.#yanked = name === "C-y" || name === "M-y";
    if (RECALL_KEYS.has(name)) this.#recall(text, key);
    else for (let i = this.#repeats(name); i > 0; i--) this.#readline.write(text, key);
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
    this.#yanked = false;
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
    this.#readline.historyIndex = -1;
    // Any key but those that recall makes readline forget what the recalled lines had to begin with.
    this.#readline.write(undefined, { name: "escape" });
  }

  /** Recalls another line; readline itself would drop what is being typed, or some of it. */
  #recall(text: string | undefined, key: Key): void {
    const readline = this.#readline;
    const { line, cursor, historyIndex } = readline;
    if (historyIndex < 0) this.#draft = { line, cursor };
    readline.write(text, key);
    if (readline.historyIndex >= readline.history.length) {
      // Nothing is further back.
      Object.assign(readline, { line, cursor, historyIndex });
    } else if (readline.historyIndex < 0) Object.assign(readline, this.#draft);
  }

  /** How often a key that readline applies to one code point must be pressed for one grapheme cluster. */
  #repeats(name: string): number {
    const { line, cursor } = this;
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
const RECALL_KEYS = new Set(["up", "down", "C-p", "C-n"]);
const FORWARD_KEYS = new Set(["right", "delete", "C-f", "C-d"]);

/** What a key is called here; empty for keys without a name. */
function nameOf({ name, meta, ctrl }: Key): string {
  return name === undefined ? "" : (meta ? "M-" : "") + (ctrl ? "C-" : "") + name;
}

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
