/**
 * Entries of a history: what happened in a room, one after another, as they stand in a log (PROTOCOL.md §16).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
  isZero,
  MAX_TIME_MS,
  readU16,
  readU64,
  withLength,
  writeU16,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** What an entry is. */
export const ENTRY = {
  MESSAGE: 0,
  CAME: 1,
  WENT: 2,
  NICK: 3,
  NOTE: 4,
  TOPIC: 5,
  MOVED: 6,
  READ: 7,
} as const;

/** Flags of an entry; the lower ones are those of CHAT, §6. */
export const ENTRY_FLAGS = {
  ACTION: 1,
  PRIVATE: 2,
  LATE: 4,
  VIEW_DIFFERS: 8,
  HEARSAY: 16,
} as const;

/** Bytes of an entry without its length, nick and text. */
const FIXED_BYTES = 1 + 8 + 8 + 8 + 8 + 32 + 32 + 1 + 1;
const LENGTH_BYTES = 2;
const [AT, SENT, ID, REPLY, FP, TO, FLAGS, NICK] = [1, 9, 17, 25, 33, 65, 97, 98] as const;
const MAX_NICK_BYTES = 255;
const ZEROS = new Uint8Array(32);

/** Something that happened. */
export interface HistoryEntry {
  /** One of {@linkcode ENTRY}, or one that this program does not know. */
  readonly type: number;
  /** When it was shown here, in milliseconds since 1970. */
  readonly at: number;
  /** When it was written, as its sender claims; 0 where there is none. */
  readonly sent: number;
  /** Of a message, 16 hex digits. */
  readonly id?: string | undefined;
  /** The reference of the message that it answers, is about, or was read last; 16 hex digits. */
  readonly reply?: string | undefined;
  /** Whose it is, 32 bytes. */
  readonly fingerprint: Bytes;
  /** Whom it is for or with, 32 bytes; undefined for the room. Of a move, the relay. */
  readonly to?: Bytes | undefined;
  /** A sum of {@linkcode ENTRY_FLAGS}. */
  readonly flags: number;
  /** As sent, at most 255 bytes. */
  readonly nick: string;
  /** What a note did, §6. */
  readonly what?: number | undefined;
  readonly text: string;
}

/** Encodes an entry; all of it fits the u16 of its length, since texts have at most 8192 bytes. */
export function encodeEntry(entry: HistoryEntry): Bytes {
  const { type, at, sent, id, reply, fingerprint, to, flags, what, text } = entry;
  const nick = encodeUtf8(entry.nick);
  if (nick.length > MAX_NICK_BYTES) throw new RangeError(`"nick" is too long: ${nick.length}`);
  const body = type === ENTRY.NOTE
    ? concat(Uint8Array.of(what!), encodeUtf8(text))
    : encodeUtf8(text);
  const bytes = new Uint8Array(LENGTH_BYTES + FIXED_BYTES + nick.length + body.length);
  writeU16(bytes, 0, FIXED_BYTES + nick.length + body.length);
  const rest = bytes.subarray(LENGTH_BYTES);
  rest[0] = type;
  writeU64(rest, AT, at);
  writeU64(rest, SENT, sent);
  if (id !== undefined) rest.set(decodeHex(id), ID);
  if (reply !== undefined) rest.set(decodeHex(reply), REPLY);
  rest.set(fingerprint, FP);
  rest.set(to ?? ZEROS, TO);
  rest[FLAGS] = flags;
  rest[NICK] = nick.length;
  rest.set(nick, NICK + 1);
  rest.set(body, NICK + 1 + nick.length);
  return bytes;
}

/**
 * Decodes entries that follow one another.
 *
 * @throws {ProtocolError} One is incomplete, or malformed.
 */
export function decodeEntries(bytes: Uint8Array): HistoryEntry[] {
  return splitEntries(bytes).map((entry) => entry.decode());
}

/**
 * Tells entries apart that follow one another, without decoding all of each: a log has many.
 *
 * @param bytes Used, not copied.
 * @throws {ProtocolError} One is incomplete.
 */
export function splitEntries(bytes: Uint8Array): PackedEntry[] {
  const entries: PackedEntry[] = [];
  for (let offset = 0; offset < bytes.length;) {
    if (offset + LENGTH_BYTES > bytes.length) throw new ProtocolError("bad-length");
    const end = offset + LENGTH_BYTES + readU16(bytes, offset);
    if (end > bytes.length) throw new ProtocolError("bad-length");
    entries.push(new PackedEntry(bytes.subarray(offset + LENGTH_BYTES, end)));
    offset = end;
  }
  return entries;
}

/** An entry that is decoded when it is needed. */
export class PackedEntry {
  readonly at: number;
  readonly #bytes: Uint8Array;

  /** @throws {ProtocolError} It is too short, or its time too great. */
  constructor(bytes: Uint8Array) {
    if (bytes.length < FIXED_BYTES) throw new ProtocolError("bad-length");
    this.#bytes = bytes;
    this.at = readU64(bytes, AT, MAX_TIME_MS);
  }

  get type(): number {
    return this.#bytes[0]!;
  }

  /** 16 hex digits; zeros in all but messages. */
  get id(): string {
    return encodeHex(this.#bytes.subarray(ID, REPLY));
  }

  /** Both are of one fingerprint and have one id. */
  isSame(other: PackedEntry): boolean {
    const [one, two] = [this.#bytes, other.#bytes];
    return equalBytes(one.subarray(FP, TO), two.subarray(FP, TO)) &&
      equalBytes(one.subarray(ID, REPLY), two.subarray(ID, REPLY));
  }

  /** In UTF-8, not checked; not to be changed. */
  get textBytes(): Uint8Array {
    const start = NICK + 1 + this.#bytes[NICK]! + (this.type === ENTRY.NOTE ? 1 : 0);
    return this.#bytes.subarray(start);
  }

  /** With its length, as {@linkcode encodeEntry} gives it. */
  get packed(): Bytes {
    return withLength(this.#bytes);
  }

  /** @throws {ProtocolError} It is malformed. */
  decode(): HistoryEntry {
    return decodeEntry(this.#bytes);
  }
}

function decodeEntry(bytes: Uint8Array): HistoryEntry {
  const text = NICK + 1 + bytes[NICK]!;
  const isNote = bytes[0] === ENTRY.NOTE;
  if (text + (isNote ? 1 : 0) > bytes.length) throw new ProtocolError("bad-length");
  const type = bytes[0]!;
  const id = bytes.subarray(ID, REPLY);
  if (type <= ENTRY.READ && isZero(id) === (type === ENTRY.MESSAGE)) {
    throw new ProtocolError("bad-field");
  }
  const reply = bytes.subarray(REPLY, FP);
  const to = bytes.subarray(TO, FLAGS);
  return {
    type,
    at: readU64(bytes, AT, MAX_TIME_MS),
    sent: readU64(bytes, SENT, MAX_TIME_MS),
    id: isZero(id) ? undefined : encodeHex(id),
    reply: isZero(reply) ? undefined : encodeHex(reply),
    fingerprint: copyBytes(bytes, FP, TO - FP),
    to: isZero(to) ? undefined : copyBytes(to, 0, to.length),
    flags: bytes[FLAGS]!,
    nick: decodeUtf8(bytes.subarray(NICK + 1, text)),
    what: isNote ? bytes[text] : undefined,
    text: decodeUtf8(bytes.subarray(isNote ? text + 1 : text)),
  };
}
