/**
 * Text in columns.
 *
 * @module
 */

import { cleanLine, columns } from "../base/text.ts";

const GAP = "  ";

/**
 * Aligns cells in columns, each as wide as its widest cell.
 *
 * @param rows Uncleaned cells. Rows may have different lengths.
 * @returns A line for each row, without spaces at its end.
 */
export function alignCells(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(cleanLine));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [i, cell] of row.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, columns(cell));
    }
  }
  return cells.map((row) =>
    row.map((cell, i) => cell + " ".repeat(widths[i]! - columns(cell))).join(GAP).trimEnd()
  );
}
