/**
 * Cheap identities with the layout of RSA ones, and cheap key agreements, whose signatures and secrets are mere hashes:
 * insecure, for simulations of many members.
 *
 * @module
 */

import { type Bytes, concat, equalBytes, isZero, label } from "../../lib/base/bytes.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { type CpaceInput, type CpaceSide, SHARE_BYTES } from "../../lib/protocol/crypto/cpace.ts";
import { sha256, sha512 } from "../../lib/protocol/crypto/hash.ts";
import { KEM_CIPHERTEXT_BYTES, KEM_KEY_BYTES } from "../../lib/protocol/crypto/ml_kem.ts";
import { nodeSuite } from "../../lib/protocol/crypto/suite.ts";
import type { PrivateKey, PublicKey } from "../../lib/protocol/identity.ts";
import type { Primitives } from "../../lib/protocol/primitives.ts";

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

/** Decodes an identity; its signatures must come from {@linkcode cheapKey}. */
export function decodeCheapId(id: Uint8Array): PublicKey {
  if (![128, 256, 384, 512].includes(id.length - PREFIX_BYTES)) throw new ProtocolError("bad-id");
  return new CheapPublicKey(new Uint8Array(id));
}

/** The identity number `seed`, always the same. */
export function cheapKey(seed: number, bits = 3072): PrivateKey {
  const id = new Uint8Array(PREFIX_BYTES + bits / 8).fill(0xff);
  id.set(sha256(Uint8Array.of(seed >>> 8, seed)), PREFIX_BYTES + 1);
  return new CheapPrivateKey(new CheapPublicKey(id));
}

function cheapSignature(publicKey: Uint8Array, data: Uint8Array): Bytes {
  return sha512(publicKey, data);
}

function isCheapShare(share: Uint8Array): boolean {
  return share.length === SHARE_BYTES && !isZero(share);
}

function startCheapExchange(input: CpaceInput, random = systemRandom): CpaceSide {
  const share = random(SHARE_BYTES);
  share[0]! |= 1;
  return {
    share,
    finish(other) {
      if (!isCheapShare(other)) throw new ProtocolError("bad-point");
      const shares = input.role === "initiator" ? [share, other] : [other, share];
      return sha512(input.secret, input.context, input.session, ...shares);
    },
  };
}

/** All that a handshake and a join need, at the price of a few hashes; nothing waits for more than a microtask. */
export const cheapPrimitives: Primitives = {
  ...nodeSuite,
  decodeId: decodeCheapId,
  makeKemKeyPair({ random = systemRandom } = {}) {
    const publicKey = new Uint8Array(KEM_KEY_BYTES);
    publicKey.set(random(32), KEM_KEY_BYTES - 32);
    const decapsulate = (ciphertext: Uint8Array) => Promise.resolve(sha256(publicKey, ciphertext));
    return Promise.resolve({ publicKey, decapsulate });
  },
  encapsulate(publicKey, { random = systemRandom } = {}) {
    const ciphertext = new Uint8Array(KEM_CIPHERTEXT_BYTES);
    ciphertext.set(random(32));
    return Promise.resolve({ ciphertext, secret: sha256(publicKey, ciphertext) });
  },
  makeSigningKey(random = systemRandom) {
    const publicKey = random(32);
    return Promise.resolve({
      publicKey,
      sign: (data: Bytes) => Promise.resolve(cheapSignature(publicKey, data)),
    });
  },
  verifyEd25519: (publicKey, data, signature) =>
    Promise.resolve(equalBytes(cheapSignature(publicKey, data), signature)),
  startCpace: (input, random) => Promise.resolve(startCheapExchange(input, random)),
  isShare: (share) => Promise.resolve(isCheapShare(share)),
};
