/**
 * Whoever carries a cluster and wishes it ill: reads all that passes, and changes, swaps, repeats, holds back and answers
 * falsely as it likes. It knows no key.
 *
 * @module
 */

import type { Bytes } from "../../lib/base/bytes.ts";
import type { Bus, BusHandlers, Entry, Written } from "../../lib/cluster/bus.ts";
import type { Random } from "../simulation/random.ts";
import type { BusServer } from "./memory_bus.ts";

/** What is remembered of what passed; the oldest stay, which are the most wrong. */
const MAX_KEPT = 3_000;

/** One carrier, between all relays and their server. */
export class HostileCarrier {
  /** Whether it does what it can; it always reads. */
  isHostile = true;
  /** What it was told, in the clear for it: bytes, and names of keys and inboxes. */
  readonly read: Uint8Array[] = [];
  readonly names = new Set<string>();
  /** How often it did what. */
  readonly done = new Map<string, number>();
  readonly #random: Random;
  readonly #messages: { readonly inbox: string; readonly message: Bytes }[] = [];
  readonly #values: { readonly key: string; readonly value: Bytes }[] = [];
  readonly #listeners = new Map<string, BusHandlers>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Does `action` with a probability, and counts it. */
  #does(action: string, probability: number): boolean {
    if (!this.isHostile || !this.#random.chance(probability)) return false;
    this.done.set(action, (this.done.get(action) ?? 0) + 1);
    return true;
  }

  #keepMessage(inbox: string, message: Bytes): void {
    this.names.add(inbox);
    if (this.#messages.length >= MAX_KEPT) return;
    const copy = message.slice();
    this.read.push(copy);
    this.#messages.push({ inbox, message: copy });
  }

  #keepValue(key: string, value: Bytes | undefined): void {
    this.names.add(key);
    if (!value || this.#values.length >= MAX_KEPT) return;
    const copy = value.slice();
    this.read.push(copy);
    this.#values.push({ key, value: copy });
  }

  /** A copy with a byte changed, cut short, or made longer. */
  damage(bytes: Bytes): Bytes {
    const copy = bytes.slice();
    switch (this.#random.below(4)) {
      case 0:
        return copy.subarray(0, this.#random.below(copy.length + 1));
      case 1: {
        const longer = new Uint8Array(copy.length + 1);
        longer.set(copy);
        return longer;
      }
      default:
        if (copy.length === 0) return copy;
        copy[this.#random.below(copy.length)]! ^= 1 << this.#random.below(8);
        return copy;
    }
  }

  /** Tells some relay a message of the past, as it was or damaged, or as if for another. */
  replay(): void {
    const past = this.#random;
    if (this.#messages.length === 0) return;
    const { inbox, message } = past.pick(this.#messages);
    const to = past.chance(0.5)
      ? this.#listeners.get(inbox)
      : past.pick([...this.#listeners.values()]);
    if (!to) return;
    to.onMessage(
      this.#does("damage a message of the past", 0.3) ? this.damage(message) : message.slice(),
    );
    this.#does("repeat a message", 1);
  }

  /** Puts a value of the past into the bucket: under its own key, or that of another room. */
  putBack(server: BusServer, key?: string): void {
    const values = this.#values.filter((it) => key === undefined || it.key === key);
    if (values.length === 0) return;
    const past = this.#random.pick(values);
    const keys = server.entries.map(({ key }) => key);
    const isSwapped = key === undefined && keys.length > 0 && this.#does("swap keys", 0.3);
    const value = this.#does("damage a value of the past", 0.2)
      ? this.damage(past.value)
      : past.value;
    server.put(isSwapped ? this.#random.pick(keys) : past.key, value.slice());
    this.#does("put back a value", 1);
  }

  /** The oldest value of a key goes back into the bucket. */
  putBackFirst(server: BusServer, key: string): void {
    const past = this.#values.find((it) => it.key === key);
    if (past) server.put(key, past.value.slice());
  }

  /** A bus that this carrier is in the way of. */
  between(bus: Bus): Bus {
    // deno-lint-ignore no-this-alias
    const carrier = this;
    return {
      get isUp() {
        return bus.isUp;
      },
      get unwrittenBytes() {
        return bus.unwrittenBytes;
      },
      start: (inbox, handlers) => {
        carrier.#listeners.set(inbox, handlers);
        bus.start(inbox, carrier.#alter(handlers));
        carrier.#inboxes.set(bus, inbox);
      },
      moveInbox: (inbox) => {
        const old = carrier.#inboxes.get(bus)!;
        carrier.#listeners.set(inbox, carrier.#listeners.get(old)!);
        carrier.#listeners.delete(old);
        carrier.#inboxes.set(bus, inbox);
        bus.moveInbox(inbox);
      },
      publish: (inbox, message) => carrier.#publish(bus, inbox, message),
      probe: (inbox) => {
        if (!carrier.#does("hold back a probe", 0.1)) bus.probe(inbox);
      },
      get: async (key) => {
        const entry = await bus.get(key);
        if (!entry || !carrier.#does("answer with a value of the past", 0.1)) return entry;
        return { ...entry, value: carrier.#past(entry) };
      },
      write: (key, value, expected) => carrier.#write(bus, { key, value, revision: expected }),
      flush: () => bus.flush(),
      close: () => {
        carrier.#listeners.delete(carrier.#inboxes.get(bus) ?? "");
        return bus.close();
      },
    };
  }
  readonly #inboxes = new Map<Bus, string>();

  #past({ value }: Entry): Bytes | undefined {
    return this.#values.length > 0 ? this.#random.pick(this.#values).value.slice() : value;
  }

  #alter(handlers: BusHandlers): BusHandlers {
    return {
      onMessage: (message) => handlers.onMessage(message),
      onNobody: (inbox) => handlers.onNobody(inbox),
      onEntry: (entry) => {
        if (this.#does("hold back an entry", 0.05)) return;
        const isFalse = this.#does("show a value of the past", 0.05);
        handlers.onEntry(isFalse ? { ...entry, value: this.#past(entry) } : entry);
      },
      onWatchBegun: () => handlers.onWatchBegun(),
      onWatchCaughtUp: () => handlers.onWatchCaughtUp(),
      onUp: () => handlers.onUp(),
      onDown: () => handlers.onDown(),
    };
  }

  #publish(bus: Bus, inbox: string, message: Bytes): void {
    this.#keepMessage(inbox, message);
    if (this.#does("drop a message", 0.05)) return;
    const inboxes = [...this.#listeners.keys()];
    if (this.#does("swap subjects", 0.05)) return bus.publish(this.#random.pick(inboxes), message);
    bus.publish(inbox, this.#does("damage a message", 0.05) ? this.damage(message) : message);
    if (this.#does("send a message twice", 0.05)) bus.publish(inbox, message);
  }

  async #write(bus: Bus, { key, value, revision }: Entry): Promise<Written> {
    this.#keepValue(key, value);
    if (this.#does("forget a write", 0.03)) return { type: "unknown" };
    const isDamaged = value !== undefined && this.#does("damage a value", 0.03);
    const written = await bus.write(key, isDamaged ? this.damage(value) : value, revision);
    return this.#does("deny a write", 0.03) ? { type: "conflict" } : written;
  }
}
