/**
 * What became of the user's own messages in one room: at the messages themselves, and in words.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Session } from "../session/mod.ts";
import type { Conversation, Delivery, MessageEntry } from "./conversation.ts";
import type { Conversations } from "./conversations.ts";
import { Receipts } from "./receipts.ts";

/** Messages that are watched. */
const MAX_WATCHED = 1024;
/** Of those, the ones of which it is shown how many people have them, and how often that is looked up. */
const MAX_COUNTED = 32;
const COUNT_MS = 1000;

interface DeliveriesOptions {
  readonly clock: Clock;
  readonly conversations: Conversations;
  readonly room: Conversation;
  readonly session: Pick<Session, "missing" | "isWaiting">;
  /** Whether messages go to verified people only. */
  readonly strict: boolean;
  nickOf(fingerprint: string): string;
}

/** A message, and the number of people it is for. */
interface Watched {
  readonly conversation: Conversation;
  readonly entry: MessageEntry;
  of: number;
}

export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #receipts: Receipts;
  readonly #watched = new BoundedMap<string, Watched>(MAX_WATCHED);
  /** The message that the session accepted last, which may be before it is shown. */
  #accepted: { readonly id: string; readonly of: number; givenUp?: readonly string[] } | undefined;
  #counter: Timer | undefined;

  constructor(options: DeliveriesOptions) {
    const { clock, conversations, room, session, strict, nickOf } = options;
    this.#options = options;
    this.#receipts = new Receipts({
      clock,
      nickOf,
      missing: (id) => session.missing(id),
      strict,
      print: (notice, [id]) =>
        conversations.remark(this.#watched.get(id!)?.conversation ?? room, notice),
    });
  }

  /** The text of a message, while it is remembered. */
  textOf(id: string): string | undefined {
    return this.#receipts.textOf(id);
  }

  /** What to show first at a message that the session has taken. */
  first(id: string): Delivery {
    if (this.#options.session.isWaiting(id)) return { state: "waiting" };
    const { of = 0 } = this.#accepted?.id === id ? this.#accepted : {};
    return { state: "sent", have: 0, of };
  }

  /** Watches a message that is shown now. */
  watch(entry: MessageEntry, conversation: Conversation): void {
    const { id, text, delivery } = entry;
    const of = delivery?.state === "sent" ? delivery.of : 0;
    const isPrivate = conversation.kind === "person";
    this.#watched.set(id, { conversation, entry, of });
    this.#receipts.accept(id, text, { waiting: delivery?.state === "waiting", private: isPrivate });
    const { givenUp } = this.#accepted?.id === id ? this.#accepted : {};
    if (givenUp !== undefined) this.#fail(id, givenUp);
    this.#countLater();
  }

  /** The session has accepted a message. @param of For how many people. */
  accepted(id: string, of: number): void {
    this.#receipts.accepted(id);
    const watched = this.#watched.get(id);
    if (watched === undefined) {
      this.#accepted = { id, of };
      return;
    }
    watched.of = of;
    watched.entry.delivery = { state: "sent", have: 0, of };
    this.#options.conversations.changed(watched.conversation, watched.entry);
    this.#countLater();
  }

  /** Every recipient has the message. */
  delivered(id: string, to: readonly string[]): void {
    this.#receipts.delivered(id, to);
    const watched = this.#watched.get(id);
    if (watched === undefined || watched.entry.delivery?.state === "failed") return;
    const { conversation, entry, of } = watched;
    this.#options.conversations.received(conversation, entry, of);
  }

  /** The message is kept for these recipients. @param until ISO 8601. */
  kept(id: string, to: readonly string[], until: string): void {
    this.#receipts.kept(id, to, until);
  }

  /** Delivery to these recipients was given up. */
  undelivered(id: string, to: readonly string[]): void {
    this.#receipts.undelivered(id, to);
    this.#fail(id, to);
  }

  /** The session has refused a message that waited. @returns Its conversation, if it is shown. */
  refused(id: string): Conversation | undefined {
    this.#fail(id, []);
    return this.#watched.get(id)?.conversation;
  }

  /** Shows at once what is due. */
  flush(): void {
    this.#receipts.flush();
    this.#options.clock.cancel(this.#counter);
    this.#counter = undefined;
  }

  #fail(id: string, to: readonly string[]): void {
    const { conversations, nickOf } = this.#options;
    const watched = this.#watched.get(id);
    if (watched === undefined) {
      if (this.#accepted?.id === id) this.#accepted.givenUp = to;
      return;
    }
    const { conversation, entry } = watched;
    const missing = to.map((fingerprint) => nickOf(fingerprint));
    const before = entry.delivery;
    if (before?.state === "failed") {
      entry.delivery = { state: "failed", missing: [...before.missing, ...missing] };
      return conversations.changed(conversation, entry);
    }
    entry.delivery = { state: "failed", missing };
    conversations.failed(conversation, entry);
  }

  #countLater(): void {
    this.#counter ??= this.#options.clock.after(COUNT_MS, () => this.#count());
  }

  /** Shows of the newest messages how many people have them. */
  #count(): void {
    const { conversations, session } = this.#options;
    this.#counter = undefined;
    const isUnderWay = ({ entry }: Watched) => entry.delivery?.state === "sent";
    const underWay = [...this.#watched].filter(([, watched]) => isUnderWay(watched));
    for (const [id, { conversation, entry, of }] of underWay.slice(-MAX_COUNTED)) {
      const have = Math.max(0, of - session.missing(id).length);
      if (entry.delivery?.state !== "sent" || entry.delivery.have === have) continue;
      entry.delivery = { state: "sent", have, of };
      conversations.changed(conversation, entry);
    }
    if (underWay.length > 0) this.#countLater();
  }
}
