/**
 * Our view of the room, which we put into messages (PROTOCOL.md §6, "View").
 *
 * @module
 */

import { type Bytes, decodeHex } from "../base/bytes.ts";
import { computeView } from "../protocol/rooms.ts";
import type { Roster, RosterMember } from "./roster.ts";

/** Computes our views. */
export class OwnViews {
  /** The view of the room, 32 bytes; as of the last update. */
  room: Bytes = new Uint8Array(32);
  readonly #options: { readonly room: Bytes; readonly fingerprint: Bytes; readonly roster: Roster };
  #relay: Bytes = new Uint8Array(32);
  #sid: Bytes = new Uint8Array(8);

  /** @param options The room's tag and our fingerprint, 32 bytes each. */
  constructor(options: { room: Bytes; fingerprint: Bytes; roster: Roster }) {
    this.#options = options;
  }

  /** The roster or the connection has changed. @returns The new view of the room. */
  update(connection: { sid: string; relay: Bytes }): Bytes {
    this.#relay = connection.relay;
    this.#sid = decodeHex(connection.sid);
    this.room = this.#compute([...this.#options.roster.members.values()]);
    return this.room;
  }

  /** The view of a private message: only the two sids of its channel, §6. */
  pair(member: RosterMember): Bytes {
    return this.#compute([member]);
  }

  #compute(members: readonly RosterMember[]): Bytes {
    const { room, fingerprint } = this.#options;
    const others = members.map((member) => ({
      sid: decodeHex(member.sid),
      fingerprint: member.fingerprint,
    }));
    return computeView(this.#relay, room, [{ sid: this.#sid, fingerprint }, ...others]);
  }
}
