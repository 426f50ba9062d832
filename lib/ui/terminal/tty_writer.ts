/**
 * Writes to a terminal and knows what it has not taken yet: one that takes nothing must not stop the program.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import type { Tty } from "./tty.ts";

/** How long the end waits for a terminal that takes nothing. */
const DRAIN_MS = 500;

interface TtyWriterOptions {
  readonly tty: Pick<Tty, "write">;
  readonly clock: Clock;
  /** The terminal has taken everything. */
  onDrained(): void;
  /** The terminal is gone. */
  onHangup(): void;
}

export class TtyWriter {
  readonly #options: TtyWriterOptions;
  /** Texts that the terminal has not taken yet. */
  #writes = 0;
  #drained: (() => void)[] = [];

  constructor(options: TtyWriterOptions) {
    this.#options = options;
  }

  /** Whether the terminal has not taken everything yet. */
  get isBusy(): boolean {
    return this.#writes > 0;
  }

  write(text: string): void {
    const written = this.#options.tty.write(text);
    if (!written) return;
    this.#writes++;
    written.then(() => this.#onWritten(), () => {
      this.#onWritten();
      this.#options.onHangup();
    });
  }

  #onWritten(): void {
    if (--this.#writes > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
    this.#options.onDrained();
  }

  /** Waits a moment for the terminal. @returns Whether it has taken everything. */
  async drain(): Promise<boolean> {
    if (!this.isBusy) return true;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = clock.after(DRAIN_MS, resolve);
      this.#drained.push(() => {
        clock.cancel(timer);
        resolve();
      });
    });
    return !this.isBusy;
  }
}
