/**
 * Encoding and decoding of what two members say about files in their peer channel: OFFER, ANSWER, WHERE and PIECE
 * (PROTOCOL.md §15). Checks the format; transfers check what is allowed at that moment.
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
  MAX_TIME_MS,
  readU16,
  readU32,
  readU64,
  writeU16,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Message types of §15. */
export const FILE_MESSAGE = { OFFER: 0x50, ANSWER: 0x51, WHERE: 0x52, PIECE: 0x53 } as const;

/** The bit of HELLO's features that says: these messages are understood, §15. */
export const FILES_FEATURE = 1;

/** Bytes of a transfer's id, of a hash, and of the secret of a direct connection. */
export const FILE_ID_BYTES = 16;
export const FILE_HASH_BYTES = 32;
export const FILE_SECRET_BYTES = 32;
/** Sizes and positions are below this, §15. */
export const MAX_FILE_BYTES = 2 ** 53;
/** Largest name of an OFFER, in bytes. */
export const MAX_FILE_NAME_BYTES = 255;
/** Most entries of a folder, §10. */
export const MAX_FOLDER_ENTRIES = 65_536;
/** Largest DATA of a PIECE, §10. */
export const MAX_PIECE_BYTES = 15_360;
/** Most addresses of a WHERE. */
export const MAX_FILE_ADDRESSES = 8;

/** Flags of OFFER, §15. */
const FLAG = { TO_ROOM: 1, EXECUTABLE: 2, SIZE_UNKNOWN: 4 } as const;
const ALL_FLAGS = 7;
const KINDS = ["file", "folder"] as const;

/** What an ANSWER says; its number is the index. */
export const ANSWERS = [
  "declined",
  "accepted",
  "paused",
  "busy",
  "disk-full",
  "name",
] as const;

/** What an ANSWER says. */
export type AnswerCode = typeof ANSWERS[number];

/** A file or folder that may be had. */
export interface Offer {
  readonly type: "offer";
  /** 32 hex digits, as in the other messages. */
  readonly id: string;
  readonly kind: "file" | "folder";
  /** Everybody in the room is offered it. */
  readonly toRoom: boolean;
  readonly executable: boolean;
  /** In bytes; undefined for a pipe, which cannot be resumed. */
  readonly size: number | undefined;
  /** Files and folders in it, 1 for a file; 0 withdraws the offer. */
  readonly entries: number;
  /** Time of the last change, in ms since 1970. */
  readonly mtime: number;
  /** SHA-256 over the bodies of a folder's ENTRYs, 32 bytes; zeros for a file. */
  readonly listing: Bytes;
  /** UTF-8 if its sender is honest, 1 to 255 bytes: it is for the receiver to judge. */
  readonly name: Bytes;
}

/** What a receiver says to an offer. */
export interface FileAnswer {
  readonly type: "answer";
  readonly id: string;
  readonly answer: AnswerCode;
  /** So many bytes are there already. */
  readonly have: number;
  /** SHA-256 of those, 32 bytes; zeros if there are none. */
  readonly hash: Bytes;
}

/** Where a side listens for a direct connection; without addresses it neither dials nor listens. */
export interface Where {
  readonly type: "where";
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Bytes;
  readonly port: number;
  /** 4 or 16 bytes each, at most 8. */
  readonly addresses: readonly Bytes[];
}

/** A file frame that goes through the relay. */
export interface Piece {
  readonly type: "piece";
  readonly id: string;
  /** `u8 type || body` of §15; a view into what was decoded. */
  readonly frame: Uint8Array;
}

export type FileMessage = Offer | FileAnswer | Where | Piece;

const OFFER_NAME_START = FILE_ID_BYTES + 1 + 1 + 8 + 4 + 8 + FILE_HASH_BYTES;
const ANSWER_BYTES = FILE_ID_BYTES + 1 + 8 + FILE_HASH_BYTES;
const WHERE_LIST_START = FILE_ID_BYTES + FILE_SECRET_BYTES + 2 + 1;

/** Encodes a message: `u8 type || body`. */
export function encodeFileMessage(message: FileMessage): Bytes {
  const id = decodeHex(message.id);
  switch (message.type) {
    case "offer": {
      const head = new Uint8Array(22);
      head[0] = KINDS.indexOf(message.kind);
      head[1] = (message.toRoom ? FLAG.TO_ROOM : 0) |
        (message.executable ? FLAG.EXECUTABLE : 0) |
        (message.size === undefined ? FLAG.SIZE_UNKNOWN : 0);
      writeU64(head, 2, message.size ?? 0);
      writeU32(head, 10, message.entries);
      writeU64(head, 14, message.mtime);
      return concat(Uint8Array.of(FILE_MESSAGE.OFFER), id, head, message.listing, message.name);
    }
    case "answer": {
      const head = new Uint8Array(9);
      head[0] = ANSWERS.indexOf(message.answer);
      writeU64(head, 1, message.have);
      return concat(Uint8Array.of(FILE_MESSAGE.ANSWER), id, head, message.hash);
    }
    case "where": {
      const { secret, port, addresses } = message;
      const head = new Uint8Array(3);
      writeU16(head, 0, port);
      head[2] = addresses.length;
      const list = addresses.flatMap((address) => [Uint8Array.of(address.length), address]);
      return concat(Uint8Array.of(FILE_MESSAGE.WHERE), id, secret, head, ...list);
    }
    case "piece":
      return concat(Uint8Array.of(FILE_MESSAGE.PIECE), id, message.frame);
  }
}

/** Whether a type of message is one of this file. */
export function isFileMessage(type: number): boolean {
  return type >= FILE_MESSAGE.OFFER && type <= FILE_MESSAGE.PIECE;
}

/**
 * Decodes a message.
 *
 * @param message `u8 type || body`, of a type for which {@linkcode isFileMessage} holds.
 * @throws {ProtocolError} The sender's fault: it fails that transfer, never the channel.
 */
export function decodeFileMessage(message: Uint8Array): FileMessage {
  const body = message.subarray(1);
  if (body.length < FILE_ID_BYTES) throw new ProtocolError("bad-length");
  switch (message[0]) {
    case FILE_MESSAGE.OFFER:
      return decodeOffer(body);
    case FILE_MESSAGE.ANSWER:
      return decodeAnswer(body);
    case FILE_MESSAGE.WHERE:
      return decodeWhere(body);
    case FILE_MESSAGE.PIECE:
      return { type: "piece", id: readFileId(body), frame: decodePiece(body) };
    default:
      throw new ProtocolError("unknown-type");
  }
}

/** Reads the id at the start of a body of at least 16 bytes. */
function readFileId(body: Uint8Array): string {
  return encodeHex(body.subarray(0, FILE_ID_BYTES));
}

function decodeOffer(body: Uint8Array): Offer {
  const nameBytes = body.length - OFFER_NAME_START;
  if (nameBytes < 1 || nameBytes > MAX_FILE_NAME_BYTES) throw new ProtocolError("bad-length");
  const head = body.subarray(FILE_ID_BYTES);
  const kind = KINDS[head[0]!];
  const flags = head[1]!;
  if (kind === undefined || flags > ALL_FLAGS) throw new ProtocolError("bad-field");
  const size = readU64(head, 2, MAX_FILE_BYTES);
  const entries = readU32(head, 10);
  const listing = copyBytes(head, 22, FILE_HASH_BYTES);
  const isUnknown = (flags & FLAG.SIZE_UNKNOWN) !== 0;
  if (
    kind === "file" ? entries > 1 || !isZero(listing) : isUnknown || entries > MAX_FOLDER_ENTRIES
  ) {
    throw new ProtocolError("bad-field");
  }
  if (isUnknown && size !== 0) throw new ProtocolError("bad-field");
  return {
    type: "offer",
    id: readFileId(body),
    kind,
    toRoom: (flags & FLAG.TO_ROOM) !== 0,
    executable: (flags & FLAG.EXECUTABLE) !== 0,
    size: isUnknown ? undefined : size,
    entries,
    mtime: readU64(head, 14, MAX_TIME_MS),
    listing,
    name: copyBytes(body, OFFER_NAME_START, nameBytes),
  };
}

function decodeAnswer(body: Uint8Array): FileAnswer {
  expectLength(body, ANSWER_BYTES);
  const answer = ANSWERS[body[FILE_ID_BYTES]!];
  const have = readU64(body, FILE_ID_BYTES + 1, MAX_FILE_BYTES);
  const hash = copyBytes(body, FILE_ID_BYTES + 9, FILE_HASH_BYTES);
  if (answer === undefined || (have === 0 && !isZero(hash))) throw new ProtocolError("bad-field");
  return { type: "answer", id: readFileId(body), answer, have, hash };
}

function decodeWhere(body: Uint8Array): Where {
  if (body.length < WHERE_LIST_START) throw new ProtocolError("bad-length");
  const port = readU16(body, FILE_ID_BYTES + FILE_SECRET_BYTES);
  const count = body[WHERE_LIST_START - 1]!;
  if (count > MAX_FILE_ADDRESSES || (count > 0 && port === 0)) throw new ProtocolError("bad-field");
  const addresses: Bytes[] = [];
  let at = WHERE_LIST_START;
  for (let i = 0; i < count; i++) {
    const length = body[at];
    if (length !== 4 && length !== 16) throw new ProtocolError("bad-field");
    if (body.length < at + 1 + length) throw new ProtocolError("bad-length");
    addresses.push(copyBytes(body, at + 1, length));
    at += 1 + length;
  }
  expectLength(body, at);
  return {
    type: "where",
    id: readFileId(body),
    secret: copyBytes(body, FILE_ID_BYTES, FILE_SECRET_BYTES),
    port,
    addresses,
  };
}

function decodePiece(body: Uint8Array): Uint8Array {
  const bytes = body.length - FILE_ID_BYTES;
  if (bytes < 1 || bytes > 1 + MAX_PIECE_BYTES) throw new ProtocolError("bad-length");
  return body.subarray(FILE_ID_BYTES);
}
