/**
 * TCP connections in memory and virtual time: they split, merge and delay, stall, break at any byte, and go silent
 * without anybody being told.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/byte_stream.ts";
import type { Host, WorldClock } from "./clock.ts";
import type { Random } from "./random.ts";

/** How good a network is. */
export interface Quality {
  /** Milliseconds that a chunk takes at least. */
  latency: number;
  /** Milliseconds that it may take longer. */
  jitter: number;
  /** Bytes under way before a write has to wait. */
  capacity: number;
  /** To connect takes long now and then. */
  slowDial: boolean;
  /** Most reads and writes move no more than so many bytes. */
  piece: number;
}

/** A read or a write that waits. */
interface Waiting<Value> {
  readonly bytes: Uint8Array;
  resolve(value: Value): void;
  reject(error: Error): void;
}

interface Chunk {
  bytes: Uint8Array;
  readonly at: number;
}

/** One direction. */
class Pipe {
  /** Nothing arrives before then. */
  stalledUntil = 0;
  /** What is written is never heard of again. */
  lost = false;
  #wire: WireOptions;
  #from: Host;
  #to: Host;
  #chunks: Chunk[] = [];
  #held = 0;
  #lastAt = 0;
  #ended = false;
  #readerGone = false;
  #writerGone = false;
  #reading: Waiting<number | null> | undefined;
  #writing: Waiting<number> | undefined;
  #alarmAt = Infinity;

  constructor(wire: WireOptions, from: Host, to: Host) {
    this.#wire = wire;
    this.#from = from;
    this.#to = to;
  }

  read(bytes: Uint8Array): Promise<number | null> {
    if (this.#reading) throw new Error("two reads at once");
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    this.#reading = { bytes, resolve, reject };
    this.advance();
    return promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#writing) throw new Error("two writes at once");
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#writing = { bytes, resolve, reject };
    this.advance();
    return promise;
  }

  /** Nothing more will be written. */
  end(): void {
    this.#ended = true;
    this.advance();
  }

  /** What is under way is lost, and both ends notice at once. */
  break(): void {
    this.breakReader();
    this.breakWriter();
  }

  /** The reading end is told that the connection is broken, or has closed it itself. */
  breakReader(): void {
    this.#readerGone = true;
    this.advance();
  }

  /** The writing end is told so. */
  breakWriter(): void {
    this.#writerGone = true;
    this.advance();
  }

  /** Of what is under way only the first bytes will arrive. */
  truncate(): void {
    let left = this.#wire.random.below(this.#held + 1);
    this.#chunks = this.#chunks.filter((chunk) => {
      chunk.bytes = chunk.bytes.subarray(0, left);
      left -= chunk.bytes.length;
      return chunk.bytes.length > 0;
    });
    this.#ended = true;
    this.breakWriter();
  }

  /** Lets happen what can happen now. */
  advance(): void {
    if (!this.#from.asleep) this.#advanceWrite();
    if (!this.#to.asleep) this.#advanceRead();
  }

  #advanceWrite(): void {
    const writing = this.#writing;
    if (!writing) return;
    const { quality, clock } = this.#wire;
    if (this.#writerGone || this.#ended) {
      this.#writing = undefined;
      return writing.reject(new Error("broken pipe"));
    }
    const room = quality.capacity - this.#held;
    if (room <= 0) return;
    const length = this.#piece(Math.min(room, writing.bytes.length));
    const delay = quality.latency +
      (quality.jitter > 0 ? this.#wire.random.below(quality.jitter + 1) : 0);
    this.#lastAt = Math.max(this.#lastAt, clock.now + delay);
    this.#chunks.push({ bytes: writing.bytes.slice(0, length), at: this.#lastAt });
    this.#held += length;
    this.#writing = undefined;
    writing.resolve(length);
  }

  #advanceRead(): void {
    const reading = this.#reading;
    if (!reading) return;
    if (this.#readerGone) {
      this.#reading = undefined;
      // The operating system tells a reset sometimes as an error, sometimes as the end.
      if (this.#wire.random.chance(0.5)) reading.reject(new Error("connection reset"));
      else reading.resolve(null);
      return;
    }
    if (this.lost) return;
    const { now } = this.#wire.clock;
    const next = this.#chunks[0];
    const readyAt = Math.max(this.stalledUntil, next?.at ?? 0);
    if (readyAt > now) return this.#wakeAt(readyAt);
    if (next) {
      this.#reading = undefined;
      reading.resolve(this.#take(reading.bytes));
      this.advance();
    } else if (this.#ended) {
      this.#reading = undefined;
      reading.resolve(null);
    }
  }

  #take(into: Uint8Array): number {
    const { now } = this.#wire.clock;
    let ready = 0;
    for (const chunk of this.#chunks) {
      if (chunk.at > now) break;
      ready += chunk.bytes.length;
    }
    const length = this.#piece(Math.min(into.length, ready));
    for (let done = 0; done < length;) {
      const chunk = this.#chunks[0]!;
      const part = chunk.bytes.subarray(0, length - done);
      into.set(part, done);
      done += part.length;
      if (part.length === chunk.bytes.length) this.#chunks.shift();
      else chunk.bytes = chunk.bytes.subarray(part.length);
    }
    this.#held -= length;
    return length;
  }

  /** How much of it moves at once. */
  #piece(length: number): number {
    const { random, quality: { piece } } = this.#wire;
    if (length <= 1 || piece >= length || random.chance(0.2)) return length;
    return random.between(1, piece);
  }

  #wakeAt(time: number): void {
    if (time >= this.#alarmAt) return;
    const { clock } = this.#wire;
    this.#alarmAt = time;
    clock.at(time, () => {
      if (this.#alarmAt <= time) this.#alarmAt = Infinity;
      this.advance();
    });
  }
}

/** One end of a connection. */
class End implements ByteStream {
  #incoming: Pipe;
  #outgoing: Pipe;
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
    return await this.#outgoing.write(bytes);
  }

  async closeWrite(): Promise<void> {
    if (this.closed) throw new Error("closed");
    await Promise.resolve();
    this.#outgoing.end();
  }

  close(): void {
    if (this.closed) throw new Error("closed already");
    this.closed = true;
    this.#incoming.breakReader();
    this.#outgoing.end();
    if (!this.#incoming.lost) this.#incoming.breakWriter();
  }
}

/** What a connection is made of. */
export interface WireOptions {
  readonly clock: WorldClock;
  readonly random: Random;
  readonly quality: Quality;
  readonly client: Host;
  readonly relay: Host;
}

/** One connection, with both its ends. */
export class Wire {
  readonly client: ByteStream & { readonly closed: boolean };
  readonly relay: ByteStream & { readonly closed: boolean };
  #up: Pipe;
  #down: Pipe;

  constructor(options: WireOptions) {
    this.#up = new Pipe(options, options.client, options.relay);
    this.#down = new Pipe(options, options.relay, options.client);
    this.client = new End(this.#down, this.#up);
    this.relay = new End(this.#up, this.#down);
  }

  /** Both ends have closed it. */
  get over(): boolean {
    return this.client.closed && this.relay.closed;
  }

  /** Lets happen what had to wait for a process to go on. */
  advance(): void {
    this.#up.advance();
    this.#down.advance();
  }

  /** Both ends are told at once that it is broken. */
  reset(): void {
    this.#up.break();
    this.#down.break();
  }

  /** As when a computer goes down in order: what is under way arrives, some of it, and then the end. */
  finish(): void {
    this.#up.truncate();
    this.#down.truncate();
  }

  /** Nothing gets through any more, and nobody is told. */
  lose(): void {
    this.#up.lost = this.#down.lost = true;
  }

  /** The client's computer notices that the connection is gone; the relay's does not. */
  tellClient(): void {
    this.#down.breakReader();
    this.#up.breakWriter();
  }

  /** Nothing arrives, until it may again. */
  hold(direction: "up" | "down", isHeld: boolean): void {
    const pipe = direction === "up" ? this.#up : this.#down;
    pipe.stalledUntil = isHeld ? Infinity : 0;
    pipe.advance();
  }

  /** Nothing arrives for a while. */
  stall(direction: "up" | "down" | "both", until: number): void {
    if (direction !== "down") this.#up.stalledUntil = Math.max(this.#up.stalledUntil, until);
    if (direction !== "up") this.#down.stalledUntil = Math.max(this.#down.stalledUntil, until);
  }
}
