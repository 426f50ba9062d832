/**
 * The keys of a direct connection between two members, and the layout of its records (PROTOCOL.md §15).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  encodeUtf8,
  equalBytes,
  label,
  readU32,
  writeU32,
} from "../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand, hkdfExtract } from "./crypto/hash.ts";
import { type KeyPair, makeKeyPair, POINT_BYTES, sharedSecret } from "./crypto/x25519.ts";
import { decodeFileFrame, encodeFileFrame, type FileFrame, MAX_DATA_BYTES } from "./file_frames.ts";
import { Opener, Sealer, TAG_BYTES } from "./records.ts";

const MAGIC = encodeUtf8("HEARTH/F");
const HINT_BYTES = 16;
const KEY_BYTES = 32;
/** What the side that dialled says first. */
export const DIALER_BYTES: number = MAGIC.length + HINT_BYTES + POINT_BYTES;
/** What the listening side answers. */
export const LISTENER_BYTES: number = POINT_BYTES;

/** Bytes before a record: its length. */
export const RECORD_HEAD_BYTES = 4;
const MIN_RECORD_BYTES = 1 + TAG_BYTES;
/** Largest ciphertext of a record. */
export const MAX_FILE_RECORD_BYTES = 262_176;
const FRAME_HEAD_BYTES = 5;

/** What both sides know of one WHERE. */
export class FileSecret {
  readonly #prk: Bytes;
  readonly #hint: Bytes;

  /**
   * @param id 16 bytes.
   * @param secret 32 bytes.
   */
  constructor(id: Uint8Array, secret: Uint8Array) {
    this.#prk = hkdfExtract(concat(label("hearth/2 file"), id), secret);
    this.#hint = hkdfExpand(this.#prk, encodeUtf8("hearth/2 file hint"), HINT_BYTES);
  }

  /** Begins as the side that dials. */
  dial(
    random: RandomBytes = systemRandom,
  ): { hello: Bytes; finish(answer: Uint8Array): FileRecords } {
    const own = makeKeyPair(random);
    return {
      hello: concat(MAGIC, this.#hint, own.publicKey),
      finish: (answer) => {
        const { dialer, listener } = this.#keys(own, own.publicKey, answer, answer);
        return new FileRecords(dialer, listener);
      },
    };
  }

  /**
   * Answers a side that has dialled.
   *
   * @param hello 56 bytes.
   * @returns Nothing for anybody who does not know the secret: close without a byte.
   * @throws {ProtocolError} A public key that gives no secret.
   */
  answer(
    hello: Uint8Array,
    random: RandomBytes = systemRandom,
  ): { answer: Bytes; records: FileRecords } | undefined {
    const hint = hello.subarray(MAGIC.length, MAGIC.length + HINT_BYTES);
    // The hint is seen by whoever watches the network, and lets nobody in: no constant time.
    if (!equalBytes(hello.subarray(0, MAGIC.length), MAGIC) || !equalBytes(hint, this.#hint)) {
      return undefined;
    }
    const own = makeKeyPair(random);
    const other = copyBytes(hello, MAGIC.length + HINT_BYTES, POINT_BYTES);
    const { dialer, listener } = this.#keys(own, other, own.publicKey, other);
    return { answer: own.publicKey, records: new FileRecords(listener, dialer) };
  }

  #keys(own: KeyPair, eD: Uint8Array, eL: Uint8Array, other: Uint8Array) {
    const ee = sharedSecret(own.privateKey, other);
    const prk = hkdfExtract(concat(eD, eL), concat(ee, this.#prk));
    const expand = (name: string) => hkdfExpand(prk, encodeUtf8(name), KEY_BYTES);
    return { dialer: expand("hearth/2 file dialer"), listener: expand("hearth/2 file listener") };
  }
}

/** The records of a direct connection, in both directions. */
export class FileRecords {
  readonly #sealer: Sealer;
  readonly #opener: Opener;
  /** The record that is being put together: room for its length, frames, and room for the tag. */
  #record: Bytes = new Uint8Array(RECORD_HEAD_BYTES + MAX_FILE_RECORD_BYTES);
  /** The one before, which may still be being written. */
  #other: Bytes = new Uint8Array(RECORD_HEAD_BYTES + MAX_FILE_RECORD_BYTES);
  #end = RECORD_HEAD_BYTES;

  constructor(sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.#sealer = new Sealer(sendKey);
    this.#opener = new Opener(receiveKey);
  }

  /** Bytes of a frame's body that the present record still takes. */
  get room(): number {
    const left = this.#record.length - this.#end - FRAME_HEAD_BYTES - TAG_BYTES;
    return Math.min(Math.max(0, left), MAX_DATA_BYTES);
  }

  /** Where the body of the next frame will be: what is read into it need not be copied. */
  get space(): Uint8Array {
    const start = this.#end + FRAME_HEAD_BYTES;
    return this.#record.subarray(start, start + this.room);
  }

  /**
   * Adds a frame to the present record.
   *
   * @throws {RangeError} It does not fit: a bug.
   */
  add(frame: FileFrame): void {
    const body = frame.type === "data" ? frame.data : undefined;
    const encoded = encodeFileFrame(body ? { type: "data", data: body.subarray(0, 0) } : frame);
    const rest = body ?? encoded.subarray(1);
    if (rest.length > this.room) throw new RangeError("the frame does not fit into the record");
    const start = this.#end + FRAME_HEAD_BYTES;
    this.#record[this.#end] = encoded[0]!;
    writeU32(this.#record, this.#end + 1, rest.length);
    const isInPlace = rest.buffer === this.#record.buffer && rest.byteOffset === start;
    if (!isInPlace) this.#record.set(rest, start);
    this.#end = start + rest.length;
  }

  /** Whether nothing has been added. */
  get isEmpty(): boolean {
    return this.#end === RECORD_HEAD_BYTES;
  }

  /**
   * Seals what was added.
   *
   * @returns The record with its length, valid until the next one is sealed.
   */
  seal(): Uint8Array {
    const end = this.#end + TAG_BYTES;
    writeU32(this.#record, 0, end - RECORD_HEAD_BYTES);
    const record = this.#record;
    this.#sealer.sealInPlace(record.subarray(RECORD_HEAD_BYTES, end));
    [this.#record, this.#other] = [this.#other, record];
    this.#end = RECORD_HEAD_BYTES;
    return record.subarray(0, end);
  }

  /**
   * Reads the length before a record.
   *
   * @throws {DecryptError} It is out of bounds: as nobody has signed it, this is not the other side's fault yet.
   */
  static readLength(head: Uint8Array): number {
    const length = readU32(head, 0);
    if (length < MIN_RECORD_BYTES || length > MAX_FILE_RECORD_BYTES) throw new DecryptError();
    return length;
  }

  /**
   * Opens a record in place.
   *
   * @returns Its frames; DATA is a view into `record`.
   * @throws {DecryptError | ProtocolError} The other side's fault.
   */
  open(record: Uint8Array): FileFrame[] {
    const plaintext = this.#opener.openInPlace(record);
    const frames: FileFrame[] = [];
    for (let at = 0; at < plaintext.length;) {
      if (plaintext.length < at + FRAME_HEAD_BYTES) throw new ProtocolError("bad-length");
      const start = at + FRAME_HEAD_BYTES;
      const end = start + readU32(plaintext, at + 1);
      if (end > plaintext.length) throw new ProtocolError("bad-length");
      frames.push(decodeFileFrame(plaintext[at]!, plaintext.subarray(start, end)));
      at = end;
    }
    return frames;
  }
}
