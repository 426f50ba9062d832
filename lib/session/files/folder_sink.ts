/**
 * Receives a folder, entry by entry in the order of their paths.
 *
 * @module
 */

import { join } from "node:path";
import { compareBytes, decodeHex, encodeHex } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import {
  decodeFileFrame,
  encodeFileFrame,
  FILE_FRAME,
  type FileEntry,
  type FileFrame,
} from "../../protocol/file_frames.ts";
import { FileHash } from "../../protocol/file_hash.ts";
import type { OpenFile } from "./disk.ts";
import { EarlySync } from "./early_sync.ts";
import { openPart, type Part, type PartEntry } from "./part.ts";
import {
  expectRoom,
  hashPieces,
  type Have,
  NameError,
  NOTHING,
  type Piece,
  type Sink,
  type SinkOptions,
  syncFiles,
} from "./sink.ts";
import type { Pause } from "./slices.ts";
import { Tree } from "./tree.ts";

interface FolderOptions extends SinkOptions {
  /** Files and folders that were offered. */
  readonly entries: number;
}

/** The entry whose bytes come now. */
interface Present {
  readonly entry: PartEntry;
  readonly sent: FileEntry;
  /** Where it begins in the stream. */
  readonly start: number;
}

export class FolderSink implements Sink {
  readonly #options: FolderOptions;
  readonly #early: EarlySync;
  #part: Part | undefined;
  #have: Have = NOTHING;
  #tree = new Tree();
  /** Where the entries of an earlier connection begin in the stream, by the bodies of their ENTRYs. */
  #known = new Map<string, { entry: PartEntry; start: number }>();
  /** Of all entries so far, also those that were skipped. */
  #size = 0;
  #lastPath = new Uint8Array(0);
  #isGoing = false;
  #position = 0;
  #present: Present | undefined;
  #file: OpenFile | undefined;
  #skipped = 0;

  constructor(options: FolderOptions) {
    this.#options = options;
    this.#early = new EarlySync(options.disk);
  }

  get position(): number {
    return this.#position;
  }

  get skipped(): number {
    return this.#skipped;
  }

  async look(pause: Pause): Promise<Have> {
    this.close();
    this.#isGoing = false;
    this.#position = 0;
    const part = this.#part = await openPart(this.#options, pause);
    if (part === undefined) return NOTHING;
    await this.#recall(part, pause);
    const pieces = await this.#piecesThere(part, pause);
    if (!await pause()) return NOTHING;
    const { disk } = this.#options;
    const have = pieces.reduce((sum, [, size]) => sum + size, 0);
    expectRoom(this.#options, have);
    this.#have = have === 0 ? NOTHING : { have, hash: await hashPieces(disk, pieces, pause) };
    return this.#have;
  }

  /** What of each file is there, in order, up to the first one that is not complete. */
  async #piecesThere(part: Part, pause: Pause): Promise<Piece[]> {
    const { disk } = this.#options;
    const pieces: Piece[] = [];
    for (const { kind, path, size, skipped } of part.entries) {
      if (!await pause()) break;
      if (skipped || kind === "folder") continue;
      const found = disk.look(join(part.path, ...path));
      const there = found?.kind === "file" ? Math.min(found.size, size) : 0;
      if (there > 0) pieces.push([join(part.path, ...path), there]);
      if (there < size) break;
    }
    return pieces;
  }

  take(frame: FileFrame): void | Promise<void> {
    if (frame.type === "go") return this.#go(frame.from);
    if (!this.#isGoing) throw new ProtocolError("unexpected");
    switch (frame.type) {
      case "entry":
        return this.#enter(frame);
      case "data":
        return this.#write(frame.data);
      case "skip":
        return this.#skip();
      default:
        throw new ProtocolError("unexpected");
    }
  }

  async #go(from: number): Promise<void> {
    const part = this.#part;
    if (part === undefined || this.#isGoing || (from !== 0 && from !== this.#have.have)) {
      throw new ProtocolError("unexpected");
    }
    this.#isGoing = true;
    this.#position = from;
    if (from > 0) return;
    this.#forget();
    await part.empty();
  }

  #forget(): void {
    this.#tree = new Tree();
    this.#known = new Map();
    this.#lastPath = new Uint8Array(0);
    this.#size = 0;
  }

  /** Places the entries of an earlier connection. */
  async #recall(part: Part, pause: Pause): Promise<void> {
    this.#forget();
    let start = 0;
    for (const entry of part.entries) {
      if (!await pause()) return;
      this.#known.set(entry.body, { entry, start });
      const sent = decodeFileFrame(FILE_FRAME.ENTRY, decodeHex(entry.body));
      if (sent.type !== "entry") throw new ProtocolError("bad-field");
      this.#tree.place(sent.path, sent.kind);
      this.#lastPath = sent.path;
      if (!entry.skipped) start += entry.size;
      this.#size += entry.size;
    }
  }

  #enter(sent: FileEntry): void {
    this.#leave();
    const body = encodeHex(encodeFileFrame(sent).subarray(1));
    const known = this.#known.get(body);
    if (known === undefined) return this.#begin(sent, body);
    const { entry, start } = known;
    const offset = this.#position - start;
    if (entry.skipped || offset < 0 || offset > entry.size) throw new ProtocolError("unexpected");
    this.#present = { entry, sent, start };
    if (entry.kind === "file") {
      this.#file = this.#openFile(entry);
      this.#file.truncate(offset);
      this.#file.seek(offset);
    } else if (this.#options.disk.look(this.#place(entry.path)) === undefined) {
      this.#options.disk.makeFolder(this.#place(entry.path));
    }
  }

  #begin(sent: FileEntry, body: string): void {
    const part = this.#part!;
    this.#size += sent.size;
    const isMore = part.entries.length >= this.#options.entries;
    if (isMore || this.#size > this.#options.head.size!) throw new ProtocolError("too-large");
    if (compareBytes(sent.path, this.#lastPath) <= 0) throw new ProtocolError("unexpected");
    const placed = this.#tree.place(sent.path, sent.kind);
    if (placed === undefined) throw new NameError();
    this.#lastPath = sent.path;
    const { kind, size } = sent;
    const entry = { body, path: placed.path, kind, size };
    part.note(entry);
    for (const folder of placed.folders) this.#options.disk.makeFolder(this.#place(folder));
    this.#present = { entry, sent, start: this.#position };
    if (kind === "file") this.#file = this.#openFile(entry);
  }

  /** Opens a file of the part without following a link: each component is looked at first. */
  #openFile({ path }: PartEntry): OpenFile {
    const { disk } = this.#options;
    for (let depth = 1; depth < path.length; depth++) {
      const found = disk.look(this.#place(path.slice(0, depth)));
      if (found?.kind !== "folder") throw new NameError();
    }
    const place = this.#place(path);
    const found = disk.look(place);
    if (found !== undefined && found.kind !== "file") throw new NameError();
    return disk.open(place, found === undefined ? "new" : "write");
  }

  #place(path: readonly string[]): string {
    return join(this.#part!.path, ...path);
  }

  #write(data: Uint8Array): void | Promise<void> {
    const present = this.#present;
    if (this.#file === undefined || present === undefined) throw new ProtocolError("unexpected");
    if (this.#position + data.length > present.start + present.entry.size) {
      throw new ProtocolError("too-large");
    }
    this.#file.write(data);
    this.#position += data.length;
    return this.#early.wrote(this.#place(present.entry.path), data.length);
  }

  /** Ends the present entry, which must be complete. */
  #leave(): void {
    const present = this.#present;
    if (present === undefined) return;
    const { entry, sent, start } = present;
    if (this.#position !== start + entry.size) throw new ProtocolError("unexpected");
    this.#present = undefined;
    if (this.#file === undefined) return;
    this.#file.close();
    this.#file = undefined;
    const executable = this.#options.head.executable && sent.executable;
    this.#options.disk.release(this.#place(entry.path), { executable, mtime: sent.mtime });
  }

  #skip(): void {
    const present = this.#present;
    if (present === undefined) throw new ProtocolError("unexpected");
    this.#file?.close();
    this.#file = undefined;
    this.#present = undefined;
    this.#options.disk.remove(this.#place(present.entry.path));
    this.#part!.noteSkipped(present.entry);
    this.#position = present.start;
    for (const known of this.#known.values()) {
      if (known.start > present.start) known.start -= present.entry.size;
    }
  }

  async finish(total: number, pause: Pause): Promise<string | undefined> {
    const { disk, folder, head, entries } = this.#options;
    const part = this.#part;
    if (part === undefined || !this.#isGoing) throw new ProtocolError("unexpected");
    this.#leave();
    const skipped = part.entries.filter(({ skipped }) => skipped);
    const skippedBytes = skipped.reduce((sum, { size }) => sum + size, 0);
    const hash = new FileHash();
    for (const { body } of part.entries) {
      if (!await pause()) return undefined;
      hash.update(decodeHex(body));
    }
    const isWhole = total === this.#position && total + skippedBytes === head.size &&
      part.entries.length === entries && encodeHex(hash.digest()) === head.listing;
    if (!isWhole) throw new ProtocolError("bad-field");
    const files = part.entries.filter(({ kind, skipped }) => kind === "file" && !skipped);
    await this.#early.ended;
    await syncFiles(disk, files.map(({ path }) => this.#place(path)), pause);
    if (!await pause()) return undefined;
    for (const { kind, path, skipped, body } of part.entries.toReversed()) {
      if (!await pause()) return undefined;
      if (kind !== "folder" || skipped) continue;
      const sent = decodeFileFrame(FILE_FRAME.ENTRY, decodeHex(body)) as FileEntry;
      disk.release(this.#place(path), { executable: false, mtime: sent.mtime });
    }
    this.#skipped = skipped.length;
    const path = part.finish(folder);
    disk.release(path, { executable: false, mtime: head.mtime });
    this.#part = undefined;
    return path;
  }

  close(): void {
    this.#file?.close();
    this.#part?.close();
    this.#file = this.#part = this.#present = undefined;
  }

  async discard(): Promise<void> {
    const part = this.#part;
    this.#file?.close();
    this.#file = this.#present = this.#part = undefined;
    await Promise.allSettled([this.#early.ended]);
    await part?.discard();
  }
}
