/**
 * A member with correct handshakes that then sends any bytes a test wants to another.
 *
 * @module
 */

import { type Bytes, compareBytes, decodeHex } from "../../lib/base/bytes.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import {
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  peerPrologue,
} from "../../lib/protocol/handshake.ts";
import { openPart } from "../../lib/protocol/cast.ts";
import { encodeMessage, type SentMessage } from "../../lib/protocol/messages.ts";
import { pad, unpad } from "../../lib/protocol/padding.ts";
import { makeSessionKey, type SessionKey } from "../../lib/protocol/session_key.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { type Frame, KIND } from "../../lib/protocol/frames.ts";
import { cheapPrimitives } from "./cheap_key.ts";

type Recv = Extract<Frame, { type: "send" | "recv" | "part" }>;

/** Options of {@linkcode RawMember}. */
export interface RawMemberOptions {
  readonly key: PrivateKey;
  readonly sid: string;
  readonly relay: Bytes;
  readonly room: Bytes;
  /** Kroom; without it the member has no password. */
  readonly roomKey?: Bytes;
  send(frame: Frame): void;
}

/** The other member. */
export interface Other {
  readonly sid: string;
  readonly fingerprint: Bytes;
}

const TAG = "00c0ffee";

/** One end of a peer channel, with messages made by the test. */
export class RawMember {
  /** Messages from the other member, without their padding, that were not taken yet. */
  readonly heard: Bytes[] = [];
  readonly #options: RawMemberOptions;
  readonly #other: Other;
  readonly #initiates: boolean;
  readonly #session: Promise<SessionKey>;
  #handshake: HandshakeInitiator | HandshakeResponder | undefined;
  #tag = TAG;
  #sealer: Sealer | undefined;
  #opener: Opener | undefined;
  #ready = Promise.withResolvers<void>();

  constructor(options: RawMemberOptions, other: Other) {
    this.#options = options;
    this.#other = other;
    const own = options.key.publicKey.fingerprint;
    this.#initiates = compareBytes(own, other.fingerprint) < 0;
    const { key, relay, room, sid } = options;
    const membership = { relay, room, sid: decodeHex(sid) };
    this.#session = makeSessionKey(key, { membership, primitives: cheapPrimitives });
    if (this.#initiates) void this.#begin();
  }

  /** Resolves when the handshake is done and messages may be sent. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  async #begin(): Promise<void> {
    const initiator = await HandshakeInitiator.start(this.#handshakeOptions());
    this.#handshake = initiator;
    this.#send(KIND.M1, initiator.m1);
  }

  #handshakeOptions(): HandshakeOptions {
    const { key, relay, room, sid, roomKey } = this.#options;
    const own = { fingerprint: key.publicKey.fingerprint, sid: decodeHex(sid) };
    const other = { fingerprint: this.#other.fingerprint, sid: decodeHex(this.#other.sid) };
    const [initiator, responder] = this.#initiates ? [own, other] : [other, own];
    const prologue = peerPrologue({ relay, room, initiator, responder });
    const session = this.#session;
    return { key, mode: "peer", session, prologue, roomKey, primitives: cheapPrimitives };
  }

  #send(kind: number, payload: Uint8Array): void {
    this.#options.send({ type: "send", sid: this.#other.sid, kind, tag: this.#tag, payload });
  }

  /** Takes a payload of the other member from the relay. */
  async take(frame: Recv): Promise<void> {
    const isOwn = frame.tag === this.#tag && this.#opener;
    if (frame.type === "part") {
      if (isOwn) this.heard.push(encodeMessage(openPart(this.#opener!, frame)));
      return;
    }
    const { kind, tag, payload } = frame;
    if (kind === KIND.RECORD) {
      if (isOwn) this.heard.push(unpad(this.#opener!.open(payload)));
      return;
    }
    const bytes = new Uint8Array(payload);
    if (kind === KIND.M1) {
      this.#tag = tag;
      const responder = new HandshakeResponder(this.#handshakeOptions());
      this.#handshake = responder;
      this.#send(KIND.M2, await responder.consumeM1(bytes));
      return;
    }
    const result = this.#handshake instanceof HandshakeInitiator
      ? await this.#handshake.consumeM2(bytes)
      : await (this.#handshake as HandshakeResponder).consumeM3(bytes);
    if ("m3" in result) this.#send(KIND.M3, result.m3 as Bytes);
    this.#sealer = new Sealer(result.sendKey);
    this.#opener = new Opener(result.receiveKey);
    this.#ready.resolve();
  }

  /** Sends a message, allowed or not; an empty one cannot be padded. */
  say(message: Uint8Array): void {
    this.sayPlaintext(message.length > 0 ? pad(message) : message);
  }

  /** Sends a record with this plaintext, padded or not. */
  sayPlaintext(plaintext: Uint8Array): void {
    this.#send(KIND.RECORD, this.#sealer!.seal(plaintext));
  }

  /** Sends HELLO and an ACK of nothing, which opens the channel. */
  greet(nick: string): void {
    const instance = "ab".repeat(16);
    this.tell({ type: "hello", features: 0, instance, nick });
    this.tell({ type: "ack", received: 0 });
  }

  /** Sends a message. */
  tell(message: SentMessage): void {
    this.say(encodeMessage(message));
  }
}
