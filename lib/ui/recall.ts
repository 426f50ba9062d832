/**
 * Keeps what was sent to rooms, for later runs: the file `recall` in the state folder, only if the user wants it.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import { makeFolder, readSmallFile, withLock, writeFileAtomically } from "../base/files.ts";
import { escapeJson } from "../base/text.ts";
import { MAX_SENT_LINES, type SentLines } from "./terminal/mod.ts";

/** Longer texts are not kept, in bytes: nobody sends them twice. */
const MAX_KEPT_BYTES = 1024;
/** As lines of JSON they are at most six times as long. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** The file of the lines that were sent; changes are written one after another. */
export class RecallFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #onFault: (error: unknown) => void;
  #isOn: boolean;
  #written: Promise<void> = Promise.resolve();

  /** @param onFault Called if the file cannot be read, written or removed. */
  constructor(folder: string, isOn: boolean, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#path = `${folder}/recall`;
    this.#isOn = isOn;
    this.#onFault = onFault;
  }

  /** Adds what earlier runs have kept, if it is on. */
  async load(lines: SentLines): Promise<void> {
    if (!this.#isOn) return;
    try {
      for (const text of await this.#read()) lines.add(text);
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** Turns it on, or off: then what was kept is removed. */
  turn(isOn: boolean): void {
    this.#isOn = isOn;
    if (isOn) return;
    this.#enqueue(() => withLock(this.#path, () => Deno.remove(this.#path)));
  }

  /**
   * Keeps a line if that is on: what was said in a room, no command, and nothing that begins with a space. A command may
   * have private text in it, misspelled ones too.
   *
   * @param isPrivate Whether it was written to one person.
   */
  keep(text: string, isPrivate: boolean): void {
    if (!this.#isOn || isPrivate || /^[\s/]/.test(text)) return;
    if (encodeUtf8(text).length > MAX_KEPT_BYTES) return;
    this.#enqueue(async () => {
      await makeFolder(this.#folder);
      await withLock(this.#path, async () => {
        const lines = (await this.#read()).filter((line) => line !== text);
        const kept = [...lines, text].slice(-MAX_SENT_LINES);
        await writeFileAtomically(this.#path, kept.map((line) => `${escapeJson(line)}\n`).join(""));
      });
    });
  }

  /** Resolves when everything is written. */
  async flush(): Promise<void> {
    await this.#written;
  }

  #enqueue(action: () => Promise<void>): void {
    this.#written = this.#written.then(action).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) this.#onFault(error);
    });
  }

  /** The lines in the file; what is none is left out. */
  async #read(): Promise<string[]> {
    const content = await readSmallFile(this.#path, MAX_FILE_BYTES);
    if (content === undefined) return [];
    return new TextDecoder().decode(content).split("\n").flatMap((line) => {
      try {
        const text: unknown = JSON.parse(line);
        return typeof text === "string" && text !== "" ? [text] : [];
      } catch {
        return [];
      }
    });
  }
}
