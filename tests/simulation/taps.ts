/**
 * Looks into the code under test without a hook in it: what passes through some of its methods is told to whoever
 * observes the present run.
 *
 * @module
 */

import { Allowance } from "../../lib/transport/send_credit.ts";
import { Channel } from "../../lib/session/peer_channel.ts";
import { type Member as RelayMember, MemberIndex } from "../../lib/relay/room.ts";
import type { ChatMessage, Message } from "../../lib/protocol/messages.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import { Peer } from "../../lib/session/peer.ts";
import { People } from "../../lib/session/people.ts";
import type { Member } from "../../lib/session/roster.ts";
import { Visitor } from "../../lib/relay/client_connection.ts";

/** Who is told. */
export interface Observer {
  /** A peer message is put into a record. */
  sealing(channel: Channel, message: Message): void;
  /** A CHAT was taken out of its stream. */
  taken(member: Member, message: ChatMessage): void;
  /** A GAP was shown. */
  lost(member: Member, count: number): void;
  /** A pairing begins. */
  pairing(peer: Peer): void;
  /** A HELLO has told an instance. */
  bound(outbox: Outbox, instance: string): void;
  /** The relay has made a member. */
  admitted(member: RelayMember): void;
  /** So many bytes of one sender wait at the relay now. */
  charged(undelivered: number): void;
}

let observer: Observer | undefined;
let undelivered = new Map<Allowance, number>();
/** Those of connections that a relay has accepted; a client has its own, which end with its process. */
const ofRelay = new WeakSet<Allowance>();

/** From now on this is who is told. */
export function observe(next: Observer | undefined): void {
  observer = next;
  undelivered = new Map();
}

/** The relay is gone, and with it what it held. */
export function forgetCharges(): void {
  undelivered = new Map();
}

/** Bytes that the relay counts as undelivered, over all senders. */
export function undeliveredBytes(): number {
  let sum = 0;
  for (const bytes of undelivered.values()) sum += bytes;
  return sum;
}

function count(allowance: Allowance, bytes: number): void {
  if (!ofRelay.has(allowance)) return;
  const sum = (undelivered.get(allowance) ?? 0) + bytes;
  if (sum === 0) undelivered.delete(allowance);
  else undelivered.set(allowance, sum);
  observer?.charged(sum);
}

const { send } = Channel.prototype;
Channel.prototype.send = function (message) {
  if (!this.closed) observer?.sealing(this, message);
  send.call(this, message);
};

const { chat, tellLost } = People.prototype;
People.prototype.chat = function (member, message, pairView) {
  observer?.taken(member, message);
  chat.call(this, member, message, pairView);
};
People.prototype.tellLost = function (member, lost) {
  observer?.lost(member, lost);
  tellLost.call(this, member, lost);
};

const { start } = Peer.prototype;
Peer.prototype.start = function () {
  observer?.pairing(this);
  start.call(this);
};

const { bind } = Outbox.prototype;
Outbox.prototype.bind = function (waiting, instance, options) {
  observer?.bound(this, instance);
  return bind.call(this, waiting, instance, options);
};

const { add } = MemberIndex.prototype;
MemberIndex.prototype.add = function (room, random, options) {
  const member = add.call(this, room, random, options);
  observer?.admitted(member);
  return member;
};

const { start: greet } = Visitor.prototype;
Visitor.prototype.start = function (accepted) {
  ofRelay.add(accepted.connection.allowance);
  greet.call(this, accepted);
};

const { charge, credit } = Allowance.prototype;
Allowance.prototype.charge = function (bytes) {
  charge.call(this, bytes);
  count(this, bytes);
};
Allowance.prototype.credit = function (bytes) {
  count(this, -bytes);
  credit.call(this, bytes);
};
