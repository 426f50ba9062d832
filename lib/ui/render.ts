/**
 * Lays out messages, notices and tables: rows for the terminal, lines for the pipe. All text is cleaned here.
 *
 * No message can imitate anything else: its first row begins with the time and a nick and its other rows are indented,
 * while notices begin with `--`, `==` or `!!` and actions with `*`, which no nick contains (PROTOCOL.md §9). Only a
 * link that is longer than a row is not indented: it has no blanks, as everything has that it could imitate.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import { toAscii } from "../base/locale.ts";
import { cleanLine, cleanText, columns, countHidden } from "../base/text.ts";
import { shortFingerprint } from "../protocol/identity.ts";
import type { ChatEvent, Trust } from "../session/mod.ts";
import type { MessageEntry } from "./conversation.ts";
import { mentionPattern } from "./mention.ts";
import { calendarDate, clockTime, shownMoment } from "./moment.ts";
import { answersLabel, type Notice } from "./notices.ts";
import { alignCells } from "./table.ts";
import {
  type ColorDepth,
  nickCode,
  type Span,
  TAB,
  toneCode,
  totalWidth,
  wrapSpans,
} from "./terminal/mod.ts";

/** What the rows depend on. */
export interface RenderContext {
  /** The width of the terminal. */
  columns: number;
  color: ColorDepth;
  /** Whether the terminal can show more than ASCII. */
  utf8: boolean;
  ownNick: string;
  timestamps: "off" | "time" | "date";
  now: Date;
  /** Bounds what is laid out of one message or notice; without it, everything is. */
  limit?: {
    /** The most rows. */
    readonly rows: number;
    /** Called for a message that was cut. @returns Its number for `/show`. */
    number?(): number;
  } | undefined;
}

/** What stands behind the nick of a message. */
interface MessageLabels {
  /** Where it was written, if that is not the room that is shown: `private`, `in build`. */
  readonly place?: string | undefined;
  /** It replaces an earlier text, in words. */
  readonly replaces?: string | undefined;
}

/** The sign of trust after a nick: one column, and never part of a nick. */
const TRUST_SIGNS: Record<Trust, { utf8: string; ascii: string }> = {
  new: { utf8: "◦", ascii: "*" },
  known: { utf8: "∙", ascii: "=" },
  verified: { utf8: "✓", ascii: "+" },
  conflict: { utf8: "✗", ascii: "!" },
};

const MIN_COLUMNS = 10;

/** The sign of trust after a nick, of one column. */
export function trustSign(trust: Trust, utf8: boolean): string {
  return utf8 ? TRUST_SIGNS[trust].utf8 : TRUST_SIGNS[trust].ascii;
}

/** The trust in words, as it stands behind a nick where there are no signs; empty where it says nothing special. */
export function trustWords(trust: Trust): string {
  const words = {
    new: " (new key)",
    known: "",
    verified: " (verified)",
    conflict: " (another key)",
  };
  return words[trust];
}

/** In place of the sign of trust where nobody has proved who has written it. */
export const HEARSAY_SIGN = "?";

/** Who vouches for hearsay, in words. @param nicks Cleaned. */
export function toldBy(nicks: readonly string[]): string {
  return `told by ${nicks.join(" and ")}`;
}

/** Lays out a notice. */
export function renderNotice(notice: Notice, context: RenderContext): string[] {
  const { level, text, hint } = notice;
  const loud = level === "warning" || level === "error";
  const dim = toneCode("dim", context.color);
  const lead = loud
    ? { text: "!! ", code: toneCode("alert", context.color) }
    : level === "server"
    ? { text: "== ", code: toneCode("bold", context.color) }
    : { text: "-- ", code: dim };
  const code = loud
    ? toneCode("bold", context.color)
    : level === "answer" || level === "server"
    ? ""
    : dim;
  const shown = clean(text, context);
  const body = [{ text: level === "server" ? shown : shown.replaceAll("\n", " "), code }];
  const { rows } = layOut([time(context), lead], body, context);
  if (hint === "") return rows;
  return [
    ...rows,
    ...renderNotice({ level: "info", text: hint, hint: "" }, context),
  ];
}

/**
 * Formats a message for the pipe: `nick: text`, each further line of the text after a tab; no final line break. What a
 * reader must not miss stands between the nick and the colon.
 */
export function renderPlain(
  { nick, text, private: isPrivate, view, to, missed, hearsay }: Omit<
    ChatEvent,
    "event" | "id" | "sent" | "late"
  >,
  trust: Trust,
  { isEdit = false, nickOf = (person: string) => person } = {},
): string {
  const labels = [
    ...(isPrivate ? [to === undefined ? "private" : `private to ${to.map(nickOf)}`] : []),
    ...(hearsay
      ? [toldBy(hearsay.map((person) => cleanLine(nickOf(person))))]
      : missed
      ? ["missed"]
      : []),
    ...(isEdit ? ["edited"] : []),
    ...(view === "differs" ? ["another view"] : []),
  ];
  const sign = hearsay ? HEARSAY_SIGN : trust === "conflict" ? trustSign(trust, true) : "";
  const name = cleanLine(nick) + sign +
    (labels.length > 0 ? ` (${labels.join(", ")})` : "");
  return `${name}: ${cleanText(text).replaceAll("\n", "\n\t")}`;
}

/** Lays out a message; it is read where `labels` say. */
export function renderMessage(
  entry: MessageEntry,
  context: RenderContext,
  { place, replaces }: MessageLabels = {},
): string[] {
  if (entry.past !== undefined) return renderPast(entry, place, context);
  const { trust, own, quote, late } = entry;
  const nick = [{
    text: clean(cleanLine(entry.nick), context),
    code: nickCode(entry.from, context.color),
  }];
  if (entry.hearsay) nick.push({ text: HEARSAY_SIGN, code: "" });
  else if (trust !== "self") {
    const code = trust === "conflict" ? toneCode("alert", context.color) : "";
    nick.push({ text: trustSign(trust, context.utf8), code });
  }
  const labels: Span[] = [];
  if (entry.hearsay) labels.push(label(toldBy(entry.hearsay.map(cleanLine)), "alert", context));
  // Speech leaves out the signs, and this one must not be missed.
  else if (trust === "conflict") labels.push(label("another key", "alert", context));
  if (place !== undefined) labels.push(label(cleanLine(place), "bold", context));
  const about = replaces ?? (quote && answersLabel(quote));
  if (about !== undefined) labels.push(label(cleanLine(about), "dim", context));
  if (late !== undefined && !isNow(late, context.now)) {
    labels.push(label(`written ${shownMoment(late, context.now)}`, "dim", context));
  }
  if (entry.view === "differs") {
    labels.push(label("sees different members than you", "alert", context));
  }
  if (entry.delivery?.state === "waiting") labels.push(label("waiting", "dim", context));
  const { action, text } = entry;
  const body = (shown: string) =>
    findLinks(shown).flatMap((part) =>
      part.isLink || own ? [plainOrLink(part)] : highlight(part.text, context)
    );
  return layOutMessage({ nick, labels, action, text, body }, context);
}

/** Lays out a message of the user's own history: dim, with all that was done to it, as it will not be told. */
function renderPast(
  { at, nick, past, quote, action, text, edited, retracted, reactions }: MessageEntry,
  place: string | undefined,
  context: RenderContext,
): string[] {
  const code = toneCode("dim", context.color);
  const labels = [
    ...(place === undefined ? [] : [place]),
    ...(past ? [past] : []),
    ...(quote ? [answersLabel(quote)] : []),
    ...(edited ? ["edited"] : []),
  ];
  const counts = [...reactions].map(([what, by]) => by.length > 1 ? `${what} ${by.length}` : what);
  return layOutMessage({
    nick: [{ text: clean(cleanLine(nick), context), code }],
    labels: labels.map((text) => label(cleanLine(text), "dim", context)),
    action,
    text: [retracted ? "(taken back)" : text, ...counts].join(" "),
    body: (text) => [{ text, code }],
  }, { ...context, now: new Date(at) });
}

/** Units of a text that are looked at for each column there is room for: more than any readable text needs. */
const UNITS_A_COLUMN = 5;

function layOutMessage(
  message: {
    nick: readonly Span[];
    labels: readonly Span[];
    action: boolean;
    text: string;
    /** Turns the cleaned text into spans. */
    body(shown: string): readonly Span[];
  },
  context: RenderContext,
): string[] {
  const { nick, labels, action, text } = message;
  const head = [time(context), ...(action ? [plain("* ")] : []), ...nick];
  for (const [index, span] of labels.entries()) head.push(plain(index === 0 ? " (" : ", "), span);
  head.push(plain((labels.length > 0 ? ")" : "") + (action ? " " : ": ")));
  const { limit } = context;
  const units = UNITS_A_COLUMN * (limit?.rows ?? Infinity) * widthOf(context);
  const start = startOf(text, units);
  const cleaned = clean(start, context);
  const shown = startOf(cleaned, units);
  const { rows, indent, rest } = layOut(head, message.body(shown), context);
  if (rest === 0 && start === text && shown === cleaned) return rows;
  const part = (start.length / text.length) * ((shown.length - rest) / cleaned.length);
  const bytes = Math.ceil(encodeUtf8(text).length * (1 - part));
  const more = `… ${showSize(bytes)} more, /show ${limit?.number?.() ?? ""}`.trimEnd();
  return [
    ...rows,
    ...wrapSpans([plain(" ".repeat(indent))], [label(more, "dim", context)], {
      width: widthOf(context),
      indent,
    }).rows,
  ];
}

/** At most so many units of a text, without half a character. */
export function startOf(text: string, length: number): string {
  if (text.length <= length) return text;
  return text.slice(0, /[\ud800-\udbff]/.test(text[length - 1]!) ? length - 1 : length);
}

export function showSize(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

function plain(text: string): Span {
  return { text, code: "" };
}

function label(text: string, tone: "dim" | "bold" | "alert", context: RenderContext): Span {
  return { text: clean(text, context), code: toneCode(tone, context.color) };
}

function clean(text: string, context: RenderContext): string {
  const shown = cleanText(context.limit === undefined ? text : countHidden(text)).replace(
    /^\n+|\n+$/g,
    "",
  ).replaceAll("\t", TAB);
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

/** To say when something was written is of no use within this time. */
const NOW_MS = 60_000;

function isNow(time: string, now: Date): boolean {
  return Math.abs(Date.parse(time) - now.getTime()) < NOW_MS;
}

function highlight(text: string, context: RenderContext): Span[] {
  const shownNick = clean(context.ownNick, context);
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(mentionPattern(shownNick))) {
    spans.push(plain(text.slice(end, match.index)));
    spans.push({ text: match[0], code: toneCode("bold", context.color) });
    end = match.index + match[0].length;
  }
  return [...spans, plain(text.slice(end))];
}

/** ASCII only, so that nothing in it looks like something else; a scheme is short. */
const LINK = /(?<![a-z0-9+.\-])(?:[a-z][a-z0-9+.\-]{0,15}:\/\/|www\.)[!-~]{1,2000}/gi;

/** Splits a text into links and what is between them. */
export function findLinks(text: string): { text: string; isLink: boolean }[] {
  const parts: { text: string; isLink: boolean }[] = [];
  let end = 0;
  for (const { 0: link, index } of text.matchAll(LINK)) {
    const next = text[index + link.length] ?? " ";
    if (next !== " " && next !== "\n") continue; // too long, or not all of it is ASCII
    parts.push({ text: text.slice(end, index), isLink: false }, { text: link, isLink: true });
    end = index + link.length;
  }
  parts.push({ text: text.slice(end), isLink: false });
  return parts;
}

function plainOrLink({ text, isLink }: { text: string; isLink: boolean }): Span {
  return { text, isLink, code: "" };
}

function widthOf({ columns }: RenderContext): number {
  return Math.max(columns, MIN_COLUMNS);
}

/** Puts `body` after `head` and indents its other rows: below its first one if that leaves enough room. */
function layOut(
  head: readonly Span[],
  body: readonly Span[],
  context: RenderContext,
): { rows: string[]; indent: number; rest: number } {
  const width = widthOf(context);
  const headWidth = totalWidth(head);
  const timeWidth = columns(head[0]?.text ?? "");
  const indent = headWidth <= width / 2 ? headWidth : timeWidth <= width / 4 ? timeWidth + 2 : 2;
  const maxRows = context.limit?.rows ?? Infinity;
  return { ...wrapSpans(head, body, { width, indent, maxRows }), indent };
}

/** A row of {@linkcode namesTable}. */
interface NamedRow {
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly trust?: Trust;
  readonly weak?: boolean;
  readonly ignored?: boolean;
  /** When they came, ISO 8601. */
  readonly since?: string;
  /** Empty if present. */
  readonly away: string;
  /** What they write may be handed on. */
  readonly recap?: boolean;
}

/** Characters of a fingerprint, after `SHA256:`, that are enough to tell people apart. */
const SHORT_LENGTH = 8;

/** The lines of `/names`: nick, trust, short fingerprint, since when, and remarks. */
export function namesTable(
  people: readonly NamedRow[],
  { own, utf8, now }: { own: string; utf8: boolean; now: Date },
): string[] {
  return alignCells(
    people.map(({ nick, fingerprint, trust, weak, ignored, since, away, recap }) => {
      const states = [
        ...(weak ? ["weak key"] : []),
        ...(ignored ? ["ignored"] : []),
        ...(recap ? ["recap"] : []),
        ...(away === "" ? [] : [`away: ${away}`]),
      ];
      return [
        nick,
        fingerprint === own || trust === undefined ? "  you" : `${trustSign(trust, utf8)} ${trust}`,
        shortFingerprint(fingerprint, SHORT_LENGTH),
        since === undefined ? "" : `since ${shownMoment(since, now)}`,
        states.join(", "),
      ];
    }),
  );
}
