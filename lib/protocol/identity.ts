/**
 * RSA identities: keys, public identities and their fingerprints, signatures (PSS) and the secret
 * inside a peer handshake (OAEP). PROTOCOL.md §1 and §3.
 *
 * With its parts pem.ts and oaep.ts the only module that names RSA. Knows nothing of connections
 * and of where keys are kept; nothing that came over the network is ever parsed as ASN.1.
 *
 * @module
 */

import { createPublicKey, type KeyObject } from "node:crypto";
import { type Bytes, concat, encodeUtf8, equalBytes, label, writeU32 } from "../base/bytes.ts";
import { DecryptError, ProtocolError, UsageError } from "../base/errors.ts";
import { sha256 } from "./crypto/hash.ts";
import { decryptOaep } from "./crypto/rsa.ts";
import { makePrivateKey, readPrivateKey } from "../pem.ts";
import { decodeBase64, encodeBase64 } from "../base/std.ts";

export { PassphraseError } from "../pem.ts";

/** Key sizes in bits that an identity may have, §1. */
export const KEY_BITS: readonly number[] = [1024, 2048, 3072, 4096];
/** Bytes before the modulus in an ID, §1. */
const ID_PREFIX_BYTES = 23;
/** Bytes of the secret that travels in a peer handshake, §3. */
export const SECRET_BYTES = 32;

const PUBLIC_EXPONENT = 65537;
const KEY_TYPE = "ssh-rsa";
const FINGERPRINT_PREFIX = "SHA256:";
const HINT_MAKE = "make one that fits: ssh-keygen -t rsa -b 3072 -f FILE";
const LABEL_SECRET = encodeUtf8("hearth/1 kem");
// Salt of exactly 32 bytes, §1: WebCrypto refuses any other when it verifies.
const PSS = { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 };
// WebCrypto uses one hash for OAEP and its MGF1.
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };

/** Somebody's public identity. */
export interface PublicKey {
  /** ID of §1: 151, 279, 407 or 535 bytes; not to be changed. */
  readonly id: Bytes;
  /** FP of §1: 32 bytes; not to be changed. */
  readonly fingerprint: Bytes;
  /** Size of the modulus: one of {@linkcode KEY_BITS}. */
  readonly bits: number;
  /**
   * Tells whether `signature` is SIG(context, message) of this identity, §1.
   *
   * @param context ASCII label without the zero byte that follows it.
   * @param signature Any length; only that of the modulus can be right.
   */
  verify(context: string, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /**
   * Encrypts a secret to this identity: c of §3.
   *
   * @param secret 32 bytes.
   * @returns As many bytes as the modulus has.
   */
  encrypt(secret: Bytes): Promise<Bytes>;
}

/** One's own identity. */
export interface PrivateKey {
  /** What others may know of it. */
  readonly publicKey: PublicKey;
  /**
   * Makes SIG(context, message) of §1, off the event loop.
   *
   * @param context ASCII label without the zero byte that follows it.
   * @returns As many bytes as the modulus has.
   */
  sign(context: string, message: Uint8Array): Promise<Bytes>;
  /**
   * Decrypts c of §3.
   *
   * @returns The secret of 32 bytes.
   * @throws {DecryptError} Whatever is wrong with it: the peer's fault. Go on with a random secret,
   * §3.
   */
  decrypt(ciphertext: Uint8Array): Promise<Bytes>;
}

/** Makes a public identity of bytes from the network; a simulation has a cheaper one. */
export type DecodeId = (id: Uint8Array) => PublicKey;

class RsaPublicKey implements PublicKey {
  readonly id: Bytes;
  readonly fingerprint: Bytes;
  readonly bits: number;
  #verifyKey: Promise<CryptoKey> | undefined;
  #encryptKey: Promise<CryptoKey> | undefined;

  constructor(id: Bytes) {
    this.id = id;
    this.fingerprint = sha256(id);
    this.bits = (id.length - ID_PREFIX_BYTES) * 8;
  }

  verify(context: string, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return this.verifyData(concat(label(context), message), signature);
  }

  async verifyData(data: Bytes, signature: Uint8Array): Promise<boolean> {
    if (signature.length * 8 !== this.bits) return false;
    const key = await (this.#verifyKey ??= this.#import(PSS, "verify"));
    return await crypto.subtle.verify(PSS, key, new Uint8Array(signature), data);
  }

  async encrypt(secret: Bytes): Promise<Bytes> {
    if (secret.length !== SECRET_BYTES) {
      throw new RangeError(`"secret" must be 32 bytes: ${secret.length}`);
    }
    const key = await (this.#encryptKey ??= this.#import(OAEP, "encrypt"));
    const parameters = { name: OAEP.name, label: LABEL_SECRET };
    return new Uint8Array(await crypto.subtle.encrypt(parameters, key, secret));
  }

  #import(algorithm: RsaHashedImportParams, usage: "verify" | "encrypt"): Promise<CryptoKey> {
    const n = encodeBase64(this.id.subarray(ID_PREFIX_BYTES))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const key = { kty: "RSA", n, e: "AQAB" };
    return crypto.subtle.importKey("jwk", key, algorithm, false, [usage]);
  }
}

class RsaPrivateKey implements PrivateKey {
  readonly publicKey: RsaPublicKey;
  readonly #key: KeyObject;
  #signKey: Promise<CryptoKey> | undefined;

  constructor(key: KeyObject, publicKey: RsaPublicKey) {
    this.#key = key;
    this.publicKey = publicKey;
  }

  async sign(context: string, message: Uint8Array): Promise<Bytes> {
    const key = await (this.#signKey ??= this.#importSignKey());
    const data = concat(label(context), message);
    return new Uint8Array(await crypto.subtle.sign(PSS, key, data));
  }

  #importSignKey(): Promise<CryptoKey> {
    const der = new Uint8Array(this.#key.export({ type: "pkcs8", format: "der" }));
    return crypto.subtle.importKey("pkcs8", der, PSS, false, ["sign"]);
  }

  async decrypt(ciphertext: Uint8Array): Promise<Bytes> {
    const secret = await decryptOaep(this.#key, ciphertext, { label: LABEL_SECRET });
    if (secret.length !== SECRET_BYTES) throw new DecryptError();
    return secret;
  }

  exportPem(): string {
    return this.#key.export({ type: "pkcs8", format: "pem" }).toString();
  }
}

/**
 * Verifies RSASSA-PSS over `data` as it is: what {@linkcode PublicKey.verify} does without the
 * context. Exported for the tests only.
 */
export function verifyPss(id: Uint8Array, data: Bytes, signature: Uint8Array): Promise<boolean> {
  return decodePublicKey(id).verifyData(data, signature);
}

/**
 * Makes a public identity of an ID, §1; costs one hash.
 *
 * @param id Copied.
 * @throws {ProtocolError} `bad-id` when it has not the one accepted form: the peer's fault.
 */
export function decodeId(id: Uint8Array): PublicKey {
  return decodePublicKey(id);
}

function decodePublicKey(id: Uint8Array): RsaPublicKey {
  const modulusBytes = id.length - ID_PREFIX_BYTES;
  if (
    !KEY_BITS.includes(modulusBytes * 8) ||
    !equalBytes(id.subarray(0, ID_PREFIX_BYTES), idPrefix(modulusBytes)) ||
    (id[ID_PREFIX_BYTES]! & 0x80) === 0 || (id.at(-1)! & 1) === 0
  ) throw new ProtocolError("bad-id");
  return new RsaPublicKey(new Uint8Array(id));
}

/** What comes before the modulus: type, exponent 65537, its length and sign byte, §1. */
function idPrefix(modulusBytes: number): Bytes {
  const prefix = concat(
    Uint8Array.of(0, 0, 0, KEY_TYPE.length),
    encodeUtf8(KEY_TYPE),
    Uint8Array.of(0, 0, 0, 3, 1, 0, 1),
    new Uint8Array(5),
  );
  writeU32(prefix, ID_PREFIX_BYTES - 5, modulusBytes + 1);
  return prefix;
}

/**
 * Makes a new key pair with the public exponent 65537, off the event loop; takes up to some
 * seconds.
 *
 * @param bits One of {@linkcode KEY_BITS}.
 * @throws {UsageError} For another size.
 */
export async function generateKey(bits: number): Promise<PrivateKey> {
  if (!KEY_BITS.includes(bits)) throw wrongSize(bits);
  return toPrivateKey(await makePrivateKey(bits, PUBLIC_EXPONENT));
}

/**
 * Reads a private key: PKCS#8, PKCS#1 ("traditional") or OpenSSH, with or without passphrase.
 *
 * @param pem The text of the key file; what stands around the key is ignored.
 * @param passphrase Ignored when the key is not encrypted; an empty one is none.
 * @throws {PassphraseError} When it is encrypted, and the passphrase missing or wrong.
 * @throws {UsageError} When it is no private key, damaged, or cannot be an identity.
 */
export async function importPrivateKey(pem: string, passphrase?: string): Promise<PrivateKey> {
  return toPrivateKey(await readPrivateKey(pem, passphrase));
}

function toPrivateKey(key: KeyObject): RsaPrivateKey {
  if (key.asymmetricKeyType !== "rsa") throw new UsageError("not an RSA key", [HINT_MAKE]);
  const { n, e } = createPublicKey(key).export({ format: "jwk" });
  if (n === undefined || e !== "AQAB") {
    throw new UsageError("an RSA key whose public exponent is not 65537", [HINT_MAKE]);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (!KEY_BITS.includes(bits)) throw wrongSize(bits);
  const modulus = decodeBase64(n.replaceAll("-", "+").replaceAll("_", "/"));
  return new RsaPrivateKey(key, decodePublicKey(concat(idPrefix(modulus.length), modulus)));
}

function wrongSize(bits: number): UsageError {
  const hint = `the sizes are ${KEY_BITS.join(", ")}; 3072 is a good one`;
  return new UsageError(`an RSA key of ${bits} bits cannot be an identity`, [hint]);
}

/**
 * Writes a private key as PKCS#8 PEM, not encrypted.
 *
 * @param key A key of {@linkcode generateKey} or {@linkcode importPrivateKey}.
 */
export function exportPrivateKey(key: PrivateKey): string {
  return ownKey(key).exportPem();
}

function ownKey(key: PrivateKey): RsaPrivateKey {
  if (key instanceof RsaPrivateKey) return key;
  throw new TypeError(`"key" must come from generateKey() or importPrivateKey()`);
}

/** Shows FP as `ssh-keygen -lf` does, §1. */
export function encodeFingerprint(fingerprint: Uint8Array): string {
  return FINGERPRINT_PREFIX + encodeBase64(fingerprint).replaceAll("=", "");
}

/**
 * Reads the one form that {@linkcode encodeFingerprint} writes.
 *
 * @returns FP, 32 bytes.
 * @throws {UsageError} For anything else.
 */
export function decodeFingerprint(text: string): Bytes {
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) {
    const fingerprint = decodeBase64(text.slice(FINGERPRINT_PREFIX.length) + "=");
    // The last character carries two bits too many: only zeros give the same text again.
    if (encodeFingerprint(fingerprint) === text) return fingerprint;
  }
  throw new UsageError("not a fingerprint", ["it is SHA256: and 43 characters, copied whole"]);
}

/** Shows an ID as the line of an OpenSSH public key file, without comment, §1. */
export function encodeSshKey(id: Uint8Array): string {
  return `${KEY_TYPE} ${encodeBase64(id)}`;
}

/**
 * Reads the line of an OpenSSH public key file.
 *
 * @param line `ssh-rsa AAAA…`; a comment may follow.
 * @throws {UsageError} When it is anything else, or a key that cannot be an identity.
 */
export function decodeSshKey(line: string): PublicKey {
  const [type, text = ""] = line.trim().split(/\s+/);
  try {
    const key = decodeId(decodeBase64(text));
    if (type === KEY_TYPE && encodeSshKey(key.id) === `${type} ${text}`) return key;
  } catch (error) {
    const isTextFault = error instanceof TypeError || error instanceof RangeError; // no base64
    if (!(error instanceof ProtocolError) && !isTextFault) throw error;
  }
  throw new UsageError("not an RSA public key that can be an identity", [
    `it is one line: ssh-rsa AAAA…, of ${KEY_BITS.join(", ")} bits with public exponent 65537`,
  ]);
}
