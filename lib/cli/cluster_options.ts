/**
 * `--cluster`, `--cluster-creds` and `--cluster-ca` as typed, for `server` and `server doctor`.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { joinPort } from "../base/ip.ts";
import { MAX_PORT, parseHost } from "./server_address.ts";

/** The port of NATS. */
const DEFAULT_PORT = 4222;
/** More servers of NATS need not be named: any one will do. */
const MAX_SERVERS = 16;

/** How to reach NATS. */
export interface ClusterRequest {
  /** `nats://HOST:PORT` or `tls://HOST:PORT` each. */
  readonly servers: readonly string[];
  /** A file with credentials. */
  readonly creds: string | undefined;
  /** A file with certificates to trust. */
  readonly ca: string | undefined;
}

type ClusterOptionName = "cluster" | "cluster-creds" | "cluster-ca";

/**
 * Reads the three options.
 *
 * @param given What was typed.
 * @returns Undefined without `--cluster`.
 * @throws {UsageError} When it is not a list of addresses, or others are given without it.
 */
export function readCluster(
  given: { text(name: ClusterOptionName): string | undefined },
): ClusterRequest | undefined {
  const [list, creds, ca] = [
    given.text("cluster"),
    given.text("cluster-creds"),
    given.text("cluster-ca"),
  ];
  if (list !== undefined) return { servers: readServers(list), creds, ca };
  const without = creds !== undefined ? "cluster-creds" : ca !== undefined && "cluster-ca";
  if (without) throw new UsageError(`--${without} needs --cluster`);
  return undefined;
}

function readServers(list: string): string[] {
  const servers = list.split(",").map((it) => readServer(it.trim()));
  if (servers.length <= MAX_SERVERS) return servers;
  throw badCluster(`more than ${MAX_SERVERS} servers`);
}

function readServer(text: string): string {
  const [, scheme, rest] = /^(nats|tls):\/\/([^/?#]+)\/?$/.exec(text) ?? [];
  if (scheme === undefined) throw badCluster(`not the address of a NATS server`);
  // A command line can be read by everybody on this computer.
  if (rest!.includes("@")) {
    throw new UsageError("--cluster: no user or password may stand in the address", [
      "put the credentials into a file: --cluster-creds FILE",
    ]);
  }
  try {
    const { host, port = DEFAULT_PORT } = parseHost(rest!);
    return `${scheme}://${joinPort(host, port)}`;
  } catch (error) {
    if (error instanceof UsageError) throw badCluster(error.message);
    throw error;
  }
}

function badCluster(fault: string): UsageError {
  return new UsageError(`--cluster: ${fault}`, [
    `nats://192.168.1.30 or tls://nats.example:4222, several with commas between; the port is 1 to ${MAX_PORT}`,
  ]);
}
