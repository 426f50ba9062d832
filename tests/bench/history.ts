/**
 * How long one's own history of 100,000 messages (`--messages`) takes to open, and to be searched:
 * `deno run -A tests/bench/history.ts`.
 *
 * Prints the milliseconds of the first time, as at the start of a chat, and the median of those that follow; and the CPU
 * of all threads, which a busy machine changes less.
 */

import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { encodeHex } from "../../lib/base/bytes.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { ENTRY } from "../../lib/protocol/history_entry.ts";
import { encodeFingerprint, importPrivateKey } from "../../lib/protocol/identity.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { LogWriter } from "../../lib/session/history/log_writer.ts";
import { openHistoryKey, RoomHistory } from "../../lib/session/history/mod.ts";

const TEXT_BYTES = 128;
/** Messages that are written at once: fewer bytes than may wait. */
const AT_ONCE = 5000;
const PEOPLE = 8;
const TIMES = 9;

const { values: { messages } } = parseArgs({
  args: Deno.args,
  options: { messages: { type: "string", default: "100000" } },
});
const count = Number(messages);
const clock = systemClock;
const identity = await importPrivateKey(
  await Deno.readTextFile(new URL("../vectors/keys/pkcs8.pem", import.meta.url)),
);
const [relay, room] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const faults: unknown[] = [];
const fault = (error: unknown) => void faults.push(error);

/** A text of some words; the search for `unheard` finds none, that for `needle` one in a thousand. */
function textOf(index: number): string {
  const words = `message ${index} about ${index % 1000 === 0 ? "a Needle" : "the weather"} `;
  return words.padEnd(TEXT_BYTES, "and so on, ");
}

async function fill(folder: string): Promise<void> {
  const key = await openHistoryKey(folder, identity);
  const writer = new LogWriter({
    ...{ clock, key, folder: key.roomFolder(relay, room), instance: "0".repeat(32) },
    onFault: fault,
    onGone: () => fault(new Error("the log is gone")),
  });
  const start = clock.wallTime() - count * 1000;
  for (let index = 0; index < count; index++) {
    const at = start + index * 1000;
    writer.add({
      type: ENTRY.MESSAGE,
      ...{ at, sent: at, id: index.toString(16).padStart(16, "0"), flags: 0 },
      fingerprint: new Uint8Array(32).fill(index % PEOPLE),
      ...{ nick: `person${index % PEOPLE}`, text: textOf(index) },
    });
    if (index % AT_ONCE === AT_ONCE - 1) await writer.flush();
  }
  await writer.close();
}

async function open(folder: string): Promise<RoomHistory> {
  const [tag, fingerprint] = [encodeHex(room), encodeFingerprint(relay)];
  return new RoomHistory({
    ...{ clock, key: await openHistoryKey(folder, identity), instance: "1".repeat(32) },
    home: { room: tag, home: fingerprint, relays: [fingerprint], keep: "on" },
    ...{ own: identity.publicKey.fingerprint, days: 30 },
    onFault: fault,
    onGone: () => fault(new Error("the log is gone")),
  });
}

/** Prints how long `work` takes, which finds so many messages. */
async function measure(what: string, found: number, work: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  const cpus: number[] = [];
  for (let i = 0; i <= TIMES; i++) {
    const [start, cpu] = [performance.now(), cpuUsage()];
    const messages = await work();
    times.push(performance.now() - start);
    const { user, system } = cpuUsage(cpu);
    cpus.push((user + system) / 1000);
    if (messages !== found) throw new Error(`${what}: ${messages} messages, not ${found}`);
  }
  const shown = [times, cpus].map(([first, ...rest]) => {
    const median = rest.sort((a, b) => a - b)[TIMES >> 1]!;
    return `${first!.toFixed(0)}, then ${median.toFixed(0)} ms`;
  });
  console.log(`${what.padEnd(24)} ${shown[0]}; CPU ${shown[1]}`);
}

const folder = await Deno.makeTempDir();
try {
  await cipherReady();
  await fill(folder);
  await measure("open, the last 20", 20, async () => {
    const history = await open(folder);
    const { length } = await history.find({ limit: 20 });
    await history.close();
    return length;
  });
  const history = await open(folder);
  const find = (limit: number, search?: string) => async () =>
    (await history.find({ limit, search })).length;
  await measure("/history 50", 50, find(50));
  await measure("/history 1000", 1000, find(1000));
  await measure("/search, 50 found", 50, find(50, "needle"));
  await measure("/search, nothing found", 0, find(50, "unheard words"));
  await history.close();
  if (faults.length > 0) throw faults[0];
} finally {
  await Deno.remove(folder, { recursive: true });
}
