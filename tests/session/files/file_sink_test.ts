import assert from "node:assert/strict";
import { ProtocolError } from "../../../lib/base/errors.ts";
import type { FileFrame } from "../../../lib/protocol/file_frames.ts";
import { isDiskFull } from "../../../lib/session/files/disk.ts";
import { FileSink } from "../../../lib/session/files/file_sink.ts";
import type { PartHead } from "../../../lib/session/files/part.ts";
import { NoRoomError } from "../../../lib/session/files/sink.ts";
import { describeSource, Source } from "../../../lib/session/files/source.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

const TEXT = "0123456789".repeat(10);

/** What a receiver notes of an offer of /out/NAME. */
function head(fields: Partial<PartHead> = {}): PartHead {
  return {
    id: "aa".repeat(16),
    from: "SHA256:bob",
    name: "a.txt",
    kind: "file",
    size: TEXT.length,
    mtime: 1000,
    listing: "0".repeat(64),
    executable: false,
    ...fields,
  };
}

function makeSink(disk: VirtualDisk, fields: Partial<PartHead> = {}): FileSink {
  return new FileSink({ disk, folder: "/in", head: head(fields) });
}

async function rig(files: Readonly<Record<string, string>> = {}) {
  const disk = new VirtualDisk({ "/out/a.txt": TEXT, ...files });
  disk.putFolder("/in");
  const source = new Source(disk, (await describeSource(disk, "/out/a.txt", goOn)).offered);
  return { disk, source };
}

/** Never interrupted. */
const goOn = () => Promise.resolve(true);

/** Sends on until the end, or for so many frames. */
async function run(source: Source, sink: FileSink, frames = Infinity): Promise<string | undefined> {
  let kept: string | undefined;
  await sink.take(await source.begin(await sink.look(goOn), goOn));
  for (
    let frame: FileFrame | undefined;
    frames-- > 0 && (frame = source.next(new Uint8Array(30)));
  ) {
    if (frame.type === "done") kept = await sink.finish(frame.total, goOn);
    else await sink.take(frame);
  }
  return kept;
}

/** Takes a frame that is refused. */
async function takeLast(sink: FileSink, frame: FileFrame): Promise<void> {
  if (frame.type === "done") await sink.finish(frame.total, goOn);
  else await sink.take(frame);
}

Deno.test("a file arrives under its name, with its time, and leaves nothing else behind", async () => {
  const { disk, source } = await rig();
  assert.equal(await run(source, makeSink(disk)), "/in/a.txt");
  assert.deepEqual(disk.tree("/in"), { "a.txt": TEXT });
  assert.equal(disk.look("/in/a.txt")!.mtime, 1000);
  assert.equal(disk.look("/in/a.txt")!.executable, false);
});

Deno.test("an empty file arrives", async () => {
  const disk = new VirtualDisk({ "/out/a.txt": "" });
  disk.putFolder("/in");
  const source = new Source(disk, (await describeSource(disk, "/out/a.txt", goOn)).offered);
  assert.equal(await run(source, makeSink(disk, { size: 0 })), "/in/a.txt");
  assert.deepEqual(disk.tree("/in"), { "a.txt": "" });
});

Deno.test("a transfer that is cut after any frame goes on where it was", async () => {
  for (let frames = 0; frames <= 4; frames++) {
    const { disk, source } = await rig();
    const first = makeSink(disk);
    await run(source, first, frames);
    first.close();
    const sink = makeSink(disk, { id: "bb".repeat(16) }); // offered anew after a restart
    const { have } = await sink.look(goOn);
    assert.equal(have, Math.min(frames * 30, 100));
    assert.equal(await run(source, sink), "/in/a.txt");
    assert.deepEqual(disk.tree("/in"), { "a.txt": TEXT });
  }
});

Deno.test("a part with other bytes is begun anew", async () => {
  const { disk, source } = await rig();
  const first = makeSink(disk);
  await run(source, first, 2);
  first.close();
  disk.nodes.get("/in/a.txt.hearth-part")!.bytes[3] = 0;
  const sink = makeSink(disk);
  assert.deepEqual(await source.begin(await sink.look(goOn), goOn), { type: "go", from: 0 });
  assert.equal(await run(source, sink), "/in/a.txt");
  assert.equal(disk.text("/in/a.txt"), TEXT);
});

Deno.test("nothing is written over anything: the next number is taken", async () => {
  const { disk, source } = await rig({ "/in/A.TXT": "mine", "/in/a (2).txt": "mine too" });
  assert.equal(await run(source, makeSink(disk)), "/in/a (3).txt");
  assert.equal(disk.text("/in/A.TXT"), "mine");
  disk.hasLinks = false;
  disk.put("/out/a.txt", "1".repeat(100));
  const again = new Source(disk, (await describeSource(disk, "/out/a.txt", goOn)).offered);
  assert.equal(await run(again, makeSink(disk)), "/in/a (4).txt");
  assert.equal(disk.text("/in/a (4).txt"), "1".repeat(100));
});

Deno.test("a file that is there already is not sent again; another of that name and size is left alone", async () => {
  const { disk, source } = await rig({ "/in/a.txt": TEXT });
  const sink = makeSink(disk);
  assert.deepEqual(await source.begin(await sink.look(goOn), goOn), { type: "go", from: 100 });
  assert.equal(await run(source, sink), "/in/a.txt");
  assert.deepEqual(disk.tree("/in"), { "a.txt": TEXT });

  disk.put("/in/a.txt", "x".repeat(100));
  assert.equal(await run(source, makeSink(disk)), "/in/a (2).txt");
  assert.deepEqual(disk.tree("/in"), { "a.txt": "x".repeat(100), "a (2).txt": TEXT });
});

Deno.test("a part of somebody else's, or one that another program holds, is not touched", async () => {
  const { disk, source } = await rig();
  const theirs = makeSink(disk, { from: "SHA256:carl" });
  await run(source, theirs, 2);
  assert.equal(await run(source, makeSink(disk)), "/in/a.txt");
  assert.equal(disk.text("/in/a.txt.hearth-part"), TEXT.slice(0, 60));
  theirs.close();
  const held = makeSink(disk, { name: "b.txt" });
  await run(source, held, 1);
  assert.equal((await makeSink(disk, { name: "b.txt" }).look(goOn)).have, 0);
  assert.ok(disk.nodes.has("/in/b (2).txt.hearth-part"));
});

Deno.test("notes torn at any byte never cost what is there", async () => {
  const { disk, source } = await rig();
  await run(source, makeSink(disk), 2);
  const notes = disk.nodes.get("/in/a.txt.hearth-part.json")!;
  const whole = notes.bytes;
  for (let length = 0; length <= whole.length; length++) {
    disk.letGo();
    notes.bytes = whole.slice(0, length);
    const sink = makeSink(disk);
    const { have } = await sink.look(goOn);
    assert.equal(have, length === whole.length ? 60 : 0);
    assert.equal(disk.text("/in/a.txt.hearth-part"), TEXT.slice(0, 60));
    await sink.discard();
    if (length === whole.length) assert.deepEqual(disk.tree("/in"), {});
  }
});

Deno.test("a disk without room is known before a byte is written, and a full one keeps the part", async () => {
  const { disk, source } = await rig();
  disk.saysFree = 64 * 1024 * 1024 + 99;
  await assert.rejects(
    () => makeSink(disk).look(goOn),
    (error) => error instanceof NoRoomError && error.missing === 1,
  );
  disk.letGo();
  disk.saysFree = 2 ** 40; // a lie
  disk.capacity = disk.used + 50;
  const sink = makeSink(disk);
  await assert.rejects(() => run(source, sink), isDiskFull);
  sink.close();
  disk.capacity += 1000;
  assert.equal(await run(source, makeSink(disk)), "/in/a.txt");
  assert.equal(disk.text("/in/a.txt"), TEXT);
});

Deno.test("what a sender may not do is refused, and nothing appears under the name", async () => {
  const data = (bytes: number): FileFrame => ({ type: "data", data: new Uint8Array(bytes) });
  const rows: FileFrame[][] = [
    [data(1)],
    [{ type: "done", total: 0 }],
    [{ type: "go", from: 1 }],
    [{ type: "go", from: 0 }, { type: "go", from: 0 }],
    [{ type: "go", from: 0 }, data(101)],
    [{ type: "go", from: 0 }, data(99), data(2)],
    [{ type: "go", from: 0 }, data(99), { type: "done", total: 99 }],
    [{ type: "go", from: 0 }, data(100), { type: "done", total: 101 }],
    [{ type: "go", from: 0 }, { type: "skip", why: 0 }],
    [{ type: "go", from: 0 }, { type: "got", total: 0 }],
  ];
  for (const frames of rows) {
    const { disk } = await rig();
    const sink = makeSink(disk);
    await sink.look(goOn);
    const last = frames.pop()!;
    for (const frame of frames) sink.take(frame);
    await assert.rejects(() => takeLast(sink, last), ProtocolError);
    assert.equal(disk.nodes.has("/in/a.txt"), false);
  }
});

Deno.test("a program is one only when that was asked for", async () => {
  for (const executable of [false, true]) {
    const { disk, source } = await rig();
    await run(source, makeSink(disk, { executable }));
    assert.equal(disk.look("/in/a.txt")!.executable, executable);
  }
});

Deno.test("a file of unknown size begins anew and ends where the sender says", async () => {
  const { disk } = await rig();
  const sink = makeSink(disk, { size: null });
  assert.equal((await sink.look(goOn)).have, 0);
  await sink.take({ type: "go", from: 0 });
  sink.take({ type: "data", data: new Uint8Array(7) });
  sink.close();
  const again = makeSink(disk, { size: null });
  assert.equal((await again.look(goOn)).have, 0);
  again.take({ type: "go", from: 0 });
  again.take({ type: "data", data: new Uint8Array(3) });
  assert.equal(await again.finish(3, goOn), "/in/a.txt");
  assert.equal(disk.look("/in/a.txt")!.size, 3);
});

Deno.test("what comes without a size does not fill the disk", async () => {
  const disk = new VirtualDisk();
  disk.putFolder("/in");
  const sink = makeSink(disk, { size: null });
  await sink.look(goOn);
  await sink.take({ type: "go", from: 0 });
  disk.saysFree = 64 * 1024 * 1024;
  sink.take({ type: "data", data: new Uint8Array(10) });
  disk.saysFree--;
  const data = new Uint8Array(1024 * 1024);
  assert.throws(() => {
    for (let i = 0; i < 17; i++) sink.take({ type: "data", data });
  }, (error) => error instanceof NoRoomError && error.missing === 1);
});
