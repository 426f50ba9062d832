/**
 * Lays out the entries of a conversation as rows. The work is bounded by the rows that are kept, whatever was sent.
 *
 * What belongs to the face stands left of the text, where no text gets: time, nick, sign. So nothing that somebody
 * writes can pass for a notice, a quotation, or somebody else's words.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import type {
  Conversation,
  Entry,
  FileEntry,
  MessageEntry,
  NoticeEntry,
  PersonTrust,
} from "./conversation.ts";
import { offerPieces, transferRows } from "./layout_file.ts";
import { mentionPattern } from "./mention.ts";
import { clockTime, shownMoment } from "./moment.ts";
import { findLinks, HEARSAY_SIGN, showSize, startOf, toldBy, trustSign } from "./render.ts";
import {
  blank,
  isRightToLeft,
  LEFT_TO_RIGHT_MARK,
  merge,
  type Piece,
  type Row,
  type Segment,
  type Typesetter,
  widthOf,
} from "./terminal/mod.ts";
import type { NickColors, Theme } from "./theme.ts";

/** What the rows depend on. */
export interface LayoutContext {
  /** Columns that there are. */
  readonly width: number;
  /** Columns for nicks; see {@linkcode nickColumns}. */
  readonly nickWidth: number;
  readonly text: Typesetter;
  readonly theme: Theme;
  readonly colors: NickColors;
  readonly ownNick: string;
  /** The most rows of one text; a row that says how much is missing comes below. */
  readonly maxRows: number;
  /** What is searched for, and marked; empty for nothing. */
  readonly query: string;
  /** Whether times are shown. */
  readonly timestamps: boolean;
  /** In ms since 1970: a message that was written on another day is shown with the date. */
  readonly now: number;
}

/** Below this, nicks have no column of their own: they stand before the text. */
export const NARROW = 56;
const TIME_COLUMNS = 6;
/** Entries at the end of a conversation that decide about the column for nicks. */
const RECENT = 100;
const MIN_NICK_COLUMNS = 6;
const MAX_NICK_COLUMNS = 16;
/** The part of the width that nicks take at most. */
const NICK_SHARE = 6;
/** Columns that a text has at least. */
const MIN_ROOM = 4;
/** Units of a text that are looked at for each column there is room for: more than any readable text needs. */
const UNITS_A_COLUMN = 8;
/** Kinds of reactions that are shown of a message. */
const MAX_REACTIONS = 12;

/** Rows of an answer: more than any command has. */
const MAX_ANSWER_ROWS = 1000;

/** What stands left of the text in one row. */
interface Left {
  readonly at?: number | undefined;
  /** Of one column, behind the time. */
  readonly mark?: Segment | undefined;
  /** In the column for nicks, at its right. */
  readonly nick?: Row;
  /** Of one column, behind the nick. */
  readonly trust?: Segment;
  /** Of one column: how this row of the face belongs to a message. */
  readonly corner?: Segment;
}

const BLANK = blank(1);

/** Columns for the nicks of those who have spoken of late: neither too few nor wasteful. */
export function nickColumns({ entries }: Conversation, width: number, text: Typesetter): number {
  const most = Math.max(
    MIN_NICK_COLUMNS,
    Math.min(MAX_NICK_COLUMNS, Math.floor(width / NICK_SHARE)),
  );
  let widest = MIN_NICK_COLUMNS;
  for (const entry of entries.slice(-RECENT)) {
    if (entry.type === "notice") continue;
    const columns = widthOf(text.segments(text.cleanLine(entry.nick)));
    if (columns <= most) widest = Math.max(widest, columns);
  }
  return widest;
}

/** A line across, with a text in its middle. */
export function rule(label: string, style: string, { width, text }: LayoutContext): Row {
  const { width: columns, certain } = text.measure("─");
  const dash = columns === 1 ? text.sign("─", "-") : "-";
  const middle = text.fit(` ${label} `, width, style);
  const free = width - widthOf(middle);
  const line = (count: number): Segment => ({
    text: dash.repeat(count),
    style,
    width: count,
    certain,
  });
  return [line(Math.floor(free / 2)), ...middle, line(Math.ceil(free / 2))];
}

/** @param grouped The entry before is of the same person: the nick is not repeated. */
export function layoutEntry(entry: Entry, grouped: boolean, context: LayoutContext): Row[] {
  switch (entry.type) {
    case "message":
      return layoutMessage(entry, grouped && !isNarrow(context), context);
    case "notice":
      return layoutNotice(entry, context);
    case "file":
      return layoutFile(entry, context);
  }
}

function isNarrow({ width }: LayoutContext): boolean {
  return width < NARROW;
}

/** Where text begins in all rows; in narrow ones without times, rows below the first are indented by one column. */
function textColumn(context: LayoutContext): number {
  const { timestamps, nickWidth } = context;
  if (isNarrow(context)) return timestamps ? TIME_COLUMNS : 1;
  return (timestamps ? TIME_COLUMNS : 1) + nickWidth + 2;
}

function roomFor(context: LayoutContext): number {
  return Math.max(MIN_ROOM, context.width - textColumn(context));
}

/** A sign of the face, in one column whatever the terminal makes of it. */
function signSegment(character: string, style: string, { text }: LayoutContext): Segment {
  const { width, certain } = text.measure(character);
  return { text: character, style, width: 1, certain: certain && width === 1 };
}

/** Everything left of the text. */
function layoutLeft(left: Left, context: LayoutContext): Segment[] {
  const { at, mark, nick = [], trust, corner } = left;
  const { theme, nickWidth, timestamps } = context;
  const row: Segment[] = [];
  if (timestamps) {
    row.push(
      at === undefined ? blank(TIME_COLUMNS - 1) : segment(clockTime(new Date(at)), theme.time),
    );
  }
  if (isNarrow(context)) return [...row, corner ?? mark ?? BLANK];
  row.push(mark ?? BLANK);
  const missing = nickWidth - widthOf(nick);
  if (missing > 0) row.push(blank(missing));
  return [...row, ...nick, corner ?? trust ?? BLANK, ...keptApart(nick), BLANK];
}

function segment(text: string, style: string): Segment {
  return { text, style, width: text.length, certain: true };
}

function keptApart(field: Row): Segment[] {
  return field.some(({ text }) => isRightToLeft(text)) ? [LEFT_TO_RIGHT_MARK] : [];
}

function joinRow(left: Row, content: Row): Row {
  const ends = keptApart(content);
  return ends.length > 0 ? [...left, ...ends, ...content, ...ends] : merge([...left, ...content]);
}

function layoutMessage(entry: MessageEntry, grouped: boolean, context: LayoutContext): Row[] {
  const { theme, text } = context;
  const narrow = isNarrow(context);
  const room = roomFor(context);
  const mark = entry.mention ? signSegment(text.sign("▌", ">"), theme.mention, context) : undefined;
  const nickStyle = entry.past !== undefined
    ? theme.dim
    : entry.own
    ? theme.strong
    : context.colors.of(entry.from, theme);
  const nick = text.segments(text.cleanLine(entry.nick), nickStyle);
  const trust = entry.hearsay
    ? signSegment(HEARSAY_SIGN, theme.alert, context)
    : trustSegment(entry.trust, context);
  const rows: Row[] = [];
  let at: number | undefined = entry.at;

  if (entry.quote !== undefined) {
    const corner = signSegment(text.sign("╭", ","), theme.dim, context);
    const quoted = text.fit(quoteWords(entry.quote, text), room, theme.dim);
    rows.push(
      joinRow(layoutLeft({ at, mark, corner }, context), quoted),
    );
    at = undefined;
  }
  const isNamed = !grouped || entry.quote !== undefined;
  const head: Piece[] = [];
  let first: Left = isNamed ? { at, mark, nick, trust } : { at, mark };
  if (entry.action) first = { at, mark, nick: [segment("*", nickStyle)] };
  if (entry.action && narrow) head.push({ text: "* ", style: nickStyle });
  if (entry.action || narrow) {
    head.push(
      { text: shownNick(entry.nick, text), style: nickStyle },
      { text: entry.own ? " " : `${trust.text} `, style: trust.style },
    );
  }
  if (!narrow && !entry.action && isNamed && widthOf(nick) > context.nickWidth) {
    rows.push(nickRow({ at, mark }, nick, trust, context));
    first = { mark };
  }
  const { pieces, behind, bytesBeyond } = layoutBody(entry, head, context);
  const hang = hangOf(context);
  const { rows: lines, rest } = text.wrap(pieces, { room, hang, maxRows: context.maxRows });
  for (const [index, line] of lines.entries()) {
    const left = layoutLeft(index === 0 ? first : { mark }, context);
    rows.push(joinRow(index === 0 && hang > 0 ? [] : left, line));
  }
  const bytes = bytesBeyond(rest);
  if (rest > 0 || bytes > 0) {
    const more = bytes > 0 ? `${showSize(bytes)} more, /show ${entry.seq}` : "";
    const shown = [{ text: more, style: theme.dim }, ...behind]
      .flatMap(({ text: words, style }) => text.segments(words, style));
    rows.push(below(text.sign("…", "."), text.cut(shown, room), context));
  }
  if (entry.reactions.size > 0 && !entry.retracted) {
    rows.push(layoutReactions(entry, room, context));
  }
  return rows;
}

/** A nick that is never cut, as two people could look alike: the text begins below. */
function nickRow(left: Left, nick: Row, trust: Segment, context: LayoutContext): Row {
  const time = layoutLeft(left, context).slice(0, context.timestamps ? 2 : 1);
  return [...time, ...nick, trust, ...keptApart(nick)];
}

/** In narrow rows without times the first one begins in the first column. */
function hangOf(context: LayoutContext): number {
  return isNarrow(context) && !context.timestamps ? 1 : 0;
}

function trustSegment(trust: PersonTrust, context: LayoutContext): Segment {
  if (trust === "self") return BLANK;
  const { theme, text } = context;
  const style = { new: theme.dim, known: theme.dim, verified: theme.good, conflict: theme.alert };
  return signSegment(trustSign(trust, text.utf8), style[trust], context);
}

function quoteWords(
  { nick, text }: { readonly nick: string; readonly text: string },
  typesetter: Typesetter,
): string {
  if (nick === "") return "an older message";
  return `${shownNick(nick, typesetter)}: ${typesetter.cleanLine(text)}`;
}

/** A nick, cleaned, that no text behind it changes places with. */
export function shownNick(nick: string, text: Typesetter): string {
  const cleaned = text.cleanLine(nick);
  return isRightToLeft(cleaned) ? cleaned + LEFT_TO_RIGHT_MARK.text : cleaned;
}

/**
 * The text with what stands before it, and `behind` it: a part of `pieces` unless the text is too long for them.
 * `bytesBeyond` tells how much of the text is not shown when `rest` units of `pieces` are not.
 */
function layoutBody(
  entry: MessageEntry,
  head: readonly Piece[],
  context: LayoutContext,
): { pieces: Piece[]; behind: Piece[]; bytesBeyond(rest: number): number } {
  const { theme, text, now } = context;
  const pieces = [...head];
  if (entry.hearsay) {
    const nicks = entry.hearsay.map((nick) => shownNick(nick, text));
    pieces.push({ text: `(${toldBy(nicks)}) `, style: theme.alert });
  }
  if (entry.past) pieces.push({ text: `(${text.cleanLine(entry.past)}) `, style: theme.dim });
  if (entry.replaced) {
    pieces.push({ text: "has come from its author since", style: theme.dim });
    return { pieces, behind: [], bytesBeyond: () => 0 };
  }
  if (entry.late !== undefined) {
    pieces.push({ text: `(written ${shownMoment(entry.late, new Date(now))}) `, style: theme.dim });
  }
  if (entry.view === "differs") {
    pieces.push({ text: "(sees different members than you) ", style: theme.alert });
  }
  if (entry.retracted) {
    pieces.push({ text: "taken back", style: theme.dim });
    return { pieces, behind: [], bytesBeyond: () => 0 };
  }
  const units = UNITS_A_COLUMN * context.maxRows * context.width;
  const start = startOf(entry.text, units);
  const cleaned = text.clean(start).replace(/^\n+|\n+$/g, "");
  const shown = startOf(cleaned, units);
  const isPast = entry.past !== undefined;
  pieces.push(...(isPast ? [{ text: shown, style: theme.dim }] : decorate(shown, context)));
  const isWhole = start === entry.text && shown === cleaned;
  const behind: Piece[] = [];
  if (entry.edited) behind.push({ text: " (edited)", style: theme.dim });
  if (entry.delivery !== undefined) behind.push(deliveryPiece(entry.delivery, context));
  if (isWhole) pieces.push(...behind);
  return {
    pieces,
    behind,
    bytesBeyond(rest) {
      // What stands behind the text is no part of it.
      const unseen = Math.max(0, rest - behind.reduce((sum, piece) => sum + piece.text.length, 0));
      if (isWhole && unseen === 0) return 0;
      const part = (start.length / entry.text.length) *
        ((shown.length - unseen) / Math.max(1, cleaned.length));
      return Math.max(1, Math.ceil(encodeUtf8(entry.text).length * (1 - part)));
    },
  };
}

function deliveryPiece(
  delivery: NonNullable<MessageEntry["delivery"]>,
  context: LayoutContext,
): Piece {
  const { theme, text } = context;
  switch (delivery.state) {
    case "waiting":
      return { text: ` ${text.sign("⋯", "...")} waits`, style: theme.fresh };
    case "sent":
      return { text: ` ${delivery.have}/${delivery.of}`, style: theme.dim };
    case "received":
      return { text: ` ${text.sign("✓", "+")}`, style: theme.good };
    case "failed": {
      const nicks = delivery.missing.map((nick) => shownNick(nick, text)).join(", ");
      const words = nicks === "" ? "nobody was here" : `not received by ${nicks}`;
      return { text: ` ${text.sign("✗", "!")} ${words}`, style: theme.alert };
    }
  }
}

function layoutReactions(entry: MessageEntry, room: number, context: LayoutContext): Row {
  const { theme, text } = context;
  const words: Segment[] = [];
  for (const [reaction, people] of [...entry.reactions].slice(0, MAX_REACTIONS)) {
    if (words.length > 0) words.push(...text.segments("   "));
    const nicks = people.map(({ nick }) => shownNick(nick, text)).join(", ");
    words.push(
      ...text.segments(`${text.cleanLine(reaction)} `),
      ...text.segments(nicks, theme.dim),
    );
  }
  return below(text.sign("╰", "`"), text.cut(words, room), context);
}

/** A row of the face below an entry, behind a sign that no text can have there. */
function below(character: string, content: Row, context: LayoutContext): Row {
  const corner = signSegment(character, context.theme.dim, context);
  return joinRow(layoutLeft({ corner }, context), content);
}

function layoutFile(entry: FileEntry, context: LayoutContext): Row[] {
  const { theme, text, maxRows, nickWidth } = context;
  const { at, own } = entry;
  const narrow = isNarrow(context);
  const nickStyle = own ? theme.strong : context.colors.of(entry.from, theme);
  const nick = text.segments(text.cleanLine(entry.nick), nickStyle);
  const trust = trustSegment(entry.trust, context);
  const pieces = offerPieces(entry, context);
  if (narrow) {
    const sign = own ? " " : `${trust.text} `;
    pieces.unshift({ text: shownNick(entry.nick, text), style: nickStyle }, {
      text: sign,
      style: trust.style,
    });
  }
  const room = roomFor(context);
  const hang = hangOf(context);
  const rows: Row[] = [];
  let first: Left = { at, nick, trust };
  if (!narrow && widthOf(nick) > nickWidth) {
    rows.push(nickRow({ at }, nick, trust, context));
    first = {};
  }
  for (const [index, line] of text.wrap(pieces, { room, hang, maxRows }).rows.entries()) {
    const left = layoutLeft(index === 0 ? first : {}, context);
    rows.push(joinRow(index === 0 && hang > 0 ? [] : left, line));
  }
  const corner = text.sign("╰", "`");
  return [...rows, ...transferRows(entry, room, context).map((row) => below(corner, row, context))];
}

function layoutNotice(entry: NoticeEntry, context: LayoutContext): Row[] {
  const { theme, text } = context;
  const isLoud = entry.level === "warning" || entry.level === "error";
  const code = isLoud ? "!!" : entry.level === "server" ? "==" : "--";
  const codeStyle = isLoud ? theme.alert : entry.level === "server" ? theme.strong : theme.dim;
  const isAnswer = entry.level === "answer" || entry.level === "server";
  const style = isLoud ? theme.strong : isAnswer ? "" : theme.dim;
  const narrow = isNarrow(context);
  const pieces: Piece[] = narrow ? [{ text: `${code} `, style: codeStyle }] : [];
  pieces.push({ text: text.clean(entry.text), style });
  if (entry.hint !== "") pieces.push({ text: `\n${text.clean(entry.hint)}`, style: theme.dim });
  const hang = hangOf(context);
  const room = roomFor(context);
  // What a command answers is asked for, and comes from this program.
  const maxRows = entry.level === "answer" ? MAX_ANSWER_ROWS : context.maxRows;
  const { rows: lines, rest } = text.wrap(pieces, { room, hang, maxRows });
  const rows = lines.map((line, index) => {
    if (index > 0) return joinRow(layoutLeft({}, context), line);
    if (hang > 0) return joinRow([], line);
    return joinRow(layoutLeft({ at: entry.at, nick: [segment(code, codeStyle)] }, context), line);
  });
  if (rest === 0) return rows;
  return [...rows, below(text.sign("…", "."), text.fit("and more", room, theme.dim), context)];
}

/** Marks links, the user's nick, and what is searched for. */
function decorate(shown: string, context: LayoutContext): Piece[] {
  const { theme } = context;
  return findLinks(shown).flatMap(({ text, isLink }) => {
    if (!isLink) return markWords(text, context, { style: "" });
    const address = text.replace(/[.,;:!?'")\]}*]+$/, "");
    // Only an address with its scheme is opened by a click: it goes where it says.
    const link = /^https?:/i.test(address) ? { link: address } : {};
    return [
      ...markWords(address, { ...context, ownNick: "" }, { style: theme.link, ...link }),
      ...markWords(text.slice(address.length), context, { style: "" }),
    ];
  });
}

function markWords(
  text: string,
  context: LayoutContext,
  look: Omit<Piece, "text">,
): Piece[] {
  const { theme, query, ownNick } = context;
  const found = query === "" ? undefined : new RegExp(escapeRegExp(query), "giu");
  return split(text, found).flatMap(({ text, isMatch }) => {
    if (isMatch) return [{ ...look, text, style: theme.found }];
    if (ownNick === "") return [{ ...look, text }];
    const nick = mentionPattern(context.text.cleanLine(ownNick));
    return split(text, nick).map(({ text, isMatch }) =>
      isMatch ? { ...look, text, style: theme.mention } : { ...look, text }
    );
  });
}

function split(text: string, pattern: RegExp | undefined): { text: string; isMatch: boolean }[] {
  const parts: { text: string; isMatch: boolean }[] = [];
  let end = 0;
  for (const match of pattern === undefined ? [] : text.matchAll(pattern)) {
    parts.push({ text: text.slice(end, match.index), isMatch: false });
    parts.push({ text: match[0], isMatch: true });
    end = match.index + match[0].length;
  }
  parts.push({ text: text.slice(end), isMatch: false });
  return parts.filter((part) => part.text !== "");
}

function escapeRegExp(text: string): string {
  return text.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
}
