/**
 * Chooses the server the client talks to: the one named, one run by this program, one on this computer, or one
 * announced on the network.
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../base/bytes.ts";
import { describeError } from "../base/errors.ts";
import { reachableAddresses } from "../base/interfaces.ts";
import { LOOPBACK } from "../base/ip.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { derivePassword } from "../protocol/password.ts";
import { roomTag } from "../protocol/rooms.ts";
import type { Place } from "../protocol/succession.ts";
import { LastLists } from "../session/late.ts";
import type { KnownServers } from "../session/mod.ts";
import type { Face } from "../ui/mod.ts";
import {
  announcedFingerprint,
  type AnnouncedServer,
  chooseAnnounced,
  describeAnnounced,
  findAnnounced,
  isYes,
  noServerFound,
} from "./announced_servers.ts";
import type { ClientOptions } from "./arguments.ts";
import {
  type ChosenServer,
  expectKey,
  findReachable,
  localServer,
  namedServer,
  remoteServer,
} from "./chosen_server.ts";
import { loadKey } from "./key_file.ts";
import { probeHere, probePort } from "./probe.ts";
import type { RunningRelay } from "./serve.ts";
import {
  dialFound,
  type FoundHost,
  lookFirst,
  lookForHosts,
  type LookOptions,
} from "./look_first.ts";
import { DEFAULT_PORT, inviteTo, isThisComputer } from "./server_address.ts";

/** For each address of an announced server: it is near, and it may have others. */
const ANNOUNCED_TIMEOUT_MS = 2_000;

/** What choosing a server needs. */
interface FindOptions {
  /** Our own identity. */
  readonly key: PrivateKey;
  readonly ui: Face;
  /** The state folder. */
  readonly folder: string;
  /** Empty: none. */
  readonly password: string;
  readonly knownServers: KnownServers;
  /** Whether somebody can be asked. */
  readonly onTerminal: boolean;
}

/**
 * Finds the server that the options ask for.
 *
 * @throws {UsageError} When there is none.
 */
export async function findServer(options: ClientOptions, find: FindOptions): Promise<ChosenServer> {
  const { host, port, fingerprint } = options;
  if (host !== undefined) {
    const server = namedServer({ host, port, fingerprint }, find.knownServers);
    return options.serve && options.standBy ? await standBy(server, options, find) : server;
  }
  if (options.serve) return await serveOrJoin(options, find);
  const local = await probeHere(port, find.key);
  if (local.type === "hearth" && (fingerprint ?? local.fingerprint) === local.fingerprint) {
    return expectKey(localServer(local.hostname, port), fingerprint, find);
  }
  const found = await lookAround(options, find);
  const server = await chooseServer(found, options, find);
  if (server) return server;
  if (fingerprint !== undefined) throw noServerFound();
  const question = found.length > 0
    ? "Start one on this computer instead? [Y/n] "
    : "No server was found. Start one on this computer? [Y/n] ";
  const answer = await find.ui.ask(question, { secret: false });
  if (answer !== undefined && isYes(answer)) return await serveOrJoin(options, find);
  throw noServerFound();
}

/** Finds the announced servers: those that may have the key of the invitation, or all. */
async function lookAround(
  { fingerprint, room }: ClientOptions,
  { ui, knownServers }: FindOptions,
): Promise<AnnouncedServer[]> {
  ui.progress("looking for servers on the network");
  const found = await findAnnounced(knownServers, roomTag(room)).finally(() => ui.progress(""));
  return found.filter((server) => fingerprint?.startsWith(announcedFingerprint(server)) ?? true);
}

/** The announced server that the person chooses, or that the invitation is for; undefined when they want none. */
async function chooseServer(
  found: readonly AnnouncedServer[],
  { fingerprint, quiet }: ClientOptions,
  { key, ui, knownServers }: FindOptions,
): Promise<ChosenServer | undefined> {
  // With --quiet the list is not shown, so nobody can choose from it.
  const ask: Face["ask"] = (question, options) =>
    quiet && found.length > 1 ? Promise.resolve(undefined) : ui.ask(question, options);
  const chosen = fingerprint === undefined
    ? await chooseAnnounced(found, { say: (line) => ui.say(line), ask })
    : found[0];
  if (!chosen) return undefined;
  const { addresses, port } = chosen;
  const address = await findProven(chosen, key) ??
    await findReachable(addresses, port, ANNOUNCED_TIMEOUT_MS);
  const others = addresses.filter((other) => other !== address);
  const server = remoteServer(address, port, [address, ...others]);
  knownServers.expect(server.address, {
    start: announcedFingerprint(chosen),
    source: "announcement",
  });
  return expectKey(server, fingerprint, { knownServers });
}

/** Of several addresses the first where the announced key is proven: anybody can announce theirs with that key. */
async function findProven(server: AnnouncedServer, key: PrivateKey): Promise<string | undefined> {
  const { addresses, port } = server;
  for (const address of addresses.length > 1 ? addresses : []) {
    const user = await probePort(address, { port, key });
    const proven = user.type === "hearth" ? user.fingerprint : undefined;
    if (proven?.startsWith(announcedFingerprint(server))) return address;
  }
  return undefined;
}

/** Joins who has the room, and stands by; hosts if nobody has it. */
async function serveOrJoin(options: ClientOptions, find: FindOptions): Promise<ChosenServer> {
  const server = await joinFound(options, find);
  if (server) return server;
  const { port } = options;
  const { PortTakenError }: typeof import("./serve.ts") = await import("./serve.ts" as string);
  try {
    return await serve(options, find, port);
  } catch (error) {
    // Another program of ours was a little quicker.
    const isOurs = error instanceof PortTakenError && error.user.type === "hearth";
    if (!isOurs) throw error;
    return await joinFound(options, find) ?? await serve(options, find, 0);
  }
}

/**
 * Joins who has the room, and stands by; undefined if nobody is found. If the host refuses, and there is no other, this
 * computer hosts, also with `--no-stand-by`.
 */
async function joinFound(
  options: ClientOptions,
  find: FindOptions,
): Promise<ChosenServer | undefined> {
  const look = await makeLook(options, find);
  const found = await lookFirst(look);
  if (!found || !await isWanted(found, find)) return undefined;
  const server = foundServer(found);
  if (found.expected !== undefined) {
    find.knownServers.expect(server.address, { start: found.expected, source: "announcement" });
  }
  return { ...await standBy(server, options, find), lookAgain: (it) => lookAgain(it, look, find) };
}

async function makeLook(options: ClientOptions, find: FindOptions): Promise<LookOptions> {
  const { publicKey: { fingerprint } } = await loadRelayKey(options, find);
  return {
    key: find.key,
    room: options.room,
    port: options.port,
    knownServers: find.knownServers,
    asksNew: find.onTerminal,
    kept: (await LastLists.load(find.folder)).find(roomTag(options.room)),
    isOwn: ({ relay, port }) => equalBytes(relay, fingerprint) && port === options.port,
  };
}

/** Everybody else who has the room, after one has refused this client. */
async function lookAgain(refused: Bytes, look: LookOptions, find: FindOptions): Promise<Place[]> {
  const places: Place[] = [];
  for await (const found of lookForHosts(look)) {
    const { hostname, port, relay } = found;
    if (equalBytes(relay, refused) || look.isOwn({ relay, port, addresses: [] })) continue;
    if (await isWanted(found, find)) {
      places.push({ relay, port, addresses: [hostname.split("%", 1)[0]!] });
    }
  }
  return places;
}

/** A host whose key is new is joined only if the person wants it. */
async function isWanted({ announced }: FoundHost, { ui }: FindOptions): Promise<boolean> {
  if (!announced) return true;
  const question = `Join ${describeAnnounced(announced)}? [Y/n] `;
  const answer = await ui.ask(question, { secret: false });
  return answer !== undefined && isYes(answer);
}

function foundServer({ hostname, port }: FoundHost): ChosenServer {
  if (isThisComputer(hostname)) return localServer(hostname, port);
  return {
    ...remoteServer(hostname, port),
    dial: (signal) => dialFound(hostname, port, signal),
  };
}

/** Adds a relay that may host the room. */
async function standBy(
  server: ChosenServer,
  options: ClientOptions,
  find: FindOptions,
): Promise<ChosenServer> {
  const port = options.host === undefined ? options.port : DEFAULT_PORT;
  const { PortTakenError }: typeof import("./serve.ts") = await import("./serve.ts" as string);
  const { relay, stop } = await listen(options, find, port).catch((error) => {
    if (!(error instanceof PortTakenError)) throw error;
    return listen(options, find, 0);
  });
  return { ...server, own: relay.own, stop };
}

/** Starts a server in this process. */
async function serve(
  options: ClientOptions,
  find: FindOptions,
  port: number,
): Promise<ChosenServer> {
  return await ownServer(await listen(options, find, port), find);
}

/** The relay of this process. */
interface Listening {
  readonly relay: RunningRelay;
  readonly joinKey: Bytes | undefined;
  stop(): Promise<void>;
}

async function listen(
  options: ClientOptions,
  find: FindOptions,
  port: number,
): Promise<Listening> {
  const { folder, ui, password, key: { publicKey: { fingerprint: person } } } = find;
  const key = await loadRelayKey(options, find);
  const { fingerprint } = key.publicKey;
  const joinKey = password === ""
    ? undefined
    : (await derivePassword(password, fingerprint)).joinKey;
  const { startRelay }: typeof import("./serve.ts") = await import("./serve.ts" as string);
  const { BanFile }: typeof import("../relay/mod.ts") = await import("../relay/mod.ts" as string);
  const bans = new BanFile(`${folder}/bans`, (error) => ui.say(describeError(error)));
  const relay = await startRelay({
    key,
    port,
    person,
    joinKey,
    minKeyBits: options.minKeyBits,
    announce: options.announce,
    operators: new Set([encodeFingerprint(person)]),
    bans: await bans.load(),
    keepBan: (fingerprint, ban) => bans.change(fingerprint, ban),
    async prepare() {
      try {
        relay.setBans(await bans.load());
        return true;
      } catch (error) {
        ui.say(`this computer cannot carry the room on: ${describeError(error)}`);
        return false;
      }
    },
  });
  const stop = async () => {
    await relay.stop();
    await bans.flush();
  };
  return { relay, joinKey, stop };
}

async function loadRelayKey(
  options: ClientOptions,
  { folder, ui }: FindOptions,
): Promise<PrivateKey> {
  return await loadKey({
    folder,
    name: "server.pem",
    bits: options.keyBits,
    progress: (text) => ui.progress(text),
    ask: (question) => ui.ask(question, { secret: true }),
  }).finally(() => ui.progress(""));
}

/**
 * The server in this process. Its key is the only one accepted, should another program listen on the loopback address;
 * an older pin for that address is dropped.
 */
async function ownServer(
  { relay, joinKey, stop }: Listening,
  { knownServers }: FindOptions,
): Promise<ChosenServer> {
  const server = remoteServer(LOOPBACK, relay.port);
  if (knownServers.judge(server.address, relay.fingerprint) === "changed") {
    await knownServers.forget(server.address);
  }
  knownServers.expect(server.address, { start: relay.fingerprint, source: "server started here" });
  const address = () => reachableAddresses()[0]!; // a network may have come since the start
  return {
    ...server,
    serving: true,
    own: relay.own,
    openRoom: (room) => relay.own!.open(encodeHex(roomTag(room)), joinKey),
    isOnlyHere: () => isThisComputer(address()),
    invitation: (fingerprint) => inviteTo(address(), relay.port, fingerprint),
    stop,
  };
}
