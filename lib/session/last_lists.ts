/**
 * The file `last_lists`: the newest list of each relay and room, for a host that starts again and for a client whose
 * server does not answer (PROTOCOL.md §14).
 *
 * @module
 */

import {
  type Bytes,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
} from "../base/bytes.ts";
import { readSmallFile, writeFileAtomically } from "../base/files.ts";
import { decodeList, encodeList, type List } from "../protocol/succession.ts";

/** How long a list is kept. */
const KEPT_MS = 24 * 3_600_000;
/** The oldest is forgotten. */
const MAX_LISTS = 64;
const MAX_FILE_BYTES = 1024 * 1024;
/** Between two writes of the file: hosts say how often there is a list. */
const WRITE_GAP_MS = 1000;
/** `time room list`, the last two in hex digits. */
const LINE = /^(\d{1,15}) ([\da-f]{64}) ((?:[\da-f]{2})+)$/;

interface KeptList {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** 64 hex digits. */
  readonly room: string;
  readonly list: List;
}

/** The lists that are kept; the newest last. */
export class LastLists {
  readonly #path: string | undefined;
  readonly #wallTime: () => number;
  #lists: KeptList[];
  #writing: Promise<void> | undefined;
  #isDirty = false;
  #isFlushing = false;
  /** Ends the present gap between two writes. */
  #resume: () => void = () => {};

  /** @param path Undefined to keep them in memory alone. */
  constructor(path?: string, options: { wallTime?: () => number; lists?: KeptList[] } = {}) {
    this.#path = path;
    this.#wallTime = options.wallTime ?? Date.now;
    this.#lists = options.lists ?? [];
  }

  /** Reads the file in the state folder; one that cannot be read counts as empty: a list helps, and is not needed. */
  static async load(folder: string): Promise<LastLists> {
    const path = `${folder}/last_lists`;
    const content = await readSmallFile(path, MAX_FILE_BYTES).catch(() => undefined);
    const lines = content ? readLines(content) : [];
    return new LastLists(path, { lists: lines.map(readLine).filter((it) => it !== undefined) });
  }

  /**
   * The newest list of a room.
   *
   * @param relay The fingerprint of a relay that it has to name, 32 bytes.
   */
  find(room: Bytes, relay?: Bytes): List | undefined {
    const [tag, oldest] = [encodeHex(room), this.#wallTime() - KEPT_MS];
    return this.#lists.findLast(({ time, room, list }) =>
      room === tag && time >= oldest &&
      (!relay || list.entries.some((entry) => equalBytes(entry.relay, relay)))
    )?.list;
  }

  /** Keeps a list instead of the one before of the same relay and room; the file is written soon. */
  keep(room: Bytes, list: List): void {
    const tag = encodeHex(room);
    const relay = list.entries[list.at]!.relay;
    const others = this.#lists.filter((it) =>
      it.room !== tag || !equalBytes(it.list.entries[it.list.at]!.relay, relay)
    );
    this.#lists = [...others, { time: this.#wallTime(), room: tag, list }].slice(-MAX_LISTS);
    this.#isDirty = true;
    this.#writing ??= this.#write();
  }

  /** Resolves when everything is written. */
  async flush(): Promise<void> {
    this.#isFlushing = true;
    this.#resume();
    await this.#writing;
    this.#isFlushing = false;
  }

  async #write(): Promise<void> {
    while (this.#isDirty && this.#path !== undefined) {
      this.#isDirty = false;
      const oldest = this.#wallTime() - KEPT_MS;
      const lines = this.#lists.filter(({ time }) => time >= oldest)
        .map(({ time, room, list }) => `${time} ${room} ${encodeHex(encodeList(list))}\n`);
      await writeFileAtomically(this.#path, encodeUtf8(lines.join(""))).catch(() => {});
      if (!this.#isFlushing) await this.#pause();
    }
    this.#writing = undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, WRITE_GAP_MS);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function readLines(content: Uint8Array): string[] {
  try {
    return decodeUtf8(content).split("\n");
  } catch {
    return [];
  }
}

function readLine(line: string): KeptList | undefined {
  const [, time, room, hex] = LINE.exec(line) ?? [];
  if (hex === undefined) return undefined;
  try {
    return { time: Number(time), room: room!, list: decodeList(decodeHex(hex)) };
  } catch {
    return undefined;
  }
}
