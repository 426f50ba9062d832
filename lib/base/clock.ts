/**
 * Time and timers as a parameter, so that tests run hours in milliseconds.
 *
 * @module
 */

/** A timer that was set; give it back to {@linkcode Clock.cancel}. */
export type Timer = number | ReturnType<typeof setTimeout>;

/** Where a module gets its time from. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /** Milliseconds since 1970, UTC: what the computer's clock says, right or wrong. */
  wallTime(): number;
  /** Calls `action` once, at least `delay` milliseconds from now. */
  after(delay: number, action: () => void): Timer;
  /** Forgets a timer; one that has fired or was never set is fine. */
  cancel(timer: Timer | undefined): void;
}

/** The computer's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (delay, action) => setTimeout(action, delay),
  cancel: (timer) => clearTimeout(timer),
};

/** Gives `length` random bytes. */
export type RandomBytes = (length: number) => Uint8Array<ArrayBuffer>;

/** Random bytes of the operating system. */
export const systemRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));
