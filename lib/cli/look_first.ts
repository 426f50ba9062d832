/**
 * Where a room is before this computer begins to host it (PROTOCOL.md §14): on this computer, at somebody of a kept
 * list, or at a host that is announced.
 *
 * @module
 */

import { systemClock, systemRandom } from "../base/clock.ts";
import type { Bytes } from "../base/bytes.ts";
import { LOOPBACK, LOOPBACK_V6 } from "../base/ip.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { roomTag } from "../protocol/rooms.ts";
import { dialableAddresses, type List, type Place, STATE } from "../protocol/succession.ts";
import { Inquiry } from "../session/late.ts";
import type { KnownServers, Way } from "../session/mod.ts";
import { announcedFingerprint, type AnnouncedServer, findAnnounced } from "./announced_servers.ts";
import { network } from "./network.ts";
import { serverAddress } from "./server_address.ts";

/** All of it takes no longer than this: with the start of a relay a second. */
const LOOK_MS = 950;
/** Announced servers that are asked. */
const MAX_ASKED = 8;
/** "At X" is followed so many times in a row. */
const MAX_FOLLOWED = 4;

/** What looking around needs. */
export interface LookOptions {
  readonly key: PrivateKey;
  /** The room's name. */
  readonly room: string;
  /** The port to look at on this computer. */
  readonly port: number;
  readonly knownServers: KnownServers;
  /** The newest list of this room. */
  readonly kept: List | undefined;
  /** Whether to ask announced hosts whose key is new: somebody has to say whether they are wanted. */
  readonly asksNew: boolean;
  /** Whether a place is the relay of this program. */
  isOwn(place: Place): boolean;
}

/** A relay that has the room. */
export interface FoundHost {
  readonly hostname: string;
  readonly port: number;
  /** Its fingerprint, 32 bytes. */
  readonly relay: Bytes;
  /** What its key has to be, `SHA256:…` or a prefix of it; undefined if nobody has said. */
  readonly expected: string | undefined;
  /** Set if its key has not been seen before. */
  readonly announced: AnnouncedServer | undefined;
}

/** Whom to ask. */
interface Candidate {
  readonly hostnames: readonly string[];
  readonly port: number;
  /** 32 bytes; undefined to take any. */
  readonly expected?: Uint8Array<ArrayBuffer>;
  readonly announced?: AnnouncedServer;
}

/**
 * Finds who has the room, within a second; in the order this computer, kept list, announced hosts. It takes that long
 * only where somebody answers and does not have it, or announced hosts are waited for. A relay on this computer that
 * does not know the question counts as having it.
 */
export async function lookFirst(options: LookOptions): Promise<FoundHost | undefined> {
  for await (const found of lookForHosts(options)) return found;
  return undefined;
}

/** Finds everybody who has the room, within a second, in the same order. */
export async function* lookForHosts(options: LookOptions): AsyncGenerator<FoundHost> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), LOOK_MS);
  const none = new Promise<Candidate[]>((resolve) =>
    stop.signal.addEventListener("abort", () => resolve([]))
  );
  const ask = async (candidates: Candidate[] | Promise<Candidate[]>) => {
    const answers = (await Promise.race([candidates, none]))
      .map((it) => askAll(it, options, stop.signal));
    return answers;
  };
  const groups = [
    ask(options.port === 0 ? [] : [{ hostnames: [LOOPBACK, LOOPBACK_V6], port: options.port }]),
    ask(keptCandidates(options)),
    ask(announcedCandidates(options)),
  ];
  try {
    for (const group of groups) {
      for (const answer of await group) {
        const found = await answer;
        if (found) yield found;
      }
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function keptCandidates({ kept, isOwn }: LookOptions): Candidate[] {
  if (!kept) return [];
  const rules = {
    interfaces: network.interfaces(),
    overLoopback: false,
    isPublicAllowed: () => false,
  };
  const addresses = dialableAddresses(kept.entries, rules);
  const order = [...kept.entries.keys()].sort((a, b) => Number(a < kept.at) - Number(b < kept.at));
  return order.flatMap((i) => {
    const { relay, port } = kept.entries[i]!;
    if (isOwn(kept.entries[i]!) || addresses[i]!.length === 0) return [];
    return [{ hostnames: addresses[i]!, port, expected: relay }];
  });
}

async function announcedCandidates(
  { knownServers, asksNew, room }: LookOptions,
): Promise<Candidate[]> {
  const found = await findAnnounced(knownServers, roomTag(room)).catch(() => []);
  return found.filter(({ known }) => known || asksNew).slice(0, MAX_ASKED).map((announced) => ({
    hostnames: announced.addresses,
    port: announced.port,
    announced,
  }));
}

/** Asks one, and whom it names. */
async function askAll(
  candidate: Candidate,
  options: LookOptions,
  signal: AbortSignal,
): Promise<FoundHost | undefined> {
  let next = candidate;
  for (let followed = 0; followed <= MAX_FOLLOWED && !signal.aborted; followed++) {
    const answer = await askOne(next, options, signal);
    if (!answer || answer.found) return answer?.found;
    const { place } = answer;
    if (options.isOwn(place)) return undefined;
    next = { hostnames: place.addresses, port: place.port, expected: place.relay };
  }
  return undefined;
}

type Answer = { readonly found: FoundHost } | { readonly found?: undefined; readonly place: Place };

function askOne(
  { hostnames, port, expected, announced }: Candidate,
  { key, room, knownServers }: LookOptions,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  const ways: Way[] = hostnames.map((hostname) => ({
    address: serverAddress(hostname, port),
    dial: (signal) => dialFound(hostname, port, signal),
  }));
  const hostnameOf = ({ address }: Way) =>
    hostnames.find((it) => serverAddress(it, port) === address)!;
  const inquiry = new Inquiry({ ways, expected, own: undefined }, {
    key,
    room: roomTag(room),
    clock: systemClock,
    random: systemRandom,
  }, {
    answered(where) {
      if (where.state === STATE.AT_PLACE) resolve({ place: where.place });
      if (where.state !== STATE.HERE) return; // it may just be starting, or moving
      const asked = inquiry.take({ onFrame: () => {}, onEnd: () => {} });
      if (!asked) return resolve(undefined);
      void asked.connection.close(0);
      const fingerprint = encodeFingerprint(asked.relay.fingerprint);
      if (announced && !fingerprint.startsWith(announcedFingerprint(announced))) {
        return resolve(undefined); // somebody else is there
      }
      const isNew = announced && !knownServers.knows(fingerprint);
      resolve({
        found: {
          hostname: hostnameOf(inquiry.way),
          port,
          relay: asked.relay.fingerprint,
          expected: announced ? announcedFingerprint(announced) : expected && fingerprint,
          announced: isNew ? announced : undefined,
        },
      });
    },
    ended: (why) => {
      const { relay } = inquiry;
      if (why !== "unsupported" || !relay || expected || announced) return resolve(undefined);
      const hostname = hostnameOf(inquiry.way);
      resolve({ found: { hostname, port, relay, expected: undefined, announced: undefined } });
    },
  });
  signal.addEventListener("abort", () => {
    inquiry.close();
    resolve(undefined);
  });
  return promise;
}

/**
 * Connects to an address that {@linkcode lookFirst} has found, with its zone or without.
 *
 * @throws {Error} Of the operating system, when nobody accepts.
 */
export async function dialFound(hostname: string, port: number, signal: AbortSignal) {
  if (!hostname.includes("%")) {
    return await network.dial({ address: hostname, port, from: undefined }, signal);
  }
  return await Deno.connect({ hostname, port, signal });
}
