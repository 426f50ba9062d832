/**
 * The bodies of transport frames and of peer messages (PROTOCOL.md §5, §6): one encode and decode pair for each row.
 *
 * Checks the form of each by itself; whether it may come now is for relay, session and peer to say.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  isZero,
  MAX_COUNTER,
  MAX_TIME_MS,
  readU16,
  readU32,
  readU64,
  writeU16,
  writeU32,
  writeU64,
} from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { isReceivableNick, MAX_NICK_BYTES } from "./nick.ts";

/** Largest payload of SEND and RECV, §10. */
export const MAX_PAYLOAD_BYTES = 16000;
/** Largest text of a message, §10. */
export const MAX_TEXT_BYTES = 8192;
/** Largest text of AWAY, §6. */
export const MAX_AWAY_BYTES = 200;
/** Largest capacity a WELCOME may name, §5. */
export const MAX_CAPACITY = 256;

const SID_BYTES = 8;
const FINGERPRINT_BYTES = 32;
const MEMBER_BYTES = SID_BYTES + FINGERPRINT_BYTES;
const INSTANCE_BYTES = 16;
/** sid, kind and tag: what SEND and RECV carry before their payload. */
export const ROUTE_BYTES = 13;

/** Frame types of §5. */
export const FRAME = {
  CLOSE: 0x00,
  PING: 0x01,
  PONG: 0x02,
  JOIN: 0x10,
  WELCOME: 0x11,
  JOINED: 0x12,
  LEFT: 0x13,
  SEND: 0x14,
  RECV: 0x15,
} as const;

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

/** Reasons of CLOSE, §5. */
export const REASON = {
  NORMAL: 0,
  PASSWORD: 1,
  NOT_ALLOWED: 2,
  PROTOCOL: 3,
  TIMEOUT: 4,
  FULL: 5,
  REPLACED: 6,
  SHUTTING_DOWN: 7,
  REMOVED: 8,
  WEAK_KEY: 9,
  TOO_SLOW: 10,
} as const;

/** Why of LEFT, §5. */
export const WHY = { LEFT: 0, LOST: 1, REPLACED: 2, REMOVED: 3 } as const;

/** What a payload carries, §5. */
export const KIND = { M1: 1, M2: 2, M3: 3, RECORD: 4 } as const;

/** Flags of CHAT, §6. */
const FLAG = { ACTION: 1, PRIVATE: 2, LATE: 4 } as const;
const ALL_FLAGS = 7;

/** A member in a WELCOME; the sid as 16 hex digits. */
export interface Member {
  readonly sid: string;
  readonly fingerprint: Bytes;
}

/** A transport frame; sids and tags as hex digits. */
export type Frame =
  | { type: "close"; reason: number }
  | { type: "ping" | "pong"; data: Bytes }
  | { type: "join"; proof: Bytes; room: Bytes; instance: Bytes }
  | { type: "welcome"; sid: string; capacity: number; members: readonly Member[] }
  | { type: "joined"; sid: string; fingerprint: Bytes }
  | { type: "left"; sid: string; why: number }
  | { type: "send" | "recv"; sid: string; kind: number; tag: string; payload: Uint8Array };

function frame(type: number, ...parts: readonly Uint8Array[]): Bytes {
  const bytes = concat(new Uint8Array(3), ...parts);
  bytes[0] = type;
  writeU16(bytes, 1, bytes.length - 3);
  return bytes;
}

function u16(value: number): Bytes {
  const bytes = new Uint8Array(2);
  writeU16(bytes, 0, value);
  return bytes;
}

function u64(value: number): Bytes {
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, value);
  return bytes;
}

/**
 * Encodes a transport frame.
 *
 * @returns `u8 type || L(body)`.
 */
export function encodeFrame(value: Frame): Bytes {
  switch (value.type) {
    case "close":
      return frame(FRAME.CLOSE, Uint8Array.of(value.reason));
    case "ping":
      return frame(FRAME.PING, value.data);
    case "pong":
      return frame(FRAME.PONG, value.data);
    case "join":
      return frame(FRAME.JOIN, value.proof, value.room, value.instance);
    case "welcome":
      return frame(
        FRAME.WELCOME,
        decodeHex(value.sid),
        u16(value.capacity),
        u16(value.members.length),
        ...value.members.flatMap((member) => [decodeHex(member.sid), member.fingerprint]),
      );
    case "joined":
      return frame(FRAME.JOINED, decodeHex(value.sid), value.fingerprint);
    case "left":
      return frame(FRAME.LEFT, decodeHex(value.sid), Uint8Array.of(value.why));
    case "send":
    case "recv":
      return frame(
        value.type === "send" ? FRAME.SEND : FRAME.RECV,
        decodeHex(value.sid),
        Uint8Array.of(value.kind),
        decodeHex(value.tag),
        value.payload,
      );
  }
}

/** Refuses a body of any other length. */
function expectLength(body: Uint8Array, length: number): void {
  if (body.length !== length) throw new ProtocolError("bad-length");
}

function copy(bytes: Uint8Array, start: number, length: number): Bytes {
  return new Uint8Array(bytes.subarray(start, start + length));
}

function readSid(body: Uint8Array, offset: number): string {
  const sid = body.subarray(offset, offset + SID_BYTES);
  if (isZero(sid)) throw new ProtocolError("bad-field");
  return encodeHex(sid);
}

/**
 * Decodes a transport frame.
 *
 * @param type The frame's type byte.
 * @param body Everything after its length field; the result shares its memory only in `payload`.
 * @throws {ProtocolError} The sender's fault: CLOSE(3).
 */
export function decodeFrame(type: number, body: Uint8Array): Frame {
  switch (type) {
    case FRAME.CLOSE:
      expectLength(body, 1);
      return { type: "close", reason: body[0]! };
    case FRAME.PING:
    case FRAME.PONG:
      expectLength(body, 8);
      return { type: type === FRAME.PING ? "ping" : "pong", data: copy(body, 0, 8) };
    case FRAME.JOIN:
      expectLength(body, 80);
      return {
        type: "join",
        proof: copy(body, 0, 32),
        room: copy(body, 32, 32),
        instance: copy(body, 64, INSTANCE_BYTES),
      };
    case FRAME.WELCOME:
      return decodeWelcome(body);
    case FRAME.JOINED:
      expectLength(body, MEMBER_BYTES);
      return {
        type: "joined",
        sid: readSid(body, 0),
        fingerprint: copy(body, SID_BYTES, FINGERPRINT_BYTES),
      };
    case FRAME.LEFT:
      expectLength(body, 9);
      return { type: "left", sid: readSid(body, 0), why: body[8]! };
    case FRAME.SEND:
    case FRAME.RECV:
      return decodeRouted(type, body);
    default:
      throw new ProtocolError("unknown-type");
  }
}

function decodeWelcome(body: Uint8Array): Frame {
  if (body.length < 12) throw new ProtocolError("bad-length");
  const sid = readSid(body, 0);
  const capacity = readU16(body, 8);
  const count = readU16(body, 10);
  expectLength(body, 12 + count * MEMBER_BYTES);
  if (capacity > MAX_CAPACITY || count >= capacity) throw new ProtocolError("bad-field");
  const members: Member[] = [];
  const seen = new Set([sid]);
  for (let offset = 12; offset < body.length; offset += MEMBER_BYTES) {
    const member = readSid(body, offset);
    if (seen.has(member)) throw new ProtocolError("bad-field");
    seen.add(member);
    const fingerprint = copy(body, offset + SID_BYTES, FINGERPRINT_BYTES);
    members.push({ sid: member, fingerprint });
  }
  return { type: "welcome", sid, capacity, members };
}

/** Checks what the relay, too, checks of a SEND (§5): the payload's length and the kind. */
export function checkRoute(body: Uint8Array): void {
  const length = body.length - ROUTE_BYTES;
  if (length < 1 || length > MAX_PAYLOAD_BYTES) throw new ProtocolError("bad-length");
  const kind = body[SID_BYTES]!;
  if (kind < KIND.M1 || kind > KIND.RECORD) throw new ProtocolError("bad-field");
}

function decodeRouted(type: number, body: Uint8Array): Frame {
  checkRoute(body);
  return {
    type: type === FRAME.SEND ? "send" : "recv",
    sid: encodeHex(body.subarray(0, SID_BYTES)),
    kind: body[SID_BYTES]!,
    tag: encodeHex(body.subarray(SID_BYTES + 1, ROUTE_BYTES)),
    payload: body.subarray(ROUTE_BYTES),
  };
}

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

/**
 * Encodes a peer message; `extension` cannot be sent.
 *
 * @returns `u8 type || body`, the plaintext of one peer record.
 */
export function encodeMessage(value: Exclude<Message, { type: "extension" }>): Bytes {
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
    view: copy(body, 25, 32),
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
