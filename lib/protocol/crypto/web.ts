/**
 * The suite by WebCrypto, where that has ChaCha20-Poly1305 (Deno 2.9).
 *
 * @module
 */

import { type Bytes, concat, isZero } from "../../base/bytes.ts";
import { systemRandom } from "../../base/clock.ts";
import { DecryptError, ProtocolError } from "../../base/errors.ts";
import { cipherIsNative, KEY_BYTES, NONCE_BYTES, setNonce, TAG_BYTES } from "./aead.ts";
import type { Suite } from "./suite.ts";
import { PKCS8_PREFIX, POINT_BYTES } from "./x25519.ts";

const CIPHER = "ChaCha20-Poly1305";
const HMAC = { name: "HMAC", hash: "SHA-256" };
const HASH_BYTES = 32;

/** What of WebCrypto is used; the types of older runtimes lack it. */
interface CipherSubtle {
  importKey(
    format: "raw-secret",
    data: Bytes,
    name: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
}

const { subtle } = crypto;
let isThere: Promise<boolean> | undefined;

/** Finds out once whether the runtime has all of the suite; if so, its other cipher is ready, too. */
export function hasWebSuite(): Promise<boolean> {
  return isThere ??= importCipherKey(new Uint8Array(KEY_BYTES)).then(() => {
    cipherIsNative();
    return true;
  }, () => false);
}

function importCipherKey(key: Bytes): Promise<CryptoKey> {
  const usages = ["encrypt", "decrypt"];
  return (subtle as unknown as CipherSubtle).importKey("raw-secret", key, CIPHER, false, usages);
}

async function hmac(key: Uint8Array, data: Bytes): Promise<Bytes> {
  const imported = await subtle.importKey("raw", new Uint8Array(key), HMAC, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, data));
}

function cipherOptions(n: number, ad: Uint8Array): AlgorithmIdentifier {
  const iv = new Uint8Array(NONCE_BYTES);
  setNonce(iv, n);
  const options = {
    name: CIPHER,
    iv,
    additionalData: new Uint8Array(ad),
    tagLength: 8 * TAG_BYTES,
  };
  return options;
}

function importPrivate(privateKey: Uint8Array, usages: readonly KeyUsage[]): Promise<CryptoKey> {
  return subtle.importKey("pkcs8", concat(PKCS8_PREFIX, privateKey), "X25519", true, [...usages]);
}

/** By WebCrypto. */
export const webSuite: Suite = {
  async sha256(...parts) {
    return new Uint8Array(await subtle.digest("SHA-256", concat(...parts)));
  },
  hkdfExtract: (salt, ikm) => hmac(salt, new Uint8Array(ikm)),
  async hkdfExpand(prk, info, length) {
    if (length > HASH_BYTES) throw new RangeError(`"length" must be at most 32: ${length}`);
    return (await hmac(prk, concat(info, Uint8Array.of(1)))).subarray(0, length);
  },
  async makeKeyPair(random = systemRandom) {
    const privateKey = random(POINT_BYTES);
    const { x } = await subtle.exportKey("jwk", await importPrivate(privateKey, ["deriveBits"]));
    return { privateKey, publicKey: Uint8Array.fromBase64(x!, { alphabet: "base64url" }) };
  },
  async sharedSecret(privateKey, publicKey) {
    let secret: Bytes;
    try {
      const raw = new Uint8Array(publicKey);
      const other = await subtle.importKey("raw", raw, "X25519", false, []);
      const own = await importPrivate(privateKey, ["deriveBits"]);
      const algorithm = { name: "X25519", public: other };
      secret = new Uint8Array(await subtle.deriveBits(algorithm, own, 8 * POINT_BYTES));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      throw new ProtocolError("bad-point"); // a wrong length, or an all-zero result
    }
    if (isZero(secret)) throw new ProtocolError("bad-point");
    return secret;
  },
  async sealAead(key, n, ad, plaintext) {
    const options = cipherOptions(n, ad);
    const imported = await importCipherKey(key);
    return new Uint8Array(await subtle.encrypt(options, imported, new Uint8Array(plaintext)));
  },
  async openAead(key, n, ad, ct) {
    const options = cipherOptions(n, ad);
    const imported = await importCipherKey(key);
    try {
      return new Uint8Array(await subtle.decrypt(options, imported, new Uint8Array(ct)));
    } catch (error) {
      if (error instanceof DOMException) throw new DecryptError();
      throw error;
    }
  },
};
