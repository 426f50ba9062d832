/**
 * The transport's handshake over a stream (PROTOCOL.md §3): from a fresh stream to a {@linkcode Connection}.
 *
 * Used by relay and client alike. Knows neither rooms nor messages, and no runtime: the stream is handed in.
 *
 * @module
 */

import { type Bytes, concat, equalBytes, readU16, withLength } from "../base/bytes.ts";
import { cipherReady, Opener, Sealer, TAG_BYTES } from "../protocol/records.ts";
import { type Clock, type RandomBytes, systemClock, type Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { InputBuffer, RECORD_HEADER_BYTES } from "./input_buffer.ts";
import { Group } from "./scheduler.ts";
import {
  type HandshakeOptions,
  Initiator,
  M1_BYTES,
  M2_HEADER_BYTES,
  MAGIC,
  MAX_TRANSPORT_CT_BYTES,
  OTHER_VERSION,
  Responder,
} from "../protocol/handshake.ts";
import { M2_TIMEOUT_MS } from "../protocol/limits.ts";
import { Connection, type Handlers, type RecordOptions } from "./connection.ts";
import type { DecodeId, PrivateKey, PublicKey } from "../protocol/identity.ts";
import { type ByteStream, closeAtOnce, closeStream, writeAll } from "./byte_stream.ts";

export { Connection };
export type { ByteStream, Handlers };
export type { End } from "./connection.ts";

/** What both sides need. */
export interface ConnectionOptions {
  /** Own identity. */
  readonly key: PrivateKey;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly decodeId?: DecodeId;
  /** The fingerprint that the other side has to prove, 32 bytes; without it any is taken. */
  readonly expected?: Uint8Array;
  /** Shared by the connections of one program; without it each has its own. */
  readonly group?: Group;
  /** Ends the handshake; the connection that comes of it is no longer concerned. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode openTransport}. */
export interface OpenOptions extends ConnectionOptions {
  /**
   * Gives the first frame, an encoded JOIN; may take seconds, and refuses the relay by throwing.
   *
   * @param relay The relay's proven identity.
   * @param th3 What the password proof is bound to, 32 bytes.
   */
  join(relay: PublicKey, th3: Bytes): Promise<Uint8Array>;
  readonly handlers: Handlers;
}

/** Options of {@linkcode acceptTransport}. */
export interface AcceptOptions extends ConnectionOptions {
  /** Runs the costly part when its turn has come; by default at once. */
  readonly turn?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A client whose handshake is done; it is not connected before its first record has verified, §3. */
export interface Accepted {
  /** Still to be started. */
  readonly connection: Connection;
  /** The client's proven identity. */
  readonly peer: PublicKey;
  /** What the password proof is bound to, 32 bytes. */
  readonly th3: Bytes;
}

/**
 * Opens a connection as the client: sends M1, takes M2, asks `join` for the first frame, and sends it with M3.
 *
 * @param stream Fresh; closed by this function when it throws.
 * @throws {ProtocolError} `version` when the relay answered HEARTH/?, `wrong-identity` for another key than the
 * expected one, `cut` when the stream ended or M2 took more than 10 s, others for a bad M2: the relay's fault.
 * @throws {DecryptError} For a bad M2: treat it like a cut.
 * @throws What `join` threw; the signal's reason.
 */
export async function openTransport(
  stream: ByteStream,
  options: OpenOptions,
): Promise<{ connection: Connection; relay: PublicKey }> {
  const exchange = new Exchange(stream, options);
  try {
    await cipherReady();
    const initiator = new Initiator(exchange.handshakeOptions);
    exchange.setLimit(M2_TIMEOUT_MS);
    await exchange.write(initiator.m1);
    const m2 = await exchange.readM2();
    exchange.setLimit(undefined);
    const { m3, peer, sendKey, receiveKey, th3 } = await initiator.consumeM2(m2);
    const first = await exchange.race(options.join(peer, th3));
    const sealer = new Sealer(sendKey);
    await exchange.write(concat(m3, withLength(sealer.seal(first)))); // §3: together
    const connection = exchange.finish(sealer, new Opener(receiveKey), "client");
    connection.start(options.handlers);
    return { connection, relay: peer };
  } catch (error) {
    void exchange.abandon();
    throw error;
  }
}

/**
 * Answers a connection as the relay: takes M1, sends M2, takes M3.
 *
 * @param stream Fresh; closed by this function when it throws, after HEARTH/? where §3 wants that.
 * @throws {ProtocolError | DecryptError} The client's fault: nothing more is to be done.
 * @throws The signal's reason.
 */
export async function acceptTransport(
  stream: ByteStream,
  options: AcceptOptions,
): Promise<Accepted> {
  const exchange = new Exchange(stream, options);
  try {
    await cipherReady();
    if (!equalBytes(await exchange.peek(MAGIC.length), MAGIC)) {
      await exchange.write(OTHER_VERSION); // §3
      throw new ProtocolError("bad-magic");
    }
    const m1 = await exchange.take(M1_BYTES);
    const responder = new Responder(exchange.handshakeOptions);
    const work = () => responder.consumeM1(m1);
    await exchange.write(await exchange.race(options.turn ? options.turn(work) : work()));
    const m3 = await exchange.takeCiphertext(0);
    const { peer, sendKey, receiveKey, th3 } = await exchange.race(responder.consumeM3(m3));
    const connection = exchange.finish(new Sealer(sendKey), new Opener(receiveKey), "relay");
    return { connection, peer, th3 };
  } catch (error) {
    await exchange.abandon(); // until then it counts as pending, §10
    throw error;
  }
}

/** Reads and writes the messages of one handshake, until that is stopped. */
class Exchange {
  readonly #stream: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #input = new InputBuffer();
  readonly #stopped = Promise.withResolvers<never>();
  #timer: Timer | undefined;
  /** A read or write was left behind, and no other may follow. */
  #busy = false;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#stopped.promise.catch(() => {}); // it is only ever raced with something
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted) this.#onAbort();
  }

  readonly #onAbort = (): void => this.#stopped.reject(this.#options.signal?.reason);

  get handshakeOptions(): HandshakeOptions {
    const { key, random, decodeId, expected } = this.#options;
    return {
      key,
      mode: "transport",
      ...(random && { random }),
      ...(decodeId && { decodeId }),
      ...(expected && { expected }),
    };
  }

  /** From now on everything together may take `delay` milliseconds. */
  setLimit(delay: number | undefined): void {
    this.#clock.cancel(this.#timer);
    if (delay === undefined) return;
    this.#timer = this.#clock.after(delay, () => this.#stopped.reject(new ProtocolError("cut")));
  }

  /** Waits for `promise`, unless the handshake is stopped first. */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([this.#stopped.promise, promise]);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#use(writeAll(this.#stream, bytes));
  }

  /** The next `length` bytes, without taking them. */
  async peek(length: number): Promise<Uint8Array> {
    let bytes = this.#input.peek(length);
    while (!bytes) {
      const read = await this.#use(this.#stream.read(this.#input.space()));
      if (read === null) throw new ProtocolError("cut");
      this.#input.add(read);
      bytes = this.#input.peek(length);
    }
    return bytes;
  }

  /** Takes a copy of the next `length` bytes. */
  async take(length: number): Promise<Bytes> {
    const bytes = new Uint8Array(await this.peek(length));
    this.#input.take(length);
    return bytes;
  }

  /** Takes `header` bytes and the `L(ct)` that follows them; a length out of bounds is not waited for, §3. */
  async takeCiphertext(header: number): Promise<Bytes> {
    const start = header + RECORD_HEADER_BYTES;
    const length = readU16(await this.peek(start), header);
    if (length < TAG_BYTES || length > MAX_TRANSPORT_CT_BYTES) {
      throw new ProtocolError("bad-length");
    }
    return await this.take(start + length);
  }

  /** Takes M2, or learns that the relay speaks another version: the first 8 bytes alone tell, §3. */
  async readM2(): Promise<Bytes> {
    if (equalBytes(await this.peek(OTHER_VERSION.length), OTHER_VERSION)) {
      throw new ProtocolError("version");
    }
    const m2 = await this.takeCiphertext(M2_HEADER_BYTES);
    // §3: the relay sends nothing more before it has our first record.
    if (this.#input.peek(1)) throw new ProtocolError("unexpected");
    return m2;
  }

  /** Goes over to records. */
  finish(sealer: Sealer, opener: Opener, role: RecordOptions["role"]): Connection {
    this.#options.signal?.throwIfAborted();
    this.#release();
    const { random, group } = this.#options;
    return new Connection({
      stream: this.#stream,
      input: this.#input,
      sealer,
      opener,
      role,
      group: group ?? new Group({ clock: this.#clock }),
      ...(random && { random }),
    });
  }

  /** Closes the stream; the other side gets what was sent to it, unless something hangs or is stopped. */
  async abandon(): Promise<void> {
    this.#clock.cancel(this.#timer);
    const closing = this.#busy ? undefined : closeStream(this.#stream, this.#clock);
    await this.race(Promise.resolve(closing)).catch(() => {}); // stopped meanwhile
    this.#release();
    closeAtOnce(this.#stream);
  }

  #release(): void {
    this.#clock.cancel(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  async #use<T>(operation: Promise<T>): Promise<T> {
    this.#busy = true;
    try {
      const result = await this.race(operation);
      this.#busy = false;
      return result;
    } catch (error) {
      // What the operating system says of a broken stream is of no use to anybody.
      this.#options.signal?.throwIfAborted();
      throw error instanceof ProtocolError ? error : new ProtocolError("cut");
    }
  }
}
