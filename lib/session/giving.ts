/**
 * Answers a WANT: what somebody has missed goes out in parts, whenever nothing else waits to be sent (PROTOCOL.md §17).
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { encodeEntry, type HistoryEntry } from "../protocol/history_entry.ts";
import { encodeOwnMessage, MAX_GIVE_BYTES, type OwnMessage } from "../protocol/own_messages.ts";
import type { PeerChannel } from "./peer_channel.ts";
import type { RosterMember } from "./roster.ts";

/** What one WANT is given, in bytes. */
export const MAX_GIVEN_BYTES = 1024 * 1024;
/** So much is sent at once; then the connection must have nothing to send. */
export const GIVEN_AT_ONCE_BYTES = 64 * 1024;
/** Members that are given something at the same time. */
const MAX_GIVING = 8;

/** What is being given. */
interface Gift {
  readonly member: RosterMember;
  readonly channel: PeerChannel;
  /** What is still to be sent. */
  readonly entries: HistoryEntry[];
  /** All of it was sent. */
  done(): void;
}

/** What members are being given. */
export class Giving {
  readonly #clock: Clock;
  readonly #isIdle: () => boolean;
  readonly #gifts: Gift[] = [];

  /** @param options.isIdle Nothing else waits to be sent. */
  constructor(options: { readonly clock: Clock; isIdle(): boolean }) {
    this.#clock = options.clock;
    this.#isIdle = () => options.isIdle();
  }

  /** So many are given something that others have to wait. */
  get isFull(): boolean {
    return this.#gifts.length >= MAX_GIVING;
  }

  /** Gives entries, the oldest first, to a member in this channel; their `at` is turned into an age. */
  add(gift: Gift): void {
    this.#gifts.push(gift);
    this.drained();
  }

  /** The connection takes more again. */
  drained(): void {
    while (this.#gifts.length > 0 && this.#isIdle()) this.#give(this.#gifts[0]!);
  }

  /** Sends the next part. */
  #give({ member, channel, entries, done }: Gift): void {
    const isOver = member.peer?.channel !== channel || !channel.live;
    const now = this.#clock.wallTime();
    let isWhole = false;
    for (let sent = 0; !isOver && !isWhole && sent < GIVEN_AT_ONCE_BYTES;) {
      const { count, bytes } = sizeOfFirst(entries);
      const part = entries.splice(0, count);
      const aged = part.map((entry) => ({ ...entry, at: Math.max(0, now - entry.at) }));
      isWhole = entries.length === 0;
      sendOwn(member, { type: "give", last: isWhole, entries: aged });
      sent += bytes;
    }
    if (!isOver && !isWhole) return;
    this.#gifts.shift();
    if (isWhole) done();
  }
}

/** Sends a message of §17 to a member, if there is a channel. */
export function sendOwn({ peer }: RosterMember, message: OwnMessage): void {
  peer?.send({ type: "own", bytes: encodeOwnMessage(message) });
}

/** The newest entries of at most so many bytes; by default as many as one WANT is given. */
export function newest(
  entries: readonly HistoryEntry[],
  limit: number = MAX_GIVEN_BYTES,
): HistoryEntry[] {
  let bytes = 0;
  const first = entries.findLastIndex((entry) => (bytes += encodeEntry(entry).length) > limit);
  return entries.slice(first + 1);
}

/** How many entries fit one GIVE. */
function sizeOfFirst(entries: readonly HistoryEntry[]): { count: number; bytes: number } {
  let [count, bytes] = [0, 0];
  for (const entry of entries) {
    const { length } = encodeEntry(entry);
    if (bytes + length > MAX_GIVE_BYTES) break;
    bytes += length;
    count++;
  }
  return { count, bytes };
}
