/**
 * Rows of the log: as those of rows.ts, but with escape sequences, and nothing is known of the terminal's widths.
 *
 * @module
 */

import { type Row, Typesetter, widthOf } from "./rows.ts";

/** Text in one style. */
export interface Span {
  text: string;
  /** SGR parameters; empty for none. */
  code: string;
  /** Whether it is a link in ASCII without spaces: it is never broken, so that it is whole when it is copied. */
  isLink?: boolean;
}

/** A grapheme cluster and its width in columns. */
export interface Cell extends Span {
  width: number;
}

/** What a tab is shown as. */
export const TAB = "    ";

/** Knows nothing of the terminal: everything takes the most that any terminal gives it. */
const typesetter = new Typesetter({ utf8: true });

/**
 * The most columns that any terminal gives a grapheme cluster.
 *
 * Terminals differ about joined emoji. A row must fit in all of them: its overflow would start a row of its own, which
 * could be forged to look like something else.
 */
export function widestColumns(cluster: string): number {
  return typesetter.measure(cluster).width;
}

/** Splits a cell that is wider than `room` columns into its characters. */
export function breakCell(cell: Cell, room: number): Cell[] {
  if (cell.width <= room) return [cell];
  return Array.from(cell.text, (text) => ({ ...cell, text, width: widestColumns(text) }));
}

/** The columns of all spans together, as {@linkcode widestColumns} counts them. */
export function totalWidth(spans: readonly Span[]): number {
  return spans.reduce((sum, { text }) => sum + widthOf(typesetter.segments(text)), 0);
}

/** How to wrap. */
interface WrapOptions {
  /** Columns of a row. */
  readonly width: number;
  /** Columns before all rows but the first; at least 2 must be left. */
  readonly indent: number;
  /** The most rows; without limit by default. */
  readonly maxRows?: number;
}

/** Wrapped text. */
interface Wrapped {
  /** With escape sequences. A link that is longer than a row is one of its own, without indentation. */
  readonly rows: string[];
  /** What no row shows of the body, in UTF-16 units. */
  readonly rest: number;
}

/** Wraps `head` followed by `body`. */
export function wrapSpans(
  head: readonly Span[],
  body: readonly Span[],
  { width, indent, maxRows = Infinity }: WrapOptions,
): Wrapped {
  const room = width - indent;
  const start = head.flatMap(({ text, code }) => typesetter.segments(text, code));
  const pieces = body.map(({ text, code, isLink = false }) => (
    { text, style: code, whole: isLink }
  ));
  const wrapped = typesetter.wrap(pieces, { room, hang: indent, head: start, maxRows });
  const rows = wrapped.rows.map((row, index) => {
    const isIndented = index > 0 && widthOf(row) <= room;
    return ((isIndented ? " ".repeat(indent) : "") + writeRow(row)).trimEnd();
  });
  return { rows, rest: wrapped.rest };
}

/** Writes a row with as few escape sequences as possible. */
function writeRow(row: Row): string {
  let written = "";
  let last = "";
  for (const { text, style } of row) {
    if (style !== last) {
      written += (last === "" ? "" : "\x1b[0m") + (style === "" ? "" : `\x1b[${style}m`);
    }
    last = style;
    written += text;
  }
  return last === "" ? written : `${written}\x1b[0m`;
}
