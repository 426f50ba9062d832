/**
 * The check of `server doctor` about NATS.
 *
 * @module
 */

import { readNatsPlace, warnOfOpenNats } from "../cluster_files.ts";
import { type DoctorContext, type Finding, fine, warn } from "./local.ts";

/** Whether NATS can carry a cluster. */
export async function checkCluster({ cluster }: DoctorContext): Promise<Finding | undefined> {
  if (!cluster) return undefined;
  const place = await readNatsPlace(cluster);
  const { examineNats } = await import("../../cluster/nats_check.ts");
  const { server, version, isEncrypted, isClustered, roundTripMs } = await examineNats(place);
  const text = [
    `NATS ${version} at ${server} can carry a cluster`,
    isClustered ? "it is several servers" : "it is one server",
    isEncrypted ? "with TLS" : "without TLS",
    `${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms away`,
  ].join(", ");
  const warning = warnOfOpenNats(place, isEncrypted);
  return warning === undefined ? fine(text) : warn(text, warning);
}
