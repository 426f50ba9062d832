/**
 * What happens in a run: drawn from its seed. Each run has only some of the troubles, so that each of them is met
 * alone and together with any others.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { MAX_ROOM_MEMBERS } from "../../lib/protocol/limits.ts";
import { checkBounds } from "./invariants.ts";
import type { Identity, Place } from "./place.ts";
import type { Quality } from "./network.ts";
import type { Random } from "./random.ts";
import type { Crash, World } from "./world.ts";

const MINUTE_MS = 60_000;
const CRASHES: readonly Crash[] = ["reset", "finish", "lose"];

/** What can happen. */
type Action =
  | "say"
  | "whisper"
  | "burst"
  | "nick"
  | "away"
  | "cut"
  | "stall"
  | "sleep"
  | "kill"
  | "stop"
  | "second"
  | "rekey"
  | "relayKill"
  | "relayStop"
  | "relaySleep"
  | "remove"
  | "calendar"
  | "absence"
  | "flood";

/** How often each happens where it happens at all, and in how many of the runs that is. */
const ACTIONS: Readonly<Record<Action, { weight: number; share: number }>> = {
  say: { weight: 12, share: 1 },
  whisper: { weight: 4, share: 0.7 },
  burst: { weight: 2, share: 0.4 },
  nick: { weight: 2, share: 0.4 },
  away: { weight: 1, share: 0.2 },
  cut: { weight: 4, share: 0.7 },
  stall: { weight: 3, share: 0.4 },
  sleep: { weight: 1, share: 0.15 },
  kill: { weight: 2, share: 0.5 },
  stop: { weight: 2, share: 0.4 },
  second: { weight: 2, share: 0.4 },
  rekey: { weight: 3, share: 0.3 },
  relayKill: { weight: 1.5, share: 0.35 },
  relayStop: { weight: 1, share: 0.25 },
  relaySleep: { weight: 0.7, share: 0.1 },
  remove: { weight: 0.7, share: 0.1 },
  calendar: { weight: 0.5, share: 0.1 },
  absence: { weight: 0.7, share: 0.12 },
  flood: { weight: 0.5, share: 0.04 },
};

/** How a run goes. */
export interface Plan {
  readonly people: number;
  readonly quality: Quality;
  readonly actions: number;
  /** Mean time between actions, in milliseconds. */
  readonly pace: number;
  readonly weights: Partial<Record<Action, number>>;
  /** What is kept for the gone is waited for until it is given up. */
  readonly patient: boolean;
  readonly weakKeys: boolean;
  readonly strict: boolean;
  readonly capacity: number;
  readonly rooms: number;
  readonly password: "none" | "shared" | "ghost";
}

/** Draws how a run goes. */
export function makePlan(random: Random): Plan {
  const sizes = { "2": 30, "3": 32, "4": 16, "5": 8, "6": 5, "8": 4, "10": 3, "12": 2 };
  const weights: Partial<Record<Action, number>> = {};
  for (const [name, { weight, share }] of Object.entries(ACTIONS)) {
    if (random.chance(share)) weights[name as Action] = weight;
  }
  const isTight = random.chance(0.1);
  const strict = random.chance(0.08);
  // In a tight room there is one process of each; where one is strict, no nick is in conflict.
  if (isTight) delete weights.second;
  if (isTight) delete weights.remove;
  if (strict) delete weights.nick;
  const people = Number(random.weighted(sizes));
  const slow = random.chance(0.15) && !weights.flood;
  return {
    people,
    quality: {
      latency: slow ? random.pick([100, 400, 900]) : random.pick([0, 0, 1, 5, 20]),
      jitter: random.pick([0, 0, 1, 10, slow ? 500 : 30]),
      capacity: weights.flood ? 65_536 : random.pick([65_536, 65_536, 16_384, 2_048]),
      slowDial: random.chance(0.3),
      piece: weights.flood ? Infinity : random.pick([Infinity, Infinity, 1_000, 100]),
    },
    actions: random.between(10, 50),
    pace: random.pick([50, 300, 1_000, 3_000]),
    weights,
    patient: random.chance(0.1),
    weakKeys: random.chance(0.1),
    strict,
    capacity: isTight ? people : MAX_ROOM_MEMBERS,
    rooms: random.chance(0.06) ? 2 : 1,
    password: random.weighted({ none: 80, shared: 10, ghost: 10 }),
  };
}

/** Does what a plan says. */
export class Scenario {
  #world: World;
  #random: Random;
  #plan: Plan;
  #number = 0;
  #left: number;
  /** What is still to come of what was done. */
  #pending = 0;
  /** Where one is absent for minutes, the others go on more slowly. */
  #slowUntil = 0;

  constructor(world: World, random: Random, plan: Plan) {
    this.#world = world;
    this.#random = random;
    this.#plan = plan;
    this.#left = plan.actions;
  }

  /** Everything has happened. */
  get done(): boolean {
    return this.#left === 0 && this.#pending === 0;
  }

  #later(delay: number, action: () => void): void {
    this.#pending++;
    this.#world.clock.after(delay, () => {
      this.#pending--;
      action();
    });
  }

  /** Starts everybody, and whatever is to happen then. */
  begin(): void {
    for (const identity of this.#world.identities) {
      this.#later(this.#random.below(3_000), () => this.#world.startPlace(identity));
    }
    this.#schedule(this.#random.below(4_000));
  }

  #schedule(delay: number): void {
    this.#world.clock.after(delay, () => {
      this.#left--;
      this.#act();
      const { now } = this.#world.clock;
      const pace = now < this.#slowUntil ? 40_000 : this.#plan.pace;
      if (this.#left > 0) this.#schedule(this.#random.gap(pace));
      else this.#left = 0;
    });
  }

  #act(): void {
    const action = this.#random.weighted(this.#plan.weights);
    const { alive } = this.#world;
    if (alive.length === 0) return;
    const place = this.#random.pick(alive);
    if (place.clock.asleep && action !== "cut") return;
    this.#actions[action](place);
  }

  readonly #actions: Readonly<Record<Action, (place: Place) => void>> = {
    say: (place) => this.#say(place, this.#text()),
    whisper: (place) => this.#whisper(place),
    burst: (place) => this.#burst(place, this.#random.between(2, 40)),
    nick: (place) => this.#rename(place),
    away: (place) => place.session.membership.setAway(this.#random.pick(["", "tea", "lunch"])),
    cut: (place) => this.#world.cut(place, this.#random.pick(CRASHES)),
    stall: (place) => this.#stall(place),
    sleep: (place) => this.#sleep(place),
    kill: (place) => this.#kill(place),
    stop: (place) => this.#stop(place),
    second: (place) => this.#second(place.identity),
    rekey: (place) => this.#rekey(place),
    relayKill: () => this.#endRelay(() => this.#world.killRelay(this.#random.pick(CRASHES))),
    relayStop: () => this.#endRelay(() => void this.#world.stopRelay()),
    relaySleep: () => this.#sleepRelay(),
    remove: (place) => this.#remove(place.identity),
    calendar: (place) =>
      void (place.clock.skew += this.#random.pick([-1, 1]) * 24 * 60 * MINUTE_MS),
    absence: (place) => this.#absent(place, this.#random.pick([9, 11]) * MINUTE_MS),
    flood: (place) => this.#flood(place),
  };

  #text(): string {
    const filler = this.#random.chance(0.05)
      ? "x".repeat(this.#random.between(1, 8_000))
      : this.#random.chance(0.1)
      ? "\n\te 👪"
      : "";
    const start = `message ${++this.#number} `;
    return this.#random.chance(0.01) ? start.padEnd(MAX_TEXT_BYTES, "z") : start + filler;
  }

  #say(place: Place, text: string): void {
    const { ledger } = this.#world;
    const { membership } = place.session;
    if (membership.blocked) return; // §6: no more input is taken
    const action = this.#random.chance(0.1);
    const draft = { text, action, to: undefined, number: this.#number };
    this.#world.log(`${place.name} says #${this.#number}`);
    ledger.accept({ ...draft, ...ledger.addressees(place) }, () => {
      membership.say(text, { action });
    });
  }

  #whisper(place: Place): void {
    const { ledger } = this.#world;
    const { membership } = place.session;
    const people = membership.people();
    if (people.length === 0 || membership.blocked) return;
    const { fingerprint: to } = this.#random.pick(people);
    const text = this.#text();
    const places = new Set(place.present().filter(({ fingerprint }) => fingerprint === to));
    const number = this.#number;
    const nobody = new Set<Place>();
    const draft = { text, action: false, to, number, places, unsure: nobody, refused: nobody };
    this.#world.log(`${place.name} whispers #${number} to ${[...places][0]?.name}`);
    ledger.accept(draft, () => {
      try {
        membership.whisper(to, text);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error; // a nick that belongs to another key
      }
    });
  }

  #burst(place: Place, count: number): void {
    for (let i = 0; i < count; i++) this.#say(place, this.#text());
  }

  #flood(place: Place): void {
    const large = this.#random.chance(0.3);
    const count = large ? 700 : this.#random.pick([1_030, 1_100, 1_500, 2_100]);
    this.#world.flooded = true;
    for (let i = 0; i < count; i++) {
      this.#say(place, `message ${++this.#number} ${large ? "y".repeat(8_000) : ""}`);
    }
    checkBounds(this.#world);
  }

  #rename(place: Place): void {
    const nick = this.#random.chance(0.2)
      ? this.#random.pick(this.#world.identities).nick
      : `n${this.#random.below(1_000)}`;
    this.#world.log(`${place.name} is now ${nick}`);
    place.nickChanges++;
    place.session.membership.setNick(nick);
  }

  #stall(place: Place): void {
    const direction = this.#random.pick(["up", "down", "both"] as const);
    const duration = this.#random.between(100, this.#random.pick([6_000, 15_000, 55_000]));
    this.#world.stall(place, direction, duration);
  }

  #sleep(place: Place): void {
    this.#world.sleep(place);
    const duration = this.#random.pick([500, 5_000, 20_000, 70_000]);
    this.#later(duration, () => this.#world.wake(place));
  }

  #kill(place: Place): void {
    this.#world.kill(place, this.#random.pick(CRASHES));
    this.#restart(place.identity);
  }

  #stop(place: Place): void {
    this.#world.stop(place);
    this.#restart(place.identity);
  }

  #restart(identity: Identity): void {
    if (this.#random.chance(0.1) && this.#world.alive.length > 2) return;
    this.#world.totals.restarts++;
    const delay = this.#random.pick([0, 20, 1_000, 10_000, 40_000]);
    this.#later(delay, () => this.#world.startPlace(identity));
  }

  #second(identity: Identity): void {
    const { alive } = this.#world;
    if (alive.filter((place) => place.identity === identity).length >= 3 || alive.length >= 14) {
      return;
    }
    this.#world.startPlace(identity);
  }

  /** An initiator may begin a new handshake at any time, §6. */
  #rekey(place: Place): void {
    const peers = [...place.peers.values()].filter(({ live, initiates }) => live && initiates);
    if (peers.length === 0) return;
    this.#world.log(`${place.name} begins a new handshake`);
    this.#random.pick(peers).start();
  }

  #endRelay(end: () => void): void {
    if (!this.#world.relayRuns) return;
    this.#world.totals.restarts++;
    end();
    const delay = this.#random.pick([10, 500, 3_000, 20_000, 60_000]);
    this.#later(delay, () => this.#world.startRelay());
  }

  #sleepRelay(): void {
    if (!this.#world.relayRuns) return;
    this.#world.sleepRelay();
    const duration = this.#random.pick([300, 3_000, 20_000, 60_000]);
    this.#later(duration, () => this.#world.wakeRelay());
  }

  #remove(identity: Identity): void {
    this.#world.remove(identity);
    this.#restart(identity);
  }

  #absent(place: Place, duration: number): void {
    const { clock } = this.#world;
    this.#world.log(`${place.name} is absent for ${duration / MINUTE_MS} minutes`);
    place.offlineUntil = clock.now + duration;
    this.#slowUntil = place.offlineUntil + 30_000;
    this.#world.cut(place, this.#random.pick(CRASHES));
    this.#later(duration, () => this.#world.log(`${place.name} is no longer absent`));
  }
}
