/** Files from a page, and pictures to it. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { UsageError } from "../../../lib/base/errors.ts";
import type { FileEntry, FileState } from "../../../lib/ui/conversation.ts";
import { Conversations } from "../../../lib/ui/conversations.ts";
import {
  MAX_AGE_MS,
  MAX_NAME_BYTES,
  MAX_PART,
  MAX_PICTURE,
  MAX_UPLOADS,
  PageBytes,
  type UploadRequest,
} from "../../../lib/ui/web/bytes.ts";
import type { Page } from "../../../lib/ui/web/web.ts";
import { FakeClock, until } from "../../support/fake_clock.ts";

/** As a last resort against hanging. */
const LIMIT_MS = 60_000;

class FakePage implements Page {
  isOpen = true;
  isReady = true;
  isRefused = false;
  // deno-lint-ignore no-explicit-any -- as it comes over the socket
  readonly sent: any[] = [];
  readonly parts: Uint8Array[] = [];
  pump(): void {}
  send(message: unknown): void {
    this.sent.push(message);
  }
  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.parts.push(bytes);
  }
  refuse(): void {
    this.isRefused = true;
  }
}

const LOBBY = new Conversations().open("room:lobby", "lobby");

function message(n: number, bytes: Uint8Array | number): Uint8Array<ArrayBuffer> {
  const body = typeof bytes === "number" ? new Uint8Array(bytes).fill(7) : bytes;
  const whole = new Uint8Array(4 + body.length);
  new DataView(whole.buffer).setUint32(0, n);
  whole.set(body, 4);
  return whole;
}

interface Offer {
  readonly path: string;
  readonly name: string;
  readonly ref: string;
  readonly bytes: Uint8Array;
}

class Rig implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly page = new FakePage();
  readonly offers: Offer[] = [];
  readonly complaints: string[] = [];
  readonly folder: string;
  readonly bytes: PageBytes;
  /** Why an offer is refused. */
  problem: string | undefined;

  constructor(folder: string) {
    this.folder = folder;
    this.bytes = this.make();
  }

  make(): PageBytes {
    return new PageBytes({
      clock: this.clock,
      stateFolder: this.folder,
      offer: async (_conversation, path, { name, ref }) => {
        if (this.problem !== undefined) throw new UsageError(`${path}: ${this.problem}`);
        this.offers.push({ path, name, ref, bytes: await Deno.readFile(path) });
      },
      fail: (_conversation, text) => this.complaints.push(text),
    });
  }

  async begin(request: Partial<UploadRequest> = {}, page = this.page): Promise<number> {
    const whole = { conversation: LOBBY, name: "a.txt", size: 10, mtime: 1_000_000, ...request };
    return await this.bytes.begin(page, whole);
  }

  /** What there is in the folder. */
  left(): string[] {
    return Array.from(Deno.readDirSync(`${this.folder}/web-files`)).map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.bytes.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function makeRig(): Promise<Rig> {
  return new Rig(await Deno.makeTempDir());
}

Deno.test("what a page sends is written, then offered under its name", async () => {
  await using rig = await makeRig();
  const { page } = rig;
  const n = await rig.begin({ name: "a b.txt" });
  rig.bytes.take(message(n, 4), page);
  deepEqual(page.sent.splice(0), [{ type: "took", n, bytes: 4 }]);
  rig.bytes.take(message(n, 6), page);
  await until(() => page.sent.length > 0, LIMIT_MS);
  deepEqual(page.sent, [{ type: "took", n, bytes: 10 }]);
  const { path, name, ref, bytes } = rig.offers[0]!;
  deepEqual([name, bytes], ["a b.txt", new Uint8Array(10).fill(7)]);
  match(ref, /^[0-9a-f]{32}$/);
  ok(path.endsWith(`web-files/${ref}`));
  const { mode, mtime } = await Deno.stat(path);
  equal(mtime?.getTime(), 1_000_000);
  if (Deno.build.os !== "windows") equal(mode! & 0o777, 0o600);
  equal(page.isRefused, false);
});

Deno.test("an empty file is offered without a byte", async () => {
  await using rig = await makeRig();
  await rig.begin({ size: 0 });
  await rig.clock.advance(0);
  await until(() => rig.offers.length === 1, LIMIT_MS);
});

Deno.test("more bytes than were announced: it is removed, and said; what still comes is ignored", async () => {
  await using rig = await makeRig();
  const { page } = rig;
  const n = await rig.begin();
  rig.bytes.take(message(n, 11), page);
  deepEqual(page.sent, [{ type: "took", n, bytes: 0, problem: "it has become longer" }]);
  deepEqual(rig.left(), []);
  rig.bytes.take(message(n, 5), page);
  equal(page.isRefused, false);
  match(rig.complaints[0]!, /^a\.txt was not sent: /);
});

Deno.test("bytes that nobody asked for, or of another page, close the socket", async () => {
  await using rig = await makeRig();
  const n = await rig.begin();
  for (const wrong of [message(99, 1), message(n, 0), new Uint8Array(3), message(n, 1)]) {
    const other = new FakePage();
    rig.bytes.take(wrong, other);
    equal(other.isRefused, true);
  }
  equal(rig.page.isRefused, false);
});

Deno.test("several uploads go on beside each other; one too many closes the socket", async () => {
  await using rig = await makeRig();
  const { page } = rig;
  const all: number[] = [];
  for (let i = 0; i < MAX_UPLOADS; i++) all.push(await rig.begin({ name: `${i}` }));
  equal(new Set(all).size, MAX_UPLOADS);
  for (const n of all.toReversed()) rig.bytes.take(message(n, 10), page);
  await until(() => rig.offers.length === MAX_UPLOADS, LIMIT_MS);
  for (let i = 0; i < MAX_UPLOADS; i++) await rig.begin();
  await rejects(rig.begin(), /too many/);
  equal(page.isRefused, true);
  const other = new FakePage();
  await rig.begin({}, other);
  equal(other.isRefused, false);
});

Deno.test("what is not complete goes with its page, and at the end", async () => {
  await using rig = await makeRig();
  const n = await rig.begin();
  rig.bytes.take(message(n, 4), rig.page);
  await rig.begin({}, new FakePage());
  equal(rig.left().length, 2);
  rig.bytes.forget(rig.page);
  equal(rig.left().length, 1);
  rig.bytes.close();
  deepEqual(rig.left(), []);
});

Deno.test("nothing is kept for a page that goes while its file or picture is opened", async () => {
  await using rig = await makeRig();
  const { page } = rig;
  const entry = await keep(rig.folder, PNG);
  const begun = rig.begin();
  const shown = rig.bytes.show(page, entry);
  page.isOpen = false;
  rig.bytes.forget(page);
  await Promise.all([rejects(begun, /gone/), rejects(shown, /gone/)]);
  deepEqual(rig.left(), []);
});

Deno.test("a refused offer is said without the path, and removed", async () => {
  await using rig = await makeRig();
  rig.problem = "nobody here can take files";
  const n = await rig.begin();
  rig.bytes.take(message(n, 10), rig.page);
  await until(() => rig.page.sent.length > 0, LIMIT_MS);
  equal(rig.page.sent[0].problem, "a.txt: nobody here can take files");
  deepEqual(rig.left(), []);
});

Deno.test("a name is 1 to 255 bytes, and no path", async () => {
  await using rig = await makeRig();
  for (const name of ["", "a/b", "a\0", "é".repeat(MAX_NAME_BYTES / 2 + 1)]) {
    await rejects(rig.begin({ name }), UsageError, name);
  }
  await rig.begin({ name: "x".repeat(MAX_NAME_BYTES) });
});

Deno.test("a file larger than the disk is refused", async () => {
  await using rig = await makeRig();
  await rejects(rig.begin({ size: Number.MAX_SAFE_INTEGER }), /no room/);
  deepEqual(rig.left(), []);
});

function fileEntry(fields: Partial<FileEntry>, ...states: FileState[]): FileEntry {
  const transfers = states.map((state) => ({ state }));
  return { type: "file", number: 5, kind: "file", size: 10, transfers, ...fields } as FileEntry;
}

Deno.test("an offered file stays while a transfer of it can go on", async () => {
  await using rig = await makeRig();
  const n = await rig.begin();
  rig.bytes.take(message(n, 10), rig.page);
  await until(() => rig.offers.length === 1, LIMIT_MS);
  rig.bytes.offered("another", 4);
  rig.bytes.offered(rig.offers[0]!.ref, 5);
  const observe = (entry: FileEntry) =>
    rig.bytes.observe({ type: "entry", conversation: LOBBY, entry, isNew: false });
  const going: FileState[] = ["offered", "waiting", "moving", "paused"];
  for (const state of going) observe(fileEntry({}, "done", state));
  observe(fileEntry({}));
  observe(fileEntry({ number: 4 }, "done"));
  equal(rig.left().length, 1);
  observe(fileEntry({}, "done", "declined", "failed"));
  deepEqual(rig.left(), []);
});

Deno.test("a start removes what was left more than seven days ago, and nothing else", async () => {
  await using rig = await makeRig();
  const n = await rig.begin();
  rig.bytes.take(message(n, 10), rig.page);
  await until(() => rig.offers.length === 1, LIMIT_MS);
  await Deno.writeTextFile(`${rig.folder}/web-files/notes`, "");
  const age = async (ms: number) => {
    const later = Date.now() + ms - rig.clock.wallTime();
    await rig.clock.sleep(later);
    rig.make();
    return rig.left().length;
  };
  equal(await age(MAX_AGE_MS - 60_000), 2);
  equal(await age(MAX_AGE_MS + 60_000), 1);
  deepEqual(rig.left(), ["notes"]);
});

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0]);

async function keep(folder: string, bytes: Uint8Array): Promise<FileEntry> {
  const kept = `${folder}/picture`;
  await Deno.writeFile(kept, bytes);
  return fileEntry({ kept, size: bytes.length }, "done");
}

Deno.test("a picture that was kept is sent in parts, behind its result", async () => {
  await using rig = await makeRig();
  const { page } = rig;
  const whole = new Uint8Array(MAX_PART + 100).fill(1);
  whole.set(PNG);
  const { n, size } = await rig.bytes.show(page, await keep(rig.folder, whole));
  equal(size, whole.length);
  equal(page.parts.length, 0);
  page.isReady = false;
  await rig.clock.advance(100);
  equal(page.parts.length, 0, "its socket takes nothing");
  page.isReady = true;
  let length = 0;
  while (length < size) {
    await rig.clock.advance(100);
    length = page.parts.reduce((sum, part) => sum + part.length - 4, 0);
  }
  const all = new Uint8Array(await new Blob(page.parts.map((part) => part.slice(4))).arrayBuffer());
  deepEqual(all, whole);
  ok(page.parts.every((part) => new DataView(part.buffer).getUint32(0) === n));
});

Deno.test("only a picture is shown, as it was received, and never through a link", async () => {
  await using rig = await makeRig();
  const { page, folder } = rig;
  const show = (entry: FileEntry) => rig.bytes.show(page, entry);
  const svg = new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>");
  await rejects(show(await keep(folder, svg)), /no picture/);
  await rejects(show(await keep(folder, new Uint8Array())), /no picture/);
  const entry = await keep(folder, PNG);
  await rejects(show({ ...entry, size: PNG.length + 1 }), /not here any more/);
  await rejects(show({ ...entry, size: MAX_PICTURE + 1 }), /too large/);
  await rejects(show({ ...entry, kind: "folder" }), /not here/);
  await rejects(show({ ...entry, kept: `${folder}/none` }), /not here any more/);
  await rejects(show({ ...entry, kept: folder }), /not here any more/);
  await rejects(show(fileEntry({}, "done")), /not here/);
  if (Deno.build.os !== "windows") {
    await Deno.symlink(`${folder}/picture`, `${folder}/link`);
    await rejects(show({ ...entry, kept: `${folder}/link` }), /not here any more/);
  }
  const start = (hex: string) => Uint8Array.fromHex(hex);
  for (
    const hex of [
      "ffd8ffe0",
      "474946383761",
      "474946383961",
      "524946460000000057454250",
    ]
  ) {
    const { size } = await show(await keep(folder, start(hex)));
    equal(size, hex.length / 2);
  }
  // What is being sent is closed.
  while (page.parts.length < 4) await rig.clock.advance(100);
});
