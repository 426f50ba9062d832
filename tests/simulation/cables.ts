/**
 * The cables of a village: whose are out, which computers reach each other, and the connections over them.
 *
 * @module
 */

import type { Wire } from "./network.ts";

/** A connection from one computer to another. */
export interface Line<C> {
  readonly wire: Wire;
  readonly from: C;
  readonly to: C;
}

/** What lies between computers; of each other they know nothing. */
export class Cables<C> {
  readonly #out = new Set<C>();
  readonly #lines = new Set<Line<C>>();
  #route: (from: C, to: C) => boolean = () => true;
  #waiting = Promise.withResolvers<void>();

  /** Pulls a cable, or puts it back. */
  plug(computer: C, isIn: boolean): void {
    if (isIn) this.#out.delete(computer);
    else this.#out.add(computer);
    this.#change();
  }

  /** Decides what reaches whom, besides the cables. */
  rewire(route: (from: C, to: C) => boolean): void {
    this.#route = route;
    this.#change();
  }

  #change(): void {
    for (const line of this.#lines) {
      const { wire, from, to } = line;
      if (wire.over) this.#lines.delete(line);
      else {
        wire.hold("up", !this.reaches(from, to));
        wire.hold("down", !this.reaches(to, from));
      }
    }
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  /** Resolves when the cables have changed; rejects when `signal` is aborted. */
  async changed(signal: AbortSignal): Promise<void> {
    const { promise: aborted, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    try {
      await Promise.race([this.#waiting.promise, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Whether a computer is plugged in. */
  isIn(computer: C): boolean {
    return !this.#out.has(computer);
  }

  /** Whether two computers reach each other, both ways. */
  connects(one: C, other: C): boolean {
    return this.reaches(one, other) && this.reaches(other, one);
  }

  /** Whether what one computer sends reaches another. */
  reaches(one: C, other: C): boolean {
    return one === other || this.isIn(one) && this.isIn(other) && this.#route(one, other);
  }

  /** A new connection. */
  add(line: Line<C>): void {
    this.#lines.add(line);
  }

  /** A computer's program is gone, and with it all its connections. */
  cut(computer: C): void {
    for (const { wire, from, to } of this.#of(computer)) {
      // Where the cable is out, nobody is told.
      if (this.connects(from, to)) wire.reset();
      else wire.lose();
    }
  }

  /** Nothing more is heard on the connections that a computer has made. */
  lose(computer: C): void {
    for (const { wire, from } of this.#of(computer)) if (from === computer) wire.lose();
  }

  /** A computer's program goes on after a stop. */
  advance(computer: C): void {
    for (const { wire } of this.#of(computer)) wire.advance();
  }

  #of(computer: C): Line<C>[] {
    return [...this.#lines].filter(({ from, to }) => from === computer || to === computer);
  }
}
