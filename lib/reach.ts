/**
 * Where other computers reach this one.
 *
 * @module
 */

/** Names of network interfaces that lead to no other computer in the room. */
const INSIDE = /^(docker|br-|veth|virbr|vmnet|vbox|lxc|podman|cni|tun|tap|utun|wg|zt|tailscale)/i;

/** Tells whether a server that is to listen there listens on all addresses. */
export function isEverywhere(
  hostname: string | undefined,
): hostname is undefined | "::" | "0.0.0.0" {
  return hostname === undefined || hostname === "::" || hostname === "0.0.0.0";
}

/** Lists the addresses of this computer, the likeliest first, without those that only this computer can use. */
export function reachableAddresses(hostname?: string): string[] {
  if (!isEverywhere(hostname)) return [hostname];
  const found = Deno.networkInterfaces().filter(({ address, family }) =>
    !(hostname === "0.0.0.0" && family === "IPv6") &&
    !/^(127\.|::1$|169\.254\.|fe80:)/i.test(address) // fe80: means nothing without a zone of the other computer
  );
  const rank = ({ name, family }: Deno.NetworkInterfaceInfo) =>
    (INSIDE.test(name) ? 2 : 0) + (family === "IPv6" ? 1 : 0);
  const addresses = found.sort((a, b) => rank(a) - rank(b)).map(({ address }) => address);
  return addresses.length > 0 ? addresses : ["localhost"];
}
