/**
 * How the input block is laid out and drawn: the line being typed with its prompt, a status above it,
 * and hints or completions below. Pure: state and size in, rows or one string to write out.
 *
 * The block is the lowest thing on the screen; whatever is printed is written over it and the block
 * drawn anew below, in one write, so that nothing of it ever gets into the scroll-back. It begins on the
 * last row and stays there: of a window that gets smaller, terminals scroll away what is at the top.
 *
 * @module
 */

import { toAscii } from "./locale.ts";
import { cleanText, columns, graphemes } from "../../base/text.ts";
import { breakCell, type Cell, widestColumns, wrapCells } from "./wrap.ts";

/** The size of a terminal in character cells. */
export interface Size {
  columns: number;
  rows: number;
}

/** What the block shows; all texts are plain, without escape sequences. */
export interface BlockState {
  prompt: string;
  /** SGR parameters for the prompt; empty for none. */
  promptCode: string;
  line: string;
  /** Where the cursor is in `line`, in UTF-16 units. */
  cursor: number;
  /** Stands above the prompt; empty for none. */
  status: string;
  /** Stands below the line, each on rows of its own. */
  below: readonly string[];
  /** SGR parameters for status and rows below; empty for none. */
  hintCode: string;
  /** Whether the terminal takes more than ASCII. */
  utf8: boolean;
}

/** One row as it is written, and the same without escape sequences. */
interface Row {
  text: string;
  plain: string;
}

/** The block laid out for one width. */
export interface Block {
  rows: readonly Row[];
  /** The row of the cursor, counted from 0. */
  cursorRow: number;
  /** What stands before the cursor in that row. */
  beforeCursor: Row;
  /** The width it was laid out for. */
  columns: number;
}

const TAB = "    ";
const CLEAR_ROW = "\x1b[2K";
const WRAP_OFF = "\x1b[?7l";
const WRAP_ON = "\x1b[?7h";

/** Text as it appears on this terminal: clean, and in ASCII where nothing else can be shown. */
export function shownText(text: string, utf8: boolean): string {
  const clean = cleanText(text);
  return utf8 ? clean : toAscii(clean);
}

/** Lays out the block; of a line with more rows than fit, those around the cursor are shown. */
export function layoutBlock(state: BlockState, size: Size): Block {
  const input = layoutInput(state, size.columns);
  const status = state.status === "" ? [] : layoutHint(state.status, state, size.columns);
  const above = status.slice(0, Math.max(0, size.rows - 2));
  const room = Math.max(1, size.rows - 1 - above.length);
  // The line may take half of the screen; the rest belongs to what others say.
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

/** Wraps what stands above or below the line, at words. */
function layoutHint(text: string, state: BlockState, width: number): Row[] {
  const cells = graphemes(shownText(text, state.utf8))
    .map((cluster) => ({ text: cluster, code: "", width: columns(cluster) }));
  return wrapCells([], cells, { width, indent: 0 })
    .map((plain) => ({ plain, text: styled(plain, state.hintCode) }));
}

/** Wraps prompt and line at the last column. */
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

  // A prompt that fits is one piece: fewer escape sequences.
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
    // Behind a full row the cursor has its place on the next one.
    if (used >= width) endRow();
    [cursorRow, beforeCursor] = [rows.length, row];
  }
  rows.push(row);
  return { rows, cursorRow, beforeCursor };
}

const shownClusters = new Map<string, Cell>();
const MAX_SHOWN_CLUSTERS = 4096;

/** A grapheme cluster as it is shown. Remembers what it finds: a long line is laid out anew with every key. */
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

/** Arranges completions in columns of equal width, at most `maxRows` rows of them. */
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

function styled(text: string, code: string): string {
  return code === "" || text === "" ? text : `\x1b[${code}m${text}\x1b[0m`;
}

/**
 * What to write to draw `block` where `old` is now, below the rows of `log`.
 *
 * @param old What was drawn last; `undefined` when the cursor is on a free row.
 * @param log Rows to print for good, with their own escape sequences.
 * @param block Laid out for `size`; when that is not `old`'s, the terminal has wrapped its rows.
 * @returns The text to write, and what is drawn then: a block that got lower has blank rows above it,
 * which the next rows of the log take, so that the line keeps its place at the bottom.
 */
export function drawBlock(
  old: Block | undefined,
  log: readonly string[],
  block: Block,
  size: Size,
): { output: string; drawn: Block } {
  const free = Math.min(old === undefined ? 0 : heightOf(old, size.columns), size.rows);
  const drawn = padBlock(block, free - heightOfLog(log, size.columns));
  let output = eraseBlock(old, size.columns);
  output += writeLog(log, size);
  output += drawn.rows.map(({ text, plain }) => `\x1b[K${held(text, plain, size)}`).join("\r\n");
  const up = drawn.rows.length - 1 - drawn.cursorRow;
  if (up > 0) output += `\x1b[${up}A`;
  // The terminal finds the cursor's column by what is before it, whatever columns that has for it.
  output += `\r${held(drawn.beforeCursor.text, drawn.beforeCursor.plain, size)}`;
  return { output, drawn };
}

/** What to write to print rows for good, from the start of a free row on. */
export function writeLog(log: readonly string[], size: Size): string {
  return log.map((row) => `${held(row, withoutCodes(row), size)}\r\n`).join("");
}

/**
 * What to write for a row that ends at the last column even when the terminal gives its characters more columns
 * than it should: what ran over would begin a row of its own, which nobody counts, and which could pass for
 * something else.
 */
function held(text: string, plain: string, { columns: width }: Size): string {
  // A row that was laid out for a wider window has to run over.
  const isCertain = /^\p{ASCII}*$/u.test(plain);
  return isCertain || columns(plain) > width ? text : WRAP_OFF + text + WRAP_ON;
}

function withoutCodes(row: string): string {
  // deno-lint-ignore no-control-regex
  return row.replace(/\x1b\[[0-9;]*m/g, "");
}

function padBlock(block: Block, height: number): Block {
  const missing = Math.max(0, height - block.rows.length);
  const blank = new Array<Row>(missing).fill({ text: "", plain: "" });
  return { ...block, rows: [...blank, ...block.rows], cursorRow: block.cursorRow + missing };
}

function heightOf(block: Block, width: number): number {
  return block.rows.reduce((sum, row) => sum + rowsOf(row.plain, width), 0);
}

function heightOfLog(log: readonly string[], width: number): number {
  return log.reduce((sum, row) => sum + rowsOf(withoutCodes(row), width), 0);
}

/** What to write to go to the last row, where a block may be drawn. */
export function goToLastRow(size: Size): string {
  return `\x1b[${size.rows}B\r`;
}

/** What to write to remove the block and leave the cursor at the start of its first row. */
export function eraseBlock(old: Block | undefined, width: number): string {
  if (old === undefined) return "\r";
  let up = rowsOf(old.beforeCursor.plain, width) - 1;
  for (const row of old.rows.slice(0, old.cursorRow)) up += rowsOf(row.plain, width);
  // Moving down stops at the bottom, where rows may have gone when the window shrank: only the saved
  // position brings the cursor back for certain.
  const rows = new Array<string>(heightOf(old, width)).fill(CLEAR_ROW).join("\x1b[1B");
  return `\r${up > 0 ? `\x1b[${up}A` : ""}\x1b7${rows}\x1b8`;
}

/** How many rows a terminal of this width makes of a row when it wraps it. */
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
