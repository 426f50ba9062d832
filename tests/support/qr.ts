/** Reads QR codes from the rows of a terminal, with a library of somebody else. */

import decodeQr from "npm:qr@0.7.0/decode.js";

/**
 * Reads a code.
 *
 * @param options.isInverted Whether the terminal is dark and prints light.
 */
export function readQr(rows: readonly string[], options: { isInverted: boolean }): string {
  return decodeQr(photograph(rows, options));
}

/** Renders rows as an image: 4 bytes a pixel, `scale` by `scale` pixels a module. */
function photograph(rows: readonly string[], { isInverted }: { isInverted: boolean }) {
  const scale = 4;
  const width = rows[0]!.length * scale;
  const height = rows.length * 2 * scale;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const half = Math.floor(y / scale);
      const character = rows[half >> 1]![Math.floor(x / scale)]!;
      const isInk = character === "█" || character === (half % 2 === 0 ? "▀" : "▄");
      data.fill(isInk === isInverted ? 255 : 0, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }
  return { width, height, data };
}
