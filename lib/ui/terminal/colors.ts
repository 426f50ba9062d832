/**
 * Terminal colours: how many there are, and the codes of tones and nicks.
 *
 * @module
 */

/** How many colours to use; `none` means no escape sequences at all. */
export type ColorDepth = "none" | "16" | "256";

/** Reads an environment variable; undefined when it is not set. */
export type Environment = (name: string) => string | undefined;

type Tone = "dim" | "bold" | "alert";

const TONE_CODES: Record<Tone, string> = { dim: "2", bold: "1", alert: "1;31" };

/**
 * Nick colours out of 256, each with a contrast of at least 3:1 on both black and white.
 */
export const NICK_COLORS_256: readonly number[] = [
  160,
  166,
  130,
  136,
  100,
  64,
  28,
  29,
  30,
  31,
  33,
  67,
  62,
  99,
  135,
  133,
  163,
  162,
];
/** Red, green, magenta and cyan: readable on both black and white. */
const NICK_COLORS_16 = [31, 32, 35, 36];

/**
 * Finds out how many colours the terminal has, from NO_COLOR, TERM and COLORTERM.
 *
 * @param isTerminal Whether standard output is a terminal.
 */
export function colorDepth(env: Environment, isTerminal: boolean): ColorDepth {
  const term = env("TERM") ?? "";
  if (!isTerminal || env("NO_COLOR") || term === "dumb") return "none";
  if (env("COLORTERM") || /256color|direct|kitty|alacritty|ghostty/.test(term)) return "256";
  // Windows Terminal sets no TERM.
  if (term === "") return env("WT_SESSION") ? "256" : "none";
  return "16";
}

/** The SGR parameters of a tone; empty for none. */
export function toneCode(tone: Tone, depth: ColorDepth): string {
  return depth === "none" ? "" : TONE_CODES[tone];
}

/** The SGR parameters of the colour of a nick, bold, chosen by the fingerprint; empty for none. */
export function nickCode(fingerprint: string, depth: ColorDepth): string {
  const hash = hashText(fingerprint);
  switch (depth) {
    case "none":
      return "";
    case "16":
      return `1;${NICK_COLORS_16[hash % NICK_COLORS_16.length]}`;
    case "256":
      return `1;38;5;${NICK_COLORS_256[hash % NICK_COLORS_256.length]}`;
  }
}

/** Wraps text into an SGR sequence; `code` holds its parameters, empty for none. */
export function styled(text: string, code: string): string {
  return code === "" || text === "" ? text : `\x1b[${code}m${text}\x1b[0m`;
}

/** FNV-1a: good enough to spread fingerprints over a few colours. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
