/**
 * The files of a room's logs: which there are, what is in them, and how they are kept few (PROTOCOL.md §16).
 *
 * @module
 */

import { type Bytes, concat, encodeHex } from "../../base/bytes.ts";
import { systemRandom } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { lockWithin, readSmallFile, writeFileAtomically } from "../../base/files.ts";
import { ENTRY, type PackedEntry, splitEntries } from "../../protocol/history_entry.ts";
import {
  HISTORY_SALT_BYTES,
  MAX_BLOCK_BYTES,
  openBlocks,
  SegmentSealer,
} from "../../protocol/history_seal.ts";

/** Bytes of all logs of a room; the oldest beyond that are removed. */
export const MAX_ROOM_BYTES = 64 * 1024 * 1024;
/** More logs than this become fewer. */
export const MAX_LOGS = 32;
/** Logs are joined up to so many bytes. */
const MAX_JOINED_BYTES = 8 * 1024 * 1024;
/** A log is never larger: it is closed at 8 MiB, and a last write adds at most what waits. */
const MAX_LOG_FILE_BYTES = 16 * 1024 * 1024;
/** How long another process that holds a log is waited for. */
const LOCK_WAIT_MS = 100;
const DAY_MS = 24 * 3_600_000;
const INSTANCE_BYTES = 16;
const NAME = /^(\d{13})-[0-9a-f]{32}\.log$/;

interface LogFile {
  readonly path: string;
  /** When it was begun, in ms since 1970. */
  readonly start: number;
}

/** The name of a log. @param start When it begins, in ms since 1970. @param instance 32 hex digits. */
export function logName(start: number, instance: string): string {
  return `${String(Math.max(0, start)).padStart(13, "0")}-${instance}.log`;
}

/** Locks a log for its one writer; undefined where another process holds it. It is free once the file is closed. */
export async function lockLog(path: string): Promise<Deno.FsFile | undefined> {
  const lock = await Deno.open(`${path}.lock`, { write: true, create: true, mode: 0o600 });
  return await lockWithin(lock, LOCK_WAIT_MS) ? lock : undefined;
}

/** The logs in a folder, the one begun first at the start; none if there is no such folder. */
async function listLogs(folder: string): Promise<LogFile[]> {
  const logs: LogFile[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const [, start] = NAME.exec(name) ?? [];
      if (start !== undefined) logs.push({ path: `${folder}/${name}`, start: Number(start) });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return logs.sort((a, b) => a.start - b.start || (a.path < b.path ? -1 : 1));
}

/** What tells one state of a room's logs from another: all names, sizes and times. */
export async function stateOfLogs(folder: string): Promise<string> {
  const logs = await listLogs(folder);
  const states = await Promise.all(logs.map(async ({ path }) => {
    try {
      const { size, mtime } = await Deno.stat(path);
      return `${path} ${size} ${mtime?.getTime()}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return ""; // another process has just joined logs
      throw error;
    }
  }));
  return states.join("\n");
}

/**
 * Reads all logs of a room, by time; of messages with one fingerprint and id the first counts. What is torn is left out.
 *
 * @param key Khist, 32 bytes.
 * @throws {UsageError} A file cannot be read.
 */
export async function readLogs(folder: string, key: Bytes): Promise<PackedEntry[]> {
  const logs = await listLogs(folder);
  const contents = await Promise.all(
    logs.map(({ path }) => readSmallFile(path, MAX_LOG_FILE_BYTES)),
  );
  return merge(contents.flatMap((content) => content ? decodeLog(key, content) : []));
}

function decodeLog(key: Bytes, content: Uint8Array): PackedEntry[] {
  const entries: PackedEntry[] = [];
  for (const block of openBlocks(key, content)) {
    try {
      for (const entry of splitEntries(block)) entries.push(entry);
    } catch (error) {
      if (error instanceof ProtocolError) break;
      throw error;
    }
  }
  return entries;
}

function merge(entries: PackedEntry[]): PackedEntry[] {
  const seen = new Map<string, PackedEntry[]>();
  return entries.sort((a, b) => a.at - b.at).filter((entry) => {
    if (entry.type !== ENTRY.MESSAGE) return true;
    const { id } = entry;
    const alike = seen.get(id);
    if (alike === undefined) return seen.set(id, [entry]);
    return !alike.some((other) => other.isSame(entry)) && alike.push(entry);
  });
}

/**
 * Removes logs that are wholly older than `days`, and the oldest beyond {@linkcode MAX_ROOM_BYTES}; joins those of
 * processes that have ended where there are many. Does nothing while another process does it.
 *
 * @param options.now In ms since 1970.
 */
export async function tidyLogs(
  folder: string,
  key: Bytes,
  { days, now }: { days: number; now: number },
): Promise<void> {
  if ((await listLogs(folder)).length === 0) return;
  using lock = await lockLog(`${folder}/`);
  if (!lock) return;
  const oldest = now - days * DAY_MS;
  for (const { path } of await listLogs(folder)) {
    const { mtime } = await Deno.stat(path);
    if (mtime && mtime.getTime() < oldest) await removeLog(path);
  }
  let bytes = 0;
  for (const { path } of (await listLogs(folder)).reverse()) {
    bytes += (await Deno.stat(path)).size;
    if (bytes > MAX_ROOM_BYTES) await removeLog(path);
  }
  const logs = await listLogs(folder);
  if (logs.length > MAX_LOGS) await joinLogs(folder, key, { logs, oldest });
}

/** Removes a log that nobody writes. */
async function removeLog(path: string): Promise<void> {
  using lock = await lockLog(path);
  if (!lock) return;
  await Deno.remove(path);
  await Deno.remove(`${path}.lock`);
}

/** Rewrites the logs of ended processes as few. */
async function joinLogs(
  folder: string,
  key: Bytes,
  { logs, oldest }: { logs: readonly LogFile[]; oldest: number },
): Promise<void> {
  let group: { log: LogFile; lock: Deno.FsFile }[] = [];
  let bytes = 0;
  const free = () => {
    for (const { lock } of group) lock.close();
    group = [];
    bytes = 0;
  };
  const finish = async () => {
    if (group.length > 1) {
      await joinGroup(folder, key, { logs: group.map(({ log }) => log), oldest });
    }
    free();
  };
  try {
    for (const log of logs) {
      const { size } = await Deno.stat(log.path);
      if (bytes + size > MAX_JOINED_BYTES) await finish();
      const lock = await lockLog(log.path);
      if (!lock) continue;
      group.push({ log, lock });
      bytes += size;
    }
    await finish();
  } finally {
    free();
  }
}

async function joinGroup(
  folder: string,
  key: Bytes,
  { logs, oldest }: { logs: readonly LogFile[]; oldest: number },
): Promise<void> {
  const contents = await Promise.all(
    logs.map(({ path }) => readSmallFile(path, MAX_LOG_FILE_BYTES)),
  );
  const entries = merge(contents.flatMap((content) => content ? decodeLog(key, content) : []))
    .filter(({ at }) => at >= oldest);
  const last = entries.at(-1);
  if (last) {
    const instance = encodeHex(systemRandom(INSTANCE_BYTES));
    const path = `${folder}/${logName(logs[0]!.start, instance)}`;
    await writeFileAtomically(path, encodeLog(key, entries));
    await Deno.utime(path, new Date(last.at), new Date(last.at)); // so that it becomes old
  }
  for (const { path } of logs) {
    await Deno.remove(path);
    await Deno.remove(`${path}.lock`);
  }
}

function encodeLog(key: Bytes, entries: readonly PackedEntry[]): Bytes {
  const sealer = new SegmentSealer(key, systemRandom(HISTORY_SALT_BYTES));
  const parts = [sealer.head];
  let block: Bytes[] = [];
  let bytes = 0;
  const finish = () => {
    if (block.length > 0) parts.push(sealer.seal(concat(...block)));
    block = [];
    bytes = 0;
  };
  for (const { packed } of entries) {
    if (bytes + packed.length > MAX_BLOCK_BYTES) finish();
    block.push(packed);
    bytes += packed.length;
  }
  finish();
  return concat(...parts);
}
