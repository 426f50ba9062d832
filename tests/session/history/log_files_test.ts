import assert from "node:assert/strict";
import { encodeHex } from "../../../lib/base/bytes.ts";
import { encodeEntry, ENTRY, type HistoryEntry } from "../../../lib/protocol/history_entry.ts";
import { SegmentSealer } from "../../../lib/protocol/history_seal.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import {
  lockLog,
  logName,
  MAX_LOGS,
  readLogs,
  tidyLogs,
} from "../../../lib/session/history/log_files.ts";

await cipherReady();

const KEY = new Uint8Array(32).fill(1);
const DAY_MS = 24 * 3_600_000;
const NOW = 1_700_000_000_000;

function message(number: number, at: number, who = 1): HistoryEntry {
  return {
    type: ENTRY.MESSAGE,
    at,
    sent: at,
    id: number.toString(16).padStart(16, "0"),
    fingerprint: new Uint8Array(32).fill(who),
    flags: 0,
    nick: "anna",
    text: `text ${number}`,
  };
}

let files = 0;

/** Writes a log that was begun, and last written, when its messages were. */
async function write(folder: string, ...entries: HistoryEntry[]): Promise<string> {
  const instance = (++files).toString(16).padStart(32, "0");
  const sealer = new SegmentSealer(KEY, crypto.getRandomValues(new Uint8Array(16)));
  const path = `${folder}/${logName(entries[0]!.at, instance)}`;
  const blocks = entries.map((entry) => sealer.seal(encodeEntry(entry)));
  await Deno.writeFile(path, new Uint8Array([...sealer.head, ...blocks.flatMap((it) => [...it])]));
  const last = new Date(entries.at(-1)!.at);
  await Deno.utime(path, last, last);
  return path;
}

async function texts(folder: string, key = KEY): Promise<string[]> {
  return (await readLogs(folder, key)).map((it) => it.decode().text);
}

async function logs(folder: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.filter((name) => name.endsWith(".log")).sort();
}

async function use(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readLogs() merges the logs of several processes by time, and leaves out what is there twice", () =>
  use(async (folder) => {
    await write(folder, message(1, NOW), message(3, NOW + 3));
    await write(folder, message(2, NOW + 2), message(3, NOW + 4), message(3, NOW + 5, 2));
    assert.deepEqual(await texts(folder), ["text 1", "text 2", "text 3", "text 3"]);
    assert.deepEqual(await texts(folder, new Uint8Array(32)), []);
    assert.deepEqual(await texts(`${folder}/none`), []);
  }));

Deno.test("readLogs() leaves out what is torn, and files that are no logs", () =>
  use(async (folder) => {
    const path = await write(folder, message(1, NOW), message(2, NOW));
    await Deno.truncate(path, (await Deno.stat(path)).size - 1);
    await write(folder, message(3, NOW + 1));
    await Deno.writeTextFile(`${folder}/${logName(NOW, encodeHex(new Uint8Array(16)))}`, "HEARTH");
    await Deno.writeTextFile(`${folder}/notes.log`, "HEARTH/L");
    assert.deepEqual(await texts(folder), ["text 1", "text 3"]);
  }));

Deno.test("readLogs() finds every whole block of a log that is torn at any byte, and what was written after it", () =>
  use(async (folder) => {
    const path = await write(folder, message(1, NOW), message(2, NOW + 1), message(3, NOW + 2));
    await write(folder, message(4, NOW + 3));
    let { size } = await Deno.stat(path);
    let whole = 3;
    while (size-- > 0) {
      await Deno.truncate(path, size);
      const found = await texts(folder);
      if (found.length === whole) whole--; // one block less than before
      assert.deepEqual(found, [...["text 1", "text 2", "text 3"].slice(0, whole), "text 4"]);
    }
    assert.equal(whole, 0);
  }));

Deno.test("tidyLogs() removes logs that are wholly too old, unless somebody writes them", () =>
  use(async (folder) => {
    await write(folder, message(1, NOW - 40 * DAY_MS), message(2, NOW - 20 * DAY_MS));
    await write(folder, message(3, NOW - 40 * DAY_MS), message(4, NOW - 31 * DAY_MS));
    const written = await write(folder, message(5, NOW - 40 * DAY_MS));
    using lock = await lockLog(written);
    assert.ok(lock);
    await tidyLogs(folder, KEY, { days: 30, now: NOW });
    assert.deepEqual((await texts(folder)).sort(), ["text 1", "text 2", "text 5"]);
  }));

Deno.test("tidyLogs() joins the logs of ended processes where there are many; nothing is lost", () =>
  use(async (folder) => {
    const count = MAX_LOGS + 2;
    for (let i = 0; i < count; i++) await write(folder, message(i + 1, NOW + i));
    const written = await write(folder, message(count + 1, NOW + count));
    using lock = await lockLog(written);
    assert.ok(lock);
    const before = await texts(folder);
    assert.equal(before.length, count + 1);
    await tidyLogs(folder, KEY, { days: 30, now: NOW });
    assert.deepEqual(await texts(folder), before);
    assert.equal((await logs(folder)).length, 2);
    // It becomes old like what is in it.
    const [joined] = await logs(folder);
    assert.equal((await Deno.stat(`${folder}/${joined}`)).mtime?.getTime(), NOW + count - 1);
  }));

Deno.test("tidyLogs() does nothing while another process does it", () =>
  use(async (folder) => {
    await write(folder, message(1, NOW - 40 * DAY_MS));
    using lock = await lockLog(`${folder}/`);
    assert.ok(lock);
    await tidyLogs(folder, KEY, { days: 30, now: NOW });
    assert.deepEqual(await texts(folder), ["text 1"]);
  }));

Deno.test("tidyLogs() that fails as it joins logs holds none of them any longer", () =>
  use(async (folder) => {
    const paths: string[] = [];
    for (let i = 0; i < MAX_LOGS; i++) paths.push(await write(folder, message(i + 1, NOW + i)));
    await Deno.mkdir(`${folder}/${logName(NOW + MAX_LOGS, "f".repeat(32))}`); // it cannot be read
    await assert.rejects(tidyLogs(folder, KEY, { days: 30, now: NOW }), /^UsageError/);
    for (const path of paths) {
      using lock = await lockLog(path);
      assert.ok(lock);
    }
  }));
