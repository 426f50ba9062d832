/**
 * The relay: admits connections and keeps the rooms (PROTOCOL.md §2, §5, §7, §10). Independent of the runtime: streams
 * are passed in, and time comes from a clock.
 *
 * @module
 */

import { canonicalAddress, isLinkLocal, isLoopback } from "../base/ip.ts";
import { type Bytes, encodeHex, equalBytes, isZero } from "../base/bytes.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../base/clock.ts";
import {
  acceptConnection,
  type ByteStream,
  closeAtOnce,
  type End,
  type Scheduled,
  Scheduler,
  settledWithin,
} from "../transport/mod.ts";
import {
  FLUSH_MS,
  HANDSHAKES_PER_CORE,
  HANDSHAKES_PER_CORE_AND_SECOND,
  HEARD_MS,
  JOIN_TIMEOUT_MS,
  MAX_CLIENTS,
  MAX_HANDSHAKES,
  MAX_HANDSHAKES_IN_ORDER,
  MAX_HANDSHAKES_PER_SECOND,
  MAX_ROOM_MEMBERS,
} from "../protocol/limits.ts";
import { JobQueue } from "../base/job_queue.ts";
import type { Member } from "./room.ts";
import { REASON, WHY } from "../protocol/frames.ts";
import { makeSessionKey, type SessionKey } from "../protocol/session_key.ts";
import type { Whereabouts } from "../protocol/succession.ts";
import type { KeptBan } from "./ban_file.ts";
import { type Admission, ClientConnection, type Join } from "./client_connection.ts";
import { dismiss, Moderation } from "./moderation.ts";
import { PasswordCheck } from "./password_check.ts";
import { PendingClients } from "./pending.ts";
import type { Attendee } from "./registry.ts";
import type { RelayOptions } from "./relay_options.ts";
import { measure, type RelayState } from "./relay_state.ts";
import { RoomPlaces } from "./room_places.ts";
import { Rooms } from "./rooms.ts";
import { describeClient, describeError, describeFailure, type RelayEvent } from "./relay_event.ts";

/** Admits connections to rooms and forwards between their members, until {@linkcode stop}. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #scheduler: Scheduler;
  readonly #handshakes: JobQueue;
  readonly #passwords: PasswordCheck;
  readonly #moderation: Moderation;
  /** Made anew at each start, §3. */
  readonly #session: Promise<SessionKey>;
  readonly #rooms: Rooms;
  readonly #pending = new PendingClients();
  readonly #places: RoomPlaces;
  readonly #admission: Admission = {
    onSeek: (client, room) => this.#takeSeek(client, encodeHex(room)),
    onPlace: (client, body) => this.#places.take(client, body),
    onJoin: (client, join) => this.#answer(client, join),
    onAdmin: (member, admin) => this.#moderation.administer(member, admin),
    onEnd: (client, end) => this.#remove(client, end),
  };
  /** Cuts pending clients at their deadlines; has nothing to write. */
  readonly #deadlines: Scheduled = { check: (now) => this.#cutOverdue(now), flush: (now) => now };
  #stopping = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    const { coalesceMs = 0, defer } = options;
    this.#scheduler = new Scheduler({ clock: this.#clock, coalesceMs, ...(defer && { defer }) });
    const { cores = navigator.hardwareConcurrency } = options;
    this.#handshakes = new JobQueue(this.#clock, {
      atOnce: Math.min(HANDSHAKES_PER_CORE * cores, MAX_HANDSHAKES),
      perSecond: Math.min(HANDSHAKES_PER_CORE_AND_SECOND * cores, MAX_HANDSHAKES_PER_SECOND),
      inOrder: MAX_HANDSHAKES_IN_ORDER,
    });
    this.#rooms = new Rooms({
      random: this.#random,
      capacity: options.capacity ?? MAX_ROOM_MEMBERS,
      maxClients: options.maxClients ?? MAX_CLIENTS,
      registry: options.registry,
    });
    this.#passwords = new PasswordCheck({
      key: options.key,
      clock: this.#clock,
      random: this.#random,
      primitives: options.primitives,
    });
    this.#places = new RoomPlaces({
      joinKey: options.joinKey,
      host: options.host,
      others: (room) => options.registry ? 0 : this.others(room), // no host gives way to a cluster
      told: (state) => options.meter?.place(state),
    });
    this.#moderation = new Moderation(options, {
      clock: this.#clock,
      rooms: this.#rooms,
      pending: this.#pending,
      report: (event) => this.#report(event),
    });
    const { key, primitives } = options;
    this.#session = makeSessionKey(key, {
      random: this.#random,
      ...(primitives && { primitives }),
    });
    this.#scheduler.add(this.#deadlines, Infinity);
  }

  /** The number of members, over all rooms. */
  get members(): number {
    return this.#rooms.memberCount;
  }

  /** The number of connections that are not members yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** What it is doing, in numbers. */
  get state(): RelayState {
    return {
      members: this.members,
      rooms: this.#rooms.size,
      pending: this.pending,
      seekers: this.#places.seekers.size,
      ...measure(this.#rooms.members()),
      traffic: this.#scheduler.traffic,
    };
  }

  // --- Before the JOIN ---

  /**
   * Takes a new connection.
   *
   * @param stream Owned by the relay from here on, which closes it.
   * @param address The remote IP address, as the operating system writes it.
   */
  accept(stream: ByteStream, address: string): void {
    if (this.#stopping) return closeAtOnce(stream);
    const client = new ClientConnection(
      this.#admission,
      canonicalAddress(address),
      this.#scheduler.now(),
    );
    this.#addPending(client);
    this.#scheduler.wakeAt(client.deadline);
    void this.#handshake(client, stream);
  }

  async #handshake(client: ClientConnection, stream: ByteStream): Promise<void> {
    const { key, primitives } = this.#options;
    const { signal } = client;
    const since = this.#clock.now();
    try {
      const accepted = await acceptConnection(stream, {
        key,
        session: this.#session,
        clock: this.#clock,
        random: this.#random,
        scheduler: this.#scheduler,
        signal,
        turn: (work) => this.#handshakes.run(work, signal),
        ...(primitives && { primitives }),
      });
      const isCut = signal.aborted; // during the last step of the handshake
      this.#options.meter?.handshake(this.#clock.now() - since);
      client.start(accepted);
      if (isCut) accepted.connection.abort();
    } catch (error) {
      this.#pending.delete(client);
      this.#report({ event: "closed", address: client.address, cause: describeError(error) });
    }
  }

  /** Counts a client as pending; past a limit another is cut for it. */
  #addPending(client: ClientConnection): void {
    const last = this.#pending.add(client);
    if (last) this.#cut(last, "too many connections at once");
  }

  #cut(client: ClientConnection, cause: string): void {
    const { accepted, address } = client;
    this.#pending.delete(client);
    this.#places.forget(client);
    if (accepted) {
      this.#report({
        event: "closed",
        ...describeClient(address, accepted.peer.fingerprint),
        cause,
      });
    }
    client.cut(cause);
  }

  /** Cuts clients whose deadline is over (§5, §7); returns the next deadline. */
  #cutOverdue(now: number): number {
    let next = Infinity;
    for (const client of [...this.#pending, ...this.#places.seekers]) {
      if (now >= client.deadline) this.#cut(client, "no JOIN in time");
      else next = Math.min(next, client.deadline);
    }
    return next;
  }

  // --- SEEK ---

  /** Answers a SEEK; a JOIN may follow. */
  #takeSeek(client: ClientConnection, room: string): void {
    this.#pending.delete(client);
    const last = this.#places.seek(client, room);
    if (last) this.#cut(last, "too many SEEKs at once");
    this.#setDeadline(client, this.#scheduler.now() + JOIN_TIMEOUT_MS);
  }

  // --- JOIN ---

  /** Answers a JOIN: at once, or once a PROOF has been checked. */
  #answer(client: ClientConnection, join: Join): void {
    client.askedAt = this.#clock.now();
    if (this.#places.forget(client)) {
      this.#addPending(client);
      this.#setDeadline(client, this.#scheduler.now() + JOIN_TIMEOUT_MS); // for its PROOF
    }
    client.place = this.#isSingle(client.address) ? client.address : client.network;
    const tag = encodeHex(join.room);
    const reason = this.#findFault(client, tag);
    if (reason !== undefined) return this.#refuse(client, reason);
    const joinKey = this.#places.rooms.joinKeyOf(tag);
    if (!joinKey) return this.#admit(client, join);
    if (isZero(join.share)) return this.#refuse(client, REASON.PASSWORD); // §7: a password is needed
    this.#passwords.ask(client, { join, joinKey }, {
      // §7: for its turn
      waits: () => this.#setDeadline(client, this.#scheduler.now() + JOIN_TIMEOUT_MS),
      refuse: () => this.#refuse(client, REASON.PASSWORD),
      admit: () => this.#admit(client, join),
    }).catch((error) => this.#failJoin(client, error));
  }

  /** Whether an address counts alone among members and for wrong passwords: not if others of its /64 are the same. */
  #isSingle(address: string): boolean {
    const { isNear = isLinkLocal } = this.#options;
    return !address.includes(":") || isLoopback(address) || isNear(address);
  }

  #setDeadline(client: ClientConnection, deadline: number): void {
    client.deadline = deadline;
    this.#scheduler.wakeAt(deadline);
  }

  /** Ends a connection whose share does not decode, §7. */
  #failJoin(client: ClientConnection, error: unknown): void {
    if (client.signal.aborted) return;
    const { connection, peer } = client.accepted!;
    this.#pending.delete(client);
    const who = describeClient(client.address, peer.fingerprint);
    this.#report({ event: "closed", ...who, cause: describeError(error) });
    void connection.close(REASON.PROTOCOL);
  }

  /** The first checks of §5, before password and capacity: key size, where the room is, then allow list and bans. */
  #findFault(client: ClientConnection, tag: string): number | undefined {
    const { peer } = client.accepted!;
    if (peer.bits < this.#options.minKeyBits) return REASON.WEAK_KEY;
    if (!this.#places.rooms.has(tag)) return REASON.ELSEWHERE;
    return this.#moderation.mayJoin(peer.fingerprint) ? undefined : REASON.NOT_ALLOWED;
  }

  /** The reason to refuse a client that would replace `old`, §5. */
  #findObstacle(
    client: ClientConnection,
    tag: string,
    old: Member | undefined,
  ): number | undefined {
    // Rooms, the allow list and the bans may have changed while the proof waited.
    const fault = this.#findFault(client, tag);
    if (fault !== undefined) return fault;
    if (client.isKicked) return REASON.REMOVED;
    return !old && this.#rooms.isFull(tag, client.place) ? REASON.FULL : undefined;
  }

  #admit(client: ClientConnection, join: Join): void {
    const { connection, peer: { fingerprint } } = client.accepted!;
    const tag = encodeHex(join.room);
    const old = this.#rooms.find(tag, fingerprint, join.instance);
    const reason = this.#findObstacle(client, tag, old);
    if (reason !== undefined) return this.#refuse(client, reason);
    const { registry } = this.#options;
    if (old && !registry) dismiss(old, WHY.REPLACED, REASON.REPLACED);
    const member = this.#rooms.add(tag, client.place, {
      connection,
      address: client.address,
      fingerprint,
      instance: join.instance,
    });
    if (!registry) return this.#welcome(client, member);
    client.applicant = member;
    client.deadline = Infinity; // it is the others that take their time
    registry.join(member, {
      admit: (others) => this.#welcome(client, member, others),
      refuse: (reason) => {
        client.applicant = undefined;
        this.#rooms.forget(member, client.place);
        this.#refuse(client, reason);
      },
    });
  }

  /** @param others Who is in the room, where a registry keeps it. */
  #welcome(client: ClientConnection, member: Member, others?: readonly Attendee[]): void {
    const { connection, fingerprint, room: { tag } } = member;
    this.#pending.delete(client);
    client.admit(member);
    if (this.#places.rooms.isHosted(tag)) connection.watch();
    this.#rooms.welcome(member, others);
    if (this.#moderation.motd) connection.send(this.#moderation.motd);
    this.#options.meter?.join(this.#clock.now() - client.askedAt);
    this.#report({ event: "joined", ...describeClient(client.address, fingerprint) });
    // A registry takes its time, in which an operator may have spoken.
    if (others && (client.isKicked || !this.#moderation.mayJoin(fingerprint))) {
      return dismiss(member, WHY.REMOVED, REASON.REMOVED);
    }
    client.replayEarly();
  }

  #refuse(client: ClientConnection, reason: number): void {
    const { connection, peer } = client.accepted!;
    this.#pending.delete(client);
    client.dropEarly();
    this.#report({ event: "refused", ...describeClient(client.address, peer.fingerprint), reason });
    void connection.close(reason);
  }

  // --- The end of a connection ---

  /** Removes a client whose connection has ended; its room gets LEFT. */
  #remove(client: ClientConnection, end: End): void {
    const { address, member } = client;
    const fingerprint = (member ?? client.accepted!.peer).fingerprint;
    const who = describeClient(address, fingerprint);
    if (end.type === "failed") {
      this.#report({ event: "closed", ...who, cause: describeFailure(end) });
    }
    const { applicant } = client;
    if (applicant) {
      this.#rooms.forget(applicant, client.place);
      this.#options.registry!.leave(applicant, WHY.LOST);
    }
    if (this.#pending.delete(client) || this.#places.forget(client) || !member) return;
    const why = member.why ??
      (end.type === "closed" && end.reason === REASON.NORMAL ? WHY.LEFT : WHY.LOST);
    this.#rooms.delete(member, client.place, why);
    this.#options.registry?.leave(member, why);
    this.#report({ event: "left", ...who, why });
  }

  // --- Rooms that move, §14 ---

  /** ED by the relay's session key, 64 bytes; see {@linkcode SessionKey.sign}. */
  async sign(context: string, message: Uint8Array): Promise<Bytes> {
    return (await this.#session).sign(context, message);
  }

  /**
   * Admits to a room from now on, and to every other that was not shut.
   *
   * @param room Its tag in hex.
   * @param joinKey Kjoin of this room, 32 bytes; undefined if it needs no password.
   */
  open(room: string, joinKey: Bytes | undefined): void {
    this.#places.open(room, joinKey);
  }

  /** Ends a room here: CLOSE(7) to its members, without LEFTs; who comes later is sent elsewhere. */
  shut(room: string): void {
    this.#places.shut(room);
    for (const { connection } of this.#rooms.close(room)) {
      void connection.close(REASON.SHUTTING_DOWN);
    }
  }

  /** Sets where a room is while it is not here; those who have asked are told if that is news. */
  tell(room: string, where: Whereabouts): void {
    this.#places.tell(room, where);
  }

  /** The members of a room that are other persons than the host, and were heard lately by the computer's clock. */
  others(room: string): number {
    const person = this.#options.host?.person;
    return this.#rooms.membersOf(room).filter((member) =>
      this.#isHeard(member) && !(person && equalBytes(member.fingerprint, person))
    ).length;
  }

  /** Whether a member was heard lately by the computer's clock. */
  isHeard(sid: string): boolean {
    const member = this.#rooms.findSid(sid);
    return member !== undefined && this.#isHeard(member);
  }

  #isHeard({ connection }: Member): boolean {
    return this.#clock.wallTime() - connection.heardWallTime < HEARD_MS;
  }

  /** The address that a member's connection comes from, an IPv4 one never as IPv6; undefined if it has left. */
  sourceOf(sid: string): string | undefined {
    return this.#rooms.findSid(sid)?.address;
  }

  // --- Operators ---

  /** Replaces the list of operators (§5), fingerprints as `SHA256:…`. */
  setOperators(operators: ReadonlySet<string>): void {
    this.#moderation.setOperators(operators);
  }

  /** Replaces the message of the day (§5), at most 1024 bytes, on all relays that are one server; an empty text is none. */
  setMotd(text: string): void {
    this.#moderation.setMotd(text);
  }

  /** Replaces the allow list; members no longer on it get CLOSE(8) (§5). */
  setAllow(allow: ReadonlySet<string>): void {
    this.#moderation.setAllow(allow);
  }

  /**
   * Replaces the bans; members who are banned now get CLOSE(8) (§5). Where several relays are one server it does nothing:
   * what was said on any of them holds, and this may be older.
   */
  setBans(bans: readonly KeptBan[]): void {
    this.#moderation.setBans(bans);
  }

  /** Sends CLOSE(7) to all, waits at most 2 s until it is written, and closes every connection. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#scheduler.remove(this.#deadlines);
    const connections = this.#rooms.closeAll().map(({ connection }) => connection);
    for (const client of [...this.#pending, ...this.#places.seekers]) {
      if (client.accepted) connections.push(client.accepted.connection);
      else this.#cut(client, "the relay stops");
    }
    const closing = connections.map((connection) => connection.close(REASON.SHUTTING_DOWN));
    await settledWithin(this.#clock, FLUSH_MS, Promise.all(closing));
    for (const connection of connections) connection.abort();
  }

  #report(event: RelayEvent): void {
    this.#options.onEvent?.(event);
  }
}
