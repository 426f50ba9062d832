import assert from "node:assert/strict";
import { orderForRoom, resolveHost } from "../../lib/cli/name_addresses.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";

const ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1%eth0"];

Deno.test("orderForRoom() is the order of SHA-256 over address and tag", () => {
  const tag = roomTag("lobby");
  assert.deepEqual(orderForRoom(ADDRESSES, tag), [ // each with the start of its digest, by Python's hashlib
    "192.0.2.2", // 6cd8e2eb
    "192.0.2.1", // 8e292e8e
    "2001:db8::1", // a305cc2b
    "fe80::1%eth0", // e7b57111
  ]);
  assert.deepEqual(orderForRoom(ADDRESSES.toReversed(), tag), orderForRoom(ADDRESSES, tag));
  assert.deepEqual(orderForRoom([], tag), []);
});

Deno.test("orderForRoom() spreads rooms, and leaves the others where they are when an address goes", () => {
  const rooms = Array.from({ length: 400 }, (_, i) => roomTag(`room-${i}`));
  const first = (addresses: readonly string[], tag: Uint8Array) => orderForRoom(addresses, tag)[0];
  for (const address of ADDRESSES) {
    const count = rooms.filter((tag) => first(ADDRESSES, tag) === address).length;
    assert.ok(count > 60 && count < 140, `${address} is the first for ${count} of 400 rooms`);
  }
  const [gone, ...left] = ADDRESSES;
  for (const tag of rooms) {
    if (first(ADDRESSES, tag) !== gone) assert.equal(first(left, tag), first(ADDRESSES, tag));
  }
});

Deno.test("resolveHost() asks the system for names alone, and takes all it says", async () => {
  const asked: string[] = [];
  const resolve = (name: string) => {
    asked.push(name);
    return Promise.resolve(ADDRESSES);
  };
  for (const host of ["192.0.2.7", "2001:db8::7", "fe80::7%eth0", "127.0.0.1", "localhost"]) {
    assert.deepEqual(await resolveHost(host, resolve), [host]);
  }
  assert.deepEqual(asked, []);
  assert.deepEqual(await resolveHost("chat.example", resolve), ADDRESSES);
  assert.deepEqual(asked, ["chat.example"]);
});
