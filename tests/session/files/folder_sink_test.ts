import assert from "node:assert/strict";
import { compareBytes, encodeHex, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import type { FileEntry, FileFrame } from "../../../lib/protocol/file_frames.ts";
import { encodeFileFrame } from "../../../lib/protocol/file_frames.ts";
import { FileHash } from "../../../lib/protocol/file_hash.ts";
import { FolderSink } from "../../../lib/session/files/folder_sink.ts";
import { NameError, NOTHING } from "../../../lib/session/files/sink.ts";
import { describeSource, Source } from "../../../lib/session/files/source.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

const FILES = {
  "/out/p/a": "aaaaaaaaaa",
  "/out/p/a-b/empty": "",
  "/out/p/d/one.txt": "1".repeat(35),
  "/out/p/d/two.txt": "2".repeat(20),
  "/out/p/z": "zz",
};

async function rig() {
  const disk = new VirtualDisk(FILES);
  disk.putFolder("/out/p/nothing");
  disk.putFolder("/in");
  const { offered } = await describeSource(disk, "/out/p", goOn);
  const makeOwn = (id = "aa".repeat(16)) => {
    const { name, kind, size, mtime, listing, entries } = offered;
    const head = { id, from: "SHA256:bob", name, kind, size, mtime, listing, executable: true };
    return new FolderSink({ disk, folder: "/in", head, entries });
  };
  const expected = disk.tree("/out/p");
  return { disk, offered, makeOwn, expected };
}

/** Never interrupted. */
const goOn = () => Promise.resolve(true);

async function run(
  source: Source,
  sink: FolderSink,
  frames = Infinity,
): Promise<string | undefined> {
  let kept: string | undefined;
  await sink.take(await source.begin(await sink.look(goOn), goOn));
  for (
    let frame: FileFrame | undefined;
    frames-- > 0 && (frame = source.next(new Uint8Array(10)));
  ) {
    if (frame.type === "done") kept = await sink.finish(frame.total, goOn);
    else await sink.take(frame);
  }
  return kept;
}

/** Takes a frame that is refused. */
async function takeLast(sink: FolderSink, frame: FileFrame): Promise<void> {
  if (frame.type === "done") await sink.finish(frame.total, goOn);
  else await sink.take(frame);
}

Deno.test("a folder arrives with everything in it", async () => {
  const { disk, offered, expected } = await rig();
  disk.nodes.get("/out/p/z")!.executable = true;
  const { offered: anew } = await describeSource(disk, "/out/p", goOn);
  assert.notEqual(anew.listing, offered.listing);
  const { name, kind, size, mtime, listing, entries } = anew;
  const from = "SHA256:bob";
  const head = { id: "aa".repeat(16), from, name, kind, size, mtime, listing, executable: true };
  const sink = new FolderSink({ disk, folder: "/in", head, entries });
  assert.equal(await run(new Source(disk, anew), sink), "/in/p");
  assert.deepEqual(disk.tree("/in/p"), expected);
  assert.equal(disk.look("/in/p/z")!.executable, true);
  assert.deepEqual(disk.list("/in"), ["p"]);
  assert.equal(
    await run(new Source(disk, anew), makeSink(disk, { ...head, executable: false }, entries)),
    "/in/p (2)",
  );
  assert.equal(disk.look("/in/p (2)/z")!.executable, false);
});

function makeSink(
  disk: VirtualDisk,
  head: ConstructorParameters<typeof FolderSink>[0]["head"],
  entries: number,
) {
  return new FolderSink({ disk, folder: "/in", head, entries });
}

Deno.test("a folder that is cut after any frame goes on where it was", async () => {
  for (let frames = 0;; frames++) {
    const { disk, offered, makeOwn, expected } = await rig();
    const first = makeOwn();
    const isOver = await run(new Source(disk, offered), first, frames) !== undefined;
    first.close();
    if (isOver) {
      assert.ok(frames > 10);
      break;
    }
    const sink = makeOwn("bb".repeat(16));
    const { have } = await sink.look(goOn);
    assert.equal(
      await run(new Source(disk, offered), sink),
      "/in/p",
      `${frames} frames, ${have} bytes`,
    );
    assert.deepEqual(disk.tree("/in/p"), expected);
    assert.deepEqual(disk.list("/in"), ["p"]);
  }
});

Deno.test("a folder has its name only once each of its files is on the disk", async () => {
  const { disk, offered, makeOwn } = await rig();
  const synced: string[] = [];
  disk.fail = (what, path) => {
    if (what === "sync") synced.push(path);
    if (what === "sync" && synced.length === 4) throw new Error("broken");
  };
  await assert.rejects(() => run(new Source(disk, offered), makeOwn()), /broken/);
  assert.deepEqual(disk.list("/in").sort(), ["p.hearth-part", "p.hearth-part.json"]);
  disk.letGo();
  synced.length = 0;
  disk.fail = (what, path) => void (what === "sync" && synced.push(path));
  assert.equal(await run(new Source(disk, offered), makeOwn()), "/in/p");
  const files = ["a", "a-b/empty", "d/one.txt", "d/two.txt", "z"];
  assert.deepEqual(synced.sort(), files.map((file) => `/in/p.hearth-part/${file}`));
});

Deno.test("a folder is looked at in pieces, at either end, and no longer than its transfer lasts", async () => {
  const { disk, offered, makeOwn, expected } = await rig();
  let left = 0;
  let looks = 0;
  const look = disk.look.bind(disk);
  disk.look = (path) => {
    looks++;
    return look(path);
  };
  const pause = () => Promise.resolve(left-- > 0);
  for (let pauses = 0; pauses < offered.entries; pauses++) {
    [left, looks] = [pauses, 0];
    await new Source(disk, offered).begin(NOTHING, pause);
    assert.equal(looks, pauses + 1, "one more for the folder itself");
  }
  const first = makeOwn();
  await run(new Source(disk, offered), first, 8);
  first.close();
  for (let pauses = 0; pauses < 3; pauses++) {
    const sink = makeOwn();
    left = pauses;
    assert.equal((await sink.look(pause)).have, 0);
    sink.close();
  }
  assert.equal(await run(new Source(disk, offered), makeOwn()), "/in/p");
  assert.deepEqual(disk.tree("/in/p"), expected);
});

Deno.test("what cannot be read is skipped, and its size taken off", async () => {
  const { disk, offered, makeOwn, expected } = await rig();
  let reads = 0;
  disk.fail = (what, path) => {
    if (path === "/out/p/d/two.txt" && what === "read") throw new Error("denied");
    if (path === "/out/p/d/one.txt" && what === "readFrom" && ++reads > 2) {
      throw new Error("broken");
    }
  };
  const sink = makeOwn();
  const source = new Source(disk, offered);
  assert.equal(await run(source, sink), "/in/p");
  assert.equal(sink.skipped, 2);
  delete expected["d/one.txt"];
  delete expected["d/two.txt"];
  assert.deepEqual(disk.tree("/in/p"), expected);
  assert.equal(source.skipped, 2);
});

Deno.test("a file in a folder that changes while the folder is sent is left out, not kept half old", async () => {
  const changes: ((disk: VirtualDisk) => void)[] = [
    (disk) => disk.put("/out/p/d/one.txt", "x".repeat(35), { mtime: 2000 }),
    (disk) => disk.put("/out/p/d/one.txt", "x", { mtime: 2000 }),
    (disk) => disk.put("/out/p/d/one.txt", "x".repeat(36)),
    (disk) => disk.remove("/out/p/d/one.txt"),
  ];
  for (const change of changes) {
    for (let read = 1; read <= 4; read++) {
      const { disk, offered, makeOwn, expected } = await rig();
      const source = new Source(disk, offered);
      let reads = 0;
      disk.fail = (what, path) => {
        const isThere = path === "/out/p/d/one.txt" && what === "readFrom";
        if ((isThere && ++reads === read) || (read === 0 && path === "/out/p/a-b/empty")) {
          change(disk);
        }
      };
      assert.equal(await run(source, makeOwn()), "/in/p");
      delete expected["d/one.txt"];
      assert.deepEqual(disk.tree("/in/p"), expected);
      assert.equal(source.skipped, 1);
    }
  }
});

Deno.test("links and devices are left out, and a changed folder is not sent", async () => {
  const { disk, offered } = await rig();
  disk.putOther("/out/p/link");
  const { offered: same, leftOut } = await describeSource(disk, "/out/p", goOn);
  assert.equal(leftOut, 1);
  assert.equal(same.listing, offered.listing);
  disk.put("/out/p/new");
  await assert.rejects(() => new Source(disk, offered).begin(NOTHING, goOn), { code: "changed" });
  await assert.rejects(() => describeSource(disk, "/", goOn), { code: "name" });
});

Deno.test("entries come in the order of the bytes of their paths", async () => {
  const names = [
    "a",
    "a!",
    "a.txt",
    "a0",
    "b/c",
    "b-",
    "b/c.d",
    "b0",
    "\u00e9",
    "\u{10000}",
    "\uffee",
  ];
  for (const folder of names.filter((name) => !name.includes("/"))) {
    const disk = new VirtualDisk();
    const files = names.filter((name) => name !== folder);
    for (const name of files) disk.put(`/out/p/${name}`, "x");
    for (const name of names) disk.put(`/out/p/${folder}/${name}`, "x");
    const { offered } = await describeSource(disk, "/out/p", goOn);
    const source = new Source(disk, offered);
    await source.begin(NOTHING, goOn);
    const paths: Uint8Array[] = [];
    for (let frame; (frame = source.next(new Uint8Array(10)));) {
      if (frame.type === "entry") paths.push(frame.path);
    }
    assert.equal(paths.length, offered.entries);
    assert.deepEqual(paths, paths.toSorted(compareBytes));
  }
});

function entry(path: string, fields: Partial<FileEntry> = {}): FileEntry {
  const bytes = encodeUtf8(path);
  return {
    type: "entry",
    kind: "file",
    executable: false,
    size: 1,
    mtime: 1,
    path: bytes,
    ...fields,
  };
}

/** A receiver of a folder with these entries, after its GO. */
async function receive(
  entries: readonly FileEntry[],
  { count = entries.length, listed = entries } = {},
) {
  const disk = new VirtualDisk();
  disk.putFolder("/in");
  const hash = new FileHash();
  for (const one of listed) hash.update(encodeFileFrame(one).subarray(1));
  const size = listed.reduce((sum, one) => sum + one.size, 0);
  const head = {
    id: "aa".repeat(16),
    from: "SHA256:bob",
    name: "p",
    kind: "folder" as const,
    size,
    mtime: 1,
    listing: encodeHex(hash.digest()),
    executable: false,
  };
  const sink = makeSink(disk, head, count);
  await sink.look(goOn);
  await sink.take({ type: "go", from: 0 });
  return { disk, sink };
}

const ONE: FileFrame = { type: "data", data: Uint8Array.of(0x78) };

Deno.test("entries whose names are one on some system get numbers", async () => {
  const entries = [
    entry("A.txt"),
    entry("CON"),
    entry("a.txt"),
    entry("sub/x"),
    entry("sub?/x"),
    entry("sub_/x"),
  ];
  const { disk, sink } = await receive(entries);
  for (const one of entries) {
    sink.take(one);
    sink.take(ONE);
  }
  assert.equal(await sink.finish(6, goOn), "/in/p");
  const kept = Object.keys(disk.tree("/in/p")).sort();
  assert.deepEqual(kept, [
    "A.txt",
    "_CON",
    "a (2).txt",
    "sub",
    "sub/x",
    "sub_",
    "sub_ (2)",
    "sub_ (2)/x",
    "sub_/x",
  ]);
});

Deno.test("a path that wants to leave ends the transfer", async () => {
  for (const path of ["../x", "/etc/passwd", "a/../../x", "a\\..\\x", ".", "a//b", "a\0b"]) {
    const { disk, sink } = await receive([entry(path)]);
    assert.throws(() => sink.take(entry(path)), NameError);
    assert.deepEqual(Object.keys(disk.tree("/in")).sort(), ["p.hearth-part", "p.hearth-part.json"]);
  }
});

Deno.test("no link is gone through, even one that was put into the part meanwhile", async () => {
  const entries = [entry("d", { kind: "folder", size: 0 }), entry("d/x"), entry("e")];
  const { disk, sink } = await receive(entries);
  sink.take(entries[0]!);
  disk.putOther("/in/p.hearth-part/d");
  assert.throws(() => sink.take(entries[1]!), NameError);
});

Deno.test("what a sender of a folder may not do is refused", async () => {
  const two = [entry("a"), entry("b")];
  const rows: {
    entries?: FileEntry[];
    listed?: FileEntry[];
    count?: number;
    frames: FileFrame[];
  }[] = [
    { frames: [ONE] },
    { frames: [{ type: "skip", why: 0 }] },
    { frames: [two[0]!, two[1]!] }, // the first one is not complete
    { frames: [two[0]!, ONE, ONE] },
    { frames: [two[1]!, ONE, two[0]!] }, // out of order
    { frames: [two[0]!, ONE, two[0]!] }, // twice
    { frames: [two[0]!, ONE, two[1]!, ONE, entry("c")] }, // more than offered
    { frames: [two[0]!, ONE, { type: "done", total: 1 }] }, // fewer
    { frames: [two[0]!, ONE, two[1]!, ONE, { type: "done", total: 3 }] },
    { frames: [two[0]!, ONE, entry("bb"), ONE, { type: "done", total: 2 }] }, // others
    { frames: [{ type: "go", from: 0 }] },
  ];
  for (const { frames } of rows) {
    const { disk, sink } = await receive(two);
    const last = frames.pop()!;
    for (const frame of frames) sink.take(frame);
    await assert.rejects(() => takeLast(sink, last), ProtocolError);
    assert.equal(disk.nodes.has("/in/p"), false);
  }
});

Deno.test("no more comes than was offered, whatever the entries say of themselves", async () => {
  const { sink } = await receive([entry("a"), entry("b")]);
  sink.take(entry("a"));
  sink.take(ONE);
  assert.throws(() => sink.take(entry("b", { size: 2 })), ProtocolError);
  const { sink: other } = await receive([entry("a"), entry("b")], { count: 9 });
  for (const path of ["a", "b"]) { // what is skipped counts, too: it may have been written
    other.take(entry(path));
    other.take({ type: "skip", why: 0 });
  }
  assert.throws(() => other.take(entry("c")), ProtocolError);
});

Deno.test("of what was there the entry that cannot be read any more is left out, and no other", async () => {
  const { disk, offered, makeOwn, expected } = await rig();
  const first = makeOwn();
  await run(new Source(disk, offered), first, 12);
  first.close();
  // The power failed: what was written first is not on the disk.
  const one = disk.nodes.get("/in/p.hearth-part/d/one.txt")!;
  assert.ok(disk.nodes.has("/in/p.hearth-part/d/two.txt"));
  one.bytes = one.bytes.slice(0, 7);
  disk.fail = (what, path) => {
    if (path === "/out/p/d/one.txt" && what === "read" && one.bytes.length === 7) {
      one.bytes = one.bytes.slice(0, 0); // what is there was compared; now it cannot be read
      disk.fail = (what, path) => {
        if (path === "/out/p/d/one.txt" && what === "read") throw new Error("worn");
      };
    }
  };
  const sink = makeOwn();
  assert.equal(await run(new Source(disk, offered), sink), "/in/p");
  assert.equal(sink.skipped, 1);
  delete expected["d/one.txt"];
  assert.deepEqual(disk.tree("/in/p"), expected);
});

Deno.test("a folder gets its name also where no folder takes the place of another one", async () => {
  const { disk, offered, makeOwn, expected } = await rig();
  disk.fail = (what, path) => {
    if (what === "rename" && path === "/in/p.hearth-part") throw new Error("denied");
  };
  assert.equal(await run(new Source(disk, offered), makeOwn()), "/in/p");
  assert.deepEqual(disk.tree("/in/p"), expected);
  assert.deepEqual(disk.list("/in"), ["p"]);
});
