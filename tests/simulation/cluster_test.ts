import assert from "node:assert/strict";
import { runCluster } from "./cluster.ts";
import { CLUSTER_FAULTS, type ClusterFault, makeClusterMutant } from "./cluster_faults.ts";
import { testPlantedFaults } from "./planted.ts";

/** The seeds of every run of the tests; `deno task simulate --cluster` runs more. */
const SEEDS = 60;
/** Where the search for a planted fault begins, if not at 1. */
const FIRST_SEEDS: Partial<Record<ClusterFault, number>> = {
  "alone-never": 15,
  "alone-with-others": 15,
  "ghosts-kept": 40,
  "outage-kills": 20,
  "parted-forever": 150,
  "repeat-taken": 50,
  "return-unchanged": 100,
  "room-unchecked": 10,
  "stale-applied": 50,
  "welcome-overtaken": 10,
};

Deno.test(`runCluster() finds nothing wrong with seeds 1 to ${SEEDS}`, async () => {
  let words = 0;
  let gaps = 0;
  let conflicts = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure, totals } = await runCluster(seed);
    assert.equal(failure, undefined, `deno task simulate --cluster --seed ${seed}`);
    words += totals.words;
    gaps += totals.gaps;
    conflicts += totals.conflicts;
  }
  assert.ok(
    words > 10 * SEEDS && gaps > SEEDS && conflicts > SEEDS,
    `${words} ${gaps} ${conflicts}`,
  );
});

Deno.test("runCluster() does the same each time", async () => {
  const [first, second] = [
    await runCluster(5, { trace: true }),
    await runCluster(5, { trace: true }),
  ];
  assert.ok(first.trace.length > 50);
  assert.deepEqual(first, second);
});

testPlantedFaults({
  name: "runCluster()",
  faults: CLUSTER_FAULTS,
  firstSeeds: FIRST_SEEDS,
  make: makeClusterMutant,
});
