/**
 * Runs the jobs of all transfers: in the Worker, and in tests. What {@linkcode JobHost} does is called by name from the
 * main thread, so arguments and results are plain data.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { decodeHex, release } from "../../base/bytes.ts";
import { FileSecret } from "../../protocol/file_connection.ts";
import type { FileFrame } from "../../protocol/file_frames.ts";
import { type FileNetwork, type Listening, type Place, race } from "./direct.ts";
import type { Disk } from "./disk.ts";
import { FileSink } from "./file_sink.ts";
import { FolderSink } from "./folder_sink.ts";
import { type Failure, failureOf, type JobReport } from "./jobs.ts";
import { Part, type PartHead } from "./part.ts";
import { ReceiveJob } from "./receive_job.ts";
import { SendJob } from "./send_job.ts";
import type { Have } from "./sink.ts";
import { Slices } from "./slices.ts";
import { describePiped, PipedSource, STANDARD_INPUT } from "./piped.ts";
import { describeSource, type JobSource, type Offered, Source } from "./source.ts";

/** What is to be received, and where. */
export interface Order {
  /** An existing folder. */
  readonly folder: string;
  readonly head: PartHead;
  readonly entries: number;
}

/** What {@linkcode JobHost} needs, and whom it tells. */
export interface JobHostOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly network: FileNetwork;
  /** Reads standard input; resolves to null at its end. */
  readInput(into: Uint8Array): Promise<number | null>;
  report(job: number, report: JobReport): void;
}

/** The side of a direct connection that is being made. */
interface Attempt {
  readonly listening: Listening;
  readonly own: FileSecret;
  readonly id: Uint8Array;
  readonly ending: AbortController;
}

export class JobHost {
  readonly #options: JobHostOptions;
  readonly #jobs = new Map<number, SendJob | ReceiveJob>();
  readonly #attempts = new Map<number, Attempt>();
  #piped: PipedSource | undefined;

  constructor(options: JobHostOptions) {
    this.#options = options;
  }

  /** Looks at what is to be offered; see {@linkcode describeSource}. */
  async describe(
    path: string,
  ): Promise<{ offered: Offered; leftOut: number } | { failure: Failure }> {
    const { clock, disk } = this.#options;
    if (path === STANDARD_INPUT) return { offered: describePiped(clock.wallTime()), leftOut: 0 };
    try {
      return await describeSource(disk, path, new Slices(clock).pause);
    } catch (error) {
      return { failure: failureOf(error) };
    }
  }

  /** Looks for the part of an offer; see {@linkcode Part.find}. */
  find(folder: string, head: PartHead): PartHead | undefined {
    try {
      return Part.find(this.#options.disk, folder, head);
    } catch {
      return undefined; // whatever is there cannot be gone on with
    }
  }

  /** Removes old parts; see {@linkcode Part.tidy}. */
  async tidy(folder: string): Promise<void> {
    try {
      await Part.tidy(this.#options.disk, folder, this.#options.clock.wallTime());
    } catch {
      // They take room, and nothing else.
    }
  }

  /** Begins a job that reads, or begins it anew after what the receiver has. */
  async send(job: number, offered: Offered, have: Have): Promise<void> {
    this.#jobs.get(job)?.drop();
    const created = new SendJob({ ...this.#common(job), source: this.#open(offered) });
    this.#jobs.set(job, created);
    await created.begin(have);
  }

  #open(offered: Offered): JobSource {
    if (offered.path !== STANDARD_INPUT) return new Source(this.#options.disk, offered);
    return this.#piped ??= new PipedSource((into) => this.#options.readInput(into));
  }

  /**
   * Begins a job that writes, or begins it anew.
   *
   * @returns What is there already; undefined if the job has failed, which it reports.
   */
  receive(job: number, { folder, head, entries }: Order): Promise<Have | undefined> {
    this.#jobs.get(job)?.drop();
    const options = { disk: this.#options.disk, folder, head };
    const sink = head.kind === "file"
      ? new FileSink(options)
      : new FolderSink({ ...options, entries });
    const created = new ReceiveJob({ ...this.#common(job), sink });
    this.#jobs.set(job, created);
    return created.look();
  }

  #common(job: number) {
    return {
      clock: this.#options.clock,
      report: (report: JobReport) => this.#report(job, report),
    };
  }

  #report(job: number, report: JobReport): void {
    if (report.type === "done" || report.type === "stopped") {
      this.#jobs.delete(job);
      this.#giveUpAttempt(job);
    }
    this.#options.report(job, report);
  }

  /**
   * Listens for the other side of a job.
   *
   * @param id 32 hex digits.
   * @param secret 32 bytes, for WHERE.
   * @returns The port; 0 if that cannot be.
   */
  listen(job: number, id: string, secret: Uint8Array): number {
    this.#giveUpAttempt(job);
    const bytes = decodeHex(id);
    const listening = this.#listen();
    if (listening === undefined) return 0;
    const own = new FileSecret(bytes, secret);
    this.#attempts.set(job, { listening, own, id: bytes, ending: new AbortController() });
    return listening.port;
  }

  #listen(): Listening | undefined {
    try {
      return this.#options.network.listen();
    } catch {
      return undefined; // there is another way
    }
  }

  /**
   * Makes a direct connection and goes on over it.
   *
   * @param secret That of the other side's WHERE.
   * @returns Whether there is one; a job that writes learns only from its end that there is none.
   */
  async connect(job: number, secret: Uint8Array, places: readonly Place[]): Promise<boolean> {
    const attempt = this.#attempts.get(job);
    if (attempt === undefined) return false;
    const { clock, network } = this.#options;
    const won = await race({
      clock,
      network,
      listening: attempt.listening,
      own: attempt.own,
      other: new FileSecret(attempt.id, secret),
      places,
      sends: this.#jobs.get(job) instanceof SendJob,
      signal: attempt.ending.signal,
    });
    if (this.#attempts.get(job) === attempt) this.#attempts.delete(job);
    const running = this.#jobs.get(job);
    if (won === undefined) return false;
    if (running === undefined || attempt.ending.signal.aborted) {
      won.stream.close();
      return false;
    }
    void running.attach(won.stream, won.frames);
    return true;
  }

  /** Hands out the next frames of a job for the relay. */
  pull(job: number, count: number): void {
    const running = this.#jobs.get(job);
    if (running instanceof SendJob) running.pull(count);
  }

  /** Takes frames that came through the relay, and frees their memory. */
  async take(job: number, frames: readonly FileFrame[]): Promise<void> {
    const running = this.#jobs.get(job);
    if (running === undefined || running.isDirect) return;
    // With GO the sender goes through the relay.
    if (frames.some(({ type }) => type === "go")) this.#giveUpAttempt(job);
    await running.receive(frames);
    for (const frame of frames) if (frame.type === "data") release(frame.data);
  }

  /** Ends a job and tells the other side. */
  stop(job: number, failure: Failure, discard: boolean): void {
    this.#jobs.get(job)?.stop(failure, { discard });
  }

  /** Lets go of a job without a word; its part stays. */
  drop(job: number): void {
    this.#giveUpAttempt(job);
    this.#jobs.get(job)?.drop();
    this.#jobs.delete(job);
  }

  #giveUpAttempt(job: number): void {
    const attempt = this.#attempts.get(job);
    if (attempt === undefined) return;
    this.#attempts.delete(job);
    attempt.ending.abort();
    attempt.listening.close();
  }
}

/** What may be called from the main thread. */
export type JobCalls = {
  [Name in keyof JobHost]: (
    ...args: Parameters<JobHost[Name]>
  ) => Promise<Awaited<ReturnType<JobHost[Name]>>>;
};
