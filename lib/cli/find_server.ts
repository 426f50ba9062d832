/**
 * Which relay the client talks to: a named one, its own, or one on this computer.
 *
 * @module
 */

import type { ClientOptions } from "./arguments.ts";
import type { ByteStream } from "../transport/establish.ts";
import { inviteTo } from "./server_address.ts";
import { connectError, readPassphrase } from "./process.ts";
import type { Host } from "./serve.ts";
import { loadIdentity } from "./key_file.ts";
import { derivePassword } from "../protocol/password.ts";
import {
  chooseNearby,
  findNearby,
  lookUp,
  type Nearby,
  nothingFound,
  reachNearby,
  startOf,
} from "./announced_servers.ts";
import { probePort } from "./probe.ts";
import { reachableAddresses } from "../reach.ts";
import type { PrivateKey } from "../protocol/identity.ts";
import { serverAddress, type ServerBook } from "../session/known_servers.ts";
import type { Ui } from "../ui/json.ts";

/** An attempt to connect is given up after so long. */
const CONNECT_TIMEOUT_MS = 10_000;
const LOOPBACK = "127.0.0.1";

/** A relay to talk to. */
export interface Relay {
  /** `host:port` as pins name it. */
  readonly address: string;
  /** It runs in this process. */
  readonly serving: boolean;
  /** Makes a connection to it. @throws {UsageError} Saying why not, and what helps. */
  dial(signal: AbortSignal): Promise<ByteStream>;
  /** What a friend types to join; with the relay's fingerprint their first contact is authenticated. */
  invitation(fingerprint?: string): string;
  /** Ends it, if it runs in this process. */
  stop(): Promise<void>;
}

/** What finding a relay needs. */
export interface FindOptions {
  /** One's own identity. */
  readonly key: PrivateKey;
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
  const { host, port, fingerprint } = options;
  if (host !== undefined) return expectKey(remoteRelay(host, port), fingerprint, find);
  if (options.serve) return await serve(options, find);
  const here = await probePort(LOOPBACK, { port, key: find.key });
  if (here.type === "hearth" && (fingerprint ?? here.fingerprint) === here.fingerprint) {
    return expectKey(remoteRelay(LOOPBACK, port), fingerprint, find);
  }
  const found = await lookAround(options, find);
  const relay = await chooseRelay(found, options, find);
  if (relay) return relay;
  if (fingerprint !== undefined) throw nothingFound();
  const question = found.length > 0
    ? "Start one on this computer instead? [Y/n] "
    : "No server was found. Start one on this computer? [Y/n] ";
  const answer = await find.ui.ask(question, { secret: false });
  if (answer !== undefined && /^(y|yes)?$/i.test(answer.trim())) return await serve(options, find);
  throw nothingFound();
}

/** From now on only the key of the invitation is accepted there, if there is one. */
function expectKey(
  relay: Relay,
  fingerprint: string | undefined,
  { servers }: Pick<FindOptions, "servers">,
): Relay {
  if (fingerprint !== undefined) {
    servers.expect(relay.address, { start: fingerprint, source: "invitation" });
  }
  return relay;
}

/** Looks on the network: for those that may have the key of the invitation, or for all. */
async function lookAround(
  { fingerprint }: ClientOptions,
  { ui, servers }: FindOptions,
): Promise<Nearby[]> {
  ui.progress("looking for servers on the network");
  const found = await findNearby(servers).finally(() => ui.progress(""));
  return found.filter((it) => fingerprint?.startsWith(startOf(it)) ?? true);
}

/** The relay among those that the person chooses, or that the invitation is for; none when they want none. */
async function chooseRelay(
  found: readonly Nearby[],
  { fingerprint, quiet }: ClientOptions,
  { ui, servers }: FindOptions,
): Promise<Relay | undefined> {
  // A list that is not shown is none to choose from.
  const ask = quiet && found.length > 1 ? () => Promise.resolve(undefined) : ui.ask;
  const chosen = fingerprint === undefined
    ? await chooseNearby(found, { say: ui.say, ask })
    : found[0];
  if (!chosen) return undefined;
  const relay = remoteRelay(await reachNearby(chosen), chosen.port);
  servers.expect(relay.address, { start: startOf(chosen), source: "announcement" });
  return expectKey(relay, fingerprint, { servers });
}

/** Serves, or joins the server that is serving on this computer already. */
async function serve(options: ClientOptions, find: FindOptions): Promise<Relay> {
  const key = await loadServerKey(options, find);
  const { password } = find;
  const { fingerprint } = key.publicKey;
  const { PortTakenError, startHost } = await import("./serve.ts");
  try {
    const host = await startHost({
      key,
      port: options.port,
      joinKey: password === "" ? undefined : (await derivePassword(password, fingerprint)).joinKey,
      minKeyBits: options.minKeyBits,
      announce: options.announce,
    });
    return await ownRelay(host, find);
  } catch (error) {
    if (!(error instanceof PortTakenError) || error.user.type !== "hearth") throw error;
    return remoteRelay(LOOPBACK, options.port);
  }
}

async function loadServerKey(options: ClientOptions, { ui, folder }: FindOptions) {
  try {
    return await loadIdentity({
      folder,
      name: "server.pem",
      bits: options.keyBits,
      onMaking: (path, bits) => ui.progress(`making the server's key of ${bits} bits: ${path}`),
      askPassphrase: (path) =>
        readPassphrase(path, (question) => ui.ask(question, { secret: true })),
    });
  } finally {
    ui.progress("");
  }
}

/** The relay in this process: its key is known for certain, whatever served at this address before. */
async function ownRelay(host: Host, { servers }: FindOptions): Promise<Relay> {
  const relay = remoteRelay(LOOPBACK, host.port);
  if (servers.judge(relay.address, host.fingerprint) === "changed") {
    await servers.forget(relay.address);
  }
  return {
    ...relay,
    serving: true,
    invitation: (fingerprint) => inviteTo(host.addresses[0]!, host.port, fingerprint),
    stop: () => host.stop(),
  };
}

/** A relay on another computer, or on this one in another process. */
export function remoteRelay(host: string, port: number): Relay {
  const address = serverAddress(host, port);
  return {
    address,
    serving: false,
    dial: (signal) => connect(host, port, signal),
    // A friend on another computer needs another name for this one.
    invitation: (fingerprint) =>
      inviteTo(
        /^(127\.|::1$|localhost$)/i.test(host) ? reachableAddresses()[0]! : host,
        port,
        fingerprint,
      ),
    stop: () => Promise.resolve(),
  };
}

async function connect(host: string, port: number, signal: AbortSignal): Promise<ByteStream> {
  let reason;
  for (const hostname of await lookUp(host)) {
    try {
      const connection = await Deno.connect({
        hostname,
        port,
        signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]),
      });
      connection.setNoDelay();
      return connection;
    } catch (error) {
      reason ??= error;
    }
  }
  throw connectError(serverAddress(host, port), reason);
}
