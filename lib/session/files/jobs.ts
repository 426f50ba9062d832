/**
 * One transfer at either end, as it runs in the Worker: the disk on one side, a direct connection or the main thread,
 * which passes frames through the relay, on the other (PROTOCOL.md §15).
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { DecryptError, ProtocolError } from "../../base/errors.ts";
import type { FileRecords } from "../../protocol/file_connection.ts";
import { encodeFileFrame, type FileFrame, type StopCode } from "../../protocol/file_frames.ts";
import type { FileStream } from "./direct.ts";
import { isDiskFull } from "./disk.ts";
import { NoPlaceError } from "./part.ts";
import { Slices } from "./slices.ts";
import { NameError, NoRoomError } from "./sink.ts";
import { SourceError } from "./source.ts";

/** Without a frame for this long a direct connection is dropped, §10. */
export const FILE_SILENCE_MS = 30_000;
const ALIVE_MS = 10_000;

/** Why a transfer ended without being complete. */
export interface Failure {
  readonly code: StopCode;
  /** In words, of this side only; empty where the code says it. */
  readonly text: string;
  /** Bytes that are missing on the disk. */
  readonly missing?: number;
}

/** What a job tells the main thread. */
export type JobReport =
  /** So many bytes are written at the receiver, or known to be there. */
  | { readonly type: "progress"; readonly position: number }
  | {
    readonly type: "done";
    readonly path: string;
    readonly position: number;
    readonly skipped: number;
  }
  /** It ended; `byOther` if the other side said so. */
  | { readonly type: "stopped"; readonly failure: Failure; readonly byOther: boolean }
  /** The way is gone, or unclear: the receiver has to answer again. */
  | { readonly type: "broken" }
  /** Encoded frames, to be sent as PIECEs at once; so many bytes have been read or written. */
  | { readonly type: "pieces"; readonly frames: readonly Bytes[]; readonly position: number }
  /** Those that were asked for, each with how many bytes have been read after it. */
  | {
    readonly type: "pulled";
    readonly frames: readonly Bytes[];
    readonly positions: readonly number[];
  };

/** Says what an error of the disk or of the other side means. */
export function failureOf(error: unknown): Failure {
  if (error instanceof SourceError) return { code: error.code, text: error.message };
  if (error instanceof NameError || error instanceof NoPlaceError) {
    return { code: "name", text: "" };
  }
  if (error instanceof NoRoomError) return { code: "disk-full", text: "", missing: error.missing };
  if (isDiskFull(error)) return { code: "disk-full", text: "" };
  if (error instanceof ProtocolError || error instanceof DecryptError) {
    return { code: "protocol", text: "" };
  }
  return { code: "unreadable", text: error instanceof Error ? error.message : String(error) };
}

export interface JobOptions {
  readonly clock: Clock;
  report(report: JobReport): void;
}

/** What both ends have in common: a direct connection that is watched, and an end. */
export abstract class Job {
  protected readonly options: JobOptions;
  #stream: FileStream | undefined;
  #isOver = false;
  #heard = 0;
  #watch: Timer | undefined;
  /** Frames that go with the next record. */
  #waiting: FileFrame[] = [];
  /** Since the last look there is something to do. */
  #isWoken = false;
  #slices: Slices;
  /** Resolves once what is there already has been looked at. */
  #prepared = Promise.resolve();
  #wake: () => void = () => {};

  constructor(options: JobOptions) {
    this.options = options;
    this.#slices = new Slices(options.clock);
  }

  /** Bytes that were read or written. */
  protected abstract get position(): number;
  /** Acts on a frame of the other side. */
  protected abstract take(frame: FileFrame): void | Promise<void>;
  /** Adds to a record what this side has to send; nothing for now is no reason to be called again. */
  protected abstract fill(records: FileRecords): void;
  protected abstract close(): void;
  /** Lets go of what is on the disk, and removes it. */
  protected abstract discard(): Promise<void>;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Does what takes as long as reading a file; frames that come meanwhile wait. */
  protected prepare<T>(act: () => Promise<T>): Promise<T> {
    this.#slices = new Slices(this.options.clock);
    const preparing = act();
    this.#prepared = preparing.then(() => {});
    return preparing;
  }

  protected readonly pause = async (): Promise<boolean> => {
    await this.#slices.pause();
    return !this.#isOver;
  };

  get isDirect(): boolean {
    return this.#stream !== undefined;
  }

  /** Sends a frame the way that is open now. */
  protected send(frame: FileFrame): void {
    if (this.#stream === undefined) {
      const { position } = this;
      const frames = [encodeFileFrame(frame)];
      return this.options.report({ type: "pieces", frames, position });
    }
    this.#waiting.push(frame);
    this.wake();
  }

  /** There may be something to send on the direct connection. */
  protected wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /**
   * Uses a direct connection until its end.
   *
   * @param first Frames that have come on it already.
   */
  async attach(stream: FileStream, first: readonly FileFrame[] = []): Promise<void> {
    this.#stream?.close();
    this.#stream = stream;
    this.#waiting = [];
    this.#heard = this.options.clock.now();
    this.#watchSilence(stream);
    const reading = this.#read(stream, first);
    await this.#write(stream);
    if (this.#stream === stream) await stream.finish(this.options.clock, reading);
    stream.close();
    await reading;
  }

  async #read(stream: FileStream, first: readonly FileFrame[]): Promise<void> {
    try {
      let frames: readonly FileFrame[] | undefined = first;
      do {
        this.#heard = this.options.clock.now();
        await this.receive(frames, () => this.#stream === stream);
      } while (!this.#isOver && (frames = await stream.receive()));
    } catch (error) {
      // What does not verify, which anybody on the way can send, or an error of the socket costs the connection only.
      if (error instanceof ProtocolError) this.fail(error);
    }
    if (!this.#isOver) this.#detach(stream);
  }

  async #write(stream: FileStream): Promise<void> {
    const { records } = stream;
    let writing = Promise.resolve();
    try {
      while (this.#stream === stream) {
        this.#isWoken = false;
        for (const frame of this.#waiting.splice(0)) records.add(frame);
        if (!this.#isOver) this.#fill(records);
        await writing;
        if (!records.isEmpty) writing = stream.send();
        else if (!this.#isWoken) {
          if (this.#isOver) return;
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      }
    } catch {
      this.#detach(stream);
    }
  }

  #fill(records: FileRecords): void {
    try {
      this.fill(records);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Lets a direct connection go, and says so. */
  #detach(stream: FileStream): void {
    stream.close();
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.options.clock.cancel(this.#watch);
    this.wake();
    if (!this.#isOver) this.options.report({ type: "broken" });
  }

  #watchSilence(stream: FileStream): void {
    const { clock } = this.options;
    this.#watch = clock.after(ALIVE_MS, () => {
      if (clock.now() - this.#heard >= FILE_SILENCE_MS) return this.#detach(stream);
      this.send({ type: "alive" });
      this.#watchSilence(stream);
    });
  }

  /**
   * Takes frames from either way, in slices.
   *
   * @param isWanted Whether that way is still the present one.
   */
  async receive(frames: readonly FileFrame[], isWanted = () => true): Promise<void> {
    await this.#prepared;
    const slices = this.#slices = new Slices(this.options.clock);
    for (const frame of frames) {
      if (slices.isOver) await this.#meanwhile(slices.rest());
      if (!isWanted()) return;
      const taking = this.#receive(frame);
      if (taking !== undefined) await this.#meanwhile(taking.catch((error) => this.fail(error)));
    }
  }

  /** What comes while this takes its time is not read yet: the other side is not silent. */
  async #meanwhile(work: Promise<void>): Promise<void> {
    await work;
    this.#heard = this.options.clock.now();
  }

  /** @returns Nothing if that is done already, as it mostly is. */
  #receive(frame: FileFrame): void | Promise<void> {
    if (this.#isOver || frame.type === "alive") return;
    if (frame.type === "stop") {
      return this.end({ type: "stopped", failure: { code: frame.code, text: "" }, byOther: true });
    }
    try {
      return this.take(frame);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Ends the transfer because of an error, and tells the other side. */
  protected fail(error: unknown): void {
    this.stop(failureOf(error));
  }

  /** Ends the transfer and tells the other side. */
  stop(failure: Failure, { discard = false } = {}): void {
    if (this.#isOver) return;
    this.send({ type: "stop", code: failure.code });
    const report = (why: Failure) =>
      this.options.report({ type: "stopped", failure: why, byOther: false });
    const discarding = discard ? this.discard() : undefined;
    this.drop();
    if (discarding === undefined) report(failure);
    else discarding.then(() => report(failure), (error) => report(failureOf(error)));
  }

  protected end(report: JobReport): void {
    this.drop();
    this.options.report(report);
  }

  /** Lets go of the disk; a direct connection ends when what waits has been written. */
  drop(): void {
    this.#isOver = true;
    this.options.clock.cancel(this.#watch);
    this.close();
    this.wake();
  }
}
