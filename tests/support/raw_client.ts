/**
 * A client with a correct handshake that then sends any bytes a test wants.
 *
 * @module
 */

import { type Bytes, concat, encodeUtf8, withLength } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { HandshakeInitiator, M2_HEADER_BYTES } from "../../lib/protocol/handshake.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { type ByteStream, writeAll } from "../../lib/transport/byte_stream.ts";
import { cheapPrimitives } from "./cheap_key.ts";

/** The client's end of a connection, with records made by the test. */
export class RawClient {
  readonly #input = new InputBuffer();
  /** For malformed records. */
  readonly sealer: Sealer;
  readonly opener: Opener;

  private constructor(
    readonly stream: ByteStream,
    keys: { sendKey: Bytes; receiveKey: Bytes },
    /** The transcript hash that a password exchange is bound to. */
    readonly th3: Bytes,
    /** M3, until it is sent. */
    readonly m3: Bytes,
  ) {
    this.sealer = new Sealer(keys.sendKey);
    this.opener = new Opener(keys.receiveKey);
  }

  /** Does the handshake up to M3, which {@linkcode begin} sends. */
  static async open(stream: ByteStream, key: PrivateKey): Promise<RawClient> {
    await cipherReady();
    const initiator = await HandshakeInitiator.start({
      key,
      mode: "transport",
      primitives: cheapPrimitives,
    });
    await writeAll(stream, initiator.m1);
    const head = await readExactly(stream, M2_HEADER_BYTES.transport + 2);
    const m2 = concat(head, await readExactly(stream, head.at(-2)! * 256 + head.at(-1)!));
    const result = await initiator.consumeM2(m2);
    return new RawClient(stream, result, result.th3, result.m3);
  }

  /** Sends M3 and a record with this plaintext. */
  async begin(plaintext: Uint8Array): Promise<void> {
    await writeAll(this.stream, concat(this.m3, withLength(this.sealer.seal(plaintext))));
  }

  /** Sends a record with this plaintext. */
  async send(plaintext: Uint8Array): Promise<void> {
    await writeAll(this.stream, withLength(this.sealer.seal(plaintext)));
  }

  /** Reads at most this many bytes for {@linkcode RawClient.receive}; false at the end. */
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

  /** The plaintexts of the complete records read so far. */
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

/** Reads exactly this many bytes, fewer only at the end of the stream. */
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

/** What a relay answers to the first bytes of a connection. */
export async function answerTo(hostname: string, port: number, first: string): Promise<string> {
  const connection = await Deno.connect({ hostname, port });
  try {
    await connection.write(encodeUtf8(first));
    return new TextDecoder().decode(await readExactly(connection, 100));
  } finally {
    connection.close();
  }
}
