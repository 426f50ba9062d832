/**
 * The parts of a frame around the conversation: head, side column, status, what stands above the line, and the line.
 *
 * @module
 */

import { eachGrapheme } from "../../base/text.ts";
import type { Conversation, Person } from "../conversation.ts";
import { shownNick } from "../layout.ts";
import { trustSign } from "../render.ts";
import {
  blank,
  isRightToLeft,
  LEFT_TO_RIGHT_MARK,
  merge,
  pad,
  type Row,
  type Segment,
  type Size,
  type Typesetter,
  widthOf,
} from "../terminal/mod.ts";
import type { NickColors, Theme } from "../theme.ts";
import type { Overlay } from "./modes.ts";

/** What everything is drawn with. */
export interface Look {
  readonly text: Typesetter;
  readonly theme: Theme;
  readonly colors: NickColors;
}

/** Columns of the side column, with the line right of it. */
export const SIDE_COLUMNS = 23;
const SIDE_TEXT = 20;
/** Columns of a title among the tabs. */
const MAX_TAB = 14;
const MAX_MENU_ROWS = 5;
/** Units of a typed text that are laid out before and behind the cursor, for each column of the rows that are shown. */
const UNITS_A_COLUMN = 2;

/** The sign behind a nick, with nothing for the user. */
function signOf({ trust }: Pick<Person, "trust">, { text }: Look): string {
  return trust === "self" ? "" : trustSign(trust, text.utf8);
}

/** The title of a conversation: a person's with the sign of trust. */
function titleOf({ kind, title, people }: Conversation, look: Look): string {
  const [person] = people;
  return shownNick(title, look.text) +
    (kind === "person" && person !== undefined ? signOf(person, look) : "");
}

/** A row in one style, with something at its right end; of the left part goes what has no room. */
function bar(
  left: Row,
  right: Row,
  columns: number,
  { look, style }: { look: Look; style: string },
): Row {
  const end = widthOf(right) < columns ? right : [];
  const room = columns - widthOf(end);
  return merge([...pad(look.text.cut(left, room - 1), room, style), ...end]);
}

/** The first row: where one is. */
export function layoutHead(conversation: Conversation, columns: number, look: Look): Row {
  const { theme, text } = look;
  if (conversation.kind === "person") return layoutPersonHead(conversation, columns, look);
  const left: Segment[] = [
    blank(1, theme.bar),
    ...text.segments(titleOf(conversation, look), theme.barStrong),
  ];
  if (conversation.topic !== "") {
    left.push(...text.segments(`  ${text.cleanLine(conversation.topic)}`, theme.barDim));
  }
  const right = text.segments(peopleWords(conversation), theme.barDim);
  return bar(left, right, columns, { look, style: theme.bar });
}

function peopleWords({ kind, connection, people }: Conversation): string {
  if (kind !== "room" || connection !== "online") return "";
  const here = people.filter((person) => person.here);
  if (here.length <= 1) return " alone so far ";
  const verified = here.filter(({ trust }) => trust === "verified").length;
  return ` ${here.length} here${verified > 0 ? `, ${verified} verified` : ""} `;
}

const TRUST_WORDS: Readonly<Record<Person["trust"], string>> = {
  self: "",
  new: "new key: /verify",
  known: "known key",
  verified: "verified",
  conflict: "ANOTHER KEY than before",
};

function layoutPersonHead(conversation: Conversation, columns: number, look: Look): Row {
  const { theme, text } = look;
  const [person] = conversation.people;
  const left = [
    blank(1, theme.barPerson),
    ...text.segments(titleOf(conversation, look), `${theme.barPerson};1`),
    ...text.segments("  only the two of you read this", theme.barPerson),
  ];
  const { here = false, lost = false, away = "", trust = "new" } = person ?? {};
  const absent = lost ? "gets it later" : "not here";
  const where = !here ? absent : away === "" ? "here" : "away";
  const style = trust === "conflict" ? theme.barAlert : theme.barPerson;
  const right = text.segments(` ${where} ${text.sign("·", "-")} ${TRUST_WORDS[trust]} `, style);
  return bar(left, right, columns, { look, style: theme.barPerson });
}

/** What covers everything: a title, and rows. */
export function layoutOverlay(overlay: Overlay, { columns, rows }: Size, look: Look): Row[] {
  const { theme, text } = look;
  const hasTitle = rows > 1;
  const height = rows - Number(hasTitle);
  const visible = overlay.visible(Math.max(1, columns - 2), height);
  const shown = visible.map((row) => [blank(1), ...row]);
  const body = Array.from({ length: height }, (_, i) => shown[i] ?? []);
  if (!hasTitle) return body;
  const left = [
    blank(1, theme.bar),
    ...text.segments(text.cleanLine(overlay.title), theme.barStrong),
  ];
  const right = text.segments(
    ` ${overlay.hasMore ? "PgDn for more, " : ""}Esc closes `,
    theme.barDim,
  );
  return [bar(left, right, columns, { look, style: theme.bar }), ...body];
}

/** The conversations in a row, the shown one marked, those around it as there is room; empty if there is only one. */
export function layoutTabs(
  list: readonly Conversation[],
  shown: Conversation,
  room: number,
  look: Look,
): Segment[] {
  if (list.length < 2) return [];
  const tabs = list.map((conversation) => layoutTab(conversation, conversation === shown, look));
  const more = look.text.segments(look.text.sign(" …", " ..."), look.theme.barDim);
  const widthFrom = (first: number, end: number) =>
    tabs.slice(first, end).reduce((sum, tab) => sum + widthOf(tab) + 1, -1);
  const at = list.indexOf(shown);
  let first = 0;
  while (first < at && widthFrom(first, at + 1) > room) first++;
  let end = at + 1;
  while (end < tabs.length && widthFrom(first, end + 1) <= room) end++;
  const row = tabs.slice(first, end).flatMap((tab, i) =>
    i === 0 ? tab : [blank(1, look.theme.bar), ...tab]
  );
  const hasMore = end < tabs.length && widthOf(row) + widthOf(more) <= room;
  return hasMore ? [...row, ...more] : row;
}

function layoutTab(conversation: Conversation, isShown: boolean, look: Look): Segment[] {
  const { theme, text } = look;
  const { number, unread, urgent } = conversation;
  const style = isShown || urgent > 0 ? theme.barStrong : unread > 0 ? theme.bar : theme.barDim;
  const count = unread > 0 ? ` ${unreadWords(conversation)}` : "";
  return [
    ...text.segments(isShown ? text.sign("▸", ">") : " ", theme.barStrong),
    ...text.segments(`${number} `, isShown ? theme.barStrong : theme.barDim),
    ...text.fit(titleOf(conversation, look), MAX_TAB, style),
    ...text.segments(count, urgent > 0 ? theme.barStrong : theme.barDim),
  ];
}

function unreadWords({ unread, urgent }: Conversation): string {
  return unread === 0 ? "" : urgent > 0 ? `!${unread}` : String(unread);
}

/** The status row. */
export function layoutStatus(left: Row, right: Row, columns: number, look: Look): Row {
  return bar(left, right, columns, { look, style: look.theme.bar });
}

/** The side column: conversations, and who is here. */
export function layoutSide(
  list: readonly Conversation[],
  shown: Conversation,
  height: number,
  look: Look,
): Row[] {
  const { theme, text } = look;
  const rows: Segment[][] = list.map((conversation) => {
    const { number, unread, urgent } = conversation;
    const isShown = conversation === shown;
    const count = unreadWords(conversation);
    const style = isShown ? theme.strong : urgent > 0 ? theme.mention : unread > 0 ? "" : theme.dim;
    const row = [
      ...text.segments(isShown ? text.sign("▸", ">") : " ", theme.fresh),
      ...text.segments(`${number} `, theme.dim),
    ];
    row.push(
      ...text.fit(titleOf(conversation, look), SIDE_TEXT - widthOf(row) - count.length - 1, style),
    );
    const end = text.segments(count, urgent > 0 ? theme.mention : theme.dim);
    return [...pad(row, SIDE_TEXT - widthOf(end)), ...end];
  });
  if (shown.kind === "room" && rows.length + 3 < height) {
    rows.push(
      ...layoutPeople(shown.people.filter(({ here }) => here), height - rows.length - 2, look),
    );
  }
  const line = text.measure("│").width === 1 ? text.sign("│", "|") : "|";
  const edge = [blank(1), { ...text.segments(line, theme.rule)[0]!, width: 1 }, blank(1)];
  return Array.from({ length: height }, (_, i) => {
    const row = rows[i] ?? [];
    const mark = row.some(({ text }) => isRightToLeft(text)) ? [LEFT_TO_RIGHT_MARK] : [];
    return [...pad([...row, ...mark], SIDE_TEXT), ...edge];
  });
}

function layoutPeople(people: readonly Person[], room: number, look: Look): Segment[][] {
  const { theme, text, colors } = look;
  const shown = people.length > room ? people.slice(0, room - 1) : people;
  const rows: Segment[][] = [[], text.segments(` ${people.length} here`, theme.dim)];
  for (const person of shown) {
    const { trust, away, fingerprint, nick } = person;
    const color = colors.of(fingerprint, theme).replace(/^1;?/, "");
    const style = trust === "self" ? "" : away === "" ? color : theme.dim;
    const name = shownNick(nick, text) + signOf(person, look);
    rows.push([blank(2), ...text.fit(name, SIDE_TEXT - 2, style)]);
  }
  const more = people.length - shown.length;
  if (more > 0) rows.push(text.segments(`  ${more} more`, theme.dim));
  return rows;
}

/** Candidates in columns; those around the chosen one. */
export function layoutMenu(
  candidates: readonly string[],
  chosen: number | undefined,
  { columns, room }: { columns: number; room: number },
  { text, theme }: Look,
): Row[] {
  const words = candidates.map((candidate) => text.segments(text.cleanLine(candidate.trimEnd())));
  const widest = words.reduce((most, word) => Math.max(most, widthOf(word)), 0);
  const cell = Math.max(3, Math.min(columns - 1, widest + 2));
  const perRow = Math.max(1, Math.floor((columns - 1) / cell));
  const count = Math.ceil(words.length / perRow);
  const height = Math.min(room, MAX_MENU_ROWS, count);
  const at = Math.floor((chosen ?? 0) / perRow);
  const first = Math.max(0, Math.min(at - height + 2, count - height));
  return Array.from({ length: height }, (_, i) => {
    const start = (first + i) * perRow;
    const cells = words.slice(start, start + perRow).flatMap((word, k) => {
      const style = start + k === chosen ? theme.chosen : "";
      const shown = text.cut(word, cell - 2).map((segment) => ({ ...segment, style }));
      return pad([blank(1, style), ...shown], cell, style);
    });
    return [blank(1), ...cells];
  });
}

/** Where the line goes; `to` and the sign of trust for one person alone. */
export function layoutPrompt(conversation: Conversation, columns: number, look: Look): Segment[] {
  const { theme, text } = look;
  const most = Math.max(6, Math.floor(columns / 4));
  const arrow = text.sign("›", ">");
  const [person] = conversation.people;
  const name = shownNick(conversation.title, text);
  if (conversation.kind === "person" && person !== undefined) {
    return [
      ...text.segments("to ", theme.person),
      ...text.fit(name, most, `1;${theme.person}`.replace(/;$/, "")),
      ...text.segments(`${signOf(person, look)} ${arrow} `, theme.person),
    ];
  }
  return [...text.fit(name, most, theme.strong), ...text.segments(` ${arrow} `, theme.dim)];
}

/** The line that is typed, as it is laid out. */
export interface InputRows {
  readonly rows: readonly Row[];
  readonly cursor: { readonly row: number; readonly column: number };
}

/** The line that is typed behind its prompt; if it is too long, the rows around the cursor. */
export function layoutInput(
  prompt: Row,
  typed: { readonly text: string; readonly cursor: number },
  { columns, maxRows }: { columns: number; maxRows: number },
  { text }: Look,
): InputRows {
  const start = startOf(typed, UNITS_A_COLUMN * columns * maxRows);
  const end = start + 3 * UNITS_A_COLUMN * columns * maxRows;
  const cursor = typed.cursor - start;
  const head = text.cut(prompt, Math.max(1, columns - 2));
  const indent = Math.min(widthOf(head), Math.floor(columns / 3));
  const rows: Segment[][] = [[...head]];
  let used = widthOf(head);
  let place: { row: number; column: number } | undefined;
  const endRow = (): void => {
    rows.push([blank(indent)]);
    used = indent;
  };
  let offset = 0;
  for (const cluster of eachGrapheme(typed.text.slice(start, end))) {
    const shown = cluster === "\n" ? [] : text.segments(text.clean(cluster));
    const width = widthOf(shown);
    // One column is free for the cursor behind the last character.
    if (used + width > columns - 1 && used > indent) endRow();
    if (place === undefined && offset + cluster.length > cursor) {
      place = { row: rows.length - 1, column: used };
    }
    if (cluster === "\n") endRow();
    else rows.at(-1)!.push(...shown);
    used += width;
    offset += cluster.length;
  }
  place ??= { row: rows.length - 1, column: used };
  const first = Math.max(0, Math.min(place.row - Math.floor(maxRows / 2), rows.length - maxRows));
  return {
    rows: rows.slice(first, first + maxRows).map(keepTogether),
    cursor: { row: place.row - first, column: Math.min(place.column, columns - 1) },
  };
}

/** Where to begin with a text that is much longer than what is shown; it does not move with each key. */
function startOf({ text, cursor }: { text: string; cursor: number }, units: number): number {
  const start = Math.max(0, Math.floor(cursor / units) - 1) * units;
  return /[\udc00-\udfff]/.test(text[start] ?? "") ? start - 1 : start;
}

function keepTogether(row: Segment[]): Row {
  const merged = merge(row);
  return merged.some(({ text }) => isRightToLeft(text)) ? [...merged, LEFT_TO_RIGHT_MARK] : merged;
}
