/**
 * What to write so that the terminal shows a frame: the rows that have changed, each by itself.
 *
 * @module
 */

import type { Row, Segment } from "./rows.ts";

/** What is to be on the screen. */
export interface Frame {
  /** As many as the terminal has. */
  readonly rows: readonly Row[];
  /** Where the cursor is, from 0; undefined to hide it. */
  readonly cursor: { readonly row: number; readonly column: number } | undefined;
}

interface PainterOptions {
  /** Whether the terminal is told where a frame begins and ends, so that it shows it at once. */
  readonly sync: boolean;
  /** Whether links are written for the terminal to open. */
  readonly links: boolean;
}

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const BEGIN = "\x1b[?2026h";
const END = "\x1b[?2026l";
const CLEAR_SCREEN = "\x1b[m\x1b[2J";
const CLEAR_ROW = "\x1b[2K";
const CLEAR_REST = "\x1b[K";
const NO_LINK = "\x1b]8;;\x1b\\";

/** Knows what the terminal shows. Automatic wrapping must be off. */
export class Painter {
  readonly #options: PainterOptions;
  #shown: string[] = [];
  #columns = 0;
  #cursor = "";

  constructor(options: PainterOptions) {
    this.#options = options;
  }

  /** From now on nothing is known of what the terminal shows: the next frame is painted as a whole. */
  forget(): void {
    this.#shown = [];
    this.#cursor = "";
  }

  /** @returns What to write; empty if the terminal shows this already. */
  paint({ rows, cursor: place }: Frame, columns: number): string {
    const isFirst = this.#shown.length !== rows.length || this.#columns !== columns;
    if (isFirst) this.#shown = new Array<string>(rows.length).fill("");
    this.#columns = columns;
    let output = isFirst ? CLEAR_SCREEN : "";
    for (const [index, row] of rows.entries()) {
      const text = writeRow(row, columns, this.#options.links);
      // A row that was cleared with the screen, and stays empty.
      const isShown = text === this.#shown[index] || isFirst && text === CLEAR_REST;
      this.#shown[index] = text;
      if (!isShown) output += `${goTo(index, 0)}${text}`;
    }
    const cursor = place === undefined ? HIDE_CURSOR : goTo(place.row, place.column) + SHOW_CURSOR;
    if (output === "" && cursor === this.#cursor) return "";
    this.#cursor = cursor;
    if (output === "") return cursor;
    const body = HIDE_CURSOR + output + cursor;
    return this.#options.sync ? BEGIN + body + END : body;
  }
}

function goTo(row: number, column: number): string {
  return `\x1b[${row + 1};${column + 1}H`;
}

/** Writes a row from the first column on; cleared before where its segments may be narrower or wider than they should. */
function writeRow(row: Row, columns: number, links: boolean): string {
  const isCertain = row.every(({ certain }) => certain);
  let output = isCertain ? "" : CLEAR_ROW;
  let style = "";
  let link: string | undefined;
  let column = 0;
  for (const segment of row) {
    if (column + segment.width > columns) break;
    if (segment.style !== style) {
      if (style !== "") output += "\x1b[m";
      if (segment.style !== "") output += `\x1b[${segment.style}m`;
      style = segment.style;
    }
    if (links && segment.link !== link) {
      output += openLink(segment);
      link = segment.link;
    }
    output += segment.text;
    column += segment.width;
    // Behind the last column there is no other to go to.
    if (!segment.certain && column < columns) output += `\x1b[${column + 1}G`;
  }
  if (link !== undefined) output += NO_LINK;
  if (style !== "") output += "\x1b[m";
  // Behind a full row the cursor waits in the last column, and erasing would take the last character.
  return isCertain && column < columns ? output + CLEAR_REST : output;
}

/** The same id for all parts of a link that is broken over rows. */
function openLink({ link }: Segment): string {
  if (link === undefined) return NO_LINK;
  let hash = 0;
  for (let i = 0; i < link.length; i++) hash = (Math.imul(hash, 31) + link.charCodeAt(i)) >>> 0;
  return `\x1b]8;id=h${hash.toString(36)};${link}\x1b\\`;
}
