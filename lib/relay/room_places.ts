/**
 * Where rooms are, for those who ask with SEEK (PROTOCOL.md §14): here, or where this relay was told.
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeFrame } from "../protocol/frames.ts";
import {
  decodeWhereabouts,
  encodeWhereabouts,
  STATE,
  type Whereabouts,
} from "../protocol/succession.ts";
import type { ClientConnection } from "./client_connection.ts";
import { OpenRooms } from "./open_rooms.ts";
import type { HostOptions } from "./relay_options.ts";
import { Seekers } from "./seekers.ts";

interface RoomPlacesOptions {
  /** Kjoin of rooms that are not opened by hand. */
  readonly joinKey: Bytes | undefined;
  /** Undefined for a relay that admits to every room. */
  readonly host: HostOptions | undefined;
  /** The `others` of PLACE. */
  others(room: string): number;
  /** Called with the `STATE` of each PLACE that is sent. */
  told(state: number): void;
}

/** Where rooms are, by their tags in hex, and who waits for news of it. */
export class RoomPlaces {
  /** Those that are here. */
  readonly rooms: OpenRooms;
  /** Those that have sent SEEK, and no JOIN yet. */
  readonly seekers = new Seekers();
  readonly #options: RoomPlacesOptions;
  /** Where rooms are that are not here. */
  readonly #elsewhere = new Map<string, Whereabouts>();

  constructor(options: RoomPlacesOptions) {
    this.#options = options;
    const { joinKey, host } = options;
    this.rooms = new OpenRooms({ joinKey, standsBy: host !== undefined });
  }

  /** Answers a SEEK, now and when the answer changes. @returns Who is to be cut, because too many ask. */
  seek(client: ClientConnection, room: string): ClientConnection | undefined {
    const last = this.seekers.add(client, room);
    this.#send(client, room);
    return last;
  }

  /** A client asks no longer. @returns Whether it did. */
  forget(client: ClientConnection): boolean {
    return this.seekers.delete(client);
  }

  /** Another host that asks says where it is itself. */
  take(client: ClientConnection, body: Uint8Array): void {
    let where;
    try {
      where = decodeWhereabouts(body);
    } catch (error) {
      if (error instanceof ProtocolError) return; // §14: a malformed one is ignored
      throw error;
    }
    const room = this.seekers.roomOf(client);
    if (room === undefined || where.state !== STATE.AT_PLACE) return;
    this.#options.host?.onPlace(room, client.accepted!.peer.fingerprint, where.place);
  }

  open(room: string, joinKey: Bytes | undefined): void {
    this.rooms.open(room, joinKey);
    this.#tellAll(room);
  }

  shut(room: string): void {
    this.rooms.shut(room);
    this.#tellAll(room);
  }

  /** Sets where a room is while it is not here; those who have asked are told if that is news. */
  tell(room: string, where: Whereabouts): void {
    const before = this.#encode(room);
    this.#elsewhere.set(room, where);
    if (!equalBytes(this.#encode(room), before)) this.#tellAll(room);
  }

  #tellAll(room: string): void {
    for (const client of this.seekers.of(room)) this.#send(client, room);
  }

  #send(client: ClientConnection, room: string): void {
    const where = this.#find(room);
    client.accepted!.connection.send(
      encodeFrame({ type: "place", body: encodeWhereabouts(where) }),
    );
    this.#options.told(where.state);
  }

  #encode(room: string): Bytes {
    return encodeWhereabouts(this.#find(room));
  }

  #find(room: string): Whereabouts {
    if (this.rooms.has(room)) return { state: STATE.HERE, others: this.#options.others(room) };
    return this.#elsewhere.get(room) ?? { state: STATE.UNKNOWN };
  }
}
