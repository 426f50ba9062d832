/**
 * Suggests the word that a mistyped one probably stands for.
 *
 * @module
 */

/** The rest of a word is ignored, because the work grows with the square of its length. */
const MAX_WORD_LENGTH = 32;

/** A part of a candidate is close if it has this many letters. */
const MIN_PART_LENGTH = 4;
/** One letter in so many may be wrong; in shorter words one. */
const LETTERS_PER_CORRECTION = 3;

/**
 * Finds the candidate that was probably meant: one that starts with `typed` or contains it, or else the one that needs the
 * fewest corrections, and among those the one with the longest common prefix. Ignores case.
 *
 * @param candidates In lower case; among equals the first wins.
 * @returns Undefined if none is close: more than one letter in three would be wrong.
 */
export function closestWord<Word extends string>(
  typed: string,
  candidates: readonly Word[],
): Word | undefined {
  const word = typed.slice(0, MAX_WORD_LENGTH).toLowerCase();
  if (word === "") return undefined;
  const limit = Math.max(1, Math.floor(word.length / LETTERS_PER_CORRECTION));
  let best: { candidate: Word; score: number } | undefined;
  for (const candidate of candidates) {
    const corrections = candidate.startsWith(word)
      ? -1
      : word.length >= MIN_PART_LENGTH && candidate.includes(word)
      ? 0
      : countCorrections(word, candidate);
    const score = corrections - commonLength(word, candidate) / (MAX_WORD_LENGTH + 1);
    if (corrections <= limit && score < (best?.score ?? Infinity)) best = { candidate, score };
  }
  return best?.candidate;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Counts the letters to add, drop, change or swap with a neighbour to turn `a` into `b`. */
function countCorrections(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(change, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
      }
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}
