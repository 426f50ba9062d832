/**
 * What a relay's part of a cluster is given, and what it tells.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import type { UsageError } from "../base/errors.ts";
import type { Bus } from "./bus.ts";

/** Options of a cluster. */
export interface ClusterOptions {
  readonly bus: Bus;
  /** The private exponent of the identity that all relays share. */
  readonly secret: Bytes;
  /** Most members of a room, 1 to 256. */
  readonly capacity: number;
  /** Kjoin of §7, 32 bytes; undefined if no password is needed. */
  readonly joinKey: Bytes | undefined;
  /** What the other relays' logs call this one; may be empty. */
  readonly address?: string;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  /** Runs an action once what happens now has happened; a microtask by default. */
  readonly defer?: (action: () => void) => void;
  readonly onEvent?: (event: ClusterEvent) => void;
  /** This relay does not belong to the others: it must not go on. */
  onFault(error: UsageError): void;
}

/** For the log. */
export type ClusterEvent =
  /** Another relay lives, or is dead; by what it calls itself, or the beginning of R. */
  | { event: "relay-alive" | "relay-dead"; relay: string }
  /** The bus is connected, or is not. */
  | { event: "bus-up" | "bus-down" }
  /** This relay was taken for dead by the others, and begins anew. */
  | { event: "fenced" }
  /** This relay was without the bus for so long that it goes on alone, or does so no longer. */
  | { event: "alone" | "rejoined" };

/** A cluster at one moment, in numbers. */
export interface ClusterState {
  /** Relays that live, this one included. */
  readonly relays: number;
  /** Members of all relays, as the others said last. */
  readonly members: number;
  /** Rooms that have members somewhere. */
  readonly rooms: number;
  /** Bytes that members here have sent and that wait elsewhere, as they are charged. */
  readonly undelivered: number;
  /** Members from whom nothing is read, because a link is full; one may count for several links. */
  readonly held: number;
  readonly counts: Readonly<ClusterCounts>;
}

/** What is counted since the start. */
export interface ClusterCounts {
  /** SENDs, and entries of CASTs, that went to members elsewhere. */
  sent: number;
  /** Such that came, for members here. */
  received: number;
  /** Messages of other relays. */
  messages: number;
  /** Such that came before others, which were missing. */
  gaps: number;
  /** Such that no relay of this version makes. */
  malformed: number;
  /** Answers to compare-and-sets of rosters. */
  written: number;
  conflict: number;
  unknown: number;
  /** How often this relay was taken for dead. */
  fenced: number;
  /** How often it was without the bus for so long that it went on alone. */
  alone: number;
}
