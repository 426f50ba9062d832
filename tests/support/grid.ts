/**
 * A small model of a terminal, for what a painter writes.
 *
 * @module
 */

import { graphemes } from "../../lib/base/text.ts";

/** A terminal that does what the painter asks for, with widths of its own and without automatic wrapping. */
export class Grid {
  readonly cells: string[][];
  cursor = { row: 0, column: 0, isShown: true };
  readonly #columns: number;
  readonly #width: (cluster: string) => number;

  constructor(columns: number, rows: number, width: (cluster: string) => number) {
    this.cells = Array.from({ length: rows }, () => new Array<string>(columns).fill(" "));
    this.#columns = columns;
    this.#width = width;
  }

  write(output: string): void {
    // deno-lint-ignore no-control-regex
    const token = /\x1b\[([?0-9;]*)([A-Za-z])|\x1b\]8;[^\x1b]*\x1b\\|[^\x1b]+/gy;
    for (const [all, parameters = "", final] of output.matchAll(token)) {
      if (final !== undefined) this.#sequence(parameters, final);
      else if (!all.startsWith("\x1b")) { for (const one of graphemes(all)) this.#put(one); }
    }
  }

  get rows(): string[] {
    return this.cells.map((row) => row.join("").trimEnd());
  }

  #sequence(parameters: string, final: string): void {
    const { cursor } = this;
    const [first = 1, second = 1] = parameters.split(";").filter(Boolean).map(Number);
    switch (final) {
      case "H":
        [cursor.row, cursor.column] = [first - 1, second - 1];
        return;
      case "G":
        cursor.column = first - 1;
        return;
      case "J":
        for (const row of this.cells) row.fill(" ");
        return;
      case "K":
        return void this.cells[cursor.row]!.fill(" ", parameters === "2" ? 0 : cursor.column);
      case "h":
      case "l":
        if (parameters === "?25") cursor.isShown = final === "h";
        return;
      case "m":
        return;
    }
    throw new Error(`CSI ${parameters}${final} is not to be written`);
  }

  #put(cluster: string): void {
    const { cursor } = this;
    const width = cluster === "\u200e" ? 0 : this.#width(cluster);
    const row = this.cells[cursor.row]!;
    for (let i = 0; i < width; i++) {
      const column = Math.min(cursor.column + i, this.#columns - 1);
      row[column] = i === 0 ? cluster : "";
    }
    cursor.column = Math.min(cursor.column + width, this.#columns - 1);
  }
}
