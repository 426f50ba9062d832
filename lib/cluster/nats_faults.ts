/**
 * What may be wrong with NATS, in words for whoever runs a server.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { CODE, JetStreamError } from "./nats_bucket.ts";
import { CoreError } from "./nats_core.ts";

/** A roster of 256 members, sealed, with room for headers. */
const MIN_PAYLOAD = 128 * 1024;
/** Compare-and-set is exact from these on; before them it is not with several servers. */
const MIN_VERSION = [2, 9, 0] as const;
const MIN_CLUSTER_VERSION = [2, 10, 20] as const;

/** What a server of NATS says about itself. */
interface Server {
  readonly version: string;
  readonly max_payload: number;
  /** Set if it is one of several. */
  readonly cluster?: string | undefined;
}

/** @throws {UsageError} When the server cannot carry a cluster. */
export function checkServer({ version, max_payload, cluster }: Server, server: string): void {
  const least = cluster === undefined ? MIN_VERSION : MIN_CLUSTER_VERSION;
  if (isOlder(version, least)) {
    const which = cluster === undefined ? "" : " where NATS is several servers";
    throw new UsageError(
      `NATS at ${server} is too old: version ${readVersion(version).join(".")}`,
      [
        `use ${least.join(".")} or later${which}`,
      ],
    );
  }
  if (max_payload < MIN_PAYLOAD) {
    throw new UsageError(`NATS at ${server} takes messages of ${max_payload} bytes at most`, [
      `set max_payload to 1MB in its configuration`,
    ]);
  }
}

/** Whether a version, `2.10.20` with or without something behind it, is before another. */
function isOlder(version: string, least: readonly number[]): boolean {
  const numbers = readVersion(version);
  const i = least.findIndex((number, i) => number !== numbers[i]);
  return i >= 0 && numbers[i]! < least[i]!;
}

function readVersion(version: string): number[] {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? ["", "0", "0", "0"];
  return found.slice(1).map(Number);
}

/** What was tried. */
interface Attempt {
  readonly servers: readonly string[];
  readonly creds?: string | undefined;
  readonly caCerts?: readonly string[];
}

/** Says why NATS cannot be used, and what helps. @returns The error itself if it is something else. */
export function natsError(error: unknown, attempt: Attempt): UsageError {
  if (error instanceof UsageError) return error;
  const where = `NATS at ${attempt.servers.join(", ")}`;
  if (error instanceof JetStreamError) return jetStreamError(error, where);
  if (error instanceof CoreError) return coreError(error, where, attempt);
  throw error;
}

function jetStreamError({ code, message }: JetStreamError, where: string): UsageError {
  if (code === CODE.NO_JETSTREAM || code === CODE.NO_JETSTREAM_FOR_ACCOUNT) {
    return noJetStream(where);
  }
  return new UsageError(`${where} does not make the bucket: ${message}`);
}

function noJetStream(where: string): UsageError {
  return new UsageError(`${where} has no JetStream`, [
    "start it with nats-server -js, or enable jetstream in its configuration and for the account",
  ]);
}

function coreError({ kind, message }: CoreError, where: string, attempt: Attempt): UsageError {
  switch (kind) {
    case "credentials":
      return attempt.creds === undefined
        ? new UsageError(`${where} asks for credentials`, ["give them with --cluster-creds FILE"])
        : new UsageError(`${where} refuses the credentials of --cluster-creds: ${message}`);
    case "no-tls":
      return new UsageError(`${where} does not offer TLS, so nothing was sent to it`, [
        "without TLS the address begins with nats://, and there is no --cluster-ca",
      ]);
    case "tls":
      return new UsageError(`${where} is not trusted: ${message}`, [
        "give the certificate of its own authority with --cluster-ca FILE",
      ]);
    case "forbidden":
      return new UsageError(`${where} does not allow ${message}`, [
        "it has to publish to hearth.>, $JS.API.>, $KV.> and _INBOX.>, and to subscribe to hearth.> and _INBOX.>",
      ]);
    case "nobody":
      return noJetStream(where);
    case "timeout":
      return new UsageError(`${where} does not answer: JetStream may be without a majority`);
    case "other":
      return new UsageError(`${where} cannot be reached: ${message}`, [
        "is nats-server running there, and does a firewall let the port through?",
      ]);
  }
}
