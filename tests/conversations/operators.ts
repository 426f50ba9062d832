/**
 * Operators: who they are, what they may do, and what others see of it.
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
  waitForPort,
  type World,
} from "../support/programs.ts";

const YEAR = 365 * 24 * 3600;

async function ask(client: Program, text: string) {
  const ref = `${client.all("result").length} ${text}`;
  await client.say({ type: "command", text, ref });
  const { event: _, ref: __, command: ___, ...result } = await client.waitFor("result", { ref });
  return result;
}

/** Waits until a client was removed or refused for good. */
async function turnedAway(client: Program, reason: string): Promise<void> {
  assert.equal(await client.ended(), 1);
  assert.equal(client.all("disconnected").at(-1)?.reason, reason);
  assert.equal(client.all("error").at(-1)?.code, "fatal");
}

async function operate(world: World): Promise<void> {
  const [annKey, bobKey, eveKey] = await Promise.all(
    ["ann", "bob", "eve"].map((name) => fingerprintOf(name)),
  ) as [string, string, string];
  const operators = await world.file("operators", `${annKey}\n${eveKey}\n`);
  const motd = await world.file("motd", "be kind\n");
  const server = await world.server(["--operators", operators, "--motd", motd]);
  const [ann, bob, eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
  for (const client of [ann, bob]) {
    await client.waitFor("server", { what: "motd", text: "be kind" });
  }

  // Who is no operator.
  for (const text of ["/kick ann", "/ban ann", "/unban ann", "/bans", "/announce x", "/motd x"]) {
    const { ok, status, message, hint } = await ask(bob, text);
    assert.deepEqual([ok, status], [false, 1]);
    assert.equal(message, "you are not an operator of this server");
    assert.match(String(hint), /--operators FILE/);
  }
  assert.equal(
    (await ask(ann, "/kick eve")).message,
    "eve is an operator, too, and cannot be removed",
  );

  assert.deepEqual(await ask(ann, "/announce closing\nat ten"), { ok: true, status: 0 });
  for (const client of [ann, bob, eve]) {
    await client.waitFor("server", { what: "announcement", text: "closing\nat ten" });
  }

  assert.deepEqual(await ask(ann, "/kick bob"), { ok: true, status: 0, fingerprint: bobKey });
  await ann.waitFor("left", { nick: "bob", why: "removed" });
  await turnedAway(bob, "removed");
  assert.deepEqual(await ask(ann, `/kick ${bobKey}`), {
    ok: false,
    status: 4,
    message: `${bobKey} is not on the server`,
    hint: "",
  });

  const again = await world.client("bob");
  await ann.waitFor("joined", { nick: "bob" }, { count: 2 });
  const ban = { ok: true, status: 0, fingerprint: bobKey };
  assert.deepEqual(await ask(ann, "/ban bob 2d"), { ...ban, seconds: 172_800 });
  await ann.waitFor("notice", { text: "bob is banned for 2 days", about: bobKey });
  await turnedAway(again, "removed");
  await turnedAway(await world.client("bob"), "not allowed");
  const { bans } = await ask(eve, "/bans") as { bans: { fingerprint: string; seconds: number }[] };
  assert.deepEqual(bans.map(({ fingerprint }) => fingerprint), [bobKey]);
  assert.ok(bans[0]!.seconds > 172_000 && bans[0]!.seconds <= 172_800);
  assert.deepEqual(await ask(ann, "/unban bob"), ban);
  assert.equal((await ask(ann, "/unban bob")).status, 4);
  assert.deepEqual(await ask(ann, `/ban ${bobKey}`), { ...ban, seconds: YEAR });
  assert.equal(ann.all("notice").filter(({ text }) => /new key/.test(String(text))).length, 1);
  assert.deepEqual(await ask(eve, `/unban ${bobKey}`), ban);

  assert.deepEqual(await ask(ann, "/motd be brief"), { ok: true, status: 0 });
  const back = await world.client("bob");
  await back.waitFor("server", { what: "motd", text: "be brief" });
  await ask(ann, "/motd -");
  const dan = await world.client("dan");
  await dan.waitFor("joined");
  assert.deepEqual(dan.all("server"), []);

  const log = (event: string) => server.all(event).map((it) => [it.fingerprint, it.operator]);
  assert.deepEqual(log("kicked"), [[bobKey, annKey]]);
  assert.deepEqual(log("banned"), [[bobKey, annKey], [bobKey, annKey]]);
  assert.deepEqual(log("unbanned"), [[bobKey, annKey], [bobKey, eveKey]]);
}

/** Starts a client that hosts, or stands by. */
async function startServing(world: World, nick: string, args: readonly string[]) {
  await world.home(nick, { file: "server.pem" });
  return world.start("client", {
    args: ["--serve", "--json", "--nick", nick, ...args],
    home: await world.home(nick),
  }, nick);
}

async function serve(world: World): Promise<void> {
  const port = freePort();
  const ann = await startServing(world, "ann", ["--port", String(port)]);
  await waitForPort(port);
  const bob = await world.client("bob", { port });
  await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
  assert.equal((await ask(bob, "/kick ann")).status, 1);
  const commands = async (client: Program) =>
    ((await ask(client, "/help")).commands as { name: string }[]).map(({ name }) => name);
  assert.ok((await commands(ann)).includes("ban"));
  assert.ok(!(await commands(bob)).includes("ban"));
  assert.equal((await ask(ann, "/motd welcome")).ok, true);
  assert.equal((await ask(ann, "/ban bob 1h")).ok, true);
  await turnedAway(bob, "removed");
  const { text } = await ann.waitFor("notice", {
    text: "a new key is made in a second: a new --password keeps them out for sure; " +
      "the ban holds while this computer hosts: for a ban that stays run a server",
  });
  assert.ok(text);
  await turnedAway(await world.client("bob", { port }), "not allowed");
  const eve = await world.client("eve", { port });
  await eve.waitFor("server", { what: "motd", text: "welcome" });
}

/** Starts ann, who hosts, bob, who stands by, and eve. */
export async function hostWithStandBy(
  world: World,
): Promise<[ann: Program, bob: Program, eve: Program, port: number]> {
  const port = freePort();
  const at = ["--port", String(port)];
  const ann = await startServing(world, "ann", at);
  await waitForPort(port);
  // Named: looking for it ends after a second, however busy the computer is.
  const bob = await startServing(world, "bob", ["--host", "127.0.0.1", ...at]);
  const eve = await world.client("eve", { port });
  await ann.waitFor("joined", {}, { count: 2 });
  await bob.waitFor("joined", {}, { count: 2 });
  await poll(async () => {
    await ask(bob, "/info");
    return bob.all("notice").some(({ text }) => /^here +this computer stands by/.test(`${text}`));
  }, () => "a host that names bob");
  return [ann, bob, eve, port];
}

async function moveOn(world: World): Promise<void> {
  const [ann, bob, eve] = await hostWithStandBy(world);
  const [bobKey, eveKey] = [await fingerprintOf("bob"), await fingerprintOf("eve")];
  const refused = await ask(bob, "/ban eve");
  assert.deepEqual([refused.status, refused.hint], [1, "only ann can, who hosts"]);
  assert.equal((await ask(ann, "/ban eve")).ok, true);
  await turnedAway(eve, "removed");
  await ann.leave();
  assert.ok((await Deno.readTextFile(world.path("ann/bans"))).includes(`\n${eveKey} `));
  const { address } = await bob.waitFor("moved", { own: true, host: bobKey });

  // The next host knows nothing of it.
  const again = await world.client("eve", { port: Number(String(address).split(":").at(-1)) });
  await again.waitFor("joined", { nick: "bob" });
  assert.deepEqual((await ask(bob, "/bans")).bans, []);
}

async function damage(world: World): Promise<void> {
  const [ann, bob] = await hostWithStandBy(world);
  const bad = "# bans\nSHA256:bob for ever\n";
  await Deno.chmod(await world.file("bob/bans", bad), 0o644); // bob may be another user
  await ann.leave();
  await bob.waitFor("disconnected");
  const { text } = await poll(
    () => bob.all("notice").find(({ text }) => /cannot carry the room on/.test(String(text))),
    () => bob.describe(),
  );
  assert.match(String(text), /bans, line 2: not a ban$/);
  assert.deepEqual(bob.all("moved"), []);
  await bob.kill("SIGTERM");

  const again = await startServing(world, "bob", ["--port", String(freePort())]);
  assert.equal(await again.ended(), 1);
  assert.match(String(again.first("error").message), /bans, line 2: not a ban$/);
  assert.equal(await Deno.readTextFile(world.path("bob/bans")), bad);
}

export const OPERATORS: readonly Conversation[] = [
  ["--operators remove, ban and announce, nobody else does, and all of it is logged", operate],
  ["who runs client --serve is its only operator", serve],
  ["who cannot read their bans does not carry a room on, and hosts none", damage],
  ["the next host does not know the bans of the one before, which keeps them", moveOn],
];
