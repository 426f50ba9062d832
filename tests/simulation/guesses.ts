/**
 * How often a process lets somebody guess the password (PROTOCOL.md §7, "Guesses").
 *
 * @module
 */

import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { KIND } from "../../lib/protocol/frames.ts";
import { decodeHex } from "../../lib/base/bytes.ts";
import type { Place } from "./place.ts";

const SPAN_MS = 600_000;
/** For one fingerprint, and for one that was never shown. */
const MOST = 6;
const MOST_STRANGER = 3;
/** An M2 that comes so long after its M1 belongs to no handshake any more, §6. */
const FORGOTTEN_MS = 15_000;

/** A handshake message that may be a guess. */
interface Guess {
  readonly tag: string;
  readonly at: number;
}

/** A payload to or from a sid. */
interface Payload {
  readonly sid: string;
  readonly kind: number;
  readonly tag: string;
}

/** Judges one process. */
export class GuessJudge {
  readonly #place: Place;
  readonly #now: () => number;
  /** By fingerprint, hex digits. */
  readonly #guesses = new Map<string, Guess[]>();
  readonly #shown = new Set<string>();
  /** The last M1 to each sid. */
  readonly #begun = new Map<string, Guess>();

  constructor(place: Place, now: () => number) {
    this.#place = place;
    this.#now = now;
  }

  #of(fingerprint: string): Guess[] {
    const start = this.#now() - SPAN_MS;
    const recent = (this.#guesses.get(fingerprint) ?? []).filter(({ at }) => at > start);
    this.#guesses.set(fingerprint, recent);
    return recent;
  }

  #most(fingerprint: string): number {
    const name = encodeFingerprint(decodeHex(fingerprint));
    if (this.#place.company.sightsOf(name).length > 0) this.#shown.add(fingerprint);
    return this.#shown.has(fingerprint) ? MOST : MOST_STRANGER;
  }

  /** An M2 of somebody arrives: a guess, unless an M3 answers it, or it is dropped for being too many. */
  received(fingerprint: string, { sid, kind, tag }: Payload): void {
    const guesses = this.#of(fingerprint);
    const begun = this.#begun.get(sid);
    if (kind !== KIND.M2 || begun?.tag !== tag) return;
    this.#begun.delete(sid);
    if (this.#now() - begun.at >= FORGOTTEN_MS) return;
    if (guesses.length >= this.#most(fingerprint)) return;
    guesses.push({ tag, at: this.#now() });
  }

  /** A payload goes out. @returns What is wrong with that. */
  sent(fingerprint: string, { sid, kind, tag }: Payload): string | undefined {
    if (!this.#place.identity.password) return undefined;
    if (kind === KIND.M3) this.verified(fingerprint, tag);
    if (kind !== KIND.M1 && kind !== KIND.M2) return undefined;
    const guesses = this.#of(fingerprint);
    if (guesses.length >= this.#most(fingerprint)) return "lets somebody guess too often";
    const message = { tag, at: this.#now() };
    if (kind === KIND.M1) this.#begun.set(sid, message);
    else guesses.push(message);
    return undefined;
  }

  /** The handshake with this tag was no guess. */
  verified(fingerprint: string, tag: string): void {
    const rest = this.#of(fingerprint).filter((guess) => guess.tag !== tag);
    this.#guesses.set(fingerprint, rest);
  }
}
