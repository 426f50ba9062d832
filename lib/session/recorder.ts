/**
 * What happens in a room, told to whoever keeps it: one's own history (PROTOCOL.md §16).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { HistoryEntry } from "../protocol/history_entry.ts";

/** Something that happened: just now, if it does not say when. */
export type Happening = Omit<HistoryEntry, "at"> & { readonly at?: number };

export interface Recorder {
  /**
   * This client is in the room of a relay.
   *
   * @param relay Its fingerprint, 32 bytes.
   * @param follows The room has moved there, and what belongs to it goes along; else it is what that relay has.
   */
  arrived(relay: Bytes, follows: boolean): void;
  record(happening: Happening): void;
  /** What was kept since a time, in ms since 1970, the oldest first; nothing if no history is kept. */
  since(time: number): Promise<readonly HistoryEntry[]>;
}

/** What is looked for in a history. */
export interface HistoryRequest {
  /** `WORDS from:NICK since:2d`; by default everything. */
  readonly search?: string | undefined;
  /** So many messages, at most 1000. */
  readonly limit: number;
  /** Only messages before the one with this id. */
  readonly before?: string | undefined;
}

/** A room with a history, as `settings.json` has it. */
export interface RoomHome {
  /** Its tag, 64 hex digits. */
  readonly room: string;
  /** The fingerprint of the relay at which its history began, `SHA256:…`. */
  readonly home: string;
  /** Those of all its relays, the newest last. */
  readonly relays: readonly string[];
  /** What the user has asked for; nothing is kept of a room that is `off`. */
  readonly keep: "on" | "private" | "off";
}

/** Rooms remembered; the one used longest ago is forgotten first. */
export const MAX_HOMES = 256;

/** Adds a room to others, the newest last; it replaces what was said of it before. */
export function addHome(rooms: readonly RoomHome[], added: RoomHome): RoomHome[] {
  const others = rooms.filter(({ room, home }) => room !== added.room || home !== added.home);
  return [...others, added].slice(-MAX_HOMES);
}

/** A fingerprint of nobody: of what no person has done. */
export const NOBODY: Bytes = new Uint8Array(32);
