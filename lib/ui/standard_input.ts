/**
 * Standard input for the faces without a terminal: read ahead, cut into lines, joined into messages, and its end.
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { segments } from "../base/text.ts";
import { MAX_TEXT_BYTES } from "../protocol/messages.ts";
import type { Session } from "../session/mod.ts";

/** Lines that arrive within this time of each other become one message. */
export const MERGE_MS = 100;
/** The longest line: fits a `--json` request with a text of 8192 bytes, each written as a `\u` escape. */
export const MAX_LINE_BYTES = 128 * 1024;
/** Bytes read ahead while nothing can be sent yet; the end of a longer input is not seen until then. */
export const MAX_AHEAD_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
/** Looked at beyond a cut, to keep grapheme clusters whole; in UTF-16 units. */
const CLUSTER_LOOKAHEAD = 64;

/** Reads some bytes: how many, or null at the end. One call at a time. */
export type Read = (into: Uint8Array) => Promise<number | null>;

/** A line, or part of one that goes on (`isCut`), or what is wrong with it. */
export type Line = { text: string; isCut?: true } | { error: string };

/** Cuts a stream of bytes into lines; drops a byte order mark at its very beginning. */
export class LineSplitter {
  readonly #cuts: boolean;
  #parts: Uint8Array[] = [];
  #length = 0;
  #number = 1;
  #isFirst = true;
  /** Whether the rest of the line is dropped: part of it was not UTF-8. */
  #isBad = false;

  /** @param options.cuts Whether to give a line of more than {@linkcode MAX_LINE_BYTES} in parts, not to refuse it. */
  constructor({ cuts = false } = {}) {
    this.#cuts = cuts;
  }

  /** Adds bytes, which are copied, and returns the lines that they complete. */
  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = [];
    let rest = chunk;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      this.#keep(rest.subarray(0, end), lines);
      this.#finish(lines);
      rest = rest.subarray(end + 1);
    }
    this.#keep(rest, lines);
    return lines;
  }

  /** Returns the last line, if it has no line break. */
  end(): Line[] {
    const lines: Line[] = [];
    const mayBeMark = this.#isFirst && this.#length === BYTE_ORDER_MARK.length;
    if (this.#length > 0) this.#finish(lines);
    // A byte order mark alone is no line.
    return lines.filter((line) => !(mayBeMark && "text" in line && line.text === ""));
  }

  #keep(part: Uint8Array, lines: Line[]): void {
    let rest = part;
    while (this.#cuts && this.#length + rest.length > MAX_LINE_BYTES) {
      const room = MAX_LINE_BYTES - this.#length;
      this.#parts.push(rest.slice(0, room));
      this.#length += room;
      this.#cut(lines);
      rest = rest.subarray(room);
    }
    // Of a line that is too long, only the length is needed.
    if (this.#length <= MAX_LINE_BYTES) this.#parts.push(rest.slice());
    this.#length += rest.length;
  }

  #finish(lines: Line[]): void {
    const length = this.#length;
    const bytes = this.#takeBytes();
    if (length > MAX_LINE_BYTES) {
      lines.push({ error: `${this.#place} is too long: ${length} bytes` });
    } else this.#decode(bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes, lines);
    this.#number++;
    this.#isBad = false;
  }

  /** Gives what there is of a long line, but for the bytes of a character that is not complete. */
  #cut(lines: Line[]): void {
    const bytes = this.#takeBytes();
    let end = bytes.length - 1;
    while (end > bytes.length - 4 && (bytes[end]! & 0xc0) === 0x80) end--;
    this.#parts = [bytes.subarray(end)];
    this.#length = bytes.length - end;
    this.#decode(bytes.subarray(0, end), lines, { isCut: true });
  }

  #takeBytes(): Uint8Array {
    const parts = this.#parts;
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    this.#parts = [];
    this.#length = 0;
    let offset = 0;
    for (const part of parts) { // perhaps too many to be arguments of concat()
      bytes.set(part, offset);
      offset += part.length;
    }
    const isMarked = this.#isFirst && BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte);
    this.#isFirst = false;
    return isMarked ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  }

  #decode(bytes: Uint8Array, lines: Line[], cut?: { isCut: true }): void {
    if (this.#isBad) return;
    try {
      lines.push({ text: decodeUtf8(bytes), ...cut });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#isBad = true;
      lines.push({ error: `${this.#place} is not UTF-8` });
    }
  }

  get #place(): string {
    return `line ${this.#number} of standard input`;
  }
}

/** Reads a source ahead of its use, so that its end is seen early. */
export class ReadAhead {
  readonly #source: Read;
  #chunks: Uint8Array[] = [];
  #reading: Promise<void> | undefined;
  #ended = false;
  #blank = true;
  /** Set by the first {@linkcode ReadAhead.read}, which ends reading ahead. */
  #isRead = false;

  constructor(source: Read) {
    this.#source = source;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether only white space has been read ahead. */
  get blank(): boolean {
    return this.#blank;
  }

  /**
   * Reads ahead, at most {@linkcode MAX_AHEAD_BYTES}, until `isEnough` or the first {@linkcode ReadAhead.read}.
   *
   * @param isEnough Checked before each read.
   */
  fill(isEnough: () => boolean): Promise<void> {
    return this.#reading = this.#fill(isEnough).finally(() => this.#reading = undefined);
  }

  /** Reads as the source does; what was read ahead comes first. One call at a time. */
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

/** Joins lines into messages. */
export class LineMerger {
  #clock: Clock;
  #send: (text: string) => void;
  #lines: string[] = [];
  #bytes = 0;
  /** Whether the last line goes on with what comes next. */
  #isOpen = false;
  #timer: Timer | undefined;

  /** @param send Gets each message: not blank, no blank lines at its ends, at most {@linkcode MAX_TEXT_BYTES}. */
  constructor(clock: Clock, send: (text: string) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /**
   * Adds a line, which becomes several messages if it is too long for one; what is added is sent {@linkcode MERGE_MS}
   * after the last line, or before.
   *
   * @param options.isCut Whether the line goes on with the next call.
   */
  add(line: string, { isCut = false } = {}): void {
    let rest = this.#isOpen ? this.#takeLast() + line : line;
    this.#isOpen = false;
    for (let end = findCut(rest); end < rest.length; end = findCut(rest)) {
      this.flush();
      this.#push(rest.slice(0, end));
      this.flush();
      rest = rest.slice(end);
    }
    const bytes = encodeUtf8(rest).length;
    if (this.#lines.length > 0 && this.#bytes + 1 + bytes > MAX_TEXT_BYTES) this.flush();
    if (this.#lines.length === 0 && rest.trim() === "" && !isCut) return;
    this.#push(rest);
    this.#isOpen = isCut;
    this.#clock.cancel(this.#timer);
    this.#timer = this.#clock.after(MERGE_MS, () => this.flush());
  }

  /** Sends the lines added so far. */
  flush(): void {
    this.#clock.cancel(this.#timer);
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    this.#isOpen = false;
    while (lines.length > 0 && lines.at(-1)!.trim() === "") lines.pop();
    if (lines.length > 0) this.#send(lines.join("\n"));
  }

  #push(line: string): void {
    this.#bytes += encodeUtf8(line).length + (this.#lines.length > 0 ? 1 : 0);
    this.#lines.push(line);
  }

  #takeLast(): string {
    const line = this.#lines.pop()!;
    this.#bytes -= encodeUtf8(line).length + (this.#lines.length > 0 ? 1 : 0);
    return line;
  }
}

/** How much of a text fits a message, in UTF-16 units: whole grapheme clusters, unless a single one is longer. */
function findCut(text: string): number {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_TEXT_BYTES));
  if (read === text.length) return read;
  const start = segments(text.slice(0, read + CLUSTER_LOOKAHEAD)).containing(read)!.index;
  return start > 0 ? start : read;
}

export interface InputOptions {
  readonly session: Session;
  /** Reads standard input. */
  readonly read: Read;
  /** `--wait`. */
  readonly waitMs: number;
}

/**
 * Waits for the first WELCOME: without limit, but at most `waitMs` once the input has ended and an attempt to connect
 * has failed.
 *
 * @returns Reads standard input; undefined if there is no connection, but nothing to send either.
 * @throws {UsageError} If there is no connection for what was to be sent.
 */
export async function awaitConnection(
  { session, read, waitMs }: InputOptions,
): Promise<Read | undefined> {
  const input = new ReadAhead(read);
  const wake = () => session.wake();
  void input.fill(() => session.joined).then(wake, wake); // the next read meets an error again
  const isHopeless = () => input.ended && session.attempts > 0;
  await session.until(() => session.joined || isHopeless());
  if (session.joined || await session.until(() => session.joined, waitMs)) {
    return (into) => input.read(into);
  }
  if (input.blank) return undefined;
  throw new UsageError("nothing was sent: no connection to the server", [
    `${commandOf("client")} doctor --host ADDRESS looks for the cause`,
  ]);
}

/**
 * Runs `take` for each line, in order; each line is taken after the one before has resolved.
 *
 * @param options As of {@linkcode LineSplitter}.
 */
export async function forEachLine(
  read: Read,
  take: (line: Line) => Promise<void>,
  options: { cuts?: boolean } = {},
): Promise<void> {
  const splitter = new LineSplitter(options);
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const length = await read(buffer);
    const lines = length === null ? splitter.end() : splitter.push(buffer.subarray(0, length));
    for (const line of lines) await take(line);
    if (length === null) return;
  }
}

/**
 * Waits, at most `waitMs`, until everyone has acknowledged everything that was for them. Beforehand, what was written
 * right after the start waits for people to be shown (PROTOCOL.md §6, "Settling").
 *
 * @returns Whether everything was delivered; those who have said goodbye do not count.
 */
export async function drain(
  { session, waitMs }: Pick<InputOptions, "session" | "waitMs">,
): Promise<boolean> {
  session.acknowledge();
  await session.until(() => session.waiting === 0 || !session.joined);
  const complete = await session.until(() => !session.owed, waitMs);
  return complete && session.failures === 0;
}

/**
 * Waits for somebody until people are shown (PROTOCOL.md §6, "Settling"), and then for another `waitMs`.
 *
 * @returns Their fingerprint.
 * @throws {UsageError} If nobody, or more than one person, is called that then.
 */
export async function awaitPerson(session: Session, who: string, waitMs: number): Promise<string> {
  const isThere = () => {
    try {
      return session.find(who) !== undefined;
    } catch (error) {
      if (error instanceof UsageError) return false;
      throw error;
    }
  };
  await session.until(() => session.settled || !session.joined);
  await session.until(isThere, waitMs);
  return session.find(who).fingerprint;
}
