/**
 * Clients that have asked where a room is (PROTOCOL.md §5).
 *
 * @module
 */

import { encodeHex } from "../base/bytes.ts";
import { MAX_SEEKERS, MAX_SEEKERS_PER_FINGERPRINT } from "../protocol/limits.ts";
import type { ClientConnection } from "./client_connection.ts";

/** Clients after their SEEK and before their JOIN, in the order in which they asked. */
export class Seekers {
  /** The tag of the room, in hex. */
  readonly #rooms = new Map<ClientConnection, string>();

  [Symbol.iterator](): IterableIterator<ClientConnection> {
    return this.#rooms.keys();
  }

  get size(): number {
    return this.#rooms.size;
  }

  /** Adds a client; returns the one that must be cut for it, the oldest of its identity or of all. */
  add(client: ClientConnection, room: string): ClientConnection | undefined {
    const identity = identityOf(client);
    const same = this.#rooms.keys().filter((it) => identityOf(it) === identity).toArray();
    this.#rooms.set(client, room);
    if (same.length >= MAX_SEEKERS_PER_FINGERPRINT) return same[0];
    return this.#rooms.size > MAX_SEEKERS ? this.#rooms.keys().next().value : undefined;
  }

  /** The room that a client has asked for. */
  roomOf(client: ClientConnection): string | undefined {
    return this.#rooms.get(client);
  }

  /** The clients that have asked for a room. */
  of(room: string): ClientConnection[] {
    return [...this.#rooms].flatMap(([client, it]) => it === room ? [client] : []);
  }

  /** @returns Whether it was there. */
  delete(client: ClientConnection): boolean {
    return this.#rooms.delete(client);
  }
}

function identityOf(client: ClientConnection): string {
  return encodeHex(client.accepted!.peer.fingerprint);
}
