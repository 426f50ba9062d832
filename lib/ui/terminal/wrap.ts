/**
 * Breaks text into rows of a terminal, at words where it can.
 *
 * @module
 */

import { columns } from "../../base/text.ts";

/** Text of one look. */
export interface Span {
  text: string;
  /** SGR parameters; empty for none. */
  code: string;
}

/** What takes one place: a grapheme cluster and its columns. */
export interface Cell extends Span {
  width: number;
}

const JOINER = "\u200d";

/**
 * The most columns that any terminal gives a grapheme cluster.
 *
 * Terminals differ about joined emoji. A row must not be wider than any of them thinks, or its end would
 * begin a row of its own, where it could pass for something else.
 */
export function widestColumns(cluster: string): number {
  let sum = 0;
  for (const character of cluster) sum += characterColumns(character);
  return Math.max(columns(cluster), sum);
}

function characterColumns(character: string): number {
  return character === JOINER ? 0 : columns(character);
}

/** What no row of `room` columns can hold in one piece falls apart into its characters. */
export function breakCell(cell: Cell, room: number): Cell[] {
  if (cell.width <= room) return [cell];
  return Array.from(
    cell.text,
    (character) => ({ ...cell, text: character, width: characterColumns(character) }),
  );
}

/** The columns of all cells together. */
export function totalWidth(cells: readonly Cell[]): number {
  return cells.reduce((sum, cell) => sum + cell.width, 0);
}

/**
 * Lays out `head` and behind it `body`, the rows after the first indented.
 *
 * @param options Columns of a row, and of the indentation; the latter must be smaller by 2 at least.
 */
export function wrapCells(
  head: readonly Cell[],
  body: readonly Cell[],
  options: { width: number; indent: number },
): string[] {
  return new Wrapper(options.width, options.indent).wrap(head, body);
}

class Wrapper {
  readonly #width: number;
  readonly #indent: number;
  readonly #rows: string[] = [];
  #row: Cell[] = [];
  #used = 0;

  constructor(width: number, indent: number) {
    this.#width = width;
    this.#indent = indent;
  }

  wrap(head: readonly Cell[], body: readonly Cell[]): string[] {
    const room = this.#width - this.#indent;
    for (const cell of head.flatMap((cell) => breakCell(cell, room))) this.#put(cell);
    let spaces: Cell[] = [];
    let word: Cell[] = [];
    const endWord = (): void => {
      if (word.length === 0) return;
      this.#putWord(spaces, word);
      spaces = [];
      word = [];
    };
    for (const cell of body.flatMap((cell) => breakCell(cell, room))) {
      if (cell.text === "\n") {
        endWord();
        spaces = [];
        this.#endRow();
      } else if (cell.text === " ") {
        endWord();
        spaces.push(cell);
      } else {
        // Scripts of wide characters have no spaces: a row may end at any of them.
        if (cell.width > 1) endWord();
        word.push(cell);
        if (cell.width > 1) endWord();
      }
    }
    endWord();
    this.#endRow();
    return this.#rows;
  }

  #putWord(spaces: readonly Cell[], word: readonly Cell[]): void {
    const needed = totalWidth(word);
    const start = this.#used + totalWidth(spaces);
    const fits = start + needed <= this.#width;
    // A word that is longer than any row begins behind the one before, if any of it has room there.
    const breaks = needed > this.#width - this.#indent && start < this.#width;
    if (fits || breaks) { for (const cell of spaces) this.#put(cell); }
    else this.#endRow();
    for (const cell of word) this.#put(cell);
  }

  #put(cell: Cell): void {
    if (this.#used + cell.width > this.#width) this.#endRow();
    this.#row.push(cell);
    this.#used += cell.width;
  }

  #endRow(): void {
    const row = this.#rows.length === 0 ? "" : " ".repeat(this.#indent);
    this.#rows.push((row + writeCells(this.#row)).trimEnd());
    this.#row = [];
    this.#used = this.#indent;
  }
}

/** Writes cells with as few escape sequences as possible. */
function writeCells(cells: readonly Cell[]): string {
  let row = "";
  let code = "";
  for (const cell of cells) {
    if (cell.code !== code) {
      if (code !== "") row += "\x1b[0m";
      if (cell.code !== "") row += `\x1b[${cell.code}m`;
      code = cell.code;
    }
    row += cell.text;
  }
  return code === "" ? row : `${row}\x1b[0m`;
}
