/**
 * Lays out and draws the input block: prompt and line, a status above, hints or completions below. Pure.
 *
 * The block is at the bottom of the screen. Printed rows overwrite it and it is drawn again below them, all in one
 * write, so none of it ends up in the scrollback. It stays on the last row: when a window shrinks, terminals scroll
 * away rows at the top.
 *
 * @module
 */

import { styled } from "./colors.ts";
import { toAscii } from "../../base/locale.ts";
import { cleanText, columns, graphemes } from "../../base/text.ts";
import { breakCell, type Cell, TAB, widestColumns, wrapSpans } from "./wrap.ts";

/** The size of a terminal in cells. */
export interface Size {
  columns: number;
  rows: number;
}

/** The contents of the block, without escape sequences. */
export interface BlockState {
  prompt: string;
  /** SGR parameters for the prompt; empty for none. */
  promptCode: string;
  line: string;
  /** Position in `line`, in UTF-16 units. */
  cursor: number;
  /** Shown above the prompt; empty for none. */
  status: string;
  /** Shown below the line, each on its own rows. */
  below: readonly string[];
  /** SGR parameters for the status and the rows below; empty for none. */
  hintCode: string;
  /** Whether the terminal shows more than ASCII. */
  utf8: boolean;
}

/** A row as written, and without escape sequences. */
export interface Row {
  text: string;
  plain: string;
}

/** The block, laid out for one width. */
export interface Block {
  rows: readonly Row[];
  /** The row of the cursor, from 0. */
  cursorRow: number;
  /** The part of that row before the cursor. */
  beforeCursor: Row;
  /** The width it is laid out for. */
  columns: number;
}

const CLEAR_ROW = "\x1b[2K";
const WRAP_OFF = "\x1b[?7l";
const WRAP_ON = "\x1b[?7h";

/** Cleaned text, in ASCII where the terminal shows nothing else. */
export function shownText(text: string, utf8: boolean): string {
  const clean = cleanText(text);
  return utf8 ? clean : toAscii(clean);
}

/** Lays out the block; of a line that is too high, the rows around the cursor are shown. */
export function layoutBlock(state: BlockState, size: Size): Block {
  const input = layoutInput(state, size.columns);
  const status = state.status === "" ? [] : layoutHint(state.status, state, size.columns);
  const above = status.slice(0, Math.max(0, size.rows - 2));
  const room = Math.max(1, size.rows - 1 - above.length);
  // The line gets at most half of the screen; the log keeps the rest.
  const inputRows = Math.min(input.rows.length, Math.max(1, Math.floor(room / 2)));
  const first = Math.max(
    0,
    Math.min(input.cursorRow - Math.floor(inputRows / 2), input.rows.length - inputRows),
  );
  const below = state.below.flatMap((text) => layoutHint(text, state, size.columns));
  return {
    rows: [
      ...above,
      ...input.rows.slice(first, first + inputRows),
      ...below.slice(0, Math.max(0, room - inputRows)),
    ],
    cursorRow: above.length + input.cursorRow - first,
    beforeCursor: input.beforeCursor,
    columns: size.columns,
  };
}

/** Wraps a status or hint at words. */
function layoutHint(text: string, state: BlockState, width: number): Row[] {
  const body = [{ text: shownText(text, state.utf8), code: "" }];
  return wrapSpans([], body, { width, indent: 0 }).rows
    .map((plain) => ({ plain, text: styled(plain, state.hintCode) }));
}

/** Wraps the prompt and the line at the last column. */
function layoutInput(
  state: BlockState,
  width: number,
): { rows: Row[]; cursorRow: number; beforeCursor: Row } {
  const rows: Row[] = [];
  let row: Row = { text: "", plain: "" };
  let used = 0;
  const endRow = (): void => {
    rows.push(row);
    row = { text: "", plain: "" };
    used = 0;
  };
  const put = ({ text, code, width: needed }: Cell): void => {
    used += needed;
    row = { text: row.text + styled(text, code), plain: row.plain + text };
  };

  // A prompt that fits is styled in one piece.
  const prompt = shownText(state.prompt, state.utf8);
  for (const piece of columns(prompt) < width ? [prompt] : graphemes(prompt)) {
    const cell = { text: piece, code: state.promptCode, width: columns(piece) };
    if (used + cell.width > width) endRow();
    put(cell);
  }

  let cursorRow = 0;
  let beforeCursor = row;
  let offset = 0;
  for (const cluster of graphemes(state.line)) {
    for (const [i, cell] of breakCell(showCluster(cluster, state.utf8), width).entries()) {
      if (used + cell.width > width) endRow();
      if (i === 0 && offset <= state.cursor) [cursorRow, beforeCursor] = [rows.length, row];
      if (cluster === "\n") endRow();
      else put(cell);
    }
    offset += cluster.length;
  }
  if (offset <= state.cursor) {
    // After a full row the cursor is on the next one.
    if (used >= width) endRow();
    [cursorRow, beforeCursor] = [rows.length, row];
  }
  rows.push(row);
  return { rows, cursorRow, beforeCursor };
}

const shownClusters = new Map<string, Cell>();
const MAX_SHOWN_CLUSTERS = 4096;

/** A grapheme cluster as shown; cached, because every key lays out the whole line again. */
function showCluster(cluster: string, utf8: boolean): Cell {
  const key = (utf8 ? "u" : "a") + cluster;
  let shown = shownClusters.get(key);
  if (shown === undefined) {
    const text = cluster === "\t" ? TAB : shownText(cluster, utf8);
    shown = { text, code: "", width: widestColumns(text) };
    if (shownClusters.size >= MAX_SHOWN_CLUSTERS) shownClusters.clear();
    shownClusters.set(key, shown);
  }
  return shown;
}

/** Arranges completions in columns of equal width, in at most `maxRows` rows. */
export function layoutCandidates(
  candidates: readonly string[],
  options: { columns: number; maxRows: number; utf8: boolean },
): string[] {
  const shown = candidates.map((candidate) => shownText(candidate, options.utf8));
  if (shown.length === 0) return [];
  const cell = Math.max(...shown.map(columns)) + 2;
  const perRow = Math.max(1, Math.floor((options.columns + 2) / cell));
  const rows: string[] = [];
  for (let i = 0; i < shown.length; i += perRow) {
    const cells = shown.slice(i, i + perRow);
    rows.push(cells.map((text) => text + " ".repeat(cell - columns(text))).join("").trimEnd());
  }
  if (rows.length <= options.maxRows) return rows;
  const kept = rows.slice(0, options.maxRows - 1);
  return [...kept, `(${shown.length - kept.length * perRow} more)`];
}

/** Rows of the log, as they were printed. */
export type Log = readonly string[];

/**
 * Replaces `old` on the screen by the rows of `log` with `block` below.
 *
 * @param old The block drawn last; undefined when the cursor is on a free row.
 * @param log Rows to print permanently, with their own escape sequences.
 * @param block Laid out for `size`; if the width differs from that of `old`, the terminal has rewrapped those rows.
 * @returns The text to write, and the block as drawn: a smaller block gets blank rows on top, which the next log rows
 * fill, so that the line stays at the bottom.
 */
export function drawBlock(
  old: Block | undefined,
  log: Log,
  block: Block,
  size: Size,
): { output: string; drawn: Block } {
  const free = Math.min(old === undefined ? 0 : heightOf(old, size.columns), size.rows);
  const drawn = padBlock(block, free - heightOfLog(log, size.columns, free));
  return { output: eraseBlock(old, size.columns) + writeRows(log, drawn, size), drawn };
}

/**
 * Replaces rows of the log too, which have been laid out again for another size.
 *
 * @param old The block drawn last.
 * @param above The rows that were printed directly above it, as they were.
 * @param log What to print in their place.
 */
export function redrawLog(
  old: Block,
  above: Log,
  log: Log,
  block: Block,
  size: Size,
): { output: string; drawn: Block } {
  return {
    output: eraseBlock(old, size.columns, above) + writeRows(log, block, size),
    drawn: block,
  };
}

function writeRows(log: Log, block: Block, size: Size): string {
  let output = writeLog(log, size);
  output += block.rows.map(({ text, plain }) => `\x1b[K${unwrapped(text, plain, size)}`).join(
    "\r\n",
  );
  const up = block.rows.length - 1 - block.cursorRow;
  if (up === 0 && isAtEnd(block)) return output;
  const { text, plain } = block.beforeCursor;
  output += up > 0 ? `\x1b[${up}A\r` : "\r";
  // Writing what is before the cursor puts it in the right column, however wide the terminal draws that.
  return PLAIN.test(plain) ? output + moveCursor("", plain) : output + unwrapped(text, plain, size);
}

/** The text that prints rows permanently, from the start of a free row. */
export function writeLog(log: Log, size: Size): string {
  return writeLogRows(log, size).map((row) => `${row}\r\n`).join("");
}

/** The rows of the log as they are written. */
export function writeLogRows(log: Log, size: Size): string[] {
  return log.map((row) => unwrapped(row, withoutCodes(row), size));
}

/**
 * Keeps a row from wrapping even if the terminal draws its characters wider than expected: the overflow would be an
 * uncounted row, and could be forged to look like something else.
 */
export function unwrapped(text: string, plain: string, { columns: width }: Size): string {
  // A row laid out for a wider window must wrap.
  const isCertain = /^\p{ASCII}*$/u.test(plain);
  return isCertain || columns(plain) > width ? text : WRAP_OFF + text + WRAP_ON;
}

function withoutCodes(row: string): string {
  // deno-lint-ignore no-control-regex
  return row.replace(/\x1b\[[0-9;]*m/g, "");
}

/** The block of at least this height, with blank rows on top. */
export function padBlock(block: Block, height: number): Block {
  const missing = Math.max(0, height - block.rows.length);
  const blank = new Array<Row>(missing).fill({ text: "", plain: "" });
  return { ...block, rows: [...blank, ...block.rows], cursorRow: block.cursorRow + missing };
}

/** How many rows of the screen a block takes when a terminal of this width has rewrapped it. */
export function heightOf(block: Block, width: number): number {
  return block.rows.reduce((sum, row) => sum + rowsOf(row.plain, width), 0);
}

/** How many rows of the screen rows of the log take; counted only as far as `most`. */
export function heightOfLog(log: Log, width: number, most = Infinity): number {
  let height = 0;
  for (const row of log) {
    if (height >= most) break;
    height += rowsOf(withoutCodes(row), width);
  }
  return height;
}

/** What is sure to take one column and to join with nothing. */
export const PLAIN = /^[ -~]*$/;

/** Whether the cursor is behind everything in its row. */
export function isAtEnd({ rows, cursorRow, beforeCursor }: Block): boolean {
  return rows[cursorRow]!.plain === beforeCursor.plain;
}

/**
 * The text that moves the cursor in its row.
 *
 * @param from What is before it, and `to`, what is to be; undefined if the columns between them are not certain.
 */
export function moveCursor(from: string, to: string): string | undefined {
  const [near, far] = from.length < to.length ? [from, to] : [to, from];
  const between = far.slice(near.length);
  if (!far.startsWith(near) || !PLAIN.test(between)) return undefined;
  return between === "" ? "" : `\x1b[${between.length}${far === to ? "C" : "D"}`;
}

/** The text that moves the cursor to the last row. */
export function goToLastRow(size: Size): string {
  return `\x1b[${size.rows}B\r`;
}

/** The text that erases the block, and rows above it, and leaves the cursor at the start of the first row. */
export function eraseBlock(old: Block | undefined, width: number, above: Log = []): string {
  if (old === undefined) return "\r";
  const height = heightOfLog(above, width);
  let up = height + rowsOf(old.beforeCursor.plain, width) - 1;
  for (const row of old.rows.slice(0, old.cursorRow)) up += rowsOf(row.plain, width);
  // Moving down stops at the bottom, and a shrunken window may have lost rows there: only a saved position brings the
  // cursor back reliably.
  const rows = new Array<string>(height + heightOf(old, width)).fill(CLEAR_ROW).join("\x1b[1B");
  return `\r${up > 0 ? `\x1b[${up}A` : ""}\x1b7${rows}\x1b8`;
}

/** How many rows a row takes when a terminal of this width wraps it. */
function rowsOf(text: string, width: number): number {
  if (columns(text) <= width) return 1;
  let rows = 1;
  let used = 0;
  for (const cluster of graphemes(text)) {
    const needed = columns(cluster);
    if (used + needed > width) {
      rows++;
      used = 0;
    }
    used += needed;
  }
  return rows;
}
