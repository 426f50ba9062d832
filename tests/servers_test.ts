import assert from "node:assert/strict";
import { UsageError } from "../lib/base/errors.ts";
import { encodeFingerprint } from "../lib/protocol/identity.ts";
import { serverAddress, ServerBook } from "../lib/session/known_servers.ts";

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

Deno.test("serverAddress() writes addresses as §8 says", () => {
  for (
    const [host, port, address] of [
      ["localhost", 40623, "localhost:40623"],
      ["Chat.Example.ORG.", 1, "chat.example.org:1"],
      ["192.168.1.20", 65535, "192.168.1.20:65535"],
      ["::1", 40623, "[::1]:40623"],
      ["FE80::1%eth0", 40623, "[fe80::1%eth0]:40623"],
      ["KÄSE.example", 7, "käse.example:7"],
    ] as const
  ) assert.equal(serverAddress(host, port), address);
});

Deno.test("serverAddress() makes no address that could end its line or begin a comment", () => {
  for (const host of ["", ".", "a b", "a\nb", "a\tb", "#a", "a\u202eb", "a\u2028b", "[::1]"]) {
    assert.throws(() => serverAddress(host, 1), RangeError, JSON.stringify(host));
  }
});

Deno.test("ServerBook pins a new address, knows it again, and refuses another key", async () => {
  await withFolder(async (folder, path) => {
    const book = await ServerBook.load(folder);
    assert.equal(book.judge("a:1", FIRST), "new");
    assert.equal(book.find("a:1"), undefined);
    await book.pin("a:1", FIRST);
    await book.pin("b:1", SECOND);
    await book.pin("b:1", SECOND);
    for (const same of [book, await ServerBook.load(folder)]) {
      assert.deepEqual(same.find("a:1"), { fingerprint: FIRST, line: 2 });
      assert.deepEqual(same.find("b:1"), { fingerprint: SECOND, line: 3 });
      assert.equal(same.judge("a:1", FIRST), "known");
      assert.equal(same.judge("b:1", FIRST), "changed");
      // At a new address the key is what counts.
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
    assert.deepEqual(lines.slice(1), [`a:1 ${FIRST}`, `b:1 ${SECOND}`, "# end", ""]);
  });
});

Deno.test("ServerBook.pin() does not replace what another process has pinned meanwhile", async () => {
  await withFolder(async (folder) => {
    const [early, late] = [await ServerBook.load(folder), await ServerBook.load(folder)];
    await early.pin("a:1", FIRST);
    assert.equal(late.judge("a:1", SECOND), "new");
    await assert.rejects(late.pin("a:1", SECOND), UsageError);
    assert.equal(late.judge("a:1", SECOND), "changed");
    assert.equal((await ServerBook.load(folder)).find("a:1")?.fingerprint, FIRST);
  });
});

Deno.test("ServerBook.forget() removes one pin and says whether there was one", async () => {
  await withFolder(async (folder) => {
    const book = await ServerBook.load(folder);
    assert.equal(await book.forget("a:1"), false);
    await book.pin("a:1", FIRST);
    await book.pin("b:1", SECOND);
    assert.equal(await book.forget("a:1"), true);
    assert.equal(await book.forget("a:1"), false);
    for (const same of [book, await ServerBook.load(folder)]) {
      assert.equal(same.find("a:1"), undefined);
      assert.deepEqual(same.find("b:1"), { fingerprint: SECOND, line: 2 });
    }
    await book.pin("a:1", SECOND);
    assert.deepEqual(book.find("a:1"), { fingerprint: SECOND, line: 3 });
  });
});

Deno.test("ServerBook keeps a pin for the run when the disk cannot be written", async () => {
  await withFolder(async (folder) => {
    const book = await ServerBook.load(folder);
    await Deno.writeTextFile(folder, "a file where the folder should be");
    await assert.rejects(book.pin("a:1", FIRST), (error) => !(error instanceof UsageError));
    assert.deepEqual(book.find("a:1"), { fingerprint: FIRST });
    assert.equal(book.judge("a:1", SECOND), "changed");
    await Deno.remove(folder);
    await book.pin("a:1", FIRST);
    assert.deepEqual((await ServerBook.load(folder)).find("a:1"), { fingerprint: FIRST, line: 2 });
  });
});

Deno.test("ServerBook.load() believes nothing of a damaged file and leaves it as it is", async () => {
  await withFolder(async (folder, path) => {
    const book = await ServerBook.load(folder);
    await book.pin("a:1", FIRST);
    await book.pin("[::1]:40623", SECOND);
    const whole = await Deno.readTextFile(path);
    const [header] = whole.split("\n");
    const bad: [content: string | Uint8Array, line?: number][] = [
      [whole.replace("# end", `a:1 ${SECOND}\n# end`), 4], // the same address twice
      [whole.replace("a:1", "a b:1"), 2],
      [whole.replace("a:1", "a"), 2],
      [whole.replace("a:1 ", "a:1  "), 2],
      [whole.replace("\n", "\n\n"), 2],
      [whole.replace(FIRST, FIRST.slice(0, -1)), 2],
      [whole.replace(FIRST, FIRST.slice(0, -1) + "F"), 2], // spare bits that are not zero
      [whole.replace("# end", "# end\n# end"), 4],
      [whole.replaceAll("\n", "\r\n"), 1],
      ["\ufeff" + whole, 1],
      [`localhost ssh-rsa AAAA\n`, 1],
      [new Uint8Array([0xff, 0xfe, 0x0a])],
    ];
    for (let length = 0; length < whole.length; length++) bad.push([whole.slice(0, length)]);
    for (const [content, line] of bad) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(path, bytes);
      const isNamed = (error: unknown) => {
        assert.ok(error instanceof UsageError, String(content));
        assert.ok(error.message.includes(path));
        if (line !== undefined) assert.ok(error.message.endsWith(`line ${line}`), error.message);
        return true;
      };
      await assert.rejects(ServerBook.load(folder), isNamed);
      await assert.rejects(book.pin("c:1", FIRST), isNamed);
      await assert.rejects(book.forget("a:1"), isNamed);
      assert.deepEqual(await Deno.readFile(path), bytes);
    }
    assert.ok(header?.startsWith("#"));
  });
});
