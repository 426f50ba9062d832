/**
 * Answers in aligned columns: who is here, and whatever else is a table. Pure.
 *
 * @module
 */

import type { Trust } from "../session/events.ts";
import { shownMoment, trustSign } from "./render.ts";
import { cleanLine, columns } from "../base/text.ts";

const GAP = "  ";

/**
 * Makes lines of rows whose cells stand under each other, each column as wide as it has to be.
 *
 * @param rows Cells as they came: they are cleaned here. A row may end early, and a last cell may be empty.
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

/** A row of {@linkcode namesTable}; what is missing is not known or not so. */
export interface NamedRow {
  /** As shown. */
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly trust?: Trust;
  readonly weak?: boolean;
  readonly ignored?: boolean;
  /** In the room since, ISO 8601. */
  readonly since?: string;
  /** Empty when present. */
  readonly away: string;
}

/** Characters of a fingerprint, behind `SHA256:`, that are enough to tell people apart. */
const SHORT_LENGTH = 8;

/**
 * Lists people: nick, trust, fingerprint, since when, and what else is to be known, as `/names` shows them.
 *
 * @param options.own One's own fingerprint.
 */
export function namesTable(
  people: readonly NamedRow[],
  { own, utf8, now }: { own: string; utf8: boolean; now: Date },
): string[] {
  return alignCells(
    people.map(({ nick, fingerprint, trust, weak, ignored, since, away }) => {
      const states = [
        ...(weak ? ["weak key"] : []),
        ...(ignored ? ["ignored"] : []),
        ...(away === "" ? [] : [`away: ${away}`]),
      ];
      return [
        nick,
        fingerprint === own || trust === undefined ? "  you" : `${trustSign(trust, utf8)} ${trust}`,
        fingerprint.slice("SHA256:".length).slice(0, SHORT_LENGTH),
        since === undefined ? "" : `since ${shownMoment(since, now)}`,
        states.join(", "),
      ];
    }),
  );
}
