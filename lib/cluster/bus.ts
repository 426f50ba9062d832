/**
 * What carries a cluster: a bucket of keys that is written by compare-and-set and watched, and one inbox for each relay.
 * NATS implements it, and so does a bus in memory for tests. A bus may lose, repeat, reorder and delay messages; what it
 * may not do is confirm two writes of one key for one expected revision.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** A key of the bucket, as it was at a revision. */
export interface Entry {
  /** Letters, digits and dots. */
  readonly key: string;
  /** Undefined if the key was purged, or has never been written. */
  readonly value: Bytes | undefined;
  /** What a write has to expect: rises with each write of any key; 0 if nothing is left of the key, not even a marker. */
  readonly revision: number;
}

/** The answer to a write. */
export type Written =
  /** It is in the bucket, under this revision. */
  | { readonly type: "written"; readonly revision: number }
  /** The key had another revision than was expected, and is as it was. */
  | { readonly type: "conflict" }
  /** No answer came in time, or the connection is gone: it was written, will be, or never will. */
  | { readonly type: "unknown" };

/** What a bus tells. None of these may throw. */
export interface BusHandlers {
  /** A message has come to the inbox; empty ones (probes) are not told. @param message Its reader may keep and change it. */
  onMessage(message: Bytes): void;
  /** Nobody listens to the inbox that {@linkcode Bus.probe} asked. */
  onNobody(inbox: string): void;
  /** A key has changed, or has been found. Revisions of one key may be skipped; they never fall. */
  onEntry(entry: Entry): void;
  /**
   * The watch begins from its start: at the first connection and after each later one. Every key that has a value is
   * told between this and {@linkcode BusHandlers.onWatchCaughtUp}; one that is not has gone, unless it was written since.
   */
  onWatchBegun(): void;
  onWatchCaughtUp(): void;
  /** Messages and writes pass again. Told before {@linkcode BusHandlers.onWatchBegun}. */
  onUp(): void;
  /** The connection is gone: what was published and is unwritten is lost, writes under way answer "unknown". */
  onDown(): void;
}

/** A connection to what carries a cluster. It connects again by itself, for ever, until {@linkcode Bus.close}. */
export interface Bus {
  /** Whether the last of `onUp` and `onDown` was `onUp`. */
  readonly isUp: boolean;
  /** Bytes that were published and are not handed to the operating system yet. */
  readonly unwrittenBytes: number;

  /**
   * Begins to listen and to watch, and tells `handlers` of it: `onUp` first if the bus is connected. Call it once.
   *
   * @param inbox Where messages to this relay go, 32 hex digits.
   */
  start(inbox: string, handlers: BusHandlers): void;

  /** Listens to another inbox from now on, and to the former no longer. */
  moveInbox(inbox: string): void;

  /**
   * Sends a message to an inbox, behind all that was sent before. It is dropped without a word while the bus is down.
   *
   * @param message 1 to 61,440 bytes; must not be changed afterwards.
   */
  publish(inbox: string, message: Bytes): void;

  /** Asks whether anybody listens to an inbox; only "nobody" is answered, by {@linkcode BusHandlers.onNobody}. */
  probe(inbox: string): void;

  /** Reads a key, newer than what was written before the call. @returns Undefined if it cannot be known in time. */
  get(key: string): Promise<Entry | undefined>;

  /**
   * Writes a key if it has the expected revision. Answers within 5 s, at once when the connection goes; never throws.
   *
   * @param value At most 64 KiB; undefined purges the key: it has no value then, and its history is gone. Its marker
   * may go later, so that after a conflict {@linkcode Bus.get} says what to expect.
   * @param expected A revision, or 0 for a key of which nothing is left.
   */
  write(key: string, value: Bytes | undefined, expected: number): Promise<Written>;

  /** Resolves when what was published before has been taken by the other side, or cannot be within 2 s. */
  flush(): Promise<void>;

  /** Ends the connection; nothing is told afterwards, and writes under way answer "unknown". */
  close(): Promise<void>;
}
