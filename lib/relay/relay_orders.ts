/**
 * What operators of other relays have set, taken over by this one, where several are one server.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { KeptBan } from "./ban_file.ts";
import type { Operators } from "./operators.ts";
import type { Orders, RelaySide } from "./registry.ts";

interface RelayOrdersOptions {
  /** Who is named as the operator of what was set elsewhere, `SHA256:…`. */
  readonly by: string;
  readonly clock: Clock;
  /** The message of the day of the start. */
  readonly motd: string;
  /** Keeps a ban in this relay's copy, or no longer. */
  keepBan(fingerprint: string, ban: KeptBan | undefined): void;
  /** Others may be unwanted now. */
  adopted(): void;
  remove(fingerprint: Uint8Array): void;
  announce(text: string): void;
}

/** The side of a relay that its registry sees. */
export class RelayOrders implements RelaySide {
  readonly orders: Orders;
  readonly #operators: Operators;
  readonly #options: RelayOrdersOptions;

  constructor(operators: Operators, options: RelayOrdersOptions) {
    this.#operators = operators;
    this.#options = options;
    const bans = [...operators.bans.values()].map(({ fingerprint, until }) =>
      [fingerprint, until] as const
    );
    this.orders = { bans: new Map(bans), motd: options.motd };
  }

  adopt({ bans, motd }: Orders): void {
    const { by, clock, keepBan, adopted } = this.#options;
    const before = this.#operators.bans;
    const since = clock.wallTime();
    const after: KeptBan[] = [];
    for (const [fingerprint, until] of bans) {
      const known = before.get(fingerprint);
      const isSame = known && inSeconds(known.until) === inSeconds(until);
      const ban = isSame ? known : { fingerprint, until, by, since };
      if (!isSame) keepBan(fingerprint, ban);
      after.push(ban);
    }
    for (const name of before.keys()) if (!bans.has(name)) keepBan(name, undefined);
    this.#operators.setBans(after);
    this.#operators.setMotd(motd);
    adopted();
  }

  remove(fingerprint: Uint8Array): void {
    this.#options.remove(fingerprint);
  }

  announce(text: string): void {
    this.#options.announce(text);
  }
}

/** As relays tell each other when a ban ends. */
function inSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
