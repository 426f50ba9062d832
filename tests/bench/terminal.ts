/**
 * What the full-screen face costs on a terminal, in tmux: `deno run -A tests/bench/terminal.ts`.
 *
 * Prints a key to its echo, idle and while 500 messages a second arrive, beside that of `cat`, which does nothing; what
 * that flood writes and takes of a core; and the memory of 5,000 entries.
 */

import { fileURLToPath } from "node:url";
import { Tmux } from "../support/tmux.ts";
import { CpuMeter, residentKb } from "./meter.ts";

const DEMO = fileURLToPath(new URL("../support/full_demo.ts", import.meta.url));
const FACE = [Deno.execPath(), "run", "--no-prompt", "--allow-env", "--allow-run=kill,ps", DEMO];
const KEYS = 40;
const PAUSE_MS = 50;
/** At 500 a second. */
const FLOOD = 2000;
const ENTRIES = 5000;
const DEADLINE_MS = 60_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Types characters. @returns Milliseconds from each to the next output of the program, sorted. */
async function echo(tmux: Tmux, output: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < KEYS; i++) {
    await sleep(PAUSE_MS);
    // Typed by a program of tmux's own, whose start is part of the time: hence `cat` beside it.
    const text = `${String.fromCharCode(97 + i % 26)}`;
    const { size } = await Deno.stat(output);
    const start = performance.now();
    await tmux.type(text);
    while ((await Deno.stat(output)).size === size && performance.now() < start + DEADLINE_MS) {
      await sleep(1);
    }
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b);
}

function show(what: string, times: readonly number[]): void {
  const at = (part: number) => times[Math.floor(part * (times.length - 1))]!.toFixed(1);
  console.log(`${what.padEnd(44)} best ${at(0)} ms, median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
}

async function inTmux(
  command: readonly string[],
  [columns, rows]: readonly [number, number],
  work: (tmux: Tmux, output: string) => Promise<void>,
): Promise<void> {
  const tmux = await Tmux.start(command, { columns, rows, env: { LC_ALL: "C.UTF-8" } });
  const output = await Deno.makeTempFile();
  try {
    await tmux.record(output);
    await sleep(2000);
    await work(tmux, output);
  } finally {
    await tmux.close();
    await Deno.remove(output);
  }
}

async function flood(tmux: Tmux, count: number): Promise<void> {
  await tmux.type(`/flood ${count}`);
  await sleep(PAUSE_MS);
  await tmux.press("Enter");
}

for (const size of [[80, 24], [120, 40], [200, 50]] as const) {
  const name = size.join("x");
  await inTmux(["cat"], size, async (tmux, output) => {
    show(`cat, key to echo, ${name}`, await echo(tmux, output));
  });
  await inTmux(FACE, size, async (tmux, output) => {
    show(`key to echo, ${name}`, await echo(tmux, output));
    await tmux.press("C-u");
    await sleep(PAUSE_MS);
    const cpu = new CpuMeter(await tmux.pid());
    const before = (await Deno.stat(output)).size;
    const [used, start] = [cpu.read(), performance.now()];
    await flood(tmux, FLOOD);
    await tmux.waitFor((rows) => rows.join("\n").includes("the flood is over"), "its end");
    const seconds = (performance.now() - start) / 1000;
    const share = (cpu.read() - used) / seconds / 1e4;
    const bytes = ((await Deno.stat(output)).size - before) / seconds / 1e6;
    const what = `500 messages/s, ${name}`;
    console.log(`${what.padEnd(44)} ${bytes.toFixed(2)} MB/s, ${share.toFixed(1)} % of a core`);
  });
}
await inTmux(FACE, [120, 40], async (tmux) => {
  const pid = await tmux.pid();
  const before = residentKb(pid);
  await flood(tmux, ENTRIES);
  await tmux.waitFor((rows) => rows.join("\n").includes("the flood is over"), "its end");
  await sleep(2000);
  const [at, after] = [before, residentKb(pid)].map((kb) => (kb / 1000).toFixed(0));
  console.log(`${"resident, at first and with 5000 entries".padEnd(44)} ${at} and ${after} MB`);
});
