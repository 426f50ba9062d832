/**
 * What the relay itself has to say: NOTICEs, shown at a limited rate (PROTOCOL.md §5, §10).
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { NOTICE } from "../protocol/frames.ts";
import { NOTICES_PER_MINUTE } from "../protocol/limits.ts";
import type { SessionEvent } from "./events.ts";

/** Emits the relay's notices, and counts those that are left out. */
export class ServerNotices {
  readonly #clock: Clock;
  readonly #emit: (event: SessionEvent) => void;
  readonly #shown: SlidingWindow;
  #leftOut = 0;
  #timer: Timer | undefined;
  /** The message of the day, as far as the relay has told it; empty for none. */
  motd = "";

  constructor(clock: Clock, emit: (event: SessionEvent) => void) {
    this.#clock = clock;
    this.#emit = emit;
    this.#shown = new SlidingWindow(clock, { limit: NOTICES_PER_MINUTE, spanMs: 60_000 });
  }

  take(what: number, text: string): void {
    if (what === NOTICE.MESSAGE_OF_THE_DAY) this.motd = text;
    const { waitMs } = this.#shown;
    if (waitMs > 0) {
      this.#leftOut++;
      this.#timer ??= this.#clock.after(waitMs, () => this.flush());
      return;
    }
    this.#shown.count();
    this.#emit({
      event: "server",
      what: what === NOTICE.MESSAGE_OF_THE_DAY ? "motd" : "announcement",
      text,
    });
  }

  /** Says how many were left out; call it at the end, too. */
  flush(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    if (this.#leftOut === 0) return;
    const count = this.#leftOut;
    this.#leftOut = 0;
    this.#emit({ event: "notice", text: `${count} more notices of the server were left out` });
  }
}
