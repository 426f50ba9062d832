/**
 * `deno task simulate`: runs of the simulation from the command line.
 *
 * @module
 */

import { parseArgs } from "../../lib/base/std.ts";
import { type Fault, FAULTS, isFault } from "./faults.ts";
import { CLUSTER_FAULTS, isClusterFault, makeClusterMutant } from "./cluster_faults.ts";
import { isMoveFault, makeMoveMutant, MOVE_FAULTS } from "./moves_faults.ts";
import { importRuns } from "./mutants.ts";
import { runSeeds } from "./pool.ts";
import { runSeed } from "./runner.ts";
import { isTerminalFault, makeTerminalMutant, TERMINAL_FAULTS } from "./terminals_faults.ts";

const HELP =
  `A relay and its members in one process, with a virtual clock, seeded randomness and much trouble.

usage: deno task simulate [--moves|--cluster|--terminals] [--seeds N] [--from M] [--jobs N] [--break NAME]
       deno task simulate [--moves|--cluster|--terminals] --seed N [--break NAME]
       deno task simulate --relays N [--seeds N] [--from M] [--jobs N] [--seed N]

  --moves       villages of hosts that come and go, instead of one relay
  --cluster     several relays that are one server, and the bus between them
  --relays N    so many relays are one server, with the same people and the same judge as one
  --terminals   villages where one person has several terminals
  --seeds N     run so many seeds (500)
  --from M      begin with this one (1)
  --seed N      run this one, and print what happens in it
  --jobs N      use so many processors (all)
  --break NAME  plant a fault first; it should be found:
${describeFaults(Object.entries(FAULTS))}

                with --moves:
${describeFaults(Object.entries(MOVE_FAULTS).map(([name, { what }]) => [name, what]))}

                with --cluster:
${describeFaults(Object.entries(CLUSTER_FAULTS).map(([name, { what }]) => [name, what]))}

                with --terminals:
${describeFaults(Object.entries(TERMINAL_FAULTS).map(([name, { what }]) => [name, what]))}
`;

/** What the totals are called. */
const NAMES: Readonly<Record<string, string>> = {
  reported: "lost and reported",
  hostless: "left with nobody who may host",
  split: "left apart, as the rules have it",
};

class UsageFault extends Error {}

function describeFaults(faults: [name: string, what: string][]): string {
  return faults.map(([name, what]) => `                  ${name.padEnd(20)}${what}`).join("\n");
}

/** Reads a whole number of at least 1. */
function readNumber(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^[1-9]\d{0,8}$/.test(value)) {
    throw new UsageFault(`--${name} is a whole number from 1 to 999999999`);
  }
  return Number(value);
}

function readFault<F extends string>(
  value: unknown,
  isFault: (name: string) => name is F,
  names: string[],
): F | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !isFault(value)) {
    throw new UsageFault(`--break is one of: ${names.join(", ")}`);
  }
  return value;
}

function parse(args: readonly string[]) {
  const options = parseArgs(args, {
    boolean: ["help", "moves", "cluster", "terminals"],
    string: ["seeds", "from", "seed", "jobs", "break", "relays"],
    unknown: (arg) => {
      throw new UsageFault(`unknown: ${arg}`);
    },
  });
  const { moves, cluster, terminals, break: name } = options;
  const kinds = [moves, cluster, terminals].filter((kind) => kind === true).length;
  if (kinds > 1) throw new UsageFault("--moves, --cluster or --terminals, one of them");
  return {
    help: options.help === true,
    moves: moves === true,
    cluster: cluster === true,
    terminals: terminals === true,
    seeds: readNumber(options.seeds, "seeds") ?? 500,
    from: readNumber(options.from, "from") ?? 1,
    seed: readNumber(options.seed, "seed"),
    jobs: readNumber(options.jobs, "jobs"),
    relays: readNumber(options.relays, "relays"),
    fault: kinds > 0 ? undefined : readFault(name, isFault, Object.keys(FAULTS)),
    moveFault: moves ? readFault(name, isMoveFault, Object.keys(MOVE_FAULTS)) : undefined,
    clusterFault: cluster
      ? readFault(name, isClusterFault, Object.keys(CLUSTER_FAULTS))
      : undefined,
    terminalFault: terminals
      ? readFault(name, isTerminalFault, Object.keys(TERMINAL_FAULTS))
      : undefined,
  };
}

type Options = ReturnType<typeof parse>;

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (options.help) {
    console.log(HELP.trimEnd());
    return 0;
  }
  const { moves, cluster, terminals, moveFault, clusterFault, terminalFault } = options;
  if (!moves && !cluster && !terminals) return await run(options, undefined);
  const mutant = moveFault
    ? await makeMoveMutant(moveFault)
    : clusterFault
    ? await makeClusterMutant(clusterFault)
    : terminalFault && await makeTerminalMutant(terminalFault);
  const name = moves ? "moves.ts" : cluster ? "cluster.ts" : "terminals.ts";
  try {
    return await run(options, mutant?.module ?? new URL(name, import.meta.url).href);
  } finally {
    await mutant?.remove();
  }
}

/** @param module That of villages, clusters or terminals, if they are meant. */
async function run(options: Options, module: string | undefined): Promise<number> {
  const { seed, seeds, from, jobs, fault, relays } = options;
  const show = async (one: number, hasTotals: boolean) =>
    await showSeed(one, { fault, module, relays, hasTotals });
  if (seed !== undefined) return await show(seed, true);
  const { failed, totals, seeds: done } = await runSeeds({
    from,
    count: seeds,
    fault,
    module,
    relays,
    jobs,
    onProgress: (count) => {
      if (count % 1000 === 0) console.log(`${count} seeds`);
    },
  });
  if (failed) await show(failed.seed, false);
  console.log(describeTotals(done, totals));
  return failed ? 1 : 0;
}

/** Runs one seed and prints its trace. */
async function showSeed(
  seed: number,
  { fault, module, relays, hasTotals }: {
    fault: Fault | undefined;
    module: string | undefined;
    relays: number | undefined;
    hasTotals: boolean;
  },
): Promise<number> {
  const { trace, failure, totals } = module === undefined
    ? await runSeed(seed, { trace: true, fault, relays })
    : await (await importRuns(module))(seed, { trace: true });
  for (const line of trace) console.log(line);
  console.log(failure === undefined ? `seed ${seed} holds` : `seed ${seed} FAILED: ${failure}`);
  if (hasTotals) console.log(describeTotals(1, { ...totals }));
  return failure === undefined ? 0 : 1;
}

function describeTotals(seeds: number, totals: Readonly<Record<string, number>>): string {
  const counts = Object.entries(totals).map(([name, count]) => `${count} ${NAMES[name] ?? name}`);
  return [`${seeds} seeds`, ...counts].join(", ");
}

try {
  Deno.exitCode = await main(Deno.args);
} catch (error) {
  if (!(error instanceof UsageFault)) throw error;
  console.error(`simulate: error: ${error.message}`);
  console.error("simulate: hint: deno task simulate --help");
  Deno.exitCode = 2;
}
