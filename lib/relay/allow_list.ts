/**
 * Allow lists: the fingerprints that may join, in a text file (`--allow FILE`).
 *
 * @module
 */

import { decodeUtf8 } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { readTrustedFile } from "../base/files.ts";
import { decodeFingerprint, decodeSshKey, encodeFingerprint } from "../protocol/identity.ts";

/**
 * Reads an allow list: each line holds a `SHA256:…` fingerprint or an `ssh-rsa …` public key, and after it, if anything,
 * a name or another comment; `#` at the start of a line or after white space begins a comment, too; blank lines are
 * ignored.
 *
 * @returns The fingerprints as `SHA256:…`; an empty list admits nobody.
 * @throws {UsageError} When a line is anything else, named with the file and without quoting it, or everybody may write
 * the file.
 * @throws {ProtocolError} When it is not UTF-8.
 * @throws {Deno.errors.NotFound} Or another error of the system, when the file cannot be read.
 */
export async function loadAllowList(path: string): Promise<Set<string>> {
  // Some editors write a byte order mark at the start and \r before each \n.
  const text = decodeUtf8(await readTrustedFile(path)).replace(/^\uFEFF/, "");
  const allowed = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    const entry = line.replace(/(?:^|\s)#.*/, "").trim();
    if (entry !== "") allowed.add(readEntry(entry, `${path}, line ${index + 1}`));
  }
  return allowed;
}

/** A second key in a line is not taken for a name: somebody would wonder why it is not admitted. */
function withoutName(entry: string): string {
  const [fingerprint = "", ...name] = entry.split(/\s+/);
  return name.some((word) => /^(?:SHA256:|ssh-)/.test(word)) ? entry : fingerprint;
}

function readEntry(entry: string, place: string): string {
  try {
    const fingerprint = entry.startsWith("ssh-")
      ? decodeSshKey(entry).fingerprint
      : decodeFingerprint(withoutName(entry));
    return encodeFingerprint(fingerprint);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${place}: ${error.message}`, error.hints);
  }
}
