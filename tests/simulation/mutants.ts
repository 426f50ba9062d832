/**
 * Copies of the project with a fault in them, and the runs of such copies.
 *
 * @module
 */

import { pathToFileURL } from "node:url";

/** A piece of text that a file has once, and what stands there instead. */
export type Edit = readonly [path: string, from: string, to: string];

/** What the runs need of the project. */
const FOLDERS = ["lib", "tests/simulation", "tests/support"];

/** A copy of the project with a fault in it. */
export interface Mutant {
  /** The URL of the module whose runs are meant. */
  readonly module: string;
  remove(): Promise<void>;
}

/** A run of one seed. */
export type SeedRun = (
  seed: number,
  options?: { readonly trace?: boolean },
) => Promise<{
  readonly failure: string | undefined;
  readonly totals: object;
  readonly trace: readonly string[];
}>;

/**
 * Plants a fault into a copy of the project, in a temporary folder.
 *
 * @param module The name of the module in this folder whose runs are meant.
 */
export async function makeMutant(edits: readonly Edit[], module: string): Promise<Mutant> {
  const root = await Deno.makeTempDir({ prefix: "hearth-mutant-" });
  const source = new URL("../../", import.meta.url);
  for (const folder of FOLDERS) {
    await copyFolder(new URL(`${folder}/`, source), `${root}/${folder}`);
  }
  for (const [path, from, to] of edits) {
    const text = await Deno.readTextFile(`${root}/${path}`);
    if (text.split(from).length !== 2) throw new Error(`${path} has not once: ${from}`);
    await Deno.writeTextFile(`${root}/${path}`, text.replace(from, () => to));
  }
  return {
    module: pathToFileURL(`${root}/tests/simulation/${module}`).href,
    remove: () => Deno.remove(root, { recursive: true }),
  };
}

async function copyFolder(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(new URL(`${name}/`, from), `${to}/${name}`);
    else if (isFile) await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

/** The runs of a module: moves.ts, cluster.ts, terminals.ts, or a copy of one. */
export async function importRuns(module: string): Promise<SeedRun> {
  const { runMoves, runCluster, runTerminals } = await import(module);
  return runMoves ?? runCluster ?? runTerminals;
}
