/**
 * The client's side of a join: what client and relay show each other about the password (PROTOCOL.md §5, §7).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { encodeFrame, REASON } from "../protocol/frames.ts";
import { checkProof, type JoinExchange, NO_SHARE } from "../protocol/password.ts";
import { FINAL_HINTS } from "../protocol/reasons.ts";

/** A server asks for a password, and got none or another one. */
export class PasswordError extends UsageError {
  /** None was given. */
  readonly missing: boolean;

  constructor(missing: boolean) {
    super(
      missing ? "the server needs a password" : "the server refused: wrong password",
      [FINAL_HINTS[REASON.PASSWORD]!],
    );
    this.missing = missing;
  }
}

/** The relay does not know the password, although it asked for it. */
export function unknownPassword(): UsageError {
  return new UsageError("this server does not know the password", [
    "somebody may be impersonating it: ask the person who runs the server for its fingerprint",
  ]);
}

/** One join, from JOIN to WELCOME. */
export class Join {
  /** Our proof was sent. */
  proved = false;
  /** The relay has shown that it knows the password. */
  answered = false;
  readonly #exchange: JoinExchange | undefined;
  #answer: Bytes | undefined;

  /** @param exchange Undefined without a password. */
  constructor(exchange: JoinExchange | undefined) {
    this.#exchange = exchange;
  }

  /** We have no password to show. */
  get bare(): boolean {
    return this.#exchange === undefined;
  }

  /** Ya of JOIN. */
  get share(): Bytes {
    return this.#exchange?.share ?? NO_SHARE;
  }

  /** SHARE: returns the frame with our proof. @throws {ProtocolError} It may not come, or has no proof: CLOSE(3). */
  takeShare(share: Uint8Array): Bytes {
    if (!this.#exchange || this.proved) throw new ProtocolError("unexpected");
    const { proof, answer } = this.#exchange.finish(share);
    this.#answer = answer;
    this.proved = true;
    return encodeFrame({ type: "proof", proof });
  }

  /** PROOF: returns whether it is the right answer. @throws {ProtocolError} It may not come: CLOSE(3). */
  takeAnswer(answer: Uint8Array): boolean {
    if (!this.#answer || this.answered) throw new ProtocolError("unexpected");
    this.answered = checkProof(answer, this.#answer);
    return this.answered;
  }
}
