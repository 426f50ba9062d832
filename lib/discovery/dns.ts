/**
 * Multicast DNS as bytes (RFC 6762), and the one service that Hearth looks for (RFC 6763): what is in a message, and
 * nothing about who sends it where.
 *
 * Pure. The package dns-packet reads and writes the messages: it works on every Deno that Hearth supports, which the
 * libraries that also open the sockets do not. It takes a dot in a label for the end of the label.
 *
 * @module
 */

import { Buffer } from "node:buffer";
// @ts-types="../dns.d.ts"
import { AUTHORITATIVE_ANSWER, decode, encode } from "dns-packet";
import { encodeUtf8 } from "../base/bytes.ts";
import type { PacketRecord } from "../dns.d.ts";

/** The port of multicast DNS, RFC 6762, §3. */
export const MDNS_PORT = 5353;
/** Longest message, RFC 6762, §17. */
export const MAX_MESSAGE_BYTES = 9000;
/** What relays are announced as. */
export const SERVICE = "_hearth._tcp.local";
/** What all services are listed under, RFC 6763, §9. */
export const SERVICE_LIST = "_services._dns-sd._udp.local";
/** Bytes of one label, RFC 1035, §2.3.4. */
export const MAX_LABEL_BYTES = 63;
/** A class IN whose highest bit asks for an answer to the asker alone, RFC 6762, §5.4. */
const UNICAST_CLASS = "UNKNOWN_32769";

/** What is asked for; `ANY` stands for all types. */
export interface Question {
  readonly name: string;
  readonly type: string;
}

/** One record: the types that are about services and addresses. */
export type DnsRecord =
  & {
    readonly name: string;
    /** Seconds; 0 takes the record back. */
    readonly ttl: number;
    /** Nobody else may have records of this name and type. */
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

/** One message. */
export interface Message {
  /** Counts only for askers that are not on {@linkcode MDNS_PORT}. */
  readonly id: number;
  readonly isResponse: boolean;
  readonly questions: readonly Question[];
  /** In a question: what the asker knows already. */
  readonly answers: readonly DnsRecord[];
  /** In a question: what the asker is about to announce. */
  readonly proposed: readonly DnsRecord[];
  /** What the answers lead to. */
  readonly additionals: readonly DnsRecord[];
}

const EMPTY: Message = {
  id: 0,
  isResponse: false,
  questions: [],
  answers: [],
  proposed: [],
  additionals: [],
};

/** Makes a message of the parts that are not empty. */
export function makeMessage(parts: Partial<Message>): Message {
  return { ...EMPTY, ...parts };
}

/** Reads a message; undefined when it is none. Records of other types and classes are left out. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  let packet;
  try {
    packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined; // anybody may send anything
  }
  return {
    id: packet.id,
    isResponse: packet.type === "response",
    questions: packet.questions
      .filter((question) => question.class === "IN" || question.class === UNICAST_CLASS)
      .map(({ name, type }) => ({ name, type })),
    answers: packet.answers.flatMap(readRecord),
    proposed: packet.authorities.flatMap(readRecord),
    additionals: packet.additionals.flatMap(readRecord),
  };
}

function readRecord(record: PacketRecord): DnsRecord[] {
  if (record.class !== "IN") return [];
  const owner = { name: record.name, ttl: record.ttl ?? 0, unique: record.flush ?? false };
  switch (record.type) {
    case "PTR":
    case "A":
    case "AAAA":
      return [{ ...owner, type: record.type, data: record.data }];
    case "SRV":
      return [{ ...owner, type: "SRV", port: record.data.port, target: record.data.target }];
    case "TXT":
      return [{ ...owner, type: "TXT", fields: record.data }];
    default:
      return [];
  }
}

/** Writes a message. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  return encode({
    type: message.isResponse ? "response" : "query",
    id: message.id,
    flags: message.isResponse ? AUTHORITATIVE_ANSWER : 0,
    questions: message.questions,
    answers: message.answers.map(writeRecord),
    authorities: message.proposed.map(writeRecord),
    additionals: message.additionals.map(writeRecord),
  });
}

function writeRecord(record: DnsRecord): PacketRecord {
  const owner = { name: record.name, ttl: record.ttl, flush: record.unique };
  switch (record.type) {
    case "SRV":
      return { ...owner, type: "SRV", data: { port: record.port, target: record.target } };
    case "TXT":
      return { ...owner, type: "TXT", data: record.fields.map((field) => Buffer.from(field)) };
    default:
      return { ...owner, type: record.type, data: record.data };
  }
}

/** Makes two names that mean the same equal: ASCII letters count without case, RFC 6762, §16. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Makes a label of any text: what does not fit is cut off, and dots become hyphens. */
export function makeLabel(text: string): string {
  let label = text.replaceAll(".", "-");
  while (encodeUtf8(label).length > MAX_LABEL_BYTES) label = [...label].slice(0, -1).join("");
  return label;
}
