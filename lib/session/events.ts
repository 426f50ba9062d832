/**
 * The events of a session, which are those of `--json`: one object each, with `event` first.
 *
 * Fingerprints are `SHA256:…` texts, ids 16 hex digits, times ISO 8601, nicks as they are shown (PROTOCOL.md §9).
 * Texts are exactly what was sent: clean them before printing.
 *
 * @module
 */

import type { FileEvent } from "./files/file_events.ts";

/** How well a person's key is known. */
export type Trust = "new" | "known" | "verified" | "conflict";

/** The first record of a relay has verified. */
export interface ConnectedEvent {
  event: "connected";
  /** `host:port` as it was dialled. */
  address: string;
  fingerprint: string;
  server: "new" | "known";
}

/** The room is at another server than before; comes between `connected` and `welcome`. */
export interface MovedEvent {
  event: "moved";
  /** `host:port`. */
  address: string;
  /** Of the server. */
  fingerprint: string;
  /** The fingerprint of the person whose computer it is; null if that is not known. */
  host: string | null;
  /** The fingerprint of the person who named it; null if nobody did. */
  by: string | null;
  /** It is this computer. */
  own: boolean;
}

/**
 * This client has looked for the room's next host for 4 s. What ends that is `moved` or `welcome`, or, if the host
 * answers again before its connection was given up, another one that is not `active`.
 */
export interface SearchingEvent {
  event: "searching";
  /** The fingerprint of the person who hosted; null if that is not known. */
  host: string | null;
  active: boolean;
}

/** This client is in the room; again after each reconnect. */
export interface WelcomeEvent {
  event: "welcome";
  room: string;
  /** How many others the roster names. */
  members: number;
  /** How the server was authenticated; `none` at a first contact without a password. */
  authenticated: "password" | "key" | "none";
}

/** A person's channel is up for the first time since they entered the roster. */
export interface JoinedEvent {
  event: "joined";
  nick: string;
  fingerprint: string;
  trust: Trust;
  weak: boolean;
}

/** A person shown as joined has left. */
export interface LeftEvent {
  event: "left";
  nick: string;
  fingerprint: string;
  why: "left" | "lost" | "replaced" | "removed";
}

/** A message of another member. */
export interface ChatEvent {
  event: "chat";
  id: string;
  nick: string;
  fingerprint: string;
  /** The sender's claim of when it was written. */
  sent: string;
  private: boolean;
  action: boolean;
  late: boolean;
  view: "same" | "differs";
  /** The id of the message that it answers, if that is known. */
  reply?: string;
  /** Whose message that is, where two people used one id. */
  of?: string;
  text: string;
  /** It is from the user's own history. */
  history?: true;
  /** This terminal has missed it, and got it from another one of the user's own, or from others. */
  missed?: true;
  /** Nobody has proved it: these people say so, `SHA256:…`. Its author may send it later, with the same id. */
  hearsay?: string[];
  /** When it was shown, ISO 8601, if it is from the history or was missed. */
  at?: string;
  /** The user has written it, at another terminal or before this run. */
  own?: true;
  /** Whom the user's own private message was for. */
  to?: string[];
}

/** Our message was accepted; it is kept until it is acknowledged or reported as undelivered. */
interface SentEvent {
  event: "sent";
  id: string;
  ref?: string;
  private: boolean;
  action: boolean;
  /** The people it is for, our own other terminals aside. */
  to: string[];
  /** The id of the message that it answers. */
  reply?: string;
  /** Whose message that is, where two people used one id. */
  of?: string;
  text: string;
}

/** What somebody did to a message. */
export type NoteKind = "reaction" | "unreaction" | "edit" | "retraction";

/** A reaction to a message, or its sender's change of it. */
export interface NoteEvent {
  event: "note";
  /** The id of the message. */
  ref: string;
  /** Whose message it is, where two people used one id. */
  of?: string;
  what: NoteKind;
  nick: string;
  fingerprint: string;
  /** The message is a private one. */
  private: boolean;
  text: string;
  /** It is from the user's own history. */
  history?: true;
  /** This terminal has missed it, and got it from another one of the user's own. */
  missed?: true;
  /** The user has made it at another terminal. */
  own?: true;
  /** The other side of the private message that the user's own note is about. */
  to?: string[];
}

/**
 * What this terminal has missed follows: `count` messages with `missed`, then what was done to them. None: it was away,
 * and nobody is here who was there before.
 */
export interface MissedEvent {
  event: "missed";
  /** Another terminal of the user's own has told it, or other people. */
  from: "own" | "hearsay";
  /** The fingerprints of who told it. */
  by: string[];
  count: number;
  /** How long this terminal was away; where that is not known, or others tell it, how long ago the first was shown. */
  seconds: number;
}

/** The user has read everything up to a message at another terminal. */
export interface ReadEvent {
  event: "read";
  /** The fingerprint of the person with whom the conversation is; null for the room. */
  private: string | null;
  id: string;
  /** Whose message it is, where two people used one id. */
  of?: string;
}

/** What the user's own history has of the room: at the start the last of it. */
export interface HistoryEvent {
  event: "history";
  ref?: string;
  /** Messages, the oldest first, then what was done to them. */
  entries: (ChatEvent | NoteEvent)[];
}

/** The topic of the room has changed; nothing says who set it. */
export interface TopicEvent {
  event: "topic";
  text: string;
}

/** The server's own word. */
export interface ServerEvent {
  event: "server";
  what: "motd" | "announcement";
  text: string;
}

/** Every recipient has acknowledged. */
interface DeliveredEvent {
  event: "delivered";
  id: string;
  to: string[];
}

/** The message was dropped for these recipients; an empty list: nobody got it. */
interface UndeliveredEvent {
  event: "undelivered";
  id: string;
  to: string[];
}

/** These people have not acknowledged the message for 10 minutes; it is kept for them for as long as this client runs. */
interface KeptEvent {
  event: "kept";
  id: string;
  to: string[];
  /** At the latest then it is delivered or given up, ISO 8601. */
  until: string;
}

/** A person changed their nick. */
interface NickEvent {
  event: "nick";
  from: string;
  nick: string;
  fingerprint: string;
}

/** The sender dropped `count` messages before they arrived here. */
interface LostEvent {
  event: "lost";
  nick: string;
  fingerprint: string;
  count: number;
}

/** A person is away, or back when `text` is empty. */
export interface AwayEvent {
  event: "away";
  nick: string;
  fingerprint: string;
  text: string;
}

/** The user's own nick or away text has changed. */
interface SelfEvent {
  event: "self";
  nick: string;
  away: string;
}

/** The trust in a person's key has changed since they joined. */
interface TrustEvent {
  event: "trust";
  fingerprint: string;
  nick: string;
  trust: Trust;
}

/** A person's messages are hidden from now on, or shown again. */
interface IgnoredEvent {
  event: "ignored";
  fingerprint: string;
  nick: string;
  ignored: boolean;
}

/** The answer to a command; the other fields depend on it. */
interface ResultEvent {
  event: "result";
  ref?: string;
  /** The command's name, without its slash. */
  command: string;
  ok: boolean;
  [field: string]: unknown;
}

/** A connection ended, refusals included. */
interface DisconnectedEvent {
  event: "disconnected";
  reason: string;
}

/** The next attempt starts after this delay. */
interface ReconnectingEvent {
  event: "reconnecting";
  seconds: number;
}

/** Information for the user. */
interface NoticeEvent {
  event: "notice";
  text: string;
  /** The fingerprint of the person whom it is about. */
  about?: string;
}

/** A failure; one with code `fatal` ends the program. */
export interface ErrorEvent {
  event: "error";
  code: string;
  message: string;
  hint: string;
  ref?: string;
  /** The message of the user's own that it is about. */
  id?: string;
}

/** The last event. */
interface ByeEvent {
  event: "bye";
}

/** Every event of a session. */
export type SessionEvent =
  | ConnectedEvent
  | MovedEvent
  | SearchingEvent
  | WelcomeEvent
  | JoinedEvent
  | LeftEvent
  | ChatEvent
  | SentEvent
  | DeliveredEvent
  | UndeliveredEvent
  | KeptEvent
  | NoteEvent
  | HistoryEvent
  | MissedEvent
  | ReadEvent
  | TopicEvent
  | ServerEvent
  | NickEvent
  | LostEvent
  | AwayEvent
  | SelfEvent
  | TrustEvent
  | IgnoredEvent
  | ResultEvent
  | DisconnectedEvent
  | ReconnectingEvent
  | NoticeEvent
  | ErrorEvent
  | FileEvent
  | ByeEvent;
