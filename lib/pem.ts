/**
 * Private keys as text, in the many forms that ssh-keygen and openssl write: the other half of
 * rsa.ts, and imported by it alone.
 *
 * Knows nothing of identities: which keys may be one is decided in rsa.ts.
 *
 * @module
 */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { UsageError } from "./base/errors.ts";
import type { Forge, ForgePrivateKey, Sshpk } from "./protocol/crypto/forge.d.ts";

const PRIVATE_KEY = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----/s;

/** A private key is locked: ask for its passphrase, or ask again. */
export class PassphraseError extends Error {
  override name = "PassphraseError";
  /** Whether none was given, or one that does not open it; a damaged file looks like the latter. */
  readonly reason: "needed" | "wrong";

  /** @param reason Why the key stays locked. */
  constructor(reason: "needed" | "wrong") {
    super(reason === "needed" ? "a passphrase is needed" : "wrong passphrase");
    this.reason = reason;
  }
}

/** Imports node-forge when it is first needed: that takes 80 ms. */
export async function loadForge(): Promise<Forge> {
  // The package has no types: the annotation gives it some.
  return (await import("node-forge")).default;
}

/**
 * Makes a new RSA key pair off the event loop.
 *
 * @param bits Size of the modulus.
 * @param e The public exponent.
 */
export async function makePrivateKey(bits: number, e: number): Promise<KeyObject> {
  const { pki } = await loadForge();
  // Only the form with a callback uses the runtime's generator without blocking.
  const made = await new Promise<ForgePrivateKey>((resolve, reject) =>
    pki.rsa.generateKeyPair(
      { bits, e },
      (error, pair) => error ? reject(error) : resolve(pair.privateKey),
    )
  );
  return createPrivateKey(pki.privateKeyToPem(made));
}

/**
 * Reads a private key of any kind: PKCS#8, PKCS#1 ("traditional") or OpenSSH, with or without
 * passphrase.
 *
 * @param pem The text of the key file; what stands around the key is ignored.
 * @param passphrase Ignored when the key is not encrypted; an empty one is none.
 * @throws {PassphraseError} When it is encrypted, and the passphrase missing or wrong.
 * @throws {UsageError} When it is no private key, or damaged.
 */
export async function readPrivateKey(pem: string, passphrase?: string): Promise<KeyObject> {
  const [block, type] = PRIVATE_KEY.exec(pem) ?? [];
  if (block === undefined) throw unreadable();
  if (type === "OPENSSH PRIVATE KEY") return await readOpenSsh(block, passphrase);
  const encrypted = type === "ENCRYPTED PRIVATE KEY" || block.includes("Proc-Type: 4,ENCRYPTED");
  if (!encrypted) return readPlain(block);
  if (!passphrase) throw new PassphraseError("needed");
  return await readEncrypted(block, passphrase);
}

function readPlain(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw unreadable();
  }
}

async function readEncrypted(pem: string, passphrase: string): Promise<KeyObject> {
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch {
    // The runtime knows scrypt; forge the older ciphers, and the traditional form on older
    // runtimes.
    const { pki, util } = await loadForge();
    try {
      const key = pki.decryptRsaPrivateKey(pem, util.encodeUtf8(passphrase));
      if (key !== null) return createPrivateKey(pki.privateKeyToPem(key));
    } catch {
      // What a wrong passphrase makes of the key gives null or any error.
    }
    throw new PassphraseError("wrong");
  }
}

async function readOpenSsh(pem: string, passphrase: string | undefined): Promise<KeyObject> {
  // Rarely needed, so imported late. The package has no types: the annotation gives it some.
  const sshpk: Sshpk = (await import("sshpk")).default;
  try {
    const options = passphrase ? { passphrase } : {};
    return createPrivateKey(sshpk.parsePrivateKey(pem, "ssh-private", options).toString("pkcs8"));
  } catch (error) {
    if (error instanceof Error && error.name === "KeyEncryptedError") {
      throw new PassphraseError("needed");
    }
    if (error instanceof Error && error.message.includes("Incorrect passphrase")) {
      throw new PassphraseError("wrong");
    }
    throw unreadable();
  }
}

function unreadable(): UsageError {
  return new UsageError("no private key in it that can be read", [
    "if it has one, convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY",
  ]);
}
