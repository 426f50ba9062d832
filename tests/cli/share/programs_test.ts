import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { findPrograms } from "../../../lib/cli/share/programs.ts";
import { poll } from "../../support/program.ts";
import { fakeProgram, writeFakeClient } from "../../support/shared_folder.ts";

const X64 = "x86_64-unknown-linux-gnu";
const ARM = "aarch64-unknown-linux-gnu";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hearth_share_" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("findPrograms() finds programs of the right format under the names of compile", async () => {
  await withFolder(async (folder) => {
    const bytes = await writeFakeClient(folder, X64, 100_000);
    await Deno.writeFile(`${folder}/${X64}/server`, bytes);
    await writeFakeClient(folder, ARM, 5000);
    await Deno.writeFile(`${folder}/${ARM}/client`, bytes); // it is for another computer
    const [program, ...more] = await findPrograms(folder);
    deepEqual(more, []);
    const { path, name, kind, size, sha256 } = program!;
    deepEqual([path, name, kind, size], [
      "/linux-x86_64/client",
      "client",
      "Linux, Intel or AMD",
      100_000,
    ]);
    equal(sha256, createHash("sha256").update(bytes).digest("hex"));
  });
});

Deno.test("findPrograms() follows no links, and refuses a folder without programs", async () => {
  await withFolder(async (folder) => {
    const elsewhere = `${folder}/elsewhere`;
    await writeFakeClient(elsewhere, X64, 5000);
    await Deno.mkdir(`${folder}/dist/${ARM}`, { recursive: true });
    await Deno.symlink(`${elsewhere}/${X64}`, `${folder}/dist/${X64}`);
    await Deno.symlink(`${elsewhere}/${X64}/client`, `${folder}/dist/${ARM}/client`);
    await Deno.mkdir(`${folder}/dist/x86_64-pc-windows-msvc/client.exe`, { recursive: true });
    await rejects(findPrograms(`${folder}/dist`), /no client is in/);
    await rejects(findPrograms(`${folder}/missing`), /no client is in/);
  });
});

Deno.test("SharedProgram hands out no file that was changed before it is summed anew", async () => {
  await withFolder(async (folder) => {
    await writeFakeClient(folder, X64, 5000);
    const [program] = await findPrograms(folder);
    const before = program!.sha256;
    const told: (string | undefined)[] = [];
    const open = () => program!.open(({ sha256 }) => told.push(sha256));
    (await open())!.close();
    const path = `${folder}/${X64}/client`;
    await Deno.writeFile(`${path}.new`, fakeProgram(X64, 6000));
    await Deno.rename(`${path}.new`, path);
    equal(await open(), undefined);
    await poll(() => told.length > 0, () => "the new checksum");
    deepEqual(told, [program!.sha256]);
    ok(program!.sha256 !== before);
    equal(program!.size, 6000);
    (await open())!.close();
    await Deno.writeTextFile(path, "#!/bin/sh\n");
    equal(await open(), undefined);
    await poll(() => told.length > 1, () => "that there is none any more");
    for (let i = 0; i < 3; i++) equal(await open(), undefined);
    deepEqual(told.slice(1), [undefined]);
  });
});
