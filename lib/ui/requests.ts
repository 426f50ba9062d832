/**
 * What a user asks of one room: messages and commands, passed to the session. The same for every face.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { MAX_BANS } from "../protocol/admin.ts";
import { foldNick } from "../protocol/names.ts";
import type { MessageName, NoteKind, Person, SessionEvent } from "../session/mod.ts";
import {
  type Answer,
  type ChatControls,
  type CommandContext,
  type RoomControls,
  type Screen,
  UncertainReply,
} from "./command_row.ts";
import { type Command, parseInput, runCommand } from "./commands.ts";
import type { FaceContext } from "./face.ts";
import type { Log } from "./message_log.ts";

/** Somebody whom a private message is for. */
export type Recipient = Pick<Person, "nick" | "fingerprint">;

/** A message of the user's own, as it was handed to the session. */
export interface SentMessage {
  readonly text: string;
  readonly action: boolean;
  /** The only recipient; undefined for the room. */
  readonly to: Recipient | undefined;
  /** The message that it answers. */
  readonly reply?: MessageName;
}

/** Where a line is typed. */
export interface Place {
  /** The messages that it can mean. */
  readonly log: Log;
  /** Whom a text goes to; undefined for the room. */
  readonly to?: Recipient | undefined;
  /** What commands can do there. */
  readonly chat?: ChatControls;
}

/** Names whose digits were compared, and are remembered with their keys. */
const MAX_COMPARED = 64;
/** Enter this soon after `/reply ` was replaced was pressed before one could see whom it is for. */
const SEEN_MS = 500;

/** What the requests to all rooms of a client have in common. */
export class Client {
  readonly ignored: CommandContext["ignored"] = new Map();
  readonly banned = new BoundedMap<string, string>(MAX_BANS);
  readonly compared = new BoundedMap<string, string>(MAX_COMPARED);
  /** Who sent the last private message. */
  replyTo: Recipient | undefined;
  /** Whom the line being typed replies to, and since when, in ms; `sinceMs` is undefined once it was seen. */
  replying: { readonly person: Recipient; sinceMs: number | undefined } | undefined;
  /** The requests to each room, in the order in which they were opened. */
  readonly rooms: Requests[] = [];
}

interface RequestsOptions {
  readonly context: FaceContext;
  /** Where lines are typed, unless it is said. */
  readonly place: Place;
  /** Shared by the requests to all rooms. */
  readonly client?: Client;
  readonly clock?: Clock;
  /** Absent without a terminal. */
  readonly screen?: Screen;
  /** Absent where there is only one room. */
  readonly controls?: RoomControls;
  /** Called with each message that the session has accepted. */
  accepted?(id: string, message: SentMessage): void;
  /** The requests through whose session somebody is written to; by default these. */
  routeTo?(fingerprint: string): Requests | undefined;
  /** Takes events that are not the session's. */
  emit?(event: SessionEvent): void;
  quit(): void;
}

export class Requests {
  readonly #options: RequestsOptions;
  readonly #client: Client;

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#client = options.client ?? new Client();
    this.#client.rooms.push(this);
  }

  /** The room. */
  get context(): FaceContext {
    return this.#options.context;
  }

  /** Call when the room is closed. */
  close(): void {
    const { rooms } = this.#client;
    rooms.splice(rooms.indexOf(this), 1);
  }

  /**
   * Takes every event of the session.
   *
   * @returns Whether to show it: false for messages and notes of ignored people.
   */
  observe(event: SessionEvent): boolean {
    const client = this.#client;
    switch (event.event) {
      case "chat":
        if (this.ignores(event.fingerprint)) return false;
        if (event.hearsay?.every((person) => this.ignores(person))) return false;
        if (event.private && !event.own) client.replyTo = event;
        return true;
      case "note":
      case "offer":
        return !this.ignores(event.fingerprint);
      case "nick":
        if (client.replyTo?.fingerprint === event.fingerprint) client.replyTo = event;
        return true;
      default:
        return true;
    }
  }

  ignores(fingerprint: string): boolean {
    return this.#client.ignored.has(fingerprint);
  }

  /**
   * Turns a line that begins with `/reply ` into one that begins with `/msg NICK `: from then on it is fixed, and shown,
   * whom it goes to.
   *
   * @returns Undefined if the line is no such reply, or there is nobody to reply to.
   */
  beginReply(line: string): string | undefined {
    const [start] = /^\/reply\s/i.exec(line) ?? [];
    const { fingerprint } = this.#client.replyTo ?? {};
    if (start === undefined || fingerprint === undefined) return undefined;
    const person = this.#findKey(fingerprint);
    if (person === undefined) return undefined;
    const { clock = systemClock } = this.#options;
    this.#client.replying = { person, sinceMs: clock.now() };
    return `/msg ${person.nick} ${line.slice(start.length)}`;
  }

  /**
   * Takes a typed line: sends a text, runs a command.
   *
   * @throws {UncertainReply} If a reply would perhaps go to somebody else than the user thinks; the next one is sent.
   * @throws {UsageError} If it cannot be done.
   */
  take(line: string, place: Place = this.#options.place): Answer {
    this.#checkSeen(line);
    try {
      const input = parseInput(line);
      if (input.type === "command") return this.run(input, { place });
      if (input.type === "text") this.send(input.text, { to: place.to, place });
      return {};
    } finally {
      this.#client.replying = undefined;
    }
  }

  /** @throws {UncertainReply} If the user cannot have seen yet whom the line is for. */
  #checkSeen(line: string): void {
    const { replying } = this.#client;
    const { clock = systemClock } = this.#options;
    if (replying?.sinceMs === undefined || !line.startsWith(`/msg ${replying.person.nick} `)) {
      return;
    }
    const isSeen = clock.now() - replying.sinceMs >= SEEN_MS;
    replying.sinceMs = undefined;
    if (isSeen) return;
    throw new UncertainReply(`this goes to ${replying.person.nick}`, ["Enter sends it"]);
  }

  /**
   * Runs a command.
   *
   * @param options.ref Repeated in the `sent` event of a command that sends a message.
   * @throws {UsageError} If it cannot be done.
   */
  run(command: Command, { ref, place = this.#options.place }: {
    ref?: string | undefined;
    place?: Place;
  } = {}): Answer {
    const { context, screen, controls, quit, emit } = this.#options;
    const { ignored, compared, banned, replyTo, rooms } = this.#client;
    return runCommand(command, {
      ...context,
      screen,
      rooms: controls,
      chat: place.chat,
      quit,
      emit: (event) => emit?.(event),
      ignored,
      compared,
      banned,
      log: place.log,
      replyTo,
      sessions: rooms.map(({ context }) => context.session),
      find: (name) => this.#find(name),
      findKey: (fingerprint) => this.#findKey(fingerprint),
      findRecipient: (name) => this.#findRecipient(name),
      send: (text, options) => this.send(text, { to: place.to, ...options, ref, place }),
      note: (about, what, text) => this.note(about, what, text, place),
    });
  }

  /**
   * Sends a message to the room, or to one person.
   *
   * @param options.ref Repeated in the `sent` event.
   * @param options.reply The message that it answers.
   * @returns The message's id.
   * @throws {UsageError} If it cannot be sent.
   */
  send(
    text: string,
    { action = false, to, ref, reply, place = this.#options.place }: {
      action?: boolean;
      to?: Recipient | undefined;
      ref?: string | undefined;
      reply?: MessageName;
      place?: Place;
    } = {},
  ): string {
    const answered = reply && { id: reply.id, of: reply.of };
    const through = to === undefined ? this : this.#routeTo(to, answered, place);
    const { context: { session }, accepted } = through.#options;
    checkFlow(session);
    const options = { ref, ...(answered && { reply: answered }) };
    const id = to === undefined
      ? session.say(text, { action, ...options })
      : session.sendPrivate(to.fingerprint, text, { ...(action && { action }), ...options });
    accepted?.(id, { text, action, to, ...(answered && { reply: answered }) });
    return id;
  }

  /**
   * Reacts to a message, or changes one of the user's own.
   *
   * @throws {UsageError} If there is no such message, or this may not be done to it.
   */
  note({ id, of }: MessageName, what: NoteKind, text: string, { log } = this.#options.place): void {
    const message = log.find({ id, of });
    const { session } = this.#via(message?.via).context;
    checkFlow(session);
    session.sendNote({ id, of }, what, text);
    if (message) log.apply(message, what, { text });
  }

  /**
   * The requests through whose session somebody is written to: an answer goes where its message came from.
   *
   * @throws {UsageError} If they are not here.
   */
  #routeTo(to: Recipient, answered: MessageName | undefined, { log }: Place): Requests {
    const { routeTo } = this.#options;
    if (routeTo === undefined) return this;
    const via = answered && log.find(answered)?.via;
    const through = via === undefined ? routeTo(to.fingerprint) : this.#via(via);
    if (through !== undefined) return through;
    throw new UsageError(`${to.nick} is not here`, ["see who is here: /names"]);
  }

  /** @throws {UsageError} If that room is not open any more. */
  #via(room: string | undefined): Requests {
    if (room === undefined) return this;
    const found = this.#client.rooms.find(({ context }) => context.room === room);
    if (found !== undefined) return found;
    throw new UsageError(`the message came by the room ${room}, which you have left`);
  }

  /** Looks in this room first. */
  #rooms(): Requests[] {
    return [this, ...this.#client.rooms.filter((other) => other !== this)];
  }

  #findKey(fingerprint: string): Person | undefined {
    for (const { context } of this.#rooms()) {
      const found = context.session.people().find((person) => person.fingerprint === fingerprint);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Finds the one person that a nick or a fingerprint means: in this room, or else in the others.
   *
   * @throws {UsageError} When it means nobody or more than one person.
   */
  #find(name: string): Person {
    const [own, ...others] = this.#rooms();
    try {
      return own!.context.session.find(name);
    } catch (error) {
      // Of several people here with that nick it may be none elsewhere.
      if (!(error instanceof UsageError) || isSomebody(own!.context.session, name)) throw error;
      const found = others.flatMap(({ context: { session } }) => tryFind(session, name) ?? []);
      const people = new Map(found.map((person) => [person.fingerprint, person]));
      if (people.size > 1) {
        throw new UsageError(`more than one person in other rooms is called ${name}`, [
          `say which: ${[...people.keys()].join(", ")}`,
        ]);
      }
      const [person] = people.values();
      if (person === undefined) throw error;
      return person;
    }
  }

  /** A reply goes to the key that it was begun for, and to nobody else who has taken that name since. */
  #findRecipient(name: string): Person {
    const replying = this.#client.replying?.person;
    if (replying?.nick !== name) return this.#find(name);
    const isOther = ({ nick, fingerprint }: Person) =>
      fingerprint !== replying.fingerprint && foldNick(nick) === foldNick(name);
    const other = this.#options.context.session.people().find(isOther);
    if (other !== undefined) {
      throw new UncertainReply(`${name} is somebody else now than when you began this reply`, [
        `Enter sends it to ${name} with the key ${other.fingerprint}`,
      ]);
    }
    const person = this.#findKey(replying.fingerprint);
    if (person !== undefined) return person;
    throw new UsageError(`${name} is no longer here`, ["see who is here: /names"]);
  }
}

type RoomSession = FaceContext["session"];

/** @throws {UsageError} If nothing more can be sent now. */
function checkFlow(session: RoomSession): void {
  if (!session.blocked) return;
  throw new UsageError("too many messages are unacknowledged: wait a moment");
}

function tryFind(session: RoomSession, name: string): Person | undefined {
  try {
    return session.find(name);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

function isSomebody(session: RoomSession, name: string): boolean {
  const folded = foldNick(name);
  return session.people().some(({ nick, usedNick }) =>
    foldNick(nick) === folded || foldNick(usedNick) === folded
  );
}
