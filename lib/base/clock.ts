/**
 * Time and timers as a parameter, so that tests can run hours in milliseconds.
 *
 * @module
 */

/** A timer for {@linkcode Clock.cancel}. */
export type Timer = number | ReturnType<typeof setTimeout>;

/** A source of time. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; monotonic. */
  now(): number;
  /** Milliseconds since 1970, UTC, by the computer's clock, which may be wrong. */
  wallTime(): number;
  /** Calls `action` once, at least `delay` milliseconds from now. */
  after(delay: number, action: () => void): Timer;
  /** Cancels a timer, if it was set and has not fired. */
  cancel(timer: Timer | undefined): void;
}

/** The computer's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (delay, action) => setTimeout(action, delay),
  cancel: (timer) => clearTimeout(timer),
};

/** Returns `length` random bytes. */
export type RandomBytes = (length: number) => Uint8Array<ArrayBuffer>;

/** Random bytes of the operating system. */
export const systemRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));
