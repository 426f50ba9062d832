/**
 * What a relay reports for the log.
 *
 * @module
 */

import { DecryptError, ProtocolError } from "../base/errors.ts";
import { REASON } from "../protocol/frames.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import type { End } from "../transport/mod.ts";
import { ConnectionCut } from "./client_connection.ts";
import type { OperatorEvent } from "./operators.ts";

/** Events for the log; fingerprints as `SHA256:…`. */
export type RelayEvent =
  /** A client has become a member of a room. */
  | { event: "joined"; fingerprint: string; address: string }
  /** A member has left; `why` is that of LEFT (§5). */
  | { event: "left"; fingerprint: string; address: string; why: number }
  /** A JOIN was answered with CLOSE(reason). */
  | { event: "refused"; fingerprint: string; address: string; reason: number }
  /** A connection failed or was cut; with the fingerprint if the handshake had proven one. */
  | { event: "closed"; fingerprint?: string; address: string; cause: string }
  | OperatorEvent;

/** The fields of an event about a client. */
export function describeClient(address: string, fingerprint: Uint8Array) {
  return { fingerprint: encodeFingerprint(fingerprint), address };
}

/** Why the relay ended a connection. */
export function describeFailure(end: Extract<End, { type: "failed" }>): string {
  if (end.reason === REASON.TIMEOUT) return "silent for too long";
  if (end.reason === REASON.TOO_SLOW) return "too slow";
  return describeError(end.error);
}

/** Describes an error of the other side in our words; anything else is an internal error. */
export function describeError(error: unknown): string {
  if (error instanceof ProtocolError) return `protocol error: ${error.code}`;
  if (error instanceof DecryptError) return "protocol error: does not decrypt";
  if (error instanceof ConnectionCut) return error.message;
  return `internal error: ${error}`;
}
