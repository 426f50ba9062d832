/**
 * The lists with which a search begins where no host has named anybody yet (PROTOCOL.md §14).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Entry, List, Place } from "../protocol/succession.ts";
import type { Link } from "./link.ts";

/** Where the port of a relay is not known: it is reached as the session began. */
export const ANY_PORT = 1;
/** FP_person where it is not known. */
export const NO_PERSON: Bytes = new Uint8Array(32);

/** The relay of first contact, which is reached as the session began. */
export function firstPlace({ relay }: Link): Place {
  return { relay: relay.fingerprint, port: ANY_PORT, addresses: [] };
}

/** An order in which not all people are known. */
export function listOf(places: readonly (Place | Entry)[]): List {
  return { serial: 0, at: 0, entries: places.map((place) => ({ person: NO_PERSON, ...place })) };
}
