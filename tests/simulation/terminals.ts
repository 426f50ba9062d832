/**
 * Runs of a village in which one person has several terminals: they come and go, sleep, are cut off and have wrong
 * clocks; somebody has stolen the person's key, a stranger asks for what is not theirs, and ids are used twice
 * (PROTOCOL.md §17).
 *
 * @module
 */

import { type Bytes, decodeHex } from "../../lib/base/bytes.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { encodeOwnMessage, OWN_FEATURE, type OwnMessage } from "../../lib/protocol/own_messages.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import type { NoteKind } from "../../lib/session/events.ts";
import { Random } from "./random.ts";
import { EPOCH_MS, LIE, TerminalsJudge } from "./terminals_judge.ts";
import { Village, type Villager, type VillagerOptions } from "./village.ts";

const POLL_MS = 250;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Once nothing is wrong any more, everybody has a channel with everybody within this. */
const HEAL_MS = 5 * MINUTE_MS;
/** Whoever has asked for what it missed asks once more within this, and has got it. */
const ASKED_MS = 140_000;
/** Terminals of the person, besides the thief's. */
const MAX_TERMINALS = 4;

/** What became of a run. */
export interface TerminalsOutcome {
  readonly seed: number;
  /** What is wrong; undefined when nothing is. */
  readonly failure: string | undefined;
  readonly totals: {
    readonly messages: number;
    /** Messages that came from another terminal. */
    readonly missed: number;
    /** How often the room has moved. */
    readonly moves: number;
  };
  readonly trace: readonly string[];
}

/** Whose program it is, if not of somebody new. */
type Kind = Pick<VillagerOptions, "isTerminalOf" | "keepsApart">;

/** Runs one seed. */
export async function runTerminals(seed: number): Promise<TerminalsOutcome> {
  await cipherReady();
  const run = new TerminalsRun(seed);
  try {
    await run.run();
  } catch (error) {
    run.fail(`an error: ${error instanceof Error ? error.stack : error}`);
  }
  return run.outcome;
}

class TerminalsRun {
  readonly #seed: number;
  readonly #random: Random;
  readonly #village: Village;
  readonly #trace: string[] = [];
  readonly #terminals: Villager[] = [];
  readonly #others: Villager[] = [];
  #host!: Villager;
  #stranger!: Villager;
  #thief: Villager | undefined;
  /** A terminal of the person that tells the others nothing, and is told nothing. */
  #apart: Villager | undefined;
  #judge!: TerminalsJudge;
  #count = 0;
  #moves = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed, "terminals");
    this.#village = new Village(seed);
  }

  get outcome(): TerminalsOutcome {
    const { failure, messages = 0, missed = 0 } = this.#judge ?? {};
    const totals = { messages, missed, moves: this.#moves };
    return { seed: this.#seed, failure, totals, trace: this.#trace };
  }

  fail(what: string): void {
    this.#judge.fail(what);
  }

  #log(text: string): void {
    this.#trace.push(`${Math.round(this.#village.clock.now)}: ${text}`);
  }

  async run(): Promise<void> {
    const random = this.#random;
    await this.#begin();
    const actions = random.between(10, 40);
    for (let i = 0; i < actions && !this.#judge.failure; i++) {
      await this.#act();
      const isLong = random.chance(0.02);
      await this.#pass(
        isLong ? random.between(1, 25) * MINUTE_MS : Math.min(random.gap(8000), 40_000),
      );
    }
    if (!this.#judge.failure) await this.#heal();
    for (const person of this.#village.people) if (person.isAlive) this.#village.kill(person);
  }

  async #begin(): Promise<void> {
    const random = this.#random;
    const village = this.#village;
    const host = this.#host = await village.start("host");
    const first = await this.#start("t1", {});
    this.#judge = new TerminalsJudge(first.fingerprint, {
      now: () => village.clock.now,
      isApart: (person) => person === this.#apart,
      log: (text) => this.#log(text),
    });
    for (const person of [host, first]) this.#judge.starts(person);
    const count = random.between(2, MAX_TERMINALS);
    for (let i = 2; i <= count; i++) await this.#startWatched(`t${i}`, { isTerminalOf: first });
    this.#terminals.push(...village.people.slice(1));
    if (random.chance(0.3)) {
      await this.#startWatched("apart", { isTerminalOf: first, keepsApart: true });
    }
    for (const nick of ["bert", "carl"]) this.#others.push(await this.#startWatched(nick, {}));
    this.#stranger = await this.#startWatched("stranger", {});
    await this.#pass(random.pick([0, 10, 8000]));
  }

  /** Starts a program of somebody for the first time. */
  async #start(nick: string, options: Kind): Promise<Villager> {
    const joins = this.#host;
    return await this.#village.start(nick, { joins, serves: this.#random.chance(0.5), ...options });
  }

  async #startWatched(nick: string, options: Kind): Promise<Villager> {
    const person = await this.#start(nick, options);
    if (this.#random.chance(0.4)) {
      person.skew = person.clock.skew = this.#random.between(-30, 30) * HOUR_MS;
    }
    this.#apart ??= options.keepsApart ? person : undefined;
    this.#judge.starts(person);
    await this.#pass(this.#random.pick([0, 3, 500]));
    return person;
  }

  async #act(): Promise<void> {
    const random = this.#random;
    const village = this.#village;
    const mine = this.#terminals.filter(({ isAlive }) => isAlive);
    const guests = mine.filter((it) => it !== this.#host); // "move" is what ends a host
    const gone = [...this.#terminals, ...this.#others].filter(({ isAlive }) => !isAlive);
    const awake = [...mine, ...this.#others].filter((it) => it.isAlive && !it.clock.asleep);
    const action = random.weighted({
      say: 10,
      whisper: 8,
      note: 5,
      read: 5,
      kill: guests.length > 1 ? 2 : 0,
      quit: guests.length > 1 ? 2 : 0,
      restart: gone.length > 0 ? 5 : 0,
      unplug: 2,
      plug: 3,
      sleep: 3,
      wake: 2,
      clock: 1,
      twice: 2,
      pry: 2,
      steal: 2,
      move: 1,
    });
    if (awake.length === 0) return;
    const person = random.pick(awake);
    const terminal = random.pick(guests.length > 0 ? guests : mine);
    switch (action) {
      case "say":
        for (let i = random.between(1, 4); i > 0; i--) this.#say(random.pick(awake));
        return;
      case "whisper":
        return this.#whisper(person);
      case "note":
        return this.#note(person);
      case "read":
        return this.#read(terminal);
      case "kill":
        this.#log(`${terminal.nick} is killed`);
        return village.kill(terminal);
      case "quit":
        this.#log(`${terminal.nick} quits`);
        village.wake(terminal);
        return await village.quit(terminal);
      case "restart":
        return await this.#restart(random.pick(gone));
      case "unplug":
        if (terminal === this.#host) return;
        this.#log(`${terminal.nick} is unplugged`);
        return village.plug(terminal, false);
      case "plug":
        for (const each of village.people) village.plug(each, true);
        return;
      case "sleep":
        if (person === this.#host) return;
        this.#log(`${person.nick} sleeps`);
        village.stop(person);
        village.clock.after(random.pick([3000, 20_000, 75_000, HOUR_MS]), () => this.#wake(person));
        return;
      case "wake":
        for (const each of village.people) this.#wake(each);
        return this.#say(random.pick(awake)); // it may be new to some who have just come
      case "clock":
        this.#judge.hasSteadyClocks = false;
        terminal.clock.skew += random.between(-5, 5) * HOUR_MS;
        return this.#log(`the clock of ${terminal.nick} is set`);
      case "twice":
        return this.#useTwice(random.pick(this.#others));
      case "pry":
        return this.#pry();
      case "steal":
        return await this.#steal();
      case "move":
        return await this.#move();
    }
  }

  #wake(person: Villager): void {
    if (person.isAlive && person.clock.asleep) this.#village.wake(person);
  }

  #text(person: Villager): string {
    return `${person.nick} ${++this.#count}${this.#random.chance(0.05) ? "x".repeat(7000) : ""}`;
  }

  #say(person: Villager): void {
    if (person.clock.asleep || person.session.blocked) return;
    const text = this.#text(person);
    this.#log(`${person.nick} says ${this.#count}`);
    this.#judge.wrote(person, person.session.say(text), { text });
  }

  #whisper(person: Villager): void {
    const isMine = this.#terminals.includes(person);
    const other = isMine ? this.#random.pick(this.#others) : this.#terminals[0]!;
    const text = this.#text(person);
    const to = other.fingerprint;
    this.#log(`${person.nick} whispers ${this.#count} to ${other.nick}`);
    ifAllowed(() => {
      this.#judge.wrote(person, person.session.sendPrivate(to, text), { text, to });
    });
  }

  #note(person: Villager): void {
    const random = this.#random;
    const known = this.#judge.shownAt(person).slice(-10);
    if (known.length === 0) return;
    const about = random.pick(known);
    const isOwn = about.author === person.fingerprint;
    const what: NoteKind = isOwn && random.chance(0.5)
      ? random.pick(["edit", "retraction"])
      : random.pick(["reaction", "unreaction"]);
    const text = what === "edit" ? `note ${++this.#count}` : what === "reaction" ? "👍" : "";
    const name = this.#judge.name(person, about);
    this.#log(`${person.nick}: ${what} ${text} of ${about.text.slice(0, 20)}`);
    ifAllowed(() => {
      person.session.sendNote(name, what, text);
      this.#judge.noted(person, about, { what, text });
    });
  }

  #read(terminal: Villager): void {
    const known = this.#judge.shownAt(terminal).slice(-8);
    if (terminal.clock.asleep || known.length === 0) return;
    const message = this.#random.pick(known);
    this.#log(`${terminal.nick} reads up to ${message.text.slice(0, 20)}`);
    this.#judge.marked(terminal, message);
    terminal.session.markRead(this.#judge.name(terminal, message));
  }

  async #restart(person: Villager): Promise<void> {
    this.#log(`${person.nick} starts again`);
    const keepsHistory = this.#random.chance(0.5);
    if (this.#random.chance(0.3)) {
      this.#judge.hasSteadyClocks = false; // what its log has is of another time
      person.skew = this.#random.between(-30, 30) * HOUR_MS;
    }
    await this.#village.run(person, { joins: this.#host, serves: false, keepsHistory });
    this.#judge.starts(person, { keepsHistory });
  }

  /** The next message of somebody has the id of another one's. */
  #useTwice(person: Villager): void {
    const other = this.#random.pick([...this.#others, ...this.#terminals]);
    const theirs = this.#judge.shownAt(person).filter(({ author }) => author === other.fingerprint);
    const own = this.#judge.shownAt(person).filter(({ author }) => author === person.fingerprint);
    const id = theirs.find((it) => !own.some((mine) => mine.id === it.id))?.id;
    if (id === undefined || person.clock.asleep || other.fingerprint === person.fingerprint) return;
    this.#log(`${person.nick} uses an id of ${other.nick}`);
    person.nextId = decodeHex(id);
    this.#say(person);
  }

  /** A stranger asks the person's terminals for what is theirs, and tells lies. */
  #pry(): void {
    this.#log("the stranger pries");
    const { key: { publicKey } } = this.#stranger;
    this.#sendRaw(this.#stranger, [want(), ...lies(publicKey.fingerprint)]);
  }

  /** Somebody with the person's key comes, asks more often than they may, and gives what nobody asked for. */
  async #steal(): Promise<void> {
    if (!this.#thief) {
      this.#log("a thief comes");
      this.#thief = await this.#startWatched("thief", { isTerminalOf: this.#terminals[0]! });
      return;
    }
    this.#log("the thief asks again");
    const [, give] = lies(this.#others[0]!.key.publicKey.fingerprint);
    this.#sendRaw(this.#thief, [want(), want(), give!]);
  }

  #sendRaw({ session }: Villager, messages: readonly OwnMessage[]): void {
    for (const { peer, name, features } of session.membership.roster.members.values()) {
      const isTerminal = name === this.#terminals[0]!.fingerprint && features & OWN_FEATURE;
      if (!peer?.channel?.live || !isTerminal) continue;
      for (const message of messages) peer.send({ type: "own", bytes: encodeOwnMessage(message) });
    }
  }

  /** The host quits or crashes, and another one carries on. */
  async #move(): Promise<void> {
    const village = this.#village;
    const next = village.people.find((it) => it.isAlive && it !== this.#host && it.own);
    const isCalm = village.people.every((it) => !it.isAlive || it.session.joined) && next &&
      next.session.succession?.list?.entries.length! > 1;
    if (!isCalm || village.people.some(({ clock }) => clock.asleep)) return;
    const host = this.#host;
    this.#log(`${host.nick} is gone`);
    if (this.#random.chance(0.5)) await village.quit(host);
    else village.kill(host);
    const isFound = () => village.hosts.length === 1;
    await this.#until(isFound, HEAL_MS);
    const found = village.people.find(({ nick }) => nick === village.hosts[0]);
    if (!found) return this.fail("nobody hosts the room any more");
    this.#moves++;
    this.#host = found;
    this.#log(`${found.nick} hosts`);
  }

  /** Lets time pass, and looks at what has happened. */
  async #pass(ms: number): Promise<void> {
    const end = this.#village.clock.now + ms;
    while (this.#village.clock.now < end && !this.#judge.failure) {
      await this.#village.advance(Math.min(POLL_MS, end - this.#village.clock.now));
      this.#judge.look();
    }
  }

  /** Lets time pass until a condition holds; tells whether it came to hold. */
  async #until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#village.clock.now + limitMs;
    while (!this.#judge.failure && !condition()) {
      if (this.#village.clock.now >= end) return false;
      await this.#pass(POLL_MS);
    }
    return true;
  }

  async #heal(): Promise<void> {
    const village = this.#village;
    this.#log("from now on nothing goes wrong");
    for (const person of village.people) {
      village.plug(person, true);
      this.#wake(person);
    }
    if (!await this.#until(() => this.#rift() === undefined, HEAL_MS)) {
      return this.fail(`not whole: ${this.#rift()}`);
    }
    await this.#pass(ASKED_MS);
    const what = this.#judge.differ();
    if (what !== undefined) this.fail(`in the end ${what}`);
  }

  /** Who has no channel with whom. */
  #rift(): string | undefined {
    const alive = this.#village.people.filter(({ isAlive }) => isAlive);
    for (const { nick, session } of alive) {
      const { members } = session.membership.roster;
      const live = members.values().filter(({ peer }) => peer?.channel?.live).toArray();
      if (!session.joined || live.length < alive.length - 1) return `${nick} has ${live.length}`;
    }
  }
}

/** What a user is told that they may not do is not done. */
function ifAllowed(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
}

function want(): OwnMessage {
  return { type: "want", scope: 0, seconds: 600_000, references: [] };
}

/** A private message and a message to the room that nobody has written. @param author 32 bytes. */
function lies(author: Bytes): OwnMessage[] {
  const id = "00112233445566ff";
  const [time, text] = [EPOCH_MS, LIE];
  const copy = { id, time, action: false, reply: undefined, to: author, what: undefined, text };
  const entry = {
    type: 0,
    at: 1000,
    sent: time,
    id,
    fingerprint: author,
    flags: 0,
    nick: "x",
    text,
  };
  return [{ type: "copy", ...copy }, { type: "give", last: true, entries: [entry] }];
}
