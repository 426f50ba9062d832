/**
 * The words for everything but messages: one sentence for each event.
 *
 * They may contain text from others, uncleaned: clean them before printing.
 *
 * @module
 */

import { reportError, UsageError } from "../base/errors.ts";
import type {
  ConnectedEvent,
  ErrorEvent,
  JoinedEvent,
  LeftEvent,
  MissedEvent,
  MovedEvent,
  NoteEvent,
  NoteKind,
  ServerEvent,
  SessionEvent,
  WelcomeEvent,
} from "../session/mod.ts";
import { fileNotice } from "./file_words.ts";
import { clockTime } from "./moment.ts";
import type { Names, Notice } from "./notice.ts";

export type { Names, Notice } from "./notice.ts";

/**
 * Whether a notice of this level is not to be shown.
 *
 * @param quiet Leaves out nothing, presence, or everything but answers, warnings and errors.
 */
export function hides(level: Notice["level"], quiet: "off" | "presence" | "notices"): boolean {
  if (level === "presence") return quiet !== "off";
  return quiet === "notices" && (level === "info" || level === "server");
}

/** A message that a notice is about. */
interface Quoted {
  readonly isOwn: boolean;
  readonly nick: string;
  readonly text: string;
}

/** How much of a message is quoted in a notice, in code points. */
const QUOTE_LENGTH = 30;
/** The same beside a nick, where the message that follows needs the room. */
const LABEL_QUOTE_LENGTH = 20;

/**
 * Puts an event into words; undefined for messages, and for events that need none.
 *
 * Those about the connection are put into words by `ConnectionStatus`. `delivered` says "now received": skip it unless the user knows that the message was pending.
 */
export function noticeOf(event: SessionEvent, names: Names): Notice | undefined {
  switch (event.event) {
    case "joined":
      return joined(event);
    case "left":
      return presence(`${event.nick} ${DEPARTURES[event.why]}`);
    case "nick":
      if (chosenNick(event.from) === chosenNick(event.nick)) return undefined;
      return presence(`${event.from} is now ${event.nick}`);
    case "away":
      return presence(
        event.text === "" ? `${event.nick} is back` : `${event.nick} is away: ${event.text}`,
      );
    case "lost":
      return warning(
        event.count === 1
          ? `a message from ${event.nick} was lost`
          : `${event.count} messages from ${event.nick} were lost`,
      );
    case "delivered":
      return receiptNotice("delivered", { ids: [event.id], to: [] }, names);
    case "undelivered":
      return receiptNotice("undelivered", { ids: [event.id], to: event.to }, names);
    case "kept": {
      const { id, to, until } = event;
      return receiptNotice("kept", { ids: [id], to, until: clockTime(new Date(until)) }, names);
    }
    case "missed":
      return event.from === "own" ? missedNotice(event) : hearsayNotice(event, names);
    case "notice":
      return info(event.text);
    case "topic":
      return info(event.text === "" ? "the topic was removed" : `the topic is: ${event.text}`);
    case "server":
      return serverNotice(event);
    case "error":
      return error(event);
    case "offered":
    case "offer":
    case "transfer":
    case "received":
    case "sentfile":
    case "transferfailed":
      return fileNotice(event, names);
    case "connected":
    case "moved":
    case "searching":
    case "welcome":
    case "disconnected":
    case "chat":
    case "note":
    case "history":
    case "read":
    case "sent":
    case "self":
    case "trust":
    case "ignored":
    case "result":
    case "reconnecting":
    case "bye":
      return undefined;
  }
}

/** The state of a message of the user's own: pending or kept for some, received by all, or given up for some. */
export type Receipt = "pending" | "kept" | "delivered" | "undelivered";

/** Reports the state that messages of the user's own are in. @param about.until The time of day, of what is kept. */
export function receiptNotice(
  receipt: Receipt,
  { ids, to, until }: { ids: readonly string[]; to: readonly string[]; until?: string },
  names: Names,
): Notice {
  const which = quoteAll(ids, names);
  switch (receipt) {
    case "pending":
      return info(`not yet received by ${list(to, names)}: ${which}`);
    case "kept": {
      const has = to.length === 1 ? "has" : "have";
      return info(
        `${list(to, names)} ${has} not got ${which} yet; kept until ${until} while you are here`,
      );
    }
    case "delivered":
      return info(`now received by ${to.length === 0 ? "everyone" : list(to, names)}: ${which}`);
    case "undelivered":
      return warning(
        to.length === 0
          ? `nobody is here to receive ${which}`
          : `not delivered to ${list(to, names)}: ${which}`,
      );
  }
}

function timeSpan(seconds: number): string {
  const hours = Math.round(seconds / 3600);
  return seconds < 5400 ? `${Math.max(1, Math.round(seconds / 60))} min` : `${hours} h`;
}

/** Says what follows: what this terminal has missed. */
function missedNotice({ seconds, count }: MissedEvent): Notice {
  const messages = count === 1 ? "1 message" : `${count} messages`;
  return info(
    `while you were away, ${timeSpan(seconds)} (from another terminal of yours): ${messages}`,
  );
}

/** Says what follows: what others hand on. */
function hearsayNotice({ by, seconds, count }: MissedEvent, names: Names): Notice {
  if (count === 0) return info(`${timeSpan(seconds)} without anybody who kept something`);
  const [hands, messages] = [
    by.length === 1 ? "hands" : "hand",
    count === 1 ? "1 message" : `${count} messages`,
  ];
  const who = by.map((person) => names.nickOf(person)).join(" and ");
  const span = `of the last ${timeSpan(seconds)}`;
  return info(`${who} ${hands} on ${messages} ${span}; nobody proves who wrote them`);
}

/** Introduces a server at the first contact, once it is known how it was authenticated. */
export function firstContactNotice(
  { address, fingerprint }: ConnectedEvent,
  welcome: WelcomeEvent | undefined,
): Notice {
  const how = welcome?.authenticated === "password" ? ", verified by the password" : "";
  return info(`connected to ${address} for the first time${how}; its key is ${fingerprint}`);
}

/** The server's own word, which may have several lines. */
function serverNotice({ what, text }: ServerEvent): Notice {
  const lead = what === "motd" ? "the server says" : "announcement of the server";
  return { level: "server", text: `${lead}: ${text}`, hint: "" };
}

/**
 * Says what a note did to a message; undefined for an edit, which is shown like a message.
 *
 * @param message As it was before; undefined if it is not known any more.
 */
export function noteNotice(
  { what, nick, text }: Pick<NoteEvent, "what" | "nick" | "text">,
  message: Quoted | undefined,
): Notice | undefined {
  switch (what) {
    case "reaction":
      return info(`${nick} reacted ${text} to ${whose(message)}`);
    case "unreaction":
      return info(`${nick} took back a reaction to ${whose(message)}`);
    case "retraction":
      return info(`${nick} took back ${message ? quoteText(message.text) : "a message"}`);
    case "edit":
      return undefined;
  }
}

/** Says what a note of the user's own has done. @param message As it was before. */
export function noteOfOwn(what: NoteKind, message: Quoted, text: string): string {
  switch (what) {
    case "reaction":
      return `you reacted ${text} to ${whose(message)}`;
    case "unreaction":
      return `you took back your reaction to ${whose(message)}`;
    case "retraction":
      return `you took back ${quoteText(message.text)}`;
    case "edit":
      return `you changed ${quoteText(message.text)} to: ${text}`;
  }
}

/** The label of an edited message. @param before Its text before; undefined if it is not known any more. */
export function replacesLabel(before: string | undefined): string {
  if (before === undefined) return "replaces an older message";
  return `replaces ${quoteText(before, LABEL_QUOTE_LENGTH)}`;
}

/** The label of an answer. @param quote The message that it answers. */
export function answersLabel({ of, own, nick, text }: {
  readonly of: string | undefined;
  readonly own: boolean;
  readonly nick: string;
  readonly text: string;
}): string {
  if (of === undefined) return "answers an older message";
  const quoted = text === "" ? "a message taken back" : quoteText(text, LABEL_QUOTE_LENGTH);
  return `answers ${own ? "you" : nick}: ${quoted}`;
}

function whose(message: Quoted | undefined): string {
  if (message === undefined) return "an older message";
  const { isOwn, nick, text } = message;
  return isOwn ? `your ${quoteText(text)}` : `${quoteText(text)} of ${nick}`;
}

/** Says which room this is; with the server's address, if that was not shown before. */
export function welcomeNotice({ room, members }: WelcomeEvent, address?: string): Notice {
  const place = `you are in ${room}, ${company(members)}`;
  return info(address === undefined ? place : `connected to ${address}: ${place}`);
}

/** The words for the reasons of a `disconnected` event that are not clear as they are. */
const OUTAGES: Readonly<Record<string, string>> = {
  cut: "interrupted",
  full: "the server is full",
  "shutting down": "the server is shutting down",
  timeout: "no answer",
};

/** Says that there is no connection. */
export function offlineNotice(reason: string, { wasOnline }: { wasOnline: boolean }): Notice {
  const words = OUTAGES[reason] ?? reason;
  return info(
    wasOnline
      ? `connection lost: ${words}; your messages will wait`
      : `not connected yet: ${words}; retrying`,
  );
}

/** Says that the connection is back. */
export function onlineNotice({ members }: WelcomeEvent): Notice {
  return info(`connected again, ${company(members)}`);
}

/** What became of the computer at which the room was: its person left, it is gone, or it gave way to another. */
export type HostEnd = "left" | "gone" | "gave way";

/**
 * Says that the room is at another computer now.
 *
 * @param move.end Of the last host, the person `by`.
 * @param move.isBack The room was at this computer before.
 */
export function movedNotice(
  { host, by, own, fingerprint }: MovedEvent,
  { nickOf, end, isBack }: {
    nickOf: Names["nickOf"];
    end: HostEnd;
    isBack: boolean;
  },
): Notice {
  const known = host === null ? "another computer" : `${nickOf(host)}'s computer`;
  const whose = own ? "this computer" : known;
  const named = by === null ? "" : `, named by ${nickOf(by)}`;
  const proof = own || isBack ? "" : ` (${fingerprint}${named})`;
  if (by === null || end === "gave way") {
    return info(isBack ? `back at ${whose}` : `the room goes on at ${whose}${proof}`);
  }
  const start = end === "left" ? `${nickOf(by)} has left` : `${nickOf(by)}'s computer is gone`;
  if (isBack) return info(`${start}; back at ${whose}`);
  return info(`${start}${end === "left" ? " and" : ";"} ${whose} carries on${proof}`);
}

/** Says that the room's next host is being looked for. @param options.host As it is to be called, if it is known. */
export function searchingNotice(
  { host, hasLeft, wasOnline }: {
    host: string | undefined;
    hasLeft: boolean;
    wasOnline: boolean;
  },
): Notice {
  if (!wasOnline) return info("not connected yet: looking for the room");
  const who = host === undefined ? "the host" : hasLeft ? host : `${host}'s computer`;
  const end = hasLeft ? "has left" : "does not answer";
  return info(`${who} ${end}; looking for the room, your messages will wait`);
}

/** Says that the search is over without a loss. */
export function answeringNotice(host: string | undefined): Notice {
  return info(`${host === undefined ? "the host" : `${host}'s computer`} answers again`);
}

/** Says that another client of the user's own has joined. */
export function ownClientNotice({ nick }: { nick: string }): Notice {
  return presence(`${nick} has joined: you, from another client`);
}

/** Warns of somebody whose nick looks like that of others. @param alike Their nicks, or "you". */
export function lookalikeNotice(nick: string, alike: readonly string[]): Notice {
  return warning(`${nick} is somebody else than ${join(alike)}: only the nicks look the same`);
}

/** Announces a new key whose owner's arrival was not shown. */
export function newKeyNotice({ nick, fingerprint }: { nick: string; fingerprint: string }): Notice {
  return info(`${nick} has a new key: ${fingerprint}`);
}

/** If more people than this have new keys when the user enters a room, only their nicks are shown. */
const MAX_KEYS_SHOWN = 3;

/** Says who was in the room already: a few lines, however many people they are. */
export function companyNotices(events: readonly JoinedEvent[]): Notice[] {
  const conflicts = events.filter(({ trust }) => trust === "conflict");
  const strangers = events.filter(({ trust }) => trust === "new");
  const friends = events.filter((event) => ![...conflicts, ...strangers].includes(event));
  const nicks = (some: readonly JoinedEvent[]) =>
    join(
      some.map(({ nick, trust, weak }) =>
        nick + (trust === "verified" ? " (verified)" : "") + weakness(weak)
      ),
    );
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

/** Without the part after `#`, which tells people with the same nick apart and comes and goes with the others. */
export function chosenNick(shown: string): string {
  return shown.split("#", 1)[0]!;
}

function areIs({ length }: readonly unknown[]): string {
  return length === 1 ? "is" : "are";
}

const DEPARTURES: Record<LeftEvent["why"], string> = {
  left: "has left",
  lost: "has lost the connection",
  replaced: "is reconnecting",
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
        text: `${nick} has joined with a DIFFERENT KEY than before: ${fingerprint}${
          weakness(weak)
        }`,
        hint:
          `make sure it is them: /verify ${nick} compares digits, /trust ${nick} accepts the key`,
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

/** If more than one person exceeds this, those are counted, not named. */
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

/** If more than one message exceeds this, those are counted, not quoted. */
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
  return text === undefined ? `message ${id}` : quoteText(text);
}

/** The beginning of a text, in one line. */
function quoteText(whole: string, length = QUOTE_LENGTH): string {
  const text = whole.trim().replace(/\s+/g, " ");
  const start = [...text].slice(0, length).join("");
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

/** Prints an error of the session, and what to do about it, for the faces without a screen. */
export function reportErrorEvent({ message, hint }: ErrorEvent): void {
  reportError("client", new UsageError(message, hint ? [hint] : []));
}
