/**
 * Where this process's own relay is (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import { isLoopback, joinPort } from "../base/ip.ts";
import { type Entry, MAX_PLACE_ADDRESSES, type Place } from "../protocol/succession.ts";
import type { Way } from "./inquiry.ts";
import type { OwnRelay } from "./own_relay.ts";

/** The own relay as an entry of a list, and the way to it. */
export class OwnPlace {
  readonly #relay: OwnRelay;
  readonly #person: Bytes;

  /** @param person The fingerprint of this process's person, 32 bytes. */
  constructor(relay: OwnRelay, person: Bytes) {
    this.#relay = relay;
    this.#person = person;
  }

  /** Whether a place is this relay: another process of the same state folder has another port. */
  is({ relay, port }: Pick<Place, "relay" | "port">): boolean {
    return this.#relay.port === port && equalBytes(this.#relay.key.fingerprint, relay);
  }

  get entry(): Entry {
    const { key, port } = this.#relay;
    return {
      person: this.#person,
      relay: key.fingerprint,
      port,
      addresses: this.#relay.addresses().slice(0, MAX_PLACE_ADDRESSES),
    };
  }

  get way(): Way {
    return {
      address: joinPort("localhost", this.#relay.port),
      dial: (signal) => this.#relay.dial(signal),
    };
  }

  /** Nobody on another computer could come to it. */
  get isOnLoopback(): boolean {
    return this.#relay.addresses().every(isLoopback);
  }
}
