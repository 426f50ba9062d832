/**
 * Standard output for the faces without a terminal.
 *
 * @module
 */

import { describeError, UsageError } from "../base/errors.ts";
import { LineOutput } from "../base/output.ts";

/** Standard output, line by line, until it fails. */
export class Output {
  /**
   * Resolves to false when nobody reads any more, as after `| head`; rejects with a {@linkcode UsageError} when writing
   * fails, as on a full disk.
   */
  readonly closed: Promise<false>;
  readonly #output: LineOutput;
  #isOpen = true;

  /** @param describeGap Makes the line that stands for lines left out because nobody reads them. */
  constructor(describeGap?: (count: number) => string) {
    const { promise, resolve } = Promise.withResolvers<false | Promise<never>>();
    this.closed = promise as Promise<false>;
    this.closed.catch(() => {}); // nobody may be waiting for it yet
    this.#output = new LineOutput(Deno.stdout, {
      ...(describeGap && { describeGap }),
      onFault: (error) => {
        this.#isOpen = false;
        if (error instanceof Deno.errors.BrokenPipe) return resolve(false);
        const why = `standard output cannot be written: ${describeError(error)}`;
        resolve(Promise.reject(new UsageError(why)));
      },
    });
  }

  /** Writes a line without blocking; nothing once writing has failed. Never throws: the caller is not at fault. */
  writeLine(text: string): void {
    if (this.#isOpen) this.#output.writeLine(text);
  }
}
