/**
 * Escape codes that switch on what every terminal since xterm knows, and off again.
 *
 * @module
 */

/** Pastes are marked. */
export const PASTE_ON = "\x1b[?2004h";
export const PASTE_OFF = "\x1b[?2004l";
/** The terminal tells when its window gets the focus, and when it loses it. */
export const FOCUS_ON = "\x1b[?1004h";
export const FOCUS_OFF = "\x1b[?1004l";
/** The title of the window, on a stack of the terminal. */
export const SAVE_TITLE = "\x1b[22;0t";
export const RESTORE_TITLE = "\x1b[23;0t";
