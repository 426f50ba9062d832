import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import {
  appendToFile,
  cannotRead,
  checkLocks,
  makeFolder,
  stateFolder,
  withLock,
  writeFileAtomically,
} from "../../lib/base/files.ts";

const unix = Deno.build.os !== "windows";
const filesModule = new URL("../../lib/base/files.ts", import.meta.url).href;
const config = new URL("../../deno.json", import.meta.url).pathname;

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  const entries = [];
  for await (const entry of Deno.readDir(folder)) entries.push(entry.name);
  return entries.sort();
}

async function mode(path: string): Promise<number> {
  return (await Deno.stat(path)).mode! & 0o777;
}

/** Runs a program that has lib/base/files.ts as `files`, and ends it if it still runs. */
async function withProgram(
  code: string,
  action: (program: Deno.ChildProcess) => Promise<void>,
): Promise<void> {
  const program = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", config, `import * as files from "${filesModule}";\n${code}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    await action(program);
  } finally {
    try {
      program.kill("SIGKILL");
    } catch (error) {
      assert(error instanceof TypeError, "only because it has ended already");
    }
    await program.status;
    await program.stdout.cancel().catch(() => {});
  }
}

async function readLine(program: Deno.ChildProcess): Promise<string> {
  const reader = program.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value).trim();
}

Deno.test("writeFileAtomically() creates a file, replaces it, and leaves no temporary file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/settings.json`;
    await writeFileAtomically(path, "é\n");
    assert.deepEqual(await Deno.readFile(path), new Uint8Array([0xc3, 0xa9, 10]));
    await writeFileAtomically(path, new Uint8Array([1, 2, 3]));
    assert.deepEqual(await Deno.readFile(path), new Uint8Array([1, 2, 3]));
    await writeFileAtomically(path, "");
    assert.equal((await Deno.stat(path)).size, 0);
    const large = crypto.getRandomValues(new Uint8Array(65536));
    await writeFileAtomically(path, large);
    assert.deepEqual(await Deno.readFile(path), large);
    assert.deepEqual(await names(folder), ["settings.json"]);
  }));

Deno.test({
  name: "writeFileAtomically() gives the file the mode asked for, 0600 by default, whatever it had",
  ignore: !unix,
  fn: () =>
    inFolder(async (folder) => {
      const path = `${folder}/a`;
      await Deno.writeTextFile(path, "old", { mode: 0o644 });
      await writeFileAtomically(path, "new");
      assert.equal(await mode(path), 0o600);
      await writeFileAtomically(path, "new", { mode: 0o400 });
      assert.equal(await mode(path), 0o400);
    }),
});

Deno.test("writeFileAtomically() keeps the old file and removes the temporary one when it fails", () =>
  inFolder(async (folder) => {
    // A folder cannot be replaced by a file: the rename is what fails.
    await Deno.mkdir(`${folder}/a`);
    await Deno.writeTextFile(`${folder}/a/b`, "kept");
    await assert.rejects(writeFileAtomically(`${folder}/a`, "new"));
    assert.deepEqual(await names(folder), ["a"]);
    assert.equal(await Deno.readTextFile(`${folder}/a/b`), "kept");
    await assert.rejects(writeFileAtomically(`${folder}/missing/a`, "new"), Deno.errors.NotFound);
  }));

Deno.test("writeFileAtomically() never shows a part, and killing the writer leaves the old or the new content", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    const size = 1_000_000;
    const isWhole = (content: Uint8Array) =>
      content.length === size && content.every((byte) => byte === content[0]);
    await writeFileAtomically(path, new Uint8Array(size).fill(1));
    const code = `console.log("begun");
      for (let i = 2;; i = i % 250 + 1) {
        await files.writeFileAtomically(${JSON.stringify(path)}, new Uint8Array(${size}).fill(i));
      }`;
    for (let kills = 0; kills < 3; kills++) {
      await withProgram(code, async (program) => {
        assert.equal(await readLine(program), "begun");
        for (let reads = 0; reads < 20; reads++) assert(isWhole(await Deno.readFile(path)));
        program.kill("SIGKILL");
        await program.status;
        assert(isWhole(await Deno.readFile(path)));
      });
    }
  }));

Deno.test({
  name: "writeFileAtomically() writes through links, also to a file that does not exist yet",
  ignore: !unix,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/a`);
      await Deno.mkdir(`${folder}/b`);
      await Deno.writeTextFile(`${folder}/b/target`, "old");
      await Deno.symlink("../b/target", `${folder}/a/link`);
      await Deno.symlink(`${folder}/a/link`, `${folder}/a/second`);
      await Deno.symlink("../b/missing", `${folder}/a/dangling`);
      for (
        const [link, target] of [["link", "target"], ["second", "target"], ["dangling", "missing"]]
      ) {
        await writeFileAtomically(`${folder}/a/${link}`, `by ${link}`);
        assert.ok((await Deno.lstat(`${folder}/a/${link}`)).isSymlink);
        assert.equal(await Deno.readTextFile(`${folder}/b/${target}`), `by ${link}`);
      }
      assert.deepEqual(await names(`${folder}/b`), ["missing", "target"]);
      await withLock(`${folder}/a/second`, () => Promise.resolve());
      assert.deepEqual(await names(`${folder}/b`), ["missing", "target", "target.lock"]);
    }),
});

Deno.test("appendToFile() appends, and needs the file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    await assert.rejects(appendToFile(path, "x"), Deno.errors.NotFound);
    await Deno.writeTextFile(path, "é");
    await appendToFile(path, "ü\n");
    assert.equal(await Deno.readTextFile(path), "éü\n");
  }));

Deno.test("withLock() and checkLocks() say what to do where the file system has no locks", () =>
  inFolder(async (folder) => {
    const { lock } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.lock = () =>
      Promise.reject(new Error("No locks available (os error 37)"));
    try {
      await Deno.writeTextFile(`${folder}/b`, "");
      for (
        const [name, attempt] of [
          ["a.lock", () => withLock(`${folder}/a`, () => Promise.resolve())],
          ["b", () => checkLocks(`${folder}/b`)],
        ] as const
      ) {
        await assert.rejects(attempt(), (error) => {
          assert.ok(error instanceof UsageError);
          assert.ok(error.message.startsWith(`${folder}/${name}: cannot be locked: No locks`));
          assert.match(error.hints[0]!, /HEARTH_HOME/);
          return true;
        });
      }
    } finally {
      Deno.FsFile.prototype.lock = lock;
    }
    await checkLocks(`${folder}/b`);
  }));

Deno.test("withLock() runs one action at a time in a process, and returns its result", () =>
  inFolder(async (folder) => {
    let running = 0;
    const action = async (result: number) => {
      assert.equal(++running, 1);
      await Deno.stat(folder);
      await new Promise((done) => setTimeout(done, 1));
      running--;
      return result;
    };
    const results = await Promise.all(
      [1, 2, 3, 4].map((result) => withLock(`${folder}/a`, () => action(result))),
    );
    assert.deepEqual(results, [1, 2, 3, 4]);
    if (unix) assert.equal(await mode(`${folder}/a.lock`), 0o600);
  }));

Deno.test("withLock() passes errors on and releases the lock", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    await assert.rejects(withLock(path, () => Promise.reject(new Error("mine"))), /^Error: mine$/);
    assert.equal(await withLock(path, () => Promise.resolve(7)), 7);
    await assert.rejects(
      withLock(`${folder}/missing/a`, () => Promise.resolve()),
      Deno.errors.NotFound,
    );
  }));

Deno.test("withLock() excludes other processes until its holder ends, even if killed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    const code = `await files.withLock(${JSON.stringify(path)}, async () => {
      console.log("held");
      await new Promise((done) => setTimeout(done, 600_000));
    });`;
    await withProgram(code, async (program) => {
      assert.equal(await readLine(program), "held");
      let taken = false;
      const taking = withLock(path, () => {
        taken = true;
        return Promise.resolve();
      });
      // Time enough for a lock that does not hold: opening and locking takes one such turn.
      for (let turn = 0; turn < 100; turn++) await Deno.stat(folder);
      assert.equal(taken, false);
      program.kill("SIGKILL");
      await taking;
      assert.equal(taken, true);
    });
  }));

Deno.test("withLock() loses no update of processes that read, append and write concurrently", () =>
  inFolder(async (folder) => {
    const path = `${folder}/count`;
    await writeFileAtomically(path, "0");
    const each = 25;
    const code = `const path = ${JSON.stringify(path)};
      for (let i = 0; i < ${each}; i++) {
        await files.withLock(path, async () => {
          await files.writeFileAtomically(path, String(Number(await Deno.readTextFile(path)) + 1));
        });
      }`;
    await Promise.all([1, 2].map(() =>
      withProgram(code, async (program) => {
        assert.equal((await program.status).code, 0);
      })
    ));
    assert.equal(await Deno.readTextFile(path), String(2 * each));
    assert.deepEqual(await names(folder), ["count", "count.lock"]);
  }));

Deno.test("stateFolder() prefers HEARTH_HOME, then XDG_CONFIG_HOME, then the home folder", () => {
  const cases: [Record<string, string>, string, string][] = [
    [{ HEARTH_HOME: "/h", XDG_CONFIG_HOME: "/x", HOME: "/home/a" }, "linux", "/h"],
    [{ HEARTH_HOME: "", XDG_CONFIG_HOME: "/x", HOME: "/home/a" }, "linux", "/x/hearth"],
    [{ XDG_CONFIG_HOME: "", HOME: "/home/a" }, "linux", "/home/a/.config/hearth"],
    // A relative one is ignored.
    ...["config", "./x", "../x", "~/.config"].map((config): typeof cases[number] => [
      { XDG_CONFIG_HOME: config, HOME: "/home/a" },
      "linux",
      "/home/a/.config/hearth",
    ]),
    [{ XDG_CONFIG_HOME: "x", APPDATA: "C:\\A" }, "windows", "C:\\A\\hearth"],
    [{ HOME: "/Users/a" }, "darwin", "/Users/a/.config/hearth"],
    [{ HOME: "/home/a", APPDATA: "C:\\A" }, "linux", "/home/a/.config/hearth"],
    [{ HOME: "/home/a", APPDATA: "C:\\A" }, "windows", "C:\\A\\hearth"],
    [{ XDG_CONFIG_HOME: "C:\\x", APPDATA: "C:\\A" }, "windows", "C:\\x\\hearth"],
    [{ HEARTH_HOME: "C:\\h", APPDATA: "C:\\A" }, "windows", "C:\\h"],
  ];
  for (const [env, os, folder] of cases) {
    assert.equal(stateFolder((name) => env[name], os), folder);
  }
  assert.throws(() => stateFolder(() => undefined, "linux"), UsageError);
  assert.throws(() => stateFolder(() => "", "windows"), UsageError);
});

Deno.test("makeFolder() creates all folders with mode 0700 and leaves existing ones as they are", () =>
  inFolder(async (folder) => {
    await makeFolder(`${folder}/a/b`);
    if (unix) {
      assert.equal(await mode(`${folder}/a`), 0o700);
      assert.equal(await mode(`${folder}/a/b`), 0o700);
      await Deno.chmod(`${folder}/a/b`, 0o755);
    }
    await Deno.writeTextFile(`${folder}/a/b/c`, "kept");
    await makeFolder(`${folder}/a/b`);
    if (unix) assert.equal(await mode(`${folder}/a/b`), 0o755);
    assert.equal(await Deno.readTextFile(`${folder}/a/b/c`), "kept");
    await assert.rejects(makeFolder(`${folder}/a/b/c`));
  }));

Deno.test("cannotRead() hints at permissions where it is about permissions", () => {
  const hints = (error: Error) => cannotRead("operators", error).hints.join();
  assert.match(
    hints(new Deno.errors.PermissionDenied("denied")),
    /permissions, and those of the folders/,
  );
  assert.match(hints(new Deno.errors.NotADirectory("not a directory")), /HEARTH_HOME/);
  assert.equal(hints(new Deno.errors.NotFound("none")), "");
});
