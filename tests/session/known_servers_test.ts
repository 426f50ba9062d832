import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";

const FIRST = encodeFingerprint(new Uint8Array(32).fill(1));
const SECOND = encodeFingerprint(new Uint8Array(32).fill(2));

async function withFolder(action: (folder: string, path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await action(`${folder}/state`, `${folder}/state/known_servers`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("KnownServers pins a new address, knows it again, and refuses another key", async () => {
  await withFolder(async (folder, path) => {
    const servers = await KnownServers.load(folder);
    assert.equal(servers.judge("a:1", FIRST), "new");
    assert.equal(servers.find("a:1"), undefined);
    await servers.pin("a:1", FIRST);
    await servers.pin("b:1", SECOND);
    await servers.pin("b:1", SECOND);
    for (const same of [servers, await KnownServers.load(folder)]) {
      assert.deepEqual(same.find("a:1"), { fingerprint: FIRST, line: 2 });
      assert.deepEqual(same.find("b:1"), { fingerprint: SECOND, line: 3 });
      assert.equal(same.judge("a:1", FIRST), "known");
      assert.equal(same.judge("b:1", FIRST), "changed");
      // At a new address the key decides.
      assert.equal(same.judge("c:1", FIRST), "known");
      await assert.rejects(same.pin("b:1", FIRST), (error) => {
        assert.ok(error instanceof UsageError);
        for (const part of ["b:1", FIRST, SECOND, path, "line 3"]) {
          assert.ok(error.message.includes(part), part);
        }
        assert.ok(error.hints.some((hint) => hint.includes("client forget b:1")));
        return true;
      });
    }
    const lines = (await Deno.readTextFile(path)).split("\n");
    assert.deepEqual(lines.slice(1), [`a:1 ${FIRST}`, `b:1 ${SECOND}`, ""]);
  });
});

Deno.test("KnownServers.pin() does not replace a pin that another process has made meanwhile", async () => {
  await withFolder(async (folder) => {
    const [early, late] = [await KnownServers.load(folder), await KnownServers.load(folder)];
    await early.pin("a:1", FIRST);
    assert.equal(late.judge("a:1", SECOND), "new");
    await assert.rejects(late.pin("a:1", SECOND), UsageError);
    assert.equal(late.judge("a:1", SECOND), "changed");
    assert.equal((await KnownServers.load(folder)).find("a:1")?.fingerprint, FIRST);
  });
});

Deno.test("KnownServers.forget() removes one pin and returns whether there was one", async () => {
  await withFolder(async (folder) => {
    const servers = await KnownServers.load(folder);
    assert.equal(await servers.forget("a:1"), false);
    await servers.pin("a:1", FIRST);
    await servers.pin("b:1", SECOND);
    assert.equal(await servers.forget("a:1"), true);
    assert.equal(await servers.forget("a:1"), false);
    for (const same of [servers, await KnownServers.load(folder)]) {
      assert.equal(same.find("a:1"), undefined);
      assert.deepEqual(same.find("b:1"), { fingerprint: SECOND, line: 2 });
    }
    await servers.pin("a:1", SECOND);
    assert.deepEqual(servers.find("a:1"), { fingerprint: SECOND, line: 3 });
  });
});

Deno.test("KnownServers keeps a pin in memory when the disk cannot be written", async () => {
  await withFolder(async (folder) => {
    const servers = await KnownServers.load(folder);
    await Deno.writeTextFile(folder, "a file where the folder should be");
    await assert.rejects(servers.pin("a:1", FIRST), (error) => !(error instanceof UsageError));
    assert.deepEqual(servers.find("a:1"), { fingerprint: FIRST });
    assert.equal(servers.judge("a:1", SECOND), "changed");
    await Deno.remove(folder);
    await servers.pin("a:1", FIRST);
    assert.deepEqual((await KnownServers.load(folder)).find("a:1"), {
      fingerprint: FIRST,
      line: 2,
    });
  });
});

Deno.test("KnownServers keeps lines that it cannot read, says which, and trusts nothing in them", async () => {
  await withFolder(async (folder, path) => {
    const servers = await KnownServers.load(folder);
    await servers.pin("a:1", FIRST);
    await servers.pin("[::1]:40623", SECOND);
    const whole = await Deno.readTextFile(path);
    const bad: [line: string, number?: number][] = [
      [`a:1 ${SECOND}`, 4], // the same address twice: the first counts
      [`a b:1 ${FIRST}`],
      [`a ${FIRST}`],
      [`b:1  ${FIRST}`],
      [`b:1 ${FIRST.slice(0, -1)}`],
      [`b:1 ${FIRST.slice(0, -1)}F`], // spare bits are not zero
      ["localhost ssh-rsa AAAA"],
      ["\0\x7fELF"],
    ];
    for (const [line] of bad) {
      await Deno.writeTextFile(path, `${whole}${line}\n# a comment\n`);
      const read = await KnownServers.load(folder);
      assert.equal(
        read.warning,
        `${path}: line 4 not understood or in conflict with earlier ones: skipped`,
      );
      assert.equal(read.judge("a:1", FIRST), "known");
      assert.equal(read.judge("a:1", SECOND), "changed");
      assert.equal(read.find("b:1"), undefined);
      await read.pin("c:1", FIRST);
      assert.equal(await read.forget("a:1"), true);
      const lines = (await Deno.readTextFile(path)).split("\n");
      assert.deepEqual(lines.slice(1), [
        `[::1]:40623 ${SECOND}`,
        `c:1 ${FIRST}`,
        line,
        "# a comment",
        "",
      ]);
    }
  });
});

Deno.test("KnownServers reads what editors on Windows write, and a file torn at any byte", async () => {
  await withFolder(async (folder, path) => {
    const servers = await KnownServers.load(folder);
    await servers.pin("a:1", FIRST);
    await servers.pin("b:1", SECOND);
    const whole = await Deno.readTextFile(path);
    const windows = "\ufeff" + whole.replaceAll("\n", "\r\n");
    for (const content of [windows, whole.trimEnd(), whole + "# end\n", "\n" + whole]) {
      await Deno.writeTextFile(path, content);
      const read = await KnownServers.load(folder);
      assert.equal(read.warning, undefined);
      assert.equal(read.judge("a:1", SECOND), "changed");
      assert.equal(read.judge("b:1", FIRST), "changed");
    }
    for (let length = 0; length <= whole.length; length++) {
      await Deno.writeTextFile(path, whole.slice(0, length));
      const read = await KnownServers.load(folder);
      if (length > whole.indexOf("b:1")) assert.equal(read.judge("a:1", SECOND), "changed");
      await read.pin("c:1", SECOND);
      const again = await KnownServers.load(folder);
      assert.equal(again.find("c:1")?.fingerprint, SECOND);
      if (length > whole.indexOf("b:1")) assert.equal(again.judge("a:1", SECOND), "changed");
    }
  });
});

Deno.test("KnownServers.expect() makes one key known and refuses any other", async () => {
  await withFolder(async (folder) => {
    const book = await KnownServers.load(folder);
    book.expect("a:1", { start: FIRST, source: "invitation" });
    assert.equal(book.judge("a:1", FIRST), "known");
    assert.equal(book.judge("a:1", SECOND), "changed");
    assert.equal(book.judge("b:1", FIRST), "new");
    await assert.rejects(book.pin("a:1", SECOND), UsageError);
    const { message, hints } = book.changedKey("a:1", SECOND);
    for (const part of ["a:1", FIRST, SECOND, "invitation"]) assert.ok(message.includes(part));
    assert.ok(hints.length > 0 && !hints.join().includes("forget"));
    await book.pin("a:1", FIRST);
    assert.equal((await KnownServers.load(folder)).find("a:1")?.fingerprint, FIRST);

    // The start of one, as it is announced, makes no key known.
    book.expect("c:1", { start: SECOND.slice(0, 23), source: "announcement" });
    assert.equal(book.judge("c:1", SECOND), "new");
    assert.equal(book.judge("c:1", FIRST), "changed");

    // What is pinned already stays so.
    book.expect("a:1", { start: SECOND, source: "invitation" });
    assert.equal(book.judge("a:1", SECOND), "changed");
    assert.match(book.changedKey("a:1", SECOND).message, /line 2/);
  });
});

Deno.test("KnownServers.knows() compares keys, not addresses", async () => {
  await withFolder(async (folder) => {
    const book = await KnownServers.load(folder);
    assert.equal(book.knows(FIRST), false);
    await book.pin("a:1", FIRST);
    for (const start of [FIRST, FIRST.slice(0, 23)]) assert.equal(book.knows(start), true);
    assert.equal(book.knows(SECOND.slice(0, 23)), false);
  });
});
