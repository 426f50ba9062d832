/**
 * Members of other relays, as senders to members of this one.
 *
 * @module
 */

import { type Bytes, decodeHex } from "../base/bytes.ts";
import { SendCredit, type Source } from "../transport/mod.ts";
import type { Debt } from "./link.ts";
import type { SharedRoom } from "./shared_room.ts";

/**
 * What a member of another relay has sent: all of it is due to that member as soon as it has been written or dropped here.
 */
export class RemoteSource extends SendCredit implements Source, Debt {
  readonly sid: Bytes;
  readonly source: string;
  due = 0;
  readonly #owe: (debt: Debt) => void;

  /**
   * @param source Its sid in hex.
   * @param owe Called when something is due.
   */
  constructor(source: string, owe: (debt: Debt) => void) {
    super();
    this.source = source;
    this.sid = decodeHex(source);
    this.#owe = owe;
  }

  get credit(): SendCredit {
    return this;
  }

  /** Something of it has come that was charged so much; `deliver` may queue it for somebody here, or not. */
  take(cost: number, deliver: () => void): void {
    this.due += cost;
    deliver();
    if (this.due > 0) this.#owe(this);
  }

  override charge(bytes: number): void {
    this.due -= bytes;
  }

  override refund(bytes: number): void {
    this.due += bytes;
    this.#owe(this);
  }
}

/** A member of another relay in a room that somebody here is in. */
export interface Remote {
  readonly room: SharedRoom;
  /** R of its relay, in hex. */
  readonly relay: string;
}
