/**
 * A name with several addresses, and a server of one key at each: the system's own resolver reads a file of this test.
 * Needs root on Linux.
 */
import assert from "node:assert/strict";
import { orderForRoom } from "../../lib/cli/name_addresses.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { NO_HOSTS_FILE, withHosts } from "../support/hosts_file.ts";
import { FROM_SOURCE, type Program, World } from "../support/programs.ts";

const NAME = "chat.hearth.test";
const ADDRESSES = ["127.0.0.1", "127.0.0.2"];
/** A room whose first address is this one. */
function roomAt(address: string): string {
  for (let i = 0;; i++) {
    if (orderForRoom(ADDRESSES, roomTag(`room-${i}`))[0] === address) return `room-${i}`;
  }
}

Deno.test(
  "the clients of a name's several servers meet by room, and again when a server is gone",
  { ignore: NO_HOSTS_FILE !== undefined },
  async () => {
    await using world = await World.open(FROM_SOURCE);
    const hosts = await world.file("hosts", ADDRESSES.map((it) => `${it} ${NAME}\n`).join(""));
    const servers: Program[] = [];
    for (const [i, address] of ADDRESSES.entries()) {
      const home = await world.home("server", { file: "server.pem" });
      const port = String(servers[0]?.port ?? 0);
      const args = ["--host", address, "--port", port, "--json"];
      servers.push(world.start("server", { args, home }, `server ${i}`));
      await servers[i]!.waitFor("listening");
    }
    const { port } = servers[0]!;
    const join = async (nick: string, address: string) => {
      const args = ["--host", `${NAME}:${port}`, "--nick", nick, "--room", roomAt(address)];
      const home = await world.home(nick);
      return world.start("client", { args: [...args, "--json"], home }, nick, withHosts(hosts));
    };
    const [ann, bob, eve] = await Promise.all([
      join("ann", ADDRESSES[1]!),
      join("bob", ADDRESSES[1]!),
      join("eve", ADDRESSES[0]!),
    ]);
    await Promise.all([
      ann.waitFor("joined", { nick: "bob" }),
      bob.waitFor("joined", { nick: "ann" }),
      eve.waitFor("welcome"),
    ]);
    await servers[0]!.waitFor("joined");
    await servers[1]!.waitFor("joined", {}, { count: 2 });
    assert.equal(servers[0]!.all("joined").length, 1);

    await servers[1]!.kill("SIGKILL");
    await bob.waitFor("disconnected");
    await bob.chat("still here?");
    await ann.waitFor("chat", { text: "still here?" });
    await servers[0]!.waitFor("joined", {}, { count: 3 });
  },
);
