import assert from "node:assert/strict";
import { Homes, MAX_RELAYS } from "../../../lib/session/history/homes.ts";
import { addHome, MAX_HOMES, type RoomHome } from "../../../lib/session/recorder.ts";

const ROOM = "ab".repeat(32);
const [ANNA, BOB, CARL, SERVER] = ["anna", "bob", "carl", "server"] as const;

/** Homes, and what was saved of them. */
function make(rooms: readonly RoomHome[] = []) {
  const saved = { rooms };
  const homes = new Homes(rooms, (home) => void (saved.rooms = addHome(saved.rooms, home)));
  const homeOf = (relay: string) => homes.of(ROOM, relay)?.home;
  return { homes, saved, homeOf };
}

Deno.test("Homes: a room keeps its home, whoever hosts it", () => {
  const { homes, homeOf, saved } = make();
  const room = homes.keep(ROOM, ANNA, "on");
  homes.name(room, BOB);
  assert.equal(homeOf(BOB), ANNA);
  homes.follow(room, CARL); // not named, and found by a search
  assert.equal(homeOf(CARL), ANNA);
  assert.equal(homes.of("cd".repeat(32), CARL), undefined);
  // A week later, at a start.
  const later = make(saved.rooms);
  assert.equal(later.homeOf(CARL), ANNA);
  assert.equal(later.homes.keep(ROOM, CARL, "private").home, ANNA);
  assert.equal(later.homes.of(ROOM, ANNA)!.keep, "private");
});

Deno.test("Homes: a list takes no relay away from the home that it has; two rooms stay two", () => {
  const { homes, homeOf } = make();
  const server = homes.keep(ROOM, SERVER, "on");
  const room = homes.keep(ROOM, ANNA, "on");
  homes.name(room, SERVER); // a host names somebody's server
  assert.equal(homeOf(SERVER), SERVER);
  homes.name(server, ANNA);
  assert.equal(homeOf(ANNA), ANNA);
  // Where the room is found by a search, it takes that relay along, and nothing else.
  homes.name(server, BOB);
  homes.follow(room, SERVER);
  assert.deepEqual([SERVER, BOB, ANNA].map(homeOf), [ANNA, SERVER, ANNA]);
});

Deno.test("Homes: the newest relays and rooms are remembered", () => {
  const { homes, homeOf } = make();
  let room = homes.keep(ROOM, ANNA, "on");
  for (let i = 0; i < MAX_RELAYS; i++) room = homes.name(room, `relay ${i}`);
  assert.ok(!room.relays.includes(ANNA));
  assert.equal(homeOf(ANNA), ANNA); // its own home, in any case
  assert.equal(homeOf("relay 0"), ANNA);
  assert.equal(homeOf(`relay ${MAX_RELAYS - 1}`), ANNA);
  for (let i = 0; i < MAX_HOMES; i++) homes.keep(`${i}`, BOB, "on");
  assert.equal(homes.rooms.length, MAX_HOMES);
  assert.equal(homeOf("relay 5"), undefined);
});
