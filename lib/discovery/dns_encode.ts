/**
 * Writes multicast DNS messages, without name compression: ours fit into one packet.
 *
 * @module
 */

import { type Bytes, concat, encodeUtf8, writeU16, writeU32 } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import {
  ANY_TYPE,
  type DnsMessage,
  type DnsRecord,
  MAX_LABEL_BYTES,
  type Question,
  RECORD_TYPES,
  unescapeLabel,
} from "./dns.ts";

/** Response, authoritative answer (RFC 6762 §18.4). */
const RESPONSE_FLAGS = 0x8400;
const CLASS_IN = 1;
/** RFC 6762 §10.2. */
const CACHE_FLUSH = 0x8000;

/**
 * Encodes a message.
 *
 * @throws {RangeError} A label or a TXT field is too long.
 */
export function encodeDns(message: DnsMessage): Bytes {
  const { questions, answers, proposed, additionals } = message;
  const counts = [questions, answers, proposed, additionals].map(({ length }) => u16(length));
  return concat(
    u16(message.id),
    u16(message.isResponse ? RESPONSE_FLAGS : 0),
    ...counts,
    ...questions.map(encodeQuestion),
    ...[...answers, ...proposed, ...additionals].map(encodeRecord),
  );
}

function encodeQuestion({ name, type }: Question): Bytes {
  const number = type === "ANY" ? ANY_TYPE : RECORD_TYPES[type];
  return concat(encodeName(name), u16(number), u16(CLASS_IN));
}

function encodeRecord(record: DnsRecord): Bytes {
  const { name, type, ttl, unique } = record;
  const content = encodeContent(record);
  const ttlBytes = new Uint8Array(4);
  writeU32(ttlBytes, 0, ttl);
  return concat(
    encodeName(name),
    u16(RECORD_TYPES[type]),
    u16(CLASS_IN | (unique ? CACHE_FLUSH : 0)),
    ttlBytes,
    u16(content.length),
    content,
  );
}

function encodeContent(record: DnsRecord): Bytes {
  switch (record.type) {
    case "A":
    case "AAAA":
      return parseIp(record.data);
    case "PTR":
      return encodeName(record.data);
    case "SRV": // priority, weight
      return concat(u16(0), u16(0), u16(record.port), encodeName(record.target));
    case "TXT":
      return concat(...record.fields.map((field) => withSize(field, 255)));
  }
}

function encodeName(name: string): Bytes {
  const labels = name.match(/(?:\\.|[^.\\])+/gs) ?? [];
  return concat(
    ...labels.map((label) => withSize(encodeUtf8(unescapeLabel(label)), MAX_LABEL_BYTES)),
    Uint8Array.of(0),
  );
}

function withSize(bytes: Uint8Array, limit: number): Bytes {
  if (bytes.length > limit) throw new RangeError("a label or field is too long");
  return concat(Uint8Array.of(bytes.length), bytes);
}

function u16(value: number): Bytes {
  const bytes = new Uint8Array(2);
  writeU16(bytes, 0, value);
  return bytes;
}
