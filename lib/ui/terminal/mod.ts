/**
 * The terminal: a line editor with a log above it, colours, wrapping and standard output.
 *
 * @module
 */

export {
  desktopNotice,
  linked,
  RING,
  TERMINAL_VARIABLES,
  type TerminalKind,
  terminalKind,
  windowTitle,
} from "./alert.ts";
export { type ColorDepth, colorDepth, nickCode, toneCode } from "./colors.ts";
export { EditBuffer } from "./edit.ts";
export { Fullscreen } from "./fullscreen.ts";
export { InputLine } from "./input.ts";
export type { TerminalInput } from "./keys.ts";
export type { Frame } from "./painter.ts";
export { MAX_SENT_LINES, SentLines } from "./recall.ts";
export {
  blank,
  isRightToLeft,
  LEFT_TO_RIGHT_MARK,
  merge,
  pad,
  type Piece,
  type Row,
  type Segment,
  Typesetter,
  widthOf,
  type Widths,
} from "./rows.ts";
export type { Size } from "./screen.ts";
// Only its type: the class is imported late, where there is a terminal.
export type { Terminal, TerminalOptions } from "./terminal.ts";
export { type Span, TAB, totalWidth, wrapSpans } from "./wrap.ts";
