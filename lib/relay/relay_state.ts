/**
 * What a relay is doing, in numbers, for those who watch it.
 *
 * @module
 */

import type { Connection, Traffic } from "../transport/mod.ts";

/** A relay at one moment; names nobody. */
export interface RelayState {
  readonly members: number;
  readonly rooms: number;
  /** Connections before the answer to their JOIN. */
  readonly pending: number;
  /** Connections that have sent SEEK, and no JOIN yet. */
  readonly seekers: number;
  /** Bytes that wait to be written to members. */
  readonly queuedBytes: number;
  /** Members to whom a write has made no progress for a second. */
  readonly stalled: number;
  /** Members from whom nothing is read, because too much of what they sent waits. */
  readonly held: number;
  /** Of all connections since the start, without handshakes. */
  readonly traffic: Readonly<Traffic>;
}

/** Measures a relay at work. */
export interface RelayMeter {
  /** A handshake has ended well, so long after its connection was accepted. */
  handshake(ms: number): void;
  /** A client has got its WELCOME, so long after its JOIN. */
  join(ms: number): void;
  /** A client was told where a room is. @param state A `STATE` of §14. */
  place(state: number): void;
}

/** Sums up the connections of members. */
export function measure(
  members: Iterable<{ readonly connection: Connection }>,
): Pick<RelayState, "queuedBytes" | "stalled" | "held"> {
  let [queuedBytes, stalled, held] = [0, 0, 0];
  for (const { connection } of members) {
    queuedBytes += connection.queuedBytes;
    if (connection.isStalled) stalled++;
    if (connection.credit.exhausted) held++;
  }
  return { queuedBytes, stalled, held };
}
