/**
 * Delays the answers to wrong passwords, per address (PROTOCOL.md §7).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Clock, systemClock, type Timer } from "../base/clock.ts";

/** Delay of the first wrong answer to an address; doubles with each further one (§7). */
export const FIRST_DELAY_MS = 1000;
/** Longest delay (§7). */
export const MAX_DELAY_MS = 60_000;

/** After this long without a wrong proof, the delay of an address starts over (§7). */
export const FORGET_DELAY_MS = 600_000;

/** Addresses with a delay, and fingerprints that have given a right proof, remembered (§7). */
export const MAX_REMEMBERED = 4096;

/** A client that wants to join with a password. */
interface Guesser {
  /** The canonical IP address. */
  readonly address: string;
  /** The proven fingerprint as text. */
  readonly fingerprint: string;
  /** Aborted when the connection has gone: nothing more is called for it, a delay goes on. */
  readonly signal: AbortSignal;
}

/** A proof to check. */
export interface Check {
  /** Compares the proof; called at most once. */
  verify(): boolean;
  /** Called at once for a right proof, after the delay for a wrong one. */
  answer(isRight: boolean): void;
}

interface Waiter {
  readonly begin: () => void;
  /** Proofs that were already asked for go before clients that are still to be asked. */
  readonly isProof: boolean;
}

/** An address that has given a wrong proof. */
interface Address {
  failures: number;
  lastFailure: number;
  /** Until then, no client there is asked for a proof, and no proof from there is checked. */
  heldUntil: number;
  readonly waiting: Set<Waiter>;
  timer: Timer | undefined;
}

/**
 * Answers right proofs at once and wrong ones after a delay (§7).
 *
 * A wrong proof holds its address for 1, 2, 4 … 60 s, even if its sender disconnects: clients from there wait, except
 * identities that have given a right proof before.
 */
export class PasswordThrottle {
  readonly #clock: Clock;
  /** The one that failed longest ago first. */
  readonly #addresses = new BoundedMap<string, Address>(MAX_REMEMBERED);
  /** Fingerprints that have given a right proof, longest ago first. */
  readonly #proven = new BoundedMap<string, true>(MAX_REMEMBERED);

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Calls `ask` as soon as the client may be asked for a proof. */
  whenOpen(guesser: Guesser, ask: () => void): void {
    this.#begin(guesser, { begin: ask, isProof: false });
  }

  /** Checks a proof as soon as its address is not held. */
  check(guesser: Guesser, check: Check): void {
    this.#begin(guesser, { begin: () => this.#verify(guesser, check), isProof: true });
  }

  #begin({ address: name, fingerprint, signal }: Guesser, waiter: Waiter): void {
    if (signal.aborted) return;
    const address = this.#addresses.get(name);
    const isHeld = address !== undefined && this.#clock.now() < address.heldUntil;
    if (!isHeld || this.#proven.has(fingerprint)) return waiter.begin();
    address.waiting.add(waiter);
    signal.addEventListener("abort", () => {
      if (!address.waiting.delete(waiter) || address.waiting.size > 0) return;
      this.#clock.cancel(address.timer);
      address.timer = undefined;
    }, { once: true });
    this.#setTimer(address);
  }

  #verify(guesser: Guesser, { verify, answer }: Check): void {
    const { address: name, fingerprint, signal } = guesser;
    if (verify()) {
      this.#forgive(name);
      this.#proven.renew(fingerprint, true);
      return answer(true);
    }
    const timer = this.#clock.after(this.#hold(name), () => answer(false));
    signal.addEventListener("abort", () => this.#clock.cancel(timer), { once: true });
  }

  /** Sets the delay of an address back; a delay that has begun goes on. */
  #forgive(name: string): void {
    const address = this.#addresses.get(name);
    if (!address) return;
    address.failures = 0;
    const isIdle = address.waiting.size === 0 && this.#clock.now() >= address.heldUntil;
    if (isIdle) this.#addresses.delete(name);
  }

  /** Holds an address after a wrong proof; returns for how long. */
  #hold(name: string): number {
    const now = this.#clock.now();
    const address = this.#addresses.get(name) ??
      { failures: 0, lastFailure: now, heldUntil: now, waiting: new Set(), timer: undefined };
    if (now - address.lastFailure >= FORGET_DELAY_MS) address.failures = 0;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** address.failures, MAX_DELAY_MS);
    address.failures++;
    address.lastFailure = now;
    address.heldUntil = Math.max(address.heldUntil, now + delay);
    this.#addresses.renew(name, address);
    return delay;
  }

  #setTimer(address: Address): void {
    address.timer ??= this.#clock.after(address.heldUntil - this.#clock.now(), () => {
      address.timer = undefined;
      this.#advance(address);
    });
  }

  /** Takes from the line until a wrong proof holds the address again. */
  #advance(address: Address): void {
    for (const isProof of [true, false]) {
      for (const waiter of address.waiting) {
        if (waiter.isProof !== isProof) continue;
        if (this.#clock.now() < address.heldUntil) return this.#setTimer(address);
        address.waiting.delete(waiter);
        waiter.begin();
      }
    }
  }
}
