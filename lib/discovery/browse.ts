/**
 * Finds announced relays by multicast DNS (RFC 6762, RFC 6763): asks, and collects records until a relay can be joined.
 *
 * Anybody on the network may answer: malformed records are skipped, everything kept has a limit, and nothing is
 * trusted before the relay proves its key.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import {
  type DnsMessage,
  type DnsRecord,
  foldName,
  makeDnsMessage,
  type Question,
  SERVICE,
  unescapeLabel,
} from "./dns.ts";
import { listInterfaces, type NetworkInterface, zoneOf } from "../base/interfaces.ts";
import { isLinkLocal, isLoopback } from "../base/ip.ts";
import { Multicast } from "./multicast.ts";

/** How many relays are kept; further ones are ignored. */
export const MAX_FOUND = 64;
/** How many addresses are kept per host. */
export const MAX_FOUND_ADDRESSES = 8;
/** Questions per message: even with the longest names it fits into one packet. */
const ASK_AT_ONCE = 32;
/** How long to wait for answers. */
const BROWSE_MS = 1500;
/** After this long without news, {@linkcode browse} has heard every relay. */
const BROWSE_QUIET_MS = 300;
/** Most hosts have one address of each family, and the first will do. */
const RESOLVE_QUIET_MS = 10;
/** When to ask: packets get lost, and answers raise further questions. */
const ASK_AT_MS: readonly number[] = [0, 250, 750];

/** An announced relay that can be joined. */
export interface Found {
  /** As announced: clean it before showing it. */
  readonly name: string;
  /** The most promising first; link-local ones with their zone. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The first 16 characters of the fingerprint's base64. */
  readonly fingerprint: string;
  /** Whether it asks for a password. */
  readonly password: boolean;
}

/** The link a message arrived on. */
interface Via {
  /** Identifies the link and makes link-local addresses usable: `%eth0`. */
  readonly zone: string;
  /** Whether it is the loopback interface: only there are loopback addresses accepted. */
  readonly isLoopback: boolean;
}

/** A service instance. Its name is unique on one link only (RFC 6762 §2). */
interface Instance {
  readonly label: string;
  readonly name: string;
  readonly zone: string;
  location?: { readonly port: number; readonly target: string };
  fields?: ReadonlyMap<string, string>;
}

/** Collects records from answers until they describe relays completely. */
export class Browser {
  /** Keyed by link and name. */
  #instances = new Map<string, Instance>();
  /** Addresses, keyed by link and host name. */
  #hosts = new Map<string, Set<string>>();

  /**
   * Takes an answer; the first record of a kind wins.
   *
   * @returns Whether it brought anything new.
   */
  take({ answers, additionals }: DnsMessage, via: Via): boolean {
    const records = [...answers, ...additionals];
    let isNew = false;
    // A record counts only once the record that refers to it is known; they may come in any order.
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

  /** What to ask next: for relays, and for the missing records of known ones. */
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
    return [...questions.values()].slice(0, ASK_AT_ONCE);
  }

  /** The relays whose records are complete. */
  found(): Found[] {
    const all = new Map<string, Found>();
    for (const instance of this.#instances.values()) {
      const found = this.#complete(instance);
      if (!found) continue;
      // A relay heard on several links is listed once.
      const key = JSON.stringify([foldName(found.name), found.port, found.fingerprint]);
      const addresses = new Set([...all.get(key)?.addresses ?? [], ...found.addresses]);
      all.set(key, {
        ...found,
        addresses: [...addresses].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_FOUND_ADDRESSES),
      });
    }
    return [...all.values()];
  }

  #point(record: DnsRecord & { type: "PTR" }, { zone }: Via): boolean {
    if (record.name !== SERVICE) return false;
    if (!foldName(record.data).endsWith(`.${SERVICE}`)) return false;
    const key = keyOf(record.data, zone);
    if (record.ttl === 0) return this.#forget(key);
    if (this.#instances.has(key) || this.#instances.size >= MAX_FOUND) return false;
    const label = unescapeLabel(record.data.slice(0, -SERVICE.length - 1));
    this.#instances.set(key, { label, name: record.data, zone });
    return true;
  }

  #forget(key: string): boolean {
    const instance = this.#instances.get(key);
    if (!instance) return false;
    this.#instances.delete(key);
    const hostOf = ({ location, zone }: Instance) => keyOf(location?.target ?? "", zone);
    const host = hostOf(instance);
    const isShared = [...this.#instances.values()].some((other) => hostOf(other) === host);
    if (!isShared) this.#hosts.delete(host);
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
    if (addresses.has(address) || addresses.size >= MAX_FOUND_ADDRESSES) return false;
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

/** The keys of a TXT record; of duplicates the first counts (RFC 6763 §6.4). */
function readFields(fields: readonly Uint8Array[]): Map<string, string> {
  const decoder = new TextDecoder();
  const found = new Map<string, string>();
  for (const field of fields) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(decoder.decode(field)) ?? [];
    if (key !== undefined && !found.has(foldName(key))) found.set(foldName(key), value!);
  }
  return found;
}

/** Undefined for multicast and unspecified addresses, and for loopback addresses heard from elsewhere. */
function usableAddress(
  { type, data }: DnsRecord & { type: "A" | "AAAA" },
  via: Via,
): string | undefined {
  const isElsewhere = (address: string) => isLoopback(address) && !via.isLoopback;
  if (type === "A") {
    const first = Number(data.split(".", 1)[0]);
    return first === 0 || first >= 224 || isElsewhere(data) ? undefined : data;
  }
  if (/^(::$|ff|::ffff:)/.test(data) || isElsewhere(data)) return undefined;
  return isLinkLocal(data) ? data + via.zone : data;
}

/** Sort order: IPv4, global IPv6, link-local, loopback. */
function rank(address: string): number {
  if (isLoopback(address)) return 3;
  if (!address.includes(":")) return 0;
  return address.includes("%") ? 2 : 1;
}

/** Options of {@linkcode browse} and {@linkcode resolveLocal}. */
interface SearchOptions {
  /** The links to search; all by default. */
  readonly links?: () => NetworkInterface[];
  /** How long to search at most, in milliseconds. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/**
 * Finds the relays announced on the local network.
 *
 * @returns As soon as some were found and no answer has brought anything new for 300 ms; after `timeoutMs`, 1500 by
 * default, in any case.
 */
export async function browse(options: SearchOptions = {}): Promise<Found[]> {
  const browser = new Browser();
  await search(options, {
    quietMs: BROWSE_QUIET_MS,
    questions: () => browser.questions(),
    take: (message, via) => browser.take(message, via),
    hasResult: () => browser.found().length > 0,
  });
  return browser.found();
}

/**
 * Resolves a host name that ends in `.local`.
 *
 * @returns Its addresses, the most promising first; empty when no host answers to the name.
 */
export async function resolveLocal(name: string, options: SearchOptions = {}): Promise<string[]> {
  const wanted = foldName(name.replace(/\.$/, ""));
  const addresses = new Set<string>();
  await search(options, {
    quietMs: RESOLVE_QUIET_MS,
    questions: () => [{ name: wanted, type: "A" }, { name: wanted, type: "AAAA" }],
    take({ answers, additionals }, via) {
      const before = addresses.size;
      for (const record of [...answers, ...additionals]) {
        if (record.type !== "A" && record.type !== "AAAA") continue;
        const address = usableAddress(record, via);
        if (record.name !== wanted || !address) continue;
        if (addresses.size < MAX_FOUND_ADDRESSES) addresses.add(address);
      }
      return addresses.size > before;
    },
    hasResult: () => addresses.size > 0,
  });
  return [...addresses].sort((a, b) => rank(a) - rank(b));
}

interface Search {
  /** Once there is a result, the search ends this long after the last news. */
  readonly quietMs: number;
  questions(): Question[];
  /** Takes an answer; returns whether it brought anything new. */
  take(message: DnsMessage, via: Via): boolean;
  hasResult(): boolean;
}

/** Asks and listens until there is a result and no more news, or time is up. */
async function search(
  { links = listInterfaces, timeoutMs = BROWSE_MS, clock = systemClock }: SearchOptions,
  { quietMs, questions, take, hasResult }: Search,
): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let quiet: Timer | undefined;
  const net = new Multicast({
    links,
    onMessage(message, { link }) {
      if (!message.isResponse) return;
      if (!take(message, { zone: zoneOf(link), isLoopback: link.isLoopback })) return;
      clock.cancel(quiet);
      if (hasResult()) quiet = clock.after(quietMs, end);
    },
  });
  let asking = Promise.resolve();
  const ask = async (isFirst: boolean) => {
    const query = makeDnsMessage({ questions: questions() });
    // Unicast answers come sooner; multicast answers pass more firewalls.
    await net.ask(query);
    if (isFirst) { for (const link of net.links) await net.send(link, query); }
  };
  const timers = [clock.after(timeoutMs, end)];
  try {
    await net.refresh();
    for (const [round, delay] of ASK_AT_MS.entries()) {
      timers.push(clock.after(delay, () => asking = asking.then(() => ask(round === 0))));
    }
    await ended;
  } finally {
    for (const timer of timers) clock.cancel(timer);
    await asking; // would otherwise open sockets after they were closed
    await net.close();
    clock.cancel(quiet);
  }
}
