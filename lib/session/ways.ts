/**
 * The ways to a relay that others have named: its addresses that may be dialled, and in which order (PROTOCOL.md §14).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { isLinkLocal, isLoopback, joinPort } from "../base/ip.ts";
import {
  dialableAddresses,
  type DialRules,
  type Entry,
  isPublic,
  type List,
  type Place,
} from "../protocol/succession.ts";
import type { Way } from "./inquiry.ts";
import type { Network } from "./own_relay.ts";
import { keyOf } from "./passed_over.ts";

/** What is remembered of the last relay that sent WELCOME. */
export interface LastHost {
  readonly relay: Bytes;
  readonly session: Bytes;
  readonly way: Way;
  /** Undefined while no list has said it. */
  readonly place: Entry | undefined;
  readonly local: string | undefined;
  readonly remote: string | undefined;
  readonly isLocked: boolean;
  readonly isAnswered: boolean;
  readonly welcomedAt: number;
}

/** The ways from here; which ones there are depends on how the last host was reached. */
export class Ways {
  readonly #network: Network;
  readonly #host: () => LastHost | undefined;

  constructor(network: Network, host: () => LastHost | undefined) {
    this.#network = network;
    this.#host = host;
  }

  /** The addresses of a place that may be dialled, link-local ones last. @param list May name the place. */
  to(place: Place, list: List | undefined): Way[] {
    const listed = list?.entries.findIndex((entry) => keyOf(entry) === keyOf(place)) ?? -1;
    const rules = this.#dialRules();
    const addresses = listed >= 0
      ? dialableAddresses(list!.entries, rules)[listed]!
      : dialableAddresses([place], rules)[0]!;
    const sorted = addresses.toSorted((a, b) => Number(isLinkLocal(a)) - Number(isLinkLocal(b)));
    return sorted.map((address) => this.at(address, place.port));
  }

  /** The way to one address. */
  at(address: string, port: number): Way {
    const from = this.#host()?.local;
    return {
      address: joinPort(address, port),
      dial: (signal) => this.#network.dial({ address, port, from }, signal),
    };
  }

  #dialRules(): DialRules {
    const remote = this.#host()?.remote;
    return {
      interfaces: this.#network.interfaces(),
      overLoopback: remote !== undefined && isLoopback(remote),
      isPublicAllowed: () => remote !== undefined && isPublic(remote),
    };
  }
}
