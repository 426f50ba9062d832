/**
 * The standalone clients that `--share` hands out: which there are, and their checksums.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeHex } from "../../base/bytes.ts";
import { UsageError } from "../../base/errors.ts";
import {
  fileName,
  HEADER_BYTES,
  identify,
  isTarget,
  type Target,
  TARGETS,
} from "../../base/targets.ts";
import { FileHash } from "../../protocol/file_hash.ts";

const CHUNK_BYTES = 65_536;

/** How a computer of each target is called, in addresses and by people. */
const KINDS: Readonly<Record<Target, { readonly folder: string; readonly kind: string }>> = {
  "aarch64-apple-darwin": { folder: "macos-arm64", kind: "macOS, Apple silicon" },
  "x86_64-apple-darwin": { folder: "macos-x86_64", kind: "macOS, Intel" },
  "aarch64-unknown-linux-gnu": { folder: "linux-arm64", kind: "Linux, ARM" },
  "x86_64-unknown-linux-gnu": { folder: "linux-x86_64", kind: "Linux, Intel or AMD" },
  "x86_64-pc-windows-msvc": { folder: "windows-x86_64", kind: "Windows" },
};

/** What tells a file from the one that was there before. */
interface Identity {
  readonly dev: number;
  readonly ino: number | null;
  readonly size: number;
  readonly mtimeMs: number | undefined;
}

/** A program that is handed out. */
export class SharedProgram {
  readonly isWindows: boolean;
  /** The path of its address, `/linux-x86_64/client`. */
  readonly path: string;
  /** The name of the file. */
  readonly name: string;
  /** What computers it is for, in words. */
  readonly kind: string;
  /** The file itself. */
  readonly file: string;
  readonly #target: Target;
  #summed: { readonly identity: Identity; readonly sha256: string } | undefined;
  #isSumming = false;

  constructor(target: Target, file: string) {
    const { folder, kind } = KINDS[target];
    this.#target = target;
    this.file = file;
    this.isWindows = target.includes("windows");
    this.name = fileName("client", target);
    this.path = `/${folder}/${this.name}`;
    this.kind = kind;
  }

  /** Bytes of the file that was summed. */
  get size(): number {
    return this.#summed?.identity.size ?? 0;
  }

  /** 64 hexadecimal digits; undefined while it is not worked out. */
  get sha256(): string | undefined {
    return this.#summed?.sha256;
  }

  /**
   * Works out the checksum.
   *
   * @returns Whether the file is a program for its target, and no link.
   */
  async sum(): Promise<boolean> {
    if (this.#isSumming) return false;
    this.#isSumming = true;
    this.#summed = undefined;
    try {
      using file = await this.#open();
      if (!file) return false;
      const header = new Uint8Array(HEADER_BYTES);
      const count = await file.read(header);
      if (identify(header.subarray(0, count ?? 0)) !== this.#target) return false;
      const identity = identityOf(await file.stat());
      const hash = new FileHash();
      for await (const chunk of readPart(file, 0, identity.size)) hash.update(chunk);
      this.#summed = { identity, sha256: encodeHex(hash.digest()) };
      return true;
    } catch {
      return false;
    } finally {
      this.#isSumming = false;
    }
  }

  /**
   * Opens the file that was summed; undefined when it is another one by now, which is then summed.
   *
   * @param onChange Called when the checksum is another one then, or there is none any more.
   */
  async open(onChange: (program: this) => void): Promise<Deno.FsFile | undefined> {
    const file = await this.#open();
    if (file && this.#summed && isSame(this.#summed.identity, identityOf(await file.stat()))) {
      return file;
    }
    file?.close();
    if (!this.#isSumming) void this.#sumAgain(onChange);
    return undefined;
  }

  async #sumAgain(onChange: (program: this) => void): Promise<void> {
    const before = this.sha256;
    await this.sum();
    if (this.sha256 !== before) onChange(this);
  }

  /** Opens the file, unless it is a link, lies behind one, or is not there. */
  async #open(): Promise<Deno.FsFile | undefined> {
    try {
      const [folder, before] = await Promise.all([dirname(this.file), this.file].map(Deno.lstat));
      if (!folder!.isDirectory || !before!.isFile) return undefined;
      const file = await Deno.open(this.file);
      // A link may have been put there meanwhile.
      if (isSame(identityOf(before!), identityOf(await file.stat()))) return file;
      file.close();
    } catch {
      // There is nothing that can be read.
    }
    return undefined;
  }
}

function identityOf({ dev, ino, size, mtime }: Deno.FileInfo): Identity {
  return { dev, ino, size, mtimeMs: mtime?.getTime() };
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.size === other.size &&
    one.mtimeMs === other.mtimeMs;
}

/** Reads a part of a file; less if the file is shorter by now. */
export async function* readPart(
  file: Deno.FsFile,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  await file.seek(start, Deno.SeekMode.Start);
  for (let left = length; left > 0;) {
    const buffer = new Uint8Array(Math.min(left, CHUNK_BYTES));
    const count = await file.read(buffer);
    if (!count) return;
    left -= count;
    yield buffer.subarray(0, count);
  }
}

/**
 * Finds the programs and works out their checksums.
 *
 * @param folder With a folder for each target, as `deno task compile` makes them; undefined: the program's own client, and
 * those beside it or in the project's `dist`.
 * @throws {UsageError} When there are none.
 */
export async function findPrograms(folder: string | undefined): Promise<SharedProgram[]> {
  const files = new Map<Target, string>();
  const from = folder ?? distFolder();
  if (from !== undefined) {
    for (const target of TARGETS) files.set(target, join(from, target, fileName("client", target)));
  }
  const own = folder === undefined ? ownClient() : undefined;
  if (own) files.set(...own);
  const programs = [...files].map(([target, file]) => new SharedProgram(target, file));
  const found: SharedProgram[] = [];
  for (const program of programs) if (await program.sum()) found.push(program);
  if (found.length > 0) return found;
  throw new UsageError(
    from === undefined ? "--share finds no client to share" : `--share: no client is in ${from}`,
    [
      "deno task compile makes dist/TARGET/client, deno task compile --all those for all computers; " +
      "--share=FOLDER names another place than dist",
    ],
  );
}

/** The client that is this program, or lies beside it. */
function ownClient(): [Target, string] | undefined {
  const { target, standalone } = Deno.build;
  if (!standalone || !isTarget(target)) return undefined;
  return [target, join(dirname(Deno.execPath()), fileName("client", target))];
}

/** Where the programs for all targets are: a compiled one may lie among them. */
function distFolder(): string | undefined {
  if (!Deno.build.standalone) return fileURLToPath(new URL("../../../dist", import.meta.url));
  const folder = dirname(Deno.execPath());
  return isTarget(basename(folder)) ? dirname(folder) : undefined;
}
