/**
 * Ed25519 (RFC 8032) on raw keys.
 *
 * @module
 */

import { type Bytes, concat, decodeHex } from "../../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../../base/clock.ts";

/** Bytes in a seed and in a public key. */
export const ED25519_KEY_BYTES = 32;
/** Bytes in a signature. */
export const ED25519_SIGNATURE_BYTES = 64;

const ALGORITHM = "Ed25519";
// The fixed DER before a seed (RFC 8410 §7): WebCrypto imports private keys in no shorter way.
const PKCS8_PREFIX = decodeHex("302e020100300506032b657004220420");

/** A key pair that signs. */
interface SigningKey {
  /** 32 bytes; not to be changed. */
  readonly publicKey: Bytes;
  /** Signs `data`; 64 bytes, the same each time. */
  sign(data: Bytes): Promise<Bytes>;
}

/** Makes a key pair from a seed of 32 random bytes. */
export async function makeSigningKey(random: RandomBytes = systemRandom): Promise<SigningKey> {
  const pkcs8 = concat(PKCS8_PREFIX, random(ED25519_KEY_BYTES));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  return {
    publicKey: Uint8Array.fromBase64(x!, { alphabet: "base64url" }),
    sign: async (data) => new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, data)),
  };
}

/**
 * Tells whether `signature` is that of `data` under `publicKey`.
 *
 * @param publicKey As it came from the wire: any length, any value.
 * @param signature As it came from the wire: any length.
 */
export async function verifyEd25519(
  publicKey: Uint8Array,
  data: Bytes,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== ED25519_KEY_BYTES) return false;
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  try {
    const raw = new Uint8Array(publicKey);
    const key = await crypto.subtle.importKey("raw", raw, ALGORITHM, false, ["verify"]);
    return await crypto.subtle.verify(ALGORITHM, key, new Uint8Array(signature), data);
  } catch (error) {
    if (error instanceof DOMException) return false; // a public key that is not on the curve
    throw error;
  }
}
