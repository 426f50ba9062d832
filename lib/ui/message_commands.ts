/**
 * Commands that send messages, are about messages that were shown, or about the topic.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import {
  type CommandContext,
  nothing,
  type Row,
  row,
  sendTo,
  someText,
  splitWord,
  UncertainReply,
} from "./command_row.ts";
import type { LoggedMessage } from "./message_log.ts";
import { noteOfOwn } from "./notices.ts";

const WHICH = [
  "Without a number it means the newest message of somebody else.",
  "N counts back from the newest message, which is 1; an id, as --json shows it, works too.",
];

export const MESSAGE_COMMANDS: Readonly<Record<string, Row>> = {
  msg: row({
    usage: "NICK text",
    summary: "send a private message",
    details: [
      "Only they can read it; the room does not see that it was sent.",
      "Two people with the same nick are shown as nick#abcd: type it like that.",
    ],
    parse(rest) {
      const [nick, text] = splitWord(rest);
      return text === "" ? undefined : { nick, text };
    },
    run({ nick, text }, { findRecipient, send, screen, chat }) {
      const person = findRecipient(nick);
      const answer = sendTo(person, text, send);
      // There the next line goes to one person too many times rather than to the room.
      if (screen?.isFull) chat?.query(person);
      return answer;
    },
  }),
  reply: row({
    usage: "text",
    summary: "answer the last private message",
    parse: someText,
    details: [
      "On a terminal the space after it turns it into /msg NICK: you see whom it is for.",
    ],
    run(text, { findKey, screen, replyTo, send }) {
      if (replyTo === undefined) throw new UsageError("nobody has sent you a private message yet");
      const person = findKey(replyTo.fingerprint);
      if (person === undefined) {
        throw new UsageError(`${replyTo.nick} is no longer here`, ["see who is here: /names"]);
      }
      if (screen !== undefined) {
        throw new UncertainReply(`${person.nick} wrote to you after you began this reply`, [
          `Enter sends it to ${person.nick}`,
        ]);
      }
      return sendTo(person, text, send);
    },
  }),
  me: row({
    usage: "text",
    summary: "say what you do: /me waves",
    parse: someText,
    run: (text, { send }) => ({ values: { id: send(text, { action: true }) } }),
  }),
  react: row({
    usage: "[N|id] EMOJI",
    summary: "react to a message with one character",
    details: [...WHICH, "The same reaction again takes it back."],
    parse: parseAbout,
    run({ which, text: typed }, context) {
      const message = choose(which, context);
      const isSame = message.reaction === typed.trim();
      const what = isSame ? "unreaction" : "reaction";
      const text = isSame ? "" : typed.trim();
      context.note(message, what, text);
      const { id, of } = message;
      const lines = tell(noteOfOwn(what, message, text), context);
      return { lines, values: { id, of, what, text } };
    },
  }),
  quote: row({
    usage: "[N|id] text",
    summary: "answer a message, which is quoted",
    details: [...WHICH, "The answer to a private message is private, too."],
    parse: parseAbout,
    run({ which, text }, context) {
      const message = choose(which, context);
      const { other } = message;
      const to = other === undefined ? undefined : context.findRecipient(other);
      const id = context.send(text, { reply: message, ...(to && { to }) });
      const values = { id, reply: message.id, of: message.of };
      return { values: to ? { ...values, to: [to.fingerprint] } : values };
    },
  }),
  edit: row({
    usage: "text",
    summary: "replace your newest message",
    parse: someText,
    run(text, context) {
      const message = newestOwn(context);
      const lines = tell(noteOfOwn("edit", message, text), context);
      context.note(message, "edit", text);
      return { lines, values: { id: message.id, text } };
    },
  }),
  retract: row({
    usage: "",
    summary: "take back your newest message",
    details: ["Who has read it has read it; their programs mark it as taken back."],
    parse: nothing,
    run(_, context) {
      const message = newestOwn(context);
      context.note(message, "retraction", "");
      const lines = tell(noteOfOwn("retraction", message, ""), context);
      return { lines, values: { id: message.id } };
    },
  }),
  topic: row({
    usage: "[text]",
    summary: "set the topic of the room, or show it",
    details: ["Anybody may set it. A hyphen removes it: /topic -"],
    parse: (text) => text,
    run(text, { session }) {
      if (text === "") {
        const { topic } = session;
        return { lines: topic === "" ? "there is no topic" : `topic: ${topic}`, values: { topic } };
      }
      // The event that follows says so.
      session.setTopic(text.trim() === "-" ? "" : text.trim());
      return { values: { topic: session.topic } };
    },
  }),
};

/** What a note has done, in words; on the full screen the message shows it. */
function tell(words: string, { screen }: CommandContext): string {
  return screen?.isFull ? "" : words;
}

/** Splits off which message is meant: empty if that is not said. */
function parseAbout(rest: string): { which: string; text: string } | undefined {
  const [word, more] = splitWord(rest);
  const isGiven = /^(?:\d+|[0-9a-f]{16})$/.test(word);
  const text = isGiven ? more : rest;
  return text === "" ? undefined : { which: isGiven ? word : "", text };
}

/** @throws {UsageError} If there is no such message. */
function choose(which: string, { log }: CommandContext): LoggedMessage {
  if (which === "") {
    const message = log.newest({ isOwn: false });
    if (message) return message;
    throw new UsageError("nobody else has written anything yet");
  }
  const message = which.length === 16 ? log.find({ id: which }) : log.back(Number(which));
  if (message) return message;
  throw new UsageError("there is no such message", [
    "1 is the newest message, 2 the one before it",
  ]);
}

/** @throws {UsageError} If there is none. */
function newestOwn({ log }: CommandContext): LoggedMessage {
  const message = log.newest({ isOwn: true });
  if (message) return message;
  throw new UsageError("you have not sent a message yet");
}
