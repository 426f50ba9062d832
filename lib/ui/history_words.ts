/**
 * One's own history in words: a line for each message, with what was done to it.
 *
 * @module
 */

import type { ChatEvent, HistoryEvent, NoteEvent } from "../session/mod.ts";
import { calendarDate, clockTime } from "./moment.ts";

/** What was done to a message. */
interface Fate {
  text: string;
  isEdited: boolean;
  /** How many have this reaction. */
  readonly reactions: Map<string, number>;
}

/**
 * Describes messages, the oldest first; a line for each day, and one or more for each message.
 *
 * @param nickOf The nick of whom a private message was for.
 */
export function historyLines(
  entries: HistoryEvent["entries"],
  nickOf: (fingerprint: string) => string,
): string[] {
  const chats = entries.filter((entry) => entry.event === "chat");
  const notes = entries.filter((entry) => entry.event === "note");
  const lines: string[] = [];
  let day = "";
  for (const chat of chats) {
    const at = new Date(chat.at ?? chat.sent);
    if (calendarDate(at) !== day) lines.push(`— ${day = calendarDate(at)} —`);
    const fate = findFate(chat, notes);
    const [first = "", ...more] = fate.text.split("\n");
    const who = chat.action ? `* ${chat.nick} ` : `${whose(chat, nickOf)}: `;
    const marks = [...fate.reactions].map(([text, count]) => count > 1 ? `${text} ${count}` : text);
    if (fate.isEdited) marks.unshift("(edited)");
    lines.push([`${clockTime(at)} ${who}${first}`, ...marks].join(" "));
    lines.push(...more.map((line) => `      ${line}`));
  }
  return lines;
}

function whose({ nick, private: isPrivate, to }: ChatEvent, nickOf: (of: string) => string) {
  if (!isPrivate) return nick;
  return to === undefined ? `${nick} (private)` : `${nick} (private to ${to.map(nickOf)})`;
}

function findFate({ id, fingerprint, text }: ChatEvent, notes: readonly NoteEvent[]): Fate {
  const fate: Fate = { text, isEdited: false, reactions: new Map() };
  for (const note of notes) {
    if (note.ref !== id || (note.of ?? fingerprint) !== fingerprint) continue;
    if (note.what === "edit") Object.assign(fate, { text: note.text, isEdited: true });
    else if (note.what === "retraction") Object.assign(fate, { text: "(taken back)" });
    else if (note.what === "reaction") {
      fate.reactions.set(note.text, (fate.reactions.get(note.text) ?? 0) + 1);
    }
  }
  return fate;
}
