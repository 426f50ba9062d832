/**
 * Admission: passwords, allow lists, room capacity and key sizes.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  type Conversation,
  fingerprintOf,
  freePort,
  poll,
  type Program,
  type World,
} from "../support/programs.ts";

const WRONG_PASSWORD = "the server refused: wrong password";

/** Waits until a client has been refused permanently. @returns Its final error. */
async function refused(client: Program, reason: string): Promise<string> {
  assert.equal(await client.ended(), 1, client.describe());
  const events = client.events.filter(({ event }) => event !== "notice");
  const [disconnected, error, bye] = events.slice(-3);
  assert.deepEqual(disconnected, { event: "disconnected", reason });
  assert.equal(error?.event, "error");
  assert.equal(error.code, "fatal");
  assert.notEqual(error.hint, "");
  assert.deepEqual(bye, { event: "bye" });
  assert.match(client.stderr, /^client: error: .+\n(client: hint: .+\n)+$/);
  return String(error.message);
}

async function askForAPassword(world: World): Promise<void> {
  const right = await world.file("right", "pässwörd Å\nand more\n");
  const decomposed = await world.file("decomposed", "pässwörd Å".normalize("NFD") + "\r\n");
  const wrong = await world.file("wrong", "nope\n");
  const server = await world.server(["--password-file", right]);
  const open = (nick: string, path: string) =>
    world.client(nick, { args: ["--password-file", path] });
  const [ann, bob, eve, dan] = await Promise.all([
    open("ann", right),
    open("bob", decomposed),
    open("eve", wrong),
    world.client("dan"),
  ]);
  const variable = await world.client("fay", { env: { HEARTH_PASSWORD: "pässwörd Å" } });
  const pipe = await world.pipe("gus");
  await ann.waitFor("joined", {}, { count: 2 });
  await ann.chat("inside");
  await Promise.all([bob, variable].map((client) => client.waitFor("chat", { text: "inside" })));
  assert.equal(await refused(eve, "wrong password"), WRONG_PASSWORD);
  assert.equal(await refused(dan, "wrong password"), "the server needs a password");
  assert.equal(await pipe.ended(), 1);
  assert.match(
    pipe.stderr,
    /client: error: the server needs a password\nclient: hint: .*--password-file.* HEARTH_PASSWORD\n/,
  );
  assert.doesNotMatch(pipe.stderr, /lost|wrong/);
  assert.deepEqual(
    server.all("refused").map(({ reason }) => reason),
    Array(3).fill("wrong password"),
  );
  for (const secret of ["pässwörd", "nope"]) assert.ok(!server.stdout.includes(secret));
}

async function useAJoinKey(world: World): Promise<void> {
  await world.home("server", { file: "server.pem" });
  const fingerprint = await fingerprintOf("server");
  const made = await world.run("client", {
    args: ["join-key", fingerprint],
    home: await world.emptyHome("operator"),
    env: { HEARTH_PASSWORD: "between friends" },
  });
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^hearth2-join:[A-Za-z0-9+/]{43}\n$/);
  await world.server(["--join-key-file", await world.file("join-key", made.stdout)]);
  const password = await world.file("password", "between friends\n");
  const [ann, bob, eve] = await Promise.all([
    world.client("ann", { args: ["--password-file", password] }),
    world.client("bob", { args: ["--password-file", password] }),
    world.client("eve", { env: { HEARTH_PASSWORD: "another" } }),
  ]);
  await ann.waitFor("joined");
  await bob.chat("it works");
  await ann.waitFor("chat", { text: "it works" });
  assert.equal(await refused(eve, "wrong password"), WRONG_PASSWORD);
}

/** The server has no password, and admits clients that the members cannot authenticate. */
async function keepGhostsOut(world: World): Promise<void> {
  await world.server();
  const env = { HEARTH_PASSWORD: "ours" };
  const [ann, bob] = await Promise.all([
    world.client("ann", { env }),
    world.client("bob", { env }),
  ]);
  await ann.waitFor("joined");
  const eve = await world.client("eve");
  await eve.waitFor("welcome", { members: 2 });
  await ann.chat("between us");
  await bob.waitFor("chat", { text: "between us" });
  await eve.chat("let me in");
  await bob.chat("and back");
  await ann.waitFor("chat", { text: "and back" });
  assert.deepEqual(ann.all("joined").map(({ nick }) => nick), ["bob"]);
  assert.deepEqual([...eve.all("joined"), ...eve.all("chat")], []);
  assert.deepEqual(ann.all("chat", { nick: "eve" }), []);
}

async function keepAList(world: World): Promise<void> {
  await Promise.all(["ann", "bob", "eve"].map((name) => world.home(name)));
  const [ann, bob, eve] = await Promise.all(
    ["ann", "bob", "eve"].map((name) => fingerprintOf(name)),
  );
  const allow = await world.file("allow", `# friends\n${ann}\n\n  ${bob}\n`);
  const server = await world.server(["--allow", allow]);
  const [first, second] = await world.gather("ann", "bob") as [Program, Program];
  const stranger = await world.client("eve");
  assert.match(await refused(stranger, "not allowed"), /not allowed/);
  assert.ok(server.first("refused", { fingerprint: eve, reason: "not allowed" }));

  await world.file("allow", `${eve}\n${ann}\n`);
  server.signal("SIGHUP");
  await first.waitFor("left", { nick: "bob", why: "removed" });
  assert.match(await refused(second, "removed"), /removed/);
  const welcome = await world.client("eve");
  await first.waitFor("joined", { nick: "eve" });

  // A list that cannot be read changes nothing.
  await world.file("allow", "SHA256:short\n");
  server.signal("SIGHUP");
  await server.waitForText("stderr", /^server: error: .*allow.*line 1/m);
  await welcome.chat("still here");
  await first.waitFor("chat", { text: "still here" });
}

async function fillUp(world: World): Promise<void> {
  const server = await world.server(["--room-capacity", "2", "--max-clients", "3"]);
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  const eve = await world.client("eve");
  await eve.waitFor("disconnected", { reason: "full" });
  const { seconds } = await eve.waitFor("reconnecting");
  assert.ok(seconds as number >= 0.5 && seconds as number <= 1);
  await eve.chat("typed meanwhile");
  assert.equal(server.first("refused").reason, "full");
  await bob.leave();
  await ann.waitFor("joined", { nick: "eve" });
  const dan = await world.client("dan", { args: ["--room", "elsewhere"] });
  await dan.waitFor("welcome");
  const fay = await world.client("fay", { args: ["--room", "elsewhere"] });
  await fay.waitFor("disconnected", { reason: "full" });
}

async function refuseWeakKeys(world: World): Promise<void> {
  const strict = await world.server();
  await world.home("weak", { bits: 1024 });
  const weak = await fingerprintOf("weak", 1024);
  const refusedByServer = await world.client("weak", { home: "weak" });
  assert.match(await refused(refusedByServer, "key too weak"), /key too weak/);
  await strict.kill("SIGTERM");

  await world.server(["--min-key-bits", "1024"]);
  const [ann, bob] = await Promise.all([
    world.client("ann", { args: ["--min-key-bits", "1024"] }),
    world.client("bob"),
  ]);
  await ann.waitFor("joined", { nick: "bob", weak: false });
  const accepted = await world.client("weak", { home: "weak" });
  await ann.waitFor("joined", { nick: "weak", fingerprint: weak, weak: true });
  const { text } = await bob.waitFor("notice", { text: `${weak} has a key that is too weak` });
  assert.ok(text);
  await accepted.chat("to ann alone");
  await ann.waitFor("chat", { text: "to ann alone", nick: "weak" });
  await bob.chat("not for the weak");
  await ann.waitFor("chat", { text: "not for the weak" });
  await bob.waitFor("delivered", { to: [await fingerprintOf("ann")] });
  assert.deepEqual([
    ...bob.all("joined", { nick: "weak" }),
    ...accepted.all("joined", { nick: "bob" }),
  ], []);

  // A server with a weak key is refused by its clients.
  const home = await world.home("weak_server", { bits: 1024, file: "server.pem" });
  await world.server([], { home: home.slice(home.lastIndexOf("/") + 1) });
  const wary = await world.client("eve");
  assert.match(await refused(wary, "refused"), /server's key has only 1024 bits/);
  const trusting = await world.client("dan", { args: ["--min-key-bits", "1024"] });
  await trusting.waitFor("welcome");
}

/** Lines beyond what the kernel takes wait, and in the end are lost. */
async function writeToNobody(world: World): Promise<void> {
  const port = freePort();
  const server = await world.startUnread("server", {
    args: ["--port", String(port), "--verbose"],
    home: await world.home("server", { file: "server.pem" }),
  });
  await poll(() => listens(port), () => "a server that listens");
  const [ann, bob] = await Promise.all([
    world.client("ann", { port }),
    world.client("bob", { port }),
  ]);
  await ann.waitFor("joined");
  await ann.chat("is anybody reading?");
  await bob.waitFor("chat", { text: "is anybody reading?" });
  await ann.waitFor("delivered");
  assert.equal(await server.kill("SIGTERM"), 0);
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

async function sumUpStrangers(world: World): Promise<void> {
  const server = await world.server();
  const strangers = 120;
  for (let i = 0; i < strangers; i++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    while (await connection.read(new Uint8Array(64)).catch(() => null) !== null);
    connection.close();
  }
  assert.equal(await server.kill("SIGTERM"), 0);
  const written = server.all("closed");
  const omitted = server.all("omitted", { of: "closed" });
  assert.ok(written.length < 60 && omitted.length > 0, server.describe());
  assert.ok(omitted.every(({ cause }) => cause === written[0]!.cause));
  const lines = omitted.map((event) => event.lines as number);
  const sum = written.length + lines.reduce((sum, count) => sum + count);
  assert.ok(sum === strangers || sum === strangers - 1, String(sum)); // it may stop before the last
}

export const SERVER: readonly Conversation[] = [
  ["--password-file lets in who knows the password, and nobody else", askForAPassword],
  ["--join-key-file lets the operator not know the password", useAJoinKey],
  ["a password keeps out clients that a server without one admits", keepGhostsOut],
  ["--allow lets in who is on the list, and removes who no longer is at SIGHUP", keepAList],
  ["--room-capacity and --max-clients make others wait", fillUp],
  [
    "weak keys are refused by server and clients, unless --min-key-bits allows them",
    refuseWeakKeys,
  ],
  ["a server whose output nobody reads goes on, and ends in order", writeToNobody],
  ["a server sums up the many lines that strangers cause", sumUpStrangers],
];
