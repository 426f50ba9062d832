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
import { isReactionNote } from "../protocol/messages.ts";
import {
  decodeOwnMessage,
  MAX_REFERENCES,
  MAX_WANT_SECONDS,
  OWN_FEATURE,
  type OwnMessage,
  SCOPE,
} from "../protocol/own_messages.ts";
import { messageReference } from "../protocol/references.ts";
import type { SessionEvent } from "./events.ts";
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
  readonly #recent = new Recent();
  /** Members whose channel has replaced no other: they are asked. */
  readonly #isFresh = new WeakSet<RosterMember>();
  /** When those may be asked, by the clock: what comes too soon gets no answer. */
  readonly #due = new Map<RosterMember, number>();
  /** When a program was asked, by its instance. */
  readonly #askedAt = new BoundedMap<string, number>(MAX_INSTANCES);
  readonly #asked = new Map<RosterMember, Asked>();
  /** When a program was given something, by its instance. */
  readonly #givenAt = new BoundedMap<string, number>(MAX_INSTANCES);
  /** Since when something may be missing, in ms since 1970: `-Infinity` if that is not known, undefined if nothing is. */
  #awaySince: number | undefined = -Infinity;
  #tickedAt: number;
  readonly #read = new BoundedMap<string, ReadMark & { order: number }>(
    MAX_READ + 1,
    ({ other }) => other !== undefined,
  );
  /** Marks at messages that are not known yet. */
  readonly #waiting = new BoundedMap<string, ReadMark>(MAX_READ + 1);

  constructor(options: OwnTerminalsOptions) {
    this.#options = options;
    this.features = options.isOff ? 0 : OWN_FEATURE;
    this.#tickedAt = options.clock.wallTime();
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
    for (const mark of this.#read.values()) sendOwn(member, readMessage(mark));
    if (!this.#isFresh.delete(member)) return;
    const askedAt = this.#askedAt.get(member.stream!.instance) ?? -Infinity;
    this.#due.set(member, askedAt + WANT_MS + WANT_MARGIN_MS);
    this.#askDue();
  }

  #askDue(): void {
    for (const [member, at] of this.#due) {
      const isOver = !this.#isOwn(member);
      if (!isOver && at > this.#options.clock.now()) continue;
      this.#due.delete(member);
      if (!isOver) void this.#ask(member);
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
    const now = this.#options.clock.wallTime();
    if (now - this.#tickedAt > MAX_TICK_MS) this.#awaySince ??= this.#tickedAt;
    this.#tickedAt = now;
    for (const [member, { at }] of this.#asked) {
      if (this.#options.clock.now() - at >= WANT_MS) this.#finish(member, { isWhole: false });
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
    const now = this.#options.clock.wallTime();
    const away = this.#awaySince ?? now;
    const since = away === -Infinity ? now - UNKNOWN_MS : away - OVERLAP_MS;
    const seconds = Math.min(Math.max(1, Math.ceil((now - since) / 1000)), MAX_WANT_SECONDS);
    const known = await this.#since(now - seconds * 1000);
    if (member.peer?.channel !== channel || !channel.live) return;
    const references = known.flatMap(firstHandReference).slice(-MAX_REFERENCES);
    const at = this.#options.clock.now();
    this.#askedAt.renew(member.stream!.instance, at);
    this.#asked.set(member, { channel, at, entries: [], bytes: 0 });
    sendOwn(member, { type: "want", scope: SCOPE.OWN, seconds, references });
  }

  async #answer(member: RosterMember, want: OwnMessage & { type: "want" }): Promise<void> {
    const channel = member.peer!.channel!;
    const { clock, giving } = this.#options;
    const { instance } = member.stream!;
    const isTooSoon = clock.now() - (this.#givenAt.get(instance) ?? -Infinity) < WANT_MS;
    if (want.scope !== SCOPE.OWN || isTooSoon || giving.isFull) return;
    this.#givenAt.renew(instance, clock.now());
    const known = new Set(want.references);
    const all = await this.#since(clock.wallTime() - want.seconds * 1000);
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
      const away = this.#awaySince ?? first.at;
      const since = away === -Infinity ? first.at : away;
      emit({
        event: "missed",
        from: "own",
        by: [member.name],
        count: messages.length,
        seconds: Math.max(0, Math.round((now - since) / 1000)),
      });
    }
    for (const entry of missed) show(entry, { missed: true });
    if (isWhole) this.#awaySince = undefined;
  }

  /** The references of the room's messages that were had first-hand since a time, in ms since 1970, the newest last. */
  async had(time: number): Promise<string[]> {
    const known = await this.#since(time);
    return known.filter(({ to }) => to === undefined).flatMap(firstHandReference);
  }

  /** What was shown since a time, here or in an earlier run, the oldest first. */
  async #since(time: number): Promise<HistoryEntry[]> {
    // A history that cannot be read is said where it is used by the user.
    const logged = await this.#options.logged(time).catch(() => []);
    return inOrder([...logged, ...this.#recent.since(time)]);
  }
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

/** Of a message that was not only told by others. */
function firstHandReference({ type, id, flags, fingerprint }: HistoryEntry): string[] {
  if (type !== ENTRY.MESSAGE || (flags & ENTRY_FLAGS.HEARSAY) !== 0) return [];
  return [messageReference(fingerprint, id!)];
}

/** Messages and notes by time, each message once; of one person's notes of a kind to one message the last. */
function inOrder(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const kept = new Map<string, HistoryEntry>();
  for (const entry of entries.toSorted((a, b) => a.at - b.at)) {
    const { type, id, reply, what = 0 } = entry;
    if (type !== ENTRY.MESSAGE && type !== ENTRY.NOTE) continue;
    const key = `${encodeFingerprint(entry.fingerprint)} ${
      id ?? `${reply} ${isReactionNote(what)}`
    }`;
    if (type === ENTRY.NOTE) kept.delete(key);
    if (!kept.has(key)) kept.set(key, entry);
  }
  return [...kept.values()];
}
