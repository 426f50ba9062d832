/**
 * What somebody meant who typed a name that does not exist.
 *
 * @module
 */

/** No more than this of what was typed is compared. */
const MAX_COMPARED_LENGTH = 32;

/**
 * Finds the name that was probably meant: one that begins as typed if there is one, of these the nearest by letters
 * added, dropped, changed or swapped; of equally near ones the first.
 *
 * @param names At least one.
 */
export function nearest<Name extends string>(typed: string, names: readonly Name[]): Name {
  const compared = typed.slice(0, MAX_COMPARED_LENGTH);
  const score = (name: Name) =>
    editDistance(compared, name) - (name.startsWith(typed) ? MAX_COMPARED_LENGTH : 0);
  return names.reduce((best, name) => score(name) < score(best) ? name : best);
}

/** Counts the letters to add, drop, change or swap with their neighbour that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
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
