/** Servers that are one over NATS: real processes on this computer. */
import assert from "node:assert/strict";
import { orderForRoom } from "../../lib/cli/name_addresses.ts";
import { importPrivateKey, privateExponent } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { NO_HOSTS_FILE, withHosts } from "../support/hosts_file.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { enterCluster } from "../support/nats_relay.ts";
import { fingerprintOf, FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

const options = { ignore: NO_NATS !== undefined };
const apart = { ignore: NO_NATS !== undefined || NO_HOSTS_FILE !== undefined };
const NAME = "cluster.hearth.test";
const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;
/** A room whose people a name with both addresses leads to the second one. */
const ROOM = (() => {
  for (let i = 0;; i++) {
    if (orderForRoom(ADDRESSES, roomTag(`room-${i}`))[0] === ADDRESSES[1]) return `room-${i}`;
  }
})();

/** Starts a server of the cluster. */
async function serve(
  world: World,
  nats: Pick<NatsServer, "url">,
  { args = [], port = 0, host = ADDRESSES[0], home: folder = "server" }: {
    args?: readonly string[];
    home?: string;
    port?: number;
    host?: string;
  } = {},
): Promise<Program> {
  const home = await world.emptyHome(folder);
  const key = `${await world.home("server", { file: "server.pem" })}/server.pem`;
  if (folder !== "server") await Deno.copyFile(key, `${home}/server.pem`);
  const server = world.start("server", {
    args: ["--host", host, "--port", String(port), "--cluster", nats.url, "--json", ...args],
    home,
  }, `server on ${host}`);
  await server.waitFor("listening");
  return server;
}

async function join(world: World, server: Program, nick: string): Promise<Program> {
  const [address] = server.first("listening").addresses as string[];
  const args = ["--host", `${address}:${server.port}`, "--nick", nick, "--room", ROOM, "--json"];
  return world.start("client", { args, home: await world.home(nick) }, nick);
}

/** Two servers, and somebody on each of them who sees the other. */
async function meet(world: World, nats: NatsServer) {
  const [one, two] = [await serve(world, nats), await serve(world, nats)];
  await one.waitFor("cluster", { what: "relay-alive" });
  const [ann, bob] = [await join(world, one, "ann"), await join(world, two, "bob")];
  await ann.waitFor("joined", { nick: "bob" });
  await bob.waitFor("joined", { nick: "ann" });
  return { one, two, ann, bob };
}

/** One that says no more than one line, and ends. */
async function refused(world: World, args: readonly string[], code = 1): Promise<string> {
  const home = await world.home("server", { file: "server.pem" });
  const outcome = await world.run("server", { args: ["--port", "0", ...args], home });
  assert.equal(outcome.code, code, outcome.stderr);
  const lines = outcome.stderr.trimEnd().split("\n");
  assert.match(lines[0]!, /^server: error: /);
  assert.ok(lines.slice(1).every((line) => line.startsWith("server: hint: ")), outcome.stderr);
  return outcome.stderr;
}

Deno.test("people on two servers are in one room, also after NATS was away", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const { one, two, ann, bob } = await meet(world, nats);
  await ann.chat("over NATS");
  await bob.waitFor("chat", { text: "over NATS" });
  await ann.waitFor("delivered");

  await nats.kill();
  await one.waitFor("cluster", { what: "bus-down" });
  await two.waitFor("cluster", { what: "bus-down" });
  await ann.chat("while it is away");
  await bob.chat("here, too");
  await nats.start();
  await bob.waitFor("chat", { text: "while it is away" });
  await ann.waitFor("chat", { text: "here, too" });
  assert.deepEqual([...ann.all("left"), ...bob.all("left")], []);
  assert.equal(bob.all("chat").length, 2, "nothing was shown twice");

  await two.kill("SIGTERM");
  await one.waitFor("cluster", { what: "relay-dead" });
  assert.deepEqual(two.all("cluster", { what: "fenced" }), []);
  await ann.waitFor("left", { nick: "bob" });
});

Deno.test("without NATS for 20 s each server goes on alone", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const { one, two, ann, bob } = await meet(world, nats);
  await nats.kill();
  await ann.chat("said before");
  for (const server of [one, two]) await server.waitFor("cluster", { what: "alone" });
  await ann.waitFor("left", { nick: "bob", why: "lost" });
  await bob.waitFor("left", { nick: "ann", why: "lost" });
  const eve = await join(world, one, "eve");
  await ann.waitFor("joined", { nick: "eve" });
  await eve.chat("we are alone");
  await ann.waitFor("chat", { text: "we are alone" });
  assert.deepEqual(bob.all("chat"), []);

  await nats.start();
  for (const server of [one, two]) await server.waitFor("cluster", { what: "rejoined" });
  await bob.waitFor("chat", { text: "said before" });
  for (const nick of ["ann", "eve"]) {
    await bob.waitFor("joined", { nick }, { count: nick === "ann" ? 2 : 1 });
  }
  await bob.chat("together");
  for (const person of [ann, eve]) await person.waitFor("chat", { text: "together" });
  assert.equal(bob.all("chat", { text: "said before" }).length, 1, "nothing was shown twice");
  assert.deepEqual([...one.all("cluster", { what: "fenced" })], []);
});

Deno.test("who was on a server that is killed comes back on another one", apart, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const one = await serve(world, nats);
  const two = await serve(world, nats, { host: ADDRESSES[1], port: one.port });
  const hosts = await world.file("hosts", ADDRESSES.map((it) => `${it} ${NAME}\n`).join(""));
  const ann = await join(world, one, "ann");
  const bob = world.start(
    "client",
    {
      args: ["--host", `${NAME}:${one.port}`, "--nick", "bob", "--room", ROOM, "--json"],
      home: await world.home("bob"),
    },
    "bob",
    withHosts(hosts),
  );
  const eve = await join(world, two, "eve");
  for (const nick of ["bob", "eve"]) await ann.waitFor("joined", { nick });
  await two.waitFor("joined", {}, { count: 2 });

  await Promise.all([two.kill(), eve.kill()]);
  await ann.chat("is anybody there?");
  await bob.waitFor("chat", { text: "is anybody there?" });
  await bob.chat("I am back");
  await ann.waitFor("chat", { text: "I am back" });
  await ann.waitFor("left", { nick: "eve", why: "lost" });
  assert.equal(bob.all("chat").length, 1, "nothing was shown twice");
  assert.equal(ann.all("chat").length, 1, "nothing was shown twice");
});

Deno.test(
  "a server that does not belong to the others is refused in one line",
  options,
  async () => {
    await using nats = await NatsServer.start();
    await using world = await World.open(FROM_SOURCE);
    const secret = await world.file("secret", "between friends\n");
    await serve(world, nats, { args: ["--password-file", secret] });
    const cluster = ["--cluster", nats.url];
    const other = /the password or the capacity of this server is not that of 127\.0\.0\.1/;
    assert.match(await refused(world, cluster), other);
    const wrong = await world.file("wrong", "another one\n");
    assert.match(await refused(world, [...cluster, "--password-file", wrong]), other);
    const same = ["--password-file", secret];
    assert.match(await refused(world, [...cluster, ...same, "--room-capacity", "9"]), other);

    assert.match(await refused(world, [...cluster, "--cluster-creds", secret]), /neither a creds/);
    assert.match(await refused(world, ["--cluster-ca", secret], 2), /--cluster-ca needs --cluster/);
    assert.match(
      await refused(world, ["--cluster", "nats://a:b@127.0.0.1"], 2),
      /no user or password may stand/,
    );
    await nats.kill();
    assert.match(await refused(world, cluster), /NATS at .* cannot be reached: .*\n.*nats-server/);
  },
);

Deno.test("what an operator does on one server holds on all", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const operators = await world.file("operators", `${await fingerprintOf("ann")}\n`);
  const one = await serve(world, nats, { args: ["--operators", operators] });
  const two = await serve(world, nats, { home: "server two" });
  const ann = await join(world, one, "ann");
  const [bob, eve] = [await join(world, two, "bob"), await join(world, two, "eve")];
  for (const nick of ["bob", "eve"]) await ann.waitFor("joined", { nick });
  await ann.command("/announce tea is ready");
  await bob.waitFor("server", { text: "tea is ready" });
  await ann.command("/kick eve");
  await ann.waitFor("left", { nick: "eve", why: "removed" });
  assert.notEqual(await eve.ended(), 0);

  await ann.command("/ban bob 1d");
  await ann.waitFor("left", { nick: "bob", why: "removed" });
  assert.notEqual(await bob.ended(), 0);
  const again = await join(world, two, "bob");
  assert.notEqual(await again.ended(), 0);
  assert.match(again.stderr, /error: the server refused: not allowed/);
  // Also on a server that starts later, and by the copy that each keeps.
  const three = await serve(world, nats, { home: "server three" });
  assert.notEqual(await (await join(world, three, "bob")).ended(), 0);
  const bans = () => Deno.readTextFile(world.path("server two/bans")).catch(() => "");
  await poll(async () => (await bans()).includes("SHA256:"), () => "the copy of the bans");
});

Deno.test("server doctor looks at NATS", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const home = await world.home("server", { file: "server.pem" });
  const look = async () => {
    const args = ["doctor", "--json", "--port", "1", "--cluster", nats.url];
    const { stdout } = await world.run("server", { args, home });
    const findings = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    return findings.find(({ check }) => check === "cluster");
  };
  const found = await look();
  assert.equal(found.level, "ok");
  assert.match(found.text, /^NATS \S+ at 127\.0\.0\.1:\d+ can carry a cluster, it is one server/);
  const secret = privateExponent(
    await importPrivateKey(await Deno.readTextFile(`${home}/server.pem`)),
  );
  const wrong = await enterCluster(nats, { secret, address: "192.0.2.7", aheadMs: -50_000 });
  const warned = await poll(
    async () => [await look()].find(({ level }) => level === "warning"),
    () => "a warning of the clock",
  );
  assert.match(warned.hints[0], /^the clock of 192\.0\.2\.7 is \d+ s behind this computer's: set/);
  await wrong.stop();
  await nats.kill();
  const missing = await look();
  assert.equal(missing.level, "problem");
  assert.match(missing.text, /cannot be reached/);
});

Deno.test("a server without --cluster loads nothing of it", async () => {
  const args = ["info", "--json", "lib/cli/run_server.ts"];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  type Dependency = { isDynamic?: boolean; code?: { specifier: string } };
  const { modules, roots } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string; dependencies?: Dependency[] }[];
    roots: string[];
  };
  const loaded = new Set(roots);
  for (const specifier of loaded) { // grows while it is read
    const { dependencies = [] } = modules.find((it) => it.specifier === specifier) ?? {};
    for (const { isDynamic, code } of dependencies) {
      if (!isDynamic && code) loaded.add(code.specifier);
    }
  }
  assert.ok(loaded.size > 50);
  const ofCluster = [...loaded].filter((it) => /lib\/cluster\/|run_cluster|nats/.test(it));
  assert.deepEqual(ofCluster, []);
});
