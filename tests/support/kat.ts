/**
 * The known answers of tests/vectors/kat.json with their types, for all who test against them.
 *
 * Byte strings are lower-case hex. What another test file reads by itself (keys refused, passwords, nicks) is left out.
 *
 * @module
 */

import { type Bytes, concat, decodeHex } from "../../lib/base/bytes.ts";
import { importPrivateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import data from "../vectors/kat.json" with { type: "json" };

/** The four identities. */
export type KatKeyName = "alice" | "relay" | "bob" | "weak";

/** A handshake with every intermediate value. */
export interface KatHandshake {
  name: string;
  mode: "transport" | "peer";
  initiator: KatKeyName;
  responder: KatKeyName;
  eI_private: string;
  eI: string;
  eR_private: string;
  eR: string;
  prologue_parts?: Record<"fp_s" | "room" | "fp_i" | "fp_r" | "sid_i" | "sid_r", string>;
  prologue: string;
  psk: string;
  M1: string;
  th0: string;
  ee: string;
  th1: string;
  prk: string;
  kR: string;
  kI: string;
  ct2_plaintext: string;
  ct2: string;
  M2: string;
  th2: string;
  /** Peer only. */
  s?: string;
  /** Peer only. */
  c?: string;
  ct3_plaintext: string;
  ct3: string;
  M3: string;
  th3: string;
  prk2: string;
  ckI: string;
  ckR: string;
}

/** Bytes that are accepted or refused, and why; `repeat` stands for bytes appended. */
export interface KatCase {
  reason: string;
  hex: string;
  repeat?: [string, number];
  receiver?: "both" | "relay" | "client";
  state?: string;
}

/** What of kat.json is used. */
export interface Kat {
  keys: Record<KatKeyName, { bits: number; pem: string; id: string; fp: string; text: string }>;
  transport: { cases: KatHandshake[] };
  peer: { cases: KatHandshake[] };
  handshakes_rejected: { cases: { message: "M2" | "M3"; reason: string; hex: string }[] };
  points_rejected: { cases: { note: string; hex: string }[] };
  records: {
    keys: { direction: "I" | "R"; j: number; ck: string; key: string }[];
    around: { n: number; key: string; nonce: string; plaintext: string; ct: string }[];
    first: { direction: "I" | "R"; plaintext: string; ct: string; tcp: string }[];
    several: { frames: string[]; plaintext: string; ct: string };
  };
  frames: {
    known: string;
    own: string;
    valid: { type: string; frame: string; body: string; fields: Record<string, unknown> }[];
    edge: KatCase[];
    rejected: KatCase[];
  };
  messages: {
    valid: { type: string; hex: string; fields: Record<string, string | number> }[];
    edge: KatCase[];
    rejected: KatCase[];
  };
  rooms: {
    tags: { name: string; r: string; r_utf8: string; tag: string }[];
    refused: { name: string; reason: string }[];
  };
  views: {
    fp_s: string;
    room: string;
    cases: { note: string; members: [string, string][]; view: string }[];
  };
}

/** The known answers. */
export const kat: Kat = data as unknown as Kat;

/** The bytes of a case. */
export function katBytes({ hex, repeat }: Pick<KatCase, "hex" | "repeat">): Bytes {
  if (!repeat) return decodeHex(hex);
  const [unit, times] = repeat;
  return concat(decodeHex(hex), decodeHex(unit.repeat(times)));
}

const keys = new Map<KatKeyName, Promise<PrivateKey>>();

/** One of the identities, imported once. */
export function katKey(name: KatKeyName): Promise<PrivateKey> {
  const key = keys.get(name) ?? importPrivateKey(kat.keys[name].pem);
  keys.set(name, key);
  return key;
}

/** A handshake by its name. */
export function katHandshake(name: string): KatHandshake {
  const found = [...kat.transport.cases, ...kat.peer.cases].find((known) => known.name === name);
  if (!found) throw new RangeError(`no handshake is called ${name}`);
  return found;
}
