/**
 * Runs the seeds that it is told, one after the other, up to the first that fails.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { Order } from "./pool.ts";
import { type Outcome, runSeed } from "./runner.ts";

const scope = self as DedicatedWorkerGlobalScope;

scope.onmessage = async ({ data: { seeds, fault } }: MessageEvent<Order>) => {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const outcome = await runSeed(seed, { fault });
    outcomes.push(outcome);
    if (outcome.failure !== undefined) break;
  }
  scope.postMessage(outcomes);
};
