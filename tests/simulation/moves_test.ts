import assert from "node:assert/strict";
import { runMoves } from "./moves.ts";
import { makeMoveMutant, MOVE_FAULTS, type MoveFault } from "./moves_faults.ts";
import { importRuns } from "./mutants.ts";

/** The seeds of every run of the tests; `deno task simulate --moves` runs more. */
const SEEDS = 40;
/** Each planted fault is found within so many seeds from where the search begins. */
const FAULT_SEEDS = 60;
/** Where that is, if not at 1: close to where the fault was found last, which saves time and nothing else. */
const FIRST_SEEDS: Partial<Record<MoveFault, number>> = {
  "dormant-admits": 4,
  "first-here": 4,
  "key-unchecked": 122,
  "liar-believed": 67,
  "lost-waited-for": 6,
  "quit-like-a-cut": 7,
  "relay-unproven": 6,
  "serial-unchecked": 14,
  "silent-waited-for": 5,
  "view-of-first": 4,
  "way-given": 27,
};

Deno.test(`runMoves() finds nothing wrong with seeds 1 to ${SEEDS}`, async () => {
  let moves = 0;
  let excused = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await runMoves(seed);
    assert.equal(outcome.failure, undefined, [`seed ${seed}`, ...outcome.trace].join("\n"));
    moves += outcome.totals.moves;
    excused += outcome.totals.hostless + outcome.totals.split;
  }
  assert.ok(moves > SEEDS && excused < SEEDS / 5, `${moves} ${excused}`);
});

Deno.test("runMoves() does the same each time", async () => {
  assert.deepEqual(await runMoves(5), await runMoves(5));
});

for (const fault of Object.keys(MOVE_FAULTS) as MoveFault[]) {
  Deno.test(`runMoves() finds the planted fault ${fault}`, async () => {
    const mutant = await makeMoveMutant(fault);
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
