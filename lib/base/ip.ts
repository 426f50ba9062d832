/**
 * Addresses as the relay counts them (PROTOCOL.md §10).
 *
 * @module
 */

/** Writes an IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`) as what it is. */
export function canonicalAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}

/** Tells whether an address made by {@linkcode canonicalAddress} is this computer's own. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^127\.\d+\.\d+\.\d+$/.test(address);
}
