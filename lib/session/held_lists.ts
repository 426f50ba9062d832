/**
 * The lists that a client holds of its hosts: which ones count, and the order they give (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, concat, equalBytes, isZero, label } from "../base/bytes.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import type { Primitives } from "../protocol/primitives.ts";
import {
  CONTEXT_SUCCESSION,
  type Entry,
  type List,
  listMessage,
  type Place,
  type SignedList,
} from "../protocol/succession.ts";
import type { LastLists } from "./last_lists.ts";
import { keyOf } from "./passed_over.ts";

/** What it needs. */
export interface HeldListsOptions {
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  readonly primitives: Primitives;
  readonly lastLists: LastLists;
  /** Whether an entry is this process's own relay. */
  isOwn(place: Place): boolean;
}

/** The newest list, and the last one of the relay before. */
export class HeldLists {
  readonly #options: HeldListsOptions;
  #newest: List | undefined;
  /** The last list of the relay before. */
  #before: List | undefined;
  /** The session key under which the last list came that counted, and its serial. */
  #signedBy: Bytes | undefined;
  #serial = -1;

  constructor(options: HeldListsOptions) {
    this.#options = options;
  }

  get newest(): List | undefined {
    return this.#newest;
  }

  /** The person whose list is the newest, `SHA256:…`. */
  get namer(): string | undefined {
    const person = this.#newest?.entries[this.#newest.at]?.person;
    return person && !isZero(person) ? encodeFingerprint(person) : undefined;
  }

  /** The newest list is this process's own. */
  get isNewestOwn(): boolean {
    return this.#newest !== undefined &&
      this.#options.isOwn(this.#newest.entries[this.#newest.at]!);
  }

  /** Whether a list is signed with a relay's session key. */
  isGenuine({ signature, list }: SignedList, relay: Bytes, session: Bytes): Promise<boolean> {
    const { room, primitives } = this.#options;
    const signed = concat(label(CONTEXT_SUCCESSION), listMessage({ host: relay, room }, list));
    return primitives.verifyEd25519(session, signed, signature);
  }

  /** Takes a genuine list, unless it is older than the last one under the same session key. */
  take(list: List, session: Bytes): boolean {
    const isSameKey = this.#signedBy !== undefined && equalBytes(this.#signedBy, session);
    if (isSameKey && list.serial < this.#serial) return false;
    this.#signedBy = session;
    this.#serial = list.serial;
    this.remember(list);
    return true;
  }

  /** Holds a list that needs no proof, and keeps it. */
  remember(list: List): void {
    const relay = list.entries[list.at]!.relay;
    const old = this.#newest;
    if (old && !equalBytes(old.entries[old.at]!.relay, relay)) this.#before = old;
    this.#newest = list;
    this.#options.lastLists.keep(this.#options.room, list);
  }

  /** Holds a list at the start, made of what was kept or found. */
  begin(list: List): void {
    this.#newest = list;
  }

  /**
   * Where the room may be: the host and its successors, then hosts of earlier.
   *
   * @param place Where the host is, if it is not as the newest list says.
   */
  order(place: Entry | undefined): { order: Entry[]; earlier: Entry[] } {
    const { isOwn } = this.#options;
    const list = this.#newest!;
    const present = list.entries[list.at]!;
    // Who has given way is the next after the one it gave way to.
    const own = isOwn(present) ? [present] : [];
    const named = [place ?? present, ...own, ...list.entries.slice(list.at + 1)];
    if (this.#before) {
      // Who has given way to this host may not be named by it yet.
      const { entries, at } = this.#before;
      const rest = entries.slice(isOwn(entries[at]!) ? at : at + 1);
      const before = new Set(list.entries.slice(0, list.at).map(keyOf));
      named.push(...rest.filter((entry) => isOwn(entry) || !before.has(keyOf(entry))));
    }
    const order = unique(named);
    if (isOwn(order[0]!) && order.length > 1) order.splice(0, 2, order[1]!, order[0]!);
    const old = [present, ...list.entries.slice(0, list.at)];
    if (this.#before) old.push(...this.#before.entries.slice(0, this.#before.at + 1));
    const keys = new Set(order.map(keyOf));
    return { order, earlier: unique(old).filter((entry) => !keys.has(keyOf(entry))) };
  }
}

function unique(entries: readonly Entry[]): Entry[] {
  const keys = new Set<string>();
  return entries.filter((entry) => keys.size < keys.add(keyOf(entry)).size);
}
