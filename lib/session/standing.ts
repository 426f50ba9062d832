/**
 * Who hosts a room and who may, as its people see it (PROTOCOL.md §14).
 *
 * @module
 */

import { isZero } from "../base/bytes.ts";
import { joinPort } from "../base/ip.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import type { List } from "../protocol/succession.ts";

/** Who hosts a room, and who stands by. */
export interface Standing {
  /** The person who hosts, `SHA256:…`. */
  readonly host: string | undefined;
  /** Who is named as the next, in their order. */
  readonly standBys: readonly string[];
  /** The room is where the session began. */
  readonly isFirst: boolean;
  /** The host's relay, and where it is; `name` is the address with the port. */
  readonly place: {
    readonly fingerprint: string;
    readonly address: string;
    readonly port: number;
    readonly name: string;
  };
  /** What this computer does; "not named" if its offer to stand by should have been taken by now. */
  readonly own: "hosts" | "stands by" | "offered" | "not named" | "guest";
}

/** Reads a list, with what is known besides; undefined if the list does not say who hosts. */
export function standingOf(
  list: List | undefined,
  known: Pick<Standing, "isFirst" | "own">,
): Standing | undefined {
  const host = list?.entries[list.at];
  if (!list || !host || isZero(host.person)) return undefined;
  const [address] = host.addresses;
  return {
    host: encodeFingerprint(host.person),
    standBys: list.entries.slice(list.at + 1).map(({ person }) => encodeFingerprint(person)),
    place: {
      fingerprint: encodeFingerprint(host.relay),
      address: address!,
      port: host.port,
      name: joinPort(address!, host.port),
    },
    ...known,
  };
}
