/**
 * The relay's end of a connection, driven by the test: keeps what the client sends, and sends what the test wants.
 *
 * @module
 */

import { type Bytes, concat, equalBytes, withLength } from "../../lib/base/bytes.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { HandshakeResponder, M1_BYTES } from "../../lib/protocol/handshake.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { decodeFrame, encodeFrame, forEachFrame, type Frame } from "../../lib/protocol/frames.ts";
import { startJoin } from "../../lib/protocol/password.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import { cheapKey, cheapPrimitives } from "./cheap_key.ts";
import { settle } from "./fake_clock.ts";
import type { MemoryStream } from "./memory_stream.ts";

/** The relay's end of a connection. */
export class HandRelay {
  readonly #stream: MemoryStream;
  #sealer: Sealer | undefined;
  #opener: Opener | undefined;
  #client: Bytes = new Uint8Array(32);
  #relay: Bytes = new Uint8Array(32);
  #th3: Bytes = new Uint8Array(32);
  /** The client's JOIN. */
  join: Frame | undefined;
  /** The frames the client sent after JOIN. */
  readonly frames: Frame[] = [];
  ended = false;

  constructor(stream: MemoryStream) {
    this.#stream = stream;
  }

  /** Completes the handshake, takes JOIN, and keeps reading. @param seed Number of the relay's key. */
  async accept(seed = 7): Promise<void> {
    const key = cheapKey(seed);
    const primitives = cheapPrimitives;
    const session = await makeSessionKey(key, { primitives });
    const responder = new HandshakeResponder({ key, mode: "transport", session, primitives });
    await this.#write(await responder.consumeM1(await this.#read(M1_BYTES.transport)));
    const { peer, th3, sendKey, receiveKey } = await responder.consumeM3(await this.#readSized());
    this.#client = peer.fingerprint;
    this.#relay = key.publicKey.fingerprint;
    this.#th3 = th3;
    this.#sealer = new Sealer(sendKey);
    this.#opener = new Opener(receiveKey);
    const first = this.#opener.open((await this.#readSized()).subarray(2));
    forEachFrame(first, (type, body) => this.join = decodeFrame(type, body));
    void this.#listen();
  }

  /**
   * Asks for a password: sends SHARE, and waits for the client's PROOF.
   *
   * @returns Whether that is right, and the answer to it.
   */
  async ask(joinKey: Uint8Array): Promise<{ isRight: boolean; answer: Bytes }> {
    if (this.join?.type !== "join") throw new TypeError("no JOIN");
    const exchange = await startJoin("relay", {
      joinKey,
      client: this.#client,
      relay: this.#relay,
      th3: this.#th3,
      primitives: cheapPrimitives,
    });
    await this.send(encodeFrame({ type: "share", share: exchange.share }));
    const { proof, answer } = exchange.finish(this.join.share);
    const shown = this.frames.find(({ type }) => type === "proof");
    if (shown?.type !== "proof") throw new Error("no PROOF");
    return { isRight: equalBytes(shown.proof, proof), answer };
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

  /** Sends a plaintext as one record, and lets the client react. */
  async send(plaintext: Uint8Array): Promise<void> {
    await this.#write(withLength(this.#sealer!.seal(plaintext)));
    await settle(20);
  }

  /** The reason in the client's CLOSE. */
  get reason(): number | undefined {
    const close = this.frames.find(({ type }) => type === "close");
    return close?.type === "close" ? close.reason : undefined;
  }
}
