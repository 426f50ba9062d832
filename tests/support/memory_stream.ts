/**
 * Two byte streams connected in memory, like two sockets by TCP.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/byte_stream.ts";

/** Options of {@linkcode memoryPair}. */
export interface PairOptions {
  /** Bytes buffered per direction before writes wait; 64 KiB by default. */
  capacity?: number;
  /** Most bytes per read. */
  readSize?: number;
}

/** One direction. */
class Pipe {
  readonly #capacity: number;
  readonly #readSize: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #ended = false;
  #broken = false;
  #waiting: (() => void)[] = [];
  /** Simulates a receiver that does not read. */
  #stalled = false;

  constructor({ capacity = 65_536, readSize = Infinity }: PairOptions) {
    this.#capacity = capacity;
    this.#readSize = readSize;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#held === 0) {
      if (this.#broken) throw new Error("connection reset");
      if (this.#ended) return null;
      await this.#change();
    }
    let length = 0;
    const most = Math.min(into.length, this.#readSize);
    while (length < most && this.#chunks[0]) {
      const part = this.#chunks[0].subarray(0, most - length);
      into.set(part, length);
      length += part.length;
      if (part.length === this.#chunks[0].length) this.#chunks.shift();
      else this.#chunks[0] = this.#chunks[0].subarray(part.length);
    }
    this.#held -= length;
    this.#changed();
    return length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (true) {
      if (this.#broken || this.#ended) throw new Error("broken pipe");
      if (this.#held < this.#capacity && !this.#stalled) break;
      await this.#change();
    }
    const length = Math.min(bytes.length, this.#capacity - this.#held);
    this.#chunks.push(bytes.slice(0, length));
    this.#held += length;
    this.#changed();
    return length;
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  break(): void {
    this.#broken = true;
    this.#changed();
  }

  set stalled(value: boolean) {
    this.#stalled = value;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** One end of a pair. */
export class MemoryStream implements ByteStream {
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  /** The number of bytes written. */
  written = 0;
  /** The number of writes. */
  writes = 0;
  /** Whether `close` was called. */
  closed = false;

  constructor(incoming: Pipe, outgoing: Pipe) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.closed) throw new Error("closed");
    return await this.#incoming.read(into);
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.closed) throw new Error("closed");
    this.writes++;
    const length = await this.#outgoing.write(bytes);
    this.written += length;
    return length;
  }

  async closeWrite(): Promise<void> {
    if (this.closed) throw new Error("closed");
    await Promise.resolve();
    this.#outgoing.end();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#outgoing.end();
    this.#incoming.break();
  }

  /** Stalls or resumes what this end writes. */
  set stalled(value: boolean) {
    this.#outgoing.stalled = value;
  }

  /** Breaks the connection for both ends, which get an error. */
  cut(): void {
    this.#incoming.break();
    this.#outgoing.break();
  }
}

/** Creates both ends of a connection. */
export function memoryPair(options: PairOptions = {}): [MemoryStream, MemoryStream] {
  const there = new Pipe(options);
  const back = new Pipe(options);
  return [new MemoryStream(back, there), new MemoryStream(there, back)];
}
