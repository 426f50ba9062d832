/**
 * Names that people choose: nicknames (PROTOCOL.md §9) and room names (§5).
 *
 * Pure; knows nothing of who is in a room. A fingerprint here is its text, `SHA256:…`, a sid its 16 hex digits.
 *
 * @module
 */

import { eastAsianWidth } from "get-east-asian-width";
import { encodeUtf8 } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";

/** A nick has at most this many bytes of UTF-8, §9. */
export const MAX_NICK_BYTES = 64;
/** A nick is at most this many terminal columns wide, §9. */
export const MAX_NICK_COLUMNS = 24;
/** A room's normalized name has at most this many bytes of UTF-8, §5. */
export const MAX_ROOM_NAME_BYTES = 64;

const RULES = "a nick is letters of one script, digits, dots, underscores and hyphens, " +
  `at most ${MAX_NICK_COLUMNS} columns`;

/**
 * Holds one's own user to all of §9.
 *
 * @returns The nick as it is.
 * @throws {UsageError} It breaks a rule, which the message names.
 */
export function checkNick(nick: string): string {
  const broken = brokenRule(nick);
  if (broken !== undefined) throw new UsageError(`this nick ${broken}`, [RULES]);
  return nick;
}

/** Tells whether a nick keeps all of §9, as {@linkcode checkNick} wants it. */
export function isGoodNick(nick: string): boolean {
  return brokenRule(nick) === undefined;
}

/** Nearly every name keeps all rules by its form alone; that spares making sets of Unicode characters. */
function isPlain(name: string, maxLength: number): boolean {
  return name.length <= maxLength && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** Names the first rule of §9 that a nick breaks, to be read after "this nick". */
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

/** Counts as §9 does, character by character: wide 2, marks 0, others 1. */
function nickColumns(nick: string): number {
  let total = 0;
  for (const character of nick.replace(/\p{M}/gu, "")) {
    total += eastAsianWidth(character.codePointAt(0)!);
  }
  return total;
}

// The scripts with letters, by their codes in ISO 15924, the most frequent first; §9 counts those that Chinese,
// Japanese and Korean are written with as one. A code that is newer than the running engine is passed over.
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
    return []; // this engine's Unicode does not have the script, so none of its letters either
  }
}

/**
 * Tells whether a nick may arrive in HELLO and NICK, §9; anything else there is a protocol error.
 *
 * @param nick Decoded from strict UTF-8.
 */
export function isReceivableNick(nick: string): boolean {
  if (isPlain(nick, MAX_NICK_BYTES)) return true;
  return nick !== "" && encodeUtf8(nick).length <= MAX_NICK_BYTES &&
    nick === nick.normalize("NFC") &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Zs}]/u.test(nick);
}

/** Gives the form in which a received nick is shown, §9: itself, or `?` and the start of the fingerprint. */
export function showNick(nick: string, fingerprint: string): string {
  return brokenRule(nick) === undefined ? nick : `?${start(fingerprint)}`;
}

/** The first 4 characters after `SHA256:`. */
function start(fingerprint: string): string {
  return fingerprint.slice("SHA256:".length, "SHA256:".length + 4);
}

/** A member as far as its shown name goes. */
export interface NamedMember {
  /** As received. */
  readonly nick: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** 16 hex digits, no two members the same. */
  readonly sid: string;
}

/**
 * Gives the names under which the members of a room are shown, §9: no two are the same.
 *
 * @returns One name for each member, in the order given.
 */
export function showNicks(members: readonly NamedMember[]): string[] {
  // Each member's names, from the shortest to one that nobody else can have.
  const choices = members.map(({ nick, fingerprint, sid }) => {
    const shown = showNick(nick, fingerprint);
    return [
      shown,
      `${shown}#${start(fingerprint)}`,
      `${shown}#${sid.slice(0, 4)}`,
      `${shown}#${sid}`,
    ];
  });
  const level = members.map(() => 0);
  for (;;) {
    const holders = new Map<string, number[]>();
    choices.forEach((names, i) => {
      const key = nameKey(names[level[i]!]!);
      holders.set(key, [...holders.get(key) ?? [], i]);
    });
    const clashing = [...holders.values()].filter((some) => some.length > 1).flat();
    if (clashing.length === 0) return choices.map((names, i) => names[level[i]!]!);
    for (const i of clashing) level[i]!++;
  }
}

/** Nicks are the same without case; what follows the `#` is base64, where case tells apart. */
function nameKey(name: string): string {
  const [nick, suffix] = name.split("#", 2);
  return `${foldNick(nick!)}#${suffix ?? ""}`;
}

/** Gives the form in which nicks are compared without case, §8 and §9; never shown to anybody. */
export function foldNick(nick: string): string {
  // Lower case first and upper case last, so that ẞ, ß and ss meet, and so do the two small sigmas.
  return nick.toLowerCase().toUpperCase().normalize("NFC");
}

/** A nick for who has no usable login name. */
const FALLBACK_NICK = "guest";
/** No login name that is longer than this is looked at any further. */
const MAX_LOGIN_LENGTH = 256;

/** Makes a login name fit the rules of §9 by leaving out what does not; `guest` when nothing is left. */
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
 * @throws {UsageError} No room can have this name.
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
