/**
 * The files that a server reads at start and again on SIGHUP: allow list, operators, message of the day,
 * bans.
 *
 * @module
 */

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { cannotRead } from "../base/files.ts";
import { MAX_NOTICE_BYTES } from "../protocol/frames.ts";
import { type BanFile, loadAllowList } from "../relay/mod.ts";
import type { RunningRelay } from "./serve.ts";

/** Paths of the files that were given. */
interface ServerFiles {
  readonly allow: string | undefined;
  readonly operators: string | undefined;
  readonly motd: string | undefined;
}

/** What the files say; undefined for a file that was not given. */
interface ServerFileContents {
  readonly allow: ReadonlySet<string> | undefined;
  readonly operators: ReadonlySet<string> | undefined;
  readonly motd: string | undefined;
}

/** Where the server reports that it has read its files again. */
interface FileLog {
  say(text: string): void;
  error(error: unknown): void;
}

export function isAnyFileGiven({ allow, operators, motd }: ServerFiles): boolean {
  return [allow, operators, motd].some((path) => path !== undefined);
}

/**
 * Reads the files that were given.
 *
 * @throws {UsageError} When one cannot be read or is malformed.
 */
export async function loadServerFiles(files: ServerFiles): Promise<ServerFileContents> {
  return {
    allow: await loadIfGiven(files.allow, loadList),
    operators: await loadIfGiven(files.operators, loadList),
    motd: await loadIfGiven(files.motd, loadMotd),
  };
}

async function loadIfGiven<T>(
  path: string | undefined,
  load: (path: string) => Promise<T>,
): Promise<T | undefined> {
  return path === undefined ? undefined : await load(path);
}

/** Reads an allow list or a list of operators, which have the same form. */
async function loadList(path: string): Promise<Set<string>> {
  try {
    return await loadAllowList(path);
  } catch (error) {
    throw error instanceof UsageError ? error : cannotRead(path, error);
  }
}

/** Reads a message of the day, without the white space around it; an empty one is none. */
async function loadMotd(path: string): Promise<string> {
  let text: string;
  try {
    text = decodeUtf8(await Deno.readFile(path));
  } catch (error) {
    throw cannotRead(path, error);
  }
  // Some editors write a byte order mark at the start and \r before each \n.
  const motd = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n").trim();
  const { length } = encodeUtf8(motd);
  if (length <= MAX_NOTICE_BYTES) return motd;
  throw new UsageError(`${path}: a message of the day has at most ${MAX_NOTICE_BYTES} bytes`, [
    `this one has ${length}`,
  ]);
}

/** A file that cannot be read changes nothing, so that a typing error removes nobody. */
export function rereadOnHangup(
  { bans, cluster, ...files }: ServerFiles & {
    readonly bans: BanFile;
    /** Set where several servers are one. */
    readonly cluster?: unknown;
  },
  relay: RunningRelay,
  log: FileLog,
): void {
  if (Deno.build.os === "windows") return; // it has no SIGHUP
  const isGiven = isAnyFileGiven(files);
  // A service is told to read again whether or not it has files; on a terminal a hang-up is a hang-up.
  if (!isGiven && Deno.stdin.isTerminal()) return;
  const reread = async (path: string | undefined, apply: (path: string) => Promise<string>) => {
    if (path === undefined) return;
    try {
      log.say(`read ${path} again: ${await apply(path)}`);
    } catch (error) {
      log.error(error);
      log.say(`the previous content of ${path} stays in force`);
    }
  };
  Deno.addSignalListener("SIGHUP", async () => {
    await reread(files.allow, async (path) => {
      const allow = await loadList(path);
      relay.setAllow(allow);
      return `${allow.size} may join`;
    });
    await reread(files.operators, async (path) => {
      const operators = await loadList(path);
      relay.setOperators(operators);
      return operators.size === 1 ? "1 operator" : `${operators.size} operators`;
    });
    await reread(files.motd, async (path) => {
      const motd = await loadMotd(path);
      relay.setMotd(motd);
      return motd === "" ? "no message of the day" : "a message of the day";
    });
    if (!isGiven) return; // and reading has been given up
    if (cluster) return; // what operators have said on any server is newer
    await reread(bans.path, async () => {
      const banned = await bans.load();
      relay.setBans(banned);
      return banned.length === 1 ? "1 ban" : `${banned.length} bans`;
    });
  });
}
