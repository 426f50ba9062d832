/**
 * What a page asks for: the fields of each request are checked here, and it is passed to the client.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { MAX_TEXT_BYTES } from "../../protocol/messages.ts";
import { safetyNumber } from "../../protocol/safety_number.ts";
import type { ChatClient } from "../chat_client.ts";
import { type Answer, RefusedCommand } from "../command_row.ts";
import { parseInput } from "../commands.ts";
import type { Conversation, Entry, FileEntry, MessageEntry } from "../conversation.ts";
import { isFirstHand } from "../conversations.ts";
import type { UploadRequest } from "./bytes.ts";
import { entryOf } from "./sync.ts";
import type { Asked } from "./web.ts";

/** Entries that are given at once, and UTF-16 units of JSON of them; one at least. */
export const MAX_GIVEN = 100;
export const MAX_GIVEN_LENGTH = 256 * 1024;
/** UTF-16 units of a text in a request. */
const MAX_TEXT_LENGTH = 4 * MAX_TEXT_BYTES;
/** UTF-16 units of a word, such as a name or what is searched for. */
const MAX_WORD_LENGTH = 1024;

/** The fields of a result, beside `ok`. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is done once, however often it is asked. */
export const ONCE: ReadonlySet<string> = new Set([
  "say",
  "edit",
  "retract",
  "react",
  "file",
  "command",
]);

/**
 * Does what a page asks for.
 *
 * @returns The fields of the result; undefined if this is no request to the client.
 * @throws {UsageError} If it cannot be done, or a field is missing or of another type.
 */
export async function perform(asked: Asked, client: ChatClient): Promise<Fields | undefined> {
  switch (asked.type) {
    case "say":
      return say(asked, client);
    case "edit":
    case "retract":
    case "react":
      return note(asked, client);
    case "file":
      return await answerFile(asked, client);
    case "draft":
      return keepDraft(asked, client);
    case "read": {
      const conversation = conversationOf(asked, client);
      client.markRead(conversation, findMessage(conversation, asked));
      return {};
    }
    case "command":
      return await runLine(asked, client);
    case "entries":
      return giveEntries(asked, client);
    case "history":
      return await giveHistory(asked, client);
    case "missing":
      return { missing: client.missing(findMessage(conversationOf(asked, client), asked)) };
    default:
      return undefined;
  }
}

// Fields.

/** @throws {UsageError} If it is no text, or a longer one. */
function textOf(asked: Asked, name: string, limit = MAX_TEXT_LENGTH): string {
  const value = asked[name];
  if (typeof value !== "string") throw new UsageError(`"${name}" must be a text`);
  if (value.length > limit) throw new UsageError(`"${name}" is too long`);
  return value;
}

function numberOf(asked: Asked, name: string): number {
  const value = asked[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new UsageError(`"${name}" must be a number`);
}

function flagOf(asked: Asked, name: string): boolean {
  const value = asked[name] ?? false;
  if (typeof value === "boolean") return value;
  throw new UsageError(`"${name}" must be true or false`);
}

/** The conversation of a request, which is opened if need be. */
export function conversationOf(asked: Asked, client: ChatClient): Conversation {
  return client.open(textOf(asked, "conversation", MAX_WORD_LENGTH));
}

/** @param name The field that has its `seq`. */
function findEntry({ entries }: Conversation, asked: Asked, name = "entry"): Entry {
  const seq = numberOf(asked, name);
  const entry = entries.find((entry) => entry.seq === seq);
  if (entry !== undefined) return entry;
  throw new UsageError("that is not kept here any more");
}

function findMessage(conversation: Conversation, asked: Asked, name?: string): MessageEntry {
  const entry = findEntry(conversation, asked, name);
  if (isFirstHand(entry)) return entry;
  if (entry.type !== "message") throw new UsageError("that is no message");
  throw new UsageError(entry.hearsay ? "that is only hearsay" : "that is of your own history");
}

/** The file that a request is about. */
export function fileOf(asked: Asked, client: ChatClient): FileEntry {
  const entry = findEntry(conversationOf(asked, client), asked);
  if (entry.type === "file") return entry;
  throw new UsageError("that is no file");
}

/** The file that a page wants to send. */
export function uploadOf(asked: Asked, client: ChatClient): UploadRequest {
  return {
    conversation: conversationOf(asked, client),
    name: textOf(asked, "name", MAX_WORD_LENGTH),
    size: numberOf(asked, "size"),
    mtime: numberOf(asked, "mtime"),
  };
}

// Messages.

/** Goes to the conversation that it names, whatever is shown meanwhile. */
function say(asked: Asked, client: ChatClient): Fields {
  const conversation = conversationOf(asked, client);
  const text = textOf(asked, "text");
  const action = flagOf(asked, "action");
  const reply = asked.quote === undefined ? undefined : findMessage(conversation, asked, "quote");
  if (text.trim() === "") throw new UsageError("there is nothing to send");
  if (conversation.connection === "left") {
    throw new UsageError(`you have left ${conversation.title}`, [`/join opens it again`]);
  }
  const id = client.send(conversation, text, { action, reply });
  conversation.draft = { text: "", cursor: 0 };
  client.conversations.changedList();
  return { id };
}

function note(asked: Asked, client: ChatClient): Fields {
  const conversation = conversationOf(asked, client);
  const entry = findMessage(conversation, asked);
  const text = asked.type === "retract" ? "" : textOf(asked, "text");
  if (asked.type === "edit" && text.trim() === "") throw new UsageError("there is nothing to send");
  const what = asked.type === "edit"
    ? "edit"
    : asked.type === "retract"
    ? "retraction"
    : text === ""
    ? "unreaction"
    : "reaction";
  client.annotate(conversation, entry, what, text);
  return {};
}

function keepDraft(asked: Asked, client: ChatClient): Fields {
  const conversation = conversationOf(asked, client);
  const text = textOf(asked, "text");
  const cursor = Math.min(numberOf(asked, "cursor"), text.length);
  conversation.draft = { text, cursor };
  client.conversations.changedList();
  return {};
}

// Files.

async function answerFile(asked: Asked, client: ChatClient): Promise<Fields> {
  const conversation = conversationOf(asked, client);
  const { number } = fileOf(asked, client);
  const run = async (name: string, args: unknown) => {
    await client.run(conversation, { type: "command", name, args });
    return {};
  };
  const executable = flagOf(asked, "exec");
  const as = asked.as === undefined ? undefined : textOf(asked, "as", MAX_WORD_LENGTH);
  switch (asked.answer) {
    case "accept":
      return await run("accept", { number, executable, as });
    case "decline":
      return await run("decline", { number });
    case "cancel":
      return await run("cancel", number);
    default:
      throw new UsageError('"answer" must be accept, decline or cancel');
  }
}

// Commands.

async function runLine(asked: Asked, client: ChatClient): Promise<Fields> {
  const conversation = conversationOf(asked, client);
  const input = parseInput(textOf(asked, "line"));
  if (input.type !== "command") throw new UsageError("a command begins with a slash");
  const { name } = input;
  try {
    const answer = await client.run(conversation, input);
    // Modes of notices, for one, change without a word of the model.
    client.conversations.changedList();
    return { command: name, ...wordsOf(answer), ...await valuesOf(name, answer, client) };
  } catch (error) {
    if (error instanceof RefusedCommand) throw new RefusedLine(name, error);
    throw error;
  }
}

/** What a refused command says beside its words. */
export class RefusedLine extends UsageError {
  readonly fields: Fields;

  constructor(command: string, { message, hints, status }: RefusedCommand) {
    super(message, hints);
    this.fields = { command, status };
  }
}

/** What a command says to people. */
function wordsOf({ lines = [], hint = "" }: Answer): Fields {
  return { lines: [lines].flat(), hint };
}

async function valuesOf(
  name: string,
  { values = {} }: Answer,
  client: ChatClient,
): Promise<Fields> {
  switch (name) {
    case "join":
    case "query":
      return { ...values, conversation: client.conversations.shown.id };
    case "verify": {
      if (!Array.isArray(values.halves)) return values;
      const own = safetyNumber(client.context!.key.id);
      const halves = values.halves.map((digits) => ({ own: digits === own, digits }));
      return { ...values, halves };
    }
    case "invite": {
      if (typeof values.line !== "string") return values;
      const { qrRows } = await import("../terminal/qr.ts");
      return { ...values, rows: await qrRows(values.line) };
    }
    default:
      return values;
  }
}

// What was said before.

/** The newest first. */
function giveEntries(asked: Asked, client: ChatClient): Fields {
  const { entries } = conversationOf(asked, client);
  const before = asked.before === undefined ? Infinity : numberOf(asked, "before");
  const words = asked.find === undefined
    ? []
    : textOf(asked, "find", MAX_WORD_LENGTH).toLowerCase().split(/\s+/).filter(Boolean);
  const given: unknown[] = [];
  let length = 0;
  for (const entry of entries.toReversed()) {
    if (entry.seq >= before || !hasAll(entry, words)) continue;
    const told = entryOf(entry);
    length += JSON.stringify(told).length;
    const isFull = given.length === MAX_GIVEN || length > MAX_GIVEN_LENGTH;
    if (isFull && given.length > 0) return { entries: given, more: true };
    given.push(told);
  }
  return { entries: given, more: false };
}

function hasAll(entry: Entry, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = entry.text.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Of one's own history, the newest first: messages, and what was done to them. */
async function giveHistory(asked: Asked, client: ChatClient): Promise<Fields> {
  const conversation = conversationOf(asked, client);
  const before = asked.before === undefined ? undefined : textOf(asked, "before", MAX_WORD_LENGTH);
  const search = asked.search === undefined ? undefined : textOf(asked, "search", MAX_WORD_LENGTH);
  const found = await client.history(conversation, { limit: MAX_GIVEN, before, search });
  const messages = found.filter(({ event }) => event === "chat").length;
  return { entries: found, more: messages === MAX_GIVEN };
}
