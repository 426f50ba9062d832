/**
 * Judges what terminals of one person, and everybody else, are told (PROTOCOL.md §17).
 *
 * @module
 */

import { decodeOwnMessage } from "../../lib/protocol/own_messages.ts";
import type {
  ChatEvent,
  MissedEvent,
  NoteEvent,
  NoteKind,
  ReadEvent,
  SessionEvent,
} from "../../lib/session/events.ts";
import type { MessageName } from "../../lib/session/sender.ts";
import type { Villager } from "./village.ts";

/** What is older than this at the end need not be everywhere: a terminal that knows nothing asks for a day. */
const JUDGED_MS = 23 * 3_600_000;
/** One instance is given something once in 60 s. */
const GIVEN_MS = 58_000;
/** A message is shown so long after it was shown elsewhere at most, where its age is told. */
const AGE_SLACK_MS = 2000;
/** The text of what nobody has written. */
export const LIE = "never written";
/** When virtual time begins, in ms since 1970. */
export const EPOCH_MS = 1_767_225_600_000;

/** A message that somebody wrote. */
interface Written {
  readonly author: string;
  readonly id: string;
  readonly text: string;
  /** Of a private one, `SHA256:…`. */
  readonly to: string | undefined;
  /** When it was shown first at a terminal of the person. */
  shownAt: number;
}

/** One run of a program. */
interface Program {
  readonly person: Villager;
  /** Messages, and their places in the order in which they were shown. */
  readonly shown: Map<Written, number>;
  /** What its own history has from before. */
  readonly logged: ReadonlySet<Written>;
  /** What stands of each one's reactions and changes. */
  readonly notes: Map<string, string>;
  /** Up to where each conversation was read; "" is the room. */
  readonly read: Map<string, Written>;
  /** How many events were looked at. */
  seen: number;
  /** So many missed messages are still to come. */
  missing: number;
  /** When each other program has given something last, by its sid. */
  readonly givenAt: Map<string, number>;
}

/** Watches a village in which one person has several terminals. */
export class TerminalsJudge {
  readonly #now: () => number;
  readonly #own: string;
  readonly #isApart: (person: Villager) => boolean;
  readonly #log: (text: string) => void;
  readonly #written: Written[] = [];
  readonly #programs = new Map<Villager, Program>();
  /** All there ever were. */
  readonly #all: Program[] = [];
  readonly #noted = new Set<string>();
  /** Who has made notes to a message of a kind: where there are two, the order is anybody's. */
  readonly #noters = new Map<string, Set<Program>>();
  readonly #marked = new Set<string>();
  /** Of how many messages each terminal has said that another came and got them, and when. */
  #visits: { readonly at: Program; readonly count: number }[] = [];
  /** Ages are right: nobody's clock was set while the programs ran. */
  hasSteadyClocks = true;
  failure: string | undefined;
  /** How many messages came from another terminal. */
  missed = 0;

  /** @param own The fingerprint of the person, `SHA256:…`. */
  constructor(
    own: string,
    options: { now: () => number; isApart(person: Villager): boolean; log(text: string): void },
  ) {
    this.#own = own;
    this.#now = options.now;
    this.#isApart = options.isApart;
    this.#log = options.log;
  }

  get messages(): number {
    return this.#written.length;
  }

  fail(what: string): void {
    this.#log(`FAILED: ${what}`);
    this.failure ??= what;
  }

  /** A program was started: what others tell it is looked at. */
  starts(person: Villager, { keepsHistory = false } = {}): void {
    const { shown, logged } = this.#programs.get(person) ?? {};
    const program: Program = {
      person,
      logged: new Set(keepsHistory ? [...shown?.keys() ?? [], ...logged ?? []] : []),
      shown: new Map(),
      notes: new Map(),
      read: new Map(),
      seen: person.events.length,
      missing: 0,
      givenAt: new Map(),
    };
    this.#programs.set(person, program);
    this.#all.push(program);
    const { own } = person.session.membership;
    const { take } = own;
    own.take = (member, bytes) => {
      const { type } = decodeOwnMessage(bytes) ?? {};
      const isFriend = member.name === this.#own && person.fingerprint === this.#own;
      if (member.name === this.#own && (!isFriend || this.#isApart(person))) {
        this.fail(`${person.nick} is told ${type} by a terminal that is not its own`);
      }
      if (isFriend && type === "give") this.#checkRate(program, member.sid, bytes);
      take.call(own, member, bytes);
    };
  }

  #checkRate({ person, givenAt }: Program, sid: string, bytes: Uint8Array): void {
    const message = decodeOwnMessage(bytes);
    if (message?.type !== "give" || !message.last) return;
    if (message.entries.some(({ text }) => text === LIE)) return;
    const before = givenAt.get(sid) ?? -Infinity;
    const now = person.clock.now();
    if (now - before < GIVEN_MS) this.fail(`${person.nick} is given something too often`);
    givenAt.set(sid, now);
  }

  /** Somebody has written a message. */
  wrote({ fingerprint }: Villager, id: string, { text, to }: { text: string; to?: string }): void {
    this.#written.push({ author: fingerprint, id, text, to, shownAt: Infinity });
  }

  /** Somebody has made a note. */
  noted(person: Villager, about: Written, { what, text }: { what: NoteKind; text: string }): void {
    const program = this.#programs.get(person)!;
    this.#noted.add(`${person.fingerprint} ${nameOf(about)} ${what} ${text}`);
    const key = noteKey(person.fingerprint, about, what);
    this.#noters.set(key, (this.#noters.get(key) ?? new Set()).add(program));
    program.notes.set(key, `${what} ${text}`);
  }

  /** The person has read everything up to a message. */
  marked(person: Villager, message: Written): void {
    const program = this.#programs.get(person)!;
    this.#marked.add(nameOf(message));
    this.#advance(program, message);
  }

  /** What was shown at a place, the newest last. */
  shownAt(person: Villager): Written[] {
    return [...this.#programs.get(person)!.shown.keys()];
  }

  conversationOf({ author, to }: Written): string {
    return to === undefined ? "" : author === this.#own ? to : author;
  }

  /** How a message is named at a place. */
  name(person: Villager, { id, author }: Written): MessageName {
    const isAlone = this.shownAt(person).filter((it) => it.id === id).length === 1;
    return isAlone ? { id } : { id, of: author };
  }

  #advance({ read, shown }: Program, message: Written): boolean {
    const conversation = this.conversationOf(message);
    const before = read.get(conversation);
    if (before && shown.get(before)! >= shown.get(message)!) return false;
    read.set(conversation, message);
    return true;
  }

  /** Looks at what was told since the last time. */
  look(): void {
    const programs = [...this.#programs.values()];
    for (const program of programs) {
      for (const event of program.person.events.slice(program.seen)) {
        this.#takeVisit(program, event);
      }
    }
    for (const program of programs) {
      const { events } = program.person;
      while (program.seen < events.length) this.#take(program, events[program.seen++]!);
    }
  }

  #takeVisit(at: Program, event: SessionEvent): void {
    if (event.event !== "notice") return;
    const [, count] = /has come and got (\d+) messages?$/.exec(event.text) ?? [];
    if (count !== undefined) this.#visits.push({ at, count: Number(count) });
  }

  #take(program: Program, event: SessionEvent): void {
    const { nick } = program.person;
    switch (event.event) {
      case "chat":
        return this.#takeChat(program, event);
      case "sent": {
        const own = this.#find(program.person.fingerprint, event.id);
        return own ? this.#show(program, own) : this.fail(`${nick} sends what nobody wrote`);
      }
      case "note":
        return this.#takeNote(program, event);
      case "read":
        return this.#takeRead(program, event);
      case "missed":
        return this.#takeMissed(program, event);
    }
  }

  #find(author: string, id: string): Written | undefined {
    return this.#written.find((it) => it.author === author && it.id === id);
  }

  #show({ shown, person }: Program, message: Written): void {
    if (shown.has(message)) return this.fail(`${message.text} is shown twice at ${person.nick}`);
    shown.set(message, shown.size);
    if (person.fingerprint !== this.#own) return;
    message.shownAt = Math.min(message.shownAt, this.#now());
  }

  #takeChat(program: Program, event: ChatEvent): void {
    const { person } = program;
    const { fingerprint: me } = person;
    const what = `“${event.text}” at ${person.nick}`;
    const message = this.#find(event.fingerprint, event.id);
    if (!message || message.text !== event.text) return this.fail(`${what}: nobody wrote that`);
    const { author, to } = message;
    if (event.private !== (to !== undefined)) return this.fail(`${what}: for others than it says`);
    if (to !== undefined && me !== author && me !== to) return this.fail(`${what}: is private`);
    if (to !== undefined && me === author && event.to?.[0] !== to) {
      return this.fail(`${what}: to somebody else`);
    }
    const isCopy = event.own === true && event.private;
    if (this.#isApart(person) && (isCopy || event.missed)) {
      return this.fail(`${what}: told by another terminal`);
    }
    this.#show(program, message);
    if (event.missed) this.#checkMissed(program, message, event);
  }

  #checkMissed(program: Program, message: Written, { at }: ChatEvent): void {
    const { person } = program;
    const what = `“${message.text}” at ${person.nick}`;
    this.missed++;
    if (program.missing-- <= 0) return this.fail(`${what}: was not announced as missed`);
    const isKnown = this.#all.some(({ person: { fingerprint }, shown }) =>
      fingerprint === this.#own && shown.has(message) && shown !== program.shown
    );
    if (!isKnown) return this.fail(`${what}: no other terminal has had it`);
    const told = Date.parse(at!) - EPOCH_MS - person.clock.skew;
    const isRight = told > message.shownAt - AGE_SLACK_MS && told < this.#now() + AGE_SLACK_MS;
    if (this.hasSteadyClocks && !isRight) this.fail(`${what}: of another time`);
  }

  #takeMissed(program: Program, { by, count }: MissedEvent): void {
    const { person } = program;
    program.missing = count;
    if (by.join() !== this.#own) this.fail(`${person.nick} has missed something of ${by}`);
    const visit = this.#visits.find((it) => it.at !== program && it.count >= count);
    if (!visit) return this.fail(`nobody says that ${person.nick} has come and got ${count}`);
    this.#visits = this.#visits.filter((it) => it !== visit);
  }

  #takeNote({ person, shown, notes }: Program, event: NoteEvent): void {
    const { ref, of, what, text, fingerprint } = event;
    const message = [...shown.keys()].find(({ id, author }) =>
      id === ref && (of === undefined || author === of)
    );
    const where = `${what} ${text} at ${person.nick}`;
    if (!message) return this.fail(`${where}: of nothing that is shown`);
    if (!this.#noted.has(`${fingerprint} ${nameOf(message)} ${what} ${text}`)) {
      return this.fail(`${where}: nobody made that`);
    }
    notes.set(noteKey(fingerprint, message, what), `${what} ${text}`);
  }

  #takeRead(program: Program, { private: other, id, of }: ReadEvent): void {
    const { person, shown } = program;
    const what = `${person.nick} is told that ${id} was read`;
    const message = [...shown.keys()].find((it) =>
      it.id === id && (of === undefined || it.author === of)
    );
    if (!message) return this.fail(`${what}: nothing of that id is shown`);
    if (person.fingerprint !== this.#own || this.#isApart(person)) {
      return this.fail(`${what}, which is not its own`);
    }
    if (!this.#marked.has(nameOf(message))) return this.fail(`${what}: nobody has`);
    if ((other ?? "") !== this.conversationOf(message)) {
      return this.fail(`${what}: in another conversation`);
    }
    if (!this.#advance(program, message)) this.fail(`${what}: that goes back`);
  }

  /** What is not the same at two terminals, once nothing goes wrong any more. */
  differ(): string | undefined {
    const programs = [...this.#programs.values()].filter(({ person }) =>
      person.fingerprint === this.#own && person.isAlive && !this.#isApart(person)
    );
    for (const one of programs) {
      for (const other of programs) {
        const what = one === other ? undefined : this.#lacks(one, other);
        if (what !== undefined) return what;
      }
    }
  }

  /** What one terminal has and another one does not. */
  #lacks(one: Program, other: Program): string | undefined {
    const [here, there] = [one.person.nick, other.person.nick];
    for (const message of one.shown.keys()) {
      const isOld = this.#now() - message.shownAt > JUDGED_MS;
      if (isOld || other.shown.has(message) || other.logged.has(message)) continue;
      return `“${message.text}” is at ${here} and not at ${there}`;
    }
    for (const [key, note] of one.notes) {
      const isShared = (this.#noters.get(key)?.size ?? 0) > 1;
      if (isShared || other.notes.get(key) === note) continue;
      const isKnown = [...other.shown.keys()].some((it) => key.includes(nameOf(it)));
      if (isKnown) return `${key} is ${note} at ${here} and ${other.notes.get(key)} at ${there}`;
    }
    for (const [conversation, message] of one.read) {
      const order = other.shown.get(message);
      const mark = other.read.get(conversation);
      if (order === undefined || (mark && other.shown.get(mark)! >= order)) continue;
      return `“${message.text}” was read at ${here} and not at ${there}`;
    }
  }
}

function nameOf({ author, id }: Written): string {
  return `${author}/${id}`;
}

/** One key for all of one person's reactions to a message, one for all of its changes. */
function noteKey(author: string, about: Written, what: NoteKind): string {
  const kind = what === "reaction" || what === "unreaction" ? "reaction" : "change";
  return `${author} ${nameOf(about)} ${kind}`;
}
