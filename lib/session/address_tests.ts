/**
 * Tries out at which addresses the relays of stand-bys answer, without being of use for an attack on others
 * (PROTOCOL.md §14).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";

/** Tests at the same time. */
export const MAX_ADDRESS_TESTS = 16;
/** An address is dialled again after this at the earliest, whoever names it. */
export const ADDRESS_TEST_GAP_MS = 10_000;
/** Addresses whose last test is remembered. */
const MAX_ADDRESSES = 1024;

/** Where a relay is said to be. */
export interface Target {
  /** Its fingerprint, 32 bytes. */
  readonly relay: Bytes;
  readonly port: number;
  readonly address: string;
}

/** Finds out the session key, 32 bytes, of the relay at an address; undefined if that relay does not answer there. */
export type Prove = (target: Target, signal: AbortSignal) => Promise<Bytes | undefined>;

interface Test {
  readonly target: Target;
  done(session: Bytes | undefined): void;
}

/** The tests of one host, in limited number. */
export class AddressTests {
  readonly #clock: Clock;
  readonly #prove: Prove;
  /** By who asks for it and address, so that nobody has the same one waiting twice. */
  readonly #waiting = new Map<string, Test>();
  readonly #lastTests = new BoundedMap<string, number>(MAX_ADDRESSES);
  #running = 0;
  #timer: Timer | undefined;
  #stop = new AbortController();

  constructor(clock: Clock, prove: Prove) {
    this.#clock = clock;
    this.#prove = prove;
  }

  /**
   * Tests an address when there is room.
   *
   * @param who Whose test it is: another one of the same address that still waits is replaced.
   * @param done Gets the session key, or undefined.
   */
  add(who: string, target: Target, done: Test["done"]): void {
    this.#waiting.set(`${who} ${target.address}`, { target, done });
    this.#advance();
  }

  /** Drops all tests. */
  stop(): void {
    this.#waiting.clear();
    this.#clock.cancel(this.#timer);
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  #advance(): void {
    this.#clock.cancel(this.#timer);
    const now = this.#clock.now();
    let next = Infinity;
    for (const [key, test] of this.#waiting) {
      if (this.#running >= MAX_ADDRESS_TESTS) return;
      const { address } = test.target;
      const dueAt = (this.#lastTests.get(address) ?? -Infinity) + ADDRESS_TEST_GAP_MS;
      next = Math.min(next, dueAt > now ? dueAt : Infinity);
      if (dueAt > now) continue;
      this.#waiting.delete(key);
      this.#lastTests.renew(address, now);
      void this.#run(test);
    }
    if (next < Infinity) this.#timer = this.#clock.after(next - now, () => this.#advance());
  }

  async #run({ target, done }: Test): Promise<void> {
    const { signal } = this.#stop;
    this.#running++;
    const session = await this.#prove(target, signal).catch(() => undefined);
    this.#running--;
    if (!signal.aborted) done(session);
    this.#advance();
  }
}
