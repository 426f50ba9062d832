import assert from "node:assert/strict";
import { cipherReady } from "../../lib/protocol/records.ts";
import { gather, gatherWith, isTogether } from "../simulation/gathering.ts";
import { Village, type Villager } from "../simulation/village.ts";

await cipherReady();

Deno.test("Succession: the host quits, the first stand-by carries on at once, and nothing is lost", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    await village.quit(anna!);
    DORA!.session.say("in the gap");
    const took = await village.until(() => bob!.heard.length + carl!.heard.length === 2);
    assert.ok(took <= 300, `${took}`);
    assert.deepEqual(village.hosts, ["bob"]);
    await village.advance(30_000);
    assert.deepEqual([bob!.heard, carl!.heard], [["DORA: in the gap"], ["DORA: in the gap"]]);
    const events = carl!.take(
      "disconnected",
      "connected",
      "moved",
      "welcome",
      "left",
      "reconnecting",
    );
    assert.deepEqual(events.map(({ event }) => event), [
      "left",
      "disconnected",
      "connected",
      "moved",
      "welcome",
    ]);
    const moved = events.find((event) => event.event === "moved")!;
    assert.deepEqual(moved, {
      event: "moved",
      address: "10.0.0.2:40623",
      fingerprint: moved.fingerprint,
      host: bob!.fingerprint,
      by: anna!.fingerprint,
      own: false,
    });
    assert.equal(bob!.events.find((event) => event.event === "moved")?.own, true);
  });
});

Deno.test("Succession: a host that has quit is not named any more, one that was killed is", async () => {
  for (const quits of [true, false]) {
    await Village.use(async (village) => {
      const [anna, bob] = await gather(village, "anna", "bob", "carl");
      if (quits) await village.quit(anna!);
      else village.kill(anna!);
      await village.until(() => village.hosts.includes("bob") && isTogether(village));
      assert.equal(bob!.session.succession!.list!.at, quits ? 0 : 1);
    });
  }
});

Deno.test("Succession: the host is killed", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    const since = carl!.session.people().find(({ nick }) => nick === "bob")!.since;
    village.kill(anna!);
    bob!.session.say("hello?");
    const took = await village.until(() => carl!.heard.length === 1);
    assert.ok(took <= 500, `${took}`);
    assert.deepEqual(village.hosts, ["bob"]);
    await village.advance(30_000);
    assert.deepEqual(carl!.heard, ["bob: hello?"]);
    assert.deepEqual(carl!.session.people().map(({ nick, since }) => [nick, since]), [
      ["bob", since],
    ]);
    // The host itself has not come along.
    assert.deepEqual(carl!.take("left").map((event) => event.event === "left" && event.nick), [
      "anna",
    ]);
  });
});

Deno.test("Succession: the host and the first are killed at once", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    village.kill(anna!);
    village.kill(bob!);
    DORA!.session.say("still here");
    const took = await village.until(() => carl!.heard.length === 1);
    assert.ok(took <= 500, `${took}`);
    assert.deepEqual(village.hosts, ["carl"]);
    await village.until(() => isTogether(village)); // who has not come along is told as gone
    assert.deepEqual(carl!.heard, ["DORA: still here"]);
  });
});

Deno.test("Succession: who cannot prepare to host goes on searching, and hosts when it can", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    let isReady = false;
    bob!.own!.prepare = () => Promise.resolve(isReady);
    village.kill(anna!);
    await village.until(() => village.hosts.includes("carl") && isTogether(village));
    assert.deepEqual(village.hosts, ["carl"]);
    bob!.session.say("thank you");
    await village.until(() => carl!.heard.length === 1);
    isReady = true;
    await village.advance(60_000);
    village.kill(carl!);
    await village.until(() => village.hosts.includes("bob"));
  });
});

Deno.test("Succession: the host's cable is cut, and put back", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    village.plug(anna!, false);
    carl!.session.say("anybody?");
    const took = await village.until(() => bob!.heard.length === 1);
    assert.ok(took >= 5000 && took <= 9000, `${took}`);
    assert.deepEqual(village.hosts, ["anna", "bob"]);
    anna!.session.say("alone");
    await village.advance(10_000);
    village.plug(anna!, true);
    const healed = await village.until(() => village.hosts.length === 1 && isTogether(village));
    assert.ok(healed <= 20_000, `${healed}`);
    assert.deepEqual(village.hosts, ["bob"]);
    await village.advance(20_000);
    assert.deepEqual(bob!.heard, ["carl: anybody?", "anna: alone"]);
    assert.deepEqual(carl!.heard, ["anna: alone"]);
  });
});

Deno.test("Succession: a host that has come back and given way is named like any other", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    const isCut = (one: Villager, other: Villager) => (one === bob) !== (other === bob);
    village.rewire((from, to) => !isCut(from, to));
    await village.until(() => village.hosts.length === 2);
    village.rewire(() => true);
    await village.until(() => village.hosts.length === 1 && isTogether(village));
    assert.deepEqual(village.hosts, ["anna"]);
    await village.advance(5000);
    assert.equal(bob!.session.succession!.list!.entries.length, 3);
    village.kill(anna!);
    carl!.session.say("next?");
    const took = await village.until(() => bob!.heard.length === 1);
    assert.ok(took <= 500, `${took}`);
  });
});

Deno.test("Succession: after 3 s of silence nothing has happened", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    village.plug(anna!, false);
    carl!.session.say("wait");
    await village.advance(3000);
    village.plug(anna!, true);
    await village.advance(20_000);
    assert.deepEqual(village.hosts, ["anna"]);
    assert.deepEqual(bob!.heard, ["carl: wait"]);
    assert.deepEqual(bob!.take("disconnected", "moved", "left"), []);
  });
});

Deno.test("Succession: a search that takes long is reported once, and when it is over without a loss", async () => {
  await Village.use(async (village) => {
    const [anna, , CARL] = await gather(village, "anna", "bob", "CARL");
    village.rewire((from, to) => from !== CARL && to !== CARL);
    await village.advance(8000);
    assert.deepEqual(CARL!.take("searching"), []);
    await village.advance(30_000);
    const host = anna!.fingerprint;
    assert.deepEqual(CARL!.take("searching"), [{ event: "searching", host, active: true }]);
    village.rewire(() => true);
    await village.until(() => CARL!.session.joined && isTogether(village));
    await village.advance(10_000);
    assert.deepEqual(CARL!.take("searching").filter(({ active }) => active), []);
    // The host's own silence, short of a move.
    village.kill(village.people[1]!);
    await village.advance(20_000);
    village.plug(anna!, false);
    await village.advance(12_000);
    village.plug(anna!, true);
    await village.advance(10_000);
    assert.deepEqual(CARL!.take("searching").map(({ active }) => active), [true, false]);
    assert.deepEqual(CARL!.take("moved"), []);
  });
});

Deno.test("Succession: a newcomer at the old address is sent on", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    village.plug(anna!, false);
    await village.until(() => village.hosts.includes("bob"));
    await village.advance(10_000);
    village.plug(anna!, true);
    await village.until(() => village.hosts.length === 1 && isTogether(village));
    await village.advance(5000);
    const emil = await village.start("emil", { joins: anna!, serves: false });
    const took = await village.until(() => isTogether(village));
    assert.ok(took <= 2000, `${took}`);
    emil.session.say("hello");
    await village.advance(20_000);
    for (const person of [anna!, bob!, carl!]) assert.ok(person.heard.includes("emil: hello"));
  });
});

Deno.test("Succession: the next host asks for the room's password, and knows it", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gatherWith(
      village,
      { password: "secret" },
      "anna",
      "bob",
      "carl",
    );
    await village.quit(anna!);
    await village.until(() => isTogether(village));
    const welcome = carl!.take("welcome").at(-1);
    assert.equal(welcome?.event === "welcome" && welcome.authenticated, "password");
    assert.deepEqual(village.hosts, ["bob"]);
    const stranger = await village.start("eve", { joins: bob!, serves: false });
    await village.advance(5000);
    assert.match(String(stranger.error), /needs a password/);
  });
});

Deno.test("Succession: a crashed host that starts again gives way to the room it finds", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    village.kill(anna!);
    await village.until(() => bob!.session.joined && carl!.session.joined);
    await village.advance(5000);
    await village.run(anna!, {});
    const took = await village.until(() => isTogether(village) && village.hosts.length === 1);
    assert.ok(took <= 10_000, `${took}`);
    assert.deepEqual(village.hosts, ["bob"]);
  });
});

Deno.test("Succession: halves of a network are one room again after they have met", async () => {
  await Village.use(async (village) => {
    const people = await gather(village, "anna", "bob", "carl", "dora", "emil");
    const side = ({ number }: Villager) => number === 1 || number === 3;
    village.rewire((from, to) => side(from) === side(to));
    const split = await village.until(() => village.hosts.length === 2);
    assert.ok(split <= 9000, `${split}`);
    await village.advance(20_000);
    for (const person of people) person.session.say(`by ${person.nick}`);
    await village.advance(5000);
    village.rewire(() => true);
    const healed = await village.until(() => village.hosts.length === 1 && isTogether(village));
    assert.ok(healed <= 30_000, `${healed}`);
    await village.advance(20_000);
    for (const { nick, heard } of people) {
      const others = people.filter((other) => other.nick !== nick);
      assert.deepEqual(heard.toSorted(), others.map((it) => `${it.nick}: by ${it.nick}`), nick);
    }
  });
});

Deno.test("Succession: all are alone for 30 s, and find each other again", async () => {
  await Village.use(async (village) => {
    const people = await gather(village, "anna", "bob", "carl");
    village.rewire(() => false);
    await village.advance(30_000);
    assert.deepEqual(village.hosts, ["anna", "bob", "carl"]);
    village.rewire(() => true);
    const healed = await village.until(() => village.hosts.length === 1 && isTogether(village));
    assert.ok(healed <= 10_000, `${healed}`);
    people[0]!.session.say("hello again");
    await village.advance(5000);
    for (const { heard } of people.slice(1)) assert.deepEqual(heard, ["anna: hello again"]);
  });
});

Deno.test("Succession: nobody follows a host that only one of its stand-bys has lost", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, dora] = await gather(village, "anna", "bob", "carl", "dora");
    const isCut = (one: Villager, other: Villager) =>
      [one, other].includes(anna!) && [one, other].includes(bob!);
    village.rewire((from, to) => !isCut(from, to));
    await village.advance(60_000);
    for (const person of [anna!, carl!, dora!]) {
      assert.deepEqual(person.take("moved", "disconnected"), [], person.nick);
    }
    village.rewire(() => true);
    await village.until(() => village.hosts.length === 1 && isTogether(village));
    assert.deepEqual(village.hosts, ["anna"]);
  });
});

Deno.test("Succession: a stop of 6 s moves nobody; the host's own is forgiven", async () => {
  await Village.use(async (village) => {
    const people = await gather(village, "anna", "bob", "carl");
    village.plug(people[0]!, false);
    await village.advance(6000);
    village.plug(people[0]!, true);
    await village.advance(20_000);
    for (const person of people) assert.deepEqual(person.take("moved"), [], person.nick);
    for (const person of people) village.stop(person);
    await village.advance(60_000);
    for (const person of people) village.wake(person); // everybody's own stop is nobody's silence
    await village.advance(20_000);
    for (const person of people) assert.deepEqual(person.take("moved"), [], person.nick);
    assert.deepEqual(village.hosts, ["anna"]);
  });
});

Deno.test("Succession: a host that gave way asks the next one where that is, not where it began", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, , EMIL] = await gather(village, "anna", "bob", "carl", "dora", "EMIL");
    village.plug(anna!, false);
    await village.until(() => village.hosts.includes("bob"));
    await village.advance(10_000);
    village.plug(anna!, true); // it gives way, and stands by
    await village.until(() => village.hosts.length === 1 && isTogether(village));
    await village.advance(5000);
    const isApart = (person: Villager) => person === carl || person === EMIL;
    village.rewire((from, to) => isApart(from) === isApart(to));
    await village.until(() => village.hosts.includes("carl") && EMIL!.session.joined);
    await village.advance(20_000);
    village.rewire(() => true);
    await village.until(() => village.hosts.length === 1);
    // Carl began at anna's computer, where another relay answers.
    const took = await village.until(() => isTogether(village));
    assert.ok(took <= 2000, `${took}`);
    assert.deepEqual(village.hosts, [bob!.nick]);
  });
});

Deno.test("Succession: a host that was found and refuses is passed over, and the next joined", async () => {
  await Village.use(async (village) => {
    const anna = await village.start("anna");
    const bob = await village.start("bob");
    await village.until(() => anna.session.joined && bob.session.joined);
    anna.relay!.setAllow(new Set([anna.fingerprint]));
    const carl = await village.start("carl", { joins: anna, finds: [bob] });
    await village.until(() => carl.session.joined);
    assert.deepEqual(carl.session.people().map(({ nick }) => nick), ["bob"]);
    const [notice] = carl.take("notice");
    assert.match(String(notice?.event === "notice" && notice.text), /refused: not allowed$/);
    assert.equal(carl.error, undefined);
  });
});

Deno.test("Succession: where every host that was found refuses, this computer hosts", async () => {
  await Village.use(async (village) => {
    const [anna, bob] = [await village.start("anna"), await village.start("bob")];
    await village.until(() => anna.session.joined && bob.session.joined);
    for (const { relay, fingerprint } of [anna, bob]) relay!.setAllow(new Set([fingerprint]));
    const carl = await village.start("carl", { joins: anna, finds: [bob] });
    await village.until(() => carl.session.joined);
    assert.ok(village.hosts.includes("carl"));
    const eve = await village.start("eve", { joins: anna });
    await village.advance(5000);
    assert.match(String(eve.error), /not allowed/, "one that was typed");
  });
});

Deno.test("Succession: a first list that comes just before the end of the connection counts", async () => {
  await Village.use(async (village) => {
    const [anna] = await gather(village, "anna", "bob");
    const carl = await village.start("carl", { joins: anna!, serves: false });
    const succession = carl.session.succession!;
    const held: Parameters<typeof succession.message>[] = [];
    succession.message = (...message) => void held.push(message);
    await village.until(() => held.length > 0);
    assert.equal(succession.list, undefined);
    Object.getPrototypeOf(succession).message.call(succession, ...held.at(-1)!);
    succession.ended({ reason: "shutting down", closed: 7 });
    await village.advance(10);
    assert.ok(succession.searching);
  });
});
