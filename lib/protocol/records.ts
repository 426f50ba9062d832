/**
 * ChaCha20-Poly1305 (RFC 8439) and the key chain of one direction (PROTOCOL.md §4).
 *
 * Knows nothing of frames or of what carries the records.
 *
 * @module
 */

import {
  aeadFast,
  type AeadInput,
  aeadReady,
  decryptInPlace,
  encryptInPlace,
  KEY_BYTES,
  KEY_NONCE_BYTES,
  TAG_BYTES,
} from "./crypto/aead.ts";
import { type Bytes, encodeUtf8, MAX_COUNTER, writeU64 } from "../base/bytes.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand } from "./crypto/hash.ts";

export { KEY_BYTES, TAG_BYTES } from "./crypto/aead.ts";

/** Records under one key, §4. */
export const RECORDS_PER_KEY = 1024;

const LABEL_KEY = encodeUtf8("hearth/1 key");
const LABEL_NEXT = encodeUtf8("hearth/1 next");
const NOTHING = new Uint8Array(0);

/** Resolves once the cipher can be used; await it before anything else here. */
export async function cipherReady(): Promise<void> {
  await aeadReady();
}

/** Resolves once short records cost the least they can; for who will have many of them. */
export async function cipherFast(): Promise<void> {
  await aeadFast();
}

/** Puts the nonce of record `n` behind its key, §1: 00000000 || u64 n. */
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
 * @param ad Authenticated, not encrypted.
 * @returns The encrypted bytes followed by the 16-byte tag.
 */
export function sealAead(key: Bytes, n: number, ad: Uint8Array, plaintext: Uint8Array): Bytes {
  const ct = withRoomForTag(plaintext);
  encryptInPlace(ct, { keyNonce: joinNonce(key, n), ad });
  return ct;
}

/**
 * Verifies and decrypts.
 *
 * @param ct Encrypted bytes and tag.
 * @throws {DecryptError} When it does not verify: nothing of it may be used.
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

/** The keys of one direction: which key is due for which record. All in one piece of memory: there are many of these. */
class Chain {
  /** Key and nonce of the present record, and behind them the chain key. */
  readonly #bytes = new Uint8Array(KEY_NONCE_BYTES + KEY_BYTES);
  readonly #input: AeadInput;
  #n = 0;

  constructor(chainKey: Uint8Array) {
    this.#input = { keyNonce: this.#bytes.subarray(0, KEY_NONCE_BYTES), ad: NOTHING };
    this.#chainKey.set(chainKey);
    this.#setKey();
  }

  get #chainKey(): Bytes {
    return this.#bytes.subarray(KEY_NONCE_BYTES);
  }

  /** The number of the next record. */
  get n(): number {
    return this.#n;
  }

  /** For tests of the far end of the counter: skips to a record under the present key. */
  set n(value: number) {
    this.#n = value;
  }

  /** The key and nonce of the next record, valid until the next call; the number is used up, whatever happens. */
  next(): AeadInput {
    const n = this.#n;
    if (n >= MAX_COUNTER) throw new ProtocolError("counter");
    if (n > 0 && n % RECORDS_PER_KEY === 0) this.#turn();
    this.#n = n + 1;
    setNonce(this.#input.keyNonce, n);
    return this.#input;
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
  #chain: Chain;

  /** @param chainKey 32 bytes, copied. */
  constructor(chainKey: Uint8Array) {
    this.#chain = new Chain(chainKey);
  }

  /** The last record there can be has been sealed: the side closes (§4). */
  get exhausted(): boolean {
    return this.#chain.n >= MAX_COUNTER;
  }

  /**
   * Seals the next record.
   *
   * @returns The ciphertext, 16 bytes longer than `plaintext`.
   * @throws {ProtocolError} `counter` past record 2^48 - 1: make a new connection.
   */
  seal(plaintext: Uint8Array): Bytes {
    const ct = withRoomForTag(plaintext);
    this.sealInPlace(ct);
    return ct;
  }

  /**
   * Seals the next record where it is.
   *
   * @param buffer The plaintext and 16 bytes more; becomes the ciphertext.
   * @throws {ProtocolError} `counter` past record 2^48 - 1: make a new connection.
   */
  sealInPlace(buffer: Uint8Array): void {
    encryptInPlace(buffer, this.#chain.next());
  }

  /** For tests: pretends that the records before `n` have been sealed. */
  testOnlySkipTo(n: number): void {
    this.#chain.n = n;
  }
}

/** Opens the records of one direction, in order. After its first error it stays dead. */
export class Opener {
  #chain: Chain;
  #dead = false;

  /** @param chainKey 32 bytes, copied. */
  constructor(chainKey: Uint8Array) {
    this.#chain = new Chain(chainKey);
  }

  /** How many records have verified. */
  get verified(): number {
    return this.#dead ? this.#chain.n - 1 : this.#chain.n;
  }

  /**
   * Opens the next record.
   *
   * @throws {DecryptError} When it does not verify, and ever after: end the channel.
   * @throws {ProtocolError} `counter` past record 2^48 - 1.
   */
  open(ct: Uint8Array): Bytes {
    return this.openInPlace(new Uint8Array(ct));
  }

  /**
   * Opens the next record where it is.
   *
   * @param buffer The ciphertext; overwritten.
   * @returns The plaintext, at the start of the same memory.
   * @throws {DecryptError} When it does not verify, and ever after: end the channel.
   * @throws {ProtocolError} `counter` past record 2^48 - 1.
   */
  openInPlace<T extends Uint8Array>(buffer: T): T {
    if (this.#dead) throw new DecryptError();
    this.#dead = true;
    const plaintext = openWith(buffer, this.#chain.next());
    this.#dead = false;
    return plaintext;
  }

  /** For tests: pretends that the records before `n` have been opened. */
  testOnlySkipTo(n: number): void {
    this.#chain.n = n;
  }
}
