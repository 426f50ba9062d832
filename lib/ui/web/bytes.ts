/**
 * Files from a page, and pictures to it, as binary messages: `u32 n || 1 to 262144 bytes`.
 *
 * What a page sends is written to `web-files/` in the state folder: a browser tells no path, and the page may be gone
 * when somebody accepts the file.
 *
 * @module
 */
/// <reference lib="deno.ns" />

import { join } from "node:path";
import { statfsSync } from "node:fs";
import { encodeHex, encodeUtf8, readU32, writeU32 } from "../../base/bytes.ts";
import { type Clock, systemRandom } from "../../base/clock.ts";
import { describeError, UsageError } from "../../base/errors.ts";
import { makeFolder } from "../../base/files.ts";
import type { Change, Conversation, FileEntry } from "../conversation.ts";
import type { Page } from "./web.ts";

/** Files that one page sends at once. */
export const MAX_UPLOADS = 4;
/** Uploads of one page that have failed, of which bytes may still be on their way. */
const MAX_FAILED = 64;
/** Bytes of a picture. */
export const MAX_PICTURE = 8 * 1024 * 1024;
/** Bytes of a file in one message. */
export const MAX_PART = 256 * 1024;
/** Bytes of a name, as in an OFFER. */
export const MAX_NAME_BYTES = 255;
/** What a start finds in `web-files/` and is older than this goes. */
export const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
/** How long to wait before a socket that is full is looked at again. */
const FULL_MS = 20;

/** Nobody is there to be told of it. */
const GONE = new UsageError("the page has gone");

const HEAD_BYTES = 4;
const NAME_PATTERN = /^[0-9a-f]{32}$/;

/** The first bytes of a picture: PNG, JPEG, GIF. */
const SIGNATURES = ["89504e470d0a1a0a", "ffd8ff", "474946383761", "474946383961"];
/** RIFF, four bytes of length, WEBP. */
const WEBP = /^52494646.{8}57454250/;

interface BytesOptions {
  readonly clock: Clock;
  readonly stateFolder: string;
  /** Offers a file. @param ref Repeated in the `offered` event. @throws {UsageError} */
  offer(
    conversation: Conversation,
    path: string,
    options: { name: string; ref: string },
  ): Promise<void>;
  /** Says in a conversation that a file was not sent. */
  fail(conversation: Conversation, text: string): void;
}

/** A file that a page sends. */
export interface UploadRequest {
  readonly conversation: Conversation;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** When it was changed last, in ms since 1970. */
  readonly mtime: number;
}

interface Upload extends UploadRequest {
  readonly n: number;
  readonly page: Page;
  readonly path: string;
  readonly file: Deno.FsFile;
  bytes: number;
}

/** The bytes of all pages. */
export class PageBytes {
  readonly #options: BytesOptions;
  readonly #folder: string;
  readonly #uploads = new Map<number, Upload>();
  /** By page, the uploads that have failed. */
  readonly #failed = new Map<Page, Set<number>>();
  /** The pictures that a page gets, one after the other. */
  readonly #sending = new Map<Page, Promise<void>>();
  /** Files that are offered: by the ref of the offer until it has a number, then by that. */
  readonly #offered = new Map<string | number, string>();
  #count = 0;

  constructor(options: BytesOptions) {
    this.#options = options;
    this.#folder = join(options.stateFolder, "web-files");
    this.#removeOld();
  }

  /**
   * Begins an upload.
   *
   * @returns What its bytes are called.
   * @throws {UsageError} There is no room for it, or it cannot be called that.
   */
  async begin(page: Page, request: UploadRequest): Promise<number> {
    const { name, size } = request;
    const { length } = encodeUtf8(name);
    if (length === 0 || length > MAX_NAME_BYTES || /[/\0]/.test(name)) {
      throw new UsageError("a file cannot be offered under that name");
    }
    await makeFolder(this.#folder);
    if (this.#free() < size) throw new UsageError(`there is no room for ${name} on the disk`);
    const path = join(this.#folder, encodeHex(systemRandom(16)));
    const file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    const upload: Upload = { ...request, n: ++this.#count, page, path, file, bytes: 0 };
    if ([...this.#uploads.values()].filter((other) => other.page === page).length >= MAX_UPLOADS) {
      this.#remove(upload);
      page.refuse();
      throw new UsageError("too many files at once");
    }
    if (!page.isOpen) {
      this.#remove(upload);
      throw GONE;
    }
    this.#uploads.set(upload.n, upload);
    if (size === 0) this.#options.clock.after(0, () => void this.#finish(upload));
    return upload.n;
  }

  /** Takes a binary message of a page. */
  take(message: Uint8Array<ArrayBuffer>, page: Page): void {
    if (message.length <= HEAD_BYTES) return page.refuse();
    const n = readU32(message, 0);
    const upload = this.#uploads.get(n);
    if (upload?.page !== page) {
      if (!this.#failed.get(page)?.has(n)) page.refuse();
      return;
    }
    const bytes = message.subarray(HEAD_BYTES);
    if (upload.bytes + bytes.length > upload.size) {
      return this.#abandon(upload, "it has become longer");
    }
    try {
      for (let at = 0; at < bytes.length;) at += upload.file.writeSync(bytes.subarray(at));
    } catch (error) {
      return this.#abandon(upload, describeError(error));
    }
    upload.bytes += bytes.length;
    if (upload.bytes === upload.size) return void this.#finish(upload);
    page.send({ type: "took", n, bytes: upload.bytes });
  }

  async #finish(upload: Upload): Promise<void> {
    const { n, page, path, file, mtime, name, conversation } = upload;
    if (!this.#uploads.delete(n)) return; // its page has gone
    file.close();
    const ref = path.slice(-32);
    this.#offered.set(ref, path);
    try {
      await Deno.utime(path, new Date(), new Date(mtime));
      await this.#options.offer(conversation, path, { name, ref });
      page.send({ type: "took", n, bytes: upload.bytes });
    } catch (error) {
      this.#offered.delete(ref);
      await Deno.remove(path).catch(() => {});
      const problem = describeError(error).replaceAll(path, name);
      this.#options.fail(conversation, `${name} was not offered: ${problem}`);
      page.send({ type: "took", n, bytes: upload.bytes, problem });
    }
  }

  /** Gives an upload up, of which more bytes may come. */
  #abandon(upload: Upload, problem: string): void {
    const { n, page, name, bytes, conversation } = upload;
    this.#remove(upload);
    const failed = this.#failed.get(page) ?? new Set();
    this.#failed.set(page, failed.add(n));
    this.#options.fail(conversation, `${name} was not sent: ${problem}`);
    page.send({ type: "took", n, bytes, problem });
    if (failed.size > MAX_FAILED) page.refuse();
  }

  #remove({ n, file, path }: Upload): void {
    this.#uploads.delete(n);
    file.close();
    tryRemove(path);
  }

  /** A page has gone: nothing more comes of what it was sending. */
  forget(page: Page): void {
    this.#failed.delete(page);
    this.#sending.delete(page);
    for (const upload of this.#uploads.values()) if (upload.page === page) this.#remove(upload);
  }

  close(): void {
    for (const upload of this.#uploads.values()) this.#remove(upload);
  }

  // What is offered.

  /** An offer has got its number. */
  offered(ref: string | undefined, number: number): void {
    const path = ref === undefined ? undefined : this.#offered.get(ref);
    if (path === undefined) return;
    this.#offered.delete(ref!);
    this.#offered.set(number, path);
  }

  /** Removes a file of which no transfer can go on. */
  observe(change: Change): void {
    if (change.type !== "entry" || change.entry.type !== "file") return;
    const { number, transfers } = change.entry;
    const path = this.#offered.get(number);
    const isOver = ({ state }: FileEntry["transfers"][number]) =>
      state === "done" || state === "declined" || state === "failed";
    if (path === undefined || transfers.length === 0 || !transfers.every(isOver)) return;
    this.#offered.delete(number);
    tryRemove(path);
  }

  #removeOld(): void {
    const oldest = this.#options.clock.wallTime() - MAX_AGE_MS;
    try {
      for (const { name } of Deno.readDirSync(this.#folder)) {
        const path = join(this.#folder, name);
        // When it was written, whatever the page says.
        const { isFile, atime, birthtime } = Deno.lstatSync(path);
        const written = (birthtime ?? atime)?.getTime() ?? 0;
        if (isFile && NAME_PATTERN.test(name) && written < oldest) Deno.removeSync(path);
      }
    } catch {
      // There is none yet, or it cannot be read: then nothing can be written there either.
    }
  }

  /** Bytes that are free; Infinity if that cannot be found out. */
  #free(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#folder);
      return bavail * bsize;
    } catch {
      return Infinity;
    }
  }

  // Pictures.

  /**
   * Sends a picture after the result that tells of it.
   *
   * @returns What its bytes are called, and how many they are.
   * @throws {UsageError} If it is none that can be shown.
   */
  async show(page: Page, entry: FileEntry): Promise<{ n: number; size: number }> {
    const { number, kind, size } = entry;
    const path = entry.kept ?? this.#offered.get(number);
    if (kind !== "file" || size === null || path === undefined) {
      throw new UsageError("it is not here");
    }
    if (size > MAX_PICTURE) throw new UsageError("it is too large to be shown");
    const file = await openPicture(path, size);
    if (!page.isOpen) {
      file.close();
      throw GONE;
    }
    const n = ++this.#count;
    const before = this.#sending.get(page) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#options.clock.after(0, resolve);
    this.#sending.set(page, before.then(() => promise).then(() => this.#send(page, n, file, size)));
    return { n, size };
  }

  async #send(page: Page, n: number, file: Deno.FsFile, size: number): Promise<void> {
    try {
      for (let sent = 0; sent < size;) {
        while (this.#sending.has(page) && !page.isReady) await this.#wait();
        if (!this.#sending.has(page)) return;
        const part = new Uint8Array(HEAD_BYTES + Math.min(MAX_PART, size - sent));
        writeU32(part, 0, n);
        const length = await file.read(part.subarray(HEAD_BYTES));
        if (length === null) return page.refuse(); // it has become shorter
        page.sendBytes(part.subarray(0, HEAD_BYTES + length));
        sent += length;
      }
    } catch {
      page.refuse(); // it cannot be read any more
    } finally {
      file.close();
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(FULL_MS, resolve));
  }
}

/** Opens a picture, never through a link. @throws {UsageError} If it is none, or has changed. */
async function openPicture(path: string, size: number): Promise<Deno.FsFile> {
  const gone = new UsageError("it is not here any more");
  try {
    const found = await Deno.lstat(path);
    if (!found.isFile || found.size !== size) throw gone;
    const file = await Deno.open(path);
    const { ino, dev } = await file.stat();
    if (ino === found.ino && dev === found.dev) return await checkPicture(file);
    file.close();
  } catch (error) {
    if (error instanceof UsageError) throw error;
  }
  throw gone;
}

/** @throws {UsageError} If it is none; then it is closed. */
async function checkPicture(file: Deno.FsFile): Promise<Deno.FsFile> {
  const start = new Uint8Array(16);
  await file.read(start);
  await file.seek(0, Deno.SeekMode.Start);
  const hex = encodeHex(start);
  if (WEBP.test(hex) || SIGNATURES.some((signature) => hex.startsWith(signature))) return file;
  file.close();
  throw new UsageError("it is no picture that can be shown");
}

function tryRemove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // A later start removes it.
  }
}
