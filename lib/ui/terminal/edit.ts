/**
 * The text being typed: keys change text and cursor. Pure; the cursor never stands inside a grapheme cluster.
 *
 * @module
 */

import { graphemes, segments } from "../../base/text.ts";

/** Positions are in UTF-16 units. */
interface Snapshot {
  readonly text: string;
  readonly cursor: number;
}

/** Longest text, in UTF-16 units; what would make it longer is refused. */
const MAX_TEXT = 65536;
const MAX_UNDO = 200;
/** Of long texts fewer steps are kept: as many as have so many units together. */
const MAX_UNDO_UNITS = 1 << 20;
const MAX_KILLS = 32;

/** What the last key did: typing joins with typing, deleting with deleting, cuts with cuts. */
type Did = "type" | "delete" | "cut" | "yank" | "row" | "other";

/** What was cut, the newest last; texts that share it put back each other's cuts. */
export type Kills = string[];

/** A text of one or several rows, which end with `\n`; what undo brings back, and what was cut. */
export class EditBuffer {
  #text = "";
  #cursor = 0;
  #undo: Snapshot[] = [];
  #redo: Snapshot[] = [];
  #did: Did = "other";
  readonly #kills: Kills;
  /** What was put back last, for putting an older cut in its place. */
  #yanked = { start: 0, end: 0, index: 0 };
  /** The place in its row, in clusters, that the cursor keeps while it goes up and down. */
  #place = 0;

  constructor(kills: Kills = []) {
    this.#kills = kills;
  }

  get text(): string {
    return this.#text;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Whether the cursor is in the first row of the text. */
  get isInFirstRow(): boolean {
    return this.#rowStart(this.#cursor) === 0;
  }

  /** Whether the cursor is in the last row of the text. */
  get isInLastRow(): boolean {
    return this.#rowEnd(this.#cursor) === this.#text.length;
  }

  /** Inserts what was typed: undo takes back whole words. @returns False if the text would be too long. */
  type(text: string): boolean {
    if (this.#text.length + text.length > MAX_TEXT) return false;
    if (this.#did !== "type" || /\s/.test(text)) this.#save();
    this.#redo = [];
    this.#splice(this.#cursor, this.#cursor, text);
    this.#did = "type";
    return true;
  }

  /** Inserts text as one step of undo. @returns False if the text would be too long. */
  insert(text: string): boolean {
    return this.#change(this.#cursor, this.#cursor, text);
  }

  /** Replaces everything as one step of undo. */
  set(text: string, cursor: number = text.length): void {
    this.#save();
    this.#text = text;
    this.#cursor = this.#boundary(Math.min(cursor, text.length));
    this.#did = "other";
  }

  /** Replaces everything, and forgets what undo would bring back: another text is being typed. */
  reset(text = "", cursor: number = text.length): void {
    this.set(text, cursor);
    this.#undo = [];
    this.#redo = [];
  }

  /**
   * Does what a key means.
   *
   * @param name As {@linkcode KeyParser} names keys.
   * @returns False if it means nothing here.
   */
  press(name: string): boolean {
    const at = this.#cursor;
    switch (name) {
      case "left":
      case "C-b":
        return this.#move(this.#before(at));
      case "right":
      case "C-f":
        return this.#move(this.#after(at));
      case "C-left":
      case "M-left":
      case "M-b":
        return this.#move(this.#wordStart());
      case "C-right":
      case "M-right":
      case "M-f":
        return this.#move(this.#wordEnd());
      case "home":
      case "C-a":
        return this.#move(this.#rowStart(at));
      case "end":
      case "C-e":
        return this.#move(this.#rowEnd(at));
      case "C-home":
        return this.#move(0);
      case "C-end":
        return this.#move(this.#text.length);
      case "up":
        return this.#goUp();
      case "down":
        return this.#goDown();
      case "backspace":
      case "S-backspace":
      case "C-h":
        return this.#delete(this.#before(at), at);
      case "delete":
      case "C-d":
        return this.#delete(at, this.#after(at));
      case "C-w":
        return this.#cut(this.#blankStart(), at);
      case "M-backspace":
      case "C-backspace":
        return this.#cut(this.#wordStart(), at);
      case "M-d":
      case "C-delete":
      case "M-delete":
        return this.#cut(at, this.#wordEnd());
      case "C-u":
        return this.#cut(this.#rowStart(at), at);
      case "C-k": {
        const end = this.#rowEnd(at);
        return this.#cut(at, end > at ? end : this.#after(at));
      }
      case "C-y":
        return this.#yank();
      case "M-y":
        return this.#yankOlder();
      case "C-t":
        return this.#swap();
      case "C-_":
        return this.#restore(this.#undo, this.#redo);
      case "M-_":
        return this.#restore(this.#redo, this.#undo);
      case "C-j":
      case "M-enter":
      case "S-enter":
      case "C-enter":
        return this.insert("\n");
      default:
        return false;
    }
  }

  /** Keeps the present text for undo. */
  #save(): void {
    this.#redo = [];
    this.#undo.push({ text: this.#text, cursor: this.#cursor });
    let units = this.#undo.reduce((sum, { text }) => sum + text.length, 0);
    while (this.#undo.length > MAX_UNDO || units > MAX_UNDO_UNITS) {
      units -= this.#undo.shift()!.text.length;
    }
  }

  #change(start: number, end: number, text: string): boolean {
    if (this.#text.length - (end - start) + text.length > MAX_TEXT) return false;
    this.#save();
    this.#splice(start, end, text);
    this.#did = "other";
    return true;
  }

  #splice(start: number, end: number, text: string): void {
    this.#text = this.#text.slice(0, start) + text + this.#text.slice(end);
    // What was put in, or what now stands together, may have joined.
    this.#cursor = this.#boundary(start + text.length);
  }

  #move(to: number): true {
    this.#cursor = to;
    this.#did = "other";
    return true;
  }

  #goUp(): boolean {
    const start = this.#rowStart(this.#cursor);
    return start > 0 && this.#goToRow(start, this.#rowStart(start - 1));
  }

  #goDown(): boolean {
    const end = this.#rowEnd(this.#cursor);
    return end < this.#text.length && this.#goToRow(this.#rowStart(this.#cursor), end + 1);
  }

  #goToRow(from: number, to: number): true {
    if (this.#did !== "row") {
      this.#place = graphemes(this.#text.slice(from, this.#cursor)).length;
    }
    const row = graphemes(this.#text.slice(to, this.#rowEnd(to)));
    this.#cursor = to + row.slice(0, this.#place).join("").length;
    this.#did = "row";
    return true;
  }

  #delete(start: number, end: number): true {
    if (start === end) return true;
    if (this.#did !== "delete") this.#save();
    this.#redo = [];
    this.#splice(start, end, "");
    this.#did = "delete";
    return true;
  }

  /** Cuts what is before or after the cursor; cuts in a row become one. */
  #cut(start: number, end: number): true {
    if (start === end) return true;
    const text = this.#text.slice(start, end);
    const last = this.#did === "cut" ? this.#kills.pop() ?? "" : "";
    this.#kills.push(start < this.#cursor ? text + last : last + text);
    if (this.#kills.length > MAX_KILLS) this.#kills.shift();
    this.#change(start, end, "");
    this.#did = "cut";
    return true;
  }

  #yank(): boolean {
    const index = this.#kills.length - 1;
    const start = this.#cursor;
    return index < 0 || this.#putBack(start, start, index);
  }

  #yankOlder(): boolean {
    const { start, end, index } = this.#yanked;
    const { length } = this.#kills;
    return this.#did !== "yank" || this.#putBack(start, end, (index + length - 1) % length);
  }

  #putBack(start: number, end: number, index: number): boolean {
    const text = this.#kills[index]!;
    if (!this.#change(start, end, text)) return false;
    this.#yanked = { start, end: start + text.length, index };
    this.#did = "yank";
    return true;
  }

  /** Swaps the characters around the cursor; at the end, the last two. */
  #swap(): true {
    const { length } = this.#text;
    const middle = this.#cursor === length ? this.#before(length) : this.#cursor;
    const [start, end] = [this.#before(middle), this.#after(middle)];
    if (start === middle || middle === end) return true;
    this.#change(start, end, this.#text.slice(middle, end) + this.#text.slice(start, middle));
    return true;
  }

  #restore(from: Snapshot[], to: Snapshot[]): true {
    const snapshot = from.pop();
    if (snapshot !== undefined) {
      to.push({ text: this.#text, cursor: this.#cursor });
      this.#text = snapshot.text;
      this.#cursor = snapshot.cursor;
    }
    this.#did = "other";
    return true;
  }

  /** The first boundary between clusters at a position, or behind it. */
  #boundary(at: number): number {
    return at === 0 || clusterAt(this.#text, at)?.index === at ? at : this.#after(at);
  }

  #before(at: number): number {
    return at === 0 ? 0 : clusterAt(this.#text, at - 1)!.index;
  }

  #after(at: number): number {
    const cluster = clusterAt(this.#text, at);
    return cluster === undefined ? this.#text.length : cluster.index + cluster.segment.length;
  }

  #rowStart(at: number): number {
    return at === 0 ? 0 : this.#text.lastIndexOf("\n", at - 1) + 1;
  }

  #rowEnd(at: number): number {
    const end = this.#text.indexOf("\n", at);
    return end < 0 ? this.#text.length : end;
  }

  #wordStart(): number {
    const before = graphemes(this.#text.slice(0, this.#cursor)).reverse();
    return this.#cursor - reach(before, isInWord);
  }

  #wordEnd(): number {
    return this.#cursor + reach(graphemes(this.#text.slice(this.#cursor)), isInWord);
  }

  /** Where the text without white space before the cursor begins. */
  #blankStart(): number {
    const before = graphemes(this.#text.slice(0, this.#cursor)).reverse();
    return this.#cursor - reach(before, (cluster) => !/^\s/.test(cluster));
  }
}

/** How many units there are up to the end of the first clusters that match. */
function reach(list: readonly string[], matches: (cluster: string) => boolean): number {
  let units = 0;
  let isIn = false;
  for (const cluster of list) {
    if (matches(cluster)) isIn = true;
    else if (isIn) break;
    units += cluster.length;
  }
  return units;
}

function isInWord(cluster: string): boolean {
  return /[\p{L}\p{N}_]/u.test(cluster);
}

/** The cluster that a position is in; undefined at the end. */
function clusterAt(text: string, at: number): Intl.SegmentData | undefined {
  return at < text.length ? segments(text).containing(at) : undefined;
}
