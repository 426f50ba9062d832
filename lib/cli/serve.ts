/**
 * A relay on this computer's network: listens, accepts, and knows where it can be reached (PROTOCOL.md §2).
 *
 * Used by `server` and by `client --serve`. Knows nothing of options, logs and exit codes.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Announcer } from "../discovery/announcer.ts";
import { cipherFast } from "../protocol/records.ts";
import { UsageError } from "../base/errors.ts";
import { type PortUser, probePort } from "./probe.ts";
import { isEverywhere, reachableAddresses } from "../reach.ts";
import { Relay, type RelayOptions } from "../relay/relay.ts";
import { encodeFingerprint } from "../protocol/identity.ts";

/** Nobody sees it in a chat, and under load it saves most of the system calls. */
const GATHER_MS = 4;
/** The wait after an accept that failed: too many open files, most likely. */
const ACCEPT_RETRY_MS = 100;

/** What hosting needs: what the relay needs, and a place. */
export interface HostOptions extends RelayOptions {
  /** Newcomers cannot be let in for now; told once for each time that begins. */
  readonly onFault?: (error: unknown) => void;
  /** The address to listen on; all by default, IPv4 and IPv6. */
  readonly hostname?: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  /** Clients on the network are to find it by themselves. */
  readonly announce?: boolean;
}

/** A relay that is listening. */
export interface Host {
  readonly port: number;
  /** Where other computers may reach it, the likeliest first. */
  readonly addresses: readonly string[];
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Resolves to whether clients can find it by themselves. */
  readonly announced: Promise<boolean>;
  /** Changes who may join, §5. */
  setAllow(allow: ReadonlySet<string>): void;
  /** Stops listening, tells everybody, and ends all connections within some 2 s. */
  stop(): Promise<void>;
}

/** The port is in use; says by what. */
export class PortTakenError extends UsageError {
  override name = "PortTakenError";
  /** Who has it. */
  readonly user: PortUser;

  /** @param port The port. */
  constructor(port: number, user: PortUser) {
    const hearth = user.type === "hearth";
    const who = hearth
      ? `a HEARTH server${user.fingerprint ? ` (${user.fingerprint})` : " of another version"}`
      : "another program";
    super(`port ${port} is taken by ${who}`, [
      ...(hearth ? [`it can be joined with ./client --host localhost --port ${port}`] : []),
      "choose another port with --port, or --port 0 for a free one",
    ]);
    this.user = user;
  }
}

/**
 * Starts a relay.
 *
 * @throws {PortTakenError} When something is listening there already.
 * @throws {UsageError} When the address is none of this computer's, or the port may not be used.
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const listeners = await listen(options);
  const relay = new Relay({ gather: GATHER_MS, defer: setImmediate, ...options });
  let isOpen = true;
  const doorkeeper = { relay, onFault: options.onFault ?? (() => {}), isOpen: () => isOpen };
  const accepting = listeners.map((listener) => acceptAll(listener, doorkeeper));
  const place = {
    port: portOf(listeners[0]!),
    fingerprint: encodeFingerprint(options.key.publicKey.fingerprint),
  };
  const announcing = options.announce ? announce(options, place) : undefined;
  await cipherFast(); // now, and not in the middle of a chat
  return {
    ...place,
    addresses: reachableAddresses(options.hostname),
    announced: Promise.resolve(announcing).then((announcer) => announcer !== undefined),
    setAllow: (allow) => relay.setAllow(allow),
    async stop() {
      await (await announcing)?.stop();
      isOpen = false;
      for (const listener of listeners) listener.close();
      await Promise.all(accepting);
      await relay.stop();
    },
  };
}

/** Nobody has to be found: what goes wrong here keeps no server from its work. */
async function announce(
  { hostname, joinKey }: HostOptions,
  place: Pick<Host, "port" | "fingerprint">,
): Promise<Announcer | undefined> {
  try {
    const { announceRelay } = await import("../discovery/announcer.ts");
    return await announceRelay({
      ...place,
      isLocked: joinKey !== undefined,
      ...(isEverywhere(hostname) ? { isIpv4Only: hostname === "0.0.0.0" } : { hostname }),
    });
  } catch {
    return undefined;
  }
}

async function listen(options: HostOptions): Promise<Deno.Listener[]> {
  const { hostname, port } = options;
  try {
    if (hostname !== undefined) return [Deno.listen({ hostname, port })];
    return listenEverywhere(port);
  } catch (error) {
    throw await listenError(error, options);
  }
}

/** Both families: one socket for both where the system does that, else two, or IPv4 alone where there is no IPv6. */
function listenEverywhere(port: number): Deno.Listener[] {
  let both;
  try {
    both = Deno.listen({ hostname: "::", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || isDenied(error)) throw error;
    return [Deno.listen({ hostname: "0.0.0.0", port })];
  }
  try {
    return [both, Deno.listen({ hostname: "0.0.0.0", port: portOf(both) })];
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return [both];
    both.close();
    throw error;
  }
}

function portOf(listener: Deno.Listener): number {
  return (listener.addr as Deno.NetAddr).port;
}

function isDenied(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
}

async function listenError(error: unknown, { hostname, port, key }: HostOptions): Promise<unknown> {
  if (error instanceof Deno.errors.AddrInUse) {
    const host = isEverywhere(hostname) ? "localhost" : hostname;
    return new PortTakenError(port, await probePort(host, { port, key }));
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UsageError(`port ${port} may not be used`, [
      "ports below 1024 belong to the administrator: choose another with --port",
    ]);
  }
  if (error instanceof Deno.errors.AddrNotAvailable && hostname !== undefined) {
    return new UsageError(`${hostname} is no address of this computer`, [
      "leave --host out to listen on all of them",
    ]);
  }
  if (/lookup|resolve/i.test(String(error))) {
    return new UsageError(`no computer of the name ${hostname} was found`, [
      "give one of this computer's addresses, or leave --host out to listen on all of them",
    ]);
  }
  return error;
}

/** What accepting needs. */
interface Doorkeeper {
  readonly relay: Relay;
  onFault(error: unknown): void;
  isOpen(): boolean;
}

async function acceptAll(
  listener: Deno.Listener,
  { relay, onFault, isOpen }: Doorkeeper,
): Promise<void> {
  let isFailing = false;
  while (isOpen()) {
    let connection;
    try {
      connection = await listener.accept() as Deno.TcpConn;
      isFailing = false;
    } catch (error) {
      if (!isOpen()) continue;
      if (!isFailing) onFault(error);
      isFailing = true;
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
      continue;
    }
    try {
      connection.setNoDelay();
    } catch {
      connection.close(); // it has gone again already
      continue;
    }
    relay.accept(connection, (connection.remoteAddr as Deno.NetAddr).hostname);
  }
}
