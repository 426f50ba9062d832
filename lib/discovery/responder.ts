/**
 * What an announced relay answers in multicast DNS (RFC 6762, RFC 6763): its records, which of them a question asks
 * for, and what to do when somebody else has its name.
 *
 * Pure: messages in, messages out. Knows nothing of sockets and time.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import {
  type DnsRecord,
  foldName,
  makeLabel,
  makeMessage,
  type Message,
  type Question,
  SERVICE,
  SERVICE_LIST,
} from "./dns.ts";

/** Seconds that records with a host in them hold, RFC 6762, §10. */
const HOST_TTL = 120;
/** Seconds that other records hold, RFC 6762, §10. */
const OTHER_TTL = 4500;
/** Seconds that records hold for who asks once, RFC 6762, §6.7. */
const ONCE_TTL = 10;

/** A relay to be announced. */
export interface Service {
  /** The computer's name. */
  readonly name: string;
  readonly port: number;
  /** The first 16 characters of the fingerprint's base64. */
  readonly fingerprint: string;
  /** A password is needed. */
  readonly isLocked: boolean;
}

/** An address of the interface that a message is for. */
export interface HostAddress {
  readonly family: "IPv4" | "IPv6";
  /** Without zone. */
  readonly address: string;
}

/** Speaks for one relay. */
export class Responder {
  readonly #service: Service;
  /** A name that nobody else has: the computer's own belongs to its operating system. */
  readonly #host: string;
  #label: string;
  #turn = 1;

  /** @param tag Some letters and digits that no other relay on the network has. */
  constructor(service: Service, tag: string) {
    this.#service = service;
    this.#host = `hearth-${tag}.local`;
    this.#label = makeLabel(service.name);
  }

  /** The name it is announced under. */
  get label(): string {
    return this.#label;
  }

  /** Takes another name: the same with a number. */
  rename(): void {
    const suffix = ` (${++this.#turn})`;
    let start = makeLabel(this.#service.name);
    while (makeLabel(start + suffix) !== start + suffix) start = [...start].slice(0, -1).join("");
    this.#label = start + suffix;
  }

  /** Asks whether somebody has the name, RFC 6762, §8.1. */
  probe(): Message {
    return makeMessage({
      questions: [{ name: this.#instance, type: "ANY" }],
      proposed: [this.#location(false)],
    });
  }

  /** Makes the records known, or takes them back, RFC 6762, §8.3 and RFC 6762, §10.1. */
  announcement(addresses: readonly HostAddress[], isGoodbye = false): Message {
    const records = [this.#pointer(), ...this.#unique(addresses)];
    return makeMessage({
      isResponse: true,
      answers: isGoodbye ? records.map((record) => ({ ...record, ttl: 0 })) : records,
    });
  }

  /** Tells whether something here answers a question. */
  concerns(question: Question): boolean {
    return this.#records([]).some((record) => asksFor(question, record)) ||
      foldName(question.name) === this.#host;
  }

  /**
   * Answers questions to everybody.
   *
   * @param known What the asker knows already.
   * @returns undefined when there is nothing to say.
   */
  answer(
    questions: readonly Question[],
    addresses: readonly HostAddress[],
    known: readonly DnsRecord[] = [],
  ): Message | undefined {
    const records = this.#records(addresses);
    const answers = records.filter((record) =>
      questions.some((question) => asksFor(question, record)) && !isKnown(record, known)
    );
    if (answers.length === 0) return undefined;
    // Who asks for the one will ask for the others next, RFC 6763, §12.
    const additionals = records.filter((record) =>
      record.type !== "PTR" && !answers.includes(record)
    );
    return makeMessage({ isResponse: true, answers, additionals });
  }

  /**
   * Answers one asker alone, who is not on the port of multicast DNS, RFC 6762, §6.7. Only such a one is told the
   * addresses of the computer's own name: to all others the operating system answers.
   */
  answerOnce(query: Message, addresses: readonly HostAddress[]): Message | undefined {
    const computer = `${makeLabel(this.#service.name)}.local`;
    const own = hostRecords(computer, addresses).filter((record) =>
      query.questions.some((question) => asksFor(question, record))
    );
    const message = this.answer(query.questions, addresses);
    if (message === undefined && own.length === 0) return undefined;
    const once = (record: DnsRecord) => ({
      ...record,
      ttl: Math.min(record.ttl, ONCE_TTL),
      unique: false,
    });
    return makeMessage({
      isResponse: true,
      id: query.id,
      questions: query.questions,
      answers: [...message?.answers ?? [], ...own].map(once),
      additionals: (message?.additionals ?? []).map(once),
    });
  }

  /** Tells whether somebody else uses the name. */
  isTaken({ answers, additionals }: Message): boolean {
    return [...answers, ...additionals].some((record) => record.ttl > 0 && this.#isRival(record));
  }

  /** Tells whether somebody who is about to take the name, too, is to have it, RFC 6762, §8.2. */
  yieldsTo({ proposed }: Message): boolean {
    return proposed.some((record) =>
      record.type === "SRV" && this.#isRival(record) &&
      (record.port > this.#service.port ||
        record.port === this.#service.port && foldName(record.target) > this.#host)
    );
  }

  #isRival(record: DnsRecord): boolean {
    if (record.type !== "SRV" || foldName(record.name) !== foldName(this.#instance)) return false;
    return record.port !== this.#service.port || foldName(record.target) !== this.#host;
  }

  get #instance(): string {
    return `${this.#label}.${SERVICE}`;
  }

  #records(addresses: readonly HostAddress[]): DnsRecord[] {
    return [pointer(SERVICE_LIST, SERVICE), this.#pointer(), ...this.#unique(addresses)];
  }

  #pointer(): DnsRecord {
    return pointer(SERVICE, this.#instance);
  }

  #location(unique: boolean): DnsRecord {
    const { port } = this.#service;
    const name = this.#instance;
    return { name, type: "SRV", ttl: HOST_TTL, unique, port, target: this.#host };
  }

  #unique(addresses: readonly HostAddress[]): DnsRecord[] {
    const { fingerprint, isLocked } = this.#service;
    const fields = ["v=1", `fp=${fingerprint}`, ...(isLocked ? ["pw=1"] : [])].map(encodeUtf8);
    return [
      this.#location(true),
      { name: this.#instance, type: "TXT", ttl: OTHER_TTL, unique: true, fields },
      ...hostRecords(this.#host, addresses),
    ];
  }
}

function pointer(name: string, data: string): DnsRecord {
  return { name, type: "PTR", ttl: OTHER_TTL, unique: false, data };
}

function hostRecords(name: string, addresses: readonly HostAddress[]): DnsRecord[] {
  return addresses.map(({ family, address }) => {
    const type = family === "IPv4" ? "A" : "AAAA";
    return { name, type, ttl: HOST_TTL, unique: true, data: address };
  });
}

function asksFor({ name, type }: Question, record: DnsRecord): boolean {
  return foldName(name) === foldName(record.name) && (type === "ANY" || type === record.type);
}

/** Who knows a record for at least half its time need not be told, RFC 6762, §7.1. */
function isKnown(record: DnsRecord, known: readonly DnsRecord[]): boolean {
  return record.type === "PTR" &&
    known.some((other) =>
      other.type === "PTR" && foldName(other.name) === foldName(record.name) &&
      foldName(other.data) === foldName(record.data) && other.ttl >= record.ttl / 2
    );
}
