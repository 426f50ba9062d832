import assert from "node:assert/strict";
import { testPlantedFaults } from "./planted.ts";
import { runTerminals } from "./terminals.ts";
import { makeTerminalMutant, TERMINAL_FAULTS, type TerminalFault } from "./terminals_faults.ts";

/** The seeds of every run of the tests; `deno task simulate --terminals` runs more. */
const SEEDS = 10;
/** Where the search for a planted fault begins, if not at 1. */
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

testPlantedFaults({
  name: "runTerminals()",
  faults: TERMINAL_FAULTS,
  firstSeeds: FIRST_SEEDS,
  make: makeTerminalMutant,
});
