import assert from "node:assert/strict";
import type { List } from "../../lib/protocol/succession.ts";
import { LastLists } from "../../lib/session/last_lists.ts";

const DAY_MS = 24 * 3_600_000;
const of = (value: number) => new Uint8Array(32).fill(value);
const ROOM = of(1);

/** A list of the relay `host` that names the others. */
function list(serial: number, host: number, ...others: number[]): List {
  const entries = [host, ...others].map((n) => ({
    person: of(100 + n),
    relay: of(n),
    port: 40623,
    addresses: ["10.0.0.1"],
  }));
  return { serial, at: 0, entries };
}

Deno.test("LastLists keeps the newest list of each relay and room for a day", () => {
  let now = 1_000_000;
  const lists = new LastLists(undefined, { wallTime: () => now });
  lists.keep(ROOM, list(1, 5, 6));
  lists.keep(ROOM, list(2, 5, 6, 7));
  lists.keep(of(2), list(9, 5));
  assert.deepEqual(lists.find(ROOM), list(2, 5, 6, 7));
  assert.deepEqual(lists.find(ROOM, of(7)), list(2, 5, 6, 7));
  assert.equal(lists.find(ROOM, of(8)), undefined);
  lists.keep(ROOM, list(1, 6, 5));
  assert.deepEqual(lists.find(ROOM), list(1, 6, 5));
  assert.deepEqual(lists.find(ROOM, of(7)), list(2, 5, 6, 7));
  now += DAY_MS;
  assert.ok(lists.find(ROOM));
  now++;
  assert.equal(lists.find(ROOM), undefined);
});

Deno.test("LastLists reads what it has written, and skips what it does not understand", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const lists = await LastLists.load(folder); // there is no file yet
    assert.equal(lists.find(ROOM), undefined);
    lists.keep(ROOM, list(1, 5, 6));
    lists.keep(ROOM, list(2, 6, 5));
    await lists.flush();
    const path = `${folder}/last_lists`;
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, `rubbish\n${text}1 ${"00".repeat(32)} 00\n`);
    assert.deepEqual((await LastLists.load(folder)).find(ROOM), list(2, 6, 5));
    await Deno.writeFile(path, Uint8Array.of(0xff, 0xfe));
    assert.equal((await LastLists.load(folder)).find(ROOM), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("LastLists writes few of many lists, and the last one when it is flushed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const lists = await LastLists.load(folder);
    using watcher = Deno.watchFs(folder);
    let renames = 0;
    const counting = (async () => {
      for await (const { kind } of watcher) if (kind === "rename") renames++;
    })();
    for (let serial = 0; serial < 100; serial++) {
      lists.keep(ROOM, list(serial, 5, 6));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await lists.flush();
    assert.deepEqual((await LastLists.load(folder)).find(ROOM), list(99, 5, 6));
    watcher.close();
    await counting;
    assert.ok(renames < 50, `${renames}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
