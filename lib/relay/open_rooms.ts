/**
 * Which rooms are on a relay (PROTOCOL.md §5, §14): on a dedicated one all are; one that stands by admits nobody until
 * it hosts.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** The rooms, by their tags in hex, that a relay admits to, and their passwords. */
export class OpenRooms {
  /** Kjoin of those that were opened by hand. */
  readonly #joinKeys = new Map<string, Bytes | undefined>();
  readonly #shut = new Set<string>();
  readonly #joinKey: Bytes | undefined;
  #isDormant: boolean;

  /** @param options.joinKey Kjoin of all other rooms. */
  constructor({ joinKey, standsBy }: { joinKey: Bytes | undefined; standsBy: boolean }) {
    this.#joinKey = joinKey;
    this.#isDormant = standsBy;
  }

  /** Opens a room; with it all that were not shut. */
  open(room: string, joinKey: Bytes | undefined): void {
    this.#joinKeys.set(room, joinKey);
    this.#shut.delete(room);
    this.#isDormant = false;
  }

  /** The room is elsewhere from now on. */
  shut(room: string): void {
    this.#joinKeys.delete(room);
    this.#shut.add(room);
  }

  has(room: string): boolean {
    return !this.#isDormant && !this.#shut.has(room);
  }

  /** Whether it was opened by hand: its host names who carries on. */
  isHosted(room: string): boolean {
    return this.#joinKeys.has(room);
  }

  /** Kjoin of a room, §7; undefined where no password is needed. */
  joinKeyOf(room: string): Bytes | undefined {
    return this.#joinKeys.has(room) ? this.#joinKeys.get(room) : this.#joinKey;
  }
}
