/**
 * One's own membership of a room, across connections: the roster, the people in it, what they are sent and what they
 * say (PROTOCOL.md §5, §6, §8, §9). Gets the relay's frames as decoded values, gives events.
 *
 * Knows nothing of sockets, reconnecting, passwords or what is shown.
 *
 * @module
 */

import { type Bytes, encodeHex, encodeUtf8, equalBytes } from "./bytes.ts";
import type { Channel, HelloMessage, Inbox, Stream } from "./channel.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import { ProtocolError, UsageError } from "./errors.ts";
import type { SessionEvent } from "./events.ts";
import { Line } from "./line.ts";
import { MAX_AWAY_BYTES } from "./message.ts";
import { encodeFrame, type Frame, REASON, WHY } from "./transport_frame.ts";
import { checkNick } from "./nick.ts";
import { Outbox } from "./outbox.ts";
import { Peer, type PeerContext } from "./peer.ts";
import { People } from "./people.ts";
import { type Member, type Person, Roster } from "./roster.ts";
import { type DecodeId, encodeFingerprint, type PrivateKey } from "./rsa.ts";
import type { PeerBook } from "./trust.ts";
import { OwnViews } from "./view.ts";
import { type Transport, Writer } from "./writer.ts";

/** Answers to M1 that are being signed at once, and begun within a second, §6. */
const ANSWER_LIMITS = { atOnce: 4, perSecond: 20 };
/** After so long in the roster without a channel, somebody is no person but a warning, §6. */
export const UNAUTHENTICATED_MS = 30_000;
/** (fingerprint, instance) pairs whose counter is kept; §6 asks for the 1024 seen last. */
const MAX_INBOXES = 4096;

/** What a membership needs. */
export interface MembershipOptions {
  readonly key: PrivateKey;
  readonly nick: string;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly decodeId?: DecodeId;
  readonly book: PeerBook;
  /** Send only to people whose digits were compared. */
  readonly strict: boolean;
  readonly minKeyBits: number;
  emit(event: SessionEvent): void;
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
  #inboxes = new Map<string, Inbox>();
  #context: PeerContext | undefined;
  #views: OwnViews;
  #writer: Writer;
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
    const { key, clock, random, decodeId, room, minKeyBits } = this.#options;
    const { transport, relay, psk } = options;
    this.#writer.transport = transport;
    this.#capacity = frame.capacity;
    this.#context = {
      key,
      clock,
      random,
      ...(decodeId ? { decodeId } : {}),
      relay,
      room,
      sid: frame.sid,
      instance: this.instance,
      psk,
      minKeyBits,
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
    this.#people.tellLeft(
      member,
      (["left", "lost", "replaced", "removed"] as const)[frame.why] ?? "lost",
    );
    this.#roster.members.delete(member.sid);
    this.#changeView(); // before anything is sealed for the others
    this.#part(member, frame.why);
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
      this.#adopt(member.name);
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
    for (const target of new Set([...this.outbox.targets()])) {
      if (
        target.instance !== undefined && (this.#roster.holds(target) || target.lostAt !== undefined)
      ) {
        this.outbox.addNick(target);
      }
    }
    this.#writer.pumpAll();
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
    const member = this.#roster.find(who);
    return this.people().find(({ fingerprint }) => fingerprint === member.name)!;
  }

  /** Somebody shown as joined, or in the roster for less than 30 s, has something unacknowledged. */
  get awaited(): boolean {
    const now = this.#options.clock.now();
    return [...this.#roster.members.values()].some((member) =>
      (member.shown || (now - member.since < UNAUTHENTICATED_MS && !member.refused)) &&
      member.target.items.some(({ message }) => message !== undefined)
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

  // The roster.

  #enter(sid: string, fingerprint: Bytes, before?: Member): Member {
    const { clock } = this.#options;
    const same = before && equalBytes(before.fingerprint, fingerprint) ? before : undefined;
    const name = encodeFingerprint(fingerprint);
    const member: Member = {
      sid,
      fingerprint,
      name,
      serial: same?.serial ?? this.#writer.nextSerial(),
      since: clock.now(),
      sinceWall: same?.sinceWall ?? clock.wallTime(),
      peer: undefined,
      target: same?.target ?? this.outbox.addWaiting(name),
      nick: same?.nick,
      id: same?.id,
      isNew: same?.isNew ?? false,
      weak: same?.weak ?? false,
      away: "",
      announced: false,
      refused: false,
      shown: same?.shown ?? false,
      warned: false,
    };
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
      down: () => this.#down(member),
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
    if (successor && member.shown) {
      successor.shown = true;
      successor.nick = member.nick;
      successor.id = member.id;
      successor.isNew = member.isNew;
      successor.weak = member.weak;
    }
    this.#part(member, WHY.LOST);
    if (!successor) this.#people.tellLeft(member, "lost");
  }

  #disconnect(member: Member): void {
    member.peer?.dispose();
    member.peer = undefined;
  }

  /** What is kept for a member that is out of the roster, §6. */
  #part(member: Member, why: number): void {
    const { target } = member;
    this.#disconnect(member);
    if (this.#roster.holds(target)) return; // its instance has a newer sid
    target.downAt ??= this.#options.clock.now();
    target.lostAt = this.#options.clock.now();
    if (why !== WHY.REPLACED) this.#adopt(member.name); // else its JOINED is on its way, §5
    const isOver = why === WHY.LEFT || why === WHY.REMOVED || member.refused;
    if (isOver) this.outbox.retire(target);
    else this.outbox.settleAll(target);
  }

  /** §6, "A restarted client": what is kept for instances that are gone goes to one that has a channel. */
  #adopt(name: string): void {
    if (this.#expectsHello(name)) return;
    const heir = this.#roster.placesOf(name).find(({ peer }) => peer?.channel?.stream);
    if (!heir) return;
    this.outbox.adopt(heir.target);
    this.#writer.pump(heir);
  }

  /** Some place of this person may still turn out to be an instance that seems gone. */
  #expectsHello(name: string, except?: Member): boolean {
    return this.#roster.placesOf(name).some((member) =>
      member !== except && !member.announced && !member.warned && !member.refused
    );
  }

  #changeView(): void {
    const { sid, relay } = this.#context!;
    this.#people.changeView(this.#views.update({ sid, relay }));
  }

  // What people do.

  #hello(member: Member, channel: Channel, message: HelloMessage): Stream {
    const before = member.target;
    const adopt = !this.#expectsHello(member.name, member);
    const target = this.outbox.bind(before, message.instance, { adopt });
    member.target = target;
    // Changed since one's own HELLO: who has no stream yet got no NICK.
    if (channel.toldNick !== undefined && channel.toldNick !== this.nick) {
      this.outbox.addNick(target);
    }
    if (before.instance !== undefined && before !== target && !this.#roster.holds(before)) {
      before.lostAt = this.#options.clock.now();
    }
    for (const other of this.#roster.members.values()) {
      if (other !== member && other.target === target) other.peer?.end(REASON.REPLACED);
    }
    this.#people.greet(member, channel.peer, message.nick);
    return { target, inbox: this.#inbox(`${member.name} ${message.instance}`) };
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

  #down(member: Member): void {
    const { target } = member;
    const held = this.#roster.placesOf(member.name).some((other) =>
      other.target === target && other.peer?.live
    );
    if (!held) target.downAt ??= this.#options.clock.now();
  }

  #refused(member: Member, reason: number, byUs: boolean): void {
    member.refused = true;
    this.outbox.exclude(member.target);
    this.#people.tellRefused(member, reason, byUs);
  }
}
