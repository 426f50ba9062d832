/**
 * Randomness that is the same for the same seed.
 *
 * @module
 */

import type { RandomBytes } from "../../lib/base/clock.ts";

/** One stream of random numbers (sfc32); what one part of a run draws does not shift what another gets. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  /** @param name Tells the streams of one seed apart. */
  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5;
    for (const character of `${seed} ${name}`) {
      hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
    }
    this.#a = hash;
    this.#b = seed | 0;
    this.#c = name.length;
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** An integer from 0 to 2^32 - 1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.u32() / 2 ** 32 * limit);
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  /** One of them; there has to be one. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** One of the names, by their weights. */
  weighted<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name {
    const entries = Object.entries(weights) as [Name, number][];
    let left = this.u32() / 2 ** 32 * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) if ((left -= weight) < 0) return name;
    return entries.at(-1)![0];
  }

  /** Waiting time between events that come `mean` apart on average. */
  gap(mean: number): number {
    return -Math.log(1 - this.u32() / 2 ** 32) * mean;
  }

  /** Random bytes for the code under test. */
  readonly bytes: RandomBytes = (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.u32();
      for (let j = i; j < i + 4 && j < length; j++) bytes[j] = word >>> (8 * (j - i));
    }
    return bytes;
  };
}
