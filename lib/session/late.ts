/**
 * The rest of the client without a face: one room, its people, what was sent and received. It is loaded while the client
 * connects.
 *
 * @module
 */

export { Guesses } from "./guesses.ts";
export { Inquiry } from "./inquiry.ts";
export { KnownPeers } from "./known_peers.ts";
export { LastLists } from "./last_lists.ts";
export { addHome } from "./recorder.ts";
export { Session } from "./session.ts";
