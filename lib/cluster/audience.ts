/**
 * Those of a room who are here, and what they are told of it: everybody sees the same order.
 *
 * @module
 */

import { encodeFrame, REASON, WHY } from "../protocol/frames.ts";
import type { Attendee, Resident } from "../relay/mod.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isSame, type Local } from "./roster_plan.ts";
import type { Gone, RosterEntry, RosterValue } from "./values.ts";

/** The last words of somebody who left another relay are on their way for so long at most. */
const LAST_WORDS_MS = 1_000;

/** A member of which the ones here know. */
export interface Shown extends Attendee {
  /** R of its relay. */
  readonly relay: string;
}

/** What those here need of the rest; relays by R in hex, members by sid in hex. */
export interface Outside {
  readonly clock: Clock;
  /** R of this relay. */
  readonly relay: string;
  isAlive(relay: string): boolean;
  /** Whether somebody has left: they never come back. */
  hasGone(sid: string): boolean;
  setGone(sid: string): void;
  /** A member of another relay is shown no longer. */
  vanished(sid: string): void;
  /** Somebody who was here has left. */
  left(sid: string, why: number, relays: ReadonlySet<string>): void;
}

/** Its room. */
interface Place {
  readonly roster: RosterValue;
  /** A member of another relay is shown to those here. */
  appeared(member: Shown): void;
}

/** The members of a room on this relay, and those who want to be. */
export class Audience {
  /** By sid. */
  readonly locals = new Map<string, Local>();
  readonly #room: Place;
  readonly #around: Outside;
  /** Everybody of whom those here know, themselves included, in the order they joined. */
  readonly #shown = new Map<string, Shown>();
  /** Whose LEFT is on its way, and until when it is waited for. */
  readonly #awaited = new Map<string, number>();
  #timer: Timer | undefined;

  constructor(room: Place, around: Outside) {
    this.#room = room;
    this.#around = around;
  }

  /** Whether somebody is a member, or wants to be. */
  isHere(sid: string): boolean {
    return this.locals.has(sid);
  }

  isMember(sid: string): boolean {
    const local = this.locals.get(sid);
    return local !== undefined && local.application === undefined;
  }

  // --- Those who are here ---

  /** Somebody wants to be a member; an earlier wish of the same client process is refused. */
  add(local: Local): void {
    for (const { member, application } of [...this.locals.values()]) {
      if (application && isSame(member, local.member)) this.refuse(member.sid, REASON.REPLACED);
    }
    this.locals.set(local.member.sid, local);
  }

  /** Somebody gets no WELCOME. */
  refuse(sid: string, reason: number): void {
    const application = this.locals.get(sid)?.application;
    if (!application) return;
    this.locals.delete(sid);
    application.refuse(reason);
  }

  /** The connection of somebody here has ended. */
  leave({ sid, room }: Resident, why: number): void {
    this.locals.delete(sid);
    if (this.#shown.delete(sid)) {
      this.#around.setGone(sid);
      if (!room.isClosing) this.#broadcast(encodeFrame({ type: "left", sid, why }));
      this.#tellRelays(sid, why);
    }
    if (this.locals.size === 0) this.#hideAll();
  }

  /** Everybody here has to come again. */
  endAll(): void {
    for (const local of [...this.locals.values()]) this.#end(local, WHY.LOST);
    this.#hideAll();
  }

  /** All members have to come again. */
  endMembers(): void {
    for (const local of [...this.locals.values()]) {
      if (!local.application) this.#end(local, WHY.LOST);
    }
    this.#hideAll();
  }

  /** Ends a connection here. */
  #end({ member, application }: Local, why: number): void {
    this.locals.delete(member.sid);
    if (application) return application.refuse(reasonOf(why));
    member.why = why;
    void member.connection.close(reasonOf(why));
  }

  #broadcast(frame: Uint8Array): void {
    for (const { member, application } of this.locals.values()) {
      if (!application) member.connection.send(frame);
    }
  }

  /** Others wait for this, which comes behind what that member sent last. */
  #tellRelays(sid: string, why: number): void {
    this.#around.left(sid, why, new Set(this.#shown.values().map(({ relay }) => relay)));
  }

  #hideAll(): void {
    for (const sid of this.#shown.keys()) this.#around.vanished(sid);
    this.#shown.clear();
    this.#awaited.clear();
    this.#around.clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  // --- Those who are elsewhere ---

  /** Another relay says that a member of its own has left. */
  takeLeft(sid: string, why: number, relay: string): void {
    const shown = this.#shown.get(sid);
    if (shown?.relay !== relay) return;
    this.#remove(shown, why);
    this.apply();
  }

  /** The members here, and the sids of those elsewhere of whom they know. */
  split(): { members: RosterEntry[]; parted: string[] } {
    const [members, parted]: [RosterEntry[], string[]] = [[], []];
    for (const [sid, { relay }] of this.#shown) {
      const member = this.locals.get(sid)?.member;
      if (!member) parted.push(sid);
      else {
        const { fingerprint, instance } = member;
        members.push({ sid, fingerprint, instance, relay });
      }
    }
    return { members, parted };
  }

  /** This relay has another R. */
  rename(): void {
    const { relay } = this.#around;
    for (const [sid, shown] of this.#shown) {
      if (this.isHere(sid)) this.#shown.set(sid, { ...shown, relay });
    }
  }

  /** Tells those here what is new. */
  apply(): void {
    if (this.locals.size === 0) return;
    const { hasGone, relay: own } = this.#around;
    const target = this.#room.roster.entries.filter(({ sid }) => !hasGone(sid));
    const present = new Set(target.map(({ sid }) => sid));
    const missing = [...this.#shown.values()].filter(({ sid }) => !present.has(sid));
    if (this.#awaitsLastWords(missing)) return;
    for (const shown of missing) {
      const gone = this.#goneOf(shown.sid);
      this.#remove(shown, gone?.why ?? WHY.LOST);
      if (gone?.by === own && shown.relay === own) this.#tellRelays(shown.sid, gone.why);
    }
    for (const { sid, why } of this.#room.roster.gone) {
      const local = this.locals.get(sid); // an applicant that was in the roster, unheard of here
      if (local) this.#end(local, why);
    }
    for (const entry of target) {
      if (this.#shown.has(entry.sid)) continue;
      if (entry.relay === own) this.#admit(entry);
      else this.#show(entry);
    }
  }

  #goneOf(sid: string): Gone | undefined {
    return this.#room.roster.gone.find((gone) => gone.sid === sid);
  }

  /** Whether a LEFT over a link is still to come, which follows what that member sent last. */
  #awaitsLastWords(missing: readonly Shown[]): boolean {
    const { clock, isAlive, relay: own } = this.#around;
    const now = clock.now();
    let until = -Infinity;
    for (const { sid, relay } of missing) {
      const isOnItsWay = relay !== own && isAlive(relay) && this.#goneOf(sid)?.by === relay;
      if (!isOnItsWay) continue;
      const end = this.#awaited.get(sid) ?? now + LAST_WORDS_MS;
      this.#awaited.set(sid, end);
      until = Math.max(until, end);
    }
    clock.cancel(this.#timer);
    this.#timer = undefined;
    if (until > now) this.#timer = clock.after(until - now, () => this.apply());
    return until > now;
  }

  #remove({ sid, relay }: Shown, why: number): void {
    this.#shown.delete(sid);
    this.#awaited.delete(sid);
    this.#around.setGone(sid);
    const local = this.locals.get(sid);
    if (local) this.#end(local, why);
    else if (relay !== this.#around.relay) this.#around.vanished(sid);
    this.#broadcast(encodeFrame({ type: "left", sid, why }));
    if (this.locals.size === 0) this.#hideAll();
  }

  #show({ sid, relay, ...entry }: RosterEntry): void {
    const fingerprint = entry.fingerprint.slice(); // outlives the roster, whose memory it shares
    const shown = { sid, fingerprint, relay };
    this.#shown.set(sid, shown);
    this.#broadcast(encodeFrame({ type: "joined", sid, fingerprint }));
    this.#room.appeared(shown);
  }

  #admit({ sid, relay }: RosterEntry): void {
    const local = this.locals.get(sid);
    const application = local?.application;
    if (!local || !application) return; // it has left, and is about to be taken out
    const { fingerprint } = local.member;
    const others = [...this.#shown.values()];
    // The others first: it may have sent something already.
    this.#broadcast(encodeFrame({ type: "joined", sid, fingerprint }));
    this.#shown.set(sid, { sid, fingerprint, relay });
    local.application = undefined;
    application.admit(others);
  }

  /** Forgets everything. */
  close(): void {
    this.#around.clock.cancel(this.#timer);
  }
}

/** The reason of the CLOSE for a member that another relay has taken out. */
function reasonOf(why: number): number {
  if (why === WHY.REPLACED) return REASON.REPLACED;
  return why === WHY.REMOVED ? REASON.REMOVED : REASON.SHUTTING_DOWN;
}
