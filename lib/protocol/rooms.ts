/**
 * The tag of a room on the wire, and the digest that shows that two members see the same room (PROTOCOL.md §5, §6).
 *
 * @module
 */

import { type Bytes, compareBytes, concat, encodeUtf8, label } from "../base/bytes.ts";
import { sha256 } from "./crypto/hash.ts";
import { webSuite } from "./crypto/web.ts";

const LABEL_ROOM = label("hearth/2 room");
const LABEL_VIEW = label("hearth/2 view");

/**
 * The tag by which the relay knows a room, §5.
 *
 * @param normalized The room's name as `normalizeRoom` gives it.
 * @returns 32 bytes.
 */
export function roomTag(normalized: string): Bytes {
  return prepared.get(normalized) ?? sha256(LABEL_ROOM, encodeUtf8(normalized));
}

/** Tags that were made before they were asked for. */
const prepared = new Map<string, Bytes>();

/** Makes the tag of a room for {@linkcode roomTag} before a program loads what that needs. */
export async function prepareRoomTag(normalized: string): Promise<void> {
  prepared.set(normalized, await webSuite.sha256(LABEL_ROOM, encodeUtf8(normalized)));
}

/** A member as the relay's roster names it. */
interface RosterEntry {
  /** 8 bytes. */
  readonly sid: Uint8Array;
  /** 32 bytes. */
  readonly fingerprint: Uint8Array;
}

/**
 * The digest of the members of a room, §6.
 *
 * @param relay The relay's fingerprint, 32 bytes.
 * @param room The room's tag, 32 bytes.
 * @param members All of them, including the sender, in any order.
 * @returns 32 bytes.
 */
export function computeView(
  relay: Uint8Array,
  room: Uint8Array,
  members: readonly RosterEntry[],
): Bytes {
  const sorted = [...members].sort((a, b) => compareBytes(a.sid, b.sid));
  return sha256(
    LABEL_VIEW,
    relay,
    room,
    concat(...sorted.flatMap((member) => [member.sid, member.fingerprint])),
  );
}
