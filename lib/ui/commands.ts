/**
 * The slash commands, each a row of one table: usage, help, parsing and effect.
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import { closestWord } from "../base/closest.ts";
import { UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import {
  type Answer,
  type CommandContext,
  nothing,
  optionalWord,
  type Row,
  row,
  type Screen,
  splitWord,
} from "./command_row.ts";
import { FILE_COMMANDS } from "./file_commands.ts";
import { HISTORY_COMMANDS } from "./history_commands.ts";
import { MESSAGE_COMMANDS } from "./message_commands.ts";
import { isOperator, OPERATOR_COMMANDS } from "./operator_commands.ts";
import { PEOPLE_COMMANDS } from "./people_commands.ts";
import { ROOM_COMMANDS } from "./room_commands.ts";
import { SCREEN_COMMANDS } from "./screen_commands.ts";

/** A parsed command; `args` is what its row's `parse` returned. */
export interface Command {
  readonly type: "command";
  readonly name: string;
  readonly args: unknown;
}

/** What a typed line means. */
export type Input =
  | { readonly type: "nothing" }
  | { readonly type: "text"; readonly text: string }
  | Command;

const COMMANDS: ReadonlyMap<string, Row> = new Map(Object.entries<Row>({
  help: row({
    usage: "[command|keys]",
    summary: "list commands or keys, explain a command",
    parse: optionalWord,
    run(topic, context) {
      const { screen } = context;
      const name = topic.toLowerCase().replace(/^\//, "");
      if (name === KEYS_TOPIC && screen !== undefined) {
        return { lines: screen.showKeys() };
      }
      const face = faceOf(screen);
      const show = (operates: boolean) => {
        if (name === "" && screen?.showCommands !== undefined) {
          screen.showCommands([...commandTable(face, operates), ["", TYPING_HELP]]);
          return {};
        }
        const commands = describe(name, face, operates);
        return { lines: helpLines(name, face, operates), values: { commands } };
      };
      const operates = name !== "" || isOperator(context);
      return typeof operates === "boolean" ? show(operates) : { later: operates.then(show) };
    },
  }),
  ...MESSAGE_COMMANDS,
  ...HISTORY_COMMANDS,
  ...FILE_COMMANDS,
  ...PEOPLE_COMMANDS,
  ...ROOM_COMMANDS,
  ...SCREEN_COMMANDS,
  ...OPERATOR_COMMANDS,
  quit: row({
    usage: "",
    summary: "leave",
    details: ["Ctrl-D leaves too, and so does Ctrl-C on an empty line."],
    parse: nothing,
    run(_, { quit }) {
      quit();
      return {};
    },
  }),
}));

const NAMES = [...COMMANDS.keys()];
/** What `/help` explains beside commands. */
const KEYS_TOPIC = "keys";
const TYPING_HELP = "Tab completes commands and nicks. // at the start of a line sends a slash.";

/** Where commands are given: by a program, in one of the faces of the chat on a terminal, or on a page. */
export type FaceKind = "json" | "plain" | "full" | "page";

/** Commands that a page does not have: it does this by itself, or it must not reach that. */
const NOT_ON_PAGES: ReadonlySet<string> = new Set([
  ...["msg", "reply"], // the page turns to the person, so that it shows whom a text is for
  "send", // the disk is not the page's
  ...["bell", "timestamp", "set", "show", "page", "find"], // of the terminal
]);

function faceOf(screen: Screen | undefined): FaceKind {
  if (screen === undefined) return "json";
  return screen.isPage ? "page" : screen.isFull ? "full" : "plain";
}

/** The names of the commands that work in a face, in the order of `/help`; those of operators only on request. */
export function commandNames(face: FaceKind, operates = true): string[] {
  return NAMES.filter((name) =>
    worksIn(name, face) && (operates || !Object.hasOwn(OPERATOR_COMMANDS, name))
  );
}

/** The arguments of a command, as its row says; undefined if there is no such command. */
export function usageOf(name: string): string | undefined {
  return COMMANDS.get(name)?.usage;
}

function worksIn(name: string, face: FaceKind): boolean {
  if (face === "page") return !NOT_ON_PAGES.has(name);
  const { only } = find(name);
  return only === undefined || face === "full" || only === "chat" && face === "plain";
}

/** What people type who know other programs: some words, and what to say about them. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map(
  ([
    ["who users online members ls", "/names lists who is here."],
    ["w", "/names lists who is here, /msg NICK text writes to one person."],
    ["whois user fingerprint", "/names shows everybody's key, /verify NICK compares digits."],
    ["whoami version server status", "/info shows server, room and keys."],
    [
      "q pm dm tell whisper privmsg chat",
      "/msg NICK text writes to one person, /query NICK turns to them.",
    ],
    ["r answer", "/reply text answers the last private message, /quote text the last message."],
    ["exit bye disconnect logout", "/quit leaves."],
    ["leave", "/part leaves a room, /quit Hearth."],
    ["j channel room switch", "/join ROOM opens another room, or turns to it."],
    ["rooms channels", "/list lists your rooms: nobody can list those of others."],
    ["servers", `${commandOf("client")} --list lists the servers.`],
    ["grep", "/find text finds in this conversation, /search WORDS in your history."],
    ["settings config options", "/set shows and changes the settings."],
    ["silence", "/dnd lets nothing ring, /notify is for one conversation."],
    ["afk brb", "/away text says that you are away."],
    ["action emote", "/me text says what you do."],
    ["name rename", "/nick NAME changes your nick."],
    ["block mute", "/ignore NICK hides someone's messages."],
    ["unblock unmute", "/unignore NICK shows them again."],
    ["like emoji", "/react EMOJI answers with one character."],
    ["delete del undo unsend", "/retract takes back your newest message."],
    ["correct fix s", "/edit text replaces your newest message."],
    ["title subject", "/topic text sets the topic of the room."],
    ["op mod admin", "whoever runs the server names its operators: server --operators FILE."],
    ["remove boot", "/kick NICK removes somebody, if you are an operator."],
    ["cls", "/clear clears the screen."],
    ["h commands", "/help lists the commands."],
  ] as const).flatMap(([words, hint]) => words.split(" ").map((word) => [word, hint])),
);

/** Whether a line is a command: `/` begins one, `//` a text with one slash. */
export function isCommand(line: string): boolean {
  return /^\/(?!\/)/.test(line);
}

/** The name of the command that a line calls, whether there is one of that name or not. */
export function findCommandName(line: string): string | undefined {
  return isCommand(line) ? splitWord(line.slice(1))[0].toLowerCase() : undefined;
}

/**
 * Parses a typed line, or a paste of several.
 *
 * @throws {UsageError} If it is a command that does not exist, or whose arguments do not fit.
 */
export function parseInput(line: string): Input {
  if (line.trim() === "") return { type: "nothing" };
  if (!isCommand(line)) return { type: "text", text: line.replace(/^\/\//, "/") };
  const [word, rest] = splitWord(line.slice(1));
  const name = word.toLowerCase();
  const args = find(name).parse(rest);
  if (args === undefined) throw wrongArguments(name, rest);
  return { type: "command", name, args };
}

/** @throws {UsageError} If it cannot be done, or not in this face. */
export function runCommand({ name, args }: Command, context: CommandContext): Answer {
  const row = find(name);
  const face = faceOf(context.screen);
  if (worksIn(name, face)) return row.run(args, context);
  if (face === "page") throw new UsageError(`/${name} is not for this page`);
  throw new UsageError(
    row.only === "full"
      ? "this command is for the full-screen chat"
      : "this command is for the chat on a terminal",
  );
}

/** Tells whether a command names a person or lists people, and so depends on who is shown. */
export function isAboutPeople({ name }: Command): boolean {
  return name === "names" || find(name).usage.includes("NICK");
}

/** At most this many characters of an unknown name are shown. */
const MAX_SHOWN_NAME_LENGTH = 24;

function find(name: string): Row {
  const row = COMMANDS.get(name);
  if (row !== undefined) return row;
  const closest = closestWord(name, NAMES);
  const guess = ELSEWHERE.get(name) ??
    (closest === undefined ? undefined : `did you mean /${closest}?`);
  const rest = "/help lists the commands, // at the start sends a slash";
  throw new UsageError(
    `there is no command /${cleanLine(name.slice(0, MAX_SHOWN_NAME_LENGTH))}`,
    [guess === undefined ? rest : `${guess} ${rest}`],
  );
}

function wrongArguments(name: string, rest: string): UsageError {
  let message = `/${name} cannot be used like that`;
  if (find(name).usage === "") message = `/${name} takes no arguments`;
  else if (rest === "") message = `/${name} needs an argument`;
  return new UsageError(message, [`usage: ${synopsis(name)}`]);
}

function synopsis(name: string): string {
  return `/${name} ${find(name).usage}`.trimEnd();
}

/**
 * The lines of `/help`: all commands that work in a face, those of operators only on request, or everything about one.
 *
 * @throws {UsageError} If there is no such command.
 */
export function helpLines(topic = "", face: FaceKind = "full", operates = true): string[] {
  if (topic !== "") {
    const { summary, details = [] } = find(topic);
    return [synopsis(topic), ...[summary, ...details].map((line) => `  ${line}`)];
  }
  const table = commandTable(face, operates);
  const width = Math.max(...table.map(([usage]) => usage.length));
  return [...table.map(([usage, summary]) => `${usage.padEnd(width)}  ${summary}`), TYPING_HELP];
}

/** How each command is typed that works in a face, and what it does. */
function commandTable(face: FaceKind, operates: boolean): [usage: string, summary: string][] {
  return commandNames(face, operates).map((name) => [synopsis(name), find(name).summary]);
}

/** The commands for programs: all, or one. */
function describe(
  topic: string,
  face: FaceKind,
  operates: boolean,
): { name: string; usage: string; summary: string }[] {
  const names = topic === "" ? commandNames(face, operates) : [topic];
  return names.map((name) => {
    const { usage, summary } = find(name);
    return { name, usage, summary };
  });
}
