/**
 * One established peer channel: records in both directions, HELLO, ACK, GAP and the stream on it (PROTOCOL.md §4, §6).
 *
 * Knows nothing of handshakes, retries or the roster; errors it throws end this channel and nothing else.
 *
 * @module
 */

import { type Bytes, MAX_COUNTER } from "../base/bytes.ts";
import { Opener, Sealer } from "../protocol/records.ts";
import { ProtocolError } from "../base/errors.ts";
import type { HandshakeResult } from "../protocol/handshake.ts";
import {
  type ChatMessage,
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
} from "../protocol/messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Item, Target } from "../target.ts";
import type { PublicKey } from "../protocol/identity.ts";

/** What has been taken from one (fingerprint, instance); kept while the process runs, §6. */
export interface Inbox {
  /** The highest seq taken. */
  received: number;
  /** Something has ever been taken, so that a GAP means a loss. */
  took: boolean;
}

/** The other end of a channel's stream, known from its HELLO on. */
export interface Stream {
  readonly target: Target;
  readonly inbox: Inbox;
}

/** A HELLO by itself. */
export type HelloMessage = Extract<Message, { type: "hello" }>;

/** What a channel asks of and tells its owner. */
export interface ChannelListener {
  /** HELLO arrived: gives the stream of its instance. */
  hello(channel: Channel, message: HelloMessage): Stream;
  /** The first ACK arrived: messages flow. */
  ready(channel: Channel): void;
  /** The other side ended the channel. */
  closed(channel: Channel, reason: number): void;
  /** A CHAT to show. */
  chat(message: ChatMessage): void;
  /** Another nick. */
  nick(nick: string): void;
  /** The other side gave up so many messages. */
  lost(count: number): void;
  /** AWAY, or back when the text is empty. */
  away(text: string): void;
  /** Something was received that an ACK is due for. */
  ackDue(): void;
}

/** What a channel needs to send. */
export interface ChannelOptions {
  readonly tag: string;
  readonly keys: HandshakeResult;
  readonly outbox: Outbox;
  /** The clock's time of M3, in milliseconds. */
  readonly startedAt: number;
  /** Sends one record to the other side. */
  send(record: Bytes): void;
  readonly listener: ChannelListener;
}

/** A peer channel. */
export class Channel {
  readonly tag: string;
  readonly peer: PublicKey;
  readonly startedAt: number;
  /** The nick in one's own HELLO; undefined before that. */
  toldNick: string | undefined;
  #sealer: Sealer;
  #opener: Opener;
  #options: ChannelOptions;
  #stream: Stream | undefined;
  #ackIn = -1;
  #closed = false;
  /** The seq up to which everything was sent in this channel, or skipped with GAP. */
  #cursor = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.tag = options.tag;
    this.peer = options.keys.peer;
    this.startedAt = options.startedAt;
    this.#sealer = new Sealer(options.keys.sendKey);
    this.#opener = new Opener(options.keys.receiveKey);
  }

  /** The other side's stream; undefined before its HELLO. */
  get stream(): Stream | undefined {
    return this.#stream;
  }

  /** HELLO and the first ACK have arrived: messages flow. */
  get live(): boolean {
    return this.#ackIn >= 0 && !this.#closed;
  }

  /** At least one record has verified. */
  get verified(): boolean {
    return this.#opener.verified > 0;
  }

  /** Nothing more is sent or taken here. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a message without a seq. */
  send(message: SentMessage): void {
    this.#seal(encodeMessage(message));
  }

  #seal(plaintext: Uint8Array): void {
    if (!this.#closed) this.#options.send(this.#sealer.seal(plaintext));
  }

  /** Ends the channel, with CLOSE if `reason` is given. */
  close(reason?: number): void {
    if (reason !== undefined) this.send({ type: "close", reason });
    this.#closed = true;
  }

  /** Acknowledges everything taken so far. */
  acknowledge(): void {
    if (this.#stream) this.send({ type: "ack", received: this.#stream.inbox.received });
  }

  /**
   * Decrypts one record, without acting on it.
   *
   * @throws {DecryptError | ProtocolError} The other side's fault: end the channel.
   */
  open(record: Uint8Array): Bytes {
    return this.#opener.open(record);
  }

  /**
   * Acts on the plaintext of one record.
   *
   * @throws {ProtocolError} The other side's fault: end the channel with CLOSE(3).
   */
  take(plaintext: Uint8Array): void {
    if (this.#closed) return;
    const message = decodeMessage(plaintext);
    const { listener } = this.#options;
    if (message.type === "close") return listener.closed(this, message.reason);
    if (message.type === "hello") return this.#takeHello(message);
    const stream = this.#stream;
    if (!stream) throw new ProtocolError("unexpected"); // §6: anything but CLOSE before HELLO
    switch (message.type) {
      case "ack":
        return this.#takeAck(stream, message.received);
      case "gap":
        return this.#takeGap(stream.inbox, message.next);
      case "chat":
        if (this.#takeSeq(stream.inbox, message.seq)) listener.chat(message);
        return;
      case "nick":
        if (this.#takeSeq(stream.inbox, message.seq)) listener.nick(message.nick);
        return;
      case "away":
        return listener.away(message.text);
      case "extension":
        return;
    }
  }

  #takeHello(message: HelloMessage): void {
    if (this.#stream) throw new ProtocolError("unexpected"); // §6: a second HELLO
    this.#stream = this.#options.listener.hello(this, message);
    this.acknowledge();
  }

  #takeSeq(inbox: Inbox, seq: number): boolean {
    this.#options.listener.ackDue();
    if (seq <= inbox.received) return false; // sent again
    if (seq > inbox.received + 1) throw new ProtocolError("unexpected");
    inbox.received = seq;
    inbox.took = true;
    return true;
  }

  #takeGap(inbox: Inbox, next: number): void {
    if (next <= inbox.received) throw new ProtocolError("bad-field");
    const count = next - 1 - inbox.received;
    inbox.received = next - 1;
    this.#options.listener.ackDue();
    if (inbox.took && count > 0) this.#options.listener.lost(count);
  }

  #takeAck(stream: Stream, received: number): void {
    const { target } = stream;
    if (received > target.sentSeq) throw new ProtocolError("bad-field"); // above what was sent
    if (received <= this.#ackIn) return;
    const first = this.#ackIn < 0;
    this.#ackIn = received;
    if (first) {
      this.#cursor = received;
      // In flight on an older channel, or never sent: all of it goes out anew.
      for (const item of target.items) item.sentAt = undefined;
    }
    this.#options.outbox.acknowledge(target, received);
    if (first) this.#options.listener.ready(this);
  }

  /**
   * Sends what has not been sent in this channel, in order.
   *
   * @param options.nick One's own nick of this moment.
   * @param options.encode Turns a message into its CHAT, encoded; valid until the next call.
   * @param options.now The clock's time.
   * @param options.room Whether the connection takes more now.
   */
  pump(options: {
    nick: string;
    encode(item: Item): Bytes;
    now: number;
    room(): boolean;
  }): void {
    const target = this.#stream?.target;
    if (!target || !this.live) return;
    const { items } = target;
    let next = items.length;
    while (next > 0 && items[next - 1]!.seq > this.#cursor) next--;
    for (; next < items.length; next++) {
      const item = items[next]!;
      if (!options.room()) return;
      this.#skipTo(target, item.seq);
      if (item.message) this.#seal(options.encode(item));
      else this.send({ type: "nick", seq: item.seq, nick: options.nick });
      item.sentAt = options.now;
      this.#cursor = item.seq;
      target.sentSeq = Math.max(target.sentSeq, item.seq);
    }
    this.#skipTo(target, target.nextSeq);
  }

  /** §6: what is not kept any more is skipped with GAP. */
  #skipTo(target: Target, seq: number): void {
    if (seq <= this.#cursor + 1 || seq >= MAX_COUNTER) return;
    this.send({ type: "gap", next: seq });
    this.#cursor = seq - 1;
    target.sentSeq = Math.max(target.sentSeq, seq - 1);
  }
}
