/**
 * Makes one standalone program: bundles, minifies, compiles and checks it.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import settings from "../deno.json" with { type: "json" };
import { UsageError } from "../lib/base/errors.ts";
import { identifyFile, type Target } from "../lib/base/targets.ts";

/** Each is a `.ts` file and a task of deno.json. */
export const PROGRAMS = ["server", "client"] as const;
export type ProgramName = typeof PROGRAMS[number];

export const ROOT: string = fileURLToPath(new URL("../", import.meta.url));

/** Put before a bundle that expects a `require`; a minifier never makes this name. */
const MAKE_REQUIRE = `import { createRequire as makeRequire } from "node:module";
const require = makeRequire(import.meta.url);
`;

/** The flags to run a program with, mostly permissions: those of its task, so that there is one list. */
export function runFlags(program: ProgramName): string[] {
  const words = settings.tasks[program].split(" "); // deno run --quiet FLAGS PROGRAM.ts
  const { unstable = [] } = settings as { unstable?: string[] };
  return [
    ...words.slice(3, words.indexOf(`${program}.ts`)),
    ...unstable.map((feature) => `--unstable-${feature}`),
  ];
}

/**
 * Bundles a program with all its packages into one file, and one more for each part that is loaded late.
 *
 * The same source makes the same files, on any computer and at any time.
 *
 * @param folder Receives the files; it is created.
 * @returns The path of the file to start.
 * @throws {UsageError} When `deno bundle` fails, with its error.
 */
export async function bundle(program: ProgramName, folder: string): Promise<string> {
  const raw = join(folder, "raw");
  const how = ["--quiet", "--platform=deno", "--minify", "--code-splitting", `--outdir=${raw}`];
  await runDeno(["bundle", ...how, `${program}.ts`]);
  const files = new Set((await Array.fromAsync(Deno.readDir(raw))).map(({ name }) => name));
  const entry = `${program}.js`;
  // The names of the parts contain a hash of the project's path: number them instead.
  const names = new Map([[entry, entry]]);
  for (const [name, newName] of names) { // grows while it is read
    const text = await Deno.readTextFile(join(raw, name));
    const code = text.replaceAll(/(?<="\.\/)[\w-]+\.js(?=")/g, (part) => {
      if (files.has(part) && !names.has(part)) names.set(part, `${names.size}.js`);
      return names.get(part) ?? part;
    });
    const path = join(folder, newName);
    // Bundles of Deno 2.6 expect it to exist.
    await Deno.writeTextFile(path, code.includes("typeof require") ? MAKE_REQUIRE + code : code);
    await Deno.utime(path, 0, 0); // the time is stored in the program
  }
  return join(folder, entry);
}

export interface CompileOptions {
  target: Target;
  /** The file to write. */
  output: string;
  /** Flags that are compiled in, such as permissions. */
  flags: readonly string[];
}

/**
 * Compiles a bundle.
 *
 * @throws {UsageError} When `deno compile` fails, or makes something else.
 */
export async function compile(entry: string, options: CompileOptions): Promise<void> {
  const { target, output, flags } = options;
  await runDeno([
    ...["compile", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-remote", "--no-npm"],
    "--deny-import",
    // The cache would be a file with a known name in the temporary folder, where other users could put one first.
    "--no-code-cache",
    ...flags,
    `--target=${target}`,
    `--output=${output}`,
    entry,
  ], target);
  if (await identifyFile(output) !== target) {
    throw new UsageError(`what was made is no program for ${target}`);
  }
}

/**
 * Checks that a base program named by DENORT_BIN is for the target: Deno would accept another, and write a program that
 * does not start.
 *
 * @throws {UsageError} When it is not, or cannot be read.
 */
export async function checkBase(target: Target): Promise<void> {
  const path = Deno.env.get("DENORT_BIN");
  if (path === undefined) return;
  let found: Target | undefined;
  try {
    found = await identifyFile(path);
  } catch (error) {
    throw new UsageError(`DENORT_BIN: ${error instanceof Error ? error.message : error}`);
  }
  if (found !== target) {
    const what = found === undefined ? "is no program" : `is for ${found}, not`;
    throw new UsageError(`DENORT_BIN ${what} for ${target}`, [
      "unset it to download the right one, or set it to one for that target",
    ]);
  }
}

async function runDeno(args: readonly string[], target?: Target): Promise<void> {
  const { success, signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  if (success) return;
  if (signal !== null) throw new UsageError(`deno ${args[0]}: ended by ${signal}`);
  const said = new TextDecoder().decode(stderr);
  if (target !== undefined && /denort|base binary/i.test(said)) {
    throw new UsageError(
      `the base program for ${target} (denort of Deno ${Deno.version.deno}) cannot be downloaded`,
      [
        "connect to the internet once, or set DENORT_BIN to a base program of the same Deno and target",
      ],
    );
  }
  throw new UsageError(`deno ${args[0]}: ${shorten(said)}`);
}

/** The first and the last part of an error of Deno: what was tried, and why it failed. */
export function shorten(said: string): string {
  const lines = said.split(/\n\s*Stack backtrace:/, 1)[0]!.split("\n");
  const texts = lines.map((line) => line.trim().replace(/^error: |^\d+: |^Caused by:$/, ""));
  const first = lines.findIndex((line) => line.startsWith("error: "));
  const [what = "failed", ...causes] = texts.slice(Math.max(first, 0)).filter((line) =>
    line !== ""
  );
  const why = lines.some((line) => line.startsWith("Caused by:")) ? causes.at(-1) : undefined;
  return why === undefined ? what : `${what}: ${why}`;
}
