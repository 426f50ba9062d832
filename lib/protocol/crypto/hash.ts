/**
 * SHA-256, SHA-512, HMAC, and the two steps of HKDF (RFC 5869) separately (PROTOCOL.md §1).
 *
 * @module
 */

import { nodeCrypto } from "../../base/builtin.ts";
import type { Bytes } from "../../base/bytes.ts";

/** Bytes in a SHA-256 digest. */
const HASH_BYTES = 32;

/** SHA-256 of the concatenated byte strings; 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Bytes {
  return digest("sha256", parts);
}

/** SHA-512 of the concatenated byte strings; 64 bytes. */
export function sha512(...parts: readonly Uint8Array[]): Bytes {
  return digest("sha512", parts);
}

function digest(name: string, parts: readonly Uint8Array[]): Bytes {
  const hash = nodeCrypto().createHash(name);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** HMAC-SHA-256 of the concatenated byte strings; 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes {
  const hmac = nodeCrypto().createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

/** `Ext(salt, ikm)`: HKDF-Extract of RFC 5869 §2.2; a 32-byte pseudorandom key. */
export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Bytes {
  return hmacSha256(salt, ikm);
}

/**
 * `Exp(prk, info, n)`: HKDF-Expand of RFC 5869 §2.3.
 *
 * @param length Length of the result in bytes, at most 255 × 32.
 * @throws {RangeError} It is greater: a bug.
 */
export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Bytes {
  if (length > 255 * HASH_BYTES) throw new RangeError(`"length" must be at most 8160: ${length}`);
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1, offset = 0; offset < length; counter++, offset += HASH_BYTES) {
    block = hmacSha256(prk, block, info, Uint8Array.of(counter));
    output.set(block.subarray(0, length - offset), offset);
  }
  return output;
}
