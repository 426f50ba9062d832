/**
 * What a program asks of the JSON face: one request a line.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import type { MessageName, NoteKind } from "../session/mod.ts";

/** A line of standard input. */
export type Request =
  | ({ type: "chat"; text: string } & Answering)
  | ({ type: "private"; to: string; text: string } & Answering)
  /** Here `ref` is the message that it is about. */
  | { type: "note"; ref: string; of?: string; what: NoteKind; text: string; room?: string }
  | { type: "command"; text: string; ref?: string; room?: string }
  /** Everything up to that message has been before the user's eyes. */
  | { type: "read"; id: string; of?: string; room?: string; ref?: string }
  | { type: "join"; room: string; ref?: string }
  | { type: "part"; room: string; ref?: string }
  | {
    type: "history";
    limit?: number;
    before?: string;
    search?: string;
    room?: string;
    ref?: string;
  }
  | FileRequest;

/** What is asked about files; `id` is that of an offer. */
export type FileRequest =
  | { type: "send"; path: string; to?: string; ref?: string; room?: string }
  | { type: "accept"; id: string; as?: string; exec?: boolean; ref?: string; room?: string }
  | { type: "decline" | "cancel"; id: string; ref?: string; room?: string };

interface Answering {
  readonly ref?: string;
  /** The message that it answers. */
  readonly reply?: string;
  readonly of?: string;
  /** Absent while only one is open. */
  readonly room?: string;
}

/** The fields of each type of request, all of them strings; `?` marks optional ones. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ["chat", ["text", "room?", "ref?", "reply?", "of?"]],
  ["private", ["to", "text", "room?", "ref?", "reply?", "of?"]],
  ["note", ["ref", "of?", "what", "text", "room?"]],
  ["command", ["text", "room?", "ref?"]],
  ["join", ["room", "ref?"]],
  ["part", ["room", "ref?"]],
  ["read", ["id", "of?", "room?", "ref?"]],
  ["history", ["before?", "search?", "room?", "ref?"]],
  ["send", ["path", "to?", "room?", "ref?"]],
  ["accept", ["id", "as?", "room?", "ref?"]],
  ["decline", ["id", "room?", "ref?"]],
  ["cancel", ["id", "room?", "ref?"]],
]);

const NOTES: readonly string[] = [
  "reaction",
  "unreaction",
  "edit",
  "retraction",
] satisfies NoteKind[];

/** @throws {UsageError} If the line is not a request. */
export function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UsageError("this line is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError("this line is not a JSON object");
  }
  const request = value as Record<string, unknown>;
  const fields = FIELDS.get(String(request.type));
  if (fields === undefined) {
    throw new UsageError(`"type" must be ${quoteAll([...FIELDS.keys()])}`);
  }
  // A note that takes something away has no text.
  if (request.type === "note") request.text ??= "";
  for (const field of fields) {
    const name = field.replace("?", "");
    const value = request[name];
    if (value === undefined && name !== field) continue;
    if (typeof value !== "string") throw new UsageError(`"${name}" must be a string`);
    // UTF-8 cannot encode it, and replacing it would send another text.
    if (!value.isWellFormed()) throw new UsageError(`"${name}" contains a lone surrogate`);
  }
  if (request.type === "accept" && typeof (request.exec ?? false) !== "boolean") {
    throw new UsageError('"exec" must be true or false');
  }
  const { limit = 1 } = request;
  if (request.type === "history" && !(Number.isSafeInteger(limit) && Number(limit) > 0)) {
    throw new UsageError('"limit" must be a number above 0');
  }
  if (request.type === "note" && !NOTES.includes(String(request.what))) {
    throw new UsageError(`"what" must be ${quoteAll(NOTES)}`);
  }
  return request as Request;
}

/** The message that a request answers. */
export function repliesTo({ reply, of }: { reply?: string; of?: string }): MessageName | undefined {
  return reply === undefined ? undefined : { id: reply, of };
}

/** Whether a request is about files. */
export function isAboutFiles(request: Request): request is FileRequest {
  return "path" in request || "id" in request && request.type !== "read";
}

/** What the error about a bad request repeats of it. */
export function findRef(line: string): { ref?: string; room?: string } {
  try {
    const { ref, room } = JSON.parse(line) ?? {};
    return {
      ...(typeof ref === "string" && { ref }),
      ...(typeof room === "string" && { room }),
    };
  } catch {
    return {};
  }
}

function quoteAll(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(", ");
}
