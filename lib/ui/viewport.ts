/**
 * The part of a conversation that is on the screen. Lays out what is seen and nothing else; keeps its place when
 * something arrives, goes, or the width changes.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Conversation, Entry } from "./conversation.ts";
import { type LayoutContext, layoutEntry, rule } from "./layout.ts";
import { dayName } from "./moment.ts";
import type { Row } from "./terminal/mod.ts";

/** Messages of one person are grouped if so much time lies between them at most. */
const GROUP_MS = 5 * 60_000;
/** Rows of an entry that is shortened. */
export const SHORT_ROWS = 1;
/** Entries whose rows are kept. */
const MAX_LAID = 1000;

interface Laid {
  readonly key: string;
  readonly rows: readonly Row[];
}

/** What is on the screen of one conversation. */
export class Viewport {
  /** Entries that came below what is on the screen. */
  missed = 0;
  readonly #conversation: Conversation;
  /** The lowest entry on the screen, and how many of its rows are below; undefined to follow what is newest. */
  #anchor: { seq: number; below: number } | undefined;
  readonly #laid = new BoundedMap<Entry, Laid>(MAX_LAID);
  #short = new WeakSet<Entry>();
  /** Whether some entries are shown shorter than they may be. */
  isShortened = false;
  #context: LayoutContext | undefined;
  /** Rises when everything must be laid out anew. */
  #generation = 0;
  #firstNew: number | undefined;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  /** Whether the newest entry is on the screen, and will be. */
  get isFollowing(): boolean {
    return this.#anchor === undefined;
  }

  follow(): void {
    this.#anchor = undefined;
    this.missed = 0;
  }

  /** Shows an entry in {@linkcode SHORT_ROWS} rows until {@linkcode Viewport.lengthen}. */
  shorten(entry: Entry): void {
    this.#short.add(entry);
    this.isShortened = true;
  }

  /** Shows everything in as many rows as it may have. */
  lengthen(): void {
    if (this.isShortened) this.#short = new WeakSet();
    this.isShortened = false;
  }

  /**
   * The rows to show, the last at the bottom; fewer than `height` where there are no more.
   *
   * @param firstNew The `seq` of the entry below the new line.
   */
  rows(height: number, context: LayoutContext, firstNew: number | undefined): Row[] {
    this.#use(context, firstNew);
    const { entries } = this.#conversation;
    let index = entries.length - 1;
    let below = 0;
    if (this.#anchor !== undefined) {
      index = this.#find(this.#anchor.seq);
      // At another width the entry may have fewer rows.
      below = Math.max(0, Math.min(this.#anchor.below, this.#rowsAt(index).length - 1));
    }
    const shown: Row[] = [];
    for (; index >= 0 && shown.length - below < height; index--) {
      const rows = this.#rowsAt(index);
      for (let i = rows.length - 1; i >= 0; i--) shown.push(rows[i]!);
    }
    return shown.slice(below, below + height).reverse();
  }

  /** Moves up by so many rows, down if negative, as far as there are any. */
  scroll(by: number, height: number): void {
    const { entries } = this.#conversation;
    if (entries.length === 0) return;
    let index = this.#anchor === undefined ? entries.length - 1 : this.#find(this.#anchor.seq);
    let below = (this.#anchor?.below ?? 0) + by;
    while (index > 0 && below >= this.#rowsAt(index).length) {
      below -= this.#rowsAt(index--).length;
    }
    while (below < 0 && index < entries.length - 1) below += this.#rowsAt(++index).length;
    // The first row stays at the top.
    let above = -below;
    for (let i = index; i >= 0 && above < height; i--) above += this.#rowsAt(i).length;
    below -= Math.max(0, height - above);
    while (below < 0 && index < entries.length - 1) below += this.#rowsAt(++index).length;
    if (below < 0 || index === entries.length - 1 && below === 0) return this.follow();
    this.#anchor = { seq: entries[index]!.seq, below };
  }

  /** Moves to the oldest entry. */
  scrollToStart(height: number): void {
    const { entries } = this.#conversation;
    if (entries.length === 0) return;
    this.#anchor = { seq: entries[0]!.seq, below: this.#rowsAt(0).length - 1 };
    this.scroll(0, height);
  }

  /** Brings an entry to the middle, unless all of it is on the screen; or its first row as far up as there is more. */
  reveal(
    seq: number,
    { height, context }: { readonly height: number; readonly context: LayoutContext },
    { firstNew, atTop = false }: { firstNew: number | undefined; atTop?: boolean },
  ): void {
    const index = this.#find(seq);
    if (index < 0) return;
    const shown = new Set(this.rows(height, context, firstNew));
    const own = this.#rowsAt(index);
    if (atTop) {
      this.#anchor = { seq, below: own.length - 1 };
      return this.scroll(1 - height, height);
    }
    if (own.every((row) => shown.has(row))) return;
    this.#anchor = { seq, below: 0 };
    this.scroll(-Math.max(0, Math.floor((height - own.length) / 2)), height);
  }

  /** The rows of an entry as they were last laid out, without the lines above it. */
  rowsOf(seq: number): readonly Row[] {
    const index = this.#find(seq);
    const rows = this.#rowsAt(index);
    const { isNewDay, isFirstNew } = this.#place(index);
    return rows.slice(Number(isNewDay) + Number(isFirstNew));
  }

  /** The last entry with at most this `seq`; the first if there is none; -1 without entries. */
  #find(seq: number): number {
    const { entries } = this.#conversation;
    let low = 0;
    let high = entries.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (entries[middle]!.seq <= seq) low = middle;
      else high = middle - 1;
    }
    return entries.length === 0 ? -1 : low;
  }

  #use(context: LayoutContext, firstNew: number | undefined): void {
    if (this.#context === undefined || !isSameLook(this.#context, context)) this.#generation++;
    this.#context = context;
    this.#firstNew = firstNew;
  }

  #place(index: number): { isNewDay: boolean; isFirstNew: boolean; isGrouped: boolean } {
    const { entries } = this.#conversation;
    const entry = entries[index]!;
    const before = entries[index - 1];
    const isNewDay = before === undefined || dayOf(before.at) !== dayOf(entry.at);
    const isFirstNew = entry.seq === this.#firstNew;
    return {
      isNewDay,
      isFirstNew,
      isGrouped: !isNewDay && !isFirstNew && continues(before!, entry),
    };
  }

  #rowsAt(index: number): readonly Row[] {
    const entry = this.#conversation.entries[index];
    const context = this.#context;
    if (entry === undefined || context === undefined) return [];
    const { isNewDay, isFirstNew, isGrouped } = this.#place(index);
    const isShort = this.#short.has(entry);
    const place = `${isNewDay} ${isFirstNew} ${isGrouped} ${isShort}`;
    const key = `${this.#generation} ${entry.version} ${place}`;
    const known = this.#laid.get(entry);
    if (known?.key === key) return known.rows;
    const rows: Row[] = [];
    if (isNewDay) rows.push(rule(dayName(entry.at), context.theme.rule, context));
    if (isFirstNew) rows.push(rule("new", context.theme.fresh, context));
    const maxRows = isShort ? SHORT_ROWS : context.maxRows;
    rows.push(...layoutEntry(entry, isGrouped, { ...context, maxRows }));
    this.#laid.set(entry, { key, rows });
    return rows;
  }
}

function isSameLook(a: LayoutContext, b: LayoutContext): boolean {
  return a.width === b.width && a.nickWidth === b.nickWidth && a.maxRows === b.maxRows &&
    a.query === b.query && a.timestamps === b.timestamps && a.ownNick === b.ownNick &&
    a.theme === b.theme && a.text === b.text;
}

/** Whether an entry is shown below the one before without repeating the nick. */
function continues(before: Entry, entry: Entry): boolean {
  return before.type === "message" && entry.type === "message" && before.from === entry.from &&
    before.nick === entry.nick && before.trust === entry.trust && !before.hearsay &&
    !entry.hearsay && !before.action && !entry.action &&
    entry.at - before.at < GROUP_MS && entry.view === "same" && entry.late === undefined &&
    before.past === entry.past;
}

function dayOf(at: number): string {
  return new Date(at).toDateString();
}
