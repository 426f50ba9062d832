/**
 * Commands about what is shown, and how.
 *
 * @module
 */

import {
  type Answer,
  type CommandContext,
  nothing,
  optionalOneOf,
  type Row,
  row,
  type Screen,
  someText,
  splitWord,
} from "./command_row.ts";
import {
  BELL_MODES,
  describeSetting,
  parseSetting,
  SETTING_NAMES,
  TIMESTAMP_MODES,
} from "./settings.ts";
import { alignCells } from "./table.ts";

export const SCREEN_COMMANDS: Readonly<Record<string, Row>> = {
  bell: row({
    usage: `[${BELL_MODES.join("|")}]`,
    summary: "choose or show what rings the bell",
    details: [
      "private: private messages; mention: those and messages with your nick; all: every message.",
    ],
    only: "chat",
    parse: (rest) => optionalOneOf(BELL_MODES, rest),
    run(bell, context) {
      const screen = screenOf(context);
      if (bell !== "") screen.set({ bell });
      return { lines: `the bell rings for: ${bell || screen.settings.bell}` };
    },
  }),
  quiet: row({
    usage: "",
    summary: "hide who comes and goes, or show it again",
    only: "chat",
    parse: nothing,
    run(_, context) {
      const screen = screenOf(context);
      const quiet = !screen.settings.quiet;
      screen.set({ quiet });
      return { lines: `people who join and leave are now ${quiet ? "hidden" : "shown"}` };
    },
  }),
  timestamp: row({
    usage: `[${TIMESTAMP_MODES.join("|")}]`,
    summary: "choose or show what precedes a message",
    only: "chat",
    parse: (rest) => optionalOneOf(TIMESTAMP_MODES, rest),
    run(timestamp, context) {
      const screen = screenOf(context);
      if (timestamp !== "") screen.set({ timestamp });
      return { lines: `timestamps: ${timestamp || screen.settings.timestamp}` };
    },
  }),
  set: row({
    usage: "[NAME] [VALUE]",
    summary: "show the settings, or change one",
    details: ["They are kept for the next time."],
    only: "chat",
    parse: (rest) => splitWord(rest.trimEnd()),
    run: ([name, value], context) => set(name, value, screenOf(context)),
  }),
  dnd: row({
    usage: "[MINUTES]",
    summary: "no bell and no notices; again: end that",
    only: "chat",
    parse: (rest) => /^(?:[1-9]\d{0,4})?$/.test(rest.trimEnd()) ? rest.trimEnd() : undefined,
    run(minutes, context) {
      const isQuiet = screenOf(context).turnQuiet(minutes === "" ? undefined : Number(minutes));
      const end = minutes === "" ? "/dnd ends it" : `for ${minutes} minutes`;
      return {
        lines: isQuiet ? `nothing rings and nothing is told: ${end}` : "you are told again",
      };
    },
  }),
  show: row({
    usage: "[N]",
    summary: "print the whole of a message that was cut",
    details: ["Without a number: of the newest one."],
    only: "chat",
    parse: (rest) => /^\d{0,9}$/.test(rest.trimEnd()) ? rest.trimEnd() : undefined,
    run(number, context) {
      screenOf(context).show(number === "" ? undefined : Number(number));
      return {};
    },
  }),
  page: row({
    usage: "[N]",
    summary: "show the conversation as plain text",
    details: ["It can be copied from there: N messages, or all. Enter goes back."],
    only: "full",
    parse: (rest) => /^\d{0,9}$/.test(rest.trimEnd()) ? rest.trimEnd() : undefined,
    run(count, context) {
      screenOf(context).page?.(count === "" ? undefined : Number(count));
      return {};
    },
  }),
  find: row({
    usage: "text",
    summary: "find in this conversation",
    only: "full",
    parse: someText,
    run(text, context) {
      screenOf(context).find?.(text.trim());
      return {};
    },
  }),
  clear: row({
    usage: "",
    summary: "remove what is shown of this conversation",
    only: "chat",
    parse: nothing,
    run(_, context) {
      screenOf(context).clear();
      context.chat?.clear();
      return {};
    },
  }),
};

function screenOf({ screen }: CommandContext): Screen {
  if (screen === undefined) throw new TypeError("There is no screen");
  return screen;
}

/** @throws {UsageError} If there is no such setting or value. */
function set(name: string, value: string, screen: Screen): Answer {
  const lower = name.toLowerCase();
  if (value !== "") screen.set(parseSetting(lower, value));
  const names = SETTING_NAMES.filter((each) => name === "" || each === lower);
  // An unknown name gets the error of a change.
  if (names.length === 0) parseSetting(lower, value);
  const rows = names.map((each) => describeSetting(each, screen.settings));
  if (name !== "") return { lines: alignCells(rows) };
  // All of it in rows that are not wrapped on most terminals.
  const table = alignCells(rows.map(([each, is, _, help]) => [each, is, help]));
  return { lines: [...table, "/set NAME shows what else each may be"] };
}
