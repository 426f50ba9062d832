/**
 * Which relay the client talks to: a named one, its own, or one on this computer.
 *
 * @module
 */

import { type ClientOptions } from "./arguments.ts";
import type { ByteStream } from "./connection.ts";
import { UsageError } from "./errors.ts";
import { DEFAULT_PORT } from "./host.ts";
import { connectError } from "./cli.ts";
import { serverAddress, type ServerBook } from "./servers.ts";
import type { Ui } from "./ui.ts";

/** An attempt to connect is given up after so long. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A relay to talk to. */
export interface Relay {
  /** `host:port` as pins name it. */
  readonly address: string;
  /** It runs in this process. */
  readonly serving: boolean;
  /** Makes a connection to it. @throws {UsageError} Saying why not, and what helps. */
  dial(signal: AbortSignal): Promise<ByteStream>;
  /** What a friend types to join. */
  invitation(): string;
  /** Ends it, if it runs in this process. */
  stop(): Promise<void>;
}

/** What finding a relay needs. */
export interface FindOptions {
  readonly ui: Ui;
  readonly folder: string;
  /** Empty: none. */
  readonly password: string;
  readonly servers: ServerBook;
}

/**
 * Finds the relay that the options ask for.
 *
 * @throws {UsageError} When there is none.
 */
export async function findRelay(options: ClientOptions, find: FindOptions): Promise<Relay> {
  if (options.host !== undefined) return remoteRelay(options.host, options.port);
  void find;
  throw new UsageError("no server was found", ["name one with --host, or start one with --serve"]);
}

/** A relay on another computer, or on this one in another process. */
export function remoteRelay(host: string, port: number): Relay {
  const address = serverAddress(host, port);
  return {
    address,
    serving: false,
    dial: (signal) => connect(host, port, signal),
    invitation: () => inviteTo(host, port),
    stop: () => Promise.resolve(),
  };
}

/** The line that joins a relay. */
export function inviteTo(host: string, port: number): string {
  const shown = port !== DEFAULT_PORT && host.includes(":") ? `[${host}]` : host;
  return `./client --host ${shown}${port === DEFAULT_PORT ? "" : `:${port}`}`;
}

async function connect(host: string, port: number, signal: AbortSignal): Promise<ByteStream> {
  try {
    const connection = await Deno.connect({
      hostname: host,
      port,
      signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]),
    });
    connection.setNoDelay();
    return connection;
  } catch (error) {
    throw connectError(serverAddress(host, port), error);
  }
}
