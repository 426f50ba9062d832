/**
 * What is said of one's own messages after they were sent: who has not received them, once and only when it
 * matters. Messages with the same fate at the same moment are told together.
 *
 * Gives notices; knows nothing of terminals.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import { type Names, type Notice, type Receipt, receiptNotice } from "./notices.ts";

/** Somebody who has not received a message after so long is named. */
const PENDING_MS = 3000;
/** What becomes known within this time is told together. */
const BATCH_MS = 300;
/** Messages whose text is remembered, to say which one is meant. */
const MAX_REMEMBERED = 1024;

/** Others may be here, whom the user sees. */
const STRICT_HINT = "with --strict only people you have verified receive anything";

/** A message of one's own. */
interface Own {
  readonly text: string;
  /** The user knows that somebody has not received it. */
  told: boolean;
  /** It was written without a connection, and there has been none since. */
  waiting: boolean;
}

/** What became of a message at one moment. */
interface Fate {
  readonly receipt: Receipt;
  readonly id: string;
  readonly to: Set<string>;
}

/** What {@linkcode Receipts} needs. */
export interface ReceiptsOptions {
  readonly clock: Clock;
  /** The nick of somebody who is or was here. */
  nickOf(fingerprint: string): string;
  /** The fingerprints of the people who have not acknowledged a message. */
  missing(id: string): readonly string[];
  /** Only verified people are sent anything. */
  readonly strict: boolean;
  print(notice: Notice): void;
}

/** Own messages, from their acceptance on. */
export class Receipts {
  readonly #options: ReceiptsOptions;
  readonly #sent = new Map<string, Own>();
  readonly #fates = new Map<string, Fate>();
  #timer: Timer | undefined;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** The text of a message, while it is remembered. */
  textOf(id: string): string | undefined {
    return this.#sent.get(id)?.text;
  }

  /**
   * A message was accepted.
   *
   * @param options.waiting There is no connection, and the user sees that.
   */
  accept(id: string, text: string, { waiting }: { waiting: boolean }): void {
    const own = { text, told: waiting, waiting };
    this.#sent.set(id, own);
    if (this.#sent.size > MAX_REMEMBERED) this.#sent.delete(this.#sent.keys().next().value!);
    if (!waiting) this.#watch(id, own);
  }

  /** There is a connection: what waited for it is on its way. */
  connected(): void {
    for (const [id, own] of this.#sent) {
      if (!own.waiting) continue;
      own.waiting = false;
      this.#watch(id, own);
    }
  }

  /** Every addressee has a message: worth a line only for who thinks otherwise. */
  delivered(id: string): void {
    if (this.#sent.get(id)?.told) this.#add("delivered", id, []);
  }

  /** These addressees were given up. */
  undelivered(id: string, to: readonly string[]): void {
    this.#add("undelivered", id, to);
  }

  /** Says now what there is to say. */
  flush(): void {
    const { clock, print, nickOf, strict } = this.#options;
    clock.cancel(this.#timer);
    this.#timer = undefined;
    const names: Names = { nickOf, ownText: (id) => this.textOf(id) };
    const alike = Map.groupBy(
      this.#fates.values(),
      ({ receipt, to }) => [receipt, ...to].join(" "),
    );
    this.#fates.clear();
    for (const fates of alike.values()) {
      const { receipt, to } = fates[0]!;
      const ids = fates.map(({ id }) => id);
      const notice = receiptNotice(receipt, { ids, to: [...to] }, names);
      const isStrict = strict && receipt === "undelivered" && to.size === 0;
      print(isStrict ? { ...notice, hint: STRICT_HINT } : notice);
    }
  }

  #watch(id: string, own: Own): void {
    this.#options.clock.after(PENDING_MS, () => {
      if (own.waiting) return; // the connection was lost again
      const to = this.#options.missing(id);
      if (to.length === 0) return;
      own.told = true;
      this.#add("pending", id, to);
    });
  }

  #add(receipt: Receipt, id: string, to: readonly string[]): void {
    const key = `${receipt} ${id}`;
    const fate = this.#fates.get(key) ?? { receipt, id, to: new Set() };
    for (const fingerprint of to) fate.to.add(fingerprint);
    this.#fates.set(key, fate);
    this.#timer ??= this.#options.clock.after(BATCH_MS, () => this.flush());
  }
}
