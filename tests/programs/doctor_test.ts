/**
 * `doctor` with each fault made for real: of files, ports and servers on the loopback interface, of networks in
 * namespaces.
 */
import assert from "node:assert/strict";
import { findFirewalls } from "../../lib/cli/doctor/firewalls.ts";
import { KnownServers } from "../../lib/session/mod.ts";
import { areInstalled, type Computer, Network, NO_NETWORKS } from "../support/netns.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";
import { fingerprintOf, FROM_SOURCE, poll, type Program, type World } from "../support/programs.ts";

const NO_FILTER = NO_NETWORKS ?? (await areInstalled("nft") ? undefined : "nft is not installed");
if (NO_NETWORKS) console.log(`${NO_NETWORKS}: tests of doctor are skipped`);
else if (NO_FILTER) console.log(`${NO_FILTER}: no firewall is made`);

interface Row {
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  readonly text: string;
  readonly hints: readonly string[];
}

interface Report {
  readonly code: number;
  readonly rows: readonly Row[];
  /** The row of a check. */
  of(check: string): Row;
}

interface ExamineOptions {
  readonly program?: "client" | "server";
  readonly home?: string;
  readonly env?: Record<string, string>;
}

async function examine(
  world: World,
  args: readonly string[],
  { program = "client", home, env = {} }: ExamineOptions = {},
): Promise<Report> {
  const outcome = await world.run(program, {
    args: ["doctor", "--json", ...args],
    home: home ?? await world.home("ann"),
    env,
  });
  assert.equal(outcome.stderr, "");
  const rows: Row[] = outcome.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const row of rows) {
    assert.deepEqual(Object.keys(row), ["check", "level", "text", "hints"]);
    assert.ok(row.level === "ok" || row.hints.length > 0, `${row.check} says nothing to do`);
  }
  assert.equal(outcome.code, rows.some(({ level }) => level === "problem") ? 1 : 0);
  const of = (check: string) => {
    const row = rows.find((row) => row.check === check);
    assert.ok(row, `no ${check} in ${outcome.stdout}`);
    return row;
  };
  return { code: outcome.code, rows, of };
}

function levels({ rows }: Report): Record<string, string> {
  return Object.fromEntries(rows.map(({ check, level }) => [check, level]));
}

/** Everything below a folder with sizes, times and modes, to check that nothing changes. */
async function listAll(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const { mtime, size, mode } = await Deno.stat(path);
    found.push(`${path} ${isDirectory ? "" : `${mtime?.getTime()} ${size}`} ${mode}`);
    if (isDirectory) found.push(...await listAll(path));
  }
  return found.sort();
}

function addressOf(server: Program): string[] {
  return ["--host", "127.0.0.1", "--port", String(server.port)];
}

// --- on one computer ---

async function findNothingWrong(world: World): Promise<void> {
  const server = await world.server();
  const home = await world.home("ann");
  const before = await listAll(home);
  const report = await examine(world, addressOf(server));
  assert.equal(report.code, 0);
  const found = levels(report);
  for (const check of ["version", "terminal", "state", "clock", "connection", "handshake", "key"]) {
    assert.equal(found[check], "ok", check);
  }
  assert.match(report.of("state").text, /a key of 2048 bits/);
  assert.match(report.of("port").text, /a HEARTH server, SHA256:/);
  assert.match(report.of("round trip").text, /^\d+(\.\d)? ms/);
  assert.match(report.of("key").text, /is new: SHA256:/);
  assert.match(report.of("password").text, /does not say/);
  assert.deepEqual(await listAll(home), before); // nothing pinned, nothing made
  assert.deepEqual(server.all("joined"), []);

  // In words: one line for each, and what to do below it.
  const said = await world.run("client", { args: ["doctor", ...addressOf(server)], home });
  const heads = said.stdout.split("\n").filter((line) => /^\S/.test(line));
  assert.deepEqual(
    heads.map((line) => line.slice(9, 20).trim()),
    report.rows.map(({ check }) => check),
  );
  assert.ok(heads.every((line) => /^(ok|warning|problem) +\S/.test(line)));
}

async function lookIntoTheStateFolder(world: World): Promise<void> {
  const server = await world.server();
  const args = addressOf(server);
  const fresh = await world.emptyHome("fresh");
  const none = await examine(world, args, { home: fresh });
  assert.equal(none.code, 0);
  assert.match(none.of("state").text, /no key yet/);
  const missing = await examine(world, args, { env: { HEARTH_HOME: `${fresh}/not/there` } });
  assert.match(missing.of("state").text, /not there yet/);
  assert.deepEqual(await listAll(fresh), []);

  const home = await world.home("ann");
  await Deno.chmod(`${home}/identity.pem`, 0o644);
  const open = (await examine(world, args)).of("state");
  assert.equal(open.level, "problem");
  assert.match(open.text, /readable by others than its owner/);
  assert.match(open.hints[0]!, /^chmod 600 /);
  await Deno.chmod(`${home}/identity.pem`, 0o600);

  for (
    const [name, content] of [["known_servers", "x\n"], ["known_peers", "x\n"], [
      "settings.json",
      "x",
    ]]
  ) {
    await Deno.writeTextFile(`${home}/${name}`, content!);
    const { level, text, hints } = (await examine(world, args)).of("state");
    assert.equal(level, "warning", name);
    assert.ok(hints.some((hint) => hint.includes(name!)), text);
    await Deno.chmod(`${home}/${name}`, 0o606);
    const writable = (await examine(world, args)).of("state");
    assert.ok(writable.hints.some((hint) => hint.startsWith("others may write ")));
    await Deno.remove(`${home}/${name}`);
  }
  const lost = await examine(world, ["--key", "nowhere.pem", ...args]);
  assert.match(lost.of("state").text, /no such file/);
  assert.equal(lost.code, 1);
}

async function lookAtTheTerminal(world: World): Promise<void> {
  // Standard output is a pipe in all tests: that is how scripts run, and no fault.
  const report = await examine(world, [], { program: "server", home: await world.emptyHome("s") });
  assert.equal(report.of("terminal").level, "ok");
  assert.ok(report.rows.every(({ check }) => check !== "connection" && check !== "key"));
}

/** Another program, which closes every connection at once. */
const FOREIGN = `const [hostname] = Deno.args;
for await (const connection of Deno.listen({ hostname, port: 40999 })) connection.close();`;

async function findThePortTaken(world: World, computer: Computer): Promise<void> {
  const home = await world.emptyHome("server");
  const args = ["--port", "40999"];
  const asServer = () => examine(world, args, { program: "server", home });
  for (const hostname of ["0.0.0.0", "127.0.0.1", "::1"]) {
    assert.equal((await asServer()).of("port").level, "ok");
    const script = await world.file("foreign.ts", FOREIGN);
    await using _ = computer.start([Deno.execPath(), "run", "--allow-net", script, hostname]);
    const report = await poll(async () => {
      const report = await asServer();
      return report.of("port").level !== "ok" && report;
    }, () => "a port that is taken");
    assert.equal(report.of("port").level, "problem", hostname);
    assert.match(report.of("port").text, /port 40999 .* another program/);
    assert.ok(report.of("port").hints.some((hint) => hint.includes("40999")));
    const client = await examine(world, ["--host", "127.0.0.1", ...args]);
    assert.equal(client.of("port").level, "warning"); // it needs none
    if (hostname === "::1") continue;
    assert.equal(client.of("connection").level, "ok");
    assert.equal(client.of("handshake").level, "problem");
    assert.match(client.of("handshake").text, /not a HEARTH server/);
  }
  const elsewhere = await examine(world, ["--host", "192.0.2.77"], { program: "server", home });
  assert.match(elsewhere.of("port").text, /192\.0\.2\.77 is not an address of this computer/);
}

async function findAnotherKey(world: World): Promise<void> {
  const first = await world.server();
  const args = addressOf(first);
  const fingerprint = await fingerprintOf("server");
  const right = await examine(world, [...args, "--fingerprint", fingerprint]);
  assert.match(right.of("key").text, /is the right one/);
  const other = await fingerprintOf("other");
  const wrong = await examine(world, [...args, "--fingerprint", other]);
  assert.equal(wrong.of("key").level, "problem");
  for (const part of [fingerprint, other]) assert.ok(wrong.of("key").text.includes(part));

  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  await ann.leave();
  assert.match((await examine(world, args)).of("key").text, /is the right one/);
  await first.kill("SIGTERM");
  const second = await world.server([], { port: first.port, home: "other" });
  const changed = await examine(world, args, { env: { HEARTH_PASSWORD: "secret" } });
  assert.equal(changed.of("key").level, "problem");
  assert.match(changed.of("key").text, /has changed/);
  assert.ok(changed.of("key").hints.some((hint) => hint.includes("client forget")));
  assert.ok(changed.rows.every(({ check }) => check !== "password")); // not shown to that one
  assert.deepEqual(second.all("refused"), []);
}

async function tryThePassword(world: World): Promise<void> {
  const secret = await world.file("secret", "between friends\n");
  const wrong = await world.file("wrong", "nope\n");
  const allow = await world.file("allow", `${await fingerprintOf("bob")}\n`);
  await world.home("bob");
  const server = await world.server(["--password-file", secret, "--allow", allow]);
  const args = addressOf(server);
  const options = { home: await world.home("bob") };
  // A key that is not pinned gets no proof, even if it is the one of an invitation.
  for (const more of [[], ["--fingerprint", await fingerprintOf("server")]]) {
    const early = await examine(world, [...args, "--password-file", secret, ...more], options);
    assert.equal(early.of("password").level, "warning");
    assert.match(early.of("password").text, /was not tried/);
  }
  for (const home of [options.home, await world.home("ann")]) {
    const servers = await KnownServers.load(home);
    await servers.pin(`127.0.0.1:${server.port}`, await fingerprintOf("server"));
  }
  const given = await examine(world, [...args, "--password-file", secret], options);
  assert.equal(given.of("password").level, "ok");
  assert.equal(given.code, 0);
  const refused = await examine(world, [...args, "--password-file", wrong], options);
  assert.equal(refused.of("password").level, "problem");
  assert.match(refused.of("password").text, /wrong password/);
  // A password that was not given is not made up: nobody has tried to join.
  const attempts = server.all("refused").length;
  assert.match((await examine(world, args, options)).of("password").text, /does not say/);
  assert.equal(server.all("refused").length, attempts);
  const stranger = await examine(world, [...args, "--password-file", secret]);
  assert.match(stranger.of("password").text, /not allowed/);
}

async function findNoSuchName(world: World): Promise<void> {
  const report = await examine(world, ["--host", "no-such-host.invalid"]);
  assert.equal(report.code, 1);
  assert.equal(report.of("name").level, "problem");
  assert.ok(report.rows.every(({ check }) => check !== "connection"));
  const server = await world.server();
  const named = await examine(world, ["--host", "localhost", "--port", String(server.port)]);
  assert.match(named.of("name").text, /^localhost is (127\.0\.0\.1|::1)$/);
}

async function findNobodyThere(world: World): Promise<void> {
  const server = await world.server();
  const args = addressOf(server);
  await server.kill("SIGTERM");
  const { level, text } = (await examine(world, args)).of("connection");
  assert.equal(level, "problem");
  assert.match(text, /nothing is listening there/);
}

const ALONE: readonly [name: string, run: (world: World, computer: Computer) => Promise<void>][] = [
  ["doctor finds no fault where there is none, and changes nothing", findNothingWrong],
  ["doctor checks the state folder: no key, readable key, damaged files", lookIntoTheStateFolder],
  ["server doctor checks no other server, and needs no terminal", lookAtTheTerminal],
  ["doctor finds another program on the port", findThePortTaken],
  ["doctor distinguishes a changed key from the right one", findAnotherKey],
  ["doctor tries the password it is given, and no other", tryThePassword],
  ["doctor reports a name that cannot be resolved", findNoSuchName],
  ["doctor reports that nothing is listening", findNobodyThere],
];

const networks = { ignore: NO_NETWORKS !== undefined };
const filters = { ignore: NO_FILTER !== undefined };

// doctor looks for servers on every network: here there is one, with no other computer on it.
for (const [name, act] of ALONE) {
  Deno.test(name, networks, async () => {
    await using network = await Network.make(1);
    const computer = network.computers[0]!;
    await using world = await computer.world();
    await act(world, computer);
  });
}

Deno.test("doctor checks the terminal", {
  ignore: (NO_NETWORKS ?? await tmuxMissing()) !== undefined,
}, async () => {
  await using network = await Network.make(1);
  const computer = network.computers[0]!;
  await using world = await computer.world();
  const home = await world.emptyHome("ann");
  for (
    const [program, columns, locale, level, what] of [
      ["client", 80, "C.UTF-8", "ok", /80 x 50, UTF-8, 256 colours$/m],
      ["server", 80, "C.UTF-8", "ok", /80 x 50, UTF-8$/m],
      ["server", 39, "C.UTF-8", "warning", /make the win/],
      ["client", 80, "C", "warning", /80 x 50, no UTF-8[^]*LC_ALL/],
    ] as const
  ) {
    const command = computer.command(...FROM_SOURCE[program], "doctor");
    const env = { HEARTH_HOME: home, LC_ALL: locale };
    const tmux = await Tmux.start(command, { columns, rows: 50, env });
    try {
      const rows = await tmux.waitFor((rows) => /^ok +firewall/m.test(rows.join("\n")), "the end");
      const said = rows.join("\n");
      assert.match(said, new RegExp(`^${level} +terminal`, "m"));
      assert.match(said, what);
    } finally {
      await tmux.close();
    }
  }
});

// --- firewalls ---

async function withRoot(files: Record<string, string>, action: (root: string) => Promise<void>) {
  const root = `${await Deno.makeTempDir()}/`;
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${root}${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.writeTextFile(root + path, text);
    }
    await action(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const DROPPING = (rules: string) =>
  `#!/usr/sbin/nft -f
flush ruleset
table inet guard {
  chain output { type filter hook output priority filter; }
  # chain commented { type filter hook input priority filter; policy drop; }
  chain incoming {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    tcp dport 22 accept
${rules}
  }
}
`;

Deno.test("findFirewalls() recognizes firewalls by their files, and gives the command that opens the port", async () => {
  const unit = "etc/systemd/system/multi-user.target.wants/firewalld.service";
  const zone = "etc/firewalld/zones/public.xml";
  const cases: [Record<string, string>, [string, boolean, string][]][] = [
    [{}, []],
    [{ "etc/ufw/ufw.conf": "ENABLED=no\n" }, []],
    [{ "etc/ufw/ufw.conf": "# x\nENABLED=yes\n" }, [["ufw", false, "sudo ufw allow 40623/tcp"]]],
    [{
      "etc/ufw/ufw.conf": "ENABLED=yes\n",
      "etc/ufw/user.rules": "-A ufw-user-input -p tcp --dport 40623 -j ACCEPT\n",
    }, [["ufw", true, "sudo ufw allow 40623/tcp"]]],
    [{
      "etc/ufw/ufw.conf": "ENABLED=yes\n",
      "etc/ufw/user.rules": "-A ufw-user-input -p tcp --dport 40623 -j DROP\n",
    }, [["ufw", false, "sudo ufw allow 40623/tcp"]]],
    [{ [unit]: "" }, [["firewalld", false, "--add-port=40623/tcp"]]],
    [{ [zone]: `<zone><port port="40623" protocol="tcp"/></zone>` }, []],
    [{ [unit]: "", [zone]: `<port protocol="udp" port="40623"/>` }, [
      ["firewalld", false, "--add-port=40623/tcp"],
    ]],
    [{ [unit]: "", [zone]: `<port protocol="tcp" port="40623"/>` }, [
      ["firewalld", true, "--add-port=40623/tcp"],
    ]],
    [{
      "etc/nftables.conf":
        "table inet filter { chain input { type filter hook input priority 0; } }",
    }, []],
    [{ "etc/nftables.conf": DROPPING("") }, [
      ["nftables", false, "nft insert rule inet guard incoming tcp dport 40623 accept"],
    ]],
    [{ "etc/nftables.conf": DROPPING("    tcp dport { 80, 40623 } accept") }, [
      ["nftables", true, "nft insert rule inet guard incoming tcp dport 40623 accept"],
    ]],
  ];
  for (const [files, expected] of cases) {
    await withRoot(files, async (root) => {
      const found = await findFirewalls(40623, { root, os: "linux" });
      assert.deepEqual(
        found.map(({ name, isOpen }) => [name, isOpen]),
        expected.map(([name, isOpen]) => [name, isOpen]),
        JSON.stringify(files),
      );
      for (const [i, [, , command]] of expected.entries()) {
        assert.ok(found[i]!.command.includes(command), found[i]!.command);
      }
    });
  }
  await withRoot({}, async (root) => {
    assert.deepEqual(await findFirewalls(1, { root, os: "darwin" }), []);
    const [windows] = await findFirewalls(7, { root, os: "windows" });
    assert.match(windows!.command, /^netsh .*localport=7$/);
  });
});

// --- between computers ---

async function twoComputers() {
  const network = await Network.make(2);
  const [there, here] = network.computers as [Computer, Computer];
  return { network, there, here };
}

Deno.test(
  "doctor reports why there is no connection: no network, no route, filtered, refused",
  filters,
  async () => {
    const { network, there, here } = await twoComputers();
    await using _network = network;
    await using servers = await there.world();
    await using clients = await here.world();
    await servers.server([], { port: 40623 });
    const examineIt = (host = "10.77.0.1") => examine(clients, ["--host", host]);
    const good = await examineIt();
    assert.equal(good.code, 0);
    assert.equal(good.of("connection").level, "ok");
    assert.equal(good.of("multicast").level, "ok");
    assert.match(good.of("addresses").text, /^eth0 10\.77\.0\.2/);

    const rules =
      "table inet t { chain c { type filter hook input priority 0; tcp dport 40623 drop; }; }";
    await there.run("nft", rules);
    const filtered = (await examineIt()).of("connection");
    assert.equal(filtered.level, "problem");
    assert.match(filtered.text, /no answer/);
    assert.ok(filtered.hints.some((hint) => hint.includes("server doctor")));
    await there.run("nft", "delete table inet t");

    const nobody = (await examineIt("10.77.0.9")).of("connection");
    assert.match(nobody.text, /no route to it/);
    const elsewhere = (await examineIt("192.0.2.1")).of("connection");
    assert.match(elsewhere.text, /not on a network that leads there/);
    const refused = await examine(clients, ["--host", "10.77.0.1", "--port", "7"]);
    assert.match(refused.of("connection").text, /nothing is listening there/);

    await here.run("ip", "link", "set", here.link, "down");
    const unplugged = await examineIt();
    assert.equal(unplugged.of("multicast").level, "warning");
    assert.equal(unplugged.of("connection").level, "problem");
    await here.run("ip", "addr", "flush", "dev", here.link);
    const alone = await examineIt();
    assert.equal(alone.of("addresses").level, "warning");
    assert.equal(alone.of("multicast").level, "warning");
    assert.match(alone.of("connection").text, /not on a network that leads there/);
  },
);

Deno.test(
  "doctor reports blocked multicast, which does not prevent a connection to a named server",
  filters,
  async () => {
    const { network, there, here } = await twoComputers();
    await using _network = network;
    await using servers = await there.world();
    await using clients = await here.world();
    await servers.server([], { port: 40623 });
    const rules =
      "table inet t { chain c { type filter hook output priority 0; udp dport 5353 drop; }; }";
    await here.run("nft", rules);
    const report = await examine(clients, ["--host", "10.77.0.1"]);
    assert.deepEqual([report.code, report.of("multicast").level], [0, "warning"]);
    assert.match(report.of("multicast").text, /does not work on eth0/);
  },
);

Deno.test("doctor knows from the announcement whether a password is needed", networks, async () => {
  const { network, there, here } = await twoComputers();
  await using _network = network;
  await using servers = await there.world();
  await using clients = await here.world();
  const home = await servers.home("server", { file: "server.pem" });
  const secret = await servers.file("secret", "between friends\n");
  for (
    const [args, level, text] of [
      [[], "ok", /needs no password/],
      [["--password-file", secret], "warning", /needs a password/],
    ] as const
  ) {
    const server = servers.start("server", { args: ["--json", ...args], home, announce: true });
    await server.waitFor("listening");
    let report = await examine(clients, ["--host", "10.77.0.1"]);
    // The server needs a moment to claim its name.
    for (let i = 0; i < 10 && report.of("announced").text.startsWith("no server"); i++) {
      report = await examine(clients, ["--host", "10.77.0.1"]);
    }
    assert.equal(report.of("password").level, level);
    assert.match(report.of("password").text, text);
    assert.equal(report.code, 0);
    await server.kill("SIGTERM");
  }
});
