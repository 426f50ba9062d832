/**
 * How far the user has read: what was before them for a while, and a key or the pointer used then.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import type { Conversation, MessageEntry } from "./conversation.ts";
import { type Conversations, isFirstHand } from "./conversations.ts";

/** How long a message is on the screen until it counts as read. */
export const READ_MS = 2000;

interface ReadingOptions {
  readonly clock: Clock;
  readonly model: Conversations;
  /** Everything up to a message has been read. */
  read(conversation: Conversation, entry: MessageEntry): void;
}

/** Watches what is read. */
export class Reading {
  readonly #options: ReadingOptions;
  readonly #readUpTo = new WeakMap<Conversation, number>();
  #timer: Timer | undefined;

  constructor(options: ReadingOptions) {
    this.#options = options;
  }

  /** The user has used a key or the pointer. */
  touch(): void {
    if (this.#timer !== undefined) return;
    const { clock, model, read } = this.#options;
    const conversation = model.shown;
    const entry = conversation.entries.findLast(isFirstHand);
    if (entry === undefined || entry.seq <= (this.#readUpTo.get(conversation) ?? 0)) return;
    this.#timer = clock.after(READ_MS, () => {
      this.#timer = undefined;
      if (!model.isWatched(conversation)) return;
      this.#readUpTo.set(conversation, entry.seq);
      read(conversation, entry);
    });
  }

  /** Watches nothing more. */
  close(): void {
    this.#options.clock.cancel(this.#timer);
  }
}
