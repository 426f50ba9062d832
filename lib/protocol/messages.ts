/**
 * Encoding and decoding of peer messages (PROTOCOL.md §6). Checks the format of each message; the channel checks whether
 * it is allowed at that moment.
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
  expectLength,
  isZero,
  MAX_COUNTER,
  MAX_TIME_MS,
  readU32,
  readU64,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { graphemes } from "../base/text.ts";
import { isReceivableNick, MAX_NICK_BYTES } from "./names.ts";
import { isFileMessage } from "./file_messages.ts";
import { INSTANCE_BYTES } from "./frames.ts";
import {
  decodeStandBy,
  decodeSuccession,
  encodeStandBy,
  encodeSuccession,
  type Offer,
  type SignedList,
} from "./succession.ts";

/** Largest text of a message, §10. */
export const MAX_TEXT_BYTES = 8192;

/** Largest text of AWAY, §6. */
export const MAX_AWAY_BYTES = 200;

/** Largest text of TOPIC, §6. */
export const MAX_TOPIC_BYTES = 200;

/** Largest reaction of a NOTE, §6. */
export const MAX_REACTION_BYTES = 32;

/** Bytes of k, §6. */
export const ENVELOPE_KEY_BYTES = 32;

/** Message types of §6. */
export const MESSAGE = {
  CLOSE: 0x00,
  HELLO: 0x20,
  CHAT: 0x21,
  NICK: 0x22,
  ACK: 0x23,
  GAP: 0x24,
  NOTE: 0x25,
  KEY: 0x26,
  FIRST_EXTENSION: 0x40,
  AWAY: 0x41,
  TOPIC: 0x42,
  STANDBY: 0x43,
  SUCCESSION: 0x44,
  COPY: 0x60,
  READ: 0x61,
  WANT: 0x62,
  GIVE: 0x63,
  RECAP: 0x64,
  LAST_EXTENSION: 0x7f,
} as const;

/** Flags of CHAT, §6. */
const FLAG = { ACTION: 1, PRIVATE: 2, LATE: 4 } as const;

const ALL_FLAGS = 7;

/** What a NOTE does, §6. */
export const NOTE = { REACT: 1, UNREACT: 2, EDIT: 3, RETRACT: 4 } as const;

const ID_BYTES = 8;
const NO_REFERENCE = "0".repeat(2 * ID_BYTES);

/** A peer message; ids and references as 16 hex digits, instances as 32. */
export type Message =
  | { type: "close"; reason: number }
  | { type: "hello"; features: number; instance: string; nick: string }
  | {
    type: "chat";
    seq: number;
    id: string;
    time: number;
    action: boolean;
    private: boolean;
    late: boolean;
    view: Bytes;
    /** The reference of the message that this one answers. */
    reply: string | undefined;
    text: string;
  }
  /** `what` is one of {@linkcode NOTE}, or unknown: then the text is not looked at and empty here. */
  | { type: "note"; seq: number; ref: string; what: number; text: string }
  | { type: "nick"; seq: number; nick: string }
  | { type: "ack"; received: number }
  | { type: "gap"; next: number }
  | { type: "away"; text: string }
  | { type: "topic"; time: number; text: string }
  /** Without an offer: no more. */
  | { type: "standby"; offer: Offer | undefined }
  | ({ type: "succession" } & SignedList)
  /** About a file: `u8 type || body` as in `file_messages.ts`, decoded by transfers; a view into the plaintext. */
  | { type: "file"; bytes: Bytes }
  /** `u8 type || body` as in `own_messages.ts`; a view into the plaintext. */
  | { type: "own"; bytes: Bytes }
  | { type: "extension" };

/** A CHAT message. */
export type ChatMessage = Extract<Message, { type: "chat" }>;
/** A NOTE by itself. */
export type NoteMessage = Extract<Message, { type: "note" }>;
/** What {@linkcode encodeMessage} takes. */
export type SentMessage = Exclude<Message, { type: "extension" }>;

function u64(value: number): Bytes {
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, value);
  return bytes;
}

/**
 * Encodes a peer message; `extension` cannot be sent.
 *
 * @returns `u8 type || body`; padded, the plaintext of one peer record.
 */
export function encodeMessage(value: SentMessage): Bytes {
  switch (value.type) {
    case "close":
      return Uint8Array.of(MESSAGE.CLOSE, value.reason);
    case "hello": {
      const head = new Uint8Array(5);
      head[0] = MESSAGE.HELLO;
      writeU32(head, 1, value.features);
      const nick = encodeUtf8(value.nick);
      return concat(head, decodeHex(value.instance), Uint8Array.of(nick.length), nick);
    }
    case "chat": {
      const flags = (value.action ? FLAG.ACTION : 0) | (value.private ? FLAG.PRIVATE : 0) |
        (value.late ? FLAG.LATE : 0);
      return concat(
        Uint8Array.of(MESSAGE.CHAT),
        u64(value.seq),
        decodeHex(value.id),
        u64(value.time),
        Uint8Array.of(flags),
        value.view,
        decodeHex(value.reply ?? NO_REFERENCE),
        encodeUtf8(value.text),
      );
    }
    case "note":
      return concat(
        Uint8Array.of(MESSAGE.NOTE),
        u64(value.seq),
        decodeHex(value.ref),
        Uint8Array.of(value.what),
        encodeUtf8(value.text),
      );
    case "nick":
      return concat(Uint8Array.of(MESSAGE.NICK), u64(value.seq), encodeUtf8(value.nick));
    case "ack":
      return concat(Uint8Array.of(MESSAGE.ACK), u64(value.received));
    case "gap":
      return concat(Uint8Array.of(MESSAGE.GAP), u64(value.next));
    case "away":
      return concat(Uint8Array.of(MESSAGE.AWAY), encodeUtf8(value.text));
    case "topic":
      return concat(Uint8Array.of(MESSAGE.TOPIC), u64(value.time), encodeUtf8(value.text));
    case "file":
    case "own":
      return value.bytes;
    case "standby":
      return concat(Uint8Array.of(MESSAGE.STANDBY), encodeStandBy(value.offer));
    case "succession":
      return concat(Uint8Array.of(MESSAGE.SUCCESSION), encodeSuccession(value));
  }
}

/** Gives an encoded CHAT, NICK or NOTE another seq: to everybody in a room goes the same but for this. */
export function setSeq(message: Bytes, seq: number): void {
  writeU64(message, 1, seq);
}

/**
 * Takes the seq out of an encoded CHAT or NOTE: the content of a CAST, §6.
 *
 * @param message As {@linkcode encodeMessage} gives it, whatever its seq.
 */
export function toContent(message: Bytes): Bytes {
  return concat(message.subarray(0, 1), message.subarray(9));
}

/**
 * Decodes the content of a CAST, §6.
 *
 * @param content u8 type and the body without its seq.
 * @param seq From the box.
 * @throws {ProtocolError} For what may not come this way, a late or private message too: the sender's fault.
 */
export function decodeContent(content: Uint8Array, seq: number): ChatMessage | NoteMessage {
  const type = content[0];
  if (type !== MESSAGE.CHAT && type !== MESSAGE.NOTE) throw new ProtocolError("unknown-type");
  const message = decodeMessage(concat(Uint8Array.of(type), u64(seq), content.subarray(1)));
  if (message.type === "note") return message;
  if (message.type !== "chat" || message.private || message.late) {
    throw new ProtocolError("bad-field");
  }
  return message;
}

/** Encodes a KEY, the plaintext of a box; 41 bytes, not padded. */
export function encodeKey(seq: number, key: Uint8Array): Bytes {
  return concat(Uint8Array.of(MESSAGE.KEY), u64(seq), key);
}

/**
 * Decodes the plaintext of a box.
 *
 * @throws {ProtocolError} For anything but a KEY: the sender's fault.
 */
export function decodeKey(plaintext: Uint8Array): { seq: number; key: Bytes } {
  if (plaintext[0] !== MESSAGE.KEY) throw new ProtocolError("unknown-type");
  expectLength(plaintext, 1 + 8 + ENVELOPE_KEY_BYTES);
  const body = plaintext.subarray(1);
  return { seq: readSeq(body), key: copyBytes(body, 8, ENVELOPE_KEY_BYTES) };
}

/** Whether a NOTE sets or takes back a reaction: of one person's to a message the last stands, and so of the others. */
export function isReactionNote(what: number): boolean {
  return what === NOTE.REACT || what === NOTE.UNREACT;
}

/** Tells whether a text may be a reaction: one grapheme cluster of at most 32 bytes, §6. */
export function isReaction(text: string): boolean {
  const { length } = encodeUtf8(text);
  return length > 0 && length <= MAX_REACTION_BYTES && graphemes(text).length === 1;
}

/**
 * Decodes a message of a peer record, its padding taken off.
 *
 * @returns `extension` for what is to be ignored, a malformed message without seq included.
 * @throws {ProtocolError} The sender's fault: CLOSE(3) in the channel.
 */
export function decodeMessage(plaintext: Bytes): Message {
  const type = plaintext[0];
  const body = plaintext.subarray(1);
  switch (type) {
    case undefined:
      throw new ProtocolError("bad-length");
    case MESSAGE.CLOSE:
      expectLength(body, 1);
      return { type: "close", reason: body[0]! };
    case MESSAGE.HELLO:
      return decodeHello(body);
    case MESSAGE.CHAT:
      return decodeChat(body);
    case MESSAGE.NICK:
      if (body.length < 8) throw new ProtocolError("bad-length");
      return { type: "nick", seq: readSeq(body), nick: readNick(body.subarray(8)) };
    case MESSAGE.ACK:
      expectLength(body, 8);
      return { type: "ack", received: readU64(body, 0, MAX_COUNTER) };
    case MESSAGE.GAP:
      expectLength(body, 8);
      return { type: "gap", next: readU64(body, 0, MAX_COUNTER) };
    case MESSAGE.NOTE:
      return decodeNote(body);
    case MESSAGE.AWAY:
      return orExtension(() => decodeAway(body));
    case MESSAGE.TOPIC:
      return orExtension(() => decodeTopic(body));
    case MESSAGE.STANDBY:
      return orExtension(() => ({ type: "standby", offer: decodeStandBy(body) }));
    case MESSAGE.SUCCESSION:
      return orExtension(() => ({ type: "succession", ...decodeSuccession(body) }));
    default:
      if (isFileMessage(type)) return { type: "file", bytes: plaintext };
      if (type >= MESSAGE.COPY && type <= MESSAGE.RECAP) return { type: "own", bytes: plaintext };
      if (type >= MESSAGE.FIRST_EXTENSION && type <= MESSAGE.LAST_EXTENSION) {
        return { type: "extension" };
      }
      throw new ProtocolError("unknown-type");
  }
}

function readSeq(body: Uint8Array): number {
  const seq = readU64(body, 0, MAX_COUNTER);
  if (seq === 0) throw new ProtocolError("bad-field");
  return seq;
}

function readNick(bytes: Uint8Array): string {
  if (bytes.length < 1 || bytes.length > MAX_NICK_BYTES) throw new ProtocolError("bad-length");
  const nick = decodeUtf8(bytes);
  if (!isReceivableNick(nick)) throw new ProtocolError("bad-field"); // §9
  return nick;
}

function decodeHello(body: Uint8Array): Message {
  const nickStart = 4 + INSTANCE_BYTES + 1;
  if (body.length < nickStart) throw new ProtocolError("bad-length");
  expectLength(body, nickStart + body[nickStart - 1]!);
  return {
    type: "hello",
    features: readU32(body, 0),
    instance: encodeHex(body.subarray(4, 4 + INSTANCE_BYTES)),
    nick: readNick(body.subarray(nickStart)),
  };
}

function decodeChat(body: Uint8Array): Message {
  const textStart = 8 + ID_BYTES + 8 + 1 + 32 + ID_BYTES;
  if (body.length < textStart) throw new ProtocolError("bad-length");
  const text = decodeText(body.subarray(textStart));
  const flags = body[24]!;
  const id = body.subarray(8, 16);
  if (flags > ALL_FLAGS || isZero(id)) throw new ProtocolError("bad-field");
  const reply = body.subarray(57, textStart);
  return {
    type: "chat",
    seq: readSeq(body),
    id: encodeHex(id),
    time: readU64(body, 16, MAX_TIME_MS),
    action: (flags & FLAG.ACTION) !== 0,
    private: (flags & FLAG.PRIVATE) !== 0,
    late: (flags & FLAG.LATE) !== 0,
    view: copyBytes(body, 25, 32),
    reply: isZero(reply) ? undefined : encodeHex(reply),
    text,
  };
}

/** Decodes the text of a message, 1 to 8192 bytes. @throws {ProtocolError} It is none. */
export function decodeText(bytes: Uint8Array): string {
  expectBetween(bytes.length, 1, MAX_TEXT_BYTES);
  return decodeUtf8(bytes);
}

/** The lengths that a text of a NOTE may have, by its `what`. */
const NOTE_TEXT_BYTES: Readonly<Record<number, readonly [min: number, max: number]>> = {
  [NOTE.REACT]: [1, MAX_REACTION_BYTES],
  [NOTE.UNREACT]: [0, 0],
  [NOTE.EDIT]: [1, MAX_TEXT_BYTES],
  [NOTE.RETRACT]: [0, 0],
};

function decodeNote(body: Uint8Array): Message {
  const textStart = 8 + ID_BYTES + 1;
  if (body.length < textStart) throw new ProtocolError("bad-length");
  const what = body[textStart - 1]!;
  return {
    type: "note",
    seq: readSeq(body),
    ref: encodeHex(body.subarray(8, 16)),
    what,
    text: decodeNoteText(what, body.subarray(textStart)),
  };
}

/**
 * Decodes the text of a NOTE; that of an unknown `what` is not looked at, and empty here.
 *
 * @throws {ProtocolError} Its length does not fit `what`, or it is not UTF-8.
 */
export function decodeNoteText(what: number, bytes: Uint8Array): string {
  const known = NOTE_TEXT_BYTES[what];
  expectBetween(bytes.length, ...known ?? [0, MAX_TEXT_BYTES]);
  return known ? decodeUtf8(bytes) : "";
}

function expectBetween(length: number, min: number, max: number): void {
  if (length < min || length > max) throw new ProtocolError("bad-length");
}

/** §6: a malformed one is ignored. */
function orExtension(decode: () => Message): Message {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { type: "extension" };
  }
}

function decodeTopic(body: Uint8Array): Message {
  expectBetween(body.length, 8, 8 + MAX_TOPIC_BYTES);
  const time = readU64(body, 0, MAX_TIME_MS);
  return { type: "topic", time, text: decodeUtf8(body.subarray(8)) };
}

function decodeAway(body: Uint8Array): Message {
  expectBetween(body.length, 0, MAX_AWAY_BYTES);
  return { type: "away", text: decodeUtf8(body) };
}
