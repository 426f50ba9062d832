/**
 * What relays of a cluster tell each other: the entries of a link's messages.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  decodeHex,
  MAX_COUNTER,
  readU16,
  readU32,
  readU64,
  writeU16,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { checkCast, checkRoute, SID_BYTES } from "../protocol/frames.ts";
import { readU48, writeU48 } from "./keys.ts";

/** The type of an entry, its first byte. */
export const ENTRY = {
  /** u16 length || source sid(8) || body of the SEND as it came. */
  SEND: 1,
  /** sid(8) || why. */
  LEFT: 2,
  /** source sid(8) || u32 bytes that were written or dropped, as they were charged, §10. */
  CREDIT: 3,
  /** epoch(8) || u48 seq: everything before this message of the link was taken. */
  GOT: 4,
  /** The first entry of the first message of an epoch; what was not taken of earlier ones will not come. */
  BEGIN: 5,
  /** epoch(8) || u48 seq: as GOT, and messages from this one on are missing. */
  LOST: 6,
  /** u16 length || source sid(8) || body of the CAST, with the entries of members there alone. */
  CAST: 7,
  /** u16 length || verb || argument, as in ADMIN, §5: what an operator elsewhere has said. */
  ADMIN: 8,
  /** Asks for a GOT. */
  ASK: 9,
} as const;

const SID_AT = 3;
const BODY_AT = SID_AT + SID_BYTES;
const LEFT_BYTES = 1 + SID_BYTES + 1;
const CREDIT_BYTES = 1 + SID_BYTES + 4;
/** Bytes of a GOT or LOST. */
export const POSITION_BYTES = 1 + 8 + 6;

/** Where a link is. */
export interface Position {
  readonly epoch: number;
  /** The number of a message. */
  readonly seq: number;
}

/**
 * Encodes what comes before the body in SEND or CAST.
 *
 * @param source A sid, 8 bytes.
 * @param length Of the body.
 */
export function encodeForwardedHead(type: number, source: Uint8Array, length: number): Bytes {
  const head = new Uint8Array(BODY_AT);
  head[0] = type;
  writeU16(head, 1, SID_BYTES + length);
  head.set(source, SID_AT);
  return head;
}

/** @param sid In hex. */
export function encodeLeft(sid: string, why: number): Bytes {
  return concat(Uint8Array.of(ENTRY.LEFT), decodeHex(sid), Uint8Array.of(why));
}

/** @param source A sid in hex. */
export function encodeCredit(source: string, bytes: number): Bytes {
  const entry = concat(Uint8Array.of(ENTRY.CREDIT), decodeHex(source), new Uint8Array(4));
  writeU32(entry, entry.length - 4, bytes);
  return entry;
}

/** Encodes GOT or LOST. */
export function encodePosition(type: number, { epoch, seq }: Position): Bytes {
  const entry = new Uint8Array(POSITION_BYTES);
  entry[0] = type;
  writeU64(entry, 1, epoch);
  writeU48(entry, 9, seq);
  return entry;
}

/** @param argument Of the verb, as in ADMIN, §5. */
export function encodeOrder(verb: number, argument: Uint8Array): Bytes {
  const head = Uint8Array.of(ENTRY.ADMIN, 0, 0, verb);
  writeU16(head, 1, 1 + argument.length);
  return concat(head, argument);
}

/** What is done with entries; byte strings share the message's memory. */
export interface EntryVisitor {
  forwarded(type: number, source: Uint8Array, body: Uint8Array): void;
  left(sid: Uint8Array, why: number): void;
  credit(source: Uint8Array, bytes: number): void;
  order(verb: number, argument: Uint8Array): void;
  ask(): void;
}

/** Where the entry at `offset` ends. @throws {ProtocolError} There is none. */
function endOf(entries: Uint8Array, offset: number): number {
  const end = offset + lengthOf(entries, offset);
  if (end > entries.length) throw new ProtocolError("bad-length");
  return end;
}

function lengthOf(entries: Uint8Array, offset: number): number {
  switch (entries[offset]) {
    case ENTRY.SEND:
    case ENTRY.CAST:
    case ENTRY.ADMIN:
      if (offset + SID_AT > entries.length) throw new ProtocolError("bad-length");
      return SID_AT + readU16(entries, offset + 1);
    case ENTRY.LEFT:
      return LEFT_BYTES;
    case ENTRY.CREDIT:
      return CREDIT_BYTES;
    case ENTRY.GOT:
    case ENTRY.LOST:
      return POSITION_BYTES;
    case ENTRY.BEGIN:
    case ENTRY.ASK:
      return 1;
    default:
      throw new ProtocolError("unknown-type");
  }
}

/**
 * Visits GOT and LOST, which count in whatever order their messages come.
 *
 * @returns Whether there is anything besides them, and BEGIN.
 * @throws {ProtocolError} An entry is malformed.
 */
export function forEachPosition(
  entries: Uint8Array,
  visit: (type: number, position: Position) => void,
): boolean {
  let hasMore = false;
  for (let offset = 0; offset < entries.length;) {
    const end = endOf(entries, offset);
    const type = entries[offset]!;
    if (type === ENTRY.GOT || type === ENTRY.LOST) {
      const epoch = readU64(entries, offset + 1, MAX_COUNTER);
      visit(type, { epoch, seq: readU48(entries, offset + 9) });
    } else if (type !== ENTRY.BEGIN) hasMore = true;
    offset = end;
  }
  return hasMore;
}

/** Visits all other entries, in order. @throws {ProtocolError} One of them is malformed. */
export function forEachEntry(entries: Uint8Array, visitor: EntryVisitor): void {
  for (let offset = 0; offset < entries.length;) {
    const end = endOf(entries, offset);
    visit(entries.subarray(offset, end), visitor);
    offset = end;
  }
}

function visit(entry: Uint8Array, visitor: EntryVisitor): void {
  const type = entry[0]!;
  switch (type) {
    case ENTRY.SEND:
    case ENTRY.CAST: {
      const body = entry.subarray(BODY_AT);
      if (type === ENTRY.SEND) checkRoute(body);
      else checkCast(body);
      return visitor.forwarded(type, entry.subarray(SID_AT, BODY_AT), body);
    }
    case ENTRY.LEFT:
      return visitor.left(entry.subarray(1, LEFT_BYTES - 1), entry[LEFT_BYTES - 1]!);
    case ENTRY.CREDIT:
      return visitor.credit(entry.subarray(1, 1 + SID_BYTES), readU32(entry, 1 + SID_BYTES));
    case ENTRY.ADMIN:
      if (entry.length <= SID_AT) throw new ProtocolError("bad-length");
      return visitor.order(entry[SID_AT]!, entry.subarray(SID_AT + 1));
    case ENTRY.ASK:
      return visitor.ask();
  }
}
