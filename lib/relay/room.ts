/**
 * The members of one room on the relay, and what goes from one to the other (PROTOCOL.md §5).
 *
 * Forwarding is here, in one function; who may become a member is relay.ts's. Knows nothing of what is forwarded.
 *
 * @module
 */

import type { Allowance } from "../transport/send_credit.ts";
import { type Bytes, concat, encodeHex, equalBytes, isZero } from "../base/bytes.ts";
import type { RandomBytes } from "../base/clock.ts";
import type { Connection } from "../transport/establish.ts";
import { ProtocolError } from "../base/errors.ts";
import { checkRoute, encodeFrame, FRAME } from "../protocol/frames.ts";

const SID_BYTES = 8;

/** What a member is made of. */
export interface MemberOptions {
  readonly connection: Connection;
  /** 32 bytes. */
  readonly fingerprint: Bytes;
  /** 16 bytes. */
  readonly instance: Bytes;
}

/** One connection that has joined a room. */
export class Member {
  readonly connection: Connection;
  readonly fingerprint: Bytes;
  readonly instance: Bytes;
  readonly room: Room;
  /** 8 bytes, and what is counted for it. */
  readonly source: { readonly sid: Bytes; readonly allowance: Allowance };
  /** What its LEFT will say, where its connection's end does not say it by itself. */
  why: number | undefined;
  readonly #index: MemberIndex;

  /** Made by {@linkcode MemberIndex.add}. */
  constructor(index: MemberIndex, room: Room, sid: Bytes, options: MemberOptions) {
    this.#index = index;
    this.room = room;
    this.connection = options.connection;
    // One piece of memory for all three: there are many members.
    const ids = concat(sid, options.fingerprint, options.instance);
    const fingerprintEnd = SID_BYTES + options.fingerprint.length;
    this.fingerprint = ids.subarray(SID_BYTES, fingerprintEnd);
    this.instance = ids.subarray(fingerprintEnd);
    this.source = { sid: ids.subarray(0, SID_BYTES), allowance: options.connection.allowance };
  }

  /** The sid as 16 hex digits. */
  get sid(): string {
    return encodeHex(this.source.sid);
  }

  /** Takes a frame of this member: only SEND may come. */
  takeFrame(type: number, body: Uint8Array): void {
    if (type !== FRAME.SEND) throw new ProtocolError("unexpected");
    checkRoute(body);
    const to = this.#index.find(body);
    // §5: to somebody who is not in the room, or to oneself: the LEFT is on its way.
    if (!to || to.room !== this.room || to === this) return;
    to.connection.forward(body, this.source);
  }
}

/** Four bytes of a sid as a number that the engine need not allocate. */
function half(sid: Uint8Array, offset: number): number {
  return sid[offset]! << 24 | sid[offset + 1]! << 16 | sid[offset + 2]! << 8 | sid[offset + 3]!;
}

/** All members of a relay by sid. */
export class MemberIndex {
  /** By the first four bytes, which no two share: a number is found faster than a text. */
  readonly #members = new Map<number, Member>();

  /** How many there are. */
  get size(): number {
    return this.#members.size;
  }

  /** All members, in the order they joined. */
  values(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** The member whose sid `bytes` begins with. */
  find(bytes: Uint8Array): Member | undefined {
    const member = this.#members.get(half(bytes, 0));
    return member && half(bytes, 4) === half(member.source.sid, 4) ? member : undefined;
  }

  /** Makes a member of a room under a new sid: random, never zero. */
  add(room: Room, random: RandomBytes, options: MemberOptions): Member {
    let sid = random(SID_BYTES);
    while (isZero(sid) || this.#members.has(half(sid, 0))) sid = random(SID_BYTES);
    const member = new Member(this, room, sid, options);
    this.#members.set(half(sid, 0), member);
    return member;
  }

  /** Forgets a member. */
  delete(member: Member): void {
    this.#members.delete(half(member.source.sid, 0));
  }
}

/** One room. */
export class Room {
  /** As hex digits. */
  readonly tag: string;
  /** In the order they joined. */
  readonly #members = new Set<Member>();

  constructor(tag: string) {
    this.tag = tag;
  }

  /** How many members there are. */
  get size(): number {
    return this.#members.size;
  }

  /** The member that the same client process has here already, §5. */
  find(fingerprint: Uint8Array, instance: Uint8Array): Member | undefined {
    for (const member of this.#members) {
      if (equalBytes(member.instance, instance) && equalBytes(member.fingerprint, fingerprint)) {
        return member;
      }
    }
    return undefined;
  }

  /** Takes a member in: it gets WELCOME, the others JOINED. */
  add(member: Member, capacity: number): void {
    member.connection.send(encodeFrame({
      type: "welcome",
      sid: member.sid,
      capacity,
      members: [...this.#members],
    }));
    this.#tellAll(encodeFrame({
      type: "joined",
      sid: member.sid,
      fingerprint: member.fingerprint,
    }));
    this.#members.add(member);
  }

  /** Takes a member out: the others get LEFT. */
  delete(member: Member, why: number): void {
    this.#members.delete(member);
    this.#tellAll(encodeFrame({ type: "left", sid: member.sid, why }));
  }

  #tellAll(frame: Uint8Array): void {
    for (const member of this.#members) member.connection.send(frame);
  }
}
