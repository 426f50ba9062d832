/**
 * What was promised to whom: every message that was accepted, and what is said about it (PROTOCOL.md §6). Breaches are
 * found as soon as they happen, or at the end of the run.
 *
 * @module
 */

import { encodeHex } from "../../lib/base/bytes.ts";
import type { ChatMessage, Message } from "../../lib/protocol/messages.ts";
import type { ChatEvent, SessionEvent } from "../../lib/session/events.ts";
import type { OutgoingChat } from "../../lib/session/outgoing.ts";
import type { PeerChannel } from "../../lib/session/peer_channel.ts";
import { VIEW_WINDOW_MS } from "../../lib/session/view_log.ts";
import type { Item } from "../../lib/session/streams.ts";
import { type Sight, TICK_SLACK_MS } from "./company.ts";
import type { Place } from "./place.ts";

/** What was written so long before a sid came is late for it, §6. */
const LATE_MS = 5_000;
/** A CLOSE(4) is due after this, and sent within the tick after it. */
const SLOW_MS = 30_000;
/** An ACK goes out within 1 s, §6. */
const ACK_MS = 1_000;

/** A copy for one instance. */
interface Holder {
  /** It was given to this instance because no other had acknowledged it. */
  readonly moved: boolean;
  /** Both to give it and not to is right. */
  readonly unsure: boolean;
}

/** A message at one person. */
interface Due {
  readonly isOwn: boolean;
  /** Both to send it and not to is right. */
  readonly unsure: boolean;
  readonly holders: Map<Place, Holder>;
  acked: boolean;
  /** When it was reported. */
  undelivered: number | undefined;
}

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
  /** When the user wrote it. */
  readonly writtenAt: number;
  /** In connected time. */
  readonly acceptedAt: number;
  readonly reply: string | undefined;
  /** By fingerprint. */
  readonly people: Map<string, Due>;
  delivered: number | undefined;
  /** There was nobody to send to. */
  nobody: boolean;
  /** What the session queued. */
  outgoing?: OutgoingChat;
  /** Who is sent it once more, against the rules. */
  readonly repeated: Set<Place>;
}

/** What the user is about to send. */
export type Draft = Pick<Sent, "text" | "number" | "action" | "to" | "reply">;

/** What the ledger has to know of the run. */
export interface Course {
  now(): number;
  /** Something is wrong: the run fails. */
  fail(what: string): void;
  /** So much was sent that limits of what is kept may have been reached. */
  readonly flooded: boolean;
  /** More to be looked at of a place that runs, once in a while. */
  look(place: Place): void;
}

type Waiting = Draft & { readonly writtenAt: number };

/** All messages of a run. */
export class Ledger {
  readonly messages: Map<string, Sent> = new Map();
  #course: Course;
  /** What is being handed to the session. */
  #draft: Waiting | undefined;
  /** By id, what the session has taken and not accepted yet. */
  readonly #waiting = new Map<string, Waiting>();
  /** What somebody has not acknowledged yet, by sender. */
  readonly #pending = new Map<Place, Set<Sent>>();
  /** Every process there ever was. */
  readonly #places: Place[] = [];

  constructor(course: Course) {
    this.#course = course;
  }

  /** There is one more process. */
  add(place: Place): void {
    this.#places.push(place);
    this.#pending.set(place, new Set());
  }

  #fail(what: string): void {
    this.#course.fail(what);
  }

  // --- Accepting ---

  /** Hands a message to the session of a place. @param say Returns its id; undefined if it was refused. */
  accept(from: Place, draft: Draft, say: () => string | undefined): void {
    const written = { ...draft, writtenAt: this.#course.now() };
    this.#draft = written;
    try {
      const id = say();
      if (id !== undefined && !this.messages.has(id)) {
        this.#waiting.set(id, written);
        from.settling.waits(id);
      }
    } finally {
      this.#draft = undefined;
    }
  }

  /** Something was told to a user. */
  tell(place: Place, event: SessionEvent): void {
    place.settling.look();
    switch (event.event) {
      case "sent":
        return this.#accepted(place, event.id, event.to);
      case "chat":
        return this.#shown(place, event);
      case "delivered":
        return this.#delivered(place, event.id, event.to);
      case "undelivered":
        return this.#undelivered(place, event.id, event.to);
      case "lost":
        return this.#lost(place, event);
      case "error":
        return this.#refused(place, event.ref);
    }
  }

  #accepted(from: Place, id: string, to: readonly string[]): void {
    const isWaiting = this.#waiting.has(id);
    const draft = this.#waiting.get(id) ?? this.#draft;
    this.#waiting.delete(id);
    if (!draft || this.messages.has(id)) return this.#fail(`${from.name} sends ${id} by itself`);
    const what = `#${draft.number} of ${from.name}`;
    const wrong = from.settling.accepted(id, isWaiting);
    if (wrong) return this.#fail(`${what} ${wrong}`);
    const people = this.#addressees(from, draft.to);
    const told = new Set(to);
    for (const [fingerprint, { unsure, isOwn }] of people) {
      if (told.delete(fingerprint)) {
        if (isOwn) return this.#fail(`${what} is for its own sender`);
      } else if (unsure) people.delete(fingerprint);
      else if (!isOwn) return this.#fail(`${what} is not for somebody who is shown or lost`);
    }
    if (told.size > 0) return this.#fail(`${what} is for somebody who is neither shown nor lost`);
    const sent: Sent = {
      ...draft,
      id,
      from,
      acceptedAt: from.company.now(),
      people,
      delivered: undefined,
      nobody: false,
      repeated: new Set(),
    };
    this.messages.set(id, sent);
    this.#pending.get(from)!.add(sent);
  }

  /** A private message that waited may not be sent to the one that it is for. */
  #refused(from: Place, ref: string | undefined): void {
    if (ref === undefined) return; // a NOTE about such a message
    const found = this.#waiting.entries().find(([, { text, to }]) => to && text === ref);
    if (!found) return this.#fail(`${from.name} refuses what was not written`);
    this.#waiting.delete(found[0]);
    from.settling.refused(found[0]);
  }

  /** Whom a message of this moment is for. */
  #addressees(from: Place, to: string | undefined): Map<string, Due> {
    const people = new Map<string, Due>();
    for (const sight of from.company.sights()) {
      const { fingerprint } = sight.place;
      const { strict } = from.identity;
      const certainty = from.company.counts(sight);
      if (certainty === "no" || (to !== undefined && fingerprint !== to)) continue;
      if (strict && !strict.has(fingerprint)) continue;
      const isUnsure = certainty === "unsure";
      const due = people.get(fingerprint) ?? {
        isOwn: fingerprint === from.fingerprint,
        unsure: true,
        holders: new Map(),
        acked: false,
        undelivered: undefined,
      };
      due.holders.set(sight.place, { moved: false, unsure: isUnsure });
      people.set(fingerprint, { ...due, unsure: due.unsure && isUnsure });
    }
    return people;
  }

  // --- Sending ---

  /** HELLO was taken: what no instance of the person has acknowledged is for this one, too. */
  greeted(from: Place, { place }: Sight): void {
    for (const sent of this.#pending.get(from)!) {
      const due = sent.people.get(place.fingerprint);
      if (!due || due.acked || due.undelivered !== undefined || due.holders.has(place)) continue;
      this.#sweep(sent, due);
      if (due.holders.size === 0) continue; // it is being given up
      const unsure = this.#isDying(sent, place.fingerprint) || this.#mayBeForgotten(sent, due);
      due.holders.set(place, { moved: true, unsure });
    }
  }

  /** Every copy for one's own other terminals may have been given up, which is never reported. */
  #mayBeForgotten(sent: Sent, { isOwn, holders }: Due): boolean {
    return isOwn &&
      holders.entries().every(([place, { unsure }]) =>
        unsure || this.#mayBeGivenUp(sent, sent.from.company.of(place)!)
      );
  }

  /** It is about to be given up for its age. */
  #isDying({ from, acceptedAt }: Sent, fingerprint: string): boolean {
    const { least } = from.company.keptMs(fingerprint);
    return from.company.now() - acceptedAt > least - TICK_SLACK_MS;
  }

  /** An item goes into a record for an instance. */
  sealing(
    from: Place,
    sight: Sight,
    { message, item, channel }: { message: Message; item: Item; channel: PeerChannel },
  ): void {
    if (!("seq" in message)) return;
    const { seq } = message;
    const { place: to } = sight;
    const id = message.type === "chat" ? message.id : undefined;
    if (sight.ids.has(seq) && sight.ids.get(seq) !== id) {
      return this.#fail(`${from.name} uses the number ${seq} for ${to.name} twice`);
    }
    sight.ids.set(seq, id);
    const written = sight.written.get(seq);
    if (written) written.at ??= sight.shownMs(this.#course.now());
    else {
      const at = sight.shownMs(this.#course.now());
      sight.written.set(seq, { id, acceptedAt: item.acceptedAt, at });
    }
    if (message.type === "chat") this.#checkSealed(from, sight, { message, item, channel });
  }

  #checkSealed(
    from: Place,
    { place: to }: Sight,
    { message, item, channel }: { message: ChatMessage; item: Item; channel: PeerChannel },
  ): void {
    const sent = this.messages.get(message.id);
    const what = `#${sent?.number} of ${from.name} for ${to.name}`;
    if (!sent || sent.from !== from) return this.#fail(`${what}: nobody wrote that`);
    sent.outgoing = item.message as OutgoingChat;
    if (sent.repeated.has(to)) return;
    const due = sent.people.get(to.fingerprint);
    const holder = due?.holders.get(to);
    if (!due) return this.#fail(`${what}: not addressed`);
    if (due.undelivered !== undefined) return this.#fail(`${what}: sent after it was given up`);
    if (!holder) return this.#fail(`${what}: another instance has it already`);
    const listedAt = from.listed.get(from.company.sidOf(channel) ?? "") ?? -Infinity;
    const isLate = holder.moved || sent.writtenAt < listedAt - LATE_MS;
    if (holder.unsure) return;
    if (message.late !== isLate) this.#fail(`${what}: ${isLate ? "not " : ""}late`);
  }

  /** GAP: what is skipped must have been given up. */
  skipping(from: Place, sight: Sight, next: number): void {
    for (const [seq, { id }] of [...sight.written]) {
      if (seq >= next) continue;
      const sent = id === undefined ? undefined : this.messages.get(id);
      const due = sent?.people.get(sight.place.fingerprint);
      if (sent && due?.holders.has(sight.place) && !this.#mayBeGivenUp(sent, sight)) {
        return this.#fail(`#${sent.number} of ${from.name} is left out for ${sight.place.name}`);
      }
      sight.written.delete(seq);
    }
  }

  /** ACK was taken. */
  acked(from: Place, sight: Sight, received: number): void {
    const now = this.#course.now();
    for (const [seq, { id }] of [...sight.written]) {
      if (seq > received) continue;
      sight.written.delete(seq);
      const sent = id === undefined ? undefined : this.messages.get(id);
      const due = sent?.people.get(sight.place.fingerprint);
      if (!due) continue;
      const { place } = sight;
      const taken = place.taken.get(id!);
      if (!taken?.shown && now > 0) {
        return this.#fail(`#${sent!.number} of ${from.name}: ${place.name} has not shown it`);
      }
      due.acked ||= due.undelivered === undefined;
      due.holders.delete(place);
    }
  }

  /** CLOSE(4) is sent: something was not acknowledged in time. */
  givingUpOn(from: Place, channel: PeerChannel): void {
    const sight = from.company.with(channel);
    const now = this.#course.now();
    const isLive = sight?.live.has(channel) ?? false;
    if (!isLive && now - channel.startedAt < SLOW_MS) {
      return this.#fail(`${from.name} ends a channel too early`);
    }
    if (!sight) return; // HELLO has not arrived
    sight.everSlow = true;
    if (isLive && sight.oldestMs(now) < SLOW_MS && !this.#course.flooded) {
      this.#fail(`${from.name} waits for ${sight.place.name} for less than 30 s`);
    }
    for (const written of sight.written.values()) written.at = undefined;
  }

  // --- Receiving ---

  /** A message with a seq is about to be taken by a place. */
  taking(at: Place, from: Place, message: Message): void {
    const inbox = at.inbox(from);
    if (message.type === "gap") {
      if (message.next <= inbox.taken) return;
      if (inbox.ever) inbox.missed += message.next - 1 - inbox.taken;
      inbox.taken = message.next - 1;
      return;
    }
    if (!("seq" in message)) return;
    const what = `${message.type} ${message.seq} of ${from.name} at ${at.name}`;
    if (message.seq > inbox.taken + 1) return this.#fail(`${what}: numbers are missing before it`);
    if (message.seq <= inbox.taken) return;
    inbox.taken = message.seq;
    inbox.ever = true;
    if (message.type === "chat") this.#taken(at, from, message);
  }

  #taken(at: Place, from: Place, message: ChatMessage): void {
    const sent = this.messages.get(message.id);
    const what = `#${sent?.number} at ${at.name}`;
    if (!sent || sent.text !== message.text) return this.#fail(`${what}: nobody wrote that`);
    if (sent.from !== from) return this.#fail(`${what}: not from ${from.name}`);
    if (sent.action !== message.action || (sent.to !== undefined) !== message.private) {
      return this.#fail(`${what}: other flags`);
    }
    if (at.taken.has(message.id)) {
      if (!sent.repeated.has(at)) this.#fail(`${what}: twice`);
      return;
    }
    at.taken.set(message.id, {
      at: this.#course.now(),
      seq: message.seq,
      view: encodeHex(message.view),
      late: message.late,
      shown: false,
    });
    at.inbox(from).chats.push({ seq: message.seq, id: message.id });
    if (!message.late) this.#checkOrder(sent, at);
  }

  #checkOrder(sent: Sent, at: Place): void {
    for (const [id, { late }] of [...at.taken].slice(-100)) {
      const other = this.messages.get(id)!;
      if (other.from === sent.from && other.number > sent.number && !late) {
        return this.#fail(`#${sent.number} at ${at.name}: after #${other.number}`);
      }
    }
  }

  /** An ACK goes out. */
  acknowledging(at: Place, from: Place, received: number): void {
    const inbox = at.inbox(from);
    const what = `${at.name} acknowledges ${received} of ${from.name}`;
    if (received > inbox.taken) return this.#fail(`${what}, but has taken ${inbox.taken}`);
    while (inbox.chats.length > 0 && inbox.chats[0]!.seq <= received) {
      const { id } = inbox.chats.shift()!;
      if (at.taken.get(id)!.seenAt === undefined) {
        return this.#fail(`${what}, but has not shown #${this.messages.get(id)!.number}`);
      }
    }
    inbox.acked = Math.max(inbox.acked, received);
  }

  #shown(at: Place, event: ChatEvent): void {
    const taken = at.taken.get(event.id);
    const sent = this.messages.get(event.id);
    const what = `#${sent?.number} at ${at.name}`;
    if (!taken || !sent) return this.#fail(`${event.id} at ${at.name}: shown, never received`);
    if (taken.shown) return this.#fail(`${what}: shown twice`);
    taken.shown = true;
    taken.shownAt = this.#course.now();
    const wrong = event.text !== sent.text || event.fingerprint !== sent.from.fingerprint;
    if (wrong) return this.#fail(`${what}: shown as something else`);
    const isForgotten = this.#course.flooded && event.reply === undefined;
    const isKnown = sent.reply !== undefined && at.knows(sent.reply, this.messages);
    if (!isForgotten && event.reply !== (isKnown ? sent.reply : undefined)) {
      return this.#fail(`${what}: shown as an answer to ${event.reply}`);
    }
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
    if (same !== (event.view === "same")) {
      this.#fail(
        `#${sent.number} at ${at.name}: view ${event.view}, but ${same ? "" : "never "}seen`,
      );
    }
  }

  #lost(at: Place, event: { fingerprint: string; count: number }): void {
    at.gaps.set(event.fingerprint, (at.gaps.get(event.fingerprint) ?? 0) + event.count);
    const missed = this.#missed(at, event.fingerprint);
    if (at.gaps.get(event.fingerprint)! > missed) {
      this.#fail(`${at.name} is told of more than the ${missed} messages that are lost`);
    }
  }

  /** What a place was skipped of a person. */
  #missed(at: Place, fingerprint: string): number {
    return this.#places.filter((from) => from.fingerprint === fingerprint)
      .reduce((sum, from) => sum + at.inbox(from).missed, 0);
  }

  // --- Reports ---

  #delivered(from: Place, id: string, to: readonly string[]): void {
    const sent = this.messages.get(id);
    const what = `#${sent?.number} of ${from.name} is "delivered"`;
    if (!sent || sent.from !== from) return this.#fail(`${what}, but was not written`);
    if (sent.delivered !== undefined) return this.#fail(`${what} twice`);
    if (sent.nobody) return this.#fail(`${what}, but also not`);
    sent.delivered = this.#course.now();
    const told = new Set(to);
    for (const [fingerprint, { isOwn, acked, undelivered }] of sent.people) {
      if (isOwn) continue;
      if (undelivered !== undefined) return this.#fail(`${what}, but also not`);
      if (!told.delete(fingerprint)) return this.#fail(`${what}, but not to everybody`);
      if (!acked) return this.#fail(`${what}, but somebody has not acknowledged it`);
    }
    if (told.size > 0) return this.#fail(`${what} to somebody who was not addressed`);
  }

  #undelivered(from: Place, id: string, to: readonly string[]): void {
    const sent = this.messages.get(id);
    const what = `#${sent?.number} of ${from.name} is "undelivered"`;
    if (!sent || sent.from !== from) return this.#fail(`${what}, but was not written`);
    if (sent.delivered !== undefined) return this.#fail(`${what} after "delivered"`);
    if (to.length === 0) {
      if ([...sent.people.values()].some(({ isOwn, unsure }) => !isOwn && !unsure)) {
        this.#fail(`${what} to nobody, but there was somebody`);
      }
      sent.nobody = true;
      return;
    }
    for (const fingerprint of to) {
      const due = sent.people.get(fingerprint);
      if (!due || due.isOwn) return this.#fail(`${what} to somebody who was not addressed`);
      if (due.acked) return this.#fail(`${what}, but was acknowledged`);
      if (due.undelivered !== undefined) return this.#fail(`${what} twice`);
      due.undelivered = this.#course.now();
      for (const [place, { unsure }] of due.holders) {
        const sight = from.company.of(place)!;
        if (unsure || this.#mayGiveUp(sent, sight)) continue;
        return this.#fail(`${what}, but ${place.name} may still get it`);
      }
      due.holders.clear();
    }
  }

  /** A copy may be given up now. */
  #mayGiveUp(sent: Sent, sight: Sight): boolean {
    const { from, acceptedAt } = sent;
    if (!from.alive || isOver(from, sight)) return true;
    const { least } = from.company.keptMs(sight.place.fingerprint);
    if (from.company.now() - acceptedAt >= least) return true;
    return this.#course.flooded && (!sight.shown || sight.everSlow);
  }

  /** A copy may have been given up by now. Only of the last one of a person, not one's own, is anything said. */
  #mayBeGivenUp(sent: Sent, sight: Sight): boolean {
    const wasLost = this.#course.flooded && sent.acceptedAt <= sight.foundAt;
    return wasLost || this.#mayGiveUp(sent, sight);
  }

  /** A process keeps nothing for an instance any more. */
  gaveUp(from: Place, { place }: Sight): void {
    for (const { people } of this.#pending.get(from)!) {
      people.get(place.fingerprint)?.holders.delete(place);
    }
  }

  /** Forgets the copies of those who have left for good, or were crowded out. */
  #sweep({ from }: Sent, due: Due): void {
    for (const place of [...due.holders.keys()]) {
      const sight = from.company.of(place)!;
      if (isOver(from, sight)) due.holders.delete(place);
    }
  }

  // --- What is late ---

  /** What had to be said or sent by now. */
  check(): void {
    for (const place of this.#places) {
      const { alive, clock } = place;
      const isAwake = !clock.asleep && this.#course.now() - clock.wokenAt > TICK_SLACK_MS;
      if (!alive || !isAwake) continue;
      const late = place.settling.check();
      if (late) this.#fail(`${place.name} ${late}`);
      for (const sent of this.#pending.get(place)!) this.#checkSent(sent);
      for (const sight of place.company.sights()) this.#checkSight(place, sight);
      if (place.company.connected) this.#checkAcks(place);
      this.#course.look(place);
    }
  }

  #checkSent(sent: Sent): void {
    const { from, people } = sent;
    const what = `#${sent.number} of ${from.name}`;
    const others = [...people.values()].filter(({ isOwn }) => !isOwn);
    const isDone = others.every(({ acked }) => acked) && others.length > 0;
    if (isDone && sent.delivered === undefined) {
      return this.#fail(`${what} is with everybody, and not reported as delivered`);
    }
    const age = from.company.now() - sent.acceptedAt;
    let isOver = true;
    for (const [fingerprint, due] of people) {
      const isOld = age > from.company.keptMs(fingerprint).most + TICK_SLACK_MS;
      if (!isOld && due.holders.size > 0) isOver = false;
      if (due.acked || due.undelivered !== undefined) continue;
      this.#sweep(sent, due);
      if (due.isOwn || this.#course.flooded) continue;
      if (due.holders.size === 0) return this.#fail(`${what} is with nobody, and not reported`);
      if (isOld) return this.#fail(`${what} is kept for too long`);
    }
    if (isOver) this.#pending.get(from)!.delete(sent);
  }

  #checkSight(from: Place, sight: Sight): void {
    const now = this.#course.now();
    const { least, most } = from.company.keptMs(sight.place.fingerprint);
    for (const [seq, { acceptedAt }] of sight.written) {
      if (from.company.now() - acceptedAt > most + TICK_SLACK_MS) sight.written.delete(seq);
    }
    if (!sight.shown || this.#course.flooded) return;
    if (![...sight.channels].some((channel) => sight.live.has(channel))) return;
    const isNew = now - sight.liveSince < 2 * TICK_SLACK_MS; // it may be old, and the channel new
    const keptFrom = from.company.now() - least + TICK_SLACK_MS; // what is older may be given up
    if (!isNew && sight.oldestMs(now, keptFrom) > SLOW_MS + 2 * TICK_SLACK_MS) {
      this.#fail(`${from.name} goes on waiting for ${sight.place.name}`);
    }
  }

  /** What was shown is acknowledged within a second. */
  #checkAcks(at: Place): void {
    const now = this.#course.now();
    for (const [from, inbox] of at.inboxes) {
      const sight = at.company.of(from);
      const first = inbox.chats[0];
      if (!first || !sight?.shown) continue;
      const { seenAt } = at.taken.get(first.id)!;
      const since = Math.max(seenAt ?? Infinity, at.clock.wokenAt);
      if (now - since > ACK_MS + TICK_SLACK_MS) {
        const { number } = this.messages.get(first.id)!;
        return this.#fail(`#${number} was shown at ${at.name} and not acknowledged`);
      }
    }
  }

  /** What is still owed, once everybody who runs is connected again; nothing is said of the gone. */
  *owed(): Iterable<string> {
    for (const [from, pending] of this.#pending) {
      if (!from.alive) continue;
      for (const sent of pending) {
        const { number, people } = sent;
        for (const { holders } of people.values()) {
          for (const [place, { unsure }] of holders) {
            if (unsure || !place.alive || from.refuses(place)) continue;
            if (this.#mayBeGivenUp(sent, from.company.of(place)!)) continue;
            yield `#${number} of ${from.name} is not at ${place.name}`;
          }
        }
      }
    }
    for (const at of this.#places) {
      if (!at.alive) continue;
      for (const from of this.#places) {
        const [missed, told] = [this.#missed(at, from.fingerprint), at.gaps.get(from.fingerprint)];
        if (missed === (told ?? 0)) continue;
        yield `${at.name} misses ${missed} messages of ${from.name}, and was told ${told}`;
      }
    }
  }

  /** What is missing when every process has ended. */
  *missing(): Iterable<string> {
    for (const sent of this.messages.values()) {
      if (sent.from.fate === "killed") continue;
      const what = `#${sent.number} of ${sent.from.name}`;
      const others = [...sent.people].filter(([, { isOwn }]) => !isOwn);
      if (others.length === 0 && !sent.nobody) {
        yield `${what} was for nobody, and that was not said`;
      }
      for (const [fingerprint, { acked, undelivered, unsure }] of others) {
        if (!acked && undelivered === undefined && !unsure) {
          yield `${what} was neither reported as delivered nor as not delivered`;
        }
        const isShown = this.#places.some((place) =>
          place.fingerprint === fingerprint && place.taken.get(sent.id)?.shown
        );
        if (acked && !isShown) yield `${what} was acknowledged by somebody who has not shown it`;
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
    for (const { people } of this.messages.values()) {
      for (const { undelivered } of people.values()) if (undelivered !== undefined) count++;
    }
    return count;
  }
}

/** Nothing is kept for an instance any more. */
function isOver({ company }: Place, sight: Sight): boolean {
  return sight.gone || sight.dropped || company.isCrowdedOut(sight);
}
