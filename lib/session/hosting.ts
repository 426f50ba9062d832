/**
 * What a session hands to the host's side of succession, and what it wants of it (PROTOCOL.md §14).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import type { SentMessage } from "../protocol/messages.ts";
import type { Entry, List, Offer, Place } from "../protocol/succession.ts";
import type { Inquiry, InquiryListener } from "./inquiry.ts";
import type { LastShown } from "./last_shown.ts";
import type { Network, OwnRelay } from "./own_relay.ts";
import type { PassedOver } from "./passed_over.ts";
import type { RosterMember } from "./roster.ts";

/** What the host's side needs. */
export interface HostingOptions {
  readonly own: OwnRelay;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** The fingerprint of the host's person, 32 bytes. */
  readonly person: Bytes;
  readonly passedOver: PassedOver;
  readonly lastShown: LastShown;
  /** Whether a person, `SHA256:…`, may be named; nobody may with `--no-stand-by`. */
  mayName(fingerprint: string): boolean;
  /** Who stood before this host when it began: hosts of earlier, and the order of its search up to itself. */
  readonly before: readonly Entry[];
  /** Who stood behind it: named on the old word for 30 s, then as tested. */
  readonly behind: readonly Entry[];
  /** The roster. */
  members(): Iterable<RosterMember>;
  /** Sends to a member, if there is a channel. */
  send(member: RosterMember, message: SentMessage): void;
  /** Asks a relay where the room is, over those of the addresses that may be dialled. */
  ask(place: Place, listener: InquiryListener): Inquiry;
  /** Finds out who is at an address: the session key, 32 bytes, if it is the relay that is expected. */
  prove(place: Place, signal: AbortSignal): Promise<Bytes | undefined>;
  /** Verifies ED(context, message). */
  verify(key: Bytes, context: string, message: Bytes, signature: Bytes): Promise<boolean>;
  /** The fingerprint of a relay whose key is pinned, 32 bytes. @param start `SHA256:…` or a prefix of it. */
  pinned(start: string): Bytes | undefined;
  /**
   * The room goes to another host: 150 ms after the last list has named that first behind this one, or, if this one is
   * alone, at once; then it is called again if nobody has stopped it after 12 s.
   *
   * @param inquiry Has answered "here", and is not closed.
   */
  giveWay(to: Entry, inquiry: Inquiry): void;
}

/** The host's side: names stand-bys, tests them, and gives way to another host. */
export interface Hosting {
  /** What is named now. */
  readonly list: List;
  /** A member's channel is live: it gets the list. */
  ready(member: RosterMember): void;
  /** STANDBY of a member. */
  offered(member: RosterMember, offer: Offer | undefined): void;
  /** A member has left. @param why Of LEFT, §5. */
  left(member: RosterMember, why: number): void;
  /** A host of the same room has asked here, and says where it is. */
  visited(person: Bytes, place: Place): void;
  /** Names nobody any more, and asks nobody. */
  stop(): void;
}
