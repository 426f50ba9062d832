/**
 * A room of a cluster: its roster in the bucket, which every relay writes by compare-and-set and applies in the same order,
 * and its members who are here.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { REASON } from "../protocol/frames.ts";
import type { Application, Resident } from "../relay/mod.ts";
import { Audience, type Outside, type Shown } from "./audience.ts";
import type { Bus, Entry, Written } from "./bus.ts";
import { Island } from "./island.ts";
import { isForeign } from "./keys.ts";
import { isSame, type Local, type Plan, planRoster } from "./roster_plan.ts";
import { decodeRoster, encodeRoster, type RosterValue } from "./values.ts";

/** After a conflict the watch tells what is there, or else it is asked for. */
const WATCH_MS = 50;
/** Between two questions that get no answer. */
const PAUSE_MS = 200;
/** A room in which nobody is left is purged. */
const EMPTY_MS = 5_000;
/** Members who have left and may still be in the roster. */
const MAX_DEPARTED = 1024;

const NOBODY: RosterValue = { entries: [], gone: [] };

/** What a room needs of its cluster; relays by R in hex, members by sid in hex. */
export interface Surroundings extends Outside {
  readonly bus: Bus;
  readonly capacity: number;
  /** Whether this relay may write rosters now. */
  readonly mayWrite: boolean;
  defer(action: () => void): void;
  seal(key: string, plain: Bytes): Bytes;
  open(key: string, value: Uint8Array): { readonly plain: Bytes };
  isDead(relay: string): boolean;
  /** Finds out about a relay of which nothing is known. */
  ask(relay: string): void;
  /** Nobody is here any more who was told that these have left. */
  forgetGone(sids: readonly string[]): void;
  /** A member of another relay is in the room, for those who are here. */
  appeared(room: SharedRoom, member: Shown): void;
  /** A compare-and-set was answered. */
  wrote(type: "written" | "conflict" | "unknown"): void;
  /** The room may have changed, and may be forgotten. */
  settled(room: SharedRoom): void;
}

/** One room, on all relays. */
export class SharedRoom {
  /** Its key in the bucket. */
  readonly key: string;
  readonly #around: Surroundings;
  #known = NOBODY;
  /** The newest revision seen. */
  #revision = 0;
  /** What a write has to expect. */
  #expected = 0;
  /** There is a value in the bucket. */
  #isThere = false;
  /** The value is not of this cluster. */
  #isDamaged = false;
  readonly #audience: Audience;
  /** Why those left who were here. */
  readonly #departed = new BoundedMap<string, number>(MAX_DEPARTED);
  /** Members of other relays whom an operator here has removed, by sid. */
  readonly #kicked = new Set<string>();
  /** What the room is while this relay is alone. */
  #island: Island | undefined;
  #isWriting = false;
  #emptyTimer: Timer | undefined;
  #changed: (() => void) | undefined;

  constructor(key: string, around: Surroundings) {
    this.key = key;
    this.#around = around;
    this.#audience = new Audience(this, around);
  }

  /** The roster that counts here. */
  get roster(): RosterValue {
    return this.#island?.roster ?? this.#known;
  }

  /** How many members the roster has. */
  get size(): number {
    return this.roster.entries.length;
  }

  /** Nothing is left to remember. */
  get isIdle(): boolean {
    return !this.#isThere && this.#audience.locals.size === 0 && !this.#isWriting;
  }

  /** Whether the roster names somebody of this relay. */
  get hasOwn(): boolean {
    return this.#known.entries.some(({ relay }) => relay === this.#around.relay);
  }

  /** A member of another relay is shown to those here. */
  appeared(member: Shown): void {
    this.#around.appeared(this, member);
  }

  /** Whether somebody is a member here. */
  isMember(sid: string): boolean {
    return this.#audience.isMember(sid);
  }

  // --- Those who are here ---

  /** Somebody here wants to be a member. */
  join(member: Resident, application: Application): void {
    const before = this.roster.entries.find((entry) => isSame(entry, member))?.sid;
    this.#audience.add({ member, application, before });
    this.pump();
  }

  /** Somebody here has gone. */
  leave(member: Resident, why: number): void {
    if (!this.#audience.isHere(member.sid)) return;
    this.#departed.set(member.sid, why);
    this.#audience.leave(member, why);
    this.pump();
  }

  /** Another relay says that a member of its own has left. */
  takeLeft(sid: string, why: number, relay: string): void {
    this.#audience.takeLeft(sid, why, relay);
  }

  /** Removes an identity from all other relays. @returns Whether it is in the roster. */
  kick(fingerprint: Uint8Array): boolean {
    const found = this.roster.entries.filter((entry) => equalBytes(entry.fingerprint, fingerprint));
    for (const { sid, relay } of found) {
      if (relay !== this.#around.relay) this.#kicked.add(sid);
    }
    this.pump();
    return found.length > 0;
  }

  /** This relay was taken for dead, and has another name: everybody here has to come again, unless it is alone. */
  fence(): void {
    if (this.#island) return this.#rename(this.#island);
    this.#audience.endAll();
  }

  // --- A relay that is alone ---

  /** The bus is away for too long, and this relay has another name: it goes on with those who are here. */
  isolate(): void {
    this.#island ??= this.#makeIsland();
    this.#island.mayReturn = false;
    this.#rename(this.#island);
    this.#changed?.();
    this.#audience.apply();
    this.pump();
  }

  #makeIsland(): Island {
    return new Island(
      { ...this.#known, revision: this.#expected },
      this.#audience.split(),
    );
  }

  #rename(island: Island): void {
    island.rename(this.#around.relay);
    this.#audience.rename();
  }

  /** Whether those here have to come again when the relay is no longer alone. */
  get mustYield(): boolean {
    return this.#island?.mustYield(this.#expected) ?? false;
  }

  /** The bus is back. */
  rejoin(): void {
    if (!this.#island) return;
    this.#island.mayReturn = true;
    this.pump();
  }

  /** Those here come again, with sids of whom nobody was told that they have LEFT. */
  #yield({ parted }: Island): void {
    this.#island = undefined;
    this.#audience.endMembers();
    this.#around.forgetGone(parted);
    this.#audience.apply();
  }

  /** Writes the room as it is here, unless it has changed elsewhere. */
  async #return(island: Island): Promise<void> {
    if (island.mustYield(this.#expected)) return this.#yield(island);
    const { roster } = island;
    if (roster.entries.length === 0) return void (this.#island = undefined);
    const written = await this.#cas(encodeRoster(roster));
    if (written.type !== "written") return await this.#ask();
    if (!island.mayReturn) return; // it is alone again
    this.#island = undefined;
    if (written.revision <= this.#revision) return this.#audience.apply(); // the watch was quicker
    this.#isThere = true;
    this.#isDamaged = false;
    this.#set(roster, written.revision);
  }

  // --- The roster ---

  /** The watch tells what is in the bucket. */
  take(entry: Entry): void {
    if (entry.revision <= this.#revision) return;
    this.#accept(entry);
    this.pump();
  }

  /** Asks what is in the bucket, since the watch has told nothing. */
  async confirm(): Promise<void> {
    const entry = await this.#around.bus.get(this.key);
    if (!entry || this.#isWriting) return;
    this.#learn(entry);
    this.pump();
  }

  /** Takes an answer, which is as new as the question. @returns Whether it was news. */
  #learn(entry: Entry): boolean {
    const isNews = entry.revision > this.#revision ||
      entry.revision === 0 && (this.#expected > 0 || this.#isThere);
    if (isNews) this.#accept(entry);
    return isNews;
  }

  #accept({ value, revision }: Entry): void {
    this.#isThere = value !== undefined;
    this.#isDamaged = false;
    if (!value) this.#set(NOBODY, revision);
    else {
      try {
        this.#set(decodeRoster(this.#around.open(this.key, value).plain), revision);
      } catch (error) {
        if (!isForeign(error)) throw error;
        this.#isDamaged = true; // what was known is written again
        this.#set(this.#known, revision);
      }
    }
  }

  #set(known: RosterValue, revision: number): void {
    this.#known = known;
    this.#expected = revision;
    this.#revision = Math.max(this.#revision, revision);
    for (const sid of this.#kicked) {
      if (!known.entries.some((entry) => entry.sid === sid)) this.#kicked.delete(sid);
    }
    this.#around.clock.cancel(this.#emptyTimer);
    const isEmpty = this.#isThere && known.entries.length === 0;
    this.#emptyTimer = isEmpty
      ? this.#around.clock.after(EMPTY_MS, () => void this.#purge())
      : undefined;
    this.#changed?.();
    this.#audience.apply();
  }

  // --- Writing ---

  #plan(): Plan {
    const { relay, capacity, isAlive, isDead, ask } = this.#around;
    const plan = planRoster(this.roster, {
      relay,
      capacity,
      isDead,
      locals: this.#audience.locals,
      departed: this.#departed,
      kicked: this.#kicked,
    });
    for (const entry of plan.entries) if (!isAlive(entry.relay)) ask(entry.relay);
    const isRepaired = this.#isDamaged && !this.#island && this.#audience.locals.size > 0;
    return { ...plan, isChanged: plan.isChanged || isRepaired };
  }

  /** Writes what has to be written, one change after the other. */
  pump(): void {
    if (this.#isWriting) return;
    if (!this.#mayWrite || !this.#needsWork) return this.#around.settled(this);
    this.#isWriting = true;
    void this.#write();
  }

  get #mayWrite(): boolean {
    return this.#island !== undefined || this.#around.mayWrite;
  }

  get #mayReturn(): boolean {
    return this.#island?.mayReturn === true && this.#around.mayWrite;
  }

  get #needsWork(): boolean {
    const { isChanged, full, late } = this.#plan();
    return isChanged || full.length + late.length > 0 || this.#mayReturn;
  }

  async #write(): Promise<void> {
    // What comes in the same turn goes into one write.
    await new Promise<void>((resolve) => this.#around.defer(resolve));
    while (this.#mayWrite) {
      if (this.#mayReturn) {
        await this.#return(this.#island!);
        continue;
      }
      const plan = this.#plan();
      // A client tries again, and then it is known what it replaces.
      this.#refuseAll(plan.late, REASON.SHUTTING_DOWN);
      if (plan.isChanged) await this.#try(plan);
      else if (plan.full.length > 0) await this.#refuse(plan.full);
      else break;
    }
    this.#isWriting = false;
    this.#around.settled(this);
  }

  async #try(plan: Plan): Promise<void> {
    const island = this.#island;
    if (island) {
      island.roster = { entries: plan.entries, gone: plan.gone };
      this.#audience.apply();
      return this.#refuseAll(plan.full, REASON.FULL);
    }
    const mayPurge = plan.entries.length === 0 && plan.isOwn;
    const value = mayPurge ? undefined : encodeRoster(plan);
    const written = await this.#cas(value);
    if (written.type === "conflict") return await this.#waitForChange();
    if (written.type === "unknown") return await this.#ask();
    if (written.revision > this.#revision) {
      this.#isThere = value !== undefined;
      this.#isDamaged = false;
      this.#set(mayPurge ? NOBODY : plan, written.revision);
    }
    this.#refuseAll(plan.full, REASON.FULL); // by what was just written
  }

  async #cas(plain: Bytes | undefined): Promise<Written> {
    const { bus, seal, wrote } = this.#around;
    const written = await bus.write(this.key, plain && seal(this.key, plain), this.#expected);
    wrote(written.type);
    return written;
  }

  /** Nobody is refused by what may be old. */
  async #refuse(full: readonly Local[]): Promise<void> {
    if (this.#island) return this.#refuseAll(full, REASON.FULL);
    const entry = await this.#around.bus.get(this.key);
    if (!entry) return await this.#pause(PAUSE_MS);
    if (!this.#learn(entry)) this.#refuseAll(full, REASON.FULL);
  }

  #refuseAll(locals: readonly Local[], reason: number): void {
    for (const { member: { sid } } of locals) this.#audience.refuse(sid, reason);
  }

  /** Somebody else has written: the watch is about to tell what. */
  async #waitForChange(): Promise<void> {
    const expected = this.#expected;
    await this.#pause(WATCH_MS);
    if (this.#expected === expected) await this.#ask();
  }

  /** Asks what is in the bucket, until there is an answer. */
  async #ask(): Promise<void> {
    const entry = await this.#around.bus.get(this.key);
    if (entry) this.#learn(entry);
    else await this.#pause(PAUSE_MS);
  }

  /** Waits, at most until the roster changes. */
  #pause(delay: number): Promise<void> {
    const { clock } = this.#around;
    return new Promise((resolve) => {
      const done = () => {
        clock.cancel(timer);
        this.#changed = undefined;
        resolve();
      };
      const timer = clock.after(delay, done);
      this.#changed = done;
    });
  }

  async #purge(): Promise<void> {
    const { bus, mayWrite } = this.#around;
    if (this.#isWriting || !mayWrite) return;
    this.#isWriting = true;
    const written = await bus.write(this.key, undefined, this.#expected);
    this.#isWriting = false;
    if (written.type === "written") this.take({ key: this.key, value: undefined, ...written });
    else await this.confirm();
    this.pump();
  }

  /** Forgets everything. */
  close(): void {
    const { clock } = this.#around;
    this.#audience.close();
    clock.cancel(this.#emptyTimer);
    this.#changed?.();
  }
}
