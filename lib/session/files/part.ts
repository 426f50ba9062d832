/**
 * A file or folder that is being received: its part beside the place where it will be, and what is known of it in a
 * file of its own, so that it goes on after a restart (PROTOCOL.md §15).
 *
 * @module
 */

import { join } from "node:path";
import { concat, decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import type { Disk, OpenFile } from "./disk.ts";
import type { Pause } from "./slices.ts";
import { MAX_NUMBER, nameKey, NOTES_SUFFIX, numberedName, PART_SUFFIX } from "./name.ts";

/** What a part is a part of. */
export interface PartHead {
  /** 32 hex digits. */
  readonly id: string;
  /** The sender's fingerprint, `SHA256:…`. */
  readonly from: string;
  /** The name under which it is kept, but for a number. */
  readonly name: string;
  readonly kind: "file" | "folder";
  /** In bytes; null if it is not known. */
  readonly size: number | null;
  /** In ms since 1970. */
  readonly mtime: number;
  /** 64 hex digits. */
  readonly listing: string;
  /** The user lets what is a program be one here. */
  readonly executable: boolean;
}

/** An entry of a folder, as it was sent and as it is kept. */
export interface PartEntry {
  /** The body of its ENTRY, as hex digits. */
  readonly body: string;
  /** Its components, below the part. */
  readonly path: readonly string[];
  readonly kind: "file" | "folder";
  readonly size: number;
  /** It could not be read at the other side, and is not there. */
  readonly skipped?: boolean;
}

/** How long a part waits for the rest, §10. */
export const PART_KEPT_MS = 7 * 24 * 3_600_000;
/** Enough for 65,536 entries of 1 KiB paths. */
const MAX_NOTES_BYTES = 256 * 1024 * 1024;
const NOTES_CHUNK_BYTES = 65_536;
/** Enough for names of 255 bytes, each of which JSON may write as six. */
const MAX_HEAD_BYTES = 4096;

/** A part that this program holds. */
export class Part {
  readonly head: PartHead;
  /** The path of the file or folder. */
  readonly path: string;
  readonly entries: PartEntry[];
  readonly #disk: Disk;
  readonly #notes: OpenFile;

  private constructor(
    disk: Disk,
    path: string,
    { head, entries, notes }: { head: PartHead; entries: PartEntry[]; notes: OpenFile },
  ) {
    this.#disk = disk;
    this.path = path;
    this.head = head;
    this.entries = entries;
    this.#notes = notes;
  }

  /**
   * Opens the part of an offer, or begins one.
   *
   * @param folder Where it will be kept; it exists.
   * @throws {NoPlaceError} Every name is taken.
   * @throws The error of the operating system.
   */
  static async open(
    disk: Disk,
    folder: string,
    head: PartHead,
    pause: Pause = () => Promise.resolve(true),
  ): Promise<Part> {
    for (const path of pathsOf(folder, head)) {
      const begun = Part.#begin(disk, path, head);
      if (await begun?.isHeld) return begun!.part;
      begun?.part.close(); // somebody else was quicker, and has it now
      const part = begun === undefined ? await Part.#resume(disk, path, head, pause) : undefined;
      if (part !== undefined) return part;
    }
    throw new NoPlaceError();
  }

  /**
   * Looks for the part of an offer that was accepted in an earlier run, under whatever name.
   *
   * @returns What was noted when it was begun.
   */
  static find(disk: Disk, folder: string, head: PartHead): PartHead | undefined {
    for (const file of disk.list(folder)) {
      const path = join(folder, file);
      if (!file.endsWith(PART_SUFFIX + NOTES_SUFFIX) || disk.look(path)?.kind !== "file") continue;
      const notes = disk.open(path, "read");
      try {
        const known = readHead(notes);
        const isMeant = known?.id === head.id && isSame(known, { ...head, name: known.name });
        if (isMeant) return known;
      } finally {
        notes.close();
      }
    }
    return undefined;
  }

  /** Removes the parts in a folder that nobody has gone on with for seven days. */
  static async tidy(disk: Disk, folder: string, now: number): Promise<void> {
    for (const name of disk.list(folder)) {
      if (!name.endsWith(PART_SUFFIX + NOTES_SUFFIX)) continue;
      const notesPath = join(folder, name);
      const path = notesPath.slice(0, -NOTES_SUFFIX.length);
      const times = [notesPath, path].map((it) => disk.look(it)?.mtime ?? 0);
      if (now - Math.max(...times) < PART_KEPT_MS) continue;
      const notes = disk.open(notesPath, "write");
      const isFree = await notes.tryHold();
      notes.close();
      if (!isFree) continue;
      if (disk.look(path) !== undefined) await disk.removeAll(path);
      disk.remove(notesPath);
    }
  }

  /** @returns Nothing if the part of something else is there, or another program holds it. */
  static async #resume(
    disk: Disk,
    path: string,
    head: PartHead,
    pause: Pause,
  ): Promise<Part | undefined> {
    const notesPath = path + NOTES_SUFFIX;
    if (disk.look(notesPath)?.kind !== "file") return undefined;
    const notes = disk.open(notesPath, "write");
    try {
      const known = await notes.tryHold() ? await readNotes(notes, pause) : undefined;
      const isThere = disk.look(path)?.kind === head.kind;
      if (known !== undefined && isThere && isSame(known.head, head)) {
        notes.truncate(known.end);
        notes.seek(known.end);
        return new Part(disk, path, { ...known, notes });
      }
    } catch (error) {
      notes.close();
      throw error;
    }
    notes.close();
    return undefined;
  }

  /** @returns Nothing if something is there. */
  static #begin(
    disk: Disk,
    path: string,
    head: PartHead,
  ): { part: Part; isHeld: Promise<boolean> } | undefined {
    const notesPath = path + NOTES_SUFFIX;
    if (disk.look(path) !== undefined || disk.look(notesPath) !== undefined) return undefined;
    const notes = disk.open(notesPath, "new");
    const isHeld = notes.tryHold();
    try {
      notes.write(encodeUtf8(JSON.stringify(head) + "\n"));
      if (head.kind === "folder") disk.makeFolder(path);
      else disk.open(path, "new").close();
    } catch (error) {
      notes.close();
      disk.remove(notesPath);
      throw error;
    }
    return { part: new Part(disk, path, { head, entries: [], notes }), isHeld };
  }

  /** Notes an entry of a folder before it is created. */
  note(entry: PartEntry): void {
    this.entries.push(entry);
    this.#write(entry);
  }

  /** Notes that an entry is not there. */
  noteSkipped(entry: PartEntry): void {
    const skipped = { ...entry, skipped: true };
    this.entries[this.entries.lastIndexOf(entry)] = skipped;
    this.#write(skipped);
  }

  #write(line: unknown): void {
    this.#notes.write(encodeUtf8(JSON.stringify(line) + "\n"));
  }

  /** Removes all entries, because they come again from the beginning. */
  async empty(): Promise<void> {
    if (this.entries.length === 0) return;
    await this.#disk.removeAll(this.path);
    this.#disk.makeFolder(this.path);
    this.entries.length = 0;
    this.#notes.truncate(0);
    this.#notes.seek(0);
    this.#write(this.head);
  }

  /**
   * Puts what is complete under its name, never over anything.
   *
   * @returns Its path.
   * @throws {NoPlaceError} Every name is taken.
   * @throws The error of the operating system.
   */
  finish(folder: string): string {
    const taken = new Set(this.#disk.list(folder).map(nameKey));
    for (let number = 1; number <= MAX_NUMBER; number++) {
      const { name } = this.head;
      const candidate = number === 1 ? name : numberedName(name, number);
      if (taken.has(nameKey(candidate))) continue;
      const path = join(folder, candidate);
      if (!this.#moveTo(path)) continue;
      this.#disk.remove(this.path + NOTES_SUFFIX);
      this.close();
      return path;
    }
    throw new NoPlaceError();
  }

  /** @returns Whether the name was free. */
  #moveTo(path: string): boolean {
    const disk = this.#disk;
    try {
      if (this.head.kind === "folder") disk.makeFolder(path);
      else if (linkOrCreate(disk, this.path, path)) {
        disk.remove(this.path);
        return true;
      }
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    }
    // What was just created is empty and ours.
    try {
      disk.rename(this.path, path);
    } catch (error) {
      if (this.head.kind === "file") throw error;
      // Windows puts no folder in the place of another one.
      for (const name of disk.list(this.path)) disk.rename(join(this.path, name), join(path, name));
      disk.remove(this.path);
    }
    return true;
  }

  /** Removes it. */
  async discard(): Promise<void> {
    try {
      await this.#disk.removeAll(this.path);
      this.#disk.remove(this.path + NOTES_SUFFIX);
    } finally {
      this.close();
    }
  }

  /** Lets go of it: another program may go on. */
  close(): void {
    this.#notes.close();
  }
}

/** Every name under which something could be kept is taken. */
export class NoPlaceError extends Error {
  override name = "NoPlaceError";
}

/**
 * Opens a part as {@linkcode Part.open} does.
 *
 * @returns Nothing if it was not to go on meanwhile. */
export async function openPart(
  { disk, folder, head }: { disk: Disk; folder: string; head: PartHead },
  pause: Pause,
): Promise<Part | undefined> {
  const part = await Part.open(disk, folder, head, pause);
  if (await pause()) return part;
  part.close();
  return undefined;
}

/** Where a part may be. */
function* pathsOf(folder: string, { name }: PartHead): Generator<string> {
  for (let number = 1; number <= MAX_NUMBER; number++) {
    yield join(folder, (number === 1 ? name : numberedName(name, number)) + PART_SUFFIX);
  }
}

/** @returns Whether it was linked; else an empty file was created there, on a file system without links. */
function linkOrCreate(disk: Disk, from: string, to: string): boolean {
  try {
    disk.link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw error;
    disk.open(to, "new").close();
    return false;
  }
}

/** The same transfer, or the same thing offered anew by the same person. */
function isSame(known: PartHead, head: PartHead): boolean {
  return known.from === head.from && (known.id === head.id || head.size !== null) &&
    known.size === head.size && known.name === head.name && known.kind === head.kind &&
    known.mtime === head.mtime && known.listing === head.listing;
}

/** @returns The first line of notes, which says what the part is a part of. */
function readHead(file: OpenFile): PartHead | undefined {
  const bytes = new Uint8Array(MAX_HEAD_BYTES);
  const start = bytes.subarray(0, file.read(bytes));
  try {
    const head = JSON.parse(decodeUtf8(start.subarray(0, start.indexOf(0x0a))));
    return typeof head?.id === "string" && typeof head.name === "string" ? head : undefined;
  } catch {
    return undefined;
  }
}

/** @returns Nothing for notes that were torn or written by something else. */
async function readNotes(
  file: OpenFile,
  pause: Pause,
): Promise<{ head: PartHead; entries: PartEntry[]; end: number } | undefined> {
  if (file.size() > MAX_NOTES_BYTES) return undefined;
  const lines = new NotesReader();
  const chunk = new Uint8Array(NOTES_CHUNK_BYTES);
  for (let read; (read = file.read(chunk)) > 0;) {
    if (!lines.add(chunk.subarray(0, read))) return undefined;
    await pause(); // whoever opens a part decides whether to go on
  }
  const { head, end } = lines;
  return head && { head, entries: Array.from(lines.entries.values()), end };
}

/** Takes notes piece by piece. */
class NotesReader {
  head: PartHead | undefined;
  /** By their bodies. */
  readonly entries = new Map<string, PartEntry>();
  /** Where the last complete line ends: one that was torn is left out, and what it noted comes again. */
  end = 0;
  #rest: Uint8Array = new Uint8Array(0);

  /** @returns Whether it may go on. */
  add(piece: Uint8Array): boolean {
    const bytes = concat(this.#rest, piece);
    const complete = bytes.lastIndexOf(0x0a) + 1;
    this.#rest = bytes.subarray(complete);
    this.end += complete;
    try {
      const text = decodeUtf8(bytes.subarray(0, complete));
      return text.split("\n").slice(0, -1).every((line) => this.#take(JSON.parse(line)));
    } catch {
      return false;
    }
  }

  #take(line: PartHead & PartEntry): boolean {
    if (this.head !== undefined) {
      this.entries.set(line.body, line); // a second time if it was skipped
      return true;
    }
    this.head = line;
    return typeof line.from === "string" && typeof line.id === "string";
  }
}
