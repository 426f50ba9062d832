/**
 * How a room outlives its host: the bodies of STANDBY, SUCCESSION and PLACE, what their signatures cover, and which
 * addresses may be dialled (PROTOCOL.md §14). Pure functions.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  copyBytes,
  MAX_COUNTER,
  readU16,
  readU64,
  writeU16,
  writeU64,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import {
  isBroadcast,
  isInNetwork,
  isInOwnNetwork,
  type NetworkInterface,
} from "../base/interfaces.ts";
import { formatIpv4, formatIpv6, parseIp } from "../base/ip.ts";

/** Addresses of a place, §14. */
export const MAX_PLACE_ADDRESSES = 4;
/** Hosts of earlier in a list. */
export const MAX_EARLIER_HOSTS = 4;
/** Stand-bys in a list. */
export const MAX_STAND_BYS = 8;
/** Entries of one list in which an address counts. */
export const MAX_ENTRIES_PER_ADDRESS = 2;

/** Labels of ED, §14. */
export const CONTEXT_STAND_BY = "hearth/2 stand-by";
export const CONTEXT_SUCCESSION = "hearth/2 succession";

const FINGERPRINT_BYTES = 32;
const SIGNATURE_BYTES = 64;
const MAPPED_PREFIX = "00000000000000000000ffff";

/** Where a relay is. */
export interface Place {
  /** Its fingerprint, 32 bytes. */
  readonly relay: Bytes;
  /** 1 to 65535. */
  readonly port: number;
  /** 1 to 4 IPv4 or IPv6 addresses without zone, in the form of {@linkcode formatIpv6}. */
  readonly addresses: readonly string[];
}

/** A place and whose it is. */
export interface Entry extends Place {
  /** The fingerprint of the person, 32 bytes; zeros where it is not known. */
  readonly person: Bytes;
}

/** What a host says about itself and its successors. */
export interface List {
  /** Grows with each list of one session key. */
  readonly serial: number;
  /** The index of the host's own entry: hosts of earlier before it, stand-bys behind it. */
  readonly at: number;
  readonly entries: readonly Entry[];
}

/** The body of STANDBY from who stands by. */
export interface Offer {
  /** 64 bytes, by the session key of the relay that is offered. */
  readonly signature: Bytes;
  readonly place: Place;
}

/** The body of SUCCESSION. */
export interface SignedList {
  /** 64 bytes, by the session key of the host's relay. */
  readonly signature: Bytes;
  readonly list: List;
}

/** States of PLACE. */
export const STATE = { UNKNOWN: 0, HERE: 1, AT_PLACE: 2, LOST: 3 } as const;

/** The answer to SEEK. */
export type Whereabouts =
  | { readonly state: typeof STATE.UNKNOWN | typeof STATE.LOST }
  /** `others`: other persons than the host's that were heard lately; at most 65535. */
  | { readonly state: typeof STATE.HERE; readonly others: number }
  | { readonly state: typeof STATE.AT_PLACE; readonly place: Place };

function u16(value: number): Bytes {
  const bytes = new Uint8Array(2);
  writeU16(bytes, 0, value);
  return bytes;
}

/** Encodes a place: 40 to 103 bytes. */
export function encodePlace({ relay, port, addresses }: Place): Bytes {
  const sized = addresses.map(parseIp).flatMap((it) => [Uint8Array.of(it.length), it]);
  return concat(relay, u16(port), Uint8Array.of(addresses.length), ...sized);
}

/** Encodes a list: what its signature covers, and the rest of SUCCESSION. */
export function encodeList({ serial, at, entries }: List): Bytes {
  const head = new Uint8Array(10);
  writeU64(head, 0, serial);
  head[8] = at;
  head[9] = entries.length;
  return concat(head, ...entries.flatMap((entry) => [entry.person, encodePlace(entry)]));
}

/** Encodes the body of STANDBY; without an offer it is empty: no more. */
export function encodeStandBy(offer: Offer | undefined): Bytes {
  return offer ? concat(offer.signature, encodePlace(offer.place)) : new Uint8Array(0);
}

/** Encodes the body of SUCCESSION. */
export function encodeSuccession({ signature, list }: SignedList): Bytes {
  return concat(signature, encodeList(list));
}

/** Encodes the body of PLACE. */
export function encodeWhereabouts(where: Whereabouts): Bytes {
  const others = where.state === STATE.HERE ? where.others : 0;
  const place = where.state === STATE.AT_PLACE ? encodePlace(where.place) : new Uint8Array(0);
  return concat(Uint8Array.of(where.state), u16(others), place);
}

/** Takes fields that fill a body exactly. */
class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Bytes {
    const start = this.#offset;
    if (start + length > this.#bytes.length) throw new ProtocolError("bad-length");
    this.#offset += length;
    return copyBytes(this.#bytes, start, length);
  }

  takeU8(): number {
    return this.take(1)[0]!;
  }

  takeU16(): number {
    return readU16(this.take(2), 0);
  }

  takePlace(): Place {
    const relay = this.take(FINGERPRINT_BYTES);
    const port = this.takeU16();
    const count = this.takeU8();
    if (port === 0 || count < 1 || count > MAX_PLACE_ADDRESSES) {
      throw new ProtocolError("bad-field");
    }
    return { relay, port, addresses: Array.from({ length: count }, () => this.#takeAddress()) };
  }

  #takeAddress(): string {
    const length = this.takeU8();
    if (length !== 4 && length !== 16) throw new ProtocolError("bad-field");
    const bytes = this.take(length);
    if (length === 4) return formatIpv4(bytes);
    if (bytes.toHex().startsWith(MAPPED_PREFIX)) throw new ProtocolError("bad-field");
    return formatIpv6(bytes);
  }

  takeEntry(): Entry {
    return { person: this.take(FINGERPRINT_BYTES), ...this.takePlace() };
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) throw new ProtocolError("bad-length");
  }
}

function takeList(reader: Reader): List {
  const serial = readU64(reader.take(8), 0, MAX_COUNTER);
  const at = reader.takeU8();
  const count = reader.takeU8();
  if (at > MAX_EARLIER_HOSTS || count <= at || count > at + 1 + MAX_STAND_BYS) {
    throw new ProtocolError("bad-field");
  }
  return { serial, at, entries: Array.from({ length: count }, () => reader.takeEntry()) };
}

/** Decodes a list by itself, as it is kept on disk. @throws {ProtocolError} For any other form. */
export function decodeList(bytes: Uint8Array): List {
  const reader = new Reader(bytes);
  const list = takeList(reader);
  reader.end();
  return list;
}

/** Decodes the body of STANDBY. @returns undefined for an empty one. @throws {ProtocolError} Ignore it. */
export function decodeStandBy(body: Uint8Array): Offer | undefined {
  if (body.length === 0) return undefined;
  const reader = new Reader(body);
  const offer = { signature: reader.take(SIGNATURE_BYTES), place: reader.takePlace() };
  reader.end();
  return offer;
}

/** Decodes the body of SUCCESSION. @throws {ProtocolError} Ignore it. */
export function decodeSuccession(body: Uint8Array): SignedList {
  const reader = new Reader(body);
  const signed = { signature: reader.take(SIGNATURE_BYTES), list: takeList(reader) };
  reader.end();
  return signed;
}

/** Decodes the body of PLACE. @throws {ProtocolError} Ignore it. */
export function decodeWhereabouts(body: Uint8Array): Whereabouts {
  const reader = new Reader(body);
  const state = reader.takeU8();
  const others = reader.takeU16();
  if (others > 0 && state !== STATE.HERE) throw new ProtocolError("bad-field");
  const where = state === STATE.AT_PLACE ? { state, place: reader.takePlace() } : { state, others };
  reader.end();
  switch (state) {
    case STATE.UNKNOWN:
    case STATE.LOST:
      return { state };
    case STATE.HERE:
    case STATE.AT_PLACE:
      return where as Whereabouts;
    default:
      throw new ProtocolError("bad-field");
  }
}

/** The place in the network that a signature is good for. */
interface SignedFor {
  /** The fingerprint of the host's relay, 32 bytes. */
  readonly host: Uint8Array;
  /** The room's tag, 32 bytes. */
  readonly room: Uint8Array;
}

/**
 * What the signature of STANDBY covers, under {@linkcode CONTEXT_STAND_BY}.
 *
 * @param person The fingerprint of who stands by, 32 bytes.
 */
export function offerMessage({ host, room }: SignedFor, person: Uint8Array, place: Place): Bytes {
  return concat(host, room, person, encodePlace(place));
}

/** What the signature of SUCCESSION covers, under {@linkcode CONTEXT_SUCCESSION}. */
export function listMessage({ host, room }: SignedFor, list: List): Bytes {
  return concat(host, room, encodeList(list));
}

// --- What may be dialled ---

/** Where an address was learnt, and where this computer is. */
export interface DialRules {
  readonly interfaces: readonly NetworkInterface[];
  /** It was learnt over a loopback connection. */
  readonly overLoopback: boolean;
  /** Whether a public address outside of this computer's own networks may be dialled. */
  isPublicAllowed(address: string): boolean;
}

type AddressKind = "never" | "loopback" | "private" | "public";

/** Networks by the first bits of their addresses. */
const KINDS_V4: readonly [prefix: string, bits: number, kind: AddressKind][] = [
  ["0.0.0.0", 8, "never"],
  ["127.0.0.0", 8, "loopback"],
  ["224.0.0.0", 4, "never"],
  ["255.255.255.255", 32, "never"],
  ["10.0.0.0", 8, "private"],
  ["172.16.0.0", 12, "private"],
  ["192.168.0.0", 16, "private"],
  ["169.254.0.0", 16, "private"],
  ["100.64.0.0", 10, "private"],
];
const KINDS_V6: typeof KINDS_V4 = [
  ["::1", 128, "loopback"],
  ["::", 96, "never"],
  ["::ffff:0:0", 96, "never"],
  ["ff00::", 8, "never"],
  ["fc00::", 7, "private"],
  ["fe80::", 10, "private"],
];

function kindOf(address: string): AddressKind {
  const kinds = address.includes(":") ? KINDS_V6 : KINDS_V4;
  const row = kinds.find(([prefix, bits]) => isInNetwork(address, `${prefix}/${bits}`));
  return row?.[2] ?? "public";
}

/** Whether an address, without zone, is one of the whole Internet. */
export function isPublic(address: string): boolean {
  return kindOf(address) === "public";
}

/** Whether an address of a STANDBY, a list or a PLACE may be dialled, §14. */
export function mayDial(address: string, rules: DialRules): boolean {
  if (isBroadcast(address, rules.interfaces)) return false;
  switch (kindOf(address)) {
    case "never":
      return false;
    case "loopback":
      return rules.overLoopback;
    case "private":
      return true;
    case "public":
      return isInOwnNetwork(address, rules.interfaces) || rules.isPublicAllowed(address);
  }
}

/**
 * The addresses of each entry that may be dialled: an address counts in its first two entries, whatever the port, and
 * of a place only the first public one.
 *
 * @returns As many rows as entries; a row may be empty.
 */
export function dialableAddresses(entries: readonly Place[], rules: DialRules): string[][] {
  const uses = new Map<string, number>();
  return entries.map(({ addresses }) => {
    let publicOnes = 0;
    return addresses.filter((address) => {
      const count = (uses.get(address) ?? 0) + 1;
      uses.set(address, count);
      if (count > MAX_ENTRIES_PER_ADDRESS || !mayDial(address, rules)) return false;
      return !isPublic(address) || ++publicOnes === 1;
    });
  });
}
