import assert from "node:assert/strict";
import { basename } from "node:path";
import { realDisk } from "../../../lib/session/files/disk.ts";
import { Part, PART_KEPT_MS } from "../../../lib/session/files/part.ts";
import { poll } from "../../support/program.ts";
import { HEAD } from "../../support/part_holder.ts";

const isUnix = Deno.build.os !== "windows";

Deno.test("what is released has the mode of an ordinary file or folder, and its time", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/d`;
    realDisk.makeFolder(path);
    for (const name of ["d.mode", "d/a", "d/a.mode", "d/run"]) {
      realDisk.open(`${folder}/${name}`, "new").close();
    }
    const names = ["d/a", "d/a.mode", "d/run", "d.mode"];
    for (const name of names) {
      realDisk.release(`${folder}/${name}`, { executable: name === "d/run", mtime: 5000 });
    }
    realDisk.release(path, { executable: false, mtime: 5000 });
    assert.equal(realDisk.look(path)!.mtime, 5000);
    for (const name of names) assert.equal(realDisk.look(`${folder}/${name}`)!.mtime, 5000, name);
    assert.deepEqual(realDisk.list(path).sort(), ["a", "a.mode", "run"]);
    if (!isUnix) return;
    const mode = (name: string) => Deno.statSync(`${folder}/${name}`).mode! & 0o777;
    assert.equal(mode("d/a"), mode("d/run") & 0o666);
    assert.equal(mode("d"), mode("d/run"));
    assert.equal(mode("d/run") & 0o700, 0o700);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what has neither modes nor times is released all the same", () => {
  realDisk.release("/dev/null/nothing", { executable: false, mtime: 5000 });
});

/** Another program that opens a part in a folder. */
class Holder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  constructor(folder: string) {
    const script = new URL("../../support/part_holder.ts", import.meta.url).href;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-read", "--allow-write", script, folder],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
  }

  /** The name of the part that it holds. */
  async name(): Promise<string> {
    const reader = this.#child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return basename(new TextDecoder().decode(value).trim());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.stdout.cancel();
    await this.#child.stdin.abort().catch(() => {});
    await this.#child.status;
  }
}

Deno.test("of two programs one has a part, until it ends; another one begins its own", async () => {
  const folder = await Deno.makeTempDir();
  try {
    {
      await using first = new Holder(folder);
      assert.equal(await first.name(), "film.bin.hearth-part");
      {
        await using second = new Holder(folder);
        assert.equal(await second.name(), "film (2).bin.hearth-part");
        const third = await Part.open(realDisk, folder, HEAD);
        assert.equal(basename(third.path), "film (3).bin.hearth-part");
        const fourth = await Part.open(realDisk, folder, HEAD); // in this same program
        assert.equal(basename(fourth.path), "film (4).bin.hearth-part");
        third.close();
        fourth.close();
      }
      // What is held is not removed either, however old it is.
      await Part.tidy(realDisk, folder, Date.now() + 2 * PART_KEPT_MS);
      assert.deepEqual(realDisk.list(folder).sort(), PART_FILES);
    }
    // The system closes the files of what was killed, and a lock that came too late is given back: soon.
    await poll(async () => {
      const part = await Part.open(realDisk, folder, HEAD);
      part.close();
      return basename(part.path) === "film.bin.hearth-part";
    }, () => "the part of what has ended");
    await poll(async () => {
      await Part.tidy(realDisk, folder, Date.now() + 2 * PART_KEPT_MS);
      return realDisk.list(folder).length === 0;
    }, () => "the end of old parts");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const PART_FILES = ["film.bin.hearth-part", "film.bin.hearth-part.json"];
