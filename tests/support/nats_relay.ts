/**
 * A relay of a cluster over a real server of NATS, without members, whose calendar may be wrong.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { Cluster } from "../../lib/cluster/cluster.ts";
import { ClusterKeys } from "../../lib/cluster/keys.ts";
import { connectNats } from "../../lib/cluster/nats.ts";
import type { NatsServer } from "./nats.ts";

/** Starts one, and waits until it is in the cluster. */
export async function enterCluster(
  nats: NatsServer,
  { secret, address, aheadMs }: { secret: Bytes; address: string; aheadMs: number },
): Promise<Cluster> {
  const clock = { ...systemClock, wallTime: () => systemClock.wallTime() + aheadMs };
  const cluster = new Cluster({
    bus: await connectNats({
      servers: [nats.url],
      cluster: new ClusterKeys(secret).name,
      clock,
      onWarning: (text) => assert.fail(text),
      onFatal: (error) => assert.fail(error),
    }),
    ...{ secret, capacity: 64, joinKey: undefined, address, clock },
    onFault: (error) => assert.fail(error),
  });
  await cluster.start();
  return cluster;
}
