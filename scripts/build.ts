/**
 * Makes one standalone program: bundled, minified, compiled, and looked at before it is believed.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import settings from "../deno.json" with { type: "json" };
import { UsageError } from "../lib/base/errors.ts";
import { identifyFile, type Target } from "../lib/base/targets.ts";

/** What programs there are: each is a `.ts` file and a task of deno.json. */
export const PROGRAMS = ["server", "client"] as const;
/** One of {@linkcode PROGRAMS}. */
export type ProgramName = typeof PROGRAMS[number];

/** The folder of the project. */
export const ROOT: string = fileURLToPath(new URL("../", import.meta.url));

/** Put before a bundle that expects a `require`; the name is one that a minifier never makes. */
const MAKE_REQUIRE = `import { createRequire as makeRequire } from "node:module";
const require = makeRequire(import.meta.url);
`;

/** The flags to run a program with, permissions foremost: those of its task, so that there is one list. */
export function runFlags(program: ProgramName): string[] {
  const words = settings.tasks[program].split(" "); // deno run FLAGS PROGRAM.ts
  const { unstable = [] } = settings as { unstable?: string[] };
  return [
    ...words.slice(2, words.indexOf(`${program}.ts`)),
    ...unstable.map((feature) => `--unstable-${feature}`),
  ];
}

/**
 * Makes one file, and one more for each part that is only loaded when needed, of a program and all its packages.
 *
 * The same source makes the same files, wherever and whenever.
 *
 * @param folder Where to; is made.
 * @returns The path of the file to start.
 * @throws {UsageError} When `deno bundle` fails, with what it said.
 */
export async function bundle(program: ProgramName, folder: string): Promise<string> {
  const raw = join(folder, "raw");
  const how = ["--quiet", "--platform=deno", "--minify", "--code-splitting", `--outdir=${raw}`];
  await runDeno(["bundle", ...how, `${program}.ts`]);
  const files = new Set((await Array.fromAsync(Deno.readDir(raw))).map(({ name }) => name));
  const entry = `${program}.js`;
  // In the names of the parts there is a sum of where the project lies: each is numbered instead.
  const names = new Map([[entry, entry]]);
  for (const [name, newName] of names) { // grows on the way
    const text = await Deno.readTextFile(join(raw, name));
    const code = text.replaceAll(/(?<="\.\/)[\w-]+\.js(?=")/g, (part) => {
      if (files.has(part) && !names.has(part)) names.set(part, `${names.size}.js`);
      return names.get(part) ?? part;
    });
    const path = join(folder, newName);
    // The bundles of Deno 2.6 take it for granted that there is one.
    await Deno.writeTextFile(path, code.includes("typeof require") ? MAKE_REQUIRE + code : code);
    await Deno.utime(path, 0, 0); // kept inside the program
  }
  return join(folder, entry);
}

/** What {@linkcode compile} needs to know. */
export interface CompileOptions {
  target: Target;
  /** The file to write. */
  output: string;
  /** Permissions and what else is to be kept inside, as flags. */
  flags: readonly string[];
}

/**
 * Makes a program of a bundle.
 *
 * @throws {UsageError} When `deno compile` fails, or makes something else.
 */
export async function compile(entry: string, options: CompileOptions): Promise<void> {
  const { target, output, flags } = options;
  await runDeno([
    ...["compile", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-remote", "--no-npm"],
    "--deny-import",
    // The cache would be a file of a well-known name in the folder for temporary files, which other users of the
    // computer may have put there before.
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
 * Makes sure that a base program named by DENORT_BIN is for the target: Deno would write something unusable.
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
      "unset it, so that the right one is downloaded, or let it name one for that target",
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
        "once there is a connection, Deno keeps it; " +
        "or let DENORT_BIN name one that is here already, of the same Deno and target",
      ],
    );
  }
  throw new UsageError(`deno ${args[0]}: ${shorten(said)}`);
}

/** The first and the last of what an error of Deno says: what was tried, and why it failed. */
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
