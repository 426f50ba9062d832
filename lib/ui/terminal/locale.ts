/**
 * What to print where the terminal takes ASCII only.
 *
 * Knows nothing of what the text means.
 *
 * @module
 */

import type { Environment } from "./colors.ts";

/** Hearth's own signs that have an ASCII form; what is not here is shown by its number. */
const ASCII_FORMS: Readonly<Record<string, string>> = {
  "⟨": "<",
  "⟩": ">",
  "—": "-",
  "…": "...",
  "“": '"',
  "”": '"',
};

/** Tells whether the locale's character set is UTF-8, as POSIX reads LC_ALL, LC_CTYPE and LANG. */
export function isUtf8Locale(env: Environment, os: typeof Deno.build.os): boolean {
  const locale = env("LC_ALL") || env("LC_CTYPE") || env("LANG");
  // On these two nobody sets the variables, and the terminals take UTF-8.
  if (!locale) return os === "windows" || os === "darwin";
  return /utf-?8/i.test(locale);
}

/**
 * Replaces every character outside ASCII by a form in ASCII: `<FC>` for ü.
 *
 * Letters are not stripped of their accents: two nicks must not become one.
 */
export function toAscii(text: string): string {
  return text.replace(
    /\P{ASCII}/gu,
    (character) =>
      ASCII_FORMS[character] ?? `<${character.codePointAt(0)!.toString(16).toUpperCase()}>`,
  );
}
