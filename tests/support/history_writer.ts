/**
 * Writes a history as fast as it can until it is killed, and prints how many messages are on the disk.
 *
 * Arguments: the state folder, a key file, and what its messages begin with.
 *
 * @module
 */

import { systemClock } from "../../lib/base/clock.ts";
import { encodeHex } from "../../lib/base/bytes.ts";
import { ENTRY } from "../../lib/protocol/history_entry.ts";
import { importPrivateKey } from "../../lib/protocol/identity.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { openHistoryKey } from "../../lib/session/history/history_key.ts";
import { tidyLogs } from "../../lib/session/history/log_files.ts";
import { LogWriter } from "../../lib/session/history/log_writer.ts";

const [state = "", keyFile = "", name = ""] = Deno.args;
await cipherReady();
const key = await openHistoryKey(state, await importPrivateKey(await Deno.readTextFile(keyFile)));
const folder = key.roomFolder(new Uint8Array(32), new Uint8Array(32));
const fail = (error: unknown) => {
  throw error;
};
await tidyLogs(folder, key.key, { days: 30, now: Date.now() });
const writer = new LogWriter({
  clock: systemClock,
  key,
  folder,
  instance: encodeHex(crypto.getRandomValues(new Uint8Array(16))),
  onFault: fail,
  onGone: () => fail(new Error("the log is gone")),
});
for (let count = 0;;) {
  // Of some bytes and of several blocks.
  for (const end = count + 1 + count % 12; count < end; count++) {
    writer.add({
      type: ENTRY.MESSAGE,
      at: Date.now(),
      sent: 0,
      id: encodeHex(crypto.getRandomValues(new Uint8Array(8))),
      fingerprint: new Uint8Array(32),
      flags: 0,
      nick: "anna",
      text: `${name} ${count} `.padEnd(100 + 1000 * (count % 8), "x"),
    });
  }
  await writer.flush();
  console.log(count);
}
