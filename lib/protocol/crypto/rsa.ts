/**
 * RSA with the exponent 65537: PSS signatures, OAEP encryption, and private keys as openssl and ssh-keygen write them.
 *
 * The runtime does nearly all of it; node-forge and sshpk, imported when first needed, do the rest.
 *
 * @module
 */

import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "../../base/builtin.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { DecryptError, PassphraseError, UsageError } from "../../base/errors.ts";
import type { Forge, ForgePrivateKey, Sshpk } from "./forge.d.ts";

// A salt of exactly 32 bytes, §1: WebCrypto rejects any other when it verifies.
const PSS = { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 };
// WebCrypto uses this hash for MGF1, too.
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);

const PRIVATE_KEY = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----/s;

/** Takes 80 ms. */
async function loadForge(): Promise<Forge> {
  return (await import("node-forge")).default; // it comes without types
}

// --- Keys ---

/** A private key with the exponent 65537. */
export interface PlainKey {
  /** PKCS #8. */
  readonly der: Bytes;
  readonly modulus: Bytes;
}

/** Generates a key pair off the event loop; 4096 bits may take more than ten seconds. */
export async function generatePrivateKey(bits: number): Promise<PlainKey> {
  const algorithm = { ...PSS, modulusLength: bits, publicExponent: PUBLIC_EXPONENT };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  const { n } = await crypto.subtle.exportKey("jwk", privateKey);
  return { der, modulus: Uint8Array.fromBase64(n!, { alphabet: "base64url" }) };
}

/** The key for what only node:crypto does. @param der PKCS #8. */
export function toKeyObject(der: Bytes): KeyObject {
  const key = der as Uint8Array as never;
  return nodeCrypto().createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** The DER in the usual kind of key file, PKCS #8 without a passphrase; undefined where there is no such. */
export function readPlainDer(pem: string): Bytes | undefined {
  const [block, type] = PRIVATE_KEY.exec(pem) ?? [];
  if (type !== "PRIVATE KEY") return undefined;
  try {
    return Uint8Array.fromBase64(block!.replaceAll(/-----.*?-----/g, ""));
  } catch {
    return undefined;
  }
}

/** The modulus of a private key; undefined where it is none with the exponent 65537, or damaged. @param der PKCS #8. */
export async function readModulus(der: Bytes): Promise<Bytes | undefined> {
  try {
    const key = await crypto.subtle.importKey("pkcs8", der, PSS, true, ["sign"]);
    const jwk = await crypto.subtle.exportKey("jwk", key);
    if (jwk.e !== "AQAB" || !isConsistent(jwk)) return undefined;
    return Uint8Array.fromBase64(jwk.n!, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

/** Whether the parts of a key with the exponent 65537 fit together (RFC 8017 §3.2), which WebCrypto does not check. */
function isConsistent({ n, d, p, q, dp, dq, qi }: JsonWebKey): boolean {
  const [modulus, exponent, first, second, ofFirst, ofSecond, inverse] = [n, d, p, q, dp, dq, qi]
    .map((part) =>
      BigInt(`0x${Uint8Array.fromBase64(part!, { alphabet: "base64url" }).toHex()}`)
    ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  const fits = (prime: bigint, part: bigint) =>
    exponent % (prime - 1n) === part && part * 65537n % (prime - 1n) === 1n;
  return first * second === modulus && fits(first, ofFirst) && fits(second, ofSecond) &&
    inverse * second % first === 1n;
}

/**
 * Reads a private key: PKCS#8, PKCS#1 ("traditional") or OpenSSH, encrypted or not.
 *
 * @param pem The text of a key file; text around the key is ignored.
 * @param passphrase Ignored if the key is not encrypted; an empty one counts as none.
 * @throws {PassphraseError} The key is encrypted, and the passphrase missing or wrong.
 * @throws {UsageError} There is no private key in it, or a damaged one.
 */
export async function readPrivateKey(pem: string, passphrase?: string): Promise<KeyObject> {
  const [block, type] = PRIVATE_KEY.exec(pem) ?? [];
  if (block === undefined) throw unreadable();
  if (type === "OPENSSH PRIVATE KEY") return await readOpenSsh(block, passphrase);
  const isEncrypted = type === "ENCRYPTED PRIVATE KEY" || block.includes("Proc-Type: 4,ENCRYPTED");
  if (!isEncrypted) return readPlain(block);
  if (!passphrase) throw new PassphraseError("needed");
  return await readEncrypted(block, passphrase);
}

function readPlain(pem: string): KeyObject {
  try {
    return nodeCrypto().createPrivateKey(pem);
  } catch {
    throw unreadable();
  }
}

async function readEncrypted(pem: string, passphrase: string): Promise<KeyObject> {
  const { createPrivateKey } = nodeCrypto();
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch {
    // The runtime lacks the older ciphers, and before Deno 2.8 the traditional form; forge lacks scrypt.
    const { pki, util } = await loadForge();
    try {
      const key = pki.decryptRsaPrivateKey(pem, util.encodeUtf8(passphrase));
      if (key !== null) return createPrivateKey(pki.privateKeyToPem(key));
    } catch {
      // Decrypted with a wrong passphrase, a key is random bytes: forge returns null or throws anything.
    }
    throw new PassphraseError("wrong");
  }
}

async function readOpenSsh(pem: string, passphrase: string | undefined): Promise<KeyObject> {
  const sshpk: Sshpk = (await import("sshpk")).default; // it comes without types
  try {
    const options = passphrase ? { passphrase } : {};
    const { createPrivateKey } = nodeCrypto();
    return createPrivateKey(sshpk.parsePrivateKey(pem, "ssh-private", options).toString("pkcs8"));
  } catch (error) {
    if (error instanceof Error && error.name === "KeyEncryptedError") {
      throw new PassphraseError("needed");
    }
    if (error instanceof Error && error.message.includes("Incorrect passphrase")) {
      throw new PassphraseError("wrong");
    }
    throw unreadable();
  }
}

function unreadable(): UsageError {
  return new UsageError("no readable private key in it", [
    "if it has one, convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY",
  ]);
}

/** Imports the public key of a modulus, to verify or to encrypt with. */
export function importPublicKey(
  modulus: Uint8Array,
  usage: "verify" | "encrypt",
): Promise<CryptoKey> {
  const n = modulus.toBase64({ alphabet: "base64url", omitPadding: true });
  const algorithm = usage === "verify" ? PSS : OAEP;
  return crypto.subtle.importKey("jwk", { kty: "RSA", n, e: "AQAB" }, algorithm, false, [usage]);
}

/** Imports a private key to sign with. @param der PKCS #8. */
export function importSigningKey(der: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", der, PSS, false, ["sign"]);
}

// --- PSS ---

/** Signs off the event loop; the signature is as long as the modulus. */
export async function signPss(key: CryptoKey, data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(PSS, key, data));
}

/** Verifies a signature of any length; only one as long as the modulus can be valid. */
export async function verifyPss(
  key: CryptoKey,
  data: Bytes,
  signature: Uint8Array,
): Promise<boolean> {
  const { modulusLength } = key.algorithm as RsaHashedKeyAlgorithm;
  if (signature.length * 8 !== modulusLength) return false;
  return await crypto.subtle.verify(PSS, key, new Uint8Array(signature), data);
}

// --- OAEP ---

/** Encrypts; the ciphertext is as long as the modulus. */
export async function encryptOaep(key: CryptoKey, plaintext: Bytes, label: Bytes): Promise<Bytes> {
  const parameters = { name: OAEP.name, label };
  return new Uint8Array(await crypto.subtle.encrypt(parameters, key, plaintext));
}

/** The private operation alone, blinded: a block as long as the modulus, from one of that length. */
export type RawDecrypt = (
  key: KeyObject,
  ciphertext: Uint8Array,
) => Uint8Array | Promise<Uint8Array>;

/**
 * Decrypts; blocks the event loop for some 10 ms, or 150 ms if node-forge does the private operation.
 *
 * @param ciphertext Any length; only that of the modulus can be valid.
 * @param raw One that works on this runtime: see {@linkcode rawDecryptFor}.
 * @returns The plaintext, of any length.
 * @throws {DecryptError} The ciphertext is invalid, for whatever reason.
 */
export async function decryptOaep(
  key: KeyObject,
  ciphertext: Uint8Array,
  { label, raw }: { label: Uint8Array; raw: RawDecrypt },
): Promise<Bytes> {
  const bits = modulusBits(key);
  if (ciphertext.length * 8 !== bits) throw new DecryptError();
  const { md, pkcs1 } = await loadForge();
  try {
    const encoded = await raw(key, ciphertext);
    // Against Manger's attack: forge examines the whole block before it fails, and fails in one way.
    const decoded = pkcs1.decode_rsa_oaep(
      { n: { bitLength: () => bits } },
      toBinary(encoded),
      { label: toBinary(label), md: md.sha256.create(), mgf1: { md: md.sha256.create() } },
    );
    return fromBinary(decoded);
  } catch {
    throw new DecryptError();
  }
}

/** Chooses the faster private operation that this runtime has. */
export function rawDecryptFor(key: KeyObject): RawDecrypt {
  isNative ??= hasNative(key);
  return isNative ? decryptRaw : decryptRawWithForge;
}

let isNative: boolean | undefined;

/** Tries it: 1 to any power is 1. */
function hasNative(key: KeyObject): boolean {
  const one = new Uint8Array(modulusBits(key) / 8);
  one[one.length - 1] = 1;
  try {
    return equalBytes(decryptRaw(key, one), one);
  } catch {
    return false;
  }
}

/** Deno has it since 2.8, and blinds it. */
export function decryptRaw(key: KeyObject, ciphertext: Uint8Array): Uint8Array {
  const { constants, privateDecrypt } = nodeCrypto();
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext);
}

const forgeKeys = new WeakMap<KeyObject, ForgePrivateKey>();

/** Forge blinds it, too. */
export async function decryptRawWithForge(
  key: KeyObject,
  ciphertext: Uint8Array,
): Promise<Uint8Array> {
  const { pki } = await loadForge();
  let forgeKey = forgeKeys.get(key);
  if (forgeKey === undefined) {
    forgeKey = pki.privateKeyFromPem(key.export({ type: "pkcs8", format: "pem" }).toString());
    forgeKeys.set(key, forgeKey);
  }
  return fromBinary(pki.rsa.decrypt(toBinary(ciphertext), forgeKey, false, false));
}

function modulusBits(key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? 0;
}

/** Forge keeps bytes in strings, one character per byte. */
function toBinary(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function fromBinary(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
