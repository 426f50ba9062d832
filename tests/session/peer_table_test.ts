import assert from "node:assert/strict";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import {
  MAX_MET,
  MAX_NICKS_PER_PEER,
  MAX_STRANGERS,
  MET_MS,
  PeerTable,
} from "../../lib/session/peer_table.ts";

const DAY = "2025-01-31";
const [ALICE, BOB, CAROL, EVE] = [1, 2, 3, 4].map(fingerprint) as [string, string, string, string];

function fingerprint(number: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, number);
  return encodeFingerprint(bytes);
}

/** So many strangers, each with a nick of its own. */
function addStrangers(table: PeerTable, count: number, from = 100): void {
  for (let i = from; i < from + count; i++) table.remember(fingerprint(i), `n${i}`, DAY);
}

Deno.test("PeerTable forgets strangers before people that the user has dealt with, and bounds their number", () => {
  const table = new PeerTable();
  for (const [key, nick] of [[ALICE, "alice"], [BOB, "bob"], [CAROL, "carol"]] as const) {
    table.remember(key, nick, DAY);
  }
  table.meet(ALICE, DAY);
  table.verify(BOB, DAY);
  addStrangers(table, 10_000);
  assert.equal([...table.entries()].length, MAX_STRANGERS + 2);
  assert.equal(table.changed.size, MAX_STRANGERS + 2);
  assert.deepEqual([table.judge(ALICE, "alice"), table.judge(BOB, "bob")], ["known", "verified"]);
  assert.deepEqual([table.judge(EVE, "alice"), table.judge(EVE, "bob")], ["conflict", "conflict"]);
  assert.equal(table.judge(CAROL, "carol"), "new");
  assert.equal(table.judge(EVE, "carol"), "new");
  // The newest strangers are kept, and what the user does is always remembered.
  assert.equal(table.judge(EVE, "n10099"), "conflict");
  table.accept(EVE, "eve", DAY);
  addStrangers(table, MAX_STRANGERS, 20_000);
  assert.equal(table.judge(CAROL, "eve"), "conflict");
});

Deno.test("PeerTable forgets nobody who is in the room, however many strangers there are", () => {
  const table = new PeerTable();
  table.remember(CAROL, "carol", DAY);
  table.see(new Set([CAROL]), 1000);
  addStrangers(table, 2 * MAX_STRANGERS);
  assert.equal(table.judge(CAROL, "carol"), "known");
  assert.equal(table.judge(EVE, "carol"), "conflict");
  table.see(new Set(), 1000);
  addStrangers(table, MAX_STRANGERS, 50_000);
  assert.equal(table.judge(EVE, "carol"), "new");
});

Deno.test("PeerTable.see() makes somebody who was in the room for 10 minutes in all met, up to a limit", () => {
  const table = new PeerTable();
  table.remember(CAROL, "carol", DAY);
  const room = new Set([CAROL]);
  table.see(room, MET_MS / 2);
  table.see(new Set(), MET_MS);
  assert.equal(table.find(CAROL)?.standing, "known");
  table.see(room, MET_MS / 2);
  assert.equal(table.find(CAROL)?.standing, "met");
  for (let i = 0; i < MAX_MET + 10; i++) {
    table.remember(fingerprint(100 + i), `n${i}`, DAY);
    table.see(new Set([fingerprint(100 + i)]), MET_MS);
  }
  const standings = [...table.entries()].map(({ standing }) => standing);
  assert.equal(standings.filter((standing) => standing === "met").length, MAX_MET);
  table.meet(fingerprint(100 + MAX_MET + 9), DAY);
  assert.equal(table.find(fingerprint(100 + MAX_MET + 9))?.standing, "met");
});

Deno.test("PeerTable.share() gives a nick to several keys only if all of them are verified", () => {
  const table = new PeerTable();
  table.remember(BOB, "bob", DAY);
  table.verify(CAROL, DAY);
  table.share(CAROL, "BOB");
  assert.equal(table.judge(CAROL, "bob"), "conflict"); // Bob is not verified
  table.verify(BOB, DAY);
  table.remember(EVE, "bob", DAY);
  table.share(EVE, "bob");
  assert.equal(table.judge(EVE, "bob"), "conflict"); // Eve is not
  table.share(CAROL, "BOB");
  assert.deepEqual(table.owners("bob"), [BOB, CAROL]);
  const again = new PeerTable();
  assert.deepEqual(again.load(table.entries()), []);
  for (const same of [table, again]) {
    assert.deepEqual([BOB, CAROL].map((key) => same.judge(key, "Bob")), ["verified", "verified"]);
    assert.equal(same.judge(EVE, "bob"), "conflict");
  }
  // Accepting for one takes it from all others.
  table.accept(EVE, "bob", DAY);
  assert.deepEqual(table.owners("bob"), [EVE]);
  assert.deepEqual([BOB, CAROL].map((key) => table.judge(key, "bob")), ["conflict", "conflict"]);
});

Deno.test("PeerTable.load() lets the first key keep a nick that several list", () => {
  const entry = (key: string, nick: string, standing: "known" | "met" | "verified" = "known") => ({
    fingerprint: key,
    since: DAY,
    standing,
    nicks: [nick],
  });
  const table = new PeerTable();
  const collisions = table.load([
    entry(BOB, "bob"),
    entry(CAROL, "BOB", "verified"),
    entry(ALICE, "alice", "verified"),
    entry(EVE, "Alice", "verified"), // not spelt alike: nobody said that they share it
  ]);
  assert.deepEqual(collisions, [CAROL, EVE]);
  assert.deepEqual(table.owners("bob"), [BOB]);
  assert.deepEqual(table.owners("alice"), [ALICE]);
  assert.equal(table.judge(CAROL, "bob"), "conflict");
  // The list stays as it is, but an accepted nick is the key's own.
  assert.deepEqual(table.find(CAROL)?.nicks, ["BOB"]);
  table.accept(CAROL, "bob", DAY);
  assert.equal(table.judge(CAROL, "bob"), "verified");
  assert.equal(table.judge(BOB, "bob"), "conflict");
});

Deno.test("PeerTable.absorb() adds what another table knows, and takes no nick of others", () => {
  const [disk, memory] = [new PeerTable(), new PeerTable()];
  disk.remember(BOB, "bob", DAY);
  disk.remember(CAROL, "carol", DAY);
  memory.remember(CAROL, "bob", DAY);
  memory.remember(CAROL, "carla", DAY);
  memory.verify(CAROL, DAY);
  for (const peer of memory.entries()) disk.absorb(peer);
  assert.deepEqual(disk.owners("bob"), [BOB]);
  assert.deepEqual(disk.find(CAROL)?.nicks, ["carol", "carla"]);
  assert.ok(disk.isVerified(CAROL));
  disk.changed.clear();
  for (const peer of memory.entries()) disk.absorb(peer);
  assert.equal(disk.changed.size, 0);
});

Deno.test("PeerTable keeps the latest nicks of a key, and frees the least recently used", () => {
  const table = new PeerTable();
  for (let i = 0; i < MAX_NICKS_PER_PEER; i++) table.remember(BOB, `bob${i}`, DAY);
  table.remember(BOB, "Bob0", DAY);
  table.remember(BOB, "bob8", DAY);
  const trusts = [0, 1, 2, 8].map((i) => table.judge(EVE, `bob${i}`));
  assert.deepEqual(trusts, ["conflict", "new", "conflict", "conflict"]);
});
