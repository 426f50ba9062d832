/**
 * Runs the seeds that it is told, one after the other, up to the first that fails.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { importRuns } from "./mutants.ts";
import type { Order, SeedOutcome } from "./pool.ts";
import { runSeed } from "./runner.ts";

const scope = self as DedicatedWorkerGlobalScope;

scope.onmessage = async ({ data: { seeds, fault, module, relays } }: MessageEvent<Order>) => {
  const run = module === undefined ? undefined : await importRuns(module);
  const outcomes: SeedOutcome[] = [];
  for (const seed of seeds) {
    const outcome = run ? await run(seed) : await runSeed(seed, { fault, relays });
    const { failure, totals } = outcome;
    outcomes.push({ seed, failure, totals: { ...totals } });
    if (outcome.failure !== undefined) break;
  }
  scope.postMessage(outcomes);
};
