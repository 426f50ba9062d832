/**
 * What the programs keep between two runs that is not about keys: `settings.json` of the state
 * folder.
 *
 * Knows nothing of what the settings do.
 *
 * @module
 */

import { decodeUtf8 } from "../base/bytes.ts";
import { BELL_MODES, type BellMode, TIMESTAMP_MODES, type TimestampMode } from "./commands.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { makeFolder, readWhole, withLock, writeWhole } from "../base/files.ts";
import { isGoodNick } from "../protocol/names.ts";

/** The settings; one that is missing has never been set. */
export interface Settings {
  /** The last nick used; one that §9 allows. */
  nick?: string;
  bell?: BellMode;
  /** Join and leave notices are not shown. */
  quiet?: boolean;
  timestamp?: TimestampMode;
}

/** Tells for each field whether a value of the file is one it can have. */
const CHECKS: { readonly [field in keyof Settings]-?: (value: unknown) => boolean } = {
  nick: (value) => typeof value === "string" && isGoodNick(value),
  bell: (value) => (BELL_MODES as readonly unknown[]).includes(value),
  quiet: (value) => typeof value === "boolean",
  timestamp: (value) => (TIMESTAMP_MODES as readonly unknown[]).includes(value),
};

/**
 * Reads `settings.json` of the state folder; a missing file sets nothing.
 *
 * @throws {UsageError} When it cannot be read, is not an object as JSON, or a field has a value that
 * it cannot have.
 */
export async function loadSettings(folder: string): Promise<Settings> {
  return await readSettings(settingsPath(folder));
}

/**
 * Changes some settings and keeps the others, also those that another process set meanwhile and
 * those of other versions.
 *
 * @throws {UsageError} As {@linkcode loadSettings}; nothing is written then.
 * @throws What the operating system says.
 */
export async function saveSettings(folder: string, patch: Settings): Promise<void> {
  const path = settingsPath(folder);
  await makeFolder(folder);
  await withLock(path, async () => {
    const settings = { ...await readSettings(path), ...patch };
    await writeWhole(path, JSON.stringify(settings, null, 2) + "\n");
  });
}

/** Settings that change while the program runs, kept one after another. */
export class SettingsKeeper {
  readonly #folder: string;
  readonly #onFault: (error: unknown) => void;
  #kept: Promise<void> = Promise.resolve();

  /** @param onFault Told when something cannot be kept; it holds for this run all the same. */
  constructor(folder: string, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  /** Keeps some settings, soon. */
  keep(patch: Settings): void {
    this.#kept = this.#kept.then(() => saveSettings(this.#folder, patch)).catch(this.#onFault);
  }

  /** Resolves when all of them are kept. */
  async flush(): Promise<void> {
    await this.#kept;
  }
}

function settingsPath(folder: string): string {
  return `${folder}/settings.json`;
}

/** Reads a file with the fields that are not known here, too. */
async function readSettings(path: string): Promise<Settings> {
  const content = await readWhole(path);
  if (content === undefined) return {};
  const settings = parseJson(path, content);
  if (!isObject(settings)) throw badSettings(path, "is not an object");
  for (const [field, isValid] of Object.entries(CHECKS)) {
    if (Object.hasOwn(settings, field) && !isValid(settings[field])) {
      throw badSettings(path, `has a value for "${field}" that it cannot have`);
    }
  }
  return settings;
}

function parseJson(path: string, content: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(content));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ProtocolError) {
      throw badSettings(path, "is not JSON");
    }
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function badSettings(path: string, fault: string): UsageError {
  return new UsageError(`${path} ${fault}`, ["mend it, or take it away: only settings are in it"]);
}
