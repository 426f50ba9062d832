/**
 * What an operator asks of a relay: the arguments of ADMIN and the data of RESULT (PROTOCOL.md §5).
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  encodeUtf8,
  expectLength,
  readU32,
  writeU32,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { decodeNoticeText, VERB } from "./frames.ts";

/** Longest ban, in seconds: a year. */
export const MAX_BAN_SECONDS = 31_536_000;
/** Bans a relay keeps, §5. */
export const MAX_BANS = 256;

const FINGERPRINT_BYTES = 32;
const BAN_BYTES = FINGERPRINT_BYTES + 4;

/** An identity that may not join, and for how long. */
export interface Ban {
  /** 32 bytes. */
  readonly fingerprint: Bytes;
  /** From now on. */
  readonly seconds: number;
}

/** What an ADMIN asks for. */
export type AdminRequest =
  | { verb: "kick" | "unban"; fingerprint: Bytes }
  | { verb: "ban" } & Ban
  | { verb: "bans" }
  | { verb: "announce"; text: string }
  /** An empty text takes the message of the day away. */
  | { verb: "motd"; text: string };

function encodeBan({ fingerprint, seconds }: Ban): Bytes {
  const ban = concat(fingerprint, new Uint8Array(4));
  writeU32(ban, FINGERPRINT_BYTES, seconds);
  return ban;
}

function decodeBan(bytes: Uint8Array): Ban {
  return {
    fingerprint: copyBytes(bytes, 0, FINGERPRINT_BYTES),
    seconds: readU32(bytes, FINGERPRINT_BYTES),
  };
}

/** Encodes a request as the verb and argument of an ADMIN frame. */
export function encodeAdmin(request: AdminRequest): { verb: number; argument: Bytes } {
  switch (request.verb) {
    case "kick":
      return { verb: VERB.KICK, argument: request.fingerprint };
    case "ban":
      return { verb: VERB.BAN, argument: encodeBan(request) };
    case "unban":
      return { verb: VERB.UNBAN, argument: request.fingerprint };
    case "bans":
      return { verb: VERB.BANS, argument: new Uint8Array(0) };
    case "announce":
      return { verb: VERB.ANNOUNCE, argument: encodeUtf8(request.text) };
    case "motd":
      return { verb: VERB.MOTD, argument: encodeUtf8(request.text) };
  }
}

/**
 * Decodes the verb and argument of an ADMIN frame.
 *
 * @returns Nothing for an unknown verb: RESULT(2).
 * @throws {ProtocolError} For a bad argument, which is not fatal: RESULT(3).
 */
export function decodeAdmin(verb: number, argument: Bytes): AdminRequest | undefined {
  switch (verb) {
    case VERB.KICK:
    case VERB.UNBAN:
      expectLength(argument, FINGERPRINT_BYTES);
      return { verb: verb === VERB.KICK ? "kick" : "unban", fingerprint: argument };
    case VERB.BAN: {
      expectLength(argument, BAN_BYTES);
      const ban = decodeBan(argument);
      if (ban.seconds < 1 || ban.seconds > MAX_BAN_SECONDS) throw new ProtocolError("bad-field");
      return { verb: "ban", ...ban };
    }
    case VERB.BANS:
      expectLength(argument, 0);
      return { verb: "bans" };
    case VERB.ANNOUNCE:
      return { verb: "announce", text: decodeNoticeText(argument) };
    case VERB.MOTD:
      return { verb: "motd", text: argument.length === 0 ? "" : decodeNoticeText(argument) };
    default:
      return undefined;
  }
}

/** Encodes the data of the RESULT that lists the bans. */
export function encodeBans(bans: readonly Ban[]): Bytes {
  return concat(...bans.map(encodeBan));
}

/**
 * Decodes what {@linkcode encodeBans} makes.
 *
 * @throws {ProtocolError} For another length: the relay's fault.
 */
export function decodeBans(data: Uint8Array): Ban[] {
  if (data.length % BAN_BYTES !== 0) throw new ProtocolError("bad-length");
  const bans: Ban[] = [];
  for (let offset = 0; offset < data.length; offset += BAN_BYTES) {
    bans.push(decodeBan(data.subarray(offset, offset + BAN_BYTES)));
  }
  return bans;
}
