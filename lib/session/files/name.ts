/**
 * The names under which offered files are kept: the same on every system, whatever the sender calls them
 * (PROTOCOL.md §15).
 *
 * @module
 */

import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import { MAX_PATH_BYTES } from "../../protocol/file_frames.ts";

/** Longest name that is kept, in bytes: file systems allow 255, and a number and an ending are added. */
const MAX_KEPT_BYTES = 200;
/** Longest ending, with its dot, that a shortened name keeps, in bytes. */
const MAX_EXTENSION_BYTES = 16;
const MAX_COMPONENTS = 32;
/** Of equal names, the last one that gets a number. */
export const MAX_NUMBER = 99;

/** Ends the name of a file that is not complete. */
export const PART_SUFFIX = ".hearth-part";
/** Ends the name of the notes about it. */
export const NOTES_SUFFIX = ".json";

/**
 * Gives the name under which a file or folder is kept.
 *
 * @param name As offered.
 * @returns Nothing for a name that is not UTF-8, empty, or wants to leave its folder: nobody should guess what it means.
 */
export function keptName(name: Uint8Array): string | undefined {
  const text = decode(name);
  return text === undefined ? undefined : keptComponent(text, true);
}

/**
 * Gives the path under which an entry of a folder is kept.
 *
 * @param path As sent, its components separated by `/`.
 * @returns Its components; nothing if one of them cannot be kept, or they are too many or too long.
 */
export function keptPath(path: Uint8Array): string[] | undefined {
  const text = path.length > MAX_PATH_BYTES ? undefined : decode(path);
  const components = text?.split("/") ?? [];
  if (components.length === 0 || components.length > MAX_COMPONENTS) return undefined;
  const kept: string[] = [];
  for (const component of components) {
    const name = keptComponent(component, false);
    if (name === undefined) return undefined;
    kept.push(name);
  }
  return kept;
}

/**
 * Puts a number before the ending: `a (2).txt`.
 *
 * @param number From 2 on.
 */
export function numberedName(name: string, number: number): string {
  const [stem, extension] = splitExtension(name);
  return `${stem} (${number})${extension}`;
}

/** Two names with the same key are one file on some system: equal in NFC, apart from case. */
export function nameKey(name: string): string {
  return name.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}

interface Patterns {
  /** What no name may contain on some system, or nobody would see. */
  readonly unfit: RegExp;
  readonly reserved: RegExp;
}

let patterns: Patterns | undefined;

function makePatterns(): Patterns {
  return {
    unfit: /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}<>:"\|?*]/gv,
    reserved: /^(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\.|$)/i,
  };
}

function keptComponent(name: string, isTop: boolean): string | undefined {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) return undefined;
  const { unfit, reserved } = patterns ??= makePatterns();
  const clean = trim(name.normalize("NFC").replace(unfit, "_").replace(/\p{Zs}/gu, " "));
  if (clean === "") return undefined;
  const isMarked = reserved.test(clean) || clean.startsWith("-") ||
    (isTop && clean.startsWith("."));
  const kept = shorten(isMarked ? `_${clean}` : clean);
  return isPartName(kept) ? `${kept.slice(0, -1)}_` : kept;
}

/** What somebody sends must never be taken for a part, or for the notes about one. */
function isPartName(name: string): boolean {
  const key = nameKey(name);
  return key.endsWith(PART_SUFFIX) || key.endsWith(PART_SUFFIX + NOTES_SUFFIX);
}

function trim(name: string): string {
  return name.replace(/^ +|[ .]+$/g, "");
}

function shorten(name: string): string {
  if (byteLength(name) <= MAX_KEPT_BYTES) return name;
  const [stem, extension] = splitExtension(name);
  let room = MAX_KEPT_BYTES - byteLength(extension);
  let kept = "";
  for (const character of stem) {
    room -= byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return trim(kept) + extension;
}

/** Splits a name before its last dot; what follows is no ending if it is long, or all there is. */
function splitExtension(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf(".");
  const isExtension = dot > 0 && byteLength(name.slice(dot)) <= MAX_EXTENSION_BYTES;
  return isExtension ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
}

function byteLength(text: string): number {
  return encodeUtf8(text).length;
}
