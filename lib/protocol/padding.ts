/**
 * Padmé: plaintexts of peer records hide all but the magnitude of a message's length (PROTOCOL.md §4).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Largest padded plaintext: a payload of 16000 bytes less the tag. */
const MAX_PADDED_BYTES = 15984;
/** Largest message that fits, with its mark. */
export const MAX_MESSAGE_BYTES: number = MAX_PADDED_BYTES - 1;
/** Stands behind the message; zeros follow. */
const MARK = 0x80;

/** Bytes of the plaintext for a message of `length` bytes. */
export function paddedLength(length: number): number {
  const marked = length + 1;
  const exponent = 31 - Math.clz32(marked);
  const mask = 2 ** (exponent - (32 - Math.clz32(exponent))) - 1;
  return Math.min((marked + mask) & ~mask, MAX_PADDED_BYTES);
}

/**
 * Pads a message.
 *
 * @param message 1 to 15983 bytes.
 * @param room Zeros behind the plaintext.
 * @throws {RangeError} When it has another length: our bug.
 */
export function pad(message: Uint8Array, room = 0): Bytes {
  const { length } = message;
  if (length < 1 || length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`"message" must have 1 to ${MAX_MESSAGE_BYTES} bytes: ${length}`);
  }
  const padded = new Uint8Array(paddedLength(length) + room);
  padded.set(message);
  padded[length] = MARK;
  return padded;
}

/**
 * Takes the padding off.
 *
 * @returns The message, at least one byte; shares the plaintext's memory.
 * @throws {ProtocolError} `bad-padding` for anything that {@linkcode pad} does not make: the sender's fault.
 */
export function unpad<T extends Uint8Array>(plaintext: T): T {
  let length = plaintext.length - 1;
  while (length > 0 && plaintext[length] === 0) length--;
  if (length < 1 || plaintext[length] !== MARK || paddedLength(length) !== plaintext.length) {
    throw new ProtocolError("bad-padding");
  }
  return plaintext.subarray(0, length) as T;
}
