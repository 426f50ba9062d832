/**
 * The character set of the terminal, and ASCII substitutes where it has no other.
 *
 * @module
 */

/** Signs that Hearth itself prints; any other character is shown as its number. */
const ASCII_FORMS: Readonly<Record<string, string>> = {
  "⟨": "<",
  "⟩": ">",
  "—": "-",
  "…": "...",
  "“": '"',
  "”": '"',
};

/** Whether the locale uses UTF-8, by LC_ALL, LC_CTYPE and LANG in the order of POSIX. */
export function isUtf8Locale(
  env: (name: string) => string | undefined,
  os: typeof Deno.build.os,
): boolean {
  const locale = env("LC_ALL") || env("LC_CTYPE") || env("LANG");
  // These two do not set the variables, and their terminals use UTF-8.
  if (!locale) return os === "windows" || os === "darwin";
  return /utf-?8/i.test(locale);
}

/**
 * Replaces every character outside ASCII: `<FC>` for ü. Different texts stay different, so that no two nicks become one.
 */
export function toAscii(text: string): string {
  return text.replace(
    /\P{ASCII}/gu,
    (character) =>
      ASCII_FORMS[character] ?? `<${character.codePointAt(0)!.toString(16).toUpperCase()}>`,
  );
}
