/**
 * What processes cost: CPU time of all threads and children, resident memory. From /proc on Linux, from `ps` elsewhere.
 *
 * @module
 */

const TICK_US = 10_000; // USER_HZ is 100 for every program on Linux
const NS_PER_US = 1_000;

/** Sums the CPU time of a process and of all that come from it; what ends between two calls is counted up to the first. */
export class CpuMeter {
  readonly #pid: number;
  /** CPU time of each thread when it was last looked at. */
  readonly #seen = new Map<string, number>();
  #total = 0;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Microseconds of CPU time so far. */
  read(): number {
    if (Deno.build.os !== "linux") return psColumn(this.#pid, "time").reduce((a, b) => a + b, 0);
    for (const pid of processTree(this.#pid)) {
      for (const task of listFolder(`/proc/${pid}/task`)) {
        const time = threadTime(`/proc/${pid}/task/${task}`);
        if (time === undefined) continue; // it has just ended
        const key = `${pid}/${task}`;
        this.#total += time - (this.#seen.get(key) ?? 0);
        this.#seen.set(key, time);
      }
    }
    return this.#total;
  }
}

/** Kilobytes of memory that a process and all that come from it have resident. */
export function residentKb(pid: number): number {
  if (Deno.build.os !== "linux") return psColumn(pid, "rss").reduce((a, b) => a + b, 0);
  let sum = 0;
  for (const each of processTree(pid)) {
    const line = readText(`/proc/${each}/status`)?.match(/^VmRSS:\s+(\d+) kB/m);
    if (line) sum += Number(line[1]);
  }
  return sum;
}

/** CPU time of one thread in µs: exact where the kernel keeps it, else in ticks. */
function threadTime(folder: string): number | undefined {
  const exact = readText(`${folder}/schedstat`);
  if (exact !== undefined) return Number(exact.split(" ")[0]) / NS_PER_US;
  const stat = readText(`${folder}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name may hold spaces
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function processTree(root: number): number[] {
  const tree = [root];
  for (const pid of tree) {
    for (const task of listFolder(`/proc/${pid}/task`)) {
      const children = readText(`/proc/${pid}/task/${task}/children`) ?? "";
      tree.push(...children.split(" ").filter(Boolean).map(Number));
    }
  }
  return tree;
}

function listFolder(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map((entry) => entry.name);
  } catch {
    return []; // the process has ended
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // the process has ended, or this kernel does not keep it
  }
}

/** One column of `ps` for a process and its children: µs of `time`, kB of `rss`. */
function psColumn(pid: number, column: "time" | "rss"): number[] {
  const { stdout } = new Deno.Command("ps", {
    args: ["-A", "-o", `pid=,ppid=,${column}=`],
  }).outputSync();
  const rows = new TextDecoder().decode(stdout).trim().split("\n").map((line) =>
    line.trim().split(/\s+/) as [string, string, string]
  );
  const tree = new Set([String(pid)]);
  for (let size = 0; size < tree.size;) {
    size = tree.size;
    for (const [child, parent] of rows) if (tree.has(parent)) tree.add(child);
  }
  const values = rows.filter(([child]) => tree.has(child)).map(([, , value]) => value);
  return values.map(column === "rss" ? Number : parseCpuTime);
}

/** `[[dd-]hh:]mm:ss[.cc]` to µs. */
function parseCpuTime(text: string): number {
  const [clock, days = "0"] = text.split("-").reverse() as [string, string?];
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return (Number(days) * 86_400 + seconds) * 1e6;
}
