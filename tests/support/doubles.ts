/**
 * Deterministic test doubles: identities that answer with recorded bytes, and reproducible random bytes. Cheap
 * identities are in cheap_key.ts, a minimal relay in test_room.ts.
 *
 * @module
 */

import { type Bytes, decodeHex, equalBytes, writeU32 } from "../../lib/base/bytes.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import type { DecodeId, PrivateKey, PublicKey } from "../../lib/protocol/identity.ts";

/** Recorded random bytes: hex strings, returned in order; each must have the requested length. */
export function recordedRandom(...texts: readonly string[]): RandomBytes {
  const rest = texts.map((text) => decodeHex(text));
  return (length) => {
    const bytes = rest.shift();
    if (bytes?.length !== length) throw new RangeError(`${length} random bytes were not recorded`);
    return bytes;
  };
}

/** Pseudo-random bytes from a seed. */
export function seededRandom(seed: string): RandomBytes {
  const start = new TextEncoder().encode(seed);
  let count = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += 32) {
      const number = new Uint8Array(4);
      writeU32(number, 0, count++);
      bytes.set(sha256(start, number).subarray(0, length - offset), offset);
    }
    return bytes;
  };
}

/** Replaced members of a private key. */
export interface KeyDouble {
  /** Its encoded identity, 23 bytes or more. */
  id?: Bytes;
  sign?(context: string, message: Uint8Array): Bytes | Promise<Bytes>;
  decrypt?(ciphertext: Uint8Array): Promise<Bytes>;
}

/** A private key with some members replaced. */
export function doubleKey(real: PrivateKey, double: KeyDouble): PrivateKey {
  const publicKey = double.id ? { ...publicParts(real.publicKey), id: double.id } : real.publicKey;
  return {
    publicKey,
    sign: (context, message) =>
      Promise.resolve(double.sign?.(context, message) ?? real.sign(context, message)),
    decrypt: (ciphertext) => (double.decrypt ?? ((c) => real.decrypt(c)))(ciphertext),
  };
}

/** A private key that returns a recorded signature, because PSS is randomized. */
export function recordedKey(real: PrivateKey, signature: Bytes): PrivateKey {
  return doubleKey(real, { sign: () => signature });
}

/** Replaced members of public keys. */
export interface PublicDouble {
  verify?(context: string, message: Uint8Array, signature: Uint8Array): boolean;
  encrypt?(secret: Bytes): Bytes;
}

/** Decodes public keys with some members replaced. */
export function doubleDecodeId(real: DecodeId, double: PublicDouble): DecodeId {
  return (id) => {
    const key = real(id);
    return {
      ...publicParts(key),
      verify: (context, message, signature) =>
        double.verify
          ? Promise.resolve(double.verify(context, message, signature))
          : key.verify(context, message, signature),
      encrypt: (secret) =>
        double.encrypt ? Promise.resolve(double.encrypt(secret)) : key.encrypt(secret),
    };
  };
}

/** Decodes public keys whose `encrypt` returns a recorded c for its secret, because OAEP is randomized. */
export function recordedDecodeId(real: DecodeId, recorded: { s: Bytes; c: Bytes }): DecodeId {
  return doubleDecodeId(real, {
    encrypt(secret) {
      if (!equalBytes(secret, recorded.s)) throw new RangeError("no c is recorded for this secret");
      return recorded.c;
    },
  });
}

function publicParts(key: PublicKey): PublicKey {
  return {
    id: key.id,
    fingerprint: key.fingerprint,
    bits: key.bits,
    verify: (context, message, signature) => key.verify(context, message, signature),
    encrypt: (secret) => key.encrypt(secret),
  };
}
