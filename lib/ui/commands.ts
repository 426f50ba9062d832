/**
 * What a line typed into the chat means: the table of slash commands, their help, their parsing and completion.
 *
 * Pure; knows nothing of terminals or of who is in the room. Nicks are taken as typed: whoever carries a command out
 * finds the person. No section of PROTOCOL.md is met here.
 *
 * @module
 */

import { nearest } from "../base/closest.ts";
import { foldNick } from "../protocol/names.ts";
import { cleanLine } from "../base/text.ts";

/** The commands that take no arguments. */
export type BareName = "names" | "quiet" | "info" | "invite" | "clear" | "quit";

/** Which messages ring the bell, besides mentions of one's nick where the mode has them. */
export const BELL_MODES = ["off", "private", "mention", "all"] as const;
/** One of {@linkcode BELL_MODES}. */
export type BellMode = typeof BELL_MODES[number];

/** What stands before a message. */
export const TIMESTAMP_MODES = ["off", "time", "date"] as const;
/** One of {@linkcode TIMESTAMP_MODES}. */
export type TimestampMode = typeof TIMESTAMP_MODES[number];

/** A command with its arguments; told apart by `name`. */
export type Command =
  & { type: "command" }
  & (
    | { name: BareName }
    | { name: "help"; topic: CommandName | undefined }
    | { name: "msg"; nick: string; text: string }
    | { name: "reply" | "me"; text: string }
    | { name: "nick" | "ignore" | "unignore" | "trust"; nick: string }
    | { name: "verify"; nick: string; yes: boolean }
    /** An empty text: back. */
    | { name: "away"; text: string }
    | { name: "bell"; mode: BellMode }
    | { name: "timestamp"; mode: TimestampMode }
  );

/** The name of a command, without its slash. */
export type CommandName = Command["name"];

/** What a line asks for. */
export type Input =
  | { type: "nothing" }
  | { type: "text"; text: string }
  | Command
  | { type: "error"; message: string; hint: string };

/** One row of the table. */
interface Entry {
  /**
   * The arguments, one word each: NICK, NAME, a|b|c, `text` (the rest of the line); in brackets what may be left out.
   * Completion goes by it too.
   */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `/help COMMAND` says besides, one line each. */
  readonly details?: readonly string[];
  /** Tells what the rest of the line makes of the command; undefined when it does not fit the usage. */
  parse(rest: string): Input | undefined;
}

const TABLE: Readonly<Record<CommandName, Entry>> = {
  help: {
    usage: "[command]",
    summary: "list the commands, or say more about one",
    parse: parseHelp,
  },
  names: {
    usage: "",
    summary: "list who is here",
    details: ["Each with the fingerprint and how far the key is trusted."],
    parse: bare("names"),
  },
  msg: {
    usage: "NICK text",
    summary: "send a private message",
    details: [
      "Only that person's computers can read it; the room does not see that it was sent.",
      "Two people with one nick are told apart as nick#abcd: write that.",
    ],
    parse(rest) {
      const [nick, text] = splitWord(rest);
      return text === "" ? undefined : { type: "command", name: "msg", nick, text };
    },
  },
  reply: {
    usage: "text",
    summary: "answer the last private message",
    parse: withText("reply"),
  },
  me: {
    usage: "text",
    summary: "say what you do: /me waves",
    parse: withText("me"),
  },
  nick: {
    usage: "NAME",
    summary: "change your nick",
    details: [
      "Letters of one script, digits, dots, underscores, hyphens; remembered for the next time.",
    ],
    parse: withNick("nick"),
  },
  ignore: {
    usage: "NICK",
    summary: "hide what somebody writes",
    details: ["Goes by their key, whatever nick they take, until you leave."],
    parse: withNick("ignore"),
  },
  unignore: {
    usage: "NICK",
    summary: "show it again",
    parse: withNick("unignore"),
  },
  verify: {
    usage: "NICK [yes]",
    summary: "compare digits to be sure who somebody is",
    details: [
      "Shows 30 + 30 digits. Compare them over another way: face to face, on the phone.",
      "When they are the same on both sides: /verify NICK yes",
    ],
    parse(rest) {
      const [nick, answer] = splitWord(rest);
      if (nick === "" || !/^(?:yes\s*)?$/i.test(answer)) return undefined;
      return { type: "command", name: "verify", nick, yes: answer !== "" };
    },
  },
  trust: {
    usage: "NICK",
    summary: "accept that somebody's key has changed",
    details: ["Ask them first: a changed key may be somebody else's. /verify makes sure."],
    parse: withNick("trust"),
  },
  away: {
    usage: "[text]",
    summary: "tell that you are away; without text: back",
    parse: (rest) => ({ type: "command", name: "away", text: rest }),
  },
  bell: {
    usage: BELL_MODES.join("|"),
    summary: "choose what rings the bell",
    details: [
      "private: private messages; mention: those and messages with your nick; all: every message.",
    ],
    parse(rest) {
      const mode = pick(BELL_MODES, rest);
      return mode && { type: "command", name: "bell", mode };
    },
  },
  quiet: {
    usage: "",
    summary: "hide who comes and goes; again to show it",
    parse: bare("quiet"),
  },
  timestamp: {
    usage: TIMESTAMP_MODES.join("|"),
    summary: "choose what stands before a message",
    parse(rest) {
      const mode = pick(TIMESTAMP_MODES, rest);
      return mode && { type: "command", name: "timestamp", mode };
    },
  },
  info: {
    usage: "",
    summary: "show server, room and fingerprints",
    parse: bare("info"),
  },
  invite: {
    usage: "",
    summary: "show the line to send to a friend",
    details: [
      "It is what they type to join this room. A password is not in it: tell them that apart.",
    ],
    parse: bare("invite"),
  },
  clear: {
    usage: "",
    summary: "clear the screen",
    parse: bare("clear"),
  },
  quit: {
    usage: "",
    summary: "leave",
    details: ["So do Ctrl-D, and Ctrl-C on an empty line."],
    parse: bare("quit"),
  },
};

const NAMES = Object.keys(TABLE) as CommandName[];

function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(TABLE, name);
}

/** Splits off the first word; both are empty where there is nothing, and white space between them is gone. */
function splitWord(text: string): [word: string, rest: string] {
  const [, word, rest] = /^(\S*)\s*([^]*)$/.exec(text)!;
  return [word!, rest!];
}

function bare(name: BareName): Entry["parse"] {
  return (rest) => rest === "" ? { type: "command", name } : undefined;
}

function withText(name: "reply" | "me"): Entry["parse"] {
  return (text) => text === "" ? undefined : { type: "command", name, text };
}

function withNick(name: "nick" | "ignore" | "unignore" | "trust"): Entry["parse"] {
  return (rest) => {
    const [nick, more] = splitWord(rest);
    return nick === "" || more !== "" ? undefined : { type: "command", name, nick };
  };
}

function pick<Word extends string>(words: readonly Word[], rest: string): Word | undefined {
  return words.find((word) => word === rest.trimEnd().toLowerCase());
}

function parseHelp(rest: string): Input | undefined {
  const [word, more] = splitWord(rest);
  const topic = word.toLowerCase().replace(/^\//, "");
  if (more !== "") return undefined;
  if (topic === "") return { type: "command", name: "help", topic: undefined };
  return isCommandName(topic) ? { type: "command", name: "help", topic } : unknownCommand(topic);
}

/**
 * Tells what a line (or a paste of several) asks for.
 *
 * A `/` in front makes a command of it, `//` sends it with one slash, and a blank line is nothing.
 */
export function parseInput(line: string): Input {
  if (line.trim() === "") return { type: "nothing" };
  if (!line.startsWith("/")) return { type: "text", text: line };
  if (line.startsWith("//")) return { type: "text", text: line.slice(1) };
  const [word, rest] = splitWord(line.slice(1));
  const name = word.toLowerCase();
  if (!isCommandName(name)) return unknownCommand(name);
  return TABLE[name].parse(rest) ?? wrongArguments(name, rest);
}

function wrongArguments(name: CommandName, rest: string): Input {
  let message = `/${name} cannot be used like that`;
  if (TABLE[name].usage === "") message = `/${name} takes no arguments`;
  else if (rest === "") message = `/${name} needs to know more`;
  return { type: "error", message, hint: `usage: ${synopsis(name)}` };
}

/** An unknown name is shown no further than this. */
const MAX_SHOWN_NAME_LENGTH = 24;

function unknownCommand(name: string): Input {
  const guess = name === "" ? "" : `did you mean /${nearest(name, NAMES)}? `;
  return {
    type: "error",
    message: `there is no command /${cleanLine(name.slice(0, MAX_SHOWN_NAME_LENGTH))}`,
    hint: `${guess}/help lists the commands, // at the start sends a slash`,
  };
}

function synopsis(name: CommandName): string {
  return `/${name} ${TABLE[name].usage}`.trimEnd();
}

/** Writes what `/help` prints, one string a line: all commands, or everything about one. */
export function helpLines(topic?: CommandName): string[] {
  if (topic !== undefined) {
    const { summary, details = [] } = TABLE[topic];
    return [synopsis(topic), ...[summary, ...details].map((line) => `  ${line}`)];
  }
  const width = Math.max(...NAMES.map((name) => synopsis(name).length));
  return [
    ...NAMES.map((name) => `${synopsis(name).padEnd(width)}  ${TABLE[name].summary}`),
    "Tab completes commands and nicks. // at the start of a line sends a slash.",
  ];
}

/** What Tab may put in place of `line.slice(start, end)`. */
export interface Completion {
  /** Where the word before the cursor begins, in UTF-16 units. */
  start: number;
  /** The cursor, or one further where a space there comes with the only candidate. */
  end: number;
  /** The likeliest first; none: nothing to complete. */
  candidates: string[];
}

/**
 * Completes the word before the cursor: a command, a nick or another argument.
 *
 * A candidate brings along what follows it: `: ` after a nick that begins a line of text, a space elsewhere.
 *
 * @param cursor Counted in UTF-16 units, like everything here.
 * @param context.nicks As they are shown, the most recent speaker first.
 */
export function complete(
  line: string,
  cursor: number,
  context: { nicks: readonly string[] },
): Completion {
  const words = line.slice(0, cursor).split(/\s/);
  const typed = words.at(-1)!;
  const candidates = /^\/(?!\/)/.test(line)
    ? completeCommand(
      words.filter((word, i) => word !== "" || i === words.length - 1),
      context.nicks,
    )
    : completeNick(typed, context.nicks, words.length === 1 ? ": " : " ");
  // The only candidate's space would double one that is already there.
  const overlap = candidates.length === 1 && candidates[0]!.endsWith(" ") && line[cursor] === " ";
  return { start: cursor - typed.length, end: cursor + (overlap ? 1 : 0), candidates };
}

/** @param words The command and its arguments up to the cursor; the last may be empty or half typed. */
function completeCommand(words: readonly string[], nicks: readonly string[]): string[] {
  const name = words[0]!.slice(1).toLowerCase();
  if (words.length === 1) {
    return NAMES.filter((other) => other.startsWith(name))
      .map((other) => TABLE[other].usage === "" ? `/${other}` : `/${other} `);
  }
  if (!isCommandName(name)) return [];
  const typed = words.at(-1)!;
  const kinds = TABLE[name].usage.replace(/[\[\]]/g, "").split(" ");
  // A text goes on to the end of the line, and may name people.
  const kind = kinds[words.length - 2] ?? (kinds.at(-1) === "text" ? "text" : "");
  if (kind === "NICK" || kind === "text") return completeNick(typed, nicks, " ");
  if (kind === "" || kind === "NAME") return [];
  const choices = kind === "command" ? NAMES : kind.split("|");
  return choices.filter((word) => word.startsWith(typed.toLowerCase()));
}

function completeNick(typed: string, nicks: readonly string[], suffix: string): string[] {
  const start = foldNick(typed);
  return nicks.filter((nick) => foldNick(nick).startsWith(start)).map((nick) => nick + suffix);
}
