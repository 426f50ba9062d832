import assert from "node:assert/strict";
import { loadAllowList } from "../../lib/relay/allow_list.ts";
import { UsageError } from "../../lib/base/errors.ts";
import kat from "../vectors/kat.json" with { type: "json" };

const { alice, bob, weak } = kat.keys;

async function load(content: string): Promise<string[]> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, content);
    return [...await loadAllowList(path)];
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("loadAllowList() reads fingerprints, public keys, comments and blank lines", async () => {
  for (const end of ["\n", "\r\n"]) {
    const rows = [
      "# who may join",
      "",
      `  ${alice.text}  # Alice's laptop`,
      `${bob.text} bob`,
      `${bob.ssh} bob@example #1`,
      `${weak.text}\tWilma's old computer`,
      "\t",
      weak.ssh,
      alice.ssh,
      "  # the end",
    ];
    for (const start of ["", "\ufeff"]) {
      assert.deepEqual(await load(start + rows.join(end)), [alice.text, bob.text, weak.text]);
    }
  }
  assert.deepEqual(await load(""), []);
});

Deno.test("loadAllowList() names the file and the line it cannot read", async () => {
  for (
    const row of [
      "alice",
      alice.text.slice(0, -1),
      alice.text + "A",
      `${alice.text}#alice`,
      alice.text.replace("SHA256", "sha256"),
      `${alice.text} ${bob.text}`,
      `${alice.text} and ${bob.ssh}`,
      "ssh-rsa",
      "ssh-rsa !!!",
      alice.ssh.slice(0, -4),
      alice.ssh.replace("ssh-rsa", "ssh-dss"),
      `command="x" ${alice.ssh}`,
      `ssh-ed25519 ${alice.ssh.split(" ")[1]}`,
      "\ufffd",
    ]
  ) {
    await assert.rejects(load(`# first\n${bob.text}\n${row}\n`), (error) => {
      assert.ok(error instanceof UsageError, row);
      assert.match(error.message, /^\/?.*, line 3: /);
      return true;
    });
  }
});

Deno.test({
  name: "loadAllowList() refuses a list that every user of the computer may write",
  ignore: Deno.build.os === "windows",
  async fn() {
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(path, `${alice.text}\n`);
    await Deno.chmod(path, 0o602);
    await assert.rejects(loadAllowList(path), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, `${path}: every user of this computer may write it`);
      assert.deepEqual(error.hints, [`chmod o-w ${path}`]);
      return true;
    });
    await Deno.chmod(path, 0o664);
    assert.deepEqual([...await loadAllowList(path)], [alice.text]);
    await Deno.remove(path);
  },
});

Deno.test("loadAllowList() throws NotFound for a missing file", async () => {
  await assert.rejects(loadAllowList("/no/such/file"), Deno.errors.NotFound);
});
