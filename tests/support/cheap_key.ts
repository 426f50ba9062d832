/**
 * Identities that cost nothing: the form of RSA ones, with signatures that are only hashes. For simulations of many
 * members; they prove nothing to anybody.
 *
 * @module
 */

import { type Bytes, concat, equalBytes, label } from "../../lib/base/bytes.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import type { PrivateKey, PublicKey } from "../../lib/protocol/identity.ts";

const PREFIX_BYTES = 23;

class CheapPublicKey implements PublicKey {
  readonly fingerprint: Bytes;
  readonly bits: number;

  constructor(readonly id: Bytes) {
    this.fingerprint = sha256(id);
    this.bits = (id.length - PREFIX_BYTES) * 8;
  }

  sign(context: string, message: Uint8Array): Bytes {
    const signature = new Uint8Array(this.bits / 8);
    signature.set(sha256(this.id, label(context), message));
    return signature;
  }

  verify(context: string, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return Promise.resolve(equalBytes(this.sign(context, message), signature));
  }

  encrypt(secret: Bytes): Promise<Bytes> {
    const sealed = new Uint8Array(this.bits / 8);
    sealed.set(concat(this.fingerprint, secret));
    return Promise.resolve(sealed);
  }
}

class CheapPrivateKey implements PrivateKey {
  constructor(readonly publicKey: CheapPublicKey) {}

  sign(context: string, message: Uint8Array): Promise<Bytes> {
    return Promise.resolve(this.publicKey.sign(context, message));
  }

  decrypt(ciphertext: Uint8Array): Promise<Bytes> {
    if (!equalBytes(ciphertext.subarray(0, 32), this.publicKey.fingerprint)) {
      return Promise.reject(new DecryptError());
    }
    return Promise.resolve(new Uint8Array(ciphertext.subarray(32, 64)));
  }
}

/** Takes an ID of RSA's form; its signatures must be those of {@linkcode cheapKey}. */
export function decodeCheapId(id: Uint8Array): PublicKey {
  if (![128, 256, 384, 512].includes(id.length - PREFIX_BYTES)) throw new ProtocolError("bad-id");
  return new CheapPublicKey(new Uint8Array(id));
}

/** Makes the identity number `seed`, the same each time. */
export function cheapKey(seed: number, bits = 3072): PrivateKey {
  const id = new Uint8Array(PREFIX_BYTES + bits / 8).fill(0xff);
  id.set(sha256(Uint8Array.of(seed >>> 8, seed)), PREFIX_BYTES + 1);
  return new CheapPrivateKey(new CheapPublicKey(id));
}
