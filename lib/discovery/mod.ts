/**
 * Announcing and finding relays by multicast DNS.
 *
 * @module
 */

export { Announcer } from "./announcer.ts";
export type { Found } from "./browse.ts";
export { makeDnsMessage } from "./dns.ts";
export { Multicast } from "./multicast.ts";
