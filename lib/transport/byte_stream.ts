/**
 * Byte streams: the part of a socket that a connection uses, and how to close one (PROTOCOL.md §3).
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { LINGER_BYTES, LINGER_MS } from "../protocol/limits.ts";

/** Both directions of a connection; `Deno.TcpConn` is one. */
export interface ByteStream {
  /** This computer's address of it, where that is known. */
  readonly localAddr?: { readonly hostname: string };
  /** The other side's. */
  readonly remoteAddr?: { readonly hostname: string };
  /** Reads available bytes; resolves with their number, or null at the end. One call at a time. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes one byte or more; resolves with their number. One call at a time; `bytes` must not change meanwhile. */
  write(bytes: Uint8Array): Promise<number>;
  /** Shuts down the sending direction. */
  closeWrite(): Promise<void>;
  /** Closes both directions at once. */
  close(): void;
}

/** For bytes that are discarded. */
const waste = new Uint8Array(4 * 1024);

/** Writes all of the bytes. */
export async function writeAll(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await stream.write(rest));
}

/** Resolves when `promise` settles, but after `delay` milliseconds at the latest. */
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
 * Closes a stream so that the other side receives the last bytes instead of a reset: shuts down sending, discards at
 * most 64 KiB of input for at most 1 s, then closes, §3.
 *
 * @param reading A read in progress; no other may begin.
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

/** Closes a stream, if it is not closed yet. */
export function closeAtOnce(stream: ByteStream): void {
  try {
    stream.close();
  } catch {
    // Deno throws if it is closed already.
  }
}
