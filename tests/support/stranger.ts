/**
 * Joins a room under an invalid nick, sends a message, and leaves when all have received it.
 *
 * Arguments: the port of a server on this computer, an empty folder, the nick.
 */

import { DEFAULT_ROOM } from "../../lib/cli/programs.ts";
import { remoteServer } from "../../lib/cli/chosen_server.ts";
import { generateKey } from "../../lib/protocol/identity.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";

const KEY_BITS = 2048;

const [port, folder, nick] = Deno.args as [string, string, string];
const relay = remoteServer("127.0.0.1", Number(port));
const session = new Session({
  key: await generateKey(KEY_BITS),
  nick,
  room: DEFAULT_ROOM,
  minKeyBits: KEY_BITS,
  address: relay.address,
  knownServers: await KnownServers.load(folder),
  knownPeers: await KnownPeers.load(folder, console.error),
  dial: (signal) => relay.dial(signal, DEFAULT_ROOM),
  emit: (event) => console.log(JSON.stringify(event)),
});
const running = session.run();
await session.until(() => session.people().length > 0);
session.say("who am I?");
await session.until(() => !session.owed);
await session.stop();
await running;
Deno.exit();
