/**
 * Looks whether NATS can carry a cluster, and changes nothing there.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { checkServer, natsError } from "./nats_faults.ts";
import { readAnswer } from "./nats_bucket.ts";
import { type ClockOf, compareClocks } from "./nats_clocks.ts";
import { connectCore, CoreError } from "./nats_core.ts";
import { ClusterKeys } from "./keys.ts";

const ANSWER_MS = 5000;
const ROUND_TRIPS = 5;
/** No cluster has this name: it would have 16 hex digits. */
const NO_CLUSTER = "doctor";

/** How to reach NATS; see `NatsOptions`. */
interface NatsPlace {
  readonly servers: readonly string[];
  readonly creds?: string | undefined;
  readonly caCerts?: readonly string[];
}

/** What was found. */
export interface NatsFindings {
  /** `HOST:PORT` of the server that answered. */
  readonly server: string;
  readonly version: string;
  /** Whether what is sent is encrypted on its way. */
  readonly isEncrypted: boolean;
  /** Whether NATS is several servers. */
  readonly isClustered: boolean;
  /** Median. */
  readonly roundTripMs: number;
  /** Of the servers that are in the cluster; undefined if it is not known which cluster. */
  readonly clocks: readonly ClockOf[] | undefined;
}

/**
 * @param secret The private exponent of the identity that the cluster's servers share, if there is one.
 * @throws {UsageError} It cannot: why, and what helps.
 */
export async function examineNats(place: NatsPlace, secret?: Bytes): Promise<NatsFindings> {
  const { servers, creds, caCerts = [] } = place;
  let forbidden: CoreError | undefined;
  try {
    const core = await connectCore({
      servers,
      creds,
      caCerts,
      needsTls: caCerts.length > 0 || servers.some((server) => server.startsWith("tls://")),
      name: "hearth doctor",
    }, {
      onEnd: () => {},
      onForbidden: (what) => forbidden ??= new CoreError("forbidden", what),
    });
    try {
      const { info, server, isEncrypted } = core;
      checkServer(info, server);
      // Nobody hears it, and there is no such bucket; but whether it is allowed is judged before.
      core.subscribe(`hearth.${NO_CLUSTER}.r.x`, () => {});
      core.publish(`hearth.${NO_CLUSTER}.r.y`, new Uint8Array(0));
      core.publish(`$KV.hearth-${NO_CLUSTER}.x`, new Uint8Array(0));
      const answer = await core.request("$JS.API.INFO", new Uint8Array(0), {
        timeoutMs: ANSWER_MS,
      });
      readAnswer(answer);
      const times: number[] = [];
      for (let i = 0; i < ROUND_TRIPS; i++) {
        const start = performance.now();
        await core.flush();
        times.push(performance.now() - start);
      }
      if (forbidden) throw forbidden;
      const roundTripMs = times.sort((a, b) => a - b)[ROUND_TRIPS >> 1]!;
      const clocks = secret && await compareClocks({ core, keys: new ClusterKeys(secret) });
      const { version, cluster } = info;
      const isClustered = cluster !== undefined;
      return { server, version, isEncrypted, isClustered, roundTripMs, clocks };
    } finally {
      await core.close();
    }
  } catch (error) {
    throw natsError(forbidden ?? error, place);
  }
}
