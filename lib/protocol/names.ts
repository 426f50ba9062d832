/**
 * Names that people choose: nicks (PROTOCOL.md §9) and room names (§5).
 *
 * @module
 */

import { eastAsianWidth } from "get-east-asian-width";
import { encodeUtf8 } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import { shortFingerprint } from "./identity.ts";
import { lookOf } from "./lookalikes.ts";

/** A nick has at most this many bytes of UTF-8, §9. */
export const MAX_NICK_BYTES = 64;
/** A nick is at most this many terminal columns wide, §9. */
export const MAX_NICK_COLUMNS = 24;
/** A room's normalized name has at most this many bytes of UTF-8, §5. */
export const MAX_ROOM_NAME_BYTES = 64;

const RULES = "a nick is letters of one script, digits, dots, underscores and hyphens, " +
  `at most ${MAX_NICK_COLUMNS} columns`;

/**
 * Checks a nick that the user chose against all rules of §9.
 *
 * @returns The nick, unchanged.
 * @throws {UsageError} It breaks a rule, which the message names.
 */
export function checkNick(nick: string): string {
  const broken = brokenRule(nick);
  if (broken !== undefined) throw new UsageError(`this nick ${broken}`, [RULES]);
  return nick;
}

/** Whether {@linkcode checkNick} accepts a nick. */
export function isGoodNick(nick: string): boolean {
  return brokenRule(nick) === undefined;
}

/** A fast path for nearly every name, which avoids building sets of Unicode characters. */
function isPlain(name: string, maxLength: number): boolean {
  return name.length <= maxLength && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** Describes the first rule of §9 that a nick breaks, as a continuation of "this nick". */
function brokenRule(nick: string): string | undefined {
  if (isPlain(nick, MAX_NICK_COLUMNS)) return undefined;
  if (nick === "") return "is empty";
  if (encodeUtf8(nick).length > MAX_NICK_BYTES) return `is longer than ${MAX_NICK_BYTES} bytes`;
  if (nick !== nick.normalize("NFC")) return "is not in composed form (Unicode NFC)";
  const strange = /[^\p{L}\p{Mn}\p{Mc}\p{Nd}._\-]|\p{Default_Ignorable_Code_Point}/u.exec(nick);
  if (strange !== null) return `has a character that no nick may have: "${cleanLine(strange[0])}"`;
  if (!/^[\p{L}\p{Nd}]/u.test(nick)) return "does not start with a letter or digit";
  if (/\p{M}{5}/u.test(nick)) return "has more than four marks in a row";
  if (nickColumns(nick) > MAX_NICK_COLUMNS) return `is wider than ${MAX_NICK_COLUMNS} columns`;
  if (!isOneScript(nick)) return "mixes letters of several scripts";
}

/** Counts columns as §9 does, character by character: wide 2, marks 0, others 1. */
function nickColumns(nick: string): number {
  let total = 0;
  for (const character of nick.replace(/\p{M}/gu, "")) {
    total += eastAsianWidth(character.codePointAt(0)!);
  }
  return total;
}

// The scripts that have letters, by ISO 15924 code, the most frequent first; §9 treats those of Chinese, Japanese and
// Korean as one. Codes that the running engine does not know yet are skipped.
const SCRIPTS = "Latn Hani,Hira,Kana,Bopo,Hang Cyrl Arab Grek Hebr Deva Thai Beng Taml Telu Gujr " +
  "Guru Knda Mlym Orya Sinh Armn Geor Ethi Khmr Laoo Mymr Tibt Mong Adlm Aghb Ahom Armi Avst Bali " +
  "Bamu Bass Batk Berf Bhks Brah Bugi Buhd Cakm Cans Cari Cham Cher Chrs Copt Cpmn Cprt Diak Dogr " +
  "Dsrt Dupl Egyp Elba Elym Gara Glag Gong Gonm Goth Gran Gukh Hano Hatr Hluw Hmng Hmnp Hung Ital " +
  "Java Kali Kawi Khar Khoj Kits Krai Kthi Lana Lepc Limb Lina Linb Lisu Lyci Lydi Mahj Maka Mand " +
  "Mani Marc Medf Mend Merc Mero Modi Mroo Mtei Mult Nagm Nand Narb Nbat Newa Nkoo Nshu Ogam Olck " +
  "Onao Orkh Osge Osma Ougr Palm Pauc Perm Phag Phli Phlp Phnx Plrd Prti Rjng Rohg Runr Samr Sarb " +
  "Saur Sgnw Shaw Shrd Sidd Sidt Sind Sogd Sogo Sora Soyo Sund Sunu Sylo Syrc Tagb Takr Tale Talu " +
  "Tang Tavt Tayo Tfng Tglg Thaa Tirh Tnsa Todr Tols Toto Tutg Ugar Vaii Vith Wara Wcho Xpeo Xsux Yezi " +
  "Yiii Zanb";

let scripts: RegExp[] | undefined;

function isOneScript(nick: string): boolean {
  const letters = nick.replace(/[\P{L}\p{Script=Common}\p{Script=Inherited}]/gu, "");
  if (/^\p{Script=Latin}*$/u.test(letters)) return true;
  scripts ??= SCRIPTS.split(" ").flatMap(scriptPattern);
  return scripts.some((script) => script.test(letters));
}

function scriptPattern(codes: string): RegExp[] {
  const classes = codes.split(",").map((code) => `\\p{Script=${code}}`);
  try {
    return [new RegExp(`^[${classes.join("")}]+$`, "u")];
  } catch {
    return []; // this engine's Unicode has neither the script nor its letters
  }
}

/**
 * Whether a nick is allowed in HELLO and NICK, §9; any other is a protocol error.
 *
 * @param nick Decoded from strict UTF-8.
 */
export function isReceivableNick(nick: string): boolean {
  if (isPlain(nick, MAX_NICK_BYTES)) return true;
  return nick !== "" && encodeUtf8(nick).length <= MAX_NICK_BYTES &&
    nick === nick.normalize("NFC") &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Zs}]/u.test(nick);
}

/** How a received nick is shown, §9: unchanged, or as `?` and the start of the fingerprint (`SHA256:…`). */
export function showNick(nick: string, fingerprint: string): string {
  return brokenRule(nick) === undefined ? nick : `?${shortFingerprint(fingerprint, 4)}`;
}

/** A member whose name is to be shown. */
interface NamedMember {
  /** As received. */
  readonly nick: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** 16 hex digits, no two members the same. */
  readonly sid: string;
}

/**
 * The names under which the members of a room are shown, §9: no two are the same, or look the same.
 *
 * @returns One name per member, in the given order.
 */
export function showNicks(members: readonly NamedMember[]): string[] {
  // Each member's possible names, from the shortest to one that is certainly unique.
  const choices = members.map(({ nick, fingerprint, sid }) => {
    const shown = showNick(nick, fingerprint);
    return [
      shown,
      `${shown}#${shortFingerprint(fingerprint, 4)}`,
      `${shown}#${sid.slice(0, 4)}`,
      `${shown}#${sid}`,
    ];
  });
  const level = members.map(() => 0);
  for (;;) {
    const names = choices.map((names, i) => names[level[i]!]!);
    const clashing = new Set([nameKey, lookKey].flatMap((keyOf) => {
      const holders = Map.groupBy(names.keys(), (i) => keyOf(names[i]!));
      return [...holders.values()].filter((some) => some.length > 1).flat();
    }));
    if (clashing.size === 0) return names;
    for (const i of clashing) level[i]!++;
  }
}

/** The form in which shown names are compared: nicks without case; after the `#` there is base64, where case matters. */
export function nameKey(name: string): string {
  const [nick, suffix] = name.split("#", 2);
  return `${foldNick(nick!)}#${suffix ?? ""}`;
}

/** Whether a shown nick looks like another one whose letters are others, beyond their case. */
export function isLookalike(shown: string, other: string): boolean {
  const [a, b] = [shown, other].map((name) => name.replace(/#.*/, ""));
  return lookKey(a!) === lookKey(b!) && foldNick(a!) !== foldNick(b!);
}

/** The form in which the looks of shown names are compared; names with one {@linkcode nameKey} may have two. */
export function lookKey(name: string): string {
  return nameKey(name.replace(/^[^#]*/, lookOf));
}

/** Case-folds a nick for comparison, §8 and §9; never shown. */
export function foldNick(nick: string): string {
  // First lower and then upper case maps ẞ, ß and ss to one form, and both small sigmas, too.
  return nick.toLowerCase().toUpperCase().normalize("NFC");
}

/** The nick of a user without a usable login name. */
const FALLBACK_NICK = "guest";
/** The rest of a login name is ignored. */
const MAX_LOGIN_LENGTH = 256;

/** Turns a login name into a nick by dropping the characters that §9 does not allow; `guest` if none remains. */
export function nickFromLogin(login: string | undefined): string {
  let nick = "";
  for (const character of (login ?? "").slice(0, MAX_LOGIN_LENGTH).normalize("NFC")) {
    const longer = (nick + character).normalize("NFC");
    if (brokenRule(longer) === undefined) nick = longer;
  }
  return nick || FALLBACK_NICK;
}

/**
 * Normalizes a room's name, §5: r = NFC(lower(NFC(name))).
 *
 * @returns r, 1 to 64 bytes of UTF-8.
 * @throws {UsageError} Not allowed as a room name.
 */
export function normalizeRoom(name: string): string {
  const room = name.normalize("NFC").toLowerCase().normalize("NFC");
  if (isPlain(room, MAX_ROOM_NAME_BYTES)) return room;
  const refuse = (rule: string) => new UsageError(`this room name ${rule}`, ["try --room lobby"]);
  if (room === "") throw refuse("is empty");
  const strange = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(room);
  if (strange !== null) throw refuse(`has an invisible character: ${cleanLine(strange[0])}`);
  if (/^\p{White_Space}|\p{White_Space}$/u.test(room)) throw refuse("begins or ends with a space");
  if (encodeUtf8(room).length > MAX_ROOM_NAME_BYTES) {
    throw refuse(`is longer than ${MAX_ROOM_NAME_BYTES} bytes`);
  }
  return room;
}

/** Normalizes a room's name that a user has typed, perhaps with `#` before it. @throws As {@linkcode normalizeRoom}. */
export function parseRoom(typed: string): string {
  return normalizeRoom(typed.replace(/^#+/, ""));
}
