/**
 * Which of the transfers that wait may begin.
 *
 * @module
 */

import type { Transfer } from "./transfer.ts";

interface Waiting {
  readonly transfer: Transfer;
  /** It has a place among those that go on at once. */
  isRunning: boolean;
}

/**
 * Gives places to what waits, in order, one to each person.
 *
 * @param limit Of those that run at once.
 * @returns Those that have a place now, marked as running.
 */
export function takeTurns<T extends Waiting>(
  all: Iterable<T>,
  { limit, isWaiting }: { limit: number; isWaiting(transfer: T): boolean },
): T[] {
  const transfers = Array.from(all);
  const running = transfers.filter(({ isRunning }) => isRunning);
  const busy = new Set(running.map(personOf));
  const next: T[] = [];
  for (const waiting of transfers) {
    if (running.length + next.length >= limit) break;
    if (!isWaiting(waiting) || busy.has(personOf(waiting))) continue;
    busy.add(personOf(waiting));
    waiting.isRunning = true;
    next.push(waiting);
  }
  return next;
}

function personOf({ transfer }: Waiting): string {
  return transfer.options.person;
}
