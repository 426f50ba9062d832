/**
 * The checks of `server doctor` about NATS, and the servers of the cluster.
 *
 * @module
 */

import { privateExponent } from "../../protocol/identity.ts";
import { readNatsPlace, warnOfOpenNats } from "../cluster_files.ts";
import { type DoctorContext, type Finding, fine, warn } from "./local.ts";

/** Clocks that differ by more are not set by NTP. */
const MAX_SKEW_MS = 5_000;

/** Whether NATS can carry a cluster, and the clocks of its servers agree with this computer's. */
export async function checkCluster({ cluster, key }: DoctorContext): Promise<Finding | undefined> {
  if (!cluster) return undefined;
  const place = await readNatsPlace(cluster);
  const { examineNats }: typeof import("../../cluster/nats_check.ts") = await import(
    "../../cluster/nats_check.ts" as string
  );
  const found = await examineNats(place, key && privateExponent(key));
  const { server, version, isEncrypted, isClustered, roundTripMs, clocks = [] } = found;
  const text = [
    `NATS ${version} at ${server} can carry a cluster`,
    isClustered ? "it is several servers" : "it is one server",
    isEncrypted ? "with TLS" : "without TLS",
    `${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms away`,
  ].join(", ");
  const open = warnOfOpenNats(place, isEncrypted);
  const wrong = clocks.filter(({ aheadMs }) => Math.abs(aheadMs) > MAX_SKEW_MS).map(describeClock);
  const warnings = open === undefined ? wrong : [open, ...wrong];
  return warnings.length === 0 ? fine(text) : warn(text, ...warnings);
}

function describeClock({ server, aheadMs }: { server: string; aheadMs: number }): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const direction = aheadMs > 0 ? "ahead of" : "behind";
  return `the clock of ${server} is ${seconds} s ${direction} this computer's: set both by NTP; ` +
    "by more than a minute, a server does not start";
}
