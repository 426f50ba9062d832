/**
 * Byte strings: joining, comparing, big-endian integers, strict UTF-8 (PROTOCOL.md §1).
 *
 * Knows nothing of what the bytes mean.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";

/** A byte string in memory of its own kind, as the Web Crypto API asks for it. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Counters stay below this, §1. */
export const MAX_COUNTER = 2 ** 48;
/** Times in milliseconds since 1970 stay below this, §1. */
export const MAX_TIME_MS = 2 ** 53;

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

/** Orders byte strings as numbers of base 256 after their common start: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Tells whether two byte strings are the same. Not constant-time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Tells whether every byte is zero. */
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
 * @param limit The value must be below it; at most 2^53.
 * @throws {ProtocolError} `bad-field` when it is not: the peer's fault.
 */
export function readU64(bytes: Uint8Array, offset: number, limit: number): number {
  const high = readU32(bytes, offset);
  const value = high * 0x100000000 + readU32(bytes, offset + 4);
  // Above 2^53 the sum is rounded, yet never to below the limit.
  if (high >= 0x200000 || value >= limit) throw new ProtocolError("bad-field");
  return value;
}

/** Writes a u64 at `offset`; `value` is below 2^53. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  writeU32(bytes, offset, Math.floor(value / 0x100000000));
  writeU32(bytes, offset + 4, value % 0x100000000);
}

/**
 * Refuses byte strings of any other length.
 *
 * @throws {ProtocolError} `bad-length`: the sender's fault.
 */
export function expectLength(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new ProtocolError("bad-length");
}

/** Copies `length` bytes from `start` on. */
export function copyBytes(bytes: Uint8Array, start: number, length: number): Bytes {
  return new Uint8Array(bytes.subarray(start, start + length));
}

/** Puts a u16 length before a byte string: `L(x)` of §1. */
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
 * Decodes strict UTF-8; a byte-order mark is kept as the character it is.
 *
 * @throws {ProtocolError} `bad-utf8` when the bytes are anything else: the sender's fault.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProtocolError("bad-utf8");
  }
}

/** Makes a label of §3 to §8: ASCII followed by one zero byte. */
export function label(text: string): Bytes {
  return encodeUtf8(text + "\0");
}

/** Writes two lower-case digits for each byte. */
export function encodeHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/**
 * Reads two digits for each byte.
 *
 * @throws {SyntaxError} For anything else.
 */
export function decodeHex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}
