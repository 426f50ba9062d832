/**
 * Comparison of secret values in constant time.
 *
 * @module
 */

import { nodeCrypto } from "../../base/builtin.ts";

/** Tells whether two byte strings are the same; the time taken depends on their lengths alone. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && nodeCrypto().timingSafeEqual(a, b);
}
