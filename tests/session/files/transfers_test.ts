import assert from "node:assert/strict";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { FileRoom } from "../../support/file_people.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

await cipherReady();

const BYTES = new Uint8Array(2_000_000).map((_, i) => i * 7 + (i >> 8));

function rig(options: { isDirect?: boolean } = {}) {
  const room = new FileRoom();
  const anna = room.join("anna", { ...options, disk: new VirtualDisk({ "/out/a.bin": BYTES }) });
  const bob = room.join("bob", options);
  return { room, anna, bob };
}

const arrived = (disk: VirtualDisk, name = "a.bin") => disk.nodes.get(`/in/${name}`)?.bytes;

Deno.test("a file goes straight to the one who accepts it", async () => {
  const { room, anna, bob } = rig();
  await anna.transfers.offer("/out/a.bin", { to: "bob", ref: "7" });
  await room.settle();
  const offered = anna.last("offered")!;
  assert.deepEqual([offered.to, offered.ref, offered.size], [["bob"], "7", BYTES.length]);
  const offer = bob.last("offer")!;
  assert.deepEqual([offer.name, offer.size, offer.room, offer.nick], [
    "a.bin",
    BYTES.length,
    false,
    "anna",
  ]);
  assert.equal(arrived(bob.disk), undefined, "nothing before it is accepted");
  assert.deepEqual(bob.disk.tree("/in"), {});
  assert.equal(bob.transfers.rows()[0]!.state, "asked");
  bob.transfers.accept(undefined, { executable: false });
  await room.until(() => anna.last("sentfile") !== undefined);
  assert.deepEqual(arrived(bob.disk), BYTES);
  assert.deepEqual(bob.states, ["checking", "direct"]);
  assert.deepEqual(anna.states, ["checking", "direct"]);
  assert.equal(bob.last("received")!.path, "/in/a.bin");
  assert.deepEqual(anna.transfers.rows(), []);
  assert.deepEqual(bob.transfers.rows(), []);
});

Deno.test("without a direct way it goes through the relay", async () => {
  for (const kind of ["none wanted", "none found"]) {
    const { room, anna, bob } = rig({ isDirect: kind !== "none wanted" });
    room.network.isDown = true;
    await anna.transfers.offer("/out/a.bin", { to: "bob" });
    await room.settle();
    bob.transfers.accept(1, { executable: false });
    await room.until(() => anna.last("sentfile") !== undefined);
    assert.deepEqual(arrived(bob.disk), BYTES, kind);
    assert.deepEqual(bob.states, ["checking", "relayed"]);
  }
});

Deno.test("nothing goes through the relay while something else waits there", async () => {
  const { room, anna, bob } = rig({ isDirect: false });
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  room.isIdle = false;
  bob.transfers.accept(1, { executable: false });
  await room.settle();
  await room.clock.advance(10_000);
  assert.equal(arrived(bob.disk), undefined);
  assert.equal(bob.disk.look("/in/a.bin.hearth-part")!.size, 0);
  room.isIdle = true;
  await room.until(() => anna.last("sentfile") !== undefined);
});

Deno.test("declined, withdrawn and cancelled: both sides know, and the offer is over", async () => {
  const { room, anna, bob } = rig();
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  bob.transfers.decline(undefined);
  await room.settle();
  assert.equal(anna.last("transferfailed")!.code, "declined");

  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  anna.transfers.cancel(2);
  await room.settle();
  assert.equal(bob.last("transferfailed")!.code, "cancelled");
  assert.throws(() => bob.transfers.accept(undefined, { executable: false }), /nothing is offered/);

  for (const who of ["anna", "bob"] as const) {
    await anna.transfers.offer("/out/a.bin", { to: "bob" });
    await room.settle();
    room.isIdle = false;
    room.network.isDown = true;
    bob.transfers.accept(undefined, { executable: false });
    await room.settle();
    const { number } = (who === "anna" ? anna : bob).transfers.rows()[0]!;
    (who === "anna" ? anna : bob).transfers.cancel(number);
    await room.settle();
    assert.deepEqual(anna.transfers.rows(), []);
    assert.deepEqual(bob.transfers.rows(), []);
    const kept = who === "bob" ? [] : ["a.bin.hearth-part", "a.bin.hearth-part.json"];
    assert.deepEqual(
      Object.keys(bob.disk.tree("/in")).sort(),
      kept,
      "removed where its receiver cancelled",
    );
    room.isIdle = true;
  }
});

Deno.test("a transfer survives cuts of its connection and new channels", async () => {
  for (const isDirect of [true, false]) {
    const { room, anna, bob } = rig({ isDirect });
    await anna.transfers.offer("/out/a.bin", { to: "bob" });
    await room.settle();
    let cuts = 0;
    bob.disk.fail = (what, path) => {
      if (what !== "writeTo" || bob.disk.look(path)!.size < cuts * 500_000 + 100_000) return;
      cuts++;
      if (isDirect) room.network.cutAll();
      else queueMicrotask(() => room.makeChannels("bob"));
    };
    bob.transfers.accept(undefined, { executable: false });
    await room.until(() => anna.last("sentfile") !== undefined);
    assert.deepEqual(arrived(bob.disk), BYTES);
    assert.ok(cuts >= 3, `${cuts} cuts`);
  }
});

Deno.test("either side may end and come again", async () => {
  for (const who of ["anna", "bob"] as const) {
    const { room, anna, bob } = rig();
    await anna.transfers.offer("/out/a.bin", { to: "bob" });
    await room.settle();
    const gone = Promise.withResolvers<void>();
    bob.disk.fail = (what, path) => {
      if (what === "writeTo" && bob.disk.look(path)!.size > 500_000) gone.resolve();
    };
    bob.transfers.accept(undefined, { executable: false, as: "b.bin" });
    void gone.promise.then(() => {
      room.leave(who);
      room.network.cutAll();
    });
    await room.until(() => !room.people.has(who));
    await room.settle();
    bob.disk.fail = () => {};
    const before = who === "anna" ? anna : bob;
    before.disk.letGo();
    const again = room.join(who, { disk: before.disk, stored: before.stored });
    const sender = who === "anna" ? again : anna;
    await room.until(() => sender.last("sentfile") !== undefined);
    assert.deepEqual(arrived(bob.disk, "b.bin"), BYTES);
    assert.deepEqual(Object.keys(bob.disk.tree("/in")), ["b.bin"]);
    if (who === "bob") assert.equal(again.last("offer"), undefined, "it was not asked again");
  }
});

Deno.test("an offer to the room goes to everybody who accepts, and to nobody else", async () => {
  const { room, anna, bob } = rig();
  const [carl, dora] = [room.join("carl"), room.join("dora")];
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  for (const person of [bob, carl, dora]) assert.equal(person.last("offer")!.room, true);
  bob.transfers.accept(undefined, { executable: false });
  carl.transfers.accept(undefined, { executable: false });
  dora.transfers.decline(undefined);
  await room.until(() => anna.told.filter((event) => event === "sentfile").length === 2);
  assert.deepEqual(arrived(bob.disk), BYTES);
  assert.deepEqual(arrived(carl.disk), BYTES);
  assert.equal(arrived(dora.disk), undefined);
  assert.deepEqual(anna.transfers.rows(), []);
  const eve = room.join("eve");
  await room.settle();
  assert.equal(eve.last("offer"), undefined, "who came later was not offered it");
});

Deno.test("an offer to the room goes to somebody who is shown and whose channel is not live yet", async () => {
  const { room, anna } = rig();
  room.coming.add("carl");
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  const carl = room.join("carl");
  await room.settle();
  assert.equal(carl.last("offer")!.room, true);
});

Deno.test("of several programs of one person the first that accepts has it", async () => {
  const { room, anna, bob } = rig();
  const other = room.join("bob/2");
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  assert.ok(other.last("offer"));
  other.transfers.accept(undefined, { executable: false });
  await room.until(() => anna.last("sentfile") !== undefined);
  assert.deepEqual(arrived(other.disk), BYTES);
  assert.equal(bob.last("transferfailed")!.code, "cancelled");
  assert.deepEqual(bob.transfers.rows(), []);
});

Deno.test("a full disk pauses, and goes on once it is accepted again", async () => {
  const { room, anna, bob } = rig();
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  bob.disk.saysFree = 0;
  bob.transfers.accept(undefined, { executable: false });
  await room.settle();
  assert.equal(bob.last("transferfailed")!.code, "disk-full");
  assert.equal(bob.last("transferfailed")!.missing, BYTES.length + 64 * 1024 * 1024);
  assert.equal(anna.last("transferfailed")!.code, "disk-full");
  bob.disk.saysFree = 2 ** 40;
  bob.disk.capacity = bob.disk.used + 700_000;
  bob.transfers.accept(1, { executable: false });
  await room.until(() => bob.told.length === 3);
  bob.disk.capacity = 2 ** 40;
  bob.transfers.accept(1, { executable: false });
  await room.until(() => anna.last("sentfile") !== undefined);
  assert.deepEqual(arrived(bob.disk), BYTES);
});

Deno.test("nothing is accepted from somebody in conflict, and with --strict only from verified people", async () => {
  const room = new FileRoom();
  const anna = room.join("anna", { disk: new VirtualDisk({ "/out/a.bin": BYTES }) });
  const bob = room.join("bob");
  const carl = room.join("carl", { strict: true });
  bob.trust = "conflict";
  await anna.transfers.offer("/out/a.bin", { to: undefined });
  await room.settle();
  const accept = (person: typeof bob) => person.transfers.accept(undefined, { executable: false });
  assert.throws(() => accept(bob), /another key/);
  assert.throws(() => accept(carl), /--strict/);
  bob.trust = "new";
  carl.trust = "verified";
  accept(bob);
  accept(carl);
  await room.until(() => anna.told.filter((event) => event === "sentfile").length === 2);
});

Deno.test("too many offers, and names that cannot be kept, are refused without a question", async () => {
  const room = new FileRoom();
  const disk = new VirtualDisk({ "/out/..": "x" });
  for (let i = 0; i < 17; i++) disk.put(`/out/${i}`, "x");
  const anna = room.join("anna", { disk });
  const bob = room.join("bob");
  for (let i = 0; i < 17; i++) await anna.transfers.offer(`/out/${i}`, { to: "bob" });
  await room.settle();
  assert.equal(bob.told.filter((event) => event === "offer").length, 16);
  assert.equal(anna.last("transferfailed")!.code, "busy");
  bob.transfers.decline(undefined);
  room.intercept = (_, __, message) =>
    message.type === "offer" ? { ...message, name: new TextEncoder().encode("../x") } : message;
  await anna.transfers.offer("/out/0", { to: "bob" }).catch(() => {});
  disk.put("/out/new", "x");
  await anna.transfers.offer("/out/new", { to: "bob" });
  await room.settle();
  assert.equal(anna.last("transferfailed")!.code, "name");
  assert.equal(bob.last("transferfailed")!.code, "name");
});

Deno.test("four transfers go out at once, one to each person; the rest wait in order", async () => {
  const room = new FileRoom();
  const disk = new VirtualDisk();
  for (let i = 0; i < 3; i++) disk.put(`/out/${i}`, BYTES);
  const anna = room.join("anna", { disk });
  const others = ["b", "c", "d", "e", "f"].map((name) => room.join(name));
  for (let i = 0; i < 3; i++) await anna.transfers.offer(`/out/${i}`, { to: undefined });
  await room.settle();
  room.isIdle = false;
  room.network.isDown = true;
  for (const person of others) {
    for (let i = 0; i < 3; i++) person.transfers.accept(i + 1, { executable: false });
  }
  await room.settle();
  await room.clock.advance(4000);
  await room.settle();
  const count = (state: string) =>
    anna.transfers.rows().filter((row) => row.state === state).length;
  assert.equal(count("relayed"), 4);
  assert.equal(count("waiting"), 11);
  room.isIdle = true;
  room.network.isDown = false;
  await room.until(() => anna.told.filter((event) => event === "sentfile").length === 15);
  for (const { disk } of others) {
    assert.deepEqual(Object.keys(disk.tree("/in")).sort(), ["0", "1", "2"]);
  }
});

Deno.test("a finished transfer whose end was lost is not sent again", async () => {
  const { room, anna, bob } = rig();
  await anna.transfers.offer("/out/a.bin", { to: "bob" });
  await room.settle();
  const rename = bob.disk.link.bind(bob.disk);
  bob.disk.link = (from, to) => {
    rename(from, to);
    room.network.cutAll();
  };
  bob.transfers.accept(undefined, { executable: false });
  await room.until(() => bob.last("received") !== undefined);
  await room.settle();
  assert.equal(anna.last("sentfile"), undefined);
  room.makeChannels("bob");
  await room.until(() => anna.last("sentfile") !== undefined);
  assert.deepEqual(Object.keys(bob.disk.tree("/in")), ["a.bin"]);
  assert.equal(bob.told.filter((event) => event === "received").length, 1);
});

Deno.test("who ended before saying that it is complete is not asked again", async () => {
  for (const path of ["/out/a.bin", "/out"]) {
    const { room, anna, bob } = rig();
    await anna.transfers.offer(path, { to: "bob" });
    await room.settle();
    const { add } = bob.received;
    bob.received.add = (key) => {
      room.network.cutAll();
      return add.call(bob.received, key);
    };
    bob.transfers.accept(undefined, { executable: false });
    await room.until(() => bob.last("received") !== undefined);
    assert.equal(anna.last("sentfile"), undefined);
    const { disk, received } = bob;
    const before = disk.tree("/in");
    room.leave("bob");
    const again = room.join("bob", { disk, received });
    await room.until(() => anna.last("sentfile") !== undefined);
    assert.deepEqual(again.events, []);
    assert.deepEqual(disk.tree("/in"), before);
    assert.deepEqual(anna.stored, []);
  }
});
