/**
 * What events look like: rows for the terminal, lines for pipe mode. Pure.
 *
 * All text is cleaned here. A message cannot pass for anything else: its first row begins with the time
 * and a nick and the rows after it are indented, while notices begin with `--` or `!!` and actions with
 * `*`, which no nick can (PROTOCOL.md §9).
 *
 * @module
 */

import type { ChatEvent, SessionEvent, Trust } from "../session/events.ts";
import { toAscii } from "./terminal/locale.ts";
import { type Names, type Notice, noticeOf } from "./notices.ts";
import { type ColorDepth, nickCode, toneCode } from "./terminal/colors.ts";
import { cleanLine, cleanText, columns, graphemes } from "../base/text.ts";
import { type Cell, type Span, totalWidth, widestColumns, wrapCells } from "./terminal/wrap.ts";

/** What the looks depend on. */
export interface RenderContext extends Names {
  /** The width of the terminal. */
  columns: number;
  color: ColorDepth;
  /** Whether the terminal takes more than ASCII. */
  utf8: boolean;
  ownNick: string;
  timestamps: "off" | "time" | "date";
  now: Date;
  /** What is left out: nothing, who comes and goes, or all but messages, warnings and errors. */
  quiet: "off" | "presence" | "notices";
  trust(fingerprint: string): Trust;
}

/** A message of one's own. */
export interface OwnMessage {
  /** One's own, for the colour. */
  fingerprint: string;
  text: string;
  action: boolean;
  /** The nick it goes to alone; `undefined` for the room. */
  to: string | undefined;
  /** Whether it waits for a connection. */
  waiting: boolean;
}

/** The sign of trust beside a nick: one column, and nothing that can be in a nick. */
const TRUST_SIGNS: Record<Trust, { utf8: string; ascii: string }> = {
  new: { utf8: "◦", ascii: "*" },
  known: { utf8: "∙", ascii: "=" },
  verified: { utf8: "✓", ascii: "+" },
  conflict: { utf8: "✗", ascii: "!" },
};

const TAB = "    ";
const MIN_COLUMNS = 10;

/** The sign of trust as it is shown. */
export function trustSign(trust: Trust, utf8: boolean): string {
  return utf8 ? TRUST_SIGNS[trust].utf8 : TRUST_SIGNS[trust].ascii;
}

/** Lays out an event; events that are not worth a line, or not wanted, give no rows. */
export function renderEvent(event: SessionEvent, context: RenderContext): string[] {
  if (event.event === "chat") return renderChat(event, context);
  const notice = noticeOf(event, context);
  return notice === undefined ? [] : renderNotice(notice, context);
}

/** Lays out a notice. */
export function renderNotice(notice: Notice, context: RenderContext): string[] {
  const { level, text, hint } = notice;
  if (level === "presence" && context.quiet !== "off") return [];
  if (level === "info" && context.quiet === "notices") return [];
  const loud = level === "warning" || level === "error";
  const dim = toneCode("dim", context.color);
  const lead = loud
    ? { text: "!! ", code: toneCode("alert", context.color) }
    : { text: "-- ", code: dim };
  const code = loud ? toneCode("bold", context.color) : level === "answer" ? "" : dim;
  const body = [{ text: clean(text, context).replaceAll("\n", " "), code }];
  const rows = layOut([time(context), lead], body, context);
  if (hint === "") return rows;
  return [
    ...rows,
    ...renderNotice({ level: "info", text: hint, hint: "" }, { ...context, quiet: "off" }),
  ];
}

/** Lays out a message of one's own, once it is accepted. */
export function renderOwn(message: OwnMessage, context: RenderContext): string[] {
  const labels: Span[] = [];
  if (message.to !== undefined) {
    labels.push(label(`private to ${cleanLine(message.to)}`, "bold", context));
  }
  if (message.waiting) labels.push(label("waiting", "dim", context));
  const nick = {
    text: clean(cleanLine(context.ownNick), context),
    code: nickCode(message.fingerprint, context.color),
  };
  const body = [{ text: clean(message.text, context), code: "" }];
  return layOutMessage({ nick: [nick], labels, action: message.action, body }, context);
}

/**
 * Writes a message for pipe mode: `nick: text`, further lines of the text behind a tab.
 *
 * @returns The lines without the last line break; `undefined` for what is no message.
 */
export function renderPlain(event: SessionEvent): string | undefined {
  if (event.event !== "chat") return undefined;
  return `${cleanLine(event.nick)}: ${cleanText(event.text).replaceAll("\n", "\n\t")}`;
}

/** Tells whether `text` names `nick`: as a whole word, without case. */
export function mentions(text: string, nick: string): boolean {
  return mentionPattern(nick).test(text);
}

function renderChat(event: ChatEvent, context: RenderContext): string[] {
  const trust = context.trust(event.fingerprint);
  const nick = [
    {
      text: clean(cleanLine(event.nick), context),
      code: nickCode(event.fingerprint, context.color),
    },
    {
      text: trustSign(trust, context.utf8),
      code: trust === "conflict" ? toneCode("alert", context.color) : "",
    },
  ];
  const labels: Span[] = [];
  if (event.private) labels.push(label("private", "bold", context));
  if (event.late) {
    labels.push(label(`written ${shownMoment(event.sent, context.now)}`, "dim", context));
  }
  if (event.view === "differs") labels.push(label("sees other members than you", "alert", context));
  const body = highlight(clean(event.text, context), context);
  return layOutMessage({ nick, labels, action: event.action, body }, context);
}

function layOutMessage(
  message: {
    nick: readonly Span[];
    labels: readonly Span[];
    action: boolean;
    body: readonly Span[];
  },
  context: RenderContext,
): string[] {
  const { nick, labels, action, body } = message;
  const head = [time(context), ...(action ? [plain("* ")] : []), ...nick];
  for (const [index, span] of labels.entries()) head.push(plain(index === 0 ? " (" : ", "), span);
  head.push(plain((labels.length > 0 ? ")" : "") + (action ? " " : ": ")));
  return layOut(head, body, context);
}

function plain(text: string): Span {
  return { text, code: "" };
}

function label(text: string, tone: "dim" | "bold" | "alert", context: RenderContext): Span {
  return { text: clean(text, context), code: toneCode(tone, context.color) };
}

function clean(text: string, context: RenderContext): string {
  const shown = cleanText(text).replace(/^\n+|\n+$/g, "").replaceAll("\t", TAB);
  return context.utf8 ? shown : toAscii(shown);
}

function time({ timestamps, now, color }: RenderContext): Span {
  const code = toneCode("dim", color);
  switch (timestamps) {
    case "off":
      return plain("");
    case "time":
      return { text: `${clockTime(now)} `, code };
    case "date":
      return { text: `${calendarDate(now)} ${clockTime(now)} `, code };
  }
}

/** Writes a time in ISO 8601 as it is shown: with its day where that is not today. */
export function shownMoment(time: string, now: Date): string {
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) return "at an unknown time";
  const day = calendarDate(moment);
  return day === calendarDate(now) ? clockTime(moment) : `${day} ${clockTime(moment)}`;
}

function clockTime(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

function calendarDate(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function mentionPattern(nick: string): RegExp {
  // `.` and `-` can be in a nick, but a sentence can end with one.
  const before = String.raw`(?<![\p{L}\p{M}\p{N}_]|[\p{L}\p{M}\p{N}_][.\-])`;
  const after = String.raw`(?![\p{L}\p{M}\p{N}_]|[.\-][\p{L}\p{M}\p{N}_])`;
  // Under the flag u nothing but these may be escaped: a backslash before `-` is an error.
  return new RegExp(before + nick.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&") + after, "iu");
}

function highlight(text: string, context: RenderContext): Span[] {
  const shownNick = clean(context.ownNick, context);
  const pattern = new RegExp(mentionPattern(shownNick), "giu");
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    spans.push(plain(text.slice(end, match.index)));
    spans.push({ text: match[0], code: toneCode("bold", context.color) });
    end = match.index + match[0].length;
  }
  return [...spans, plain(text.slice(end))];
}

/** Puts `body` behind `head`, its further rows under its first one where that leaves it room enough. */
function layOut(head: readonly Span[], body: readonly Span[], context: RenderContext): string[] {
  const width = Math.max(context.columns, MIN_COLUMNS);
  const headCells = toCells(head);
  const headWidth = totalWidth(headCells);
  const timeWidth = columns(head[0]?.text ?? "");
  const indent = headWidth <= width / 2 ? headWidth : timeWidth <= width / 4 ? timeWidth + 2 : 2;
  return wrapCells(headCells, toCells(body), { width, indent });
}

function toCells(spans: readonly Span[]): Cell[] {
  return spans.flatMap(({ text, code }) =>
    graphemes(text).map((cluster) => ({
      text: cluster,
      code,
      width: widestColumns(cluster),
    }))
  );
}
