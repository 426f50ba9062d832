/**
 * The addresses of a host's name, and the order in which a client tries them.
 *
 * @module
 */

import { encodeHex } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { sha256 } from "../protocol/crypto/hash.ts";
import { domainToAscii, isLocalName, isThisComputer } from "./server_address.ts";

/** Finds all addresses of a name. @throws What the operating system says when there is none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/**
 * All addresses of a host: itself, if it is one; those of a `.local` name by multicast DNS, because not every system
 * looks there; of any other what the system says, which also reads its own list of hosts.
 *
 * @param resolve Asks the system.
 * @throws What `resolve` throws.
 */
export async function resolveHost(
  host: string,
  resolve: Resolve = askSystem,
): Promise<readonly string[]> {
  if (isAddress(host) || isThisComputer(host)) return [host];
  if (!isLocalName(host)) return await resolve(host);
  const { resolveLocal }: typeof import("../discovery/browse.ts") = await import(
    "../discovery/browse.ts" as string
  );
  const addresses = await resolveLocal(host);
  return addresses.length > 0 ? addresses : await resolve(domainToAscii(host));
}

/**
 * The order in which addresses are tried for a room: that of `SHA-256(address || tag)`, the address as its 4 or 16 bytes.
 * Every client comes to the same one, so that the members of a room meet at one server of several; rooms are spread over
 * all; and if a server is gone, only its rooms go to others (rendezvous hashing).
 *
 * @param addresses IPv4 or IPv6, perhaps with a zone.
 * @param tag The room's tag, 32 bytes.
 */
export function orderForRoom(addresses: readonly string[], tag: Uint8Array): string[] {
  const rank = (address: string) => encodeHex(sha256(parseIp(address.split("%", 1)[0]!), tag));
  return addresses.map((address) => ({ address, rank: rank(address) }))
    .sort((a, b) => a.rank < b.rank ? -1 : 1)
    .map(({ address }) => address);
}

/** Whether a host is an address, with a zone or without. */
function isAddress(host: string): boolean {
  return host.includes(":") || /^[\d.]+$/.test(host);
}

async function askSystem(name: string): Promise<string[]> {
  const { default: process } = await import("node:process");
  // Deno 2.6 says that its own lookup uses a deprecated module.
  (process as { noDeprecation?: boolean }).noDeprecation = true;
  const { lookup } = await import("node:dns/promises"); // 20 ms that an address does not need
  const found = await lookup(name, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}
