/**
 * What a session tells its user interface: the events of `--json`, one object each, with `event` first.
 *
 * Fingerprints are `SHA256:…` texts, ids 16 hex digits, times ISO 8601, nicks as they are shown (PROTOCOL.md §9).
 * Texts are exactly what was sent: whoever prints them cleans them.
 *
 * @module
 */

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

/** This client is in the room; again after each reconnect. */
export interface WelcomeEvent {
  event: "welcome";
  room: string;
  /** How many others the roster names. */
  members: number;
}

/** A person's channel is up for the first time since they were in the roster. */
export interface JoinedEvent {
  event: "joined";
  nick: string;
  fingerprint: string;
  trust: Trust;
  weak: boolean;
}

/** A person shown as joined has gone. */
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
  text: string;
}

/** One's own message was accepted; it is now kept until it is acknowledged or reported. */
export interface SentEvent {
  event: "sent";
  id: string;
  ref?: string;
}

/** Every addressee has acknowledged. */
export interface DeliveredEvent {
  event: "delivered";
  id: string;
  to: string[];
}

/** These addressees were given up; an empty list: there was nobody to send to. */
export interface UndeliveredEvent {
  event: "undelivered";
  id: string;
  to: string[];
}

/** Somebody changed their nick. */
export interface NickEvent {
  event: "nick";
  from: string;
  nick: string;
  fingerprint: string;
}

/** The other side gave up `count` messages before they could arrive here. */
export interface LostEvent {
  event: "lost";
  nick: string;
  fingerprint: string;
  count: number;
}

/** Somebody is away, or back when `text` is empty. */
export interface AwayEvent {
  event: "away";
  nick: string;
  fingerprint: string;
  text: string;
}

/** A connection ended, refusals included. */
export interface DisconnectedEvent {
  event: "disconnected";
  reason: string;
}

/** The next attempt begins in so many seconds. */
export interface ReconnectingEvent {
  event: "reconnecting";
  seconds: number;
}

/** Something worth a line. */
export interface NoticeEvent {
  event: "notice";
  text: string;
}

/** Something did not work; the final one ends the program. */
export interface ErrorEvent {
  event: "error";
  code: string;
  message: string;
  hint: string;
  ref?: string;
}

/** The last event. */
export interface ByeEvent {
  event: "bye";
}

/** Everything a session can tell. */
export type SessionEvent =
  | ConnectedEvent
  | WelcomeEvent
  | JoinedEvent
  | LeftEvent
  | ChatEvent
  | SentEvent
  | DeliveredEvent
  | UndeliveredEvent
  | NickEvent
  | LostEvent
  | AwayEvent
  | DisconnectedEvent
  | ReconnectingEvent
  | NoticeEvent
  | ErrorEvent
  | ByeEvent;
