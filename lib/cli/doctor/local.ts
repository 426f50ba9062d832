/**
 * The checks of `doctor` on this computer: program, terminal, state folder, clock, networks; and what all checks share.
 *
 * @module
 */

import { describeError, UsageError } from "../../base/errors.ts";
import { checkLocks } from "../../base/files.ts";
import { listInterfaces, type NetworkInterface } from "../../base/interfaces.ts";
import { isLinkLocal } from "../../base/ip.ts";
import type { Found } from "../../discovery/mod.ts";
import type { ClusterRequest } from "../cluster_options.ts";
import { loadKey } from "../key_file.ts";
import { isUtf8Locale } from "../../base/locale.ts";
import { colorDepth } from "../../ui/terminal/mod.ts";
import { generateKey, type PrivateKey } from "../../protocol/identity.ts";
import { KnownPeers } from "../../session/late.ts";
import { KnownServers } from "../../session/mod.ts";
import { loadSettings } from "../../ui/mod.ts";
import { version } from "../programs.ts";

/** Only a problem prevents a connection. */
type Level = "ok" | "warning" | "problem";

/** The result of a check. */
export interface Finding {
  readonly level: Level;
  /** One line. */
  readonly text: string;
  /** What to do about it, one line each. */
  readonly hints: readonly string[];
}

/** What is examined, and what earlier checks have found out. */
export interface DoctorContext {
  readonly program: "client" | "server";
  /** The server to talk to, or the address to listen on. */
  readonly host: string | undefined;
  readonly port: number;
  /** `SHA256:…`, from an invitation. */
  readonly fingerprint: string | undefined;
  /** Empty: none was given. */
  readonly password: string;
  /** A key file to use instead of the one in the state folder. */
  readonly keyFile: string | undefined;
  /** The cluster that the server is to be one of. */
  readonly cluster: ClusterRequest | undefined;
  /** The state folder. */
  readonly folder: string;
  env(name: string): string | undefined;
  /** Where the files of the operating system are: `/` except in tests. */
  readonly root: string;
  /** Our own identity, if it can be used. */
  key?: PrivateKey;
  /** Whether the server can be reached. */
  reached?: Promise<Reached>;
  /** The fingerprint the server has proven, `SHA256:…`. */
  proven?: string;
  /** Whether that key is pinned on this computer. */
  pinned?: boolean;
  /** The servers announced on the network. */
  announced?: readonly Found[];
}

/** The address at which a server accepts connections, or why it cannot be reached. */
export type Reached =
  | { readonly address: string; readonly error?: undefined }
  | { readonly address?: undefined; readonly error: UsageError };

/** One check, which changes nothing; gives undefined if it does not apply. */
export type Check = (context: DoctorContext) => Promise<Finding | undefined> | Finding | undefined;

/** The oldest Deno that Hearth is tested with. */
const OLDEST_DENO = [2, 6];
/** Narrower terminals leave no room for messages. */
const MIN_COLUMNS = 40;
/** The year of the first version: an earlier date is wrong. */
const FIRST_YEAR = 2026;
const LAST_YEAR = 2100;
const STATE_FILES = [
  "known_servers",
  "known_peers",
  "settings.json",
  "recall",
  "identity.pem",
  "server.pem",
];
const WRITABLE_BY_OTHERS = 0o002;
/** For a key that is thrown away: generated quickly. */
const TEMPORARY_KEY_BITS = 1024;

export function fine(text: string, ...hints: readonly string[]): Finding {
  return { level: "ok", text, hints };
}

/** Works, but probably not as intended. */
export function warn(text: string, ...hints: readonly string[]): Finding {
  return { level: "warning", text, hints };
}

export function fault(text: string, ...hints: readonly string[]): Finding {
  return { level: "problem", text, hints };
}

export function faultOf(error: unknown): Finding {
  return fault(describeError(error), ...(error instanceof UsageError ? error.hints : []));
}

/** Our own identity, or else a temporary one; the handshake shows it to nobody. */
export async function keyOf(context: DoctorContext): Promise<PrivateKey> {
  return context.key ??= await generateKey(TEMPORARY_KEY_BITS);
}

export function checkVersion({ program }: DoctorContext): Finding {
  const text = version(program);
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0] = OLDEST_DENO;
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return fine(text);
  return warn(text, `Deno ${OLDEST_DENO.join(".")} or later is needed`);
}

/** Whether the terminal can show the chat properly. */
export function checkTerminal({ program, env }: DoctorContext): Finding {
  if (!Deno.stdout.isTerminal() || !Deno.stdin.isTerminal()) {
    return fine("none: lines are sent as they arrive");
  }
  const { columns, rows } = Deno.consoleSize();
  const utf8 = isUtf8Locale(env, Deno.build.os);
  // The server prints no colours and has no permission to read these variables.
  const depth = program === "client" ? colorDepth(env, true) : "none";
  const text = `${columns} x ${rows}, ${utf8 ? "UTF-8" : "no UTF-8"}` +
    (depth === "none" ? "" : `, ${depth} colours`);
  if (!utf8) {
    return warn(
      text,
      "set LC_ALL to a UTF-8 locale, such as C.UTF-8: many characters cannot be shown",
    );
  }
  if (columns < MIN_COLUMNS) return warn(text, "make the window wider");
  return fine(text);
}

/** Whether the files in the state folder are valid, and the keys readable by their owner only. */
export async function checkState(context: DoctorContext): Promise<Finding> {
  const { folder, keyFile, program } = context;
  try {
    if (!await isFolder(folder)) {
      return fine(`${folder}: not there yet, will be made at the first start`);
    }
    const files = [
      await KnownServers.load(folder),
      await KnownPeers.load(folder, () => {}),
      await loadSettings(folder),
    ];
    const warnings = [
      ...files.flatMap(({ warning }) => warning ?? []),
      ...await checkFiles(folder),
    ];
    const own = program === "client" ? "identity.pem" : "server.pem";
    const key = await readKey(context, keyFile ?? `${folder}/${own}`);
    // A client can run a server, too.
    if (program === "client") await readKey(context, `${folder}/server.pem`);
    const text = `${folder}: ${describeKey(key)}`;
    if (key !== undefined && key !== "locked") context.key = key;
    return warnings.length === 0 ? fine(text) : warn(text, ...warnings);
  } catch (error) {
    return faultOf(error);
  }
}

function describeKey(key: PrivateKey | "locked" | undefined): string {
  if (key === "locked") return "the key is encrypted, its passphrase will be asked for";
  if (key === undefined) return "no key yet, will be made at the first start";
  return `a key of ${key.publicKey.bits} bits`;
}

/**
 * Looks whether the files of the state folder can be locked, and who may write them.
 *
 * @returns What to warn about.
 * @throws {UsageError} They cannot be locked.
 */
async function checkFiles(folder: string): Promise<string[]> {
  const warnings: string[] = [];
  let canLock = false;
  for (const path of [folder, ...STATE_FILES.map((name) => `${folder}/${name}`)]) {
    try {
      const { mode, isFile } = await Deno.stat(path);
      if (isFile && !canLock) await checkLocks(path);
      canLock ||= isFile;
      if (Deno.build.os === "windows" || ((mode ?? 0) & WRITABLE_BY_OTHERS) === 0) continue;
      warnings.push(`others may write ${path}: chmod go-w ${path}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return warnings;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await Deno.stat(path)).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new UsageError(`${path} is not a folder`, ["set HEARTH_HOME to one"]);
}

/** Reads a key without making one; undefined if there is none in the state folder. */
async function readKey(
  { folder, keyFile }: DoctorContext,
  path: string,
): Promise<PrivateKey | "locked" | undefined> {
  let isLocked = false;
  try {
    if (path !== keyFile) await Deno.lstat(path);
    return await loadKey({
      folder,
      name: "identity.pem",
      keyFile: path,
      ask: () => {
        isLocked = true;
        return Promise.resolve(undefined);
      },
    });
  } catch (error) {
    if (isLocked) return "locked";
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether the clock is plausible: messages carry its time. */
export function checkClock(): Finding {
  const now = new Date();
  const year = now.getFullYear();
  const text = now.toString().replace(/ \(.*/, "");
  if (year >= FIRST_YEAR && year < LAST_YEAR) return fine(text);
  return warn(text, "set the clock: your messages carry this time");
}

/** The networks this computer is on. */
export function checkAddresses(): Finding {
  const interfaces = listInterfaces().filter(({ isLoopback }) => !isLoopback);
  if (interfaces.length === 0) {
    return warn("this computer is not on a network", "plug in the cable, or join a Wi-Fi");
  }
  return fine(interfaces.map(describeInterface).join("; "));
}

function describeInterface({ name, addresses }: NetworkInterface): string {
  const shown = addresses.filter(({ address }) => !isLinkLocal(address));
  return `${name} ${
    (shown.length > 0 ? shown : addresses).map(({ address }) => address).join(", ")
  }`;
}
