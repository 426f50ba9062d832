import assert from "node:assert/strict";
import { RecallFile } from "../../lib/ui/recall.ts";
import { SentLines } from "../../lib/ui/terminal/recall.ts";

async function withFolder(action: (folder: string, path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await action(`${folder}/state`, `${folder}/state/recall`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(folder: string, isOn: boolean): RecallFile {
  return new RecallFile(folder, isOn, (error) => {
    throw error;
  });
}

async function loaded(folder: string): Promise<string[]> {
  const lines = new SentLines();
  await open(folder, true).load(lines);
  return Array.from({ length: lines.length }, (_, i) => lines.text(i));
}

Deno.test("RecallFile keeps nothing unless it is turned on", async () => {
  await withFolder(async (folder, path) => {
    const file = open(folder, false);
    file.keep("hello", false);
    await file.flush();
    const lines = new SentLines();
    await file.load(lines);
    assert.equal(lines.length, 0);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("RecallFile keeps what was said in rooms, and nothing else", async () => {
  await withFolder(async (folder, path) => {
    const file = open(folder, true);
    file.keep("hello", false);
    file.keep("two\nlines \u202e 日本", false);
    file.keep("hello", false);
    file.keep("for bob", true);
    file.keep("/msg bob secret", false);
    file.keep("/mgs bob secret", false);
    file.keep("//slash", false);
    file.keep(" not to be kept", false);
    file.keep("x".repeat(1025), false);
    await file.flush();
    assert.deepEqual(await loaded(folder), ["two\nlines \u202e 日本", "hello"]);
    assert.ok(!(await Deno.readTextFile(path)).includes("\u202e"));
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  });
});

Deno.test("RecallFile keeps at most 500 lines, and what another process has kept", async () => {
  await withFolder(async (folder) => {
    const [one, other] = [open(folder, true), open(folder, true)];
    for (let i = 0; i < 10; i++) {
      one.keep(`one ${i}`, false);
      other.keep(`other ${i}`, false);
    }
    await Promise.all([one.flush(), other.flush()]);
    assert.equal((await loaded(folder)).length, 20);
    const lines = Array.from({ length: 600 }, (_, i) => JSON.stringify(`line ${i}`)).join("\n");
    await Deno.writeTextFile(`${folder}/recall`, lines);
    one.keep("last", false);
    await one.flush();
    const all = await loaded(folder);
    assert.deepEqual([all.length, all[0], all.at(-1)], [500, "line 101", "last"]);
  });
});

Deno.test("RecallFile passes over what is damaged", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    const text = new TextEncoder().encode(`"one"\n{"a":1}\n"tw\n\n""\n"three"\n`);
    await Deno.writeFile(path, Uint8Array.of(...text, 0xff, 0x0a));
    assert.deepEqual(await loaded(folder), ["one", "three"]);
    const file = open(folder, true);
    file.keep("four", false);
    await file.flush();
    assert.deepEqual(await loaded(folder), ["one", "three", "four"]);
  });
});

Deno.test("RecallFile is removed when it is turned off", async () => {
  await withFolder(async (folder, path) => {
    const file = open(folder, false);
    file.turn(true);
    file.keep("hello", false);
    file.turn(false);
    file.turn(false);
    file.keep("more", false);
    await file.flush();
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("RecallFile reports what it cannot read, and starts empty", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(path, { recursive: true });
    const faults: unknown[] = [];
    const file = new RecallFile(folder, true, (error) => faults.push(error));
    const lines = new SentLines();
    await file.load(lines);
    assert.equal(lines.length, 0);
    assert.equal(faults.length, 1);
  });
});
