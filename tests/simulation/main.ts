/**
 * `deno task simulate`: runs of the simulation from the command line.
 *
 * @module
 */

import { parseArgs } from "../../lib/base/std.ts";
import { type Fault, FAULTS, isFault } from "./faults.ts";
import { runSeeds } from "./pool.ts";
import { type Outcome, runSeed } from "./runner.ts";
import type { Totals } from "./world.ts";

const HELP =
  `A relay and its members in one process, with a virtual clock, seeded randomness and much trouble.

usage: deno task simulate [--seeds N] [--from M] [--jobs N] [--break NAME]
       deno task simulate --seed N [--break NAME]

  --seeds N     run so many seeds (500)
  --from M      begin with this one (1)
  --seed N      run this one, and print what happens in it
  --jobs N      use so many processors (all)
  --break NAME  plant a fault first; it should be found:
${
    Object.entries(FAULTS).map(([name, text]) => `                  ${name.padEnd(18)}${text}`)
      .join("\n")
  }
`;

class UsageFault extends Error {}

/** Reads a whole number of at least 1. */
function readNumber(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^[1-9]\d{0,8}$/.test(value)) {
    throw new UsageFault(`--${name} is a whole number from 1 to 999999999`);
  }
  return Number(value);
}

function readFault(value: unknown): Fault | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !isFault(value)) {
    throw new UsageFault(`--break is one of: ${Object.keys(FAULTS).join(", ")}`);
  }
  return value;
}

function parse(args: readonly string[]) {
  const options = parseArgs(args, {
    boolean: ["help"],
    string: ["seeds", "from", "seed", "jobs", "break"],
    unknown: (arg) => {
      throw new UsageFault(`unknown: ${arg}`);
    },
  });
  return {
    help: options.help === true,
    seeds: readNumber(options.seeds, "seeds") ?? 500,
    from: readNumber(options.from, "from") ?? 1,
    seed: readNumber(options.seed, "seed"),
    jobs: readNumber(options.jobs, "jobs"),
    fault: readFault(options.break),
  };
}

async function main(args: readonly string[]): Promise<number> {
  const { help, seed, seeds, from, jobs, fault } = parse(args);
  if (help) {
    console.log(HELP.trimEnd());
    return 0;
  }
  if (seed !== undefined) return await showSeed(seed, fault);
  const { failed, totals, seeds: done } = await runSeeds({
    from,
    count: seeds,
    fault,
    jobs,
    onProgress: (count) => {
      if (count % 1000 === 0) console.log(`${count} seeds`);
    },
  });
  if (failed) await showSeed(failed.seed, fault, { last: false });
  console.log(describeTotals(done, totals));
  return failed ? 1 : 0;
}

/** Runs one seed and prints its trace. */
async function showSeed(
  seed: number,
  fault: Fault | undefined,
  { last = true } = {},
): Promise<number> {
  const { trace, failure, totals }: Outcome = await runSeed(seed, { trace: true, fault });
  for (const line of trace) console.log(line);
  console.log(failure === undefined ? `seed ${seed} holds` : `seed ${seed} FAILED: ${failure}`);
  if (last) console.log(describeTotals(1, totals));
  return failure === undefined ? 0 : 1;
}

function describeTotals(seeds: number, { messages, cuts, restarts, reported }: Totals): string {
  return `${seeds} seeds, ${messages} messages, ${cuts} cuts, ${restarts} restarts, ` +
    `${reported} lost and reported`;
}

try {
  Deno.exitCode = await main(Deno.args);
} catch (error) {
  if (!(error instanceof UsageFault)) throw error;
  console.error(`simulate: error: ${error.message}`);
  console.error("simulate: hint: deno task simulate --help");
  Deno.exitCode = 2;
}
