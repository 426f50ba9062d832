/**
 * The help about keys, and about commands.
 *
 * @module
 */

import { keyHelp } from "../key_help.ts";
import { blank, pad, type Row, widthOf } from "../terminal/mod.ts";
import type { Look } from "./frame.ts";

/** What is typed, and what it does; where nothing is typed, a heading. */
type HelpRow = readonly [typed: string, what: string];

const KEYS: readonly HelpRow[] = keyHelp("full").flatMap(
  ({ title, rows }) => [
    ["", title] as const,
    ...rows.map(({ keys, does }) => [keys.join(", "), does] as const),
  ],
);

const INDENT = 2;
/** Columns that the right column has at least: otherwise it stands below the left one. */
const MIN_WORDS = 20;

/** Lays out the help about keys for a width. */
export function layoutKeys(width: number, look: Look): Row[] {
  return layoutHelp(KEYS, width, look).slice(1);
}

/** Lays out rows of help for a width; above a heading is a blank row. */
export function layoutHelp(
  help: readonly HelpRow[],
  width: number,
  { text, theme }: Look,
): Row[] {
  const column = INDENT + 2 + help.reduce((most, [typed]) => Math.max(most, typed.length), 0);
  const isNarrow = width < column + MIN_WORDS;
  return help.flatMap(([typed, what]): Row[] => {
    const isHeading = typed === "";
    const start = isHeading ? 0 : isNarrow ? 2 * INDENT : column;
    const { rows } = text.wrap([{ text: what, style: isHeading ? theme.strong : theme.dim }], {
      room: Math.max(1, width - start),
    });
    if (isHeading) return [[], ...rows];
    const left: Row = [blank(INDENT), ...text.fit(typed, width - INDENT)];
    const words = rows.map((row): Row => [blank(start), ...row]);
    if (isNarrow || widthOf(left) >= column) return [left, ...words];
    return [[...pad(left, column), ...rows[0]!], ...words.slice(1)];
  });
}
