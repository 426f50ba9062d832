/**
 * Encoding and decoding of transport frames (PROTOCOL.md §5). Checks the format of each frame; relay and session check
 * whether it is allowed at that moment.
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
  readU16,
  writeU16,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { SHARE_BYTES } from "./crypto/cpace.ts";
import { MAX_CAPACITY } from "./limits.ts";

/** Largest payload of SEND and RECV, §10. */
export const MAX_PAYLOAD_BYTES = 16000;

/** Bytes of a sid, §5. */
export const SID_BYTES = 8;
/** Bytes of an instance, §5. */
export const INSTANCE_BYTES = 16;
const FINGERPRINT_BYTES = 32;
const MEMBER_BYTES = SID_BYTES + FINGERPRINT_BYTES;

/** Bytes before the body of a frame: u8 type and u16 length, §4. */
export const FRAME_HEADER_BYTES = 3;

/** Bytes before the payload of SEND and RECV: sid, kind and tag. */
export const ROUTE_BYTES = 13;

const TAG_BYTES = 4;

/** Bytes of a member's box in a CAST and a PART: a sealed KEY, §6. */
export const BOX_BYTES = 57;
/** Bytes of a CAST before its first entry. */
export const CAST_HEADER_BYTES = 1;
/** Bytes of an entry of a CAST: sid, tag and box. */
export const CAST_ENTRY_BYTES: number = SID_BYTES + TAG_BYTES + BOX_BYTES;
/** Bytes of a PART before its common. */
const PART_HEADER_BYTES: number = CAST_ENTRY_BYTES;
/** Most entries of a CAST, §5. */
export const MAX_CAST_ENTRIES = 236;
/** Bounds of what a CAST carries for all. */
export const MIN_COMMON_BYTES = 28;
export const MAX_COMMON_BYTES = 8720;

/** Largest text of a NOTICE, §10. */
export const MAX_NOTICE_BYTES = 1024;

/** Bytes of a proof and of an answer, §7. */
const PROOF_BYTES = 32;

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
  SHARE: 0x16,
  PROOF: 0x17,
  ADMIN: 0x18,
  RESULT: 0x19,
  NOTICE: 0x1a,
  CAST: 0x1b,
  PART: 0x1c,
  SEEK: 0x1d,
  PLACE: 0x1e,
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
  ELSEWHERE: 11,
} as const;

/** Reasons of LEFT, §5. */
export const WHY = { LEFT: 0, LOST: 1, REPLACED: 2, REMOVED: 3 } as const;

/** Verbs of ADMIN, §5. */
export const VERB = { KICK: 1, BAN: 2, UNBAN: 3, BANS: 4, ANNOUNCE: 5, MOTD: 6 } as const;

/** Status of RESULT, §5. */
export const STATUS = {
  DONE: 0,
  NOT_ALLOWED: 1,
  UNKNOWN_VERB: 2,
  BAD_ARGUMENT: 3,
  NOT_FOUND: 4,
  TOO_MUCH: 5,
} as const;

/** What a NOTICE is, §5; any other is shown like an announcement. */
export const NOTICE = { MESSAGE_OF_THE_DAY: 0, ANNOUNCEMENT: 1 } as const;

/** What a payload carries, §5. */
export const KIND = { M1: 1, M2: 2, M3: 3, RECORD: 4 } as const;

/** A member in a WELCOME; the sid as 16 hex digits. */
interface WireMember {
  readonly sid: string;
  readonly fingerprint: Bytes;
}

/** One member's part of a CAST; sid and tag as hex digits. */
export interface CastEntry {
  readonly sid: string;
  readonly tag: string;
  /** 57 bytes. */
  readonly box: Uint8Array;
}

/** A transport frame; sids, tags and requests as hex digits. */
export type Frame =
  | { type: "close"; reason: number }
  | { type: "ping" | "pong"; data: Bytes }
  | { type: "join"; share: Bytes; room: Bytes; instance: Bytes }
  | { type: "share"; share: Bytes }
  | { type: "proof"; proof: Bytes }
  | { type: "admin"; request: string; verb: number; argument: Bytes }
  | { type: "result"; request: string; status: number; data: Bytes }
  | { type: "notice"; what: number; text: string }
  | { type: "cast"; entries: readonly CastEntry[]; common: Uint8Array }
  | ({ type: "part"; common: Uint8Array } & CastEntry)
  | { type: "welcome"; sid: string; capacity: number; members: readonly WireMember[] }
  | { type: "joined"; sid: string; fingerprint: Bytes }
  | { type: "left"; sid: string; why: number }
  | { type: "seek"; room: Bytes }
  /** The body as succession.ts reads it: a malformed one is ignored, §14. */
  | { type: "place"; body: Bytes }
  | RoutedFrame;

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

/** Optimized: a message to a room is encoded once per member. */
function encodeRouted({ type, sid, kind, tag, payload }: RoutedFrame): Bytes {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + ROUTE_BYTES + payload.length);
  const route = bytes.subarray(FRAME_HEADER_BYTES);
  route.setFromHex(sid);
  route[SID_BYTES] = kind;
  route.subarray(SID_BYTES + 1).setFromHex(tag);
  route.set(payload, ROUTE_BYTES);
  return setHeader(bytes, type === "send" ? FRAME.SEND : FRAME.RECV);
}

/** Optimized as well: it has an entry for each member. */
function encodeCast(entries: readonly CastEntry[], common: Uint8Array): Bytes {
  const start = FRAME_HEADER_BYTES + CAST_HEADER_BYTES;
  const bytes = new Uint8Array(start + entries.length * CAST_ENTRY_BYTES + common.length);
  bytes[FRAME_HEADER_BYTES] = entries.length;
  let offset = start;
  for (const { sid, tag, box } of entries) {
    bytes.subarray(offset).setFromHex(sid);
    bytes.subarray(offset + SID_BYTES).setFromHex(tag);
    bytes.set(box, offset + CAST_ENTRY_BYTES - BOX_BYTES);
    offset += CAST_ENTRY_BYTES;
  }
  bytes.set(common, offset);
  return setHeader(bytes, FRAME.CAST);
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
      return frame(FRAME.JOIN, value.share, value.room, value.instance);
    case "share":
      return frame(FRAME.SHARE, value.share);
    case "proof":
      return frame(FRAME.PROOF, value.proof);
    case "admin":
      return frame(
        FRAME.ADMIN,
        decodeHex(value.request),
        Uint8Array.of(value.verb),
        value.argument,
      );
    case "result":
      return frame(FRAME.RESULT, decodeHex(value.request), Uint8Array.of(value.status), value.data);
    case "notice":
      return frame(FRAME.NOTICE, Uint8Array.of(value.what), encodeUtf8(value.text));
    case "cast":
      return encodeCast(value.entries, value.common);
    case "part":
      return frame(
        FRAME.PART,
        decodeHex(value.sid),
        decodeHex(value.tag),
        value.box,
        value.common,
      );
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
    case "seek":
      return frame(FRAME.SEEK, value.room);
    case "place":
      return frame(FRAME.PLACE, value.body);
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
 * @param body Everything after its length field; the result shares its memory in `payload`, `box` and `common` alone.
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
        share: copyBytes(body, 0, SHARE_BYTES),
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
    case FRAME.SHARE:
      expectLength(body, SHARE_BYTES);
      return { type: "share", share: copyBytes(body, 0, SHARE_BYTES) };
    case FRAME.PROOF:
      expectLength(body, PROOF_BYTES);
      return { type: "proof", proof: copyBytes(body, 0, PROOF_BYTES) };
    case FRAME.ADMIN: {
      const { request, value, rest } = splitRequest(body);
      return { type: "admin", request, verb: value, argument: rest };
    }
    case FRAME.RESULT: {
      const { request, value, rest } = splitRequest(body);
      return { type: "result", request, status: value, data: rest };
    }
    case FRAME.NOTICE:
      return decodeNotice(body);
    case FRAME.CAST:
      return decodeCast(body);
    case FRAME.PART:
      checkCommon(body.length - PART_HEADER_BYTES);
      return { type: "part", ...readEntry(body, 0), common: body.subarray(PART_HEADER_BYTES) };
    case FRAME.SEEK:
      expectLength(body, 32);
      return { type: "seek", room: copyBytes(body, 0, 32) };
    case FRAME.PLACE:
      return { type: "place", body: copyBytes(body, 0, body.length) };
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
  const members: WireMember[] = [];
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

/** Takes `request(4) || u8 || rest`. */
function splitRequest(body: Uint8Array): { request: string; value: number; rest: Bytes } {
  if (body.length < 5) throw new ProtocolError("bad-length");
  return {
    request: encodeHex(body.subarray(0, 4)),
    value: body[4]!,
    rest: copyBytes(body, 5, body.length - 5),
  };
}

/**
 * Decodes the text of a NOTICE, and of an ADMIN that makes one: 1 to 1024 bytes.
 *
 * @throws {ProtocolError} For any other: the sender's fault.
 */
export function decodeNoticeText(bytes: Uint8Array): string {
  if (bytes.length < 1 || bytes.length > MAX_NOTICE_BYTES) throw new ProtocolError("bad-length");
  return decodeUtf8(bytes);
}

function decodeNotice(body: Uint8Array): Frame {
  if (body.length < 1) throw new ProtocolError("bad-length");
  return { type: "notice", what: body[0]!, text: decodeNoticeText(body.subarray(1)) };
}

function checkCommon(length: number): void {
  if (length < MIN_COMMON_BYTES || length > MAX_COMMON_BYTES) throw new ProtocolError("bad-length");
}

/**
 * Checks the form of a CAST, §5: all that the relay checks of one.
 *
 * @returns Where its common begins; entries of 69 bytes fill what is between the first byte and that.
 * @throws {ProtocolError} The sender's fault: CLOSE(3).
 */
export function checkCast(body: Uint8Array): number {
  const count = body[0];
  if (count === undefined) throw new ProtocolError("bad-length");
  if (count < 1 || count > MAX_CAST_ENTRIES) throw new ProtocolError("bad-field");
  const commonOffset = CAST_HEADER_BYTES + count * CAST_ENTRY_BYTES;
  checkCommon(body.length - commonOffset);
  return commonOffset;
}

function readEntry(body: Uint8Array, offset: number): CastEntry {
  const tagOffset = offset + SID_BYTES;
  const boxOffset = tagOffset + TAG_BYTES;
  return {
    sid: encodeHex(body.subarray(offset, tagOffset)),
    tag: encodeHex(body.subarray(tagOffset, boxOffset)),
    box: body.subarray(boxOffset, boxOffset + BOX_BYTES),
  };
}

function decodeCast(body: Uint8Array): Frame {
  const commonOffset = checkCast(body);
  const entries: CastEntry[] = [];
  for (let offset = CAST_HEADER_BYTES; offset < commonOffset; offset += CAST_ENTRY_BYTES) {
    entries.push(readEntry(body, offset));
  }
  return { type: "cast", entries, common: body.subarray(commonOffset) };
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

/**
 * Visits the frames of a record's plaintext in order; ignores everything after a CLOSE, §4.
 *
 * @param visit Receives the type byte and the body, which shares the plaintext's memory.
 * @throws {ProtocolError} `bad-length` if there is no frame, or the frames do not fill it exactly: the sender's fault.
 */
export function forEachFrame(
  plaintext: Uint8Array,
  visit: (type: number, body: Uint8Array) => void,
): void {
  let offset = 0;
  do {
    const start = offset + FRAME_HEADER_BYTES;
    if (start > plaintext.length) throw new ProtocolError("bad-length");
    const end = start + readU16(plaintext, offset + 1);
    if (end > plaintext.length) throw new ProtocolError("bad-length");
    const type = plaintext[offset]!;
    visit(type, plaintext.subarray(start, end));
    if (type === FRAME.CLOSE) return;
    offset = end;
  } while (offset < plaintext.length);
}
