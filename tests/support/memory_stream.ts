/**
 * Two byte streams joined in memory, as a TCP connection joins two sockets.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/byte_stream.ts";

/** How a pair behaves. */
export interface PairOptions {
  /** Bytes that one direction holds before a write has to wait; 64 KiB unless told. */
  capacity?: number;
  /** Largest number of bytes that one read gives. */
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
  /** Nothing passes until this is false again: a receiver that does not read. */
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
  /** Bytes written so far. */
  written = 0;
  /** Calls of write so far. */
  writes = 0;
  /** `close` was called. */
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

  /** What this end writes does not get through any more, or does again. */
  set stalled(value: boolean) {
    this.#outgoing.stalled = value;
  }

  /** Cuts the connection for both ends, as a broken cable is noticed. */
  cut(): void {
    this.#incoming.break();
    this.#outgoing.break();
  }
}

/** Makes both ends of a connection. */
export function memoryPair(options: PairOptions = {}): [MemoryStream, MemoryStream] {
  const there = new Pipe(options);
  const back = new Pipe(options);
  return [new MemoryStream(back, there), new MemoryStream(there, back)];
}
