/**
 * What was probably meant by a word that is not in the list.
 *
 * @module
 */

/** No more of a word is looked at: the work grows with its square. */
const MAX_WORD_LENGTH = 32;

/**
 * Finds the candidate that was probably meant: one that begins with `typed` if there is one, else
 * the one that needs the fewest corrections, and of several the one that begins alike the longest.
 *
 * @param candidates At least one; of equally good ones the first is taken.
 */
export function nearest<Word extends string>(typed: string, candidates: readonly Word[]): Word {
  const word = typed.slice(0, MAX_WORD_LENGTH);
  const score = (candidate: Word) =>
    countCorrections(word, candidate) - (candidate.startsWith(word) ? MAX_WORD_LENGTH : 0) -
    commonLength(word, candidate) / (MAX_WORD_LENGTH + 1);
  return candidates.reduce((best, other) => score(other) < score(best) ? other : best);
}

/** How many letters at their beginnings are the same. */
function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Counts the letters to add, drop, change or swap with their neighbour that turn `a` into `b`. */
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
