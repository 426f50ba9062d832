/**
 * Sealing and opening the records of one direction with ChaCha20-Poly1305 and a chain of keys (PROTOCOL.md §4).
 *
 * @module
 */

import {
  type AeadInput,
  decryptInPlace,
  encryptInPlace,
  KEY_BYTES,
  KEY_NONCE_BYTES,
  TAG_BYTES,
} from "./crypto/aead.ts";
import { type Bytes, encodeUtf8, MAX_COUNTER, writeU64 } from "../base/bytes.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand } from "./crypto/hash.ts";

// Others may not import crypto/.
export { cipherFast, cipherReady, TAG_BYTES } from "./crypto/aead.ts";

/** Records under one key, §4. */
export const RECORDS_PER_KEY = 1024;

const LABEL_KEY = encodeUtf8("hearth/2 key");
const LABEL_NEXT = encodeUtf8("hearth/2 next");
const NOTHING = new Uint8Array(0);

/** Writes the nonce of record `n` after its key, §1: 00000000 || u64 n. */
function setNonce(keyNonce: Uint8Array, n: number): void {
  writeU64(keyNonce, KEY_NONCE_BYTES - 8, n);
}

function joinNonce(key: Bytes, n: number): Bytes {
  const keyNonce = new Uint8Array(KEY_NONCE_BYTES);
  keyNonce.set(key);
  setNonce(keyNonce, n);
  return keyNonce;
}

/**
 * Encrypts and authenticates.
 *
 * @param key 32 bytes; never twice with the same `n`.
 * @param ad Additional data: authenticated, not encrypted.
 * @returns The ciphertext followed by the 16-byte tag.
 */
export function sealAead(key: Bytes, n: number, ad: Uint8Array, plaintext: Uint8Array): Bytes {
  const ct = withRoomForTag(plaintext);
  encryptInPlace(ct, { keyNonce: joinNonce(key, n), ad });
  return ct;
}

/**
 * Verifies and decrypts.
 *
 * @param ct Ciphertext and tag.
 * @throws {DecryptError} It does not verify.
 */
export function openAead(key: Bytes, n: number, ad: Uint8Array, ct: Uint8Array): Bytes {
  return openWith(new Uint8Array(ct), { keyNonce: joinNonce(key, n), ad });
}

function withRoomForTag(plaintext: Uint8Array): Bytes {
  const buffer = new Uint8Array(plaintext.length + TAG_BYTES);
  buffer.set(plaintext);
  return buffer;
}

function openWith<T extends Uint8Array>(buffer: T, input: AeadInput): T {
  if (buffer.length < TAG_BYTES || !decryptInPlace(buffer, input)) throw new DecryptError();
  return buffer.subarray(0, buffer.length - TAG_BYTES) as T;
}

/** The keys of one direction (§4), in one piece of memory because there are many chains. */
class Chain {
  /** Key and nonce of the current record, then the chain key. */
  readonly #bytes = new Uint8Array(KEY_NONCE_BYTES + KEY_BYTES);
  readonly #input: AeadInput;
  /** The number of the next record. */
  n = 0;

  constructor(chainKey: Uint8Array) {
    this.#input = { keyNonce: this.#bytes.subarray(0, KEY_NONCE_BYTES), ad: NOTHING };
    this.#chainKey.set(chainKey);
    this.#setKey();
  }

  get #chainKey(): Bytes {
    return this.#bytes.subarray(KEY_NONCE_BYTES);
  }

  /** The key and nonce of the next record, valid until the next call; its number is never used again. */
  next(ad: Uint8Array): AeadInput {
    const n = this.n;
    if (n >= MAX_COUNTER) throw new ProtocolError("counter");
    if (n > 0 && n % RECORDS_PER_KEY === 0) this.#turn();
    this.n = n + 1;
    setNonce(this.#input.keyNonce, n);
    return ad === NOTHING ? this.#input : { keyNonce: this.#input.keyNonce, ad };
  }

  #turn(): void {
    this.#chainKey.set(hkdfExpand(this.#chainKey, LABEL_NEXT, KEY_BYTES));
    this.#setKey();
  }

  #setKey(): void {
    this.#bytes.set(hkdfExpand(this.#chainKey, LABEL_KEY, KEY_BYTES));
  }
}

/** Seals the records of one direction, in order. */
export class Sealer {
  protected readonly chain: Chain;

  /** @param chainKey 32 bytes, copied. */
  constructor(chainKey: Uint8Array) {
    this.chain = new Chain(chainKey);
  }

  /** The last possible record has been sealed: this side closes (§4). */
  get exhausted(): boolean {
    return this.chain.n >= MAX_COUNTER;
  }

  /**
   * Seals the next record.
   *
   * @param ad Authenticated, not encrypted; only a box of a CAST has any (§6).
   * @returns The ciphertext, 16 bytes longer than `plaintext`.
   * @throws {ProtocolError} `counter` past record 2^48 - 1: make a new connection.
   */
  seal(plaintext: Uint8Array, ad: Uint8Array = NOTHING): Bytes {
    const ct = withRoomForTag(plaintext);
    encryptInPlace(ct, this.chain.next(ad));
    return ct;
  }

  /**
   * Seals the next record in place.
   *
   * @param buffer The plaintext and 16 more bytes; becomes the ciphertext.
   * @throws {ProtocolError} `counter` past record 2^48 - 1: make a new connection.
   */
  sealInPlace(buffer: Uint8Array): void {
    encryptInPlace(buffer, this.chain.next(NOTHING));
  }
}

/** Opens the records of one direction, in order; after an error it opens no more. */
export class Opener {
  protected readonly chain: Chain;
  #dead = false;

  /** @param chainKey 32 bytes, copied. */
  constructor(chainKey: Uint8Array) {
    this.chain = new Chain(chainKey);
  }

  /** How many records have verified. */
  get verified(): number {
    return this.#dead ? this.chain.n - 1 : this.chain.n;
  }

  /**
   * Opens the next record.
   *
   * @param ad What it was sealed with besides the plaintext.
   * @throws {DecryptError} It, or an earlier record, does not verify: end the channel.
   * @throws {ProtocolError} `counter` past record 2^48 - 1.
   */
  open(ct: Uint8Array, ad: Uint8Array = NOTHING): Bytes {
    return this.openInPlace(new Uint8Array(ct), ad);
  }

  /**
   * Opens the next record in place.
   *
   * @param buffer The ciphertext; overwritten.
   * @returns The plaintext, at the start of the same memory.
   * @throws {DecryptError} It, or an earlier record, does not verify: end the channel.
   * @throws {ProtocolError} `counter` past record 2^48 - 1.
   */
  openInPlace<T extends Uint8Array>(buffer: T, ad: Uint8Array = NOTHING): T {
    if (this.#dead) throw new DecryptError();
    this.#dead = true;
    const plaintext = openWith(buffer, this.chain.next(ad));
    this.#dead = false;
    return plaintext;
  }
}
