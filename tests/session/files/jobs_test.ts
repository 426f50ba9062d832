import assert from "node:assert/strict";
import { FileRecords } from "../../../lib/protocol/file_connection.ts";
import type { FileFrame } from "../../../lib/protocol/file_frames.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { FileStream, Input } from "../../../lib/session/files/direct.ts";
import { FileSink } from "../../../lib/session/files/file_sink.ts";
import type { JobReport } from "../../../lib/session/files/jobs.ts";
import { ReceiveJob } from "../../../lib/session/files/receive_job.ts";
import { SendJob } from "../../../lib/session/files/send_job.ts";
import { decodePiece } from "../../../lib/session/files/port.ts";
import { NO_LISTING, Source } from "../../../lib/session/files/source.ts";
import type { ByteStream } from "../../../lib/transport/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { memoryPair } from "../../support/memory_stream.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";

await cipherReady();

const SIZE = 3_000_000;

/** Both ends of a transfer of one file of 3 MB. */
class Rig {
  readonly clock = new FakeClock();
  readonly disk = new VirtualDisk();
  readonly sent: JobReport[] = [];
  readonly received: JobReport[] = [];
  sender!: SendJob;
  receiver!: ReceiveJob;

  constructor() {
    const bytes = new Uint8Array(SIZE);
    for (let i = 0; i < SIZE; i += 1000) bytes[i] = i / 1000;
    this.disk.put("/out/f", bytes);
    this.disk.putFolder("/in");
    this.restartSender();
    this.restartReceiver();
  }

  restartSender(): void {
    const source = new Source(this.disk, {
      path: "/out/f",
      kind: "file",
      name: "f",
      size: SIZE,
      entries: 1,
      mtime: 1000,
      executable: false,
      listing: NO_LISTING,
    });
    this.sender = new SendJob({
      clock: this.clock,
      source,
      report: (report) => this.sent.push(report),
    });
  }

  restartReceiver(): void {
    const head = {
      id: "aa".repeat(16),
      from: "SHA256:bob",
      name: "f",
      kind: "file" as const,
      size: SIZE,
      mtime: 1000,
      listing: NO_LISTING,
      executable: false,
    };
    const sink = new FileSink({ disk: this.disk, folder: "/in", head });
    this.receiver = new ReceiveJob({
      clock: this.clock,
      sink,
      report: (report) => this.received.push(report),
    });
  }

  /** Begins over a direct connection; the promises resolve when either end has let it go. */
  connect() {
    const [a, b] = memoryPair({ capacity: 300_000 });
    return { a, b, ...this.attach(a, b) };
  }

  /** Begins over these two ends. */
  attach(a: ByteStream, b: ByteStream) {
    const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;
    const there = new FileStream(a, new Input(a), new FileRecords(...keys));
    const here = new FileStream(b, new Input(b), new FileRecords(keys[1], keys[0]));
    const over = this.begin()
      .then(() => Promise.all([this.sender.attach(there), this.receiver.attach(here)]));
    return { over };
  }

  /** The sender begins after what the receiver has. */
  async begin(): Promise<void> {
    const have = await this.receiver.look();
    if (have !== undefined) await this.sender.begin(have);
  }

  /** Does something once, when so many bytes are written at the receiver. */
  at(bytes: number, action: () => void): void {
    let isDone = false;
    this.disk.fail = (what, path) => {
      if (isDone || what !== "writeTo" || this.disk.look(path)!.size < bytes) return;
      isDone = true;
      action();
    };
  }

  check(): void {
    assert.deepEqual(this.disk.nodes.get("/in/f")?.bytes, this.disk.nodes.get("/out/f")!.bytes);
  }
}

const types = (reports: readonly JobReport[]) =>
  Array.from(new Set(reports.map(({ type }) => type)));

Deno.test("a file goes over a direct connection, and both ends say so", async () => {
  const rig = new Rig();
  await rig.connect().over;
  rig.check();
  assert.deepEqual(types(rig.sent), ["progress", "done"]);
  assert.deepEqual(rig.received.at(-1), {
    type: "done",
    path: "/in/f",
    position: SIZE,
    skipped: 0,
  });
  const positions = rig.sent.flatMap((report) =>
    report.type === "progress" ? [report.position] : []
  );
  assert.ok(positions.length >= 3, "every 1 MiB");
  assert.equal(rig.clock.timers, 0);
});

Deno.test("a connection that is cut at any time is made anew from there", async () => {
  const rig = new Rig();
  let cuts = 0;
  for (let written = 0;; written += 400_000) {
    const { a, over } = rig.connect();
    rig.at(written, () => a.cut());
    await over;
    if (rig.received.at(-1)?.type === "done") break;
    assert.equal(rig.received.at(-1)?.type, "broken");
    assert.equal(rig.sent.at(-1)?.type, "broken");
    if (++cuts % 2 === 0) {
      rig.receiver.drop();
      rig.restartReceiver();
    } else {
      rig.sender.drop();
      rig.restartSender();
    }
  }
  assert.ok(cuts > 3, `${cuts} cuts`);
  rig.check();
});

Deno.test("what somebody on the way changes costs the connection, and no transfer", async () => {
  for (const at of [0, 3, 4, 50_000]) {
    const rig = new Rig();
    const [a, b] = memoryPair({ capacity: 300_000 });
    const write = a.write.bind(a);
    a.write = (bytes) => {
      const changed = bytes.slice();
      if (at < changed.length) changed[at]! ^= 0x40;
      return write(changed);
    };
    await rig.attach(a, b).over;
    assert.equal(rig.received.at(-1)?.type, "broken", `byte ${at}`);
    assert.equal(rig.sent.at(-1)?.type, "broken", `byte ${at}`);
  }
});

Deno.test("either end may stop it, and the other one knows why", async () => {
  for (const which of ["sender", "receiver"] as const) {
    const rig = new Rig();
    rig.at(500_000, () => {
      queueMicrotask(() =>
        rig[which].stop({ code: "cancelled", text: "" }, { discard: which === "receiver" })
      );
    });
    await rig.connect().over;
    const [own, other] = which === "sender" ? [rig.sent, rig.received] : [rig.received, rig.sent];
    const stopped = { type: "stopped", failure: { code: "cancelled", text: "" } };
    assert.deepEqual(own.at(-1), { ...stopped, byOther: false });
    assert.deepEqual(other.at(-1), { ...stopped, byOther: true });
    assert.equal(rig.disk.nodes.has("/in/f.hearth-part"), which === "sender");
  }
});

Deno.test("who stops is heard also by a sender that looks only after it has written", async () => {
  const rig = new Rig();
  const [a, b] = memoryPair({ capacity: 300_000 });
  const read = a.read.bind(a);
  a.read = async (into) => {
    const length = await read(into);
    await settle(20);
    return length;
  };
  rig.at(500_000, () => {
    queueMicrotask(() => rig.receiver.stop({ code: "cancelled", text: "" }));
  });
  await rig.attach(a, b).over;
  const failure = { code: "cancelled", text: "" };
  assert.deepEqual(rig.sent.at(-1), { type: "stopped", failure, byOther: true });
});

Deno.test("a full disk stops it with its reason, and keeps the part", async () => {
  const rig = new Rig();
  rig.disk.saysFree = 2 ** 40;
  rig.disk.capacity = rig.disk.used + 1_000_000;
  await rig.connect().over;
  const failure = { code: "disk-full", text: "" };
  assert.deepEqual(rig.received.at(-1), { type: "stopped", failure, byOther: false });
  assert.deepEqual(rig.sent.at(-1), { type: "stopped", failure, byOther: true });
  assert.ok(rig.disk.nodes.has("/in/f.hearth-part"));
});

Deno.test("a file that changes while it is sent is never kept", async () => {
  const rig = new Rig();
  rig.at(500_000, () => rig.disk.nodes.get("/out/f")!.mtime++);
  await rig.connect().over;
  assert.deepEqual(rig.sent.at(-1), {
    type: "stopped",
    failure: { code: "changed", text: "it has changed since it was offered" },
    byOther: false,
  });
  assert.equal(rig.disk.nodes.has("/in/f"), false);
});

Deno.test("a silent connection is kept alive, and dropped after 30 s without a frame", async () => {
  const rig = new Rig();
  const { a, b, over } = rig.connect();
  a.stalled = true;
  await settle();
  await rig.clock.advance(29_000);
  assert.equal(a.closed || b.closed, false);
  await rig.clock.advance(11_000);
  await over;
  assert.equal(rig.received.at(-1)?.type, "broken");
});

Deno.test("through the relay it goes as frames that are pulled", async () => {
  const rig = new Rig();
  await rig.begin();
  let outstanding = 0;
  for (let turn = 0; turn < 1000 && !rig.sender.isOver; turn++) {
    rig.sender.pull(4);
    const pieces = rig.sent.filter((report) => report.type === "pulled");
    rig.sent.length = 0;
    for (const { frames } of pieces) {
      await rig.receiver.receive(frames.map((frame) => decodePiece(frame)!));
      outstanding += frames.length;
    }
    const answers = rig.received.flatMap((report) => report.type === "pieces" ? report.frames : []);
    if (!rig.receiver.isOver) rig.received.length = 0;
    await rig.sender.receive(answers.map((frame) => decodePiece(frame)!));
  }
  rig.check();
  assert.ok(rig.sender.isOver);
  assert.ok(outstanding > 190 && outstanding < 220, `${outstanding} frames`);
});

Deno.test("frames out of turn end the transfer and nothing else", async () => {
  const bad: FileFrame[] = [
    { type: "kept" },
    { type: "data", data: Uint8Array.of(1) },
    { type: "go", from: 0 },
  ];
  for (const frame of bad) {
    const rig = new Rig();
    await rig.begin();
    await rig.sender.receive([frame]);
    const last = rig.sent.at(-1);
    assert.ok(last?.type === "stopped" && last.failure.code === "protocol" && !last.byOther);
    await rig.receiver.receive([{ type: "data", data: Uint8Array.of(1) }]); // of an earlier way
    assert.equal(rig.receiver.isOver, false);
    await rig.receiver.receive([{ type: "go", from: 0 }]);
    await rig.receiver.receive([{ type: "got", total: 1 }]);
    assert.equal(rig.received.at(-1)?.type, "stopped");
    assert.ok(rig.disk.nodes.has("/in/f.hearth-part"), "the part is kept");
  }
});

Deno.test("what is there is hashed in slices, and no longer than the job lasts", async () => {
  const rig = new Rig();
  let slow = 0;
  const { clock } = rig;
  const now = clock.now.bind(clock);
  clock.now = () => now() + slow;
  await rig.begin();
  await rig.receiver.receive([{ type: "go", from: 0 }, {
    type: "data",
    data: new Uint8Array(SIZE),
  }]);
  rig.receiver.drop();
  rig.restartReceiver();
  const bytes = rig.disk.nodes.get("/in/f.hearth-part")!.bytes;
  assert.equal(bytes.length, SIZE);
  let reads = 0;
  rig.disk.fail = (what, path) => {
    if (what !== "readFrom" || !path.endsWith(".hearth-part")) return;
    slow += 60;
    reads++;
  };
  const looking = rig.receiver.look();
  const taking = rig.receiver.receive([{ type: "go", from: SIZE }]);
  await settle();
  assert.equal(reads, 1, "others have their turn");
  await clock.advance(0);
  assert.equal((await looking)!.have, SIZE);
  await taking;
  assert.deepEqual(rig.received.at(-1), { type: "progress", position: SIZE }, "GO has waited");
  rig.receiver.drop();
  rig.restartReceiver();
  reads = 0;
  const abandoned = rig.receiver.look();
  await settle();
  rig.receiver.drop();
  await clock.advance(0);
  assert.equal(await abandoned, undefined);
  assert.equal(reads, 1);
});

Deno.test("a slow disk lets others have their turn between frames, and a job that has ended takes no more", async () => {
  const rig = new Rig();
  let slow = 0;
  const { clock } = rig;
  const now = clock.now.bind(clock);
  clock.now = () => now() + slow;
  await rig.receiver.look();
  rig.disk.fail = (what) => slow += what === "writeTo" ? 60 : 0;
  const data = (): FileFrame => ({ type: "data", data: new Uint8Array(1000) });
  const written = () => rig.disk.nodes.get("/in/f.hearth-part")!.bytes.length;
  const taking = rig.receiver.receive([{ type: "go", from: 0 }, data(), data(), data()]);
  await settle();
  assert.equal(written(), 1000, "the rest waits");
  await clock.advance(0);
  await taking;
  assert.equal(written(), 3000);
  const more = rig.receiver.receive([data(), data()]);
  await settle();
  assert.equal(written(), 4000);
  rig.receiver.drop();
  await clock.advance(0);
  await more;
  assert.equal(written(), 4000);
});

Deno.test("a file is kept, and the sender hears it, once it is on the disk; until then the transfer may end", async () => {
  const stop = (rig: Rig, discard: boolean) =>
    rig.receiver.stop({ code: "cancelled", text: "" }, { discard });
  const endings: ((rig: Rig) => void)[] = [
    () => {},
    (rig) => stop(rig, false),
    (rig) => stop(rig, true),
    (rig) => void rig.receiver.receive([{ type: "stop", code: "cancelled" }]),
    (rig) => void rig.receiver.receive([{ type: "data", data: new Uint8Array(1) }]),
    (rig) => rig.receiver.drop(),
  ];
  const kept: string[] = [];
  for (const end of endings) {
    const rig = new Rig();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.disk.synced = promise;
    await rig.receiver.look();
    const bytes = rig.disk.nodes.get("/out/f")!.bytes.slice();
    const frames: FileFrame[] = [
      { type: "go", from: 0 },
      { type: "data", data: bytes },
      { type: "done", total: SIZE },
    ];
    await rig.receiver.receive(frames);
    assert.deepEqual(types(rig.received), ["progress", "pieces"]);
    end(rig);
    await settle();
    assert.equal(rig.disk.nodes.has("/in/f"), false);
    resolve();
    await settle();
    kept.push(`${rig.received.at(-1)!.type}: ${rig.disk.list("/in").sort()}`);
    assert.equal(rig.clock.timers, 0);
  }
  const part = "f.hearth-part,f.hearth-part.json";
  assert.deepEqual(kept, [
    "done: f",
    `stopped: ${part}`,
    "stopped: ",
    `stopped: ${part}`,
    `stopped: ${part}`,
    `pieces: ${part}`,
  ]);
});
