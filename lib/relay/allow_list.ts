/**
 * Allow lists: who may join a relay, written by hand (cli: `--allow FILE`).
 *
 * Knows nothing of what is done with those who are not on it.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { decodeFingerprint, decodeSshKey, encodeFingerprint } from "../protocol/identity.ts";

/**
 * Reads an allow list: a `SHA256:…` fingerprint or an `ssh-rsa …` line a row; `#` at the start of a
 * row or after a space begins a comment; blank rows mean nothing.
 *
 * @returns The fingerprints as texts; of an empty list none: then nobody may join.
 * @throws {UsageError} When a row is anything else: names the file and the line, repeats nothing.
 * @throws What the operating system says when the file cannot be read.
 */
export async function loadAllowList(path: string): Promise<Set<string>> {
  // Editors of other systems put U+FEFF at the start and \r at each end.
  const text = (await Deno.readTextFile(path)).replace(/^\uFEFF/, "");
  const allowed = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    const row = line.replace(/(?:^|\s)#.*/, "").trim();
    if (row !== "") allowed.add(readRow(row, `${path}, line ${index + 1}`));
  }
  return allowed;
}

function readRow(row: string, place: string): string {
  try {
    const fingerprint = row.startsWith("ssh-")
      ? decodeSshKey(row).fingerprint
      : decodeFingerprint(row);
    return encodeFingerprint(fingerprint);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${place}: ${error.message}`, error.hints);
  }
}
