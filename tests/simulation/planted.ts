/**
 * Looking for planted faults, each a test of its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { importRuns, type Mutant } from "./mutants.ts";

/** Each planted fault is found within so many seeds from where the search begins. */
const FAULT_SEEDS = 60;

/** What is looked for, and where. */
interface Planted<Fault extends string> {
  /** What runs, as its tests are called. */
  readonly name: string;
  readonly faults: Readonly<Record<Fault, unknown>>;
  /** Where to begin, if not at 1: close to where the fault was found last, which saves time and nothing else. */
  readonly firstSeeds: Partial<Record<Fault, number>>;
  /** Plants one. */
  make(fault: Fault): Promise<Mutant>;
}

/** Declares a test for each planted fault. */
export function testPlantedFaults<Fault extends string>(planted: Planted<Fault>): void {
  for (const fault of Object.keys(planted.faults) as Fault[]) {
    Deno.test(`${planted.name} finds the planted fault ${fault}`, async () => {
      const mutant = await planted.make(fault);
      try {
        const run = await importRuns(mutant.module);
        const first = planted.firstSeeds[fault] ?? 1;
        for (let seed = first; seed < first + FAULT_SEEDS; seed++) {
          if ((await run(seed)).failure !== undefined) return;
        }
        assert.fail(`not found in ${FAULT_SEEDS} seeds`);
      } finally {
        await mutant.remove();
      }
    });
  }
}
