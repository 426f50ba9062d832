/**
 * The direct connection between the two sides of a transfer: both listen, both dial, the file's sender chooses
 * (PROTOCOL.md §15).
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import {
  DIALER_BYTES,
  FileRecords,
  type FileSecret,
  LISTENER_BYTES,
  MAX_FILE_RECORD_BYTES,
  RECORD_HEAD_BYTES,
} from "../../protocol/file_connection.ts";
import type { FileFrame } from "../../protocol/file_frames.ts";
import { LINGER_MS } from "../../protocol/limits.ts";
import { type ByteStream, closeAtOnce, settledWithin, writeAll } from "../../transport/mod.ts";

/** How long the two sides try to reach each other, §10. */
export const FILE_DIAL_MS = 3000;
/** Between the beginnings of two attempts. */
const DIAL_GAP_MS = 250;
/** How long a side that was dialled has for its first bytes. */
const ANSWER_MS = 1000;
/** Connections that have not shown yet that they know the secret, §10. */
export const MAX_PENDING_FILE = 8;
/** Connections whose other side knows the secret, ours and theirs; each takes 1 MiB. */
const MAX_KNOWN = 16;
const INPUT_BYTES = 2 * (RECORD_HEAD_BYTES + MAX_FILE_RECORD_BYTES);

/** A direct connection whose other side is the right one. */
export class FileStream {
  readonly #stream: ByteStream;
  readonly #input: Input;
  readonly records: FileRecords;

  constructor(stream: ByteStream, input: Input, records: FileRecords) {
    this.#stream = stream;
    this.#input = input;
    this.records = records;
  }

  /** Sends what was added to {@linkcode records}; nothing else may be sent before it resolves. */
  async send(): Promise<void> {
    await writeAll(this.#stream, this.records.seal());
  }

  /**
   * Receives a record.
   *
   * @returns Its frames; DATA is valid until the next call. Undefined at the end.
   * @throws {DecryptError | ProtocolError} The other side's fault.
   */
  async receive(): Promise<FileFrame[] | undefined> {
    const head = await this.#input.take(RECORD_HEAD_BYTES);
    if (head === undefined) return undefined;
    const record = await this.#input.take(FileRecords.readLength(head));
    return record && this.records.open(record);
  }

  /**
   * Sends no more, and waits for the end of the other side's bytes, for 1 s at most: to close while some are unread
   * would reset the connection, and could cost the other side our last ones.
   *
   * @param reading The last call of {@linkcode receive}, if it is still running.
   */
  async finish(clock: Clock, reading: Promise<unknown>): Promise<void> {
    const drain = async () => {
      await this.#stream.closeWrite();
      await reading;
      while (await this.#input.skip());
    };
    await settledWithin(clock, LINGER_MS, drain());
  }

  close(): void {
    closeAtOnce(this.#stream);
  }
}

/** Bytes that have come and were not taken yet. */
export class Input {
  readonly #stream: ByteStream;
  readonly #buffer = new Uint8Array(INPUT_BYTES);
  #start = 0;
  #end = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Discards what comes next. @returns Whether anything did. */
  async skip(): Promise<boolean> {
    return await this.#stream.read(this.#buffer) !== null;
  }

  /** @returns So many bytes, valid until the next call; undefined if the stream ends before. */
  async take(length: number): Promise<Uint8Array | undefined> {
    while (this.#end - this.#start < length) {
      if (this.#start > 0 && this.#buffer.length - this.#start < length) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      const read = await this.#stream.read(this.#buffer.subarray(this.#end));
      if (read === null) return undefined;
      this.#end += read;
    }
    const bytes = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    return bytes;
  }
}

/** Where to reach the other side. */
export interface Place {
  readonly hostname: string;
  readonly port: number;
}

export interface Listening {
  readonly port: number;
  /** @returns Undefined once it is closed. */
  accept(): Promise<ByteStream | undefined>;
  close(): void;
}

/** What the race for a direct connection needs of a network. */
export interface FileNetwork {
  listen(): Listening;
  dial(place: Place, signal: AbortSignal): Promise<ByteStream>;
}

interface RaceOptions {
  readonly clock: Clock;
  readonly network: FileNetwork;
  /** Accepts for our own secret. */
  readonly listening: Listening;
  readonly own: FileSecret;
  /** That of the other side's WHERE, and the places it names. */
  readonly other: FileSecret;
  readonly places: readonly Place[];
  /** This side sends the file: the first connection that works is the one. Else the one on which GO comes is. */
  readonly sends: boolean;
  /** Ends the race. */
  readonly signal: AbortSignal;
}

/** The winner, and the frames that came with its GO if it is the other side that chooses. */
export interface Won {
  readonly stream: FileStream;
  readonly frames: readonly FileFrame[];
}

/**
 * Makes a direct connection.
 *
 * @returns Undefined if there is none: as the file's sender after 3 s, else once `signal` says so.
 */
export function race(options: RaceOptions): Promise<Won | undefined> {
  return new Race(options).run();
}

class Race {
  readonly #options: RaceOptions;
  readonly #streams = new Set<ByteStream>();
  /** Accepted, and silent so far. */
  readonly #pending = new Set<ByteStream>();
  readonly #dialling = new AbortController();
  readonly #won = Promise.withResolvers<Won | undefined>();
  #isOver = false;

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  async run(): Promise<Won | undefined> {
    const { clock, sends, signal, listening } = this.#options;
    const stop = () => this.#won.resolve(undefined);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const timer = clock.after(FILE_DIAL_MS, () => {
      this.#dialling.abort();
      if (sends) stop();
    });
    void this.#accept();
    void this.#dialAll();
    const won = await this.#won.promise;
    this.#isOver = true;
    clock.cancel(timer);
    signal.removeEventListener("abort", stop);
    this.#dialling.abort();
    listening.close();
    for (const stream of this.#streams) closeAtOnce(stream);
    return won;
  }

  async #accept(): Promise<void> {
    const { clock, listening } = this.#options;
    for (let stream; (stream = await listening.accept().catch(() => undefined));) {
      if (this.#isOver) return closeAtOnce(stream);
      const accepted = stream;
      if (this.#pending.size >= MAX_PENDING_FILE) {
        const [oldest] = this.#pending;
        this.#pending.delete(oldest!);
        closeAtOnce(oldest!);
      }
      this.#pending.add(accepted);
      const timer = clock.after(FILE_DIAL_MS, () => {
        if (this.#pending.delete(accepted)) closeAtOnce(accepted);
      });
      void this.#attempt(accepted, () => this.#answer(accepted)).finally(() => clock.cancel(timer));
    }
  }

  async #dialAll(): Promise<void> {
    const { clock, network, places } = this.#options;
    const { signal } = this.#dialling;
    for (const place of places) {
      if (signal.aborted) return;
      network.dial(place, signal).then(
        (stream) => this.#attempt(stream, () => this.#greet(stream)),
        () => {}, // one of several
      );
      await new Promise<void>((resolve) => clock.after(DIAL_GAP_MS, resolve));
    }
  }

  /** Takes a connection through its handshake; if that fails, it is closed and forgotten. */
  async #attempt(
    stream: ByteStream,
    handshake: () => Promise<FileStream | undefined>,
  ): Promise<void> {
    if (this.#isOver) return closeAtOnce(stream);
    this.#streams.add(stream);
    try {
      const made = await handshake();
      const frames = made && await this.#begin(made);
      if (frames !== undefined && !this.#isOver) {
        this.#isOver = true;
        this.#streams.delete(stream);
        return this.#won.resolve({ stream: made!, frames });
      }
    } catch {
      // Whoever it is, it is not the other side, or is gone: there may be others.
    } finally {
      this.#pending.delete(stream);
    }
    this.#streams.delete(stream);
    closeAtOnce(stream);
  }

  async #greet(stream: ByteStream): Promise<FileStream | undefined> {
    const { hello, finish } = this.#options.other.dial();
    await writeAll(stream, hello);
    const input = new Input(stream);
    const timer = this.#options.clock.after(ANSWER_MS, () => closeAtOnce(stream));
    const answer = await input.take(LISTENER_BYTES);
    this.#options.clock.cancel(timer);
    return answer && new FileStream(stream, input, finish(answer));
  }

  async #answer(stream: ByteStream): Promise<FileStream | undefined> {
    const input = new Input(stream);
    const hello = await input.take(DIALER_BYTES);
    const known = hello && this.#options.own.answer(hello);
    if (known === undefined) return undefined;
    if (this.#streams.size - this.#pending.size >= MAX_KNOWN) return undefined;
    this.#pending.delete(stream);
    await writeAll(stream, known.answer);
    return new FileStream(stream, input, known.records);
  }

  /** @returns The frames that came first, once this connection may be the one. */
  async #begin(stream: FileStream): Promise<FileFrame[] | undefined> {
    stream.records.add({ type: "alive" });
    await stream.send();
    for (;;) {
      const frames = await stream.receive();
      if (frames === undefined) return undefined;
      const [first] = frames;
      if (this.#options.sends) {
        if (frames.some(({ type }) => type !== "alive")) throw new ProtocolError("unexpected");
        return [];
      }
      if (first?.type === "alive" && frames.length === 1) continue;
      if (first?.type !== "go") throw new ProtocolError("unexpected");
      return frames;
    }
  }
}
