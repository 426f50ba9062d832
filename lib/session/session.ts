/**
 * One client in one room for as long as the program runs: connects, joins, reconnects, and reports everything as
 * events (PROTOCOL.md §3, §5, §7, §8).
 *
 * @module
 */

import { type Clock, systemClock, systemRandom, type Timer } from "../base/clock.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import type { AdminRequest } from "../protocol/admin.ts";
import { type Frame, STATUS } from "../protocol/frames.ts";
import { ENTRY } from "../protocol/history_entry.ts";
import { decodeFingerprint } from "../protocol/identity.ts";
import { MAX_RECORD_BYTES } from "../protocol/limits.ts";
import { roomTag } from "../protocol/rooms.ts";
import { AdminRequests, type AdminResult } from "./admin_requests.ts";
import { Connector } from "./connector.ts";
import type { MovedEvent, NoteKind, SessionEvent } from "./events.ts";
import type { FileChannels } from "./file_channels.ts";
import { Guesses } from "./guesses.ts";
import { Host } from "./host.ts";
import type { Link } from "./link.ts";
import { Membership } from "./membership.ts";
import { Password } from "./password.ts";
import { NOBODY } from "./recorder.ts";
import type { LostPerson, ShownPerson } from "./roster.ts";
import type { ComposeOptions, Draft, MessageName } from "./sender.ts";
import { ServerNotices } from "./server_notices.ts";
import type { SessionOptions } from "./session_options.ts";
import { Settling } from "./settling.ts";
import type { Standing } from "./standing.ts";
import { Succession } from "./succession.ts";
import type { SuccessionOptions } from "./succession_options.ts";

const TICK_MS = 1000;
/** Nothing is added to a send queue of more than this: at most one record is unwritten, §6. */
const CONGESTED_BYTES = MAX_RECORD_BYTES;

/** A client in one room; all that a user interface needs. */
export class Session {
  readonly membership: Membership;
  readonly #settling: Settling;
  readonly #serverNotices: ServerNotices;
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #connector: Connector;
  /** Set where the room may move to another host. */
  readonly succession: Succession | undefined;
  readonly #requests = new AdminRequests();
  #ticker: Timer | undefined;
  #changed: (() => void)[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    const room = roomTag(options.room);
    const { password: given = "" } = options;
    const password = typeof given === "string" ? new Password(given, options.derive) : given;
    const { key, primitives, minKeyBits, knownServers } = options;
    const shared = { key, room, clock: this.#clock, random, ...(primitives && { primitives }) };
    const emit = (event: SessionEvent) => {
      if (event.event === "joined") this.#settling.shown();
      if (event.event === "moved") this.#recordMove(event);
      const given = options.emit(event);
      this.wake();
      return given;
    };
    this.membership = new Membership({
      ...shared,
      nick: options.nick,
      instance: options.headStart?.instance,
      guesses: options.guesses ?? new Guesses(this.#clock),
      knownPeers: options.knownPeers,
      strict: options.strict ?? false,
      files: options.files,
      minKeyBits,
      emit,
      record: options.recorder && ((happening) => options.recorder!.record(happening)),
      keepsApart: options.keepsApart,
      recap: options.recap,
      asksOthers: options.asksOthers,
      ...(options.recorder && { logged: (time) => options.recorder!.since(time) }),
      ready: (member) => this.succession?.ready(member),
      succession: (member, message) => this.succession?.message(member, message),
      left: (member, why) => this.succession?.left(member, why),
    });
    this.#serverNotices = new ServerNotices(this.#clock, emit);
    const { sender } = this.membership;
    this.#settling = new Settling({
      clock: this.#clock,
      accept: (draft) => sender.accept(draft),
      refuse: ({ ref, message: refused }, { message, hints }) => {
        options.emit({
          event: "error",
          code: "refused",
          message,
          hint: hints.join("; "),
          ...(ref !== undefined && { ref }),
          ...(refused.type === "chat" && { id: refused.id }),
        });
      },
      settled: () => this.wake(),
      isComplete: () => this.membership.complete,
      isExpected: () => this.#isWatchful && this.membership.people.addressed().length > 0,
    });
    this.#connector = new Connector({
      ...shared,
      ...options,
      clock: this.#clock,
      random,
      room,
      name: options.room,
      password,
      minKeyBits,
      knownServers,
      instance: this.membership.instance,
      emit,
      welcomed: (link, frame, follows) => {
        options.recorder?.arrived(link.relay.fingerprint, follows);
        this.#welcome(link, frame);
      },
      frame: (frame) => this.#takeFrame(frame),
      drained: () => this.membership.drained(),
      lost: () => {
        this.membership.disconnected();
        this.#settling.disconnected();
        this.#requests.abandon();
      },
    });
    this.succession = this.#connector.succession = this.#makeSuccession(
      { ...shared, emit },
      password,
    );
  }

  #makeSuccession(
    { emit, ...shared }:
      & Pick<SuccessionOptions, "key" | "room" | "clock" | "random" | "primitives">
      & Pick<SessionOptions, "emit">,
    password: Password,
  ): Succession | undefined {
    const { succession, strict, address, dial, knownPeers, knownServers } = this.#options;
    if (!succession) return undefined;
    const { own, names } = succession;
    return new Succession({
      ...shared,
      ...succession,
      own,
      // With --no-stand-by a relay hosts or does nothing.
      standsBy: names,
      home: { address, dial: (signal) => dial(signal) },
      beginHosting: (options) => new Host(options),
      mayName: (fingerprint) => names && (!strict || knownPeers.isVerified(fingerprint)),
      pinned: (start) => knownServers.findKey(start),
      members: () => this.membership.roster.members.values(),
      send: (member, message) => member.peer?.send(message),
      joinKey: async (relay) => (await password.keysFor(relay))?.joinKey,
      searching: (host, active) => emit({ event: "searching", host: host ?? null, active }),
      live: () => this.#connector.live,
    });
  }

  #recordMove({ address, fingerprint, host }: MovedEvent): void {
    this.#options.recorder?.record({
      type: ENTRY.MOVED,
      sent: 0,
      fingerprint: host === null ? NOBODY : decodeFingerprint(host),
      to: decodeFingerprint(fingerprint),
      flags: 0,
      nick: "",
      text: address,
    });
  }

  get #isWatchful(): boolean {
    return this.succession?.isWatchful ?? false;
  }

  /** In the room now. */
  get joined(): boolean {
    return this.membership.joined;
  }

  /** Who hosts the room and who may; undefined where it does not move. */
  get standing(): Standing | undefined {
    return this.succession?.standing;
  }

  /** Milliseconds since the relay was heard; undefined without a connection. */
  get silentMs(): number | undefined {
    return this.#connector.live?.connection.silentMs;
  }

  /** Our nick. */
  get nick(): string {
    return this.membership.nick;
  }

  /** Our away text; empty when present. */
  get away(): string {
    return this.membership.away;
  }

  /** The people in the room, in the order in which they joined. */
  people(): ShownPerson[] {
    return this.membership.roster.people();
  }

  /** The people who are lost, and get what is written all the same (§6). */
  lost(): LostPerson[] {
    return this.membership.lost();
  }

  /** What members say about files; undefined where they are neither sent nor taken. */
  get files(): FileChannels | undefined {
    return this.membership.files;
  }

  /** Tells whether a private message can be sent to somebody: they are shown, or were a moment ago. */
  reaches(fingerprint: string): boolean {
    return this.membership.people.find(fingerprint) !== undefined;
  }

  /**
   * Finds the one person that a nick or a fingerprint means.
   *
   * @throws {UsageError} When it means nobody or more than one person.
   */
  find(who: string): ShownPerson {
    return this.membership.roster.findPerson(who);
  }

  /**
   * Sends a message to the room. Without a connection, and until people are shown after the first WELCOME, it waits
   * (§6, "Settling"); the `sent` event tells when it is accepted.
   *
   * @param options.ref Repeated in the `sent` event.
   * @param options.reply The message that it answers.
   * @returns Its id, 16 hex digits.
   * @throws {UsageError} When it is too long, or answers an unknown message; nothing is sent.
   */
  say(text: string, options: Omit<ComposeOptions, "to"> = {}): string {
    return this.#submit(this.membership.sender.compose(text, options));
  }

  /**
   * Sends a private message to every client of one person, who is the one that `to` means now; if that is nobody while
   * people are still to be shown, the one that it means then. Waits as {@linkcode Session.say} does.
   *
   * @param to A nick as shown, or a fingerprint.
   * @param options As in {@linkcode Session.say}.
   * @returns Its id, 16 hex digits.
   * @throws {UsageError} When `to` means nobody or more than one person, the nick belongs to another key (§8), or the
   * text is too long; nothing is sent. A message that has waited gives an `error` event instead, with code `refused`.
   */
  sendPrivate(
    to: string,
    text: string,
    options: Omit<ComposeOptions, "to"> = {},
  ): string {
    return this.#submit(this.membership.sender.compose(text, { ...options, to }));
  }

  /**
   * Reacts to a message that was shown, or changes one of our own: for everybody whom a message would be for now, or for
   * the other side of a private one.
   *
   * @param text The reaction or the new text.
   * @throws {UsageError} When there is no such message, or this may not be done to it; nothing is sent.
   */
  sendNote(about: MessageName, what: NoteKind, text = ""): void {
    this.#settling.submit(this.membership.sender.composeNote(about, what, text));
  }

  /** The user has seen everything up to a message, which other terminals of their own are told. */
  markRead(message: MessageName): void {
    this.membership.markRead(message);
  }

  /** Whether what the user writes may be handed on to people who come later, §17. */
  get recap(): boolean {
    return this.membership.recap.isOn;
  }

  /** Lets what the user writes from now on be handed on, or not. */
  turnRecap(isOn: boolean): void {
    this.membership.recap.turn(isOn);
  }

  #submit(draft: Draft): string {
    this.#settling.submit(draft);
    return draft.message.type === "chat" ? draft.message.id : "";
  }

  /** The topic of the room; empty for none. */
  get topic(): string {
    return this.membership.topic;
  }

  /** The server's message of the day, as it was at the last join or set by the user since; empty for none. */
  get motd(): string {
    return this.#serverNotices.motd;
  }

  /** Sets the topic for everybody. @throws {UsageError} When it is too long. */
  setTopic(text: string): void {
    this.membership.setTopic(text);
  }

  /**
   * Asks the relay for something that only its operators may have.
   *
   * @returns Its answer; undefined if the connection ended before.
   * @throws {UsageError} When there is no connection, or too many requests wait.
   */
  admin(request: AdminRequest): Promise<AdminResult | undefined> {
    if (!this.joined) throw new UsageError("there is no connection to the server");
    const { connection } = this.#connector.live!;
    return this.#requests.send(request, (frame) => connection.send(frame)).then((result) => {
      const isDone = result?.status === STATUS.DONE;
      if (request.verb === "motd" && isDone) this.#serverNotices.motd = request.text;
      return result;
    });
  }

  /** Changes our nick. @throws {UsageError} When it breaks a rule of §9. */
  setNick(nick: string): void {
    this.membership.setNick(nick);
  }

  /** Sets our away text; an empty one means that we are back. @throws {UsageError} When it is too long. */
  setAway(text: string): void {
    this.membership.setAway(text);
  }

  /** Emits `trust` for everybody whose trust has changed; call it after changing `knownPeers`. */
  reportTrust(): void {
    this.membership.reportTrust();
  }

  /** So much is unacknowledged, or waits to be accepted, that no more input is taken (§6). */
  get blocked(): boolean {
    return this.membership.sender.blocked || this.#settling.full;
  }

  /** Connected for long enough that whoever is in the room is shown (§6, "Settling"). */
  get settled(): boolean {
    return this.#settling.settled;
  }

  /** The number of messages that wait to be accepted. */
  get waiting(): number {
    return this.#settling.count;
  }

  /** Tells whether a message waits to be accepted. */
  isWaiting(id: string): boolean {
    return this.#settling.has(id);
  }

  /** A person whom a message is for has not acknowledged it, and has not said goodbye. */
  get owed(): boolean {
    return this.waiting > 0 || this.membership.outbox.owed;
  }

  /** How often a message did not reach a person who has not said goodbye, or anybody at all. */
  get failures(): number {
    return this.membership.outbox.failures;
  }

  /** The fingerprints of the people who have not acknowledged a message yet. */
  missing(id: string): string[] {
    return this.membership.outbox.missing(id);
  }

  /** Failed or ended connections since the last one that lasted. */
  get attempts(): number {
    return this.#connector.attempts;
  }

  /**
   * Connects, and reconnects after every loss, until {@linkcode Session.stop} or a final refusal.
   *
   * @throws {UsageError} The final refusal, with a hint.
   * @throws What `dial` throws, on the first attempt only.
   */
  async run(): Promise<void> {
    this.#tick();
    try {
      await this.#connector.run();
    } finally {
      this.#clock.cancel(this.#ticker);
      this.succession?.stop();
      this.membership.finish();
      this.#serverNotices.flush();
      this.#settling.flush();
      this.membership.abandon();
      await this.#connector.flush();
    }
  }

  /** Nothing more will be sent: acknowledges what was given to the user at once. */
  acknowledge(): void {
    this.membership.acknowledge();
  }

  /** Leaves: sends delayed ACKs and CLOSE(0), and ends {@linkcode Session.run}. */
  async stop(): Promise<void> {
    this.#settling.flush();
    this.membership.finish();
    const stopped = this.#connector.stop();
    this.wake();
    await stopped;
  }

  /** Waits until a condition holds; checks it at every event. @returns Whether it held in time. */
  async until(condition: () => boolean, timeoutMs = Infinity): Promise<boolean> {
    const deadline = this.#clock.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - this.#clock.now();
      if (left <= 0 || this.#connector.stopping.aborted) return false;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        this.#clock.after(Math.min(left, TICK_MS), resolve);
      });
    }
    return true;
  }

  /** Makes every {@linkcode Session.until} check its condition again. */
  wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }

  #tick(): void {
    this.membership.tick();
    this.#settling.check();
    this.membership.sender.pump();
    this.wake();
    this.#ticker = this.#clock.after(TICK_MS, () => this.#tick());
  }

  #takeFrame(frame: Frame): void {
    switch (frame.type) {
      case "joined":
        return this.membership.enter(frame);
      case "left":
        this.membership.leave(frame);
        return this.#settling.check();
      case "recv":
        return this.membership.receive(frame);
      case "part":
        return this.membership.receivePart(frame);
      case "result":
        return this.#requests.take(frame.request, { status: frame.status, data: frame.data });
      case "notice":
        return this.#serverNotices.take(frame.what, frame.text);
      default:
        throw new ProtocolError("unexpected");
    }
  }

  #welcome(link: Link, frame: Extract<Frame, { type: "welcome" }>): void {
    const { connection, relay, roomKey } = link;
    this.#serverNotices.motd = ""; // it follows, if there is one
    this.membership.welcome(frame, {
      relay: relay.fingerprint,
      roomKey,
      isExpected: this.#isWatchful,
      transport: {
        send: (bytes) => connection.send(bytes),
        get congested() {
          return connection.queuedBytes > CONGESTED_BYTES;
        },
      },
    });
    this.#settling.welcome();
    this.wake();
  }
}
