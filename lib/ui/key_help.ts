/**
 * What the keys do, for `/help keys` and docs/terminal.md.
 *
 * @module
 */

import { columns } from "../base/text.ts";

/** Keys that do one thing, or opposite things. */
export interface KeyRow {
  /** As people call them: `Ctrl-W`. */
  readonly keys: readonly string[];
  /** What they do; if there are two, usually separated by a semicolon. */
  readonly does: string;
  /** Whether they are only of use where the chat fills the screen. */
  readonly isFullOnly?: boolean;
}

/** Rows under a heading. */
export interface KeySection {
  readonly title: string;
  readonly rows: readonly KeyRow[];
}

const KEY_HELP: readonly KeySection[] = [
  {
    title: "Writing",
    rows: [
      { keys: ["Enter"], does: "send" },
      { keys: ["Ctrl-J", "Alt-Enter", "Shift-Enter"], does: "a new line in the message" },
      {
        keys: ["Tab", "Shift-Tab"],
        does: "complete a command or a nick, again: the next one; the one before",
      },
      {
        keys: ["Up", "Down", "Ctrl-P", "Ctrl-N"],
        does: "another line of the message, or what was sent before",
      },
      {
        keys: ["Ctrl-R"],
        does: "search what was sent: again for an older one, Enter takes it into the line",
      },
      { keys: ["Left", "Right", "Ctrl-B", "Ctrl-F"], does: "by characters" },
      { keys: ["Ctrl-Left", "Ctrl-Right", "Alt-B", "Alt-F"], does: "by words" },
      { keys: ["Home", "End", "Ctrl-A", "Ctrl-E"], does: "start of the line; end" },
      { keys: ["Ctrl-Home", "Ctrl-End"], does: "start of the message; end" },
      { keys: ["Backspace", "Delete", "Ctrl-D"], does: "delete a character" },
      { keys: ["Ctrl-W"], does: "cut back to white space" },
      { keys: ["Alt-Backspace", "Alt-D"], does: "cut the word before; behind" },
      { keys: ["Ctrl-U", "Ctrl-K"], does: "cut to the start of the line; to the end" },
      { keys: ["Ctrl-Y", "Alt-Y"], does: "put back what was cut; what was cut before instead" },
      { keys: ["Ctrl-_", "Alt-_"], does: "undo; redo" },
      { keys: ["Ctrl-T"], does: "swap two characters" },
    ],
  },
  {
    title: "Reading",
    rows: [
      { keys: ["PgUp", "PgDn"], does: "scroll", isFullOnly: true },
      { keys: ["Shift-Up", "Shift-Down"], does: "scroll by one row", isFullOnly: true },
      {
        keys: ["Alt-Home", "Alt-End"],
        does: "to the oldest; to the newest, as Esc does",
        isFullOnly: true,
      },
      { keys: ["Alt-U"], does: "to the first message that is new", isFullOnly: true },
      {
        keys: ["Ctrl-F"],
        does: "at the end of the line: find in this conversation",
        isFullOnly: true,
      },
      {
        keys: ["Alt-R"],
        does: "choose a message: answer, react, edit, take back, copy",
        isFullOnly: true,
      },
      { keys: ["Alt-S"], does: "hide the side column, or show it", isFullOnly: true },
    ],
  },
  {
    title: "Conversations",
    rows: [
      { keys: ["Alt-1 to Alt-9"], does: "the conversation of this number" },
      { keys: ["Alt-Up", "Alt-Down"], does: "the one before; the next" },
      { keys: ["Alt-A"], does: "the next with something unread, and back" },
    ],
  },
  {
    title: "The rest",
    rows: [
      { keys: ["F1"], does: "these keys; /help lists the commands" },
      { keys: ["Esc", "Ctrl-G"], does: "leave what is open" },
      { keys: ["Ctrl-L"], does: "draw the screen anew" },
      { keys: ["Ctrl-C"], does: "as Esc; drop what was typed; leave" },
      { keys: ["Ctrl-D"], does: "on an empty line: leave" },
      { keys: ["Ctrl-Z"], does: "stop the program; fg continues it" },
    ],
  },
];

/** The keys of the chat that fills the screen, or of the one that is a log. */
export function keyHelp(face: "full" | "plain"): KeySection[] {
  if (face === "full") return [...KEY_HELP];
  return KEY_HELP
    .map(({ title, rows }) => ({ title, rows: rows.filter(({ isFullOnly }) => !isFullOnly) }))
    .filter(({ rows }) => rows.length > 0);
}

/** The same as lines, with the keys in a column. */
export function keyLines(face: "full" | "plain"): string[] {
  const sections = keyHelp(face);
  const names = sections.flatMap(({ rows }) => rows.map(shownKeys));
  const width = Math.max(...names.map(columns));
  return sections.flatMap(({ title, rows }) => [
    `${title}:`,
    ...rows.map((row) => {
      const keys = shownKeys(row);
      return `  ${keys}${" ".repeat(width - columns(keys))}  ${row.does}`;
    }),
  ]);
}

function shownKeys({ keys }: KeyRow): string {
  return keys.join(", ");
}
