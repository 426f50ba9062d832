/**
 * One run, from its seed to its verdict.
 *
 * @module
 */

import { cipherReady } from "../../lib/protocol/records.ts";
import { KEPT_MS } from "../../lib/protocol/limits.ts";
import { derivePassword, type PasswordKeys } from "../../lib/protocol/password.ts";
import { settle } from "./clock.ts";
import { type Fault, plant } from "./faults.ts";
import { type History, qualityOf, Script } from "./histories.ts";
import { checkBounds, findRift } from "./invariants.ts";
import { Random } from "./random.ts";
import { makePlan, type Plan, Scenario } from "./scenario.ts";
import { observe, undeliveredBytes } from "./taps.ts";
import { type Passwords, RELAY_FINGERPRINT, STOP_MS, type Totals, World } from "./world.ts";

/** Once nothing is wrong any more, everybody has to be together again within this. */
const HEAL_MS = 300_000;
/** With a password, handshakes that were lost count as guesses for 10 minutes, §7. */
const HEAL_GUESSES_MS = 900_000;
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
  /** So many relays are one server; one by default. */
  readonly relays?: number | undefined;
}

/** Runs one seed. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const { trace = false, fault, relays = 1 } = options;
  await cipherReady();
  const random = new Random(seed, "plan");
  const plan = makePlan(random, new Random(seed, "rogues"));
  const passwords = await findPasswords(plan);
  const world = new World({ seed, ...plan, acquainted: 0, passwords, relays, trace });
  world.log(`seed ${seed}: ${describe(plan)}`);
  const run = new Run(world, new Scenario(world, random, plan), plan.patient);
  return await judge(seed, { run, world, fault });
}

/** Runs a history. */
export async function runHistory(history: History, options: RunOptions = {}): Promise<Outcome> {
  const { trace = false, fault } = options;
  await cipherReady();
  const world = new World({
    seed: 0,
    people: history.people,
    quality: qualityOf(history),
    weakKeys: false,
    acquainted: history.acquainted ?? 0,
    strict: false,
    rooms: 1,
    passwords: undefined,
    capacity: history.capacity,
    operators: false,
    lurker: false,
    thief: false,
    trace,
  });
  return await judge(0, { run: new Run(world, new Script(world, history), false), world, fault });
}

async function judge(
  seed: number,
  { run, world, fault }: { run: Run; world: World; fault: Fault | undefined },
): Promise<Outcome> {
  observe(world.witness);
  const takeOut = fault && plant(fault, world);
  try {
    await run.run();
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

/** What is done to a world. */
interface Course {
  begin(): void;
  readonly done: boolean;
}

class Run {
  #world: World;
  #course: Course;
  #patient: boolean;

  /** @param patient Waits until what is kept for those who are gone is given up. */
  constructor(world: World, course: Course, patient: boolean) {
    this.#world = world;
    this.#course = course;
    this.#patient = patient;
  }

  async run(): Promise<void> {
    this.#course.begin();
    await this.#until(() => this.#course.done, Infinity);
    await this.#heal();
    if (this.#patient) await this.#waitForGivingUp();
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
      if (++polls % 3 === 0) world.ledger.check();
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
    const limit = world.alive.some(({ identity }) => identity.password) ? HEAL_GUESSES_MS : HEAL_MS;
    const isWhole = await this.#until(() => (rift = findRift(world)) === undefined, limit);
    if (!isWhole) world.fail(`not whole after ${limit / 1000} s: ${rift}`);
  }

  /** What was kept for the gone is given up, but for those whom the user knows. */
  async #waitForGivingUp(): Promise<void> {
    const world = this.#world;
    const isDone = () =>
      world.alive.every(({ session, company }) =>
        [...session.membership.people.streams()].every(({ items, fingerprint }) =>
          items.length === 0 || company.keptMs(fingerprint).most > KEPT_MS
        )
      );
    if (!await this.#until(isDone, KEPT_MS + 60_000)) world.fail("too much is still kept");
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
    if (undeliveredBytes() > 0 && !world.isCluster) {
      world.fail(`the relay still counts ${undeliveredBytes()} bytes`);
    }
    if (world.timers > 0) world.fail(`${world.timers} timers are left`);
  }
}
