/**
 * What the events of a session are called in words, one sentence each; messages are not among them.
 *
 * Pure; the words may hold remote text as it came: whoever prints them cleans them.
 *
 * @module
 */

import type {
  ErrorEvent,
  JoinedEvent,
  LeftEvent,
  SessionEvent,
  WelcomeEvent,
} from "../session/events.ts";

/** A sentence for the person at the keyboard, in lower case and without a full stop. */
export interface Notice {
  /**
   * `presence`: who comes and goes; `answer`, `warning` and `error` are shown even when notices are not, and an
   * answer to what was typed is not dim.
   */
  level: "presence" | "info" | "answer" | "warning" | "error";
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
      return welcomeNotice(event);
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
    case "undelivered":
      return receiptNotice(event.event, { ids: [event.id], to: event.to }, names);
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

/** What is known of a message of one's own: on its way to some, received by all, or given up for some. */
export type Receipt = "pending" | "delivered" | "undelivered";

/** Says what became of messages of one's own, one or several with the same fate. */
export function receiptNotice(
  receipt: Receipt,
  { ids, to }: { ids: readonly string[]; to: readonly string[] },
  names: Names,
): Notice {
  const which = quoteAll(ids, names);
  switch (receipt) {
    case "pending":
      return info(`not yet received by ${list(to, names)}: ${which}`);
    case "delivered":
      return info(`now received by everyone: ${which}`);
    case "undelivered":
      return warning(
        to.length === 0
          ? `nobody is here to receive ${which}`
          : `not delivered to ${list(to, names)}: ${which}`,
      );
  }
}

/** Says where one is; with the server's address, if that was not told. */
export function welcomeNotice({ room, members }: WelcomeEvent, address?: string): Notice {
  const place = `you are in ${room}, ${company(members)}`;
  return info(address === undefined ? place : `connected to ${address}: ${place}`);
}

/** What the reasons of a session mean to a person, where they are not plain. */
const OUTAGES: Readonly<Record<string, string>> = {
  cut: "it was cut",
  full: "the server is full",
  "shutting down": "the server is shutting down",
  timeout: "no answer",
};

/** Says that there is no connection; once, however often it is tried again. */
export function offlineNotice(reason: string, { wasOnline }: { wasOnline: boolean }): Notice {
  const words = OUTAGES[reason] ?? reason;
  return info(
    wasOnline
      ? `connection lost: ${words}; what you write waits`
      : `no connection yet: ${words}; it is tried again`,
  );
}

/** Says that the connection is there again. */
export function onlineNotice({ members }: WelcomeEvent): Notice {
  return info(`connected again, ${company(members)}`);
}

/** One's own identity has come in at another place. */
export function ownPlaceNotice({ nick }: { nick: string }): Notice {
  return presence(`${nick} has joined: yourself, at another place`);
}

/** Says of a new key whose owner was not announced that it is new. */
export function newKeyNotice({ nick, fingerprint }: { nick: string; fingerprint: string }): Notice {
  return info(`${nick} has a new key: ${fingerprint}`);
}

/** New keys that are shown in full when one comes into a room; of more only the nicks. */
const MAX_KEYS_SHOWN = 3;

/** Says who was in the room already, in few lines however many they are. */
export function companyNotices(events: readonly JoinedEvent[]): Notice[] {
  const conflicts = events.filter(({ trust }) => trust === "conflict");
  const strangers = events.filter(({ trust }) => trust === "new");
  const friends = events.filter((event) => ![...conflicts, ...strangers].includes(event));
  const nicks = (some: readonly JoinedEvent[]) =>
    join(some.map(({ nick, weak }) => nick + weakness(weak)));
  const notices: Notice[] = [];
  if (friends.length > 0) notices.push(presence(`here ${areIs(friends)} ${nicks(friends)}`));
  if (strangers.length > MAX_KEYS_SHOWN) {
    notices.push(presence(`here, with keys that are new to you, are ${nicks(strangers)}`));
  } else {
    notices.push(
      ...strangers.map(({ nick, fingerprint, weak }) =>
        presence(`here is ${nick}, with a new key: ${fingerprint}${weakness(weak)}`)
      ),
    );
  }
  return [...notices, ...conflicts.map(joined)];
}

function areIs({ length }: readonly unknown[]): string {
  return length === 1 ? "is" : "are";
}

const DEPARTURES: Record<LeftEvent["why"], string> = {
  left: "has left",
  lost: "has lost the connection",
  replaced: "is connecting again",
  removed: "was removed by the server's operator",
};

function weakness(weak: boolean): string {
  return weak ? " (a weak key)" : "";
}

function joined({ nick, fingerprint, trust, weak }: JoinedEvent): Notice {
  switch (trust) {
    case "conflict":
      return {
        level: "warning",
        text: `${nick} has joined with ANOTHER KEY than before: ${fingerprint}${weakness(weak)}`,
        hint: `ask whether it is really them: /verify ${nick} compares, /trust ${nick} accepts it`,
      };
    case "new":
      return presence(`${nick} has joined with a new key: ${fingerprint}${weakness(weak)}`);
    case "known":
      return presence(`${nick} has joined${weakness(weak)}`);
    case "verified":
      return presence(`${nick} has joined (verified)${weakness(weak)}`);
  }
}

function error({ message, hint }: ErrorEvent): Notice {
  return { level: "error", text: message, hint };
}

function company(others: number): string {
  if (others === 0) return "alone so far";
  return others === 1 ? "with one other" : `with ${others} others`;
}

/** People who are named; of more only the number. */
const MAX_NAMES = 8;

function list(fingerprints: readonly string[], names: Names): string {
  const shown = fingerprints.length > MAX_NAMES + 1
    ? fingerprints.slice(0, MAX_NAMES)
    : fingerprints;
  const nicks = shown.map((fingerprint) => names.nickOf(fingerprint));
  if (shown.length < fingerprints.length) {
    nicks.push(`${fingerprints.length - shown.length} others`);
  }
  return join(nicks);
}

/** Messages that are quoted; of more only the number. */
const MAX_QUOTES = 2;

function quoteAll(ids: readonly string[], names: Names): string {
  const shown = ids.length > MAX_QUOTES + 1 ? ids.slice(0, MAX_QUOTES) : ids;
  const quotes = shown.map((id) => quote(id, names));
  if (shown.length < ids.length) quotes.push(`${ids.length - shown.length} more`);
  return join(quotes);
}

function join(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
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
