/**
 * Finding servers between computers: real programs in network namespaces, and Avahi as another implementation of the
 * same standards. Needs root on Linux.
 */
import assert from "node:assert/strict";
import { Avahi, NO_AVAHI } from "../support/avahi.ts";
import { type Computer, Network, NO_NETWORKS } from "../support/netns.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";
import type { FlooderActions } from "../bench/flooder.ts";
import { Remote } from "../bench/remote.ts";
import {
  fingerprintOf,
  FROM_SOURCE,
  type Outcome,
  poll,
  type Program,
  type World,
} from "../support/programs.ts";

if (NO_NETWORKS) console.log(`${NO_NETWORKS}: tests between computers are skipped`);
else if (NO_AVAHI) console.log(`${NO_AVAHI}: tests with Avahi are skipped`);
const NO_TERMINAL = NO_NETWORKS ?? await tmuxMissing();
const networks = { ignore: NO_NETWORKS !== undefined };
const terminals = { ignore: NO_TERMINAL !== undefined };
const avahi = { ignore: NO_AVAHI !== undefined };

const TAG = "BBBBBBBBBBBBBBBB";
const HOST = Deno.hostname().split(".", 1)[0]!;

type Row = Record<string, unknown>;

/** The output of `client --list --json`. */
async function list(world: World): Promise<Row[]> {
  const args = ["--list", "--json"];
  const { code, stdout } = await world.run("client", { args, home: await world.home("ann") });
  const rows = stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  assert.equal(code, rows.length > 0 ? 0 : 1);
  return rows;
}

/** Starts a server and waits until it is found. */
async function serve(world: World, other: World, ...args: string[]): Promise<Row> {
  const home = await world.home("server", { file: "server.pem" });
  const server = world.start("server", { args: [...args, "--json"], home, announce: true });
  await server.waitFor("listening");
  return await poll(
    async () => (await list(other)).find(({ port }) => port === server.port),
    () => `a server that is found; ${server.describe()}`,
  );
}

/** Starts a client that must find a server itself. */
async function seek(world: World, ...args: string[]): Promise<Outcome> {
  const home = await world.home("ann");
  return await world.run("client", { args: ["--json", "--wait", "0", ...args], home });
}

function fail(outcome: Outcome): string {
  assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
  return outcome.stderr;
}

Deno.test(
  "a server is found from another computer, joined once it is known, and disappears when it stops",
  networks,
  async () => {
    await using network = await Network.make(2);
    const [there, here] = network.computers as [Computer, Computer];
    await using servers = await there.world();
    await using clients = await here.world();
    assert.deepEqual(await list(clients), []);
    assert.match(fail(await seek(clients)), /error: no server was found.*\n.*--host ADDRESS/);

    const secret = await servers.file("secret", "between friends\n");
    const found = await serve(servers, clients, "--password-file", secret);
    const fingerprint = await fingerprintOf("server");
    assert.deepEqual(
      Object.entries(found),
      Object.entries({
        name: HOST,
        addresses: ["10.77.0.1", `${await network.linkAddress(there)}%${here.link}`],
        port: 40623,
        fingerprint: fingerprint.slice(7, 23),
        password: true,
        known: false,
      }),
    );
    const listed = await clients.run("client", {
      args: ["--list"],
      home: await clients.home("ann"),
    });
    assert.match(
      listed.stdout,
      /^\S+ +10\.77\.0\.1:40623 +SHA256:\S{16} +\(new, needs a password\)\n$/,
    );

    // A new server needs a question, and there is no terminal; with its fingerprint, or once it is known, it does not.
    const refused = fail(await seek(clients));
    assert.match(refused, /a new server was found/);
    assert.match(refused, /hint: .*client --host 10\.77\.0\.1 --password /);
    const env = { HEARTH_PASSWORD: "between friends" };
    const home = await clients.home("ann");
    for (const args of [["--fingerprint", fingerprint], []]) {
      const ann = clients.start("client", { args: ["--json", ...args], home, env });
      await ann.waitFor("welcome");
      assert.equal(ann.first("connected").address, "10.77.0.1:40623");
      assert.equal(ann.first("connected").server, "known");
      assert.equal(await ann.leave(), 0);
    }
    assert.equal((await list(clients))[0]?.known, true);
    const another = await fingerprintOf("another");
    assert.match(fail(await seek(clients, "--fingerprint", another)), /no server was found/);

    // By the computer's name, which no resolver of the operating system knows here.
    const named = clients.start("client", {
      args: ["--json", "--host", `${HOST}.local`],
      home,
      env,
    });
    await named.waitFor("welcome");
    assert.equal(named.first("connected").address, `${HOST.toLowerCase()}.local:40623`);
    await named.leave();

    // What is taken back is gone at once.
    await using second = await there.world();
    const other = second.start("server", {
      args: ["--json", "--port", "0"],
      home: await second.home("other", { file: "server.pem" }),
      announce: true,
    });
    await poll(async () => (await list(clients)).length === 2, () => "a second server");
    const names = (await list(clients)).map(({ name }) => name);
    assert.deepEqual(names, [HOST, `${HOST} (2)`]); // the known one first
    assert.match(fail(await seek(clients, "--quiet")), /2 servers were found/);
    assert.equal(await other.kill("SIGTERM"), 0);
    assert.equal((await list(clients)).length, 1);
  },
);

Deno.test(
  "a server with another key than the announced one is refused and not pinned",
  networks,
  async () => {
    await using network = await Network.make(2);
    const [there, here] = network.computers as [Computer, Computer];
    await using servers = await there.world();
    await using clients = await here.world();
    const home = await servers.home("server", { file: "server.pem" });
    const impostor = servers.start("server", { args: ["--json"], home }); // announces nothing itself
    await impostor.waitFor("listening");
    const friend = await fingerprintOf("friend");
    const announce = [
      ...FROM_SOURCE.server.slice(0, -1),
      `${import.meta.dirname}/../support/announce.ts`,
    ];
    await using _announcing = there.start([...announce, "Friend", "40623", friend.slice(7, 23)]);
    await clients.home("ann");
    const pins = `${clients.path("ann")}/known_servers`;
    const header =
      "# Servers Hearth knows, one a line: address, fingerprint of its key. Lines may be taken out.";
    await Deno.writeTextFile(pins, `${header}\nelsewhere:1 ${friend}\n# end\n`);
    await poll(async () => (await list(clients))[0]?.known, () => "the announcement");
    const said = fail(await seek(clients));
    for (const part of ["10.77.0.1:40623 is another server", friend.slice(0, 23), "announcement"]) {
      assert.ok(said.includes(part), said);
    }
    assert.deepEqual(impostor.all("joined"), []);
    assert.ok(!(await Deno.readTextFile(pins)).includes("10.77"));
  },
);

Deno.test(
  "on a terminal a client asks about a new server, shows several, and offers to start one",
  terminals,
  async () => {
    await using network = await Network.make(3);
    const [first, second, here] = network.computers as [Computer, Computer, Computer];
    await using clients = await here.world();
    const client = async (home: string, ...args: string[]) => {
      const env = { HEARTH_HOME: await clients.home(home), LC_ALL: "C.UTF-8", USER: home };
      const command = here.command(...FROM_SOURCE.client, "--plain", ...args);
      return await Tmux.start(command, { columns: 100, rows: 24, env });
    };
    const see = (tmux: Tmux, pattern: RegExp) =>
      tmux.waitFor((rows) => pattern.test(rows.join("\n")), String(pattern));

    const nobody = await client("ann");
    await see(nobody, /No server was found\. Start one on this computer\? \[Y\/n\]/);
    await nobody.type("n");
    await nobody.press("Enter");
    await see(nobody, /error: no server was found/);
    await nobody.close();

    await using one = await first.world();
    await serve(one, clients);
    const asked = await client("ann");
    await see(asked, /Join \S+ {2}10\.77\.0\.1:40623 {2}SHA256:\S{16} {2}\(new\)\? \[Y\/n\]/);
    await asked.press("Enter");
    await see(asked, /you are in lobby/);
    await asked.press("C-d");
    await asked.close();

    // Known by now: nothing to ask.
    const known = await client("ann");
    await see(known, /you are in lobby/);
    await known.close();

    await using two = await second.world();
    await serve(two, clients, "--port", "7777");
    const choosing = await client("bob");
    const rows = await see(choosing, /Which one\? \[1 to 2, Enter for none\]/);
    const row = rows.find((row) => row.includes("10.77.0.2:7777"));
    await choosing.type(/(\d) {2}\S/.exec(row!)![1]!);
    await choosing.press("Enter");
    await see(choosing, /you are in lobby/);
    await choosing.close();
  },
);

Deno.test(
  "--no-announce: only clients that know the address find the server",
  networks,
  async () => {
    await using network = await Network.make(2);
    const [there, here] = network.computers as [Computer, Computer];
    await using servers = await there.world();
    await using clients = await here.world();
    const hidden = await servers.server(); // as all tests do
    const found = await serve(servers, clients, "--port", "7777");
    assert.notEqual(hidden.port, found.port);
    assert.deepEqual((await list(clients)).map(({ port }) => port), [7777]);
  },
);

Deno.test(
  "a server is found and joined on a link with IPv6 only",
  networks,
  async () => {
    await using network = await Network.make(2, { ipv4: false });
    const [there, here] = network.computers as [Computer, Computer];
    await using servers = await there.world();
    await using clients = await here.world();
    const found = await serve(servers, clients);
    const address = `${await network.linkAddress(there)}%${here.link}`;
    assert.deepEqual(found.addresses, [address]);
    const ann = clients.start("client", {
      args: ["--json", "--fingerprint", await fingerprintOf("server")],
      home: await clients.home("ann"),
    });
    await ann.waitFor("welcome");
    assert.equal(ann.first("connected").address, `[${address}]:40623`);
    await ann.leave();
  },
);

Deno.test(
  "a server on several networks is found on each, with all its addresses",
  networks,
  async () => {
    await using network = await Network.make(2);
    const [there, here] = network.computers as [Computer, Computer];
    // A cable between the two, besides.
    await there.run(
      "ip",
      "link",
      "add",
      "eth1",
      "type",
      "veth",
      "peer",
      "name",
      "eth1",
      "netns",
      here.name,
    );
    for (const [i, computer] of [there, here].entries()) {
      await computer.run("ip", "addr", "add", `10.78.0.${i + 1}/24`, "dev", "eth1");
      await computer.run("ip", "link", "set", "eth1", "up");
    }
    await using servers = await there.world();
    await using clients = await here.world();
    await serve(servers, clients);
    const found = await poll(async () => {
      const [row] = await list(clients);
      return (row?.addresses as string[]).length === 4 && row;
    }, () => "four addresses");
    const addresses = (found.addresses as string[]).map((address) =>
      address.replace(/^fe80.*%/, "%")
    );
    assert.deepEqual(addresses.toSorted(), ["%eth0", "%eth1", "10.77.0.1", "10.78.0.1"]);
    // And found over the one when the other is gone.
    await here.run("ip", "link", "set", "eth0", "down");
    const [left] = await list(clients);
    assert.ok((left?.addresses as string[]).includes("10.78.0.1"));
  },
);

Deno.test("a server is found again after the network was down", networks, async () => {
  await using network = await Network.make(2);
  const [there, here] = network.computers as [Computer, Computer];
  await using servers = await there.world();
  await using clients = await here.world();
  await serve(servers, clients);
  await there.run("ip", "addr", "flush", "dev", there.link);
  assert.deepEqual(await list(clients), []);
  await there.run("ip", "addr", "add", "10.77.0.9/24", "dev", there.link);
  const [found] = await poll(async () => {
    const rows = await list(clients);
    return rows.length > 0 && rows;
  }, () => "the server at its new address");
  assert.deepEqual(found!.addresses, ["10.77.0.9"]);
});

Deno.test("Avahi finds a server, and a server that Avahi announces is found", avahi, async () => {
  await using network = await Network.make(2);
  const [there, here] = network.computers as [Computer, Computer];
  await using servers = await there.world();
  await using clients = await here.world();
  await using other = await Avahi.start(here, "annas-box");
  await serve(servers, clients);
  const fingerprint = (await fingerprintOf("server")).slice(7, 23);
  const resolved = await poll(async () => {
    const rows = await other.browse();
    return rows.length === 2 && rows;
  }, () => "what Avahi finds");
  for (const { name, host, port, fields } of resolved) {
    assert.equal(name, HOST);
    assert.match(host, /^hearth-[0-9a-f]{8}\.local$/);
    assert.equal(port, 40623);
    assert.deepEqual(fields.toSorted(), [`fp=${fingerprint}`, "v=1"]);
  }
  assert.ok(resolved.some(({ address }) => address === "10.77.0.1"));

  const name = "Ännä's box v1.2 \u202e";
  other.publish(name, 40777, "v=1", `fp=${TAG}`, "pw=1");
  await using watchers = await there.world();
  const found = await poll(
    async () => (await list(watchers)).find(({ port }) => port === 40777),
    () => "what Avahi announces",
  );
  assert.equal(found.name, name);
  assert.deepEqual([found.fingerprint, found.password, found.known], [TAG, true, false]);
  assert.deepEqual(found.addresses, [
    "10.77.0.2",
    `${await network.linkAddress(here)}%${there.link}`,
  ]);
  const shown = await watchers.run("client", {
    args: ["--list"],
    home: await watchers.home("ann"),
  });
  assert.match(shown.stdout, /^Ännä's box v1\.2 ⟨202E⟩ {2}/m);

  // Avahi knows its computer's name.
  const lost = fail(await seek(watchers, "--host", "annas-box.local"));
  assert.match(lost, /cannot connect to annas-box\.local:40623: nothing is listening there/);

  // And keeps the name it had first.
  other.publish(HOST, 40778, "v=1", `fp=${TAG}`);
  await poll(
    async () => (await list(watchers)).some(({ port, name }) => port === 40778 && name !== HOST),
    () => "another name",
  );
});

Deno.test("a server takes another name if Avahi has announced the same one", avahi, async () => {
  await using network = await Network.make(2);
  const [there, here] = network.computers as [Computer, Computer];
  await using servers = await there.world();
  await using clients = await here.world();
  await using other = await Avahi.start(here, "annas-box");
  other.publish(HOST, 40777, "v=1", `fp=${TAG}`);
  await poll(async () => (await list(clients)).length === 1, () => "what Avahi announces");
  assert.equal((await serve(servers, clients)).name, `${HOST} (2)`);
});

Deno.test(
  "a flood of multicast DNS keeps nobody from chatting, and the server is found after it",
  networks,
  async () => {
    await using network = await Network.make(3);
    const [there, attacker, here] = network.computers as [Computer, Computer, Computer];
    await using servers = await there.world();
    await using clients = await here.world();
    await serve(servers, clients);
    const flooder = new Remote<FlooderActions>("flooder.ts", attacker.command());
    try {
      const flooding = flooder.tell("flood", {
        address: "10.77.0.2",
        label: HOST,
        bytesPerSecond: 2_000_000,
        seconds: 4,
      });
      const args = ["--json", "--host", "10.77.0.1"];
      const [ann, bob] = await Promise.all(["ann", "bob"].map(async (nick) => {
        const home = await clients.home(nick);
        const client = clients.start("client", { args: [...args, "--nick", nick], home });
        await client.waitFor("joined");
        return client;
      })) as [Program, Program];
      await ann.say({ type: "chat", text: "through all of it" });
      await bob.waitFor("chat", { text: "through all of it" });
      await flooding;
    } finally {
      await flooder.stop();
    }
    await poll(async () => (await list(clients)).length === 1, () => "the server");
  },
);

for (const host of ["0.0.0.0", "::1"]) {
  Deno.test(
    `where IPv6 sockets are separate, --serve joins another person's server on ${host}`,
    networks,
    async () => {
      await using network = await Network.make(1);
      const [computer] = network.computers as [Computer];
      await computer.run("sysctl", "-qw", "net.ipv6.bindv6only=1");
      await using world = await computer.world();
      const { port } = await world.server(["--host", host]);
      const home = await world.home("ann");
      await world.home("ann", { file: "server.pem" });
      const args = ["--serve", "--port", String(port)];
      const ann = world.start("client", { args: [...args, "--json"], home });
      await ann.waitFor("welcome");
      const theirs = await fingerprintOf("server");
      assert.equal(ann.first("connected").fingerprint, theirs);
      await ann.command("/info");
      const info = await ann.waitFor("result", { command: "info" });
      assert.deepEqual([info.serving, info.server], [false, theirs]);
      assert.ok(String(info.line).endsWith(` --fingerprint ${theirs}`), String(info.line));
      await ann.leave();

      const server = world.start("server", {
        args: ["--port", String(port)],
        home: await world.home("second", { file: "server.pem" }),
      });
      assert.equal(await server.ended(), 1);
      assert.match(server.stderr, /port \d+ is taken by a HEARTH server \(SHA256:/);
      const shown = host === "::1" ? host : "localhost";
      assert.ok(server.stderr.includes(`client --host ${shown} --port ${port}`), server.stderr);
    },
  );
}

Deno.test(
  "where IPv6 sockets are separate, a free port is served for IPv4 and IPv6",
  networks,
  async () => {
    await using network = await Network.make(1);
    const [computer] = network.computers as [Computer];
    await computer.run("sysctl", "-qw", "net.ipv6.bindv6only=1");
    await using world = await computer.world();
    const { port } = await world.server();
    for (const host of ["127.0.0.1", "::1"]) {
      const args = ["--host", host, "--port", String(port), "--json"];
      const ann = world.start("client", { args, home: await world.home("ann") });
      await ann.waitFor("welcome");
      await ann.leave();
    }
  },
);

Deno.test(
  "without a network, --serve and /invite say that only this computer can join",
  terminals,
  async () => {
    await using network = await Network.make(1, { ipv4: false });
    const [computer] = network.computers as [Computer];
    await computer.run("ip", "link", "set", computer.link, "down");
    await using world = await computer.world();
    const home = await world.home("ann");
    await world.home("ann", { file: "server.pem" });
    const tmux = await Tmux.start(
      computer.command(...FROM_SOURCE.client, "--plain", "--serve", "--port", "0"),
      {
        columns: 150,
        rows: 40,
        env: { HEARTH_HOME: home, LC_ALL: "C", NO_COLOR: "1", USER: "ann" },
      },
    );
    const shown = (text: string) =>
      tmux.waitFor((rows) => rows.some((row) => row.includes(text)), text);
    try {
      await shown("this computer is the server, without a network; on it, type: ");
      await shown("ann> ");
      await tmux.type("/invite");
      await tmux.press("Enter");
      await shown("only on this computer: no other can reach the server:");
    } finally {
      await tmux.close();
    }
  },
);
