/**
 * The channels of members: which of them has the stream of an instance, and what becomes of the stream when it ends
 * (PROTOCOL.md §6).
 *
 * @module
 */

import { REASON, WHY } from "../protocol/frames.ts";
import type { FileChannels } from "./file_channels.ts";
import type { Guesses } from "./guesses.ts";
import type { Inbox, Inboxes } from "./inbox.ts";
import type { MemberEvents } from "./member_events.ts";
import type { Outbox } from "./outbox.ts";
import type { OwnTerminals } from "./own_terminals.ts";
import { type ChannelEnd, Peer } from "./peer.ts";
import type {
  HelloMessage,
  MemberMessage,
  PeerChannel,
  Streams,
  SuccessionMessage,
} from "./peer_channel.ts";
import type { PeerContext } from "./peer_handshake.ts";
import type { People } from "./people.ts";
import type { OwnViews } from "./room_view.ts";
import type { Recap } from "./recap.ts";
import type { Roster, RosterMember } from "./roster.ts";

/** Reasons of CLOSE in a peer channel after which an instance is gone for good, §6. */
const GONE_REASONS: readonly number[] = [REASON.NORMAL, REASON.NOT_ALLOWED, REASON.WEAK_KEY];

/** What the channels share with the rest of a membership. */
export interface MemberChannelsParts {
  readonly roster: Roster;
  readonly people: People;
  readonly outbox: Outbox;
  readonly inboxes: Inboxes;
  readonly events: MemberEvents;
  readonly own: OwnTerminals;
  readonly recap: Recap;
  readonly files: FileChannels | undefined;
  readonly views: OwnViews;
  readonly guesses: Guesses;
  /** Our nick. */
  nick(): string;
  /** A channel takes messages: sends what waits. */
  pump(): void;
  /** A member's channel is live: messages flow. */
  ready(member: RosterMember): void;
  /** STANDBY or SUCCESSION, §14. */
  succession(member: RosterMember, message: SuccessionMessage): void;
}

/** All channels of one membership. */
export class MemberChannels {
  readonly #parts: MemberChannelsParts;

  constructor(parts: MemberChannelsParts) {
    this.#parts = parts;
  }

  /** Gives a member a channel, which is still to be started. */
  add(member: RosterMember, context: PeerContext): void {
    const { outbox, own, recap, files, views, events, pump, ready, succession } = this.#parts;
    const listener = {
      hello: (channel: PeerChannel, message: HelloMessage) => this.#hello(member, channel, message),
      ready: () => {
        recap.ready(member); // before what is written
        pump();
        ready(member);
        own.ready(member);
        files?.ready(member);
      },
      message: (message: MemberMessage, inbox: Inbox) => {
        if (message.type === "standby" || message.type === "succession") {
          return succession(member, message);
        }
        if (message.type === "file") return files?.take(member, message.bytes);
        if (message.type === "own") {
          own.take(member, message.bytes);
          return recap.take(member, message.bytes);
        }
        events.take(member, message, { inbox, pairView: () => views.pair(member) });
      },
      down: (end: ChannelEnd) => this.#down(member, end),
      refused: (end: ChannelEnd) => this.#refused(member, end),
    };
    member.peer = new Peer(member, context, { outbox, listener });
  }

  /** The channel from which an inbox is filled has the stream. */
  isLive(inbox: Inbox): boolean {
    return this.#parts.roster.members.values().some((member) =>
      member.inbox === inbox && member.stream?.holder === member
    );
  }

  #hello(member: RosterMember, channel: PeerChannel, message: HelloMessage): Streams {
    const { people, inboxes, own, guesses, outbox, events } = this.#parts;
    const { instance, nick, features } = message;
    const before = member.stream;
    const replaces = before?.instance === instance && before.holder === member;
    if (before?.instance !== instance && before?.holder === member) people.lose(before);
    const inbox = inboxes.of(member.name, instance);
    inbox.onGiven = () => member.peer?.acknowledgeSoon();
    const older = this.#holderOf(member, instance);
    const stream = people.show(member, instance);
    member.stream = stream;
    member.inbox = inbox;
    member.refused = false;
    member.features = features;
    if (!replaces) own.greet(member);
    guesses.show(member.name);
    older?.peer?.end(REASON.REPLACED); // §6: the newer channel takes the stream
    // The nick changed after our HELLO, before there was a stream to queue the change for.
    if (channel.sentNick !== this.#parts.nick()) outbox.addNick(stream);
    outbox.complete(stream);
    events.greet(member, { key: channel.peer, nick, replaces });
    return { stream, inbox };
  }

  /** Another member whose channel has the stream of this instance. */
  #holderOf(member: RosterMember, instance: string): RosterMember | undefined {
    return this.#parts.roster.membersOf(member.name).find((other) =>
      other !== member && other.stream?.instance === instance && other.stream.holder === other
    );
  }

  /** The instance of a member that has left is gone for good, or lost. @param why Of LEFT, §5. */
  left({ stream, sid }: RosterMember, why: number): void {
    const { people } = this.#parts;
    // Another member may have taken it over.
    if (!stream || (stream.holder && stream.holder.sid !== sid)) return;
    if (why === WHY.LEFT) people.leave(stream, "left");
    else if (why === WHY.REMOVED) people.leave(stream, "failed");
    else if (stream.holder) people.lose(stream);
  }

  #down(member: RosterMember, { reason }: ChannelEnd): void {
    const { people } = this.#parts;
    const { stream } = member;
    if (stream?.holder !== member) return;
    if (GONE_REASONS.includes(reason)) people.refuse(stream);
    else people.lose(stream);
  }

  #refused(member: RosterMember, end: ChannelEnd): void {
    if (member.refused) return;
    member.refused = true;
    const { stream } = member;
    const isGone = GONE_REASONS.includes(end.reason);
    if (isGone && stream?.lostAt !== undefined) this.#parts.people.leave(stream, "failed");
    this.#parts.events.reportRefused(member, end);
  }
}
