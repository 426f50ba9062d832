/**
 * The messages of a peer channel (PROTOCOL.md §6): one encode and decode pair for each row.
 *
 * Checks the form of each by itself; whether it may come now is for channel.ts to say.
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
  MAX_COUNTER,
  MAX_TIME_MS,
  readU32,
  readU64,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { isReceivableNick, MAX_NICK_BYTES } from "./names.ts";
import { INSTANCE_BYTES } from "./frames.ts";

/** Largest text of a message, §10. */
export const MAX_TEXT_BYTES = 8192;

/** Largest text of AWAY, §6. */
export const MAX_AWAY_BYTES = 200;

/** Message types of §6. */
export const MESSAGE = {
  CLOSE: 0x00,
  HELLO: 0x20,
  CHAT: 0x21,
  NICK: 0x22,
  ACK: 0x23,
  GAP: 0x24,
  FIRST_EXTENSION: 0x40,
  AWAY: 0x41,
  LAST_EXTENSION: 0x7f,
} as const;

/** Flags of CHAT, §6. */
const FLAG = { ACTION: 1, PRIVATE: 2, LATE: 4 } as const;

const ALL_FLAGS = 7;

/** A peer message; ids as 16 hex digits, instances as 32. */
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
    text: string;
  }
  | { type: "nick"; seq: number; nick: string }
  | { type: "ack"; received: number }
  | { type: "gap"; next: number }
  | { type: "away"; text: string }
  | { type: "extension" };

/** A CHAT by itself. */
export type ChatMessage = Extract<Message, { type: "chat" }>;
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
 * @returns `u8 type || body`, the plaintext of one peer record.
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
        encodeUtf8(value.text),
      );
    }
    case "nick":
      return concat(Uint8Array.of(MESSAGE.NICK), u64(value.seq), encodeUtf8(value.nick));
    case "ack":
      return concat(Uint8Array.of(MESSAGE.ACK), u64(value.received));
    case "gap":
      return concat(Uint8Array.of(MESSAGE.GAP), u64(value.next));
    case "away":
      return concat(Uint8Array.of(MESSAGE.AWAY), encodeUtf8(value.text));
  }
}

/** Gives an encoded CHAT another seq: to everybody in a room goes the same but for this. */
export function setSeq(chat: Bytes, seq: number): void {
  writeU64(chat, 1, seq);
}

/**
 * Decodes the plaintext of one peer record.
 *
 * @returns `extension` for what is to be ignored, a malformed AWAY included.
 * @throws {ProtocolError} The sender's fault: CLOSE(3) in the channel.
 */
export function decodeMessage(plaintext: Uint8Array): Message {
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
    case MESSAGE.AWAY:
      return decodeAway(body);
    default:
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
  const textStart = 8 + 8 + 8 + 1 + 32;
  const length = body.length - textStart;
  if (length < 1 || length > MAX_TEXT_BYTES) throw new ProtocolError("bad-length");
  const flags = body[24]!;
  if (flags > ALL_FLAGS) throw new ProtocolError("bad-field");
  return {
    type: "chat",
    seq: readSeq(body),
    id: encodeHex(body.subarray(8, 16)),
    time: readU64(body, 16, MAX_TIME_MS),
    action: (flags & FLAG.ACTION) !== 0,
    private: (flags & FLAG.PRIVATE) !== 0,
    late: (flags & FLAG.LATE) !== 0,
    view: copyBytes(body, 25, 32),
    text: decodeUtf8(body.subarray(textStart)),
  };
}

function decodeAway(body: Uint8Array): Message {
  if (body.length > MAX_AWAY_BYTES) return { type: "extension" };
  try {
    return { type: "away", text: decodeUtf8(body) };
  } catch {
    return { type: "extension" }; // §6: a malformed one is ignored
  }
}
