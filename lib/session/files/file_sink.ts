/**
 * Receives one file.
 *
 * @module
 */

import { join } from "node:path";
import { ProtocolError } from "../../base/errors.ts";
import { type FileFrame, RESERVE_BYTES } from "../../protocol/file_frames.ts";
import type { OpenFile } from "./disk.ts";
import { EarlySync } from "./early_sync.ts";
import { PART_SUFFIX } from "./name.ts";
import { openPart, type Part } from "./part.ts";
import {
  expectRoom,
  hashPieces,
  type Have,
  NoRoomError,
  NOTHING,
  type Sink,
  type SinkOptions,
} from "./sink.ts";
import type { Pause } from "./slices.ts";

/** How much is written before it is looked how much room is left. */
const CHECK_BYTES = RESERVE_BYTES / 4;

export class FileSink implements Sink {
  readonly #options: SinkOptions;
  readonly #early: EarlySync;
  #part: Part | undefined;
  /** A finished file of that name and size, which may be the offered one. */
  #twin: string | undefined;
  #file: OpenFile | undefined;
  #have: Have = NOTHING;
  #position = 0;
  /** Before the next look whether there is room, for a file whose size is not known. */
  #unchecked = 0;
  #pause: Pause = () => Promise.resolve(true);
  readonly skipped = 0;

  constructor(options: SinkOptions) {
    this.#options = options;
    this.#early = new EarlySync(options.disk);
  }

  get position(): number {
    return this.#position;
  }

  async look(pause: Pause): Promise<Have> {
    this.close();
    this.#pause = pause;
    const { disk, head: { size } } = this.#options;
    this.#position = 0;
    this.#twin = this.#findTwin();
    if (this.#twin !== undefined && size !== null) {
      this.#have = { have: size, hash: await hashPieces(disk, [[this.#twin, size]], pause) };
      return this.#have;
    }
    const part = await openPart(this.#options, pause);
    if (part === undefined) return NOTHING;
    const { path } = this.#part = part;
    const have = size === null ? 0 : Math.min(disk.look(path)?.size ?? 0, size);
    expectRoom(this.#options, have);
    this.#have = have === 0
      ? NOTHING
      : { have, hash: await hashPieces(disk, [[path, have]], pause) };
    return this.#have;
  }

  #findTwin(): string | undefined {
    const { disk, folder, head: { name, size } } = this.#options;
    const path = join(folder, name);
    const found = disk.look(path);
    const isTwin = found?.kind === "file" && found.size === size && size > 0;
    return isTwin && disk.look(path + PART_SUFFIX) === undefined ? path : undefined;
  }

  take(frame: FileFrame): void | Promise<void> {
    switch (frame.type) {
      case "go":
        return this.#go(frame.from);
      case "data":
        return this.#write(frame.data);
      default:
        throw new ProtocolError("unexpected");
    }
  }

  async #go(from: number): Promise<void> {
    if (this.#file !== undefined || (from !== 0 && from !== this.#have.have)) {
      throw new ProtocolError("unexpected");
    }
    this.#position = from;
    if (this.#twin !== undefined) {
      if (from > 0) return; // it is there already
      this.#twin = undefined;
      expectRoom(this.#options, 0);
    }
    this.#part ??= await openPart(this.#options, this.#pause);
    if (this.#part === undefined) return;
    this.#file = this.#options.disk.open(this.#part.path, "write");
    this.#file.truncate(from);
    this.#file.seek(from);
  }

  #write(data: Uint8Array): void | Promise<void> {
    if (this.#file === undefined || this.#part === undefined) throw new ProtocolError("unexpected");
    const { size } = this.#options.head;
    if (size === null) this.#expectReserve(data.length);
    else if (this.#position + data.length > size) throw new ProtocolError("too-large");
    this.#file.write(data);
    this.#position += data.length;
    return this.#early.wrote(this.#part.path, data.length);
  }

  /** Nobody knows how much comes: the disk is never filled with it. */
  #expectReserve(bytes: number): void {
    this.#unchecked -= bytes;
    if (this.#unchecked > 0) return;
    const free = this.#options.disk.free(this.#options.folder);
    if (free < RESERVE_BYTES) throw new NoRoomError(RESERVE_BYTES - free);
    this.#unchecked = CHECK_BYTES;
  }

  async finish(total: number, pause: Pause): Promise<string | undefined> {
    const { disk, folder, head } = this.#options;
    if (total !== this.#position || (head.size !== null && total !== head.size)) {
      throw new ProtocolError("bad-field");
    }
    if (this.#twin !== undefined && this.#have.have === total) return this.#twin;
    const [file, part] = [this.#file, this.#part];
    if (file === undefined || part === undefined) throw new ProtocolError("unexpected");
    await this.#early.ended;
    await file.sync();
    if (!await pause()) return undefined;
    file.close();
    this.#file = undefined;
    disk.release(part.path, head);
    const path = part.finish(folder);
    this.#part = undefined;
    return path;
  }

  close(): void {
    this.#file?.close();
    this.#part?.close();
    this.#file = this.#part = undefined;
  }

  async discard(): Promise<void> {
    const part = this.#part;
    this.#file?.close();
    this.#file = this.#part = undefined;
    await Promise.allSettled([this.#early.ended]);
    await part?.discard();
  }
}
