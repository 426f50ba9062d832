import assert from "node:assert/strict";
import { type Fault, FAULTS } from "./faults.ts";
import { runSeeds } from "./pool.ts";
import { runSeed } from "./runner.ts";

/** The seeds of every run of the tests. */
const SEEDS = 500;
/** Each planted fault is found within so many seeds. */
const FAULT_SEEDS = 1_000;

/** Seeds that found a bug, and what had to be mended. */
const NAMED_SEEDS = {
  "on a slow network a channel is not ended for what waits in one's own connection": 101367,
  "what waited for an earlier sid of somebody refused for good goes with them": 487,
  "what moved to a terminal that dies in turn goes to another one": 60244,
};

for (const [mended, seed] of Object.entries(NAMED_SEEDS)) {
  Deno.test(`runSeed() holds: ${mended}`, async () => {
    const { failure } = await runSeed(seed);
    assert.equal(failure, undefined, `deno task simulate --seed ${seed}`);
  });
}

Deno.test(`runSeed() finds nothing wrong with seeds 1 to ${SEEDS}`, async () => {
  const { failed, seeds, totals } = await runSeeds({ from: 1, count: SEEDS });
  assert.equal(failed, undefined, `deno task simulate --seed ${failed?.seed}`);
  assert.equal(seeds, SEEDS);
  assert.ok(totals.messages > 10 * SEEDS && totals.cuts > SEEDS && totals.restarts > SEEDS);
});

Deno.test("runSeed() does the same each time", async () => {
  const [first, second] = [await runSeed(4, { trace: true }), await runSeed(4, { trace: true })];
  assert.ok(first.trace.length > 100);
  assert.deepEqual(first, second);
});

for (const fault of Object.keys(FAULTS) as Fault[]) {
  Deno.test(`runSeeds() finds the planted fault ${fault}`, async () => {
    const { failed } = await runSeeds({ from: 1, count: FAULT_SEEDS, fault });
    assert.ok(failed, `not found in ${FAULT_SEEDS} seeds`);
  });
}
