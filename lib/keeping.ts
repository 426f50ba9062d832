/**
 * For whom things are kept as members come, go, and turn out to be somebody (PROTOCOL.md §6, "What a sender keeps",
 * "A restarted client").
 *
 * Knows nothing of records, views or what is shown.
 *
 * @module
 */

import type { Inbox, Stream } from "./session/peer_channel.ts";
import type { Clock } from "./base/clock.ts";
import type { Outbox } from "./session/outbox.ts";
import type { Member, Roster } from "./session/roster.ts";
import type { Target } from "./target.ts";
import { WHY } from "./protocol/frames.ts";

/** (fingerprint, instance) pairs whose counter is kept; §6 asks for the 1024 seen last. */
const MAX_INBOXES = 4096;
/** Those lost who still are addressees; a whole room fits, and strangers who come and go cannot pile up. */
export const MAX_LOST = 256;

/** What {@linkcode Keeping} needs. */
export interface KeepingOptions {
  readonly roster: Roster;
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** Sends what a member was just given. */
  pump(member: Member): void;
}

/** Ties the members of the roster to what is kept for them. */
export class Keeping {
  #options: KeepingOptions;
  #inboxes = new Map<string, Inbox>();
  /** What is kept for a member that was replaced, until its successor joins. */
  #replaced: Target | undefined;

  constructor(options: KeepingOptions) {
    this.#options = options;
  }

  /** What a newcomer gets: a waiting list, or what its predecessor had. */
  targetFor(name: string): Target {
    const target = this.#replaced;
    this.#replaced = undefined;
    const isKept = target?.fingerprint === name && target.lostAt !== undefined;
    if (!isKept) return this.#options.outbox.addWaiting(name);
    target.lostAt = undefined;
    return target;
  }

  /** HELLO has told a member's instance: from now on it has that instance's stream. */
  bind(member: Member, instance: string): Stream {
    const { roster, outbox, clock } = this.#options;
    const before = member.target;
    const adopt = !this.#expectsHello(member.name, member);
    const target = outbox.bind(before, instance, { adopt });
    if (adopt) { for (const heir of this.#heirs(member.name)) this.#give(heir, { orphans: true }); }
    member.target = target;
    if (before.instance !== undefined && before !== target && !roster.holds(before)) {
      before.lostAt = clock.now();
      this.#limitLost();
    }
    return { target, inbox: this.#inbox(`${member.name} ${instance}`) };
  }

  /** A member has no channel any more. */
  down({ name, target }: Member): void {
    const { roster, clock } = this.#options;
    const isHeld = roster.placesOf(name).some((other) =>
      other.target === target && other.peer?.live
    );
    if (!isHeld) target.downAt ??= clock.now();
  }

  /**
   * A member is out of the roster.
   *
   * @param why Of LEFT, §5.
   */
  part(member: Member, why: number): void {
    const { roster, outbox, clock } = this.#options;
    const { target } = member;
    if (roster.holds(target)) return; // its instance has a newer sid
    target.downAt ??= clock.now();
    target.lostAt = clock.now();
    if (why === WHY.REPLACED) { // §5: the same client's JOINED comes next
      this.#replaced = target;
      this.#limitLost(); // a relay may lie about who comes next
      return;
    }
    this.adopt(member.name);
    const isOver = why === WHY.LEFT || why === WHY.REMOVED || member.refused;
    if (isOver) outbox.retire(target);
    else outbox.settleAll(target);
    this.#limitLost();
  }

  /** A member was refused for good, §6; with it goes what waited for an earlier sid of its that never said HELLO. */
  refuse({ name, target }: Member): void {
    const { outbox } = this.#options;
    outbox.exclude(target);
    for (const lost of [...outbox.lost()]) {
      if (lost.fingerprint !== name || lost.instance !== undefined) continue;
      outbox.exclude(lost);
      outbox.retire(lost);
    }
  }

  /** Of too many who were lost, those that never were people are given up first, and then those lost first. */
  #limitLost(): void {
    const { outbox } = this.#options;
    const lost = [...outbox.lost()];
    if (lost.length <= MAX_LOST) return;
    lost.sort((a, b) => a.lostAt! - b.lostAt!);
    outbox.retire(lost.find(({ wasUp }) => !wasUp) ?? lost[0]!);
  }

  /** Something is kept for a member; before its HELLO also for the instances it may turn out to be. */
  holds({ name, target, announced }: Member): boolean {
    const others = announced ? [] : this.#options.outbox.lost();
    const targets = [target, ...others].filter(({ fingerprint }) => fingerprint === name);
    return targets.some(({ items }) => items.some(({ message }) => message !== undefined));
  }

  /** §6, "A restarted client": what is kept for instances that are gone goes to those that have a channel. */
  adopt(name: string): void {
    if (this.#expectsHello(name)) return;
    for (const [i, heir] of this.#heirs(name).entries()) this.#give(heir, { orphans: i > 0 });
  }

  #heirs(name: string): Member[] {
    return this.#options.roster.placesOf(name).filter(({ peer }) => peer?.channel?.stream);
  }

  #give(heir: Member, options: { orphans: boolean }): void {
    const { outbox, pump } = this.#options;
    outbox.adopt(heir.target, options);
    pump(heir);
  }

  /** Some place of this person may still turn out to be an instance that seems gone. */
  #expectsHello(name: string, except?: Member): boolean {
    return this.#options.roster.placesOf(name).some((member) =>
      member !== except && !member.announced && !member.warned && !member.refused
    );
  }

  #inbox(key: string): Inbox {
    const inbox = this.#inboxes.get(key) ?? { received: 0, took: false };
    this.#inboxes.delete(key);
    this.#inboxes.set(key, inbox); // the one seen last comes last
    if (this.#inboxes.size > MAX_INBOXES) {
      this.#inboxes.delete(this.#inboxes.keys().next().value!);
    }
    return inbox;
  }
}
