/**
 * Makes a server one of a cluster: NATS, and what this server does over it. Loaded with `--cluster` only.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Bytes } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import type { UsageError } from "../base/errors.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { ClusterEvent } from "../cluster/cluster_options.ts";
import { ClusterKeys } from "../cluster/keys.ts";
import { connectNats } from "../cluster/nats.ts";
import { privateExponent, type PrivateKey } from "../protocol/identity.ts";
import type { Registry } from "../relay/mod.ts";
import { readNatsPlace, warnOfOpenNats } from "./cluster_files.ts";
import type { ClusterRequest } from "./cluster_options.ts";

/** How often the numbers are told. */
const NUMBERS_MS = 60_000;

/** What joining a cluster needs. */
interface ClusterParts {
  readonly key: PrivateKey;
  readonly joinKey: Bytes | undefined;
  readonly capacity: number;
  /** `host:port`, for the logs of the others. */
  readonly address: string;
  readonly log: ClusterLog;
  /** The server cannot go on. */
  fail(error: UsageError): void;
}

/** Where the server reports of the cluster. */
interface ClusterLog {
  say(text: string): void;
  cluster(event: ClusterEvent): void;
  clusterNumbers(numbers: ClusterNumbers): void;
  clusterWarning(text: string): void;
}

/** A cluster in numbers; counts are since the start. */
export type ClusterNumbers = Readonly<Record<string, number>>;

/** This server's part of a cluster. */
export interface RunningCluster {
  readonly registry: Registry;
  numbers(): ClusterNumbers;
  /** Ends it, once the relay has stopped; some 10 s at most. */
  stop(): Promise<void>;
}

/**
 * Joins the cluster; that takes some 2 s where there are other servers.
 *
 * @throws {UsageError} When NATS cannot be used, or the other servers are not like this one.
 */
export async function joinCluster(
  request: ClusterRequest,
  { key, joinKey, capacity, address, log, fail }: ClusterParts,
): Promise<RunningCluster> {
  const place = await readNatsPlace(request);
  const secret = privateExponent(key);
  const bus = await connectNats({
    ...place,
    cluster: new ClusterKeys(secret).name,
    clock: systemClock,
    onWarning: (text) => log.clusterWarning(text),
    onFatal: fail,
  });
  const warning = warnOfOpenNats(place, bus.isEncrypted);
  if (warning !== undefined) log.clusterWarning(warning);
  log.say(`joining the cluster over ${place.servers.join(", ")}`);
  const cluster = new Cluster({
    ...{ bus, secret, capacity, joinKey, address },
    defer: setImmediate,
    onEvent: (event) => log.cluster(event),
    onFault: fail,
  });
  try {
    await cluster.start();
  } catch (error) {
    await bus.close();
    throw error;
  }
  const numbers = (): ClusterNumbers => {
    const { relays, members, rooms, held, counts } = cluster.state;
    const { reconnects, awayMs, bytesIn, bytesOut, messagesOut } = bus.stats;
    return {
      ...{ servers: relays, members, rooms, held },
      ...counts,
      ...{ messagesOut, bytesIn, bytesOut, reconnects, awaySeconds: Math.round(awayMs / 1000) },
    };
  };
  const timer = setInterval(() => log.clusterNumbers(numbers()), NUMBERS_MS);
  return {
    registry: cluster,
    numbers,
    async stop() {
      clearInterval(timer);
      await cluster.stop();
    },
  };
}
