/**
 * The host's side of succession: who stands by, at which addresses, and whom the host names (PROTOCOL.md §14).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, decodeHex, encodeHex, equalBytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { NetworkInterface } from "../base/interfaces.ts";
import { isLoopback } from "../base/ip.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { WHY } from "../protocol/frames.ts";
import {
  CONTEXT_STAND_BY,
  CONTEXT_SUCCESSION,
  encodeList,
  type Entry,
  type List,
  listMessage,
  MAX_EARLIER_HOSTS,
  MAX_ENTRIES_PER_ADDRESS,
  MAX_PLACE_ADDRESSES,
  MAX_STAND_BYS,
  mayDial,
  type Offer,
  offerMessage,
  type Place,
  type SignedList,
} from "../protocol/succession.ts";
import { AddressTests, type Prove } from "./address_tests.ts";
import type { OwnRelay } from "./own_relay.ts";
import { keyOf } from "./passed_over.ts";

/** Lists are at least this far apart. */
const LIST_GAP_MS = 1000;
/** Addresses are tested again after this, those that failed too. */
export const ADDRESS_RETEST_MS = 60_000;
/** Whom the last host has named is named for this long without a test. */
const OLD_WORD_MS = 30_000;
/** STANDBYs of one person that count in a minute. */
export const MAX_OFFERS_PER_MINUTE = 6;
const MINUTE_MS = 60_000;
/** People whose STANDBYs are counted. */
const MAX_OFFERERS = 256;
/** Hosts of earlier, and stand-bys that were cut off, are named for this long. */
export const EARLIER_MS = 24 * 3_600_000;

/** What the host's side needs. */
export interface StandBysOptions {
  readonly clock: Clock;
  readonly own: OwnRelay;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** Our fingerprint, 32 bytes. */
  readonly person: Bytes;
  /** Verifies ED(context, message). */
  verify(key: Bytes, context: string, message: Bytes, signature: Bytes): Promise<boolean>;
  interfaces(): readonly NetworkInterface[];
  readonly prove: Prove;
  /** Whether a person may become host. @param person 32 bytes. */
  mayName(person: Uint8Array): boolean;
  /** Sends a list to one member, or to all. */
  send(list: SignedList, sid?: string): void;
}

/** Who was there before a host. */
export interface Predecessors {
  /** Hosts of earlier, then stand-bys that were cut off. */
  readonly earlier: readonly Entry[];
  /** Whom the last host has named behind this one. */
  readonly behind: readonly Entry[];
}

interface StandBy {
  /** Empty until the person has offered it to this host. */
  readonly sid: string;
  readonly person: Bytes;
  readonly place: Place;
  /** Undefined until the person has offered it to this host. */
  readonly offer: Offer | undefined;
  /** The longest-standing has the lowest. */
  readonly rank: number;
  /** In the order in which they are named. */
  readonly addresses: readonly string[];
  readonly working: Set<string>;
  /** Until then it is named as the last host has named it. */
  readonly oldWordUntil: number;
  testAt: number;
}

/** A host's stand-bys, and the lists it makes of them; inactive until {@linkcode StandBys.begin}. */
export class StandBys {
  readonly #options: StandBysOptions;
  readonly #tests: AddressTests;
  readonly #offers = new BoundedMap<string, SlidingWindow>(MAX_OFFERERS);
  /** By relay and port. */
  readonly #standBys = new Map<string, StandBy>();
  #earlier: { readonly entry: Entry; readonly until: number }[] = [];
  /** Whom this host gives way to. */
  #next: Entry | undefined;
  #isActive = false;
  /** Grows over all times that this process hosts: one key signs all lists. */
  #serial: number;
  #list: List | undefined;
  #nextRank = 0;
  #said = "";
  #saidAt = -Infinity;
  #signing: Promise<void> = Promise.resolve();
  #signed: SignedList | undefined;
  #timer: Timer | undefined;

  constructor(options: StandBysOptions) {
    this.#options = options;
    this.#serial = options.clock.wallTime();
    this.#tests = new AddressTests(options.clock, options.prove);
  }

  /** The newest list, from {@linkcode StandBys.begin} on. */
  get list(): List {
    return this.#list!;
  }

  /** Hosts of earlier, then stand-bys that were cut off, in the order of the list. */
  get earlier(): Entry[] {
    const now = this.#options.clock.wallTime();
    return this.#earlier.filter(({ until }) => now < until).map(({ entry }) => entry);
  }

  /** Hosts from now on. */
  begin({ earlier, behind }: Predecessors): void {
    const { clock } = this.#options;
    const until = clock.wallTime() + EARLIER_MS;
    this.#isActive = true;
    this.#earlier = earlier.map((entry) => ({ entry, until }));
    this.#next = undefined;
    this.#standBys.clear();
    for (const entry of behind) this.#keepOldWord(entry);
    this.#said = "";
    this.#tick();
  }

  /** Hosts no more. */
  end(): void {
    this.#isActive = false;
    this.#signed = undefined;
    this.#tests.stop();
    this.#options.clock.cancel(this.#timer);
  }

  #keepOldWord(entry: Entry, rank = this.#nextRank++): void {
    const { clock } = this.#options;
    this.#standBys.set(keyOf(entry), {
      sid: "",
      person: entry.person,
      place: entry,
      offer: undefined,
      rank,
      addresses: entry.addresses,
      working: new Set(),
      oldWordUntil: clock.now() + OLD_WORD_MS,
      testAt: Infinity,
    });
  }

  /** A channel is live: tells it the list. */
  ready(sid: string): void {
    if (this.#signed) this.#options.send(this.#signed, sid);
  }

  /** STANDBY has come from a member. */
  offered(
    { sid, fingerprint }: { sid: string; fingerprint: Bytes },
    offer: Offer | undefined,
  ): void {
    if (!this.#isActive) return;
    if (!offer) {
      const [key] = this.#standBys.entries().find(([, it]) => it.sid === sid) ?? [];
      if (key !== undefined && this.#standBys.delete(key)) this.#update();
      return;
    }
    const { own } = this.#options;
    const key = keyOf(offer.place);
    if (key === keyOf({ relay: own.key.fingerprint, port: own.port })) return;
    if (!this.#count(fingerprint)) return;
    const known = this.#standBys.get(key);
    // Whoever was named for it has shown that it is theirs; who only said so may be wrong.
    const isOthers = known && !equalBytes(known.person, fingerprint);
    if (isOthers && this.#named(known).length > 0) return;
    for (const [other, it] of this.#standBys) {
      if (it.sid === sid && other !== key) this.#standBys.delete(other);
    }
    this.#standBys.set(key, {
      sid,
      person: fingerprint,
      place: offer.place,
      offer,
      rank: isOthers ? this.#nextRank++ : known?.rank ?? this.#nextRank++,
      addresses: this.#addressesOf(sid, offer.place),
      working: known?.working ?? new Set(),
      oldWordUntil: known?.oldWordUntil ?? -Infinity,
      testAt: this.#options.clock.now(),
    });
    this.#forgetEarlier((entry) => keyOf(entry) === key);
    this.#test();
    this.#update();
  }

  #count(person: Bytes): boolean {
    const { clock } = this.#options;
    const name = encodeHex(person);
    const window = this.#offers.get(name) ??
      new SlidingWindow(clock, { limit: MAX_OFFERS_PER_MINUTE, spanMs: MINUTE_MS });
    this.#offers.renew(name, window);
    if (window.waitMs > 0) return false;
    window.count();
    return true;
  }

  /** What may be dialled of a place: the address that the relay sees first. */
  #addressesOf(sid: string, { addresses }: Place): string[] {
    const { own, interfaces } = this.#options;
    const source = own.sourceOf(sid)?.split("%", 1)[0];
    const rules = {
      interfaces: interfaces(),
      overLoopback: source !== undefined && isLoopback(source),
      isPublicAllowed: (address: string) => address === source,
    };
    const all = new Set(source === undefined ? addresses : [source, ...addresses]);
    return [...all].filter((it) => mayDial(it, rules)).slice(0, MAX_PLACE_ADDRESSES);
  }

  /** A person has shown themselves here as a member: they were cut off no longer. */
  joined(person: Uint8Array): void {
    this.#forgetEarlier((entry) => equalBytes(entry.person, person));
    this.#update();
  }

  #forgetEarlier(isMeant: (entry: Entry) => boolean): void {
    this.#earlier = this.#earlier.filter(({ entry }) => !isMeant(entry));
  }

  /** A member has left. @param why As in LEFT, §5. */
  left(sid: string, why: number): void {
    if (!this.#isActive || sid === "") return;
    for (const [key, standBy] of this.#standBys) {
      if (standBy.sid !== sid) continue;
      this.#standBys.delete(key);
      const addresses = this.#named(standBy);
      if (addresses.length === 0 || why === WHY.LEFT || why === WHY.REMOVED) continue;
      const entry = { ...standBy.place, person: standBy.person, addresses };
      if (why === WHY.REPLACED) this.#keepOldWord(entry, standBy.rank);
      else {
        const until = this.#options.clock.wallTime() + EARLIER_MS;
        this.#earlier.push({ entry, until });
      }
    }
    this.#update();
  }

  /** Names one first, before this host gives way to it; resolves when the list is sent. */
  async nameFirst(entry: Entry): Promise<void> {
    this.#next = entry;
    this.#say(this.#makeEntries());
    await this.#signing;
  }

  // --- Tests ---

  #test(): void {
    const now = this.#options.clock.now();
    for (const [key, standBy] of this.#standBys) {
      if (now < standBy.testAt || !standBy.offer) continue;
      standBy.testAt = now + ADDRESS_RETEST_MS;
      const { relay, port } = standBy.place;
      for (const address of standBy.addresses) {
        this.#tests.add(standBy.sid, { relay, port, address }, (session) => {
          void this.#tested(key, { sid: standBy.sid, address, session });
        });
      }
    }
  }

  async #tested(
    key: string,
    { sid, address, session }: { sid: string; address: string; session: Bytes | undefined },
  ): Promise<void> {
    const works = session !== undefined && await this.#hasSigned(session, this.#standBys.get(key));
    const standBy = this.#standBys.get(key);
    if (standBy?.sid !== sid) return; // it has left meanwhile
    if (works) standBy.working.add(address);
    else standBy.working.delete(address);
    this.#update();
  }

  /** Whether the session key of a relay has signed what was offered. */
  async #hasSigned(session: Bytes, standBy: StandBy | undefined): Promise<boolean> {
    if (!standBy?.offer) return false;
    const { own, room, verify } = this.#options;
    const { person, offer: { place, signature } } = standBy;
    const message = offerMessage({ host: own.key.fingerprint, room }, person, place);
    return await verify(session, CONTEXT_STAND_BY, message, signature);
  }

  // --- Lists ---

  #tick(): void {
    const { clock } = this.#options;
    const now = clock.now();
    for (const [key, { sid, oldWordUntil }] of this.#standBys) {
      if (sid === "" && now >= oldWordUntil) this.#standBys.delete(key);
    }
    this.#test();
    this.#update();
    clock.cancel(this.#timer);
    this.#timer = clock.after(LIST_GAP_MS, () => this.#tick());
  }

  /** Sends the list if it has changed; if the last one is too young, the next tick does. */
  #update(): void {
    if (!this.#isActive || this.#next) return;
    const made = this.#makeEntries();
    if (this.#options.clock.now() - this.#saidAt < LIST_GAP_MS && this.#said !== "") return;
    if (encodeHex(encodeList({ serial: 0, ...made })) !== this.#said) this.#say(made);
  }

  #say(made: Pick<List, "at" | "entries">): void {
    this.#said = encodeHex(encodeList({ serial: 0, ...made }));
    this.#saidAt = this.#options.clock.now();
    const list = this.#list = { serial: this.#serial++, ...made };
    this.#signing = this.#signing.then(() => this.#send(list));
  }

  async #send(list: List): Promise<void> {
    const { own, room, send } = this.#options;
    const message = listMessage({ host: own.key.fingerprint, room }, list);
    const signature = await own.sign(CONTEXT_SUCCESSION, message);
    if (!this.#isActive) return;
    this.#signed = { signature, list };
    send(this.#signed);
  }

  /** The addresses with which a stand-by is named now. */
  #named({ addresses, working, oldWordUntil }: StandBy): string[] {
    if (working.size > 0) return addresses.filter((address) => working.has(address));
    return this.#options.clock.now() < oldWordUntil ? [...addresses] : [];
  }

  #makeEntries(): Pick<List, "at" | "entries"> {
    const { own, person } = this.#options;
    const addresses = own.addresses().slice(0, MAX_PLACE_ADDRESSES);
    const me: Entry = { person, relay: own.key.fingerprint, port: own.port, addresses };
    const next = this.#next ? [this.#next] : [];
    const named = [...next, ...this.#nameStandBys(next[0])].slice(0, MAX_STAND_BYS);
    const earlier = this.earlier
      .filter((it) => !named.some((other) => keyOf(other) === keyOf(it)))
      .slice(0, MAX_EARLIER_HOSTS);
    return limitAddresses(earlier, me, named);
  }

  /** The stand-bys, the longest-standing first, one for each person. */
  #nameStandBys(without: Entry | undefined): Entry[] {
    const people = new Set<string>();
    const standBys = [...this.#standBys.values()].sort((a, b) => a.rank - b.rank);
    return standBys.flatMap((standBy) => {
      const addresses = this.#named(standBy);
      const name = encodeHex(standBy.person);
      const isNext = without && keyOf(without) === keyOf(standBy.place);
      if (isNext || addresses.length === 0 || people.has(name)) return [];
      if (!this.#options.mayName(standBy.person)) return [];
      people.add(name);
      return [{ ...standBy.place, person: decodeHex(name), addresses }];
    });
  }
}

/**
 * Drops what nobody would dial: loopback beside other addresses, and an address in its third entry. Hosts of earlier
 * come last, so that they keep nobody from standing by who is on their computer.
 */
function limitAddresses(
  earlier: readonly Entry[],
  me: Entry,
  named: readonly Entry[],
): Pick<List, "at" | "entries"> {
  const all = [...earlier, me, ...named];
  const isOnlyHere = all.every(({ addresses }) => addresses.every(isLoopback));
  const uses = new Map<string, number>();
  const limit = (entry: Entry) => {
    const addresses = entry.addresses.filter((address) => {
      const count = (uses.get(address) ?? 0) + 1;
      uses.set(address, count);
      return entry === me ||
        count <= MAX_ENTRIES_PER_ADDRESS && (isOnlyHere || !isLoopback(address));
    });
    return { ...entry, addresses };
  };
  const present = [me, ...named].map(limit);
  const usable = [...earlier.map(limit), ...present].filter(({ addresses }) =>
    addresses.length > 0
  );
  return {
    at: usable.findIndex(({ relay, port }) => keyOf({ relay, port }) === keyOf(me)),
    entries: usable,
  };
}
