/**
 * ML-KEM-768 (FIPS 203) on raw keys: by the runtime where it has it, else by @noble/post-quantum.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";

/** Bytes in an encapsulation key (ek). */
export const KEM_KEY_BYTES = 1184;
/** Bytes in a ciphertext (kct). */
export const KEM_CIPHERTEXT_BYTES = 1088;
/** Bytes in a shared secret (kss), and in the randomness of one encapsulation. */
const KEM_SECRET_BYTES = 32;

const SEED_BYTES = 64; // d || z
const MODULUS = 3329;
/** The coefficients of an encapsulation key, 12 bits each; behind them are 32 bytes of any value. */
const COEFFICIENT_BYTES = 1152;

/** An ephemeral key pair. */
export interface KemKeyPair {
  /** ek, 1184 bytes. */
  readonly publicKey: Bytes;
  /**
   * Gives kss, 32 bytes. A forged ciphertext gives another secret and no error.
   *
   * @param ciphertext kct, 1088 bytes.
   */
  decapsulate(ciphertext: Uint8Array): Promise<Bytes>;
}

/** What an encapsulation gives. */
interface Encapsulation {
  /** kct, 1088 bytes. */
  readonly ciphertext: Bytes;
  /** kss, 32 bytes. */
  readonly secret: Bytes;
}

/** Options of {@linkcode makeKemKeyPair} and {@linkcode encapsulate}. */
interface KemOptions {
  /** The runtime takes no randomness for an encapsulation: any other source than the system's means noble. */
  readonly random?: RandomBytes;
  /** Who computes; by default the runtime if it can, else noble. */
  readonly by?: "runtime" | "noble";
}

/** What of WebCrypto is used; the types of older runtimes lack it. */
interface KemSubtle {
  importKey(
    format: "raw-public" | "raw-seed",
    data: Bytes,
    name: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  getPublicKey(key: CryptoKey, usages: readonly string[]): Promise<CryptoKey>;
  encapsulateBits(
    name: string,
    key: CryptoKey,
  ): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(name: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

const NAME = "ML-KEM-768";
const subtle = crypto.subtle as unknown as KemSubtle;

let runtime: Promise<boolean> | undefined;

/** Finds out once whether the runtime has ML-KEM-768, by making a key. */
function runtimeHasKem(): Promise<boolean> {
  return runtime ??= makeByRuntime(new Uint8Array(SEED_BYTES)).then(() => true, () => false);
}

async function loadNoble() {
  return (await import("@noble/post-quantum/ml-kem.js")).ml_kem768;
}

async function makeByRuntime(seed: Bytes): Promise<KemKeyPair> {
  const key = await subtle.importKey("raw-seed", seed, NAME, false, ["decapsulateBits"]);
  const publicKey = await subtle.getPublicKey(key, ["encapsulateBits"]);
  return {
    publicKey: new Uint8Array(await subtle.exportKey("raw-public", publicKey)),
    decapsulate: async (ciphertext) =>
      new Uint8Array(await subtle.decapsulateBits(NAME, key, new Uint8Array(ciphertext))),
  };
}

async function makeByNoble(seed: Bytes): Promise<KemKeyPair> {
  const noble = await loadNoble();
  const { publicKey, secretKey } = noble.keygen(seed);
  return {
    publicKey: new Uint8Array(publicKey),
    decapsulate: (ciphertext) =>
      Promise.resolve(new Uint8Array(noble.decapsulate(ciphertext, secretKey))),
  };
}

/** Makes a key pair from 64 random bytes. */
export async function makeKemKeyPair(options: KemOptions = {}): Promise<KemKeyPair> {
  const { random = systemRandom } = options;
  const by = options.by ?? (await runtimeHasKem() ? "runtime" : "noble");
  return await (by === "runtime" ? makeByRuntime : makeByNoble)(random(SEED_BYTES));
}

/**
 * Checks an encapsulation key: its length, and that each coefficient is below the modulus (FIPS 203, section 7.2).
 *
 * @throws {ProtocolError} `bad-length` or `bad-point`: the other side's fault.
 */
export function checkKemKey(publicKey: Uint8Array): void {
  if (publicKey.length !== KEM_KEY_BYTES) throw new ProtocolError("bad-length");
  for (let i = 0; i < COEFFICIENT_BYTES; i += 3) {
    const [a, b, c] = [publicKey[i]!, publicKey[i + 1]!, publicKey[i + 2]!];
    const even = a | (b & 0x0f) << 8;
    const odd = b >>> 4 | c << 4;
    if (even >= MODULUS || odd >= MODULUS) throw new ProtocolError("bad-point");
  }
}

/**
 * Makes a shared secret for the owner of an encapsulation key, which is checked.
 *
 * @param publicKey ek as it came from the wire.
 * @throws {ProtocolError} As {@linkcode checkKemKey}.
 */
export async function encapsulate(
  publicKey: Uint8Array,
  options: KemOptions = {},
): Promise<Encapsulation> {
  checkKemKey(publicKey);
  const { random = systemRandom } = options;
  const by = options.by ??
    (random === systemRandom && await runtimeHasKem() ? "runtime" : "noble");
  if (by === "noble") {
    const noble = await loadNoble();
    const { cipherText, sharedSecret } = noble.encapsulate(publicKey, random(KEM_SECRET_BYTES));
    return { ciphertext: new Uint8Array(cipherText), secret: new Uint8Array(sharedSecret) };
  }
  const raw = new Uint8Array(publicKey);
  const key = await subtle.importKey("raw-public", raw, NAME, false, ["encapsulateBits"]);
  const { ciphertext, sharedKey } = await subtle.encapsulateBits(NAME, key);
  return { ciphertext: new Uint8Array(ciphertext), secret: new Uint8Array(sharedKey) };
}
