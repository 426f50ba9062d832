/**
 * Byte streams: what a connection needs of a socket, and how one is closed (PROTOCOL.md §3).
 *
 * Knows nothing of what the bytes mean.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { LINGER_BYTES, LINGER_MS } from "../protocol/limits.ts";

/** Both directions of a connection; `Deno.TcpConn` is one. */
export interface ByteStream {
  /** Reads what is there into `into`: how many bytes, or null at the end. One call at a time. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes, at least one: how many. One call at a time; `bytes` must not change meanwhile. */
  write(bytes: Uint8Array): Promise<number>;
  /** Tells the other side that nothing more comes. */
  closeWrite(): Promise<void>;
  /** Gives everything up at once. */
  close(): void;
}

/** Where the bytes go that nobody wants. */
const waste = new Uint8Array(4 * 1024);

/** Writes all of the bytes. */
export async function writeAll(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await stream.write(rest));
}

/** Resolves when `promise` has settled, or after `delay` milliseconds if that takes longer. */
export function settledWithin(clock: Clock, delay: number, promise: Promise<unknown>) {
  return new Promise<void>((resolve) => {
    const timer: Timer = clock.after(delay, resolve);
    const done = () => {
      clock.cancel(timer);
      resolve();
    };
    promise.then(done, done);
  });
}

/**
 * Closes a stream so that the other side gets the last bytes and not a reset: shuts down writing, reads and discards
 * for at most 1 s and 64 KiB, then closes, §3.
 *
 * @param reading A read that is under way; none other may begin.
 */
export async function closeStream(
  stream: ByteStream,
  clock: Clock,
  reading?: Promise<unknown>,
): Promise<void> {
  await settledWithin(clock, LINGER_MS, drain(stream, reading));
  closeAtOnce(stream);
}

async function drain(stream: ByteStream, reading: Promise<unknown> | undefined): Promise<void> {
  await stream.closeWrite();
  await reading;
  for (let left = LINGER_BYTES; left > 0;) {
    const length = await stream.read(waste);
    if (length === null) return;
    left -= length;
  }
}

/** Closes a stream that may be closed already. */
export function closeAtOnce(stream: ByteStream): void {
  try {
    stream.close();
  } catch {
    // Deno throws when it is closed already: that is what is wanted.
  }
}
