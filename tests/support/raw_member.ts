/**
 * A member that does its handshakes right, and then says to another whatever bytes a test wants.
 *
 * @module
 */

import { type Bytes, compareBytes, concat, decodeHex } from "../../lib/base/bytes.ts";
import { Opener, Sealer } from "../../lib/protocol/records.ts";
import { type HandshakeOptions, Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { encodeMessage, type SentMessage } from "../../lib/protocol/messages.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { type Frame, KIND } from "../../lib/protocol/frames.ts";
import { decodeCheapId } from "./cheap_key.ts";

type Recv = Extract<Frame, { type: "send" | "recv" }>;

/** What a raw member needs. */
export interface RawMemberOptions {
  readonly key: PrivateKey;
  readonly sid: string;
  readonly relay: Bytes;
  readonly room: Bytes;
  send(frame: Frame): void;
}

/** The other one of the two. */
export interface Other {
  readonly sid: string;
  readonly fingerprint: Bytes;
}

const TAG = "00c0ffee";

/** One side of a peer channel whose messages are the test's. */
export class RawMember {
  /** What the other has said in the channel, and not been taken yet. */
  readonly heard: Bytes[] = [];
  readonly #options: RawMemberOptions;
  readonly #other: Other;
  readonly #initiates: boolean;
  #handshake: Initiator | Responder | undefined;
  #tag = TAG;
  #sealer: Sealer | undefined;
  #opener: Opener | undefined;
  #ready = Promise.withResolvers<void>();

  constructor(options: RawMemberOptions, other: Other) {
    this.#options = options;
    this.#other = other;
    const own = options.key.publicKey.fingerprint;
    this.#initiates = compareBytes(own, other.fingerprint) < 0;
    if (this.#initiates) this.#begin();
  }

  /** Resolves when the handshake is done, and it may speak. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  #begin(): void {
    const initiator = new Initiator(this.#handshakeOptions());
    this.#handshake = initiator;
    this.#send(KIND.M1, initiator.m1);
  }

  #handshakeOptions(): HandshakeOptions {
    const { key, relay, room, sid } = this.#options;
    const own = { fingerprint: key.publicKey.fingerprint, sid };
    const [i, r] = this.#initiates ? [own, this.#other] : [this.#other, own];
    const prologue = concat(
      ...[relay, room, i.fingerprint, r.fingerprint, decodeHex(i.sid), decodeHex(r.sid)],
    );
    return { key, mode: "peer", prologue, decodeId: decodeCheapId };
  }

  #send(kind: number, payload: Uint8Array): void {
    this.#options.send({ type: "send", sid: this.#other.sid, kind, tag: this.#tag, payload });
  }

  /** Takes what the relay brings from the other. */
  async take({ kind, tag, payload }: Recv): Promise<void> {
    if (kind === KIND.RECORD) {
      if (tag === this.#tag && this.#opener) this.heard.push(this.#opener.open(payload));
      return;
    }
    const bytes = new Uint8Array(payload);
    if (kind === KIND.M1) {
      this.#tag = tag;
      const responder = new Responder(this.#handshakeOptions());
      this.#handshake = responder;
      this.#send(KIND.M2, await responder.consumeM1(bytes));
      return;
    }
    const result = this.#handshake instanceof Initiator
      ? await this.#handshake.consumeM2(bytes)
      : await (this.#handshake as Responder).consumeM3(bytes);
    if ("m3" in result) this.#send(KIND.M3, result.m3 as Bytes);
    this.#sealer = new Sealer(result.sendKey);
    this.#opener = new Opener(result.receiveKey);
    this.#ready.resolve();
  }

  /** Says something, whether it may be said or not. */
  say(plaintext: Uint8Array): void {
    this.#send(KIND.RECORD, this.#sealer!.seal(plaintext));
  }

  /** Says HELLO and acknowledges nothing, so that all further messages may come. */
  greet(nick: string): void {
    const instance = "ab".repeat(16);
    this.tell({ type: "hello", features: 0, instance, nick });
    this.tell({ type: "ack", received: 0 });
  }

  /** Says a message. */
  tell(message: SentMessage): void {
    this.say(encodeMessage(message));
  }
}
