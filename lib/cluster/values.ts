/**
 * What is in a cluster's bucket, before it is sealed: rosters, leases, and what operators have set.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  MAX_TIME_MS,
  readU16,
  readU32,
  readU64,
  withLength,
  writeU16,
  writeU32,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_BANS } from "../protocol/admin.ts";
import { sha256 } from "../protocol/crypto/hash.ts";
import { INSTANCE_BYTES, MAX_NOTICE_BYTES, SID_BYTES } from "../protocol/frames.ts";
import { MAX_CAPACITY } from "../protocol/limits.ts";
import { RELAY_BYTES } from "./keys.ts";

/** Of all values; another one is refused. */
const VERSION = 1;
const FINGERPRINT_BYTES = 32;
const ENTRY_BYTES = SID_BYTES + FINGERPRINT_BYTES + INSTANCE_BYTES + RELAY_BYTES;
const GONE_BYTES = SID_BYTES + 1 + RELAY_BYTES;
const BAN_BYTES = FINGERPRINT_BYTES + 8;
/** Of so many that went last a roster says why. */
export const MAX_GONE = 32;

/** A member of a room, on whatever relay; sid and relay in hex. */
export interface RosterEntry {
  readonly sid: string;
  readonly fingerprint: Bytes;
  readonly instance: Bytes;
  /** R of its relay. */
  readonly relay: string;
}

/** One that has gone; sid and relay in hex. */
export interface Gone {
  readonly sid: string;
  /** As in LEFT, §5. */
  readonly why: number;
  /** R of the relay that took it out. */
  readonly by: string;
}

/** A room: who is there, in the order they joined, and who went last. */
export interface RosterValue {
  readonly entries: readonly RosterEntry[];
  readonly gone: readonly Gone[];
}

/** What a relay says of itself each time it renews its lease. */
export interface Lease {
  /** By the relay's calendar, ms since 1970. */
  readonly time: number;
  /** 32 bytes; equal at all relays of a cluster: see {@linkcode digestFacts}. */
  readonly facts: Bytes;
  /** How many members it has. */
  readonly members: number;
  /** For logs. */
  readonly address: string;
}

/** What operators have set. */
export interface Orders {
  readonly bans: readonly {
    /** 32 bytes. */
    readonly fingerprint: Bytes;
    /** Seconds since 1970. */
    readonly end: number;
  }[];
  /** At most 1024 bytes; empty for none. */
  readonly motd: string;
}

/** Reads a byte string from its start; what it reads shares the memory. */
class Reader {
  readonly #bytes: Bytes;
  #offset = 1;

  /** @throws {ProtocolError} `bad-field` if it is of another version. */
  constructor(bytes: Bytes) {
    this.#bytes = bytes;
    if (bytes[0] !== VERSION) throw new ProtocolError("bad-field");
  }

  take(length: number): Bytes {
    const start = this.#offset;
    this.#offset += length;
    if (this.#offset > this.#bytes.length) throw new ProtocolError("bad-length");
    return this.#bytes.subarray(start, this.#offset);
  }

  hex(length: number): string {
    return encodeHex(this.take(length));
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    return readU16(this.take(2), 0);
  }

  u32(): number {
    return readU32(this.take(4), 0);
  }

  u64(): number {
    return readU64(this.take(8), 0, MAX_TIME_MS);
  }

  rest(): Bytes {
    return this.take(this.#bytes.length - this.#offset);
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) throw new ProtocolError("bad-length");
  }
}

/** Encodes a roster of at most 256 members and 32 that went. */
export function encodeRoster({ entries, gone }: RosterValue): Bytes {
  const head = Uint8Array.of(VERSION, 0, 0);
  writeU16(head, 1, entries.length);
  return concat(
    head,
    ...entries.flatMap(({ sid, fingerprint, instance, relay }) => [
      decodeHex(sid),
      fingerprint,
      instance,
      decodeHex(relay),
    ]),
    Uint8Array.of(gone.length),
    ...gone.flatMap(({ sid, why, by }) => [decodeHex(sid), Uint8Array.of(why), decodeHex(by)]),
  );
}

/**
 * Decodes a roster, whose byte strings share `plain`: every relay decodes the roster of every room at every change, and
 * copies of 100 short ones cost 50 to 400 µs where all the rest costs 13.
 *
 * @throws {ProtocolError} It is no roster, or of another version.
 */
export function decodeRoster(plain: Bytes): RosterValue {
  const reader = new Reader(plain);
  const count = reader.u16();
  if (count > MAX_CAPACITY || plain.length < count * ENTRY_BYTES) {
    throw new ProtocolError("bad-field");
  }
  const entries = Array.from({ length: count }, () => ({
    sid: reader.hex(SID_BYTES),
    fingerprint: reader.take(FINGERPRINT_BYTES),
    instance: reader.take(INSTANCE_BYTES),
    relay: reader.hex(RELAY_BYTES),
  }));
  if (new Set(entries.map(({ sid }) => sid)).size < count) throw new ProtocolError("bad-field");
  const went = reader.u8();
  if (went > MAX_GONE || plain.length < went * GONE_BYTES) throw new ProtocolError("bad-field");
  const gone = Array.from({ length: went }, () => ({
    sid: reader.hex(SID_BYTES),
    why: reader.u8(),
    by: reader.hex(RELAY_BYTES),
  }));
  reader.end();
  return { entries, gone };
}

/**
 * What has to be the same at all relays of a cluster, as a digest that tells nobody else the key.
 *
 * @param joinKey Kjoin of §7, 32 bytes; undefined if no password is needed.
 * @returns 32 bytes.
 */
export function digestFacts(capacity: number, joinKey: Uint8Array | undefined): Bytes {
  const head = new Uint8Array(3);
  writeU16(head, 0, capacity);
  head[2] = joinKey ? 1 : 0;
  return sha256(head, joinKey ?? new Uint8Array(0));
}

/** @param lease.address At most 64 KiB. */
export function encodeLease({ time, facts, members, address }: Lease): Bytes {
  const head = new Uint8Array(9);
  head[0] = VERSION;
  writeU64(head, 1, time);
  const count = new Uint8Array(4);
  writeU32(count, 0, members);
  return concat(head, facts, count, withLength(encodeUtf8(address)));
}

/** @throws {ProtocolError} It is no lease, or of another version. */
export function decodeLease(plain: Bytes): Lease {
  const reader = new Reader(plain);
  const time = reader.u64();
  const facts = reader.take(32);
  const members = reader.u32();
  const address = decodeUtf8(reader.take(reader.u16()));
  reader.end();
  return { time, facts, members, address };
}

/** Encodes at most 256 bans. */
export function encodeOrders({ bans, motd }: Orders): Bytes {
  const head = Uint8Array.of(VERSION, 0, 0);
  writeU16(head, 1, bans.length);
  return concat(
    head,
    ...bans.map(({ fingerprint, end }) => {
      const ban = concat(fingerprint, new Uint8Array(8));
      writeU64(ban, FINGERPRINT_BYTES, end);
      return ban;
    }),
    encodeUtf8(motd),
  );
}

/** @throws {ProtocolError} They are none, or of another version. */
export function decodeOrders(plain: Bytes): Orders {
  const reader = new Reader(plain);
  const count = reader.u16();
  if (count > MAX_BANS || plain.length < count * BAN_BYTES) throw new ProtocolError("bad-field");
  const bans = Array.from({ length: count }, () => ({
    fingerprint: reader.take(FINGERPRINT_BYTES),
    end: reader.u64(),
  }));
  const motd = reader.rest();
  if (motd.length > MAX_NOTICE_BYTES) throw new ProtocolError("bad-length");
  return { bans, motd: decodeUtf8(motd) };
}
