/**
 * Identities: RSA keys with their IDs and fingerprints, what is signed with them, and the secret that a peer handshake
 * encrypts to them (PROTOCOL.md §1, §3).
 *
 * @module
 */

import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "../base/builtin.ts";
import { type Bytes, concat, encodeUtf8, equalBytes, label, writeU32 } from "../base/bytes.ts";
import { DecryptError, ProtocolError, UsageError } from "../base/errors.ts";
import { decodeBase64, encodeBase64 } from "../base/std.ts";
import { sha256 } from "./crypto/hash.ts";
import { webSuite } from "./crypto/web.ts";
import {
  decryptOaep,
  encryptOaep,
  generatePrivateKey,
  importPublicKey,
  importSigningKey,
  type PlainKey,
  rawDecryptFor,
  readModulus,
  readPlainDer,
  readPrivateKey,
  signPss,
  toKeyObject,
  verifyPss,
} from "./crypto/rsa.ts";
import { KEY_BITS } from "./limits.ts";

/** Bytes before the modulus in an ID, §1. */
const ID_PREFIX_BYTES = 23;
/** Bytes of the secret in a peer handshake, §3. */
export const SECRET_BYTES = 32;

const KEY_TYPE = "ssh-rsa";
const FINGERPRINT_PREFIX = "SHA256:";
/** A fingerprint as text, §1: 32 bytes in base64 without padding, so the last two bits of the last character are zero. */
export const FINGERPRINT_PATTERN = `${FINGERPRINT_PREFIX}[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]`;
const HINT_MAKE = "make a suitable one: ssh-keygen -t rsa -b 3072 -f FILE";
const LABEL_SECRET = encodeUtf8("hearth/2 kem");

/** The public half of an identity. */
export interface PublicKey {
  /** ID of §1: 151, 279, 407 or 535 bytes; do not change it. */
  readonly id: Bytes;
  /** FP of §1: 32 bytes; do not change it. */
  readonly fingerprint: Bytes;
  /** Size of the modulus: one of {@linkcode KEY_BITS}. */
  readonly bits: number;
  /**
   * Whether `signature` is SIG(context, message) by this identity, §1.
   *
   * @param context ASCII label without the zero byte that follows it.
   * @param signature Any length; only that of the modulus can be valid.
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

/** An identity that this program holds. */
export interface PrivateKey {
  readonly publicKey: PublicKey;
  /**
   * Computes SIG(context, message) of §1, off the event loop.
   *
   * @param context ASCII label without the zero byte that follows it.
   * @returns As many bytes as the modulus has.
   */
  sign(context: string, message: Uint8Array): Promise<Bytes>;
  /**
   * Decrypts c of §3.
   *
   * @returns The secret of 32 bytes.
   * @throws {DecryptError} c is invalid, for whatever reason. Continue with a random secret, §3.
   */
  decrypt(ciphertext: Uint8Array): Promise<Bytes>;
}

/** Decodes an ID from the network; the simulation has a cheaper one. */
export type DecodeId = (id: Uint8Array) => PublicKey;

class RsaPublicKey implements PublicKey {
  readonly id: Bytes;
  readonly bits: number;
  readonly #modulus: Bytes;
  #fingerprint: Bytes | undefined;
  #verifyKey: Promise<CryptoKey> | undefined;
  #encryptKey: Promise<CryptoKey> | undefined;

  constructor(id: Bytes) {
    this.id = id;
    this.#modulus = id.subarray(ID_PREFIX_BYTES);
    this.bits = this.#modulus.length * 8;
  }

  get fingerprint(): Bytes {
    return this.#fingerprint ??= sha256(this.id);
  }

  /** Computes the fingerprint before anybody asks for it. */
  async prepare(): Promise<this> {
    this.#fingerprint = await webSuite.sha256(this.id);
    return this;
  }

  async verify(context: string, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const key = await (this.#verifyKey ??= importPublicKey(this.#modulus, "verify"));
    return await verifyPss(key, concat(label(context), message), signature);
  }

  async encrypt(secret: Bytes): Promise<Bytes> {
    if (secret.length !== SECRET_BYTES) {
      throw new RangeError(`"secret" must be 32 bytes: ${secret.length}`);
    }
    const key = await (this.#encryptKey ??= importPublicKey(this.#modulus, "encrypt"));
    return await encryptOaep(key, secret, LABEL_SECRET);
  }
}

class RsaPrivateKey implements PrivateKey {
  readonly publicKey: PublicKey;
  readonly #der: Bytes;
  #object: KeyObject | undefined;
  #signingKey: Promise<CryptoKey> | undefined;

  /** @param der PKCS #8. */
  constructor(der: Bytes, publicKey: PublicKey) {
    this.#der = der;
    this.publicKey = publicKey;
  }

  get #key(): KeyObject {
    return this.#object ??= toKeyObject(this.#der);
  }

  async sign(context: string, message: Uint8Array): Promise<Bytes> {
    const key = await (this.#signingKey ??= importSigningKey(this.#der));
    return await signPss(key, concat(label(context), message));
  }

  async decrypt(ciphertext: Uint8Array): Promise<Bytes> {
    const options = { label: LABEL_SECRET, raw: rawDecryptFor(this.#key) };
    const secret = await decryptOaep(this.#key, ciphertext, options);
    if (secret.length !== SECRET_BYTES) throw new DecryptError();
    return secret;
  }

  exponent(): Bytes {
    const exponent = Uint8Array.fromBase64(this.#key.export({ format: "jwk" }).d!, {
      alphabet: "base64url",
    });
    const padded = new Uint8Array(this.publicKey.bits / 8);
    padded.set(exponent, padded.length - exponent.length);
    return padded;
  }

  exportPem(): string {
    return this.#key.export({ type: "pkcs8", format: "pem" }).toString();
  }
}

/**
 * Decodes an ID, §1; the first look at its fingerprint costs one hash.
 *
 * @param id Copied.
 * @throws {ProtocolError} `bad-id` if it is not in the one accepted form: the peer's fault.
 */
export function decodeId(id: Uint8Array): PublicKey {
  return decodeRsaId(id);
}

/** As {@linkcode decodeId}, with a hash by WebCrypto. */
export async function readId(id: Uint8Array): Promise<PublicKey> {
  return await decodeRsaId(id).prepare();
}

function decodeRsaId(id: Uint8Array): RsaPublicKey {
  const modulusBytes = id.length - ID_PREFIX_BYTES;
  if (
    !KEY_BITS.includes(modulusBytes * 8) ||
    !equalBytes(id.subarray(0, ID_PREFIX_BYTES), idPrefix(modulusBytes)) ||
    (id[ID_PREFIX_BYTES]! & 0x80) === 0 || (id.at(-1)! & 1) === 0
  ) throw new ProtocolError("bad-id");
  return new RsaPublicKey(new Uint8Array(id));
}

/** Everything before the modulus, §1: type, exponent 65537, length and sign byte of the modulus. */
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
 * Generates an identity, off the event loop; takes up to some seconds.
 *
 * @param bits One of {@linkcode KEY_BITS}.
 * @throws {UsageError} For another size.
 */
export async function generateKey(bits: number): Promise<PrivateKey> {
  if (!KEY_BITS.includes(bits)) throw wrongSize(bits);
  return await toPrivateKey(await generatePrivateKey(bits));
}

/**
 * Reads a private key: PKCS#8, PKCS#1 ("traditional") or OpenSSH, encrypted or not.
 *
 * @param pem The text of the key file; text around the key is ignored.
 * @param passphrase Ignored if the key is not encrypted; an empty one counts as none.
 * @throws {PassphraseError} The key is encrypted, and the passphrase missing or wrong.
 * @throws {UsageError} There is no private key in it, a damaged one, or one that cannot be an identity.
 */
export async function importPrivateKey(pem: string, passphrase?: string): Promise<PrivateKey> {
  const der = readPlainDer(pem);
  const modulus = der && await readModulus(der);
  if (modulus) return await toPrivateKey({ der, modulus });
  const key = await readPrivateKey(pem, passphrase);
  if (key.asymmetricKeyType !== "rsa") throw new UsageError("not an RSA key", [HINT_MAKE]);
  const { n, e } = nodeCrypto().createPublicKey(key).export({ format: "jwk" });
  if (n === undefined || e !== "AQAB") {
    throw new UsageError("an RSA key whose public exponent is not 65537", [HINT_MAKE]);
  }
  return await toPrivateKey({
    der: new Uint8Array(key.export({ type: "pkcs8", format: "der" })),
    modulus: Uint8Array.fromBase64(n, { alphabet: "base64url" }),
  });
}

async function toPrivateKey({ der, modulus }: PlainKey): Promise<RsaPrivateKey> {
  const bits = modulus.length * 8;
  if (!KEY_BITS.includes(bits)) throw wrongSize(bits);
  const publicKey = decodeRsaId(concat(idPrefix(modulus.length), modulus));
  return new RsaPrivateKey(der, await publicKey.prepare());
}

function wrongSize(bits: number): UsageError {
  const hint = `the sizes are ${KEY_BITS.join(", ")}; 3072 is a good choice`;
  return new UsageError(`an RSA key of ${bits} bits cannot be an identity`, [hint]);
}

/**
 * Writes a private key as PKCS#8 PEM, not encrypted.
 *
 * @param key A key of {@linkcode generateKey} or {@linkcode importPrivateKey}.
 */
export function exportPrivateKey(key: PrivateKey): string {
  if (key instanceof RsaPrivateKey) return key.exportPem();
  throw new TypeError(`"key" must come from generateKey() or importPrivateKey()`);
}

/**
 * The private exponent, from which the key of one's own history is wrapped, §16.
 *
 * @param key A key of {@linkcode generateKey} or {@linkcode importPrivateKey}.
 * @returns As many bytes as the modulus has.
 */
export function privateExponent(key: PrivateKey): Bytes {
  if (key instanceof RsaPrivateKey) return key.exponent();
  throw new TypeError(`"key" must come from generateKey() or importPrivateKey()`);
}

/** Writes FP as `ssh-keygen -lf` does, §1. */
export function encodeFingerprint(fingerprint: Uint8Array): string {
  return FINGERPRINT_PREFIX + fingerprint.toBase64({ omitPadding: true });
}

/**
 * Reads the one form that {@linkcode encodeFingerprint} writes.
 *
 * @returns FP, 32 bytes.
 * @throws {UsageError} For anything else.
 */
export function decodeFingerprint(text: string): Bytes {
  if (new RegExp(`^${FINGERPRINT_PATTERN}$`).test(text)) {
    return decodeBase64(text.slice(FINGERPRINT_PREFIX.length) + "=");
  }
  throw new UsageError("not a fingerprint", [
    "a fingerprint is SHA256: and 43 characters; copy all of it",
  ]);
}

/** The first `length` characters of a fingerprint's base64. */
export function shortFingerprint(fingerprint: string, length: number): string {
  return fingerprint.slice(FINGERPRINT_PREFIX.length).slice(0, length);
}

/** Writes an ID as the line of an OpenSSH public key file, without comment, §1. */
export function encodeSshKey(id: Uint8Array): string {
  return `${KEY_TYPE} ${encodeBase64(id)}`;
}

/**
 * Reads the line of an OpenSSH public key file.
 *
 * @param line `ssh-rsa AAAA…`; a comment may follow.
 * @throws {UsageError} For anything else, or a key that cannot be an identity.
 */
export function decodeSshKey(line: string): PublicKey {
  const [type, text = ""] = line.trim().split(/\s+/);
  try {
    const key = decodeId(decodeBase64(text));
    if (type === KEY_TYPE && encodeSshKey(key.id) === `${type} ${text}`) return key;
  } catch (error) {
    const isNotBase64 = error instanceof TypeError || error instanceof RangeError;
    if (!(error instanceof ProtocolError) && !isNotBase64) throw error;
  }
  throw new UsageError("not an RSA public key that can be an identity", [
    `expected one line: ssh-rsa AAAA…, of ${KEY_BITS.join(", ")} bits with public exponent 65537`,
  ]);
}
