/**
 * Looks around: which relays are announced on the network, and which addresses a name that ends in `.local` has
 * (RFC 6762).
 *
 * Whatever it finds is a hint that anybody may have given; the key that a relay proves decides. Knows nothing of pins
 * and of people.
 *
 * @module
 */

import {
  Browser,
  type Found,
  MAX_ADDRESSES,
  rank,
  usableAddress,
  type Via,
} from "./discovery/browse.ts";
import { type Link, listLinks, zoneOf } from "./base/interfaces.ts";
import { foldName, makeMessage, type Message, type Question } from "./discovery/dns.ts";
import { Multicast } from "./discovery/multicast.ts";

export type { Found };

/** Whoever has not answered until then is not there. */
const BROWSE_MS = 1500;
/** After so long without news there will be none. */
const QUIET_MS = 300;
/** When to ask: what was lost is asked for again, and what is still missing. */
const ASK_AT_MS: readonly number[] = [0, 250, 750];
const LOOK_MS = 10;

/** How to look. */
export interface LookOptions {
  /** The links to look on; all by default. */
  readonly links?: () => Link[];
  /** At most so long, in milliseconds. */
  readonly timeoutMs?: number;
}

/** Finds the relays that are announced; ends early when some were found and no more answers come. */
export async function browse(options: LookOptions = {}): Promise<Found[]> {
  const browser = new Browser();
  let newsAt = 0;
  await look(options, {
    questions: () => browser.questions(),
    take(message, via) {
      if (browser.take(message, via)) newsAt = performance.now();
    },
    isDone: () => performance.now() - newsAt >= QUIET_MS && browser.found().length > 0,
  });
  return browser.found();
}

/** Finds the addresses of a name that ends in `.local`; none when nobody has it. */
export async function resolveLocal(name: string, options: LookOptions = {}): Promise<string[]> {
  const wanted = foldName(name.replace(/\.$/, ""));
  const addresses = new Set<string>();
  let newsAt = 0;
  await look(options, {
    questions: () => [{ name: wanted, type: "A" }, { name: wanted, type: "AAAA" }],
    take({ answers, additionals }, via) {
      for (const record of [...answers, ...additionals]) {
        if (record.type !== "A" && record.type !== "AAAA") continue;
        const address = usableAddress(record, via);
        if (foldName(record.name) !== wanted || !address || addresses.size >= MAX_ADDRESSES) {
          continue;
        }
        addresses.add(address);
        newsAt = performance.now();
      }
    },
    // Most have one of each family, and the first will do.
    isDone: () => addresses.size > 0 && performance.now() - newsAt >= LOOK_MS,
  });
  return [...addresses].sort((a, b) => rank(a) - rank(b));
}

interface Search {
  questions(): Question[];
  take(message: Message, via: Via): void;
  isDone(): boolean;
}

/** Asks and listens, until it is done or the time is over. */
async function look(
  { links = listLinks, timeoutMs = BROWSE_MS }: LookOptions,
  search: Search,
): Promise<void> {
  const net = new Multicast({
    links,
    onMessage(message, { link }) {
      if (!message.isResponse) return;
      search.take(message, { zone: zoneOf(link), isLoopback: link.isLoopback });
    },
  });
  const start = performance.now();
  try {
    await net.refresh();
    let asked = 0;
    while (performance.now() - start < timeoutMs && !search.isDone()) {
      if (performance.now() - start >= (ASK_AT_MS[asked] ?? Infinity)) {
        const query = makeMessage({ questions: search.questions() });
        // Answers to one alone come sooner; those to everybody also come past a firewall.
        await net.ask(query);
        if (asked++ === 0) { for (const link of net.links) await net.send(link, query); }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    await net.close();
  }
}
