/**
 * Asks clients for the proof that they know the password of a room (PROTOCOL.md §7).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import { encodeFrame } from "../protocol/frames.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { checkProof, startJoin } from "../protocol/password.ts";
import type { Primitives } from "../protocol/primitives.ts";
import type { ClientConnection, Join } from "./client_connection.ts";
import { PasswordThrottle } from "./password_throttle.ts";

interface PasswordCheckOptions {
  /** The relay's. */
  readonly key: PrivateKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly primitives?: Primitives | undefined;
}

/** What becomes of a client that was asked. */
interface Outcome {
  /** Its PROOF has come, and waits for its turn. */
  waits(): void;
  /** Its PROOF is wrong. */
  refuse(): void;
  admit(): void;
}

/** Checks what clients prove, and delays answers to those who guess. */
export class PasswordCheck {
  readonly #options: PasswordCheckOptions;
  readonly #throttle: PasswordThrottle;

  constructor(options: PasswordCheckOptions) {
    this.#options = options;
    this.#throttle = new PasswordThrottle(options.clock);
  }

  /**
   * Sends SHARE, and waits for the PROOF.
   *
   * @param joinKey Kjoin, 32 bytes.
   * @throws {ProtocolError} If the share of the JOIN does not decode.
   */
  async ask(
    client: ClientConnection,
    { join, joinKey }: { join: Join; joinKey: Bytes },
    { waits, refuse, admit }: Outcome,
  ): Promise<void> {
    const { connection, peer, th3 } = client.accepted!;
    const { key, random, primitives } = this.#options;
    const exchange = await startJoin("relay", {
      joinKey,
      client: peer.fingerprint,
      relay: key.publicKey.fingerprint,
      th3,
      random,
      ...(primitives && { primitives }),
    });
    if (client.signal.aborted) return;
    const { proof: expected, answer } = exchange.finish(join.share);
    const fingerprint = encodeFingerprint(peer.fingerprint);
    const guesser = { address: client.place, fingerprint, signal: client.signal };
    const onProof = (proof: Uint8Array) => {
      waits();
      this.#throttle.check(guesser, {
        verify: () => {
          client.deadline = Infinity; // it will be answered, late if wrong
          const isRight = checkProof(proof, expected);
          if (!isRight) client.dropEarly();
          return isRight;
        },
        answer: (isRight) => {
          if (!isRight) return refuse();
          connection.send(encodeFrame({ type: "proof", proof: answer }));
          admit();
        },
      });
    };
    this.#throttle.whenOpen(guesser, () => {
      client.expectProof(onProof);
      connection.send(encodeFrame({ type: "share", share: exchange.share }));
    });
  }
}
