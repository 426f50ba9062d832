/**
 * The log of a terminal: what was printed and is not drawn yet, and what may still be on the screen.
 *
 * @module
 */

import { leftOutText } from "../../base/output.ts";
import { type Block, heightOf, heightOfLog, redrawLog, type Size } from "./screen.ts";

/** With so many rows to be drawn, the terminal is busy. */
const BUSY_ROWS = 100;
/** How much of what is printed waits while the terminal takes nothing; the rest is left out. */
const MAX_WAITING = 1000;

/** Rows of the log, or what lays them out for a width. */
export type Printed = readonly string[] | ((columns: number) => readonly string[]);

/** Something printed, and its rows for a width. */
interface Shown {
  readonly printed: Printed;
  readonly columns: number;
  readonly rows: readonly string[];
}

/** The log above the input line. */
export class ScreenLog {
  readonly #utf8: boolean;
  /** What is printed but not drawn yet. */
  #waiting: Shown[] = [];
  /** How many rows that is. */
  #waitingRows = 0;
  /** How much was printed after that, and is left out. */
  #leftOut = 0;
  /** What is directly above the block, as far as it may be on the screen. */
  #shown: Shown[] = [];
  /** Blank rows below the block: after a resize the log may need fewer rows. */
  #below = 0;

  constructor({ utf8 }: { utf8: boolean }) {
    this.#utf8 = utf8;
  }

  /** Whether nothing waits to be drawn. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether nothing is below the block. */
  get isAtBottom(): boolean {
    return this.#below === 0;
  }

  /** Whether much waits to be drawn. */
  get isBusy(): boolean {
    return this.#waitingRows >= BUSY_ROWS;
  }

  /** Adds rows, which are laid out at once: whoever prints can see how long it takes. */
  add(printed: Printed, columns: number): void {
    const shown = layOut(printed, columns);
    this.#waiting.push(shown);
    this.#waitingRows += shown.rows.length;
  }

  /** Adds rows while the terminal takes nothing; beyond a bound it only counts them. */
  addBounded(printed: Printed, columns: number): void {
    if (this.#waiting.length >= MAX_WAITING) this.#leftOut++;
    else this.add(printed, columns);
  }

  /** Takes what is to be drawn; lays it out again if the width has changed. */
  take({ columns, rows }: Size): string[] {
    if (this.#leftOut > 0) {
      const text = leftOutText(this.#leftOut);
      this.add([this.#utf8 ? text : text.replace("…", "...")], columns);
      this.#leftOut = 0;
    }
    const news = this.#waiting.map((it) =>
      it.columns === columns ? it : layOut(it.printed, columns)
    );
    this.#waiting = [];
    this.#waitingRows = 0;
    this.#shown.push(...news);
    this.#forget(rows);
    return news.flatMap(({ rows }) => rows);
  }

  /** Keeps only what may be on a screen of this height. */
  #forget(height: number): void {
    let kept = 0;
    let first = this.#shown.length;
    while (first > 0 && kept < height) kept += this.#shown[--first]!.rows.length;
    this.#shown.splice(0, first);
  }

  /** Knows that nothing of it is on the screen. */
  forgetScreen(): void {
    this.#shown = [];
  }

  /**
   * Draws the log on the screen again for another width. The terminal has rewrapped its rows, and those that are now
   * above the screen cannot be changed.
   */
  redraw(old: Block, block: Block, size: Size): ReturnType<typeof redrawLog> {
    const heights = this.#shown.map(({ rows }) => heightOfLog(rows, size.columns));
    const blockHeight = heightOf(old, size.columns);
    let hidden = heights.reduce((sum, height) => sum + height, blockHeight + this.#below) -
      size.rows;
    // What has left the screen in part stays as the terminal has wrapped it: printed again it would be there twice.
    let first = 0;
    while (hidden > 0 && first < heights.length) hidden -= heights[first++]!;
    const above = this.#shown.slice(first).flatMap(({ rows }) => rows);
    this.#shown = this.#shown.slice(first).map(({ printed }) => layOut(printed, size.columns));
    const log = this.#shown.flatMap(({ rows }) => rows);
    const erased = heightOfLog(above, size.columns) + blockHeight;
    this.grow(heightOfLog(log, size.columns) + block.rows.length - erased);
    return redrawLog(old, above, log, block, size);
  }

  /** Knows what was drawn below what stood there before. */
  drawn(log: readonly string[], before: Block | undefined, after: Block, columns: number): void {
    const taken = before === undefined ? 0 : heightOf(before, columns);
    this.grow(heightOfLog(log, columns, taken + this.#below) + after.rows.length - taken);
  }

  /** So many rows more are taken than before: first the blank ones below. */
  grow(rows: number): void {
    this.#below = Math.max(0, this.#below - rows);
  }

  /** Knows that the block is on the last row. */
  moveToBottom(): void {
    this.#below = 0;
  }
}

function layOut(printed: Printed, columns: number): Shown {
  return { printed, columns, rows: typeof printed === "function" ? printed(columns) : printed };
}
