/**
 * From a byte stream to records and from a record to frames (PROTOCOL.md §4), without copies.
 *
 * Knows neither keys nor what frames mean.
 *
 * @module
 */

import { readU16 } from "../base/bytes.ts";
import { TAG_BYTES } from "../protocol/records.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_RECORD_BYTES } from "../protocol/limits.ts";
import { FRAME, FRAME_HEADER_BYTES } from "../protocol/frames.ts";

/** Bytes before the ciphertext of a record on TCP, §4. */
export const RECORD_HEADER_BYTES = 2;

/** What a quiet connection keeps: a record of chat or two. */
const MIN_BUFFER_BYTES = 512;
/** What a busy one may use: one whole record and most of the next. */
const MAX_BUFFER_BYTES = 32 * 1024;
/** After so many reads that the small buffer would have held, it comes back. */
const QUIET_READS = 16;

/** The one buffer a connection reads into; what it hands out is valid until the next read. */
export class InputBuffer {
  #bytes = new Uint8Array(MIN_BUFFER_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes that the record or message being waited for needs. */
  #wanted = 0;
  #quietReads = 0;

  /** The last read filled all the space there was: more is probably waiting. */
  filled = false;

  /** Where the next bytes are to be read into; never empty. */
  space(): Uint8Array {
    const kept = this.#end - this.#start;
    const size = this.#chooseSize(kept);
    if (size !== this.#bytes.length) {
      const bytes = new Uint8Array(size);
      bytes.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = bytes;
    } else if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = kept;
    return this.#bytes.subarray(kept);
  }

  #chooseSize(kept: number): number {
    const size = this.#bytes.length;
    if (this.filled || this.#wanted > size) {
      const doubled = Math.min(2 * size, MAX_BUFFER_BYTES);
      return Math.max(doubled, this.#wanted);
    }
    const needed = Math.max(kept + 1, this.#wanted);
    return this.#quietReads >= QUIET_READS && needed <= MIN_BUFFER_BYTES ? MIN_BUFFER_BYTES : size;
  }

  /** Tells that `length` bytes were read into {@linkcode InputBuffer.space}. */
  add(length: number): void {
    this.#end += length;
    this.filled = this.#end === this.#bytes.length;
    this.#quietReads = length < MIN_BUFFER_BYTES ? this.#quietReads + 1 : 0;
  }

  /** The next `length` bytes without taking them, or nothing as long as they are not all there. */
  peek(length: number): Uint8Array | undefined {
    this.#wanted = length;
    if (this.#end - this.#start < length) return undefined;
    return this.#bytes.subarray(this.#start, this.#start + length);
  }

  /** Takes the next `length` bytes, or nothing as long as they are not all there. */
  take(length: number): Uint8Array | undefined {
    const bytes = this.peek(length);
    if (bytes) this.#start += length;
    return bytes;
  }

  /**
   * Takes the next record.
   *
   * @returns Its ciphertext, 17 to 16400 bytes, or nothing as long as it is not all there.
   * @throws {ProtocolError} `bad-length` for a length outside these bounds: the sender's fault.
   */
  takeRecord(): Uint8Array | undefined {
    this.#wanted = RECORD_HEADER_BYTES;
    if (this.#end - this.#start < RECORD_HEADER_BYTES) return undefined;
    const length = readU16(this.#bytes, this.#start);
    if (length <= TAG_BYTES || length > MAX_RECORD_BYTES) throw new ProtocolError("bad-length"); // §4
    const whole = this.take(RECORD_HEADER_BYTES + length);
    return whole?.subarray(RECORD_HEADER_BYTES);
  }
}

/**
 * Hands out the frames of a record's plaintext, in order; what follows a CLOSE is ignored, §4.
 *
 * @param visit Gets the type byte and the body, which shares the plaintext's memory.
 * @throws {ProtocolError} `bad-length` when there is no frame or they do not fill it exactly: the sender's fault.
 */
export function forEachFrame(
  plaintext: Uint8Array,
  visit: (type: number, body: Uint8Array) => void,
): void {
  let offset = 0;
  do {
    const start = offset + FRAME_HEADER_BYTES;
    if (start > plaintext.length) throw new ProtocolError("bad-length");
    const end = start + readU16(plaintext, offset + 1);
    if (end > plaintext.length) throw new ProtocolError("bad-length");
    const type = plaintext[offset]!;
    visit(type, plaintext.subarray(start, end));
    if (type === FRAME.CLOSE) return;
    offset = end;
  } while (offset < plaintext.length);
}
