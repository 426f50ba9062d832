/**
 * Escape codes that tell the user something while they look elsewhere: the bell, a notice of the desktop, the title. Pure.
 *
 * @module
 */

import { cleanLine, graphemes } from "../../base/text.ts";
import type { Environment } from "./colors.ts";
import { toAscii } from "../../base/locale.ts";

/** How a terminal is told to notify the desktop: by which OSC; `none` where it would be printed. */
type NoticeCode = "9" | "99" | "777" | "none";

/** What is known of a terminal. */
export interface TerminalKind {
  /** The Linux console, or one of before xterm: it knows neither titles nor other control strings. */
  readonly isSimple: boolean;
  /** Control strings for the terminal around it must be wrapped. */
  readonly isTmux: boolean;
  readonly notices: NoticeCode;
}

/** How texts are to be written. */
interface Look {
  readonly kind: TerminalKind;
  /** Whether the terminal shows more than ASCII. */
  readonly utf8: boolean;
}

/** The variables that {@linkcode terminalKind} reads. */
export const TERMINAL_VARIABLES = [
  "TERM",
  "TMUX",
  "TERM_PROGRAM",
  "VTE_VERSION",
  "KITTY_WINDOW_ID",
] as const;

/** A notice is cut to so many characters. */
const MAX_NOTICE = 200;
const BEL = "\x07";
const ST = "\x1b\\";

/** `linux`, `vt100`, `dumb` and others that print what they do not know. */
const SIMPLE_TERMS = /^(?:linux|vt\d|dumb|cons|sun|wyse|ansi|pcansi|cygwin|unknown|$)/;

/**
 * Finds out what a terminal understands.
 *
 * @param name What the terminal answers when it is asked, such as `kitty(0.26.5)`; empty if it has not.
 */
export function terminalKind(
  env: Environment,
  os: typeof Deno.build.os,
  name = "",
): TerminalKind {
  const term = env("TERM") ?? "";
  const isTmux = env("TMUX") !== undefined || term.startsWith("tmux") || name.startsWith("tmux");
  // Windows has no TERM, and its terminals know OSC 9.
  const isSimple = SIMPLE_TERMS.test(term) && os !== "windows";
  return { isSimple, isTmux, notices: isSimple ? "none" : noticeCode(env, name, term) };
}

function noticeCode(env: Environment, name: string, term: string): NoticeCode {
  // GNU screen passes nothing on that it does not know, and shows OSC 9 as a message.
  if (term.startsWith("screen") && env("TMUX") === undefined) return "none";
  const says = (word: string) => `${name} ${term} ${env("TERM_PROGRAM") ?? ""}`.includes(word);
  if (says("kitty") || env("KITTY_WINDOW_ID") !== undefined) return "99";
  if (says("VTE") || says("foot") || says("rxvt") || env("VTE_VERSION") !== undefined) return "777";
  return "9";
}

/** A web address as a link that the terminal opens (OSC 8), or as it is. @param address ASCII without control characters. */
export function linked(address: string, kind: TerminalKind): string {
  if (kind.isSimple) return address;
  return `\x1b]8;;${address}${ST}${address}\x1b]8;;${ST}`;
}

/** The text that rings the bell; tmux marks the window, and xterm the title bar. */
export const RING: string = BEL;

/**
 * The text that shows a notice on the desktop; empty where the terminal would print it.
 *
 * @param notice The name of the program, in ASCII letters, and one line; it is cleaned and cut.
 */
export function desktopNotice(
  { program, text }: { readonly program: string; readonly text: string },
  { kind, utf8 }: Look,
): string {
  const shown = plainText(text, utf8);
  switch (kind.notices) {
    case "99":
      // With one id a new notice takes the place of the last.
      return toOuter(`\x1b]99;i=${program.toLowerCase()};${program}: ${shown}${ST}`, kind);
    case "777":
      return toOuter(`\x1b]777;notify;${program};${shown.replaceAll(";", ",")}${ST}`, kind);
    case "9":
      return toOuter(`\x1b]9;${program}: ${shown}${ST}`, kind);
    case "none":
      return "";
  }
}

/** The text that sets the title of the window; tmux takes it for that of the pane. */
export function windowTitle(text: string, { kind, utf8 }: Look): string {
  return kind.isSimple ? "" : `\x1b]2;${plainText(text, utf8)}${ST}`;
}

function plainText(text: string, utf8: boolean): string {
  const clean = cleanLine(graphemes(text.slice(0, 4 * MAX_NOTICE)).slice(0, MAX_NOTICE).join(""));
  return utf8 ? clean : toAscii(clean);
}

/** Passes a control string through tmux, where its option `allow-passthrough` is on. */
function toOuter(code: string, { isTmux }: TerminalKind): string {
  return isTmux ? `\x1bPtmux;${code.replaceAll("\x1b", "\x1b\x1b")}${ST}` : code;
}
