import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { decodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { Entry } from "../../lib/cluster/bus.ts";
import { encodeFrame, REASON } from "../../lib/protocol/frames.ts";
import { decodeWhereabouts, STATE } from "../../lib/protocol/succession.ts";
import { NO_SHARE } from "../../lib/protocol/password.ts";
import { ClusterRig, type RigRelay } from "../support/cluster_rig.ts";
import { settle } from "../support/fake_clock.ts";
import { comings, LOBBY, OTHER_ROOM, type RigClient, TAG } from "../support/relay_rig.ts";

/** Two relays with a member each, who know of each other. */
async function two() {
  const rig = new ClusterRig();
  const [one, other] = [await rig.start(), await rig.start()];
  const anna = await rig.join(one);
  const bob = await rig.join(other);
  await rig.until(() => comings(anna).length === 1);
  return { rig, one, other, anna, bob };
}

/** What a roster in the bucket holds is equal at all relays, and nothing is left to do. */
function sids(client: RigClient): string[] {
  const present = new Set(client.find("welcome")!.members.map(({ sid }) => sid));
  for (const frame of client.frames) {
    if (frame.type === "joined") present.add(frame.sid);
    if (frame.type === "left") present.delete(frame.sid);
  }
  return [...present];
}

Deno.test("two relays are one room: JOINED, SEND and LEFT go across", async () => {
  const { rig, one, anna, bob } = await two();
  deepEqual(bob.find("welcome")!.members.map(({ sid }) => sid), [anna.sid]);
  deepEqual(comings(anna), [`+${bob.sid}`]);
  anna.send(bob.sid, "hello");
  bob.send(anna.sid, "hi");
  await rig.until(() => anna.texts.length + bob.texts.length === 2);
  deepEqual([anna.texts, bob.texts], [["hi"], ["hello"]]);
  void bob.connection.close(0);
  await rig.until(() => comings(anna).length === 2);
  deepEqual(comings(anna), [`+${bob.sid}`, `-${bob.sid}:0`]);
  equal(one.cluster.state.counts.gaps, 0);
});

Deno.test("a CAST goes once to a relay, and becomes one PART for each member there", async () => {
  const { rig, other, anna, bob } = await two();
  const carl = await rig.join(other);
  await rig.until(() => sids(anna).length === 2);
  const entry = (sid: string) => ({ sid, tag: TAG, box: new Uint8Array(57).fill(3) });
  const common = new Uint8Array(100).fill(4);
  const entries = [entry(bob.sid), entry(carl.sid), entry(bob.sid), entry("ab".repeat(8))];
  anna.connection.send(encodeFrame({ type: "cast", entries, common }));
  await rig.until(() => carl.find("part") !== undefined && bob.find("part") !== undefined);
  await rig.clock.advance(100);
  for (const { frames } of [bob, carl]) {
    const parts = frames.filter(({ type }) => type === "part");
    deepEqual(parts, [{ type: "part", ...entry(anna.sid), common }]);
  }
});

Deno.test("a relay alone in its cluster is a server at once", async () => {
  const rig = new ClusterRig();
  const one = await rig.start();
  const anna = await rig.join(one);
  deepEqual(anna.find("welcome")!.members, []);
  equal(one.cluster.state.members, 1);
  void anna.connection.close(0);
  await rig.until(() => rig.server.entries.length === 1); // the lease
  equal(one.cluster.state.rooms, 0);
});

Deno.test("a relay that stops in order is gone, and was not taken for dead", async () => {
  const { rig, one, other, bob } = await two();
  await rig.passes(other.rig.relay.stop());
  await rig.passes(other.cluster.stop());
  await rig.until(() => one.cluster.state.relays === 1);
  equal(bob.ends.length, 1);
  deepEqual(other.events.filter(({ event }) => event === "fenced"), []);
  equal(other.cluster.state.counts.fenced, 0);
});

Deno.test("members of other rooms are not reached", async () => {
  const { rig, one, anna, bob } = await two();
  const eve = await rig.join(one, { room: OTHER_ROOM });
  eve.send(bob.sid, "psst");
  bob.send(eve.sid, "psst");
  anna.send(anna.sid, "psst");
  await rig.clock.advance(5_000);
  deepEqual([eve.texts, bob.texts, anna.texts], [[], [], []]);
  deepEqual(comings(eve), []);
});

Deno.test("SEEK is answered once with PLACE: here, with nobody, and no room is elsewhere", async () => {
  const { rig, one, anna } = await two();
  for (const room of [LOBBY, OTHER_ROOM]) {
    const first = encodeFrame({ type: "seek", room });
    const seeker = await rig.passes(one.rig.start({ first, seed: 7 }));
    await rig.until(() => seeker.find("place") !== undefined);
    const instance = new Uint8Array(16).fill(7);
    seeker.connection.send(encodeFrame({ type: "join", share: NO_SHARE, room, instance }));
    await rig.until(() => seeker.find("welcome") !== undefined);
    const places = seeker.frames.flatMap((frame) =>
      frame.type === "place" ? [decodeWhereabouts(frame.body)] : []
    );
    deepEqual(places, [{ state: STATE.HERE, others: 0 }]);
    equal(seeker.find("welcome")!.members.length, room === LOBBY ? 2 : 0);
    equal(seeker.ends.length, 0);
  }
  equal(comings(anna).length, 2);
});

Deno.test("the capacity is exact where 160 join at once over four relays", async () => {
  const rig = new ClusterRig();
  const relays: RigRelay[] = [];
  for (let i = 0; i < 4; i++) relays.push(await rig.start({ capacity: 64 }));
  const starting: Promise<RigClient>[] = [];
  for (let i = 0; i < 160; i++) {
    starting.push(relays[i % 4]!.rig.start({ seed: 2_000 + i, address: `10.0.${i >> 4}.${i}` }));
  }
  const clients = await rig.passes(Promise.all(starting));
  await rig.until(() =>
    clients.every((client) => client.find("welcome") || client.ends.length > 0)
  );
  await rig.clock.advance(1_000);
  const members = clients.filter((client) => client.find("welcome"));
  equal(members.length, 64);
  ok(clients.every((client) => client.find("welcome") || client.reason === REASON.FULL));
  for (const member of members) equal(sids(member).length, 63);
  ok(rig.relays.every(({ cluster }) => cluster.state.members >= 64));
});

Deno.test("who comes back through another relay takes their own place, also where the room is full", async () => {
  const rig = new ClusterRig();
  const [one, other] = [await rig.start({ capacity: 2 }), await rig.start({ capacity: 2 })];
  const anna = await rig.join(one, { seed: 7 });
  const bob = await rig.join(other);
  equal((await rig.join(one)).reason, REASON.FULL);
  const again = await rig.join(other, { seed: 7 });
  await rig.until(() => anna.ends.length === 1 && comings(bob).length === 2);
  equal(anna.reason, REASON.REPLACED);
  deepEqual(comings(bob), [`-${anna.sid}:2`, `+${again.sid}`]);
  deepEqual(again.find("welcome")!.members.map(({ sid }) => sid), [bob.sid]);
});

Deno.test("a JOIN that waited for the bus does not replace one that its client made elsewhere since", async () => {
  const { rig, one, other, bob } = await two();
  one.bus.cut();
  const early = await one.rig.start({ seed: 7 });
  await rig.clock.advance(1_000);
  const late = await rig.join(other, { seed: 7 });
  await rig.clock.advance(1_000);
  one.bus.reconnect(0);
  await rig.until(() => early.ends.length > 0);
  equal(early.reason, REASON.SHUTTING_DOWN); // it would try again
  equal(late.ends.length, 0);
  ok(sids(bob).includes(late.sid));
});

Deno.test("the same client on one relay, twice: the later one stays", async () => {
  const { rig, one, bob } = await two();
  const [first, second] = await rig.passes(
    Promise.all([one.rig.start({ seed: 7 }), one.rig.start({ seed: 7 })]),
  );
  await rig.until(() => [first, second].some((client) => client.reason === REASON.REPLACED));
  await rig.until(() => sids(bob).length === 2);
  await rig.clock.advance(3_000);
  equal([first, second].filter((client) => client.find("welcome") && !client.ends[0]).length, 1);
  equal(sids(bob).length, 2);
});

Deno.test("a relay that is killed: its members are LEFT(1) after 4 s, and it is no more", async () => {
  const { rig, one, other, anna, bob } = await two();
  const since = rig.clock.now();
  rig.kill(other, [bob]);
  await rig.until(() => comings(anna).length === 2);
  const took = rig.clock.now() - since;
  ok(took >= 3_000 && took <= 5_500, `${took} ms`);
  deepEqual(comings(anna).at(-1), `-${bob.sid}:1`);
  deepEqual(one.events.at(-1), { event: "relay-dead", relay: "relay 1" });
  equal(one.cluster.state.relays, 1);
  equal(one.cluster.state.held, 0);
});

Deno.test("a relay whose machine is gone is dead after 6 to 9 s", async () => {
  const { rig, other, anna, bob } = await two();
  const since = rig.clock.now();
  other.bus.vanish();
  await rig.until(() => comings(anna).length === 2);
  const took = rig.clock.now() - since;
  ok(took >= 6_000 && took <= 9_000, `${took} ms`);
  equal(comings(anna).at(-1), `-${bob.sid}:1`);
});

Deno.test("who comes back before their relay is declared dead is LEFT(2), JOINED", async () => {
  const { rig, one, other, anna } = await two();
  const carl = await rig.join(other, { seed: 7 });
  rig.kill(other, [carl]);
  await rig.clock.advance(1_000);
  const again = await rig.join(one, { seed: 7 });
  await rig.until(() => comings(anna).includes(`+${again.sid}`));
  const seen = comings(anna);
  ok(seen.indexOf(`-${carl.sid}:2`) === seen.indexOf(`+${again.sid}`) - 1);
});

Deno.test("a relay that is taken for dead learns it, ends its connections and begins anew", async () => {
  const { rig, one, other, anna, bob } = await two();
  other.bus.cut();
  await rig.until(() => comings(anna).length === 2);
  equal(comings(anna).at(-1), `-${bob.sid}:1`);
  equal(bob.ends.length, 0);
  other.bus.reconnect(0);
  await rig.until(() => bob.ends.length === 1);
  equal(bob.reason, REASON.SHUTTING_DOWN);
  equal(other.cluster.state.counts.fenced, 1);
  const again = await rig.join(other, { seed: 5 });
  await rig.until(() => comings(anna).at(-1) === `+${again.sid}`);
  anna.send(again.sid, "welcome back");
  await rig.until(() => again.texts.length === 1);
  equal(one.cluster.state.relays, 2);
});

Deno.test("an outage of the bus of 15 s changes no roster, and loses nothing", async () => {
  const { rig, one, other, anna, bob } = await two();
  const carl = await rig.join(one);
  await rig.until(() => sids(bob).length === 2);
  rig.server.goDown();
  anna.send(bob.sid, "one");
  bob.send(anna.sid, "two");
  anna.send(carl.sid, "here");
  const dora = await one.rig.start({ seed: 7 });
  await rig.clock.advance(15_000);
  deepEqual([carl.texts, bob.texts, anna.texts], [["here"], [], []]);
  void carl.connection.close(0);
  await rig.clock.advance(100);
  equal(comings(anna).at(-1), `-${carl.sid}:0`);
  rig.server.comeBack();
  for (const { bus } of [one, other]) bus.reconnect(100);
  await rig.until(() => dora.find("welcome") !== undefined && sids(bob).includes(dora.sid));
  await rig.until(() => bob.texts.length + anna.texts.length === 2);
  await rig.clock.advance(10_000);
  deepEqual([bob.texts, anna.texts], [["one"], ["two"]]);
  deepEqual(sids(bob).toSorted(), [anna.sid, dora.sid].toSorted());
  equal(comings(anna).filter((it) => it.startsWith(`-${bob.sid}`)).length, 0);
});

Deno.test("a relay that stops takes its members out first, and its lease", async () => {
  const { rig, one, other, anna, bob } = await two();
  await rig.passes(other.rig.relay.stop());
  await rig.passes(other.cluster.stop());
  equal(comings(anna).at(-1), `-${bob.sid}:1`);
  equal(bob.reason, REASON.SHUTTING_DOWN);
  equal(one.cluster.state.relays, 1);
  const timers = rig.clock.timers;
  await rig.passes(one.rig.relay.stop());
  await rig.passes(one.cluster.stop());
  ok(rig.clock.timers < timers);
  deepEqual(rig.server.entries, []);
});

Deno.test("a relay with another password or capacity is refused, and one whose clock is wrong", async () => {
  const rig = new ClusterRig();
  await rig.start({ capacity: 64 });
  const wrong = rig.make({ capacity: 65 });
  await rejects(rig.passes(wrong.cluster.start()), (error: Error) => {
    ok(
      error instanceof UsageError &&
        /capacity of this server is not that of relay 0/.test(error.message),
    );
    return true;
  });
  await rig.passes(wrong.cluster.stop());
  const secret = rig.make({ joinKey: new Uint8Array(32) });
  await rejects(rig.passes(secret.cluster.start()), UsageError);
  await rig.passes(secret.cluster.stop());
  const { clock } = rig;
  const late = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime() - 61_000,
    after: (delay: number, action: () => void) => clock.after(delay, action),
    cancel: (timer: number) => clock.cancel(timer),
  };
  const old = rig.make({ clock: late as never });
  await rejects(rig.passes(old.cluster.start()), /clock of this computer/);
  equal(old.faults.length, 1);
});

Deno.test("of two that start at once and differ, the later one is refused", async () => {
  const rig = new ClusterRig();
  const [one, other] = [rig.make({ capacity: 64 }), rig.make({ capacity: 65 })];
  const started = await rig.passes(
    Promise.allSettled([one.cluster.start(), other.cluster.start()]),
  );
  deepEqual(started.map(({ status }) => status), ["fulfilled", "rejected"]);
  await rig.clock.advance(10_000);
  deepEqual([one.faults.length, other.faults.length], [0, 1]);
});

Deno.test("leases of before that the carrier shows again end nobody", async () => {
  const rig = new ClusterRig();
  const former = await rig.start({ capacity: 32 });
  const [{ key }] = rig.server.entries.filter(({ key }) => key.startsWith("l.")) as [Entry];
  const values = [rig.server.find(key).value];
  await rig.clock.advance(3_000);
  values.push(rig.server.find(key).value);
  await rig.passes(former.rig.relay.stop());
  await rig.passes(former.cluster.stop());
  await rig.clock.advance(120_000);
  const one = await rig.start({ capacity: 64 });
  for (const value of values) {
    rig.server.put(key, value);
    await rig.clock.advance(1_000);
  }
  await rig.clock.advance(10_000);
  deepEqual(one.faults, []);
  equal(one.cluster.state.relays, 1);
});

Deno.test("relays that were killed together do not keep the next ones from starting", async () => {
  const { rig, one, other, anna, bob } = await two();
  rig.kill(one, [anna]);
  rig.kill(other, [bob]);
  const next = await rig.start({ capacity: 32 });
  const carl = await rig.join(next);
  await rig.until(() => sids(carl).length === 0);
  equal(next.cluster.state.relays, 1);
});

Deno.test("a sender is not read while what they sent waits elsewhere", async () => {
  const rig = new ClusterRig();
  const [one, other] = [await rig.start(), await rig.start()];
  const anna = await rig.join(one);
  const bob = await rig.join(other, { capacity: 1000 });
  await rig.until(() => comings(anna).length === 1);
  bob.relayStream.stalled = true;
  const payload = new Uint8Array(15_000);
  for (let i = 0; i < 200; i++) anna.send(bob.sid, payload);
  await rig.clock.advance(5_000);
  const waiting = () => other.rig.relay.state.queuedBytes;
  ok(waiting() > 900_000 && waiting() < 1_100_000, `${waiting()}`);
  equal(one.rig.relay.state.held, 1);
  bob.relayStream.stalled = false;
  await rig.until(() => bob.texts.length === 200);
  equal(one.rig.relay.state.held, 0);
});

Deno.test("an entry that no relay of the cluster has written is put right, and harms nobody", async () => {
  const { rig, anna, bob } = await two();
  const [key] = rig.server.entries.map(({ key }) => key).filter((key) => key.startsWith("r."));
  rig.server.put(key!, encodeUtf8("not a roster"));
  rig.server.put("l." + "ab".repeat(16), decodeHex("00".repeat(60)));
  rig.server.put("r." + "cd".repeat(16), decodeHex("00".repeat(60)));
  rig.server.put("x", decodeHex("00"));
  await rig.clock.advance(2_000);
  anna.send(bob.sid, "still here");
  await rig.until(() => bob.texts.length === 1);
  equal(comings(anna).length, 1);
  const carl = await rig.join(rig.relays[0]!);
  deepEqual(sids(carl).toSorted(), [anna.sid, bob.sid].toSorted());
  await settle();
});
