/**
 * Tells the user who has not received their messages: once, and only if it takes long or fails. Messages in the same
 * state at the same moment share a notice.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { clockTime } from "./moment.ts";
import { type Names, type Notice, type Receipt, receiptNotice } from "./notices.ts";

/** People who have not received a message after this time are named. */
const PENDING_MS = 3000;
/** What becomes known within this time shares a notice. */
const BATCH_MS = 300;
/** Messages whose text is remembered, to be quoted. */
const MAX_REMEMBERED = 1024;

/** The user may see others in the room, and wonder. */
const STRICT_HINT = "with --strict, only people you have verified receive messages";

/** A message of the user's own. */
interface Own {
  readonly text: string;
  /** Whether the user knows that it is pending. */
  shownPending: boolean;
  readonly private: boolean;
}

/** The state of a message at one moment. */
interface Report {
  readonly receipt: Receipt;
  readonly id: string;
  readonly to: Set<string>;
  /** Of what is kept, the time of day. */
  readonly until: string | undefined;
}

interface ReceiptsOptions {
  readonly clock: Clock;
  /** The nick of someone who is or was here. */
  nickOf(fingerprint: string): string;
  /** The fingerprints of the people who have not acknowledged a message. */
  missing(id: string): readonly string[];
  /** Whether messages go to verified people only. */
  readonly strict: boolean;
  /** @param ids The messages that the notice is about. */
  print(notice: Notice, ids: readonly string[]): void;
}

/** Watches the user's own messages from their acceptance on. */
export class Receipts {
  readonly #options: ReceiptsOptions;
  readonly #sent = new BoundedMap<string, Own>(MAX_REMEMBERED);
  readonly #reports = new Map<string, Report>();
  #timer: Timer | undefined;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** The text of a message, while it is remembered. */
  textOf(id: string): string | undefined {
    return this.#sent.get(id)?.text;
  }

  /**
   * Adds a message that the session has taken.
   *
   * @param options.waiting It is not accepted yet, and the user sees that.
   */
  accept(id: string, text: string, options: { waiting: boolean; private: boolean }): void {
    const own = { text, shownPending: options.waiting, private: options.private };
    this.#sent.set(id, own);
    if (!options.waiting) this.#watch(id, own);
  }

  /** A message that waited is on its way. */
  accepted(id: string): void {
    const own = this.#sent.get(id);
    if (own) this.#watch(id, own);
  }

  /** Every recipient has the message: shown only if the user knows that it was pending. */
  delivered(id: string, to: readonly string[]): void {
    const own = this.#sent.get(id);
    if (own?.shownPending) this.#add("delivered", id, own.private ? to : []);
  }

  /** It is kept for these recipients. @param until ISO 8601. */
  kept(id: string, to: readonly string[], until: string): void {
    this.#add("kept", id, to, clockTime(new Date(until)));
  }

  /** Delivery to these recipients was given up. */
  undelivered(id: string, to: readonly string[]): void {
    this.#add("undelivered", id, to);
  }

  /** Shows at once what is due. */
  flush(): void {
    const { clock, print, nickOf, strict } = this.#options;
    clock.cancel(this.#timer);
    this.#timer = undefined;
    const names: Names = { nickOf, ownText: (id) => this.textOf(id) };
    const alike = Map.groupBy(
      this.#reports.values(),
      ({ receipt, to, until }) => [receipt, until, ...to].join(" "),
    );
    this.#reports.clear();
    for (const reports of alike.values()) {
      const { receipt, to, until } = reports[0]!;
      const ids = reports.map(({ id }) => id);
      const notice = receiptNotice(receipt, {
        ids,
        to: [...to],
        ...(until !== undefined && { until }),
      }, names);
      const isStrict = strict && receipt === "undelivered" && to.size === 0;
      print(isStrict ? { ...notice, hint: STRICT_HINT } : notice, ids);
    }
  }

  #watch(id: string, own: Own): void {
    this.#options.clock.after(PENDING_MS, () => {
      const to = this.#options.missing(id);
      if (to.length === 0) return;
      own.shownPending = true;
      this.#add("pending", id, to);
    });
  }

  #add(receipt: Receipt, id: string, to: readonly string[], until?: string): void {
    const key = `${receipt} ${id}`;
    const report = this.#reports.get(key) ?? { receipt, id, to: new Set(), until };
    for (const fingerprint of to) report.to.add(fingerprint);
    this.#reports.set(key, report);
    this.#timer ??= this.#options.clock.after(BATCH_MS, () => this.flush());
  }
}
