/**
 * Messages between terminals of one person, and about what was missed: COPY, READ, WANT, GIVE and RECAP (PROTOCOL.md
 * §17).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  decodeHex,
  encodeHex,
  encodeUtf8,
  expectLength,
  isZero,
  MAX_TIME_MS,
  readU16,
  readU32,
  readU64,
  writeU16,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import {
  decodeEntries,
  encodeEntry,
  ENTRY,
  ENTRY_FLAGS,
  type HistoryEntry,
} from "./history_entry.ts";
import { decodeNoteText, decodeText, MESSAGE, NOTE } from "./messages.ts";
import { isReceivableNick } from "./names.ts";

/** The bit of HELLO's features that says: terminals of one person tell each other what they know. */
export const OWN_FEATURE = 2;
/** The bit of HELLO's features that says: what its sender writes may be handed on to people who come later. */
export const RECAP_FEATURE = 4;

/** The longest time that a WANT asks for: 7 days. */
export const MAX_WANT_SECONDS = 604_800;
/** References in a WANT. */
export const MAX_REFERENCES = 1900;
/** Bytes of entries in a GIVE, so that it fits one payload. */
export const MAX_GIVE_BYTES = 15_982;

const [ID_BYTES, FP_BYTES] = [8, 32] as const;
const ALL_FLAGS = 31;
const ZEROS = new Uint8Array(FP_BYTES);

/** What a WANT asks for. */
export const SCOPE = { OWN: 0, RECAP: 1 } as const;

/** A message of one's own, or about what was missed; ids and references as 16 hex digits. */
export type OwnMessage =
  /** A private message of one's own, or, without an id, a note about one: then `reply` is its ref. */
  | {
    type: "copy";
    id: string | undefined;
    time: number;
    action: boolean;
    reply: string | undefined;
    /** The other side, 32 bytes. */
    to: Bytes;
    /** One of {@linkcode NOTE}; undefined for a message. */
    what: number | undefined;
    text: string;
  }
  /** Everything up to a message has been on a screen. `other`: of the private ones with this person, 32 bytes. */
  | { type: "read"; other: Bytes | undefined; reference: string }
  | { type: "want"; scope: number; seconds: number; references: readonly string[] }
  /** Messages and notes; `at` is how long ago they were shown, in ms. */
  | { type: "give"; last: boolean; entries: readonly HistoryEntry[] }
  /** Whether what its sender writes from now on may be handed on. */
  | { type: "recap"; isOn: boolean };

/**
 * Encodes a message.
 *
 * @returns `u8 type || body`.
 */
export function encodeOwnMessage(message: OwnMessage): Bytes {
  switch (message.type) {
    case "copy": {
      const { id, time, action, reply, to, what, text } = message;
      const head = new Uint8Array(1 + ID_BYTES + 8 + 1 + ID_BYTES + FP_BYTES);
      head[0] = MESSAGE.COPY;
      if (id !== undefined) head.set(decodeHex(id), 1);
      writeU64(head, 9, time);
      head[17] = ENTRY_FLAGS.PRIVATE | (action ? ENTRY_FLAGS.ACTION : 0);
      if (reply !== undefined) head.set(decodeHex(reply), 18);
      head.set(to, 26);
      return concat(head, Uint8Array.of(...(what === undefined ? [] : [what])), encodeUtf8(text));
    }
    case "read": {
      const { other, reference } = message;
      const head = Uint8Array.of(MESSAGE.READ, other === undefined ? 0 : 1);
      return concat(head, other ?? ZEROS, decodeHex(reference));
    }
    case "want": {
      const { scope, seconds, references } = message;
      const head = new Uint8Array(8);
      head.set([MESSAGE.WANT, scope]);
      writeU32(head, 2, seconds);
      writeU16(head, 6, references.length);
      return concat(head, ...references.map(decodeHex));
    }
    case "give":
      return concat(
        Uint8Array.of(MESSAGE.GIVE, message.last ? 1 : 0),
        ...message.entries.map(encodeEntry),
      );
    case "recap":
      return Uint8Array.of(MESSAGE.RECAP, message.isOn ? 1 : 0);
  }
}

/**
 * Decodes a message.
 *
 * @param bytes `u8 type || body`.
 * @throws {ProtocolError} It is malformed, and is to be ignored.
 */
export function decodeOwnMessage(bytes: Uint8Array): OwnMessage {
  const body = bytes.subarray(1);
  switch (bytes[0]) {
    case MESSAGE.COPY:
      return decodeCopy(body);
    case MESSAGE.READ:
      return decodeRead(body);
    case MESSAGE.WANT:
      return decodeWant(body);
    case MESSAGE.GIVE:
      return decodeGive(body);
    case MESSAGE.RECAP:
      return decodeRecap(body);
    default:
      throw new ProtocolError("unknown-type");
  }
}

function decodeCopy(body: Uint8Array): OwnMessage {
  const textStart = ID_BYTES + 8 + 1 + ID_BYTES + FP_BYTES;
  if (body.length < textStart + 1) throw new ProtocolError("bad-length");
  const id = readId(body, 0);
  const flags = body[16]!;
  const reply = readId(body, 17);
  const isNote = id === undefined;
  const isAllowed = flags === ENTRY_FLAGS.PRIVATE ||
    !isNote && flags === (ENTRY_FLAGS.PRIVATE | ENTRY_FLAGS.ACTION);
  if (!isAllowed || isNote && reply === undefined) throw new ProtocolError("bad-field");
  const to = copyBytes(body, 25, FP_BYTES);
  if (isZero(to)) throw new ProtocolError("bad-field");
  const shared = {
    type: "copy",
    id,
    time: readU64(body, 8, MAX_TIME_MS),
    action: (flags & ENTRY_FLAGS.ACTION) !== 0,
    reply,
    to,
  } as const;
  if (!isNote) return { ...shared, what: undefined, text: decodeText(body.subarray(textStart)) };
  const what = body[textStart]!;
  return { ...shared, what, text: readNoteText(what, body.subarray(textStart + 1)) };
}

function decodeRead(body: Uint8Array): OwnMessage {
  expectLength(body, 1 + FP_BYTES + ID_BYTES);
  const what = body[0]!;
  const other = copyBytes(body, 1, FP_BYTES);
  const reference = readId(body, 1 + FP_BYTES);
  if (what > 1 || reference === undefined || isZero(other) !== (what === 0)) {
    throw new ProtocolError("bad-field");
  }
  return { type: "read", other: what === 0 ? undefined : other, reference };
}

function decodeWant(body: Uint8Array): OwnMessage {
  if (body.length < 7) throw new ProtocolError("bad-length");
  const count = readU16(body, 5);
  expectLength(body, 7 + count * ID_BYTES);
  const [scope, seconds] = [body[0]!, readU32(body, 1)];
  const isTime = seconds >= 1 && seconds <= MAX_WANT_SECONDS;
  if (scope > SCOPE.RECAP || !isTime || count > MAX_REFERENCES) {
    throw new ProtocolError("bad-field");
  }
  const references = Array.from({ length: count }, (_, i) => {
    return encodeHex(body.subarray(7 + i * ID_BYTES, 7 + (i + 1) * ID_BYTES));
  });
  return { type: "want", scope, seconds, references };
}

function decodeGive(body: Uint8Array): OwnMessage {
  if (body.length < 1 || body.length > 1 + MAX_GIVE_BYTES) throw new ProtocolError("bad-length");
  if (body[0]! > 1) throw new ProtocolError("bad-field");
  const entries = decodeEntries(body.subarray(1));
  for (const entry of entries) check(entry);
  return { type: "give", last: body[0] === 1, entries };
}

function decodeRecap(body: Uint8Array): OwnMessage {
  expectLength(body, 1);
  if (body[0]! > 1) throw new ProtocolError("bad-field");
  return { type: "recap", isOn: body[0] === 1 };
}

/** @throws {ProtocolError} It is no message or note that could have been shown. */
function check({ type, flags, nick, reply, what, text }: HistoryEntry): void {
  if (flags > ALL_FLAGS || !isReceivableNick(nick)) throw new ProtocolError("bad-field");
  const bytes = encodeUtf8(text);
  if (type === ENTRY.MESSAGE) return void decodeText(bytes);
  if (type !== ENTRY.NOTE || reply === undefined) throw new ProtocolError("bad-field");
  readNoteText(what!, bytes);
}

function readNoteText(what: number, bytes: Uint8Array): string {
  if (what < NOTE.REACT || what > NOTE.RETRACT) throw new ProtocolError("bad-field");
  return decodeNoteText(what, bytes);
}

/** @returns Undefined for zeros. */
function readId(body: Uint8Array, offset: number): string | undefined {
  const id = body.subarray(offset, offset + ID_BYTES);
  return isZero(id) ? undefined : encodeHex(id);
}
