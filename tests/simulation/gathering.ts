/**
 * Villages to begin a test with.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Village, Villager, VillagerOptions } from "./village.ts";

/** Anna hosts; the others have joined, and the host names them in this order. */
export async function gather(village: Village, ...nicks: string[]): Promise<Villager[]> {
  return await gatherWith(village, {}, ...nicks);
}

/** The same, with options for all of them. */
export async function gatherWith(
  village: Village,
  options: VillagerOptions,
  ...nicks: string[]
): Promise<Villager[]> {
  const [first, ...rest] = nicks;
  const host = await village.start(first!, options);
  await village.until(() => host.session.joined);
  const people = [host];
  for (const nick of rest) {
    const serves = nick !== nick.toUpperCase(); // guests are in capitals
    people.push(await village.start(nick, { ...options, joins: host, serves }));
    await village.advance(3000);
  }
  await village.advance(8000);
  const named = rest.filter((nick) => nick !== nick.toUpperCase()).length;
  for (const person of people) {
    assert.equal(person.session.people().length, people.length - 1, person.nick);
    assert.equal(person.session.succession?.list?.entries.length, 1 + named, person.nick);
    person.take();
  }
  return people;
}

/** Everybody alive is in one room with each other. */
export function isTogether(village: Village): boolean {
  const alive = village.people.filter((it) => it.isAlive && village.cables.isIn(it));
  return alive.every(({ session }) =>
    session.joined && session.people().length === alive.length - 1
  );
}
