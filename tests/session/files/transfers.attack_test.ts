/**
 * Transfers with people who lie, vanish and come again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { decodeHex, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeFileFrame, type FileFrame } from "../../../lib/protocol/file_frames.ts";
import type { FileMessage } from "../../../lib/protocol/file_messages.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { STALLED_MS } from "../../../lib/session/files/turns.ts";
import { FileRoom } from "../../support/file_people.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

await cipherReady();

const BYTES = new Uint8Array(2_000_000).map((_, i) => i * 7 + (i >> 8));
const HOUR_MS = 3_600_000;
const NO_HASH = new Uint8Array(32);
const ACCEPT = { executable: false };

function rig(options: { isDirect?: boolean } = {}) {
  const room = new FileRoom();
  const disk = new VirtualDisk({ "/out/a.bin": BYTES, "/out/b.bin": BYTES });
  const anna = room.join("anna", { ...options, disk });
  const bob = room.join("bob", options);
  return { room, anna, bob };
}

/** Offers /out/a.bin to bob. */
async function offered(options: { isDirect?: boolean } = {}) {
  const all = rig(options);
  await all.anna.transfers.offer("/out/a.bin", { to: "bob" });
  await all.room.settle();
  return all;
}

type Rig = ReturnType<typeof rig>;

/** Does something once, when so many bytes are written at bob's. */
function at({ bob }: Rig, bytes: number, action: () => void): void {
  bob.disk.fail = (what, path) => {
    if (what !== "writeTo" || bob.disk.look(path)!.size < bytes) return;
    bob.disk.fail = () => {};
    queueMicrotask(action);
  };
}

const fakeOffer = (id: string, fields: object = {}): FileMessage => ({
  type: "offer",
  id,
  kind: "file",
  toRoom: false,
  executable: false,
  size: 5,
  entries: 1,
  mtime: 1,
  listing: NO_HASH,
  name: encodeUtf8("x"),
  ...fields,
});

Deno.test("what an offer says cannot be changed later", async () => {
  const { room, bob } = rig();
  const eve = room.join("eve");
  const id = "ab".repeat(16);
  room.send("eve", "bob", fakeOffer(id));
  await room.settle();
  room.send("eve", "bob", fakeOffer(id, { size: 10 ** 12, name: encodeUtf8("y"), kind: "folder" }));
  await room.settle();
  assert.deepEqual(eve.told, []);
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  const notes = JSON.parse(bob.disk.text("/in/x.hearth-part.json")!);
  assert.deepEqual([notes.size, notes.kind], [5, "file"]);
});

Deno.test("after a restart nothing else comes under the id of what was accepted", async () => {
  const { room, bob } = rig();
  room.join("eve");
  const id = "ab".repeat(16);
  room.send("eve", "bob", fakeOffer(id));
  await room.settle();
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  for (const fields of [{ size: 10 ** 12 }, { kind: "folder" }, { mtime: 2 }]) {
    room.leave("bob");
    bob.disk.letGo();
    const again = room.join("bob", { disk: bob.disk });
    room.send("eve", "bob", fakeOffer(id, fields));
    await room.settle();
    assert.ok(again.last("offer"), `asked again: ${Object.keys(fields)}`);
  }
  room.leave("bob");
  bob.disk.letGo();
  const again = room.join("bob", { disk: bob.disk });
  room.send("eve", "bob", fakeOffer(id));
  await room.settle();
  assert.equal(again.last("offer"), undefined, "the same goes on by itself");
});

Deno.test("who is accepted and sends nothing holds a place for a minute; what comes later comes all the same", async () => {
  const { room, anna, bob } = rig();
  const idOf = (i: number) => `${i}`.repeat(32);
  for (let i = 1; i <= 4; i++) {
    room.join(`eve${i}`);
    room.send(`eve${i}`, "bob", fakeOffer(idOf(i), { size: BYTES.length }));
    await room.settle();
    bob.transfers.accept(undefined, ACCEPT);
  }
  await room.settle();
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  const stateOfAnna = () => bob.transfers.rows().find(({ person }) => person === "anna")?.state;
  assert.equal(stateOfAnna(), "waiting");
  const from = (i: number, frame: FileFrame) =>
    room.send(`eve${i}`, "bob", { type: "piece", id: idOf(i), frame: encodeFileFrame(frame) });
  // One of them sends something in time, the others at most say that they are there.
  for (let i = 1; i <= 3; i++) from(i, { type: "go", from: 0 });
  await room.clock.advance(STALLED_MS - 1000);
  for (let i = 1; i <= 3; i++) from(i, { type: "alive" });
  from(1, { type: "data", data: BYTES.subarray(0, 1000) });
  await room.settle();
  assert.equal(stateOfAnna(), "waiting");
  await room.clock.advance(1000);
  await room.until(() => bob.last("received") !== undefined);
  assert.equal(bob.last("received")!.fingerprint, "anna");
  assert.deepEqual(bob.disk.nodes.get("/in/a.bin")!.bytes, BYTES);

  // Whoever began too late may go on, and holds a place again.
  for (let at = 0; at < BYTES.length; at += 10_000) {
    from(2, { type: "data", data: BYTES.subarray(at, at + 10_000) });
    await room.settle();
  }
  from(2, { type: "done", total: BYTES.length });
  await room.until(() => bob.told.filter((event) => event === "received").length === 2);
  assert.equal(bob.last("received")!.fingerprint, "eve2");
});

Deno.test("receivers who never say what they have hold up nobody else's file", async () => {
  const { room, anna, bob } = rig({ isDirect: false });
  const eves = Array.from({ length: 4 }, (_, i) => room.join(`eve${i}`, { isDirect: false }));
  room.intercept = (from, _, message) =>
    from.startsWith("eve") && message.type === "piece" ? undefined : message;
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  for (const eve of eves.slice(0, 3)) eve.transfers.accept(undefined, ACCEPT);
  await room.clock.advance(4000);
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => bob.last("received") !== undefined);
  // The fourth of them takes the last place, for a minute.
  eves[3]!.transfers.accept(undefined, ACCEPT);
  await room.clock.advance(4000);
  await anna.transfers.offer("/out/b.bin", { to: "bob" });
  await room.settle();
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  const states = () => anna.transfers.rows().map(({ person, state }) => `${person} ${state}`);
  assert.ok(states().includes("bob waiting"), states().join());
  await room.clock.advance(STALLED_MS);
  await room.until(() => bob.told.filter((event) => event === "received").length === 2);
});

Deno.test("the id of an offer is nobody else's: a second person's is declined", async () => {
  const { room, anna, bob } = rig();
  room.join("eve");
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  const { id } = anna.last("offered")!;
  room.send("eve", "bob", fakeOffer(id));
  room.send("eve", "anna", fakeOffer(id));
  await room.settle();
  assert.equal(bob.told.filter((event) => event === "offer").length, 1);
  assert.equal(anna.last("offer"), undefined);
  assert.equal(bob.transfers.numberOf(id), bob.last("offer")!.number);
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => anna.last("sentfile") !== undefined);
});

Deno.test("a file that is another one when it is accepted ends at both sides", async () => {
  const { room, anna, bob } = await offered();
  anna.disk.nodes.get("/out/a.bin")!.mtime++;
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  assert.equal(anna.last("transferfailed")?.code, "changed");
  assert.equal(bob.last("transferfailed")?.code, "changed");
  assert.deepEqual([...anna.transfers.rows(), ...bob.transfers.rows()], []);
});

Deno.test("a lying `have` begins at 0, and a flood of answers tells the user once", async () => {
  const { room, anna } = await offered();
  const { id } = anna.last("offered")!;
  const answer = (fields: object): void =>
    room.send("bob", "anna", {
      type: "answer",
      id,
      answer: "accepted",
      have: 1000,
      hash: NO_HASH,
      ...fields,
    } as FileMessage);
  answer({});
  await room.settle();
  assert.equal(anna.transfers.rows()[0]!.bytes, 0);
  answer({ have: 2 ** 45 });
  await room.settle();
  assert.equal(anna.transfers.rows()[0]!.bytes, 0);
  for (let i = 0; i < 20; i++) answer({ answer: "disk-full", have: 0 });
  await room.settle();
  assert.equal(anna.told.filter((event) => event === "transferfailed").length, 1);
});

Deno.test("a flood of answers does not have the file read again for each", async () => {
  const { room, anna } = await offered();
  let opened = 0;
  anna.disk.fail = (what) => void (what === "read" && opened++);
  const { id } = anna.last("offered")!;
  for (let i = 0; i < 50; i++) {
    room.send("bob", "anna", { type: "answer", id, answer: "accepted", have: 1000, hash: NO_HASH });
  }
  await room.settle();
  assert.ok(opened > 0 && opened <= 6, `${opened} times`);
});

Deno.test("what a peer sends that has no place costs its transfer and nothing else", async () => {
  const bad: FileFrame[] = [
    { type: "data", data: new Uint8Array(1) },
    { type: "done", total: 1 },
    { type: "done", total: BYTES.length },
    { type: "skip", why: 0 },
    { type: "kept" },
    { type: "got", total: 3 },
  ];
  const room = new FileRoom();
  const bob = room.join("bob");
  room.join("eve");
  for (const [i, frame] of bad.entries()) {
    const id = i.toString(16).padStart(32, "0");
    const piece = (it: FileFrame) =>
      room.send("eve", "bob", { type: "piece", id, frame: encodeFileFrame(it) });
    room.send("eve", "bob", fakeOffer(id, { size: 0, name: encodeUtf8(`f${i}`) }));
    await room.settle();
    piece(frame); // before it was accepted: nothing
    await room.settle();
    assert.equal(bob.transfers.rows().length, 1);
    bob.transfers.accept(undefined, ACCEPT);
    await room.settle();
    piece({ type: "go", from: 0 });
    await room.settle();
    piece(frame);
    await room.settle();
    assert.equal(bob.last("transferfailed")?.code, "protocol", frame.type);
    assert.equal(bob.told.at(-1), "transferfailed", frame.type);
    assert.deepEqual(bob.transfers.rows(), []);
  }
});

Deno.test("a transfer that was broken goes on from what its receiver says, not from before", async () => {
  const room = new FileRoom();
  const disk = new VirtualDisk({ "/out/a.bin": BYTES, "/out/c.bin": BYTES });
  const anna = room.join("anna", { disk });
  const bob = room.join("bob");
  const carl = room.join("carl");
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await anna.transfers.offer("/out/c.bin", { to: "carl" });
  await room.settle();
  at({ room, anna, bob }, 500_000, () => {
    room.network.cutAll();
    carl.transfers.accept(undefined, ACCEPT); // whose end starts what waits
  });
  bob.transfers.accept(undefined, ACCEPT);
  const count = () => anna.told.filter((event) => event === "sentfile").length;
  await room.until(() => count() === 2);
  assert.deepEqual(bob.disk.nodes.get("/in/a.bin")!.bytes, BYTES);
  assert.equal(anna.last("transferfailed"), undefined);
});

Deno.test("a transfer outlives its sides' connections to the relay", async () => {
  for (const who of ["anna", "bob"] as const) {
    const all = await offered();
    const { room, anna, bob } = all;
    at(all, 300_000, () => {
      room.reconnect(who, `${who}/2`);
      at(all, 900_000, () => room.network.cutAll());
    });
    bob.transfers.accept(undefined, ACCEPT);
    await room.until(() => anna.last("sentfile") !== undefined);
    assert.deepEqual(bob.disk.nodes.get("/in/a.bin")!.bytes, BYTES);
    assert.deepEqual(bob.told, ["offer", "received"]);
  }
});

Deno.test("a folder whose end was lost with the receiver's connection is not sent again", async () => {
  const all = rig();
  const { room, anna, bob } = all;
  anna.disk.put("/folder/a", "hello");
  await anna.transfers.offer("/folder", { to: "bob" });
  await room.settle();
  const remove = bob.disk.remove.bind(bob.disk);
  bob.disk.remove = (path) => {
    remove(path);
    if (path.endsWith(".json")) room.network.cutAll();
  };
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => bob.last("received") !== undefined);
  await room.settle();
  assert.equal(anna.last("sentfile"), undefined);
  room.reconnect("bob", "bob/2");
  await room.until(() => anna.last("sentfile") !== undefined);
});

Deno.test("whoever does not come back loses the transfer, and holds no place until then", async () => {
  for (const [isForGood, hours] of [[true, 1], [false, 24]] as const) {
    for (const isDirect of [true, false]) {
      const all = await offered({ isDirect });
      const { room, anna, bob } = all;
      at(all, 500_000, () => {
        room.leave("bob", { isForGood });
        room.network.cutAll();
      });
      bob.transfers.accept(undefined, ACCEPT);
      await room.until(() => !room.people.has("bob"));
      await room.settle();
      await room.clock.advance(60_000);
      await room.settle();
      assert.deepEqual(anna.transfers.rows().map(({ state }) => state), ["paused"]);
      await room.clock.advance((hours - 1) * HOUR_MS);
      await room.settle();
      assert.equal(anna.last("transferfailed"), undefined);
      await room.clock.advance(HOUR_MS);
      await room.settle();
      assert.equal(anna.last("transferfailed")?.code, "lost");
      assert.deepEqual(anna.transfers.rows(), []);
      assert.deepEqual(anna.stored, []);
    }
  }
});

Deno.test("the receiver loses it, too, and keeps the part", async () => {
  for (const isDirect of [true, false]) {
    const all = await offered({ isDirect });
    const { room, bob } = all;
    at(all, 500_000, () => {
      room.leave("anna");
      room.network.cutAll();
    });
    bob.transfers.accept(undefined, ACCEPT);
    await room.until(() => !room.people.has("anna"));
    await room.settle();
    await room.clock.advance(60_000);
    await room.settle();
    assert.deepEqual(bob.transfers.rows().map(({ state }) => state), ["paused"]);
    await room.clock.advance(24 * HOUR_MS);
    await room.settle();
    assert.equal(bob.last("transferfailed")?.code, "lost");
    assert.ok(bob.disk.nodes.has("/in/a.bin.hearth-part"));
  }
});

Deno.test("who comes back in time loses nothing", async () => {
  const all = await offered({ isDirect: false });
  const { room, anna, bob } = all;
  at(all, 500_000, () => room.leave("bob"));
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => !room.people.has("bob"));
  await room.settle();
  await room.clock.advance(23 * HOUR_MS);
  bob.disk.letGo();
  room.join("bob/2", { disk: bob.disk, isDirect: false });
  await room.until(() => anna.last("sentfile") !== undefined);
  await room.clock.advance(48 * HOUR_MS);
  await room.settle();
  assert.equal(anna.last("transferfailed"), undefined);
});

Deno.test("what an earlier run noted stays noted until its receiver has it", async () => {
  const { room, anna, bob } = await offered({ isDirect: false });
  room.isIdle = false;
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  assert.equal(anna.stored.length, 1);
  room.leave("bob");
  room.leave("anna");
  const carl = room.join("carl");
  const again = room.join("anna", { disk: anna.disk, stored: anna.stored });
  await again.transfers.offer("/out/b.bin", { to: "carl" });
  await room.settle();
  room.isIdle = true;
  carl.transfers.accept(undefined, ACCEPT);
  await room.until(() => again.last("sentfile") !== undefined);
  assert.deepEqual(again.stored.map(({ to }) => to), [["bob"]]);
});

Deno.test("somebody who is gone does not keep others waiting", async () => {
  const room = new FileRoom();
  const disk = new VirtualDisk({ "/out/a.bin": BYTES });
  const anna = room.join("anna", { disk, isDirect: false });
  const people = ["b", "c", "d", "e", "f"].map((name) => room.join(name, { isDirect: false }));
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  room.isIdle = false;
  for (const person of people) person.transfers.accept(undefined, ACCEPT);
  await room.settle();
  await room.clock.advance(4000);
  await room.settle();
  room.leave("b");
  await room.settle();
  await room.clock.advance(4000);
  await room.settle();
  const states = new Map(anna.transfers.rows().map(({ person, state }) => [person, state]));
  assert.equal(states.get("b"), "paused");
  assert.equal(states.get("f"), "relayed");
});

Deno.test("one person's transfers come in one after the other, so that others' can come, too", async () => {
  const room = new FileRoom();
  const disk = new VirtualDisk();
  for (let i = 0; i < 5; i++) disk.put(`/out/${i}`, "x");
  const anna = room.join("anna", { disk, isDirect: false });
  const bob = room.join("bob", { isDirect: false });
  room.join("eve");
  for (let i = 0; i < 5; i++) {
    room.send("eve", "bob", fakeOffer(i.toString().padStart(32, "0")));
  }
  await room.settle();
  for (let i = 1; i <= 5; i++) bob.transfers.accept(i, ACCEPT); // nothing of them ever comes
  await anna.transfers.offer("/out/0", { to: "bob" });
  await room.settle();
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => bob.last("received") !== undefined);
});

Deno.test("a file that cannot be read to its end is left out of a folder, on either way", async () => {
  for (const isDirect of [true, false]) {
    const { room, anna, bob } = rig({ isDirect });
    for (const name of ["a", "b", "c"]) anna.disk.put(`/folder/${name}`, BYTES);
    await anna.transfers.offer("/folder", { to: "bob" });
    await room.settle();
    let read = 0;
    anna.disk.fail = (what, path) => {
      if (what === "readFrom" && path === "/folder/b" && (read += 1) > 40) throw new Error("worn");
    };
    bob.transfers.accept(undefined, ACCEPT);
    await room.until(() => anna.last("sentfile") !== undefined);
    if (!isDirect) {
      assert.deepEqual(Object.keys(bob.disk.tree("/in/folder")).sort(), ["a", "c"]);
    }
    assert.deepEqual(bob.disk.nodes.get("/in/folder/c")!.bytes, BYTES);
  }
});

Deno.test("either side may cancel in any state, and both end", async () => {
  for (const isDirect of [true, false]) {
    for (const who of ["anna", "bob"] as const) {
      for (const bytes of [-1, 0, 100_000, 1_999_000]) {
        const all = await offered({ isDirect });
        const { room, anna, bob } = all;
        const cancel = () => {
          const [row] = all[who].transfers.rows();
          if (row !== undefined) all[who].transfers.cancel(row.number);
        };
        if (bytes >= 0) at(all, bytes, cancel);
        bob.transfers.accept(undefined, ACCEPT);
        if (bytes < 0) cancel();
        const isOver = () => [...anna.transfers.rows(), ...bob.transfers.rows()].length === 0;
        await room.until(isOver);
        assert.equal(bob.disk.nodes.has("/in/a.bin"), bob.last("received") !== undefined);
      }
    }
  }
});

Deno.test("a computer that cannot listen sends through the relay", async () => {
  const { room, anna, bob } = await offered();
  room.network.listen = () => {
    throw new Error("too many open files");
  };
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => anna.last("sentfile") !== undefined);
  assert.deepEqual(bob.states, ["checking", "relayed"]);
});

Deno.test("nobody is made to connect to this computer's own services", async () => {
  const { room, bob } = await offered();
  const dialled: string[] = [];
  const { dial } = room.network;
  room.network.dial = (place, signal) => {
    dialled.push(place.hostname);
    return dial.call(room.network, place, signal);
  };
  const bad = ["7f000001", "00000000", "e0000001", "ffffffff"].map((hex) => decodeHex(hex))
    .concat([
      new Uint8Array(16),
      new Uint8Array(16).fill(1, 15),
      decodeHex("00000000000000000000ffff7f000001"),
      decodeHex("ff020000000000000000000000000001"),
    ]);
  room.intercept = (from, _, message) =>
    message.type === "where" && from === "anna" ? { ...message, addresses: bad } : message;
  bob.transfers.accept(undefined, ACCEPT);
  await room.until(() => bob.last("received") !== undefined);
  assert.deepEqual([...new Set(dialled)], ["10.0.0.1"], "only the sender's own dials");
});

Deno.test("what an earlier run left unfinished goes on when it is sent again", async () => {
  const { room, anna, bob } = await offered({ isDirect: false });
  room.isIdle = false;
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  room.leave("anna");
  const again = room.join("anna", { disk: anna.disk, stored: anna.stored, isDirect: false });
  await again.transfers.offer("/out/a.bin", { to: "bob" });
  assert.equal(again.last("offered")!.id, anna.last("offered")!.id);
  await assert.rejects(again.transfers.offer("/out/a.bin", { to: "bob" }), /on its way already/);
  room.isIdle = true;
  await room.until(() => again.last("sentfile") !== undefined);
});

Deno.test("a flood of offers does not have the part looked at again for each", async () => {
  const { room, anna, bob } = await offered({ isDirect: false });
  let offer: FileMessage | undefined;
  room.intercept = (_, __, message) => {
    if (message.type === "offer") offer = message;
    return message;
  };
  room.isIdle = false;
  bob.transfers.accept(undefined, ACCEPT);
  await room.settle();
  bob.disk.nodes.get("/in/a.bin.hearth-part")!.bytes = BYTES.slice();
  let opened = 0;
  bob.disk.fail = (what, path) => void (what === "write" && path.endsWith(".json") && opened++);
  room.makeChannels("bob");
  for (let i = 0; i < 50; i++) room.send("anna", "bob", offer!);
  await room.settle();
  assert.ok(opened > 0 && opened <= 6, `${opened} times`);
  room.isIdle = true;
  await room.until(() => anna.last("sentfile") !== undefined);
});

Deno.test("a flood of offers that are taken back looks at the disk for few of them", async () => {
  const { room, bob } = rig();
  room.join("eve");
  let lists = 0;
  bob.disk.fail = (what) => void (what === "list" && lists++);
  for (let i = 0; i < 500; i++) {
    const id = i.toString(16).padStart(32, "0");
    room.send("eve", "bob", fakeOffer(id));
    room.send("eve", "bob", fakeOffer(id, { entries: 0 }));
  }
  await room.settle();
  assert.ok(lists > 0 && lists <= 16, `${lists} times`);
});

Deno.test("what a receiver says while the disk is busy is bounded, and of the right kind", async () => {
  const got = encodeFileFrame({ type: "got", total: 0 });
  const data = encodeFileFrame({ type: "data", data: new Uint8Array(15_000) });
  for (const [frame, count] of [[got, 40_000], [data, 1]] as const) {
    const { room, anna } = await offered({ isDirect: false });
    const { id } = anna.last("offered")!;
    const have = BYTES.length;
    room.send("bob", "anna", { type: "answer", id, answer: "accepted", have, hash: NO_HASH });
    for (let i = 0; i < count; i++) room.send("bob", "anna", { type: "piece", id, frame });
    await room.settle();
    assert.equal(anna.last("transferfailed")?.code, "protocol");
  }
});
