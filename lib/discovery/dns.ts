/**
 * Multicast DNS messages (RFC 6762) and the name of Hearth's service (RFC 6763).
 *
 * Names are text: labels separated by dots, with `\.` and `\\` for a dot and a backslash inside a label.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";

/** The multicast DNS port (RFC 6762 §3). */
export const MDNS_PORT = 5353;
/** Longest message (RFC 6762 §17). */
export const MAX_MESSAGE_BYTES = 9000;
/** The service type of relays. */
export const SERVICE = "_hearth._tcp.local";
/** Lists all service types (RFC 6763 §9). */
export const SERVICE_LIST = "_services._dns-sd._udp.local";
/** Longest label (RFC 1035 §2.3.4). */
export const MAX_LABEL_BYTES = 63;

/** The record types in use, by number (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 2782). */
export const RECORD_TYPES = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
/** The number of type `ANY` (RFC 1035 §3.2.3). */
export const ANY_TYPE = 255;

/** A question; `ANY` asks for all types. */
export interface Question {
  /** Folded by {@linkcode foldName} when it was received. */
  readonly name: string;
  readonly type: DnsRecord["type"] | "ANY";
}

/** A record of one of the types that describe services and addresses. */
export type DnsRecord =
  & {
    /** Folded by {@linkcode foldName} when it was received. */
    readonly name: string;
    /** Seconds; 0 withdraws the record. */
    readonly ttl: number;
    /** The cache-flush bit: only the sender has records of this name and type. */
    readonly unique: boolean;
  }
  & (
    /** A name. */
    | { readonly type: "PTR"; readonly data: string }
    /** An address without zone. */
    | { readonly type: "A" | "AAAA"; readonly data: string }
    | { readonly type: "SRV"; readonly port: number; readonly target: string }
    | { readonly type: "TXT"; readonly fields: readonly Uint8Array[] }
  );

/** A DNS message. */
export interface DnsMessage {
  /** Matters only in legacy queries, not sent from {@linkcode MDNS_PORT}, and their answers. */
  readonly id: number;
  readonly isResponse: boolean;
  readonly questions: readonly Question[];
  /** In a query: the records the asker already has. */
  readonly answers: readonly DnsRecord[];
  /** In a probe: the records the asker is about to announce. */
  readonly proposed: readonly DnsRecord[];
  /** Records the asker will need next. */
  readonly additionals: readonly DnsRecord[];
}

const EMPTY: DnsMessage = {
  id: 0,
  isResponse: false,
  questions: [],
  answers: [],
  proposed: [],
  additionals: [],
};

/** Makes a message; parts left out are empty. */
export function makeDnsMessage(parts: Partial<DnsMessage>): DnsMessage {
  return { ...EMPTY, ...parts };
}

/** Lowers ASCII letters: names compare case-insensitively (RFC 6762 §16). */
export function foldName(name: string): string {
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Turns any text into a label: dots become hyphens, and it is truncated to 63 bytes between characters. */
export function makeLabel(text: string): string {
  let label = text.replaceAll(".", "-");
  while (encodeUtf8(label).length > MAX_LABEL_BYTES) label = [...label].slice(0, -1).join("");
  return label;
}

/** Writes a label as part of a name (RFC 6763 §4.3). */
export function escapeLabel(label: string): string {
  return label.replace(/[.\\]/g, "\\$&");
}

/** Reads one label of a name: the opposite of {@linkcode escapeLabel}. */
export function unescapeLabel(text: string): string {
  return text.replace(/\\(.)/gs, "$1");
}
