/**
 * The rooms that a client is in, and through which of them a person is written to.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Conversation, type Person, personId, personOf } from "./conversation.ts";
import type { Conversations } from "./conversations.ts";
import type { EventQueue } from "./event_queue.ts";
import type { FaceContext } from "./face.ts";
import type { Feed } from "./feed.ts";
import type { Recipient, Requests } from "./requests.ts";

/** People of whom it is remembered over which room they wrote. */
const MAX_ROUTES = 1024;

/** A room that is open. */
export interface Room {
  readonly context: FaceContext;
  readonly conversation: Conversation;
  readonly feed: Feed;
  readonly requests: Requests;
  /** Its events that are not shown yet. */
  readonly queue: EventQueue;
}

export class Rooms {
  readonly #conversations: Conversations;
  readonly #ignored: ReadonlyMap<string, string>;
  #list: Room[] = [];
  /** By fingerprint, the room over which somebody last wrote privately. */
  readonly #routes = new BoundedMap<string, Room>(MAX_ROUTES);

  /** @param ignored The people whose messages are hidden, by fingerprint. */
  constructor(conversations: Conversations, ignored: ReadonlyMap<string, string>) {
    this.#conversations = conversations;
    this.#ignored = ignored;
  }

  /** In the order in which they were opened. */
  get list(): readonly Room[] {
    return this.#list;
  }

  add(room: Room): void {
    this.#list.push(room);
  }

  remove(room: Room): void {
    this.#list = this.#list.filter((other) => other !== room);
  }

  find(name: string): Room | undefined {
    return this.#list.find(({ context }) => context.room === name);
  }

  /** Somebody has written privately over this room. */
  heard(fingerprint: string, room: Room): void {
    this.#routes.renew(fingerprint, room);
  }

  /** The room where commands that are typed in a conversation run; undefined before the first is open. */
  of(conversation: Conversation): Room | undefined {
    const person = personOf(conversation);
    const room = person === undefined
      ? this.#list.find((room) => room.conversation === conversation)
      : this.routeTo(person);
    return room ?? this.#list[0];
  }

  /**
   * The room through which somebody is written to: over which they wrote last, if they are shown or lost there; else the
   * first where they are shown, else the first where they are lost.
   */
  routeTo(fingerprint: string): Room | undefined {
    const last = this.#routes.get(fingerprint);
    const reaches = ({ context: { session } }: Room) => session.reaches(fingerprint);
    if (last !== undefined && this.#list.includes(last) && reaches(last)) return last;
    return this.#list.find((room) => findIn(room, fingerprint)) ?? this.#list.find(reaches);
  }

  /** Opens the conversation with somebody, or finds it. */
  openPerson({ fingerprint, nick }: Recipient): Conversation {
    const known = this.#conversations.find(personId(fingerprint));
    if (known !== undefined) return known;
    const conversation = this.#conversations.open(personId(fingerprint), nick);
    this.refreshPersons();
    return conversation;
  }

  /** Brings up to date what conversations with people say about them. */
  refreshPersons(): void {
    const persons = this.#conversations.list.filter(({ kind }) => kind === "person");
    for (const conversation of persons) {
      const fingerprint = personOf(conversation)!;
      const reaching = this.routeTo(fingerprint);
      const route = reaching ?? this.#list[0];
      const [person] = this.#list.flatMap((room) => findIn(room, fingerprint) ?? []);
      conversation.title = person?.nick ?? conversation.title;
      conversation.connection = route?.conversation.connection ?? "connecting";
      conversation.retryAt = route?.conversation.retryAt;
      const gone: Person = {
        fingerprint,
        nick: conversation.title,
        trust: route?.feed.trustOf(fingerprint) ?? "new",
        away: "",
        here: false,
        lost: reaching !== undefined,
        ignored: this.#ignored.has(fingerprint),
      };
      this.#conversations.setPeople(conversation, [person ?? gone]);
    }
    if (persons.length > 0) this.#conversations.changedList();
  }
}

/** Somebody who is shown in a room; of the user, another client of theirs. */
function findIn({ conversation: { people } }: Room, fingerprint: string): Person | undefined {
  return people.find((person) => person.fingerprint === fingerprint && person.trust !== "self");
}
