/**
 * A conversation as lines of plain text, for the terminal's own screen: each entry is one line, however long, so that it
 * can be selected without breaks.
 *
 * @module
 */

import type { Entry, MessageEntry } from "./conversation.ts";
import { shownNick } from "./layout.ts";
import { clockTime } from "./moment.ts";
import { HEARSAY_SIGN, toldBy, trustSign } from "./render.ts";
import type { Typesetter } from "./terminal/mod.ts";

/** What stands before the further lines of a text. */
const INDENT = " ".repeat(6);

/**
 * The lines of entries.
 *
 * @param options.last How many messages: the last ones, and what stands between them; by default all entries.
 */
export function transcript(
  entries: readonly Entry[],
  text: Typesetter,
  { last }: { last?: number | undefined } = {},
): string[] {
  return startingAt(entries, last).flatMap((entry) => linesOf(entry, text));
}

function startingAt(entries: readonly Entry[], last: number | undefined): readonly Entry[] {
  if (last === undefined) return entries;
  let left = last;
  let start = entries.length;
  while (start > 0 && left > 0) if (entries[--start]!.type === "message") left--;
  return entries.slice(start);
}

function linesOf(entry: Entry, text: Typesetter): string[] {
  const time = clockTime(new Date(entry.at));
  const [first, ...rest] = wordsOf(entry, text).split("\n");
  return [`${time} ${first}`, ...rest.map((line) => INDENT + line)];
}

function wordsOf(entry: Entry, text: Typesetter): string {
  if (entry.type === "notice") {
    const isLoud = entry.level === "warning" || entry.level === "error";
    const hint = entry.hint === "" ? "" : `\n${text.clean(entry.hint)}`;
    return `${isLoud ? "!!" : "--"} ${text.clean(entry.text)}${hint}`;
  }
  const sign = entry.trust === "self" ? "" : trustSign(entry.trust, text.utf8);
  const nick = shownNick(entry.nick, text) + sign;
  if (entry.type === "file") return `${nick} ${text.cleanLine(entry.text)}`;
  if (entry.hearsay) return hearsayWords(entry, entry.hearsay, text);
  const body = entry.retracted ? "(taken back)" : text.clean(entry.text);
  return entry.action ? `* ${nick} ${body}` : `${nick}: ${body}`;
}

function hearsayWords(
  { nick, text, action, replaced }: MessageEntry,
  by: readonly string[],
  typesetter: Typesetter,
): string {
  const told = toldBy(by.map((nick) => shownNick(nick, typesetter)));
  const name = `${shownNick(nick, typesetter)}${HEARSAY_SIGN} (${told})`;
  const body = replaced ? "has come from its author since" : typesetter.clean(text);
  return action ? `* ${name} ${body}` : `${name}: ${body}`;
}
