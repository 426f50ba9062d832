/**
 * The client without a terminal: lines of text, or of JSON, in and out.
 *
 * Knows nothing of options, sockets or exit codes; gives whether everything went well.
 *
 * @module
 */

import type { Actions } from "../actions.ts";
import { systemClock } from "../base/clock.ts";
import { parseInput } from "./commands.ts";
import { UsageError } from "../base/errors.ts";
import type { SessionEvent } from "../session/events.ts";
import { type Line, LineMerger, LineSplitter, ReadAhead } from "./standard_input.ts";
import type { Session } from "../session/session.ts";

const READ_BYTES = 64 * 1024;
/** Messages read ahead of what is accepted. */
const MAX_AHEAD = 16;

/** What both forms need. */
export interface PipeOptions {
  readonly session: Session;
  /** Reads standard input. */
  read(into: Uint8Array): Promise<number | null>;
  emit(event: SessionEvent): void;
  /** How long to wait at the end for those who have not acknowledged. */
  readonly waitMs: number;
}

/** Runs `take` for each line, in order; the next is read when it has resolved. */
async function forEachLine(
  read: PipeOptions["read"],
  take: (line: Line) => Promise<void>,
): Promise<void> {
  const splitter = new LineSplitter();
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const length = await read(buffer);
    const lines = length === null ? splitter.end() : splitter.push(buffer.subarray(0, length));
    for (const line of lines) await take(line);
    if (length === null) return;
  }
}

/**
 * Waits for the first WELCOME: for ever, but when the input has ended and there was no way in, no longer than `--wait`.
 *
 * @returns Reads standard input; undefined when there is no connection, and nothing to send either.
 * @throws {UsageError} When there is no connection for what was to be sent.
 */
async function arrive(
  { session, read, waitMs }: PipeOptions,
): Promise<PipeOptions["read"] | undefined> {
  const { membership } = session;
  const input = new ReadAhead(read);
  const wake = () => session.wake();
  void input.fill(() => membership.joined).then(wake, wake); // the next read meets a fault again
  const isHopeless = () => input.ended && session.attempts > 0;
  await session.until(() => membership.joined || isHopeless());
  if (membership.joined || await session.until(() => membership.joined, waitMs)) {
    return (into) => input.read(into);
  }
  if (input.blank) return undefined;
  throw new UsageError("nothing was sent: the server did not let this program in", [
    "client doctor --host ADDRESS looks for what is in the way",
  ]);
}

/** The end of the input: waits until everybody present has acknowledged. */
async function drain({ session, waitMs }: PipeOptions): Promise<boolean> {
  const { membership } = session;
  // What is only kept for people who were lost was said to nobody; they may be back in time.
  const isHeard = () => membership.outbox.unsettled === 0 || membership.people().length > 0;
  const complete = await session.until(() => !membership.awaited && isHeard(), waitMs);
  return complete && membership.outbox.failures === 0;
}

function fail(options: PipeOptions, error: unknown, ref?: string): void {
  if (!(error instanceof UsageError)) throw error;
  options.emit({
    event: "error",
    code: "refused",
    message: error.message,
    hint: error.hints.join("; "),
    ...(ref === undefined ? {} : { ref }),
  });
}

/**
 * Sends every line as text.
 *
 * @param options.to Send all of it to this person alone, once they are there.
 * @returns Whether every line was accepted and received by everybody present.
 */
export async function runPipe(
  options: PipeOptions & { to?: string | undefined },
): Promise<boolean> {
  const { session, to, waitMs } = options;
  const { membership } = session;
  let good = true;
  const refuse = (error: unknown) => {
    good = false;
    fail(options, error);
  };
  const texts: string[] = [];
  const sent = Promise.withResolvers<void>();
  const merger = new LineMerger(systemClock, (text) => {
    texts.push(text);
    session.wake();
  });
  let ended = false;
  const read = await arrive(options);
  if (read === undefined) return true;
  if (to !== undefined) await findAddressee(session, to, waitMs);
  const send = async () => {
    while (await session.until(() => (texts.length > 0 && !membership.blocked) || ended)) {
      const text = texts.shift();
      if (text === undefined) break;
      try {
        if (to === undefined) membership.say(text);
        else membership.whisper(to, text);
      } catch (error) {
        refuse(error);
      }
      await session.until(() => !membership.blocked);
    }
    sent.resolve();
  };
  void send();
  await forEachLine(read, async (line) => {
    if ("error" in line) refuse(new UsageError(line.error));
    else merger.add(line.text);
    await session.until(() => texts.length < MAX_AHEAD);
  });
  merger.flush();
  ended = true;
  session.wake();
  await sent.promise;
  return await drain(options) && good;
}

/** `--to`: waits until that person is there. */
async function findAddressee(session: Session, to: string, waitMs: number): Promise<void> {
  const isThere = () => {
    try {
      return session.membership.find(to) !== undefined;
    } catch (error) {
      if (error instanceof UsageError) return false;
      throw error;
    }
  };
  if (!await session.until(isThere, waitMs)) session.membership.find(to);
}

/** What may stand on a line of standard input under `--json`. */
type Request =
  | { type: "chat"; text: string; ref?: string }
  | { type: "private"; to: string; text: string; ref?: string }
  | { type: "command"; text: string; ref?: string };

/** @throws {UsageError} When it is not one of the three. */
function parseRequest(text: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError("this line is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError("this line is not a JSON object");
  }
  const request = value as Record<string, unknown>;
  const fields = request.type === "private" ? ["to", "text"] : ["text"];
  if (!["chat", "private", "command"].includes(String(request.type))) {
    throw new UsageError('"type" must be "chat", "private" or "command"');
  }
  if ("ref" in request) fields.push("ref");
  for (const field of fields) {
    const value = request[field];
    if (typeof value !== "string") throw new UsageError(`"${field}" must be a string`);
    // UTF-8 cannot carry it, and another text than the one given is not sent.
    if (!value.isWellFormed()) throw new UsageError(`"${field}" holds a lone surrogate`);
  }
  return request as Request;
}

/** The `ref` of a line, as far as there is one; even a bad line gets it back. */
function findRef(text: string): string | undefined {
  try {
    const { ref } = JSON.parse(text) ?? {};
    return typeof ref === "string" ? ref : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Takes one JSON object a line; a bad line gives an `error` event and nothing else happens.
 *
 * @returns Whether everything was received by everybody present.
 */
export async function runJson(options: PipeOptions & { actions: Actions }): Promise<boolean> {
  const { session } = options;
  let quit = false;
  const read = await arrive(options);
  if (read === undefined) return true;
  await Promise.race([
    forEachLine(read, async (line) => {
      if (quit) return;
      await session.until(() => !session.membership.blocked);
      if ("error" in line) return fail(options, new UsageError(line.error));
      const ref = findRef(line.text);
      try {
        quit = perform(options, parseRequest(line.text), ref);
      } catch (error) {
        fail(options, error, ref);
      }
    }),
    session.until(() => quit),
  ]);
  return await drain(options);
}

/** @returns Whether that was `/quit`. */
function perform(
  options: PipeOptions & { actions: Actions },
  request: Request,
  ref: string | undefined,
): boolean {
  const { session: { membership }, actions, emit } = options;
  if (request.type !== "command") {
    if (request.text.trim() === "") {
      throw new UsageError("a message of only white space is not sent");
    }
    if (request.type === "chat") membership.say(request.text, { ref });
    else membership.whisper(request.to, request.text, ref);
    return false;
  }
  const input = parseInput(request.text);
  if (input.type === "error") throw new UsageError(input.message, [input.hint]);
  if (input.type !== "command") throw new UsageError("a command begins with a slash");
  if (input.name === "quit") return true;
  const lines = actions.run(input, ref);
  if (!lines) throw new UsageError(`/${input.name} is for the chat on a terminal`);
  for (const text of lines) emit({ event: "notice", text });
  return false;
}
