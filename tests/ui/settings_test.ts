import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import {
  BELL_MODES,
  describeSetting,
  loadSettings,
  parseSetting,
  saveSettings,
  type ScreenSettings,
  SETTING_NAMES,
  type Settings,
  TIMESTAMP_MODES,
  withDefaults,
} from "../../lib/ui/settings.ts";
import { addHome, type RoomHome } from "../../lib/session/recorder.ts";
import { readProject } from "../support/project.ts";

async function withFolder(action: (folder: string, path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await action(`${folder}/state`, `${folder}/state/settings.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("saveSettings() keeps other settings, and loadSettings() reads all", async () => {
  await withFolder(async (folder, path) => {
    assert.deepEqual(await loadSettings(folder), { settings: {}, warning: undefined });
    await saveSettings(folder, { nick: "alice" });
    for (const bell of BELL_MODES) await saveSettings(folder, { bell });
    for (const timestamp of TIMESTAMP_MODES) await saveSettings(folder, { timestamp });
    await saveSettings(folder, { quiet: true });
    const all = { nick: "alice", bell: "all", timestamp: "date", quiet: true };
    assert.deepEqual((await loadSettings(folder)).settings, all);
    await saveSettings(folder, { quiet: false });
    assert.deepEqual((await loadSettings(folder)).settings, { ...all, quiet: false });
    assert.ok((await Deno.readTextFile(path)).endsWith("}\n"));
  });
});

Deno.test("saveSettings() keeps unknown fields", async () => {
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
    assert.equal((await loadSettings(folder)).settings.quiet, undefined);
  });
});

Deno.test("saveSettings() loses nothing that is saved at the same time", async () => {
  await withFolder(async (folder) => {
    await Promise.all([
      saveSettings(folder, { nick: "alice" }),
      saveSettings(folder, { bell: "off" }),
      saveSettings(folder, { timestamp: "off" }),
      saveSettings(folder, { quiet: true }),
    ]);
    const all = { nick: "alice", bell: "off", timestamp: "off", quiet: true };
    assert.deepEqual((await loadSettings(folder)).settings, all);
  });
});

Deno.test("saveSettings() may change what the file has by then: two programs lose no room of each other", async () => {
  await withFolder(async (folder) => {
    const fingerprint = `SHA256:${"A".repeat(43)}`;
    const home = (room: string): RoomHome => (
      { room: room.repeat(64), home: fingerprint, relays: [fingerprint], keep: "on" }
    );
    const add = (room: string) => ({ history = [] }: Settings) => ({
      history: addHome(history, home(room)),
    });
    await Promise.all(["a", "b", "a"].map((room) => saveSettings(folder, add(room))));
    const { settings, warning } = await loadSettings(folder);
    assert.equal(warning, undefined);
    assert.deepEqual(settings.history?.map(({ room }) => room[0]).sort(), ["a", "b"]);
  });
});

Deno.test("loadSettings() takes no room of a history that is malformed", async () => {
  await withFolder(async (folder) => {
    const fingerprint = `SHA256:${"A".repeat(43)}`;
    const good = { room: "a".repeat(64), home: fingerprint, relays: [], keep: "off" } as const;
    for (
      const bad of [{ room: "a" }, { home: "SHA256:" }, { relays: ["x"] }, { keep: "yes" }, {
        relays: undefined,
      }]
    ) {
      await saveSettings(folder, { history: [{ ...good, ...bad } as RoomHome] });
      const { settings, warning } = await loadSettings(folder);
      assert.equal(settings.history, undefined);
      assert.match(warning!, /invalid value for "history"/);
    }
  });
});

Deno.test("loadSettings() warns about a damaged file, and saveSettings() keeps it under another name", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    for (const content of ["", "{", "null", "[]", `"nick"`, `{"nick": "a`, "\xff"]) {
      const bytes = Uint8Array.from(content, (character) => character.charCodeAt(0));
      await Deno.writeFile(path, bytes);
      const { settings, warning } = await loadSettings(folder);
      assert.deepEqual(settings, {}, content);
      assert.equal(
        warning,
        `${path} is damaged: it counts as empty, and is kept as ${path}.damaged`,
      );
      assert.deepEqual(await Deno.readFile(path), bytes);
      await saveSettings(folder, { quiet: true });
      assert.deepEqual(await Deno.readFile(`${path}.damaged`), bytes);
      assert.deepEqual(await loadSettings(folder), {
        settings: { quiet: true },
        warning: undefined,
      });
    }
  });
});

Deno.test("loadSettings() ignores an invalid value with a warning, and saveSettings() keeps it", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    for (
      const content of [
        `{"nick":1}`,
        `{"nick":null}`,
        `{"nick":""}`,
        `{"nick":"two words"}`,
        `{"nick":"\u202ebob"}`,
        `{"bell":"loud"}`,
        `{"bell":["all"]}`,
        `{"quiet":"true"}`,
        `{"timestamp":true}`,
        `{"face":"none"}`,
        `{"recall":"on"}`,
        `{"rooms":"lobby"}`,
        `{"rooms":["Lobby"]}`,
        `{"rooms":[1]}`,
        `{"rooms":["\u202e"]}`,
        JSON.stringify({ rooms: Array.from({ length: 17 }, (_, i) => `room${i}`) }),
      ]
    ) {
      await Deno.writeTextFile(path, content);
      const { settings, warning } = await loadSettings(folder);
      assert.deepEqual(settings, {}, content);
      const [field] = Object.keys(JSON.parse(content));
      assert.equal(warning, `${path} has an invalid value for "${field}": it does not count`);
      await saveSettings(folder, { [field === "quiet" ? "bell" : "quiet"]: "x" });
      const saved = JSON.parse(await Deno.readTextFile(path));
      assert.deepEqual(saved[field!], JSON.parse(content)[field!]);
    }
  });
});

Deno.test("loadSettings() reads what editors on Windows write, and saveSettings() writes through a link", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(`${folder}/dotfiles`, { recursive: true });
    await Deno.writeTextFile(`${folder}/dotfiles/hearth`, '\ufeff{\r\n  "quiet": true\r\n}\r\n');
    if (Deno.build.os === "windows") return;
    await Deno.symlink(`${folder}/dotfiles/hearth`, path);
    assert.deepEqual(await loadSettings(folder), { settings: { quiet: true }, warning: undefined });
    await saveSettings(folder, { nick: "ann" });
    assert.ok((await Deno.lstat(path)).isSymlink);
    assert.deepEqual(
      JSON.parse(await Deno.readTextFile(`${folder}/dotfiles/hearth`)),
      { quiet: true, nick: "ann" },
    );
  });
});

Deno.test("every setting has a default, a description, and takes the values it names", () => {
  const settings = withDefaults({});
  assert.deepEqual(settings, {
    bell: "mention",
    quiet: false,
    timestamp: "time",
    face: "full",
    side: "auto",
    notices: "on",
    recall: false,
    theme: "auto",
    rooms: [],
  });
  assert.deepEqual(new Set(SETTING_NAMES), new Set(Object.keys(settings)));
  for (const name of SETTING_NAMES) {
    const [shown, value, values, summary] = describeSetting(name, settings);
    assert.equal(shown, name);
    assert.deepEqual(parseSetting(name, value), { [name]: settings[name] });
    for (const word of values.split("|").filter((word) => word !== "ROOM…")) {
      const changed: ScreenSettings = { ...settings, ...parseSetting(name, word) };
      assert.equal(describeSetting(name, changed)[1], word);
    }
    assert.match(summary, /^[a-z].*[a-z]$/);
  }
  assert.equal(withDefaults({ nick: "anna", quiet: true }).quiet, true);
});

Deno.test("parseSetting() reads rooms, and refuses what is no setting or value", () => {
  assert.deepEqual(parseSetting("rooms", " #Lobby, build lobby"), { rooms: ["lobby", "build"] });
  assert.deepEqual(parseSetting("rooms", "none"), { rooms: [] });
  assert.deepEqual(parseSetting("recall", "ON"), { recall: true });
  const refused: [string, string, RegExp][] = [
    ["color", "red", /no setting is called color/],
    ["constructor", "on", /no setting is called constructor/],
    ["face", "half", /face can be full, plain/],
    ["recall", "", /recall can be off, on/],
    ["rooms", "a \u202e", /invisible character/],
    ["rooms", Array.from({ length: 17 }, (_, i) => `r${i}`).join(" "), /at most 16 rooms/],
  ];
  for (const [name, text, message] of refused) {
    assert.throws(() => parseSetting(name, text), (error) => {
      return error instanceof UsageError && message.test(error.message);
    });
  }
});

Deno.test("saveSettings() and loadSettings() keep every setting", async () => {
  await withFolder(async (folder) => {
    const settings = { ...withDefaults({}), rooms: ["lobby", "日本"], recall: true };
    await saveSettings(folder, settings);
    assert.deepEqual(await loadSettings(folder), { settings, warning: undefined });
  });
});

Deno.test("docs/terminal.md lists the settings", async () => {
  const text = await readProject("docs/terminal.md");
  const settings = withDefaults({});
  for (const name of SETTING_NAMES) {
    const [, value, values, summary] = describeSetting(name, settings);
    const shown = values.split("|").map((word) => word === value ? `**${word}**` : word).join(", ");
    assert.ok(text.includes(`| \`${name}\` | ${shown} | ${summary} |`), name);
  }
});
