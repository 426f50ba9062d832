/**
 * What a relay is made with.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import type { PrivateKey } from "../protocol/identity.ts";
import type { Primitives } from "../protocol/primitives.ts";
import type { Place } from "../protocol/succession.ts";
import type { KeptBan } from "./ban_file.ts";
import type { Registry } from "./registry.ts";
import type { RelayEvent } from "./relay_event.ts";
import type { RelayMeter } from "./relay_state.ts";

/** Options of `Relay`. */
export interface RelayOptions {
  readonly key: PrivateKey;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
  /** Milliseconds between two writes to one member, 0 by default: under load each write carries more. */
  readonly coalesceMs?: number;
  /** Postpones writes; see `Scheduler`. */
  readonly defer?: (action: () => void) => void;
  /** Kjoin of §7, 32 bytes; without it no password is needed. */
  readonly joinKey?: Bytes | undefined;
  /** Fingerprints as `SHA256:…`; without it anybody may join. */
  readonly allow?: ReadonlySet<string> | undefined;
  /** Fingerprints of the operators (§5) as `SHA256:…`; by default there are none. */
  readonly operators?: ReadonlySet<string> | undefined;
  /** The message of the day, at most 1024 bytes. */
  readonly motd?: string | undefined;
  /** Who is banned from the start; some of it may have ended. */
  readonly bans?: readonly KeptBan[];
  /** Keeps a ban of `fingerprint`, `SHA256:…`, for later runs, or no longer. */
  readonly keepBan?: (fingerprint: string, ban: KeptBan | undefined) => void;
  /** Most members of a room, 1 to 256. */
  readonly capacity?: number;
  readonly maxClients?: number;
  readonly minKeyBits: number;
  /** Whether an IPv6 address is in a network of this computer (§10); by default the link-local ones are. */
  readonly isNear?: (address: string) => boolean;
  /** Processors that work on handshakes (§10); by default all of this computer. */
  readonly cores?: number;
  readonly onEvent?: (event: RelayEvent) => void;
  readonly meter?: RelayMeter | undefined;
  /** Where this relay is one of several that are one server; not with `host`. */
  readonly registry?: Registry | undefined;
  /** What a client with a relay of its own needs besides (§14). */
  readonly host?: HostOptions;
}

/** Options of a relay whose own client is in one room; rooms are named by their tags in hex. */
export interface HostOptions {
  /** The fingerprint of the person, 32 bytes. */
  readonly person: Bytes;
  /** A client that asks for a room says that it hosts that room itself. */
  onPlace(room: string, person: Bytes, place: Place): void;
}
