/**
 * `deno task compile`: makes the standalone programs, `dist/TARGET/server` and `dist/TARGET/client`.
 *
 * Programs are made in a temporary folder and moved at the end, so that those in `dist` are always complete.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import settings from "../deno.json" with { type: "json" };
import { encodeHex } from "../lib/base/bytes.ts";
import { EXIT_FAILURE, EXIT_USAGE } from "../lib/cli/process.ts";
import { describeError, reportError, UsageError } from "../lib/base/errors.ts";
import { flushOutput } from "../lib/base/output.ts";
import { type Given, parseOptions, type Program, usage } from "../lib/cli/options.ts";
import { bundle, checkBase, compile, PROGRAMS, ROOT, runFlags } from "./build.ts";
import { fileName, isTarget, type Target, TARGETS } from "../lib/base/targets.ts";
import { version } from "../lib/cli/programs.ts";

type Name = "all" | "target" | "dist";

const COMPILE: Program<Name> = {
  name: "compile",
  summary: "Makes standalone programs of the server and the client, for this computer or others.",
  options: [
    {
      name: "target",
      value: { type: "text", name: "TARGET" },
      help: `what computer it is for (default: this one): ${TARGETS.join(", ")}`,
    },
    { name: "all", help: "make them for all of these" },
    { name: "dist", value: { type: "file", name: "FOLDER" }, help: "where to (default: dist)" },
  ],
  exclusive: [["target", "all"]],
  subcommands: [],
  environment: [
    ["DENORT_BIN", "a base program to use, of the same Deno (default: it is downloaded)"],
  ],
  examples: [
    ["deno task compile", "dist/TARGET/server and dist/TARGET/client for this computer"],
    ["deno task compile --all", "for all, with a SHA256SUMS"],
  ],
};

async function main(given: Given<Name>): Promise<void> {
  const targets = chooseTargets(given);
  for (const target of targets) await checkBase(target);
  const dist = resolve(given.text("dist") ?? join(ROOT, "dist"));
  const aside = await makeAside(dist);
  try {
    await makePrograms(targets, aside);
    try {
      await moveAll(targets, { aside, dist });
    } finally {
      await writeSums(dist, aside); // of the programs there, even if one could not be moved
    }
  } finally {
    await Deno.remove(aside, { recursive: true });
  }
}

function chooseTargets(given: Given<Name>): readonly Target[] {
  if (given.has("all")) return TARGETS;
  const name = given.text("target") ?? Deno.build.target;
  if (isTarget(name)) return [name];
  throw new UsageError(`${name} is no target`, [`the targets are ${TARGETS.join(", ")}`]);
}

/** A temporary folder on the same disk, from which files can be moved atomically. */
async function makeAside(dist: string): Promise<string> {
  try {
    await Deno.mkdir(dist, { recursive: true });
    return await Deno.makeTempDir({ dir: dist, prefix: ".new-" });
  } catch (error) {
    throw new UsageError(`cannot write to ${dist}: ${describeError(error)}`);
  }
}

async function makePrograms(targets: readonly Target[], aside: string): Promise<void> {
  for (const program of PROGRAMS) {
    const entry = await bundle(program, join(aside, "bundle", program));
    for (const target of targets) {
      await Deno.mkdir(join(aside, target), { recursive: true });
      const output = join(aside, target, fileName(program, target));
      await compile(entry, { target, output, flags: runFlags(program) });
      if (target === Deno.build.target) await checkStart(program, output);
    }
  }
}

/** With a base program of another Deno version, the result looks right but does not start. */
async function checkStart(program: string, path: string): Promise<void> {
  const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
  if (new TextDecoder().decode(stdout).trim() === version(program)) return;
  throw new UsageError(`${program} was made, but does not start`, [
    `DENORT_BIN must be of the same Deno, ${Deno.version.deno}`,
  ]);
}

async function moveAll(
  targets: readonly Target[],
  { aside, dist }: { aside: string; dist: string },
): Promise<void> {
  for (const target of targets) {
    for (const program of PROGRAMS) {
      const name = fileName(program, target);
      const path = join(dist, target, name);
      await move(join(aside, target, name), path);
      const { size } = await Deno.stat(path);
      console.log(`${path}  ${(size / 1e6).toFixed(1)} MB`);
    }
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.rename(from, to);
  } catch (error) {
    throw new UsageError(`cannot put ${to} in its place: ${describeError(error)}`, [
      "is the previous one running, or is something else there?",
    ]);
  }
}

/** Checksums of all programs there, also of earlier runs. */
async function writeSums(dist: string, aside: string): Promise<void> {
  const lines: string[] = [];
  for (const target of TARGETS) {
    for (const program of PROGRAMS) {
      const name = `${target}/${fileName(program, target)}`;
      try {
        const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(join(dist, name)));
        lines.push(`${encodeHex(new Uint8Array(digest))}  ${name}\n`);
      } catch (error) {
        const isNone = error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.IsADirectory || error instanceof Deno.errors.NotADirectory;
        if (!isNone) throw error;
      }
    }
  }
  await Deno.writeTextFile(join(aside, "SHA256SUMS"), lines.join(""));
  await Deno.rename(join(aside, "SHA256SUMS"), join(dist, "SHA256SUMS"));
}

function parse(): Given<Name> | undefined {
  const given = parseOptions(COMPILE, Deno.args);
  if (given === "help") console.log(usage(COMPILE).trimEnd());
  else if (given === "version") console.log(settings.version);
  else return given;
  return undefined;
}

// Ctrl-C ends the `deno compile` that is running; its failure then removes the temporary folder.
Deno.addSignalListener("SIGINT", () => {});
let given: Given<Name> | undefined;
try {
  given = parse();
} catch (error) {
  reportError("compile", error);
  await flushOutput();
  Deno.exit(EXIT_USAGE);
}
try {
  if (given !== undefined) await main(given);
} catch (error) {
  reportError("compile", error);
  await flushOutput();
  Deno.exit(EXIT_FAILURE);
}
Deno.exit(0);
