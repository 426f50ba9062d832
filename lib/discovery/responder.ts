/**
 * The multicast DNS records of an announced relay (RFC 6762, RFC 6763): answers to questions, probes, and conflicts
 * over its name. Pure: messages in, messages out.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import {
  type DnsMessage,
  type DnsRecord,
  escapeLabel,
  foldName,
  makeDnsMessage,
  makeLabel,
  type Question,
  SERVICE,
  SERVICE_LIST,
} from "./dns.ts";

/** TTL in seconds of records that contain a host name (RFC 6762 §10). */
const HOST_TTL = 120;
/** TTL in seconds of other records (RFC 6762 §10). */
const OTHER_TTL = 4500;
/** Highest TTL in seconds in a legacy unicast answer (RFC 6762 §6.7). */
const LEGACY_TTL = 10;

/** The announced service. */
export interface Service {
  /** The computer's name; becomes the name of the announcement. */
  readonly name: string;
  readonly port: number;
  /** The first 16 characters of the fingerprint's base64. */
  readonly fingerprint: string;
  /** Whether it asks for a password. */
  readonly isLocked: boolean;
}

/** An address of the interface a message is sent on. */
export interface HostAddress {
  readonly family: "IPv4" | "IPv6";
  /** Without zone. */
  readonly address: string;
}

/** Answers for one relay. */
export class ServiceResponder {
  readonly #service: Service;
  /** A unique host name: the computer's own belongs to the operating system. */
  readonly #host: string;
  #label!: string;
  /** The announcement's full name, folded. */
  #instanceKey!: string;
  #turn = 1;
  /** Our names, folded, and which types of records they have. */
  #owned = new Map<string, readonly Question["type"][]>();

  /** @param tag Letters and digits, unique among the relays on the network. */
  constructor(service: Service, tag: string) {
    this.#service = service;
    this.#host = `hearth-${tag}.local`;
    this.#setLabel(makeLabel(service.name));
  }

  /** The name it is announced under. */
  get label(): string {
    return this.#label;
  }

  /** Appends or increments a number: "name (2)". */
  rename(): void {
    const suffix = ` (${++this.#turn})`;
    let start = makeLabel(this.#service.name);
    while (makeLabel(start + suffix) !== start + suffix) start = [...start].slice(0, -1).join("");
    this.#setLabel(start + suffix);
  }

  /** Returns to the computer's name. */
  resetName(): void {
    this.#turn = 1;
    this.#setLabel(makeLabel(this.#service.name));
  }

  /** A query that asks whether the name is taken (RFC 6762 §8.1). */
  probe(): DnsMessage {
    return makeDnsMessage({
      questions: [{ name: this.#instance, type: "ANY" }],
      proposed: [this.#location(false)],
    });
  }

  /** An unsolicited answer with all records (RFC 6762 §8.3), or their withdrawal (RFC 6762 §10.1). */
  announcement(addresses: readonly HostAddress[], isGoodbye = false): DnsMessage {
    const records = [this.#pointer(), ...this.#unique(addresses)];
    return makeDnsMessage({
      isResponse: true,
      answers: isGoodbye ? records.map((record) => ({ ...record, ttl: 0 })) : records,
    });
  }

  /** Whether we may have records that answer a question. */
  concerns({ name, type }: Question): boolean {
    const types = this.#owned.get(name);
    return types !== undefined && (type === "ANY" || types.includes(type));
  }

  /**
   * A multicast answer.
   *
   * @param known Records the asker already has; they are left out (RFC 6762 §7.1).
   * @returns Undefined when there is nothing to answer.
   */
  answer(
    questions: readonly Question[],
    addresses: readonly HostAddress[],
    known: readonly DnsRecord[] = [],
  ): DnsMessage | undefined {
    const asked = keysOf(questions);
    const suppressed = keysOfKnown(known);
    const records = this.#records(addresses);
    const answers = records.filter((record) =>
      isAsked(record, asked) && !isKnown(record, suppressed)
    );
    if (answers.length === 0) return undefined;
    // The asker will need the others next (RFC 6763 §12).
    const additionals = records.filter((record) =>
      record.type !== "PTR" && !answers.includes(record)
    );
    return makeDnsMessage({ isResponse: true, answers, additionals });
  }

  /**
   * A unicast answer to a legacy query, one not sent from port 5353 (RFC 6762 §6.7). Includes the addresses of the
   * computer's own name: by multicast, the operating system answers for that.
   */
  answerLegacy(query: DnsMessage, addresses: readonly HostAddress[]): DnsMessage | undefined {
    const computer = `${escapeLabel(makeLabel(this.#service.name))}.local`;
    const computerKey = foldName(computer);
    const isOfComputer = ({ name }: Question) => name === computerKey;
    const questions = query.questions.filter((it) => this.concerns(it) || isOfComputer(it));
    const asked = keysOf(questions);
    const own = hostRecords(computer, addresses).filter((record) => isAsked(record, asked));
    const message = this.answer(questions, addresses);
    if (message === undefined && own.length === 0) return undefined;
    const toLegacy = (record: DnsRecord) => ({
      ...record,
      ttl: Math.min(record.ttl, LEGACY_TTL),
      unique: false,
    });
    return makeDnsMessage({
      isResponse: true,
      id: query.id,
      questions: [...new Map(questions.map((it) => [questionKey(it), it])).values()],
      answers: [...message?.answers ?? [], ...own].map(toLegacy),
      additionals: (message?.additionals ?? []).map(toLegacy),
    });
  }

  /** Whether an answer shows that another relay has our name. */
  isTaken({ answers, additionals }: DnsMessage): boolean {
    return [...answers, ...additionals].some((record) => record.ttl > 0 && this.#isRival(record));
  }

  /** Whether a simultaneous probe for our name wins over ours (RFC 6762 §8.2). */
  yieldsTo({ proposed }: DnsMessage): boolean {
    return proposed.some((record) =>
      record.type === "SRV" && this.#isRival(record) &&
      (record.port > this.#service.port ||
        record.port === this.#service.port && foldName(record.target) > this.#host)
    );
  }

  #isRival(record: DnsRecord): boolean {
    if (record.type !== "SRV" || record.name !== this.#instanceKey) return false;
    return record.port !== this.#service.port || foldName(record.target) !== this.#host;
  }

  #setLabel(label: string): void {
    this.#label = label;
    this.#instanceKey = foldName(this.#instance);
    this.#owned = new Map([
      [SERVICE_LIST, ["PTR"]],
      [SERVICE, ["PTR"]],
      [this.#instanceKey, ["SRV", "TXT"]],
      [this.#host, ["A", "AAAA"]],
    ]);
  }

  get #instance(): string {
    return `${escapeLabel(this.#label)}.${SERVICE}`;
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

/** Identifies a question. */
export function questionKey({ name, type }: Question): string {
  return `${type} ${name}`;
}

function keysOf(questions: readonly Question[]): Set<string> {
  return new Set(questions.map(questionKey));
}

function isAsked({ name, type }: DnsRecord, asked: ReadonlySet<string>): boolean {
  const folded = foldName(name);
  return asked.has(`${type} ${folded}`) || asked.has(`ANY ${folded}`);
}

/** The pointers an asker has, each with the TTL that its copy has left. */
function keysOfKnown(known: readonly DnsRecord[]): Map<string, number> {
  const keys = new Map<string, number>();
  for (const record of known) {
    if (record.type !== "PTR") continue;
    const key = pointerKey(record);
    keys.set(key, Math.max(record.ttl, keys.get(key) ?? 0));
  }
  return keys;
}

/** Known-answer suppression: the asker's copy has at least half its TTL left (RFC 6762 §7.1). */
function isKnown(record: DnsRecord, known: ReadonlyMap<string, number>): boolean {
  return record.type === "PTR" && (known.get(pointerKey(record)) ?? -1) >= record.ttl / 2;
}

function pointerKey({ name, data }: DnsRecord & { readonly type: "PTR" }): string {
  return JSON.stringify([foldName(name), foldName(data)]);
}
