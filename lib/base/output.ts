/**
 * Standard output and standard error, written to the end.
 *
 * @module
 */

/** After so long it is tried again to write where nothing could be taken. */
const RETRY_MS = 1;
/**
 * Where nothing more can be taken, Deno does not tell how much of a piece already was. A pipe takes this many bytes
 * or none, so that nothing is written twice; a terminal has room for them nearly always.
 */
const PIECE_BYTES = 4096;

const encoder = new TextEncoder();

/** A standard stream. */
export type StandardStream = Pick<typeof Deno.stdout, "writeSync">;

/**
 * Writes all of `text` before it returns.
 *
 * @param stream Standard output unless told.
 * @throws {Error} Of the system's: nobody reads any more (`BrokenPipe`), the terminal is gone.
 */
export function writeOutput(text: string, stream: StandardStream = Deno.stdout): void {
  let rest = encoder.encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(stream.writeSync(rest.subarray(0, PIECE_BYTES)));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      // Some program that shares it has made it non-blocking: wait as any write would.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
