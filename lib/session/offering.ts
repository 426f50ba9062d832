/**
 * Offers this process's own relay to the host (PROTOCOL.md §14).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { isLoopback } from "../base/ip.ts";
import type { SentMessage } from "../protocol/messages.ts";
import { CONTEXT_STAND_BY, MAX_PLACE_ADDRESSES, offerMessage } from "../protocol/succession.ts";
import type { OwnRelay } from "./own_relay.ts";
import type { RosterMember } from "./roster.ts";
import type { LastHost } from "./ways.ts";

/** A host has tested an offer by then. */
const NAMED_MS = 15_000;

/** What it needs. */
export interface OfferingOptions {
  readonly own: OwnRelay;
  readonly clock: Clock;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** The fingerprint of this process's person, 32 bytes. */
  readonly person: Bytes;
  send(member: RosterMember, message: SentMessage): void;
}

/** What was offered, and to whom. */
export class Offering {
  readonly #options: OfferingOptions;
  /** The member that has the offer, in its present channel. */
  #member: RosterMember | undefined;
  /** The addresses that were offered. */
  #offered = "";
  #offeredAt = 0;

  constructor(options: OfferingOptions) {
    this.#options = options;
  }

  /** The offer is made, and should have been taken by now. */
  get isLate(): boolean {
    return this.#options.clock.now() - this.#offeredAt >= NAMED_MS;
  }

  get member(): RosterMember | undefined {
    return this.#member;
  }

  /** Nobody has the offer any more. @param member Only if it is this one. */
  forget(member = this.#member): void {
    if (this.#member === member) this.#member = undefined;
  }

  /** Offers the own relay to the host, unless it was offered with these addresses. */
  async offer(member: RosterMember, { relay, local }: LastHost): Promise<void> {
    const { own, clock, room, person, send } = this.#options;
    const addresses = own.addresses();
    const all = new Set(local && !isLoopback(local) ? [local, ...addresses] : addresses);
    const some = [...all].map((address) => address.split("%", 1)[0]!).slice(0, MAX_PLACE_ADDRESSES);
    const text = some.join();
    if (some.length === 0 || this.#member === member && this.#offered === text) return;
    this.#member = member;
    this.#offered = text;
    this.#offeredAt = clock.now();
    const place = { relay: own.key.fingerprint, port: own.port, addresses: some };
    const message = offerMessage({ host: relay, room }, person, place);
    const signature = await own.sign(CONTEXT_STAND_BY, message);
    if (this.#member === member) send(member, { type: "standby", offer: { signature, place } });
  }
}
