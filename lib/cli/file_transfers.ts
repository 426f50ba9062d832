/**
 * Puts the transfers of files together for the client: where files are kept, which addresses are named, and what is
 * loaded when the first one is offered.
 *
 * @module
 */

import { nodePath } from "../base/builtin.ts";
import type { Bytes } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { listInterfaces } from "../base/interfaces.ts";
import { isLinkLocal, LOOPBACK, parseIp } from "../base/ip.ts";
import { MAX_FILE_ADDRESSES } from "../protocol/file_messages.ts";
import type { FileEvent, FileOptions, Session } from "../session/mod.ts";

interface FileTransfersOptions {
  readonly stateFolder: string;
  /** Where files are kept, as the user said; undefined: the folder for downloads, or the present one. */
  readonly download: string | undefined;
  /** Whether two computers may connect to each other. */
  readonly isDirect: boolean;
  readonly strict: boolean;
  /** Whether the relay is reached over loopback, so that others may be on this computer, too. */
  isOnThisComputer(): boolean;
  /** Accepts what somebody offers, without a question. */
  accepts?(offer: { readonly person: string }): { executable: boolean } | undefined;
  warn(text: string): void;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
}

/** Paths that are offered to complete one. */
const MAX_LISTED = 200;

type Service = Awaited<ReturnType<typeof import("../session/files/service.ts").FileService.start>>;

export class FileTransfers {
  readonly #options: FileTransfersOptions;
  readonly #home: string | undefined;
  /** Where files are kept. */
  readonly folder: string;
  #service: Promise<Service> | undefined;
  /** An earlier run has left something unfinished. */
  #hasNotes: boolean | undefined;

  /** @throws {UsageError} The folder that the user names is none. */
  constructor(options: FileTransfersOptions) {
    this.#options = options;
    this.#home = homeFolder(options.env);
    this.folder = this.#findFolder(options.download);
  }

  #findFolder(named: string | undefined): string {
    if (named !== undefined) {
      const path = this.resolve(named);
      if (isFolder(path)) return path;
      throw new UsageError(`${named}: no such folder`, ["make it first, or name another one"]);
    }
    const downloads = this.#home === undefined ? "" : `${this.#home}/Downloads`;
    return downloads !== "" && isFolder(downloads) ? downloads : Deno.cwd();
  }

  /** Makes a path that the user typed absolute. */
  resolve(path: string): string {
    const { isAbsolute, join, resolve } = nodePath();
    const isHome = this.#home !== undefined && /^~(?=[\\/]|$)/.test(path);
    const full = isHome ? join(this.#home!, path.slice(1)) : path;
    return isAbsolute(full) ? full : resolve(full);
  }

  /** Writes `~` for the user's own folder. */
  shorten(path: string): string {
    const { isAbsolute, join, relative } = nodePath();
    const rest = this.#home === undefined ? undefined : relative(this.#home, path);
    if (rest === undefined || rest.startsWith("..") || isAbsolute(rest)) return path;
    return join("~", rest);
  }

  /** What begins with a path that the user typed; folders end with a slash. */
  list(path: string): string[] {
    const [, before = "", name = ""] = /^(.*[\\/])?([^\\/]*)$/s.exec(path) ?? [];
    try {
      const found = Array.from(Deno.readDirSync(this.resolve(before === "" ? "." : before)))
        .filter((entry) => entry.name.startsWith(name) && (name !== "" || entry.name[0] !== "."))
        .map((entry) => `${before}${entry.name}${entry.isDirectory ? "/" : ""}`);
      return found.sort().slice(0, MAX_LISTED);
    } catch {
      return []; // there is no such folder, or it may not be read
    }
  }

  /** The option of a session by which it has files. */
  of(
    room: string,
    { session, emit }: { session: () => Session; emit: (event: FileEvent) => void },
  ): FileOptions {
    const personOf = (fingerprint: string) =>
      session().people().find((person) => person.fingerprint === fingerprint);
    return {
      isUnfinished: () => this.#isUnfinished(),
      load: async (channels) => {
        const service = await (this.#service ??= this.#start());
        return service.open({
          name: room,
          port: {
            members: () => channels.members(),
            people: () => channels.people(),
            send: (sid, message) => channels.send(sid, message),
            isIdle: () => channels.isIdle,
            nick: (person) => personOf(person)?.nick ?? person,
            trust: (person) => personOf(person)?.trust ?? "known",
          },
          emit,
        });
      },
    };
  }

  #isUnfinished(): boolean {
    this.#hasNotes ??= sizeOf(`${this.#options.stateFolder}/transfers.json`) > "[]".length;
    return this.#hasNotes;
  }

  async #start(): Promise<Service> {
    const { stateFolder, strict, accepts, warn } = this.#options;
    const { FileService }: typeof import("../session/files/service.ts") = await import(
      "../session/files/service.ts" as string
    );
    return await FileService.start({
      mainModule: Deno.mainModule,
      stateFolder,
      folder: () => this.folder,
      strict,
      addresses: () => this.#addresses(),
      ...(accepts && { accepts }),
      warn,
    });
  }

  /** Those of this computer, IPv4 first, link-local IPv6 last; none where everything goes through the relay. */
  #addresses(): Bytes[] {
    const { isDirect, isOnThisComputer } = this.#options;
    if (!isDirect) return [];
    const found = listInterfaces().filter(({ isLoopback }) => !isLoopback)
      .flatMap(({ addresses }) => addresses.map(({ address }) => address));
    const rank = (address: string) => !address.includes(":") ? 0 : isLinkLocal(address) ? 2 : 1;
    const sorted = found.sort((a, b) => rank(a) - rank(b));
    const all = isOnThisComputer() ? [LOOPBACK, ...sorted] : sorted;
    return all.slice(0, MAX_FILE_ADDRESSES).map(parseIp);
  }

  /** Ends what goes on; it goes on at the next start. */
  async stop(): Promise<void> {
    await (await this.#service)?.close();
  }
}

function homeFolder(env: (name: string) => string | undefined): string | undefined {
  if (Deno.build.os !== "windows") return env("HOME");
  const roaming = env("APPDATA"); // it is two folders below
  return roaming && nodePath().resolve(roaming, "..", "..");
}

/** @returns 0 if there is no such file. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
