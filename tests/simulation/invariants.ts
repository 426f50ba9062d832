/**
 * What holds after every run, whatever happened in it.
 *
 * @module
 */

import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "../../lib/session/streams.ts";
import { isGreater } from "../../lib/session/topic.ts";
import type { Place } from "./place.ts";
import type { World } from "./world.ts";

/** Lost instances of one person that get copies, §6. */
const MAX_LOST = 4;
/** Changes of nick, and what comes from an instance that is gone, are kept beyond the bounds. */
const SLACK_MESSAGES = 200;
const SLACK_BYTES = 64 * 1024;

/** No sender keeps more for anybody than §6 says. */
export function checkBounds(world: World): void {
  for (const place of world.alive) {
    const { membership } = place.session;
    const lost = membership.people.addressed().filter(({ shown }) => !shown);
    if (lost.length > world.capacity) return world.fail(`${place.name} keeps too many people`);
    for (const { streams } of lost) {
      const terminals = [...streams].filter(({ lostAt }) => lostAt !== undefined);
      if (terminals.length > MAX_LOST) return world.fail(`${place.name} keeps too many terminals`);
    }
    for (const { items, bytes, waived } of membership.people.streams()) {
      // What has waited is accepted at once, whatever an instance that is waited for still holds.
      const shares = waived ? 1 : 2;
      const isTooMuch = items.length > shares * MAX_KEPT_MESSAGES + SLACK_MESSAGES ||
        bytes > shares * MAX_KEPT_BYTES + SLACK_BYTES;
      if (isTooMuch) {
        return world.fail(`${place.name} keeps ${items.length} messages for one other`);
      }
    }
  }
}

/** Why the members do not see each other as they should, yet; undefined when they do. */
export function findRift(world: World): string | undefined {
  const { alive } = world;
  if (!world.relayHolds(alive.length)) return "the relay has others in its room";
  for (const place of alive) {
    const { session } = place;
    if (!session.joined) return `${place.name} is not connected`;
    if (session.waiting > 0) return `${place.name} waits for people to be shown`;
    const expected = alive.filter((other) => sees(place, other) && !place.refuses(other))
      .map(describe).sort().join(", ");
    const seen = session.people().map(({ fingerprint, usedNick, away }) =>
      `${nameOf(world, fingerprint)} ${usedNick} ${away}`
    ).sort().join(", ");
    if (seen !== expected) return `${place.name} sees ${seen} instead of ${expected}`;
    if (place.roster.size !== alive.filter((other) => sees(place, other)).length) {
      return `${place.name} has ghosts in its roster`;
    }
    const { topic } = place;
    if (topic && session.topic !== topic.text) return `${place.name} knows another topic`;
    for (const { channels } of place.company.sights()) {
      for (const channel of channels) {
        const owed = place.topicsOwed.get(channel);
        if (owed && isGreater(owed, place.topicsSent.get(channel))) {
          return `${place.name} keeps the topic to itself`;
        }
      }
    }
    for (const { holder, items, fingerprint } of session.membership.people.streams()) {
      if (items.length === 0 || !holder) continue;
      return `${place.name} waits for an ACK of ${nameOf(world, fingerprint)}`;
    }
    for (const [id, { shown }] of place.taken) {
      if (!shown) return `${place.name} has not shown #${world.ledger.messages.get(id)!.number}`;
    }
  }
  for (const debt of world.ledger.owed()) return debt;
  return undefined;
}

/** Both are in one room. */
function sees(place: Place, other: Place): boolean {
  return other !== place && other.identity.room === place.identity.room;
}

function describe(place: Place): string {
  const { nick, away } = place.session;
  return `${place.identity.name} ${nick} ${away}`;
}

function nameOf(world: World, fingerprint: string): string {
  return world.identities.find((identity) => identity.fingerprint === fingerprint)?.name ?? "?";
}
