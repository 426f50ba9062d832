/**
 * Our membership of a room, across connections: the roster, its members' channels, and what is sent and received
 * (PROTOCOL.md §5, §6, §8, §9). Takes the relay's frames as decoded values, emits events.
 *
 * @module
 */

import { type Bytes, decodeHex, encodeHex, encodeUtf8, release } from "../base/bytes.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { encodeFrame, type Frame, INSTANCE_BYTES, WHY } from "../protocol/frames.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { ENTRY, type HistoryEntry } from "../protocol/history_entry.ts";
import { MAX_AWAY_BYTES } from "../protocol/messages.ts";
import { checkNick } from "../protocol/names.ts";
import { WHY_TEXTS } from "../protocol/reasons.ts";
import { makeSessionKey } from "../protocol/session_key.ts";
import { Acquaintance } from "./acquaintance.ts";
import { FileChannels, type FileOptions } from "./file_channels.ts";
import { Giving } from "./giving.ts";
import { HandshakeQueue } from "./handshake_queue.ts";
import { Inboxes } from "./inbox.ts";
import { MemberChannels, type MemberChannelsParts } from "./member_channels.ts";
import { MemberEvents } from "./member_events.ts";
import { ShownMessages } from "./notes.ts";
import { Outbox } from "./outbox.ts";
import type { PeerContext } from "./peer_handshake.ts";
import { People, type Person, UNAUTHENTICATED_MS } from "./people.ts";
import { OwnTerminals } from "./own_terminals.ts";
import { Recap } from "./recap.ts";
import type { Happening } from "./recorder.ts";
import { OwnViews } from "./room_view.ts";
import {
  copyProfile,
  type LostPerson,
  makeRosterMember,
  Roster,
  type RosterMember,
} from "./roster.ts";
import { type MessageName, Sender, type SenderOptions, type Transport } from "./sender.ts";
import { Topic } from "./topic.ts";
import { ViewLog } from "./view_log.ts";

/** Who was shown and has not come along to another relay after this is told as gone, §14. */
const COMING_MS = 15_000;

interface MembershipOptions
  extends
    Pick<MemberChannelsParts, "guesses" | "ready" | "succession">,
    Pick<PeerContext, "key" | "room" | "clock" | "random" | "primitives" | "minKeyBits">,
    Pick<SenderOptions, "knownPeers" | "strict" | "emit" | "record"> {
  readonly nick: string;
  /** As {@linkcode Membership.instance}, where it is chosen already. */
  readonly instance?: string | undefined;
  /** Other terminals of the user's own are told nothing. */
  readonly keepsApart?: boolean | undefined;
  /** What the user writes may be handed on to people who come later. */
  readonly recap?: boolean | undefined;
  /** Others are asked what was missed. */
  readonly asksOthers?: boolean | undefined;
  /** What the user's own history has since a time, in ms since 1970. */
  logged?(time: number): Promise<readonly HistoryEntry[]>;
  /** Absent where files are neither sent nor taken. */
  readonly files?: FileOptions | undefined;
  /** A member has left. @param why Of LEFT, §5. */
  left(member: RosterMember, why: number): void;
}

/** Our membership of one room. */
export class Membership {
  nick: string;
  /** Our away text; empty when present. */
  away = "";
  /** Our instance, 32 hex digits: chosen once for each process and room, §5. */
  readonly instance: string;
  readonly roster: Roster;
  readonly people: People;
  readonly outbox: Outbox;
  readonly sender: Sender;
  readonly files: FileChannels | undefined;
  readonly own: OwnTerminals;
  readonly recap: Recap;
  readonly #giving: Giving;
  readonly #options: MembershipOptions;
  readonly #acquaintance: Acquaintance;
  readonly #queue: HandshakeQueue;
  readonly #memberEvents: MemberEvents;
  readonly #views: OwnViews;
  readonly #inboxes: Inboxes;
  readonly #channels: MemberChannels;
  readonly #topic = new Topic();
  readonly #shown: ShownMessages;
  #context: PeerContext | undefined;
  #capacity = 0;
  #welcomedAt = 0;

  constructor(options: MembershipOptions) {
    const { clock, emit } = options;
    const { fingerprint } = options.key.publicKey;
    const own = { fingerprint, name: encodeFingerprint(fingerprint) };
    this.#options = options;
    this.nick = options.nick;
    this.instance = options.instance ?? encodeHex(options.random(INSTANCE_BYTES));
    this.roster = new Roster(options.knownPeers, () => ({
      nick: this.nick,
      fingerprint: own.name,
      sid: this.#context?.sid ?? "0".repeat(16),
    }));
    this.#acquaintance = new Acquaintance({
      clock,
      own: own.name,
      knownPeers: options.knownPeers,
      roster: this.roster,
      people: () => this.people,
      sender: () => this.sender,
    });
    this.#queue = new HandshakeQueue(clock);
    this.people = new People({
      clock,
      giveUp: (stream, why) => this.outbox.giveUp(stream, why),
      waive: (stream) => this.outbox.limit(stream),
      warn: (person) => this.#warn(person),
      keptMs: (person) => this.#acquaintance.keptMs(person),
    });
    this.outbox = new Outbox({
      own: own.name,
      now: () => this.people.now(),
      delivered: ({ id }, to) => emit({ event: "delivered", id, to }),
      undelivered: ({ id }, to) => emit({ event: "undelivered", id, to }),
      keptMs: (person) => this.#acquaintance.keptMs(this.people.get(person)),
      waived: () => this.people.waived(),
      kept: ({ id }, to, ms) =>
        emit({ event: "kept", id, to, until: this.#acquaintance.dateIn(ms) }),
    });
    this.#inboxes = new Inboxes(clock, new ViewLog(clock), (inbox) => this.#channels.isLive(inbox));
    const shown = new ShownMessages();
    this.#shown = shown;
    const record = (happening: Happening) => {
      const entry = { at: Math.max(0, clock.wallTime()), ...happening };
      this.own.record(entry);
      options.record?.(entry);
    };
    this.#memberEvents = new MemberEvents({
      ...options,
      record,
      showed: (message) => this.own.shown(message),
      witnesses: (member) => this.recap.witnesses(member),
      heard: (happening, witnesses) => this.recap.heard(happening, witnesses),
      own: own.name,
      ownFingerprint: fingerprint,
      roster: this.roster,
      shown,
      topic: this.#topic,
    });
    this.#giving = new Giving({ clock, isIdle: () => this.sender.isIdle });
    this.own = new OwnTerminals({
      clock,
      own,
      isOff: options.keepsApart ?? false,
      nick: () => this.nick,
      members: () => this.roster.members.values(),
      giving: this.#giving,
      logged: (time) => options.logged?.(time) ?? Promise.resolve([]),
      isNew: (message) => this.#memberEvents.isNew(message),
      show: (entry, marks) => this.#memberEvents.showTold(entry, marks),
      byReference: (reference) => shown.byReference(reference),
      name: (message) => shown.name(message),
      record,
      emit,
    });
    this.recap = new Recap({
      clock,
      own,
      isOn: options.recap ?? false,
      asks: options.asksOthers ?? false,
      giving: this.#giving,
      members: () => this.roster.members.values(),
      isJoined: () => this.joined,
      isLocked: () => this.#context?.roomKey !== undefined,
      present: () => new Set(this.people.addressed().map(({ fingerprint }) => fingerprint)),
      isKnown: ({ person }) => this.#acquaintance.includes(person),
      tells: ({ name, person }) => !this.sender.isConflict(name) && this.sender.sendsTo(person),
      had: (time) => this.own.had(time),
      isNew: (message) => this.#memberEvents.isNew(message),
      show: (told) => this.#memberEvents.showHearsay(told),
      emit,
    });
    this.#views = new OwnViews({ room: options.room, fingerprint, roster: this.roster });
    this.sender = new Sender({
      ...options,
      own,
      nick: () => this.nick,
      roster: this.roster,
      people: this.people,
      outbox: this.outbox,
      views: this.#views,
      shown,
      showed: (message) => this.#memberEvents.showed(message),
      record: (happening) => {
        record(happening);
        if (happening.type === ENTRY.NOTE) this.#memberEvents.noted(happening);
        this.own.accepted(happening);
        this.recap.accepted(happening);
      },
    });
    this.files = options.files &&
      new FileChannels(options.files, { roster: this.roster, sender: this.sender });
    this.#channels = new MemberChannels({
      ...options,
      roster: this.roster,
      people: this.people,
      outbox: this.outbox,
      inboxes: this.#inboxes,
      events: this.#memberEvents,
      own: this.own,
      recap: this.recap,
      files: this.files,
      views: this.#views,
      nick: () => this.nick,
      pump: () => this.sender.pump(),
    });
  }

  /** The connection takes more again. */
  drained(): void {
    this.sender.pump();
    this.#giving.drained();
    this.files?.drained();
  }

  /** In a room now. */
  get joined(): boolean {
    return this.#context !== undefined;
  }

  // Frames of the relay.

  /**
   * WELCOME: a new roster. Members of the last one that are not in this one are lost.
   *
   * @param options.relay The relay's fingerprint, 32 bytes.
   * @param options.roomKey 32 bytes; undefined without a password.
   * @param options.isExpected Whoever is missing is expected to come along, §14: told as gone if they do not.
   */
  welcome(
    frame: Extract<Frame, { type: "welcome" }>,
    options: {
      transport: Transport;
      relay: Bytes;
      roomKey: Bytes | undefined;
      isExpected: boolean;
    },
  ): void {
    const { transport, relay, roomKey, isExpected } = options;
    this.sender.transport = transport;
    this.#capacity = frame.capacity;
    this.#welcomedAt = this.#options.clock.now();
    this.people.connect(frame.capacity);
    this.#context = this.#makeContext(frame.sid, { transport, relay, roomKey });
    const last = this.roster.members;
    this.roster.members = new Map();
    for (const { sid, fingerprint } of frame.members) this.#enter(sid, fingerprint, last.get(sid));
    this.#changeView();
    const missing = [...last.values(), ...this.roster.expected];
    this.roster.expected.clear();
    for (const member of missing) {
      if (this.roster.members.has(member.sid) || this.#handOver(member)) continue;
      if (isExpected && member.shown) this.roster.expected.add(member);
      else this.#memberEvents.reportLeft(member, "lost");
    }
    this.recap.welcomed();
    for (const member of this.roster.members.values()) member.peer!.start();
  }

  #makeContext(
    sid: string,
    { transport, relay, roomKey }: {
      transport: Transport;
      relay: Bytes;
      roomKey: Bytes | undefined;
    },
  ): PeerContext {
    const { key, room, random, primitives } = this.#options;
    const session = makeSessionKey(key, {
      membership: { relay, room, sid: decodeHex(sid) },
      random,
      ...(primitives && { primitives }),
    });
    const { files, own, recap } = this;
    return {
      ...this.#options,
      session,
      relay,
      sid,
      roomKey,
      instance: this.instance,
      queue: this.#queue,
      nick: () => this.nick,
      away: () => this.away,
      features: () => (files?.features ?? 0) | own.features | recap.features,
      topic: () => this.#topic.known,
      send(sid, kind, tag, payload) {
        const frame = encodeFrame({ type: "send", sid, kind, tag, payload });
        transport.send(frame);
        release(frame);
      },
    };
  }

  enter(frame: Extract<Frame, { type: "joined" }>): void {
    const known = this.roster.members.has(frame.sid) || frame.sid === this.#context?.sid;
    // §5: the capacity counts this client too.
    if (known || this.roster.members.size + 2 > this.#capacity) {
      throw new ProtocolError("unexpected");
    }
    const member = this.#enter(frame.sid, frame.fingerprint);
    const expected = [...this.roster.expected].find(({ name }) => name === member.name);
    if (expected) {
      this.roster.expected.delete(expected);
      copyProfile(member, expected);
    }
    this.#changeView();
    member.peer!.start();
  }

  leave(frame: Extract<Frame, { type: "left" }>): void {
    const member = this.roster.members.get(frame.sid);
    if (!member) throw new ProtocolError("unexpected");
    this.roster.members.delete(member.sid);
    this.files?.left(member, frame.why === WHY.LEFT || frame.why === WHY.REMOVED);
    this.people.unlist(member.name);
    this.#changeView(); // before anything is sealed for the others
    // §4: the roster changes at once; what LEFT ends ends after all that came before it.
    member.peer?.leave(() => {
      member.peer = undefined;
      this.#memberEvents.reportLeft(member, WHY_TEXTS[frame.why] ?? "lost");
      this.#channels.left(member, frame.why);
      this.#options.left(member, frame.why);
    });
  }

  receive(frame: Extract<Frame, { type: "send" | "recv" }>): void {
    this.#sender(frame.sid).peer?.receive(frame.kind, frame.tag, frame.payload);
  }

  receivePart(frame: Extract<Frame, { type: "part" }>): void {
    this.#sender(frame.sid).peer?.receivePart(frame.tag, frame);
  }

  #sender(sid: string): RosterMember {
    const member = this.roster.members.get(sid);
    if (!member) throw new ProtocolError("unexpected");
    return member;
  }

  /** The connection is gone, and with it all channels; the last roster is still shown. */
  disconnected(): void {
    if (!this.#context) return;
    this.#context = undefined;
    this.own.disconnected();
    this.recap.disconnected();
    this.sender.transport = undefined;
    this.people.disconnect();
    for (const member of this.roster.members.values()) {
      this.people.unlist(member.name);
      this.files?.left(member, false);
      member.peer?.leave(() => {
        member.peer = undefined;
        member.announced = false;
        if (member.stream?.holder === member) this.people.lose(member.stream);
      });
    }
  }

  /** Applies the time limits; call it about once a second. */
  tick(): void {
    const { clock } = this.#options;
    for (const member of this.roster.members.values()) {
      member.peer?.tick();
      // It looked like somebody of the last roster, and does not prove it.
      const since = Math.max(member.listedAt, this.#welcomedAt);
      const isUnproven = member.shown && !member.announced && this.joined;
      if (isUnproven && clock.now() - since >= UNAUTHENTICATED_MS) {
        this.#memberEvents.reportLeft(member, "lost");
      }
    }
    const isOver = clock.now() - this.#welcomedAt >= COMING_MS;
    for (const member of this.joined && isOver ? [...this.roster.expected] : []) {
      this.roster.expected.delete(member);
      this.#memberEvents.reportLeft(member, "lost");
    }
    this.people.tick();
    this.own.tick();
    this.recap.tick();
    this.#giving.drained();
    this.#memberEvents.tick();
    this.#acquaintance.see();
    this.outbox.expire(this.people.streams());
  }

  /** An FP in the roster has not been shown for 30 s, §6. */
  #warn({ fingerprint }: Person): void {
    const members = this.roster.membersOf(fingerprint);
    for (const member of members) this.#memberEvents.reportLeft(member, "lost");
    if (members.every(({ refused }) => refused)) return; // said already
    this.#memberEvents.notice(
      `cannot authenticate ${fingerprint}: another password, or not a member`,
      fingerprint,
    );
  }

  /** The people who are lost, and get what is written all the same. */
  lost(): LostPerson[] {
    return this.#acquaintance.lost();
  }

  // Actions of the user.

  /** Changes our nick. @throws {UsageError} When it breaks a rule of §9. */
  setNick(nick: string): void {
    const checked = checkNick(nick.normalize("NFC"));
    if (checked === this.nick) return;
    this.nick = checked;
    this.sender.announceNick();
    this.#reportSelf();
  }

  /** Sets our away text; an empty one means that we are back. @throws {UsageError} When it is too long. */
  setAway(text: string): void {
    if (encodeUtf8(text).length > MAX_AWAY_BYTES) {
      throw new UsageError(`an away text has at most ${MAX_AWAY_BYTES} bytes`);
    }
    if (text === this.away) return;
    this.away = text;
    for (const { peer } of this.roster.members.values()) peer?.send({ type: "away", text });
    this.#reportSelf();
  }

  #reportSelf(): void {
    this.#options.emit({ event: "self", nick: this.nick, away: this.away });
  }

  /** Reports whose trust has changed; call it after changing what is known about people. */
  reportTrust(): void {
    this.#memberEvents.reportTrust();
  }

  /** The user has seen everything up to a message, which other terminals of their own are told. */
  markRead({ id, of }: MessageName): void {
    const message = this.#shown.byId(id, of);
    if (message) this.own.read(message);
  }

  /** The topic of the room; empty for none. */
  get topic(): string {
    return this.#topic.known?.text ?? "";
  }

  /** Sets the topic for everybody. @throws {UsageError} When it is too long. */
  setTopic(text: string): void {
    const topic = this.#topic.set(text, this.#options.clock.wallTime());
    for (const { peer } of this.roster.members.values()) peer?.send(topic);
    this.#memberEvents.tellTopic(topic);
  }

  /** There are others in the roster, and each person among them is shown or refused for good. */
  get complete(): boolean {
    const people = Map.groupBy(this.roster.members.values(), ({ person }) => person);
    return people.size > 0 &&
      people.entries().every(([person, members]) =>
        person.shown || members.every(({ refused }) => refused)
      );
  }

  /** Prepares for the end: gives what waits for its view, and sends delayed ACKs. */
  finish(): void {
    this.#inboxes.flush();
    this.acknowledge();
  }

  /** Sends delayed ACKs. */
  acknowledge(): void {
    for (const { peer } of this.roster.members.values()) peer?.flushAck();
  }

  /** Reports everything unacknowledged as undelivered; call it after the connection has ended. */
  abandon(): void {
    for (const stream of this.people.streams()) this.outbox.giveUp(stream, "failed");
  }

  #enter(sid: string, fingerprint: Bytes, before?: RosterMember): RosterMember {
    const name = encodeFingerprint(fingerprint);
    const same = before?.name === name ? before : undefined;
    const { clock } = this.#options;
    const person = this.people.get(name);
    const member = makeRosterMember({ sid, fingerprint, name, person, clock, before: same });
    this.#channels.add(member, this.#context!);
    this.roster.members.set(sid, member);
    this.people.list(name);
    return member;
  }

  /** @returns Whether a member of the last roster has a new sid now. */
  #handOver(member: RosterMember): boolean {
    const successor = this.roster.membersOf(member.name).find(({ shown }) => !shown);
    if (!successor || !member.shown) return false;
    copyProfile(successor, member);
    return true;
  }

  #changeView(): void {
    const { sid, relay } = this.#context!;
    this.#inboxes.changeView(this.#views.update({ sid, relay }));
  }
}
