/**
 * The direction from another relay: messages are opened and taken in order, each once.
 *
 * @module
 */

import { writeU64 } from "../base/bytes.ts";
import { decryptInPlace, KEY_NONCE_BYTES, TAG_BYTES } from "../protocol/crypto/aead.ts";
import { ENTRY, type Position } from "./entries.ts";
import type { ClusterKeys } from "./keys.ts";
import { HEADER_BYTES, readPosition } from "./link_message.ts";

/** So much is taken before a GOT says so, if nothing else is to be sent. */
const GOT_BYTES = 1024 * 1024;
/** Between two of the same LOST. */
const REPEAT_MS = 100;

/** What an incoming message has to do with the ones before. */
export type Verdict =
  /** It is the next one: its entries count. */
  | "next"
  /** It came before: only its positions count. */
  | "again"
  /** Others are missing before it: only its positions count. */
  | "early";

/** A message of another relay. */
export interface Opened {
  readonly entries: Uint8Array;
  readonly verdict: Verdict;
  /** Which message of the link it is. */
  readonly at: Position;
}

/** The direction from another relay. */
export class IncomingLink {
  readonly #options: { readonly keys: ClusterKeys; readonly from: string; readonly to: string };
  /** The one that has begun; 0 before the first. */
  #epoch = 0;
  #next = 0;
  /** The last that a key was made for. */
  #keyEpoch = 0;
  readonly #keyNonce = new Uint8Array(KEY_NONCE_BYTES);
  #lostAt = -Infinity;
  /** Bytes since the last GOT. */
  #taken = 0;

  /** @param options.from R of the other relay, in hex. */
  constructor(options: { keys: ClusterKeys; from: string; to: string }) {
    this.#options = options;
  }

  /** Up to where everything was taken. */
  get position(): Position {
    return { epoch: this.#epoch, seq: this.#next };
  }

  /**
   * Opens a message in place.
   *
   * @returns Its entries; undefined if it is of an epoch that is over, or not of that relay.
   */
  open(message: Uint8Array): Opened | undefined {
    const at = readPosition(message);
    if (!at || at.epoch < this.#epoch || at.epoch === 0) return undefined;
    const { epoch, seq } = at;
    if (epoch !== this.#keyEpoch) {
      const { keys, from, to } = this.#options;
      this.#keyNonce.set(keys.linkKey(from, to, epoch));
      this.#keyEpoch = epoch;
    }
    writeU64(this.#keyNonce, KEY_NONCE_BYTES - 8, seq);
    const sealed = message.subarray(HEADER_BYTES);
    const ad = message.subarray(0, HEADER_BYTES);
    if (!decryptInPlace(sealed, { keyNonce: this.#keyNonce, ad })) return undefined;
    const entries = sealed.subarray(0, sealed.length - TAG_BYTES);
    return { entries, verdict: this.#judge(epoch, seq, entries), at };
  }

  #judge(epoch: number, seq: number, entries: Uint8Array): Verdict {
    if (epoch > this.#epoch) {
      if (seq !== 0 || entries[0] !== ENTRY.BEGIN) return "early";
      this.#epoch = epoch;
      this.#next = 0;
    }
    if (seq !== this.#next) return seq < this.#next ? "again" : "early";
    this.#next++;
    this.#taken += entries.length;
    return "next";
  }

  /** Whether enough was taken since the last GOT for another one. */
  get owesGot(): boolean {
    if (this.#taken < GOT_BYTES) return false;
    this.#taken = 0;
    return true;
  }

  /** What to say of a message that came too early; undefined if it was said just now. */
  missing({ epoch }: Position, now: number): Position | undefined {
    if (now - this.#lostAt < REPEAT_MS) return undefined;
    this.#lostAt = now;
    return { epoch, seq: epoch === this.#epoch ? this.#next : 0 };
  }
}
