/**
 * The rooms of a relay, all their members, and how many of them come from each address (PROTOCOL.md §5, §10).
 *
 * @module
 */

import { decodeHex, equalBytes } from "../base/bytes.ts";
import type { RandomBytes } from "../base/clock.ts";
import { isLoopback } from "../base/ip.ts";
import { MAX_CLIENTS_PER_ADDRESS } from "../protocol/limits.ts";
import type { Attendee, Registry } from "./registry.ts";
import { type Member, MemberIndex, type MemberOptions, Room } from "./room.ts";

interface RoomsOptions {
  readonly random: RandomBytes;
  /** Most members of a room. */
  readonly capacity: number;
  /** Most members of all rooms. */
  readonly maxClients: number;
  readonly registry: Registry | undefined;
}

/** The rooms that have members, by their tags in hex. */
export class Rooms {
  readonly #options: RoomsOptions;
  readonly #rooms = new Map<string, Room>();
  readonly #members: MemberIndex;
  /** Number of members by the address as which they count. */
  readonly #addresses = new Map<string, number>();

  constructor(options: RoomsOptions) {
    this.#options = options;
    this.#members = new MemberIndex(options.registry);
  }

  get size(): number {
    return this.#rooms.size;
  }

  /** The number of members of all rooms. */
  get memberCount(): number {
    return this.#members.size;
  }

  /** The members of all rooms, in the order they joined. */
  members(): Member[] {
    return [...this.#members.values()];
  }

  membersOf(tag: string): Member[] {
    return [...this.#rooms.get(tag)?.values() ?? []];
  }

  /** The members with a fingerprint, in all rooms. */
  withFingerprint(fingerprint: Uint8Array): Member[] {
    return this.members().filter((member) => equalBytes(member.fingerprint, fingerprint));
  }

  /** @param sid 16 hex digits. */
  findSid(sid: string): Member | undefined {
    return this.#members.find(decodeHex(sid));
  }

  /** The member that belongs to the same client process (§5). */
  find(tag: string, fingerprint: Uint8Array, instance: Uint8Array): Member | undefined {
    return this.#rooms.get(tag)?.find(fingerprint, instance);
  }

  /** Whether nobody more may join a room. @param place The address as which they would count. */
  isFull(tag: string, place: string): boolean {
    const { capacity, maxClients } = this.#options;
    const inRoom = this.#rooms.get(tag)?.size ?? 0;
    const ofAddress = isLoopback(place) ? 0 : this.#addresses.get(place) ?? 0;
    return inRoom >= capacity || this.memberCount >= maxClients ||
      ofAddress >= MAX_CLIENTS_PER_ADDRESS;
  }

  /** Makes a member of a room, to whom nobody says anything before {@linkcode welcome}. */
  add(tag: string, place: string, options: MemberOptions): Member {
    const room = this.#rooms.get(tag) ?? new Room(tag);
    this.#rooms.set(tag, room);
    room.applicants++;
    this.#count(place, 1);
    return this.#members.add(room, this.#options.random, options);
  }

  /**
   * The member gets WELCOME, the others JOINED.
   *
   * @param others Who is there, where a registry keeps the room; it tells them.
   */
  welcome(member: Member, others?: readonly Attendee[]): void {
    const { capacity } = this.#options;
    if (others) member.room.welcome(member, capacity, others);
    else member.room.add(member, capacity);
  }

  /** Removes a member: the others get LEFT, unless a registry tells them. */
  delete(member: Member, place: string, why: number): void {
    const { room } = member;
    room.delete(member, this.#options.registry ? undefined : why);
    this.#remove(member, place);
  }

  /** Removes somebody who was added and never got WELCOME. */
  forget(member: Member, place: string): void {
    member.room.applicants--;
    this.#remove(member, place);
  }

  #remove(member: Member, place: string): void {
    const { room } = member;
    this.#members.delete(member);
    this.#count(place, -1);
    const isEmpty = room.size === 0 && room.applicants === 0;
    if (isEmpty && this.#rooms.get(room.tag) === room) this.#rooms.delete(room.tag);
  }

  #count(place: string, change: number): void {
    const count = (this.#addresses.get(place) ?? 0) + change;
    if (count > 0) this.#addresses.set(place, count);
    else this.#addresses.delete(place);
  }

  /** Ends a room: its members will leave without LEFTs. @returns Who has to be told. */
  close(tag: string): Member[] {
    const room = this.#rooms.get(tag);
    if (!room) return [];
    this.#rooms.delete(tag);
    room.isClosing = true;
    return [...room.values()];
  }

  /** Ends all rooms. @returns Who has to be told. */
  closeAll(): Member[] {
    for (const room of this.#rooms.values()) room.isClosing = true;
    return this.members();
  }
}
