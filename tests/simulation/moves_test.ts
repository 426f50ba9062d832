import assert from "node:assert/strict";
import { runMoves } from "./moves.ts";
import { makeMoveMutant, MOVE_FAULTS, type MoveFault } from "./moves_faults.ts";
import { testPlantedFaults } from "./planted.ts";

/** The seeds of every run of the tests; `deno task simulate --moves` runs more. */
const SEEDS = 40;
/** Where the search for a planted fault begins, if not at 1. */
const FIRST_SEEDS: Partial<Record<MoveFault, number>> = {
  "dormant-admits": 4,
  "first-here": 357,
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

testPlantedFaults({
  name: "runMoves()",
  faults: MOVE_FAULTS,
  firstSeeds: FIRST_SEEDS,
  make: makeMoveMutant,
});
