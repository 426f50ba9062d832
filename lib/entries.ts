/**
 * Files of one entry a line, which people may read and shorten by hand: written whole, read
 * strictly.
 *
 * A file that is not exactly as it is written is an error that names the line; nothing of it is
 * believed, and nothing is written over it. Knows nothing of what the entries say about a key.
 *
 * @module
 */

import { decodeUtf8 } from "./base/bytes.ts";
import { ProtocolError, UsageError } from "./base/errors.ts";
import { readWhole, writeWhole } from "./base/files.ts";

/** A fingerprint as it is shown, §1; the last character has two bits to spare, which are zero. */
export const FINGERPRINT_PATTERN = "SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]";
/** Without it a file cut off between two lines would look whole. */
const LAST_LINE = "# end";

/**
 * Reads the entries of a file; a missing file has none.
 *
 * @param header Its first line, which says what the file is.
 * @throws {UsageError} When the file cannot be read, is another one or cut off.
 */
export async function readEntries(path: string, header: string): Promise<string[]> {
  const content = await readWhole(path);
  if (content === undefined) return [];
  const lines = decodeLines(path, content);
  if (lines[0] !== header) throw badEntry(path, 1);
  if (lines.at(-1) !== "" || lines.at(-2) !== LAST_LINE) throw badEntry(path, lines.length);
  return lines.slice(1, -2);
}

function decodeLines(path: string, content: Uint8Array): string[] {
  try {
    return decodeUtf8(content).split("\n");
  } catch (error) {
    if (error instanceof ProtocolError) throw new UsageError(`${path} is not UTF-8 text`, HINTS);
    throw error;
  }
}

/** Writes a file that {@linkcode readEntries} reads; the caller holds its lock. */
export async function writeEntries(
  path: string,
  header: string,
  entries: Iterable<string>,
): Promise<void> {
  await writeWhole(path, [header, ...entries, LAST_LINE, ""].join("\n"));
}

/** The line of the entry `index`, counted from 1 as editors do. */
export function lineOfEntry(index: number): number {
  return index + 2;
}

const HINTS = ["mend it, or take it away: everything in it is then unknown again"];

/** The error about a line that means nothing; does not repeat it. */
export function badEntry(path: string, line: number): UsageError {
  return new UsageError(`${path} is damaged at line ${line}`, HINTS);
}
