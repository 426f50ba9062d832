/**
 * Turns what members send, and their coming and going, into session events (PROTOCOL.md §6, §8, §9).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeUtf8, equalBytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { REASON } from "../protocol/frames.ts";
import { decodeFingerprint, encodeFingerprint, type PublicKey } from "../protocol/identity.ts";
import { NICKS_PER_MINUTE, STREAMS_REMEMBERED, WEAK_BELOW_BITS } from "../protocol/limits.ts";
import type { ChatMessage, NoteMessage } from "../protocol/messages.ts";
import { foldNick, showNick } from "../protocol/names.ts";
import type { LeftEvent, SessionEvent } from "./events.ts";
import type { Given, Inbox, ViewVerdict } from "./inbox.ts";
import type { KnownPeers } from "./known_peers.ts";
import { NickLimit } from "./nick_limit.ts";
import { ENTRY, ENTRY_FLAGS, type HistoryEntry } from "../protocol/history_entry.ts";
import { isoTime, marksOf } from "./entry_events.ts";
import type { Hearsay } from "./hearsay.ts";
import { Notes, otherSide, type ShownMessage, type ShownMessages } from "./notes.ts";
import type { ChannelEnd } from "./peer.ts";
import type { MemberMessage, SuccessionMessage } from "./peer_channel.ts";
import type { Witnesses } from "./recap.ts";
import { type Happening, NOBODY } from "./recorder.ts";
import type { Roster, RosterMember } from "./roster.ts";
import { isGreater, type Topic, type TopicMessage } from "./topic.ts";

/** In a channel that replaces a live one, HELLO means "not away" unless AWAY follows within this time, §6. */
const AWAY_FOLLOWS_MS = 5000;

interface MemberEventsOptions {
  readonly roster: Roster;
  readonly knownPeers: KnownPeers;
  readonly clock: Clock;
  readonly shown: ShownMessages;
  readonly topic: Topic;
  /** Our own fingerprint, `SHA256:…`. */
  readonly own: string;
  /** Our own fingerprint, 32 bytes. */
  readonly ownFingerprint: Bytes;
  emit(event: SessionEvent): Given;
  /** A message was shown. */
  showed(message: ShownMessage): void;
  /** Who is there while something comes from a member that may be handed on, §17. */
  witnesses(member: RosterMember): Witnesses | undefined;
  /** A member's message or note was shown. @param witnesses As they were when it came. */
  heard(happening: Happening, witnesses: Witnesses | undefined): void;
  record?: ((happening: Happening) => void) | undefined;
}

/** The topics of one person, which are shown at a limited rate, §10. */
interface TopicLimit {
  readonly window: SlidingWindow;
  /** The greatest that is left out for now. */
  leftOut: TopicMessage | undefined;
  timer: Timer | undefined;
}

/** Emits the events about members. */
export class MemberEvents {
  readonly #options: MemberEventsOptions;
  readonly #notes: Notes;
  readonly #topicLimits = new BoundedMap<string, TopicLimit>(STREAMS_REMEMBERED);
  readonly #nickLimit: NickLimit;
  readonly #awayTimers = new WeakMap<RosterMember, Timer>();

  constructor(options: MemberEventsOptions) {
    this.#options = options;
    this.#notes = new Notes(options);
    this.#nickLimit = new NickLimit(options.clock);
  }

  /**
   * HELLO: a member has joined, or has a new channel.
   *
   * @param hello.replaces The channel replaces a live one of the same instance.
   */
  greet(member: RosterMember, hello: { key: PublicKey; nick: string; replaces: boolean }): void {
    const { key, nick, replaces } = hello;
    member.id = key.id;
    member.weak = key.bits < WEAK_BELOW_BITS;
    member.person.nick = nick;
    if (member.announced) this.rename(member, nick);
    else this.#announce(member, nick);
    if (!replaces) return this.setAway(member, "");
    if (member.away === "") return;
    const timer = this.#options.clock.after(AWAY_FOLLOWS_MS, () => this.setAway(member, ""));
    this.#awayTimers.set(member, timer);
  }

  #announce(member: RosterMember, nick: string): void {
    const { roster, knownPeers, emit } = this.#options;
    member.nextNick = nick;
    member.nick = this.#nickLimit.take(member.name, nick, member.nick);
    member.announced = true;
    member.shown = true;
    const trust = roster.trust(member);
    member.isNew = trust === "new";
    member.toldTrust = trust;
    knownPeers.remember(member.name, member.nick);
    const shown = roster.shownNick(member);
    member.toldNick = shown;
    emit({
      event: "joined",
      nick: shown,
      fingerprint: member.name,
      trust,
      weak: member.weak,
    });
    this.#record(member, { type: ENTRY.CAME });
    this.#reportNamesakes(member, [shown]);
  }

  /** Tells whoever keeps a history what a member has done. */
  #record(
    { fingerprint, nick = "" }: RosterMember,
    happening: Pick<Happening, "type"> & Partial<Happening>,
  ): void {
    const plain = { sent: 0, flags: 0, text: "" };
    this.#options.record?.({ ...plain, fingerprint, nick, ...happening });
  }

  /**
   * Turns a message of a member into events: what has a seq in turn, the rest at once.
   *
   * @param pairView Computes our view of a private message: the two of us alone.
   */
  take(
    member: RosterMember,
    message: Exclude<MemberMessage, SuccessionMessage | { type: "file" | "own" }>,
    { inbox, pairView }: { inbox: Inbox; pairView: () => Bytes },
  ): void {
    switch (message.type) {
      case "chat":
        return this.#takeChat(member, message, { inbox, pairView });
      case "nick":
        member.person.nick = message.nick;
        return inbox.add({ seq: message.seq, give: () => this.rename(member, message.nick) });
      case "note":
        return this.#takeNote(member, message, inbox);
      case "gap":
        return this.#takeGap(member, message.next, inbox);
      case "away":
        return this.setAway(member, message.text);
      case "topic":
        return this.#takeTopic(member, message);
    }
  }

  #takeChat(
    member: RosterMember,
    message: ChatMessage,
    { inbox, pairView }: { inbox: Inbox; pairView: () => Bytes },
  ): void {
    const { seq, view, text } = message;
    const witnesses = this.#options.witnesses(member);
    const give = (verdict: ViewVerdict) => this.#giveChat(member, message, { verdict, witnesses });
    const isPair = () => equalBytes(view, pairView());
    inbox.add({
      seq,
      bytes: encodeUtf8(text).length,
      view: message.private ? (isPair() ? "same" : "differs") : view,
      give,
    });
  }

  #giveChat(
    member: RosterMember,
    message: ChatMessage,
    { verdict: view, witnesses }: { verdict: ViewVerdict; witnesses: Witnesses | undefined },
  ): Given {
    const { roster, shown, ownFingerprint, heard } = this.#options;
    const { id, time, reply, action, late, text } = message;
    // §6: an id is shown once, whichever instance sends it.
    if (shown.has(member.name, id)) return;
    const entry = {
      type: ENTRY.MESSAGE,
      sent: time,
      id,
      reply,
      fingerprint: member.fingerprint,
      to: message.private ? ownFingerprint : undefined,
      flags: (action ? ENTRY_FLAGS.ACTION : 0) | (message.private ? ENTRY_FLAGS.PRIVATE : 0) |
        (late ? ENTRY_FLAGS.LATE : 0) | (view === "differs" ? ENTRY_FLAGS.VIEW_DIFFERS : 0),
      nick: member.nick ?? "",
      text,
    };
    const given = this.#showMessage(entry, roster.shownNick(member));
    heard(entry, witnesses);
    return given;
  }

  /**
   * Shows a message.
   *
   * @param nick As shown.
   * @param missed Another terminal of the user's own has had it.
   */
  #showMessage(entry: Happening & { id: string }, nick: string, missed = false): Given {
    const { shown, emit, record, own } = this.#options;
    const { id, reply: reference, to, text, at } = entry;
    const fingerprint = encodeFingerprint(entry.fingerprint);
    const isOwn = fingerprint === own;
    const answered = reference === undefined ? undefined : shown.byReference(reference);
    const other = to && encodeFingerprint(to);
    const added = shown.add({ fingerprint: entry.fingerprint, name: fingerprint }, id, other);
    const { id: reply, of } = answered ? shown.name(answered) : {};
    const given = emit({
      event: "chat",
      id,
      nick,
      fingerprint,
      ...marksOf(entry),
      ...(reply !== undefined && { reply }),
      ...(of !== undefined && { of }),
      text,
      ...(isOwn && { own: true }),
      ...(isOwn && other !== undefined && { to: [other] }),
      ...(missed && at !== undefined && { missed: true, at: isoTime(at) }),
    });
    record?.(entry);
    this.showed(added);
    return given;
  }

  // What other terminals of the user's own tell.

  /** Whether a message has not been shown, and may be: what is private is with the user. */
  isNew({ id, fingerprint, to }: HistoryEntry): boolean {
    const { shown, own, ownFingerprint } = this.#options;
    const author = encodeFingerprint(fingerprint);
    const isMine = to === undefined || author === own || equalBytes(to, ownFingerprint);
    return isMine && !shown.has(author, id!);
  }

  /** Shows a message or a note of which another terminal tells, if it is new. @param entry.at By our clock. */
  showTold(entry: HistoryEntry, { missed }: { missed: boolean }): void {
    const nick = this.#nickOf(entry);
    if (entry.type === ENTRY.NOTE) return void this.#showNote(entry, nick, { missed });
    const { id } = entry;
    if (id !== undefined && this.isNew(entry)) this.#showMessage({ ...entry, id }, nick, missed);
  }

  /** Shows what others hand on. Nothing counts it as shown: its author may still send it. */
  showHearsay({ entry, by }: Hearsay): void {
    const { shown, emit } = this.#options;
    const answered = entry.reply === undefined ? undefined : shown.byReference(entry.reply);
    const { id: reply, of } = answered ? shown.name(answered) : {};
    emit({
      event: "chat",
      id: entry.id,
      nick: this.#nickOf(entry),
      fingerprint: encodeFingerprint(entry.fingerprint),
      ...marksOf(entry),
      ...(reply !== undefined && { reply }),
      ...(of !== undefined && { of }),
      text: entry.text,
      missed: true,
      at: isoTime(entry.at),
      hearsay: [...by],
    });
  }

  /** A note of the user's own was accepted. */
  noted({ reply, what, text }: Happening): void {
    this.#notes.stands(this.#options.own, { ref: reply!, what: what!, text });
  }

  #nickOf({ fingerprint, nick }: HistoryEntry): string {
    const { roster, own } = this.#options;
    const name = encodeFingerprint(fingerprint);
    if (name === own) return roster.ownNick;
    const member = roster.membersOf(name).find(({ shown }) => shown);
    return member ? roster.shownNick(member) : showNick(nick, name);
  }

  /** A message was shown, one of our own too: NOTEs may have waited for it. */
  showed(message: ShownMessage): void {
    this.#notes.shown(message);
    this.#options.showed(message);
  }

  #takeNote(member: RosterMember, note: NoteMessage, inbox: Inbox): void {
    const { fingerprint, nick = "" } = member;
    const { ref: reply, what, text } = note;
    const entry = { type: ENTRY.NOTE, sent: 0, reply, fingerprint, flags: 0, nick, what, text };
    const witnesses = this.#options.witnesses(member);
    const give = () => this.#showNote(entry, this.#options.roster.shownNick(member), { witnesses });
    inbox.add({ seq: note.seq, bytes: encodeUtf8(note.text).length, give });
  }

  /** @param nick As shown. @param how.missed Another terminal of the user's own has had it. */
  #showNote(
    entry: Happening,
    nick: string,
    { missed = false, witnesses }: { missed?: boolean; witnesses?: Witnesses | undefined },
  ): Given {
    const { shown, emit, record, heard, own } = this.#options;
    const { reply: ref, what, text, at } = entry;
    const fingerprint = encodeFingerprint(entry.fingerprint);
    const note = { ref: ref!, what: what!, text, ...(missed && at !== undefined && { at }) };
    return this.#notes.take(fingerprint, note, ({ message, what, text }) => {
      const isPrivate = message.other !== undefined;
      const isOwn = fingerprint === own;
      const other = isPrivate && isOwn ? otherSide(message, own) : own;
      const to = isPrivate ? decodeFingerprint(other) : undefined;
      const happening = { ...entry, to, flags: isPrivate ? ENTRY_FLAGS.PRIVATE : 0, text };
      record?.(happening);
      heard(happening, witnesses);
      const { id, of } = shown.name(message);
      return emit({
        event: "note",
        ref: id,
        ...(of !== undefined && { of }),
        what,
        nick,
        fingerprint,
        private: isPrivate,
        text,
        ...(isOwn && { own: true }),
        ...(isOwn && isPrivate && { to: [other] }),
        ...(missed && { missed: true }),
      });
    });
  }

  /** A member gave up messages before they arrived here. */
  #takeGap(member: RosterMember, next: number, inbox: Inbox): void {
    if (next <= inbox.taken) return;
    const count = inbox.skipTo(next);
    const give = () => {
      if (count === 0) return;
      const nick = this.#options.roster.shownNick(member);
      return this.#options.emit({ event: "lost", nick, fingerprint: member.name, count });
    };
    inbox.add({ seq: next - 1, give });
  }

  /** Shows and remembers a new nick; if there were too many, the last one follows as soon as there is room, §10. */
  rename(member: RosterMember, nick: string): void {
    member.nextNick = nick;
    const taken = this.#nickLimit.take(member.name, nick, member.nick);
    if (taken === member.nick) return;
    const { roster, knownPeers, emit } = this.#options;
    const from = roster.shownNick(member);
    member.nick = taken;
    const trust = roster.trust(member);
    knownPeers.remember(member.name, taken);
    const shown = roster.shownNick(member);
    emit({ event: "nick", from, nick: shown, fingerprint: member.name });
    this.#record(member, { type: ENTRY.NICK, text: from });
    member.toldNick = shown;
    this.#reportNamesakes(member, [from, shown]);
    this.reportTrust([member]);
    if (trust === "conflict") {
      this.notice(`${shown} is a known nick, but with another key`, member.name);
    }
  }

  /** Shows the nicks that had to wait; call it about once a second. */
  tick(): void {
    for (const member of this.#options.roster.members.values()) {
      const { announced, nick, nextNick } = member;
      if (announced && nextNick !== undefined && nextNick !== nick) this.rename(member, nextNick);
    }
  }

  #takeTopic(member: RosterMember, topic: TopicMessage): void {
    const limit = this.#topicLimit(member.name);
    if (!this.#options.topic.isNewer(topic, this.#options.clock.wallTime())) return;
    if (limit.window.waitMs === 0) {
      limit.window.count();
      return this.#setTopic(topic);
    }
    if (isGreater(topic, limit.leftOut)) limit.leftOut = topic;
    this.#setTopicLater(limit);
  }

  #setTopic(topic: TopicMessage): void {
    const before = this.#options.topic.known?.text ?? "";
    this.#options.topic.known = topic;
    if (topic.text !== before) this.tellTopic(topic);
  }

  /** The room has another topic. */
  tellTopic({ text, time }: TopicMessage): void {
    const { emit, record } = this.#options;
    emit({ event: "topic", text });
    record?.({
      type: ENTRY.TOPIC,
      sent: time,
      fingerprint: NOBODY,
      flags: 0,
      nick: "",
      text,
    });
  }

  #topicLimit(fingerprint: string): TopicLimit {
    const limits = { limit: NICKS_PER_MINUTE, spanMs: 60_000 };
    const limit = this.#topicLimits.get(fingerprint) ?? {
      window: new SlidingWindow(this.#options.clock, limits),
      leftOut: undefined,
      timer: undefined,
    };
    this.#topicLimits.renew(fingerprint, limit);
    return limit;
  }

  /** The topic that was left out takes effect as soon as there is room. */
  #setTopicLater(limit: TopicLimit): void {
    const { clock, topic } = this.#options;
    limit.timer ??= clock.after(limit.window.waitMs, () => {
      limit.timer = undefined;
      if (limit.window.waitMs > 0) return this.#setTopicLater(limit);
      const greatest = limit.leftOut!;
      limit.leftOut = undefined;
      if (!topic.isNewer(greatest, clock.wallTime())) return; // what changes nothing is not counted
      limit.window.count();
      this.#setTopic(greatest);
    });
  }

  setAway(member: RosterMember, text: string): void {
    this.#options.clock.cancel(this.#awayTimers.get(member));
    if (text === member.away) return;
    member.away = text;
    const nick = this.#options.roster.shownNick(member);
    this.#options.emit({ event: "away", nick, fingerprint: member.name, text });
  }

  /** Reports the people in whose keys the trust has changed. */
  reportTrust(members: Iterable<RosterMember> = this.#options.roster.members.values()): void {
    const { roster, emit } = this.#options;
    const told = new Set<string>();
    for (const member of members) {
      const { name, toldTrust } = member;
      if (toldTrust === undefined || !member.shown) continue;
      const trust = member.toldTrust = roster.trust(member);
      if (trust === toldTrust || told.has(name)) continue;
      told.add(name);
      emit({ event: "trust", fingerprint: name, nick: roster.shownNick(member), trust });
    }
  }

  /** A member has left; nothing is emitted for one that was not shown. */
  reportLeft(member: RosterMember, why: LeftEvent["why"]): void {
    this.#options.clock.cancel(this.#awayTimers.get(member));
    if (!member.shown) return;
    const nick = this.#options.roster.shownNick(member);
    member.shown = false;
    member.announced = false;
    this.#options.emit({ event: "left", nick, fingerprint: member.name, why });
    this.#record(member, { type: ENTRY.WENT, text: why });
    this.#reportNamesakes(member, [nick]);
  }

  /** Reports those who are shown under another nick now because a member had or has the same. */
  #reportNamesakes(member: RosterMember, nicks: readonly string[]): void {
    const { roster, emit } = this.#options;
    const chosen = new Set(nicks.map(chosenNick));
    const isNamesake = (other: RosterMember) =>
      other !== member && other.shown && other.toldNick !== undefined &&
      chosen.has(chosenNick(other.toldNick));
    const namesakes = [...roster.members.values()].filter(isNamesake);
    if (namesakes.length === 0) return;
    const names = roster.shownNicks();
    for (const other of namesakes) {
      const [from, nick] = [other.toldNick!, names.get(other)];
      if (nick === undefined || nick === from) continue;
      other.toldNick = nick;
      emit({ event: "nick", from, nick, fingerprint: other.name });
    }
  }

  /** A channel was refused for good. */
  reportRefused(member: RosterMember, { reason, byUs }: ChannelEnd): void {
    const why = reason === REASON.NORMAL ? "left" : "removed";
    this.reportLeft(member, reason === REASON.REPLACED ? "replaced" : why);
    if (reason === REASON.WEAK_KEY) {
      this.notice(
        `${member.name} ${byUs ? "has a key" : "refuses this key as one"} that is too weak`,
        member.name,
      );
    } else if (reason === REASON.NOT_ALLOWED) {
      this.notice(`${member.name} does not allow this key`, member.name);
    }
  }

  /** @param about The fingerprint of the person whom it is about. */
  notice(text: string, about: string): void {
    this.#options.emit({ event: "notice", text, about });
  }
}

/** A shown nick without case and without what tells namesakes apart. */
function chosenNick(shown: string): string {
  return foldNick(shown.split("#", 1)[0]!);
}
