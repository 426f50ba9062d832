/**
 * `deno task report`: how much larger and slower the compiled programs are than a compiled empty program.
 *
 * Times are medians of interleaved runs, so that other load on the computer affects all alike.
 *
 * @module
 */

import { join } from "node:path";
import { EXIT_FAILURE } from "../lib/cli/process.ts";
import { reportError, UsageError } from "../lib/base/errors.ts";
import { flushOutput } from "../lib/base/output.ts";
import { compile, PROGRAMS, ROOT } from "./build.ts";
import { fileName, isTarget } from "../lib/base/targets.ts";

const ROUNDS = 21;
/** Size added and time until `--version`, over an empty program. */
const MAX_ADDED_BYTES = 1_500_000;
const MAX_ADDED_MS = 15;

/** Runs a program until it exits or prints a line with `text`. @returns Milliseconds. */
async function time(command: string, options: Deno.CommandOptions, text?: string): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(command, { stdin: "null", ...options, stdout: "piped" }).spawn();
  let said = "";
  let end: number | undefined;
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += piece;
    if (text !== undefined && said.includes(text)) end ??= performance.now();
  }
  const { success } = await child.status;
  if (!success || (text !== undefined && end === undefined)) {
    throw new UsageError(`${command} did not end well; it said ${said}`);
  }
  return (end ?? performance.now()) - start;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Runs them in turn, repeatedly. */
async function measure(runs: Record<string, () => Promise<number>>): Promise<Map<string, number>> {
  const times = new Map(Object.keys(runs).map((name) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(runs)) times.get(name)!.push(await run());
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

/** Starts a server to connect to. */
async function serve(server: string, env: Record<string, string>) {
  const child = new Deno.Command(server, {
    args: ["--port", "0", "--json"],
    env,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new UsageError("the server ended");
    said += value;
  }
  const { port } = JSON.parse(said.split("\n", 1)[0]!);
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    port: String(port),
    async stop() {
      child.kill("SIGTERM");
      await child.status;
      await drained;
    },
  };
}

async function report(folder: string): Promise<void> {
  const target = Deno.build.target;
  if (!isTarget(target)) throw new UsageError(`nothing can be compiled for ${target}`);
  const empty = join(folder, fileName("empty", target));
  await Deno.writeTextFile(join(folder, "empty.js"), "");
  await compile(join(folder, "empty.js"), { target, output: empty, flags: [] });
  const paths = PROGRAMS.map((program) => join(ROOT, "dist", target, fileName(program, target)));
  const size = async (path: string) => (await Deno.stat(path)).size;
  const bare = await size(empty);
  console.log(`empty: ${bare} bytes`);
  for (const [i, path] of paths.entries()) {
    const added = await size(path) - bare;
    console.log(`${PROGRAMS[i]}: ${added} bytes more (target: less than ${MAX_ADDED_BYTES})`);
  }
  const [server, client] = paths as [string, string];
  const env = { HEARTH_HOME: join(folder, "home") };
  const serving = await serve(server, env);
  const connect = ["--json", "--host", "127.0.0.1", "--port", serving.port];
  try {
    await time(client, { args: connect, env }, '"connected"'); // makes its key
    const times = await measure({
      empty: () => time(empty, {}),
      "server --version": () => time(server, { args: ["--version"] }),
      "client --version": () => time(client, { args: ["--version"] }),
      "client until connected": () => time(client, { args: connect, env }, '"connected"'),
    });
    const least = times.get("empty")!;
    for (const [name, ms] of times) {
      const goal = name.endsWith("version") ? ` (target: within ${MAX_ADDED_MS} ms)` : "";
      const ratio = (ms / least).toFixed(2);
      console.log(`${name}: ${ms.toFixed(1)} ms, ${ratio} times an empty program${goal}`);
    }
  } finally {
    await serving.stop();
  }
}

const folder = await Deno.makeTempDir();
let code = 0;
try {
  await report(folder);
} catch (error) {
  reportError("report", error);
  code = EXIT_FAILURE;
} finally {
  await Deno.remove(folder, { recursive: true });
}
await flushOutput();
Deno.exit(code);
