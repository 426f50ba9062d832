/**
 * Changes the input block on the screen in place, and prints above it, without writing again what is there. A screen
 * reader speaks what is written: it must not read the line anew with each key and each message.
 *
 * @module
 */

import {
  type Block,
  heightOf,
  heightOfLog,
  isAtEnd,
  type Log,
  moveCursor,
  padBlock,
  PLAIN,
  type Row,
  type Size,
  unwrapped,
  writeLogRows,
} from "./screen.ts";

/** Characters that stand for themselves, wherever they are written. */
const APART = /^[\p{L}\p{N}\p{P}\p{S}\p{Zs}]*$/u;

/**
 * Prints rows above the block, which is on the last row of the screen and stays as it is.
 *
 * @returns The text to write; undefined if the block must be drawn again.
 */
export function insertLog(old: Block, log: Log, block: Block, size: Size): string | undefined {
  const height = old.rows.length;
  const count = heightOfLog(log, size.columns, size.rows);
  const isSame = old.columns === block.columns && old.cursorRow === block.cursorRow &&
    old.beforeCursor.text === block.beforeCursor.text && height === block.rows.length &&
    old.rows.every(({ text }, i) => text === block.rows[i]!.text);
  // Blank rows on top are for the log.
  if (!isSame || old.rows[0]!.plain === "" || count + height > size.rows) return undefined;
  const below = height - 1 - old.cursorRow;
  // Everything scrolls, then the block is pushed down again to where it was.
  return `\x1b7${below > 0 ? `\x1b[${below}B` : ""}${"\n".repeat(count)}` +
    `\r\x1b[${count + height - 1}A\x1b[${count}L` +
    `${writeLogRows(log, size).join("\r\n")}\x1b8`;
}

/**
 * Turns a block on the screen into another by writing little more than what has changed.
 *
 * @returns The text to write, and the block as drawn, as `drawBlock` does; undefined if that is not enough.
 */
export function changeBlock(
  old: Block,
  block: Block,
  size: Size,
): { output: string; drawn: Block } | undefined {
  if (old.columns !== block.columns) return undefined;
  const height = heightOf(old, size.columns);
  if (block.rows.length > height) {
    const output = appendedRows(old, block, size);
    return output === undefined ? undefined : { output, drawn: block };
  }
  const drawn = padBlock(block, height);
  const output = difference(old, drawn, size);
  return output === undefined ? undefined : { output, drawn };
}

/** Goes on behind the block, where somebody types on at its end. */
function appendedRows(old: Block, block: Block, size: Size): string | undefined {
  const last = old.rows.length - 1;
  const isBehind = old.cursorRow === last && isAtEnd(old) && isAtEnd(block) &&
    block.cursorRow === block.rows.length - 1;
  const isSame = old.rows.every(({ text }, i) =>
    i === last ? block.rows[i]!.text.startsWith(text) : text === block.rows[i]!.text
  );
  if (!isBehind || !isSame) return undefined;
  const added = block.rows[last]!.text.slice(old.rows[last]!.text.length);
  if (!APART.test(added)) return undefined;
  const rows = block.rows.slice(last + 1).map(({ text, plain }) => unwrapped(text, plain, size));
  return [unwrapped(added, block.rows[last]!.plain, size), ...rows].join("\r\n\x1b[K");
}

function difference(old: Block, block: Block, size: Size): string | undefined {
  const at = block.cursorRow;
  const changed = block.rows.flatMap(({ text }, i) => text === old.rows[i]?.text ? [] : [i]);
  if (old.rows.length !== block.rows.length || changed.some((row) => row !== at)) return undefined;
  if (changed.length === 0) return moveTo(old, block, size);
  if (old.cursorRow !== at) return undefined;
  return changeRow(old, block, size) ?? rewriteRow(block, size);
}

function moveTo(old: Block, block: Block, size: Size): string | undefined {
  const [from, to] = [old.beforeCursor.plain, block.beforeCursor.plain];
  const down = block.cursorRow - old.cursorRow;
  if (down === 0) return moveCursor(from, to);
  // Writing what is before the cursor puts it in the right column, however wide the terminal draws that.
  const column = moveCursor("", to) ?? unwrapped(block.beforeCursor.text, to, size);
  return `\r\x1b[${Math.abs(down)}${down > 0 ? "B" : "A"}${column}`;
}

/** Inserts or deletes in the row of the cursor. */
function changeRow(old: Block, block: Block, size: Size): string | undefined {
  const [was, is] = [old.rows[old.cursorRow]!, block.rows[block.cursorRow]!];
  const start = commonStart(was.text, is.text);
  const [gone, come] = [was.text.slice(start), is.text.slice(start)];
  if (gone === "" && isAtEnd(old) && isAtEnd(block)) {
    return APART.test(come) ? unwrapped(come, is.plain, size) : undefined;
  }
  if (!PLAIN.test(gone) || !PLAIN.test(come)) return undefined;
  const before = is.plain.slice(0, is.plain.length - come.length);
  const added = come.slice(0, Math.max(0, come.length - gone.length));
  const taken = gone.slice(0, Math.max(0, gone.length - come.length));
  if (come.slice(added.length) !== gone.slice(taken.length)) return undefined;
  const isCut = come === "" && isAtEnd(old);
  // Readers tell by backspaces what is deleted.
  const go = isCut ? "\b".repeat(gone.length) : moveCursor(old.beforeCursor.plain, before);
  const back = moveCursor(before + added, block.beforeCursor.plain);
  if (go === undefined || back === undefined) return undefined;
  const edit = isCut
    ? "\x1b[K"
    : added === ""
    ? `\x1b[${taken.length}P`
    : `\x1b[${added.length}@${added}`;
  return go + edit + back;
}

/** Writes the row of the cursor anew. */
function rewriteRow(block: Block, size: Size): string | undefined {
  const { text, plain }: Row = block.rows[block.cursorRow]!;
  const back = moveCursor(plain, block.beforeCursor.plain);
  return back === undefined ? undefined : `\r\x1b[K${unwrapped(text, plain, size)}${back}`;
}

/** How much two texts have in common at their start, in UTF-16 units. */
function commonStart(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}
