/**
 * One run, from its seed to its verdict.
 *
 * @module
 */

import { cipherReady } from "../../lib/protocol/records.ts";
import { KEEP_MS } from "../../lib/session/outbox.ts";
import { derivePassword, type PasswordKeys } from "../../lib/protocol/password.ts";
import { settle } from "./clock.ts";
import { type Fault, plant } from "./faults.ts";
import { checkBounds, findRift } from "./invariants.ts";
import { Random } from "./random.ts";
import { makePlan, type Plan, Scenario } from "./scenario.ts";
import { observe, undeliveredBytes } from "./taps.ts";
import { type Passwords, RELAY_FINGERPRINT, STOP_MS, type Totals, World } from "./world.ts";

/** Once nothing is wrong any more, everybody has to be together again within this. */
const HEAL_MS = 300_000;
const POLL_MS = 1_000;
/** More alarms than this within a run mean that it goes round in circles. */
const MAX_STEPS = 3_000_000;

/** What became of a run. */
export interface Outcome {
  readonly seed: number;
  /** What is wrong; undefined when nothing is. */
  readonly failure: string | undefined;
  readonly totals: Totals;
  /** Empty unless it was asked for. */
  readonly trace: readonly string[];
}

/** How a seed is run. */
export interface RunOptions {
  /** Writes down what happens. */
  readonly trace?: boolean;
  /** Planted for this run. */
  readonly fault?: Fault | undefined;
}

/** Runs one seed. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const { trace = false, fault } = options;
  await cipherReady();
  const random = new Random(seed, "plan");
  const plan = makePlan(random);
  const passwords = await findPasswords(plan);
  const world = new World({ seed, ...plan, passwords, trace });
  observe(world);
  const takeOut = fault && plant(fault, world);
  world.log(`seed ${seed}: ${describe(plan)}`);
  try {
    await new Run(world, random, plan).run();
  } catch (error) {
    world.fail(`an error: ${error instanceof Error ? error.stack : error}`);
  } finally {
    takeOut?.();
    observe(undefined);
    await settle(); // a run that was broken off leaves nothing to the next one
  }
  const { failure, totals } = world;
  totals.messages = world.ledger.messages.size;
  totals.reported = world.ledger.reported;
  return { seed, failure, totals, trace: world.trace };
}

let passwordKeys: Promise<PasswordKeys[]> | undefined;

/** The passwords of a run: scrypt takes its time, but once is enough. */
async function findPasswords({ password }: Plan): Promise<Passwords | undefined> {
  if (password === "none") return undefined;
  const texts = ["correct horse battery staple", "hunter2"];
  passwordKeys ??= Promise.all(texts.map((text) => derivePassword(text, RELAY_FINGERPRINT)));
  const keys = await passwordKeys;
  const [shared, other] = texts.map((text, i) => ({ text, keys: keys[i]! }));
  return { shared, other, ghost: password === "ghost" };
}

function describe({ people, quality, actions, pace, weights }: Plan): string {
  return `${people} people, ${actions} actions every ${pace} ms: ${
    Object.keys(weights).join(" ")
  }; ` +
    JSON.stringify(quality);
}

class Run {
  #world: World;
  #plan: Plan;
  #scenario: Scenario;

  constructor(world: World, random: Random, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
    this.#scenario = new Scenario(world, random, plan);
  }

  async run(): Promise<void> {
    this.#scenario.begin();
    await this.#until(() => this.#scenario.done, Infinity);
    await this.#heal();
    if (this.#plan.patient) await this.#waitForGivingUp();
    await this.#end();
  }

  /** Lets time pass until a condition holds that is looked at once a second; tells whether it came to hold. */
  async #until(condition: () => boolean, limit: number): Promise<boolean> {
    const world = this.#world;
    const deadline = world.clock.now + limit;
    let polls = 0;
    while (!world.failure && !condition()) {
      if (world.clock.now >= deadline) return false;
      await world.clock.run(world.clock.now + POLL_MS, () => world.failure !== undefined);
      checkBounds(world);
      if (++polls % 30 === 0) world.ledger.checkKept();
      if (world.clock.steps > MAX_STEPS) world.fail("the run goes round in circles");
    }
    return true;
  }

  /** Nothing is wrong any more: everybody finds everybody, and gets what is theirs. */
  async #heal(): Promise<void> {
    const world = this.#world;
    world.log("from now on nothing goes wrong");
    for (const place of world.places) {
      place.offlineUntil = Math.min(place.offlineUntil, world.clock.now);
    }
    world.quality = { latency: 1, jitter: 0, capacity: 65_536, piece: Infinity, slowDial: false };
    let rift: string | undefined;
    const isWhole = await this.#until(() => (rift = findRift(world)) === undefined, HEAL_MS);
    if (!isWhole) world.fail(`not whole after ${HEAL_MS / 1000} s: ${rift}`);
  }

  /** What was kept for the gone is given up, and nothing is kept any more. */
  async #waitForGivingUp(): Promise<void> {
    const world = this.#world;
    let kept = 0;
    const isDone = await this.#until(() => {
      kept = world.alive.reduce((sum, { session }) => sum + session.membership.outbox.unsettled, 0);
      return kept === 0;
    }, KEEP_MS + 60_000);
    if (!isDone) world.fail(`${kept} messages are still kept`);
  }

  /** Everybody leaves, then the relay stops: nothing may be left. */
  async #end(): Promise<void> {
    const world = this.#world;
    if (world.failure) return;
    for (const place of world.alive) world.stop(place);
    const ended = () => world.places.every(({ fate }) => fate === "killed" || fate === "ended");
    if (!await this.#until(ended, STOP_MS)) world.fail("somebody does not end");
    for (const what of world.ledger.missing()) {
      world.fail(what);
      break;
    }
    await this.#until(() => false, STOP_MS);
    world.startRelay();
    const stopped = world.stopRelay();
    await this.#until(() => false, STOP_MS);
    await stopped;
    if (world.failure) return;
    if (undeliveredBytes() > 0) world.fail(`the relay still counts ${undeliveredBytes()} bytes`);
    if (world.timers > 0) world.fail(`${world.timers} timers are left`);
  }
}
