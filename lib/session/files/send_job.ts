/**
 * The end of a transfer that reads.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { FileRecords } from "../../protocol/file_connection.ts";
import { encodeFileFrame, type FileFrame } from "../../protocol/file_frames.ts";
import { MAX_PIECE_BYTES } from "../../protocol/file_messages.ts";
import { Job, type JobOptions } from "./jobs.ts";
import type { Have } from "./sink.ts";
import type { JobSource } from "./source.ts";

/** A record takes no further frame with less room than this: the largest ENTRY fits. */
const FULL_BYTES = 2048;

/** Sends a file or folder to one receiver. */
export class SendJob extends Job {
  readonly #source: JobSource;
  /** The furthest position that was sent: what is skipped later may have been written before. */
  #furthest = 0;
  #isSent = false;
  /** Where the DATA of a PIECE is read to. */
  readonly #piece = new Uint8Array(MAX_PIECE_BYTES);
  /** GO, until it is sent. */
  #ready: FileFrame | undefined;
  /** Frames for the relay that were asked for when there were none. */
  #owed = 0;

  constructor(options: JobOptions & { source: JobSource }) {
    super(options);
    this.#source = options.source;
    this.#source.onReady = () => {
      if (this.isDirect) this.wake();
      else if (this.#owed > 0) this.pull(this.#owed);
    };
  }

  /** Begins after what the receiver has; nothing has been sent on the present way yet. */
  begin(have: Have): Promise<void> {
    return this.prepare(() => this.#begin(have));
  }

  async #begin(have: Have): Promise<void> {
    try {
      const ready = await this.#source.begin(have, this.pause);
      if (this.isOver) return;
      this.#ready = ready;
      this.#isSent = false;
      this.#owed = 0;
      this.#furthest = this.position;
      this.options.report({ type: "progress", position: this.position });
    } catch (error) {
      this.fail(error);
    }
  }

  protected override get position(): number {
    return this.#source.position;
  }

  protected override fill(records: FileRecords): void {
    while (records.room >= FULL_BYTES) {
      const frame = this.#next(records.space);
      if (frame === undefined) return;
      records.add(frame);
    }
  }

  #next(space: Uint8Array): FileFrame | undefined {
    const ready = this.#ready;
    if (ready !== undefined) {
      this.#ready = undefined;
      return ready;
    }
    const frame = this.#source.next(space);
    if (frame?.type === "done") this.#isSent = true;
    this.#furthest = Math.max(this.#furthest, this.position);
    return frame;
  }

  /** Hands out the next frames that go through the relay. */
  pull(count: number): void {
    if (this.isOver || this.isDirect) return;
    const frames: Bytes[] = [];
    const positions: number[] = [];
    try {
      while (frames.length < count) {
        const frame = this.#next(this.#piece);
        if (frame === undefined) break;
        frames.push(encodeFileFrame(frame));
        positions.push(this.position);
      }
    } catch (error) {
      return this.fail(error);
    }
    this.#owed = frames.length === 0 ? count : 0;
    this.options.report({ type: "pulled", frames, positions });
  }

  protected override take(frame: FileFrame): void {
    if (frame.type === "got") {
      if (frame.total > this.#furthest) {
        if (!this.isDirect) return; // of an earlier way
        throw new ProtocolError("bad-field");
      }
      this.options.report({ type: "progress", position: frame.total });
    } else if (frame.type === "kept" && this.#isSent) {
      const { position, skipped } = this.#source;
      this.end({ type: "done", path: "", position, skipped });
    } else throw new ProtocolError("unexpected");
  }

  protected override close(): void {
    this.#source.close();
  }

  protected override discard(): Promise<void> {
    return Promise.resolve();
  }
}
