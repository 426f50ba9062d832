/**
 * Commands about one's own history: what is kept, the last of it, and what is in it; and what others may hand on.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import type { HistoryEvent } from "../session/mod.ts";
import { type Answer, type CommandContext, type Row, row, someText } from "./command_row.ts";
import { historyLines } from "./history_words.ts";

/** Lines of `/history` without a number, and at most. */
const LINES = 50;
const MAX_LINES = 1000;

const WORDS = {
  off: "nothing of this room is kept from now on; /history on keeps it",
  on: "what is said in this room is kept, sealed under your key; others are not told",
  private: "what is said in this room, and privately, is kept, sealed under your key",
} as const;

const RECAP_WORDS = ["", "on", "off"] as const;
export const RECAP_ON = "what you write here may be handed on to people who come later";
const RECAP_OFF = "what you write here is not handed on; what was written while it was may be";

type Turn = keyof typeof WORDS;

export const HISTORY_COMMANDS: Readonly<Record<string, Row>> = {
  history: row({
    usage: "[N|on|off]",
    summary: "show what was said before; keep it or not",
    details: [
      "on keeps what is said in this room in a log that only your key opens.",
      "on private keeps private messages, too. client history --forget removes all of it.",
    ],
    parse(text): { turn: Turn } | { count: number } | undefined {
      const words = text.toLowerCase().split(/\s+/).join(" ").trim();
      if (words === "off" || words === "on") return { turn: words };
      if (words === "on private") return { turn: "private" };
      if (words === "") return { count: LINES };
      const count = /^[1-9]\d{0,3}$/.test(words) ? Number(words) : NaN;
      return count <= MAX_LINES ? { count } : undefined;
    },
    run(request, context) {
      const { history } = context;
      if ("count" in request) {
        return { later: show(history.find({ limit: request.count }), context) };
      }
      const { turn } = request;
      const done = (): Answer => ({ lines: WORDS[turn], values: { history: turn } });
      return { later: history.turn(turn).then(done) };
    },
  }),
  recap: row({
    usage: "[on|off]",
    summary: "let what you write be handed on, or not",
    details: [
      "on lets others tell people who come later what you write here from now on.",
      "It also tells them what those wrote who have it on, as hearsay, with who says so.",
      "Those are anybody who knows the password, and whom you know whose connection was lost.",
    ],
    parse: (text) => RECAP_WORDS.find((word) => word === text.trim().toLowerCase()),
    run(word, { session, strict }) {
      if (word === "on" && strict) {
        throw new UsageError("with --strict nothing of yours is handed on to others");
      }
      if (word !== "") session.turnRecap(word === "on");
      const { recap } = session;
      return { lines: recap ? RECAP_ON : RECAP_OFF, values: { recap } };
    },
  }),
  search: row({
    usage: "WORDS",
    summary: "find what was said before",
    details: [
      "Shows the newest messages with all of the words, in any case, if a history is kept.",
      "from:NICK and since:2d (30m, 12h) among the words narrow it down.",
    ],
    parse: someText,
    run: (text, context) => ({
      later: show(context.history.find({ search: text, limit: LINES }), context),
    }),
  }),
};

async function show(
  found: Promise<HistoryEvent["entries"]>,
  { findKey, screen }: Pick<CommandContext, "findKey" | "screen">,
): Promise<Answer> {
  const entries = await found;
  if (screen === undefined) return { values: { entries } };
  const lines = historyLines(entries, (person) => findKey(person)?.nick ?? person);
  return { lines: lines.length === 0 ? "nothing was found" : lines, values: { entries } };
}
