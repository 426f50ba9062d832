/**
 * The errors that cross module borders, told apart by whose fault they are.
 *
 * Our own mistakes are TypeError and RangeError; errors of the operating system stay what they are.
 * No message here may carry a secret, a plaintext or text chosen by a peer.
 *
 * @module
 */

/** What a peer did wrong; the closed set that {@linkcode ProtocolError} knows. */
export type ProtocolCode =
  | "bad-magic" // M1 does not begin with HEARTH/1
  | "version" // the relay answered HEARTH/?
  | "bad-length" // a length outside its bounds
  | "bad-field" // a field whose value is not allowed
  | "bad-utf8" // text that is not strict UTF-8
  | "bad-id" // a public identity that has not the one accepted form
  | "bad-signature"
  | "bad-point" // X25519 gave all zeros
  | "wrong-identity" // proven, but not the expected one
  | "unknown-type"
  | "unexpected" // well formed, but not now or not from this side
  | "too-large"
  | "counter" // a counter at its end
  | "cut" // the stream ended where it may not
  | "closed"; // used after its end

/** The other side broke the protocol: close that connection or channel and tell it nothing but CLOSE. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
  /** What was wrong. */
  readonly code: ProtocolCode;

  /**
   * @param code What was wrong.
   * @param message For our own log; never carries anything the peer chose.
   */
  constructor(code: ProtocolCode, message: string = code) {
    super(message);
    this.code = code;
  }
}

/** Authentication or decryption failed. One message and no cause, so that nothing can be learned from it. */
export class DecryptError extends Error {
  override name = "DecryptError";

  constructor() {
    super("Cannot decrypt");
  }
}

/** The person at the keyboard can mend it: shown as `error:` with one `hint:` line for each hint. */
export class UsageError extends Error {
  override name = "UsageError";
  /** What to do about it, one line each. */
  readonly hints: readonly string[];

  /**
   * @param message What is wrong, in lower case, without a full stop.
   * @param hints What to do about it, one line each.
   */
  constructor(message: string, hints: readonly string[] = []) {
    super(message);
    this.hints = hints;
  }
}
