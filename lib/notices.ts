/**
 * What the events of a session are called in words, one sentence each; messages are not among them.
 *
 * Pure; the words may hold remote text as it came: whoever prints them cleans them.
 *
 * @module
 */

import type { ErrorEvent, JoinedEvent, LeftEvent, SessionEvent } from "./events.ts";

/** A sentence for the person at the keyboard, in lower case and without a full stop. */
export interface Notice {
  /** `presence`: who comes and goes; `warning` and `error` are shown even when notices are not. */
  level: "presence" | "info" | "warning" | "error";
  text: string;
  /** What to do about it; empty for nothing. */
  hint: string;
}

/** Turns what events carry into what a person knows. */
export interface Names {
  /** The nick as it is shown of a person who is or was here. */
  nickOf(fingerprint: string): string;
  /** The text of one's own message. */
  ownText(id: string): string | undefined;
}

/** How much of a message is quoted to tell which one is meant, in code points. */
const QUOTE_LENGTH = 30;

/**
 * Puts an event into words.
 *
 * @returns `undefined` for messages, and for what is not worth a line: a caller who has not said that a
 * message waits does not say that it has arrived either, and keeps `delivered` to itself.
 */
export function noticeOf(event: SessionEvent, names: Names): Notice | undefined {
  switch (event.event) {
    case "connected":
      // The welcome that follows says the rest.
      if (event.server === "known") return undefined;
      return info(
        `connected to ${event.address} for the first time; its key is ${event.fingerprint}`,
      );
    case "welcome":
      return info(`you are in ${event.room}, ${company(event.members)}`);
    case "joined":
      return joined(event);
    case "left":
      return presence(`${event.nick} ${DEPARTURES[event.why]}`);
    case "nick":
      return presence(`${event.from} is now ${event.nick}`);
    case "away":
      return presence(
        event.text === "" ? `${event.nick} is back` : `${event.nick} is away: ${event.text}`,
      );
    case "lost":
      return warning(
        event.count === 1
          ? `a message of ${event.nick} was lost`
          : `${event.count} messages of ${event.nick} were lost`,
      );
    case "delivered":
      return info(`now received by everyone: ${quote(event.id, names)}`);
    case "undelivered":
      return warning(
        event.to.length === 0
          ? `nobody is here to receive ${quote(event.id, names)}`
          : `not delivered to ${list(event.to, names)}: ${quote(event.id, names)}`,
      );
    case "disconnected":
      return info(`connection lost: ${event.reason}`);
    case "notice":
      return info(event.text);
    case "error":
      return error(event);
    case "chat":
    case "sent":
    case "reconnecting":
    case "bye":
      return undefined;
  }
}

/** Says once that a message of one's own is still on its way to some. */
export function pendingNotice(id: string, to: readonly string[], names: Names): Notice {
  return info(`not yet received by ${list(to, names)}: ${quote(id, names)}`);
}

const DEPARTURES: Record<LeftEvent["why"], string> = {
  left: "has left",
  lost: "has lost the connection",
  replaced: "is connecting again",
  removed: "was removed by the server's operator",
};

function joined({ nick, fingerprint, trust, weak }: JoinedEvent): Notice {
  const weakness = weak ? " (a weak key)" : "";
  switch (trust) {
    case "conflict":
      return {
        level: "warning",
        text: `${nick} has joined with ANOTHER KEY than before: ${fingerprint}${weakness}`,
        hint: `ask whether it is really them: /verify ${nick} compares, /trust ${nick} accepts it`,
      };
    case "new":
      return presence(`${nick} has joined with a new key: ${fingerprint}${weakness}`);
    case "known":
      return presence(`${nick} has joined${weakness}`);
    case "verified":
      return presence(`${nick} has joined (verified)${weakness}`);
  }
}

function error({ message, hint }: ErrorEvent): Notice {
  return { level: "error", text: message, hint };
}

function company(others: number): string {
  if (others === 0) return "alone so far";
  return others === 1 ? "with one other" : `with ${others} others`;
}

function list(fingerprints: readonly string[], names: Names): string {
  return fingerprints.map((fingerprint) => names.nickOf(fingerprint)).join(", ");
}

function quote(id: string, names: Names): string {
  const text = names.ownText(id);
  if (text === undefined) return `message ${id}`;
  const start = [...text].slice(0, QUOTE_LENGTH).join("");
  return start === text ? `“${text}”` : `“${start}…”`;
}

function presence(text: string): Notice {
  return { level: "presence", text, hint: "" };
}

function info(text: string): Notice {
  return { level: "info", text, hint: "" };
}

function warning(text: string): Notice {
  return { level: "warning", text, hint: "" };
}
