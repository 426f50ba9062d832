/**
 * `/show`: the whole of a message that is cut in the conversation.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { Entry, MessageEntry } from "../conversation.ts";
import { type LayoutContext, layoutEntry } from "../layout.ts";
import type { Row } from "../terminal/mod.ts";

/** Messages among which the newest that was cut is looked for. */
const MAX_LOOKED_AT = 100;

/**
 * Finds a message of a conversation.
 *
 * @param seq Undefined for the newest that was cut.
 * @param context What the conversation was last laid out with; undefined before the first frame.
 * @throws {UsageError} If there is none.
 */
export function findMessage(
  entries: readonly Entry[],
  seq: number | undefined,
  context: LayoutContext | undefined,
): MessageEntry {
  const messages = entries.filter((entry) => entry.type === "message");
  const found = seq === undefined
    ? messages.slice(-MAX_LOOKED_AT).findLast((entry) => context && isCut(entry, context))
    : messages.find((entry) => entry.seq === seq);
  if (found !== undefined) return found;
  throw new UsageError(
    seq === undefined ? "no message was cut" : `there is no message ${seq} here`,
  );
}

/** Lays out a message that is not cut. */
export function layoutWhole(entry: MessageEntry, context: LayoutContext): Row[] {
  return layoutEntry(entry, false, { ...context, maxRows: Infinity });
}

function isCut(entry: MessageEntry, context: LayoutContext): boolean {
  const [cut, whole] = [layoutEntry(entry, false, context), layoutWhole(entry, context)]
    .map((rows) => rows.flat().map(({ text }) => text).join(""));
  return cut !== whole;
}
