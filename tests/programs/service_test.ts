/** The server as a service: readiness, reading again, the end, and the state folder of the last version. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import {
  fingerprintOf,
  FROM_SOURCE,
  poll,
  type Program,
  waitForPort,
  World,
} from "../support/programs.ts";

const isUnix = Deno.build.os !== "windows";

/** Starts a server that is to tell a socket when it is ready. */
async function startNotifying(world: World, address: string): Promise<Program> {
  return world.start("server", {
    args: ["--port", "0", "--json"],
    home: await world.home("server", { file: "server.pem" }),
    env: { NOTIFY_SOCKET: address },
  });
}

/** Opens a socket; undefined where this Deno knows no abstract ones. */
function listenAt(address: string): Deno.DatagramConn | undefined {
  try {
    const path = address.replace("@", "\0");
    return Deno.listenDatagram({ transport: "unixpacket", path });
  } catch (error) {
    if (error instanceof TypeError && address.startsWith("@")) return undefined;
    throw error;
  }
}

Deno.test({
  name: "server tells systemd when it is ready",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const abstract = `@hearth-test-${crypto.randomUUID()}`;
    for (const address of [world.path("notify"), abstract]) {
      const socket = listenAt(address);
      if (!socket) continue;
      const server = await startNotifying(world, address);
      const [message] = await socket.receive();
      socket.close();
      equal(new TextDecoder().decode(message), "READY=1");
      await server.waitFor("listening");
      await waitForPort(server.port);
      const left = () =>
        [...Deno.readDirSync(world.path("server"))].filter(({ name }) => name.startsWith("notify"));
      await poll(() => left().length === 0, () => "the end of the server's own socket");
      equal(await server.kill("SIGTERM"), 0);
      equal(server.stderr, "");
    }
  },
});

Deno.test({
  name: "server goes on when nobody hears that it is ready",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const server = await startNotifying(world, world.path("missing"));
    await server.waitForText("stderr", /service manager was not told .*\n.*Type=exec/);
    await waitForPort(server.port);
    equal(await server.kill("SIGTERM"), 0);
  },
});

Deno.test({
  name: "server that reads no files is not ended by a SIGHUP, unless its terminal hangs up",
  ignore: !isUnix,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const server = await world.server();
    server.signal("SIGHUP");
    const ann = await world.client("ann");
    await ann.waitFor("welcome");
    ok(server.running);
    equal(await server.kill("SIGTERM"), 0);
    equal(server.stderr, "");
  },
});

Deno.test({
  name: "server that is stopped tells everybody, and waits for nobody who does not read",
  ignore: !isUnix,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const server = await world.server();
    const [ann, bob, eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
    eve.signal("SIGSTOP");
    equal(await server.kill("SIGTERM"), 0);
    for (const client of [ann, bob]) {
      await client.waitFor("disconnected", { reason: "shutting down" });
    }
    eve.signal("SIGCONT");
  },
});

Deno.test("the state folder of version 0.1.0 is used as it is", async () => {
  await using world = await World.open(FROM_SOURCE);
  const [bobKey, eveKey] = [await fingerprintOf("bob"), await fingerprintOf("eve")];
  const server = await world.server();
  const address = `127.0.0.1:${server.port}`;
  const key = server.first("listening").fingerprint;
  const home = await world.home("ann");
  // As that version wrote them.
  const files = {
    known_servers:
      `# Servers Hearth knows, one a line: address, fingerprint of its key. Lines may be taken out.\n` +
      `${address} ${key}\n# end\n`,
    known_peers:
      "# People Hearth knows, one a line: fingerprint, first seen, known or verified, own nicks. Lines may be taken out.\n" +
      `${bobKey} 2026-11-23 verified "bob"\n${eveKey} 2026-11-23 known "eve"\n# end\n`,
    "settings.json": '{\n  "nick": "anna",\n  "bell": "all"\n}\n',
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${home}/${name}`, text, { mode: 0o600 });
  }
  const ann = world.start("client", {
    args: ["--host", "127.0.0.1", "--port", String(server.port), "--json"],
    home,
  }, "ann");
  equal((await ann.waitFor("connected")).server, "known");
  const bob = await world.client("bob");
  await world.client("eve");
  await ann.waitFor("joined", { nick: "bob", trust: "verified" });
  await ann.waitFor("joined", { nick: "eve", trust: "known" });
  await bob.waitFor("joined", { nick: "anna" });
  equal(await ann.leave(), 0);
  equal(ann.stderr, "");
  const peers = await Deno.readTextFile(`${home}/known_peers`);
  match(peers, new RegExp(`^${bobKey.replace(/[+/]/g, "\\$&")} 2026-11-23 verified "bob"$`, "m"));
  const settings = JSON.parse(await Deno.readTextFile(`${home}/settings.json`));
  deepEqual([settings.nick, settings.bell], ["anna", "all"]);
  await poll(() => !ann.running, () => "the end");
});
