/**
 * A room of real programs, each on a computer of its own, that talk all the time while hosts go and cables are cut.
 *
 * @module
 */

import assert from "node:assert/strict";
import { decodeFingerprint } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import type { List } from "../../lib/protocol/succession.ts";
import { LastLists } from "../../lib/session/last_lists.ts";
import { type Computer, Network, run } from "./netns.ts";
import {
  type Commands,
  fingerprintOf,
  FROM_SOURCE,
  poll,
  type Program,
  type World,
} from "./programs.ts";

const NAMES = ["anna", "bob", "carl", "dora", "emil", "fred"];
/** Stand-bys in a list, at most. */
const MAX_NAMED = 8;
/** The client of the independent implementation, which knows nothing of moves. */
const FOREIGN: Commands = {
  ...FROM_SOURCE,
  client: ["python3", new URL("../interop/client.py", import.meta.url).pathname],
};
/** Messages of each person in a second, if nothing else is said. */
const RATE = 5;
const WATCH_MS = 5;
/** How long a room may take to become one again; only a failing test waits this long. */
export const PATIENCE_MS = 180_000;

/** How a room is made. */
export interface MovingRoomOptions {
  /** The first one hosts. */
  readonly people: number;
  /** Names of those that do not stand by. */
  readonly guests?: readonly string[];
  readonly password?: string;
  readonly ipv4?: boolean;
  /** All of them are on one computer. */
  readonly together?: boolean;
  readonly commands?: Commands;
  /** Hosts announce themselves. */
  readonly announce?: boolean;
  /** What some of them lie about, by name: see `liar.ts`. */
  readonly liars?: Readonly<Record<string, string>>;
  /** What one more person lies about, who is not among the people. */
  readonly beside?: string;
  /** One more person, not among the people, has a program that knows nothing of moves. */
  readonly foreign?: boolean;
  /** How many the host names in the end; by default all that stand by. */
  readonly names?: number;
  /** More arguments of some of them, by name. */
  readonly args?: Readonly<Record<string, readonly string[]>>;
  /** Called with each computer before its program starts. */
  prepare?(computer: Computer, name: string): Promise<void>;
}

interface Message {
  readonly from: string;
  /** When it was written. */
  readonly at: number;
  /** When it was shown, by name. */
  readonly shown: Map<string, number[]>;
}

/** What became of the messages of some people to each other. */
export interface Report {
  readonly count: number;
  readonly lost: string[];
  readonly doubled: string[];
  /** The longest time from writing to showing, in seconds. */
  readonly longest: number;
}

/** One person, their computer and their program. */
export class Mover {
  program!: Program;
  world!: World;
  isTalking = false;
  /**
   * When its present process began. What the last one had not sent yet is lost with it, and what that had not
   * acknowledged yet is shown by the next one again.
   */
  startedAt = 0;
  #seen = 0;
  /** The fingerprints of the people whom its program shows, and of the relay that it is at, as of so many events. */
  readonly #present = new Set<unknown>();
  #host: string | undefined;
  #looked = 0;

  constructor(
    readonly name: string,
    readonly computer: Computer,
    readonly args: string[],
    readonly isForeign = false,
  ) {}

  /** The events since the last call. */
  news(): Program["events"] {
    const news = this.program.events.slice(this.#seen);
    this.#seen += news.length;
    return news;
  }

  async start(
    args: readonly string[],
    { password, announce = false }: Pick<MovingRoomOptions, "password" | "announce">,
  ): Promise<void> {
    const home = await this.world.home(this.name);
    this.#seen = this.#looked = 0;
    this.#present.clear();
    this.#host = undefined;
    this.startedAt = performance.now();
    this.program = this.world.start("client", {
      args: ["--json", "--nick", this.name, ...(this.isForeign ? ["--home", home] : []), ...args],
      home,
      announce,
      ...(password !== undefined && { env: { HEARTH_PASSWORD: password } }),
    }, this.name);
  }

  #look(): void {
    const { events } = this.program;
    for (const { event, fingerprint } of events.slice(this.#looked)) {
      if (event === "joined") this.#present.add(fingerprint);
      else if (event === "left") this.#present.delete(fingerprint);
      else if (event === "connected") this.#host = fingerprint as string;
    }
    this.#looked = events.length;
  }

  /** The fingerprint of the relay that it is at. */
  get host(): string | undefined {
    this.#look();
    return this.#host;
  }

  /** Whether it shows somebody. */
  sees(fingerprint: string): boolean {
    this.#look();
    return this.#present.has(fingerprint);
  }

  /** The newest list that it has kept. */
  async list(): Promise<List | undefined> {
    const lists = await LastLists.load(`${await this.world.home(this.name)}`);
    return this.host && lists.find(roomTag("lobby"), decodeFingerprint(this.host)) || undefined;
  }

  async quit(): Promise<void> {
    this.isTalking = false;
    await this.program.leave();
  }

  async kill(): Promise<void> {
    this.isTalking = false;
    await this.program.kill();
  }
}

/** The whole room; disposing ends it. */
export class MovingRoom implements AsyncDisposable {
  readonly people: readonly Mover[];
  /** Who is there besides them. */
  readonly outsider: Mover | undefined;
  readonly #network: Network;
  readonly #options: MovingRoomOptions;
  readonly #messages = new Map<string, Message>();
  #counter = 0;
  #watching: ReturnType<typeof setInterval> | undefined;
  readonly #talks: ReturnType<typeof setInterval>[] = [];

  private constructor(network: Network, movers: readonly Mover[], options: MovingRoomOptions) {
    this.#network = network;
    this.people = movers.slice(0, options.people);
    this.outsider = movers[options.people];
    this.#options = options;
  }

  /** Starts everybody, and waits until all see each other and the host has named who stands by. */
  static async make(options: MovingRoomOptions): Promise<MovingRoom> {
    const { people, guests = [], ipv4 = true, prepare, beside, foreign = false } = options;
    const strangers = guests.filter((name) => !NAMES.slice(0, people).includes(name));
    assert.deepEqual(strangers, [], "guests who are not in the room");
    const hasOutsider = foreign || beside !== undefined;
    const count = people + Number(hasOutsider);
    const network = await Network.make(options.together ? 1 : count, { ipv4 });
    const [first] = network.computers;
    const address = ipv4 ? "10.77.0.1" : `${await network.linkAddress(first!)}%${first!.link}`;
    const movers = Array.from({ length: count }, (_, i) => {
      const name = NAMES[i] ?? `p${i}`;
      const computer = network.computers[i] ?? first!;
      const isForeign = foreign && i === people;
      if (isForeign) {
        return new Mover(name, computer, ["--host", address, "--max-wait", "2"], true);
      }
      const isGuest = guests.includes(name);
      const args = [...(i === 0 ? [] : ["--host", address]), ...options.args?.[name] ?? []];
      return new Mover(name, computer, isGuest ? args : ["--serve", ...args]);
    });
    const room = new MovingRoom(network, movers, options);
    try {
      for (const mover of movers) {
        await prepare?.(mover.computer, mover.name);
        mover.world = await mover.computer.world(room.#commandsOf(mover));
        await mover.world.home(mover.name, { file: "server.pem" });
        await mover.start(mover.args, options);
        await mover.program.waitFor("welcome");
      }
      await room.assemble(movers);
      if (beside !== undefined) await room.outsider!.program.chat("hello"); // from now on it lies
      const named = people - guests.length - 1 + Number(beside !== undefined);
      const standBys = Math.min(named, MAX_NAMED);
      await room.named(room.people.slice(1), 1 + (options.names ?? standBys));
    } catch (error) {
      await room[Symbol.asyncDispose]();
      throw error;
    }
    room.#watching = setInterval(() => room.#watch(), WATCH_MS);
    return room;
  }

  #commandsOf({ name, isForeign }: Mover): Commands | undefined {
    const { liars = {}, beside, commands } = this.#options;
    const lie = liars[name] ?? (name === this.outsider?.name ? beside : undefined);
    if (lie !== undefined) return lying(lie);
    return isForeign ? FOREIGN : commands;
  }

  /** Waits until some people have the host's list with so many entries. */
  async named(people: readonly Mover[], count: number): Promise<void> {
    for (const mover of people) {
      await poll(
        async () => (await mover.list())?.entries.length === count,
        () => `a list of ${count} at ${mover.program.describe()}`,
        PATIENCE_MS, // a host that was busy tests its stand-bys again after a minute
      );
    }
  }

  /** Waits until some people, by default all, are in one room. */
  async assemble(people: readonly Mover[] = this.people): Promise<void> {
    const fingerprints = await Promise.all(people.map(({ name }) => fingerprintOf(name)));
    const isComplete = (mover: Mover, i: number) =>
      fingerprints.every((it, j) => i === j || mover.sees(it));
    await poll(
      () => people.every(isComplete) && new Set(people.map(({ host }) => host)).size === 1,
      () => people.map(({ program }) => program.describe()).join("\n"),
      PATIENCE_MS,
    );
  }

  /** Waits until some people are no longer where somebody is. */
  async leaves(people: readonly Mover[], { host }: Mover): Promise<void> {
    await poll(
      () => people.every((mover) => mover.host !== host),
      () => people.map(({ program }) => program.describe()).join("\n"),
      PATIENCE_MS,
    );
  }

  /** Everybody given talks from now on. @param rate Messages of each in a second. */
  talk(people: readonly Mover[] = this.people, rate = RATE): void {
    for (const mover of people) mover.isTalking = true;
    const timer = setInterval(() => {
      for (const mover of people) if (mover.isTalking) this.say(mover);
    }, 1000 / rate);
    this.#talks.push(timer);
  }

  /** Says the next message. */
  say(mover: Mover): void {
    const text = `${mover.name} ${++this.#counter}`;
    this.#messages.set(text, { from: mover.name, at: performance.now(), shown: new Map() });
    mover.program.chat(text).catch(() => {}); // it was killed meanwhile
  }

  /** Nobody talks any more. */
  hush(): void {
    for (const mover of this.people) mover.isTalking = false;
    for (const timer of this.#talks.splice(0)) clearInterval(timer);
  }

  #watch(): void {
    const now = performance.now();
    for (const mover of this.people) {
      for (const { event, text } of mover.news()) {
        if (event !== "chat") continue;
        const shown = this.#messages.get(text as string)?.shown;
        shown?.set(mover.name, [...shown.get(mover.name) ?? [], now]);
      }
    }
  }

  /** Waits until everything that some people have written since `from` is shown to the others, then tells. */
  async report(people: readonly Mover[], from = 0): Promise<Report> {
    const now = performance.now(); // they may go on talking
    const judge = () => this.#judge(new Set(people.map(({ name }) => name)), from, now);
    const deadline = now + PATIENCE_MS;
    while (judge().lost.length > 0 && performance.now() < deadline) await sleep(50);
    await sleep(500); // what comes twice
    return judge();
  }

  #judge(names: ReadonlySet<string>, from: number, to: number): Report {
    const lost: string[] = [];
    const doubled: string[] = [];
    let [count, longest] = [0, 0];
    for (const [text, { from: sender, at, shown }] of this.#messages) {
      if (!names.has(sender) || at < from || at > to) continue;
      const startOf = (who: string) => this.people.find(({ name }) => name === who)!.startedAt;
      for (const name of names) {
        const times = shown.get(name) ?? [];
        if (name === sender || times.length === 0 && at < startOf(sender)) continue;
        count++;
        if (times.length === 0) lost.push(`${text} at ${name}`);
        else longest = Math.max(longest, times[0]! - at);
        if (times.filter((time) => time >= startOf(name)).length > 1) {
          doubled.push(`${text} at ${name}`);
        }
      }
    }
    return { count, lost, doubled, longest: longest / 1000 };
  }

  unplug({ computer }: Mover): Promise<void> {
    return this.#network.unplug(computer);
  }

  plug({ computer }: Mover, other = false): Promise<void> {
    return this.#network.plug(computer, other);
  }

  /** Cuts those who are isolated off from each other, and from nobody else. */
  isolate({ computer }: Mover, isIsolated: boolean): Promise<void> {
    return this.#network.isolate(computer, isIsolated);
  }

  /** Starts a program again that has ended. */
  async restart(mover: Mover, args: readonly string[] = mover.args): Promise<void> {
    await mover.start(args, this.#options);
    await mover.program.waitFor("welcome", {}, { timeoutMs: PATIENCE_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hush();
    clearInterval(this.#watching);
    const all = [...this.people, ...(this.outsider ? [this.outsider] : [])];
    for (const { program } of all) program?.signal("SIGCONT");
    for (const { world } of all) await world?.[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
  }
}

/** The client as a liar. */
function lying(lie: string): Commands {
  const program = new URL("liar.ts", import.meta.url).pathname;
  return { ...FROM_SOURCE, client: ["env", `LIE=${lie}`, Deno.execPath(), "run", "-A", program] };
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Stops a program for a while, as a computer that sleeps does. @returns For how many milliseconds. */
export async function pause({ program }: Mover, ms: number): Promise<number> {
  const start = performance.now();
  program.signal("SIGSTOP");
  await sleep(ms);
  program.signal("SIGCONT");
  return performance.now() - start;
}

/** Drops new connections to a computer, as a firewall does. */
export async function refuseConnections(computer: Computer): Promise<void> {
  await filter(computer, "input", "tcp flags & (syn|ack) == syn drop");
}

/** Drops some of all packets that come to a computer, at random. */
export async function losePackets(computer: Computer, percent: number): Promise<void> {
  await filter(computer, "input", `numgen random mod 100 < ${percent} drop`);
}

/** Limits what a computer sends, behind a queue of 200 ms. */
export async function slowDown({ name, link }: Computer, megabits: number): Promise<void> {
  const limit = ["rate", `${megabits}mbit`, "burst", "64kb", "latency", "200ms"];
  await run("tc", "-n", name, "qdisc", "replace", "dev", link, "root", "tbf", ...limit);
}

/** Drops everything that comes to a computer. */
export async function dropInput(computer: Computer): Promise<void> {
  await filter(computer, "input", "iifname eth0 drop");
}

/** Drops everything that a computer sends. */
export async function dropOutput(computer: Computer): Promise<void> {
  await filter(computer, "output", "oifname eth0 drop");
}

async function filter(computer: Computer, hook: "input" | "output", rule: string): Promise<void> {
  const rules = [
    "add table inet fw",
    `add chain inet fw only { type filter hook ${hook} priority 0; }`,
    `add rule inet fw only ${rule}`,
  ];
  await computer.run("nft", rules.join("; "));
}
