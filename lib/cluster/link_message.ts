/**
 * What stands before the entries in a message of a link: `u8 1 || from R(16) || epoch(8) || u48 seq`. AEAD(entries) follows.
 *
 * @module
 */

import { type Bytes, decodeHex, encodeHex, MAX_COUNTER, readU64, writeU64 } from "../base/bytes.ts";
import { TAG_BYTES } from "../protocol/crypto/aead.ts";
import type { Position } from "./entries.ts";
import { readU48, RELAY_BYTES, writeU48 } from "./keys.ts";

const VERSION = 1;
const EPOCH_AT = 1 + RELAY_BYTES;
const SEQ_AT = EPOCH_AT + 8;
/** Bytes of a message before its entries. */
export const HEADER_BYTES: number = SEQ_AT + 6;

/** Writes the header. @param from R of the sender, in hex. */
export function writeHeader(message: Bytes, from: string, { epoch, seq }: Position): void {
  message[0] = VERSION;
  message.set(decodeHex(from), 1);
  writeU64(message, EPOCH_AT, epoch);
  writeU48(message, SEQ_AT, seq);
}

/** R of the relay that a message claims to come from, in hex; undefined if it is no message. */
export function readSender(message: Uint8Array): string | undefined {
  if (message[0] !== VERSION || message.length < HEADER_BYTES + TAG_BYTES) return undefined;
  return encodeHex(message.subarray(1, EPOCH_AT));
}

/** Where a message stands in its link; undefined if no relay makes it. The caller has read its sender. */
export function readPosition(message: Uint8Array): Position | undefined {
  try {
    return { epoch: readU64(message, EPOCH_AT, MAX_COUNTER), seq: readU48(message, SEQ_AT) };
  } catch {
    return undefined; // above what any relay counts to
  }
}
