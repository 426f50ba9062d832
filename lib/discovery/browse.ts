/**
 * What has been heard of relays on the network: collects the records of multicast DNS answers until a relay can be
 * joined (RFC 6763).
 *
 * Pure, and made for answers by anybody: what does not fit is left out, and there is room for so many names and no
 * more. Nothing here is to be believed: the key that a relay proves decides.
 *
 * @module
 */

import { type DnsRecord, foldName, type Message, type Question, SERVICE } from "./dns.ts";

/** Relays that are remembered; the rest is not looked at. */
export const MAX_FOUND = 64;
/** Addresses of one host that are remembered. */
export const MAX_ADDRESSES = 8;

/** Questions in one message: with the longest names it can still be sent. */
const MAX_QUESTIONS = 32;

/** A relay as it is announced. */
export interface Found {
  /** As announced: to be cleaned before it is shown. */
  readonly name: string;
  /** The likeliest first; those of one link alone with their zone. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The first 16 characters of the fingerprint's base64. */
  readonly fingerprint: string;
  /** A password is needed. */
  readonly password: boolean;
}

/** Where a message came from. */
export interface Via {
  /** Names the link, and makes an address of it usable: `%eth0`. */
  readonly zone: string;
  /** It came from this computer's inside, where there are addresses that mean nothing elsewhere. */
  readonly isLoopback: boolean;
}

/** A name is one's own on its link only: on another link somebody else may have it, RFC 6762 §2. */
interface Instance {
  readonly label: string;
  readonly name: string;
  readonly zone: string;
  location?: { readonly port: number; readonly target: string };
  fields?: ReadonlyMap<string, string>;
}

/** Collects what answers say about relays. */
export class Browser {
  /** By link and name. */
  #instances = new Map<string, Instance>();
  /** Addresses by link and host name. */
  #hosts = new Map<string, Set<string>>();

  /**
   * Takes in an answer; what was heard first stays.
   *
   * @returns Whether anything of it was news.
   */
  take({ answers, additionals }: Message, via: Via): boolean {
    const records = [...answers, ...additionals];
    let isNew = false;
    // A record means something only when the one that leads to it is known, whatever their order.
    for (const record of records) {
      if (record.type === "PTR") isNew = this.#point(record, via) || isNew;
    }
    for (const record of records) {
      if (record.type !== "SRV" && record.type !== "TXT") continue;
      isNew = this.#describe(record, via) || isNew;
    }
    for (const record of records) {
      if (record.type === "A" || record.type === "AAAA") isNew = this.#locate(record, via) || isNew;
    }
    return isNew;
  }

  /** What to ask: who is there, and what is missing about those who are. */
  questions(): Question[] {
    const questions = new Map<string, Question>();
    const ask = (name: string, type: Question["type"]) =>
      questions.set(`${type} ${foldName(name)}`, { name, type });
    ask(SERVICE, "PTR");
    for (const { name, zone, location, fields } of this.#instances.values()) {
      if (!location) ask(name, "SRV");
      else if (!this.#hosts.get(keyOf(location.target, zone))?.size) {
        ask(location.target, "A");
        ask(location.target, "AAAA");
      }
      if (!fields) ask(name, "TXT");
    }
    return [...questions.values()].slice(0, MAX_QUESTIONS);
  }

  /** Those that can be joined. */
  found(): Found[] {
    const all = new Map<string, Found>();
    for (const instance of this.#instances.values()) {
      const found = this.#complete(instance);
      if (!found) continue;
      // Heard on several links it is one all the same.
      const key = JSON.stringify([foldName(found.name), found.port, found.fingerprint]);
      const addresses = new Set([...all.get(key)?.addresses ?? [], ...found.addresses]);
      all.set(key, {
        ...found,
        addresses: [...addresses].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_ADDRESSES),
      });
    }
    return [...all.values()];
  }

  #point(record: DnsRecord & { type: "PTR" }, { zone }: Via): boolean {
    if (foldName(record.name) !== SERVICE) return false;
    if (!foldName(record.data).endsWith(`.${SERVICE}`)) return false;
    const key = keyOf(record.data, zone);
    if (record.ttl === 0) return this.#instances.delete(key);
    if (this.#instances.has(key) || this.#instances.size >= MAX_FOUND) return false;
    const label = record.data.slice(0, -SERVICE.length - 1);
    this.#instances.set(key, { label, name: record.data, zone });
    return true;
  }

  #describe(record: DnsRecord & { type: "SRV" | "TXT" }, { zone }: Via): boolean {
    const instance = this.#instances.get(keyOf(record.name, zone));
    if (!instance || record.ttl === 0) return false;
    if (record.type === "TXT") {
      if (instance.fields) return false;
      instance.fields = readFields(record.fields);
    } else {
      if (instance.location || record.port === 0) return false;
      instance.location = { port: record.port, target: record.target };
      const host = keyOf(record.target, zone);
      if (!this.#hosts.has(host)) this.#hosts.set(host, new Set());
    }
    return true;
  }

  #locate(record: DnsRecord & { type: "A" | "AAAA" }, via: Via): boolean {
    const addresses = this.#hosts.get(keyOf(record.name, via.zone));
    const address = usableAddress(record, via);
    if (!addresses || address === undefined || record.ttl === 0) return false;
    if (addresses.has(address) || addresses.size >= MAX_ADDRESSES) return false;
    addresses.add(address);
    return true;
  }

  #complete({ label, zone, location, fields }: Instance): Found | undefined {
    const fingerprint = fields?.get("fp");
    const addresses = [...this.#hosts.get(keyOf(location?.target ?? "", zone)) ?? []];
    if (!location || addresses.length === 0 || fields?.get("v") !== "1") return undefined;
    if (fingerprint === undefined || !/^[A-Za-z0-9+/]{16}$/.test(fingerprint)) return undefined;
    return {
      name: label,
      addresses,
      port: location.port,
      fingerprint,
      password: fields.get("pw") === "1",
    };
  }
}

function keyOf(name: string, zone: string): string {
  return `${zone} ${foldName(name)}`;
}

/** The keys of a TXT record; of several equal ones the first counts, RFC 6763, §6.4. */
function readFields(fields: readonly Uint8Array[]): Map<string, string> {
  const decoder = new TextDecoder();
  const found = new Map<string, string>();
  for (const field of fields) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(decoder.decode(field)) ?? [];
    if (key !== undefined && !found.has(foldName(key))) found.set(foldName(key), value!);
  }
  return found;
}

/** Leaves out what is no address of one computer, or of none but this one. */
export function usableAddress(
  { type, data }: DnsRecord & { type: "A" | "AAAA" },
  { zone, isLoopback }: Via,
): string | undefined {
  // Of an address that is cut short the package makes some text.
  if (!(type === "A" ? /^(?:\d+\.){3}\d+$/ : /^[\da-f:]+$/i).test(data)) return undefined;
  if (type === "A") {
    const first = Number(data.split(".", 1)[0]);
    if (first === 0 || first >= 224 || (first === 127 && !isLoopback)) return undefined;
    return data;
  }
  const address = data.toLowerCase();
  if (/^(::$|ff|::ffff:)/.test(address) || (address === "::1" && !isLoopback)) return undefined;
  return /^fe[89ab]/.test(address) ? address + zone : address;
}

/** IPv4 first, then what can be reached from further away; last what is this computer's inside. */
export function rank(address: string): number {
  if (/^(127\.|::1$)/.test(address)) return 3;
  if (!address.includes(":")) return 0;
  return address.includes("%") ? 2 : 1;
}
