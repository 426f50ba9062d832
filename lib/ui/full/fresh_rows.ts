/**
 * Counts the rows of what has come to the conversation on the screen since the last frame. Whatever others send, and
 * however much, each message is on the screen for a frame before those behind it push it off.
 *
 * @module
 */

import type { Entry } from "../conversation.ts";
import { SHORT_ROWS, type Viewport } from "../viewport.ts";
import { type Body, MIN_MESSAGE_ROWS } from "./chat_frame.ts";

/** While more events wait, messages are shortened: all of them cannot be read anyway. */
const BUSY_EVENTS = 32;
/** What stands around the text of an entry: day, new line, a nick too wide for its column, quotation, how much more. */
const ROWS_AROUND = 5;

interface FreshRowsOptions {
  /** Events that wait to be shown. */
  waiting(): number;
  /** How the conversation was last laid out; undefined before the first frame. */
  body(): Body | undefined;
}

export class FreshRows {
  readonly #options: FreshRowsOptions;
  #rows = 0;

  constructor(options: FreshRowsOptions) {
    this.#options = options;
  }

  /** Whether the next message might push something off before a frame has shown it. */
  get isFull(): boolean {
    if (this.#rows === 0) return false;
    const { waiting, body } = this.#options;
    const { height, context } = body() ?? { height: MIN_MESSAGE_ROWS };
    const most = isFlood(waiting()) || !context ? SHORT_ROWS : context.maxRows;
    return this.#rows + most + ROWS_AROUND > height;
  }

  /** Counts an entry that has come or changed. */
  add(entry: Entry, isNew: boolean, view: Viewport): void {
    if (!view.isFollowing) return;
    // It waited itself when there was room for a short one.
    if (isNew && isFlood(this.#options.waiting() + 1)) view.shorten(entry);
    this.#rows += this.isFull
      ? SHORT_ROWS + ROWS_AROUND
      : Math.max(1, view.rowsOf(entry.seq).length);
  }

  /**
   * Begins anew with each frame. What was shortened stays so in the frame that shows it first.
   *
   * @returns Whether there must be another frame, for what is shown shorter than it may be.
   */
  reset(view: Viewport): boolean {
    if (this.#rows === 0 && !isFlood(this.#options.waiting())) view.lengthen();
    this.#rows = 0;
    return view.isShortened;
  }
}

function isFlood(waiting: number): boolean {
  return waiting > BUSY_EVENTS;
}
