/**
 * The end of a transfer that writes.
 *
 * @module
 */

import type { Timer } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { FileFrame } from "../../protocol/file_frames.ts";
import { failureOf, Job, type JobOptions } from "./jobs.ts";
import type { Have, Sink } from "./sink.ts";

/** How much is written, and how long ago, before the sender is told. */
const GOT_BYTES = 1024 * 1024;
const GOT_MS = 100;
/** The same through the relay, where the sender waits for it. */
const GOT_BYTES_RELAYED = 48 * 1024;
const GOT_MS_RELAYED = 20;

/** Receives a file or folder. */
export class ReceiveJob extends Job {
  readonly #sink: Sink;
  #have = 0;
  #toldPosition = 0;
  #toldAt = 0;
  #toldLater: Timer | undefined;
  /** What comes before GO belongs to an earlier way. */
  #isGoing = false;
  /** DONE has come. */
  #isFinishing = false;

  constructor(options: JobOptions & { sink: Sink }) {
    super(options);
    this.#sink = options.sink;
  }

  /**
   * Looks for what is there, before each ANSWER that says so.
   *
   * @returns Nothing if the transfer failed.
   */
  look(): Promise<Have | undefined> {
    return this.prepare(() => this.#look());
  }

  async #look(): Promise<Have | undefined> {
    try {
      const have = await this.#sink.look(this.pause);
      if (this.isOver) return undefined;
      this.#have = have.have;
      return have;
    } catch (error) {
      if (this.isOver) return undefined;
      const failure = failureOf(error);
      this.end({ type: "stopped", failure, byOther: false });
      return undefined;
    }
  }

  protected override get position(): number {
    return this.#sink.position;
  }

  /** A GO that does not fit may belong to an earlier ANSWER: it and the next one have crossed. */
  #isCrossed(frame: FileFrame): boolean {
    if (frame.type !== "go" || this.isDirect) return false;
    return this.#isGoing || (frame.from !== 0 && frame.from !== this.#have);
  }

  protected override take(frame: FileFrame): void | Promise<void> {
    if (this.#isCrossed(frame)) {
      this.drop();
      return this.options.report({ type: "broken" });
    }
    if (frame.type === "go") this.#isGoing = true;
    if (!this.#isGoing) return;
    if (this.#isFinishing) throw new ProtocolError("unexpected");
    if (frame.type === "done") return void this.#finish(frame.total);
    const taken = this.#sink.take(frame);
    if (taken === undefined) return this.#tell();
    return taken.then(() => frame.type === "go" ? this.#begun() : this.#tell());
  }

  /** What was there counts. */
  #begun(): void {
    if (this.isOver) return;
    const { position } = this.#sink;
    this.#toldPosition = position;
    this.options.report({ type: "progress", position });
  }

  /** Others' transfers and this one's end, if somebody wants it, come meanwhile. */
  async #finish(total: number): Promise<void> {
    this.#isFinishing = true;
    try {
      const path = await this.#sink.finish(total, this.pause);
      if (path === undefined) return;
      const { position, skipped } = this.#sink;
      this.send({ type: "kept" });
      this.end({ type: "done", path, position, skipped });
    } catch (error) {
      if (!this.isOver) this.fail(error);
    }
  }

  /** Tells the sender how much is written, if it is time. */
  #tell(): void {
    if (this.isOver) return;
    const { clock, report } = this.options;
    const { isDirect } = this;
    const { position } = this.#sink;
    if (position === this.#toldPosition) return;
    const delay = isDirect ? GOT_MS : GOT_MS_RELAYED;
    const isMuch = position - this.#toldPosition >= (isDirect ? GOT_BYTES : GOT_BYTES_RELAYED);
    if (!isMuch && clock.now() - this.#toldAt < delay) {
      this.#toldLater ??= clock.after(delay, () => {
        this.#toldLater = undefined;
        this.#tell();
      });
      return;
    }
    this.#toldPosition = position;
    this.#toldAt = clock.now();
    if (isDirect) report({ type: "progress", position });
    this.send({ type: "got", total: position }); // through the relay it says where this is, too
  }

  protected override fill(): void {}

  protected override close(): void {
    this.options.clock.cancel(this.#toldLater);
    this.#sink.close();
  }

  protected override discard(): Promise<void> {
    return this.#sink.discard();
  }
}
