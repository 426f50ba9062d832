/**
 * Runs of villages: hosts come and go, cables and networks break, programs are stopped, one may lie, and lists are
 * forged (PROTOCOL.md §14).
 *
 * @module
 */

import { cipherReady } from "../../lib/protocol/records.ts";
import { STATE } from "../../lib/protocol/succession.ts";
import { MovesJudge } from "./moves_judge.ts";
import { Random } from "./random.ts";
import { TAG, Village, type Villager } from "./village.ts";

/** Once nothing is wrong any more, one host has everybody within this. */
const HEAL_MS = 60_000;
/** Hosts that have not heard of each other look around once a minute, and then one may wait for the other for 30 s. */
const LOOK_MS = 105_000;
/** Where somebody else has answered, nobody is looked for so long. */
const PASSED_OVER_MS = 60_000;
/** What was written in the end has arrived within this, and is not shown again within the second. */
const ARRIVED_MS = 40_000;
const CALM_MS = 3000;
const POLL_MS = 250;

/** What became of a run. */
export interface MovesOutcome {
  readonly seed: number;
  /** What is wrong; undefined when nothing is. */
  readonly failure: string | undefined;
  readonly totals: {
    readonly messages: number;
    /** How often a relay has opened the room. */
    readonly moves: number;
    /** 1 if nobody was left who may host. */
    readonly hostless: number;
    /** 1 if it was left apart, as the rules have it. */
    readonly split: number;
  };
  readonly trace: readonly string[];
}

/** Runs one seed. */
export async function runMoves(seed: number): Promise<MovesOutcome> {
  await cipherReady();
  const run = new MovesRun(seed);
  try {
    await run.run();
  } catch (error) {
    run.judge.fail(`an error: ${error instanceof Error ? error.stack : error}`);
  }
  return run.outcome;
}

class MovesRun {
  readonly judge: MovesJudge;
  readonly #seed: number;
  readonly #random: Random;
  readonly #village: Village;
  readonly #trace: string[] = [];
  #excuse: MovesJudge["excuse"];

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed, "moves");
    this.#village = new Village(seed);
    this.judge = new MovesJudge(this.#village, (text) => this.#log(text));
  }

  get outcome(): MovesOutcome {
    const { failure, messages, moves } = this.judge;
    const totals = {
      messages,
      moves,
      hostless: Number(this.#excuse === "hostless"),
      split: Number(this.#excuse === "split"),
    };
    return { seed: this.#seed, failure, totals, trace: this.#trace };
  }

  #log(text: string): void {
    this.#trace.push(`${Math.round(this.#village.clock.now)}: ${text}`);
  }

  async run(): Promise<void> {
    const random = this.#random;
    const village = this.#village;
    const count = random.between(3, 6);
    const host = await village.start("p1");
    for (let i = 2; i <= count; i++) {
      await this.#pass(random.between(200, 3000));
      const serves = i === 2 || random.chance(0.7);
      await village.start(`p${i}`, { joins: host, serves, isFirewalled: random.chance(0.15) });
    }
    await this.#pass(15_000);
    if (random.chance(0.5)) this.#makeLiar();
    const actions = random.between(5, 25);
    for (let i = 0; i < actions && !this.judge.failure; i++) {
      await this.#act();
      await this.#pass(Math.min(random.gap(4000), 30_000));
    }
    if (!this.judge.failure) await this.#heal();
    for (const person of village.people) village.kill(person);
  }

  #makeLiar(): void {
    const standBys = this.#village.people.slice(1).filter(({ own }) => own);
    const liar = this.judge.liar = this.#random.pick(standBys);
    const relay = liar.relay!;
    const own = liar.own!;
    const lie = this.#random.pick([
      "claims to host",
      "admits to the room",
      "has lost it for ever",
      "answers for whoever is gone",
    ]);
    const isAlone = this.#random.chance(0.4);
    this.#log(`${liar.nick} ${lie}${isAlone ? ", and has left without a word" : ""}`);
    if (isAlone) this.#village.abandon(liar);
    own.open = () => {};
    if (lie === "has lost it for ever") {
      own.tell = (room) => relay.tell(room, { state: STATE.LOST });
      return;
    }
    if (lie === "answers for whoever is gone") {
      this.#village.impersonate(liar);
      return;
    }
    relay.open(TAG, lie === "claims to host" ? new Uint8Array(32).fill(9) : undefined);
    relay.others = () => 50;
    own.tell = () => {};
  }

  async #act(): Promise<void> {
    const random = this.#random;
    const village = this.#village;
    const { people } = village;
    const alive = this.judge.honest;
    const dead = people.filter(({ isAlive }) => !isAlive);
    const action = random.weighted({
      say: 10,
      kill: alive.length > 2 ? 2 : 0,
      quit: alive.length > 2 ? 2 : 0,
      restart: dead.length > 0 ? 3 : 0,
      unplug: 2,
      plug: 4,
      split: 1,
      join: 2,
      stop: 2,
      forge: 3,
    });
    const person = random.pick(alive);
    if (action !== "restart" && action !== "say") this.#log(`${action} ${person.nick}`);
    switch (action) {
      case "say":
        for (let i = random.between(1, 3); i > 0; i--) this.#say(random.pick(alive));
        return;
      case "kill":
        if (random.chance(0.5)) { for (const each of alive) this.#say(each); // it is on its way
         }
        return village.kill(person);
      case "quit": {
        village.wake(person);
        if (random.chance(0.5)) { for (const each of alive) this.#say(each); }
        const check = this.judge.expectFirst(person);
        await village.quit(person);
        return check();
      }
      case "restart":
        return await this.#restart(random.pick(dead), random.pick(alive));
      case "unplug":
        return village.plug(person, false);
      case "plug":
        for (const each of people) village.plug(each, true);
        return;
      case "split": {
        const sides = new Map(people.map((it) => [it, random.below(2)]));
        const isOneWay = random.chance(0.3);
        return village.rewire((from, to) => {
          const [one, other] = [sides.get(from), sides.get(to)];
          return one === other || isOneWay && one === 0;
        });
      }
      case "join":
        return village.rewire(() => true);
      case "stop": {
        village.stop(person);
        const { starts } = person;
        village.clock.after(random.between(500, 20_000), () => {
          if (person.starts === starts) village.wake(person);
        });
        return;
      }
      case "forge":
        return await this.judge.forge(person, random);
    }
  }

  #say({ nick, clock, session }: Villager): void {
    if (!clock.asleep) session.say(`${nick} ${this.#village.clock.now}`);
  }

  async #restart(who: Villager, other: Villager): Promise<void> {
    const village = this.#village;
    // One that nobody has named, and that knows nobody, is a room of its own.
    const wantsToHost = this.#random.chance(0.3) && village.isNamed(who);
    const joins = wantsToHost ? village.findHost(who) : other;
    this.#log(`${who.nick} starts, ${joins ? `joining ${joins.nick}` : "to host"}`);
    await village.run(who, {
      ...(joins && { joins }),
      serves: wantsToHost || this.#random.chance(0.7),
    });
  }

  /** Lets time pass, and looks at what has happened. */
  async #pass(ms: number): Promise<void> {
    const end = this.#village.clock.now + ms;
    while (this.#village.clock.now < end && !this.judge.failure) {
      await this.#village.advance(Math.min(POLL_MS, end - this.#village.clock.now));
      this.judge.look();
    }
  }

  /** Lets time pass until a condition holds; tells whether it came to hold. */
  async #until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#village.clock.now + limitMs;
    while (!this.judge.failure && !condition()) {
      if (this.#village.clock.now >= end) return false;
      await this.#pass(POLL_MS);
    }
    return true;
  }

  async #heal(): Promise<void> {
    const village = this.#village;
    const { judge } = this;
    this.#log("from now on nothing goes wrong");
    village.rewire(() => true);
    for (const person of village.people) {
      village.plug(person, true);
      if (person.isAlive) village.wake(person);
    }
    if (judge.liar) {
      await this.#pass(this.#random.pick([0, 45_000]));
      village.kill(judge.liar); // it would keep some from the others for 10 minutes
      await this.#pass(PASSED_OVER_MS);
    }
    const isWhole = () => judge.rift === undefined;
    const isHealed = await this.#until(isWhole, HEAL_MS) ||
      judge.needsLook && await this.#until(isWhole, LOOK_MS);
    if (!isHealed) {
      this.#excuse = judge.excuse;
      for (const person of village.people) this.#log(describe(person));
      if (this.#excuse) return;
      return judge.fail(`after a minute ${judge.rift}`);
    }
    await this.#pass(CALM_MS); // until all see the same people
    for (const person of judge.honest) person.session.say(`last ${person.nick}`);
    await this.#until(() => judge.missing === undefined, ARRIVED_MS);
    await this.#pass(CALM_MS);
    const what = judge.missing ?? judge.rift;
    if (what !== undefined) judge.fail(`in the end ${what}`);
  }
}

function describe({ nick, isAlive, isFirewalled, own, error, session, village }: Villager): string {
  const where = session.joined ? "joined" : "in no room";
  const host = session.succession?.hosts ? ", hosts" : "";
  const relay = own ? isFirewalled ? ", behind a firewall" : "" : ", a guest";
  const here = session.people().map((it) => it.nick);
  const { at, entries } = session.succession?.list ?? { at: 0, entries: [] };
  const names = entries.map((_, i) => village.nameOf({ at: i, entries }));
  const list = `list ${names.slice(0, at)}/${names.slice(at)}`;
  const state = `${isAlive ? where : "gone"}${host}${relay} with ${here}; ${list}`;
  return `${nick}: ${state}${error ? `; ${error}` : ""}`;
}
