/**
 * The numbers of CLOSE and LEFT in words (PROTOCOL.md §5).
 *
 * @module
 */

import { REASON } from "./frames.ts";

/** The reasons of LEFT by number; any other means the same as "lost". */
export const WHY_TEXTS = ["left", "lost", "replaced", "removed"] as const;

/** The reasons for which a relay ends a connection. */
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
  [REASON.ELSEWHERE]: "the room is elsewhere",
};

/** Reasons after which a client does not reconnect, §5, with what to do about them. */
export const FINAL_HINTS: Readonly<Record<number, string>> = {
  [REASON.NORMAL]: "the server ended the connection; start again to rejoin",
  [REASON.PASSWORD]: "ask the person who runs the server for its password, and give it with " +
    "--password, --password-file FILE or HEARTH_PASSWORD",
  [REASON.NOT_ALLOWED]:
    "only listed keys may join, or yours is banned: send your fingerprint to whoever runs the server",
  [REASON.REPLACED]: "another connection of this program replaced this one",
  [REASON.REMOVED]: "an operator of the server removed you, or your key from its list",
  [REASON.WEAK_KEY]:
    "make a larger key, or ask the person who runs the server to lower --min-key-bits",
};
