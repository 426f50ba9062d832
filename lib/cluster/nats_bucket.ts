/**
 * A key-value bucket of JetStream by its messages: what is asked, and what the answers mean. The names and settings are
 * those of the clients of NATS, so that their tools can read the bucket.
 *
 * @module
 */

import { type Bytes, encodeUtf8 } from "../base/bytes.ts";
import type { CoreMessage } from "./nats_core.ts";

/** Room for all rosters: 18.4 kB for one of 256 members. */
const MAX_BUCKET_BYTES = 256 * 1024 * 1024;
const NANOSECONDS = 1_000_000;
/** The server says within this time that a watch is alive. */
export const HEARTBEAT_MS = 2000;

/** Error codes of JetStream (server/errors.json of nats-server). */
export const CODE = {
  NO_JETSTREAM: 10076,
  NO_JETSTREAM_FOR_ACCOUNT: 10039,
  NO_MESSAGE: 10037,
  NO_STREAM: 10059,
  STREAM_EXISTS: 10058,
  NO_PEERS: 10005,
  NO_REPLICAS: 10074,
  WRONG_REVISION: 10071,
  WRONG_REVISION_CLUSTERED: 10164,
} as const;

/** The settings of the bucket that matter here. */
export interface StreamConfig {
  readonly storage: string;
  readonly num_replicas: number;
  readonly max_msgs_per_subject: number;
  readonly allow_rollup_hdrs?: boolean;
}

/**
 * Revisions that never fall: a bucket that was deleted, or that NATS has lost, counts from 1 when it is made again, and
 * goes on here where the one before has ended.
 */
export class Revisions {
  /** When the stream was made. */
  #created: string | undefined;
  /** What is added to the numbers of the stream. */
  #base = 0;
  #highest = 0;

  /** @param created When the stream was made. @returns Whether it is another one than before. */
  see(created: string): boolean {
    if (created === this.#created) return false;
    this.#created = created;
    this.#base = this.#highest;
    return true;
  }

  /** What a number of the stream is called. */
  of(seq: number): number {
    const revision = this.#base + seq;
    this.#highest = Math.max(this.#highest, revision);
    return revision;
  }

  /** The number of the stream; undefined for a revision of one that is gone. */
  seqOf(revision: number): number | undefined {
    if (revision === 0) return 0;
    return revision > this.#base ? revision - this.#base : undefined;
  }
}

/** The stream behind a bucket. */
export function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

/** The subject of a key. */
export function keySubject(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

/** The settings of a bucket, as they are asked for. */
export function bucketConfig(bucket: string, replicas: number): StreamConfig {
  const config = {
    name: streamOf(bucket),
    subjects: [keySubject(bucket, ">")],
    storage: "file",
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    max_bytes: MAX_BUCKET_BYTES,
    discard: "new",
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
  };
  return config;
}

/** A consumer that tells the newest value of every key, and then each change. */
export function watchConfig(bucket: string, consumer: string, inbox: string) {
  return {
    stream_name: streamOf(bucket),
    config: {
      name: consumer,
      deliver_subject: inbox,
      deliver_policy: "last_per_subject",
      ack_policy: "none",
      max_deliver: 1,
      filter_subject: keySubject(bucket, ">"),
      replay_policy: "instant",
      idle_heartbeat: HEARTBEAT_MS * NANOSECONDS,
      mem_storage: true,
      num_replicas: 1,
    },
  };
}

/** An answer of JetStream that says that something was not done. */
export class JetStreamError extends Error {
  override name = "JetStreamError";

  /** @param code One of {@linkcode CODE}, or another one. */
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

export function encodeJson(value: unknown): Bytes {
  return encodeUtf8(JSON.stringify(value));
}

/** Reads an answer. @throws {JetStreamError} When it is an error, or not JSON. */
export function readAnswer<T>({ data }: CoreMessage): T {
  let answer;
  try {
    answer = JSON.parse(new TextDecoder().decode(data));
  } catch {
    throw new JetStreamError(0, "an answer that is not JSON");
  }
  const error = answer?.error;
  if (error) throw new JetStreamError(Number(error.err_code), String(error.description));
  return answer;
}

/** What the reply subject of a change says: its number in the stream and in the watch, and how many wait behind it. */
export function readDelivery(
  reply: string,
): { readonly revision: number; readonly position: number; readonly pending: number } | undefined {
  // $JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERED.REVISION.POSITION.TIME.PENDING[.TOKEN]
  const words = reply.split(".");
  const start = words.length === 9 ? 4 : 6;
  const [, revision, position, , pending] = words.slice(start).map(Number);
  if (words[1] !== "ACK" || ![revision, position, pending].every(Number.isSafeInteger)) {
    return undefined;
  }
  return { revision: revision!, position: position!, pending: pending! };
}
