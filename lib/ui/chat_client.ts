/**
 * The chat without a face: the conversations, the rooms behind them, and what the user asks of them. Both faces of the
 * chat are built on it.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { HistoryEvent, HistoryRequest, NoteKind, SessionEvent } from "../session/mod.ts";
import { type Answer, type RoomControls, type Screen, UncertainReply } from "./command_row.ts";
import { type Command, isCommand } from "./commands.ts";
import { complete } from "./completion.ts";
import { type Conversation, type MessageEntry, personId, personOf } from "./conversation.ts";
import { ConversationLog } from "./conversation_log.ts";
import { Conversations } from "./conversations.ts";
import { EventQueue } from "./event_queue.ts";
import type { FaceContext } from "./face.ts";
import { Feed } from "./feed.ts";
import { hides, type Notice } from "./notices.ts";
import { sortByNick } from "./people_commands.ts";
import { namesTable } from "./render.ts";
import { Client, type Place, Requests } from "./requests.ts";
import { type Room, Rooms } from "./rooms.ts";
import { ServerWords } from "./server_words.ts";

/** Events after which conversations with people may be out of date. */
const CHANGES_PERSONS: ReadonlySet<SessionEvent["event"]> = new Set([
  "joined",
  "left",
  "away",
  "nick",
  "self",
  "trust",
  "ignored",
  "welcome",
  "disconnected",
  "reconnecting",
  "error",
]);

interface ChatClientOptions {
  readonly clock: Clock;
  readonly screen: Screen;
  /** Show only messages, answers, warnings and errors. */
  readonly quiet: boolean;
  /** Whether what was shown of a room has not been seen yet; see {@linkcode ChatClient.resume}. */
  isBusy(room: Conversation): boolean;
  /** Called with each event of a session after it was taken. */
  taken?(event: SessionEvent): void;
  /** The user leaves. */
  quit(): void;
}

/** The chat without a face. */
export class ChatClient {
  readonly conversations: Conversations = new Conversations();
  readonly #options: ChatClientOptions;
  readonly #client = new Client();
  readonly #words: ServerWords;
  readonly #rooms: Rooms;
  #areKeptJoined = false;

  constructor(options: ChatClientOptions) {
    this.#options = options;
    this.#words = new ServerWords(options.clock);
    this.#rooms = new Rooms(this.conversations, this.#client.ignored);
  }

  /** How many events wait to be shown. */
  get waitingEvents(): number {
    return this.#rooms.list.reduce((sum, { queue }) => sum + queue.length, 0);
  }

  /** The first room that is open; undefined before there is a session. */
  get context(): FaceContext | undefined {
    return this.#rooms.list[0]?.context;
  }

  /** Call when what was shown was taken. */
  resume(): void {
    for (const { queue } of this.#rooms.list) queue.resume();
  }

  /** Shows the first room; those of the settings are opened when it has welcomed the user. */
  attach(context: FaceContext): void {
    this.conversations.show(this.#add(context));
  }

  #add(context: FaceContext): Conversation {
    const { clock, screen, isBusy, quit } = this.#options;
    const { conversations } = this;
    const conversation = conversations.open(`room:${context.room}`, context.room);
    const requests = new Requests({
      context,
      client: this.#client,
      clock,
      screen,
      controls: this.#controls,
      place: { log: this.#logOf(conversation, context) },
      accepted: (id, message) => feed.accept(id, message),
      routeTo: (fingerprint) => this.#rooms.routeTo(fingerprint)?.requests,
      emit: (event) => void this.emit(event, context.room),
      quit,
    });
    const feed: Feed = new Feed({
      clock,
      conversations,
      room: conversation,
      context,
      words: this.#words,
      isFirst: this.#rooms.list.length === 0,
      openPerson: (person) => this.#rooms.openPerson(person),
      hides: (level) => this.#hides(level),
      ignores: (fingerprint) => requests.ignores(fingerprint),
    });
    const queue = new EventQueue({
      clock,
      isBusy: () => isBusy(conversation),
      show: (event) => this.#take(event, room),
    });
    const room: Room = { context, conversation, feed, requests, queue };
    this.#rooms.add(room);
    feed.refresh();
    return conversation;
  }

  /** Takes an event of a room's session; see {@linkcode Face.emit}. */
  emit(event: SessionEvent, name: string): Promise<void> | undefined {
    return this.#rooms.find(name)?.queue.push(event);
  }

  #take(event: SessionEvent, room: Room): void {
    if (!room.requests.observe(event)) return room.feed.passOver(event);
    if (event.event === "chat" && event.private) {
      this.#rooms.heard(event.to?.[0] ?? event.fingerprint, room);
    }
    room.feed.take(event);
    if (CHANGES_PERSONS.has(event.event)) this.#rooms.refreshPersons();
    if (event.event === "welcome") this.#joinKept();
    this.#options.taken?.(event);
  }

  /** Shows a line about the program. */
  say(text: string): void {
    this.#addNotice(this.conversations.shown, { level: "info", text, hint: "" });
  }

  /** See {@linkcode Requests.beginReply}. */
  beginReply(line: string): string | undefined {
    return this.#rooms.list[0]?.requests.beginReply(line);
  }

  /** See {@linkcode complete}. */
  complete(line: string, cursor: number): ReturnType<typeof complete> {
    const { people } = this.#rooms.of(this.conversations.shown)?.conversation ?? { people: [] };
    const { isFull, settings } = this.#options.screen;
    const open = this.#rooms.list.map(({ context }) => context.room);
    return complete(line, cursor, {
      nicks: people.filter(({ trust }) => trust !== "self").map(({ nick }) => nick),
      rooms: [...new Set([...open, ...settings.rooms])],
      face: isFull ? "full" : "plain",
      paths: (path) => this.#rooms.list[0]?.context.listPaths(path) ?? [],
    });
  }

  /**
   * Takes a typed line: sends a text to the people of the conversation, or runs a command there.
   *
   * @returns Whether the line is done with; otherwise it stays to be edited.
   */
  submit(conversation: Conversation, line: string): boolean {
    if (line.trim() === "") return true;
    try {
      const room = this.#roomOf(conversation);
      this.#answer(conversation, room.requests.take(line, this.#placeIn(conversation, room)));
      if (isCommand(line)) this.#refresh();
      return true;
    } catch (error) {
      this.#refuse(conversation, error);
      // A failed command can be found in the history; what may be sent with another Enter stays.
      return isCommand(line) && !(error instanceof UncertainReply);
    }
  }

  /** Answers a message of a conversation. @returns Whether that could be sent; otherwise it says why not. */
  reply(conversation: Conversation, entry: MessageEntry, text: string): boolean {
    return this.#try(conversation, () => void this.send(conversation, text, { reply: entry }));
  }

  /** Reacts to a message, or changes one of the user's own. @returns Whether that could be done. */
  note(conversation: Conversation, entry: MessageEntry, what: NoteKind, text: string): boolean {
    return this.#try(conversation, () => this.annotate(conversation, entry, what, text));
  }

  /** The user has read everything up to a message: their other terminals are told. */
  markRead(conversation: Conversation, { id, from }: MessageEntry): void {
    this.#rooms.of(conversation)?.context.session.markRead({ id, of: from });
  }

  // The same for a face that gives the answer itself.

  /**
   * Finds a conversation that is open, or opens that with somebody who is here.
   *
   * @throws {UsageError} If there is none.
   */
  open(id: string): Conversation {
    const known = this.conversations.list.find((conversation) => conversation.id === id);
    if (known !== undefined) return known;
    const people = this.#rooms.list.flatMap(({ conversation }) => conversation.people);
    const person = people.find(({ fingerprint, trust }) =>
      id === personId(fingerprint) && trust !== "self"
    );
    if (person !== undefined) return this.#rooms.openPerson(person);
    throw new UsageError("that conversation is not open");
  }

  /**
   * Sends a text to the people of a conversation, and to nobody else.
   *
   * @param options.reply The message that it answers.
   * @returns The message's id.
   * @throws {UsageError} If it cannot be sent.
   */
  send(
    conversation: Conversation,
    text: string,
    { action = false, reply }: { action?: boolean; reply?: MessageEntry | undefined } = {},
  ): string {
    const room = this.#roomOf(conversation);
    const place = this.#placeIn(conversation, room);
    const answered = reply && { reply: { id: reply.id, of: reply.from } };
    return room.requests.send(text, { to: place.to, place, action, ...answered });
  }

  /** Reacts to a message, or changes one of the user's own. @throws {UsageError} If that cannot be done. */
  annotate(conversation: Conversation, entry: MessageEntry, what: NoteKind, text: string): void {
    const room = this.#roomOf(conversation);
    const place = this.#placeIn(conversation, room);
    room.requests.note({ id: entry.id, of: entry.from }, what, text, place);
  }

  /**
   * Runs a command in a conversation.
   *
   * @returns What it answers, which is not shown.
   * @throws {UsageError} If it cannot be done.
   */
  async run(conversation: Conversation, command: Command): Promise<Answer> {
    const room = this.#roomOf(conversation);
    const answer = room.requests.run(command, { place: this.#placeIn(conversation, room) });
    this.#refresh();
    const { later } = answer;
    if (later === undefined) return answer;
    return await later.finally(() => this.#refresh());
  }

  /**
   * Offers a file to the people of a conversation.
   *
   * @param options.name What it is called there.
   * @param options.ref Repeated in the `offered` event.
   * @throws {UsageError} If it cannot be offered.
   */
  async offer(
    conversation: Conversation,
    path: string,
    options: { name: string; ref: string },
  ): Promise<void> {
    const { files } = this.#roomOf(conversation).context.session;
    if (files === undefined) throw new UsageError("files are turned off by --no-files");
    const transfers = await files.transfers();
    await transfers.offer(path, { to: personOf(conversation), ...options });
  }

  /** Shows an error in a conversation. */
  complain(conversation: Conversation, text: string): void {
    this.#addNotice(conversation, { level: "error", text, hint: "" });
  }

  /** The nicks of those who have not acknowledged a message of the user's own. */
  missing({ id, via }: MessageEntry): string[] {
    const { context, feed } = this.#rooms.find(via) ?? {};
    return context?.session.missing(id).map((person) => feed!.nickOf(person)) ?? [];
  }

  /** What is kept of the room of a conversation; see {@linkcode HistoryControls.find}. */
  async history(
    conversation: Conversation,
    request: HistoryRequest,
  ): Promise<HistoryEvent["entries"]> {
    return await this.#roomOf(conversation).context.history.find(request);
  }

  /** See {@linkcode Face.finish}. */
  async finish(): Promise<void> {
    for (const { queue } of this.#rooms.list) queue.end();
    await Promise.resolve(); // whoever waits for what was shown goes first
  }

  /** Shows everything that waits to be shown. */
  flush(): void {
    for (const { queue, feed } of this.#rooms.list) {
      queue.flush();
      feed.flush();
    }
  }

  /** @throws {UsageError} Before there is a session. */
  #roomOf(conversation: Conversation): Room {
    const room = this.#rooms.of(conversation);
    if (room === undefined) throw new UsageError("not connected yet");
    return room;
  }

  #try(conversation: Conversation, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#refuse(conversation, error);
      return false;
    }
  }

  #answer(conversation: Conversation, { lines = [], hint = "", later }: Answer): void {
    const text = typeof lines === "string" ? lines : lines.join("\n");
    if (text !== "") this.#addNotice(conversation, { level: "answer", text, hint });
    later?.then(
      (answer) => this.#answer(conversation, answer),
      (error) => this.#refuse(conversation, error),
    );
  }

  /** Shows nicks and trust, which a command may have changed. */
  #refresh(): void {
    for (const { feed } of this.#rooms.list) feed.refresh();
    this.#rooms.refreshPersons();
  }

  /** @throws What is no {@linkcode UsageError}. */
  #refuse(conversation: Conversation, error: unknown): void {
    if (!(error instanceof UsageError)) throw error;
    const { message: text, hints } = error;
    this.#addNotice(conversation, { level: "error", text, hint: hints.join("; ") });
  }

  /** In the conversation that is shown, if this one was closed. */
  #addNotice(conversation: Conversation, notice: Notice): void {
    if (this.#hides(notice.level)) return;
    const { conversations } = this;
    const isOpen = conversations.list.includes(conversation);
    const { clock } = this.#options;
    conversations.addNotice(isOpen ? conversation : conversations.shown, notice, clock.wallTime());
  }

  #hides(level: Notice["level"]): boolean {
    const { quiet, screen: { settings } } = this.#options;
    return hides(level, quiet ? "notices" : settings.quiet ? "presence" : "off");
  }

  // Rooms and people.

  readonly #controls: RoomControls = {
    join: (name) => this.conversations.show(this.#join(name)),
    part: (name) => this.#part(name),
    list: () =>
      this.#rooms.list.map(({ context: { room, session }, conversation }) => ({
        room,
        connection: conversation.connection,
        others: session.people().length,
      })),
  };

  /** @throws {UsageError} If there are too many rooms. */
  #join(name: string): Conversation {
    const known = this.#rooms.find(name);
    if (known !== undefined && known.conversation.connection !== "left") return known.conversation;
    const { openRoom, session: { away } } = this.#rooms.list[0]!.context;
    const context = openRoom(name);
    if (away !== "") context.session.setAway(away);
    if (known !== undefined) this.#drop(known);
    return this.#add(context);
  }

  /** @throws {UsageError} If it is not open, or no other is. */
  #part(name: string): void {
    const room = this.#rooms.find(name);
    if (room === undefined) {
      throw new UsageError(`you are not in ${name}`, ["/list lists your rooms"]);
    }
    const isOpen = ({ conversation }: Room) => conversation.connection !== "left";
    if (!this.#rooms.list.some((other) => other !== room && isOpen(other))) {
      throw new UsageError("this is the only room that you are in", ["/quit leaves Hearth"]);
    }
    this.#drop(room);
    room.context.leave();
    this.conversations.close(room.conversation);
    this.#rooms.refreshPersons();
  }

  #drop(room: Room): void {
    room.queue.flush();
    room.feed.flush();
    room.requests.close();
    this.#rooms.remove(room);
  }

  /** Not before the server's password is known. */
  #joinKept(): void {
    if (this.#areKeptJoined) return;
    this.#areKeptJoined = true;
    const { shown } = this.conversations;
    for (const room of this.#options.screen.settings.rooms) {
      try {
        this.#join(room);
      } catch (error) {
        this.#refuse(shown, error);
      }
    }
  }

  #placeIn(conversation: Conversation, room: Room): Place {
    const { conversations } = this;
    const fingerprint = personOf(conversation);
    return {
      log: this.#logOf(conversation, room.context),
      to: fingerprint === undefined ? undefined : { fingerprint, nick: conversation.title },
      chat: {
        conversation,
        query: (person) => conversations.show(this.#rooms.openPerson(person)),
        close: () => conversations.close(conversation),
        clear: () => conversations.clear(conversation),
        names: () => this.#names(room),
      },
    };
  }

  #logOf(conversation: Conversation, { fingerprint, session }: FaceContext): ConversationLog {
    return new ConversationLog(this.conversations, conversation, {
      fingerprint,
      get nick() {
        return session.nick;
      },
    });
  }

  /** The user first, the others by their nicks. */
  #names({ context: { session, fingerprint }, feed, requests }: Room): string[] {
    const { nick, away } = session;
    const lines = namesTable([
      { nick, fingerprint, away, recap: session.recap },
      ...sortByNick(session.people()).map((person) => ({
        ...person,
        trust: feed.trustOf(person.fingerprint),
        ignored: requests.ignores(person.fingerprint),
      })),
    ], {
      own: fingerprint,
      utf8: this.#options.screen.utf8,
      now: new Date(this.#options.clock.wallTime()),
    });
    return session.joined ? lines : ["not connected; last seen here:", ...lines];
  }
}
