/**
 * The networks of this computer, as a session needs them to follow a room from one relay to another (PROTOCOL.md §14).
 *
 * @module
 */

import { connectTo } from "../base/connect.ts";
import { listInterfaces, reachableAddresses } from "../base/interfaces.ts";
import { isLinkLocal, isLoopback, LOOPBACK } from "../base/ip.ts";
import type { FoundRelay, Network } from "../session/mod.ts";
import { announcedFingerprint } from "./announced_servers.ts";
import { readInTurns } from "./dial.ts";

/** The networks of this computer. */
export const network: Network = {
  async dial({ address, port, from }, signal) {
    return readInTurns(await connectTo({ address, port, from }, signal));
  },
  interfaces: listInterfaces,
  async look(signal) {
    const { browse }: typeof import("../discovery/browse.ts") = await import(
      "../discovery/browse.ts" as string
    );
    const found = await browse();
    signal.throwIfAborted();
    return found.map((server): FoundRelay => ({
      fingerprint: announcedFingerprint(server),
      place: {
        port: server.port,
        addresses: server.addresses.map((address) => address.split("%", 1)[0]!),
      },
    }));
  },
};

/**
 * The addresses at which others may reach a relay of this computer, without zone: IPv4, IPv6, link-local; loopback only
 * if there is nothing else.
 */
export function placeAddresses(): string[] {
  const linkLocal = listInterfaces().flatMap(({ addresses }) =>
    addresses.flatMap(({ address }) => isLinkLocal(address) ? [address] : [])
  );
  const all = [...reachableAddresses(), ...linkLocal].map((it) => it.split("%", 1)[0]!);
  const usable = [...new Set(all)].filter((it) => it !== "localhost" && !isLoopback(it));
  return usable.length > 0 ? usable : [LOOPBACK];
}
