/**
 * The servers that are announced on the network, as a person meets them: which are known, a list, a choice.
 *
 * What is announced is a hint and is never trusted; here it is only shown, cleaned.
 *
 * @module
 */

import { connectError } from "./process.ts";
import type { Found } from "../discovery.ts";
import { UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { inviteTo } from "./server_address.ts";
import { serverAddress, ServerBook } from "../session/known_servers.ts";
import { cleanLine, escapeJson } from "../base/text.ts";

/** An address that has not answered until then is not the one; there may be others. */
const CONNECT_MS = 2_000;
/** Hints name no more servers than that. */
const MAX_HINTS = 5;

/** A server that is announced. */
export interface Nearby extends Found {
  /** A key that begins like this is pinned, wherever that was. */
  readonly known: boolean;
}

/** Whom to ask. */
export interface Asking {
  /** Shows a line. */
  say(text: string): void;
  /** Asks; undefined when there is nobody to ask. */
  ask(question: string, options: { secret: boolean }): Promise<string | undefined>;
}

/** Looks for servers for a moment; the known ones come first. */
export async function findNearby(servers: ServerBook): Promise<Nearby[]> {
  const { browse } = await import("../discovery.ts");
  const found = (await browse()).map((it) => ({
    ...it,
    known: servers.knows(startOf(it)),
  }));
  return found.sort((a, b) =>
    Number(b.known) - Number(a.known) || (cleanLine(a.name) < cleanLine(b.name) ? -1 : 1)
  );
}

/** What is announced of the fingerprint, as it is shown. */
export function startOf({ fingerprint }: Found): string {
  return `SHA256:${fingerprint}`;
}

/** `client --list`: prints what is found. @throws {UsageError} When that is nothing. */
export async function listServers({ json }: { readonly json: boolean }): Promise<number> {
  const found = await findNearby(
    await ServerBook.load(stateFolder((name) => Deno.env.get(name))),
  );
  if (found.length === 0) throw nothingFound();
  for (const { name, addresses, port, fingerprint, password, known } of found) {
    const fields = { name, addresses, port, fingerprint, password, known };
    console.log(json ? escapeJson(fields) : describeNearby({ ...fields }));
  }
  return 0;
}

/** The error of who has found no server. */
export function nothingFound(): UsageError {
  return new UsageError("no server was found on this network", [
    "name one with --host ADDRESS, as the server prints it, or start one with --serve",
    `"client doctor" looks for what may be in the way`,
  ]);
}

/**
 * Has the person choose; one that is alone and known is taken without a question.
 *
 * @returns undefined when they want none of them.
 * @throws {UsageError} When there is nobody to ask.
 */
export async function chooseNearby(
  found: readonly Nearby[],
  asking: Asking,
): Promise<Nearby | undefined> {
  const [only, ...others] = found;
  if (!only) return undefined;
  if (others.length === 0) {
    if (only.known) return only;
    const answer = await asking.ask(`Join ${describeNearby(only)}? [Y/n] `, { secret: false });
    if (answer === undefined) throw nobodyToAsk(found);
    return /^(y|yes)?$/i.test(answer.trim()) ? only : undefined;
  }
  for (const [i, one] of found.entries()) asking.say(`${i + 1}  ${describeNearby(one)}`);
  for (;;) {
    const question = `Which one? [1 to ${found.length}, Enter for none] `;
    const answer = (await asking.ask(question, { secret: false }))?.trim();
    if (answer === undefined) throw nobodyToAsk(found);
    if (answer === "") return undefined;
    if (/^\d{1,3}$/.test(answer) && found[Number(answer) - 1]) return found[Number(answer) - 1];
  }
}

function nobodyToAsk(found: readonly Nearby[]): UsageError {
  const what = found.length === 1 ? "a new server was found" : `${found.length} servers were found`;
  return new UsageError(`${what}, and there is nobody to ask about it`, [
    ...found.slice(0, MAX_HINTS).map((it) =>
      `${inviteTo(it.addresses[0]!, it.port)}  (${describeNearby(it)})`
    ),
    ...(found.length > MAX_HINTS ? ["client --list shows all of them"] : []),
  ]);
}

/** Name, address, key, and what is known: one line. */
export function describeNearby(it: Nearby): string {
  return [
    cleanLine(it.name),
    serverAddress(it.addresses[0]!, it.port),
    startOf(it),
    `(${it.known ? "known" : "new"}${it.password ? ", needs a password" : ""})`,
  ].join("  ");
}

/**
 * Finds out at which of its addresses a server can be reached.
 *
 * @throws {UsageError} When it is none: why the first one cannot.
 */
export async function reachNearby({ addresses, port }: Nearby): Promise<string> {
  let reason: UsageError | undefined;
  for (const hostname of addresses) {
    try {
      const signal = AbortSignal.timeout(CONNECT_MS);
      (await Deno.connect({ hostname, port, signal })).close();
      return hostname;
    } catch (error) {
      reason ??= connectError(serverAddress(hostname, port), error);
    }
  }
  throw reason;
}

/**
 * Finds what to connect to for a host as typed: the system knows names, but not every system those that end in
 * `.local`.
 */
export async function lookUp(host: string): Promise<string[]> {
  if (!/\.local\.?$/i.test(host)) return [host];
  const { resolveLocal } = await import("../discovery.ts");
  const addresses = await resolveLocal(host);
  return addresses.length > 0 ? addresses : [host];
}
