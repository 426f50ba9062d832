/**
 * The sending end of a transfer of standard input: its size is not known, and it can be read only once.
 *
 * @module
 */

import type { FileFrame } from "../../protocol/file_frames.ts";
import type { Have } from "./sink.ts";
import { type JobSource, NO_LISTING, type Offered, SourceError } from "./source.ts";

/** The path that stands for standard input; others are absolute. */
export const STANDARD_INPUT = "-";
/** What is read and not sent yet. */
const BUFFER_BYTES = 256 * 1024;

/** What is offered. @param now In ms since 1970. */
export function describePiped(now: number): Offered {
  return {
    path: STANDARD_INPUT,
    kind: "file",
    name: "stdin",
    size: null,
    entries: 1,
    mtime: now,
    executable: false,
    listing: NO_LISTING,
  };
}

/** Reads ahead; one of these lasts as long as the program. */
export class PipedSource implements JobSource {
  readonly #read: (into: Uint8Array) => Promise<number | null>;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #position = 0;
  #isReading = false;
  #isAtEnd = false;
  #isDone = false;
  #error: SourceError | undefined;
  readonly skipped = 0;
  onReady: () => void = () => {};

  /** @param read Resolves to null at the end. */
  constructor(read: (into: Uint8Array) => Promise<number | null>) {
    this.#read = read;
  }

  get position(): number {
    return this.#position;
  }

  begin({ have }: Have): Promise<FileFrame> {
    if (have === 0 && this.#position === 0 && !this.#isDone) {
      return Promise.resolve({ type: "go", from: 0 });
    }
    return Promise.reject(new SourceError("unreadable", "standard input can be read only once"));
  }

  next(space: Uint8Array): FileFrame | undefined {
    if (this.#isDone) return undefined;
    if (this.#start < this.#end) return this.#take(space);
    if (this.#error !== undefined) throw this.#error;
    if (this.#isAtEnd) {
      this.#isDone = true;
      return { type: "done", total: this.#position };
    }
    void this.#readMore();
    return undefined;
  }

  #take(space: Uint8Array): FileFrame {
    const ready = this.#buffer.subarray(this.#start, this.#end).subarray(0, space.length);
    space.set(ready);
    this.#start += ready.length;
    this.#position += ready.length;
    if (this.#start === this.#end) void this.#readMore();
    return { type: "data", data: space.subarray(0, ready.length) };
  }

  async #readMore(): Promise<void> {
    if (this.#isReading || this.#isAtEnd) return;
    this.#isReading = true;
    try {
      const read = await this.#read(this.#buffer);
      this.#start = 0;
      this.#end = read ?? 0;
      this.#isAtEnd = read === null;
    } catch (error) {
      this.#error = new SourceError("unreadable", error instanceof Error ? error.message : "");
    }
    this.#isReading = false;
    this.onReady();
  }

  /** What was read waits for the next job. */
  close(): void {
    this.onReady = () => {};
  }
}
