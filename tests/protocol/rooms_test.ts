import assert from "node:assert/strict";
import { decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { normalizeRoom } from "../../lib/protocol/names.ts";
import { computeView, roomTag } from "../../lib/protocol/rooms.ts";
import { kat } from "../support/kat.ts";

Deno.test("roomTag() gives the known tags", () => {
  let count = 0;
  for (const { name, r, r_utf8, tag } of kat.rooms.tags) {
    assert.equal(encodeHex(encodeUtf8(r)), r_utf8);
    assert.equal(encodeHex(roomTag(r)), tag, name);
    assert.equal(encodeHex(roomTag(normalizeRoom(name))), tag, name);
    count++;
  }
  assert.equal(count, 39);
});

Deno.test("computeView() gives the known views, whatever the order of the members", () => {
  const relay = decodeHex(kat.views.fp_s);
  const room = decodeHex(kat.views.room);
  let count = 0;
  for (const { note, members, view } of kat.views.cases) {
    const entries = members.map(([sid, fp]) => ({
      sid: decodeHex(sid),
      fingerprint: decodeHex(fp),
    }));
    for (let turn = 0; turn < entries.length; turn++) {
      entries.push(entries.shift()!);
      assert.equal(encodeHex(computeView(relay, room, entries)), view, note);
      assert.equal(encodeHex(computeView(relay, room, entries.toReversed())), view, note);
    }
    count++;
  }
  assert.equal(count, 4);
});

Deno.test("computeView() changes with the relay, the room and every member", () => {
  const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
  const members = [1, 2].map((n) => ({ sid: bytes(8, n), fingerprint: bytes(32, n) }));
  const third = { sid: bytes(8, 3), fingerprint: bytes(32, 3) };
  const views = [
    computeView(bytes(32, 8), bytes(32, 9), members),
    computeView(bytes(32, 9), bytes(32, 9), members),
    computeView(bytes(32, 8), bytes(32, 8), members),
    computeView(bytes(32, 8), bytes(32, 9), [...members, third]),
    computeView(bytes(32, 8), bytes(32, 9), members.slice(1)),
    computeView(bytes(32, 8), bytes(32, 9), [members[0]!, { ...third, sid: bytes(8, 2) }]),
    computeView(bytes(32, 8), bytes(32, 9), [members[0]!, { ...third, fingerprint: bytes(32, 2) }]),
    computeView(bytes(32, 8), bytes(32, 9), []),
  ];
  assert.equal(new Set(views.map(encodeHex)).size, views.length);
});

Deno.test("computeView() does not change the list of members", () => {
  const members = [2, 1].map((n) => ({ sid: Uint8Array.of(n), fingerprint: new Uint8Array(32) }));
  computeView(new Uint8Array(32), new Uint8Array(32), members);
  assert.deepEqual(members.map(({ sid }) => sid[0]), [2, 1]);
});
