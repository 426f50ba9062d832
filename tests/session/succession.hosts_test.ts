import assert from "node:assert/strict";
import { gather, isTogether } from "../simulation/gathering.ts";
import { Village } from "../simulation/village.ts";

Deno.test("Succession: a host that is alone is called by somebody who was shown before it hosted", async () => {
  await Village.use(async (village) => {
    const [anna, bob, CARL, DORA] = await gather(village, "anna", "bob", "CARL", "DORA");
    village.plug(bob!, false);
    await village.until(() => village.hosts.includes("bob"));
    await village.quit(CARL!);
    await village.run(CARL!, { joins: anna! }); // with a relay, of which bob has never heard
    await village.until(() => CARL!.session.succession?.list?.entries.length === 3);
    village.kill(anna!);
    await village.until(() => village.hosts.includes("CARL") && DORA!.session.joined);
    await village.advance(10_000);
    village.plug(bob!, true);
    const took = await village.until(() => village.hosts.length === 1);
    assert.ok(took <= 10_000, `${took}`);
    assert.deepEqual([village.hosts, bob!.session.joined], [["CARL"], true]);
  });
});

Deno.test("Succession: a relay is not blamed for a connection that has ended before the JOIN", async () => {
  await Village.use(async (village) => {
    const [anna, DORA] = await gather(village, "anna", "DORA");
    const { passedOver, list } = DORA!.session.succession!;
    village.kill(anna!);
    for (let i = 0; i < 2; i++) passedOver.lied(list!.entries[0]!); // for 20 s
    await village.run(anna!, {});
    // Its "here" counts when the connection that said so is nearly over, and the wait of §5 comes first.
    const took = await village.until(() => isTogether(village));
    assert.ok(took <= 30_000, `${took}`);
  });
});

Deno.test("Succession: a stand-by that hears its host at the last moment does not host", async () => {
  for (const silentMs of [7950, 8000, 8050, 8100, 8150]) {
    await Village.use(async (village) => {
      const [anna, bob] = await gather(village, "anna", "bob");
      village.plug(anna!, false);
      await village.until(() => bob!.session.silentMs! >= silentMs);
      village.stop(bob!); // too short to count as asleep
      await village.advance(1500);
      village.plug(anna!, true);
      village.wake(bob!);
      await village.advance(10_000);
      assert.deepEqual(village.hosts, ["anna"]);
      assert.deepEqual(bob!.take("moved", "disconnected"), []);
    });
  }
});

Deno.test("Succession: a newcomer that was sent on asks again where it was sent on, if it has no list", async () => {
  await Village.use(async (village) => {
    const [anna, bob] = await gather(village, "anna", "bob");
    const carl = await village.start("carl", { joins: bob!, serves: false });
    carl.session.succession!.message = () => {}; // no list comes
    await village.until(() => carl.session.joined);
    assert.equal(village.hosts[0], "anna");
    village.kill(anna!);
    const took = await village.until(() => carl.session.joined && village.hosts[0] === "bob");
    assert.ok(took <= 10_000, `${took}`);
  });
});

Deno.test("Succession: a host that its own relay refuses does not try again at once", async () => {
  await Village.use(async (village) => {
    const [anna, bob] = await gather(village, "anna", "bob");
    const own = bob!.own!;
    const { dial } = own;
    let dials = 0;
    own.dial = (signal) => {
      dials++;
      return dial(signal);
    };
    own.open = () => {};
    village.kill(anna!);
    await village.advance(20_000);
    assert.ok(dials > 2 && dials < 20, `${dials}`);
  });
});

Deno.test("Succession: who is banned by a host finds the next one", async () => {
  for (const kills of [true, false]) {
    await Village.use(async (village) => {
      const [anna, bob, carl, dora] = await gather(village, "anna", "bob", "carl", "dora");
      const { fingerprint } = dora!;
      anna!.relay!.setBans([{ fingerprint, until: Infinity, by: anna!.fingerprint, since: 0 }]);
      await village.until(() => dora!.error !== undefined);
      assert.match(String(dora!.error), /removed/);
      village.kill(dora!);
      await village.run(dora!, { joins: anna!, finds: [] });
      await village.until(() => village.hosts.includes("dora"));
      await village.advance(100_000);
      for (const person of [anna!, bob!, carl!]) {
        assert.equal(person.session.people().length, 2, person.nick);
      }
      if (kills) village.kill(anna!);
      else await village.quit(anna!);
      const took = await village.until(() => village.hosts.length === 1 && isTogether(village));
      assert.ok(took <= 20_000, `${took}`);
      assert.deepEqual(village.hosts, ["bob"]);
    });
  }
});

Deno.test("Succession: two hosts that are alone become one, also if only one knows the other's key", async () => {
  for (const knowing of ["anna", "bob"]) {
    await Village.use(async (village) => {
      const people = [await village.start("anna"), await village.start("bob")];
      await village.until(() => village.hosts.length === 2);
      const [one, other] = people.toSorted((a) => a.nick === knowing ? -1 : 1);
      await one!.knownServers.pin("10.0.0.9:40623", other!.relayFingerprint);
      await village.until(() => village.hosts.length === 1 && isTogether(village), 120_000);
      assert.deepEqual(village.hosts, [other!.nick]);
    });
  }
});
