/**
 * A text as a QR code on a terminal, two rows of it in one of the terminal's.
 *
 * The only module that names the package that makes it, which is loaded when one is drawn.
 *
 * @module
 */

import type { ColorDepth } from "./colors.ts";

/** Light modules around it; without them many cameras do not see it. */
const BORDER = 2;
/** Black on white, however the terminal's own colours are. */
const COLORS = "\x1b[30;107m";
const RESET = "\x1b[0m";

/** Where it is drawn. */
export interface QrOptions {
  /** Width of the terminal. */
  readonly columns: number;
  /** Without colours the terminal's background is taken for dark. */
  readonly color: ColorDepth;
}

/**
 * Draws a text as a QR code.
 *
 * @returns Its rows; none when it is too wide.
 */
export async function drawQr(
  text: string,
  { columns, color }: QrOptions,
): Promise<string[]> {
  const { encode } = await import("uqr");
  const { data, size } = encode(text, { ecc: "L", border: BORDER });
  if (size > columns) return [];
  const isColored = color !== "none";
  const rows: string[] = [];
  for (let y = 0; y < size; y += 2) {
    // The foreground is dark with colours, light without.
    const row = Array.from({ length: size }, (_, x) => {
      const upper = data[y]![x]! === isColored;
      const lower = (data[y + 1]?.[x] ?? false) === isColored;
      return upper ? lower ? "█" : "▀" : lower ? "▄" : " ";
    }).join("");
    rows.push(isColored ? COLORS + row + RESET : row);
  }
  return rows;
}
