/**
 * Servers and clients that are killed and come back: everything arrives once and in order, and a different server is
 * refused.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Conversation, fingerprintOf, type Program, type World } from "../support/programs.ts";

function texts(program: Program, nick: string): unknown[] {
  return program.all("chat", { nick }).map(({ text }) => text);
}

/** Messages 1 to 5 of a client in three parts: before, during and after something happens to the server. */
function five(nick: string): [string[], string[], string[]] {
  const all = [1, 2, 3, 4, 5].map((n) => `${nick} ${n}`);
  return [all.slice(0, 2), all.slice(2, 4), all.slice(4)];
}

async function killTheServer(world: World): Promise<void> {
  const server = await world.server();
  const people = await world.gather("ann", "bob", "eve");
  const { port } = server;
  // Without waiting: when the server dies, some of this is in transit and some was never sent.
  await Promise.all(people.map((person) => person.chat(...five(person.name)[0])));
  const dying = server.kill();
  await Promise.all(people.map((person) => person.chat(...five(person.name)[1])));
  await dying;
  await Promise.all(people.map((person) => person.waitFor("reconnecting")));
  await Promise.all(people.map((person) => person.chat(...five(person.name)[2])));
  await world.server([], { port });
  for (const person of people) {
    await person.waitFor("delivered", {}, { count: 5 });
    for (const other of people) {
      if (person === other) continue;
      await person.waitFor("chat", { nick: other.name }, { count: 5 });
      assert.deepEqual(texts(person, other.name), five(other.name).flat());
    }
    assert.equal(person.first("disconnected").reason, "cut");
    assert.deepEqual(person.all("connected").map(({ server }) => server), ["new", "known"]);
    assert.equal(person.all("welcome").length, 2);
    assert.deepEqual([...person.all("undelivered"), ...person.all("lost")], []);
    assert.ok(person.all("chat").every(({ view }) => view === "same"), person.describe());
  }
  // Nothing has changed for what follows.
  await people[0]!.chat("again");
  for (const other of people.slice(1)) await other.waitFor("chat", { text: "again", late: false });
}

/** The server dies again as soon as a client is back. */
async function killItAgain(world: World): Promise<void> {
  let server = await world.server();
  const { port } = server;
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  for (let round = 0; round < 3; round++) {
    await ann.chat(`ann ${round} before`);
    await bob.chat(`bob ${round} before`);
    await server.kill();
    await ann.chat(`ann ${round} after`);
    server = await world.server([], { port });
    await bob.waitFor("welcome", {}, { count: round + 2 });
  }
  await Promise.all([
    ann.waitFor("delivered", {}, { count: 6 }),
    bob.waitFor("delivered", {}, { count: 3 }),
  ]);
  assert.deepEqual(
    texts(bob, "ann"),
    [0, 1, 2].flatMap((n) => [`ann ${n} before`, `ann ${n} after`]),
  );
  assert.deepEqual(texts(ann, "bob"), [0, 1, 2].map((n) => `bob ${n} before`));
}

async function killAClient(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.chat("first");
  await ann.waitFor("delivered");
  await bob.kill();
  await ann.waitFor("left", { nick: "bob", why: "lost" });
  await ann.chat("second", "third");
  const again = await world.client("bob");
  await again.waitFor("chat", { text: "second", late: true, view: "same" });
  await again.waitFor("chat", { text: "third", late: true });
  await ann.waitFor("delivered", { to: [await fingerprintOf("bob")] }, { count: 3 });
  await again.chat("I am back");
  await ann.waitFor("chat", { text: "I am back", late: false });
  assert.deepEqual(texts(again, "ann"), ["second", "third"]);
  assert.deepEqual(ann.all("undelivered"), []);
}

async function leaveBeforeReading(world: World): Promise<void> {
  await world.server();
  const ann = await world.client("ann", { args: ["--wait", "0.5"] });
  const bob = await world.client("bob");
  await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
  await bob.kill();
  await ann.waitFor("left", { why: "lost" });
  await ann.say({ type: "chat", text: "for bob", ref: "r" });
  const { id } = await ann.waitFor("sent", { ref: "r" });
  assert.equal(await ann.leave(), 1);
  assert.deepEqual(ann.first("undelivered"), {
    event: "undelivered",
    id,
    to: [await fingerprintOf("bob")],
  });
}

async function changeTheServer(world: World): Promise<void> {
  const server = await world.server();
  const { port } = server;
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await server.kill();
  await ann.waitFor("reconnecting");
  const impostor = await world.server([], { port, home: "impostor" });
  const [old, other] = await Promise.all([fingerprintOf("server"), fingerprintOf("impostor")]);
  const isNamed = (client: Program, code: string) => {
    const { message, hint } = client.first("error", { code });
    const address = `127.0.0.1:${port}`;
    const place = `${world.path(client.name)}/known_servers, line 2`;
    for (const part of [address, old, other, place]) {
      assert.ok(String(message).includes(part), String(message));
    }
    assert.ok(String(hint).includes(`client forget ${address}`), String(hint));
  };
  // An established session does not end: it warns once, and retries.
  for (const client of [ann, bob]) {
    await client.waitFor("disconnected", { reason: "refused" }, { count: 2 });
    assert.ok(client.running);
    assert.equal(client.all("error").length, 1);
    isNamed(client, "changed-key");
  }
  await ann.chat("for the right server");
  await impostor.kill();
  const right = await world.server([], { port });
  await bob.waitFor("chat", { text: "for the right server" }, { timeoutMs: 60_000 });
  assert.deepEqual([await ann.leave(), await bob.leave()], [0, 0]);

  // Before the first welcome it is final.
  await right.kill();
  await world.server([], { port, home: "impostor" });
  const refused = await world.client("ann");
  assert.equal(await refused.ended(), 1);
  isNamed(refused, "fatal");
  assert.ok(refused.stderr.includes(other));
  assert.deepEqual(refused.all("connected"), []);
  assert.equal(refused.all("reconnecting").length, 0);

  const forget = () =>
    world.run("client", { args: ["forget", `127.0.0.1:${port}`], home: world.path("ann") });
  const { code, stderr } = await forget();
  assert.equal(code, 0, stderr);
  const accepted = await world.client("ann");
  assert.equal((await accepted.waitFor("connected")).fingerprint, other);
  await accepted.leave();
  assert.equal((await forget()).code, 0);
  assert.equal((await forget()).code, 1); // the pin is gone
}

async function moveTheServer(world: World): Promise<void> {
  const first = await world.server();
  const ann = await world.client("ann");
  assert.equal((await ann.waitFor("connected")).server, "new");
  await ann.waitFor("welcome");
  assert.equal(await ann.leave(), 0);
  await first.kill("SIGTERM");
  const second = await world.server();
  assert.notEqual(second.port, first.port);
  const again = await world.client("ann");
  assert.equal((await again.waitFor("connected")).server, "known");
  await again.waitFor("welcome");
  assert.equal(await again.leave(), 0);
  // The new address is pinned, too.
  const pins = await Deno.readTextFile(`${world.path("ann")}/known_servers`);
  for (const { port } of [first, second]) {
    assert.ok(pins.includes(`\n127.0.0.1:${port} ${await fingerprintOf("server")}\n`), pins);
  }
}

async function typeBeforeTheWelcome(world: World): Promise<void> {
  const server = await world.server();
  const { port } = server;
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  server.signal("SIGSTOP"); // it accepts the connection but does not answer
  const bob = await world.client("bob");
  await bob.chat("early");
  await bob.say({ type: "private", to: "ann", text: "earlier than ann is seen", ref: "r" });
  const pipe = await world.pipe("eve", { port });
  await pipe.write("from a pipe\n");
  await pipe.closeInput();
  server.signal("SIGCONT");
  await ann.waitFor("chat", { text: "early" });
  await ann.waitFor("chat", { text: "from a pipe" });
  assert.equal(await pipe.ended(), 0, pipe.stderr);
  const events = bob.events.map(({ event }) => event);
  assert.ok(events.indexOf("welcome") < events.indexOf("sent"), bob.describe());
}

async function typeWithoutAConnection(world: World): Promise<void> {
  const server = await world.server();
  const { port } = server;
  const ann = await world.client("ann");
  const pipe = await world.pipe("carl", { args: ["--wait", "30"] });
  await ann.waitFor("joined", { nick: "carl" });
  await server.kill();
  await Promise.all([ann.waitFor("reconnecting"), pipe.waitForText("stderr", /connection lost/)]);
  await ann.say({ type: "chat", text: "hello", ref: "r" });
  await pipe.write("from a pipe\n");
  await pipe.closeInput();
  const before = Date.now();
  const again = await world.server([], { port });
  const dan = await world.client("dan");
  await dan.waitFor("chat", { text: "hello" });
  await dan.waitFor("chat", { text: "from a pipe" });
  assert.ok(Date.now() - before >= 4500); // only once it knows who is there
  assert.equal(await pipe.ended(), 0, pipe.stderr);
  assert.deepEqual(ann.all("undelivered"), []);
  assert.ok(ann.first("sent", { ref: "r" }));
  await again.kill();
}

export const RECONNECT: readonly Conversation[] = [
  [
    "a server killed while three people type: each message arrives once and in order",
    killTheServer,
  ],
  ["a server killed again and again loses nothing", killItAgain],
  ["a client killed and started again gets what was said meanwhile, as late", killAClient],
  ["a client that ends reports what nobody got", leaveBeforeReading],
  [
    "a server with another key is refused: both keys, the pin's line and the remedy are shown",
    changeTheServer,
  ],
  ["a known server at a new address is known, and pinned there", moveTheServer],
  ["text typed before the welcome is sent after it", typeBeforeTheWelcome],
  ["text typed while disconnected goes to whoever is there afterwards", typeWithoutAConnection],
];
