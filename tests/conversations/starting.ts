/**
 * Starting and ending: first starts, `client --serve`, key files, signals, and the server's output.
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

/** Key files in other formats, all with the same key, and whether they are encrypted. */
const KEY_FILES: readonly (readonly [name: string, passphrase?: string])[] = [
  ["openssh.pem"],
  ["openssh_passphrase.pem", "pässwörd"],
  ["pkcs1.pem"],
  ["pbes2_scrypt.pem", "pässwörd"],
  ["traditional_aes.pem", "pässwörd"],
];

async function serve(world: World): Promise<void> {
  const port = freePort();
  const args = ["--serve", "--port", String(port), "--json"];
  const start = async (nick: string) => {
    const home = await world.home("ann");
    await world.home("ann", { file: "server.pem" });
    return world.start("client", { args: [...args, "--nick", nick], home }, nick);
  };
  const [one, two] = await Promise.all([start("one"), start("two")]);
  await one.waitFor("joined", { nick: "two" });
  const bob = await world.client("bob", { port });
  await Promise.all([one, two].map((client) => client.waitFor("joined", { nick: "bob" })));
  await bob.chat("hello you two");
  await Promise.all([one, two].map((client) => client.waitFor("chat", { text: "hello you two" })));

  // One of the two serves: when it ends, the others lose their server and find the next.
  const serves = (client: Program) =>
    client.all("notice").some(({ text }) => /this computer is the server/.test(String(text)));
  assert.notEqual(serves(one), serves(two));
  const [host, guest] = serves(one) ? [one, two] : [two, one];
  assert.equal(await host.leave(), 0);
  await bob.waitFor("disconnected", { reason: "shutting down" });
  const next = await start("three");
  await bob.waitFor("joined", {}, { count: 4 });
  await next.waitFor("joined", { nick: "bob" });
  await next.chat("served by another");
  for (const client of [bob, guest]) await client.waitFor("chat", { text: "served by another" });
}

async function joinWhatIsHere(world: World): Promise<void> {
  const server = await world.server();
  const home = await world.home("ann");
  const here = world.start("client", { args: ["--port", String(server.port), "--json"], home });
  await here.waitFor("welcome");
  assert.equal(here.first("connected").address, `127.0.0.1:${server.port}`);
  const serving = world.start("client", {
    args: ["--serve", "--port", String(server.port), "--json"],
    home: await world.home("bob"),
  });
  // Both have the login name: they are distinguished by their keys.
  const key = await fingerprintOf("ann");
  await serving.waitFor("joined", { nick: `somebody#${key.slice(7, 11)}`, fingerprint: key });
  assert.equal(serving.first("connected").fingerprint, await fingerprintOf("server"));
}

async function hostWhereRefused(world: World): Promise<void> {
  const file = await world.file("allow", `${await fingerprintOf("bob")}\n`);
  const { port } = await world.server(["--allow", file]);
  for (const [nick, ...options] of [["ann"], ["carl", "--no-stand-by"]] as const) {
    const client = world.start("client", {
      args: ["--serve", "--port", String(port), "--json", ...options],
      home: await world.home(nick),
    }, nick);
    const { fingerprint } = await client.waitFor("connected", {}, { count: 2 });
    assert.notEqual(fingerprint, await fingerprintOf("server"));
    await client.waitFor("welcome");
    const texts = client.all("notice").map(({ text }) => text);
    assert.ok(texts.includes(`the host at 127.0.0.1:${port} refused: not allowed`), texts.join());
    assert.equal(await client.leave(), 0);
  }
}

async function startForTheFirstTime(world: World): Promise<void> {
  await world.server(["--min-key-bits", "1024"]);
  const home = world.path("new/state");
  const args = ["--key-bits", "1024", "--min-key-bits", "1024"];
  const address = ["--host", "localhost", "--port", String(world.port)];
  const start = () =>
    world.start("client", {
      args: [...address, ...args, "--json"],
      home: world.path("."),
      env: { HEARTH_HOME: home },
    });
  const [one, two] = [start(), start()];
  const joined = await one.waitFor("joined");
  assert.equal(joined.weak, true);
  assert.equal((await two.waitFor("joined")).fingerprint, joined.fingerprint); // one key for both
  assert.deepEqual(await Promise.all([one.leave(), two.leave()]), [0, 0]);
  if (Deno.build.os === "windows") return;
  const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
  assert.equal(await modeOf(home), 0o700);
  assert.equal(await modeOf(`${home}/identity.pem`), 0o600);
  assert.match(await Deno.readTextFile(`${home}/identity.pem`), /^-----BEGIN PRIVATE KEY-----/);
}

/** The README's first example: nothing is there yet, and two terminals type the same at once. */
async function serveForTheFirstTime(world: World): Promise<void> {
  const home = await world.emptyHome("new");
  const port = String(freePort());
  const bits = ["--key-bits", "1024", "--min-key-bits", "1024"];
  const start = () =>
    world.start("client", { args: ["--serve", "--port", port, ...bits, "--json"], home });
  const clients = [start(), start()];
  for (const client of clients) await client.waitFor("joined");
  const [one, two] = clients as [Program, Program];
  assert.equal(one.first("connected").fingerprint, two.first("connected").fingerprint);
  await one.chat("hello");
  await two.waitFor("chat", { text: "hello", view: "same" });
  assert.deepEqual(await Promise.all(clients.map((client) => client.kill("SIGTERM"))), [143, 143]);
}

async function useOtherKeys(world: World): Promise<void> {
  const server = await world.server();
  const home = await world.emptyHome("none");
  const keys = new URL("../vectors/keys/", import.meta.url);
  const clients = [];
  for (const [name, passphrase] of KEY_FILES) {
    const key = await world.file(name, await Deno.readTextFile(new URL(name, keys)));
    clients.push(world.start("client", {
      args: ["--host", "localhost", "--port", String(server.port), "--key", key, "--json"],
      home,
      env: passphrase === undefined ? {} : { HEARTH_KEY_PASSPHRASE: passphrase },
    }, name));
  }
  const others = clients.length - 1;
  for (const client of clients) await client.waitFor("joined", {}, { count: others });
  const [first] = clients;
  assert.equal(new Set(first!.all("joined").map(({ fingerprint }) => fingerprint)).size, 1);
  assert.deepEqual([...Deno.readDirSync(home)].filter(({ name }) => name.endsWith(".pem")), []);
}

async function serveWithALockedKey(world: World): Promise<void> {
  const home = await world.home("ann");
  const locked = new URL("../vectors/keys/pbes2_scrypt.pem", import.meta.url);
  await world.file("ann/server.pem", await Deno.readTextFile(locked));
  const start = (env: Record<string, string>) =>
    world.start("client", {
      args: ["--serve", "--port", String(freePort()), "--json"],
      home,
      env,
    });
  const served = start({ HEARTH_KEY_PASSPHRASE: "pässwörd" });
  await served.waitFor("welcome");
  assert.equal(await served.leave(), 0);
  const refused = start({});
  assert.equal(await refused.ended(), 1);
  assert.match(refused.stderr, /server\.pem: a passphrase is needed\n.*HEARTH_KEY_PASSPHRASE/);
}

async function rememberTheNick(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const join = async (args: readonly string[] = [], command?: string) => {
    const client = world.start("client", {
      args: ["--host", "127.0.0.1", "--port", String(server.port), "--json", ...args],
      home: await world.home("bob"),
    });
    await client.waitFor("joined");
    if (command !== undefined) await client.command(command);
    assert.equal(await client.leave(), 0);
  };
  await join();
  await ann.waitFor("joined", { nick: "somebody" }); // the login name
  await join(["--nick", "Robert"]);
  await join([], "/nick Bert");
  await ann.waitFor("joined", { nick: "Robert" }, { count: 2 });
  await join();
  await ann.waitFor("joined", { nick: "Bert" });
}

async function endWithoutAWelcome(world: World): Promise<void> {
  const server = await world.server();
  server.signal("SIGSTOP");
  for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]] as const) {
    const ann = await world.client("ann");
    const pipe = await world.pipe("bob");
    await Promise.all([ann, pipe].map(listensToSignals));
    assert.deepEqual([await ann.kill(signal), await pipe.kill(signal)], [code, code]);
  }
  server.signal("SIGCONT");
}

/** Whether a process catches SIGTERM, according to the kernel. */
async function listensToSignals({ pid }: Program): Promise<void> {
  if (Deno.build.os !== "linux") return;
  await poll(async () => {
    const [, mask] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(
      await Deno.readTextFile(`/proc/${pid}/status`),
    )!;
    return (BigInt(`0x${mask}`) & 1n << 14n) !== 0n; // SIGTERM
  }, () => "a client that listens to SIGTERM");
}

async function joinOverBothFamilies(world: World): Promise<void> {
  const { port } = await world.server();
  const hosts = hasIpv6() ? [`[::1]:${port}`, `127.0.0.1:${port}`] : [`127.0.0.1:${port}`];
  const clients = await Promise.all(hosts.map(async (host, i) =>
    world.start("client", {
      args: ["--host", host, "--nick", `ann${i}`, "--json"],
      home: await world.home(`ann${i}`),
    })
  ));
  for (const [i, client] of clients.entries()) {
    assert.equal((await client.waitFor("connected")).address, hosts[i]);
    await client.waitFor("welcome");
  }
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

async function endInOrder(world: World): Promise<void> {
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  for (const [i, code] of [143, 130, 129].entries()) {
    const bob = await world.client("bob");
    await ann.waitFor("joined", {}, { count: i + 1 });
    assert.equal(await bob.kill(signals[i]), code);
    await ann.waitFor("left", { nick: "bob", why: "left" }, { count: i + 1 }); // CLOSE(0) went first
    assert.deepEqual(bob.events.at(-1), { event: "bye" });
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const other = await world.server([], { home: "other" });
    const eve = await world.client("eve");
    await eve.waitFor("welcome");
    assert.equal(await other.kill(signal), 0);
    // The client also tries whether the server is reachable from outside, and closes that connection.
    const events = other.events.map(({ event }) => event).filter((event) => event !== "closed");
    assert.deepEqual(events, [
      "listening",
      "joined",
      "stopping",
      "left",
    ]);
    await eve.waitFor("disconnected", { reason: "shutting down" });
    await eve.waitFor("reconnecting");
    await eve.kill();
  }
  assert.equal(ann.running, true);
  assert.equal(server.running, true);
}

/** A member that reads nothing delays the end for 2 s: long enough for a second signal. */
async function endAtOnce(world: World): Promise<void> {
  const server = await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  bob.signal("SIGSTOP");
  server.signal("SIGTERM");
  await ann.waitFor("disconnected", { reason: "shutting down" });
  server.signal("SIGTERM"); // too soon: counts as the same signal
  await poll(() => {
    server.signal("SIGTERM");
    return !server.running;
  }, () => "the end of the server");
  assert.equal(await server.ended(), 130);
}

async function sayWhatToType(world: World): Promise<void> {
  const home = await world.home("server", { file: "server.pem" });
  const server = world.start("server", { args: ["--port", "0"], home });
  const [, port] = await server.waitForText("stdout", /^listening on port (\d+): \S/m);
  const fingerprint = await fingerprintOf("server");
  const [, host] = await server.waitForText("stdout", /^ {4}.*client --host (\S+)$/m);
  assert.ok(host!.endsWith(`:${port}`) || host!.includes("."), host);
  assert.ok(server.stdout.includes(fingerprint));
  const ann = await world.client("ann", { port: Number(port) });
  const key = (await fingerprintOf("ann")).replaceAll("+", "\\+");
  await server.waitForText("stdout", new RegExp(`joined ${key}$`, "m"));
  await ann.leave();
  await server.waitForText("stdout", new RegExp(`left ${key}$`, "m"));
  assert.equal(await server.kill("SIGTERM"), 0);

  const quiet = world.start("server", { args: ["--port", port!, "--quiet"], home });
  await waitForPort(Number(port));
  const bob = await world.client("bob", { port: Number(port) });
  await bob.waitFor("welcome");
  await bob.leave();
  await quiet.kill("SIGTERM");
  assert.deepEqual([quiet.stdout, quiet.stderr], ["", ""]);
}

export const STARTING: readonly Conversation[] = [
  ["--serve twice at once: one serves, the other joins, and a third takes over", serve],
  ["a server on this computer is joined without --host, also with --serve", joinWhatIsHere],
  ["--serve hosts where the server on this computer refuses", hostWhereRefused],
  ["a server is reached over IPv6 and IPv4", joinOverBothFamilies],
  ["two first starts at once make one key, which only its owner can read", startForTheFirstTime],
  [
    "--serve twice at once in a new state folder makes one server and two members",
    serveForTheFirstTime,
  ],
  ["--key takes OpenSSH and PEM keys, locked ones with HEARTH_KEY_PASSPHRASE", useOtherKeys],
  ["--serve unlocks the server's key as it does one's own", serveWithALockedKey],
  ["the last nick is used again; before that, the login name", rememberTheNick],
  ["signals end a client that is not in the room yet", endWithoutAWelcome],
  ["signals end clients and servers cleanly, with their exit codes", endInOrder],
  ["a second signal ends a server at once", endAtOnce],
  ["server prints what to type, who joins and who leaves; nothing with --quiet", sayWhatToType],
];
