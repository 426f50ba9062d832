/**
 * The last messages that the user was shown or has sent, which commands and notes mean.
 *
 * @module
 */

import type { MessageName, NoteKind, SessionEvent } from "../session/mod.ts";

/** Messages remembered: as far back as one can mean them by number. */
const MAX_LOGGED = 1000;

/** A message as commands know it. */
export interface LoggedMessage extends MessageName {
  readonly of: string;
  /** The room over whose connection it went, if there are several. */
  readonly via?: string;
  /** The nick with which it was shown; empty for the user's own. */
  readonly nick: string;
  readonly isOwn: boolean;
  readonly action: boolean;
  /** Of a private message: the fingerprint of the other side. */
  readonly other: string | undefined;
  /** The present one, if it was edited. */
  text: string;
  isRetracted: boolean;
  /** The user's own; empty for none. */
  reaction: string;
}

/** The messages that commands can mean. */
export interface Log {
  /** The message of a name. */
  find(name: MessageName): LoggedMessage | undefined;
  /** Counts back from the newest, which is 1. */
  back(count: number): LoggedMessage | undefined;
  /** The newest of the user's own, or of somebody else, that was not retracted. */
  newest(options: { isOwn: boolean }): LoggedMessage | undefined;
  /** Does to a message what a note says; by default one of the user's own. */
  apply(
    message: LoggedMessage,
    what: NoteKind,
    options: { text: string; fingerprint?: string },
  ): void;
}

/** The messages of one room, the oldest first, for a face that does not keep conversations. */
export class MessageLog implements Log {
  readonly #own: string;
  readonly #messages: LoggedMessage[] = [];

  /** @param own The user's own fingerprint, `SHA256:…`. */
  constructor(own: string) {
    this.#own = own;
  }

  /** Takes an event that is shown to the user. */
  take(event: SessionEvent): void {
    switch (event.event) {
      case "chat": {
        if (event.hearsay) return; // it cannot be answered, nor reacted to
        const { id, fingerprint, nick, action, text } = event;
        const other = event.private ? event.to?.[0] ?? fingerprint : undefined;
        return this.#add({ id, of: fingerprint, nick: event.own ? "" : nick, action, other, text });
      }
      case "sent": {
        const { id, action, text, to } = event;
        const other = event.private ? to[0] ?? this.#own : undefined;
        return this.#add({ id, of: this.#own, nick: "", action, other, text });
      }
      case "note": {
        const message = this.find({ id: event.ref, of: event.of });
        if (message) this.apply(message, event.what, event);
        return;
      }
    }
  }

  /** Does to a message what a note says; of reactions only the user's own are remembered. */
  apply(
    message: LoggedMessage,
    what: NoteKind,
    { text, fingerprint = this.#own }: { text: string; fingerprint?: string },
  ): void {
    if (what === "edit") message.text = text;
    else if (what === "retraction") message.isRetracted = true;
    else if (fingerprint === this.#own) message.reaction = what === "reaction" ? text : "";
  }

  /** The message of a name; of several with one id, and no `of`, the first. */
  find({ id, of }: MessageName): LoggedMessage | undefined {
    return this.#messages.find((message) =>
      message.id === id && (of === undefined || message.of === of)
    );
  }

  /** Counts back from the newest, which is 1. */
  back(count: number): LoggedMessage | undefined {
    return count < 1 ? undefined : this.#messages.at(-count);
  }

  /** The newest of the user's own, or of somebody else, that was not retracted. */
  newest({ isOwn }: { isOwn: boolean }): LoggedMessage | undefined {
    return this.#messages.findLast((message) => message.isOwn === isOwn && !message.isRetracted);
  }

  #add(message: Omit<LoggedMessage, "isOwn" | "isRetracted" | "reaction">): void {
    const isOwn = message.of === this.#own;
    this.#messages.push({ ...message, isOwn, isRetracted: false, reaction: "" });
    if (this.#messages.length > MAX_LOGGED) this.#messages.shift();
  }
}
