/**
 * Many runs, on all processors.
 *
 * @module
 */

import type { Fault } from "./faults.ts";

/** Seeds that a worker is given at once. */
const PORTION = 20;

/** What a worker is told. */
export interface Order {
  readonly seeds: readonly number[];
  readonly fault: Fault | undefined;
  /** Runs villages or clusters instead: the URL of their module. */
  readonly module: string | undefined;
  /** So many relays are one server. */
  readonly relays: number;
}

/** What came of one seed. */
export interface SeedOutcome {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly totals: Readonly<Record<string, number>>;
}

/** Which seeds are run. */
export interface PoolOptions {
  readonly from: number;
  readonly count: number;
  readonly fault?: Fault | undefined;
  readonly module?: string | undefined;
  /** So many relays are one server; one by default. */
  readonly relays?: number | undefined;
  /** Workers at once; as many as there are processors unless told. */
  readonly jobs?: number | undefined;
  /** So many seeds are done. */
  onProgress?(done: number): void;
}

/** What came of many runs. */
export interface Result {
  /** How many seeds were run. */
  readonly seeds: number;
  readonly totals: Readonly<Record<string, number>>;
  /** The lowest seed that failed, and why. */
  readonly failed: { readonly seed: number; readonly failure: string } | undefined;
}

/** Runs seeds until one fails; those below it are run to their end. */
export async function runSeeds(options: PoolOptions): Promise<Result> {
  const pool = new Pool(options);
  const jobs = Math.min(options.jobs ?? navigator.hardwareConcurrency, options.count);
  await Promise.all(Array.from({ length: jobs }, () => pool.work()));
  return pool.result;
}

class Pool {
  #options: PoolOptions;
  #next: number;
  #seeds = 0;
  #totals: Record<string, number> = {};
  #failed: Result["failed"];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#next = options.from;
  }

  get result(): Result {
    return { seeds: this.#seeds, totals: this.#totals, failed: this.#failed };
  }

  async work(): Promise<void> {
    const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
    try {
      for (let seeds = this.#take(); seeds.length > 0; seeds = this.#take()) {
        for (const outcome of await this.#order(worker, seeds)) this.#add(outcome);
        this.#options.onProgress?.(this.#seeds);
      }
    } finally {
      worker.terminate();
    }
  }

  #take(): number[] {
    const seeds: number[] = [];
    const { from, count } = this.#options;
    const end = Math.min(from + count, this.#failed?.seed ?? Infinity);
    while (seeds.length < PORTION && this.#next < end) seeds.push(this.#next++);
    return seeds;
  }

  #order(worker: Worker, seeds: number[]): Promise<SeedOutcome[]> {
    const { fault, module, relays = 1 } = this.#options;
    const order: Order = { seeds, fault, module, relays };
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<SeedOutcome[]>) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(order);
    });
  }

  #add({ seed, failure, totals }: SeedOutcome): void {
    this.#seeds++;
    for (const [name, count] of Object.entries(totals)) {
      this.#totals[name] = (this.#totals[name] ?? 0) + count;
    }
    if (failure !== undefined && seed < (this.#failed?.seed ?? Infinity)) {
      this.#failed = { seed, failure };
    }
  }
}
