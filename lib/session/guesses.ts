/**
 * Limits how often the password may be guessed in handshakes with other members (PROTOCOL.md §7, "Guesses"). One
 * instance serves a whole process.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock } from "../base/clock.ts";
import {
  GUESSES_IN_ALL,
  GUESSES_OF_STRANGERS,
  GUESSES_PER_FP,
  GUESSES_PER_STRANGER,
  GUESSES_SPAN_MS,
  MAX_OPEN_STRANGERS,
} from "../protocol/limits.ts";

/** People remembered as shown; the one shown longest ago counts as a stranger again. */
const MAX_SHOWN = 4096;

/** A handshake message that may have told the other side whether one password was right. */
interface Guess {
  readonly fingerprint: string;
  readonly at: number;
  /** An M2 that we sent, and whose handshake is neither complete nor forgotten. */
  open: boolean;
}

/** Counts guesses over the last 10 minutes. */
export class Guesses {
  readonly #clock: Clock;
  readonly #shown = new BoundedMap<string, true>(MAX_SHOWN);
  #guesses: Guess[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Somebody was shown: whoever has that key knows the password. */
  show(fingerprint: string): void {
    this.#shown.renew(fingerprint, true);
  }

  /** Tells whether one more guess by this person is allowed now. @param kind `m2`: by an M2 of ours. */
  allows(fingerprint: string, kind: "m1" | "m2"): boolean {
    const start = this.#clock.now() - GUESSES_SPAN_MS;
    this.#guesses = this.#guesses.filter(({ at, open }) => open || at > start);
    const isStranger = !this.#shown.has(fingerprint);
    const own = this.#guesses.filter((guess) => guess.fingerprint === fingerprint).length;
    if (own >= (isStranger ? GUESSES_PER_STRANGER : GUESSES_PER_FP)) return false;
    if (!isStranger) return own === 0 || this.#countAll() < GUESSES_IN_ALL;
    const strangers = this.#guesses.filter((guess) => !this.#shown.has(guess.fingerprint));
    if (strangers.length >= GUESSES_OF_STRANGERS) return false;
    if (kind === "m2" && strangers.filter(({ open }) => open).length >= MAX_OPEN_STRANGERS) {
      return false;
    }
    return this.#countAll() < GUESSES_IN_ALL;
  }

  /** All guesses but the first of each person who was shown. */
  #countAll(): number {
    const first = new Set<string>();
    for (const { fingerprint } of this.#guesses) {
      if (this.#shown.has(fingerprint)) first.add(fingerprint);
    }
    return this.#guesses.length - first.size;
  }

  /** Counts a guess, until it turns out to be none. */
  begin(fingerprint: string): PendingGuess {
    const guess: Guess = { fingerprint, at: this.#clock.now(), open: true };
    this.#guesses.push(guess);
    return {
      cancel: () => {
        this.#guesses = this.#guesses.filter((other) => other !== guess);
      },
      settle: () => {
        guess.open = false;
      },
    };
  }
}

/** A guess whose handshake is under way. */
export interface PendingGuess {
  /** It was none: the other side knows the password, or learned nothing. */
  cancel(): void;
  /** The handshake failed or was forgotten: the guess stays counted. */
  settle(): void;
}
