/**
 * The server that the client talks to, wherever it runs: how it is reached, and what others type to reach it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { reachableAddresses } from "../base/interfaces.ts";
import { roomTag } from "../protocol/rooms.ts";
import type { Place } from "../protocol/succession.ts";
import type { KnownServers, OwnRelay } from "../session/mod.ts";
import type { ByteStream } from "../transport/mod.ts";
import { dial } from "./dial.ts";
import { inviteTo, isThisComputer, serverAddress } from "./server_address.ts";

/** For each address of this computer: takes longer only if a firewall drops packets. */
const OWN_ADDRESS_TIMEOUT_MS = 200;

/** The server the client talks to. */
export interface ChosenServer {
  /** `host:port` as pins name it. */
  readonly address: string;
  /** It runs in this process. */
  readonly serving: boolean;
  /** The relay of this process: the server, or one that stands by. */
  readonly own: OwnRelay | undefined;
  /** Finds other hosts of the room, where this one was found. @param refused The fingerprint of this one, 32 bytes. */
  readonly lookAgain?: (refused: Bytes) => Promise<Place[]>;
  /** Opens a room on the server of this process, if it is that. */
  openRoom(room: string): void;
  /** Finds out whether other computers can reach it, before anybody is invited. */
  look(): Promise<void>;
  /** Whether it seems to be unreachable from other computers. */
  isOnlyHere(): boolean;
  /**
   * Connects to it, at the address that the room is at if its name has several.
   *
   * @param room The name of the room.
   * @throws {UsageError} Saying why that is not possible, and what helps.
   */
  dial(signal: AbortSignal, room: string): Promise<ByteStream>;
  /** What others type to join; with the server's fingerprint their first contact is authenticated. */
  invitation(fingerprint?: string): string;
  /** Stops the relay of this process. */
  stop(): Promise<void>;
}

/**
 * The server that is named.
 *
 * @param fingerprint That of the invitation, `SHA256:…`, if there is one: only this key is accepted.
 */
export function namedServer(
  { host, port, fingerprint }: { host: string; port: number; fingerprint: string | undefined },
  knownServers: KnownServers,
): ChosenServer {
  const server = isThisComputer(host) ? localServer(host, port) : remoteServer(host, port);
  return expectKey(server, fingerprint, { knownServers });
}

/** Accepts only the key of the invitation at that address, if there is an invitation. */
export function expectKey(
  server: ChosenServer,
  fingerprint: string | undefined,
  { knownServers }: { readonly knownServers: KnownServers },
): ChosenServer {
  if (fingerprint !== undefined) {
    knownServers.expect(server.address, { start: fingerprint, source: "invitation" });
  }
  return server;
}

/** The first address that accepts a connection; there must be at least one address. */
export async function findReachable(
  addresses: readonly string[],
  port: number,
  timeoutMs: number,
): Promise<string> {
  const { connection, hostname } = await dial(addresses[0]!, port, { addresses, timeoutMs });
  connection.close();
  return hostname;
}

/** A server in another process on this computer; the invitation names an address that others can reach, if it has one. */
export function localServer(host: string, port: number): ChosenServer {
  const server = remoteServer(host, port);
  let outside: string | undefined;
  let isFirst = true;
  const look = async () => {
    outside ??= await findListening(port);
  };
  return {
    ...server,
    look,
    async dial(signal, room) {
      const stream = await server.dial(signal, room);
      if (!isFirst) await look(); // a server may have been started there since
      isFirst = false;
      return stream;
    },
    isOnlyHere: () => outside === undefined,
    invitation: (fingerprint) => inviteTo(outside ?? host, port, fingerprint),
  };
}

/** Finds the first address of this computer, other than loopback, on which something listens. */
async function findListening(port: number): Promise<string | undefined> {
  const addresses = reachableAddresses().filter((address) => !isThisComputer(address));
  if (addresses.length === 0) return undefined;
  return await findReachable(addresses, port, OWN_ADDRESS_TIMEOUT_MS).catch(() => undefined);
}

/**
 * A server on another computer.
 *
 * @param addresses Tried in order; by default those of the host.
 */
export function remoteServer(
  host: string,
  port: number,
  addresses?: readonly string[],
): ChosenServer {
  return {
    address: serverAddress(host, port),
    serving: false,
    own: undefined,
    openRoom: () => {},
    look: () => Promise.resolve(),
    isOnlyHere: () => false,
    async dial(signal, room) {
      const { connection } = await dial(host, port, {
        signal,
        room: roomTag(room),
        ...addresses && { addresses },
      });
      connection.setNoDelay();
      return connection;
    },
    invitation: (fingerprint) => inviteTo(host, port, fingerprint),
    stop: () => Promise.resolve(),
  };
}
