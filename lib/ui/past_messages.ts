/**
 * What was said before this run, from the user's own history, as messages of a conversation.
 *
 * @module
 */

import type { ChatEvent, HistoryEvent } from "../session/mod.ts";
import { MAX_QUOTE_LENGTH, type MessageEntry, type Quote } from "./conversation.ts";
import { applyNote, type Draft } from "./conversations.ts";
import { startOf } from "./render.ts";

interface PastOptions {
  /** The room. */
  readonly via: string;
  /** The nick of whom a private message was for. */
  nickOf(fingerprint: string): string;
}

/** Makes messages of a history, with everything that was done to them; the oldest first. */
export function pastMessages(
  entries: HistoryEvent["entries"],
  { via, nickOf }: PastOptions,
): Draft<MessageEntry>[] {
  const chats = entries.filter((event) => event.event === "chat");
  const messages = chats.map((event): Draft<MessageEntry> => ({
    type: "message",
    id: event.id,
    at: Date.parse(event.at ?? event.sent),
    from: event.fingerprint,
    nick: event.nick,
    // What is known of a key now was perhaps not known then.
    trust: "self",
    own: event.own ?? false,
    via,
    action: event.action,
    text: event.text,
    mention: false,
    past: placeOf(event, nickOf),
    view: event.view,
    reactions: new Map(),
    edited: false,
    retracted: false,
  }));
  const find = (id: string, of: string | undefined) =>
    messages.findLast((message) => message.id === id && (of === undefined || message.from === of));
  for (const event of entries) {
    if (event.event === "chat") continue;
    const { ref, what, fingerprint, nick, text } = event;
    const isAuthors = what === "edit" || what === "retraction";
    const message = find(ref, event.of ?? (isAuthors ? fingerprint : undefined));
    if (message) applyNote(message, { what, by: { fingerprint, nick }, text });
  }
  return messages.map((message, index) => {
    const { reply, of } = chats[index]!;
    return reply === undefined ? message : { ...message, quote: quoteOf(find(reply, of), reply) };
  });
}

function placeOf({ private: isPrivate, to }: ChatEvent, nickOf: (of: string) => string): string {
  if (!isPrivate) return "";
  return to === undefined ? "private" : `private to ${to.map(nickOf)}`;
}

function quoteOf(message: Draft<MessageEntry> | undefined, id: string): Quote {
  if (message === undefined) return { id, of: undefined, own: false, nick: "", text: "" };
  const { from, own, nick, text } = message;
  return { id, of: from, own, nick, text: startOf(text, MAX_QUOTE_LENGTH) };
}
