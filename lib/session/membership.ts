/**
 * One's own membership of a room, across connections: the roster, the people in it, what they are sent and what they
 * say (PROTOCOL.md §5, §6, §8, §9). Gets the relay's frames as decoded values, gives events.
 *
 * Knows nothing of sockets, reconnecting, passwords or what is shown.
 *
 * @module
 */

import { type Bytes, encodeHex, encodeUtf8 } from "../base/bytes.ts";
import type { Channel, HelloMessage, Stream } from "./peer_channel.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { Keeping } from "../keeping.ts";
import { Line } from "../base/job_queue.ts";
import { MAX_AWAY_BYTES } from "../protocol/messages.ts";
import { encodeFrame, type Frame, REASON, WHY } from "../protocol/frames.ts";
import { checkNick } from "../protocol/names.ts";
import { Outbox } from "./outbox.ts";
import { Peer } from "./peer.ts";
import type { PeerContext } from "./peer_handshake.ts";
import { People } from "./people.ts";
import { inheritLooks, makeMember, type Member, type Person, Roster } from "./roster.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { OwnViews } from "../view.ts";
import { type Transport, Writer, type WriterOptions } from "./sender.ts";

/** Answers to M1 that are being signed at once, and begun within a second, §6. */
const ANSWER_LIMITS = { atOnce: 4, perSecond: 20 };
/** The whys of LEFT in words, by number; others count as 1. */
const WHY_TEXTS = ["left", "lost", "replaced", "removed"] as const;
/** After so long in the roster without a channel, somebody is no person but a warning, §6. */
export const UNAUTHENTICATED_MS = 30_000;

/** What a membership needs. */
export interface MembershipOptions
  extends
    Pick<PeerContext, "key" | "room" | "clock" | "random" | "decodeId" | "minKeyBits">,
    Pick<WriterOptions, "book" | "strict" | "emit"> {
  /** One's own nick at the beginning. */
  readonly nick: string;
}

/** The membership. */
export class Membership {
  /** One's own nick. */
  nick: string;
  /** One's own away text; empty when present. */
  away = "";
  /** One's own instance, 32 hex digits: chosen once for each process, §5. */
  readonly instance: string;
  readonly outbox: Outbox;
  #options: MembershipOptions;
  #line: Line;
  #people: People;
  #roster: Roster;
  #context: PeerContext | undefined;
  #views: OwnViews;
  #writer: Writer;
  #keeping: Keeping;
  #capacity = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.nick = options.nick;
    this.instance = encodeHex(options.random(16));
    this.#roster = new Roster(options.book, () => ({
      nick: this.nick,
      fingerprint: encodeFingerprint(options.key.publicKey.fingerprint),
      sid: this.#context?.sid ?? "0".repeat(16),
    }));
    this.#line = new Line(options.clock, ANSWER_LIMITS);
    this.#people = new People({ ...options, roster: this.#roster });
    this.outbox = new Outbox(options.clock, {
      delivered: (message, to) => options.emit({ event: "delivered", id: message.id, to }),
      undelivered: (message, to) => options.emit({ event: "undelivered", id: message.id, to }),
    });
    this.#views = new OwnViews({
      room: options.room,
      fingerprint: options.key.publicKey.fingerprint,
      roster: this.#roster,
    });
    this.#writer = new Writer({
      ...options,
      nick: () => this.nick,
      roster: this.#roster,
      outbox: this.outbox,
      views: this.#views,
    });
    this.#keeping = new Keeping({
      roster: this.#roster,
      outbox: this.outbox,
      clock: options.clock,
      pump: (member) => this.#writer.pump(member),
    });
  }

  /** In a room now. */
  get joined(): boolean {
    return this.#context !== undefined;
  }

  /** Somebody with a live channel has so much unacknowledged that nothing more is taken, §6. */
  get blocked(): boolean {
    return this.#writer.blocked;
  }

  // What the relay tells.

  /**
   * WELCOME: a new roster. Who was in the last one and is not in this one is lost.
   *
   * @param options.relay The relay's fingerprint, 32 bytes.
   * @param options.psk 32 bytes; zeros without a password.
   */
  welcome(
    frame: Extract<Frame, { type: "welcome" }>,
    options: { transport: Transport; relay: Bytes; psk: Bytes },
  ): void {
    const { transport, relay, psk } = options;
    this.#writer.transport = transport;
    this.#capacity = frame.capacity;
    this.#context = {
      ...this.#options,
      relay,
      sid: frame.sid,
      instance: this.instance,
      psk,
      line: this.#line,
      outbox: this.outbox,
      nick: () => this.nick,
      away: () => this.away,
      send: (sid, kind, tag, payload) =>
        transport.send(encodeFrame({ type: "send", sid, kind, tag, payload })),
    };
    const last = this.#roster.members;
    this.#roster.members = new Map();
    for (const { sid, fingerprint } of frame.members) this.#enter(sid, fingerprint, last.get(sid));
    this.#changeView();
    for (const member of last.values()) {
      if (!this.#roster.members.has(member.sid)) this.#handOver(member);
    }
    for (const member of this.#roster.members.values()) member.peer!.start();
  }

  /** JOINED. */
  enter(frame: Extract<Frame, { type: "joined" }>): void {
    const known = this.#roster.members.has(frame.sid) || frame.sid === this.#context?.sid;
    // §5: the capacity counts everybody, this client too.
    if (known || this.size + 2 > this.#capacity) throw new ProtocolError("unexpected");
    const member = this.#enter(frame.sid, frame.fingerprint);
    this.#changeView();
    member.peer!.start();
  }

  /** LEFT. */
  leave(frame: Extract<Frame, { type: "left" }>): void {
    const member = this.#roster.members.get(frame.sid);
    if (!member) throw new ProtocolError("unexpected");
    this.#people.tellLeft(member, WHY_TEXTS[frame.why] ?? "lost");
    this.#roster.members.delete(member.sid);
    this.#changeView(); // before anything is sealed for the others
    this.#disconnect(member);
    this.#keeping.part(member, frame.why);
  }

  /** RECV. */
  receive(frame: Extract<Frame, { type: "send" | "recv" }>): void {
    const member = this.#roster.members.get(frame.sid);
    if (!member) throw new ProtocolError("unexpected");
    member.peer?.receive(frame.kind, frame.tag, frame.payload);
  }

  /** How many the roster names. */
  get size(): number {
    return this.#roster.members.size;
  }

  /** The connection is gone: nobody has a channel, and the last roster stays who one writes to (§6). */
  disconnected(): void {
    for (const member of this.#roster.members.values()) {
      this.#disconnect(member);
      member.target.downAt ??= this.#options.clock.now();
      member.announced = false;
    }
    this.#context = undefined;
    this.#writer.transport = undefined;
  }

  /** What is due about once a second: time limits, warnings, giving up. */
  tick(): void {
    const now = this.#options.clock.now();
    for (const member of this.#roster.members.values()) {
      member.peer?.tick(member.target);
      if (!member.peer || member.announced || member.warned || member.refused) continue;
      if (now - member.since < UNAUTHENTICATED_MS) continue;
      member.warned = true;
      this.#people.tellLeft(member, "lost");
      this.#keeping.adopt(member.name);
      this.#people.notice(`cannot authenticate ${member.name}: another password, or not a member`);
    }
    this.outbox.expire();
  }

  /** The connection takes more again, or there is something new: sends what it can. */
  pump(): void {
    this.#writer.pumpAll();
  }

  // What the user does.

  /**
   * Sends a message to the room.
   *
   * @throws {UsageError} When it is too long: nothing was sent.
   */
  say(text: string, options: { action?: boolean; ref?: string | undefined } = {}): string {
    return this.#writer.say(text, options);
  }

  /**
   * Sends a private message to a person, at each of their places.
   *
   * @param to A nick as shown, or a fingerprint.
   * @throws {UsageError} When nobody or more than one person is called so, or the text is too long.
   */
  whisper(to: string, text: string, ref?: string): string {
    return this.#writer.whisper(to, text, ref);
  }

  /** Changes one's own nick. @throws {UsageError} When a rule of §9 forbids it. */
  setNick(nick: string): void {
    this.nick = checkNick(nick);
    this.#writer.tellNick();
  }

  /** Says that one is away, or back with an empty text. @throws {UsageError} When it is too long. */
  setAway(text: string): void {
    if (encodeUtf8(text).length > MAX_AWAY_BYTES) {
      throw new UsageError(`an away text has at most ${MAX_AWAY_BYTES} bytes`);
    }
    this.away = text;
    for (const { peer } of this.#roster.members.values()) peer?.sendAway(text);
  }

  /** The people in the room, in the order they came. */
  people(): Person[] {
    return this.#roster.people();
  }

  /**
   * Finds the one person that a nick or a fingerprint means.
   *
   * @throws {UsageError} When it is nobody, or several people.
   */
  find(who: string): Person {
    return this.#roster.findPerson(who);
  }

  /** Somebody shown as joined, or in the roster for less than 30 s, has something unacknowledged. */
  get awaited(): boolean {
    const now = this.#options.clock.now();
    return [...this.#roster.members.values()].some((member) =>
      (member.shown || (now - member.since < UNAUTHENTICATED_MS && !member.refused)) &&
      this.#keeping.holds(member)
    );
  }

  /** Ends everything: what is due is acknowledged, what waits is shown, what was not delivered is reported. */
  finish(): void {
    for (const { peer } of this.#roster.members.values()) peer?.flushAck();
    this.#people.flush();
  }

  /** Gives up everything unacknowledged and says so; after the connection has ended. */
  abandon(): void {
    for (const target of [...this.outbox.targets()]) this.outbox.giveUp(target);
  }

  #enter(sid: string, fingerprint: Bytes, before?: Member): Member {
    const name = encodeFingerprint(fingerprint);
    const same = before?.name === name ? before : undefined;
    const member = makeMember({
      sid,
      fingerprint,
      name,
      serial: same?.serial ?? this.#writer.nextSerial(),
      target: same?.target ?? this.#keeping.targetFor(name),
      clock: this.#options.clock,
      before: same,
    });
    member.peer = new Peer({ sid, fingerprint }, this.#context!, {
      hello: (channel, message) => this.#hello(member, channel, message),
      ready: () => {
        member.target.downAt = undefined;
        this.#writer.pump(member);
      },
      chat: (message) => this.#people.chat(member, message, () => this.#views.pair(member)),
      nick: (nick) => this.#people.rename(member, nick),
      lost: (count) => this.#people.tellLost(member, count),
      away: (text) => this.#people.setAway(member, text),
      down: () => this.#keeping.down(member),
      refused: (reason, byUs) => this.#refused(member, reason, byUs),
    });
    this.#roster.members.set(sid, member);
    return member;
  }

  /** Somebody of the last roster has another sid now, or is lost. */
  #handOver(member: Member): void {
    const successor = [...this.#roster.members.values()].find((other) =>
      other.name === member.name && !other.shown && other.target.instance === undefined
    );
    if (successor && member.shown) inheritLooks(successor, member);
    this.#disconnect(member);
    this.#keeping.part(member, WHY.LOST);
    if (!successor) this.#people.tellLeft(member, "lost");
  }

  #disconnect(member: Member): void {
    member.peer?.dispose();
    member.peer = undefined;
  }

  #changeView(): void {
    const { sid, relay } = this.#context!;
    this.#people.changeView(this.#views.update({ sid, relay }));
  }

  // What people do.

  #hello(member: Member, channel: Channel, message: HelloMessage): Stream {
    const stream = this.#keeping.bind(member, message.instance);
    // Changed since one's own HELLO: who has no stream yet got no NICK.
    if (channel.toldNick !== undefined && channel.toldNick !== this.nick) {
      this.outbox.addNick(stream.target);
    }
    for (const other of this.#roster.members.values()) {
      if (other !== member && other.target === stream.target) other.peer?.end(REASON.REPLACED);
    }
    this.#people.greet(member, channel.peer, message.nick);
    return stream;
  }

  #refused(member: Member, reason: number, byUs: boolean): void {
    member.refused = true;
    this.#keeping.refuse(member);
    this.#people.tellRefused(member, reason, byUs);
  }
}
