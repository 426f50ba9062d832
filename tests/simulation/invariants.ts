/**
 * What holds after every run, whatever happened in it.
 *
 * @module
 */

import { KEEP_MS } from "../../lib/session/outbox.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "../../lib/target.ts";
import type { Sent } from "./ledger.ts";
import type { Place } from "./place.ts";
import type { World } from "./world.ts";

/** What arrives so long after it was written has waited for somebody who was gone. */
const LONG_AFTER_MS = 1_000;

/** Changes of nick, and what comes from an instance that is gone, are kept beyond the bounds. */
const SLACK_MESSAGES = 200;
const SLACK_BYTES = 64 * 1024;

/** No sender keeps more for anybody than §6 says. */
export function checkBounds(world: World): void {
  for (const place of world.alive) {
    for (const { items, bytes } of place.session.membership.outbox.targets()) {
      if (
        items.length > MAX_KEPT_MESSAGES + SLACK_MESSAGES || bytes > MAX_KEPT_BYTES + SLACK_BYTES
      ) {
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
    const { membership } = place.session;
    if (!membership.joined) return `${place.name} is not connected`;
    if (membership.awaited) return `${place.name} waits for somebody`;
    const expected = alive.filter((other) => sees(place, other) && !place.refuses(other))
      .map(describe).sort().join(", ");
    const seen = membership.people().map(({ fingerprint, usedNick, away }) =>
      `${nameOf(world, fingerprint)} ${usedNick} ${away}`
    ).sort().join(", ");
    if (seen !== expected) return `${place.name} sees ${seen} instead of ${expected}`;
    if (place.roster.size !== alive.filter((other) => sees(place, other)).length) {
      return `${place.name} has ghosts in its roster`;
    }
    for (const { downAt, lostAt, items, fingerprint } of membership.outbox.targets()) {
      if (items.length === 0 || lostAt !== undefined || downAt !== undefined) continue;
      return `${place.name} waits for an ACK of ${nameOf(world, fingerprint)}`;
    }
    for (const [id, { shown }] of place.taken) {
      if (!shown) return `${place.name} has not shown #${world.ledger.messages.get(id)!.number}`;
    }
  }
  for (const debt of world.ledger.owed()) return debt;
  for (const gap of findGaps(world)) return gap;
  return undefined;
}

/** Both are in one room. */
function sees(place: Place, other: Place): boolean {
  return other !== place && other.identity.room === place.identity.room;
}

function describe(place: Place): string {
  const { nick, away } = place.session.membership;
  return `${place.identity.name} ${nick} ${away}`;
}

function nameOf(world: World, fingerprint: string): string {
  return world.identities.find((identity) => identity.fingerprint === fingerprint)?.name ?? "?";
}

/** A message was for this person, at whatever place. */
function concerns({ places, unsure }: Sent, { fingerprint }: Place): boolean {
  return [...places, ...unsure].some((place) => place.fingerprint === fingerprint);
}

/**
 * Why somebody has not been told yet how much they miss: a GAP is shown to whoever has had messages before and after
 * those that are missing, and it never tells of more.
 */
function* findGaps(world: World): Iterable<string> {
  for (const to of world.alive) {
    for (const from of world.alive) {
      if (from === to) continue;
      const theirs = [...world.ledger.messages.values()].filter((sent) => sent.from === from);
      const addressed = theirs.filter(({ places }) => places.has(to));
      const missing = addressed.filter(({ id }) => !to.taken.has(id));
      // What came from another instance, and went on to a third, leaves a gap, too.
      let most = theirs.filter((sent) => !to.taken.has(sent.id) && concerns(sent, to)).length;
      const wasGivenUp = from.longestAbsence(to) > KEEP_MS;
      // What was given up in a stream may still wait for whoever says HELLO under another sid, and come after all.
      if (wasGivenUp) {
        most += theirs.filter(({ id, at }) =>
          (to.taken.get(id)?.at ?? at) - at > LONG_AFTER_MS
        ).length;
      }
      const first = addressed.findIndex(({ id }) => to.taken.has(id));
      // From then on only the person is addressed, and one of their processes gets it.
      const within = missing.filter((sent) =>
        first >= 0 && addressed.indexOf(sent) > first && sent.met.has(to) &&
        !(wasGivenUp && world.ledger.hasTaker(sent, to))
      );
      const told = to.gaps.get(from) ?? 0;
      if (told < within.length || told > most + from.nickChanges) {
        yield `${to.name} misses ${missing.length} messages of ${from.name}, and was told ${told}`;
      }
    }
  }
}
