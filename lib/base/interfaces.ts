/**
 * The networks this computer is in: its interfaces with their addresses.
 *
 * Knows nothing of sockets.
 *
 * @module
 */

/** An address of this computer. */
export interface LinkAddress {
  readonly family: "IPv4" | "IPv6";
  /** Without zone. */
  readonly address: string;
  /** `192.168.1.20/24`. */
  readonly cidr: string;
}

/** One network interface. */
export interface Link {
  readonly name: string;
  /** Its number, where it has an IPv6 address of the link alone. */
  readonly index: number | undefined;
  readonly isLoopback: boolean;
  readonly addresses: readonly LinkAddress[];
}

/** Lists the interfaces of this computer that are up and have an address. */
export function listLinks(): Link[] {
  const byName = Map.groupBy(Deno.networkInterfaces(), ({ name }) => name);
  return [...byName].map(([name, rows]) => ({
    name,
    // Only addresses of the link alone carry it.
    index: rows.find(({ scopeid }) => scopeid)?.scopeid ?? undefined,
    isLoopback: rows.some(({ address }) => /^(127\.|::1$)/.test(address)),
    addresses: rows.map(({ family, address, cidr }) => ({ family, address, cidr })),
  }));
}

/** What makes an address of the link alone usable on this computer: `%eth0`, on Windows `%7`. */
export function zoneOf({ name, index }: Link): string {
  return `%${Deno.build.os === "windows" ? index : name}`;
}

/** Tells whether an IPv6 address means something on its link alone. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][\da-f]:/i.test(address);
}

/** Finds the link that an IPv4 address is on. */
export function linkOf(address: string, links: readonly Link[]): Link | undefined {
  return links.find(({ addresses }) =>
    addresses.some(({ family, cidr }) => family === "IPv4" && contains(cidr, address))
  );
}

function contains(cidr: string, address: string): boolean {
  const [network = "", bits] = cidr.split("/");
  const host = 2 ** (32 - Number(bits));
  return Math.floor(toNumber(network) / host) === Math.floor(toNumber(address) / host);
}

function toNumber(address: string): number {
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}
