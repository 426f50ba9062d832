import assert from "node:assert/strict";
import type { Entry, List } from "../../lib/protocol/succession.ts";
import { HeldLists } from "../../lib/session/held_lists.ts";
import { LastLists } from "../../lib/session/last_lists.ts";
import { cheapPrimitives } from "../support/cheap_key.ts";

const OWN = 4;
const entry = (n: number): Entry => ({
  person: new Uint8Array(32).fill(n),
  relay: new Uint8Array(32).fill(n),
  port: 40000 + n,
  addresses: [`10.0.0.${n}`],
});
const list = (at: number, ...people: number[]): List => ({
  serial: 1,
  at,
  entries: people.map(entry),
});

/** The order after one list, or several. */
function orderAfter(...lists: List[]) {
  return orderAt(undefined, ...lists);
}

/** The same where the host is at another place. */
function orderAt(host: number | undefined, ...lists: List[]) {
  const held = new HeldLists({
    room: new Uint8Array(32),
    primitives: cheapPrimitives,
    lastLists: new LastLists(),
    isOwn: ({ port }) => port === 40000 + OWN,
  });
  for (const each of lists) held.remember(each);
  const { order, earlier } = held.order(host === undefined ? undefined : entry(host));
  const names = (entries: Entry[]) => entries.map(({ port }) => port - 40000);
  return { order: names(order), earlier: names(earlier) };
}

Deno.test("HeldLists orders the newest list, then the one before, then hosts of earlier", () => {
  assert.deepEqual(orderAfter(list(1, 9, 1, 2, OWN)), { order: [1, 2, OWN], earlier: [9] });
  assert.deepEqual(orderAfter(list(0, 1, 2, 3, OWN), list(1, 1, 2, OWN)), {
    order: [2, OWN, 3],
    earlier: [1],
  });
});

Deno.test("HeldLists: who was cut off from the present host stands before its stand-bys, not behind", () => {
  assert.deepEqual(orderAfter(list(0, 1, 2, 3, OWN), list(2, 1, 3, 2, OWN)), {
    order: [2, OWN],
    earlier: [1, 3],
  });
});

Deno.test("HeldLists: a host that gave way is the next after the one it gave way to", () => {
  assert.deepEqual(orderAfter(list(0, OWN, 2, 3)).order, [2, OWN, 3]);
  assert.deepEqual(orderAfter(list(0, OWN, 2, 3), list(0, 2, 3)).order, [2, 3, OWN]);
  assert.deepEqual(orderAfter(list(0, OWN, 2, 3), list(1, OWN, 2, 3)).order, [2, 3, OWN]);
  assert.deepEqual(orderAt(9, list(0, OWN, 2, 3)).order, [9, OWN, 2, 3], "not named yet");
  assert.deepEqual(orderAt(9, list(1, 9, OWN)), { order: [9, OWN], earlier: [] });
});
