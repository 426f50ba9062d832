/**
 * Colours of the terminal: how many it has, how text gets one, and which one a person has.
 *
 * Knows nothing of events or of the screen.
 *
 * @module
 */

/** How many colours may be used; with `none` no escape sequence is written at all. */
export type ColorDepth = "none" | "16" | "256";

/** Reads an environment variable; `undefined` when it is not set. */
export type Environment = (name: string) => string | undefined;

/** What a piece of text is, which decides how it looks. */
export type Tone = "dim" | "bold" | "alert";

const TONE_CODES: Record<Tone, string> = { dim: "2", bold: "1", alert: "1;31" };

/**
 * Nick colours of the 256: each has a contrast of at least 3:1 on black and on white, so that it can
 * be read whatever the background is.
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
/** Red, green, magenta and cyan: of the first eight, those that are readable on black and on white. */
const NICK_COLORS_16 = [31, 32, 35, 36];

/**
 * Tells how many colours the terminal has, by NO_COLOR, TERM and COLORTERM.
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

/** Gives `text` the look of `tone`, and ends it with the look that was before. */
export function paintTone(text: string, tone: Tone, depth: ColorDepth): string {
  return paint(text, toneCode(tone, depth));
}

/** The SGR parameters of a tone, for who writes the sequence themselves; may be empty. */
export function toneCode(tone: Tone, depth: ColorDepth): string {
  return depth === "none" ? "" : TONE_CODES[tone];
}

/** Gives `text` the colour of the person with this fingerprint. */
export function paintNick(text: string, fingerprint: string, depth: ColorDepth): string {
  return paint(text, nickCode(fingerprint, depth));
}

/** The SGR parameters of a person's colour in bold, for who writes the sequence themselves; may be empty. */
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

function paint(text: string, code: string): string {
  return code === "" || text === "" ? text : `\x1b[${code}m${text}\x1b[0m`;
}

/** FNV-1a: spreads well enough for a choice among some colours, and nothing depends on it. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
