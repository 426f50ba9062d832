import assert from "node:assert/strict";
import { realDisk } from "../../../lib/session/files/disk.ts";

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
