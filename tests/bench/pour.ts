/**
 * A room of 64 in which three members send as fast as they can, and one speaks now and then.
 *
 * @module
 */

import type { CrowdActions } from "./crowd.ts";
import type { Values } from "./forward.ts";
import { Remote } from "./remote.ts";

const MEMBERS = 64;
const SENDERS = 3;
/** One says what the other's latency is measured by. */
const PROBES = 2;
const RATE = 20;

/** @throws {Error} When a process fails. */
export async function measurePour(
  { values, port, seconds, keyPem }: {
    values: Values;
    port: number;
    seconds: number;
    keyPem: string;
  },
): Promise<void> {
  const [crowd, probes] = [
    new Remote<CrowdActions>("crowd.ts"),
    new Remote<CrowdActions>("crowd.ts"),
  ];
  try {
    await crowd.tell("enter", { count: MEMBERS - PROBES, port, keyPem });
    await probes.tell("enter", { count: PROBES, port, keyPem });
    const start = performance.now();
    const pouring = crowd.tell("pour", { senders: SENDERS, seconds: seconds + 2 });
    const { p50, p99 } = await probes.tell("speak", { rate: RATE, seconds });
    await pouring;
    const counts = [await crowd.tell("count", null), await probes.tell("count", null)];
    const sum = (key: "received" | "ended") => counts.reduce((all, it) => all + it[key], 0);
    values["pour.p50_ms"] = p50;
    values["pour.p99_ms"] = p99;
    values["pour.per_second"] = sum("received") / (performance.now() - start) * 1000;
    values["pour.closed"] = sum("ended");
  } finally {
    await Promise.all([crowd.stop(), probes.stop()]);
  }
}
