/**
 * Splits a byte stream into records without copying (PROTOCOL.md §4).
 *
 * @module
 */

import { readU16 } from "../base/bytes.ts";
import { TAG_BYTES } from "../protocol/records.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_RECORD_BYTES } from "../protocol/limits.ts";

/** Bytes before the ciphertext of a record on TCP, §4. */
export const RECORD_HEADER_BYTES = 2;

/** The buffer of a quiet connection: room for a chat record or two. */
const MIN_BUFFER_BYTES = 512;
/** The largest buffer: room for one whole record and most of the next. */
const MAX_BUFFER_BYTES = 32 * 1024;
/** Shrinks after this many reads that would have fit into the small buffer. */
const QUIET_READS = 16;

/** The buffer that a connection reads into; what it returns is valid until the next read. */
export class InputBuffer {
  #bytes = new Uint8Array(MIN_BUFFER_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes of the record or message being waited for. */
  #wanted = 0;
  #quietReads = 0;

  /** The last read filled all the space: more is probably waiting. */
  filled = false;

  /** As much as possible was read at once: the sender is probably faster than its reader. */
  get flooded(): boolean {
    return this.filled && this.#bytes.length >= MAX_BUFFER_BYTES;
  }

  /** The long messages of a handshake are over: the next read shrinks it if what follows is not long. */
  settle(): this {
    this.filled = false;
    this.#wanted = 0;
    this.#quietReads = QUIET_READS;
    return this;
  }

  /** Where to read the next bytes into; never empty. */
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

  /** The next `length` bytes without taking them, or undefined if they are not all there yet. */
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
   * @returns Its ciphertext, 17 to 16400 bytes; undefined if it is not all there yet.
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
