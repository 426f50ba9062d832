/**
 * Runs the seeds that it is told, one after the other, up to the first that fails.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { importRuns } from "./moves_faults.ts";
import type { Order, SeedOutcome } from "./pool.ts";
import { runSeed } from "./runner.ts";

const scope = self as DedicatedWorkerGlobalScope;

scope.onmessage = async ({ data: { seeds, fault, moves } }: MessageEvent<Order>) => {
  const run = moves === undefined ? undefined : await importRuns(moves);
  const outcomes: SeedOutcome[] = [];
  for (const seed of seeds) {
    const outcome = run ? await run(seed) : await runSeed(seed, { fault });
    const { failure, totals } = outcome;
    outcomes.push({ seed, failure, totals: { ...totals } });
    if (outcome.failure !== undefined) break;
  }
  scope.postMessage(outcomes);
};
