import assert from "node:assert/strict";
import { importRuns } from "./mutants.ts";
import { runTerminals } from "./terminals.ts";
import { makeTerminalMutant, TERMINAL_FAULTS, type TerminalFault } from "./terminals_faults.ts";

/** The seeds of every run of the tests; `deno task simulate --terminals` runs more. */
const SEEDS = 10;
/** Each planted fault is found within so many seeds from where the search begins. */
const FAULT_SEEDS = 60;
/** Where that is, if not at 1: close to where the fault was found last, which saves time and nothing else. */
const FIRST_SEEDS: Partial<Record<TerminalFault, number>> = {
  "asked-too-often": 28,
  "ids-of-all": 23,
  "known-shown": 3,
  "read-back": 3,
  "read-untold": 3,
  "unasked-taken": 28,
};

Deno.test(`runTerminals() finds nothing wrong with seeds 1 to ${SEEDS}`, async () => {
  let missed = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await runTerminals(seed);
    assert.equal(outcome.failure, undefined, [`seed ${seed}`, ...outcome.trace].join("\n"));
    missed += outcome.totals.missed;
  }
  assert.ok(missed > SEEDS);
});

for (const fault of Object.keys(TERMINAL_FAULTS) as TerminalFault[]) {
  Deno.test(`runTerminals() finds the planted fault ${fault}`, async () => {
    const mutant = await makeTerminalMutant(fault);
    try {
      const run = await importRuns(mutant.module);
      const first = FIRST_SEEDS[fault] ?? 1;
      for (let seed = first; seed < first + FAULT_SEEDS; seed++) {
        if ((await run(seed)).failure !== undefined) return;
      }
      assert.fail(`not found in ${FAULT_SEEDS} seeds`);
    } finally {
      await mutant.remove();
    }
  });
}
