/**
 * The digits two people compare to know that nobody stands between them (PROTOCOL.md §8).
 *
 * Knows nothing of who has compared them with whom.
 *
 * @module
 */

import { compareBytes, label, readU32 } from "../base/bytes.ts";
import { sha512 } from "./crypto/hash.ts";

const LABEL_SAFETY = label("hearth/1 safety");
const CHUNKS = 6;
const CHUNK_BYTES = 5;

/** Somebody whose digits are shown. */
export interface SafetyIdentity {
  /** The whole public identity, §1. */
  readonly id: Uint8Array;
  /** Its fingerprint, 32 bytes. */
  readonly fingerprint: Uint8Array;
}

/**
 * Computes the 30 digits of one identity.
 *
 * @param id A public identity, §1.
 * @returns Six groups of five digits with one space between.
 */
export function safetyNumber(id: Uint8Array): string {
  const hash = sha512(LABEL_SAFETY, id);
  const groups: string[] = [];
  for (let i = 0; i < CHUNKS; i++) {
    const at = i * CHUNK_BYTES;
    const chunk = hash[at]! * 2 ** 32 + readU32(hash, at + 1);
    groups.push(String(chunk % 100_000).padStart(5, "0"));
  }
  return groups.join(" ");
}

/**
 * Gives the digits of two identities in the order in which both people see them: by fingerprint.
 */
export function showSafetyNumbers(a: SafetyIdentity, b: SafetyIdentity): [string, string] {
  const [first, second] = compareBytes(a.fingerprint, b.fingerprint) <= 0 ? [a, b] : [b, a];
  return [safetyNumber(first.id), safetyNumber(second.id)];
}
