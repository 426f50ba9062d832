/**
 * Runs a relay on the network for `server` and `client --serve`: listening, accepting, announcing (PROTOCOL.md §2).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { commandOf } from "../base/command.ts";
import { setImmediate } from "node:timers";
import { systemClock } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { isEverywhere, isNear, reachableAddresses } from "../base/interfaces.ts";
import { LOOPBACK } from "../base/ip.ts";
import type { Announcer } from "../discovery/mod.ts";
import { cipherFast } from "../protocol/records.ts";
import { UsageError } from "../base/errors.ts";
import { type KeptBan, Relay, type RelayOptions, type RelayState } from "../relay/mod.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { ListeningRelay } from "./own_relay.ts";
import { type PortUser, probeHere, probePort } from "./probe.ts";

/** Too short to notice in a chat; under load it avoids most system calls. */
const COALESCE_MS = 4;
/** Delay after a failed accept, most likely for want of file descriptors. */
const ACCEPT_RETRY_MS = 100;

/**
 * Connections accepted in a tenth of a second; further ones wait in the system's queue. A connection that sends nothing
 * costs some 80 µs, so a flood of them takes a sixth of a core.
 */
const ACCEPTS = 200;
const ACCEPTS_SPAN_MS = 100;
/** How long the list of this computer's networks is used. */
const NETWORKS_MS = 10_000;

interface RelayStartOptions extends RelayOptions {
  /** Connections cannot be accepted for now; called once until one is accepted again. */
  readonly onFault?: (error: unknown) => void;
  /** Gets a line for the log when others on the network interfere with the announcement. */
  readonly onTrouble?: (line: string) => void;
  /** The address to listen on; by default all, IPv4 and IPv6. */
  readonly hostname?: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  /** Announce it on the network: at once, or with {@linkcode RelayStartOptions.person} while it hosts. */
  readonly announce?: boolean;
  /** The fingerprint, 32 bytes, of the person whose client this relay belongs to: it admits nobody until it hosts. */
  readonly person?: Bytes;
  /** With a person: called each time before it begins to host. @returns Whether it can. */
  prepare?(): Promise<boolean>;
}

/** A relay that is listening. */
export interface RunningRelay {
  readonly port: number;
  /** Where other computers may reach it, the most likely first. */
  readonly addresses: readonly string[];
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** With a person: what their session needs of it. */
  readonly own: ListeningRelay | undefined;
  /** Resolves to whether it is announced on the network from the start. */
  readonly announced: Promise<boolean>;
  /** Changes who may join, §5. */
  setAllow(allow: ReadonlySet<string>): void;
  /** Changes who the operators are, §5. */
  setOperators(operators: ReadonlySet<string>): void;
  /** Changes the message of the day, at most 1024 bytes; an empty text is none. */
  setMotd(text: string): void;
  /** Changes who is banned, §5. */
  setBans(bans: readonly KeptBan[]): void;
  /** What it is doing, in numbers. */
  state(): RelayState;
  /** How often multicast DNS messages had to be dropped. */
  overloads(): number;
  /** Stops listening, tells all clients, and ends their connections within about 2 s. */
  stop(): Promise<void>;
}

/** The port is in use. */
export class PortTakenError extends UsageError {
  override name = "PortTakenError";
  readonly user: PortUser;

  constructor(port: number, user: PortUser) {
    const isHearth = user.type === "hearth";
    const what = isHearth
      ? `a HEARTH server${user.fingerprint ? ` (${user.fingerprint})` : " of another version"}`
      : "another program";
    const host = isHearth && user.hostname !== LOOPBACK ? user.hostname : "localhost";
    super(`port ${port} is taken by ${what}`, [
      ...(isHearth
        ? [`it can be joined with ${commandOf("client")} --host ${host} --port ${port}`]
        : []),
      "choose another port with --port, or --port 0 for a free one",
    ]);
    this.user = user;
  }
}

/**
 * Starts a relay.
 *
 * @throws {PortTakenError} When something is already listening on the port.
 * @throws {UsageError} When the address is not one of this computer's, or the port is not allowed.
 */
export async function startRelay(options: RelayStartOptions): Promise<RunningRelay> {
  const { key, person } = options;
  const listeners = await listen(options);
  const relay = new Relay({
    coalesceMs: COALESCE_MS,
    defer: setImmediate,
    isNear: watchNetworks(),
    ...options,
    ...(person && { host: { person, onPlace: (...visit) => own?.visited(...visit) } }),
  });
  let isOpen = true;
  const rate = new SlidingWindow(systemClock, { limit: ACCEPTS, spanMs: ACCEPTS_SPAN_MS });
  const accepting = listeners.map((listener) =>
    acceptAll(listener, { relay, rate, onFault: options.onFault, isOpen: () => isOpen })
  );
  const start = {
    port: portOf(listeners[0]!),
    fingerprint: encodeFingerprint(key.publicKey.fingerprint),
  };
  const own = person && new ListeningRelay(relay, {
    key: key.publicKey,
    port: start.port,
    prepare: async () => await options.prepare?.() ?? true,
    announce: async (isLocked) =>
      options.announce ? await announce(options, start, isLocked) : undefined,
  });
  const announcing = options.announce && !own
    ? announce(options, start, options.joinKey !== undefined)
    : undefined;
  let announcer: Announcer | undefined;
  void announcing?.then((it) => announcer = it);
  await cipherFast(); // compile it now, not in the middle of a chat
  return {
    ...start,
    own,
    addresses: reachableAddresses(options.hostname),
    announced: Promise.resolve(announcing).then((announcer) => announcer !== undefined),
    setAllow: (allow) => relay.setAllow(allow),
    setOperators: (operators) => relay.setOperators(operators),
    setMotd: (text) => relay.setMotd(text),
    setBans: (bans) => relay.setBans(bans),
    state: () => relay.state,
    overloads: () => announcer?.overloads ?? 0,
    async stop() {
      isOpen = false;
      for (const listener of listeners) listener.close();
      const stopAnnouncing = async () => {
        await (await announcing)?.stop();
        await own?.stopAnnouncing();
      };
      // At once: who stands by waits for the CLOSE.
      await Promise.all([relay.stop(), stopAnnouncing(), ...accepting]);
    },
  };
}

/** Returns a function that tells whether an IPv6 address is in a network of this computer; these come and go. */
function watchNetworks(): (address: string) => boolean {
  let rows = Deno.networkInterfaces();
  let readAt = performance.now();
  return (address) => {
    if (performance.now() - readAt > NETWORKS_MS) {
      readAt = performance.now();
      try {
        rows = Deno.networkInterfaces();
      } catch {
        // A server that is not announced has dropped the permission.
      }
    }
    return isNear(address, rows);
  };
}

/** A server works without being announced, so errors are ignored here. */
async function announce(
  { hostname, onTrouble }: RelayStartOptions,
  start: Pick<RunningRelay, "port" | "fingerprint">,
  isLocked: boolean,
): Promise<Announcer | undefined> {
  try {
    const { announceRelay } = await import("../discovery/announcer.ts");
    return await announceRelay({
      ...start,
      isLocked,
      ...(onTrouble && { onTrouble }),
      ...(isEverywhere(hostname) ? { isIpv4Only: hostname === "0.0.0.0" } : { hostname }),
    });
  } catch {
    return undefined;
  }
}

async function listen(options: RelayStartOptions): Promise<Deno.Listener[]> {
  const { hostname, port } = options;
  try {
    if (hostname !== undefined) return [Deno.listen({ hostname, port })];
    return listenEverywhere(port);
  } catch (error) {
    throw await listenError(error, options);
  }
}

/**
 * Listens on IPv4 and IPv6: with one socket where the system allows it, else with two; on IPv4 alone where there is no
 * IPv6. Fails when another program has the port for one of the two.
 */
export function listenEverywhere(port: number): Deno.Listener[] {
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
    if (error instanceof Deno.errors.AddrInUse && !areSocketsSeparate()) return [both];
    both.close();
    throw error;
  }
}

/** Whether IPv6 sockets of this system leave IPv4 to others, found out on a free port. */
function areSocketsSeparate(): boolean {
  using ipv6 = Deno.listen({ hostname: "::", port: 0 });
  try {
    Deno.listen({ hostname: "0.0.0.0", port: portOf(ipv6) }).close();
    return true;
  } catch {
    return false;
  }
}

function portOf(listener: Deno.Listener): number {
  return (listener.addr as Deno.NetAddr).port;
}

function isDenied(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
}

async function listenError(
  error: unknown,
  { hostname, port, key }: RelayStartOptions,
): Promise<unknown> {
  if (error instanceof Deno.errors.AddrInUse) {
    const user = isEverywhere(hostname)
      ? await probeHere(port, key)
      : await probePort(hostname, { port, key });
    return new PortTakenError(port, user);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UsageError(`port ${port} is not allowed`, [
      "ports below 1024 need administrator rights: choose another with --port",
    ]);
  }
  if (error instanceof Deno.errors.AddrNotAvailable && hostname !== undefined) {
    return new UsageError(`${hostname} is not an address of this computer`, [
      "leave --host out to listen on all of them",
    ]);
  }
  if (/lookup|resolve/i.test(String(error))) {
    return new UsageError(`no computer named ${hostname} was found`, [
      "give one of this computer's addresses, or leave --host out to listen on all of them",
    ]);
  }
  return error;
}

async function acceptAll(
  listener: Deno.Listener,
  { relay, rate, onFault, isOpen }: {
    readonly relay: Relay;
    readonly rate: SlidingWindow;
    readonly onFault: RelayStartOptions["onFault"];
    isOpen(): boolean;
  },
): Promise<void> {
  let isFailing = false;
  while (isOpen()) {
    const { waitMs } = rate;
    if (waitMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      continue;
    }
    let connection;
    try {
      connection = await listener.accept() as Deno.TcpConn;
      rate.count();
      isFailing = false;
    } catch (error) {
      if (!isOpen()) continue;
      if (!isFailing) onFault?.(error);
      isFailing = true;
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
      continue;
    }
    try {
      connection.setNoDelay();
    } catch {
      connection.close(); // the client has left already
      continue;
    }
    relay.accept(connection, (connection.remoteAddr as Deno.NetAddr).hostname);
  }
}
