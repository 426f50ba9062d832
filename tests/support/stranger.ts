/**
 * A member of a room that keeps to no rule about nicks, in this process.
 *
 * @module
 */

import { DEFAULT_ROOM } from "../../lib/programs.ts";
import { remoteRelay } from "../../lib/relays.ts";
import { generateKey } from "../../lib/rsa.ts";
import { ServerBook } from "../../lib/servers.ts";
import { Session } from "../../lib/session.ts";
import { PeerBook } from "../../lib/trust.ts";

const KEY_BITS = 2048;

/** Joins the room of a server on this computer; `stop` the session to leave. */
export async function joinAs(
  nick: string,
  { port, folder }: { port: number; folder: string },
): Promise<{ session: Session; running: Promise<void> }> {
  const relay = remoteRelay("127.0.0.1", port);
  const session = new Session({
    key: await generateKey(KEY_BITS),
    nick,
    room: DEFAULT_ROOM,
    minKeyBits: KEY_BITS,
    address: relay.address,
    servers: await ServerBook.load(folder),
    book: await PeerBook.load(folder, (error) => {
      throw error;
    }),
    dial: relay.dial,
    emit: () => {},
  });
  return { session, running: session.run() };
}
