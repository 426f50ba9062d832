/**
 * Tells a service manager such as systemd that the server is ready: `sd_notify(3)`. Loaded only if it wants to know.
 *
 * @module
 */

import { encodeHex, encodeUtf8 } from "../base/bytes.ts";
import { systemRandom } from "../base/clock.ts";
import { makeFolder } from "../base/files.ts";

/**
 * Sends `READY=1`.
 *
 * @param address The value of NOTIFY_SOCKET: a path, or after `@` the name of an abstract socket, which Deno 2.6 does not know.
 * @param folder Where a socket of our own can be for a moment.
 * @throws The error of the operating system.
 */
export async function notifyReady(address: string, folder: string): Promise<void> {
  await makeFolder(folder);
  const own = `${folder}/notify.${encodeHex(systemRandom(4))}`;
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  try {
    const path = address.replace(/^@/, "\0");
    await socket.send(encodeUtf8("READY=1"), { transport: "unixpacket", path });
  } finally {
    socket.close();
    await Deno.remove(own).catch(() => {});
  }
}
