/**
 * What `doctor` looks at on this computer alone: the program, the terminal, the state folder, the clock, the networks.
 *
 * Each check is one function that changes nothing and gives one finding, or none where there is nothing to say.
 *
 * @module
 */

import { describeError } from "../process.ts";
import { UsageError } from "../../base/errors.ts";
import type { Found } from "../../discovery.ts";
import { loadIdentity } from "../key_file.ts";
import { isLinkLocal, type Link, listLinks } from "../../base/interfaces.ts";
import { isUtf8Locale } from "../../ui/terminal/locale.ts";
import { colorDepth } from "../../ui/terminal/colors.ts";
import { generateKey, type PrivateKey } from "../../protocol/identity.ts";
import { ServerBook } from "../../session/known_servers.ts";
import { loadSettings } from "../../ui/settings.ts";
import { PeerBook } from "../../session/known_peers.ts";
import { version } from "../../version.ts";

/** How bad it is: only a problem keeps one from talking. */
export type Level = "ok" | "warning" | "problem";

/** What a check found. */
export interface Finding {
  readonly level: Level;
  /** One line. */
  readonly text: string;
  /** What to do about it, one line each. */
  readonly hints: readonly string[];
}

/** What is examined, and what was learned on the way. */
export interface Patient {
  readonly program: "client" | "server";
  /** The server to talk to, or the address to listen on. */
  readonly host: string | undefined;
  readonly port: number;
  /** `SHA256:…`, from an invitation. */
  readonly fingerprint: string | undefined;
  /** Empty: none was given. */
  readonly password: string;
  /** Another key file than the one in the state folder. */
  readonly keyFile: string | undefined;
  /** The state folder. */
  readonly folder: string;
  env(name: string): string | undefined;
  /** Where the files of the operating system are: `/` but for tests. */
  readonly root: string;
  /** One's own identity, if it can be used. */
  key?: PrivateKey;
  /** Whether the server could be reached. */
  reached?: Promise<Reached>;
  /** What the server has proven, `SHA256:…`. */
  proven?: string;
  /** What is announced on the network. */
  announced?: readonly Found[];
}

/** The address at which a server takes connections, or why it cannot be reached. */
export type Reached =
  | { readonly address: string; readonly error?: undefined }
  | { readonly address?: undefined; readonly error: UsageError };

/** One check: gives nothing where there is nothing to say. */
export type Check = (patient: Patient) => Promise<Finding | undefined> | Finding | undefined;

/** The oldest Deno that Hearth is tried with. */
const OLDEST_DENO = [2, 6];
/** Fewer columns leave no room for a message. */
const MIN_COLUMNS = 40;
/** Before the first version was written no clock can be right. */
const FIRST_YEAR = 2026;
const LAST_YEAR = 2100;
/** Made quickly. */
const PASSING_KEY_BITS = 1024;

/** Nothing is wrong. */
export function fine(text: string, ...hints: readonly string[]): Finding {
  return { level: "ok", text, hints };
}

/** It works, but perhaps not as one wants. */
export function warn(text: string, ...hints: readonly string[]): Finding {
  return { level: "warning", text, hints };
}

/** It does not work. */
export function fault(text: string, ...hints: readonly string[]): Finding {
  return { level: "problem", text, hints };
}

/** An error as a finding. */
export function faultOf(error: unknown): Finding {
  return fault(describeError(error), ...(error instanceof UsageError ? error.hints : []));
}

/** One's own identity, or any other where that will do: it is shown to nobody. */
export async function keyOf(patient: Patient): Promise<PrivateKey> {
  return patient.key ??= await generateKey(PASSING_KEY_BITS);
}

/** Which program this is, and what runs it. */
export function checkVersion({ program }: Patient): Finding {
  const text = version(program);
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0] = OLDEST_DENO;
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return fine(text);
  return warn(text, `Deno ${OLDEST_DENO.join(".")} or later is needed`);
}

/** Whether the chat can be shown as it is meant to be. */
export function checkTerminal({ program, env }: Patient): Finding {
  if (!Deno.stdout.isTerminal() || !Deno.stdin.isTerminal()) {
    return fine("none: lines are sent as they come");
  }
  const { columns, rows } = Deno.consoleSize();
  const utf8 = isUtf8Locale(env, Deno.build.os);
  // A server paints nothing, and may not look whether it could.
  const depth = program === "client" ? colorDepth(env, true) : "none";
  const text = `${columns} x ${rows}, ${utf8 ? "UTF-8" : "no UTF-8"}` +
    (depth === "none" ? "" : `, ${depth} colours`);
  if (!utf8) return warn(text, "set LC_ALL to a UTF-8 locale, such as C.UTF-8: letters are lost");
  if (columns < MIN_COLUMNS) return warn(text, "make the window wider");
  return fine(text);
}

/** The state folder: its files can be read by their owner, and the keys by nobody else. */
export async function checkState(patient: Patient): Promise<Finding> {
  const { folder, keyFile, program } = patient;
  try {
    if (!await isFolder(folder)) {
      return fine(`${folder}: not there yet, it is made at the first start`);
    }
    await ServerBook.load(folder);
    await PeerBook.load(folder, () => {});
    await loadSettings(folder);
    const own = program === "client" ? "identity.pem" : "server.pem";
    const key = await readKey(patient, keyFile ?? `${folder}/${own}`);
    // A client may have to serve as well.
    if (program === "client") await readKey(patient, `${folder}/server.pem`);
    if (key === "locked") {
      return fine(`${folder}: the key is locked, its passphrase will be asked for`);
    }
    if (key === undefined) return fine(`${folder}: no key yet, it is made at the first start`);
    patient.key = key;
    return fine(`${folder}: a key of ${key.publicKey.bits} bits`);
  } catch (error) {
    return faultOf(error);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await Deno.stat(path)).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new UsageError(`${path} is no folder`, ["set HEARTH_HOME to one"]);
}

/** Reads a key and makes none; a missing one in the state folder is no fault. */
async function readKey(
  { folder, keyFile, env }: Patient,
  path: string,
): Promise<PrivateKey | "locked" | undefined> {
  let isLocked = false;
  try {
    if (path !== keyFile) await Deno.lstat(path);
    return await loadIdentity({
      folder,
      name: "identity.pem",
      keyFile: path,
      askPassphrase: () => {
        const passphrase = env("HEARTH_KEY_PASSPHRASE");
        isLocked = passphrase === undefined;
        return Promise.resolve(passphrase);
      },
    });
  } catch (error) {
    if (isLocked) return "locked";
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether the clock can be right: every message says when it was written. */
export function checkClock(): Finding {
  const now = new Date();
  const year = now.getFullYear();
  const text = now.toString().replace(/ \(.*/, "");
  if (year >= FIRST_YEAR && year < LAST_YEAR) return fine(text);
  return warn(text, "set the clock: your messages would carry this time");
}

/** The networks that this computer is in. */
export function checkAddresses(): Finding {
  const links = listLinks().filter(({ isLoopback }) => !isLoopback);
  if (links.length === 0) {
    return warn("this computer is in no network", "plug in the cable, or join a Wi-Fi");
  }
  return fine(links.map(describeLink).join("; "));
}

function describeLink({ name, addresses }: Link): string {
  const shown = addresses.filter(({ address }) => !isLinkLocal(address));
  return `${name} ${
    (shown.length > 0 ? shown : addresses).map(({ address }) => address).join(", ")
  }`;
}
