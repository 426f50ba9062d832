/**
 * The members of the room and the names under which they are shown (PROTOCOL.md §6, §8, §9).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { Trust } from "./events.ts";
import { foldNick, isGoodNick, lookKey, nameKey, showNick, showNicks } from "../protocol/names.ts";
import { RECAP_FEATURE } from "../protocol/own_messages.ts";
import type { Peer } from "./peer.ts";
import type { KnownPeers } from "./known_peers.ts";
import type { Inbox } from "./inbox.ts";
import type { Person } from "./people.ts";
import type { Stream } from "./streams.ts";

/** An entry of the roster. */
export interface RosterMember {
  /** 16 hex digits. */
  readonly sid: string;
  /** As the relay claims, 32 bytes. */
  readonly fingerprint: Bytes;
  /** The fingerprint as `SHA256:…`. */
  readonly name: string;
  readonly person: Person;
  /** The clock's time when the sid was first in a roster of ours; what was written well before is late for it. */
  readonly listedAt: number;
  /** When they were in a roster of ours first, on whatever connection, in milliseconds since 1970. */
  sinceWall: number;
  /** Handshake and channel; undefined while there is no connection. */
  peer: Peer | undefined;
  /** The stream to its instance; undefined before HELLO. */
  stream: Stream | undefined;
  inbox: Inbox | undefined;
  /** The nick as sent; undefined before HELLO. */
  nick: string | undefined;
  /** The last nick that was received, which takes effect when there is room for it, §10. */
  nextNick: string | undefined;
  /** The proven public identity; undefined before HELLO. */
  id: Bytes | undefined;
  /** The shown nick that was last reported. */
  toldNick: string | undefined;
  /** The trust that was last reported. */
  toldTrust: Trust | undefined;
  /** Their key was first seen in this run. */
  isNew: boolean;
  weak: boolean;
  /** The features of its last HELLO. */
  features: number;
  away: string;
  /** Refused for good: its channel ended with a reason after which the initiator does not retry, §6. */
  refused: boolean;
  /** `joined` was emitted since the last WELCOME. */
  announced: boolean;
  /** The user sees them as present. */
  shown: boolean;
}

/**
 * Makes an entry of the roster.
 *
 * @param entry.before The entry of the same sid and fingerprint in the roster of the last connection.
 */
export function makeRosterMember(
  entry: Pick<RosterMember, "sid" | "fingerprint" | "name" | "person"> & {
    clock: Clock;
    before: RosterMember | undefined;
  },
): RosterMember {
  const { clock, before, ...rest } = entry;
  const member: RosterMember = {
    ...rest,
    listedAt: before?.listedAt ?? clock.now(),
    sinceWall: clock.wallTime(),
    peer: undefined,
    stream: undefined,
    inbox: undefined,
    nick: undefined,
    nextNick: undefined,
    id: undefined,
    toldNick: undefined,
    toldTrust: undefined,
    isNew: false,
    weak: false,
    features: 0,
    away: "",
    announced: false,
    shown: false,
    refused: false,
  };
  if (before) copyProfile(member, before);
  return member;
}

/** Shows a member as the earlier one that it seems to be, until its HELLO arrives. */
export function copyProfile(member: RosterMember, before: RosterMember): void {
  member.shown = before.shown;
  member.sinceWall = before.sinceWall;
  member.nick = before.nick;
  member.id = before.id;
  member.isNew = before.isNew;
  member.weak = before.weak;
  member.features = before.features;
}

/** A person who is lost, for the user interface. */
export interface LostPerson {
  /** The nick as shown (§9). */
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly trust: Trust;
  /** ISO 8601; since the last WELCOME, if the user's own connection was gone after that. */
  readonly since: string;
  /** Until when they get what is written, ISO 8601, if the user's connection lasts. */
  readonly until: string;
}

/** A person in the room, for the user interface. */
export interface ShownPerson {
  /** The nick as shown (§9). */
  readonly nick: string;
  /** The nick as sent. */
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
  /** What they write may be handed on to people who come later. */
  readonly recap: boolean;
}

/** Our own name, which others' must not be confused with. */
interface OwnName {
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** 16 hex digits; zeros without a connection. */
  readonly sid: string;
}

/** The names last computed, and what from. */
interface Names {
  readonly own: OwnName;
  /** Everybody who is shown, with the nick as sent. */
  readonly from: readonly { readonly member: RosterMember; readonly nick: string }[];
  readonly of: Map<RosterMember, string>;
}

/** The members of the last roster. */
export class Roster {
  /** By sid, in the order in which they joined. */
  members: Map<string, RosterMember> = new Map();
  /** Members of the roster before that are still shown, because they are expected to come along to another relay. */
  readonly expected = new Set<RosterMember>();
  #knownPeers: KnownPeers;
  #own: () => OwnName;
  #names: Names | undefined;

  constructor(knownPeers: KnownPeers, own: () => OwnName) {
    this.#knownPeers = knownPeers;
    this.#own = own;
  }

  /** The user's own nick. */
  get ownNick(): string {
    return this.#own().nick;
  }

  trust(member: RosterMember): Trust {
    const trust = this.#knownPeers.judge(member.name, member.nick ?? "");
    // A key first seen in this run stays new until it ends.
    return trust === "known" && member.isNew ? "new" : trust;
  }

  /** The nick under which a member is shown, §9. */
  shownNick(member: RosterMember): string {
    // One that has just left keeps the name it was last shown under.
    return this.shownNicks().get(member) ?? member.toldNick ??
      showNick(member.nick ?? "", member.name);
  }

  /** The people in the room, in the order in which they joined. */
  people(): ShownPerson[] {
    return [...this.shownNicks()].map(([member, nick]) => ({
      nick,
      usedNick: member.nick!,
      fingerprint: member.name,
      fingerprintBytes: member.fingerprint,
      trust: this.trust(member),
      weak: member.weak,
      away: member.away,
      since: new Date(member.sinceWall).toISOString(),
      id: member.id!,
      recap: (member.features & RECAP_FEATURE) !== 0,
    }));
  }

  /**
   * Finds the person that a fingerprint, a nick as shown, or a nick as sent means. No nick has a colon, so a word with
   * one matches fingerprints only; a nick as sent counts only if it keeps all rules of §9. Otherwise anybody could take
   * a name under which somebody else is known. Nicks that look the same mean more than one person.
   *
   * @returns One of their members, if they are here several times.
   * @throws {UsageError} When it means nobody or more than one person.
   */
  find(who: string): RosterMember {
    const shown = [...this.shownNicks()];
    const exact = shown.find(([member, nick]) => (who.includes(":") ? member.name : nick) === who);
    if (exact) return exact[0];
    const folded = foldNick(who);
    const good = shown.filter(([member]) => isGoodNick(member.nick!));
    const matches = good.filter(([member, nick]) =>
      nameKey(nick) === nameKey(who) || foldNick(member.nick!) === folded
    );
    const first = matches[0];
    if (!first) {
      const own = this.#own();
      const nobody = foldNick(own.nick) === folded || own.fingerprint === who
        ? "nobody here but you"
        : "nobody here";
      throw new UsageError(`${nobody} is called ${who}`, ["see who is here: /names"]);
    }
    const look = lookKey(who);
    const all = good.filter((one) => matches.includes(one) || lookKey(one[0].nick!) === look);
    if (all.some(([member]) => member.name !== first[0].name)) {
      const nicks = all.map(([, nick]) => nick).join(", ");
      throw new UsageError(`more than one person is called ${who}`, [`say which: ${nicks}`]);
    }
    return first[0];
  }

  /** The names under which people who are not here are shown, in the same order, beside those who are. */
  namesAmong(others: readonly { readonly nick: string; readonly fingerprint: string }[]): string[] {
    const here = [...this.shownNicks().keys()].map(({ nick, name, sid }) => ({
      nick: nick!,
      fingerprint: name,
      sid,
    }));
    const named = others.map((other) => ({ ...other, sid: "" }));
    return showNicks([this.#own(), ...here, ...named]).slice(1 + here.length);
  }

  /** Finds a person as {@linkcode Roster.find} does. */
  findPerson(who: string): ShownPerson {
    const { name } = this.find(who);
    return this.people().find(({ fingerprint }) => fingerprint === name)!;
  }

  /** All members with this fingerprint. */
  membersOf(fingerprint: string): RosterMember[] {
    return [...this.members.values()].filter(({ name }) => name === fingerprint);
  }

  /** The names of all who are shown, §9. They are asked for with every message, but seldom change. */
  shownNicks(): Map<RosterMember, string> {
    const own = this.#own();
    if (!this.#names || !this.#isCurrent(this.#names, own)) {
      const from = [...this.#shown()].map((member) => ({ member, nick: member.nick! }));
      this.#names = { own, from, of: nameAll(from, own) };
    }
    return this.#names.of;
  }

  *#shown(): Iterable<RosterMember> {
    for (const member of this.members.values()) if (member.shown && member.id) yield member;
    for (const member of this.expected) if (member.shown && member.id) yield member;
  }

  #isCurrent({ own, from }: Names, now: OwnName): boolean {
    if (own.nick !== now.nick || own.sid !== now.sid) return false;
    let count = 0;
    for (const member of this.#shown()) {
      const before = from[count++];
      if (before?.member !== member || before.nick !== member.nick) return false;
    }
    return count === from.length;
  }
}

/** The names of all who are shown, §9: other terminals of the user share the user's name. */
function nameAll(from: Names["from"], own: OwnName): Map<RosterMember, string> {
  const isOwn = ({ member, nick }: Names["from"][number]) =>
    member.name === own.fingerprint && foldNick(nick) === foldNick(own.nick);
  const others = from.filter((each) => !isOwn(each));
  const named = others.map(({ member: { name, sid }, nick }) => ({ nick, fingerprint: name, sid }));
  const names = showNicks([own, ...named]).slice(1);
  const byMember = new Map(names.map((name, i) => [others[i]!.member, name]));
  return new Map(from.map(({ member }) => [member, byMember.get(member) ?? own.nick]));
}
