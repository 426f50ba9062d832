/**
 * Byte strings: joining, comparing, big-endian integers, strict UTF-8 (PROTOCOL.md §1).
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";

/** Bytes in unshared memory, as the Web Crypto API demands. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Counters stay below this, §1. */
export const MAX_COUNTER = 2 ** 48;
/** Times in milliseconds since 1970 stay below this, §1. */
export const MAX_TIME_MS = 2 ** 53;

/** Above what a message of chat needs, and what Node's functions take from a common buffer. */
const MIN_RELEASED_BYTES = 12 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Joins byte strings into a new one. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * Frees memory that nobody uses any more. The garbage collector would let 64 MB of large buffers pile up first; short
 * ones are left to it.
 *
 * @param bytes Alone in its buffer, which has no bytes afterwards.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, length } = bytes;
  if (length >= MIN_RELEASED_BYTES && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Compares byte strings lexicographically: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether two byte strings are equal. Not constant-time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Reads a u16 at `offset`; the caller has checked the length. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Writes a u16 at `offset`. */
export function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

/** Reads a u32 at `offset`; the caller has checked the length. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 0x10000 + readU16(bytes, offset + 2);
}

/** Writes a u32 at `offset`. */
export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  writeU16(bytes, offset, Math.floor(value / 0x10000));
  writeU16(bytes, offset + 2, value % 0x10000);
}

/**
 * Reads a u64 at `offset`; the caller has checked the length.
 *
 * @param limit The value must be less than this; at most 2^53.
 * @throws {ProtocolError} `bad-field` if it is not: the peer's fault.
 */
export function readU64(bytes: Uint8Array, offset: number, limit: number): number {
  const high = readU32(bytes, offset);
  const value = high * 0x100000000 + readU32(bytes, offset + 4);
  // Above 2^53 the sum is rounded, but never to less than the limit.
  if (high >= 0x200000 || value >= limit) throw new ProtocolError("bad-field");
  return value;
}

/** Writes a u64 at `offset`; `value` is less than 2^53. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  writeU32(bytes, offset, Math.floor(value / 0x100000000));
  writeU32(bytes, offset + 4, value % 0x100000000);
}

/**
 * Rejects byte strings of any other length.
 *
 * @throws {ProtocolError} `bad-length`: the sender's fault.
 */
export function expectLength(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new ProtocolError("bad-length");
}

/** Copies `length` bytes at `start`. */
export function copyBytes(bytes: Uint8Array, start: number, length: number): Bytes {
  return new Uint8Array(bytes.subarray(start, start + length));
}

/** Prefixes a byte string with its u16 length: `L(x)` of §1. */
export function withLength(bytes: Uint8Array): Bytes {
  if (bytes.length > 0xffff) throw new RangeError(`"bytes" must be below 64 KiB: ${bytes.length}`);
  const joined = new Uint8Array(2 + bytes.length);
  writeU16(joined, 0, bytes.length);
  joined.set(bytes, 2);
  return joined;
}

/** Encodes text as UTF-8. A lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Bytes {
  return encoder.encode(text);
}

/**
 * Decodes strict UTF-8; keeps a byte-order mark as a character.
 *
 * @throws {ProtocolError} `bad-utf8` for anything else: the sender's fault.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProtocolError("bad-utf8");
  }
}

/** Encodes a label of §3 to §8: ASCII followed by one zero byte. */
export function label(text: string): Bytes {
  return encodeUtf8(text + "\0");
}

/** Encodes as lower-case hex digits. */
export function encodeHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/**
 * Decodes hex digits of either case.
 *
 * @throws {SyntaxError} For anything else.
 */
export function decodeHex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}
