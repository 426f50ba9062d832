/**
 * What happens in one room, as the user is to see it: the events of its session become entries of its conversation, and
 * of those with its people.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock } from "../base/clock.ts";
import { foldNick } from "../protocol/names.ts";
import type {
  ChatEvent,
  ErrorEvent,
  HistoryEvent,
  MessageName,
  NoteEvent,
  ReadEvent,
  SessionEvent,
  Trust,
} from "../session/mod.ts";
import { ConnectionStatus } from "./connection_status.ts";
import {
  type Conversation,
  MAX_QUOTE_LENGTH,
  type MessageEntry,
  personId,
  type Quote,
} from "./conversation.ts";
import type { Conversations } from "./conversations.ts";
import { Deliveries } from "./deliveries.ts";
import type { FaceContext } from "./face.ts";
import { FileEntries } from "./file_entries.ts";
import { pastMessages } from "./past_messages.ts";
import { mentions } from "./mention.ts";
import { noteNotice, type Notice, noticeOf } from "./notices.ts";
import { Presence } from "./presence.ts";
import type { SentMessage } from "./requests.ts";
import type { ServerWords } from "./server_words.ts";

/** Events about people that are not about their coming and going. */
const CHANGES_PEOPLE: ReadonlySet<SessionEvent["event"]> = new Set(["self", "ignored"]);

/** Hearsay that is remembered until its author sends it. */
const MAX_TOLD = 1024;

interface FeedOptions {
  readonly clock: Clock;
  readonly conversations: Conversations;
  readonly room: Conversation;
  readonly context: Pick<
    FaceContext,
    "session" | "fingerprint" | "serving" | "strict" | "knownPeers" | "fileFolder" | "showPath"
  >;
  readonly words: ServerWords;
  /** It is the client's first room, where the server is introduced. */
  readonly isFirst: boolean;
  /** The conversation with a person, opened if need be. */
  openPerson(person: { fingerprint: string; nick: string }): Conversation;
  /** Whether the user does not want to see such notices. */
  hides(level: Notice["level"]): boolean;
  ignores(fingerprint: string): boolean;
}

export class Feed {
  readonly #options: FeedOptions;
  readonly #presence: Presence;
  readonly #deliveries: Deliveries;
  readonly #files: FileEntries;
  readonly #status: ConnectionStatus;
  /** Hearsay that its author has not sent yet, by fingerprint and id. */
  readonly #told = new BoundedMap<string, true>(MAX_TOLD);
  /** Messages that were missed and are still to come. */
  #missed = 0;

  constructor(options: FeedOptions) {
    const { clock, words, context } = options;
    const { session, fingerprint, serving, strict, knownPeers } = context;
    const nickOf = (person: string) => this.nickOf(person);
    this.#options = options;
    this.#presence = new Presence({
      clock,
      fingerprint,
      names: { nickOf, ownText: () => undefined },
      host: () => session.standing?.host,
      people: () => session.people(),
      judge: (person, nick) => knownPeers.judge(person, nick),
      own: () => session.nick,
      print: (notice) => this.#print(notice),
    });
    const { conversations, room } = options;
    this.#deliveries = new Deliveries({ clock, conversations, room, session, strict, nickOf });
    this.#files = new FileEntries({
      ...options,
      nickOf,
      trustOf: (person) => this.trustOf(person),
    });
    this.#status = new ConnectionStatus({
      serving: serving || !options.isFirst,
      nickOf,
      fingerprint,
      words,
      print: (notice, { isOutage }) =>
        this.#print(notice, isOutage ? options.conversations.shown : undefined),
    });
  }

  /** The nick of someone who is or was here; for anyone else, the fingerprint. */
  nickOf(fingerprint: string): string {
    return this.#presence.nickOf(fingerprint);
  }

  /** See {@linkcode Presence.trustOf}. */
  trustOf(fingerprint: string): Trust {
    return this.#presence.trustOf(fingerprint);
  }

  /** Takes an event of the session. */
  take(event: SessionEvent): void {
    this.#warn(event);
    const isPresence = this.#presence.take(event);
    if (this.#status.take(event)) this.#showConnection(event);
    else this.#show(event, isPresence);
    if (event.event === "chat" && !event.own && !event.hearsay) {
      this.#showSpeaker(event.fingerprint);
    } else if (isPresence || CHANGES_PEOPLE.has(event.event)) this.refresh();
  }

  /** Takes an event that the user does not want to see. */
  passOver(event: SessionEvent): void {
    if (event.event === "chat" && event.missed) this.#endMissed();
  }

  /** Shows a message that the session has taken, and watches its delivery. */
  accept(id: string, { text, action, to, reply }: SentMessage): void {
    const { clock, conversations, room, context: { fingerprint, session }, openPerson } =
      this.#options;
    const conversation = to === undefined ? room : openPerson(to);
    const quote = reply && this.#quote(conversation, reply);
    const entry = conversations.add<MessageEntry>(conversation, {
      type: "message",
      id,
      at: clock.wallTime(),
      from: fingerprint,
      nick: session.nick,
      trust: "self",
      own: true,
      via: room.title,
      action,
      text,
      mention: false,
      view: "same",
      ...(quote && { quote }),
      reactions: new Map(),
      edited: false,
      retracted: false,
      delivery: this.#deliveries.first(id),
    });
    this.#deliveries.watch(entry, conversation);
  }

  /** Shows who is here; call it after a command, too, which may have changed nicks and trust. */
  refresh(): void {
    const { conversations, room, context: { session, fingerprint }, ignores } = this.#options;
    this.#presence.refresh();
    const { nick, away } = session;
    conversations.setPeople(room, [
      { fingerprint, nick, trust: "self", away, here: true, ignored: false },
      ...this.#presence.bySpeech(session.people()).map((person) => ({
        fingerprint: person.fingerprint,
        nick: person.nick,
        trust: this.trustOf(person.fingerprint),
        away: person.away,
        here: true,
        ignored: ignores(person.fingerprint),
      })),
    ]);
  }

  /** Shows what is due about deliveries, and looks at files no more; call before the program ends. */
  flush(): void {
    this.#deliveries.flush();
    this.#files.close();
  }

  #show(event: SessionEvent, isPresence: boolean): void {
    const { conversations, room, words } = this.#options;
    switch (event.event) {
      case "sent":
        return this.#deliveries.accepted(event.id, event.to.length);
      case "chat":
        this.#showMessage(event);
        return event.missed && this.#endMissed();
      case "note":
        return this.#showNote(event);
      case "history":
        return this.#showHistory(event);
      case "missed":
        this.#missed = event.count;
        return this.#notify(event);
      case "read":
        return this.#takeRead(event);
      case "nick": {
        const person = conversations.find(personId(event.fingerprint));
        return person && this.#notify(event, person, event.fingerprint);
      }
      case "topic":
        room.topic = event.text;
        conversations.changedList();
        return this.#notify(event);
      case "server":
        if (words.isNew(event, room.title)) this.#notify(event, conversations.shown);
        return;
      case "error":
        return this.#showError(event);
      case "delivered":
        return this.#deliveries.delivered(event.id, event.to);
      case "kept":
        return this.#deliveries.kept(event.id, event.to, event.until);
      case "undelivered":
        return this.#deliveries.undelivered(event.id, event.to);
      case "offered":
      case "offer":
      case "transfer":
      case "received":
      case "sentfile":
      case "transferfailed":
        return this.#files.take(event);
      default:
        if (!isPresence) this.#notify(event);
    }
  }

  /** A warning about somebody's key is for their conversation, too, and for that of whose nick they have. */
  #warn(event: SessionEvent): void {
    if (event.event !== "joined" || event.trust !== "conflict") return;
    if (this.#presence.isInConflict(event.fingerprint)) return;
    for (const conversation of this.#options.conversations.list) {
      const { id, kind, title } = conversation;
      if (kind !== "person") continue;
      if (id === personId(event.fingerprint) || foldNick(title) === foldNick(event.nick)) {
        this.#notify(event, conversation, event.fingerprint);
      }
    }
  }

  #showConnection(event: SessionEvent): void {
    const { clock, conversations, room } = this.#options;
    room.connection = this.#status.state;
    if (event.event === "reconnecting") room.retryAt = clock.wallTime() + event.seconds * 1000;
    else delete room.retryAt;
    conversations.changedList();
    this.refresh();
  }

  #showMessage(event: ChatEvent, edited = false): void {
    const { clock, conversations, room, context: { session }, openPerson } = this.#options;
    const conversation = event.private ? openPerson(this.#otherOf(event)) : room;
    const { id, fingerprint, nick, action, text, view, reply, of, own = false } = event;
    const late = event.missed ? event.at : event.late ? event.sent : undefined;
    const hearsay = event.hearsay?.map((person) => this.nickOf(person));
    const name = `${fingerprint} ${id}`;
    if (hearsay !== undefined) this.#told.set(name, true);
    else if (this.#told.delete(name)) {
      conversations.replaceHearsay(conversation, { id, of: fingerprint });
    }
    const quote = reply === undefined ? undefined : this.#quote(conversation, { id: reply, of });
    conversations.add<MessageEntry>(conversation, {
      type: "message",
      id,
      at: clock.wallTime(),
      from: fingerprint,
      nick,
      trust: own ? "self" : this.trustOf(fingerprint),
      own,
      via: room.title,
      action,
      text,
      mention: !own && hearsay === undefined && mentions(text, session.nick),
      ...(late !== undefined && { late }),
      ...(hearsay !== undefined && { hearsay }),
      view,
      ...(quote && { quote }),
      reactions: new Map(),
      edited,
      retracted: false,
    });
  }

  /** The other side of a private message. */
  #otherOf({ fingerprint, nick, to }: Pick<ChatEvent, "fingerprint" | "nick" | "to">) {
    const [other] = to ?? [];
    return other === undefined
      ? { fingerprint, nick }
      : { fingerprint: other, nick: this.nickOf(other) };
  }

  /** Says where what was missed ends. */
  #endMissed(): void {
    if (--this.#missed === 0) this.#print({ level: "info", text: "until here", hint: "" });
  }

  /** What was seen at another terminal of the user's own is not new here. */
  #takeRead({ private: person, id, of }: ReadEvent): void {
    const { conversations, room } = this.#options;
    const conversation = person === null ? room : conversations.find(personId(person));
    const message = conversation && conversations.findMessage(conversation, { id, of });
    if (message) conversations.readUpTo(conversation, message);
  }

  /** What was said before this run. */
  #showHistory({ entries }: HistoryEvent): void {
    const { conversations, room } = this.#options;
    const via = room.title;
    const nickOf = (person: string) => this.nickOf(person);
    const messages = pastMessages(entries, { via, nickOf });
    for (const message of messages) conversations.add<MessageEntry>(room, message);
    const { at } = messages.at(-1) ?? {};
    const text = "until here it is your own history";
    // On the last of its days: what follows is of another.
    if (at !== undefined) conversations.addNotice(room, { level: "answer", text, hint: "" }, at);
  }

  /** Whoever has spoken last comes first, behind the user. */
  #showSpeaker(fingerprint: string): void {
    const { conversations, room } = this.#options;
    const [own, first, ...rest] = room.people;
    if (own === undefined || first === undefined || first.fingerprint === fingerprint) return;
    const speaker = rest.find((person) => person.fingerprint === fingerprint);
    if (speaker === undefined) return;
    const others = rest.filter((person) => person !== speaker);
    conversations.setPeople(room, [own, speaker, first, ...others]);
  }

  #quote(conversation: Conversation, { id, of }: MessageName): Quote {
    const { conversations, room } = this.#options;
    const message = conversations.findMessage(conversation, { id, of }) ??
      conversations.findMessage(room, { id, of });
    if (message === undefined) return { id, of: undefined, own: false, nick: "", text: "" };
    const { from, own, nick } = message;
    // Not half a character.
    const text = message.text.slice(0, MAX_QUOTE_LENGTH).replace(/[\ud800-\udbff]$/, "");
    return { id, of: from, own, nick, text };
  }

  #showNote(event: NoteEvent): void {
    const { conversations, room } = this.#options;
    const { ref: id, what, nick, fingerprint, text } = event;
    const other = event.to?.[0] ?? fingerprint;
    const conversation = event.private ? conversations.find(personId(other)) : room;
    const isSenders = what === "edit" || what === "retraction";
    const of = event.of ?? (isSenders ? fingerprint : undefined);
    const message = conversation && conversations.findMessage(conversation, { id, of });
    const notice = noteNotice(event, undefined);
    if (message !== undefined) {
      conversations.annotate(conversation!, message, { what, by: { fingerprint, nick }, text });
    } else if (notice !== undefined) conversations.remark(conversation ?? room, notice);
    else {
      // The message is not kept any more: its new text stands for itself.
      const plain = { sent: "", action: false, late: false, view: "same" } as const;
      this.#showMessage({
        ...plain,
        event: "chat",
        id,
        nick,
        fingerprint,
        text,
        private: event.private,
        ...(event.own && { own: true }),
        ...(event.to && { to: event.to }),
      }, true);
    }
  }

  /** An error about a message belongs to its conversation, any other to the one that is shown. */
  #showError(event: ErrorEvent): void {
    const { conversations, room } = this.#options;
    if (event.code === "ended") {
      room.connection = "left";
      conversations.changedList();
      return this.#notify(event);
    }
    const own = event.id === undefined ? undefined : this.#deliveries.refused(event.id);
    this.#notify(event, own ?? conversations.shown);
  }

  // Notices.

  /** @param about The person whom it is about, in their conversation: it is told in the room, too. */
  #notify(event: SessionEvent, conversation = this.#options.room, about?: string): void {
    const notice = noticeOf(event, {
      nickOf: (fingerprint) => this.nickOf(fingerprint),
      ownText: (id) => this.#deliveries.textOf(id),
    });
    if (notice !== undefined) this.#print(notice, conversation, about);
  }

  /** @returns Whether it is shown. */
  #print(notice: Notice, conversation = this.#options.room, about?: string): boolean {
    const { clock, conversations, hides } = this.#options;
    if (hides(notice.level)) return false;
    conversations.addNotice(conversation, notice, clock.wallTime(), about);
    return true;
  }
}
