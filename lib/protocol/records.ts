/**
 * Sealing and opening the records of one direction with ChaCha20-Poly1305 and a chain of keys (PROTOCOL.md §4).
 *
 * @module
 */

import {
  type AeadInput,
  encryptInPlace,
  KEY_BYTES,
  KEY_NONCE_BYTES,
  openWith,
  setNonce,
  withRoomForTag,
} from "./crypto/aead.ts";
import { type Bytes, encodeUtf8, MAX_COUNTER } from "../base/bytes.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand } from "./crypto/hash.ts";
import type { Suite } from "./crypto/suite.ts";

// Others may not import crypto/.
export { cipherFast, cipherReady, openAead, sealAead, TAG_BYTES } from "./crypto/aead.ts";
export type { Suite } from "./crypto/suite.ts";

/** Records under one key, §4. */
export const RECORDS_PER_KEY = 1024;

const LABEL_KEY = encodeUtf8("hearth/2 key");
const LABEL_NEXT = encodeUtf8("hearth/2 next");
const NOTHING = new Uint8Array(0);

/** The keys of one direction (§4), in one piece of memory because there are many chains. */
class Chain {
  /** Key and nonce of the current record, then the chain key. */
  readonly #bytes = new Uint8Array(KEY_NONCE_BYTES + KEY_BYTES);
  readonly #input: AeadInput;
  #hasKey = false;
  /** The number of the next record. */
  n = 0;

  constructor(chainKey: Uint8Array) {
    this.#input = { keyNonce: this.#bytes.subarray(0, KEY_NONCE_BYTES), ad: NOTHING };
    this.#chainKey.set(chainKey);
  }

  get #chainKey(): Bytes {
    return this.#bytes.subarray(KEY_NONCE_BYTES);
  }

  /** The key and nonce of the next record, valid until the next call; its number is never used again. */
  next(ad: Uint8Array): AeadInput {
    const n = this.n;
    if (n >= MAX_COUNTER) throw new ProtocolError("counter");
    if (!this.#hasKey) this.#setKey();
    if (n > 0 && n % RECORDS_PER_KEY === 0) this.#turn();
    this.n = n + 1;
    setNonce(this.#input.keyNonce, n);
    return ad === NOTHING ? this.#input : { keyNonce: this.#input.keyNonce, ad };
  }

  /** The key of the first record, for which it stays unused here. */
  async first({ hkdfExpand }: Suite): Promise<Bytes> {
    if (this.n > 0) throw new TypeError("it is not the first record");
    this.n = 1;
    return await hkdfExpand(this.#chainKey, LABEL_KEY, KEY_BYTES);
  }

  #turn(): void {
    this.#chainKey.set(hkdfExpand(this.#chainKey, LABEL_NEXT, KEY_BYTES));
    this.#setKey();
  }

  #setKey(): void {
    this.#hasKey = true;
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

  /** Seals the first record as {@linkcode Sealer.seal} does, with what a suite has. */
  async sealFirst(plaintext: Uint8Array, suite: Suite): Promise<Bytes> {
    return await suite.sealAead(await this.chain.first(suite), 0, NOTHING, plaintext);
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

  /** Opens the first record as {@linkcode Opener.open} does, with what a suite has. */
  async openFirst(ct: Uint8Array, suite: Suite): Promise<Bytes> {
    this.#dead = true;
    const plaintext = await suite.openAead(await this.chain.first(suite), 0, NOTHING, ct);
    this.#dead = false;
    return plaintext;
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
