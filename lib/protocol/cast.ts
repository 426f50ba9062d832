/**
 * One envelope for many (PROTOCOL.md §6): what a CHAT or NOTE has in common for all is sealed once, and each channel
 * carries the key in a box.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { RandomBytes } from "../base/clock.ts";
import { sha256 } from "./crypto/hash.ts";
import {
  CAST_ENTRY_BYTES,
  CAST_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  MAX_CAST_ENTRIES,
} from "./frames.ts";
import { MAX_RECORD_BYTES } from "./limits.ts";
import {
  type ChatMessage,
  decodeContent,
  decodeKey,
  encodeKey,
  ENVELOPE_KEY_BYTES,
  type NoteMessage,
} from "./messages.ts";
import { pad, unpad } from "./padding.ts";
import { openAead, type Opener, sealAead, type Sealer, TAG_BYTES } from "./records.ts";

const NOTHING = new Uint8Array(0);

/** A sealed content; it may go out in several CASTs. */
export interface Envelope {
  /** k, 32 bytes. */
  readonly key: Bytes;
  /** 28 to 8720 bytes. */
  readonly common: Bytes;
  /** H(common): ties each box to it. */
  readonly digest: Bytes;
}

/**
 * Seals what all get, under a fresh k.
 *
 * @param content As `toContent` makes it; any other content takes another envelope.
 */
export function sealEnvelope(content: Uint8Array, random: RandomBytes): Envelope {
  const key = random(ENVELOPE_KEY_BYTES);
  const common = sealAead(key, 0, NOTHING, pad(content));
  return { key, common, digest: sha256(common) };
}

/**
 * Seals one receiver's box, as the next record of its channel.
 *
 * @param seq Of the message in that channel's stream.
 * @returns 57 bytes.
 */
export function sealBox(sealer: Sealer, envelope: Envelope, seq: number): Bytes {
  return sealer.seal(encodeKey(seq, envelope.key), envelope.digest);
}

/**
 * Opens a PART: its box as the next record of the channel, then what is common.
 *
 * @returns The CHAT or NOTE, neither private nor late.
 * @throws {DecryptError | ProtocolError} The sender's fault: a failed record of that channel.
 */
export function openPart(
  opener: Opener,
  part: { readonly box: Uint8Array; readonly common: Uint8Array },
): ChatMessage | NoteMessage {
  const { seq, key } = decodeKey(opener.open(part.box, sha256(part.common)));
  return decodeContent(unpad(openAead(key, 0, NOTHING, part.common)), seq);
}

/** How many entries one CAST holds beside a common of `commonBytes`: as many as fit into a record, §5. */
export function castCapacity(commonBytes: number): number {
  const room = MAX_RECORD_BYTES - TAG_BYTES - FRAME_HEADER_BYTES - CAST_HEADER_BYTES - commonBytes;
  return Math.min(Math.floor(room / CAST_ENTRY_BYTES), MAX_CAST_ENTRIES);
}
