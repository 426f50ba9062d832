import assert from "node:assert/strict";
import { constants, createPublicKey, sign as nodeSign } from "node:crypto";
import {
  type Bytes,
  concat,
  decodeHex,
  encodeHex,
  encodeUtf8,
  label,
} from "../../lib/base/bytes.ts";
import { DecryptError, PassphraseError, ProtocolError, UsageError } from "../../lib/base/errors.ts";
import {
  decodeFingerprint,
  decodeId,
  decodeSshKey,
  encodeFingerprint,
  encodeSshKey,
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  type PrivateKey,
} from "../../lib/protocol/identity.ts";
import { importPublicKey, verifyPss } from "../../lib/protocol/crypto/rsa.ts";
import { KEY_BITS } from "../../lib/protocol/limits.ts";

interface KatKey {
  bits: number;
  pem: string;
  id: string;
  fp: string;
  text: string;
  ssh: string;
}
interface Kat {
  keys: Record<string, KatKey>;
  ids_rejected: { cases: { reason: string; hex: string }[] };
  peer: { cases: { responder: string; s: string; c: string }[] };
}
const vectors = new URL("../vectors/", import.meta.url);
const kat: Kat = await readJson("kat.json");
const katKeys = Object.entries(kat.keys).filter(([name]) => name !== "comment");
const { alice, bob, weak } = Object.fromEntries(
  await Promise.all(katKeys.map(async ([name, key]) => [name, await importPrivateKey(key.pem)])),
) as Record<"alice" | "bob" | "weak", PrivateKey>;
const message = encodeUtf8("a message");

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(new URL(name, vectors)));
}

async function readKey(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(`keys/${name}`, vectors));
}

function isUsageError(error: unknown): boolean {
  return error instanceof UsageError && error.hints.length > 0;
}

function isLocked(reason: "needed" | "wrong"): (error: unknown) => boolean {
  return (error) => error instanceof PassphraseError && error.reason === reason;
}

/** An ID of any modulus, §1. */
function makeId(modulus: Uint8Array): Bytes {
  const size = modulus.length + 1;
  const prefix = decodeHex("000000077373682d7273610000000301000100000000" + "00");
  prefix.set([size >> 8, size & 0xff], 20);
  return concat(prefix, modulus);
}

Deno.test("importPrivateKey() reads the known keys, and exportPrivateKey() restores them", async () => {
  let count = 0;
  for (const [, known] of katKeys) {
    const key = await importPrivateKey(known.pem);
    assert.equal(encodeHex(key.publicKey.id), known.id);
    assert.equal(encodeHex(key.publicKey.fingerprint), known.fp);
    assert.equal(key.publicKey.bits, known.bits);
    assert.equal(encodeFingerprint(key.publicKey.fingerprint), known.text);
    assert.equal(encodeSshKey(key.publicKey.id), known.ssh);
    assert.equal(exportPrivateKey(key).trim(), known.pem.trim());
    count++;
  }
  assert.equal(count, 4);
});

Deno.test("decodeId() decodes the known IDs, and copies them", () => {
  for (const [, known] of katKeys) {
    const id = decodeHex(known.id);
    const key = decodeId(id);
    id.fill(0);
    assert.equal(encodeHex(key.id), known.id);
    assert.equal(encodeHex(key.fingerprint), known.fp);
    assert.equal(key.bits, known.bits);
  }
});

Deno.test("decodeId() rejects every known wrong form, other length and changed prefix", () => {
  const isBadId = (error: unknown) => error instanceof ProtocolError && error.code === "bad-id";
  for (const { hex, reason } of kat.ids_rejected.cases) {
    assert.throws(() => decodeId(decodeHex(hex)), isBadId, reason);
  }
  assert.equal(kat.ids_rejected.cases.length, 13);
  const { id } = weak.publicKey;
  for (let length = 0; length < 600; length++) {
    const other = new Uint8Array(length);
    other.set(id.subarray(0, length));
    if (length !== id.length) assert.throws(() => decodeId(other), isBadId);
  }
  for (let bit = 0; bit < 23 * 8; bit++) {
    const changed = new Uint8Array(id);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => decodeId(changed), isBadId);
  }
});

Deno.test("verify() and encrypt() handle any modulus that decodeId() accepts", async () => {
  for (const bits of KEY_BITS) {
    const smallest = new Uint8Array(bits / 8);
    smallest[0] = 0x80;
    smallest[smallest.length - 1] = 1;
    for (const modulus of [smallest, new Uint8Array(bits / 8).fill(0xff)]) {
      const key = decodeId(makeId(modulus));
      assert.equal(key.bits, bits);
      for (const signature of [new Uint8Array(bits / 8), modulus]) {
        assert.equal(await key.verify("x", message, signature), false);
      }
      assert.equal((await key.encrypt(new Uint8Array(32))).length, bits / 8);
    }
  }
});

Deno.test("verify() accepts what sign() makes, for that key, context and message only", async () => {
  for (const key of [alice, bob, weak]) {
    const signature = await key.sign("hearth/2 test", message);
    assert.equal(signature.length * 8, key.publicKey.bits);
    const other = decodeId(key.publicKey.id);
    assert.equal(await other.verify("hearth/2 test", message, signature), true);
    assert.equal(await other.verify("hearth/2 tesu", message, signature), false);
    assert.equal(await other.verify("hearth/2 test", message.subarray(1), signature), false);
    const raw = await importPublicKey(key.publicKey.id.subarray(23), "verify");
    assert.equal(await verifyPss(raw, message, signature), false);
    const signed = concat(label("hearth/2 test"), message);
    assert.equal(await verifyPss(raw, signed, signature), true);
    assert.notDeepEqual(await key.sign("hearth/2 test", message), signature, "salted");
  }
  const signature = await alice.sign("x", message);
  for (const [, known] of katKeys) {
    const isOwner = known.id === encodeHex(alice.publicKey.id);
    assert.equal(await decodeId(decodeHex(known.id)).verify("x", message, signature), isOwner);
  }
});

Deno.test("verify() is false for any other length and any flipped bit of a signature", async () => {
  const signature = await weak.sign("x", message);
  for (const length of [0, 1, 127, 129, 256]) {
    const other = new Uint8Array(length);
    other.set(signature.subarray(0, length));
    assert.equal(await weak.publicKey.verify("x", message, other), false);
  }
  for (
    const padded of [concat(signature, new Uint8Array(1)), concat(new Uint8Array(1), signature)]
  ) {
    assert.equal(await weak.publicKey.verify("x", message, padded), false);
  }
  for (let bit = 0; bit < 1024; bit++) {
    const changed = new Uint8Array(signature);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(await weak.publicKey.verify("x", message, changed), false);
  }
});

Deno.test("verify() rejects a PKCS#1 v1.5 signature", async () => {
  for (const [name, key] of [["alice", alice], ["bob", bob], ["weak", weak]] as const) {
    const data = concat(label("x"), message);
    const signature = nodeSign("sha256", data, {
      key: kat.keys[name]!.pem,
      padding: constants.RSA_PKCS1_PADDING,
    });
    assert.equal(signature.length * 8, key.publicKey.bits);
    assert.equal(await key.publicKey.verify("x", message, new Uint8Array(signature)), false);
  }
});

function isDecryptError(error: unknown): boolean {
  return error instanceof DecryptError && error.message === "Cannot decrypt" &&
    error.cause === undefined;
}

Deno.test("decrypt() reads what encrypt() writes, for every size of key", async () => {
  for (const key of [alice, bob, weak]) {
    for (const fill of [0, 0xff]) {
      const secret = new Uint8Array(32).fill(fill);
      const ciphertext = await decodeId(key.publicKey.id).encrypt(secret);
      assert.equal(ciphertext.length * 8, key.publicKey.bits);
      assert.deepEqual(await key.decrypt(ciphertext), secret);
      assert.notDeepEqual(await key.publicKey.encrypt(secret), ciphertext, "randomized");
    }
  }
  const { c, s } = kat.peer.cases.find(({ responder }) => responder === "alice")!;
  assert.equal(encodeHex(await alice.decrypt(decodeHex(c))), s);
  await assert.rejects(
    bob.decrypt(await alice.publicKey.encrypt(new Uint8Array(32))),
    isDecryptError,
  );
});

Deno.test("encrypt() accepts, and decrypt() returns, secrets of exactly 32 bytes", async () => {
  const spki = createPublicKey(kat.keys["bob"]!.pem).export({ type: "spki", format: "der" });
  const publicKey = await crypto.subtle.importKey(
    "spki",
    new Uint8Array(spki),
    { name: "RSA-OAEP", hash: "SHA-256" },
    false,
    ["encrypt"],
  );
  const parameters = { name: "RSA-OAEP", label: encodeUtf8("hearth/2 kem") };
  for (const length of [0, 31, 32, 33]) {
    const secret = new Uint8Array(length).fill(7);
    const ciphertext = await crypto.subtle.encrypt(parameters, publicKey, secret);
    const decrypting = bob.decrypt(new Uint8Array(ciphertext));
    if (length === 32) assert.deepEqual(await decrypting, secret);
    else {
      await assert.rejects(decrypting, isDecryptError);
      await assert.rejects(bob.publicKey.encrypt(secret), RangeError);
    }
  }
});

Deno.test("importPrivateKey() reads every form of an RSA key, encrypted or not", async () => {
  const plain = ["pkcs8.pem", "pkcs1.pem", "openssh.pem"];
  const locked = [
    "pbes2_pbkdf2.pem",
    "pbes2_scrypt.pem",
    "pbes2_des3.pem",
    "traditional_aes.pem",
    "traditional_des3.pem",
    "openssh_passphrase.pem",
  ];
  for (const name of plain) {
    const pem = await readKey(name);
    for (const passphrase of [undefined, "ignored"]) {
      assert.equal(
        exportPrivateKey(await importPrivateKey(pem, passphrase)),
        exportPrivateKey(bob),
      );
    }
  }
  for (const name of locked) {
    const pem = await readKey(name);
    await assert.rejects(importPrivateKey(pem), isLocked("needed"), name);
    await assert.rejects(importPrivateKey(pem, "passwort"), isLocked("wrong"), name);
    await assert.rejects(importPrivateKey(pem, ""), isLocked("needed"), name);
    const key = await importPrivateKey(pem, "p\u00e4ssw\u00f6rd");
    assert.equal(exportPrivateKey(key), exportPrivateKey(bob), name);
  }
  assert.equal((await importPrivateKey(await readKey("bits1024.pem"))).publicKey.bits, 1024);
});

Deno.test("importPrivateKey() says why another key cannot be an identity", async () => {
  const cases: [string, RegExp][] = [
    ["ed25519.pem", /not an RSA key/],
    ["ed25519_openssh.pem", /not an RSA key/],
    ["rsa_pss.pem", /not an RSA key/],
    ["exponent3.pem", /exponent/],
    ["bits1536.pem", /1536 bits/],
  ];
  for (const [name, message] of cases) {
    await assert.rejects(
      importPrivateKey(await readKey(name)),
      (error) => isUsageError(error) && message.test(String(error)),
      name,
    );
  }
});

Deno.test("importPrivateKey() ignores text around a key, and accepts any kind of line end", async () => {
  const pem = await readKey("pkcs8.pem");
  for (const text of [pem.trimEnd(), pem.replaceAll("\n", "\r\n"), `a: b\n\n${pem}\nmore`]) {
    assert.equal(exportPrivateKey(await importPrivateKey(text)), exportPrivateKey(bob));
  }
});

Deno.test("importPrivateKey() rejects anything but a complete private key", async () => {
  const pem = await readKey("pkcs8.pem");
  const spki = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
  const empty = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
  const texts = ["", "\0", encodeSshKey(bob.publicKey.id), spki, empty];
  for (let length = 0; length < pem.trimEnd().length; length += 13) {
    texts.push(pem.slice(0, length));
  }
  for (const name of ["pkcs8.pem", "pkcs1.pem", "openssh.pem"]) {
    const lines = (await readKey(name)).split("\n");
    texts.push(lines.toSpliced(4, 1).join("\n"), lines.toSpliced(4, 1, "!").join("\n"));
  }
  for (const text of texts) await assert.rejects(importPrivateKey(text), isUsageError, text);
});

Deno.test("importPrivateKey() never reads a damaged key as another key", async () => {
  let refused = 0;
  for (const name of ["pkcs8.pem", "pkcs1.pem"]) {
    const pem = await readKey(name);
    const start = pem.indexOf("\n") + 1;
    for (let at = start; at < pem.lastIndexOf("\n-----END"); at += 17) {
      if (pem[at] === "\n") continue;
      const damaged = pem.slice(0, at) + (pem[at] === "A" ? "B" : "A") + pem.slice(at + 1);
      try {
        // Some fields follow from the others, and are computed anew.
        assert.equal(exportPrivateKey(await importPrivateKey(damaged)), exportPrivateKey(bob));
      } catch (error) {
        assert(isUsageError(error), String(error));
        refused++;
      }
    }
  }
  assert(refused > 50, String(refused));
});

Deno.test("generateKey() makes keys of the requested size with the exponent 65537", async () => {
  for (const bits of [1024, 2048]) {
    const key = await generateKey(bits);
    assert.equal(key.publicKey.bits, bits);
    assert.deepEqual(decodeId(key.publicKey.id).fingerprint, key.publicKey.fingerprint);
    const signature = await key.sign("x", message);
    assert.equal(await key.publicKey.verify("x", message, signature), true);
    const secret = new Uint8Array(32).fill(9);
    assert.deepEqual(await key.decrypt(await key.publicKey.encrypt(secret)), secret);
    const again = await importPrivateKey(exportPrivateKey(key));
    assert.deepEqual(again.publicKey.id, key.publicKey.id);
  }
  const [first, second] = await Promise.all([generateKey(1024), generateKey(1024)]);
  assert.notDeepEqual(first.publicKey.id, second.publicKey.id);
});

Deno.test("generateKey() rejects other sizes", async () => {
  for (const bits of [0, 512, 1023, 1536, 2047, 8192, NaN, -2048, 2048.5]) {
    await assert.rejects(generateKey(bits), isUsageError);
  }
});

Deno.test("exportPrivateKey() rejects a key that did not come from this module", () => {
  assert.throws(() => exportPrivateKey({ ...alice, publicKey: alice.publicKey }), TypeError);
});

Deno.test("decodeFingerprint() reads what encodeFingerprint() writes and nothing else", () => {
  for (const fill of [0, 0xfb, 0xff]) {
    const fingerprint = new Uint8Array(32).fill(fill);
    assert.deepEqual(decodeFingerprint(encodeFingerprint(fingerprint)), fingerprint);
  }
  const zeros = "A".repeat(43);
  const refused = [
    "",
    "SHA256:",
    zeros,
    `SHA256:${zeros.slice(1)}`,
    `SHA256:${zeros}A`,
    `SHA256:${zeros}=`,
    `sha256:${zeros}`,
    ` SHA256:${zeros}`,
    `SHA256:${zeros}\n`,
    `SHA256:${zeros.slice(1)}B`, // a bit beyond the last byte
    `SHA256:${zeros.slice(1)}-`,
    `MD5:${zeros}`,
  ];
  for (const text of refused) assert.throws(() => decodeFingerprint(text), isUsageError, text);
});

Deno.test("decodeSshKey() reads the line of a public key file with or without comment", () => {
  for (const [, { ssh, id }] of katKeys) {
    for (const line of [ssh, `${ssh} a@b`, `${ssh}  two words`, ` ${ssh}\r\n`, `${ssh}\tx`]) {
      assert.equal(encodeHex(decodeSshKey(line).id), id);
    }
  }
});

Deno.test("decodeSshKey() rejects everything else", () => {
  const ssh = encodeSshKey(weak.publicKey.id);
  const exponent3 = new Uint8Array(weak.publicKey.id);
  exponent3[17] = 3;
  const refused = [
    "",
    "ssh-rsa",
    "ssh-rsa AAAA",
    "ssh-rsa ????",
    ssh.slice(8),
    ssh.replace("ssh-rsa", "ssh-dss"),
    ssh.replace("ssh-rsa ", "ssh-rsa"),
    ssh.slice(0, -4),
    `${ssh}=`,
    `no-pty ${ssh}`,
    encodeSshKey(exponent3),
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
  ];
  for (const line of refused) assert.throws(() => decodeSshKey(line), isUsageError, line);
});

const sshKeygen = await findSshKeygen();

async function findSshKeygen(): Promise<boolean> {
  try {
    await new Deno.Command("ssh-keygen", { args: ["-?"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    console.log(`ssh-keygen is not compared with: ${(error as Error).message}`);
    return false;
  }
}

Deno.test({
  name: "encodeFingerprint() and encodeSshKey() agree with ssh-keygen",
  ignore: !sshKeygen,
  fn: async () => {
    const file = await Deno.makeTempFile();
    try {
      for (const [name, { bits, text }] of katKeys) {
        const { id } = (await importPrivateKey(kat.keys[name]!.pem)).publicKey;
        await Deno.writeTextFile(file, `${encodeSshKey(id)} me\n`);
        const { stdout, code } = await new Deno.Command("ssh-keygen", { args: ["-lf", file] })
          .output();
        assert.equal(code, 0);
        assert.equal(new TextDecoder().decode(stdout), `${bits} ${text} me (RSA)\n`);
      }
    } finally {
      await Deno.remove(file);
    }
  },
});
