import assert from "node:assert/strict";
import { EARLY_SYNC_BYTES, EarlySync } from "../../../lib/session/files/early_sync.ts";
import { FileSink } from "../../../lib/session/files/file_sink.ts";
import { FolderSink } from "../../../lib/session/files/folder_sink.ts";
import type { PartHead } from "../../../lib/session/files/part.ts";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

/** A disk whose syncs are counted, and last until they are let go. */
class SlowDisk extends VirtualDisk {
  readonly syncing: string[] = [];
  #held = Promise.withResolvers<void>();

  constructor(files: Readonly<Record<string, string>> = {}) {
    super(files);
    this.putFolder("/in");
    this.synced = this.#held.promise;
    const { fail } = this;
    this.fail = (what, path) => {
      if (what === "sync") this.syncing.push(path);
      fail(what, path);
    };
  }

  /** Ends the syncs that run; the next ones last again. */
  endSyncs(): void {
    this.#held.resolve();
    this.#held = Promise.withResolvers<void>();
    this.synced = this.#held.promise;
  }
}

/** Whether a promise has resolved by now, or after what else is ready. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true);
  await new Promise((resolve) => setTimeout(resolve));
  return done;
}

Deno.test("a large file is brought to the disk while more of it is written, and is not far ahead", async () => {
  const disk = new SlowDisk({ "/in/a": "", "/in/b": "" });
  const early = new EarlySync(disk);
  assert.equal(early.wrote("/in/a", EARLY_SYNC_BYTES - 1), undefined);
  // Another file begins: what is small waits for the end.
  assert.equal(early.wrote("/in/b", EARLY_SYNC_BYTES - 1), undefined);
  assert.deepEqual(disk.syncing, []);
  assert.equal(await isDone(early.wrote("/in/b", 1)!), true);
  assert.deepEqual(disk.syncing, ["/in/b"]);
  const second = early.wrote("/in/b", EARLY_SYNC_BYTES)!;
  assert.equal(await isDone(second), false);
  disk.endSyncs();
  assert.equal(await isDone(second), true);
  assert.deepEqual(disk.syncing, ["/in/b", "/in/b"]);
  assert.equal(await isDone(early.ended), false);
  disk.endSyncs();
  assert.equal(await isDone(early.ended), true);
});

Deno.test("what the disk refuses while more comes is told by the next write, and no file stays open", async () => {
  const disk = new SlowDisk({ "/in/a": "" });
  const early = new EarlySync(disk);
  disk.fail = (what) => {
    if (what === "sync") throw new Error("EIO");
  };
  await early.wrote("/in/a", EARLY_SYNC_BYTES);
  await assert.rejects(early.wrote("/in/a", EARLY_SYNC_BYTES)!, /EIO/);
  await assert.rejects(early.ended, /EIO/);
  assert.equal(disk.opened, 0);
});

for (const kind of ["file", "folder"] as const) {
  Deno.test(`a ${kind} is discarded once nothing of it is being brought to the disk`, async () => {
    const disk = new SlowDisk();
    const size = 2 * EARLY_SYNC_BYTES;
    const head: PartHead = {
      id: "aa".repeat(16),
      from: "SHA256:bob",
      name: "film",
      kind,
      size,
      mtime: 1000,
      listing: "0".repeat(64),
      executable: false,
    };
    const options = { disk, folder: "/in", head };
    const sink = kind === "file"
      ? new FileSink(options)
      : new FolderSink({ ...options, entries: 1 });
    const goOn = () => Promise.resolve(true);
    await sink.look(goOn);
    await sink.take({ type: "go", from: 0 });
    if (kind === "folder") {
      const path = encodeUtf8("a");
      await sink.take({ type: "entry", kind: "file", executable: false, size, mtime: 1000, path });
    }
    const data = new Uint8Array(EARLY_SYNC_BYTES);
    await sink.take({ type: "data", data });
    assert.equal(disk.syncing.length, 1);
    const taking = Promise.resolve(sink.take({ type: "data", data }));
    assert.equal(await isDone(taking), false);
    const discarding = sink.discard();
    assert.equal(await isDone(discarding), false);
    disk.endSyncs();
    await taking;
    assert.equal(await isDone(discarding), false);
    disk.endSyncs();
    await discarding;
    assert.deepEqual(disk.list("/in"), []);
    assert.equal(disk.opened, 0);
  });
}
