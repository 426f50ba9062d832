/**
 * QR codes on a terminal, two rows of modules per row of text. Loads the encoder when one is drawn.
 *
 * @module
 */

import type { ColorDepth } from "./colors.ts";

/** The quiet zone, in modules; many cameras need it. */
const BORDER = 2;
/** Black on white, whatever the terminal's own colours are. */
const COLORS = "\x1b[30;107m";
const RESET = "\x1b[0m";

/** Options of {@linkcode drawQr}. */
interface QrOptions {
  /** Width of the terminal. */
  readonly columns: number;
  /** Without colours, a dark background is assumed. */
  readonly color: ColorDepth;
}

/**
 * Draws a text as a QR code.
 *
 * @returns Its rows; empty when it is wider than the terminal.
 */
export async function drawQr(text: string, { columns, color }: QrOptions): Promise<string[]> {
  const isColored = color !== "none";
  const rows = await makeQr(text, { isDark: isColored });
  if (rows[0]!.length > columns) return [];
  return isColored ? rows.map((row) => COLORS + row + RESET) : rows;
}

/**
 * Makes the rows of a QR code, all of one length, without colours.
 *
 * @param options.isDark Whether the foreground will be darker than the background.
 */
export async function makeQr(text: string, { isDark }: { isDark: boolean }): Promise<string[]> {
  const { encode } = await import("uqr");
  const { data, size } = encode(text, { ecc: "L", border: BORDER });
  return Array.from(
    { length: Math.ceil(size / 2) },
    (_, y) =>
      Array.from({ length: size }, (_, x) => {
        const upper = data[2 * y]![x]! === isDark;
        const lower = (data[2 * y + 1]?.[x] ?? false) === isDark;
        return upper ? lower ? "█" : "▀" : lower ? "▄" : " ";
      }).join(""),
  );
}

/** Makes the modules of a QR code: rows of `1`, which is dark, and `0`; with the quiet zone. */
export async function qrRows(text: string): Promise<string[]> {
  const { encode } = await import("uqr");
  const { data } = encode(text, { ecc: "L", border: BORDER });
  return data.map((row) => row.map((isDark) => isDark ? "1" : "0").join(""));
}
