/**
 * What was promised to whom: every message that was accepted, and what is said about it. Breaches are found as soon as
 * they happen, or at the end of the run.
 *
 * @module
 */

import { encodeHex } from "../../lib/base/bytes.ts";
import type { ChatEvent, SessionEvent } from "../../lib/session/events.ts";
import type { ChatMessage } from "../../lib/protocol/messages.ts";
import { KEEP_MS } from "../../lib/session/outbox.ts";
import { VIEW_WINDOW_MS } from "../../lib/view.ts";
import type { Place } from "./place.ts";

/** Limits are looked at about once a second. */
const TICK_SLACK_MS = 1_500;
/** Somebody may be gone for so long before the relay finds out. */
const SILENT_MS = 125_000;
/** Two members who were connected for so long, with nothing wrong anywhere, have sent each other everything. */
export const CALM_MS = 100_000;

/** A message that was accepted. */
export interface Sent {
  readonly id: string;
  /** Its number in the run, part of its text. */
  readonly number: number;
  readonly text: string;
  readonly action: boolean;
  readonly from: Place;
  /** The one fingerprint of a private message. */
  readonly to: string | undefined;
  readonly at: number;
  /** Its place among what the sender has seen. */
  readonly order: number;
  /** Processes that have to get it. */
  readonly places: Set<Place>;
  /** Processes lost some 10 minutes ago, of which either is right. */
  readonly unsure: Set<Place>;
  /** Processes that get nothing, since one of the two refuses the other's key. */
  readonly refused: Set<Place>;
  /** Processes whose instance the sender knew. */
  readonly met: ReadonlySet<Place>;
  delivered: number | undefined;
  /** When which fingerprint was given up. */
  readonly undelivered: Map<string, number>;
  /** There was nobody to send to. */
  nobody: boolean;
}

/** What the user is about to send. */
export type Draft = Pick<Sent, "text" | "number" | "action" | "to"> & Addressees;

/** Whom a message has to reach. */
export type Addressees = Pick<Sent, "places" | "unsure" | "refused">;

/** What the ledger has to know of the run. */
export interface Course {
  now(): number;
  /** Something is wrong: the run fails. */
  fail(what: string): void;
  /** So much was sent that limits of what is kept may have been reached. */
  readonly flooded: boolean;
}

/** All messages of a run. */
export class Ledger {
  readonly messages: Map<string, Sent> = new Map();
  #course: Course;
  #draft: Draft | undefined;

  constructor(course: Course) {
    this.#course = course;
  }

  /** Runs something that may accept a message. */
  accept(draft: Draft, say: () => void): void {
    this.#draft = draft;
    try {
      say();
    } finally {
      this.#draft = undefined;
    }
  }

  /** Whom a room message of this moment has to reach, as the sender's frames tell it. */
  addressees(from: Place): Addressees {
    const places = new Set(from.present());
    const unsure = new Set<Place>();
    for (const [place, since] of from.lost) {
      const over = this.#course.now() - since - KEEP_MS;
      if (over > TICK_SLACK_MS) continue;
      // Somebody of whom no instance is known counts by fingerprint only.
      const sure = over < -TICK_SLACK_MS && from.met.has(place);
      (sure ? places : unsure).add(place);
    }
    // Before its last connection it was lost, and the sender may not know that it was the same process that left.
    for (const place of from.left) {
      if (from.absences.has(place) || from.absence > 0) unsure.add(place);
    }
    for (const place of unsure) if (places.has(place)) unsure.delete(place);
    const refused = new Set<Place>();
    for (const place of [...places, ...unsure]) {
      const { strict } = from.identity;
      const isRefused = from.refuses(place);
      if (!isRefused && (!strict || strict.has(place.fingerprint))) continue;
      places.delete(place);
      unsure.delete(place);
      if (isRefused) refused.add(place);
    }
    return { places, unsure, refused };
  }

  /** Something was told to a user. */
  tell(place: Place, event: SessionEvent): void {
    switch (event.event) {
      case "sent":
        return this.#accepted(place, event.id);
      case "chat":
        return this.#shown(place, event);
      case "delivered":
        return this.#delivered(place, event.id, event.to);
      case "undelivered":
        return this.#undelivered(place, event.id, event.to);
    }
  }

  #accepted(from: Place, id: string): void {
    const draft = this.#draft;
    if (!draft) return this.#fail(`${from.name} sends ${id} by itself`);
    this.messages.set(id, {
      ...draft,
      id,
      from,
      met: new Set(
        // What is private goes to the roster's entry: to a process only if that has said which one it is.
        draft.to === undefined ? from.met : [...from.met].filter((place) => from.hasHeard(place)),
      ),
      at: this.#course.now(),
      order: from.nextOrder(),
      delivered: undefined,
      undelivered: new Map(),
      nobody: false,
    });
  }

  /** A message was taken out of its stream by a place. */
  taken(at: Place, from: Place | undefined, message: ChatMessage): void {
    const sent = this.messages.get(message.id);
    const what = `#${sent?.number} at ${at.name}`;
    if (!sent || sent.text !== message.text) return this.#fail(`${what}: nobody wrote that`);
    if (sent.from !== from) return this.#fail(`${what}: not from ${from?.name}`);
    if (at.taken.has(message.id)) return this.#fail(`${what}: twice`);
    const now = this.#course.now();
    at.taken.set(message.id, {
      at: now,
      view: encodeHex(message.view),
      late: message.late,
      shown: false,
    });
    if (sent.action !== message.action || (sent.to !== undefined) !== message.private) {
      return this.#fail(`${what}: other flags`);
    }
    this.#checkAddressed(sent, at, message.late);
    this.#checkLate(sent, at, message.late);
    this.#checkOrder(sent, at, message.late);
    const givenUp = sent.undelivered.get(at.fingerprint);
    if (givenUp !== undefined && this.#isFirm(sent, at)) {
      this.#fail(`${what}: delivered after it was reported as not delivered`);
    }
  }

  /** Whoever was addressed; or another process of the same person, if theirs was gone. */
  #checkAddressed(sent: Sent, at: Place, late: boolean): void {
    if (sent.places.has(at) || sent.unsure.has(at)) return;
    const twin = [...sent.places, ...sent.unsure].some((place) =>
      place.fingerprint === at.fingerprint && this.#mayMove(sent, place)
    );
    const isTheirs = sent.to === undefined || sent.to === at.fingerprint;
    if (twin && isTheirs && late) return;
    this.#fail(`#${sent.number} at ${at.name}: not addressed${late ? "" : ", and not late"}`);
  }

  /** Late is what was written before the receiver's sid came, or for another process; nothing else. */
  #checkLate(sent: Sent, at: Place, late: boolean): void {
    const entered = sent.from.entered.get(at.sid ?? "");
    if (entered === undefined) return; // what was on its way when the sender lost sight
    const isOld = sent.order < entered;
    const isMoved = sent.from.hasMissed(at, sent.at) || !sent.places.has(at);
    if (isOld ? late : !late || isMoved) return;
    this.#fail(`#${sent.number} at ${at.name}: ${late ? "" : "not "}late`);
  }

  #checkOrder(sent: Sent, at: Place, late: boolean): void {
    // What moved from another process comes after what was written later.
    const twins = this.#places.filter(({ fingerprint }) => fingerprint === at.fingerprint);
    if (late && twins.length > 1) return;
    for (const [id] of [...at.taken].slice(-100)) {
      const other = this.messages.get(id)!;
      if (other.from === sent.from && other.number > sent.number) {
        return this.#fail(`#${sent.number} at ${at.name}: after #${other.number}`);
      }
    }
  }

  /** A report of not being delivered is final, unless what was on its way could no longer be called back. */
  #isFirm(sent: Sent, at: Place): boolean {
    return sent.from.alive && !sent.from.left.has(at) && !this.#course.flooded;
  }

  #shown(at: Place, event: ChatEvent): void {
    const taken = at.taken.get(event.id);
    const sent = this.messages.get(event.id);
    const what = `#${sent?.number} at ${at.name}`;
    if (!taken || !sent) return this.#fail(`${event.id} at ${at.name}: shown, never received`);
    if (taken.shown) return this.#fail(`${what}: shown twice`);
    taken.shown = true;
    const wrong = event.text !== sent.text || event.fingerprint !== sent.from.fingerprint;
    if (wrong) return this.#fail(`${what}: shown as something else`);
    this.#checkView(sent, at, event);
  }

  #checkView(sent: Sent, at: Place, event: ChatEvent): void {
    const { view, at: takenAt } = at.taken.get(event.id)!;
    if (event.private) {
      if (event.view !== "same") this.#fail(`#${sent.number} at ${at.name}: private, view differs`);
      return;
    }
    const now = this.#course.now();
    const due = Math.max(takenAt + VIEW_WINDOW_MS, at.clock.wokenAt);
    if (now > due + 1) {
      this.#fail(`#${sent.number} at ${at.name}: shown too late`);
    }
    const same = at.sawView(view, takenAt - VIEW_WINDOW_MS, now);
    // Who ends shows what it has before the time for it is over.
    if (same !== (event.view === "same")) {
      this.#fail(
        `#${sent.number} at ${at.name}: view ${event.view}, but ${same ? "" : "never "}seen`,
      );
    }
  }

  #delivered(from: Place, id: string, to: readonly string[]): void {
    const sent = this.messages.get(id);
    const what = `#${sent?.number} of ${from.name} is "delivered"`;
    if (!sent || sent.from !== from) return this.#fail(`${what}, but was not written`);
    if (sent.delivered !== undefined) return this.#fail(`${what} twice`);
    if (sent.undelivered.size > 0 || sent.nobody) return this.#fail(`${what}, but also not`);
    sent.delivered = this.#course.now();
    const sure = new Set([...sent.places].map(({ fingerprint }) => fingerprint));
    const possible = new Set([...sent.unsure].map(({ fingerprint }) => fingerprint));
    for (const fingerprint of to) {
      if (!sure.has(fingerprint) && !possible.has(fingerprint)) {
        return this.#fail(`${what} to somebody who was not addressed`);
      }
    }
    for (const place of sent.places) {
      if (!to.includes(place.fingerprint)) return this.#fail(`${what}, not to ${place.name}`);
      if (place.taken.has(id)) continue;
      const excused = this.#isThere(from, place)
        ? this.#isExcused(sent, place)
        : this.hasTaker(sent, place);
      if (!excused) return this.#fail(`${what}, but ${place.name} does not have it`);
    }
  }

  /** Some process of a place's person has a message. */
  hasTaker(sent: Sent, { fingerprint }: Place): boolean {
    return this.#takers(sent, fingerprint).length > 0;
  }

  /**
   * A message went to another process of the same person: one that had not been addressed, or any if this one's
   * instance was not known, so that it was only the person who was addressed.
   */
  #hasMoved(sent: Sent, place: Place): boolean {
    return this.#mayMove(sent, place) &&
      this.#takers(sent, place.fingerprint).some((twin) =>
        !sent.places.has(twin) || !sent.met.has(twin) || !sent.met.has(place)
      );
  }

  /** A place was gone since then; or it was before, and it was or is not known which process has come back. */
  #mayMove({ from, met, at }: Sent, place: Place): boolean {
    const isUnknown = !met.has(place) || !from.hasHeard(place);
    return from.hasMissed(place, at) ||
      isUnknown && (from.absence > 0 || from.everLost.has(place));
  }

  /** Messages flow from `from` to `place`. */
  #isThere(from: Place, place: Place): boolean {
    return from.alive && place.alive && from.session.membership.joined &&
      (from.peers.get(place.sid ?? "")?.live ?? false);
  }

  /** The places of a person that have taken a message. */
  #takers(sent: Sent, fingerprint: string): Place[] {
    return this.#places.filter((place) =>
      place.fingerprint === fingerprint && place.taken.has(sent.id)
    );
  }

  /** Every process there ever was. */
  readonly #places: Place[] = [];

  /** There is one more process. */
  add(place: Place): void {
    this.#places.push(place);
  }

  #undelivered(from: Place, id: string, to: readonly string[]): void {
    const sent = this.messages.get(id);
    const what = `#${sent?.number} of ${from.name} is "undelivered"`;
    if (!sent || sent.from !== from) return this.#fail(`${what}, but was not written`);
    if (sent.delivered !== undefined) return this.#fail(`${what} after "delivered"`);
    if (to.length === 0) {
      if (sent.places.size > 0) this.#fail(`${what} to nobody, but there was somebody`);
      sent.nobody = true;
      return;
    }
    for (const fingerprint of to) {
      const all = [...sent.places, ...sent.unsure, ...sent.refused];
      const theirs = all.filter((place) => place.fingerprint === fingerprint);
      if (theirs.length === 0) return this.#fail(`${what} to somebody who was not addressed`);
      sent.undelivered.set(fingerprint, this.#course.now());
      if (!from.alive || this.#course.flooded) continue;
      this.#checkGivenUp(sent, theirs.filter((place) => !sent.refused.has(place)), what);
    }
  }

  /** Nothing is given up for somebody who was there within the last 10 minutes, unless they left for good. */
  #checkGivenUp(sent: Sent, theirs: readonly Place[], what: string): void {
    const now = this.#course.now();
    if (theirs.length === 0) return; // never anybody's, as far as was known
    const { fingerprint } = theirs[0]!;
    if ([...sent.from.left].some((place) => place.fingerprint === fingerprint)) return;
    const since = now - KEEP_MS + TICK_SLACK_MS;
    const seemsLost = (place: Place) =>
      sent.from.lost.has(place) || sent.from.everLost.has(place) && !sent.from.hasHeard(place);
    if (sent.at > since && !theirs.some(seemsLost)) {
      return this.#fail(`${what} to ${theirs[0]!.name} after ${now - sent.at} ms`);
    }
    for (const place of theirs) {
      const gone = sent.from.goneFor(place);
      if (gone > 0 && gone + SILENT_MS < KEEP_MS) {
        return this.#fail(`${what} to ${place.name}, gone for ${gone} ms only`);
      }
      // Who was gone for too long has lost it, whoever of the same person it was kept for beyond that.
      const absence = sent.from.absences.get(place) ?? 0;
      if (absence >= KEEP_MS - TICK_SLACK_MS && sent.from.hasMissed(place, sent.at)) continue;
      if (sharedCalm(sent.from, place, { from: since, to: now }) >= CALM_MS) {
        this.#fail(`${what}, but ${place.name} was there`);
      }
    }
  }

  #fail(what: string): void {
    this.#course.fail(what);
  }

  /** What is still owed, once everybody who runs is connected again; nothing is said of the gone. */
  *owed(): Iterable<string> {
    for (const sent of this.messages.values()) {
      if (!sent.from.alive) continue;
      const pending = [...sent.places].filter((place) =>
        place.alive && !this.#isSettled(sent, place)
      );
      for (const place of pending) {
        yield `#${sent.number} of ${sent.from.name} is not at ${place.name}, and nobody was told`;
      }
      const done = isReported(sent);
      // Somebody lost may be waited for, also somebody refused whose refusal has not been heard again, or never was:
      // one with another password says nothing, and a CLOSE may come when its handshake is forgotten.
      const isAwaited = sent.unsure.size > 0 ||
        [...sent.refused].some((place) =>
          !place.alive || sent.from.everLost.has(place) ||
          !sent.from.peers.get(place.sid ?? "")?.refused
        );
      if (done || isAwaited) continue;
      if ([...sent.places].every((place) => this.#isDone(sent, place))) {
        yield `#${sent.number} of ${sent.from.name} is everywhere, and not reported as delivered`;
      }
    }
  }

  /** A place has a message; or it is gone, and another process of the same person has it. */
  #isDone(sent: Sent, place: Place): boolean {
    return place.alive ? place.taken.has(sent.id) : sent.from.lost.has(place) &&
      this.#takers(sent, place.fingerprint).some(({ alive }) => alive);
  }

  /** Nothing is kept for longer than 10 minutes for somebody who is gone, with all their processes. */
  checkKept(): void {
    for (const sent of this.messages.values()) {
      const { alive, clock } = sent.from;
      const isAwake = !clock.asleep && this.#course.now() - clock.wokenAt > TICK_SLACK_MS;
      if (!alive || !isAwake || isReported(sent)) continue;
      for (const { fingerprint, name } of sent.places) {
        const all = [...sent.places, ...sent.unsure];
        const theirs = all.filter((place) => place.fingerprint === fingerprint);
        if (!theirs.every((place) => this.#isOverdue(sent, place))) continue;
        return this.#fail(`#${sent.number} is still kept for ${name}`);
      }
    }
  }

  #isOverdue(sent: Sent, place: Place): boolean {
    const since = sent.from.keepsSince(place);
    if (since === undefined || this.hasTaker(sent, place)) return false;
    const from = sent.from.lost.has(place) ? since : Math.max(since, sent.at);
    return this.#course.now() - from > KEEP_MS + 10 * TICK_SLACK_MS;
  }

  /** A place has a message, or its loss was reported, or another process of the same person has it instead. */
  #isSettled(sent: Sent, place: Place): boolean {
    if (place.taken.has(sent.id) || sent.undelivered.has(place.fingerprint)) return true;
    return this.#isExcused(sent, place);
  }

  /** Another process of the same person has it, and this one need not get it any more. */
  #isExcused(sent: Sent, place: Place): boolean {
    // Where both were addressed, it is kept for this one for 10 minutes all the same.
    const isGivenUp = sent.from.longestAbsence(place) >= KEEP_MS - TICK_SLACK_MS ||
      sent.from.left.has(place) ||
      this.#course.flooded;
    return this.#hasMoved(sent, place) || isGivenUp && this.hasTaker(sent, place);
  }

  /** What is missing when every process has ended. */
  *missing(): Iterable<string> {
    for (const sent of this.messages.values()) {
      if (sent.from.fate === "killed") continue;
      const what = `#${sent.number} of ${sent.from.name}`;
      if (!isReported(sent)) {
        yield `${what} was neither reported as delivered nor as not delivered`;
      }
      for (const { fingerprint, name } of sent.places) {
        if (sent.undelivered.has(fingerprint)) continue;
        if (this.#takers(sent, fingerprint).length > 0) continue;
        yield `${what} was lost for ${name}, and nobody was told`;
      }
    }
    for (const place of this.#places) {
      if (place.fate === "killed") continue;
      for (const [id, { shown }] of place.taken) {
        if (!shown) yield `#${this.messages.get(id)!.number} was not shown at ${place.name}`;
      }
    }
  }

  /** How often somebody did not get a message, and the sender was told. */
  get reported(): number {
    let count = 0;
    for (const { undelivered } of this.messages.values()) count += undelivered.size;
    return count;
  }
}

function isReported({ delivered, undelivered, nobody }: Sent): boolean {
  return delivered !== undefined || undelivered.size > 0 || nobody;
}

/** The longest time for which both were members and nothing was wrong. */
function sharedCalm(a: Place, b: Place, within: { from: number; to: number }): number {
  let longest = 0;
  for (const mine of a.calm) {
    for (const theirs of b.calm) {
      const from = Math.max(mine.from, theirs.from, within.from);
      const to = Math.min(mine.to, theirs.to, within.to);
      longest = Math.max(longest, to - from);
    }
  }
  return longest;
}
