/**
 * Rooms and their members on the relay, and forwarding between members (PROTOCOL.md §5).
 *
 * @module
 */

import { type Bytes, concat, encodeHex, equalBytes, isZero } from "../base/bytes.ts";
import type { RandomBytes } from "../base/clock.ts";
import type { Connection, Source } from "../transport/mod.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Attendee, Registry, Resident } from "./registry.ts";
import {
  CAST_ENTRY_BYTES,
  CAST_HEADER_BYTES,
  checkCast,
  checkRoute,
  encodeFrame,
  FRAME,
  SID_BYTES,
} from "../protocol/frames.ts";

/** What {@linkcode MemberIndex.add} needs of a new member. */
export interface MemberOptions {
  readonly connection: Connection;
  /** Canonical. */
  readonly address: string;
  /** 32 bytes. */
  readonly fingerprint: Bytes;
  /** 16 bytes. */
  readonly instance: Bytes;
}

/** A connection that has joined a room. */
export class Member implements Resident {
  readonly connection: Connection;
  readonly address: string;
  readonly fingerprint: Bytes;
  readonly instance: Bytes;
  readonly room: Room;
  /** The sid, 8 bytes, and the flow control of what this member sends. */
  readonly source: Source;
  /** Overrides the `why` of its LEFT that follows from how the connection ended. */
  why: number | undefined;
  readonly #index: MemberIndex;
  /** The number of the last CAST that was forwarded to this member. */
  #mark = 0;

  /** Made by {@linkcode MemberIndex.add}. */
  constructor(index: MemberIndex, room: Room, sid: Bytes, options: MemberOptions) {
    this.#index = index;
    this.room = room;
    this.connection = options.connection;
    this.address = options.address;
    // One buffer for all three, to save memory per member.
    const ids = concat(sid, options.fingerprint, options.instance);
    const fingerprintEnd = SID_BYTES + options.fingerprint.length;
    this.fingerprint = ids.subarray(SID_BYTES, fingerprintEnd);
    this.instance = ids.subarray(fingerprintEnd);
    this.source = { sid: ids.subarray(0, SID_BYTES), credit: options.connection.credit };
  }

  /** The sid as 16 hex digits. */
  get sid(): string {
    return encodeHex(this.source.sid);
  }

  /** Takes a frame from this member: forwards SEND and CAST, refuses anything else. */
  takeFrame(type: number, body: Uint8Array): void {
    if (type === FRAME.CAST) return this.#cast(body);
    if (type !== FRAME.SEND) throw new ProtocolError("unexpected");
    checkRoute(body);
    const to = this.#find(body);
    if (to) to.connection.forward(body, this.source);
    else this.#index.registry?.send(this, body);
  }

  /** The receiver whose sid `bytes` begins with; undefined if it has left (§5: LEFT is on its way) or is the sender. */
  #find(bytes: Uint8Array): Member | undefined {
    const to = this.#index.find(bytes);
    return to && to.room === this.room && to !== this ? to : undefined;
  }

  #cast(body: Uint8Array): void {
    const commonOffset = checkCast(body);
    const common = body.slice(commonOffset); // shared by all queues that it waits in
    const mark = this.#index.nextMark();
    const { registry } = this.#index;
    const elsewhere: Uint8Array[] | undefined = registry && [];
    for (let offset = CAST_HEADER_BYTES; offset < commonOffset; offset += CAST_ENTRY_BYTES) {
      const entry = body.subarray(offset, offset + CAST_ENTRY_BYTES);
      const to = this.#find(entry);
      if (!to) elsewhere?.push(entry);
      if (!to || to.#mark === mark) continue; // §5: one PART for each member
      to.#mark = mark;
      to.connection.forwardPart({ entry, common }, this.source);
    }
    if (elsewhere && elsewhere.length > 0) registry!.cast(this, elsewhere, common);
  }
}

/** Four bytes of a sid as a small integer, which needs no allocation. */
function half(sid: Uint8Array, offset: number): number {
  return sid[offset]! << 24 | sid[offset + 1]! << 16 | sid[offset + 2]! << 8 | sid[offset + 3]!;
}

/** All members of a relay by sid. */
export class MemberIndex {
  /** By the first four bytes, which are unique: numbers are looked up faster than strings. */
  readonly #members = new Map<number, Member>();
  /** Reaches those who are not here. */
  readonly registry: Registry | undefined;
  #mark = 0;

  constructor(registry: Registry | undefined) {
    this.registry = registry;
  }

  /** The number of members, over all rooms. */
  get size(): number {
    return this.#members.size;
  }

  /** All members, in the order they joined. */
  values(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** Returns a different number for each CAST. */
  nextMark(): number {
    return ++this.#mark;
  }

  /** The member whose sid `bytes` begins with. */
  find(bytes: Uint8Array): Member | undefined {
    const member = this.#members.get(half(bytes, 0));
    return member && half(bytes, 4) === half(member.source.sid, 4) ? member : undefined;
  }

  /** Adds a member under a new sid: random, never zero. */
  add(room: Room, random: RandomBytes, options: MemberOptions): Member {
    let sid = random(SID_BYTES);
    while (isZero(sid) || this.#members.has(half(sid, 0))) sid = random(SID_BYTES);
    const member = new Member(this, room, sid, options);
    this.#members.set(half(sid, 0), member);
    return member;
  }

  delete(member: Member): void {
    this.#members.delete(half(member.source.sid, 0));
  }
}

/** The members of one room. */
export class Room {
  /** The room tag in hex. */
  readonly tag: string;
  /** All its members are being dismissed, and need not know in which order. */
  isClosing = false;
  /** How many wait for their WELCOME. */
  applicants = 0;
  /** In the order they joined. */
  readonly #members = new Set<Member>();

  constructor(tag: string) {
    this.tag = tag;
  }

  get size(): number {
    return this.#members.size;
  }

  /** All members, in the order they joined. */
  values(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** The member that belongs to the same client process (§5). */
  find(fingerprint: Uint8Array, instance: Uint8Array): Member | undefined {
    for (const member of this.#members) {
      if (equalBytes(member.instance, instance) && equalBytes(member.fingerprint, fingerprint)) {
        return member;
      }
    }
    return undefined;
  }

  /** Adds a member: it gets WELCOME, the others JOINED. */
  add(member: Member, capacity: number): void {
    const others = [...this.#members];
    this.welcome(member, capacity, others);
    const { sid, fingerprint } = member;
    const joined = encodeFrame({ type: "joined", sid, fingerprint });
    for (const { connection } of others) connection.send(joined);
  }

  /** Adds a member, which gets WELCOME; nobody else is told here. */
  welcome(member: Member, capacity: number, members: readonly Attendee[]): void {
    member.connection.send(encodeFrame({ type: "welcome", sid: member.sid, capacity, members }));
    this.applicants--;
    this.#members.add(member);
  }

  /** Removes a member: the others get LEFT, unless all must go. @param why Undefined: nobody is told. */
  delete(member: Member, why: number | undefined): void {
    this.#members.delete(member);
    if (this.isClosing || why === undefined) return;
    const left = encodeFrame({ type: "left", sid: member.sid, why });
    for (const { connection } of this.#members) connection.send(left);
  }
}
