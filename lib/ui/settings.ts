/**
 * The settings that are kept from one run to the next: `settings.json` in the state folder.
 *
 * @module
 */

import { decodeUtf8 } from "../base/bytes.ts";
import { ProtocolError, UsageError } from "../base/errors.ts";
import { makeFolder, readSmallFile, withLock, writeFileAtomically } from "../base/files.ts";
import { FINGERPRINT_PATTERN } from "../protocol/identity.ts";
import type { RoomHome } from "../session/mod.ts";
import { isGoodNick, normalizeRoom, parseRoom } from "../protocol/names.ts";

/** Which messages ring the bell. */
export const BELL_MODES = ["off", "private", "mention", "all"] as const;

/** What precedes a message. */
export const TIMESTAMP_MODES = ["off", "time", "date"] as const;

/** The most rooms one is in at once. */
export const MAX_ROOMS = 16;

/** The settings of the chat's screen. */
export interface ScreenSettings {
  bell: typeof BELL_MODES[number];
  /** Hide the notices about people who come and go. */
  quiet: boolean;
  timestamp: typeof TIMESTAMP_MODES[number];
  /** Whether the chat fills the terminal, or is a log with a line below. */
  face: "full" | "plain";
  /** Whether rooms and people have a column of their own where there is space. */
  side: "auto" | "off";
  /** What the desktop is told of messages while nobody looks: nothing, that there are some, or whose. */
  notices: "off" | "on" | "names";
  /** Keep what was sent to rooms, so that later runs can recall it. */
  recall: boolean;
  /** Rooms to join at the start besides the one that was named, as `normalizeRoom` gives them. */
  rooms: readonly string[];
  theme: "auto" | "dark" | "light";
}

/** The settings; a missing one has never been set. */
export interface Settings extends Partial<ScreenSettings> {
  /** The last nick used; valid by §9. */
  nick?: string;
  /** The rooms of which a history is or was kept. */
  history?: readonly RoomHome[];
}

interface Choice<T> {
  readonly values: readonly T[];
  /** What applies as long as nothing is chosen. */
  readonly initial: T;
  readonly summary: string;
}

type ChoiceName = Exclude<keyof ScreenSettings, "rooms">;

const ON_OFF = [false, true] as const;

const CHOICES: { readonly [name in ChoiceName]: Choice<ScreenSettings[name]> } = {
  bell: { values: BELL_MODES, initial: "mention", summary: "which messages ring the bell" },
  quiet: { values: ON_OFF, initial: false, summary: "hide who comes and goes" },
  timestamp: { values: TIMESTAMP_MODES, initial: "time", summary: "what precedes a message" },
  face: {
    values: ["full", "plain"],
    initial: "full",
    summary: "the whole screen, or a log with a line below; from the next start on",
  },
  side: {
    values: ["auto", "off"],
    initial: "auto",
    summary: "a column of rooms and people on a wide screen",
  },
  notices: {
    values: ["off", "on", "names"],
    initial: "on",
    summary: "tell the desktop of messages while you do not look; names: also from whom",
  },
  recall: {
    values: ON_OFF,
    initial: false,
    summary: "recall in later runs what was sent to rooms",
  },
  theme: {
    values: ["auto", "dark", "light"],
    initial: "auto",
    summary: "colours for a background",
  },
};

const ROOMS_SUMMARY = "rooms to join at the start besides the one you name";
/** What empties the list of rooms. */
const NO_ROOMS = "none";

/** The names of all settings that `/set` shows and changes. */
export const SETTING_NAMES: readonly (keyof ScreenSettings)[] = [
  ...Object.keys(CHOICES) as ChoiceName[],
  "rooms",
];

/** Adds what applies as long as nothing was set. */
export function withDefaults(settings: Settings): ScreenSettings {
  const defaults = Object.entries(CHOICES).map(([name, { initial }]) => [name, initial]);
  return { rooms: [], ...Object.fromEntries(defaults), ...settings };
}

/** Describes a setting: its name, its value, the values there are, and what it is for. */
export function describeSetting(
  name: keyof ScreenSettings,
  settings: Readonly<ScreenSettings>,
): [name: string, value: string, values: string, summary: string] {
  if (name === "rooms") {
    return [name, settings.rooms.join(" ") || NO_ROOMS, `ROOM…|${NO_ROOMS}`, ROOMS_SUMMARY];
  }
  const { values, summary } = CHOICES[name];
  return [name, wordOf(settings[name]), values.map(wordOf).join("|"), summary];
}

/** The values that a setting can have, as they are typed; none if they cannot be listed. */
export function settingValues(name: string): string[] {
  return Object.hasOwn(CHOICES, name) ? CHOICES[name as ChoiceName].values.map(wordOf) : [];
}

/**
 * Reads what was typed behind the name of a setting.
 *
 * @returns The change.
 * @throws {UsageError} There is no such setting or value.
 */
export function parseSetting(name: string, text: string): Partial<ScreenSettings> {
  if (name === "rooms") return { rooms: parseRooms(text) };
  if (!Object.hasOwn(CHOICES, name)) {
    throw new UsageError(`no setting is called ${name}`, [`there are ${SETTING_NAMES.join(", ")}`]);
  }
  const values: readonly (string | boolean)[] = CHOICES[name as ChoiceName].values;
  const value = values.find((value) => wordOf(value) === text.toLowerCase());
  if (value !== undefined) return { [name]: value };
  throw new UsageError(`${name} can be ${values.map(wordOf).join(", ")}`);
}

function wordOf(value: string | boolean): string {
  return typeof value === "string" ? value : value ? "on" : "off";
}

function parseRooms(text: string): string[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length === 1 && words[0] === NO_ROOMS) return [];
  const rooms = [...new Set(words.map(parseRoom))];
  if (rooms.length > MAX_ROOMS) throw new UsageError(`at most ${MAX_ROOMS} rooms`);
  return rooms;
}

function areRooms(value: unknown): boolean {
  return Array.isArray(value) && value.length <= MAX_ROOMS && value.every(isRoom);
}

const FINGERPRINT = new RegExp(`^${FINGERPRINT_PATTERN}$`);

function areHomes(value: unknown): boolean {
  const isFingerprint = (text: unknown) => typeof text === "string" && FINGERPRINT.test(text);
  return Array.isArray(value) &&
    value.every((each) =>
      isObject(each) && /^[0-9a-f]{64}$/.test(String(each.room)) && isFingerprint(each.home) &&
      Array.isArray(each.relays) && each.relays.every(isFingerprint) &&
      ["on", "private", "off"].includes(String(each.keep))
    );
}

function isRoom(value: unknown): boolean {
  try {
    return typeof value === "string" && normalizeRoom(value) === value;
  } catch {
    return false;
  }
}

/** Whether a value in the file is valid, for each field. */
const CHECKS: Readonly<Record<string, (value: unknown) => boolean>> = {
  nick: (value) => typeof value === "string" && isGoodNick(value),
  rooms: areRooms,
  history: areHomes,
  ...Object.fromEntries(
    Object.entries(CHOICES).map(([name, { values }]) => [
      name,
      (value: unknown) => (values as readonly unknown[]).includes(value),
    ]),
  ),
};

/** A change of the settings. */
type Patch = Settings | ((found: Settings) => Settings);

function withoutInvalid(found: Readonly<Record<string, unknown>>): Settings {
  const isGood = ([field, value]: [string, unknown]) => CHECKS[field]?.(value) ?? true;
  return Object.fromEntries(Object.entries(found).filter(isGood));
}

/** What {@linkcode loadSettings} has read. */
interface LoadedSettings {
  readonly settings: Settings;
  /** What to tell the user about the file; undefined if all of it could be used. */
  readonly warning: string | undefined;
}

/**
 * Reads `settings.json` in the state folder; a missing file sets nothing, and neither does an invalid value or a damaged
 * file, about which there is a warning.
 *
 * @throws {UsageError} If it cannot be read.
 */
export async function loadSettings(folder: string): Promise<LoadedSettings> {
  const path = settingsPath(folder);
  const found = await readObject(path);
  if (found === undefined) {
    const warning = `${path} is damaged: it counts as empty, and is kept as ${damagedPath(path)}`;
    return { settings: {}, warning };
  }
  const invalid: string[] = [];
  for (const [field, isValid] of Object.entries(CHECKS)) {
    if (!Object.hasOwn(found, field) || isValid(found[field])) continue;
    invalid.push(`"${field}"`);
    delete found[field];
  }
  const warning = invalid.length === 0
    ? undefined
    : `${path} has an invalid value for ${invalid.join(", ")}: it does not count`;
  return { settings: found, warning };
}

/**
 * Changes some settings and keeps the others, including those that another process has set since, unknown and invalid
 * ones. A damaged file is kept under another name.
 *
 * @param patch May depend on what the file has.
 * @throws {UsageError} If the file cannot be read.
 * @throws An error of the operating system.
 */
export async function saveSettings(folder: string, patch: Patch): Promise<void> {
  const path = settingsPath(folder);
  await makeFolder(folder);
  await withLock(path, async () => {
    const found = await readObject(path);
    if (found === undefined) await Deno.rename(path, damagedPath(path));
    const change = typeof patch === "function" ? patch(withoutInvalid(found ?? {})) : patch;
    await writeFileAtomically(path, JSON.stringify({ ...found, ...change }, null, 2) + "\n");
  });
}

/** Saves settings in the background, one change after another. */
export class SettingsKeeper {
  readonly #folder: string;
  readonly #onFault: (error: unknown) => void;
  #kept: Promise<void> = Promise.resolve();

  /** @param onFault Called if a change cannot be saved; it still applies to this run. */
  constructor(folder: string, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  keep(patch: Patch): void {
    this.#kept = this.#kept.then(() => saveSettings(this.#folder, patch)).catch(this.#onFault);
  }

  /** Resolves when all changes are saved. */
  async flush(): Promise<void> {
    await this.#kept;
  }
}

function settingsPath(folder: string): string {
  return `${folder}/settings.json`;
}

function damagedPath(path: string): string {
  return `${path}.damaged`;
}

/** Reads a JSON object, empty if there is no file; undefined if the file holds anything else. */
async function readObject(path: string): Promise<Record<string, unknown> | undefined> {
  const content = await readSmallFile(path);
  if (content === undefined) return {};
  try {
    const value: unknown = JSON.parse(decodeUtf8(content).replace(/^\uFEFF/, ""));
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
