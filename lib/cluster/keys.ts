/**
 * The names and keys of a cluster. All of them follow from the private exponent of the identity that its relays share, so
 * that whoever carries the cluster can neither read nor write what is in it.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  decodeHex,
  encodeHex,
  encodeUtf8,
  label,
  MAX_COUNTER,
  readU64,
  writeU64,
} from "../base/bytes.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "../protocol/crypto/hash.ts";
import { openAead, sealAead, TAG_BYTES } from "../protocol/records.ts";

/** Bytes of R: what names a relay's process. */
export const RELAY_BYTES = 16;
const KEY_BYTES = 32;
/** Bytes of a u48. */
const COUNTER_BYTES = 6;
const VALUE_HEADER_BYTES = RELAY_BYTES + COUNTER_BYTES;
/** More relays than this at a time are no cluster. */
const MAX_CACHED_KEYS = 64;

/** A value of the bucket, opened. */
export interface OpenedValue {
  /** R of the relay that wrote it, in hex. */
  readonly writer: string;
  /** The number that its writer gave it. */
  readonly n: number;
  readonly plain: Bytes;
}

/** Derives, seals and opens. Relays are named by R in hex, rooms by their tags in hex. */
export class ClusterKeys {
  /** C, 16 hex digits: clusters of other identities have another one. */
  readonly name: string;
  readonly #key: Bytes;
  /** By the writer of values. */
  readonly #valueKeys = new Map<string, Bytes>();

  /** @param exponent The private exponent of the shared identity, as many bytes as its modulus has. */
  constructor(exponent: Uint8Array) {
    this.#key = hkdfExtract(sha256(label("hearth/2 cluster")), exponent);
    this.name = encodeHex(hkdfExpand(this.#key, encodeUtf8("name"), 8));
  }

  /** The key of the bucket under which a room's roster is. */
  rosterKey(tag: string): string {
    return `r.${encodeHex(hkdfExpand(this.#key, concat(encodeUtf8("room"), decodeHex(tag)), 16))}`;
  }

  /** The key of one direction between two relays, 32 bytes. */
  linkKey(from: string, to: string, epoch: number): Bytes {
    const info = concat(encodeUtf8("link"), decodeHex(from), decodeHex(to), new Uint8Array(8));
    writeU64(info, info.length - 8, epoch);
    return hkdfExpand(this.#key, info, KEY_BYTES);
  }

  /**
   * Seals a value: R(16) || n(6) || AEAD.
   *
   * @param options.key The key of the bucket under which it will be.
   * @param options.n Never twice with one writer.
   */
  seal(plain: Uint8Array, { writer, n, key }: { writer: string; n: number; key: string }): Bytes {
    const header = concat(decodeHex(writer), new Uint8Array(COUNTER_BYTES));
    writeU48(header, RELAY_BYTES, n);
    return concat(header, sealAead(this.#valueKey(writer), n, encodeUtf8(key), plain));
  }

  /**
   * Opens a value.
   *
   * @throws {ProtocolError} It is too short.
   * @throws {DecryptError} No relay of this cluster has written it under this key.
   */
  open(key: string, value: Uint8Array): OpenedValue {
    if (value.length < VALUE_HEADER_BYTES + TAG_BYTES) throw new ProtocolError("bad-length");
    const writer = encodeHex(value.subarray(0, RELAY_BYTES));
    const n = readU48(value, RELAY_BYTES);
    const sealed = value.subarray(VALUE_HEADER_BYTES);
    return { writer, n, plain: openAead(this.#valueKey(writer), n, encodeUtf8(key), sealed) };
  }

  #valueKey(writer: string): Bytes {
    const known = this.#valueKeys.get(writer);
    if (known) return known;
    const key = hkdfExpand(this.#key, concat(encodeUtf8("kv"), decodeHex(writer)), KEY_BYTES);
    // Whoever carries the cluster may put any R before a value.
    if (this.#valueKeys.size >= MAX_CACHED_KEYS) this.#valueKeys.clear();
    this.#valueKeys.set(writer, key);
    return key;
  }
}

/** Whether an error says that what came is not of this cluster, or damaged. */
export function isForeign(error: unknown): boolean {
  return error instanceof DecryptError || error instanceof ProtocolError;
}

/** Reads a u48 at `offset`; the caller has checked the length. */
export function readU48(bytes: Uint8Array, offset: number): number {
  const wide = new Uint8Array(8);
  wide.set(bytes.subarray(offset, offset + COUNTER_BYTES), 2);
  return readU64(wide, 0, MAX_COUNTER);
}

/** Writes a u48 at `offset`. */
export function writeU48(bytes: Uint8Array, offset: number, value: number): void {
  const wide = new Uint8Array(8);
  writeU64(wide, 0, value);
  bytes.set(wide.subarray(2), offset);
}
