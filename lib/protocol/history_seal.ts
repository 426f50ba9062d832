/**
 * The key of one's own history, and the sealed blocks of its logs (PROTOCOL.md §16).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  encodeHex,
  encodeUtf8,
  equalBytes,
  expectLength,
  label,
  readU32,
  writeU32,
} from "../base/bytes.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand, hkdfExtract } from "./crypto/hash.ts";
import { openAead, sealAead, TAG_BYTES } from "./records.ts";

/** Bytes of Khist. */
export const HISTORY_KEY_BYTES = 32;
/** Bytes of a salt, of the key file and of a segment. */
export const HISTORY_SALT_BYTES = 16;
/** Bytes of entries in a block at most. */
export const MAX_BLOCK_BYTES = 65_536;

const KEY_MAGIC = encodeUtf8("HEARTH/K");
const LOG_MAGIC = encodeUtf8("HEARTH/L");
const LABEL_WRAP = encodeUtf8("hearth/2 history wrap");
const LABEL_BLOCKS = label("hearth/2 history");
const LABEL_ROOM = label("hearth/2 history room");
const ROOM_BYTES = 16;
const NOTHING = new Uint8Array(0);
const KEY_FILE_BYTES = KEY_MAGIC.length + HISTORY_SALT_BYTES + HISTORY_KEY_BYTES + TAG_BYTES;

/**
 * Makes the content of the key file.
 *
 * @param key Khist, 32 random bytes.
 * @param options.exponent The private exponent of the identity, as long as its modulus.
 * @param options.salt 16 random bytes.
 * @returns 72 bytes.
 */
export function wrapHistoryKey(
  key: Bytes,
  { exponent, salt }: { exponent: Bytes; salt: Bytes },
): Bytes {
  return concat(KEY_MAGIC, salt, sealAead(wrapKey(exponent, salt), 0, salt, key));
}

/**
 * Opens the key file.
 *
 * @returns Khist, 32 bytes.
 * @throws {ProtocolError} It has another length, or is no such file.
 * @throws {DecryptError} It is of another identity, or damaged.
 */
export function unwrapHistoryKey(file: Uint8Array, exponent: Bytes): Bytes {
  expectLength(file, KEY_FILE_BYTES);
  if (!equalBytes(file.subarray(0, KEY_MAGIC.length), KEY_MAGIC)) {
    throw new ProtocolError("bad-field");
  }
  const sealed = KEY_MAGIC.length + HISTORY_SALT_BYTES;
  const salt = file.slice(KEY_MAGIC.length, sealed);
  return openAead(wrapKey(exponent, salt), 0, salt, file.slice(sealed));
}

function wrapKey(exponent: Bytes, salt: Bytes): Bytes {
  return hkdfExpand(hkdfExtract(salt, exponent), LABEL_WRAP, 32);
}

/**
 * Names the folder of a room's logs.
 *
 * @param home The fingerprint of the relay at which the room was first met, 32 bytes.
 * @param room Its tag, 32 bytes.
 * @returns 32 hex digits.
 */
export function historyRoomName(key: Bytes, home: Bytes, room: Bytes): string {
  return encodeHex(hkdfExpand(key, concat(LABEL_ROOM, home, room), ROOM_BYTES));
}

/** Seals the blocks of one segment. */
export class SegmentSealer {
  /** What a new log begins with, up to the first block. */
  readonly head: Bytes;
  readonly #key: Bytes;
  #n = 0;

  /** @param salt 16 random bytes, never used twice. */
  constructor(key: Bytes, salt: Bytes) {
    this.head = concat(LOG_MAGIC, new Uint8Array(4), salt);
    this.#key = segmentKey(key, salt);
  }

  /** @param entries 1 to {@linkcode MAX_BLOCK_BYTES} bytes. */
  seal(entries: Uint8Array): Bytes {
    const length = new Uint8Array(4);
    writeU32(length, 0, entries.length + TAG_BYTES);
    return concat(length, sealAead(this.#key, this.#n++, NOTHING, entries));
  }
}

/** Opens the blocks of a log. What is torn, damaged or of another key is left out: the rest of its segment. */
export function* openBlocks(key: Bytes, log: Uint8Array): Iterable<Bytes> {
  if (!equalBytes(log.subarray(0, LOG_MAGIC.length), LOG_MAGIC)) return;
  let segment: Bytes | undefined;
  let n = 0;
  for (let offset = LOG_MAGIC.length; offset + 4 <= log.length;) {
    const length = readU32(log, offset);
    const end = offset + 4 + (length === 0 ? HISTORY_SALT_BYTES : length);
    if (end > log.length || (length > 0 && !isBlockLength(length))) return;
    if (length === 0) {
      segment = segmentKey(key, log.slice(offset + 4, end));
      n = 0;
    } else if (segment) {
      const entries = open(segment, n++, log.slice(offset + 4, end));
      if (entries) yield entries;
      else segment = undefined;
    }
    offset = end;
  }
}

function isBlockLength(length: number): boolean {
  return length > TAG_BYTES && length <= MAX_BLOCK_BYTES + TAG_BYTES;
}

function segmentKey(key: Bytes, salt: Bytes): Bytes {
  return hkdfExpand(key, concat(LABEL_BLOCKS, salt), 32);
}

function open(key: Bytes, n: number, ct: Bytes): Bytes | undefined {
  try {
    return openAead(key, n, NOTHING, ct);
  } catch (error) {
    if (error instanceof DecryptError) return undefined;
    throw error;
  }
}
