/**
 * What the slash commands are made of: a row of their table, what it may use, and parsers of arguments.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import type { NoteKind, Person, SessionEvent } from "../session/mod.ts";
import type { Conversation } from "./conversation.ts";
import type { FaceContext } from "./face.ts";
import type { Log, LoggedMessage } from "./message_log.ts";
import type { ScreenSettings } from "./settings.ts";

/** What a command may use; the session and the room are those where it was typed. */
export interface CommandContext extends FaceContext {
  /** The people whose messages are hidden: fingerprint to nick. */
  readonly ignored: Map<string, string>;
  /** Whose digits were last compared under a name, folded: the fingerprint. */
  readonly compared: Pick<Map<string, string>, "get" | "set">;
  /** Whom the user has banned in this run: fingerprint to nick. */
  readonly banned: Map<string, string>;
  /** The messages that were shown. */
  readonly log: Pick<Log, "find" | "back" | "newest">;
  /** Who sent the last private message. */
  readonly replyTo: { readonly fingerprint: string; readonly nick: string } | undefined;
  /** Absent without a terminal. */
  readonly screen: Screen | undefined;
  /** Absent where there is only one room. */
  readonly rooms: RoomControls | undefined;
  /** Absent where there are no conversations. */
  readonly chat: ChatControls | undefined;
  /** Of all rooms. */
  readonly sessions: readonly FaceContext["session"][];
  /**
   * Finds the one person that a nick or a fingerprint means: in this room, or else in the others.
   *
   * @throws {UsageError} When it means nobody or more than one person.
   */
  find(name: string): Person;
  /** Finds a person by fingerprint. */
  findKey(fingerprint: string): Person | undefined;
  /** @throws {UsageError} If it means nobody, or not for sure the person whom this reply was begun for. */
  findRecipient(name: string): Person;
  /**
   * Sends a message; by default to whom a text goes that is typed here.
   *
   * @returns The message's id.
   * @throws {UsageError} If the message cannot be sent.
   */
  send(text: string, options?: { action?: boolean; to?: Person; reply?: LoggedMessage }): string;
  /**
   * Reacts to a message, or changes one of the user's own.
   *
   * @throws {UsageError} If this may not be done to it.
   */
  note(about: LoggedMessage, what: NoteKind, text: string): void;
  /** Reports an event that is not the session's. */
  emit(event: SessionEvent): void;
  quit(): void;
}

/** A room that the user is in. */
export interface RoomState {
  readonly room: string;
  readonly connection: Conversation["connection"];
  /** How many others are shown. */
  readonly others: number;
}

/** What a command may do to the rooms of a client. */
export interface RoomControls {
  /** Opens a room, or turns to it. @throws {UsageError} If there are too many. */
  join(room: string): void;
  /** Leaves a room. @throws {UsageError} If it is not open, or the only one. */
  part(room: string): void;
  list(): RoomState[];
}

/** What a command may do to conversations. */
export interface ChatControls {
  /** Where it was typed. */
  readonly conversation: Conversation;
  /** Turns to the conversation with somebody. */
  query(person: { readonly nick: string; readonly fingerprint: string }): void;
  /** Closes the conversation. */
  close(): void;
  /** Removes its entries. */
  clear(): void;
  /** The lines of `/names`. */
  names(): string[];
}

/** What a command may do to the screen. */
export interface Screen {
  readonly settings: Readonly<ScreenSettings>;
  /** Whether it can show more than ASCII. */
  readonly utf8: boolean;
  /** Whether messages are seen where they stand, so that nothing has to be said of what is done to them. */
  readonly isFull: boolean;
  /** Whether it is a page in a browser. */
  readonly isPage?: boolean;
  /** Changes settings and saves them. */
  set(patch: Partial<ScreenSettings>): void;
  clear(): void;
  /**
   * Shows the whole of a message that was cut.
   *
   * @param number Undefined for the newest.
   * @throws {UsageError} If there is none of that number.
   */
  show(number: number | undefined): void;
  /** @returns The keys, as lines to be printed, unless they are shown in some other way. */
  showKeys(): string[];
  /**
   * Shows how commands are typed and what they do; absent where lines are printed.
   *
   * @param rows Without a command a heading.
   */
  showCommands?(rows: readonly (readonly [usage: string, summary: string])[]): void;
  /** Shows the lines of `/names`; absent where they are printed. */
  showNames?(lines: readonly string[]): void;
  /**
   * Shows the line of an invitation; absent where lines are printed.
   *
   * @param where Where it can be typed.
   * @param shared How to get the program, too.
   */
  showInvitation?(line: string, where: string, shared: readonly string[]): void;
  /**
   * Lets nothing ring and gives no notice: for some minutes, or else until the next call without any.
   *
   * @returns Whether it is so now.
   */
  turnQuiet(minutes: number | undefined): boolean;
  /** Shows the last messages as plain text; all of them without a count. */
  page?(count: number | undefined): void;
  /** Finds a text in the conversation that is shown. */
  find?(text: string): void;
}

/** What a command answers. */
export interface Answer {
  /** For the user: a sentence, or a block of lines. */
  readonly lines?: string | readonly string[];
  /** What to do about it, after a sentence. */
  readonly hint?: string;
  /** For programs: the fields of `result`. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** The fingerprint of the person whom the lines are about. */
  readonly about?: string;
  /** What the server answers comes later; it may be a {@linkcode UsageError}. */
  readonly later?: Promise<Answer>;
}

/** The server has refused a command. */
export class RefusedCommand extends UsageError {
  /** The status of its RESULT, PROTOCOL.md §5. */
  readonly status: number;

  constructor(status: number, message: string, hints: readonly string[]) {
    super(message, hints);
    this.status = status;
  }
}

/** A reply might go to somebody else than the user thinks: it is not sent before they confirm it. */
export class UncertainReply extends UsageError {}

/** A row of the table. */
export interface Row<Args = unknown> {
  /**
   * The arguments, one word each: NICK, a|b|c, another word in capitals, or `text` for the rest of the line; optional
   * ones in brackets.
   * Completion reads it too.
   */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Further lines of `/help COMMAND`. */
  readonly details?: readonly string[];
  /** Where it works, if not everywhere: on a terminal, or in the full-screen chat only. */
  readonly only?: "chat" | "full";
  /** Parses what follows the command's name; undefined if it does not fit the usage. */
  parse(rest: string): Args | undefined;
  /** @throws {UsageError} If it cannot be done. */
  run(args: Args, context: CommandContext): Answer;
}

/** Checks that `parse` and `run` of a row agree. */
export function row<Args>(row: Row<Args>): Row {
  return row;
}

/** Sends a private message, which is kept for this key whatever its owner's nick becomes. */
export function sendTo(person: Person, text: string, send: CommandContext["send"]): Answer {
  return { values: { id: send(text, { to: person }), to: [person.fingerprint] } };
}

// Parsers of arguments.

/** Splits off the first word and the white space after it. */
export function splitWord(text: string): [word: string, rest: string] {
  const [, word, rest] = /^(\S*)\s*([^]*)$/.exec(text)!;
  return [word!, rest!];
}

export function nothing(rest: string): "" | undefined {
  return rest === "" ? rest : undefined;
}

export function someText(rest: string): string | undefined {
  return rest === "" ? undefined : rest;
}

export function optionalWord(rest: string): string | undefined {
  const [word, more] = splitWord(rest);
  return more === "" ? word : undefined;
}

export function oneWord(rest: string): string | undefined {
  return optionalWord(rest) || undefined;
}

export function optionalOneOf<Word extends string>(
  words: readonly Word[],
  rest: string,
): Word | "" | undefined {
  return rest === "" ? rest : words.find((word) => word === rest.trimEnd().toLowerCase());
}
