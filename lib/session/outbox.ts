/**
 * Keeps what the user wrote until each person it is for has it, and reports what was delivered and what was not
 * (PROTOCOL.md §6, "What a sender keeps" and "Delivered").
 *
 * @module
 */

import { KEEP_KNOWN_MS, KEPT_MS } from "../protocol/limits.ts";
import type { Outgoing, OutgoingChat } from "./outgoing.ts";
import { type Item, MAX_KEPT_FOR_ALL_BYTES, type Stream } from "./streams.ts";

/** Why something was given up: only after a goodbye it is no failure. */
export type GivenUp = "failed" | "left";

/** A message at one person. */
interface Delivery {
  state: "pending" | "acked" | GivenUp;
  /** How many streams hold it. */
  held: number;
  /** Our own other terminals are never reported. */
  readonly isOwn: boolean;
}

/** A message that some stream holds. */
interface Entry {
  readonly message: Outgoing;
  /** By the clock that stands still without a connection. */
  readonly acceptedAt: number;
  /** By fingerprint. */
  readonly deliveries: Map<string, Delivery>;
  /** Of how many people, but for ourselves, the delivery is pending: each of many ACKs asks for it. */
  pending: number;
  /** How many streams hold it. */
  held: number;
  reported: boolean;
  /** It is older than KEPT_MS, and for whom it is kept was reported. */
  keptReported: boolean;
}

/** A person as far as the outbox is concerned. */
interface Receiver {
  readonly fingerprint: string;
  /** The streams that get a copy. */
  readonly streams: readonly Stream[];
}

interface OutboxOptions {
  /** Our own fingerprint, `SHA256:…`. */
  readonly own: string;
  /** The time, without that in which there was no connection. */
  now(): number;
  /** Everybody has it; called once for each CHAT. */
  delivered(message: OutgoingChat, to: string[]): void;
  /** How long it is kept for a person, in ms; asked once KEPT_MS are over. */
  keptMs(fingerprint: string): number;
  /** The streams that are lost or slow, by person, in the order in which they are to give up what is too much. */
  waived(): readonly (readonly Stream[])[];
  /** KEPT_MS are over, and it is kept for these people for another `ms`; called once for each CHAT at most. */
  kept(message: OutgoingChat, to: string[], ms: number): void;
  /** It was given up for these people; an empty list: there was nobody. */
  undelivered(message: OutgoingChat, to: string[]): void;
}

/** All unacknowledged messages of one session. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #entries = new Map<Outgoing, Entry>();
  readonly #givenUp = new Map<OutgoingChat, Set<string>>();
  #failures = 0;
  /** Bytes of text in `#entries`. */
  #bytes = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Number of messages that a person has still to acknowledge. */
  get unsettled(): number {
    return this.#entries.values().filter((entry) => isPending(entry)).toArray().length;
  }

  /** A person whom a message is for has not acknowledged it yet. */
  get owed(): boolean {
    return this.#entries.values().some(isPending);
  }

  /** How often a message was given up for a person who had not said goodbye, or reached nobody at all. */
  get failures(): number {
    return this.#failures;
  }

  /** The fingerprints of the people who have not acknowledged a message yet. */
  missing(id: string): string[] {
    const entry = this.#entries.values().find(({ message }) =>
      message.type === "chat" && message.id === id
    );
    return entry ? missingOf(entry) : [];
  }

  /** Queues a message for the people whom it is for; without any it is reported as undelivered at once. */
  add(message: Outgoing, receivers: readonly Receiver[]): void {
    const acceptedAt = this.#options.now();
    const deliveries = new Map<string, Delivery>();
    const entry: Entry = {
      message,
      acceptedAt,
      deliveries,
      pending: 0,
      held: 0,
      reported: false,
      keptReported: false,
    };
    this.#entries.set(message, entry);
    this.#bytes += message.bytes;
    for (const { fingerprint, streams } of receivers) {
      const isOwn = fingerprint === this.#options.own;
      deliveries.set(fingerprint, { state: "pending", held: 0, isOwn });
      if (!isOwn) entry.pending++;
      for (const stream of streams) this.#push(stream, entry, false);
    }
    if (deliveries.values().every(({ isOwn }) => isOwn)) {
      entry.reported = true;
      if (message.type === "chat") {
        this.#failures++;
        this.#options.undelivered(message, []);
      }
    }
    this.#settle(entry);
    this.#limitAll();
    this.#report();
  }

  /** Queues a change of our nick. */
  addNick(stream: Stream): void {
    const acceptedAt = this.#options.now();
    stream.add({ message: undefined, moved: false, acceptedAt });
    this.limit(stream);
  }

  /** HELLO was taken: what no instance of the person has acknowledged goes into this stream, too. */
  complete(stream: Stream): void {
    const has = new Set(stream.items.map(({ message }) => message));
    for (const entry of this.#entries.values()) {
      const delivery = entry.deliveries.get(stream.fingerprint);
      if (delivery?.state === "pending" && !has.has(entry.message)) this.#push(stream, entry, true);
    }
    this.#report();
  }

  #push(stream: Stream, entry: Entry, moved: boolean): void {
    const { message, acceptedAt } = entry;
    entry.deliveries.get(stream.fingerprint)!.held++;
    entry.held++;
    stream.add({ message, moved, acceptedAt });
    this.#limit(stream);
  }

  /** Gives up the oldest of what is too much for an instance that is lost or slow. */
  limit(stream: Stream): void {
    this.#limit(stream);
    this.#limitAll();
    this.#report();
  }

  #limit(stream: Stream): void {
    while (stream.waived && stream.overfull) this.#drop(stream, stream.remove(1), "failed");
  }

  /** Gives up what is too much for all instances that are lost or slow. */
  #limitAll(): void {
    if (this.#bytes <= MAX_KEPT_FOR_ALL_BYTES) return;
    const people = this.#options.waived();
    const holders = new Map<Outgoing, number>();
    let bytes = 0;
    for (const { message } of people.flat().flatMap(({ items }) => items)) {
      if (!message) continue;
      const count = holders.get(message) ?? 0;
      if (count === 0) bytes += message.bytes;
      holders.set(message, count + 1);
    }
    for (const streams of people) {
      while (bytes > MAX_KEPT_FOR_ALL_BYTES) {
        const [stream] = streams.filter(({ items }) => items.length > 0).sort(byOldest);
        if (!stream) break;
        const [item] = stream.remove(1);
        const { message } = item!;
        if (message) {
          const count = holders.get(message)! - 1;
          holders.set(message, count);
          if (count === 0) bytes -= message.bytes;
        }
        this.#drop(stream, [item!], "failed");
      }
    }
  }

  /** ACK: everything up to the seq `received` has arrived. @throws {ProtocolError} When it is above every number. */
  acknowledge(stream: Stream, received: number): void {
    this.#drop(stream, stream.acknowledge(received), "acked");
    this.#report();
  }

  /** Gives up everything that a stream holds. */
  giveUp(stream: Stream, why: GivenUp): void {
    this.#drop(stream, stream.remove(stream.items.length), why);
    this.#report();
  }

  /** Gives up what was kept for long enough; reports what is kept for longer. */
  expire(streams: Iterable<Stream>): void {
    const now = this.#options.now();
    for (const stream of streams) {
      if (!stream.items.some(({ acceptedAt }) => acceptedAt <= now - KEPT_MS)) continue;
      const oldest = now - this.#options.keptMs(stream.fingerprint);
      this.#drop(stream, stream.removeUpTo(oldest), "failed");
    }
    this.#report();
    for (const entry of this.#entries.values()) {
      const { message, acceptedAt, keptReported } = entry;
      if (acceptedAt > now - KEPT_MS) break; // they are in order
      if (keptReported) continue;
      entry.keptReported = true;
      const to = missingOf(entry);
      if (message.type !== "chat" || to.length === 0) continue;
      this.#options.kept(message, to, acceptedAt + KEEP_KNOWN_MS - now);
    }
  }

  #drop(stream: Stream, items: readonly Item[], state: "acked" | GivenUp): void {
    for (const { message } of items) {
      const entry = message && this.#entries.get(message);
      const delivery = entry?.deliveries.get(stream.fingerprint);
      if (!entry || !delivery) continue;
      delivery.held--;
      entry.held--;
      if (delivery.state === "pending" && (state === "acked" || delivery.held === 0)) {
        delivery.state = state;
        if (!delivery.isOwn) entry.pending--;
        if (!delivery.isOwn && state !== "acked") this.#fail(entry, stream.fingerprint, state);
      }
      this.#settle(entry);
    }
  }

  #fail({ message }: Entry, fingerprint: string, why: GivenUp): void {
    if (why === "failed") this.#failures++;
    if (message.type !== "chat") return;
    const others = this.#givenUp.get(message);
    if (others) others.add(fingerprint);
    else this.#givenUp.set(message, new Set([fingerprint]));
  }

  /** Reports a message once everybody has it; forgets it once no stream holds it. */
  #settle(entry: Entry): void {
    const { message, deliveries } = entry;
    if (!entry.reported && !isPending(entry)) {
      entry.reported = true;
      const others = [...deliveries].filter(([, { isOwn }]) => !isOwn);
      const isComplete = others.every(([, { state }]) => state === "acked");
      if (isComplete && message.type === "chat") {
        this.#options.delivered(message, others.map(([fingerprint]) => fingerprint));
      }
    }
    if (entry.held === 0 && this.#entries.delete(message)) this.#bytes -= message.bytes;
  }

  #report(): void {
    const givenUp = [...this.#givenUp];
    this.#givenUp.clear();
    for (const [message, fingerprints] of givenUp) {
      this.#options.undelivered(message, [...fingerprints]);
    }
  }
}

function isMissing({ state, isOwn }: Delivery): boolean {
  return state === "pending" && !isOwn;
}

function missingOf({ deliveries }: Entry): string[] {
  return [...deliveries].filter(([, delivery]) => isMissing(delivery)).map(([person]) => person);
}

function isPending({ pending }: Entry): boolean {
  return pending > 0;
}

/** The one with the oldest message first. */
function byOldest(a: Stream, b: Stream): number {
  return a.items[0]!.acceptedAt - b.items[0]!.acceptedAt;
}
