/**
 * Lays out a file: what is offered, and below it how far it is at each receiver.
 *
 * @module
 */

import type { FileEntry, FileTransfer } from "./conversation.ts";
import { formatBytes, percent, timeLeft } from "./file_words.ts";
import { type Piece, type Row, type Segment, type Typesetter, widthOf } from "./terminal/mod.ts";
import type { Theme } from "./theme.ts";

interface FileContext {
  readonly text: Typesetter;
  readonly theme: Theme;
}

/** Rows of receivers; the others are counted. */
const MAX_TRANSFERS = 6;
const MIN_BAR_COLUMNS = 4;
const MAX_BAR_COLUMNS = 24;
/** Below this, some of the words are left out. */
const NARROW_BAR_COLUMNS = 8;

/** What is offered, in words: it stands behind the nick. */
export function offerPieces(
  { name, kind, size, files, executable }: FileEntry,
  { text, theme }: FileContext,
): Piece[] {
  const facts: string[] = [];
  if (kind === "folder") facts.push(`folder of ${files}`);
  if (size !== null) facts.push(formatBytes(size));
  if (executable) facts.push("a program");
  return [
    { text: "offers ", style: theme.dim },
    { text: text.cleanLine(name), style: theme.strong },
    { text: facts.map((fact) => `  ${fact}`).join(""), style: theme.dim },
  ];
}

/** The rows below the offer, of at most `room` columns. */
export function transferRows(entry: FileEntry, room: number, context: FileContext): Row[] {
  const { text, theme } = context;
  const { own, number, transfers } = entry;
  const dim = (words: string) => text.fit(words, room, theme.dim);
  if (transfers.every(({ state }) => state === "offered")) {
    const note = transfers[0]?.note ?? "";
    if (note !== "") return [text.fit(text.cleanLine(note), room, theme.alert)];
    if (own) return [dim(`waits for an answer ${text.sign("·", "-")} /cancel ${number}`)];
    return [answerRow(entry, room, context)];
  }
  if (transfers.length === 1) return [transferRow(transfers[0]!, "", entry, room, context)];
  const done = transfers.filter(({ state }) => state === "done");
  const others = transfers.filter(({ state }) => state !== "done" && state !== "offered");
  const rows = others.slice(0, MAX_TRANSFERS).map((transfer) =>
    transferRow(transfer, `${text.cleanLine(transfer.nick)}  `, entry, room, context)
  );
  const more = others.length - rows.length;
  if (more > 0) rows.push(dim(`and ${more} more: /files`));
  if (done.length > 0) {
    const nicks = done.map(({ nick }) => text.cleanLine(nick)).join(", ");
    rows.push(text.fit(`${done.length === 1 ? "is" : "are"} there: ${nicks}`, room, theme.good));
  }
  return rows;
}

/** How to answer an offer: both answers, and as much about the place as there is room for. */
function answerRow({ number, folder }: FileEntry, room: number, { text, theme }: FileContext): Row {
  const where = folder === "" ? [] : [` keeps it in ${text.cleanLine(folder)}`];
  const rows = [...where, " keeps it", ""].map((words) => [
    ...text.segments(`/accept ${number}`, theme.strong),
    ...text.segments(`${words} ${text.sign("·", "-")} `, theme.dim),
    ...text.segments(`/decline ${number}`, theme.strong),
  ]);
  return rows.find((row) => widthOf(row) <= room) ?? text.cut(rows.at(-1)!, room);
}

/** @param whom Stands before it. */
function transferRow(
  transfer: FileTransfer,
  whom: string,
  { size }: FileEntry,
  room: number,
  context: FileContext,
): Row {
  const { text, theme } = context;
  const { state, note } = transfer;
  const before = text.segments(whom, theme.dim);
  if (state === "moving") {
    const left = room - widthOf(before);
    return text.cut([...before, ...progressRow(transfer, size, left, context)], room);
  }
  const style = state === "failed" ? theme.alert : state === "done" ? theme.good : theme.dim;
  const words = note === "" ? state : text.cleanLine(note);
  return text.cut([...before, ...text.segments(words, style)], room);
}

function progressRow(
  { moved, speed, note }: FileTransfer,
  size: number | null,
  room: number,
  { text, theme }: FileContext,
): Row {
  const left = timeLeft({ moved, speed }, size);
  const done = size === null ? "" : ` ${String(percent(moved, size)).padStart(3)} %`;
  const end = left === "" ? "" : `  ${left} left`;
  const way = note === "" ? "" : `  ${text.cleanLine(note)}`;
  const full = `${done}  ${formatBytes(moved)}  ${formatBytes(speed)}/s${end}`;
  const fits = (it: string, bar: number) => it.length + bar <= room;
  const short = [full, done + end].find((it) => fits(it, NARROW_BAR_COLUMNS)) ?? done;
  const words = fits(full + way, MAX_BAR_COLUMNS / 2) ? full + way : short;
  if (size === null) return text.segments(words.trimStart(), theme.dim);
  const columns = Math.max(MIN_BAR_COLUMNS, Math.min(MAX_BAR_COLUMNS, room - words.length - 1));
  return [
    ...bar(percent(moved, size), columns, { text, theme }),
    ...text.segments(words, theme.dim),
  ];
}

/** @param done In percent. */
function bar(done: number, columns: number, { text, theme }: FileContext): Segment[] {
  const full = Math.floor(Math.min(100, done) * columns / 100);
  const part = (character: string, ascii: string, count: number, style: string): Segment => {
    const { width, certain } = text.measure(character);
    return width === 1
      ? { text: text.sign(character, ascii).repeat(count), style, width: count, certain }
      : { text: ascii.repeat(count), style, width: count, certain: true };
  };
  return [part("━", "#", full, theme.good), part("─", "-", columns - full, theme.rule)]
    .filter(({ width }) => width > 0);
}
