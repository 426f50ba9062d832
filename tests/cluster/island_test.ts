/** Relays that are without the bus for more than 20 s: each goes on alone, and all are one again afterwards. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { REASON } from "../../lib/protocol/frames.ts";
import { ClusterRig, type RigRelay } from "../support/cluster_rig.ts";
import { comings, OTHER_ROOM, type RigClient } from "../support/relay_rig.ts";

/** Two relays with a member each, and one who is in a room of their own on the first. */
async function begin() {
  const rig = new ClusterRig();
  const [one, other] = [await rig.start({ capacity: 3 }), await rig.start({ capacity: 3 })];
  const anna = await rig.join(one, { seed: 11 });
  const bob = await rig.join(other, { seed: 12 });
  const solo = await rig.join(one, { seed: 13, room: OTHER_ROOM });
  await rig.until(() => comings(anna).length === 1);
  return { rig, one, other, anna, bob, solo };
}

function says({ events }: RigRelay, what: string): boolean {
  return events.some(({ event }) => event === what);
}

/** The bus is away until both relays are alone. */
async function part({ rig, one, other }: Awaited<ReturnType<typeof begin>>): Promise<void> {
  const since = rig.clock.now();
  rig.server.goDown();
  await rig.until(() => says(one, "alone") && says(other, "alone"));
  const took = rig.clock.now() - since;
  ok(took >= 20_000 && took <= 24_000, `${took} ms`);
}

async function reunite({ rig, one, other }: Awaited<ReturnType<typeof begin>>): Promise<void> {
  rig.server.comeBack();
  for (const { bus } of [one, other]) bus.reconnect(100);
  await rig.until(() => says(one, "rejoined") && says(other, "rejoined"));
}

function last(client: RigClient): string | undefined {
  return comings(client).at(-1);
}

Deno.test("without the bus for 20 s a relay goes on alone: others have LEFT(1), and people can join", async () => {
  const town = await begin();
  const { rig, one, other, anna, bob } = town;
  await part(town);
  await rig.until(() => comings(anna).length === 2 && last(bob) === `-${anna.sid}:1`);
  equal(last(anna), `-${bob.sid}:1`);
  equal(one.cluster.state.relays, 1);
  equal(one.cluster.state.undelivered, 0);

  const carl = await rig.join(one, { seed: 14 });
  deepEqual(carl.find("welcome")!.members.map(({ sid }) => sid), [anna.sid]);
  anna.send(carl.sid, "we are alone");
  await rig.until(() => carl.texts.length === 1);
  await rig.join(one);
  equal((await rig.join(one)).reason, REASON.FULL); // by those who are here
  void carl.connection.close(0);
  await rig.until(() => last(anna) === `-${carl.sid}:0`);
  deepEqual([anna.ends, bob.ends], [[], []]);
  equal(other.cluster.state.members, 1);
});

Deno.test("when the bus is back, people of shared rooms come again with other sids, and nobody else", async () => {
  const town = await begin();
  const { rig, one, other, anna, bob, solo } = town;
  await part(town);
  const friend = await rig.join(one, { seed: 15, room: OTHER_ROOM });
  await reunite(town);
  await rig.until(() => anna.ends.length + bob.ends.length === 2);
  deepEqual([anna.reason, bob.reason], [REASON.SHUTTING_DOWN, REASON.SHUTTING_DOWN]);
  const [anna2, bob2] = [
    await rig.join(one, { seed: 11 }),
    await rig.join(other, { seed: 12 }),
  ];
  await rig.until(() => last(anna2) === `+${bob2.sid}`);
  ok(!comings(bob2).some((it) => it.includes(bob.sid)));
  anna2.send(bob2.sid, "again");
  await rig.until(() => bob2.texts.length === 1);

  await rig.clock.advance(10_000);
  deepEqual([solo.ends, friend.ends], [[], []]);
  const late = await rig.join(other, { room: OTHER_ROOM });
  const sids = late.find("welcome")!.members.map(({ sid }) => sid);
  deepEqual(sids, [solo.sid, friend.sid]);
  late.send(friend.sid, "hello");
  await rig.until(() => friend.texts.length === 1);
  equal(one.cluster.state.relays, 2);
  equal(one.cluster.state.counts.fenced + other.cluster.state.counts.fenced, 0);
});

Deno.test("a room that was made on two lone relays keeps the people of one of them", async () => {
  const town = await begin();
  const { rig, one, other } = town;
  await part(town);
  const room = new Uint8Array(32).fill(8);
  const [here, there] = [
    await rig.join(one, { room, seed: 16 }),
    await rig.join(other, { room, seed: 17 }),
  ];
  await reunite(town);
  await rig.until(() => here.ends.length + there.ends.length === 1);
  await rig.clock.advance(5_000);
  equal(here.ends.length + there.ends.length, 1);
  const [stayed, seed] = here.ends.length === 0 ? [here, 17] : [there, 16];
  const back = await rig.join(other, { room, seed });
  deepEqual(back.find("welcome")!.members.map(({ sid }) => sid), [stayed.sid]);
  await rig.until(() => last(stayed) === `+${back.sid}`);
});

Deno.test("a relay that was cut off alone shows those again who have stayed where they are", async () => {
  const town = await begin();
  const { rig, one, other, anna, bob, solo } = town;
  one.bus.cut();
  await rig.until(() => last(bob) === `-${anna.sid}:1`); // taken for dead
  await rig.until(() => says(one, "alone"));
  equal(last(anna), `-${bob.sid}:1`);
  one.bus.reconnect(100);
  await rig.until(() => anna.ends.length + solo.ends.length === 2); // both were taken for dead
  const back = await rig.join(one, { seed: 11 });
  deepEqual(back.find("welcome")!.members.map(({ sid }) => sid), [bob.sid]);
  await rig.until(() => last(bob) === `+${back.sid}`);
  back.send(bob.sid, "I am back");
  await rig.until(() => bob.texts.length === 1);
  deepEqual(bob.ends, []);
  equal(other.cluster.state.counts.alone, 0);
});

Deno.test("at most 50 people a second have to come again", async () => {
  const rig = new ClusterRig();
  const [one, other] = [await rig.start(), await rig.start()];
  const rooms = Array.from({ length: 10 }, (_, i) => new Uint8Array(32).fill(20 + i));
  const people: RigClient[] = [];
  for (const room of rooms) {
    for (let i = 0; i < 10; i++) people.push(await rig.join(one, { room, address: `10.1.${i}.1` }));
    await rig.join(other, { room });
  }
  one.bus.cut();
  await rig.until(() => says(one, "alone"));
  one.bus.reconnect(0);
  const gone = () => people.filter(({ ends }) => ends.length > 0).length;
  await rig.until(() => gone() > 0);
  const since = rig.clock.now();
  await rig.clock.advance(500);
  ok(gone() >= 30 && gone() <= 40, `${gone()}`);
  await rig.until(() => gone() === 100);
  const took = rig.clock.now() - since;
  ok(took >= 1_700 && took <= 2_500, `${took} ms`);
});

Deno.test("a relay that stops while it is alone ends", async () => {
  const town = await begin();
  const { rig, one } = town;
  await part(town);
  await rig.passes(one.rig.relay.stop());
  await rig.passes(one.cluster.stop());
});
