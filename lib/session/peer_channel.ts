/**
 * One established peer channel: records in both directions, HELLO, ACK, GAP and the stream on it (PROTOCOL.md §4, §6).
 * The errors it throws end this channel and nothing else.
 *
 * @module
 */

import { type Bytes, MAX_COUNTER, release } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { type Envelope, openPart, sealBox } from "../protocol/cast.ts";
import type { HandshakeResult } from "../protocol/handshake.ts";
import type { PublicKey } from "../protocol/identity.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
} from "../protocol/messages.ts";
import { pad, unpad } from "../protocol/padding.ts";
import { Opener, Sealer, TAG_BYTES } from "../protocol/records.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Item, Stream } from "./streams.ts";

/** A record as it comes: a payload of kind 4, or a PART. */
export type PeerRecord = Uint8Array | { readonly box: Uint8Array; readonly common: Uint8Array };

/** Both directions of a channel's stream, known once HELLO has arrived. */
export interface Streams {
  readonly stream: Stream;
  readonly inbox: Inbox;
}

export type HelloMessage = Extract<Message, { type: "hello" }>;

/** The messages that a channel hands on: all but those that it handles itself. */
export type MemberMessage = Exclude<Message, { type: "close" | "hello" | "ack" | "extension" }>;

/** The messages about where the room goes, §14. */
export type SuccessionMessage = Extract<MemberMessage, { type: "standby" | "succession" }>;

/** Callbacks of a channel. */
export interface PeerChannelListener {
  /** HELLO arrived: returns the streams of its instance. */
  hello(channel: PeerChannel, message: HelloMessage): Streams;
  /** The first ACK arrived: messages flow. */
  ready(channel: PeerChannel): void;
  /** The other side ended the channel. */
  closed(channel: PeerChannel, reason: number): void;
  /** A message that says something about its sender; each seq once. */
  message(message: MemberMessage, inbox: Inbox): void;
}

interface PeerChannelOptions {
  readonly tag: string;
  /** Its chain keys are overwritten. */
  readonly keys: HandshakeResult;
  /** The clock's time at M3, in milliseconds. */
  readonly startedAt: number;
  readonly outbox: Outbox;
  /** Sends one record to the other side; its memory is used no longer than the call. */
  readonly send: (record: Bytes) => void;
  readonly listener: PeerChannelListener;
}

/** An established peer channel. */
export class PeerChannel {
  readonly tag: string;
  readonly peer: PublicKey;
  readonly startedAt: number;
  /** The nick in our HELLO; undefined before we sent it. */
  sentNick: string | undefined;
  readonly #sealer: Sealer;
  readonly #opener: Opener;
  readonly #outbox: Outbox;
  readonly #send: (record: Bytes) => void;
  readonly #listener: PeerChannelListener;
  #streams: Streams | undefined;
  /** What the other side's HELLO says that it understands. */
  features = 0;
  #ackIn = -1;
  #closed = false;
  /** The seq up to which everything was sent in this channel or skipped with GAP. */
  #cursor = 0;

  constructor(options: PeerChannelOptions) {
    const { keys } = options;
    this.#outbox = options.outbox;
    this.#send = options.send;
    this.#listener = options.listener;
    this.tag = options.tag;
    this.peer = keys.peer;
    this.startedAt = options.startedAt;
    this.#sealer = new Sealer(keys.sendKey);
    this.#opener = new Opener(keys.receiveKey);
    // §4: a chain goes one way only; nobody can go back to its beginning.
    keys.sendKey.fill(0);
    keys.receiveKey.fill(0);
  }

  /** Undefined before the other side's HELLO. */
  get stream(): Stream | undefined {
    return this.#streams?.stream;
  }

  /** HELLO and the first ACK have arrived: messages flow. */
  get live(): boolean {
    return this.#ackIn >= 0 && !this.#closed;
  }

  /** At least one record has verified. */
  get verified(): boolean {
    return this.#opener.verified > 0;
  }

  /** Nothing more is sent or received here. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a message without a seq. */
  send(message: SentMessage): void {
    this.#seal(encodeMessage(message));
  }

  #seal(message: Uint8Array): void {
    if (this.#closed) return;
    const record = pad(message, TAG_BYTES);
    this.#sealer.sealInPlace(record);
    this.#send(record);
    release(record);
  }

  /** Ends the channel, with CLOSE if `reason` is given. */
  close(reason?: number): void {
    if (reason !== undefined) this.send({ type: "close", reason });
    this.#closed = true;
  }

  /** Acknowledges everything that was given to the user so far. */
  acknowledge(): void {
    if (this.#streams) this.send({ type: "ack", received: this.#streams.inbox.given });
  }

  /**
   * Opens one record without acting on it.
   *
   * @throws {DecryptError | ProtocolError} The other side's fault: end the channel.
   */
  open(record: PeerRecord): Message {
    if ("box" in record) return openPart(this.#opener, record);
    return decodeMessage(unpad(this.#opener.open(record)));
  }

  /**
   * Acts on a message.
   *
   * @throws {ProtocolError} The other side's fault: end the channel with CLOSE(3).
   */
  take(message: Message): void {
    if (this.#closed) return;
    const listener = this.#listener;
    if (message.type === "close") return listener.closed(this, message.reason);
    if (message.type === "hello") return this.#takeHello(message);
    const streams = this.#streams;
    if (!streams) throw new ProtocolError("unexpected"); // §6: anything but CLOSE before HELLO
    switch (message.type) {
      case "ack":
        return this.#takeAck(streams.stream, message.received);
      case "extension":
        return;
      default:
        if ("seq" in message && !streams.inbox.take(message.seq)) return;
        listener.message(message, streams.inbox);
    }
  }

  #takeHello(message: HelloMessage): void {
    if (this.#streams) throw new ProtocolError("unexpected"); // §6: a second HELLO
    this.features = message.features;
    this.#streams = this.#listener.hello(this, message);
    this.acknowledge();
  }

  #takeAck(stream: Stream, received: number): void {
    const first = this.#ackIn < 0;
    if (first) stream.resume(received);
    if (received <= this.#ackIn && received <= stream.sentSeq) return;
    this.#outbox.acknowledge(stream, received);
    this.#ackIn = received;
    if (!first) return;
    this.#cursor = received;
    this.#skipTo(stream.lowest);
    this.#listener.ready(this);
  }

  /** The next item that has not been sent in this channel; none until messages flow. */
  nextItem(): Item | undefined {
    if (!this.live) return undefined;
    const { items } = this.#streams!.stream;
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (items[middle]!.seq > this.#cursor) high = middle;
      else low = middle + 1;
    }
    const item = items[low];
    return item && item.seq < MAX_COUNTER ? item : undefined;
  }

  /** Sends the item that {@linkcode nextItem} gave, encoded as `message`. */
  sendItem(item: Item, message: Bytes): void {
    this.#advance(item);
    this.#seal(message);
  }

  /** The same in an envelope: returns the box, 57 bytes. */
  boxItem(item: Item, envelope: Envelope): Bytes {
    this.#advance(item);
    return sealBox(this.#sealer, envelope, item.seq);
  }

  #advance(item: Item): void {
    this.#skipTo(item.seq);
    this.#streams!.stream.write(item);
    this.#cursor = item.seq;
  }

  /** §6: sends GAP for what is no longer kept. */
  #skipTo(seq: number): void {
    if (seq <= this.#cursor + 1 || seq >= MAX_COUNTER) return;
    this.send({ type: "gap", next: seq });
    this.#cursor = seq - 1;
    const { stream } = this.#streams!;
    stream.sentSeq = Math.max(stream.sentSeq, seq - 1);
  }
}
