/**
 * X25519 (RFC 7748) on raw 32-byte keys.
 *
 * @module
 */

import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "../../base/builtin.ts";
import { type Bytes, concat, decodeHex, isZero } from "../../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";

/** Bytes in a private key, a public key and a shared secret. */
export const POINT_BYTES = 32;

// The constant DER before a raw key (RFC 8410 §4 and §7): the shortest way to import raw keys with node:crypto on all
// supported runtimes.
/** Before a private key, PKCS #8. */
export const PKCS8_PREFIX: Bytes = decodeHex("302e020100300506032b656e04220420");
const SPKI_PREFIX = decodeHex("302a300506032b656e032100");

/** An ephemeral key pair. */
export interface KeyPair {
  readonly privateKey: Bytes;
  readonly publicKey: Bytes;
}

/** Generates a key pair from 32 random bytes. */
export function makeKeyPair(random: RandomBytes = systemRandom): KeyPair {
  const privateKey = random(POINT_BYTES);
  const spki = nodeCrypto().createPublicKey(importPrivate(privateKey)).export({
    format: "der",
    type: "spki",
  });
  return { privateKey, publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)) };
}

/**
 * Computes the shared secret of this side's private key and the other side's public key.
 *
 * @param publicKey 32 bytes from the wire.
 * @returns 32 bytes, never all zero.
 * @throws {ProtocolError} `bad-point` if the result would be all zero (§3): the other side's fault.
 */
export function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Bytes {
  let secret: Bytes;
  try {
    const { createPublicKey, diffieHellman } = nodeCrypto();
    const other = createPublicKey({
      key: concat(SPKI_PREFIX, publicKey) as Uint8Array as never,
      format: "der",
      type: "spki",
    });
    secret = new Uint8Array(
      diffieHellman({ privateKey: importPrivate(privateKey), publicKey: other }),
    );
  } catch {
    // Deno 2.8 and later throw; earlier versions return zeros.
    throw new ProtocolError("bad-point");
  }
  if (isZero(secret)) throw new ProtocolError("bad-point");
  return secret;
}

function importPrivate(privateKey: Uint8Array): KeyObject {
  return nodeCrypto().createPrivateKey({
    key: concat(PKCS8_PREFIX, privateKey) as Uint8Array as never,
    format: "der",
    type: "pkcs8",
  });
}
