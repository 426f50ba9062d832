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
 * @param isStalled Whether one that runs counts for its person only.
 * @returns Those that have a place now, marked as running.
 */
export function takeTurns<T extends Waiting>(
  all: Iterable<T>,
  { limit, isWaiting, isStalled }: {
    limit: number;
    isWaiting(transfer: T): boolean;
    isStalled?(transfer: T): boolean;
  },
): T[] {
  const transfers = Array.from(all);
  const running = transfers.filter(({ isRunning }) => isRunning);
  const holding = running.filter((transfer) => !isStalled?.(transfer));
  const busy = new Set(running.map(personOf));
  const next: T[] = [];
  for (const waiting of transfers) {
    if (holding.length + next.length >= limit) break;
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
