/**
 * The password over several connections: its keys for each relay, and how often a relay took a proof and gave no answer
 * (PROTOCOL.md §7).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Bytes } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { encodeFingerprint, type PublicKey } from "../protocol/identity.ts";
import { derivePassword, type PasswordKeys } from "../protocol/password.ts";

/** Connections that end after our proof, and without an answer, before that is final, §7. */
export const MAX_UNANSWERED_PROOFS = 5;
/** Relays that are remembered. */
const MAX_RELAYS = 16;

/** A password, and what was worked out from it and tried with it; several sessions may share it. */
export class Password {
  #password: string;
  readonly #derive: typeof derivePassword;
  /** By the relay's fingerprint. */
  readonly #keys = new BoundedMap<string, Promise<PasswordKeys>>(MAX_RELAYS);
  readonly #unanswered = new BoundedMap<string, number>(MAX_RELAYS);

  /** @param password Empty for none, §7. @param derive Replaces `derivePassword` where the keys are known already. */
  constructor(password: string, derive: typeof derivePassword = derivePassword) {
    this.#password = password;
    this.#derive = derive;
  }

  /** Another one was typed. */
  change(password: string): void {
    this.#password = password;
    this.#keys.clear();
  }

  /**
   * The keys for a relay, worked out once; undefined without a password.
   *
   * @param relay Its fingerprint, 32 bytes.
   */
  async keysFor(relay: Bytes): Promise<PasswordKeys | undefined> {
    if (!this.#password) return undefined;
    const fingerprint = encodeFingerprint(relay);
    // To the end, even if the connection ends meanwhile.
    const keys = this.#keys.get(fingerprint) ?? this.#derive(this.#password, relay);
    this.#keys.renew(fingerprint, keys);
    return await keys;
  }

  /** The relay has shown that it knows the password. */
  answered(relay: PublicKey): void {
    this.#unanswered.delete(encodeFingerprint(relay.fingerprint));
  }

  /**
   * A connection has ended after our proof and before an answer: it may have been a guess.
   *
   * @returns The final refusal, if that was too often.
   */
  unanswered(relay: PublicKey): UsageError | undefined {
    const fingerprint = encodeFingerprint(relay.fingerprint);
    const count = (this.#unanswered.get(fingerprint) ?? 0) + 1;
    this.#unanswered.renew(fingerprint, count);
    if (count < MAX_UNANSWERED_PROOFS) return undefined;
    return new UsageError(
      `the server never showed that it knows the password, in ${count} attempts`,
      ["somebody may be impersonating it: ask the person who runs the server for its fingerprint"],
    );
  }
}
