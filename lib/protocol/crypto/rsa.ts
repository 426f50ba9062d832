/**
 * RSA-OAEP decryption with SHA-256 and MGF1-SHA-256 (RFC 8017 §7.1.2): a part of rsa.ts, and
 * imported by it alone.
 *
 * The runtime's own OAEP decryption does not blind; so the raw operation is done apart, by
 * something that does, and node-forge decodes the result.
 *
 * @module
 */

import { constants, type KeyObject, privateDecrypt } from "node:crypto";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { DecryptError } from "../../base/errors.ts";
import type { Forge, ForgePrivateKey } from "./forge.d.ts";
import { loadForge } from "../../pem.ts";

/** Options of {@linkcode decryptOaep}. */
export interface OaepOptions {
  /** The OAEP label, any bytes. */
  label: Uint8Array;
  /** Who does the raw operation; by default the runtime if it can, else node-forge. */
  raw?: "native" | "forge";
}

/**
 * Decrypts one ciphertext; blocks the event loop for some 10 ms, or 150 ms where node-forge does
 * the raw operation.
 *
 * @param key An RSA private key.
 * @param ciphertext Any length; only that of the modulus can be right.
 * @returns The plaintext, of any length.
 * @throws {DecryptError} Whatever is wrong with the ciphertext.
 */
export async function decryptOaep(
  key: KeyObject,
  ciphertext: Uint8Array,
  options: OaepOptions,
): Promise<Bytes> {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (ciphertext.length * 8 !== bits) throw new DecryptError();
  const forge = await loadForge();
  const md = forge.md.sha256;
  const { label, raw = hasNative(key, bits) ? "native" : "forge" } = options;
  try {
    const encoded = raw === "native"
      ? rawNative(key, ciphertext)
      : rawForge(key, ciphertext, forge);
    // Against Manger's attack: forge reads the whole block before it says no, and says it in one
    // way.
    const decoded = forge.pkcs1.decode_rsa_oaep(
      { n: { bitLength: () => bits } },
      toBinary(encoded),
      { label: toBinary(label), md: md.create(), mgf1: { md: md.create() } },
    );
    return fromBinary(decoded);
  } catch {
    throw new DecryptError();
  }
}

/** Blinded by the runtime; Deno has it since 2.8. */
function rawNative(key: KeyObject, ciphertext: Uint8Array): Uint8Array {
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext);
}

let native: boolean | undefined;

/** Finds out once whether the runtime has the raw operation: 1 to any power is 1. */
function hasNative(key: KeyObject, bits: number): boolean {
  if (native === undefined) {
    const one = new Uint8Array(bits / 8);
    one[one.length - 1] = 1;
    try {
      native = equalBytes(rawNative(key, one), one);
    } catch {
      native = false;
    }
  }
  return native;
}

const forgeKeys = new WeakMap<KeyObject, ForgePrivateKey>();

/** Blinded by forge. */
function rawForge(key: KeyObject, ciphertext: Uint8Array, forge: Forge): Uint8Array {
  let forgeKey = forgeKeys.get(key);
  if (forgeKey === undefined) {
    forgeKey = forge.pki.privateKeyFromPem(key.export({ type: "pkcs8", format: "pem" }).toString());
    forgeKeys.set(key, forgeKey);
  }
  return fromBinary(forge.pki.rsa.decrypt(toBinary(ciphertext), forgeKey, false, false));
}

/** Forge keeps bytes in strings, one character for each. */
function toBinary(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function fromBinary(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
