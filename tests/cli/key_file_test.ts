import { createPublicKey } from "node:crypto";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../lib/base/errors.ts";
import { loadKey } from "../../lib/cli/key_file.ts";
import {
  encodeFingerprint,
  exportPrivateKey,
  type PrivateKey,
} from "../../lib/protocol/identity.ts";
import { DEFAULT_KEY_BITS } from "../../lib/protocol/limits.ts";

const unix = Deno.build.os !== "windows";
const vectors = new URL("../vectors/", import.meta.url);
const starter = fileURLToPath(new URL("../support/identity_starter.ts", import.meta.url));
const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
const passphrase = "pässwörd";
/** The fingerprint of the key in most of the key files. */
const bob = JSON.parse(await Deno.readTextFile(new URL("kat.json", vectors))).keys.bob.text;

async function withFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readKey(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(`keys/${name}`, vectors));
}

/** Writes a file with the mode of a private key. */
async function writePrivate(path: string, content: string | Uint8Array): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes, { mode: 0o600 });
  return path;
}

async function mode(path: string): Promise<number> {
  return (await Deno.stat(path)).mode! & 0o777;
}

function show(key: PrivateKey): string {
  return encodeFingerprint(key.publicKey.fingerprint);
}

/** Whether it is a UsageError that names the file once. */
function isMistakeWith(path: string, words: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof UsageError && error.message.startsWith(`${path}: `) &&
    words.test(error.message) && error.message.split(path).length === 2;
}

function start(folder: string, name: string): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--config", config]
      .concat("--allow-read", "--allow-write", starter, folder, name, "1024"),
    stdout: "piped",
    stderr: "inherit",
  });
}

Deno.test("loadKey() makes a key at the first start, reports it, and uses it afterwards", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/state/hearth`;
    const made: string[] = [];
    const progress = (text: string) => void made.push(text);
    const first = await loadKey({ folder, name: "identity.pem", bits: 1024, progress });
    assert.deepEqual(made, [`making your key of 1024 bits: ${folder}/identity.pem`]);
    assert.equal(first.publicKey.bits, 1024);
    assert.equal(await Deno.readTextFile(`${folder}/identity.pem`), exportPrivateKey(first));
    if (unix) {
      assert.equal(await mode(folder), 0o700);
      assert.equal(await mode(`${folder}/identity.pem`), 0o600);
    }
    // The size is for new keys only.
    const again = await loadKey({ folder, name: "identity.pem", bits: 2048, progress });
    assert.equal(show(again), show(first));
    assert.equal(made.length, 1);
    const server = await loadKey({ folder, name: "server.pem", bits: 1024, progress });
    assert.notEqual(show(server), show(first));
    assert.equal(made.length, 2);
    assert.equal(DEFAULT_KEY_BITS, 3072);
  }));

Deno.test("loadKey() makes one key when several programs start at once", () =>
  withFolder(async (parent) => {
    for (const name of ["identity.pem", "server.pem", "identity.pem"] as const) {
      const folder = `${parent}/${crypto.randomUUID()}`;
      const outputs = await Promise.all(
        [1, 2, 3].map(() => start(folder, name).output()),
      );
      const lines = outputs.map(({ stdout, code }) => {
        assert.equal(code, 0);
        return new TextDecoder().decode(stdout).trim().split("\n");
      });
      assert.equal(lines.filter(([first]) => first === "making").length, 1);
      const shown = new Set(lines.map((words) => words.at(-1)));
      assert.equal(shown.size, 1);
      assert(shown.has(show(await loadKey({ folder, name }))));
      const names = [];
      for await (const entry of Deno.readDir(folder)) names.push(entry.name);
      assert.deepEqual(names.sort(), [name, `${name}.lock`]);
    }
  }));

Deno.test("loadKey() makes a key even if another program was killed while making one", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/state`;
    const program = start(folder, "identity.pem").spawn();
    const reader = program.stdout.getReader();
    const { value } = await reader.read();
    program.kill("SIGKILL");
    await program.status;
    await reader.cancel();
    assert.match(new TextDecoder().decode(value), /^making/);
    // It may have come as far as a whole key, but to no part of one.
    const options = { folder, name: "identity.pem", bits: 1024 } as const;
    const key = await loadKey(options);
    assert.equal(show(await loadKey(options)), show(key));
  }));

Deno.test("loadKey() loads no packages for a key file of its own format", () =>
  withFolder(async (folder) => {
    // Without node-forge and sshpk in the import map nothing can import them.
    const { imports } = JSON.parse((await Deno.readTextFile(config)).replace(/^ *\/\/.*$/gm, ""));
    delete imports["node-forge"];
    delete imports["sshpk"];
    const map = `${folder}/map.json`;
    await Deno.writeTextFile(map, JSON.stringify({ imports }));
    const run = async (name: string) => {
      await writePrivate(`${folder}/identity.pem`, await readKey(name));
      return await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-config", "--no-prompt", "--import-map", map, "--no-check"]
          .concat("--allow-read", "--allow-env", starter, folder, "identity.pem", "1024"),
      }).output();
    };
    const own = await run("pkcs8.pem");
    assert.equal(
      new TextDecoder().decode(own.stdout).trim(),
      bob,
      new TextDecoder().decode(own.stderr),
    );
    assert.match(new TextDecoder().decode((await run("openssh.pem")).stderr), /sshpk/);
  }));

Deno.test("loadKey() reads every key file format, and asks for a passphrase if needed", () =>
  withFolder(async (folder) => {
    let count = 0;
    const files: [string, boolean][] = [
      ["pkcs8.pem", false],
      ["pkcs1.pem", false],
      ["openssh.pem", false],
      ["pbes2_pbkdf2.pem", true],
      ["pbes2_scrypt.pem", true],
      ["pbes2_des3.pem", true],
      ["traditional_aes.pem", true],
      ["traditional_des3.pem", true],
      ["openssh_passphrase.pem", true],
    ];
    for (const [file, locked] of files) {
      const keyFile = await writePrivate(`${folder}/${file}`, await readKey(file));
      const asked: string[] = [];
      const ask = (answer: string | undefined) => (question: string) => {
        asked.push(question);
        return Promise.resolve(answer);
      };
      const load = (answer: string | undefined) =>
        loadKey({
          folder: `${folder}/unused`,
          name: "identity.pem",
          keyFile,
          ask: ask(answer),
        });
      assert.equal(show(await load(passphrase)), bob);
      assert.deepEqual(asked, locked ? [`Passphrase of ${keyFile}: `] : []);
      if (locked) {
        await assert.rejects(load("wrong"), isMistakeWith(keyFile, /wrong passphrase/));
        await assert.rejects(load(undefined), isMistakeWith(keyFile, /passphrase is needed/));
        await assert.rejects(
          loadKey({ folder, name: "identity.pem", keyFile }),
          isMistakeWith(keyFile, /passphrase is needed/),
        );
      }
      count++;
    }
    assert.equal(count, 9);
    await assert.rejects(Deno.stat(`${folder}/unused`), Deno.errors.NotFound);
  }));

Deno.test("loadKey() reports a file with the public half of a key, whatever its mode", () =>
  withFolder(async (folder) => {
    const spki = createPublicKey(await readKey("pkcs8.pem"));
    const publicKeys = [
      "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB anna@box\n",
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 anna@box\n",
      "ecdsa-sha2-nistp256 AAAA anna@box\n",
      '---- BEGIN SSH2 PUBLIC KEY ----\nComment: "anna"\n',
      spki.export({ type: "spki", format: "pem" }).toString(),
      spki.export({ type: "pkcs1", format: "pem" }).toString(),
    ];
    const path = `${folder}/id_rsa.pub`;
    for (const text of publicKeys) {
      await Deno.writeTextFile(path, text, { mode: 0o644 });
      await assert.rejects(
        loadKey({ folder, name: "identity.pem", keyFile: path }),
        isMistakeWith(path, /public half/),
      );
    }
    // Text around the private half is ignored, also its public half.
    const both = publicKeys.at(-2)! + await readKey("pkcs8.pem");
    await loadKey({
      folder,
      name: "identity.pem",
      keyFile: await writePrivate(`${folder}/both.pem`, both),
    });
  }));

Deno.test("loadKey() refuses a file that is not a key, and does not change it", () =>
  withFolder(async (folder) => {
    const pem = await readKey("pkcs8.pem");
    const contents = [
      "",
      "\n",
      pem.slice(0, 1000),
      pem.slice(0, -10),
      pem.slice(1000),
      new Uint8Array(100_000),
      crypto.getRandomValues(new Uint8Array(1000)),
      await readKey("ed25519.pem"),
      await readKey("ed25519_openssh.pem"),
      await readKey("exponent3.pem"),
      await readKey("bits1536.pem"),
      await readKey("rsa_pss.pem"),
    ];
    for (const content of contents) {
      const path = await writePrivate(`${folder}/identity.pem`, content);
      const before = await Deno.readFile(path);
      for (const keyFile of [undefined, path]) {
        await assert.rejects(
          loadKey({ folder, name: "identity.pem", keyFile, progress: () => assert.fail() }),
          isMistakeWith(path, /./),
        );
      }
      assert.deepEqual(await Deno.readFile(path), before);
    }
  }));

Deno.test({
  name: "loadKey() refuses a key file that others than its owner can access",
  ignore: !unix,
  fn: () =>
    withFolder(async (folder) => {
      const path = await writePrivate(`${folder}/identity.pem`, await readKey("bits1024.pem"));
      for (const keyFile of [undefined, path]) {
        const load = () => loadKey({ folder, name: "identity.pem", keyFile });
        for (const bit of [0o001, 0o002, 0o004, 0o010, 0o020, 0o040]) {
          await Deno.chmod(path, 0o600 | bit);
          await assert.rejects(load(), (error) =>
            isMistakeWith(path, /others/)(error) &&
            (error as UsageError).hints.includes(`chmod 600 ${path}`));
        }
        for (const fine of [0o600, 0o400, 0o700]) {
          await Deno.chmod(path, fine);
          assert.equal((await load()).publicKey.bits, 1024);
        }
      }
    }),
});

Deno.test("loadKey() makes no key if --key names a missing file", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/state`;
    const keyFile = `${parent}/mine.pem`;
    const progress = () => assert.fail();
    await assert.rejects(
      loadKey({ folder, name: "identity.pem", keyFile, progress }),
      isMistakeWith(keyFile, /no such file/),
    );
    await assert.rejects(Deno.stat(keyFile), Deno.errors.NotFound);
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  }));

Deno.test({
  name: "loadKey() does not replace a folder or a dangling link by a key",
  ignore: !unix,
  fn: () =>
    withFolder(async (folder) => {
      const options = { folder, name: "identity.pem", progress: () => assert.fail() } as const;
      const path = `${folder}/identity.pem`;
      await Deno.symlink(`${folder}/elsewhere.pem`, path);
      await assert.rejects(loadKey(options), isMistakeWith(path, /link/));
      assert((await Deno.lstat(path)).isSymlink);
      await writePrivate(`${folder}/elsewhere.pem`, await readKey("pkcs8.pem"));
      assert.equal(show(await loadKey(options)), bob);
      await Deno.remove(path);
      await Deno.mkdir(path);
      await assert.rejects(loadKey(options), isMistakeWith(path, /folder/));
    }),
});
