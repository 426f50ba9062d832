/**
 * A client that does the handshake right and then sends whatever bytes a test wants.
 *
 * @module
 */

import { type Bytes, concat, withLength } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { Initiator } from "../../lib/protocol/handshake.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { type ByteStream, writeAll } from "../../lib/transport/byte_stream.ts";
import { decodeCheapId } from "./cheap_key.ts";

const M2_START = 32;

/** One side of a transport whose records are the test's. */
export class RawClient {
  readonly #input = new InputBuffer();
  /** For records that are to be wrong. */
  readonly sealer: Sealer;
  readonly opener: Opener;

  private constructor(
    readonly stream: ByteStream,
    keys: { sendKey: Bytes; receiveKey: Bytes },
    /** Transcript hash for a proof. */
    readonly th3: Bytes,
    /** M3, unless it has been sent. */
    readonly m3: Bytes,
  ) {
    this.sealer = new Sealer(keys.sendKey);
    this.opener = new Opener(keys.receiveKey);
  }

  /** Does everything up to M3, which is left to the caller. */
  static async open(stream: ByteStream, key: PrivateKey): Promise<RawClient> {
    await cipherReady();
    const initiator = new Initiator({ key, mode: "transport", decodeId: decodeCheapId });
    await writeAll(stream, initiator.m1);
    const head = await readExactly(stream, M2_START + 2);
    const m2 = concat(head, await readExactly(stream, head.at(-2)! * 256 + head.at(-1)!));
    const result = await initiator.consumeM2(m2);
    return new RawClient(stream, result, result.th3, result.m3);
  }

  /** Sends M3 and a record with these bytes as its plaintext. */
  async begin(plaintext: Uint8Array): Promise<void> {
    await writeAll(this.stream, concat(this.m3, withLength(this.sealer.seal(plaintext))));
  }

  /** Sends a record with these bytes as its plaintext. */
  async send(plaintext: Uint8Array): Promise<void> {
    await writeAll(this.stream, withLength(this.sealer.seal(plaintext)));
  }

  /** Reads at most so many bytes and keeps them for {@linkcode RawClient.receive}; false at the end. */
  async readSome(limit = Infinity): Promise<boolean> {
    const space = this.#input.space();
    const length = await this.stream.read(space.subarray(0, limit)).catch(() => null);
    if (length === null) return false;
    this.#input.add(length);
    return true;
  }

  /** The next record's plaintext; null at the end of the stream or after a reset. */
  async receive(): Promise<Uint8Array | null> {
    let record = this.#input.takeRecord();
    while (!record) {
      if (!await this.readSome()) return null;
      record = this.#input.takeRecord();
    }
    return this.opener.open(record);
  }

  /** The plaintexts of the records that have been read whole. */
  takeWhole(): Uint8Array[] {
    const plaintexts: Uint8Array[] = [];
    for (let ct; (ct = this.#input.takeRecord());) plaintexts.push(this.opener.open(ct));
    return plaintexts;
  }

  /** All plaintexts until the stream ends. */
  async receiveAll(): Promise<Uint8Array[]> {
    const plaintexts: Uint8Array[] = [];
    for (let next; (next = await this.receive());) plaintexts.push(next);
    return plaintexts;
  }
}

/** Reads just so many bytes, or fewer at the end of the stream. */
export async function readExactly(stream: ByteStream, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let end = 0;
  while (end < length) {
    const read = await stream.read(bytes.subarray(end)).catch(() => null);
    if (read === null) break;
    end += read;
  }
  return bytes.subarray(0, end);
}
