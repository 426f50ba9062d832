/**
 * The format of `known_servers` and `known_peers`: one entry a line, which users may read, edit and delete. A line that
 * cannot be understood is skipped and stays in the file.
 *
 * @module
 */

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { unlessMalformed } from "../base/errors.ts";
import { readSmallFile, writeFileAtomically } from "../base/files.ts";

/** A larger file is not read. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = "\uFEFF";
/** Comments that Hearth itself has written, here or in earlier versions; they are not kept. */
const OWN_COMMENT = /^# (?:(?:People|Servers) Hearth knows, one a line: .*|end)$/;

/** What a file holds, and the fields of its entries. */
interface KnownFormat {
  readonly what: string;
  readonly fields: string;
}

/** What {@linkcode readEntries} has found besides the entries. */
export interface Reading {
  /** Comments and lines that were not understood, as they are in the file. */
  readonly kept: readonly Uint8Array[];
  /** The numbers of the lines that were not understood. */
  readonly skipped: readonly number[];
  readonly bytes: number;
  /** The last line does not end, as after a crash: another must not be appended to it. */
  readonly isTorn: boolean;
}

/**
 * Reads the entries of a file; a missing file has none. A byte order mark and CR LF are read as editors on Windows
 * write them.
 *
 * @param take Takes an entry, its line number and whether the line ends; returns false if it is not understood.
 * @throws {UsageError} When the file cannot be read or is too large.
 */
export async function readEntries(
  path: string,
  take: (entry: string, line: number, isWhole: boolean) => boolean,
): Promise<Reading> {
  const content = await readSmallFile(path, MAX_FILE_BYTES) ?? new Uint8Array();
  const kept: Uint8Array[] = [];
  const skipped: number[] = [];
  const isTorn = content.length > 0 && content.at(-1) !== NEWLINE;
  let line = 0;
  for (let start = 0, end; start < content.length; start = end + 1) {
    end = content.indexOf(NEWLINE, start);
    const isWhole = end >= 0;
    if (!isWhole) end = content.length;
    const bytes = content.subarray(start, end);
    line++;
    const text = decodeLine(bytes, line);
    if (text !== undefined) {
      if (text === "" || OWN_COMMENT.test(text)) continue;
      if (!text.startsWith("#") && take(text, line, isWhole)) continue;
    }
    kept.push(bytes);
    if (!text?.startsWith("#")) skipped.push(line);
  }
  return { kept, skipped, bytes: content.length, isTorn };
}

/** Replaces a file by one that {@linkcode readEntries} reads; the caller holds its lock. @returns Its length in bytes. */
export async function writeEntries(
  path: string,
  { what, fields }: KnownFormat,
  { entries, kept }: { entries: Iterable<string>; kept: readonly Uint8Array[] },
): Promise<number> {
  const header = `# ${what} Hearth knows, one a line: ${fields}. Lines may be taken out.`;
  const lines = encodeUtf8([header, ...entries, ""].join("\n"));
  let length = lines.length;
  for (const line of kept) length += line.length + 1;
  const content = new Uint8Array(length).fill(NEWLINE);
  content.set(lines);
  let offset = lines.length;
  for (const line of kept) {
    content.set(line, offset);
    offset += line.length + 1;
  }
  await writeFileAtomically(path, content);
  return length;
}

/** The line of the entry `index` in what {@linkcode writeEntries} writes, counted from 1 as in editors. */
export function lineOfEntry(index: number): number {
  return index + 2;
}

/** What to tell the user about lines that were not understood or contradict others; undefined if there are none. */
export function describeSkipped(path: string, lines: readonly number[]): string | undefined {
  const [first, ...more] = lines;
  if (first === undefined) return undefined;
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  return `${path}: line ${first}${others} not understood or in conflict with earlier ones: skipped`;
}

function decodeLine(bytes: Uint8Array, line: number): string | undefined {
  const text = unlessMalformed(() => decodeUtf8(bytes))?.replace(/\r$/, "");
  return line === 1 && text?.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}
