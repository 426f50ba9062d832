/**
 * Opens TCP connections to servers and explains in plain words why one cannot be opened.
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import type { ByteStream } from "../transport/mod.ts";
import { describeError, UsageError } from "../base/errors.ts";
import { isLinkLocal } from "../base/ip.ts";
import { orderForRoom, type Resolve, resolveHost } from "./name_addresses.ts";
import { serverAddress } from "./server_address.ts";

/** Limit for the only address, or the last; the same in the chat and in `doctor`, so that both come to the same result. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Limit for an address after which there is another one. */
const NEXT_ADDRESS_MS = 2000;

/** Options of {@linkcode dial}. */
interface DialOptions {
  /** Tried in order instead of resolving the host. */
  readonly addresses?: readonly string[];
  /** The tag of a room, 32 bytes: the addresses of a name are tried in the order of this room. */
  readonly room?: Uint8Array;
  /** Resolves names instead of the system. */
  readonly resolve?: Resolve;
  /** For each address; by default 2 s, and 10 s for the last. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** An open connection. */
interface Dialed {
  readonly connection: Deno.TcpConn;
  /** The name or address that was connected to. */
  readonly hostname: string;
}

/**
 * Connects to a server, trying each of its addresses in turn.
 *
 * @param host A name as typed, or an IPv4 or IPv6 address without brackets.
 * @throws {UsageError} When no address accepts: why the first one did not, which is its cause, and what helps.
 */
export async function dial(
  host: string,
  port: number,
  { addresses, room, resolve, timeoutMs, signal }: DialOptions = {},
): Promise<Dialed> {
  const within = (ms: number) =>
    AbortSignal.any([AbortSignal.timeout(ms), ...signal ? [signal] : []]);
  let reason;
  try {
    addresses ??= await resolveInTime(host, room, { resolve, signal: within(CONNECT_TIMEOUT_MS) });
  } catch (error) {
    reason = error;
  }
  for (const [i, hostname] of (addresses ?? []).entries()) {
    const isLast = i === addresses!.length - 1;
    const limit = timeoutMs ?? (isLast ? CONNECT_TIMEOUT_MS : NEXT_ADDRESS_MS);
    try {
      return {
        connection: await Deno.connect({ hostname, port, signal: within(limit) }),
        hostname,
      };
    } catch (error) {
      reason ??= error;
    }
  }
  throw Object.assign(connectError(serverAddress(host, port), reason), { cause: reason });
}

/** The addresses of a host in the order in which they are tried. @throws The reason of the signal, too. */
async function resolveInTime(
  host: string,
  room: Uint8Array | undefined,
  { resolve, signal }: { resolve: Resolve | undefined; signal: AbortSignal },
): Promise<readonly string[]> {
  signal.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const found = await Promise.race([resolveHost(host, resolve), stopped.promise]);
    return room && found.length > 1 ? orderForRoom(found, room) : found;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function connectError(address: string, error: unknown): UsageError {
  const code = (error as { code?: string }).code ?? "";
  const text = `${code} ${describeError(error)}`;
  const name = error instanceof Error ? error.name : "";
  const fault = (what: string, ...hints: string[]) =>
    new UsageError(`cannot connect to ${address}: ${what}`, hints);
  if (error instanceof Deno.errors.ConnectionRefused || /ECONNREFUSED/.test(text)) {
    return fault(
      "nothing is listening there",
      `start the server on that computer (${
        commandOf("server")
      }), and check the address and the port it prints`,
    );
  }
  if (/TimedOut|ETIMEDOUT|timed out/i.test(text) || name === "TimeoutError") {
    return fault(
      "no answer",
      "is that computer on, in this network, and does its firewall let the port through?",
    );
  }
  if (/lookup|resolve|getaddrinfo|ENOTFOUND|EAI_|Name or service/i.test(text)) {
    return new UnknownHostError(address);
  }
  if (
    /EINVAL|Invalid argument/i.test(text) && address.startsWith("[") &&
    isLinkLocal(address.slice(1))
  ) {
    return fault(
      "a link-local address needs the network interface it is on",
      "append it after a percent sign, as in fe80::1%eth0",
    );
  }
  if (/EHOSTUNREACH|No route to host/i.test(text)) {
    return Deno.build.os === "darwin"
      ? fault(
        "no route to it",
        "allow it in System Settings › Privacy & Security › Local Network, then start again",
      )
      : fault(
        "no route to it",
        "is that computer on and in this network, and no firewall in between?",
      );
  }
  if (/ENETUNREACH|NetworkUnreachable|Network is unreachable/i.test(`${text} ${name}`)) {
    return fault(
      "this computer is not on a network that leads there",
      "check the cable or the Wi-Fi",
    );
  }
  return fault(describeError(error));
}

/** The name of the host could not be resolved. */
export class UnknownHostError extends UsageError {
  override name = "UnknownHostError";

  /** @param address `host:port`, as shown to the user. */
  constructor(address: string) {
    super(`cannot connect to ${address}: no computer of that name was found`, [
      "give the address the server prints instead",
    ]);
  }
}

/** How long a stream is read in one go while there is always more. */
const READING_MS = 8;
/** A read that takes longer had to wait, so that everything else had its turn. */
const WAITED_MS = 1;

/**
 * Pauses between the reads of a stream: one that has data resolves before timers and other input get their turn, so that
 * whoever sends enough would keep the whole program from doing anything else.
 */
export function readInTurns(stream: ByteStream): ByteStream {
  let since = performance.now();
  return {
    async read(into) {
      if (performance.now() - since >= READING_MS) {
        await new Promise<void>((resolve) => setTimeout(resolve));
        since = performance.now();
      }
      const start = performance.now();
      const length = await stream.read(into);
      const end = performance.now();
      if (end - start > WAITED_MS) since = end;
      return length;
    },
    write: (bytes) => stream.write(bytes),
    closeWrite: () => stream.closeWrite(),
    close: () => stream.close(),
    ...(stream.localAddr && { localAddr: stream.localAddr }),
    ...(stream.remoteAddr && { remoteAddr: stream.remoteAddr }),
  };
}
