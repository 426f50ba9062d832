/**
 * The relays of a run: one, or several that are one server over a bus.
 *
 * @module
 */

import type { RandomBytes } from "../../lib/base/clock.ts";
import { Cluster } from "../../lib/cluster/cluster.ts";
import type { Registry } from "../../lib/relay/registry.ts";
import type { Relay } from "../../lib/relay/relay.ts";
import type { ByteStream } from "../../lib/transport/mod.ts";
import { BusServer, type MemoryBus } from "../support/memory_bus.ts";
import { HostClock, type WorldClock } from "./clock.ts";
import type { Wire } from "./network.ts";
import { Random } from "./random.ts";

const SECRET = new Uint8Array(384).fill(9);

/** A relay's process. */
export class RelayProcess {
  readonly wires = new Set<Wire>();
  /** Clients may come. */
  isOpen = true;
  /** Connections that the operating system has taken while it sleeps. */
  readonly #backlog: (() => void)[] = [];

  constructor(
    readonly relay: Relay,
    readonly clock: HostClock,
    /** Where it is one of several. */
    readonly part: { readonly cluster: Cluster; readonly bus: MemoryBus } | undefined,
  ) {}

  accept(stream: ByteStream, address: string): void {
    const accept = () => this.relay.accept(stream, address);
    if (this.clock.asleep) this.#backlog.push(accept);
    else accept();
  }

  wake(): void {
    this.clock.wake();
    for (const accept of this.#backlog.splice(0)) accept();
    for (const wire of this.wires) wire.advance();
  }
}

interface RelaysOptions {
  readonly seed: number;
  readonly count: number;
  readonly clock: WorldClock;
  readonly capacity: number;
  readonly joinKey: Uint8Array<ArrayBuffer> | undefined;
  make(clock: HostClock, random: RandomBytes, registry: Registry | undefined): Relay;
  log(text: string): void;
  fail(what: string): void;
}

/** All of them. */
export class Relays {
  readonly #options: RelaysOptions;
  readonly #random: Random;
  readonly #server: BusServer | undefined;
  /** By their numbers; undefined where there is none just now. */
  readonly #processes: (RelayProcess | undefined)[];
  readonly #clocks: HostClock[] = [];
  /** Undoes what was done to one of them last. */
  #mend: (() => void) | undefined;

  constructor(options: RelaysOptions) {
    this.#options = options;
    this.#random = new Random(options.seed, "relays");
    this.#processes = Array.from({ length: options.count }, () => undefined);
    if (options.count > 1) this.#server = new BusServer(this.#makeClock());
  }

  #makeClock(): HostClock {
    const clock = new HostClock(this.#options.clock);
    this.#clocks.push(clock);
    return clock;
  }

  /** Several that are one server. */
  get areCluster(): boolean {
    return this.#server !== undefined;
  }

  get running(): RelayProcess[] {
    return this.#processes.filter((process) => process !== undefined);
  }

  /** One that a client finds. */
  get open(): RelayProcess | undefined {
    return this.#pick(this.running.filter(({ isOpen }) => isOpen));
  }

  /** Something is wrong with one of them, or with the bus. */
  get areTroubled(): boolean {
    return this.#mend !== undefined;
  }

  get timers(): number {
    return this.#clocks.reduce((sum, { timers }) => sum + timers, 0);
  }

  #pick(processes: readonly RelayProcess[]): RelayProcess | undefined {
    return processes.length < 2 ? processes[0] : this.#random.pick(processes);
  }

  /** Starts those that do not run. @returns Whether there are any. */
  start(): boolean {
    const missing = [...this.#processes.keys()].filter((i) => !this.#processes[i]);
    for (const i of missing) this.#processes[i] = this.#start(i);
    return missing.length > 0;
  }

  #start(i: number): RelayProcess {
    const { seed, make, capacity, joinKey, log, fail } = this.#options;
    const clock = this.#makeClock();
    const random = new Random(seed, `relay ${this.#lives++}`);
    if (!this.#server) {
      return new RelayProcess(make(clock, random.bytes, undefined), clock, undefined);
    }
    const bus = this.#server.connect(clock);
    const cluster = new Cluster({
      ...{ bus, secret: SECRET, capacity, joinKey, address: `relay ${i}`, clock },
      random: random.bytes,
      onEvent: (event) => log(`relay ${i}: ${JSON.stringify(event)}`),
      onFault: (error) => fail(`relay ${i}: ${error.message}`),
    });
    const relay = make(clock, random.bytes, cluster);
    const process = new RelayProcess(relay, clock, { cluster, bus });
    process.isOpen = false;
    void cluster.start().then(() => process.isOpen = true);
    return process;
  }
  #lives = 0;

  /** Ends one in the middle of whatever it does. */
  kill(): RelayProcess | undefined {
    const process = this.#pick(this.running);
    if (!process) return undefined;
    this.#processes[this.#processes.indexOf(process)] = undefined;
    if (process.clock.asleep) this.#mend = undefined;
    process.clock.kill();
    process.part?.bus.vanish();
    return process;
  }

  /** Stops one for a while; of several, perhaps its way to the bus instead, or the bus. */
  trouble(): void {
    const process = this.#pick(this.running);
    this.mend();
    if (!process) return;
    const { part, clock } = process;
    const kind = part && this.#random.pick(["sleep", "cut", "down"] as const);
    if (kind === "down") {
      this.#options.log("the bus is down");
      this.#server!.goDown();
      this.#mend = () => {
        this.#server!.comeBack();
        for (const { part } of this.running) part?.bus.reconnect(this.#random.below(2_000));
      };
    } else if (kind === "cut") {
      this.#options.log("a relay is cut off the bus");
      part!.bus.cut();
      this.#mend = () => part!.bus.reconnect(0);
    } else {
      clock.sleep();
      this.#mend = () => {
        if (!clock.isDead) process.wake();
      };
    }
  }

  /** What is wrong is right again. */
  mend(): void {
    const mend = this.#mend;
    this.#mend = undefined;
    mend?.();
  }

  /** Ends all in order; those that sleep are not asked. @returns Those. */
  async stop(): Promise<RelayProcess[]> {
    const awake = this.running.filter(({ clock }) => !clock.asleep);
    for (const process of awake) this.#processes[this.#processes.indexOf(process)] = undefined;
    await Promise.all(awake.map(async ({ relay, part }) => {
      await relay.stop();
      await part?.cluster.stop();
    }));
    if (this.running.length === 0) this.#server?.close();
    return awake;
  }
}
