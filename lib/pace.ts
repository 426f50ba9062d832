/**
 * How often one connection is written to: under load each write is to carry more.
 *
 * Knows nothing of what is written.
 *
 * @module
 */

/** So many writes may follow each other at once. */
const BURST_WRITES = 4;
/** So much is worth a write of its own at any time. */
const WORTHWHILE_BYTES = 8 * 1024;

/** Lets a few writes follow each other; from then on each waits until the last ones are long enough ago. */
export class Pace {
  readonly #gap: number;
  /** When the writes so far are forgotten, were there no burst: each adds a gap. */
  #restedAt = -Infinity;

  /** @param gap Milliseconds between writes once they are many; 0: each may come at once. */
  constructor(gap: number) {
    this.#gap = gap;
  }

  /**
   * Tells when a write may come.
   *
   * @param bytes What waits to be written.
   * @returns A time that has come, or a later one.
   */
  due(now: number, bytes: number): number {
    return bytes >= WORTHWHILE_BYTES ? now : this.#restedAt - this.#burst;
  }

  /** Notes a write; however many there were, the next one waits no longer than one gap. */
  note(now: number): void {
    this.#restedAt = Math.min(Math.max(this.#restedAt, now), now + this.#burst) + this.#gap;
  }

  get #burst(): number {
    return (BURST_WRITES - 1) * this.#gap;
  }
}
