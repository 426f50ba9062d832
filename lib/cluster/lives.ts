/**
 * Which relays of a cluster live. Each has a lease in the bucket, which it renews by compare-and-set; whoever finds one not
 * renewed for long takes it away in the same manner, so that the relay learns of its own death by its next renewal.
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { Bus, Entry } from "./bus.ts";
import { isForeign } from "./keys.ts";
import { decodeLease, encodeLease, type Lease } from "./values.ts";

/** How often a relay renews its lease. */
export const LEASE_RENEW_MS = 2_000;
/** A lease that was not renewed for so long is taken away. */
const LEASE_MS = 6_000;
/** How often each relay is asked whether it is there. */
const PROBE_MS = 1_000;
/** For so long nobody has to answer before a relay counts as dead. */
const SURE_MS = 3_000;
/** Without a renewal of its own for so long a relay goes on alone: longer than servers of NATS take to elect who decides. */
const ALONE_MS = 20_000;
/** More than this between two calendars is a fault. */
const MAX_SKEW_MS = 60_000;
/** Dead relays that are remembered. */
const MAX_DEAD = 1024;
/** Leases are under `l.R`. */
export const PREFIX = "l.";

/** Another relay that lives. */
interface Other {
  /** Of its lease. */
  revision: number;
  /** When that was last renewed, as seen from here. */
  renewedAt: number;
  /** It was there before this relay, which has to be like it. */
  readonly isOlder: boolean;
  /** It was renewed since it was first seen, so that it does live. */
  isRenewed: boolean;
  /** Since when nobody listens to its inbox. */
  nobodySince: number | undefined;
  /** Nobody listened when it was asked last. */
  isAbsent: boolean;
  lease: Lease;
}

/** Options of {@linkcode Lives}. */
interface LivesOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly facts: Bytes;
  /** For logs. */
  readonly address: string;
  /** How many members this relay has. */
  members(): number;
  seal(key: string, plain: Bytes): Bytes;
  /** @throws {ProtocolError | DecryptError} It is not of this cluster. */
  open(key: string, value: Uint8Array): { writer: string; plain: Bytes };
  /** A relay was found to live. */
  onAlive(relay: string): void;
  /** A relay is dead, for ever. @param name What logs call it; undefined if it was never heard of. */
  onDead(relay: string, name: string | undefined): void;
  /** This relay has its lease. */
  onLease(): void;
  /** This relay was taken for dead: it needs another R. */
  onFenced(): void;
  /** This relay could not renew its lease for so long that it goes on alone; it needs another R. */
  onAlone(): void;
  /** This relay does not belong to the others. */
  onFault(error: UsageError): void;
  /** {@linkcode Lives.isSure} may have changed. */
  onNews(): void;
}

/** The leases of a cluster. */
export class Lives {
  readonly #options: LivesOptions;
  #relay: string;
  readonly #others = new Map<string, Other>();
  readonly #dead = new BoundedMap<string, true>(MAX_DEAD);
  readonly #asked = new Set<string>();
  /** Of the own lease; undefined before it is written. */
  #revision: number | undefined;
  /** The watch has told the own lease: who is new from then on came later. */
  #isSeen = false;
  /** Since when the leases of others are watched without a break. */
  #watchedSince = Infinity;
  /** Since when the own lease could not be renewed; Infinity once that was told. */
  #failingSince: number | undefined;
  /** Renewals under way: one that is not answered does not keep the next one waiting. */
  readonly #renewals = new Set<Promise<void>>();
  #renewalCount = 0;
  /** The number of the last that was answered well. */
  #lastRenewal = 0;
  #isClosed = false;
  #timers = new Map<string, Timer>();

  /** @param relay R of this relay, in hex. */
  constructor(relay: string, options: LivesOptions) {
    this.#relay = relay;
    this.#options = options;
  }

  /** R of this relay, in hex. */
  get relay(): string {
    return this.#relay;
  }

  /** R of the others that live, in hex. */
  get others(): string[] {
    return [...this.#others.keys()];
  }

  /** What the others that live say of themselves. */
  get leases(): Lease[] {
    return [...this.#others.values()].map(({ lease }) => lease);
  }

  /** What logs call a relay. */
  nameOf(relay: string): string {
    return this.#others.get(relay)?.lease.address || relay.slice(0, 8);
  }

  /** Whether this relay has its lease. */
  get hasLease(): boolean {
    return this.#revision !== undefined;
  }

  isAlive(relay: string): boolean {
    return relay === this.#relay || this.#others.has(relay);
  }

  isDead(relay: string): boolean {
    return this.#dead.has(relay);
  }

  /** Whether this relay has its lease, and every other that has one was seen to renew it. */
  get isSure(): boolean {
    return this.hasLease && this.#isSeen &&
      this.#others.values().every(({ isRenewed }) => isRenewed);
  }

  /** Begins to renew the own lease, and to look after the others. Call it once the watch has caught up. */
  start(): void {
    this.#repeat("renew", LEASE_RENEW_MS, () => this.#renew());
    this.#repeat("probe", PROBE_MS, () => this.#probe());
    this.#renew();
  }

  #repeat(name: string, delay: number, action: () => void): void {
    if (this.#isClosed) return;
    const { clock } = this.#options;
    this.#timers.set(
      name,
      clock.after(delay, () => {
        action();
        this.#repeat(name, delay, action);
      }),
    );
  }

  /** Begins anew as another relay. @param relay Its R, in hex. */
  restart(relay: string): void {
    this.#dead.set(this.#relay, true);
    this.#relay = relay;
    this.#revision = undefined;
    this.#failed();
    if (this.#timers.size > 0) this.#renew();
  }

  /** Begins anew as another relay that knows of no other. @param relay Its R, in hex. */
  isolate(relay: string): void {
    this.#others.clear();
    this.restart(relay);
  }

  /** The bus is connected again. */
  up(): void {
    this.#watchedSince = Infinity;
    if (this.#timers.size > 0) this.#renew();
  }

  // --- The own lease ---

  #renew(): void {
    if (this.#isClosed || !this.#options.bus.isUp) return this.#failed();
    const renewal = this.#write(++this.#renewalCount)
      .finally(() => this.#renewals.delete(renewal));
    this.#renewals.add(renewal);
  }

  async #write(number: number): Promise<void> {
    const { bus } = this.#options;
    const relay = this.#relay;
    const key = PREFIX + relay;
    const written = await bus.write(key, this.#ownLease(key), this.#revision ?? 0);
    if (relay !== this.#relay) return;
    if (written.type === "written") return this.#renewed(written.revision, number);
    if (this.#isClosed || number < this.#lastRenewal) return;
    this.#failed();
    if (written.type === "conflict") return await this.#findOwn(key, number);
    // It may be there, and be taken away before the next try, which would write it anew: R would be dead and alive.
    if (this.#revision === undefined) this.#options.onFenced();
  }

  #failed(): void {
    const now = this.#options.clock.now();
    this.#watchedSince = Infinity;
    this.#failingSince ??= now;
    if (now - this.#failingSince < ALONE_MS || this.#isClosed) return;
    this.#failingSince = Infinity;
    this.#options.onAlone();
  }

  #renewed(revision: number, number: number): void {
    const isFirst = this.#revision === undefined;
    if (revision <= (this.#revision ?? 0)) return;
    this.#revision = revision;
    this.#lastRenewal = Math.max(this.#lastRenewal, number);
    this.#failingSince = undefined;
    if (this.#isClosed) return;
    if (this.#watchedSince === Infinity) this.#watchedSince = this.#options.clock.now();
    if (isFirst) this.#options.onLease();
    this.#options.onNews();
    this.#bury();
  }

  #ownLease(key: string): Bytes {
    const { clock, facts, address, seal } = this.#options;
    const members = this.#options.members();
    return seal(key, encodeLease({ time: clock.wallTime(), facts, members, address }));
  }

  /** The own lease is not what was expected: an earlier write was not answered, or somebody took it away. */
  async #findOwn(key: string, number: number): Promise<void> {
    const entry = await this.#options.bus.get(key);
    if (!entry || this.#isClosed || key !== PREFIX + this.#relay) return;
    if (entry.value && this.#read(entry)) this.#renewed(entry.revision, number);
    else this.#options.onFenced();
  }

  // --- The others ---

  /** A lease has changed, or was found. @returns Whether the entry is one. */
  take(entry: Entry): boolean {
    if (!entry.key.startsWith(PREFIX)) return false;
    if (this.#isClosed) return true;
    const relay = entry.key.slice(PREFIX.length);
    if (relay === this.#relay) this.#takeOwn(entry);
    else if (entry.value === undefined) this.#die(relay);
    else this.#takeLease(relay, entry);
    return true;
  }

  #takeOwn({ value, revision }: Entry): void {
    if (this.#isClosed) return; // this relay has taken its lease away itself
    const isGone = value === undefined && this.#revision !== undefined && revision > this.#revision;
    if (isGone) return this.#options.onFenced();
    if (this.#isSeen || value === undefined) return;
    this.#isSeen = true;
    this.#options.onNews();
  }

  #takeLease(relay: string, entry: Entry): void {
    const lease = this.#read(entry);
    if (!lease || this.#dead.has(relay)) return;
    const now = this.#options.clock.now();
    const other = this.#others.get(relay);
    if (!other) {
      const { revision } = entry;
      this.#others.set(relay, {
        revision,
        renewedAt: now,
        isOlder: !this.#isSeen,
        isRenewed: false,
        nobodySince: undefined,
        isAbsent: false,
        lease,
      });
      return this.#options.onAlive(relay);
    }
    if (entry.revision <= other.revision) return;
    other.revision = entry.revision;
    other.renewedAt = now;
    other.lease = lease;
    this.#compare(other);
    other.isRenewed = true;
    this.#options.onNews();
  }

  #read({ key, value }: Entry): Lease | undefined {
    try {
      const { writer, plain } = this.#options.open(key, value!);
      return key === PREFIX + writer ? decodeLease(plain) : undefined;
    } catch (error) {
      if (isForeign(error)) return undefined;
      throw error;
    }
  }

  /**
   * Compares what this relay is with one that has just renewed its lease, and was there before. Nobody who comes later, and
   * no lease that the carrier shows again, ends a relay that has begun its work.
   */
  #compare({ lease, isOlder, isRenewed }: Other): void {
    if (isRenewed || !isOlder) return;
    const { clock, facts, onFault } = this.#options;
    const place = lease.address === "" ? "another server" : lease.address;
    if (!equalBytes(lease.facts, facts)) {
      onFault(
        new UsageError(`the password or the capacity of this server is not that of ${place}`, [
          "all servers of a cluster have the same --capacity, and the same password or join key",
        ]),
      );
    } else if (Math.abs(lease.time - clock.wallTime()) > MAX_SKEW_MS) {
      onFault(
        new UsageError(`the clock of this computer and that of ${place} differ by over a minute`, [
          "set both by NTP: bans end by them",
        ]),
      );
    }
  }

  #probe(): void {
    const { bus, clock } = this.#options;
    const now = clock.now();
    for (const [relay, other] of this.#others) {
      if (!other.isAbsent) other.nobodySince = undefined;
      other.isAbsent = false;
      if (bus.isUp) bus.probe(relay);
      const { nobodySince } = other;
      if (nobodySince !== undefined && now - nobodySince >= SURE_MS && this.#isWatching) {
        void this.#end(relay, other);
      }
    }
  }

  /** Nobody listens to a relay's inbox. */
  nobody(relay: string): void {
    const other = this.#others.get(relay);
    if (!other) return;
    other.isAbsent = true;
    other.nobodySince ??= this.#options.clock.now();
  }

  /** Whether this relay can tell that others do not renew: it does so itself. */
  get #isWatching(): boolean {
    return this.#watchedSince < Infinity && this.hasLease;
  }

  /** Ends the leases that were not renewed. */
  #bury(): void {
    const now = this.#options.clock.now();
    for (const [relay, other] of this.#others) {
      const since = Math.max(other.renewedAt, this.#watchedSince);
      if (now - since >= LEASE_MS) void this.#end(relay, other);
    }
  }

  async #end(relay: string, { revision }: Other): Promise<void> {
    const { bus } = this.#options;
    const key = PREFIX + relay;
    const written = await bus.write(key, undefined, revision);
    if (this.#isClosed) return;
    if (written.type === "written") return this.#die(relay);
    const entry = await bus.get(key);
    if (entry && !this.#isClosed) this.take(entry);
  }

  #die(relay: string): void {
    if (this.#dead.has(relay)) return;
    this.#dead.set(relay, true);
    const name = this.nameOf(relay);
    const wasAlive = this.#others.delete(relay);
    this.#options.onDead(relay, wasAlive ? name : undefined);
    this.#options.onNews();
  }

  /** Finds out about a relay that was never heard of, and has members. */
  ask(relay: string): void {
    if (this.isAlive(relay) || this.#dead.has(relay) || this.#asked.has(relay)) return;
    this.#asked.add(relay);
    void this.#options.bus.get(PREFIX + relay).then((entry) => {
      this.#asked.delete(relay);
      if (entry && !this.#isClosed) this.take(entry);
    });
  }

  /** The watch has told every lease there is. @param found The keys that it told. */
  caughtUp(found: ReadonlySet<string>): void {
    for (const relay of this.#others.keys()) {
      if (!found.has(PREFIX + relay)) void this.#confirm(relay);
    }
  }

  async #confirm(relay: string): Promise<void> {
    const entry = await this.#options.bus.get(PREFIX + relay);
    if (entry && !this.#isClosed) this.take(entry);
  }

  /** Takes the own lease away, and does nothing more: this relay ends. */
  async resign(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) this.#options.clock.cancel(timer);
    this.#timers.clear();
    await Promise.all(this.#renewals); // they may change the revision
    if (this.#revision === undefined) return;
    await this.#options.bus.write(PREFIX + this.#relay, undefined, this.#revision);
  }
}
