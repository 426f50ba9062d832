/**
 * Clients that have not joined yet, in limited number (PROTOCOL.md §10).
 *
 * @module
 */

import { isLoopback } from "../base/ip.ts";
import { MAX_PENDING, MAX_PENDING_PER_ADDRESS } from "../protocol/limits.ts";
import type { ClientConnection } from "./client_connection.ts";

/** Clients from accept to admission, in the order they were accepted. */
export class PendingClients {
  readonly #clients = new Set<ClientConnection>();

  [Symbol.iterator](): IterableIterator<ClientConnection> {
    return this.#clients.values();
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Adds a client; returns the one that must be cut for it: the oldest of the address that has the most. */
  add(client: ClientConnection): ClientConnection | undefined {
    this.#clients.add(client);
    let { network } = client;
    const clients = [...this.#clients];
    const counts = countBy(clients, (it) => it.network);
    if (isLoopback(client.address) || counts.get(network)! <= MAX_PENDING_PER_ADDRESS) {
      if (clients.length <= MAX_PENDING) return undefined;
      network = keyOfMost(counts);
    }
    // Within an IPv6 network it is somebody of the single address that has the most.
    const inNetwork = clients.filter((it) => it.network === network);
    const single = keyOfMost(countBy(inNetwork, (it) => it.address));
    return inNetwork.find((it) => it.address === single);
  }

  /** @returns Whether it was there. */
  delete(client: ClientConnection): boolean {
    return this.#clients.delete(client);
  }
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

/** The key with the highest count, the first of several. */
function keyOfMost(counts: ReadonlyMap<string, number>): string {
  const most = Math.max(...counts.values());
  return counts.entries().find(([, count]) => count === most)![0];
}
