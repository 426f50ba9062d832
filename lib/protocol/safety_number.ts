/**
 * The digits that two people compare to rule out a man in the middle (PROTOCOL.md §8).
 *
 * @module
 */

import { compareBytes, label, readU32 } from "../base/bytes.ts";
import { sha512 } from "./crypto/hash.ts";

const LABEL_SAFETY = label("hearth/2 safety");
const CHUNKS = 6;
const CHUNK_BYTES = 5;

/** A person whose digits are shown. */
interface SafetyIdentity {
  /** The ID, §1. */
  readonly id: Uint8Array;
  /** 32 bytes. */
  readonly fingerprint: Uint8Array;
}

/**
 * Computes the 30 digits of one identity.
 *
 * @param id An ID, §1.
 * @returns Six groups of five digits, separated by spaces.
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

/** The digits of two identities, ordered by fingerprint so that both people see the same order. */
export function showSafetyNumbers(a: SafetyIdentity, b: SafetyIdentity): [string, string] {
  const [first, second] = compareBytes(a.fingerprint, b.fingerprint) <= 0 ? [a, b] : [b, a];
  return [safetyNumber(first.id), safetyNumber(second.id)];
}
