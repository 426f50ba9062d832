/**
 * Observes the code under test from outside: replaces methods of its classes by ones that tell an observer first.
 *
 * @module
 */

import { PeerChannel } from "../../lib/session/peer_channel.ts";
import { type Member as RelayMember, MemberIndex } from "../../lib/relay/room.ts";
import type { Message } from "../../lib/protocol/messages.ts";
import { decodeContent, decodeMessage } from "../../lib/protocol/messages.ts";
import type { Envelope } from "../../lib/protocol/cast.ts";
import { unpad } from "../../lib/protocol/padding.ts";
import { openAead, Sealer, TAG_BYTES } from "../../lib/protocol/records.ts";
import { ClientConnection } from "../../lib/relay/client_connection.ts";
import { Member } from "../../lib/relay/room.ts";
import type { Item } from "../../lib/session/streams.ts";
import type { CastPart } from "../../lib/transport/batch.ts";
import { SendCredit } from "../../lib/transport/send_credit.ts";
import { Connection } from "../../lib/transport/connection.ts";

/** Who is told. */
export interface Observer {
  /** A peer message is put into a record; `item` is what it was queued as, if it was. */
  sealing(channel: PeerChannel, message: Message, item?: Item): void;
  /** A peer message was opened, and is about to be acted on. */
  taking(channel: PeerChannel, message: Message): void;
  /** A peer message has been acted on. */
  took(channel: PeerChannel): void;
  /** A channel ends now. @param reason With CLOSE, if there is one. */
  closing(channel: PeerChannel, reason: number | undefined): void;
  /** The relay has made a member. */
  admitted(member: RelayMember): void;
  /** So many bytes of one sender wait at the relay now. */
  charged(undelivered: number): void;
  /** The relay is about to forward a SEND. @returns Whether it may. */
  forwards(from: RelayMember, to: string): boolean;
  /** A record is about to be sealed. @returns What to seal instead. */
  mangle(plaintext: Uint8Array, ad: Uint8Array | undefined): Uint8Array;
  /** A box was sealed. */
  boxed(box: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): void;
  /** The relay is about to forward a PART. @returns What it forwards instead. */
  parts(part: CastPart): CastPart;
}

let observer: Observer | undefined;
let undelivered = new Map<SendCredit, number>();
/** The ones of connections that a relay has accepted; a client has its own, which ends with its process. */
const ofRelay = new WeakSet<SendCredit>();

/** Sets who is told from here on. */
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

function count(credit: SendCredit, bytes: number): void {
  if (!ofRelay.has(credit)) return;
  const sum = (undelivered.get(credit) ?? 0) + bytes;
  if (sum === 0) undelivered.delete(credit);
  else undelivered.set(credit, sum);
  observer?.charged(sum);
}

/** What an envelope says to who gets it under this seq. */
function openEnvelope({ key, common }: Envelope, seq: number): Message {
  return decodeContent(unpad(openAead(key as never, 0, new Uint8Array(0), common)), seq);
}

const { send, sendItem, boxItem, take, close } = PeerChannel.prototype;
PeerChannel.prototype.send = function (message) {
  if (!this.closed) observer?.sealing(this, message);
  ofChannel(() => send.call(this, message));
};
PeerChannel.prototype.sendItem = function (item, message) {
  if (!this.closed) observer?.sealing(this, decodeMessage(message), item);
  ofChannel(() => sendItem.call(this, item, message));
};
PeerChannel.prototype.boxItem = function (item, envelope) {
  if (!this.closed) observer?.sealing(this, openEnvelope(envelope, item.seq), item);
  return boxItem.call(this, item, envelope);
};
PeerChannel.prototype.take = function (message) {
  if (this.closed) return;
  observer?.taking(this, message);
  take.call(this, message);
  observer?.took(this);
};
PeerChannel.prototype.close = function (reason) {
  const wasClosed = this.closed;
  close.call(this, reason);
  if (!wasClosed) observer?.closing(this, reason);
};

/** Whether it is a channel, and no connection to the relay, that seals. */
let isOfChannel = false;

function ofChannel(action: () => void): void {
  isOfChannel = true;
  action();
  isOfChannel = false;
}

const { seal, sealInPlace } = Sealer.prototype;
/** A channel's records all pass `seal`, which faults replace. */
Sealer.prototype.sealInPlace = function (buffer) {
  if (!isOfChannel) return sealInPlace.call(this, buffer);
  buffer.set(this.seal(buffer.subarray(0, buffer.length - TAG_BYTES)));
};
Sealer.prototype.seal = function (plaintext, ad) {
  const changed = observer?.mangle(plaintext, ad) ?? plaintext;
  const ct = seal.call(this, changed, ad);
  if (ad && ad.length > 0) observer?.boxed(ct, ad, plaintext);
  return ct;
};

const { add } = MemberIndex.prototype;
MemberIndex.prototype.add = function (room, random, options) {
  const member = add.call(this, room, random, options);
  observer?.admitted(member);
  return member;
};

const { takeFrame } = Member.prototype;
Member.prototype.takeFrame = function (type, body) {
  const isSend = type === 0x14;
  if (isSend && observer && !observer.forwards(this, sidOf(body))) return;
  takeFrame.call(this, type, body);
};

function sidOf(body: Uint8Array): string {
  return body.subarray(0, 8).toHex();
}

const { forwardPart } = Connection.prototype;
Connection.prototype.forwardPart = function (part, source) {
  forwardPart.call(this, observer?.parts(part) ?? part, source);
};

const { start: greet } = ClientConnection.prototype;
ClientConnection.prototype.start = function (accepted) {
  ofRelay.add(accepted.connection.credit);
  greet.call(this, accepted);
};

const { charge, refund } = SendCredit.prototype;
SendCredit.prototype.charge = function (bytes) {
  charge.call(this, bytes);
  count(this, bytes);
};
SendCredit.prototype.refund = function (bytes) {
  count(this, -bytes);
  refund.call(this, bytes);
};
