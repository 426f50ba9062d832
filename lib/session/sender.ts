/**
 * Sends what the user writes: whom it is for, its view and its envelope, and flow control (PROTOCOL.md §6,
 * "People", "Settling", "View" and "One envelope for many").
 *
 * @module
 */

import { type Bytes, encodeHex, encodeUtf8 } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { castCapacity, sealEnvelope } from "../protocol/cast.ts";
import { ENTRY, ENTRY_FLAGS } from "../protocol/history_entry.ts";
import { type CastEntry, encodeFrame } from "../protocol/frames.ts";
import { decodeFingerprint } from "../protocol/identity.ts";
import {
  encodeMessage,
  isReaction,
  MAX_TEXT_BYTES,
  NOTE,
  setSeq,
  toContent,
} from "../protocol/messages.ts";
import type { NoteKind, SessionEvent } from "./events.ts";
import type { Given } from "./inbox.ts";
import type { KnownPeers } from "./known_peers.ts";
import type { ShownMessage, ShownMessages } from "./notes.ts";
import type { Outbox } from "./outbox.ts";
import type { Outgoing, OutgoingChat } from "./outgoing.ts";
import type { People, Person } from "./people.ts";
import type { Happening } from "./recorder.ts";
import type { OwnViews } from "./room_view.ts";
import type { Roster, RosterMember } from "./roster.ts";
import type { Item } from "./streams.ts";

/** What was written this long before the receiver's sid was in our roster is marked as late, §6. */
const LATE_MS = 5000;

const KINDS: Readonly<Record<NoteKind, number>> = {
  reaction: NOTE.REACT,
  unreaction: NOTE.UNREACT,
  edit: NOTE.EDIT,
  retraction: NOTE.RETRACT,
};

/** The current connection to the relay. */
export interface Transport {
  /** Queues an encoded frame. */
  send(frame: Uint8Array): void;
  /** Its send queue is too long to add to. */
  readonly congested: boolean;
}

export interface SenderOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly knownPeers: KnownPeers;
  /** Send only to verified people. */
  readonly strict: boolean;
  readonly roster: Roster;
  readonly people: People;
  readonly outbox: Outbox;
  readonly views: OwnViews;
  readonly shown: ShownMessages;
  /** Our own identity. */
  readonly own: { readonly fingerprint: Bytes; readonly name: string };
  /** Our current nick. */
  nick(): string;
  /** A message of ours was accepted. */
  showed(message: ShownMessage): void;
  emit(event: SessionEvent): Given;
  record?: ((happening: Happening) => void) | undefined;
}

/** Names a message that was shown, our own too. */
export interface MessageName {
  /** 16 hex digits. */
  readonly id: string;
  /** Whose it is, `SHA256:…`; by default the first one shown with this id. */
  readonly of?: string | undefined;
}

/** A message that the user wrote, before it is accepted. */
export interface Draft {
  readonly message: Outgoing;
  /** Whom a private message is for, as it was typed. */
  readonly to: string | undefined;
  /** The fingerprint of that person, if it was known when the message was written. */
  readonly person: string | undefined;
  /** Repeated in the `sent` event. */
  readonly ref: string | undefined;
  /** The message that it answers. */
  readonly reply: ShownMessage | undefined;
}

export interface ComposeOptions {
  readonly action?: boolean | undefined;
  /** A nick as shown, or a fingerprint; undefined for the room. */
  readonly to?: string | undefined;
  readonly ref?: string | undefined;
  readonly reply?: MessageName | undefined;
}

/** A member that can be sent to, and what comes next for it. */
interface Turn {
  readonly member: RosterMember;
  readonly item: Item;
}

/** A message as it was last encoded. */
interface Encoded {
  readonly late: boolean;
  readonly view: Bytes;
  readonly bytes: Bytes;
}

/** Queues what the user writes, and sends what is queued. */
export class Sender {
  /** Undefined while there is no connection. */
  transport: Transport | undefined;
  readonly #options: SenderOptions;
  #serial = 0;
  readonly #encoded = new WeakMap<Outgoing, Encoded>();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Somebody who is shown and not slow has so much unacknowledged that no more input is taken (§6). */
  get blocked(): boolean {
    for (const stream of this.#options.people.streams()) {
      if (!stream.waived && stream.full) return true;
    }
    return false;
  }

  /**
   * Makes a message, without sending it: its id, its time and its place in the order are fixed now, and so is the
   * person whom a private one is for, if that person is here.
   *
   * @throws {UsageError} When it is too long, or answers an unknown message.
   */
  compose(text: string, { action = false, to, ref, reply }: ComposeOptions): Draft {
    const bytes = encodeUtf8(text).length;
    if (bytes > MAX_TEXT_BYTES) {
      throw new UsageError(`a message has at most ${MAX_TEXT_BYTES} bytes, this one has ${bytes}`);
    }
    const answered = reply && this.#messageOf(reply);
    const { clock, random } = this.#options;
    const message: OutgoingChat = {
      type: "chat",
      id: encodeHex(random(8)),
      serial: this.#serial++,
      writtenAt: clock.now(),
      time: Math.max(0, clock.wallTime()), // a clock may be set before 1970
      action,
      private: to !== undefined,
      reply: answered?.reference,
      text,
      bytes,
    };
    const person = to === undefined ? undefined : this.#personNow(to);
    return { message, to, person, ref, reply: answered };
  }

  /**
   * Makes a reaction to a message, or a change of it, without sending it.
   *
   * @throws {UsageError} When there is no such message, or this may not be done to it.
   */
  composeNote(about: MessageName, what: NoteKind, text: string): Draft {
    const { own, clock } = this.#options;
    const message = this.#messageOf(about);
    if ((what === "edit" || what === "retraction") && message.fingerprint !== own.name) {
      throw new UsageError("only your own messages can be changed");
    }
    const bytes = encodeUtf8(text).length;
    if (what === "reaction" && !isReaction(text)) {
      throw new UsageError("a reaction is one character or emoji");
    }
    if (what === "edit" && (bytes < 1 || bytes > MAX_TEXT_BYTES)) {
      throw new UsageError(`a message has 1 to ${MAX_TEXT_BYTES} bytes, this one has ${bytes}`);
    }
    const hasText = what === "reaction" || what === "edit";
    // What concerns a private message goes to its other side only.
    const other = message.fingerprint === own.name ? message.other : message.fingerprint;
    const person = message.other === undefined ? undefined : other;
    return {
      message: {
        type: "note",
        serial: this.#serial++,
        writtenAt: clock.now(),
        private: person !== undefined,
        ref: message.reference,
        what: KINDS[what],
        text: hasText ? text : "",
        bytes: hasText ? bytes : 0,
      },
      to: person,
      person,
      ref: undefined,
      reply: undefined,
    };
  }

  #messageOf({ id, of }: MessageName): ShownMessage {
    const message = this.#options.shown.byId(id, of);
    if (message) return message;
    throw new UsageError("there is no message with this id, or it is too long ago");
  }

  /**
   * Accepts a message: one to the room is for the people who are shown or lost now, a private one for its person (§6).
   *
   * @throws {UsageError} When a private one is for nobody, for more than one person, or for somebody who may not get
   * it; nothing is sent.
   */
  accept({ message, to, person, ref, reply }: Draft): void {
    const { outbox, own, emit, knownPeers } = this.#options;
    const people = to === undefined
      ? this.everybody()
      : [this.#recipient(person ?? this.#lookUp(to), to)];
    if (to !== undefined) knownPeers.meet(people[0]!.fingerprint);
    if (message.type === "chat") {
      const added = this.#options.shown.add(
        own,
        message.id,
        message.private ? people[0]!.fingerprint : undefined,
      );
      const { id: answered, of } = reply ? this.#options.shown.name(reply) : {};
      emit({
        event: "sent",
        id: message.id,
        ...(ref !== undefined && { ref }),
        private: message.private,
        action: message.action,
        to: people.map(({ fingerprint }) => fingerprint).filter((each) => each !== own.name),
        ...(answered !== undefined && { reply: answered }),
        ...(of !== undefined && { of }),
        text: message.text,
      });
      this.#options.showed(added);
    }
    this.#record(message, message.private ? people[0]!.fingerprint : undefined);
    const receivers = people.map(({ fingerprint, addressed }) => ({
      fingerprint,
      streams: addressed,
    }));
    outbox.add(message, receivers);
    this.pump();
  }

  /** Tells whoever keeps a history. @param to The other side of what is private. */
  #record(message: Outgoing, to: string | undefined): void {
    const { own, clock, nick, record } = this.#options;
    const shared = {
      fingerprint: own.fingerprint,
      to: to === undefined ? undefined : decodeFingerprint(to),
      nick: nick(),
      text: message.text,
    };
    const flags = to === undefined ? 0 : ENTRY_FLAGS.PRIVATE;
    if (message.type === "note") {
      const { ref: reply, what } = message;
      return record?.({ ...shared, type: ENTRY.NOTE, sent: clock.wallTime(), reply, flags, what });
    }
    const { id, time: sent, reply, action } = message;
    record?.({
      ...shared,
      type: ENTRY.MESSAGE,
      sent,
      id,
      reply,
      flags: flags | (action ? ENTRY_FLAGS.ACTION : 0),
    });
  }

  /** Whom a message to the room is for: people who are shown or lost. */
  /** Whom a message to the room is for: people who are shown or lost, with `--strict` verified ones. */
  everybody(): Person[] {
    return this.#options.people.addressed().filter((person) => this.sendsTo(person));
  }

  /** @throws {UsageError} When nothing may be sent to that person. */
  #recipient(fingerprint: string, to: string): Person {
    const { people, roster, strict } = this.#options;
    const member = roster.membersOf(fingerprint).find(({ shown }) => shown);
    const name = member ? roster.shownNick(member) : to;
    if (this.isConflict(fingerprint)) {
      throw new UsageError(
        `${name} is a known nick with another key: nothing private is sent to it`,
        [`compare with /verify ${name}, then accept the key with /trust ${name}`],
      );
    }
    const person = people.find(fingerprint);
    if (!person) throw new UsageError(`${name} is not here any more`);
    if (strict && !this.sendsTo(person)) {
      throw new UsageError(`${name} is not verified, and --strict is on`, [`/verify ${name}`]);
    }
    return person;
  }

  /** The person's nick is known with another key. */
  isConflict(fingerprint: string): boolean {
    const { roster, knownPeers, people } = this.#options;
    const members = roster.membersOf(fingerprint).filter(({ shown }) => shown);
    if (members.length > 0) return members.some((member) => roster.trust(member) === "conflict");
    return knownPeers.judge(fingerprint, people.get(fingerprint).nick) === "conflict";
  }

  /** Whether messages are for a person: with `strict` only if they are verified. */
  sendsTo({ fingerprint }: Pick<Person, "fingerprint">): boolean {
    const { strict, knownPeers } = this.#options;
    return !strict || knownPeers.isVerified(fingerprint) && !this.isConflict(fingerprint);
  }

  /**
   * The fingerprint of somebody who is shown; a fingerprint may also be that of a lost person.
   *
   * @throws {UsageError} When it means nobody or more than one person.
   */
  #lookUp(to: string): string {
    const { roster, people } = this.#options;
    return people.find(to)?.fingerprint ?? roster.find(to).name;
  }

  #personNow(to: string): string | undefined {
    try {
      return this.#lookUp(to);
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  }

  /** Our nick has changed: queues the change for every instance that is shown or lost. */
  announceNick(): void {
    const { people, outbox } = this.#options;
    for (const stream of people.streams()) {
      if (stream.holder || stream.lostAt !== undefined) outbox.addNick(stream);
    }
    this.pump();
  }

  /** Nothing waits to be sent, and what was sent is on its way. */
  get isIdle(): boolean {
    return this.transport !== undefined && !this.transport.congested && this.#turns().length === 0;
  }

  /** Sends as much as possible; call it when the connection takes more again. */
  pump(): void {
    for (;;) {
      if (!this.transport || this.transport.congested) return;
      const turns = this.#turns();
      const [first] = turns;
      if (!first) return;
      const { message } = first.item;
      const alike = turns.filter((turn) => turn.item.message === message && this.#isCommon(turn));
      if (message && alike.length > 1) this.#cast(message, alike);
      else this.#send(first);
    }
  }

  #turns(): Turn[] {
    const turns: Turn[] = [];
    for (const member of this.#options.roster.members.values()) {
      const item = member.peer?.channel?.nextItem();
      if (item) turns.push({ member, item });
    }
    return turns;
  }

  /** §6: what is late, private or resent goes in no envelope. */
  #isCommon({ member, item }: Turn): boolean {
    const { message, seq, moved } = item;
    if (!message || message.private || moved || seq <= member.stream!.sentSeq) return false;
    return message.type === "note" || !this.#isLate(member, item);
  }

  #isLate({ listedAt }: RosterMember, { message, moved }: Item): boolean {
    return moved || message!.writtenAt < listedAt - LATE_MS;
  }

  #send({ member, item }: Turn): void {
    member.peer!.channel!.sendItem(item, this.#encode(member, item));
  }

  #cast(message: Outgoing, turns: readonly Turn[]): void {
    const { views, random } = this.#options;
    const bytes = encode(message, { seq: 0, late: false, view: views.room });
    const envelope = sealEnvelope(toContent(bytes), random);
    const capacity = castCapacity(envelope.common.length);
    for (let start = 0; start < turns.length; start += capacity) {
      const entries = turns.slice(start, start + capacity).map(({ member, item }): CastEntry => {
        const channel = member.peer!.channel!;
        return { sid: member.sid, tag: channel.tag, box: channel.boxItem(item, envelope) };
      });
      this.transport!.send(encodeFrame({ type: "cast", entries, common: envelope.common }));
    }
  }

  /** Encodes an item for a member; valid until the next call, since many get the same bytes but for the seq. */
  #encode(member: RosterMember, item: Item): Bytes {
    const { nick, views } = this.#options;
    const { message, seq } = item;
    if (!message) return encodeMessage({ type: "nick", seq, nick: nick() });
    const late = this.#isLate(member, item);
    const view = message.private ? views.pair(member) : views.room;
    let encoded = this.#encoded.get(message);
    if (encoded?.late !== late || encoded.view !== view) {
      encoded = { late, view, bytes: encode(message, { seq, late, view }) };
      this.#encoded.set(message, encoded);
    }
    setSeq(encoded.bytes, seq);
    return encoded.bytes;
  }
}

function encode(
  message: Outgoing,
  fields: { seq: number; late: boolean; view: Bytes },
): Bytes {
  if (message.type === "chat") return encodeMessage({ ...message, ...fields });
  const { ref, what, text } = message;
  return encodeMessage({ type: "note", seq: fields.seq, ref, what, text });
}
