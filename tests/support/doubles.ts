/**
 * Stand-ins for what is random or costly: identities that answer with recorded bytes, and random bytes that are the
 * same each time. Identities that cost nothing are in cheap_key.ts, a relay that is only a list in test_room.ts.
 *
 * @module
 */

import { type Bytes, decodeHex, equalBytes, writeU32 } from "../../lib/base/bytes.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import type { DecodeId, PrivateKey, PublicKey } from "../../lib/protocol/identity.ts";

/** Random bytes that were recorded: hex texts, given out in order, each as long as what is asked for. */
export function recordedRandom(...texts: readonly string[]): RandomBytes {
  const rest = texts.map((text) => decodeHex(text));
  return (length) => {
    const bytes = rest.shift();
    if (bytes?.length !== length) throw new RangeError(`${length} random bytes were not recorded`);
    return bytes;
  };
}

/** Random bytes that are the same for the same seed. */
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

/** What of an identity is answered otherwise than it would answer itself. */
export interface KeyDouble {
  /** Instead of its own ID, 23 bytes and more. */
  id?: Bytes;
  sign?(context: string, message: Uint8Array): Bytes | Promise<Bytes>;
  decrypt?(ciphertext: Uint8Array): Promise<Bytes>;
}

/** A private key that is another's but for some answers. */
export function doubleKey(real: PrivateKey, double: KeyDouble): PrivateKey {
  const publicKey = double.id ? { ...publicParts(real.publicKey), id: double.id } : real.publicKey;
  return {
    publicKey,
    sign: (context, message) =>
      Promise.resolve(double.sign?.(context, message) ?? real.sign(context, message)),
    decrypt: (ciphertext) => (double.decrypt ?? ((c) => real.decrypt(c)))(ciphertext),
  };
}

/** A private key whose one signature was recorded; it is not made anew, for PSS is random. */
export function recordedKey(real: PrivateKey, signature: Bytes): PrivateKey {
  return doubleKey(real, { sign: () => signature });
}

/** What of other people's identities is answered otherwise. */
export interface PublicDouble {
  verify?(context: string, message: Uint8Array, signature: Uint8Array): boolean;
  encrypt?(secret: Bytes): Bytes;
}

/** Makes public identities that are another's but for some answers. */
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

/** Makes public identities whose `encrypt` gives a recorded c, for OAEP is random; only for its own secret. */
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
