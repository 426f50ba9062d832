/**
 * Text as rows of a terminal: measured, cut, and wrapped at words where possible. The work is bounded by the rows that
 * are kept: what is beyond them is not looked at.
 *
 * @module
 */

import { encodeUtf8 } from "../../base/bytes.ts";
import {
  cleanText,
  clusterColumns,
  countHidden,
  eachGrapheme,
  hasAmbiguousWidth,
} from "../../base/text.ts";
import { toAscii } from "../../base/locale.ts";

/** A part of a row in one style. */
export interface Segment {
  readonly text: string;
  /** SGR parameters; empty for none. */
  readonly style: string;
  /** In columns: the most that any terminal gives it, unless this one has told. */
  readonly width: number;
  /** Whether every terminal gives it `width` columns; behind any other segment the column is set anew. */
  readonly certain: boolean;
  /** The address that a click on it opens. */
  readonly link?: string;
}

/** A row of the screen. */
export type Row = readonly Segment[];

/** Text to be wrapped, in one style. */
export interface Piece {
  readonly text: string;
  readonly style: string;
  readonly link?: string;
  /** Never broken, so that it is whole when it is copied: a link in ASCII without spaces. */
  readonly whole?: boolean;
}

/** How wide this terminal draws what terminals differ about; undefined while it has not told. */
export interface Widths {
  /** The columns of a character of ambiguous width, such as Greek and Cyrillic letters. */
  readonly ambiguous?: 1 | 2;
  /** Whether joined emoji are one picture of two columns. */
  readonly joined?: boolean;
}

interface WrapOptions {
  /** Columns of a row. */
  readonly room: number;
  /** Columns that the first row has more. */
  readonly hang?: number;
  /** What the first row begins with; it is not broken at words. */
  readonly head?: Row;
  readonly maxRows?: number;
}

/** Wrapped text. */
export interface Wrapped {
  /** A piece that is `whole` and longer than `room` is a row of its own, wider than the others may be. */
  readonly rows: Segment[][];
  /** What is not in the rows, in UTF-16 units. */
  readonly rest: number;
}

/** What a tab is shown as. */
const TAB = "    ";
const MAX_MEASURES = 4096;
/** Longer clusters are not kept, and laid out character by character: nothing that people write is one. */
const MAX_CLUSTER = 64;
/** tmux keeps so many bytes of a cell, and what is beyond gets into the next one. */
const MAX_CELL_BYTES = 21;

const ASCII = /^[\x20-\x7e]*$/;
const JOINER = "\u200d";
// Sets of Unicode characters take milliseconds to build: they are built when first needed.
let joinedPattern: RegExp | undefined;
let rightToLeft: RegExp | undefined;

/** Makes rows for one terminal. */
export class Typesetter {
  /** Whether the terminal shows more than ASCII. */
  readonly utf8: boolean;
  readonly #widths: Widths;
  readonly #measures = new Map<string, Segment>();

  constructor({ utf8, ...widths }: { utf8: boolean } & Widths) {
    this.utf8 = utf8;
    this.#widths = widths;
  }

  /** Makes remote text harmless, and short where it does not print. Line breaks remain. */
  clean(text: string): string {
    if (/^[\x20-\x7e\n]*$/.test(text)) return text;
    const cleaned = cleanText(countHidden(text)).replaceAll("\t", TAB);
    return this.utf8 ? splitJoined(cleaned) : toAscii(cleaned);
  }

  /** Like {@linkcode clean}, with spaces for line breaks. */
  cleanLine(text: string): string {
    return this.clean(text).replaceAll("\n", " ");
  }

  /** Chooses between a sign and its substitute in ASCII. */
  sign(utf8: string, ascii: string): string {
    return this.utf8 ? utf8 : ascii;
  }

  /** A text in one row, however long it is. */
  segments(text: string, style = "", link?: string): Segment[] {
    if (text === "") return [];
    const look = link === undefined ? { style } : { style, link };
    if (ASCII.test(text)) return [{ text, width: text.length, certain: true, ...look }];
    return merge(Array.from(eachGrapheme(text), (cluster) => this.#unit(cluster, look)));
  }

  /** A text cut to so many columns; `…` stands for what was cut. */
  fit(text: string, room: number, style = ""): Segment[] {
    return this.cut(this.segments(text, style), room);
  }

  /** A row cut to so many columns; `…` stands for what was cut. */
  cut(row: Row, room: number): Segment[] {
    if (widthOf(row) <= room) return [...row];
    const dots = this.sign("…", "...");
    const dotsWidth = this.utf8 ? this.measure(dots).width : dots.length;
    const out: Segment[] = [];
    let used = 0;
    let style = "";
    cutting: for (const segment of row) {
      style = segment.style;
      for (const cluster of eachGrapheme(segment.text)) {
        const unit = this.#unit(cluster, segment);
        if (used + unit.width > room - dotsWidth) break cutting;
        out.push(unit);
        used += unit.width;
      }
    }
    if (room >= dotsWidth) out.push(...this.segments(dots, style));
    return merge(out);
  }

  /** How many columns a grapheme cluster takes. */
  measure(cluster: string): { readonly width: number; readonly certain: boolean } {
    const known = this.#measures.get(cluster);
    if (known !== undefined) return known;
    const { width, certain } = this.#measure(cluster);
    const found = { text: cluster, style: "", width, certain };
    if (this.#measures.size >= MAX_MEASURES) this.#measures.clear();
    if (cluster.length <= MAX_CLUSTER) this.#measures.set(cluster, found);
    return found;
  }

  /** Breaks pieces into rows, at words where possible. */
  wrap(pieces: readonly Piece[], options: WrapOptions): Wrapped {
    const wrapper = new Wrapper(options);
    let total = 0;
    for (const { text, style } of options.head ?? []) {
      total += text.length;
      for (const cluster of eachGrapheme(text)) wrapper.put(this.#unit(cluster, { style }));
    }
    for (const piece of pieces) {
      total += piece.text.length;
      if (wrapper.isCut) continue;
      if (piece.whole) wrapper.addWhole({ ...piece, width: piece.text.length, certain: true });
      else this.#wrapPiece(piece, options.room, wrapper);
    }
    return wrapper.end(total);
  }

  #wrapPiece(piece: Piece, room: number, wrapper: Wrapper): void {
    const { text, style, link } = piece;
    const look = link === undefined ? { style } : { style, link };
    for (const [token] of text.matchAll(/\n| +|[^ \n]+/g)) {
      if (token === "\n") wrapper.breakLine();
      else if (token[0] === " ") wrapper.addSpaces(token, style);
      else if (ASCII.test(token)) {
        wrapper.add({ text: token, width: token.length, certain: true, ...look });
      } else this.#wrapToken(token, look, room, wrapper);
      if (wrapper.isCut) return;
    }
  }

  #wrapToken(token: string, look: Look, room: number, wrapper: Wrapper): void {
    for (const cluster of eachGrapheme(token)) {
      const unit = cluster.length > MAX_CLUSTER ? undefined : this.#unit(cluster, look);
      if (unit !== undefined && unit.width <= room) wrapper.add(unit);
      else for (const character of cluster) wrapper.add(this.#unit(character, look));
      if (wrapper.isCut) return;
    }
  }

  #unit(cluster: string, { style, link }: Look): Segment {
    const { width, certain } = this.measure(cluster);
    const unit = { text: cluster, style, width, certain };
    return link === undefined ? unit : { ...unit, link };
  }

  #measure(cluster: string): { width: number; certain: boolean } {
    const characters = [...cluster];
    if (characters.length === 1) return this.#measureCharacter(cluster);
    const { ambiguous = 1, joined } = this.#widths;
    if (joined && cluster.includes(JOINER)) return { width: 2, certain: false };
    let sum = 0;
    for (const character of characters) {
      if (character === JOINER) continue;
      const columns = clusterColumns(character);
      sum += columns === 1 && hasAmbiguousWidth(character) ? ambiguous : columns;
    }
    return { width: Math.max(1, sum, clusterColumns(cluster)), certain: false };
  }

  #measureCharacter(character: string): { width: number; certain: boolean } {
    if (character >= " " && character <= "~") return { width: 1, certain: true };
    if (character === LEFT_TO_RIGHT_MARK.text) return LEFT_TO_RIGHT_MARK;
    if (character === JOINER || character === "\n") return { width: 0, certain: false };
    const columns = clusterColumns(character);
    if (columns === 0) return { width: 1, certain: false }; // a mark without anything to be on
    if (hasAmbiguousWidth(character)) {
      const { ambiguous } = this.#widths;
      return { width: ambiguous ?? 1, certain: ambiguous !== undefined };
    }
    return { width: columns, certain: isSettled(character.codePointAt(0)!, columns) };
  }
}

type Look = Pick<Segment, "style" | "link">;

/** Whether terminals agree about the width of a character: CJK, kana, Hangul; Latin and signs that are in no emoji. */
function isSettled(code: number, columns: number): boolean {
  if (columns === 2) {
    return code >= 0x2e80 && code <= 0xd7a3 || code >= 0xf900 && code <= 0xfaff ||
      code >= 0xff00 && code <= 0xffe6;
  }
  return code >= 0xa0 && code < 0x530 || code >= 0x2010 && code < 0x2600;
}

function splitJoined(text: string): string {
  joinedPattern ??= new RegExp(
    String.raw`\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]*` +
      String.raw`(?:\u200D\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]*)+`,
    "gu",
  );
  return text.replace(
    joinedPattern,
    (joined) => encodeUtf8(joined).length > MAX_CELL_BYTES ? joined.replaceAll(JOINER, "") : joined,
  );
}

/** Whether a text has letters that are written from right to left. */
export function isRightToLeft(text: string): boolean {
  if (ASCII.test(text)) return false;
  rightToLeft ??= new RegExp(
    "[\\u0590-\\u08FF\\uFB1D-\\uFDFF\\uFE70-\\uFEFC\\u{10800}-\\u{10FFF}\\u{1E800}-\\u{1EFFF}]",
    "u",
  );
  return rightToLeft.test(text);
}

/**
 * Takes no column. Terminals that order right-to-left text by themselves would make one run of two fields that are side
 * by side, and swap them: this keeps them apart.
 */
export const LEFT_TO_RIGHT_MARK: Segment = { text: "\u200e", style: "", width: 0, certain: true };

/** Blanks. */
export function blank(width: number, style = ""): Segment {
  return { text: " ".repeat(width), style, width, certain: true };
}

/** The columns of a row together. */
export function widthOf(row: Row): number {
  let sum = 0;
  for (const { width } of row) sum += width;
  return sum;
}

/** Fills a row up with blanks to so many columns. */
export function pad(row: Row, width: number, style = ""): Segment[] {
  const missing = width - widthOf(row);
  return missing > 0 ? [...row, blank(missing, style)] : [...row];
}

/** Joins neighbours of one look. */
export function merge(row: Row): Segment[] {
  const out: Segment[] = [];
  for (const segment of row) {
    const last = out.at(-1);
    const isSame = last?.certain && segment.certain && last.style === segment.style &&
      last.link === segment.link;
    if (!isSame) out.push(segment);
    else {
      const text = last.text + segment.text;
      out[out.length - 1] = { ...last, text, width: last.width + segment.width };
    }
  }
  return out;
}

/** A word that is longer than a row begins on the present one if more columns than this are left. */
const MIN_LEFT_FOR_LONG = 8;

class Wrapper {
  /** Whether there was no place for something. */
  isCut = false;
  readonly #room: number;
  /** The columns of a row that is not indented. */
  readonly #width: number;
  readonly #maxRows: number;
  readonly #rows: Segment[][] = [];
  /** Rows on the screen: one that is wider than the others takes several. */
  #height = 0;
  #row: Segment[] = [];
  /** Columns that are taken in the row; negative in the first one while what it has more is free. */
  #used: number;
  #spaces: Segment | undefined;
  #word: Segment[] = [];
  #wordWidth = 0;
  /** Whether part of the word is in its rows already: it is longer than one. */
  #isLongWord = false;
  /** Whether the row has not been begun: the last one is a whole piece. */
  #isBehindWhole = false;
  #placed = 0;

  constructor({ room, hang = 0, maxRows = Infinity }: WrapOptions) {
    this.#room = room;
    this.#width = room + hang;
    this.#used = -hang;
    this.#maxRows = maxRows;
  }

  /** Adds a part of a word. */
  add(unit: Segment): void {
    if (this.#isLongWord) return this.put(unit);
    // Scripts with wide characters have no spaces: a row may break after any of them.
    const isWide = !unit.certain || unit.width > unit.text.length ? unit.width > 1 : false;
    if (isWide) this.#endWord();
    this.#word.push(unit);
    this.#wordWidth += unit.width;
    if (isWide) this.#endWord();
    else if (this.#wordWidth > this.#room) {
      this.#endWord();
      this.#isLongWord = true;
    }
  }

  addSpaces(text: string, style: string): void {
    this.#endWord();
    // Of more blanks than any row holds, those behind do not count.
    const width = Math.min(text.length, this.#room);
    this.#placed += text.length - width;
    this.#spaces = blank(width, style);
  }

  addWhole(unit: Segment): void {
    this.#endWord();
    const gap = this.#spaces?.width ?? 0;
    if (this.#used + gap + unit.width <= this.#room) {
      this.#putSpaces();
      return this.put(unit);
    }
    this.#dropSpaces();
    if (this.#row.length > 0) this.#endRow();
    if (unit.width <= this.#room) return this.put(unit);
    const height = Math.ceil(unit.width / this.#width);
    if (this.#height + height > this.#maxRows) {
      this.isCut = true;
      return;
    }
    this.#rows.push([unit]);
    this.#height += height;
    this.#isBehindWhole = true;
    this.#placed += unit.text.length;
  }

  breakLine(): void {
    this.#endWord();
    this.#dropSpaces();
    this.isCut ||= !this.#isBehindWhole && this.#height >= this.#maxRows;
    if (this.isCut) return;
    this.#placed++;
    if (this.#isBehindWhole) this.#isBehindWhole = false;
    else this.#endRow();
  }

  end(total: number): Wrapped {
    this.#endWord();
    const isBegun = !this.#isBehindWhole && (!this.isCut || this.#row.length > 0);
    if (this.#height < this.#maxRows && isBegun) this.#endRow();
    return { rows: this.#rows, rest: this.isCut ? total - this.#placed : 0 };
  }

  #endWord(): void {
    this.#isLongWord = false;
    if (this.#word.length === 0) return;
    const [word, width] = [this.#word, this.#wordWidth];
    this.#word = [];
    this.#wordWidth = 0;
    const start = this.#used + (this.#spaces?.width ?? 0);
    const fits = start + width <= this.#room;
    const breaks = width > this.#room && start < this.#room - MIN_LEFT_FOR_LONG;
    if (fits || breaks) this.#putSpaces();
    else {
      this.#dropSpaces();
      if (this.#row.length > 0) this.#endRow();
    }
    for (const unit of word) this.put(unit);
  }

  /** Adds what is broken only where a row ends. */
  put(unit: Segment): void {
    let rest = unit;
    while (this.#used + rest.width > this.#room) {
      const free = this.#room - this.#used;
      const isSplit = rest.certain && rest.width === rest.text.length && free > 0;
      if (isSplit) this.#place(part(rest, 0, free));
      else if (this.#row.length === 0) return this.#place(rest); // no row is wide enough
      if (this.isCut) return;
      this.#endRow();
      if (isSplit) rest = part(rest, free);
    }
    this.#place(rest);
  }

  #place(unit: Segment): void {
    this.isCut ||= this.#height >= this.#maxRows;
    if (this.isCut) return;
    this.#isBehindWhole = false;
    this.#row.push(unit);
    this.#used += unit.width;
    this.#placed += unit.text.length;
  }

  #putSpaces(): void {
    const spaces = this.#spaces;
    this.#spaces = undefined;
    if (spaces === undefined) return;
    if (this.#isBehindWhole) this.#placed += spaces.width;
    else this.#place(spaces);
  }

  /** Leaves out blanks at the end of a row. */
  #dropSpaces(): void {
    this.#placed += this.#spaces?.width ?? 0;
    this.#spaces = undefined;
  }

  #endRow(): void {
    if (this.#height < this.#maxRows) {
      this.#rows.push(merge(this.#row));
      this.#height++;
    }
    this.#row = [];
    this.#used = 0;
  }
}

/** A part of a segment in ASCII. */
function part(segment: Segment, start: number, end?: number): Segment {
  const text = segment.text.slice(start, end);
  return { ...segment, text, width: text.length };
}
