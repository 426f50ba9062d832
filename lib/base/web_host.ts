/**
 * Whether a request over HTTP is meant for this computer: a web page elsewhere can have its own name lead here (DNS
 * rebinding), and would read what only people on this network may.
 *
 * @module
 */

/**
 * Whether nobody on the Internet can own the host of a `Host` header: an address, a name without a dot, one under
 * `.local`, or this computer's own name.
 *
 * @param header As it came; undefined if it is missing.
 * @param own The name of this computer.
 */
export function isLocalWebHost(header: string | undefined, own: string): boolean {
  const [, ipv6, name] = /^(?:(\[[\da-f:.]+\])|([\w.-]+))(?::\d{1,5})?$/i.exec(header ?? "") ?? [];
  if (ipv6 !== undefined) return true;
  if (name === undefined) return false;
  const host = name.toLowerCase().replace(/\.$/, "");
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(host) || !host.includes(".") || host.endsWith(".local") ||
    host === own.toLowerCase();
}
