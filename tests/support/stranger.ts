/**
 * Joins a room under a nick that keeps to no rule, says something, and leaves when all have received it.
 *
 * Arguments: the port of a server on this computer, an empty folder, the nick.
 */

import { DEFAULT_ROOM } from "../../lib/cli/programs.ts";
import { remoteRelay } from "../../lib/cli/find_server.ts";
import { generateKey } from "../../lib/protocol/identity.ts";
import { ServerBook } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import { PeerBook } from "../../lib/session/known_peers.ts";

const KEY_BITS = 2048;

const [port, folder, nick] = Deno.args as [string, string, string];
const relay = remoteRelay("127.0.0.1", Number(port));
const session = new Session({
  key: await generateKey(KEY_BITS),
  nick,
  room: DEFAULT_ROOM,
  minKeyBits: KEY_BITS,
  address: relay.address,
  servers: await ServerBook.load(folder),
  book: await PeerBook.load(folder, console.error),
  dial: relay.dial,
  emit: (event) => console.log(JSON.stringify(event)),
});
const running = session.run();
await session.until(() => session.membership.people().length > 0);
session.membership.say("who am I?");
await session.until(() => session.membership.outbox.unsettled === 0);
await session.stop();
await running;
Deno.exit();
