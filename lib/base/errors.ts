/**
 * Errors by whose fault they are: a peer's or the user's. Bugs are TypeError and RangeError; errors of the operating
 * system stay as they are. No message may contain a secret, a plaintext or text chosen by a peer.
 *
 * @module
 */

import { LineOutput } from "./output.ts";
import { cleanLine, wrapWords } from "./text.ts";

/** What a peer did wrong. */
type ProtocolCode =
  | "bad-magic" // M1 does not begin with HEARTH/2
  | "version" // the relay answered HEARTH/?
  | "bad-length" // a length outside its bounds
  | "bad-field" // a field whose value is not allowed
  | "bad-utf8" // text that is not strict UTF-8
  | "bad-id" // a public identity that is not in the one accepted form
  | "bad-signature"
  | "bad-point" // a public value of X25519, ML-KEM or CPace that gives no secret
  | "bad-padding" // not what Padmé makes of a message
  | "wrong-identity" // proven, but not the expected one
  | "unknown-type"
  | "unexpected" // well formed, but not allowed now or from this side
  | "too-large"
  | "counter" // a counter has reached its end
  | "cut" // the stream ended too early
  | "closed"; // used after its end

/** The other side broke the protocol: close the connection or channel, and send nothing but CLOSE. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
  readonly code: ProtocolCode;

  /** @param message For our log; must not contain anything that the peer chose. */
  constructor(code: ProtocolCode, message: string = code) {
    super(message);
    this.code = code;
  }
}

/** What `read` returns; undefined if it finds the input malformed, which the caller then ignores. */
export function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Authentication or decryption failed. It has one message and no cause, so that it reveals nothing. */
export class DecryptError extends Error {
  override name = "DecryptError";

  constructor() {
    super("Cannot decrypt");
  }
}

/** Something the user can fix: shown as an `error:` line and one `hint:` line per hint. */
export class UsageError extends Error {
  override name = "UsageError";
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

/** A private key is encrypted: ask for its passphrase, or ask again. */
export class PassphraseError extends Error {
  override name = "PassphraseError";
  /** Whether a passphrase is missing or does not fit; a damaged key file looks like a wrong one. */
  readonly reason: "needed" | "wrong";

  constructor(reason: "needed" | "wrong") {
    super(reason === "needed" ? "a passphrase is needed" : "wrong passphrase");
    this.reason = reason;
  }
}

/** Describes any error in one line. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : error.message;
}

/** Prints an error and its hints to standard error, one line each, without a stack trace. */
export function reportError(program: string, error: unknown): void {
  const hints = error instanceof UsageError ? error.hints : [];
  printDiagnostic(`${program}: error: ${cleanLine(describeError(error))}`);
  for (const hint of hints) printDiagnostic(`${program}: hint: ${cleanLine(hint)}`);
}

/** A terminal narrower than this is left to break lines itself, in columns. */
const MIN_WRAP_COLUMNS = 20;

const standardError = new LineOutput(Deno.stderr);

/** Prints a line to standard error, without blocking; on a terminal it is broken between words. */
export function printDiagnostic(line: string): void {
  const width = Deno.stderr.isTerminal() ? Deno.consoleSize().columns : 0;
  standardError.writeLine(
    width < MIN_WRAP_COLUMNS ? line : wrapWords(line, width).join("\n"),
  );
}
