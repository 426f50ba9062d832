/**
 * Standard input as lines of strict UTF-8, and as the messages of pipe mode.
 *
 * @module
 */

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_TEXT_BYTES } from "../protocol/messages.ts";

/** Lines that arrive within this time of each other travel as one message. */
export const MERGE_MS = 100;
/** A line of `--json` is never longer: a text of 8192 bytes, each written as a `\u` escape, with room around it. */
export const MAX_LINE_BYTES = 128 * 1024;

/** Bytes read ahead before anything is wanted; the end of a longer input is not seen until then. */
export const MAX_AHEAD_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** A line, or why it is none. */
export type Line = { text: string } | { error: string };

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #length = 0;
  #number = 0;

  /** Takes the next bytes; they are copied. */
  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = [];
    let rest = chunk;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      this.#keep(rest.subarray(0, end));
      lines.push(this.#finish());
      rest = rest.subarray(end + 1);
    }
    this.#keep(rest);
    return lines;
  }

  /** The end of the input: gives the last line, if it had no line break. */
  end(): Line[] {
    return this.#length > 0 ? [this.#finish()] : [];
  }

  #keep(part: Uint8Array): void {
    // Of a line that is too long its length is enough.
    if (this.#length <= MAX_LINE_BYTES) this.#parts.push(part.slice());
    this.#length += part.length;
  }

  #finish(): Line {
    this.#number++;
    const length = this.#length;
    const parts = this.#parts;
    this.#parts = [];
    this.#length = 0;
    const place = `line ${this.#number} of standard input`;
    if (length > MAX_LINE_BYTES) return { error: `${place} is too long: ${length} bytes` };
    const bytes = new Uint8Array(length);
    let offset = 0;
    for (const part of parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    try {
      return { text: decodeUtf8(bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes) };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { error: `${place} is not UTF-8` };
    }
  }
}

/** Standard input, read ahead of its use so that its end is seen. */
export class ReadAhead {
  readonly #source: (into: Uint8Array) => Promise<number | null>;
  #chunks: Uint8Array[] = [];
  #reading: Promise<void> | undefined;
  #ended = false;
  #blank = true;
  /** Whoever reads takes everything as it comes. */
  #isRead = false;

  /** @param source Reads some bytes: how many, or null at the end. One call at a time. */
  constructor(source: (into: Uint8Array) => Promise<number | null>) {
    this.#source = source;
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing but white space has been read ahead. */
  get blank(): boolean {
    return this.#blank;
  }

  /**
   * Reads ahead, at most {@linkcode MAX_AHEAD_BYTES}, until it is enough or somebody reads.
   *
   * @param isEnough Looked at before each read.
   * @returns Resolves when nothing more is read ahead.
   */
  fill(isEnough: () => boolean): Promise<void> {
    return this.#reading = this.#fill(isEnough).finally(() => this.#reading = undefined);
  }

  /** Reads as the source does, first what was read ahead. One call at a time. */
  async read(into: Uint8Array): Promise<number | null> {
    this.#isRead = true;
    if (this.#chunks.length === 0) await this.#reading;
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return this.#ended ? null : await this.#source(into);
    const length = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, length));
    if (length < chunk.length) this.#chunks.unshift(chunk.subarray(length));
    return length;
  }

  async #fill(isEnough: () => boolean): Promise<void> {
    for (let total = 0; total < MAX_AHEAD_BYTES && !this.#isRead && !isEnough();) {
      const chunk = new Uint8Array(READ_BYTES);
      const length = await this.#source(chunk);
      if (length === null) {
        this.#ended = true;
        return;
      }
      this.#chunks.push(chunk.subarray(0, length));
      total += length;
      this.#blank &&= !/\S/.test(new TextDecoder().decode(chunk.subarray(0, length)));
    }
  }
}

/** Puts lines together into messages. */
export class LineMerger {
  #clock: Clock;
  #send: (text: string) => void;
  #lines: string[] = [];
  #bytes = 0;
  #timer: Timer | undefined;

  /** @param send Gets each message: not blank, without blank lines at its ends, perhaps too long by one line. */
  constructor(clock: Clock, send: (text: string) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Adds a line; it goes out within {@linkcode MERGE_MS} of the last that is added. */
  add(line: string): void {
    const bytes = encodeUtf8(line).length;
    if (this.#lines.length > 0 && this.#bytes + 1 + bytes > MAX_TEXT_BYTES) this.flush();
    if (this.#lines.length === 0 && line.trim() === "") return;
    this.#bytes += bytes + (this.#lines.length > 0 ? 1 : 0);
    this.#lines.push(line);
    this.#clock.cancel(this.#timer);
    this.#timer = this.#clock.after(MERGE_MS, () => this.flush());
  }

  /** Sends what there is. */
  flush(): void {
    this.#clock.cancel(this.#timer);
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    while (lines.length > 0 && lines.at(-1)!.trim() === "") lines.pop();
    if (lines.length > 0) this.#send(lines.join("\n"));
  }
}
