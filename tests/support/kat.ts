/**
 * The known answers of tests/vectors/kat.json, typed. Byte strings are lower-case hex. Parts used by a single test file
 * (refused keys, passwords, nicks) are left out.
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
  /** d || z of the initiator's ML-KEM key. */
  dk_seed: string;
  ek: string;
  /** The randomness of the encapsulation. */
  m: string;
  kct: string;
  kss: string;
  /** Peer only, and null without a password. */
  Kroom?: string | null;
  ci?: string;
  yI?: string;
  yR?: string;
  YI?: string;
  YR?: string;
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
  /** The seed of the responder's session key. */
  skR: string;
  pkR: string;
  certR_message: string;
  CERTR: string;
  edR_label: string;
  edR_message: string;
  EDR: string;
  ct2_plaintext: string;
  ct2: string;
  M2: string;
  th2: string;
  /** Peer only. */
  s?: string;
  /** Peer only. */
  c?: string;
  /** Peer only, like the next six. */
  skI?: string;
  pkI?: string;
  certI_message?: string;
  CERTI?: string;
  edI_label?: string;
  edI_message?: string;
  EDI?: string;
  ct3_plaintext: string;
  ct3: string;
  M3: string;
  th3: string;
  prk2: string;
  ckI: string;
  ckR: string;
}

/** Bytes to accept or refuse, and why; `repeat` stands for appended bytes. */
export interface KatCase {
  reason: string;
  hex: string;
  repeat?: [string, number];
  receiver?: "both" | "relay" | "client";
  state?: string;
}

/** A CAST and its PARTs. */
export interface KatCast {
  name: string;
  k: string;
  content: string;
  common_plaintext: string;
  common: string;
  ad: string;
  entries: {
    ckI: string;
    n: number;
    sid: string;
    tag: string;
    seq: number;
    box_plaintext: string;
    box: string;
  }[];
  frames: string[];
  parts: string[];
  fields: Record<string, string | number>[];
}

/** The typed part of kat.json. */
export interface Kat {
  keys: Record<KatKeyName, { bits: number; pem: string; id: string; fp: string; text: string }>;
  transport: { cases: KatHandshake[] };
  peer: { cases: KatHandshake[] };
  handshakes_rejected: { cases: { message: "M1" | "M2" | "M3"; reason: string; hex: string }[] };
  sessions: {
    handshake: string;
    /** Of an M2 only L(ct2). */
    rejected: { message: "M2" | "M3"; reason: string; hex: string }[];
    accepted: { message: "M2" | "M3"; hex: string }[];
  };
  cpace: { rejected: { note: string; hex: string }[] };
  cast: {
    source: string;
    cases: KatCast[];
    many: {
      k: string;
      common_sha256: string;
      common_bytes: number;
      content_sha256: string;
      entries: string[];
      counts: number[];
      frame_bytes: number[];
      frame_sha256: string[];
    };
    rejected: { reason: string; box: string; common: string }[];
    sizes: { CHAT: [number, number][]; NOTE: [number, number][] };
    max_entries: [commonBytes: number, entries: number][];
  };
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
  references: {
    cases: { sender: KatKeyName; fp: string; id: string; ref: string }[];
    used_case: number;
    used: { what: string; hex: string }[];
  };
  rooms: {
    tags: { name: string; r: string; r_utf8: string; tag: string }[];
    refused: { name: string; reason: string }[];
  };
  files: {
    connection: Record<
      "id" | "secret" | "eD_private" | "eL_private" | "eL" | "hello" | "recordD" | "recordL",
      string
    >;
    messages: { what: string; hex: string }[];
    rejected: { what: string; hex: string }[];
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
  if (!found) throw new RangeError(`no handshake named ${name}`);
  return found;
}
