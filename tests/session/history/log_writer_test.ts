import assert from "node:assert/strict";
import { ENTRY, type HistoryEntry } from "../../../lib/protocol/history_entry.ts";
import { importPrivateKey } from "../../../lib/protocol/identity.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import {
  findHistoryKey,
  forgetHistory,
  type HistoryKey,
  openHistoryKey,
} from "../../../lib/session/history/history_key.ts";
import { readLogs } from "../../../lib/session/history/log_files.ts";
import { LogWriter } from "../../../lib/session/history/log_writer.ts";
import { FakeClock } from "../../support/fake_clock.ts";

await cipherReady();

const IDENTITY = await importPrivateKey(
  await Deno.readTextFile(new URL("../../vectors/keys/pkcs8.pem", import.meta.url)),
);
const OTHER = await importPrivateKey(
  await Deno.readTextFile(new URL("../../vectors/keys/bits1024.pem", import.meta.url)),
);
const [HOME, ROOM] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

function message(text: string): HistoryEntry {
  const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const fingerprint = new Uint8Array(32).fill(7);
  return {
    type: ENTRY.MESSAGE,
    at: Date.now(),
    sent: 0,
    id,
    fingerprint,
    flags: 0,
    nick: "a",
    text,
  };
}

/** A state folder with a key, and a writer. */
class Desk {
  readonly clock = new FakeClock();
  readonly faults: unknown[] = [];
  isGone = false;
  key!: HistoryKey;
  #instance = 0;

  constructor(readonly folder: string) {}

  static async use(test: (desk: Desk) => Promise<void>): Promise<void> {
    const desk = new Desk(await Deno.makeTempDir());
    try {
      desk.key = await openHistoryKey(desk.folder, IDENTITY);
      await test(desk);
    } finally {
      await Deno.remove(desk.folder, { recursive: true });
    }
  }

  get room(): string {
    return this.key.roomFolder(HOME, ROOM);
  }

  writer(): LogWriter {
    return new LogWriter({
      clock: this.clock,
      key: this.key,
      folder: this.room,
      instance: (++this.#instance).toString().padStart(32, "0"),
      onFault: (error) => this.faults.push(error),
      onGone: () => this.isGone = true,
    });
  }

  async texts(): Promise<string[]> {
    return (await readLogs(this.room, this.key.key)).map((it) => it.decode().text);
  }
}

Deno.test("LogWriter: what is recorded can be read after a second, and after the end", () =>
  Desk.use(async (desk) => {
    const writer = desk.writer();
    writer.add(message("one"));
    assert.deepEqual(await desk.texts(), []);
    await writer.flush();
    assert.deepEqual(await desk.texts(), ["one"]);
    writer.add(message("two"));
    await writer.close();
    writer.add(message("too late"));
    assert.deepEqual(await desk.texts(), ["one", "two"]);
    assert.deepEqual(desk.faults, []);
  }));

Deno.test("LogWriter: two processes write a room at once", () =>
  Desk.use(async (desk) => {
    const writers = [desk.writer(), desk.writer()];
    for (let i = 0; i < 20; i++) {
      for (const [number, writer] of writers.entries()) {
        writer.add(message(`${number} ${i}`));
        await writer.flush();
      }
    }
    for (const writer of writers) await writer.close();
    assert.equal((await desk.texts()).length, 40);
  }));

Deno.test("LogWriter: what is long becomes several blocks", () =>
  Desk.use(async (desk) => {
    const writer = desk.writer();
    for (let i = 0; i < 30; i++) writer.add(message(`${i}`.padEnd(8192, "x")));
    await writer.close();
    assert.equal((await desk.texts()).length, 30);
  }));

Deno.test("LogWriter ends when somebody forgets the key or removes the log", () =>
  Desk.use(async (desk) => {
    const writer = desk.writer();
    writer.add(message("one"));
    await writer.flush();
    await forgetHistory(desk.folder, IDENTITY.publicKey.fingerprint);
    writer.add(message("two"));
    await writer.flush();
    assert.ok(desk.isGone);
    assert.equal(await findHistoryKey(desk.folder, IDENTITY), undefined);
    desk.key = await openHistoryKey(desk.folder, IDENTITY); // another one
    desk.isGone = false;
    const another = desk.writer();
    another.add(message("three"));
    await another.flush();
    await Deno.remove(desk.room, { recursive: true });
    another.add(message("four"));
    await another.flush();
    assert.ok(desk.isGone);
    assert.deepEqual(await desk.texts(), []);
  }));

Deno.test("LogWriter tells once that the disk takes nothing, and goes on when it does again", () =>
  Desk.use(async (desk) => {
    // A file in the way of the folder.
    const parent = desk.room.slice(0, desk.room.lastIndexOf("/"));
    await Deno.mkdir(parent, { recursive: true });
    await Deno.writeTextFile(desk.room, "");
    const writer = desk.writer();
    writer.add(message("one"));
    await writer.flush();
    writer.add(message("two"));
    await writer.flush();
    writer.fail(new Error("nor can it be tidied"));
    assert.equal(desk.faults.length, 1);
    await Deno.remove(desk.room);
    await writer.close();
    assert.deepEqual(await desk.texts(), ["one", "two"]);
  }));

Deno.test("openHistoryKey() makes one key for all processes, and another identity cannot open it", () =>
  Desk.use(async (desk) => {
    const { folder } = desk;
    await forgetHistory(folder, IDENTITY.publicKey.fingerprint);
    const keys = await Promise.all([1, 2, 3].map(() => openHistoryKey(folder, IDENTITY)));
    assert.equal(new Set(keys.map(({ key }) => key.toHex())).size, 1);
    const [own] = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)
      .then((names) => names.filter((name) => name.endsWith(".key")));
    const name = OTHER.publicKey.fingerprint.subarray(0, 8).toHex();
    await Deno.copyFile(`${folder}/${own}`, `${folder}/history-${name}.key`);
    await assert.rejects(findHistoryKey(folder, OTHER), /^UsageError: .*damaged, or of another/);
    await assert.rejects(openHistoryKey(folder, OTHER), /^UsageError/);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(`${folder}/${own}`)).mode! & 0o777, 0o600);
    }
  }));
