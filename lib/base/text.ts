/**
 * Text for people: remote text made harmless, its width on a terminal, and its exact form in `--json`.
 *
 * Pure; knows nothing of nicknames, colours or layout. PROTOCOL.md §6 leaves the showing of control
 * characters to the receiver: this is where it happens.
 *
 * @module
 */

import { eastAsianWidth } from "get-east-asian-width";

/** At most this many combining marks of a row are shown. */
const MAX_MARKS_IN_ROW = 4;

/** Nearly every message: nothing to look at, nothing to count. */
const PLAIN_LINE = /^[\x20-\x7e]*$/;
const PLAIN_TEXT = /^[\x20-\x7e\n\t]*$/;

/** What is taken out of a text, and what is made visible. */
interface Patterns {
  readonly excessMarks: RegExp;
  readonly hidden: RegExp;
}

// Here and below: sets of Unicode characters take milliseconds to make, so that none is made before it is needed.
let patterns: Patterns | undefined;

function makePatterns(): Patterns {
  // A joiner counts as inside an emoji sequence only between two pictographs that are shown themselves: some
  // unassigned code points (of \p{C}: Cc, Cf, Cs, Co, Cn) are pictographs too.
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
 * Makes any text harmless to print: no control, formatting, invisible or unassigned character remains.
 *
 * What does not print appears by its number (`⟨202E⟩`), except newline, tab, U+FE0F and a U+200D inside an
 * emoji sequence; of more than four marks in a row the rest is left out. Cleaning twice changes nothing.
 */
export function cleanText(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  const { excessMarks, hidden } = patterns ??= makePatterns();
  return text.replace(excessMarks, "").replace(hidden, visible);
}

/** The same for a place that holds one line (a nick, a host name): newline and tab appear as `⟨000A⟩`, `⟨0009⟩`. */
export function cleanLine(text: string): string {
  if (PLAIN_LINE.test(text)) return text;
  return cleanText(text).replace(/[\n\t]/g, visible);
}

function visible(character: string): string {
  return `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

let segmenter: Intl.Segmenter | undefined;

/** Splits text into what a reader takes for single characters: its extended grapheme clusters. */
export function graphemes(text: string): string[] {
  if (PLAIN_LINE.test(text)) return text.split("");
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/**
 * Counts the terminal columns of cleaned text.
 *
 * Newline and tab count 0: who lays out text splits at the one and expands the other.
 */
export function columns(text: string): number {
  if (PLAIN_LINE.test(text)) return text.length;
  let total = 0;
  for (const cluster of graphemes(text)) total += clusterColumns(cluster);
  return total;
}

function clusterColumns(cluster: string): number {
  // A flag, something drawn as emoji only because of what follows it, and a joined sequence: one picture.
  if (/^(?:\p{RI}{2}|\p{Emoji}[\uFE0F\p{Emoji_Modifier}])|\u200D/v.test(cluster)) return 2;
  let total = 0;
  for (const character of cluster) {
    if (!hasNoColumn(character)) total += eastAsianWidth(character.codePointAt(0)!);
  }
  return total;
}

/**
 * Marks sit on the cell before them, and so do the vowels and final consonants of decomposed Hangul. Spacing marks
 * (Mc) have a column of their own, as in wcwidth(): of what terminals differ about, the wider is the safe one.
 */
function hasNoColumn(character: string): boolean {
  return /[\n\t\p{Mn}\p{Me}\u1160-\u11FF\uD7B0-\uD7FB]/v.test(character);
}

/**
 * Writes a value as one line of JSON whose text is exact and yet harmless to print: every Cc, Cf (but U+200D), Zl,
 * Zp and lone surrogate is a `\u` escape, two for a character above U+FFFF.
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
