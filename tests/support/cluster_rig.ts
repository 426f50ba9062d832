/**
 * Several relays that are one server, in memory and virtual time, with clients driven by the test.
 *
 * @module
 */

import { Cluster } from "../../lib/cluster/cluster.ts";
import type { ClusterEvent, ClusterOptions } from "../../lib/cluster/cluster_options.ts";
import type { Bus } from "../../lib/cluster/bus.ts";
import type { UsageError } from "../../lib/base/errors.ts";
import type { RelayOptions } from "../../lib/relay/relay_options.ts";
import { FakeClock } from "./fake_clock.ts";
import { BusServer, type MemoryBus } from "./memory_bus.ts";
import { type ClientOptions, RelayRig, type RigClient } from "./relay_rig.ts";

/** The private exponent of the identity that all relays share. */
export const SECRET = new Uint8Array(384).fill(9);

/** One relay of a cluster. */
export interface RigRelay {
  readonly rig: RelayRig;
  readonly cluster: Cluster;
  readonly bus: MemoryBus;
  readonly events: ClusterEvent[];
  readonly faults: UsageError[];
}

/** Relays on one bus, and one clock. */
export class ClusterRig {
  readonly clock = new FakeClock();
  readonly server = new BusServer(this.clock);
  readonly relays: RigRelay[] = [];
  readonly #between: (bus: MemoryBus) => Bus;

  /** @param between What stands between a relay and its bus; nothing by default. */
  constructor(between: (bus: MemoryBus) => Bus = (bus) => bus) {
    this.#between = between;
  }

  /** Adds a relay that has not started. */
  make(options: Partial<RelayOptions> & Partial<ClusterOptions> = {}): RigRelay {
    const bus = this.server.connect(this.clock);
    const events: ClusterEvent[] = [];
    const faults: UsageError[] = [];
    const { capacity = 64, joinKey, secret = SECRET, address = `relay ${this.relays.length}` } =
      options;
    const cluster = new Cluster({
      bus: this.#between(bus),
      secret,
      capacity,
      joinKey,
      address,
      clock: options.clock ?? this.clock,
      onEvent: (event) => events.push(event),
      onFault: (error) => faults.push(error),
    });
    const rig = new RelayRig({ ...options, capacity, clock: this.clock, registry: cluster });
    const relay = { rig, cluster, bus, events, faults };
    this.relays.push(relay);
    return relay;
  }

  /** Adds a relay, and waits until clients may come. */
  async start(options: Partial<RelayOptions> & Partial<ClusterOptions> = {}): Promise<RigRelay> {
    const relay = this.make(options);
    await this.passes(relay.cluster.start());
    return relay;
  }

  /** Lets time pass until a promise is settled. */
  async passes<T>(promise: Promise<T>, limit = 60_000): Promise<T> {
    let isSettled = false;
    const done = () => void (isSettled = true);
    promise.then(done, done);
    for (let ms = 0; !isSettled; ms += 10) {
      if (ms > limit) throw new Error("not settled");
      await this.clock.advance(10);
    }
    return await promise;
  }

  /** Lets time pass until something holds. */
  async until(condition: () => boolean, limit = 60_000): Promise<void> {
    for (let ms = 0; !condition(); ms += 10) {
      if (ms > limit) throw new Error("does not come to hold");
      await this.clock.advance(10);
    }
  }

  /** A client that has got the answer to its JOIN. */
  async join(relay: RigRelay, options: ClientOptions = {}): Promise<RigClient> {
    const seed = options.seed ?? this.#seed++;
    const client = await this.passes(relay.rig.start({ ...options, seed }));
    await this.until(() => client.find("welcome") !== undefined || client.ends.length > 0);
    return client;
  }
  #seed = 1_000;

  /** Ends a relay as `kill -9` does: its connections break, and nothing of it happens any more. */
  kill({ bus }: RigRelay, clients: readonly RigClient[]): void {
    void bus.close();
    for (const { stream } of clients) stream.cut();
  }
}
