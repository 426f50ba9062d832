import assert from "node:assert/strict";
import { BELL_MODES, TIMESTAMP_MODES } from "../../lib/ui/commands.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { loadSettings, saveSettings } from "../../lib/ui/settings.ts";

async function withFolder(action: (folder: string, path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await action(`${folder}/state`, `${folder}/state/settings.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("saveSettings() keeps what it does not change, and loadSettings() reads it", async () => {
  await withFolder(async (folder, path) => {
    assert.deepEqual(await loadSettings(folder), {});
    await saveSettings(folder, { nick: "alice" });
    for (const bell of BELL_MODES) await saveSettings(folder, { bell });
    for (const timestamp of TIMESTAMP_MODES) await saveSettings(folder, { timestamp });
    await saveSettings(folder, { quiet: true });
    const all = { nick: "alice", bell: "all", timestamp: "date", quiet: true };
    assert.deepEqual(await loadSettings(folder), all);
    await saveSettings(folder, { quiet: false });
    assert.deepEqual(await loadSettings(folder), { ...all, quiet: false });
    assert.ok((await Deno.readTextFile(path)).endsWith("}\n"));
  });
});

Deno.test("saveSettings() keeps fields of other versions", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(
      path,
      `{"future": {"a": [1]}, "__proto__": {"quiet": 1}, "nick": "a"}`,
    );
    await saveSettings(folder, { nick: "b" });
    assert.equal(
      JSON.stringify(JSON.parse(await Deno.readTextFile(path))),
      `{"future":{"a":[1]},"__proto__":{"quiet":1},"nick":"b"}`,
    );
    assert.equal((await loadSettings(folder)).quiet, undefined);
  });
});

Deno.test("saveSettings() loses nothing of what is saved at the same time", async () => {
  await withFolder(async (folder) => {
    await Promise.all([
      saveSettings(folder, { nick: "alice" }),
      saveSettings(folder, { bell: "off" }),
      saveSettings(folder, { timestamp: "off" }),
      saveSettings(folder, { quiet: true }),
    ]);
    const all = { nick: "alice", bell: "off", timestamp: "off", quiet: true };
    assert.deepEqual(await loadSettings(folder), all);
  });
});

Deno.test("loadSettings() refuses a bad file, and saveSettings() does not write over it", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    for (
      const content of [
        "",
        "{",
        "null",
        "[]",
        `"nick"`,
        `{"nick": 1}`,
        `{"nick": null}`,
        `{"nick": ""}`,
        `{"nick": "two words"}`,
        `{"nick": "\\u202ebob"}`,
        `{"bell": "loud"}`,
        `{"bell": ["all"]}`,
        `{"quiet": "true"}`,
        `{"timestamp": true}`,
      ]
    ) {
      await Deno.writeTextFile(path, content);
      for (const attempt of [loadSettings, saveSettings]) {
        await assert.rejects(attempt(folder, { quiet: true }), (error) => {
          assert.ok(error instanceof UsageError, content);
          assert.ok(error.message.startsWith(path));
          return true;
        });
      }
      assert.equal(await Deno.readTextFile(path), content);
    }
    await Deno.writeFile(path, new Uint8Array([0x22, 0xff, 0x22]));
    await assert.rejects(loadSettings(folder), UsageError);
  });
});
