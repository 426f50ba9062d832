/**
 * How far files are, in one line each: while they move, and when the program ends.
 *
 * @module
 */

import { cleanLine } from "../base/text.ts";
import type { Conversation, FileEntry, FileTransfer } from "./conversation.ts";
import { formatBytes, percent, timeLeft } from "./file_words.ts";

const BAR_COLUMNS = 16;
/** Files that are named at the end. */
const MAX_UNFINISHED = 5;
/** The states of what was accepted, and is not over. */
const GOES_ON: ReadonlySet<FileTransfer["state"]> = new Set(["waiting", "moving", "paused"]);

/** Says how far the newest file is that moves, and how many others do; empty if none does. */
export function progressLine(entries: Iterable<FileEntry>, { utf8 }: { utf8: boolean }): string {
  const moving = Array.from(entries).flatMap((entry) =>
    entry.transfers.filter(({ state }) => state === "moving")
      .map((transfer) => ({ entry, transfer }))
  );
  const newest = moving.at(-1);
  if (newest === undefined) return "";
  const { entry, transfer } = newest;
  const { size } = entry;
  const { moved, speed } = transfer;
  const left = timeLeft(transfer, size);
  const parts = [
    `${entry.number} ${nameOf(entry, transfer)}`,
    size === null ? formatBytes(moved) : `${bar(moved, size, utf8)}  ${percent(moved, size)} %`,
    `${formatBytes(speed)}/s`,
  ];
  if (left !== "") parts.push(`${left} left`);
  if (moving.length > 1) parts.push(`and ${moving.length - 1} more`);
  return parts.join("  ");
}

function bar(moved: number, size: number, utf8: boolean): string {
  const full = Math.floor(Math.min(100, percent(moved, size)) * BAR_COLUMNS / 100);
  return (utf8 ? "━" : "#").repeat(full) + (utf8 ? "─" : "-").repeat(BAR_COLUMNS - full);
}

/**
 * Says what becomes of each file that is on its way when the program ends, and of those that one person has offered
 * another and that wait for an answer.
 */
export function unfinishedFiles(conversations: readonly Conversation[]): string[] {
  const lines = conversations.flatMap(({ kind, entries }) =>
    entries.flatMap((entry) =>
      entry.type !== "file" ? [] : entry.transfers
        .filter(({ state }) => GOES_ON.has(state) || (state === "offered" && kind === "person"))
        .map((transfer) => `${nameOf(entry, transfer)} ${whatBecomes(entry, transfer)}`)
    )
  );
  const more = lines.length - MAX_UNFINISHED;
  return more > 0 ? [...lines.slice(0, MAX_UNFINISHED), `and ${more} more files`] : lines;
}

function whatBecomes({ own, size }: FileEntry, { state, moved }: FileTransfer): string {
  if (state === "offered") {
    return own
      ? "was not accepted; send it again when you are back"
      : "waits for your answer; you are asked again when both of you are here";
  }
  if (size === null) return "is not complete; as its size is not known, it has to be sent again";
  return `is not complete (${percent(moved, size)} %); it goes on when both of you are here again`;
}

function nameOf({ name, own }: FileEntry, { nick }: FileTransfer): string {
  return `${cleanLine(name)} ${own ? "to" : "from"} ${cleanLine(nick)}`;
}
