/**
 * File frames: what flows in a transfer, over the direct connection or in PIECEs (PROTOCOL.md §15).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  expectLength,
  MAX_TIME_MS,
  readU64,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_FILE_BYTES } from "./file_messages.ts";

/** Types of §15. */
export const FILE_FRAME = {
  GO: 0x10,
  DATA: 0x11,
  ENTRY: 0x12,
  SKIP: 0x13,
  DONE: 0x14,
  GOT: 0x15,
  KEPT: 0x16,
  ALIVE: 0x17,
  STOP: 0x1f,
} as const;

/** Largest DATA of the direct connection, §10. */
export const MAX_DATA_BYTES = 262_144;
/** Largest path of an ENTRY, §10. */
export const MAX_PATH_BYTES = 1024;

/** Left free on the disk besides what is received, §10. */
export const RESERVE_BYTES = 64 * 1024 * 1024;

/** Why a transfer ends; the number of a STOP is the index. */
export const STOP_CODES = [
  undefined,
  "declined",
  "cancelled",
  "busy",
  "disk-full",
  "changed",
  "unreadable",
  "name",
  "protocol",
  "lost",
] as const;

/** Why a transfer ended. */
export type StopCode = NonNullable<typeof STOP_CODES[number]>;

/** A file or folder in an offered folder. */
export interface FileEntry {
  readonly type: "entry";
  readonly kind: "file" | "folder";
  readonly executable: boolean;
  /** In bytes; 0 for a folder. */
  readonly size: number;
  /** Time of the last change, in ms since 1970. */
  readonly mtime: number;
  /** Its components are separated by `/`; UTF-8 if its sender is honest, 1 to 1024 bytes. */
  readonly path: Bytes;
}

/** A file frame. `data` is a view into the decoded bytes. */
export type FileFrame =
  | { readonly type: "go"; readonly from: number }
  | { readonly type: "data"; readonly data: Uint8Array }
  | FileEntry
  | { readonly type: "skip"; readonly why: number }
  | { readonly type: "done"; readonly total: number }
  | { readonly type: "got"; readonly total: number }
  | { readonly type: "kept" }
  | { readonly type: "alive" }
  | { readonly type: "stop"; readonly code: StopCode };

const KINDS = ["file", "folder"] as const;
const EXECUTABLE = 2;
const PATH_START = 1 + 1 + 8 + 8;

/** Encodes a frame: `u8 type || body`. */
export function encodeFileFrame(frame: FileFrame): Bytes {
  switch (frame.type) {
    case "go":
      return withPosition(FILE_FRAME.GO, frame.from);
    case "data":
      return concat(Uint8Array.of(FILE_FRAME.DATA), frame.data);
    case "entry": {
      const head = new Uint8Array(1 + PATH_START);
      head[0] = FILE_FRAME.ENTRY;
      head[1] = KINDS.indexOf(frame.kind);
      head[2] = frame.executable ? EXECUTABLE : 0;
      writeU64(head, 3, frame.size);
      writeU64(head, 11, frame.mtime);
      return concat(head, frame.path);
    }
    case "skip":
      return Uint8Array.of(FILE_FRAME.SKIP, frame.why);
    case "done":
      return withPosition(FILE_FRAME.DONE, frame.total);
    case "got":
      return withPosition(FILE_FRAME.GOT, frame.total);
    case "kept":
      return Uint8Array.of(FILE_FRAME.KEPT);
    case "alive":
      return Uint8Array.of(FILE_FRAME.ALIVE);
    case "stop":
      return Uint8Array.of(FILE_FRAME.STOP, STOP_CODES.indexOf(frame.code));
  }
}

function withPosition(type: number, position: number): Bytes {
  const bytes = new Uint8Array(9);
  bytes[0] = type;
  writeU64(bytes, 1, position);
  return bytes;
}

/**
 * Decodes a frame.
 *
 * @param type Its type.
 * @param body The rest.
 * @throws {ProtocolError} The sender's fault: STOP(8).
 */
export function decodeFileFrame(type: number, body: Uint8Array): FileFrame {
  switch (type) {
    case FILE_FRAME.GO:
      return { type: "go", from: readPosition(body) };
    case FILE_FRAME.DATA:
      if (body.length < 1 || body.length > MAX_DATA_BYTES) throw new ProtocolError("bad-length");
      return { type: "data", data: body };
    case FILE_FRAME.ENTRY:
      return decodeEntry(body);
    case FILE_FRAME.SKIP:
      expectLength(body, 1);
      return { type: "skip", why: body[0]! };
    case FILE_FRAME.DONE:
      return { type: "done", total: readPosition(body) };
    case FILE_FRAME.GOT:
      return { type: "got", total: readPosition(body) };
    case FILE_FRAME.KEPT:
    case FILE_FRAME.ALIVE:
      expectLength(body, 0);
      return { type: type === FILE_FRAME.KEPT ? "kept" : "alive" };
    case FILE_FRAME.STOP: {
      expectLength(body, 1);
      const code = STOP_CODES[body[0]!];
      if (code === undefined) throw new ProtocolError("bad-field");
      return { type: "stop", code };
    }
    default:
      throw new ProtocolError("unknown-type");
  }
}

function readPosition(body: Uint8Array): number {
  expectLength(body, 8);
  return readU64(body, 0, MAX_FILE_BYTES);
}

function decodeEntry(body: Uint8Array): FileEntry {
  const pathBytes = body.length - PATH_START;
  if (pathBytes < 1 || pathBytes > MAX_PATH_BYTES) throw new ProtocolError("bad-length");
  const kind = KINDS[body[0]!];
  const flags = body[1]!;
  const size = readU64(body, 2, MAX_FILE_BYTES);
  const isBad = kind === undefined || (flags !== 0 && flags !== EXECUTABLE) ||
    (kind === "folder" && size !== 0);
  if (isBad) throw new ProtocolError("bad-field");
  return {
    type: "entry",
    kind,
    executable: flags === EXECUTABLE,
    size,
    mtime: readU64(body, 10, MAX_TIME_MS),
    path: copyBytes(body, PATH_START, pathBytes),
  };
}
