/**
 * How a message is named by others: the reference in `reply` and `ref` (PROTOCOL.md §6).
 *
 * @module
 */

import { decodeHex, encodeHex, label } from "../base/bytes.ts";
import { sha256 } from "./crypto/hash.ts";

const LABEL_REFERENCE = label("hearth/2 ref");
const REFERENCE_BYTES = 8;

/**
 * Names a message so that nobody can put one of their own in its place.
 *
 * @param sender The fingerprint of who sent it, 32 bytes.
 * @param id Its id, 16 hex digits.
 * @returns 16 hex digits.
 */
export function messageReference(sender: Uint8Array, id: string): string {
  return encodeHex(
    sha256(LABEL_REFERENCE, sender, decodeHex(id)).subarray(0, REFERENCE_BYTES),
  );
}
