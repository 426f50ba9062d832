import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../lib/base/errors.ts";
import { DEFAULT_KEY_BITS, loadIdentity } from "../../lib/cli/key_file.ts";
import {
  encodeFingerprint,
  exportPrivateKey,
  type PrivateKey,
} from "../../lib/protocol/identity.ts";

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

/** Puts a file where it has the mode of a private key. */
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

/** Tells whether it is the user's mistake, names the file and says what to do. */
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

Deno.test("loadIdentity() makes a key at the first start, says so, and uses it from then on", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/state/hearth`;
    const made: [string, number][] = [];
    const onMaking = (path: string, bits: number) => void made.push([path, bits]);
    const first = await loadIdentity({ folder, name: "identity.pem", bits: 1024, onMaking });
    assert.deepEqual(made, [[`${folder}/identity.pem`, 1024]]);
    assert.equal(first.publicKey.bits, 1024);
    assert.equal(await Deno.readTextFile(`${folder}/identity.pem`), exportPrivateKey(first));
    if (unix) {
      assert.equal(await mode(folder), 0o700);
      assert.equal(await mode(`${folder}/identity.pem`), 0o600);
    }
    // The size is for new keys only.
    const again = await loadIdentity({ folder, name: "identity.pem", bits: 2048, onMaking });
    assert.equal(show(again), show(first));
    assert.equal(made.length, 1);
    const server = await loadIdentity({ folder, name: "server.pem", bits: 1024, onMaking });
    assert.notEqual(show(server), show(first));
    assert.equal(made.length, 2);
    assert.equal(DEFAULT_KEY_BITS, 3072);
  }));

Deno.test("loadIdentity() makes one key when several programs start at once", () =>
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
      assert(shown.has(show(await loadIdentity({ folder, name }))));
      const names = [];
      for await (const entry of Deno.readDir(folder)) names.push(entry.name);
      assert.deepEqual(names.sort(), [name, `${name}.lock`]);
    }
  }));

Deno.test("loadIdentity() makes a key though another program was killed while it made one", () =>
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
    const key = await loadIdentity(options);
    assert.equal(show(await loadIdentity(options)), show(key));
  }));

Deno.test("loadIdentity() does not import what an own key file does not need", () =>
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

Deno.test("loadIdentity() reads every form of key file, and asks for a passphrase where it has to", () =>
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
      const ask = (answer: string | undefined) => (path: string) => {
        asked.push(path);
        return Promise.resolve(answer);
      };
      const load = (answer: string | undefined) =>
        loadIdentity({
          folder: `${folder}/unused`,
          name: "identity.pem",
          keyFile,
          askPassphrase: ask(answer),
        });
      assert.equal(show(await load(passphrase)), bob);
      assert.deepEqual(asked, locked ? [keyFile] : []);
      if (locked) {
        await assert.rejects(load("wrong"), isMistakeWith(keyFile, /wrong passphrase/));
        await assert.rejects(load(undefined), isMistakeWith(keyFile, /passphrase is needed/));
        await assert.rejects(
          loadIdentity({ folder, name: "identity.pem", keyFile }),
          isMistakeWith(keyFile, /passphrase is needed/),
        );
      }
      count++;
    }
    assert.equal(count, 9);
    await assert.rejects(Deno.stat(`${folder}/unused`), Deno.errors.NotFound);
  }));

Deno.test("loadIdentity() refuses what is no key and leaves it as it is", () =>
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
          loadIdentity({ folder, name: "identity.pem", keyFile, onMaking: () => assert.fail() }),
          isMistakeWith(path, /./),
        );
      }
      assert.deepEqual(await Deno.readFile(path), before);
    }
  }));

Deno.test({
  name: "loadIdentity() refuses a key file that others than its owner may use",
  ignore: !unix,
  fn: () =>
    withFolder(async (folder) => {
      const path = await writePrivate(`${folder}/identity.pem`, await readKey("bits1024.pem"));
      for (const keyFile of [undefined, path]) {
        const load = () => loadIdentity({ folder, name: "identity.pem", keyFile });
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

Deno.test("loadIdentity() makes no key where --key names a file that is missing", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/state`;
    const keyFile = `${parent}/mine.pem`;
    const onMaking = () => assert.fail();
    await assert.rejects(
      loadIdentity({ folder, name: "identity.pem", keyFile, onMaking }),
      isMistakeWith(keyFile, /no such file/),
    );
    await assert.rejects(Deno.stat(keyFile), Deno.errors.NotFound);
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  }));

Deno.test({
  name: "loadIdentity() puts no key in the place of a folder or of a link that leads nowhere",
  ignore: !unix,
  fn: () =>
    withFolder(async (folder) => {
      const options = { folder, name: "identity.pem", onMaking: () => assert.fail() } as const;
      const path = `${folder}/identity.pem`;
      await Deno.symlink(`${folder}/elsewhere.pem`, path);
      await assert.rejects(loadIdentity(options), isMistakeWith(path, /link/));
      assert((await Deno.lstat(path)).isSymlink);
      await writePrivate(`${folder}/elsewhere.pem`, await readKey("pkcs8.pem"));
      assert.equal(show(await loadIdentity(options)), bob);
      await Deno.remove(path);
      await Deno.mkdir(path);
      await assert.rejects(loadIdentity(options), isMistakeWith(path, /folder/));
    }),
});
