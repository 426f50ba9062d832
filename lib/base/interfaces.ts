/**
 * The network interfaces of this computer and their addresses.
 *
 * @module
 */

import { isIpv4LinkLocal, isLinkLocal, isLoopback, parseIp } from "./ip.ts";

/** An address of this computer. */
export interface InterfaceAddress {
  readonly family: "IPv4" | "IPv6";
  /** Without zone. */
  readonly address: string;
  /** `192.168.1.20/24`. */
  readonly cidr: string;
}

/** One network interface. */
export interface NetworkInterface {
  readonly name: string;
  /** Its number, if it has a link-local IPv6 address. */
  readonly index: number | undefined;
  readonly isLoopback: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

/** Lists the interfaces of this computer that are up and have an address. */
export function listInterfaces(): NetworkInterface[] {
  const byName = Map.groupBy(Deno.networkInterfaces(), ({ name }) => name);
  return [...byName].map(([name, rows]) => ({
    name,
    // Only link-local addresses have it.
    index: rows.find(({ scopeid }) => scopeid)?.scopeid ?? undefined,
    isLoopback: rows.some(({ address }) => isLoopback(address)),
    addresses: rows.map(({ family, address, cidr }) => ({ family, address, cidr })),
  }));
}

/** The zone that a link-local address needs on this computer: `%eth0`, on Windows `%7`. */
export function zoneOf({ name, index }: Pick<NetworkInterface, "name" | "index">): string {
  return `%${Deno.build.os === "windows" ? index : name}`;
}

/** Finds the interface whose network contains an IPv4 address. */
export function interfaceOf(
  address: string,
  interfaces: readonly NetworkInterface[],
): NetworkInterface | undefined {
  return interfaces.find(({ addresses }) =>
    addresses.some(({ family, cidr }) => family === "IPv4" && isInNetwork(address, cidr))
  );
}

/** Whether an address without zone is in a network, `192.168.1.0/24`; the network's own bits may be those of a host. */
export function isInNetwork(address: string, cidr: string): boolean {
  const [network = "", bits] = cidr.split("/");
  const [one, other] = [parseIp(network), parseIp(address)];
  return one.length === other.length &&
    commonBits(one, other) >= (bits === undefined ? 8 * one.length : Number(bits));
}

/** Whether an address without zone is in a network of this computer. */
export function isInOwnNetwork(address: string, interfaces: readonly NetworkInterface[]): boolean {
  return interfaces.some(({ addresses }) =>
    addresses.some(({ cidr }) => isInNetwork(address, cidr))
  );
}

/** Whether an address without zone is the broadcast address of a network of this computer. */
export function isBroadcast(address: string, interfaces: readonly NetworkInterface[]): boolean {
  if (address.includes(":")) return false;
  const bytes = parseIp(address);
  return interfaces.some(({ addresses }) =>
    addresses.some(({ cidr }) => {
      const bits = Number(cidr.split("/")[1]);
      if (bits > 30 || !isInNetwork(address, cidr)) return false; // these have no broadcast address
      const host = bytes.reduce((number, byte) => number * 256 + byte, 0) % 2 ** (32 - bits);
      return host === 2 ** (32 - bits) - 1;
    })
  );
}

/**
 * Whether an IPv6 address, perhaps with a zone, is in a network of this computer, or link-local.
 *
 * @param rows The interfaces, as Deno lists them.
 */
export function isNear(address: string, rows: readonly NearRow[]): boolean {
  if (isLinkLocal(address)) return true;
  const [ip = ""] = address.split("%", 1);
  return rows.some(({ family, cidr }) => family === "IPv6" && isInNetwork(ip, cidr));
}

type NearRow = Pick<Deno.NetworkInterfaceInfo, "family" | "cidr">;

/** How many of their first bits two addresses have in common. */
function commonBits(one: Uint8Array, other: Uint8Array): number {
  const index = one.findIndex((byte, i) => byte !== other[i]);
  return index < 0 ? 8 * one.length : 8 * index + Math.clz32(one[index]! ^ other[index]!) - 24;
}

/** Interfaces that do not lead to the local network: containers, virtual machines, tunnels. */
const INSIDE =
  /^(docker|br-|veth|virbr|vmnet|vmware|virtualbox|vbox|lxc|podman|cni|tun|tap|utun|wg|zt|tailscale|awdl|llw)/i;

/** Whether a server listening on this host name listens on all addresses. */
export function isEverywhere(
  hostname: string | undefined,
): hostname is undefined | "::" | "0.0.0.0" {
  return hostname === undefined || hostname === "::" || hostname === "0.0.0.0";
}

/**
 * Lists the addresses at which others may reach this computer, the most likely first; `localhost` if there is none.
 *
 * An interface whose cable is out, or a bridge without machines, cannot be told from one that works: addresses of
 * containers and tunnels come last, even after a link-local one of the real network. A link-local IPv6 address has
 * this computer's zone, and is listed only if the real network has given no other.
 *
 * @param hostname What a server listens on; everything by default.
 * @param rows The interfaces, as Deno lists them.
 */
export function reachableAddresses(
  hostname?: string,
  rows: readonly AddressRow[] = Deno.networkInterfaces(),
): string[] {
  if (!isEverywhere(hostname)) return [hostname];
  const found = rows
    .filter(({ address, family }) =>
      !isLoopback(address) && !(hostname === "0.0.0.0" && family === "IPv6")
    )
    .map((row) => ({ address: withZone(row), rank: rank(row) }))
    .sort((a, b) => a.rank - b.rank);
  const hasReal = found[0] !== undefined && found[0].rank < RANK.zoned;
  const usable = found.filter((it) => !(hasReal && it.rank === RANK.zoned) && it.rank < RANK.never);
  return usable.length > 0 ? usable.map(({ address }) => address) : ["localhost"];
}

type AddressRow = Pick<Deno.NetworkInterfaceInfo, "name" | "family" | "address" | "scopeid">;

const RANK = { ipv4: 0, ipv6: 1, linkLocal: 2, zoned: 3, insideV4: 4, insideV6: 5, never: 6 };

function rank({ name, family, address }: AddressRow): number {
  const isLocal = isLinkLocal(address) || isIpv4LinkLocal(address);
  if (INSIDE.test(name)) {
    if (isLocal) return RANK.never;
    return family === "IPv4" ? RANK.insideV4 : RANK.insideV6;
  }
  if (isLocal) return family === "IPv4" ? RANK.linkLocal : RANK.zoned;
  return family === "IPv4" ? RANK.ipv4 : RANK.ipv6;
}

function withZone({ name, address, scopeid }: AddressRow): string {
  return isLinkLocal(address) ? address + zoneOf({ name, index: scopeid ?? undefined }) : address;
}
