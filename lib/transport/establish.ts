/**
 * The handshake over a stream, for relay and client: from a fresh stream to a {@linkcode Connection} (PROTOCOL.md §3).
 *
 * @module
 */

import { type Bytes, concat, equalBytes, readU16, withLength } from "../base/bytes.ts";
import { cipherReady, Opener, Sealer, TAG_BYTES } from "../protocol/records.ts";
import { type Clock, type RandomBytes, systemClock, type Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { InputBuffer, RECORD_HEADER_BYTES } from "./input_buffer.ts";
import { Scheduler } from "./scheduler.ts";
import {
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  M1_BYTES,
  M2_HEADER_BYTES,
  MAGIC,
  MAX_CT2_BYTES,
  MAX_CT3_BYTES,
  OTHER_VERSION,
} from "../protocol/handshake.ts";
import { M2_TIMEOUT_MS } from "../protocol/limits.ts";
import { Connection, type Handlers, type RecordOptions } from "./connection.ts";
import type { PrivateKey, PublicKey } from "../protocol/identity.ts";
import { clientPrimitives, type Primitives } from "../protocol/primitives.ts";
import type { SessionKey } from "../protocol/session_key.ts";
import { type ByteStream, closeAtOnce, closeStream, writeAll } from "./byte_stream.ts";

/** Options of both sides. */
interface ConnectionOptions {
  /** This side's identity. */
  readonly key: PrivateKey;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
  /** The fingerprint that the other side must prove, 32 bytes; by default any is accepted. */
  readonly expected?: Uint8Array;
  /** Shared by many connections; by default each has its own. */
  readonly scheduler?: Scheduler;
  /** Aborts the handshake, but not the connection afterwards. */
  readonly signal?: AbortSignal;
}

/** A relay that has proved its identity. */
export interface ProvenRelay {
  readonly relay: PublicKey;
  /** Its session key, 32 bytes. */
  readonly session: Bytes;
  /** The transcript hash, 32 bytes, to which the password exchange is bound. */
  readonly th3: Bytes;
}

/** Options of {@linkcode openConnection}. */
interface OpenOptions extends ConnectionOptions {
  /** Returns the first frame, an encoded JOIN or SEEK; may take seconds. To reject the relay, throw. */
  join(proven: ProvenRelay): Promise<Uint8Array>;
  readonly handlers: Handlers;
}

/** Options of {@linkcode acceptConnection}. */
interface AcceptOptions extends ConnectionOptions {
  /** The relay's session key, §3: one for all connections. */
  readonly session: SessionKey | Promise<SessionKey>;
  /** Schedules the expensive part; by default it runs at once. */
  readonly turn?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A client after its handshake; it counts as connected once its first record has verified, §3. */
export interface Accepted {
  /** Not started yet. */
  readonly connection: Connection;
  /** The client's proven identity. */
  readonly peer: PublicKey;
  /** The transcript hash, 32 bytes, to which the password exchange is bound. */
  readonly th3: Bytes;
}

/**
 * Opens a connection as the client: sends M1, receives M2, calls `join` for the first frame, and sends it with M3.
 *
 * @param stream Fresh; closed if this function throws.
 * @throws {ProtocolError} `version` if the relay answered HEARTH/?, `wrong-identity` if its key is not the expected
 * one, `cut` if the stream ended or M2 took more than 10 s, others for a bad M2: the relay's fault.
 * @throws {DecryptError} A bad M2: treat it like `cut`.
 * @throws What `join` threw, or the signal's reason.
 */
export async function openConnection(
  stream: ByteStream,
  options: OpenOptions,
): Promise<{ connection: Connection } & ProvenRelay> {
  const exchange = new Exchange(stream, options);
  try {
    const primitives = options.primitives ?? await clientPrimitives();
    const starting = HandshakeInitiator.start({ ...exchange.handshakeOptions, primitives });
    const initiator = await exchange.race(starting);
    exchange.setLimit(M2_TIMEOUT_MS);
    await exchange.write(initiator.m1);
    const m2 = await exchange.readM2();
    exchange.setLimit(undefined);
    const { m3, peer, session, sendKey, receiveKey, th3 } = await initiator.consumeM2(m2);
    const proven = { relay: peer, session, th3 };
    const first = await exchange.race(options.join(proven));
    const sealer = new Sealer(sendKey);
    const record = await sealer.sealFirst(first, primitives);
    await exchange.write(concat(m3, withLength(record))); // §3: together
    const opener = new Opener(receiveKey);
    const connection = exchange.finish({ sealer, opener, role: "client", suite: primitives });
    connection.start(options.handlers);
    return { connection, ...proven };
  } catch (error) {
    void exchange.abandon();
    throw error;
  }
}

/**
 * Accepts a connection as the relay: receives M1, sends M2, receives M3.
 *
 * @param stream Fresh; closed if this function throws, after HEARTH/? where §3 demands it.
 * @throws {ProtocolError | DecryptError} The client's fault; the stream is closed.
 * @throws The signal's reason.
 */
export async function acceptConnection(
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
    const m1 = await exchange.take(M1_BYTES.transport);
    const { session } = options;
    const responder = new HandshakeResponder({ ...exchange.handshakeOptions, session });
    const work = () => responder.consumeM1(m1);
    await exchange.write(await exchange.race(options.turn ? options.turn(work) : work()));
    const m3 = await exchange.takeCiphertext({ header: 0, max: MAX_CT3_BYTES.transport });
    const { peer, sendKey, receiveKey, th3 } = await exchange.race(responder.consumeM3(m3));
    const [sealer, opener] = [new Sealer(sendKey), new Opener(receiveKey)];
    const connection = exchange.finish({ sealer, opener, role: "relay" });
    return { connection, peer, th3 };
  } catch (error) {
    await exchange.abandon(); // it counts as pending until then, §10
    throw error;
  }
}

/** Reads and writes the messages of one handshake, until it is stopped. */
class Exchange {
  readonly #stream: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #input = new InputBuffer();
  readonly #stopped = Promise.withResolvers<never>();
  #timer: Timer | undefined;
  /** A read or write was abandoned, so no other may follow. */
  #busy = false;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#stopped.promise.catch(() => {}); // it is only raced
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted) this.#onAbort();
  }

  readonly #onAbort = (): void => this.#stopped.reject(this.#options.signal?.reason);

  get handshakeOptions(): HandshakeOptions {
    const { key, random, primitives, expected } = this.#options;
    return {
      key,
      mode: "transport",
      ...(random && { random }),
      ...(primitives && { primitives }),
      ...(expected && { expected }),
    };
  }

  /** Limits everything that follows to `delay` milliseconds in all. */
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

  /** The next `length` bytes, without consuming them. */
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

  /** Consumes the next `length` bytes; returns a copy. */
  async take(length: number): Promise<Bytes> {
    const bytes = new Uint8Array(await this.peek(length));
    this.#input.take(length);
    return bytes;
  }

  /** Consumes `header` bytes and the `L(ct)` after them; fails at once if the length is out of bounds, §3. */
  async takeCiphertext({ header, max }: { header: number; max: number }): Promise<Bytes> {
    const start = header + RECORD_HEADER_BYTES;
    const length = readU16(await this.peek(start), header);
    if (length < TAG_BYTES || length > max) {
      throw new ProtocolError("bad-length");
    }
    return await this.take(start + length);
  }

  /** Consumes M2; the first 8 bytes alone show whether the relay speaks another version, §3. */
  async readM2(): Promise<Bytes> {
    if (equalBytes(await this.peek(OTHER_VERSION.length), OTHER_VERSION)) {
      throw new ProtocolError("version");
    }
    const m2 = await this.takeCiphertext({ header: M2_HEADER_BYTES.transport, max: MAX_CT2_BYTES });
    // §3: the relay sends nothing more before our first record.
    if (this.#input.peek(1)) throw new ProtocolError("unexpected");
    return m2;
  }

  /** Switches to records. */
  finish(records: Pick<RecordOptions, "sealer" | "opener" | "role" | "suite">): Connection {
    this.#options.signal?.throwIfAborted();
    this.#release();
    const { random, scheduler } = this.#options;
    return new Connection({
      ...records,
      stream: this.#stream,
      input: this.#input.settle(),
      scheduler: scheduler ?? new Scheduler({ clock: this.#clock }),
      ...(random && { random }),
    });
  }

  /** Closes the stream, gracefully unless an operation hangs or the handshake is stopped. */
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
      // The operating system's error for a broken stream helps nobody.
      this.#options.signal?.throwIfAborted();
      throw error instanceof ProtocolError ? error : new ProtocolError("cut");
    }
  }
}
