/**
 * The file `bans`: who may not join, until when, by whom and since when; one ban a line, which people may edit.
 *
 * @module
 */

import { dirname } from "node:path";
import { decodeUtf8 } from "../base/bytes.ts";
import { describeError, UsageError } from "../base/errors.ts";
import {
  cannotRead,
  makeFolder,
  readTrustedFile,
  withLock,
  writeFileAtomically,
} from "../base/files.ts";
import { MAX_BANS } from "../protocol/admin.ts";
import { decodeFingerprint, encodeFingerprint } from "../protocol/identity.ts";

const HEADER = "# Who may not join, one a line: fingerprint, until, by whom, since.";
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/;

/** A ban; fingerprints as `SHA256:…`, times in ms since 1970. */
export interface KeptBan {
  readonly fingerprint: string;
  readonly until: number;
  /** The fingerprint of the operator. */
  readonly by: string;
  readonly since: number;
}

/** A line of the file, with its ban unless it is blank or a comment. */
interface Line {
  readonly text: string;
  readonly ban: KeptBan | undefined;
}

/** The bans of one state folder. */
export class BanFile {
  readonly path: string;
  readonly #onFault: (error: unknown) => void;
  /** The last reading or writing, after all that came before it. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param onFault Called when a change cannot be written. */
  constructor(path: string, onFault: (error: unknown) => void) {
    this.path = path;
    this.#onFault = onFault;
  }

  /**
   * Reads the bans, of which some may have ended; a missing file has none.
   *
   * @throws {UsageError} When it cannot be read, a line is malformed (named with the file, without quoting it), there
   * are more than 256 bans, or everybody may write it.
   */
  load(): Promise<KeptBan[]> {
    return this.#inTurn(async () => bansOf(await this.#read()));
  }

  /** Writes one change behind those before it: a ban that replaces an earlier one, or the end of a ban. */
  change(fingerprint: string, ban: KeptBan | undefined): void {
    this.#inTurn(async () => {
      await makeFolder(dirname(this.path));
      await withLock(this.path, () => this.#replace(fingerprint, ban));
    })
      .catch((error) =>
        this.#onFault(
          new UsageError(`${this.path} cannot be changed: ${describeError(error)}`, [
            "what the operator asked for holds until this program ends",
          ]),
        )
      );
  }

  /** Waits until all changes are written, or have failed. */
  async flush(): Promise<void> {
    await this.#last;
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(): Promise<Line[]> {
    let text: string;
    try {
      text = decodeUtf8(await readTrustedFile(this.path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error instanceof UsageError ? error : cannotRead(this.path, error);
    }
    // Some editors write a byte order mark at the start and \r before each \n.
    const lines = text.replace(/^\uFEFF/, "").trimEnd().split(/\r?\n/)
      .map((text, index) => ({ text, ban: readLine(text, `${this.path}, line ${index + 1}`) }));
    checkCount(lines, this.path);
    return lines;
  }

  async #replace(fingerprint: string, ban: KeptBan | undefined): Promise<void> {
    const now = Date.now();
    const before = await this.#read();
    const lines = before.filter(({ ban }) =>
      ban === undefined || ban.fingerprint !== fingerprint && ban.until > now
    );
    if (before.length === 0) lines.push({ text: HEADER, ban: undefined });
    if (ban) lines.push({ text: writeLine(ban), ban });
    checkCount(lines, this.path);
    await writeFileAtomically(this.path, lines.map(({ text }) => `${text}\n`).join(""));
  }
}

/** @throws {UsageError} If there are more than a relay keeps. */
function checkCount(lines: readonly Line[], path: string): void {
  const numbers = lines.flatMap(({ ban }, index) => ban ? [index + 1] : []);
  if (numbers.length <= MAX_BANS) return;
  throw new UsageError(`${path}, line ${numbers[MAX_BANS]}: more than ${MAX_BANS} bans`, [
    "take out those that have ended, or use --allow FILE",
  ]);
}

function bansOf(lines: readonly Line[]): KeptBan[] {
  return lines.flatMap(({ ban }) => ban ?? []);
}

function writeLine({ fingerprint, until, by, since }: KeptBan): string {
  return [fingerprint, new Date(until).toISOString(), by, new Date(since).toISOString()].join(" ");
}

/** @throws {UsageError} When it is neither a ban nor a comment. */
function readLine(text: string, place: string): KeptBan | undefined {
  const entry = text.replace(/(?:^|\s)#.*/, "").trim();
  if (entry === "") return undefined;
  const [fingerprint = "", until = "", by = "", since = "", ...more] = entry.split(" ");
  if (!TIME.test(until) || !TIME.test(since) || more.length > 0) {
    throw new UsageError(`${place}: not a ban`, [
      "a ban is SHA256:… UNTIL SHA256:… SINCE; times are like 2030-01-31T12:00:00Z",
    ]);
  }
  return {
    fingerprint: readFingerprint(fingerprint, place),
    until: readTime(until, place),
    by: readFingerprint(by, place),
    since: readTime(since, place),
  };
}

function readFingerprint(text: string, place: string): string {
  try {
    return encodeFingerprint(decodeFingerprint(text));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${place}: ${error.message}`, error.hints);
  }
}

function readTime(text: string, place: string): number {
  const time = Date.parse(text);
  // A day that its month does not have is taken for one of the next month.
  const isThere = new Date(time).getUTCDate() === Number(text.slice(8, 10));
  if (!isThere) throw new UsageError(`${place}: there is no such time`);
  return time;
}
