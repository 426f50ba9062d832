/**
 * How far the clocks of a cluster's servers are from this computer's, by the leases that they renew.
 *
 * @module
 */

import { systemClock } from "../base/clock.ts";
import {
  CODE,
  encodeJson,
  JetStreamError,
  keySubject,
  readAnswer,
  streamOf,
} from "./nats_bucket.ts";
import type { Core } from "./nats_core.ts";
import { type ClusterKeys, isForeign } from "./keys.ts";
import { LEASE_RENEW_MS, PREFIX } from "./lives.ts";
import { decodeLease } from "./values.ts";

const ANSWER_MS = 5000;
/** Between two looks; a difference is known to this plus a round trip. */
const LOOK_MS = 200;
/** More servers than this are not looked at. */
const MAX_SERVERS = 64;

/** What a server's clock says. */
export interface ClockOf {
  /** What the server calls itself in logs. */
  readonly server: string;
  /** How far its clock is ahead, ms; negative if behind. */
  readonly aheadMs: number;
}

/** Options of {@linkcode compareClocks}. */
interface ClocksOptions {
  readonly core: Core;
  readonly keys: ClusterKeys;
  /** Ms since 1970; this computer's by default. */
  readonly wallTime?: () => number;
}

/** A lease in the bucket. */
interface Found {
  readonly seq: number;
  readonly server: string;
  readonly time: number;
}

/**
 * Waits until each server of the cluster has renewed its lease, and compares: some 2 s, at most 4 s.
 *
 * @returns The servers that have; none if there is no such cluster.
 * @throws {CoreError | JetStreamError} NATS does not answer, or not as it should.
 */
export async function compareClocks(options: ClocksOptions): Promise<ClockOf[]> {
  const { wallTime = () => systemClock.wallTime() } = options;
  const end = systemClock.now() + 2 * LEASE_RENEW_MS;
  const clocks: ClockOf[] = [];
  let before = wallTime();
  const old = await readLeases(options);
  while (old.size > 0 && systemClock.now() < end) {
    await new Promise((resolve) => void systemClock.after(LOOK_MS, () => resolve(undefined)));
    const since = before;
    before = wallTime();
    const leases = await readLeases(options);
    const now = wallTime();
    for (const [key, { seq }] of old) {
      const lease = leases.get(key);
      if (lease?.seq === seq) continue;
      old.delete(key);
      if (!lease) continue; // it has ended
      // It was renewed since the last look; when exactly is not known.
      const aheadMs = Math.min(0, lease.time - since) + Math.max(0, lease.time - now);
      clocks.push({ server: lease.server, aheadMs });
    }
  }
  return clocks;
}

async function readLeases({ core, keys }: ClocksOptions): Promise<Map<string, Found>> {
  const bucket = `hearth-${keys.name}`;
  const start = keySubject(bucket, "");
  const leases = new Map<string, Found>();
  let seq = 1;
  for (let count = 0; count < MAX_SERVERS; count++) {
    const asked = encodeJson({ seq, next_by_subj: keySubject(bucket, `${PREFIX}>`) });
    const subject = `$JS.API.STREAM.MSG.GET.${streamOf(bucket)}`;
    try {
      const answer = await core.request(subject, asked, { timeoutMs: ANSWER_MS });
      const { message } = readAnswer<{ message: { subject: string; seq: number; data?: string } }>(
        answer,
      );
      seq = message.seq + 1;
      const key = message.subject.slice(start.length);
      const lease = readLease(keys, key, message.data);
      if (lease) leases.set(key, { seq: message.seq, ...lease });
    } catch (error) {
      const code = error instanceof JetStreamError ? error.code : undefined;
      if (code === CODE.NO_MESSAGE || code === CODE.NO_STREAM) break;
      throw error;
    }
  }
  return leases;
}

/** @returns Undefined if it is no lease: a marker of one that has ended, or not of this cluster. */
function readLease(keys: ClusterKeys, key: string, data = "") {
  try {
    const { writer, plain } = keys.open(key, Uint8Array.fromBase64(data));
    const { address, time } = decodeLease(plain);
    return { server: address || writer.slice(0, 8), time };
  } catch (error) {
    if (isForeign(error)) return undefined;
    throw error;
  }
}
