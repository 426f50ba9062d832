/**
 * The main thread's side of the Worker: calls go there as messages.
 *
 * @module
 */

import type { JobCalls, JobHost } from "./job_host.ts";
import type { Failure, JobReport } from "./jobs.ts";

/** Tells the Worker of transfers from the program itself, which is the same file. */
export const WORKER_NAME = "hearth-files";

/** A call of the main thread. */
export interface Call {
  readonly number: number;
  readonly name: keyof JobHost;
  readonly args: readonly unknown[];
}

/** What the Worker says. */
export type Reply =
  | { readonly type: "ready" }
  | { readonly type: "result"; readonly number: number; readonly result: unknown }
  | { readonly type: "error"; readonly number: number; readonly message: string }
  | { readonly type: "report"; readonly job: number; readonly report: JobReport };

/** The memory of frames is handed over, not copied. */
function memoryOf({ name, args }: Call): Transferable[] {
  if (name !== "take") return [];
  const frames = args[1] as Parameters<JobHost["take"]>[1];
  return frames.flatMap((frame) =>
    frame.type === "data" ? [frame.data.buffer] : []
  ) as Transferable[];
}

/** What a call gives if the Worker fails: what it gives if its job has failed. */
const WITHOUT: { readonly [Name in keyof JobHost]?: unknown } = { connect: false, listen: 0 };

interface Waiting {
  readonly name: keyof JobHost;
  readonly job: number | undefined;
  resolve(result: unknown): void;
}

/**
 * The Worker, which is started by the first call, and anew by the next one if it has died: that ends the transfers that
 * were in it, and nothing else. No call rejects.
 */
export class FileWorker {
  readonly #module: string;
  readonly #report: (job: number, report: JobReport) => void;
  readonly #waiting = new Map<number, Waiting>();
  /** Jobs that have begun and not ended. */
  readonly #jobs = new Set<number>();
  #number = 0;
  #worker: Worker | undefined;
  /** Calls for a Worker that is not ready yet. */
  #early: Call[] | undefined;

  /** What {@linkcode JobHost} does, by name. */
  readonly calls: JobCalls = new Proxy({} as JobCalls, {
    get: (_, name) => (...args: unknown[]) => this.#call(name as keyof JobHost, args),
  });

  /**
   * @param module The program's main module, which serves the Worker: in a compiled program there is no other.
   * @param report Called with what jobs tell.
   */
  constructor(module: string, report: (job: number, report: JobReport) => void) {
    this.#module = module;
    this.#report = report;
  }

  #call(name: keyof JobHost, args: readonly unknown[]): Promise<unknown> {
    const worker = this.#worker ??= this.#start();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const job = typeof args[0] === "number" ? args[0] : undefined;
    const call: Call = { number: ++this.#number, name, args };
    this.#waiting.set(call.number, { name, job, resolve });
    if (name === "send" || name === "receive") this.#jobs.add(job!);
    if (name === "drop") this.#jobs.delete(job!);
    if (this.#early === undefined) worker.postMessage(call, memoryOf(call));
    else this.#early.push(call);
    return promise;
  }

  #start(): Worker {
    const worker = new Worker(this.#module, { type: "module", name: WORKER_NAME });
    this.#early = [];
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#take(worker, data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failed(event.message);
    };
    return worker;
  }

  #take(worker: Worker, reply: Reply): void {
    switch (reply.type) {
      case "ready":
        for (const call of this.#early ?? []) worker.postMessage(call);
        this.#early = undefined;
        return;
      case "report":
        return this.#tell(reply.job, reply.report);
      case "result":
        this.#waiting.get(reply.number)?.resolve(reply.result);
        return void this.#waiting.delete(reply.number);
      case "error":
        return this.#fail(reply.number, reply.message);
    }
  }

  #tell(job: number, report: JobReport): void {
    if (report.type === "done" || report.type === "stopped") this.#jobs.delete(job);
    this.#report(job, report);
  }

  /** A call has failed, and with it its job. */
  #fail(number: number, message: string): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    const failure: Failure = { code: "unreadable", text: message };
    waiting.resolve(waiting.name === "describe" ? { failure } : WITHOUT[waiting.name]);
    if (waiting.job !== undefined) this.#end(waiting.job, failure);
  }

  #end(job: number, failure: Failure): void {
    if (this.#jobs.has(job)) this.#tell(job, { type: "stopped", failure, byOther: false });
  }

  #failed(message: string): void {
    this.end();
    for (const number of Array.from(this.#waiting.keys())) this.#fail(number, message);
    for (const job of this.#jobs) this.#end(job, { code: "unreadable", text: message });
  }

  /** Ends the Worker. */
  end(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#early = undefined;
  }
}
