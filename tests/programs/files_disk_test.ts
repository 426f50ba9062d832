/**
 * Full and read-only disks, damaged and foreign files, a process killed while it writes a key, clocks that jump, too
 * few file descriptors: each gives one clear line, nothing is half written, and nothing new is trusted. Two programs
 * that write at once are in trust_test.ts.
 */
import assert from "node:assert/strict";
import { cipherReady } from "../../lib/protocol/records.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { type Connection, openConnection } from "../../lib/transport/mod.ts";
import { loadKey } from "../../lib/cli/key_file.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { exportPrivateKey, generateKey } from "../../lib/protocol/identity.ts";
import { encodeFrame } from "../../lib/protocol/frames.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { HostileRelay } from "../support/hostile_relay.ts";
import { FakeClock } from "../support/fake_clock.ts";
import {
  fingerprintOf,
  freePort,
  FROM_SOURCE,
  poll,
  Program,
  waitForPort,
  World,
} from "../support/programs.ts";
import { canMount, fill, isRun, withDisk } from "../support/small_disk.ts";

await cipherReady();

const isUnix = Deno.build.os !== "windows";
const PAGE = 4096;

async function names(folder: string): Promise<string[]> {
  const found = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return found.filter((name) => name !== "filler" && !name.endsWith(".lock")).toSorted();
}

const SMALL_KEYS = ["--key-bits", "1024", "--min-key-bits", "1024"];

/** The message of a program that cannot save its key, by the error of the system. */
function cannotKeep(which: string, file: string, cause: RegExp): RegExp {
  return new RegExp(
    `^${which}: error: \\S+/${file}: cannot be written: ${cause.source}[^\\n]*\\n${which}: hint: [^\\n]+\\n$`,
  );
}

// --- Full and read-only disks ---

Deno.test({
  name: "client and server without space for a key end with one line, and leave nothing",
  ignore: !canMount,
  fn: () =>
    withDisk(async (world, disk) => {
      await fill(disk);
      const say = ({ stderr }: { stderr: string }) =>
        stderr.split("\n").filter((line) => !/making your key/.test(line)).join("\n");
      for (const [which, file] of [["client", "identity.pem"], ["server", "server.pem"]] as const) {
        const args = which === "client" ? ["--host", "127.0.0.1"] : ["--port", "0"];
        const outcome = await world.run(which, { args: [...args, ...SMALL_KEYS], home: disk });
        assert.equal(outcome.code, 1);
        assert.match(say(outcome), cannotKeep(which, file, /No space left on device/));
      }
      assert.deepEqual(await names(disk), []);
      // With room again the same command works.
      await Deno.remove(`${disk}/filler`);
      const server = world.start("server", { args: ["--port", "0", ...SMALL_KEYS], home: disk });
      await server.waitForText("stdout", /listening on port/);
      assert.deepEqual(await names(disk), ["server.pem"]);
    }),
});

Deno.test({
  name: "client on a disk that is full reports what it cannot save, and chats",
  ignore: !canMount,
  fn: () =>
    withDisk(async (world, disk) => {
      await world.server();
      await world.home("disk"); // the key is there
      await Deno.writeTextFile(`${disk}/settings.json`, '{\n  "nick": "before"\n}\n');
      await fill(disk);
      const [ann, bob] = await Promise.all([
        world.client("ann", { home: "disk" }),
        world.client("bob"),
      ]);
      await ann.waitFor("joined");
      await bob.waitFor("joined");
      await ann.chat("all the same");
      await bob.waitFor("chat", { text: "all the same" });
      await ann.waitFor("error", { message: "the server's key cannot be remembered" });
      await poll(
        () =>
          ann.all("notice", {}).some(({ text }) =>
            /keys of people cannot be saved: .*space/.test(`${text}`)
          ),
        () => ann.describe(),
      );
      assert.ok(
        ann.all("notice").some(({ text }) => /settings cannot be saved/.test(String(text))),
      );
      assert.equal(await ann.leave(), 0);
      assert.deepEqual(await names(disk), ["identity.pem", "settings.json"]);
      assert.equal(await Deno.readTextFile(`${disk}/settings.json`), '{\n  "nick": "before"\n}\n');
    }),
});

Deno.test({
  name: "client whose disk fills up while it runs keeps its previous files intact",
  ignore: !canMount,
  fn: () =>
    withDisk(async (world, disk) => {
      await world.server();
      await world.home("disk");
      const [ann, bob] = await Promise.all([
        world.client("ann", { home: "disk" }),
        world.client("bob"),
      ]);
      await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
      const path = `${disk}/known_peers`;
      await poll(() => Deno.readTextFile(path).catch(() => undefined), () => "known_peers");
      // Nothing can be appended within the last page of a file.
      const { length } = await Deno.readTextFile(path);
      const comment = `#${"-".repeat(2 * PAGE - length - 3)}\n`;
      await Deno.writeTextFile(path, comment, { append: true });
      const before = await Deno.readTextFile(path);
      await fill(disk);
      await world.client("carl").then((carl) => carl.waitFor("joined", {}, { count: 2 }));
      await ann.waitFor("joined", { nick: "carl" });
      await poll(
        () =>
          ann.all("notice").some(({ text }) => /keys of people cannot be saved/.test(String(text))),
        () => ann.describe(),
      );
      assert.equal(await Deno.readTextFile(path), before);
      await ann.leave();
      assert.equal(await Deno.readTextFile(path), before);
      const known = await KnownPeers.load(disk, assert.ifError);
      assert.ok(known.owners("bob").length > 0);
      assert.deepEqual(known.owners("carl"), []);
    }),
});

Deno.test({
  name:
    "client with a read-only state folder ends if there is no key there, and chats if there is one",
  ignore: !isUnix || (Deno.uid() === 0 && !canMount),
  fn: async () => {
    const test = async (world: World, folder: string, lock: () => Promise<unknown>) => {
      await world.server();
      await lock();
      const args = ["--host", "127.0.0.1", "--port", `${world.port}`];
      const without = await world.run("client", { args, home: folder });
      assert.equal(without.code, 1);
      assert.match(
        without.stderr,
        cannotKeep("client", "identity.pem", /(Read-only file system|Permission denied)/),
      );
      assert.deepEqual(await names(folder), []);
      // Its own key is elsewhere.
      const key = `${await world.home("elsewhere")}/identity.pem`;
      const bob = await world.client("bob");
      const ann = world.start("client", {
        args: [...args, "--key", key, "--nick", "ann", "--json"],
        home: folder,
      });
      await ann.waitFor("joined");
      await ann.chat("read only");
      await bob.waitFor("chat", { text: "read only" });
      await ann.waitFor("error", { message: "the server's key cannot be remembered" });
      assert.deepEqual(await names(folder), []);
    };
    if (Deno.uid() === 0) {
      await withDisk((world, disk) =>
        test(world, disk, () => isRun("mount", "-o", "remount,ro", disk))
      );
    } else {
      await using world = await World.open(FROM_SOURCE);
      const folder = await world.emptyHome("folder");
      await test(world, folder, () => Deno.chmod(folder, 0o500));
      await Deno.chmod(folder, 0o700);
    }
  },
});

// --- Damaged and foreign files ---

Deno.test("client starts with a known_peers that is damaged, warns once, and keeps what it cannot read", async () => {
  await using world = await World.open(FROM_SOURCE);
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  assert.deepEqual(await Promise.all([ann.leave(), bob.leave()]), [0, 0]);
  const whole = await Deno.readTextFile(world.path("ann/known_peers"));
  const bob2 = await world.client("bob");
  const encoder = new TextEncoder();
  const lost: readonly Uint8Array[] = [
    whole.slice(0, -10),
    whole.replace(' known "', ' trusted "'),
    whole.replace('"bob"', '"bob" since=2025'),
    "alice ssh-rsa AAAAB3NzaC1yc2E\n",
    "\x7fELF\0\0",
  ].map((text) => encoder.encode(text)).concat(new Uint8Array(5000).fill(0xff));
  const read = ["\ufeff" + whole.replaceAll("\n", "\r\n"), whole + "# end\n"];
  const contents = [...lost, ...read.map((text) => encoder.encode(text))];
  for (const [i, content] of contents.entries()) {
    const home = await world.home(`ann${i}`);
    const path = `${home}/known_peers`;
    await Deno.writeFile(path, content, { mode: 0o600 });
    const client = await world.client(`ann${i}`);
    const isLost = i < lost.length;
    const joined = await client.waitFor("joined", { nick: "bob" });
    assert.equal(joined.trust, isLost ? "new" : "known", `${i}`);
    assert.equal(await client.leave(), 0);
    const warnings = client.all("notice").filter(({ text }) => String(text).includes(path));
    assert.equal(warnings.length, isLost ? 1 : 0, `${i}`);
    if (!isLost) continue;
    const left = await Deno.readFile(path);
    const line = content.subarray(content.indexOf(0x0a) + 1); // behind the header, or all
    const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
    assert.ok(text(left).includes(text(line).trimEnd()), `${i}`);
    assert.ok(text(left).includes(await fingerprintOf("bob")));
  }
  await bob2.leave();
});

Deno.test("client starts with settings and pins that are damaged, and trusts nothing in them", async () => {
  await using world = await World.open(FROM_SOURCE);
  await world.server();
  const other = `127.0.0.1:${world.port} SHA256:${"A".repeat(43)}`;
  const home = await world.home("ann");
  await Deno.writeTextFile(`${home}/known_servers`, `127.0.0.1:${world.port} SHA256:torn`);
  await Deno.writeTextFile(`${home}/settings.json`, '{"nick": "be');
  const ann = await world.client("ann");
  assert.equal((await ann.waitFor("connected")).server, "new");
  assert.equal(await ann.leave(), 0);
  for (const name of ["known_servers", "settings.json"]) {
    const told = ann.all("notice").filter(({ text }) => String(text).includes(`/${name}`));
    assert.equal(told.length, 1, name);
  }
  assert.equal(await Deno.readTextFile(`${home}/settings.json.damaged`), '{"nick": "be');
  assert.match(await Deno.readTextFile(`${home}/known_servers`), /SHA256:torn\n$/);
  // As an editor on Windows writes it, a pin holds.
  await Deno.writeTextFile(`${home}/known_servers`, `\ufeff# mine\r\n${other}\r\n`);
  const args = ["--host", "127.0.0.1", "--port", `${world.port}`];
  const { code, stderr } = await world.run("client", { args, home });
  assert.equal(code, 1);
  assert.match(stderr, /the key of .* has changed/);
});

Deno.test({
  name: "client keeps links to its files",
  ignore: !isUnix,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    await world.server();
    const home = await world.home("ann");
    const dotfiles = await world.emptyHome("dotfiles");
    const files = ["known_peers", "known_servers", "settings.json"];
    await Deno.writeTextFile(`${dotfiles}/settings.json`, "{}");
    for (const name of files) await Deno.symlink(`${dotfiles}/${name}`, `${home}/${name}`);
    const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
    assert.deepEqual(await Promise.all([ann.leave(), bob.leave()]), [0, 0]);
    for (const name of files) {
      assert.ok((await Deno.lstat(`${home}/${name}`)).isSymlink, name);
      assert.ok((await Deno.stat(`${dotfiles}/${name}`)).size > 10, name);
    }
  },
});

// --- Killed while writing ---

/** Makes a key in the folder, and is killed after a number of bytes of it are written. */
const KILLED_WRITER = `
import { loadKey } from ${
  JSON.stringify(new URL("../../lib/cli/key_file.ts", import.meta.url).href)
};
const [folder, left] = Deno.args;
const { write } = Deno.FsFile.prototype;
let rest = Number(left);
Deno.FsFile.prototype.write = async function (bytes) {
  const length = rest > 0 ? await write.call(this, bytes.subarray(0, rest)) : 0;
  rest -= length;
  if (rest === 0) Deno.kill(Deno.pid, "SIGKILL");
  return length;
};
await loadKey({ folder, name: "identity.pem", bits: 1024 });
Deno.kill(Deno.pid, "SIGKILL"); // after the last byte
`;

Deno.test({
  name: "loadKey() killed at any byte leaves no key or a whole one, and the next start works",
  ignore: !isUnix,
  fn: async () => {
    await using world = await World.open(FROM_SOURCE);
    const script = await world.file("writer.ts", KILLED_WRITER);
    const length = exportPrivateKey(await generateKey(1024)).length;
    const places = [0, 1, 30, length >> 1, length - 8, length + 100];
    const killAt = async (place: number) => {
      const folder = await world.emptyHome(`killed${place}`);
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const { signal } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--no-check",
          "-A",
          "--config",
          config,
          script,
          folder,
          `${place}`,
        ],
      }).output();
      assert.equal(signal, "SIGKILL");
      const whole = place > length;
      const left = await names(folder);
      assert.deepEqual(
        left.filter((name) => !name.endsWith(".new")),
        whole ? ["identity.pem"] : [],
      );
      for (const name of left) {
        const { mode } = await Deno.stat(`${folder}/${name}`);
        assert.equal(mode! & 0o077, 0, `${name} can be read by others`);
      }
      let made = 0;
      const options = { folder, name: "identity.pem", bits: 1024, progress: () => made++ } as const;
      const key = await loadKey(options);
      assert.equal(made, whole ? 0 : 1);
      assert.equal((await loadKey(options)).publicKey.bits, key.publicKey.bits);
      assert.equal(made, whole ? 0 : 1);
    };
    for (let i = 0; i < places.length; i += 2) {
      await Promise.all(places.slice(i, i + 2).map(killAt));
    }
  },
});

Deno.test("loadKey() accepts no truncated key, whatever its length", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pem = exportPrivateKey(await generateKey(1024));
    let tried = 0;
    for (let length = 0; length < pem.length - 1; length += 3) {
      await Deno.writeTextFile(`${folder}/identity.pem`, pem.slice(0, length), { mode: 0o600 });
      await assert.rejects(loadKey({ folder, name: "identity.pem" }), /identity\.pem: /);
      assert.equal((await Deno.readTextFile(`${folder}/identity.pem`)).length, length);
      tried++;
    }
    assert.ok(tried > 250);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// --- Clocks ---

const DAY_MS = 86_400_000;

/** A clock whose date jumps while its timers run on normally. */
class WrongClock extends FakeClock {
  offset = 0;
  readonly #right: FakeClock;

  constructor(right: FakeClock) {
    super();
    this.#right = right;
  }

  override now = () => this.#right.now();
  override wallTime = () => this.#right.wallTime() + this.offset;
  override after = (delay: number, action: () => void) => this.#right.after(delay, action);
  override cancel = (timer: Parameters<FakeClock["cancel"]>[0]) => this.#right.cancel(timer);
}

for (
  const [name, jump] of [["ahead", DAY_MS], ["back", -DAY_MS], ["to before 1970", -1e13]] as const
) {
  Deno.test(`Session is not affected when the computer's clock jumps ${name}`, async () => {
    await HostileRelay.use(async (relay) => {
      const clock = new WrongClock(relay.clock);
      const ann = relay.victim(10, { clock });
      const bob = relay.victim(11);
      await relay.advance(3000);
      ann.say("before");
      await relay.advance(1000);
      clock.offset = jump;
      ann.say("after");
      bob.say("answer");
      await relay.advance(60_000);
      relay.cut();
      ann.say("while cut");
      await relay.advance(60_000);
      assert.deepEqual(bob.all("chat").map(({ text }) => text), ["before", "after", "while cut"]);
      assert.deepEqual(ann.all("chat").map(({ text }) => text), ["answer"]);
      assert.equal(ann.all("disconnected").length, 1);
      const [before, after] = bob.all("chat");
      const claimed = Math.max(0, Date.parse(before!.sent) + jump);
      assert.ok(Math.abs(Date.parse(after!.sent) - claimed) < 5000);
      await relay.assertHeals();
      relay.assertNothingLost();
    });
  });
}

Deno.test("Session and relay lose nothing that was still valid after a day of sleep", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [
      typeof relay.victims[0],
      typeof relay.victims[0],
    ];
    ann.say("before");
    await relay.advance(1000);
    await relay.clock.sleep(DAY_MS);
    ann.say("after");
    await relay.advance(60_000);
    assert.deepEqual(bob.all("chat").map(({ text }) => text), ["before", "after"]);
    await relay.assertHeals();
    relay.assertNothingLost();
  });
});

// --- Too few open files ---

/** As many members as the server accepts, all with one key. */
async function crowd(port: number, isFull: () => boolean): Promise<Connection[]> {
  const key = await generateKey(1024);
  const connections: Connection[] = [];
  const enter = async () => {
    while (!isFull()) {
      const stream = await Deno.connect({ hostname: "127.0.0.1", port });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const { connection } = await openConnection(stream, {
        key,
        join: () =>
          Promise.resolve(encodeFrame({
            type: "join",
            share: new Uint8Array(32),
            room: roomTag(`crowd ${connections.length >> 5}`),
            instance: systemRandom(16),
          })),
        handlers: { onFrame: () => resolve(), onEnd: reject },
        signal: AbortSignal.timeout(2000),
      });
      await promise;
      connections.push(connection);
    }
  };
  await Promise.allSettled([enter(), enter(), enter(), enter()]); // until the server has no more files
  return connections;
}

Deno.test({
  name: "server with 256 open files reports it, keeps its members, and recovers",
  ignore: !isUnix,
  fn: async () => {
    const limited = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", ...FROM_SOURCE.server];
    await using world = await World.open({ ...FROM_SOURCE, server: limited });
    const server = await world.server(["--min-key-bits", "1024"]);
    const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
    const connections = await crowd(server.port, () => server.stderr !== "");
    assert.ok(connections.length > 150 && connections.length < 254, `${connections.length}`);
    await server.waitForText(
      "stderr",
      /^server: error: cannot accept connections for now: .*files.*\nserver: hint: .*ulimit -n\n$/,
    );
    await ann.chat("still here");
    await bob.waitFor("chat", { text: "still here" });
    for (const connection of connections) connection.abort();
    await server.waitFor("left", {}, { count: connections.length });
    const carl = await world.client("carl");
    await carl.waitFor("joined", {}, { count: 2 });
    assert.deepEqual([...ann.all("disconnected"), ...bob.all("disconnected")], []);
  },
});

/** Runs a command with its standard output on a disk that is always full. */
function onFullDisk(command: readonly string[]): string[] {
  return ["bash", "-c", 'exec "$@" >/dev/full', "bash", ...command];
}

Deno.test({
  name: "server goes on when its log cannot be written, and reports it once",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const port = freePort();
    const home = await world.home("server", { file: "server.pem" });
    const args = ["--port", String(port), "--json", "--no-announce"];
    const server = new Program("server", onFullDisk(FROM_SOURCE.server), { args, home });
    try {
      await waitForPort(port);
      const ann = await world.client("ann", { port });
      const bob = await world.client("bob", { port });
      await ann.waitFor("joined");
      await bob.chat("hello");
      await ann.waitFor("chat", { text: "hello" });
      for (const client of [ann, bob]) {
        assert.equal(await client.leave(), 0);
        assert.deepEqual(client.all("disconnected"), []);
      }
      assert.equal(await server.kill("SIGTERM"), 0);
      assert.match(server.stderr, /^server: error: the log cannot be written: [^\n]+\n$/);
    } finally {
      await server.dispose();
    }
  },
});

Deno.test({
  name: "client ends with one line when its output cannot be written",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const server = await world.server();
    const args = ["--host", "127.0.0.1", "--port", String(server.port), "--json"];
    const home = await world.home("ann");
    const client = new Program("ann", onFullDisk(FROM_SOURCE.client), { args, home });
    try {
      assert.equal(await client.ended(), 1);
      assert.match(
        client.stderr,
        /^client: error: standard output cannot be written: [^\n]+\n$/,
      );
      await server.waitFor("left", { why: "left" }); // CLOSE(0) went first
    } finally {
      await client.dispose();
    }
  },
});
