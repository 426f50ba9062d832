/**
 * What terminals of one person tell each other: one's own private messages, what was read, and what one of them has
 * missed (PROTOCOL.md §17).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { unlessMalformed } from "../base/errors.ts";
import { ENTRY, ENTRY_FLAGS, type HistoryEntry } from "../protocol/history_entry.ts";
import { decodeFingerprint, encodeFingerprint } from "../protocol/identity.ts";
import {
  decodeOwnMessage,
  MAX_REFERENCES,
  MAX_WANT_SECONDS,
  OWN_FEATURE,
  type OwnMessage,
  SCOPE,
} from "../protocol/own_messages.ts";
import type { SessionEvent } from "./events.ts";
import { firstHandReference, inOrder } from "./given_entries.ts";
import { GIVEN_AT_ONCE_BYTES, type Giving, MAX_GIVEN_BYTES, newest, sendOwn } from "./giving.ts";
import { otherSide, type ShownMessage } from "./notes.ts";
import type { PeerChannel } from "./peer_channel.ts";
import { Recent } from "./recent.ts";
import type { Happening } from "./recorder.ts";
import type { RosterMember } from "./roster.ts";

/** So much before the connection was lost is asked for, too. */
const OVERLAP_MS = 600_000;
/** What is asked for where nobody knows since when something is missing. */
const UNKNOWN_MS = 24 * 3_600_000;
/** More time than this between two ticks: this computer slept. */
const MAX_TICK_MS = 5000;
/** How long the rest of what was asked for may take; and the least time between two WANTs of one program. */
export const WANT_MS = 60_000;
/** So much more than that is waited: what is sent travels at different speeds. */
const WANT_MARGIN_MS = 2000;
/** Programs of which it is remembered when they asked and were asked. */
const MAX_INSTANCES = 64;
/** Private conversations of which it is told how far they were read. */
const MAX_READ = 64;

interface OwnTerminalsOptions {
  readonly clock: Clock;
  readonly own: { readonly fingerprint: Bytes; readonly name: string };
  /** Nothing is given, and nothing asked for. */
  readonly isOff: boolean;
  nick(): string;
  members(): Iterable<RosterMember>;
  readonly giving: Giving;
  /** What one's own history has since a time, in ms since 1970. */
  logged(time: number): Promise<readonly HistoryEntry[]>;
  /** Whether a message is new here. */
  isNew(message: HistoryEntry): boolean;
  /** Shows a message or a note, if it is new. */
  show(entry: HistoryEntry, marks: { missed: boolean }): void;
  byReference(reference: string): ShownMessage | undefined;
  name(message: ShownMessage): { id: string; of?: string };
  record(happening: Happening): void;
  emit(event: SessionEvent): unknown;
}

/**
 * A time by both clocks: the calendar may be set back, and the other one may stand still while the computer sleeps, so
 * the one by which more has passed is right.
 */
interface Moment {
  /** In ms since 1970. */
  readonly wallTime: number;
  readonly now: number;
}

/** What was asked for. */
interface Asked {
  readonly channel: PeerChannel;
  readonly at: number;
  readonly entries: HistoryEntry[];
  bytes: number;
}

/** Up to where a conversation was read. */
interface ReadMark {
  /** The other side of private messages, `SHA256:…`; undefined for the room. */
  readonly other: string | undefined;
  readonly reference: string;
}

/** The other terminals of the user. */
export class OwnTerminals {
  readonly features: number;
  readonly #options: OwnTerminalsOptions;
  readonly #recent: Recent;
  /** Members whose channel has replaced no other: they are asked. */
  readonly #isFresh = new WeakSet<RosterMember>();
  /** When those are asked, by the clock: what comes too soon gets no answer. */
  readonly #due = new Map<RosterMember, { readonly at: number; readonly isLast: boolean }>();
  /** When a program was asked, by its instance. */
  readonly #askedAt = new BoundedMap<string, number>(MAX_INSTANCES);
  readonly #asked = new Map<RosterMember, Asked>();
  /** When a program was given something, by its instance. */
  readonly #givenAt = new BoundedMap<string, number>(MAX_INSTANCES);
  /** Since when something may be missing; undefined if nothing is. */
  #awaySince: Moment | "unknown" | undefined = "unknown";
  #tickedAt: Moment;
  readonly #read = new BoundedMap<string, ReadMark & { order: number }>(
    MAX_READ + 1,
    ({ other }) => other !== undefined,
  );
  /** Marks at messages that are not known yet. */
  readonly #waiting = new BoundedMap<string, ReadMark>(MAX_READ + 1);
  /** The marks of earlier runs were looked for in the user's own history. */
  #hasLoadedMarks = false;

  constructor(options: OwnTerminalsOptions) {
    this.#options = options;
    this.features = options.isOff ? 0 : OWN_FEATURE;
    this.#recent = new Recent(options.clock);
    this.#tickedAt = momentOf(options.clock);
  }

  /** Something was shown. */
  record(entry: HistoryEntry): void {
    if (!this.#options.isOff) this.#recent.add(entry); // else nobody is ever given it
  }

  /** A message or note of the user's own was accepted: what is private is copied. */
  accepted({ type, id, sent, reply, to, flags, what, text }: Happening): void {
    if (to === undefined || equalBytes(to, this.#options.own.fingerprint)) return;
    const action = (flags & ENTRY_FLAGS.ACTION) !== 0;
    const note = type === ENTRY.NOTE ? what : undefined;
    this.#tell({ type: "copy", id, time: sent, action, reply, to, what: note, text });
  }

  /** The user has seen everything up to a message. */
  read(message: ShownMessage): void {
    const mark = this.#advance(message);
    if (mark) this.#tell(readMessage(mark));
  }

  /** A message was shown, which a mark may have waited for. */
  shown(message: ShownMessage): void {
    for (const [key, mark] of this.#waiting) {
      if (mark.reference !== message.reference) continue;
      this.#waiting.delete(key);
      this.#takeMark(mark, message);
    }
  }

  // Channels.

  /** HELLO of a member, in a channel that replaces no other one of its program. */
  greet(member: RosterMember): void {
    this.#isFresh.add(member);
  }

  /** Messages flow. */
  ready(member: RosterMember): void {
    if (!this.#isOwn(member)) return;
    for (const mark of this.#marks()) sendOwn(member, readMessage(mark));
    if (!this.#isFresh.delete(member)) return;
    const askedAt = this.#askedAt.get(member.stream!.instance) ?? -Infinity;
    this.#due.set(member, { at: askedAt + WANT_MS + WANT_MARGIN_MS, isLast: false });
    this.#askDue();
  }

  #askDue(): void {
    const now = this.#options.clock.now();
    for (const [member, { at, isLast }] of this.#due) {
      const isOver = !this.#isOwn(member);
      if (!isOver && at > now) continue;
      this.#due.delete(member);
      if (isOver) continue;
      void this.#ask(member);
      // Others may have written before they knew of this terminal, and it may have come before the other had it all.
      const again = now + WANT_MS + WANT_MARGIN_MS;
      if (!isLast) this.#due.set(member, { at: again, isLast: true });
    }
  }

  take(member: RosterMember, bytes: Uint8Array): void {
    if (!this.#isOwn(member)) return;
    const message = unlessMalformed(() => decodeOwnMessage(bytes));
    if (!message) return; // it may not end a channel
    switch (message.type) {
      case "copy":
        return this.#takeCopy(message);
      case "read": {
        const { reference } = message;
        const other = message.other && encodeFingerprint(message.other);
        const known = this.#options.byReference(reference);
        if (known) return this.#takeMark({ other, reference }, known);
        return this.#waiting.renew(other ?? "", { other, reference });
      }
      case "want":
        return void this.#answer(member, message);
      case "give":
        return this.#takeGiven(member, message, bytes.length);
    }
  }

  /** The connection is gone. */
  disconnected(): void {
    this.#awaySince ??= this.#tickedAt;
  }

  /** Applies the time limits; call it about once a second. */
  tick(): void {
    const { clock } = this.#options;
    if (passedSince(this.#tickedAt, clock) > MAX_TICK_MS) this.#awaySince ??= this.#tickedAt;
    this.#tickedAt = momentOf(clock);
    for (const [member, { at }] of this.#asked) {
      if (clock.now() - at >= WANT_MS) this.#finish(member, { isWhole: false });
    }
    this.#askDue();
  }

  #isOwn({ name, peer }: RosterMember): boolean {
    const channel = peer?.channel;
    return name === this.#options.own.name && channel?.live === true &&
      (channel.features & this.features & OWN_FEATURE) !== 0;
  }

  #tell(message: OwnMessage): void {
    for (const member of this.#options.members()) if (this.#isOwn(member)) sendOwn(member, message);
  }

  // COPY and READ.

  #takeCopy({ id, time, action, reply, to, what, text }: OwnMessage & { type: "copy" }): void {
    const { clock, own, nick } = this.#options;
    const entry = {
      type: id === undefined ? ENTRY.NOTE : ENTRY.MESSAGE,
      at: Math.max(0, clock.wallTime()),
      sent: time,
      id,
      reply,
      fingerprint: own.fingerprint,
      to,
      flags: ENTRY_FLAGS.PRIVATE | (action ? ENTRY_FLAGS.ACTION : 0),
      nick: nick(),
      what,
      text,
    };
    this.#options.show(entry, { missed: false });
  }

  /** What is told of them: of a conversation the one that is known comes last, and counts. */
  #marks(): ReadMark[] {
    return [...this.#waiting.values(), ...this.#read.values()];
  }

  /** How far was read in earlier runs is told others, too. */
  #loadMarks(logged: readonly HistoryEntry[]): void {
    if (this.#hasLoadedMarks) return;
    this.#hasLoadedMarks = true;
    for (const { type, to, reply: reference } of logged) {
      if (type !== ENTRY.READ || reference === undefined) continue;
      const other = to && encodeFingerprint(to);
      const key = other ?? "";
      const known = this.#options.byReference(reference);
      if (known) this.#advance(known);
      else if (!this.#read.has(key)) this.#waiting.renew(key, { other, reference });
    }
    for (const mark of this.#waiting.values()) this.#tell(readMessage(mark));
  }

  #takeMark({ other }: ReadMark, message: ShownMessage): void {
    const { own, name, emit } = this.#options;
    if (other !== conversationOf(message, own.name) || !this.#advance(message)) return;
    emit({ event: "read", private: other ?? null, ...name(message) });
  }

  /** Moves the mark of a message's conversation there; undefined if it stands there or further on: it never goes back. */
  #advance(message: ShownMessage): ReadMark | undefined {
    const { reference, order } = message;
    const other = conversationOf(message, this.#options.own.name);
    const key = other ?? "";
    if (order <= (this.#read.get(key)?.order ?? -1)) return undefined;
    const mark = { other, reference, order };
    this.#read.renew(key, mark);
    this.#recordRead(mark);
    return mark;
  }

  #recordRead({ other, reference }: ReadMark): void {
    const { own, nick, record } = this.#options;
    record({
      type: ENTRY.READ,
      sent: 0,
      reply: reference,
      fingerprint: own.fingerprint,
      to: other === undefined ? undefined : decodeFingerprint(other),
      flags: 0,
      nick: nick(),
      text: "",
    });
  }

  // WANT and GIVE.

  async #ask(member: RosterMember): Promise<void> {
    const channel = member.peer!.channel!;
    const ms = this.#awaySince === "unknown" ? UNKNOWN_MS : this.#awayMs + OVERLAP_MS;
    const seconds = Math.min(Math.ceil(ms / 1000), MAX_WANT_SECONDS);
    const known = await this.#within(seconds * 1000);
    if (member.peer?.channel !== channel || !channel.live) return;
    const references = known.flatMap(firstHandReference).slice(-MAX_REFERENCES);
    const at = this.#options.clock.now();
    this.#askedAt.renew(member.stream!.instance, at);
    this.#asked.set(member, { channel, at, entries: [], bytes: 0 });
    sendOwn(member, { type: "want", scope: SCOPE.OWN, seconds, references });
  }

  /** For how long something may be missing, in ms; 0 if that is not known. */
  get #awayMs(): number {
    const since = this.#awaySince;
    return since === undefined || since === "unknown" ? 0 : passedSince(since, this.#options.clock);
  }

  async #answer(member: RosterMember, want: OwnMessage & { type: "want" }): Promise<void> {
    const channel = member.peer!.channel!;
    const { clock, giving } = this.#options;
    const { instance } = member.stream!;
    const isTooSoon = clock.now() - (this.#givenAt.get(instance) ?? -Infinity) < WANT_MS;
    if (want.scope !== SCOPE.OWN || isTooSoon || giving.isFull) return;
    this.#givenAt.renew(instance, clock.now());
    const known = new Set(want.references);
    const all = await this.#within(want.seconds * 1000);
    if (member.peer?.channel !== channel || !channel.live) return;
    const given = newest(all.filter((entry) => {
      if (entry.type === ENTRY.NOTE) return (entry.flags & ENTRY_FLAGS.HEARSAY) === 0;
      return firstHandReference(entry).some((reference) => !known.has(reference));
    }));
    const count = given.filter(({ type }) => type === ENTRY.MESSAGE).length;
    giving.add({ member, channel, entries: given, done: () => this.#reportGiven(member, count) });
  }

  #reportGiven(member: RosterMember, count: number): void {
    if (count === 0) return;
    const messages = count === 1 ? "1 message" : `${count} messages`;
    const terminal = `${member.nick}#${member.sid.slice(0, 4)}`;
    this.#options.emit({
      event: "notice",
      text: `another terminal of yours (“${terminal}”) has come and got ${messages}`,
      about: member.name,
    });
  }

  #takeGiven(
    member: RosterMember,
    { last, entries }: OwnMessage & { type: "give" },
    bytes: number,
  ): void {
    const asked = this.#asked.get(member);
    if (asked?.channel !== member.peer?.channel || asked === undefined) return;
    const now = this.#options.clock.wallTime();
    asked.bytes += bytes;
    // The other one counts without the heads of its messages.
    const isTooMuch = asked.bytes > MAX_GIVEN_BYTES + GIVEN_AT_ONCE_BYTES;
    if (!isTooMuch) {
      asked.entries.push(
        ...entries.map((entry) => ({ ...entry, at: Math.max(0, now - entry.at) })),
      );
    }
    if (last || isTooMuch) this.#finish(member, { isWhole: last });
  }

  /** Shows what was given. */
  #finish(member: RosterMember, { isWhole }: { isWhole: boolean }): void {
    const { clock, isNew, show, emit } = this.#options;
    const { entries } = this.#asked.get(member)!;
    this.#asked.delete(member);
    const now = clock.wallTime();
    const missed = inOrder(entries).filter((entry) => entry.type === ENTRY.NOTE || isNew(entry));
    const messages = missed.filter(({ type }) => type === ENTRY.MESSAGE);
    const [first] = messages;
    if (first) {
      const isKnown = this.#awaySince !== undefined && this.#awaySince !== "unknown";
      const ms = isKnown ? this.#awayMs : now - first.at;
      emit({
        event: "missed",
        from: "own",
        by: [member.name],
        count: messages.length,
        seconds: Math.max(0, Math.round(ms / 1000)),
      });
    }
    for (const entry of missed) show(entry, { missed: true });
    if (isWhole) this.#awaySince = undefined;
  }

  /** The references of the room's messages that were had first-hand since a time, in ms since 1970, the newest last. */
  async had(time: number): Promise<string[]> {
    const known = await this.#within(this.#options.clock.wallTime() - time);
    return known.filter(({ to }) => to === undefined).flatMap(firstHandReference);
  }

  /** What was shown in the last `ms`, here or in an earlier run, the oldest first. */
  async #within(ms: number): Promise<HistoryEntry[]> {
    const { clock, logged } = this.#options;
    // A history that cannot be read is said where it is used by the user.
    const before = await logged(clock.wallTime() - ms).catch(() => []);
    this.#loadMarks(before);
    return inOrder([...before, ...this.#recent.within(ms)]);
  }
}

function momentOf(clock: Clock): Moment {
  return { wallTime: clock.wallTime(), now: clock.now() };
}

/** How long ago that was, in ms. */
function passedSince({ wallTime, now }: Moment, clock: Clock): number {
  return Math.max(clock.wallTime() - wallTime, clock.now() - now);
}

function readMessage({ other, reference }: ReadMark): OwnMessage {
  return {
    type: "read",
    other: other === undefined ? undefined : decodeFingerprint(other),
    reference,
  };
}

/** With whom a message was, `SHA256:…`; undefined for the room. */
function conversationOf(message: ShownMessage, own: string): string | undefined {
  return message.other === undefined ? undefined : otherSide(message, own);
}
