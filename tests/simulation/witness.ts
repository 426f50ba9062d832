/**
 * What is seen inside the programs of a run, and handed to those who judge it; and the attacks that are done there.
 *
 * @module
 */

import { encodeHex } from "../../lib/base/bytes.ts";
import { REASON } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import type { ChatMessage, Message } from "../../lib/protocol/messages.ts";
import type { Member as RelayMember } from "../../lib/relay/room.ts";
import type { PeerChannel } from "../../lib/session/peer_channel.ts";
import type { Item } from "../../lib/session/streams.ts";
import { isGreater, type TopicMessage } from "../../lib/session/topic.ts";
import type { CastPart } from "../../lib/transport/batch.ts";
import { type Box, Boxes, CUT, forgeCommon, padTooMuch } from "./attacks.ts";
import type { Sight } from "./company.ts";
import type { Place } from "./place.ts";
import type { Observer } from "./taps.ts";
import type { World } from "./world.ts";

const DAY_MS = 24 * 3600 * 1000;
/** One record may take a sender above its share of the relay's memory. */
const SHARE_SLACK = 20_000;
/** So does a CAST, for each of its receivers. */
const PART_BYTES = 57 + 8_720 + 256;

/** Sees what the programs do. */
export class Witness implements Observer {
  readonly #world: World;
  /** Whose a channel is, once that has said HELLO there. */
  readonly #channels = new WeakMap<PeerChannel, Place>();

  constructor(world: World) {
    this.#world = world;
  }

  sealing(channel: PeerChannel, message: Message, item?: Item): void {
    if (message.type === "hello") {
      const place = this.#world.placeWith(message.instance);
      if (place) this.#channels.set(channel, place);
    }
    const place = this.#channels.get(channel) ?? this.#findOwner(channel);
    if (!place || place.fate === "killed") return;
    const sight = place.company.with(channel);
    switch (message.type) {
      case "close":
        return this.#checkClose(place, channel, message.reason);
      case "ack":
        if (sight) this.#world.ledger.acknowledging(place, sight.place, message.received);
        return;
      case "gap":
        if (sight) this.#world.ledger.skipping(place, sight, message.next);
        return;
    }
    if (item && !sight) return this.#world.fail(`${place.name} sends before HELLO`);
    if (item) this.#world.ledger.sealing(place, sight!, { message, item, channel });
    this.#boxing = sight && { from: place, to: sight.place };
    if (message.type === "topic") this.#topicSent(place, channel, message);
    if (message.type === "chat") this.#checkSealed(place, channel, message);
  }

  /** Whose a channel is that ends before HELLO. */
  #findOwner(channel: PeerChannel): Place | undefined {
    return this.#world.places.find(({ session }) =>
      session.membership.roster.members.values().some(({ peer }) => peer?.channel === channel)
    );
  }

  #checkClose(place: Place, channel: PeerChannel, reason: number): void {
    this.#world.log(`${place.name} ends a channel: ${reason}`);
    place.guesses.verified(encodeHex(channel.peer.fingerprint), channel.tag);
    const pair = `${place.name} ${place.company.with(channel)?.place.name}`;
    if (reason === REASON.PROTOCOL && !this.#attacked.delete(pair)) {
      this.#world.fail(`${place.name}: a protocol error`);
    }
    if (reason === REASON.TIMEOUT) this.#world.ledger.givingUpOn(place, channel);
  }

  /** A view is that of the moment in which the message is sealed. */
  #checkSealed(place: Place, channel: PeerChannel, message: ChatMessage): void {
    const view = encodeHex(message.view);
    const other = encodeHex(channel.peer.fingerprint);
    const views = message.private
      ? [...place.roster].filter(([, fingerprint]) => encodeHex(fingerprint) === other)
        .map(([sid]) => place.view(sid))
      : [place.views.at(-1)?.view];
    if (views.includes(view)) return;
    const number = this.#world.ledger.messages.get(message.id)?.number;
    this.#world.fail(
      `#${number} of ${place.name} was sealed with a view that is not of this moment`,
    );
  }

  taking(channel: PeerChannel, message: Message): void {
    const place = this.#channels.get(channel) ?? this.#findOwner(channel);
    if (!place || place.fate === "killed") return;
    place.guesses.verified(encodeHex(channel.peer.fingerprint), channel.tag);
    if (message.type === "hello") return this.#greet(place, channel, message.instance);
    const sight = place.company.with(channel);
    if (message.type === "close") {
      this.#world.log(`${place.name} takes CLOSE ${message.reason} of ${sight?.place.name}`);
      return place.company.closed(channel, message.reason);
    }
    if (!sight) return;
    if (message.type === "ack") {
      if (!sight.live.has(channel)) sight.liveSince = this.#world.clock.now;
      sight.live.add(channel);
      return this.#world.ledger.acked(place, sight, message.received);
    }
    if (message.type === "chat") {
      const { number } = this.#world.ledger.messages.get(message.id) ?? {};
      this.#world.log(`${place.name} takes #${number} (seq ${message.seq})`);
    }
    if (message.type === "note" && message.seq === place.inbox(sight.place).taken + 1) {
      this.#world.notes.taking(place, sight.place, message);
    }
    if (message.type === "topic") this.#learnTopic(place, message);
    this.#world.ledger.taking(place, sight.place, message);
  }

  /** The greatest topic that is not more than a day ahead. */
  #learnTopic(place: Place, topic: TopicMessage): void {
    if (topic.time > place.clock.wallTime() + DAY_MS || !isGreater(topic, place.topic)) return;
    place.topic = topic;
  }

  #topicSent(place: Place, channel: PeerChannel, topic: TopicMessage): void {
    if (isGreater(topic, place.topic)) place.topic = topic;
    place.topicsSent.set(channel, topic);
  }

  #greet(place: Place, channel: PeerChannel, instance: string): void {
    const other = this.#world.placeWith(instance);
    if (!other) return this.#world.fail(`${place.name} has HELLO of nobody`);
    this.#world.log(`${place.name} has HELLO of ${other.name}`);
    if (place.refuses(other)) return this.#world.fail(`${place.name} lets ${other.name} in`);
    if (other.fingerprint !== encodeFingerprint(channel.peer.fingerprint)) {
      return this.#world.fail(`${place.name} takes ${other.name} for somebody else`);
    }
    const sight = place.company.hello(channel, other);
    place.settling.shown(other.fingerprint);
    if (place.topic) place.topicsOwed.set(channel, place.topic);
    this.#world.ledger.greeted(place, sight);
  }

  took(channel: PeerChannel): void {
    this.#channels.get(channel)?.settling.look();
  }

  closing(channel: PeerChannel, reason: number | undefined): void {
    const place = this.#channels.get(channel);
    if (!place || place.fate === "killed") return;
    place.company.ended(channel, reason);
  }

  forwards(from: RelayMember, to: string): boolean {
    const [sender, receiver] = [this.#world.placeOf(from.sid), this.#world.placeOf(to)];
    if (!sender || !receiver) return true;
    const { hidden } = sender.identity;
    return !hidden?.has(receiver.identity.name) &&
      !receiver.identity.hidden?.has(sender.identity.name);
  }

  // --- Attacks ---

  /** Boxes on their way. */
  readonly boxes: Boxes = new Boxes();
  /** Channels, by victim and attacker, that have to end with a protocol error. */
  readonly #attacked = new Set<string>();
  #padsTooMuch = false;
  #forges = false;
  #boxing: Pick<Box, "from" | "to"> | undefined;

  mangle(plaintext: Uint8Array): Uint8Array {
    if (!this.#padsTooMuch) return plaintext;
    this.#padsTooMuch = false;
    return padTooMuch(plaintext);
  }

  boxed(box: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): void {
    if (!this.#boxing) return;
    this.boxes.add(box, { ...this.#boxing, ad, key: new Uint8Array(plaintext.subarray(9)) });
  }

  parts(part: CastPart): CastPart {
    const box = this.#forges ? this.boxes.ofPart(part) : undefined;
    if (!box) return part;
    this.#forges = false;
    this.#world.log(`the relay forges what ${box.from.name} says to ${box.to.name}`);
    this.#attacked.add(`${box.to.name} ${box.from.name}`);
    return { ...part, common: forgeCommon(box, part.common) };
  }

  /** The relay puts another common beside the next box. */
  forge(): void {
    this.#forges = true;
  }

  /** Somebody sends a record whose padding is wrong. */
  pad(from: Place, sight: Sight): void {
    const channel = sight.channels.values().find((each) => sight.live.has(each));
    if (!channel) return;
    this.#world.log(`${from.name} pads a record for ${sight.place.name} too much`);
    this.#attacked.add(`${sight.place.name} ${from.name}`);
    this.#padsTooMuch = true;
    channel.send({ type: "away", text: CUT });
    this.#padsTooMuch = false;
  }

  admitted(member: RelayMember): void {
    this.#world.admitted(member.sid, member.address);
  }

  charged(undelivered: number): void {
    const slack = SHARE_SLACK + this.#world.places.length * PART_BYTES;
    // A full link between relays charges more, so that nothing is read.
    if (undelivered > MAX_UNDELIVERED_BYTES + slack && !this.#world.isCluster) {
      this.#world.fail(`the relay holds ${undelivered} bytes of one sender`);
    }
  }
}
