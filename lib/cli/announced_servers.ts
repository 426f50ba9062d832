/**
 * The servers announced on this network: finding, describing and choosing one.
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import { UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import type { Found } from "../discovery/mod.ts";
import type { KnownServers } from "../session/mod.ts";
import { orderForRoom } from "./name_addresses.ts";
import { inviteTo, serverAddress } from "./server_address.ts";

/** Servers named in the hints of one error. */
const MAX_HINTS = 5;

/** A server that is announced. */
export interface AnnouncedServer extends Found {
  /** Its key is pinned, at this address or another. */
  readonly known: boolean;
}

/** Shows lines to the person and asks questions. */
interface Prompt {
  say(text: string): void;
  /** Resolves to undefined when there is no terminal, or the person gave up. */
  ask(question: string, options: { secret: boolean }): Promise<string | undefined>;
}

/**
 * Looks for announced servers, which takes about a second; known ones come first, each key once.
 *
 * @param room The tag of the room that is wanted.
 */
export async function findAnnounced(
  knownServers: KnownServers,
  room?: Uint8Array,
): Promise<AnnouncedServer[]> {
  const { browse }: typeof import("../discovery/browse.ts") = await import(
    "../discovery/browse.ts" as string
  );
  const found = mergeKeys(await browse(), room).map((server) => ({
    ...server,
    known: knownServers.knows(announcedFingerprint(server)),
  }));
  return found.sort((a, b) => Number(b.known) - Number(a.known) || compareNames(a, b));
}

/**
 * Makes one of the servers that have a key and a port in common: they are one in several places. It has the first name,
 * the most promising address of each before the others, and asks for a password if one of them does.
 *
 * @param room Its tag: the one at which the members of this room meet comes first.
 */
export function mergeKeys(found: readonly Found[], room?: Uint8Array): Found[] {
  const groups = Map.groupBy(found, ({ fingerprint, port }) => `${fingerprint} ${port}`);
  return [...groups.values()].map((group) => {
    const servers = group.sort(compareNames);
    const longest = Math.max(...servers.map(({ addresses }) => addresses.length));
    const places = room ? sortForRoom(servers, room) : servers;
    const addresses = Array.from(
      { length: longest },
      (_, i) => places.flatMap(({ addresses }) => addresses.slice(i, i + 1)),
    ).flat();
    return {
      ...servers[0]!,
      addresses: [...new Set(addresses)],
      password: servers.some(({ password }) => password),
    };
  });
}

/** In the order in which all clients try the servers of a room; those of an IPv4 address by that, as in DNS. */
function sortForRoom(servers: readonly Found[], room: Uint8Array): Found[] {
  const placeOf = ({ addresses }: Found) =>
    addresses.find((address) => !address.includes(":")) ?? addresses[0]!;
  const order = orderForRoom(servers.map(placeOf), room);
  return servers.toSorted((a, b) => order.indexOf(placeOf(a)) - order.indexOf(placeOf(b)));
}

function compareNames(a: Found, b: Found): number {
  return cleanLine(a.name) < cleanLine(b.name) ? -1 : 1;
}

/**
 * Lets the person choose a server; a single known one is taken without a question.
 *
 * @returns undefined when they want none of them.
 * @throws {UsageError} When a question is needed and there is no terminal to ask it.
 */
export async function chooseAnnounced(
  found: readonly AnnouncedServer[],
  prompt: Prompt,
): Promise<AnnouncedServer | undefined> {
  const [only, ...others] = found;
  if (!only) return undefined;
  if (others.length === 0) {
    if (only.known) return only;
    const answer = await prompt.ask(`Join ${describeAnnounced(only)}? [Y/n] `, { secret: false });
    if (answer === undefined) throw cannotAsk(found);
    return isYes(answer) ? only : undefined;
  }
  for (const [i, server] of found.entries()) prompt.say(`${i + 1}  ${describeAnnounced(server)}`);
  for (;;) {
    const question = `Which one? [1 to ${found.length}, Enter for none] `;
    const answer = (await prompt.ask(question, { secret: false }))?.trim();
    if (answer === undefined) throw cannotAsk(found);
    if (answer === "") return undefined;
    if (/^\d{1,3}$/.test(answer) && found[Number(answer) - 1]) return found[Number(answer) - 1];
  }
}

/** Whether an answer to a `[Y/n]` question means yes. */
export function isYes(answer: string): boolean {
  return /^(y|yes)?$/i.test(answer.trim());
}

/** One line: name, address, start of the fingerprint, whether it is known and needs a password. */
export function describeAnnounced(server: AnnouncedServer): string {
  return [
    cleanLine(server.name),
    serverAddress(server.addresses[0]!, server.port),
    announcedFingerprint(server),
    `(${server.known ? "known" : "new"}${server.password ? ", needs a password" : ""})`,
  ].join("  ");
}

/** The start of a server's fingerprint that is announced, in the form that fingerprints are shown in. */
export function announcedFingerprint({ fingerprint }: Found): string {
  return `SHA256:${fingerprint}`;
}

/** No server was named, and none is announced. */
export function noServerFound(): UsageError {
  return new UsageError("no server was found on this network", [
    "name one with --host ADDRESS, as the server prints it, or start one with --serve",
    `"${commandOf("client")} doctor" looks for the cause`,
  ]);
}

function cannotAsk(found: readonly AnnouncedServer[]): UsageError {
  const what = found.length === 1 ? "a new server was found" : `${found.length} servers were found`;
  return new UsageError(`${what}, but cannot ask which to join: no terminal`, [
    ...found.slice(0, MAX_HINTS).map((server) =>
      `${inviteTo(server.addresses[0]!, server.port)}${server.password ? " --password" : ""}  ` +
      `(${describeAnnounced(server)})`
    ),
    ...(found.length > MAX_HINTS ? [`${commandOf("client")} --list shows all of them`] : []),
  ]);
}
