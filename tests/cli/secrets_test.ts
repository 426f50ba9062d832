import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { readFirstLine } from "../../lib/cli/secrets.ts";

async function withFile(content: string, action: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, content);
    await action(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("readFirstLine() takes the first line as editors write it", async () => {
  for (const content of ["secret", "secret\n", "\ufeffsecret\r\nmore\r\n", "secret\nmore"]) {
    await withFile(content, async (path) => assert.equal(await readFirstLine(path), "secret"));
  }
});

Deno.test({
  name: "readFirstLine() refuses a file that every user of the computer may write",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFile("secret", async (path) => {
      for (const mode of [0o602, 0o666, 0o622 | 0o100]) {
        await Deno.chmod(path, mode);
        await assert.rejects(readFirstLine(path), (error) => {
          assert.ok(error instanceof UsageError);
          assert.deepEqual(error.hints, [`chmod o-w ${path}`]);
          return true;
        });
      }
      await Deno.chmod(path, 0o660);
      assert.equal(await readFirstLine(path), "secret");
      const link = `${path}.link`;
      await Deno.symlink(path, link);
      await Deno.chmod(path, 0o666);
      await assert.rejects(readFirstLine(link), UsageError);
      await Deno.remove(link);
    }),
});

Deno.test("readFirstLine() names what is wrong", async () => {
  await assert.rejects(readFirstLine("/no/such/file"), /no such file/);
  await withFile("\n", (path) => assert.rejects(readFirstLine(path), /first line is empty/));
  await withFile("x".repeat(2_000_000), (path) => assert.rejects(readFirstLine(path), UsageError));
});
