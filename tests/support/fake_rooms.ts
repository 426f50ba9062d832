/**
 * Rooms without a server: sessions that say who is there and record what they are asked for.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import { STATUS } from "../../lib/protocol/frames.ts";
import type { KnownPeers, Person, Session, SessionEvent } from "../../lib/session/mod.ts";
import type { FaceContext } from "../../lib/ui/face.ts";

export const ANNA = "SHA256:anna";

/** Somebody whose key is known. */
export function person(nick: string, fingerprint = `SHA256:${nick}`): Person {
  const since = "2026-01-01T00:00:00.000Z";
  return { nick, usedNick: nick, fingerprint, trust: "known", away: "", since } as Person;
}

/** A room where anna is. */
export class FakeRoom {
  readonly name: string;
  people: Person[] = [];
  /** The fingerprints of people who were here a moment ago. */
  lost: string[] = [];
  nick = "anna";
  away = "";
  isLeft = false;
  /** What was asked of the session: the method and its arguments. */
  readonly calls: unknown[][] = [];
  #count = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Its session. */
  get session(): Session {
    const record = (name: string) => (...args: unknown[]) => {
      this.calls.push([name, ...args]);
      return `${this.name} ${++this.#count}`;
    };
    // deno-lint-ignore no-this-alias
    const room = this;
    return {
      get nick() {
        return room.nick;
      },
      get away() {
        return room.away;
      },
      topic: "",
      joined: true,
      admin: () => Promise.resolve({ status: STATUS.NOT_ALLOWED, data: new Uint8Array() }),
      until: () => Promise.resolve(true),
      wake: () => {},
      blocked: false,
      people: () => this.people,
      lost: () => [],
      find: (name: string) => {
        const found = this.people.find(({ nick, fingerprint }) =>
          [nick, fingerprint].includes(name)
        );
        if (found === undefined) throw new UsageError(`nobody here is called ${name}`);
        return found;
      },
      reaches: (fingerprint: string) =>
        this.lost.includes(fingerprint) ||
        this.people.some((person) => person.fingerprint === fingerprint),
      missing: () => [],
      isWaiting: () => false,
      say: record("say"),
      sendPrivate: record("sendPrivate"),
      sendNote: record("sendNote"),
      markRead: record("markRead"),
      setTopic: record("setTopic"),
      reportTrust: () => {},
      setNick: (nick: string) => room.nick = nick,
      setAway: (text: string) => room.away = text,
    } as unknown as Session;
  }

  /** Events of people who come to the room; they are here from now on. */
  joins(...people: Person[]): SessionEvent[] {
    this.people.push(...people);
    return people.map(({ nick, fingerprint, trust }) => (
      { event: "joined", nick, fingerprint, trust, weak: false }
    ));
  }
}

/** The rooms of a server. */
export class FakeServer {
  readonly rooms = new Map<string, FakeRoom>();
  limit = Infinity;

  /** Opens a room, as a face does. */
  open(name: string): FaceContext {
    if (this.rooms.size >= this.limit) throw new UsageError("too many rooms");
    const room = new FakeRoom(name);
    this.rooms.set(name, room);
    return {
      session: room.session,
      knownPeers: { owners: () => [], judge: () => "new" } as unknown as KnownPeers,
      key: { id: new Uint8Array(64), fingerprint: new Uint8Array(32) } as FaceContext["key"],
      fingerprint: ANNA,
      history: {
        state: "off",
        find: () => Promise.resolve([]),
      } as unknown as FaceContext["history"],
      address: "x:1",
      room: name,
      serving: false,
      strict: false,
      openRoom: (another) => this.open(another),
      leave: () => {
        room.isLeft = true;
        this.rooms.delete(name);
      },
      serverFingerprint: () => undefined,
      invitation: () => "./client --host x",
      sharedLines: (): readonly string[] => [],
      isOnlyHere: () => false,
      resolvePath: (path) => path,
      listPaths: () => [],
      fileFolder: "~/Downloads",
      showPath: (path) => path.replace("/me", "~"),
      keepNick: () => {},
    };
  }
}

/** Anna's entry to a room. */
export function welcome(room: string, members = 0): SessionEvent {
  return { event: "welcome", room, members, authenticated: "key" };
}

/** A message of somebody, with some fields changed. */
export function message(
  { nick, fingerprint }: Person,
  text: string,
  some: Partial<SessionEvent & { event: "chat" }> = {},
): SessionEvent {
  return {
    event: "chat",
    id: "0".repeat(16),
    nick,
    fingerprint,
    sent: "2026-01-01T00:00:00.000Z",
    private: false,
    action: false,
    late: false,
    view: "same",
    text,
    ...some,
  };
}
