/**
 * A network of three computers, in network namespaces: the relay with some members, an attacker, and a friend.
 *
 * @module
 */

import { type Computer, Network, NO_NETWORKS } from "../support/netns.ts";
import { type Commands, FROM_SOURCE, type Program, type World } from "../support/programs.ts";
import type { Values } from "./forward.ts";
import type { LoadActions } from "./load.ts";
import { CpuMeter } from "./meter.ts";
import { Remote } from "./remote.ts";

const RATE = 20;
const MEMBERS = 10;

/** What is measured on a segment. */
export interface SegmentOptions {
  readonly values: Values;
  /** How long each measurement takes. */
  readonly seconds: number;
  /** The identity of the members. */
  readonly keyPem: string;
}

/** The three computers, and the relay. */
export class Segment {
  readonly #load: Remote<LoadActions>;
  readonly #options: SegmentOptions;

  private constructor(
    readonly attacker: Computer,
    readonly friend: Computer,
    readonly server: Program,
    load: Remote<LoadActions>,
    options: SegmentOptions,
  ) {
    this.#load = load;
    this.#options = options;
  }

  /**
   * Starts the relay, lets members join, measures `NAME.calm_p99_ms`, and then attacks.
   *
   * @throws {Error} When this computer cannot make network namespaces.
   */
  static async attack(
    name: string,
    options: SegmentOptions,
    { prepare, start, attack }: {
      /** Gives the computers more addresses: of the relay, the attacker, and the friend. */
      prepare?(computers: readonly [Computer, Computer, Computer]): Promise<void>;
      start(servers: World, there: Computer): Promise<Program>;
      attack(segment: Segment): Promise<void>;
    },
  ): Promise<void> {
    if (NO_NETWORKS) throw new Error(NO_NETWORKS);
    const own = Deno.env.get("HEARTH_SERVER"); // a compiled one
    const commands: Commands = { ...FROM_SOURCE, ...(own && { server: [own] }) };
    await using network = await Network.make(3);
    const [there, attacker, friend] = network.computers as [Computer, Computer, Computer];
    await prepare?.([there, attacker, friend]);
    await using servers = await there.world(commands);
    const server = await start(servers, there);
    const load = new Remote<LoadActions>("load.ts", there.command());
    try {
      const { keyPem, values } = options;
      await load.tell("configure", {
        ...{ keyPem, port: server.port, name: "m", speech: "hearth", tls: false, textBytes: 128 },
      });
      await load.tell("connect", { count: MEMBERS, atOnce: 1, rooms: false });
      await load.tell("pace", { rate: RATE, seconds: 1 }); // until everything is compiled
      const segment = new Segment(attacker, friend, server, load, options);
      const calm = await load.tell("pace", { rate: RATE, seconds: options.seconds });
      values[`${name}.calm_p99_ms`] = calm.p99;
      await attack(segment);
    } finally {
      await load.stop();
    }
  }

  /** Measures latency and the relay's CPU: `NAME.p50_ms`, `NAME.p99_ms` and `NAME.cpu_percent`. */
  async measure(name: string): Promise<void> {
    const { values, seconds } = this.#options;
    const cpu = new CpuMeter(this.server.pid);
    const [before, start] = [cpu.read(), performance.now()];
    const { p50, p99 } = await this.#load.tell("pace", { rate: RATE, seconds });
    values[`${name}.cpu_percent`] = (cpu.read() - before) / (performance.now() - start) / 10;
    values[`${name}.p50_ms`] = p50;
    values[`${name}.p99_ms`] = p99;
  }
}
