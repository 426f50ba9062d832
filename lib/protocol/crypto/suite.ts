/**
 * What a handshake and the first records of a connection compute with: by node:crypto, at once, or by WebCrypto, for
 * which a program that has just started need not load anything.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { RandomBytes } from "../../base/clock.ts";
import { openAead, sealAead } from "./aead.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "./hash.ts";
import { type KeyPair, makeKeyPair, sharedSecret } from "./x25519.ts";

type Soon<T> = T | Promise<T>;

/** The functions of that name elsewhere, which may take longer. */
export interface Suite {
  sha256(...parts: readonly Uint8Array[]): Soon<Bytes>;
  hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Soon<Bytes>;
  /** @param length At most 32. */
  hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Soon<Bytes>;
  makeKeyPair(random?: RandomBytes): Soon<KeyPair>;
  sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Soon<Bytes>;
  sealAead(key: Bytes, n: number, ad: Uint8Array, plaintext: Uint8Array): Soon<Bytes>;
  openAead(key: Bytes, n: number, ad: Uint8Array, ct: Uint8Array): Soon<Bytes>;
}

/** By node:crypto and libsodium: nothing waits. */
export const nodeSuite: Suite = {
  sha256,
  hkdfExtract,
  hkdfExpand,
  makeKeyPair,
  sharedSecret,
  sealAead,
  openAead,
};
