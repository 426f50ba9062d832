/**
 * The rooms of the JSON face, and what is asked of them.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { parseRoom } from "../protocol/names.ts";
import type { Session, SessionEvent } from "../session/mod.ts";
import { type Answer, RefusedCommand, type RoomControls } from "./command_row.ts";
import { findCommandName, isAboutPeople, parseInput } from "./commands.ts";
import type { FaceContext } from "./face.ts";
import { failureWords } from "./file_words.ts";
import {
  type FileRequest,
  findRef,
  isAboutFiles,
  parseRequest,
  repliesTo,
  type Request,
} from "./json_request.ts";
import { MessageLog } from "./message_log.ts";
import { Client, Requests } from "./requests.ts";
import {
  awaitConnection,
  drain,
  forEachLine,
  type InputOptions,
  type Line,
} from "./standard_input.ts";

/** Messages of the history that are given if no limit is. */
const HISTORY_LIMIT = 50;

/** A room that is open. */
interface Room {
  readonly context: FaceContext;
  readonly session: Session;
  readonly requests: Requests;
  readonly log: MessageLog;
}

/** What an answer repeats. */
interface Ref {
  readonly ref?: string;
}

/** An event as it is written: that of a session, or of a transfer that failed, with its words. */
export type JsonEvent = SessionEvent | {
  readonly event: "transferfailed";
  readonly [field: string]: unknown;
};

/** The rooms that are open. */
export class JsonRooms {
  readonly #print: (event: JsonEvent, room?: string) => void;
  readonly #client = new Client();
  readonly #rooms = new Map<string, Room>();
  readonly #quit = Promise.withResolvers<void>();
  #hasQuit = false;
  /** Requests about files, in order: to look at what is offered takes a while, and no message waits for that. */
  #files: Promise<void> = Promise.resolve();
  /** Events name their rooms: there was more than one. */
  #namesRooms = false;

  /** @param print Writes an event. */
  constructor(context: FaceContext, print: (event: JsonEvent, room?: string) => void) {
    this.#print = print;
    this.#add(context);
  }

  /** Writes an event of a room that is open. */
  emit(event: SessionEvent, name: string): void {
    const room = this.#rooms.get(name);
    if (!room?.requests.observe(event)) return;
    this.#write(event, name);
    room.log.take(event);
    if (event.event === "error" && event.code === "ended") this.#drop(room);
  }

  /** @param room Whose event it is; undefined if it is about no room. */
  #write(event: SessionEvent, room?: string): void {
    this.#print(withWords(event), this.#namesRooms ? room : undefined);
  }

  #add(context: FaceContext): void {
    const { session, room: name } = context;
    const log = new MessageLog(context.fingerprint);
    const requests: Requests = new Requests({
      context,
      client: this.#client,
      controls: this.#controls,
      place: { log },
      routeTo: (fingerprint) => this.#routeTo(fingerprint) ?? requests,
      emit: (event) => this.emit(event, name),
      quit: () => {
        this.#hasQuit = true;
        this.#quit.resolve();
      },
    });
    this.#rooms.set(name, { context, session, requests, log });
  }

  // Input.

  /**
   * Takes requests until their end.
   *
   * @param waitMs How long to wait at the end for acknowledgements.
   * @returns Whether everybody has received everything that was for them.
   */
  async takeInput(waitMs: number): Promise<boolean> {
    const [first] = this.#rooms.values();
    const input: InputOptions = {
      session: first!.session,
      read: (into) => Deno.stdin.read(into),
      waitMs,
    };
    const read = await awaitConnection(input);
    if (read === undefined) return true;
    const take = async (line: Line) => {
      if (this.#hasQuit) return;
      if ("error" in line) return this.#refuse(new UsageError(line.error), {});
      try {
        await this.#perform(parseRequest(line.text));
      } catch (error) {
        this.#refuse(error, findRef(line.text));
      }
    };
    const taken = forEachLine(read, take).then(() => this.#files);
    await Promise.race([taken, this.#quit.promise]);
    const sessions = [...this.#rooms.values()].map(({ session }) => session);
    const drained = await Promise.all(sessions.map((session) => drain({ ...input, session })));
    return drained.every((isGood) => isGood);
  }

  async #perform(request: Request): Promise<void> {
    const withRef = request.type === "note" || request.ref === undefined
      ? {}
      : { ref: request.ref };
    if (request.type === "join" || request.type === "part") {
      const { type: name, room } = request;
      const [any] = this.#rooms.values();
      const run = () => any!.requests.run({ type: "command", name, args: parseRoom(room) });
      return await this.#answer(name, run, withRef);
    }
    const room = this.#find(request.room);
    const { session, requests } = room;
    if (isAboutFiles(request)) return this.#performFile(request, room);
    if (request.type === "read") return session.markRead(request);
    if (request.type === "history") {
      const { limit = HISTORY_LIMIT } = request;
      const entries = await room.context.history.find({ ...request, limit });
      return this.#write({ event: "history", ...withRef, entries }, room.context.room);
    }
    await session.until(() => !session.blocked);
    if (request.type === "command") return await this.#run(request.text, room, withRef);
    if (request.type === "note") {
      const { ref, of, what, text } = request;
      return requests.note({ id: ref, of }, what, text);
    }
    const { text } = request;
    if (text.trim() === "") throw new UsageError("a message must not be only white space");
    const reply = repliesTo(request);
    const options = { ...withRef, ...(reply && { reply }) };
    if (request.type === "chat") requests.send(text, options);
    else session.sendPrivate(request.to, text, options);
  }

  #performFile(request: FileRequest, room: Room): void {
    this.#files = this.#files.then(() => performFile(request, room))
      .catch((error) => this.#refuse(error, request))
      .catch((error) => this.#quit.reject(error));
  }

  async #run(text: string, room: Room, withRef: Ref): Promise<void> {
    const command = findCommandName(text);
    if (command === undefined) throw new UsageError("a command begins with a slash");
    const { session, requests, context } = room;
    await this.#answer(command, async () => {
      const input = parseInput(text);
      if (input.type !== "command") throw new TypeError("Not a command");
      if (isAboutPeople(input)) await session.until(() => session.settled || !session.joined);
      return requests.run(input, withRef);
    }, { ...withRef, room: context.room });
  }

  /** Answers a command with `result`; what it says to people, too, as notices. */
  async #answer(
    command: string,
    run: () => Answer | Promise<Answer>,
    { room, ...withRef }: Ref & { readonly room?: string },
  ): Promise<void> {
    try {
      const answer = await run();
      const { lines = [], hint = [], values, about } = await answer.later ?? answer;
      for (const line of [lines, hint].flat()) {
        this.#write({ event: "notice", text: line, ...(about !== undefined && { about }) }, room);
      }
      this.#write({ event: "result", ...withRef, command, ok: true, ...values }, room);
    } catch (error) {
      this.#refuse(error, { ...withRef, ...(room !== undefined && { room }) });
      const { message, hints } = error as UsageError;
      const status = error instanceof RefusedCommand ? { status: error.status } : {};
      const reason = { ...status, message, hint: hints.join("; ") };
      this.#write({ event: "result", ...withRef, command, ok: false, ...reason }, room);
    }
  }

  /** @throws What is no {@linkcode UsageError}. */
  #refuse(error: unknown, { room, ref }: Ref & { readonly room?: string }): void {
    if (!(error instanceof UsageError)) throw error;
    const { message, hints } = error;
    const event = { event: "error", code: "refused", message, hint: hints.join("; ") } as const;
    this.#write(ref === undefined ? event : { ...event, ref }, room);
  }

  // Rooms.

  readonly #controls: RoomControls = {
    join: (name) => {
      if (this.#rooms.has(name)) return;
      const [first] = this.#rooms.values();
      const { away } = first!.session;
      const context = first!.context.openRoom(name);
      if (away !== "") context.session.setAway(away);
      this.#namesRooms = true;
      this.#add(context);
    },
    part: (name) => {
      const room = this.#rooms.get(name);
      if (room === undefined) throw new UsageError(`you are not in ${name}`);
      if (this.#rooms.size === 1) throw new UsageError("this is the only room that you are in");
      this.#drop(room);
      room.context.leave();
    },
    list: () =>
      [...this.#rooms.values()].map(({ context: { room }, session }) => ({
        room,
        connection: session.joined ? "online" : "offline",
        others: session.people().length,
      })),
  };

  #drop({ context, requests }: Room): void {
    this.#rooms.delete(context.room);
    requests.close();
  }

  /** @throws {UsageError} If it is not open, or none is named while there are several. */
  #find(name: string | undefined): Room {
    if (name === undefined) {
      const [only, ...others] = this.#rooms.values();
      if (only !== undefined && others.length === 0) return only;
      throw new UsageError('"room" must be given while several rooms are open');
    }
    const room = this.#rooms.get(parseRoom(name));
    if (room !== undefined) return room;
    throw new UsageError("you are not in this room", ['open it: {"type":"join","room":…}']);
  }

  #routeTo(fingerprint: string): Requests | undefined {
    const rooms = [...this.#rooms.values()];
    return rooms.find(({ session }) => session.reaches(fingerprint))?.requests;
  }
}

async function performFile(request: FileRequest, { session, context }: Room): Promise<void> {
  const { files } = session;
  if (files === undefined) throw new UsageError("files are turned off by --no-files");
  if (request.type === "send") {
    const { path, to, ref } = request;
    await session.until(() => session.settled || !session.joined);
    const person = to === undefined ? undefined : session.find(to).fingerprint;
    const transfers = await files.transfers();
    return await transfers.offer(context.resolvePath(path), { to: person, ref });
  }
  const transfers = await files.transfers();
  const number = transfers.numberOf(request.id);
  if (number === undefined) throw new UsageError("there is no offer with this id");
  if (request.type === "accept") {
    const { as, exec = false } = request;
    transfers.accept(number, { as, executable: exec });
  } else if (request.type === "decline") transfers.decline(number);
  else transfers.cancel(number);
}

/** Says of a transfer that failed what it says to people. */
function withWords(event: SessionEvent): JsonEvent {
  if (event.event !== "transferfailed") return event;
  const { detail: _, missing: __, ...fields } = event;
  return { ...fields, ...failureWords(event, event.fingerprint) };
}
