/** One's own history on a disk that is full, under a key that is lost or locked, and by programs that are killed. */

import assert from "node:assert/strict";
import { importPrivateKey } from "../../lib/protocol/identity.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { findHistoryKey, readLogs } from "../../lib/session/history/mod.ts";
import { Chats, enter, see } from "../support/chats.ts";
import { FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";
import { canMount, fill, isRun, withDisk } from "../support/small_disk.ts";
import { tmuxMissing } from "../support/tmux.ts";

await cipherReady();

/** The logs of all rooms in a state folder. */
async function logs(home: string): Promise<Deno.FileInfo[]> {
  const found: Deno.FileInfo[] = [];
  const walk = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = `${folder}/${name}`;
      if (isDirectory) await walk(path);
      else if (name.endsWith(".log")) found.push(await Deno.stat(path));
    }
  };
  await walk(`${home}/history`).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  return found;
}

/** The texts that `client history` prints, or its outcome. */
async function kept(world: World, home: string): Promise<string[]> {
  const { stdout } = await world.run("client", { args: ["history", "--json"], home });
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line).text);
}

/** Has a program read its log, which writes what waits before. */
async function readLog(program: Program, ref: string): Promise<void> {
  await program.say({ type: "history", limit: 1, ref });
  await program.waitFor("history", { ref });
}

Deno.test({
  name: "a history on a disk that is full says so once, and what waits is kept when it is free",
  ignore: !canMount,
  fn: () =>
    withDisk(async (world, disk) => {
      await world.server();
      await world.home("disk"); // the key is there
      const [anna, bob] = await Promise.all([
        world.client("anna", { home: "disk", args: ["--history"] }),
        world.client("bob"),
      ]);
      await Promise.all([anna, bob].map((client) => client.waitFor("joined")));
      await bob.chat("before");
      await anna.waitFor("chat", { text: "before" });
      await poll(
        async () => (await kept(world, disk)).length === 1,
        () => `a log of ${anna.describe()}`,
      );
      await fill(disk);
      const long = Array.from({ length: 40 }, (_, i) => `${i} ${"long ".repeat(40)}`);
      await bob.chat(...long);
      await anna.waitFor("chat", { text: long.at(-1) });
      const faults = () =>
        anna.all("notice").filter(({ text }) => /^history cannot be written: /.test(`${text}`));
      await poll(() => faults().length > 0, () => anna.describe());
      assert.match(`${faults()[0]!.text}`, /No space left on device/);
      for (let i = 0; i < 8; i++) await readLog(anna, `${i}`); // each time it is tried again
      assert.equal(faults().length, 1);
      assert.ok((await logs(disk)).length <= 2, "no litter on a disk that is full");
      await anna.chat("all the same");
      await bob.waitFor("chat", { text: "all the same" });
      assert.deepEqual(await kept(world, disk), ["before"]);

      const all = ["before", ...long, "all the same"];
      await Deno.remove(`${disk}/filler`);
      await readLog(anna, "free");
      assert.deepEqual(await kept(world, disk), all);
      assert.equal(await anna.leave(), 0);
      assert.deepEqual(await kept(world, disk), all);
      assert.equal(faults().length, 1);
    }),
});

Deno.test({
  name: "a history on a disk that has become read-only says so once, and shows what was kept",
  ignore: !canMount,
  fn: () =>
    withDisk(async (world, disk) => {
      await world.server();
      await world.home("disk");
      const start = () => world.client("anna", { home: "disk", args: ["--history"] });
      const [first, bob] = await Promise.all([start(), world.client("bob")]);
      await first.waitFor("joined");
      await bob.waitFor("joined");
      await bob.chat("before");
      await first.waitFor("chat", { text: "before" });
      assert.equal(await first.leave(), 0);
      assert.ok(await isRun("mount", "-o", "remount,ro", disk));
      const anna = await start();
      await anna.waitFor("joined");
      await bob.waitFor("joined", {}, { count: 2 });
      await bob.chat("after");
      await anna.waitFor("chat", { text: "after" });
      for (let i = 0; i < 3; i++) await readLog(anna, `${i}`);
      assert.equal(anna.all("history").length, 4);
      const faults = anna.all("notice").filter(({ text }) => /^history cannot/.test(`${text}`));
      assert.deepEqual(faults.map(({ text }) => /Read-only file system/.test(`${text}`)), [true]);
      assert.deepEqual(await kept(world, disk), ["before"]);
      assert.equal(await anna.leave(), 0);
    }),
});

Deno.test("a key of somebody else is told and left as it is; a lost one gives nothing, and another begins", async () => {
  await using world = await World.open(FROM_SOURCE);
  await world.server();
  const keyOf = async (name: string) => {
    const home = await world.home(name);
    const names = await Array.fromAsync(Deno.readDir(home), ({ name }) => name);
    return `${home}/${names.find((name) => /^history-.*\.key$/.test(name))}`;
  };
  const hear = async (texts: readonly string[]) => {
    const anna = await world.client("anna", { args: ["--history"] });
    await anna.waitFor("joined");
    await bob.waitFor("joined", { nick: "anna" }, { count: ++starts });
    for (const text of texts) {
      await bob.chat(text);
      await anna.waitFor("chat", { text });
    }
    assert.equal(await anna.leave(), 0);
    return anna;
  };
  let starts = 0;
  const bob = await world.client("bob", { args: ["--history"] });
  await bob.waitFor("welcome");
  await hear(["one"]);
  const home = await world.home("anna");
  assert.deepEqual(await kept(world, home), ["one"]);

  const path = await keyOf("anna");
  const [own, foreign] = await Promise.all(
    [path, await keyOf("bob")].map((it) => Deno.readFile(it)),
  );
  await Deno.writeFile(path, foreign!);
  const without = await hear(["two"]);
  const [told, ...more] = without.all("notice").filter(({ text }) => /history/.test(`${text}`));
  assert.match(`${told!.text}`, /^no history is kept: \S+\.key: damaged, or of another identity/);
  assert.deepEqual(more, []);
  assert.deepEqual(without.all("history"), []);
  assert.deepEqual(await Deno.readFile(path), foreign);
  const printed = await world.run("client", { args: ["history"], home });
  assert.deepEqual([printed.code, printed.stdout], [1, ""]);
  assert.ok(printed.stderr.includes(path), printed.stderr);

  await Deno.remove(path);
  assert.deepEqual(await kept(world, home), []);
  const again = await hear(["three"]);
  assert.deepEqual(again.all("history"), []);
  assert.deepEqual(await kept(world, home), ["three"]);
  await Deno.writeFile(path, own!);
  assert.deepEqual(await kept(world, home), ["one"]);
  const forgotten = await world.run("client", { args: ["history", "--forget"], home });
  assert.equal(forgotten.code, 0, forgotten.stderr);
  assert.deepEqual(await logs(home), []);
});

/** Starts a writer of a history, waits until it has told `told` times what is on the disk, and kills it `afterMs` later. */
async function killWriter(
  args: readonly string[],
  { told, afterMs }: { told: number; afterMs: number },
): Promise<number> {
  const script = new URL("../support/history_writer.ts", import.meta.url).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-lock", script, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let [output, isKilled] = ["", false];
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (isKilled || output.split("\n").length <= told) continue;
    isKilled = true;
    setTimeout(() => process.kill("SIGKILL"), afterMs);
  }
  assert.equal((await process.status).signal, "SIGKILL");
  return Number(output.split("\n").at(-2)); // the last whole line
}

Deno.test("processes that are killed as they write leave nothing torn, and nothing of what they had written out", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const keyFile = new URL("../vectors/keys/pkcs8.pem", import.meta.url);
    const identity = await importPrivateKey(await Deno.readTextFile(keyFile));
    const written = new Map<string, number>();
    // Two at once, since they share a key, a folder and the locks.
    for (let round = 0; round < 18; round++) {
      await Promise.all(["a", "b"].map(async (which, i) => {
        const name = `${which}${round}`;
        const told = 1 + (round * 7 + i * 3) % 12;
        const args = [folder, keyFile.pathname, name];
        written.set(name, await killWriter(args, { told, afterMs: (round * 3 + i) % 8 }));
      }));
      const key = (await findHistoryKey(folder, identity))!;
      const room = key.roomFolder(new Uint8Array(32), new Uint8Array(32));
      const found = new Map<string, number[]>();
      for (const entry of await readLogs(room, key.key)) {
        const [name, number] = entry.decode().text.split(" ") as [string, string];
        found.set(name, [...found.get(name) ?? [], Number(number)]);
      }
      for (const [name, count] of written) {
        const numbers = found.get(name)!;
        assert.deepEqual(numbers, numbers.map((_, i) => i), `in order, once and without a gap`);
        assert.ok(numbers.length >= count, `${name}: ${numbers.length} of ${count}`);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const noTmux = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();

Deno.test({
  name: `an identity with a passphrase asks for it once, with a history, too${
    noTmux === undefined ? "" : ` (skipped: ${noTmux})`
  }`,
  ignore: noTmux !== undefined,
  fn: async () => {
    await using chats = await Chats.open();
    await chats.world.server();
    const bob = await chats.world.client("bob");
    await bob.waitFor("welcome");
    const locked = new URL("../vectors/keys/pbes2_scrypt.pem", import.meta.url);
    await chats.world.emptyHome("anna");
    await chats.world.file("anna/identity.pem", await Deno.readTextFile(locked));
    const read = [...FROM_SOURCE.client, "history"].join(" ");
    const anna = await chats.start("anna", {
      args: ["--history"],
      shell: `CLIENT; clear; ${read}; echo "exit $?"; cat`,
    });
    const unlock = async () => {
      await see(anna, /^Passphrase of /);
      await enter(anna, "pässwörd");
    };
    await unlock();
    await see(anna, /^anna> /);
    await bob.waitFor("joined", { nick: "anna" });
    await bob.chat("hello");
    await see(anna, /bob.*hello/);
    await enter(anna, "/history 1");
    await anna.waitFor((rows) => rows.filter((row) => /bob.*hello/.test(row)).length === 2, "it");
    await see(anna, /^anna> ‸$/); // and not a question again
    await anna.press("C-d");
    await unlock();
    await see(anna, /^exit 0$/);
    await see(anna, /^\d\d:\d\d bob: hello$/);
  },
});
