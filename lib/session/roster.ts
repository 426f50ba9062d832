/**
 * Who is in the room, and what they are called (PROTOCOL.md §6, §8, §9).
 *
 * Knows nothing of channels beyond that there may be one, and sends nothing.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { Trust } from "./events.ts";
import { foldNick, showNick, showNicks } from "../protocol/names.ts";
import type { Target } from "../target.ts";
import type { Peer } from "./peer.ts";
import type { PeerBook } from "./known_peers.ts";

/** An entry of the roster. */
export interface Member {
  /** 16 hex digits. */
  readonly sid: string;
  /** 32 bytes, as the relay claims. */
  readonly fingerprint: Bytes;
  /** The fingerprint as `SHA256:…`. */
  readonly name: string;
  /** Its place in the order of everything seen; what was written before is late for it. */
  readonly serial: number;
  /** The clock's time when it came into this connection's roster. */
  readonly since: number;
  /** When it came into the roster, milliseconds since 1970. */
  readonly sinceWall: number;
  /** Pairing and channel; none while there is no connection. */
  peer: Peer | undefined;
  /** What is kept for it. */
  target: Target;
  /** The nick as sent; known from HELLO on. */
  nick: string | undefined;
  /** The proven public identity; known from HELLO on. */
  id: Bytes | undefined;
  /** Their key was met in this run for the first time. */
  isNew: boolean;
  weak: boolean;
  away: string;
  /** Nothing more is tried with this sid, §6. */
  refused: boolean;
  /** `joined` was told since the last WELCOME. */
  announced: boolean;
  /** The user believes them to be here. */
  shown: boolean;
  /** The user was told that they cannot be authenticated. */
  warned: boolean;
}

/**
 * Makes an entry of the roster.
 *
 * @param entry.before The entry of the same sid and fingerprint in the roster of the last connection.
 */
export function makeMember(
  entry: Pick<Member, "sid" | "fingerprint" | "name" | "serial" | "target"> & {
    clock: Clock;
    before: Member | undefined;
  },
): Member {
  const { clock, before, ...rest } = entry;
  const member: Member = {
    ...rest,
    since: clock.now(),
    sinceWall: before?.sinceWall ?? clock.wallTime(),
    peer: undefined,
    nick: undefined,
    id: undefined,
    isNew: false,
    weak: false,
    away: "",
    announced: false,
    shown: false,
    refused: false,
    warned: false,
  };
  if (before) inheritLooks(member, before);
  return member;
}

/** Has a member look like the one it seems to be again, until its HELLO says. */
export function inheritLooks(member: Member, before: Member): void {
  member.shown = before.shown;
  member.nick = before.nick;
  member.id = before.id;
  member.isNew = before.isNew;
  member.weak = before.weak;
}

/** A person in the room as the user may look at them. */
export interface Person {
  /** The nick as it is shown. */
  readonly nick: string;
  /** The nick as it was sent. */
  readonly usedNick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** 32 bytes. */
  readonly fingerprintBytes: Bytes;
  readonly trust: Trust;
  readonly weak: boolean;
  /** Empty when present. */
  readonly away: string;
  /** Since when they are in the room, ISO 8601. */
  readonly since: string;
  /** The public identity, for the digits of `/verify`. */
  readonly id: Bytes;
}

/** One's own place among the names. */
export interface OwnName {
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** 16 hex digits; zeros without a connection. */
  readonly sid: string;
}

/** The members of the last roster, by sid, in the order in which they joined. */
export class Roster {
  /** By sid. */
  members: Map<string, Member> = new Map();
  #book: PeerBook;
  #own: () => OwnName;

  constructor(book: PeerBook, own: () => OwnName) {
    this.#book = book;
    this.#own = own;
  }

  /** How well a member's key is known. */
  trust(member: Member): Trust {
    const trust = this.#book.judge(member.name, member.nick ?? "");
    // Somebody met today for the first time stays new for this run.
    return trust === "known" && member.isNew ? "new" : trust;
  }

  /** The name under which a member is shown, §9. */
  shownNick(member: Member): string {
    return this.#shownNicks().get(member) ?? showNick(member.nick ?? "", member.name);
  }

  /** The people in the room. */
  people(): Person[] {
    return [...this.#shownNicks()].map(([member, nick]) => ({
      nick,
      usedNick: member.nick!,
      fingerprint: member.name,
      fingerprintBytes: member.fingerprint,
      trust: this.trust(member),
      weak: member.weak,
      away: member.away,
      since: new Date(member.sinceWall).toISOString(),
      id: member.id!,
    }));
  }

  /**
   * Finds the person that a nick as shown, a nick as used, or a fingerprint means.
   *
   * @returns One of their places, if they are here several times.
   * @throws {UsageError} When it is nobody, or more than one person.
   */
  find(who: string): Member {
    const shown = [...this.#shownNicks()];
    const exact = shown.find(([member, nick]) => nick === who || member.name === who);
    if (exact) return exact[0];
    const folded = foldNick(who);
    const matches = shown.filter(([member, nick]) =>
      foldNick(nick) === folded || foldNick(member.nick!) === folded
    );
    const first = matches[0];
    if (!first) {
      const own = this.#own();
      const nobody = foldNick(own.nick) === folded || own.fingerprint === who
        ? "nobody here but you"
        : "nobody here";
      throw new UsageError(`${nobody} is called ${who}`, ["see who is here: /names"]);
    }
    if (matches.some(([member]) => member.name !== first[0].name)) {
      const nicks = matches.map(([, nick]) => nick).join(", ");
      throw new UsageError(`more than one person is called ${who}`, [`say which: ${nicks}`]);
    }
    return first[0];
  }

  /** Finds a person as {@linkcode Roster.find} does. */
  findPerson(who: string): Person {
    const { name } = this.find(who);
    return this.people().find(({ fingerprint }) => fingerprint === name)!;
  }

  /** All places of one person. */
  placesOf(fingerprint: string): Member[] {
    return [...this.members.values()].filter(({ name }) => name === fingerprint);
  }

  /** Somebody in the roster has this stream or waiting list. */
  holds(target: Target): boolean {
    for (const member of this.members.values()) if (member.target === target) return true;
    return false;
  }

  #shownNicks(): Map<Member, string> {
    const shown = [...this.members.values()].filter((member) => member.shown && member.id);
    const names = showNicks([
      this.#own(),
      ...shown.map(({ nick, name, sid }) => ({ nick: nick!, fingerprint: name, sid })),
    ]);
    return new Map(shown.map((member, i) => [member, names[i + 1]!]));
  }
}
