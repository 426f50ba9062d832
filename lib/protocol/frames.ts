/**
 * The bodies of transport frames (PROTOCOL.md §5): one encode and decode pair for each row.
 *
 * Checks the form of each by itself; whether it may come now is for relay and session to say.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  decodeHex,
  encodeHex,
  expectLength,
  isZero,
  readU16,
  writeU16,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Largest payload of SEND and RECV, §10. */
export const MAX_PAYLOAD_BYTES = 16000;

/** Largest capacity a WELCOME may name, §5. */
export const MAX_CAPACITY = 256;

const SID_BYTES = 8;

/** Bytes of an instance, §5. */
export const INSTANCE_BYTES = 16;
const FINGERPRINT_BYTES = 32;

const MEMBER_BYTES = SID_BYTES + FINGERPRINT_BYTES;

/** Bytes before the body of a frame: u8 type and u16 length, §4. */
export const FRAME_HEADER_BYTES = 3;

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
  | RoutedFrame;

/** A payload on its way. */
interface RoutedFrame {
  type: "send" | "recv";
  sid: string;
  kind: number;
  tag: string;
  payload: Uint8Array;
}

function setHeader(bytes: Bytes, type: number): Bytes {
  bytes[0] = type;
  writeU16(bytes, 1, bytes.length - FRAME_HEADER_BYTES);
  return bytes;
}

function frame(type: number, ...parts: readonly Uint8Array[]): Bytes {
  return setHeader(concat(new Uint8Array(FRAME_HEADER_BYTES), ...parts), type);
}

/** The one encoder that a message to a full room runs through for each of its members. */
function encodeRouted({ type, sid, kind, tag, payload }: RoutedFrame): Bytes {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + ROUTE_BYTES + payload.length);
  const route = bytes.subarray(FRAME_HEADER_BYTES);
  route.setFromHex(sid);
  route[SID_BYTES] = kind;
  route.subarray(SID_BYTES + 1).setFromHex(tag);
  route.set(payload, ROUTE_BYTES);
  return setHeader(bytes, type === "send" ? FRAME.SEND : FRAME.RECV);
}

function u16(value: number): Bytes {
  const bytes = new Uint8Array(2);
  writeU16(bytes, 0, value);
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
      return encodeRouted(value);
  }
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
      return { type: type === FRAME.PING ? "ping" : "pong", data: copyBytes(body, 0, 8) };
    case FRAME.JOIN:
      expectLength(body, 80);
      return {
        type: "join",
        proof: copyBytes(body, 0, 32),
        room: copyBytes(body, 32, 32),
        instance: copyBytes(body, 64, INSTANCE_BYTES),
      };
    case FRAME.WELCOME:
      return decodeWelcome(body);
    case FRAME.JOINED:
      expectLength(body, MEMBER_BYTES);
      return {
        type: "joined",
        sid: readSid(body, 0),
        fingerprint: copyBytes(body, SID_BYTES, FINGERPRINT_BYTES),
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
    const fingerprint = copyBytes(body, offset + SID_BYTES, FINGERPRINT_BYTES);
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
