/**
 * The relay: takes connections, decides who may join, and keeps the rooms (PROTOCOL.md §2, §5, §7, §10).
 *
 * Knows no nicknames, texts or peer keys, and no runtime: streams are handed in, the time comes from a clock. Never
 * imports peer, session or text.
 *
 * @module
 */

import { canonicalAddress, isLoopback } from "../base/ip.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../base/clock.ts";
import {
  acceptTransport,
  type ByteStream,
  type Connection,
  type End,
} from "../transport/establish.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { Group, type GroupMember } from "../transport/scheduler.ts";
import {
  FLUSH_MS,
  JOIN_TIMEOUT_MS,
  MAX_CLIENTS,
  MAX_CLIENTS_PER_ADDRESS,
  MAX_HANDSHAKES,
  MAX_HANDSHAKES_PER_SECOND,
  MAX_PENDING,
  MAX_PENDING_PER_ADDRESS,
  MAX_ROOM_MEMBERS,
} from "../protocol/limits.ts";
import { Line } from "../base/job_queue.ts";
import { type Member, MemberIndex, Room } from "./room.ts";
import { REASON, WHY } from "../protocol/frames.ts";
import { checkProof, ProofGate } from "../protocol/password.ts";
import { type DecodeId, encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { closeAtOnce, settledWithin } from "../transport/byte_stream.ts";
import { type Host, type Join, Visitor, VisitorCut } from "./client_connection.ts";

/** What the relay tells about itself, for logs; fingerprints as `SHA256:…`. */
export type RelayEvent =
  /** Somebody is in a room. */
  | { event: "joined"; fingerprint: string; address: string }
  /** A member has gone; `why` of LEFT, §5. */
  | { event: "left"; fingerprint: string; address: string; why: number }
  /** A JOIN was answered with CLOSE(reason). */
  | { event: "refused"; fingerprint: string; address: string; reason: number }
  /** A connection ended for a cause worth telling; the fingerprint where one was proven. */
  | { event: "closed"; fingerprint?: string; address: string; cause: string };

/** What a relay needs. */
export interface RelayOptions {
  readonly key: PrivateKey;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly decodeId?: DecodeId;
  /** Milliseconds between two writes to one member, so that under load each carries more; none by default. */
  readonly gather?: number;
  /** When what was received is passed on; see {@linkcode Group}. */
  readonly defer?: (action: () => void) => void;
  /** 32 bytes; without it everybody's proof is right. */
  readonly joinKey?: Bytes | undefined;
  /** Fingerprints as `SHA256:…`; without it everybody may join. */
  readonly allow?: ReadonlySet<string> | undefined;
  /** Members of a room at most, 1 to 256. */
  readonly capacity?: number;
  readonly maxClients?: number;
  readonly minKeyBits: number;
  readonly onEvent?: (event: RelayEvent) => void;
}

/** Makes the connections of strangers into members of rooms. */
export class Relay implements GroupMember, Host {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #group: Group;
  readonly #line: Line;
  readonly #gate: ProofGate;
  readonly #rooms = new Map<string, Room>();
  readonly #members = new MemberIndex();
  /** Members by address. */
  readonly #addresses = new Map<string, number>();
  /** In the order they were accepted. */
  readonly #pending = new Set<Visitor>();
  #allow: ReadonlySet<string> | undefined;
  #stopping = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#allow = options.allow;
    const { gather = 0, defer } = options;
    this.#group = new Group({ clock: this.#clock, gather, ...(defer && { defer }) });
    this.#line = new Line(this.#clock, {
      atOnce: MAX_HANDSHAKES,
      perSecond: MAX_HANDSHAKES_PER_SECOND,
    });
    this.#gate = new ProofGate(this.#clock);
    this.#group.add(this, Infinity);
  }

  /** How many members there are, over all rooms. */
  get members(): number {
    return this.#members.size;
  }

  /** How many connections are not members yet. */
  get pending(): number {
    return this.#pending.size;
  }

  // --- Before the JOIN ---

  /**
   * Takes a new connection.
   *
   * @param stream Belongs to the relay from now on.
   * @param address The other side's, as the operating system writes it.
   */
  accept(stream: ByteStream, address: string): void {
    if (this.#stopping) return closeAtOnce(stream);
    const visitor = new Visitor(this, canonicalAddress(address), this.#group.now());
    this.#pending.add(visitor);
    this.#group.wakeAt(visitor.deadline);
    this.#limitPending(visitor.address);
    void this.#greet(visitor, stream);
  }

  async #greet(visitor: Visitor, stream: ByteStream): Promise<void> {
    const { key, decodeId } = this.#options;
    const { signal } = visitor;
    try {
      const accepted = await acceptTransport(stream, {
        key,
        clock: this.#clock,
        random: this.#random,
        group: this.#group,
        signal,
        turn: (work) => this.#line.run(work, signal),
        ...(decodeId && { decodeId }),
      });
      const isCut = signal.aborted; // since the handshake's last step
      visitor.start(accepted);
      if (isCut) accepted.connection.abort();
    } catch (error) {
      this.#pending.delete(visitor);
      this.#tell({ event: "closed", address: visitor.address, cause: describeError(error) });
    }
  }

  /** §10: the oldest pending of the address with the most is cut. */
  #limitPending(address: string): void {
    const counts = new Map<string, number>();
    for (const visitor of this.#pending) {
      counts.set(visitor.address, (counts.get(visitor.address) ?? 0) + 1);
    }
    if (isLoopback(address) || counts.get(address)! <= MAX_PENDING_PER_ADDRESS) {
      if (this.#pending.size <= MAX_PENDING) return;
      const most = Math.max(...counts.values());
      address = counts.entries().find(([, count]) => count === most)![0];
    }
    const oldest = this.#pending.values().find((visitor) => visitor.address === address)!;
    this.#cut(oldest, "too many connections at once");
  }

  #cut(visitor: Visitor, cause: string): void {
    const { accepted, address } = visitor;
    this.#pending.delete(visitor);
    if (accepted) {
      this.#tell({ event: "closed", ...describe(address, accepted.peer.fingerprint), cause });
    }
    visitor.cut(cause);
  }

  /** Cuts those whose time is over, §5 and §7. */
  check(now: number): number {
    let next = Infinity;
    for (const visitor of this.#pending) {
      if (now >= visitor.deadline) this.#cut(visitor, "no JOIN in time");
      else next = Math.min(next, visitor.deadline);
    }
    return next;
  }

  /** A relay as such has nothing to write. */
  flush(now: number): number {
    return now;
  }

  // --- JOIN ---

  /** Answers a JOIN, at once or when its proof has been looked at. */
  judge(visitor: Visitor, join: Join): void {
    const reason = this.#findFault(visitor);
    if (reason !== undefined) return this.#refuse(visitor, reason);
    const { joinKey } = this.#options;
    if (!joinKey) return this.#admit(visitor, join);
    const { th3 } = visitor.accepted!;
    visitor.deadline = this.#group.now() + JOIN_TIMEOUT_MS; // §7: what it may wait in line
    const verify = () => {
      visitor.deadline = Infinity; // the answer comes, late if it is no
      const right = checkProof(joinKey, th3, join.proof);
      if (right) this.#admit(visitor, join);
      return right;
    };
    this.#gate.check(visitor.address, verify, { signal: visitor.signal }).then(
      (right) => right || this.#refuse(visitor, REASON.PASSWORD),
      () => {}, // the visitor has gone
    );
    this.#group.wakeAt(visitor.deadline);
  }

  /** §5: first the key's size, then the list, then the proof, then the room there is. */
  #findFault(visitor: Visitor): number | undefined {
    const { peer } = visitor.accepted!;
    if (peer.bits < this.#options.minKeyBits) return REASON.WEAK_KEY;
    if (this.#allow && !this.#allow.has(encodeFingerprint(peer.fingerprint))) {
      return REASON.NOT_ALLOWED;
    }
    return undefined;
  }

  #admit(visitor: Visitor, join: Join): void {
    const { connection, peer: { fingerprint } } = visitor.accepted!;
    const tag = encodeHex(join.room);
    const old = this.#rooms.get(tag)?.find(fingerprint, join.instance);
    // The list may have changed while the proof waited.
    const reason = this.#findFault(visitor) ??
      (!old && this.#isFull(tag, visitor.address) ? REASON.FULL : undefined);
    if (reason !== undefined) return this.#refuse(visitor, reason);
    if (old) this.#dismiss(old, WHY.REPLACED, REASON.REPLACED);
    const room = this.#rooms.get(tag) ?? new Room(tag);
    this.#rooms.set(tag, room);
    const member = this.#members.add(room, this.#random, {
      connection,
      fingerprint,
      instance: join.instance,
    });
    this.#pending.delete(visitor);
    this.#count(visitor.address, 1);
    visitor.admit(member);
    room.add(member, this.#options.capacity ?? MAX_ROOM_MEMBERS);
    this.#tell({ event: "joined", ...describe(visitor.address, fingerprint) });
  }

  #isFull(tag: string, address: string): boolean {
    const { capacity = MAX_ROOM_MEMBERS, maxClients = MAX_CLIENTS } = this.#options;
    const inRoom = this.#rooms.get(tag)?.size ?? 0;
    const ofAddress = isLoopback(address) ? 0 : this.#addresses.get(address) ?? 0;
    return inRoom >= capacity || this.#members.size >= maxClients ||
      ofAddress >= MAX_CLIENTS_PER_ADDRESS;
  }

  #refuse(visitor: Visitor, reason: number): void {
    const { connection, peer } = visitor.accepted!;
    this.#pending.delete(visitor);
    this.#tell({ event: "refused", ...describe(visitor.address, peer.fingerprint), reason });
    void connection.close(reason);
  }

  // --- The end of a connection ---

  #dismiss(member: Member, why: number, reason: number): void {
    member.why = why;
    void member.connection.close(reason);
  }

  /** Takes a visitor out of everything; the room gets LEFT. */
  forget(visitor: Visitor, end: End): void {
    const { address, member } = visitor;
    const fingerprint = (member ?? visitor.accepted!.peer).fingerprint;
    const who = describe(address, fingerprint);
    if (end.type === "failed") {
      this.#tell({ event: "closed", ...who, cause: describeFailure(end) });
    }
    if (this.#pending.delete(visitor) || !member) return;
    const { room } = member;
    this.#members.delete(member);
    this.#count(address, -1);
    const why = member.why ??
      (end.type === "closed" && end.reason === REASON.NORMAL ? WHY.LEFT : WHY.LOST);
    // Whoever is told that the relay stops need not know in which order.
    if (!this.#stopping) room.delete(member, why);
    if (room.size === 0) this.#rooms.delete(room.tag);
    this.#tell({ event: "left", ...who, why });
  }

  #count(address: string, change: number): void {
    const count = (this.#addresses.get(address) ?? 0) + change;
    if (count > 0) this.#addresses.set(address, count);
    else this.#addresses.delete(address);
  }

  // --- The operator ---

  /** Changes who may join; members who may not any more get CLOSE(8), §5. */
  setAllow(allow: ReadonlySet<string>): void {
    this.#allow = allow;
    for (const member of [...this.#members.values()]) {
      if (!allow.has(encodeFingerprint(member.fingerprint))) {
        this.#dismiss(member, WHY.REMOVED, REASON.REMOVED);
      }
    }
  }

  /** Ends everything: CLOSE(7) to everybody, and at most 2 s to write it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#group.remove(this);
    const connections: Connection[] = [];
    for (const member of this.#members.values()) connections.push(member.connection);
    for (const visitor of this.#pending) {
      if (visitor.accepted) connections.push(visitor.accepted.connection);
      else this.#cut(visitor, "the relay stops");
    }
    const closing = connections.map((connection) => connection.close(REASON.SHUTTING_DOWN));
    await settledWithin(this.#clock, FLUSH_MS, Promise.all(closing));
    for (const connection of connections) connection.abort();
  }

  #tell(event: RelayEvent): void {
    this.#options.onEvent?.(event);
  }
}

function describe(address: string, fingerprint: Uint8Array) {
  return { fingerprint: encodeFingerprint(fingerprint), address };
}

function describeFailure(end: Extract<End, { type: "failed" }>): string {
  if (end.reason === REASON.TIMEOUT) return "silent for too long";
  if (end.reason === REASON.TOO_SLOW) return "too slow";
  return describeError(end.error);
}

/** Says what was wrong in our own words; what is no fault of the other side is told as what it is. */
function describeError(error: unknown): string {
  if (error instanceof ProtocolError) return `protocol error: ${error.code}`;
  if (error instanceof DecryptError) return "protocol error: does not decrypt";
  if (error instanceof VisitorCut) return error.message;
  return `internal error: ${error}`;
}
