/**
 * The relay's reasons for ending a connection, in words (PROTOCOL.md §5).
 *
 * @module
 */

import { REASON } from "./frames.ts";

/** What a CLOSE of the relay means to the person. */
export const REASON_TEXTS: Readonly<Record<number, string>> = {
  [REASON.NORMAL]: "closed by the server",
  [REASON.PASSWORD]: "wrong password",
  [REASON.NOT_ALLOWED]: "not allowed",
  [REASON.PROTOCOL]: "protocol error",
  [REASON.TIMEOUT]: "timeout",
  [REASON.FULL]: "full",
  [REASON.REPLACED]: "replaced",
  [REASON.SHUTTING_DOWN]: "shutting down",
  [REASON.REMOVED]: "removed",
  [REASON.WEAK_KEY]: "key too weak",
  [REASON.TOO_SLOW]: "too slow",
};

/** Reasons after which trying again mends nothing, §5, with what to do about them. */
export const FINAL_HINTS: Readonly<Record<number, string>> = {
  [REASON.NORMAL]: "the server ended the connection; start again to join again",
  [REASON.PASSWORD]: "ask whoever runs the server for its password, and give it with --password",
  [REASON.NOT_ALLOWED]:
    "the server has a list of allowed keys: send your fingerprint to whoever runs it",
  [REASON.REPLACED]: "another connection of this program took its place",
  [REASON.REMOVED]: "whoever runs the server removed this key from its list",
  [REASON.WEAK_KEY]: "make a larger key, or ask whoever runs the server for --min-key-bits",
};
