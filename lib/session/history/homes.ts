/**
 * Which relays are one room: a history belongs to the room, whoever hosts it (PROTOCOL.md §16).
 *
 * A room has a home, the relay at which its history began. Relays that stood in one list of the room share it; two rooms
 * that both have a history are never melted into one.
 *
 * @module
 */

import { addHome, type RoomHome } from "../recorder.ts";

/** Relays remembered of one room. */
export const MAX_RELAYS = 16;

/** The homes of all rooms, in memory. */
export class Homes {
  #rooms: readonly RoomHome[];
  readonly #save: (changed: RoomHome) => void;

  /** @param save Called with each room that has changed. */
  constructor(rooms: readonly RoomHome[], save: (changed: RoomHome) => void) {
    this.#rooms = rooms;
    this.#save = save;
  }

  /** All rooms, the one used longest ago first. */
  get rooms(): readonly RoomHome[] {
    return this.#rooms;
  }

  /** The room that a relay has under a tag. */
  of(room: string, relay: string): RoomHome | undefined {
    const rooms = this.#rooms.filter((each) => each.room === room);
    return rooms.find(({ relays }) => relays.includes(relay)) ??
      rooms.find(({ home }) => home === relay);
  }

  /** Sets what is kept of the room at a relay, which is its home if it has none. */
  keep(room: string, relay: string, keep: RoomHome["keep"]): RoomHome {
    const found = this.of(room, relay) ?? { room, home: relay, relays: [relay], keep };
    return this.#put({ ...found, keep });
  }

  /** A list of the room names a relay: it is the room's, unless it has a home already. */
  name(home: RoomHome, relay: string): RoomHome {
    return this.of(home.room, relay) ? this.#current(home) : this.#add(home, relay);
  }

  /** The room was lost, and found at a relay: from then on that is the room's. */
  follow(home: RoomHome, relay: string): RoomHome {
    const before = this.of(home.room, relay);
    if (before?.home === home.home) return this.#current(home);
    if (before) {
      const relays = before.relays.filter((each) => each !== relay);
      this.#put({ ...before, relays });
    }
    return this.#add(home, relay);
  }

  #current({ room, home }: RoomHome): RoomHome {
    return this.#rooms.find((each) => each.room === room && each.home === home)!;
  }

  #add(home: RoomHome, relay: string): RoomHome {
    const found = this.#current(home);
    const relays = [...found.relays, relay].slice(-MAX_RELAYS);
    return this.#put({ ...found, relays });
  }

  #put(home: RoomHome): RoomHome {
    this.#rooms = addHome(this.#rooms, home);
    this.#save(home);
    return home;
  }
}
