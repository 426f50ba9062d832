/**
 * The relay's end of a connection, driven by hand: what the client sends is kept, and what it gets is the test's.
 *
 * @module
 */

import { type Bytes, concat, withLength } from "../../lib/base/bytes.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { forEachFrame } from "../../lib/transport/input_buffer.ts";
import { M1_BYTES, Responder } from "../../lib/protocol/handshake.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { decodeFrame, type Frame } from "../../lib/protocol/frames.ts";
import { cheapKey, decodeCheapId } from "./cheap_key.ts";
import { settle } from "./fake_clock.ts";
import type { MemoryStream } from "./memory_stream.ts";

/** The relay's end of a connection, driven by hand. */
export class HandRelay {
  readonly #stream: MemoryStream;
  #sealer: Sealer | undefined;
  #opener: Opener | undefined;
  /** What the client sent after its JOIN. */
  readonly frames: Frame[] = [];
  ended = false;

  constructor(stream: MemoryStream) {
    this.#stream = stream;
  }

  /** Takes the handshake and the record with JOIN, then reads on. */
  async accept(): Promise<void> {
    const responder = new Responder({
      key: cheapKey(7),
      mode: "transport",
      decodeId: decodeCheapId,
    });
    await this.#write(await responder.consumeM1(await this.#read(M1_BYTES)));
    const { sendKey, receiveKey } = await responder.consumeM3(await this.#readSized());
    this.#sealer = new Sealer(sendKey);
    this.#opener = new Opener(receiveKey);
    this.#opener.open((await this.#readSized()).subarray(2));
    void this.#listen();
  }

  async #listen(): Promise<void> {
    try {
      while (true) {
        const plaintext = this.#opener!.open((await this.#readSized()).subarray(2));
        forEachFrame(plaintext, (type, body) => this.frames.push(decodeFrame(type, body)));
      }
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof DecryptError) throw error;
      this.ended = true;
    }
  }

  async #readSized(): Promise<Bytes> {
    const header = await this.#read(2);
    return concat(header, await this.#read((header[0]! << 8) + header[1]!));
  }

  async #read(length: number): Promise<Bytes> {
    const bytes = new Uint8Array(length);
    for (let offset = 0; offset < length;) {
      const read = await this.#stream.read(bytes.subarray(offset));
      if (read === null) throw new Error("end");
      offset += read;
    }
    return bytes;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#stream, bytes);
  }

  /** Sends a plaintext as one record, and lets the client do what comes of it. */
  async send(plaintext: Uint8Array): Promise<void> {
    await this.#write(withLength(this.#sealer!.seal(plaintext)));
    await settle(20);
  }

  /** The reason of the client's CLOSE. */
  get reason(): number | undefined {
    const close = this.frames.find(({ type }) => type === "close");
    return close?.type === "close" ? close.reason : undefined;
  }
}
