/**
 * Reads multicast DNS messages. Anybody on the network can send them: the work for one is limited before it is done,
 * and only what describes services and addresses is decoded.
 *
 * @module
 */

import { readU16, readU32 } from "../base/bytes.ts";
import { formatIpv4, formatIpv6 } from "../base/ip.ts";
import {
  ANY_TYPE,
  type DnsMessage,
  type DnsRecord,
  foldName,
  MAX_LABEL_BYTES,
  MAX_MESSAGE_BYTES,
  type Question,
  RECORD_TYPES,
} from "./dns.ts";

/** Questions in one message; RFC 6762 §7.2 has long queries split over several messages. */
const MAX_QUESTIONS = 64;
/** Records in one message, all sections together. */
const MAX_RECORDS = 256;
/** Labels, pointers, records and TXT fields that are looked at in one message: at most this many, … */
const MAX_WORK = 2048;
/** … and at most two for each byte and a few besides: a chain of compressed names must not cost more than a plain list. */
const WORK_PER_BYTE = 2;
const FREE_WORK = 64;
/** Longest name, with the length byte of each label (RFC 1035 §2.3.4). */
const MAX_NAME_BYTES = 255;
/** Longest TXT record (RFC 6763 §6.2). */
const MAX_TXT_BYTES = 1300;

const HEADER_BYTES = 12;
/** The empty name, type and class. */
const MIN_QUESTION_BYTES = 5;
/** The empty name, type, class, TTL and length. */
const MIN_RECORD_BYTES = 11;
const RESPONSE_FLAG = 0x8000;
const CLASS_IN = 1;
/** In a question: a unicast answer is wanted (RFC 6762 §5.4); in a record: cache flush (RFC 6762 §10.2). */
const TOP_BIT = 0x8000;
/** An address takes longer to write as text than a label. */
const ADDRESS_WORK = 4;

const TYPES = new Map<number, Question["type"]>([
  [ANY_TYPE, "ANY"],
  ...Object.entries(RECORD_TYPES).map(([name, type]) => [type, name as DnsRecord["type"]] as const),
]);

/** What became of a message. */
export interface Decoded {
  /** Without records of other types and classes; undefined if it is malformed or exceeds a limit. */
  readonly message: DnsMessage | undefined;
  /** How many labels, pointers, records and fields were looked at: at most {@linkcode workLimit}. */
  readonly work: number;
}

/** The most work that a message of this many bytes can cause. */
export function workLimit(length: number): number {
  return Math.min(MAX_WORK, FREE_WORK + WORK_PER_BYTE * length);
}

/** Decodes a message; TXT fields are views of `bytes`. */
export function decodeDns(bytes: Uint8Array): Decoded {
  const reader = new MessageReader(bytes);
  let message;
  try {
    message = reader.message();
  } catch (error) {
    if (error !== MALFORMED) throw error;
  }
  return { message, work: reader.work };
}

/** Thrown often during an attack: one object, because a stack trace is expensive. */
const MALFORMED = new Error("malformed");

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** A name as it is being read; each byte may need a backslash. */
const nameBytes = new Uint8Array(2 * MAX_NAME_BYTES);
const DOT = ".".charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);

class MessageReader {
  work = 0;
  readonly #bytes: Uint8Array;
  readonly #workLimit: number;
  #at = HEADER_BYTES;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#workLimit = workLimit(bytes.length);
  }

  message(): DnsMessage {
    const bytes = this.#bytes;
    if (bytes.length < HEADER_BYTES || bytes.length > MAX_MESSAGE_BYTES) throw MALFORMED;
    const [questions, answers, proposed, additionals] = [4, 6, 8, 10].map((at) =>
      readU16(bytes, at)
    ) as [number, number, number, number];
    const records = answers + proposed + additionals;
    const least = questions * MIN_QUESTION_BYTES + records * MIN_RECORD_BYTES;
    if (questions > MAX_QUESTIONS || records > MAX_RECORDS) throw MALFORMED;
    if (least > bytes.length - HEADER_BYTES) throw MALFORMED;
    return {
      id: readU16(bytes, 0),
      isResponse: (readU16(bytes, 2) & RESPONSE_FLAG) !== 0,
      questions: this.#all(questions, () => this.#question()),
      answers: this.#all(answers, () => this.#record()),
      proposed: this.#all(proposed, () => this.#record()),
      additionals: this.#all(additionals, () => this.#record()),
    };
  }

  #all<T>(count: number, read: () => T | undefined): T[] {
    const all: T[] = [];
    for (let i = 0; i < count; i++) {
      const one = read();
      if (one !== undefined) all.push(one);
    }
    return all;
  }

  #question(): Question | undefined {
    this.#spend(1);
    const start = this.#at;
    const end = this.#skipName();
    const type = TYPES.get(this.#u16(end));
    const isIn = (this.#u16(end + 2) & ~TOP_BIT) === CLASS_IN;
    this.#at = end + 4;
    const name = type && isIn ? this.#name(start) : undefined;
    return name === undefined ? undefined : { name: foldName(name), type: type! };
  }

  #record(): DnsRecord | undefined {
    this.#spend(1);
    const start = this.#at;
    const end = this.#skipName();
    const type = TYPES.get(this.#u16(end));
    const classes = this.#u16(end + 2);
    const data = end + 10;
    const next = data + this.#u16(end + 8);
    if (next > this.#bytes.length) throw MALFORMED;
    this.#at = next;
    if (type === undefined || type === "ANY" || (classes & ~TOP_BIT) !== CLASS_IN) return undefined;
    const content = this.#content(type, data, next);
    const name = content && this.#name(start);
    if (name === undefined) return undefined;
    const ttl = readU32(this.#bytes, end + 4);
    return { name: foldName(name), ttl, unique: (classes & TOP_BIT) !== 0, ...content! };
  }

  #content(type: DnsRecord["type"], start: number, end: number): RecordContent | undefined {
    const length = end - start;
    switch (type) {
      case "A":
        this.#spend(ADDRESS_WORK);
        return length === 4
          ? { type, data: formatIpv4(this.#bytes.subarray(start, end)) }
          : undefined;
      case "AAAA":
        this.#spend(ADDRESS_WORK);
        return length === 16
          ? { type, data: formatIpv6(this.#bytes.subarray(start, end)) }
          : undefined;
      case "PTR": {
        const data = this.#name(start);
        return data === undefined ? undefined : { type, data };
      }
      case "SRV": {
        if (length < 7) return undefined;
        const target = this.#name(start + 6);
        return target === undefined
          ? undefined
          : { type, port: readU16(this.#bytes, start + 4), target };
      }
      case "TXT":
        return length > MAX_TXT_BYTES ? undefined : { type, fields: this.#fields(start, end) };
    }
  }

  #fields(start: number, end: number): Uint8Array[] {
    const fields: Uint8Array[] = [];
    for (let at = start; at < end;) {
      this.#spend(1);
      const next = at + 1 + this.#bytes[at]!;
      if (next > end) throw MALFORMED;
      fields.push(this.#bytes.subarray(at + 1, next));
      at = next;
    }
    return fields;
  }

  /** @returns Where the name ends that begins at the present position. */
  #skipName(): number {
    for (let at = this.#at;;) {
      this.#spend(1);
      const size = this.#bytes[at];
      if (size === undefined) throw MALFORMED;
      if (size === 0) return at + 1;
      if (isPointer(size)) return at + 2;
      if (size > MAX_LABEL_BYTES) throw MALFORMED;
      at += 1 + size;
    }
  }

  /** @returns Undefined if it is not UTF-8. */
  #name(start: number): string | undefined {
    const bytes = this.#bytes;
    let [at, length, wireBytes] = [start, 0, 1];
    for (;;) {
      this.#spend(1);
      const size = bytes[at];
      if (size === undefined) throw MALFORMED;
      if (size === 0) break;
      if (isPointer(size)) {
        // Pointers lead backwards (RFC 1035 §4.1.4), each to before the place that led to it: no loops.
        const target = this.#u16(at) & 0x3fff;
        if (target >= start || target < HEADER_BYTES) throw MALFORMED;
        start = at = target;
        continue;
      }
      const next = at + 1 + size;
      wireBytes += 1 + size;
      if (size > MAX_LABEL_BYTES || next > bytes.length || wireBytes > MAX_NAME_BYTES) {
        throw MALFORMED;
      }
      if (length > 0) nameBytes[length++] = DOT;
      for (at++; at < next; at++) {
        const byte = bytes[at]!;
        if (byte === DOT || byte === BACKSLASH) nameBytes[length++] = BACKSLASH;
        nameBytes[length++] = byte;
      }
    }
    const name = decoder.decode(nameBytes.subarray(0, length));
    return name.includes("\ufffd") ? undefined : name;
  }

  #u16(at: number): number {
    if (at + 2 > this.#bytes.length) throw MALFORMED;
    return readU16(this.#bytes, at);
  }

  #spend(work: number): void {
    if (this.work + work > this.#workLimit) throw MALFORMED;
    this.work += work;
  }
}

type RecordContent =
  | { readonly type: "PTR" | "A" | "AAAA"; readonly data: string }
  | { readonly type: "SRV"; readonly port: number; readonly target: string }
  | { readonly type: "TXT"; readonly fields: readonly Uint8Array[] };

function isPointer(size: number): boolean {
  return size >= 0xc0;
}
