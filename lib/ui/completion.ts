/**
 * Completes what is typed: commands, nicks, rooms and other arguments.
 *
 * @module
 */

import { foldNick } from "../protocol/names.ts";
import { commandNames, type FaceKind, isCommand, usageOf } from "./commands.ts";
import { SETTING_NAMES, settingValues } from "./settings.ts";

/** What is known where something is completed. */
export interface CompletionContext {
  /** As shown, the most recent speaker first. */
  readonly nicks: readonly string[];
  /** Those that are open, and those of the settings. */
  readonly rooms: readonly string[];
  readonly face: FaceKind;
  /** Lists what begins with a path: whole paths, those of folders with a slash at the end. */
  paths(path: string): string[];
}

/** What most people react with. */
export const REACTIONS: readonly string[] = ["👍", "❤️", "😂", "🎉", "👀", "✅"];

/** What Tab may put in place of `line.slice(start, end)`. */
interface CommandCompletion {
  /** Where the word before the cursor begins, in UTF-16 units. */
  start: number;
  /** The cursor, or one further if the only candidate ends with the space that follows the cursor. */
  end: number;
  /** The likeliest first; empty if nothing can be completed. */
  candidates: readonly string[];
}

/**
 * Completes the word before the cursor: a command, a nick, `@` and a nick, or another argument.
 *
 * A candidate includes what follows it: `: ` after a nick that begins a line of text, otherwise a space.
 *
 * @param cursor In UTF-16 units.
 */
export function complete(
  line: string,
  cursor: number,
  context: CompletionContext,
): CommandCompletion {
  const sent = /^\/send\s+/i.exec(line);
  if (sent !== null && cursor >= sent[0].length) {
    return completeSend(line, { start: sent[0].length, end: cursor }, context);
  }
  const words = line.slice(0, cursor).split(/\s/);
  const typed = words.at(-1)!;
  const candidates = isCommand(line)
    ? completeCommand(
      words.filter((word, i) => word !== "" || i === words.length - 1),
      context,
    )
    : completeNick(typed, context.nicks, words.length === 1 ? ": " : " ");
  // The only candidate's space would double one that is already there.
  const overlap = candidates.length === 1 && candidates[0]!.endsWith(" ") && line[cursor] === " ";
  return { start: cursor - typed.length, end: cursor + (overlap ? 1 : 0), candidates };
}

/** @param words The command and its arguments up to the cursor; the last may be empty or incomplete. */
function completeCommand(words: readonly string[], context: CompletionContext): string[] {
  const { nicks, rooms, face } = context;
  const name = words[0]!.slice(1).toLowerCase();
  const names = commandNames(face);
  if (words.length === 1) {
    return names.filter((other) => other.startsWith(name))
      .map((other) => usageOf(other) === "" ? `/${other}` : `/${other} `);
  }
  const usage = usageOf(name);
  if (usage === undefined) return [];
  const typed = words.at(-1)!;
  if (usage.endsWith("EMOJI")) return startingWith(typed, REACTIONS);
  const kinds = usage.replace(/[\[\]]/g, "").split(" ");
  // A text goes on to the end of the line, and may name people.
  const kind = kinds[words.length - 2] ?? (kinds.at(-1) === "text" ? "text" : "");
  if (kind === "NICK" || kind === "text") return completeNick(typed, nicks, " ");
  if (kind === "ROOM") return startingWith(typed, rooms);
  if (name === "set") {
    return startingWith(typed, kind === "NAME" ? SETTING_NAMES : settingValues(words[1]!));
  }
  if (!/^[a-z|]+$/.test(kind)) return [];
  const choices = kind.split("|").flatMap((word) => word === "command" ? names : [word]);
  return startingWith(typed, choices);
}

/** Completes `[NICK] FILE`: white space in a path is written with a backslash before it. */
function completeSend(
  line: string,
  { start, end }: { start: number; end: number },
  { nicks, paths }: CompletionContext,
): CommandCompletion {
  const typed = line.slice(start, end);
  const [nick = ""] = /^\S+\s+/.exec(typed) ?? [];
  const isNick = nicks.some((known) => foldNick(known) === foldNick(nick.trimEnd()));
  const begin = start + (isNick ? nick.length : 0);
  const path = line.slice(begin, end).replace(/\\(\s)/g, "$1");
  const found = paths(path).map((known) => known.replace(/\s/g, "\\$&"));
  const people = isNick || /\s/.test(typed) ? [] : completeNick(typed, nicks, " ");
  return { start: begin, end, candidates: [...people, ...found] };
}

function startingWith(typed: string, words: readonly string[]): string[] {
  return words.filter((word) => word.startsWith(typed.toLowerCase()));
}

function completeNick(typed: string, nicks: readonly string[], suffix: string): string[] {
  const at = typed.startsWith("@") ? "@" : "";
  const start = foldNick(typed.slice(at.length));
  const found = nicks.filter((nick) => foldNick(nick).startsWith(start));
  return found.map((nick) => at + nick + suffix);
}
