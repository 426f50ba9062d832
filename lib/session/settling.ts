/**
 * Holds what the user writes until it is clear who is in the room (PROTOCOL.md §6, "Settling").
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "./streams.ts";
import type { Draft } from "./sender.ts";

/** Messages wait until this long after WELCOME, and after somebody was first shown since, §6. */
export const QUIET_MS = 5000;
/** No message waits longer than this after WELCOME, §6. */
export const MAX_SETTLING_MS = 15_000;

interface SettlingOptions {
  readonly clock: Clock;
  /** @throws {UsageError} When the message is for nobody whom it may be sent to. */
  accept(draft: Draft): void;
  /** A message that waited cannot be accepted. */
  refuse(draft: Draft, error: UsageError): void;
  /** Everything that waited is accepted or refused. */
  settled(): void;
  /** Each person of the roster is shown or refused permanently, and there is one. */
  isComplete(): boolean;
  /** The room may move (§14), and somebody is expected to come along. */
  isExpected(): boolean;
}

/** What waits until people are shown: everything that is written without a connection, and at the very beginning. */
export class Settling {
  #options: SettlingOptions;
  #waiting: Draft[] = [];
  #bytes = 0;
  #welcomedAt: number | undefined;
  #shownAt = 0;
  #settled = false;
  #everSettled = false;
  #timer: Timer | undefined;

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  /** Since the last WELCOME there was time enough for people to be shown. */
  get settled(): boolean {
    return this.#settled;
  }

  /** The number of messages that wait. */
  get count(): number {
    return this.#waiting.length;
  }

  /** No more may be written before some of it is accepted, §6. */
  get full(): boolean {
    return this.#waiting.length >= MAX_KEPT_MESSAGES || this.#bytes >= MAX_KEPT_BYTES;
  }

  /** Tells whether the message with this id waits. */
  has(id: string): boolean {
    return this.#waiting.some(({ message }) => message.type === "chat" && message.id === id);
  }

  /** Accepts a message, now or later. @throws {UsageError} As `accept` does, if that is now. */
  submit(draft: Draft): void {
    if (this.#isOpen(draft)) return this.#options.accept(draft);
    this.#waiting.push(draft);
    this.#bytes += draft.message.bytes;
  }

  #isOpen({ to, person }: Draft): boolean {
    if (this.#waiting.length > 0) return false;
    // After a reconnect people are known from before, but perhaps not this one.
    const isKnown = this.#everSettled && (to === undefined || person !== undefined);
    if (this.#welcomedAt === undefined) return isKnown && this.#options.isExpected();
    return this.#settled || isKnown;
  }

  welcome(): void {
    this.#welcomedAt = this.#options.clock.now();
    this.#shownAt = this.#welcomedAt;
    this.#settled = false;
    this.check();
  }

  /** Somebody was shown for the first time since WELCOME. */
  shown(): void {
    this.#shownAt = this.#options.clock.now();
    this.check();
  }

  disconnected(): void {
    this.#welcomedAt = undefined;
    this.#settled = false;
    this.check();
  }

  /** Somebody has left, or was refused. */
  check(): void {
    const { clock, isComplete } = this.#options;
    clock.cancel(this.#timer);
    this.#timer = undefined;
    if (this.#welcomedAt === undefined || this.#settled) return;
    const due = !this.#everSettled && isComplete() ? clock.now() : Math.min(
      Math.max(this.#welcomedAt, this.#shownAt) + QUIET_MS,
      this.#welcomedAt + MAX_SETTLING_MS,
    );
    this.#timer = clock.after(Math.max(0, due - clock.now()), () => {
      this.#settled = true;
      this.#everSettled = true;
      this.flush();
      this.#options.settled();
    });
  }

  /** Accepts everything that waits. */
  flush(): void {
    const drafts = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const draft of drafts) {
      try {
        this.#options.accept(draft);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        this.#options.refuse(draft, error);
      }
    }
  }
}
