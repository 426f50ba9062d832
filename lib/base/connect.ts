/**
 * TCP connections to addresses without zone: a link-local IPv6 address is tried on each link.
 *
 * @module
 */

import { listInterfaces, zoneOf } from "./interfaces.ts";
import { canonicalAddress, isLinkLocal } from "./ip.ts";

/** Interfaces on which a link-local address is tried. */
const MAX_ZONES = 4;

/** Where to connect to. */
export interface Target {
  /** Without zone. */
  readonly address: string;
  readonly port: number;
  /** The own address whose link is tried alone, if `address` is link-local. */
  readonly from?: string | undefined;
}

/**
 * Connects, with TCP_NODELAY.
 *
 * @throws The error of the operating system, or the reason of `signal`.
 */
export function connectTo(
  { address, port, from }: Target,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  return connect(withZones(address, from), port, signal);
}

/** A link-local address on the interface that holds `from`, or else on each; any other as it is. */
function withZones(address: string, from: string | undefined): string[] {
  if (!isLinkLocal(address)) return [address];
  const links = listInterfaces().filter((link) =>
    !link.isLoopback && link.addresses.some((it) => isLinkLocal(it.address))
  );
  const own = from === undefined ? undefined : canonicalAddress(from).split("%", 1)[0];
  const known = links.filter(({ addresses }) => addresses.some((it) => it.address === own));
  const chosen = known.length === 1 ? known : links;
  return chosen.slice(0, MAX_ZONES).map((link) => address + zoneOf(link));
}

/** Connects to the first of a few names of one address that answers. */
async function connect(
  hostnames: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let chosen: Deno.TcpConn | undefined;
  const dials = hostnames.map(async (hostname) => {
    const connection = await Deno.connect({ hostname, port, signal: either });
    if (chosen) return connection.close(); // another name was quicker
    chosen = connection;
    connection.setNoDelay();
  });
  try {
    await Promise.any(dials);
    return chosen!;
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] ?? error : error;
  } finally {
    stop.abort();
  }
}
