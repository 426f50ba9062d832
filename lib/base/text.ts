/**
 * Text for display: making remote text harmless (PROTOCOL.md §6 leaves that to the receiver), its width on a terminal,
 * and its exact form in `--json`.
 *
 * @module
 */

import { eastAsianWidth, eastAsianWidthType } from "get-east-asian-width";

/** Of consecutive combining marks, at most this many are shown. */
const MAX_MARKS_IN_ROW = 4;

// Nearly every message: it takes the fast path.
const PLAIN_LINE = /^[\x20-\x7e]*$/;
const PLAIN_TEXT = /^[\x20-\x7e\n\t]*$/;

interface Patterns {
  readonly excessMarks: RegExp;
  readonly hidden: RegExp;
}

// Here and below: sets of Unicode characters take milliseconds to build, so they are built when first needed.
let patterns: Patterns | undefined;

function makePatterns(): Patterns {
  // A joiner is inside an emoji sequence only between two pictographs that are shown themselves: some unassigned code
  // points (in \p{C}) are pictographs, too.
  const pictograph = String.raw`[\p{Extended_Pictographic}--\p{C}]`;
  const emojiJoiner = String
    .raw`(?<=${pictograph}[\uFE0F\p{Emoji_Modifier}]?)\u200D(?=${pictograph})`;
  return {
    excessMarks: new RegExp(`(?<=\\p{M}{${MAX_MARKS_IN_ROW}})\\p{M}+`, "gv"),
    hidden: new RegExp(
      String
        .raw`(?![\n\t\uFE0F]|${emojiJoiner})[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`,
      "gv",
    ),
  };
}

/**
 * Makes any text safe to print: no control, formatting, invisible or unassigned character remains.
 *
 * Such characters appear as their code point (`⟨202E⟩`), except newline, tab, U+FE0F and a U+200D inside an emoji
 * sequence. Consecutive combining marks beyond four are dropped. Cleaning twice changes nothing.
 */
export function cleanText(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  const { excessMarks, hidden } = patterns ??= makePatterns();
  return text.replace(excessMarks, "").replace(hidden, visible);
}

/** Like {@linkcode cleanText}, for a single line (a nick, a host name): newline and tab become `⟨000A⟩` and `⟨0009⟩`. */
export function cleanLine(text: string): string {
  if (PLAIN_LINE.test(text)) return text;
  return cleanText(text).replace(/[\n\t]/g, visible);
}

function visible(character: string): string {
  return `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** From so many characters in a row on that do not print, only their number is shown. */
const MIN_HIDDEN_RUN = 4;

let hiddenRun: RegExp | undefined;

/** Replaces long runs of characters that do not print by their number: each one cleaned would take six columns. */
export function countHidden(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  hiddenRun ??= new RegExp(
    String.raw`(?:(?![\n\t\uFE0F\u200D])[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}])` +
      `{${MIN_HIDDEN_RUN},}`,
    "gv",
  );
  return text.replace(
    hiddenRun,
    (run) => `⟨${Array.from(run).length} characters that do not print⟩`,
  );
}

let segmenter: Intl.Segmenter | undefined;

/** The extended grapheme clusters of a text, to be looked at one by one. */
export function segments(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" }); // takes 10 ms
  return segmenter.segment(text);
}

/** Splits text into extended grapheme clusters, which readers see as single characters. */
export function graphemes(text: string): string[] {
  if (PLAIN_LINE.test(text)) return text.split("");
  return Array.from(eachGrapheme(text));
}

/** Gives extended grapheme clusters one by one, so that a long text need not be looked at as a whole. */
export function* eachGrapheme(text: string): Iterable<string> {
  if (PLAIN_TEXT.test(text)) return yield* text;
  for (const { segment } of segments(text)) yield segment;
}

/**
 * Counts the terminal columns of cleaned text; newline and tab count 0, because layout splits and expands them.
 */
export function columns(text: string): number {
  if (PLAIN_LINE.test(text)) return text.length;
  let total = 0;
  for (const cluster of graphemes(text)) total += clusterColumns(cluster);
  return total;
}

const clusterWidths = new Map<string, number>();
const MAX_CLUSTER_WIDTHS = 4096;
/** Longer clusters are not kept. */
const MAX_KEPT_CLUSTER = 16;

/** Counts the terminal columns of one grapheme cluster, or of one character, of cleaned text. */
export function clusterColumns(cluster: string): number {
  let width = clusterWidths.get(cluster);
  if (width === undefined) {
    width = measureCluster(cluster);
    if (clusterWidths.size >= MAX_CLUSTER_WIDTHS) clusterWidths.clear();
    if (cluster.length <= MAX_KEPT_CLUSTER) clusterWidths.set(cluster, width);
  }
  return width;
}

/** Whether terminals differ about the width of a character: Greek and Cyrillic letters, and many signs. */
export function hasAmbiguousWidth(character: string): boolean {
  return eastAsianWidthType(character.codePointAt(0)!) === "ambiguous";
}

function measureCluster(cluster: string): number {
  // A flag, a character that a selector turns into an emoji, and a joined sequence are one picture each.
  if (/^(?:\p{RI}{2}|\p{Emoji}[\uFE0F\p{Emoji_Modifier}])|\u200D/v.test(cluster)) return 2;
  let total = 0;
  for (const character of cluster) {
    if (!hasNoColumn(character)) total += eastAsianWidth(character.codePointAt(0)!);
  }
  return total;
}

/**
 * Marks, and the vowels and final consonants of decomposed Hangul, share the cell before them. Spacing marks (Mc) get
 * a column, as in wcwidth(): where terminals disagree, the wider choice is safe.
 */
function hasNoColumn(character: string): boolean {
  return /[\n\t\p{Mn}\p{Me}\u1160-\u11FF\uD7B0-\uD7FB]/v.test(character);
}

/**
 * Breaks a line between words, so that a terminal need not break it inside one.
 *
 * @param text Cleaned.
 * @param width In columns; longer words get a row of their own.
 * @returns Rows; all but the first are indented by four spaces.
 */
export function wrapWords(text: string, width: number): string[] {
  const rows: string[] = [];
  const [first = "", ...words] = text.split(" ");
  let row = first;
  for (const word of words) {
    const longer = `${row} ${word}`;
    if (row.trim() === "" || columns(longer) <= width) row = longer;
    else {
      rows.push(row);
      row = WRAP_INDENT + word;
    }
  }
  return [...rows, row];
}

const WRAP_INDENT = "    ";

/**
 * Writes a value as one line of JSON that is exact and safe to print: every Cc, Cf (but U+200D), Zl, Zp and lone
 * surrogate becomes a `\u` escape, or two above U+FFFF.
 */
export function escapeJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (PLAIN_LINE.test(json)) return json;
  return json.replace(/[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--\u200D]/gv, (character) => {
    let escapes = "";
    for (let i = 0; i < character.length; i++) {
      escapes += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escapes;
  });
}
