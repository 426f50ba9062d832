/**
 * What arrives from one instance of a person: taken once each, and given to the user in order, a message only when its
 * view is decided (PROTOCOL.md §6, "Acknowledgement" and "View").
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { STREAMS_REMEMBERED } from "../protocol/limits.ts";
import { VIEW_WINDOW_MS, type ViewLog } from "./view_log.ts";

/** Messages of one instance that may wait for their views, §6. */
export const MAX_WAITING_MESSAGES = 1024;
/** Bytes of text of one instance that may wait, §6. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export type ViewVerdict = "same" | "differs";

/** Something is given to the user now, or when the promise resolves. */
export type Given = Promise<void> | void;

/** Something that was taken and is not given to the user yet. */
interface Waiting {
  readonly seq: number;
  readonly bytes: number;
  /** In hex digits, or the verdict. */
  readonly view: string;
  readonly receivedAt: number;
  give(view: ViewVerdict): Given;
}

/** What comes in: its view, and what to do when that is decided. */
interface Arrival {
  readonly seq: number;
  /** Bytes of its text. */
  readonly bytes?: number;
  /** Its view, to be compared with ours over time; or the verdict. By default nothing is to be decided. */
  readonly view?: Bytes | ViewVerdict;
  give(view: ViewVerdict): Given;
}

/** The receiving side of one stream; kept while the process runs, §6. */
export class Inbox {
  /** The highest seq taken. */
  taken = 0;
  /** The highest seq given to the user: what an ACK carries. */
  given = 0;
  /** Something was taken from this instance, so that a GAP means a loss. */
  everTaken = false;
  /** Called when `given` has grown. */
  onGiven: () => void = () => {};
  readonly #clock: Clock;
  readonly #log: ViewLog;
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** Seqs from the lowest on that is given to the user later. */
  readonly #later: { readonly seq: number; isGiven: boolean }[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, log: ViewLog) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Something waits for its view, or to be shown. */
  get busy(): boolean {
    return this.#waiting.length > 0 || this.#later.length > 0;
  }

  /**
   * Takes a seq.
   *
   * @returns False for a duplicate.
   * @throws {ProtocolError} When numbers are missing before it: the sender's fault.
   */
  take(seq: number): boolean {
    if (seq <= this.taken) return false;
    if (seq > this.taken + 1) throw new ProtocolError("unexpected");
    this.taken = seq;
    this.everTaken = true;
    return true;
  }

  /** GAP: the next seq will be `next`. @returns How many messages the sender has given up, if that is a loss. */
  skipTo(next: number): number {
    if (next <= this.taken) return 0;
    const lost = this.everTaken ? next - 1 - this.taken : 0;
    this.taken = next - 1;
    return lost;
  }

  /** Gives something that was taken to the user, after all that was taken before. */
  add({ seq, bytes = 0, view = "same", give }: Arrival): void {
    const seen = typeof view === "string" ? view : encodeHex(view);
    this.#waiting.push({
      seq,
      bytes,
      view: this.#log.has(seen) ? "same" : seen, // it may wait behind others until that is long ago
      receivedAt: this.#clock.now(),
      give,
    });
    this.#bytes += bytes;
    this.advance();
    while (this.#waiting.length > MAX_WAITING_MESSAGES || this.#bytes > MAX_WAITING_BYTES) {
      this.#giveFirst();
      this.advance();
    }
  }

  /**
   * Gives what is decided; call it when our view has changed.
   *
   * @param due What was received up to this time waits no longer.
   */
  advance(due: number = this.#clock.now() - VIEW_WINDOW_MS): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (this.#verdict(first) === undefined && first.receivedAt > due) return this.#wait(first);
      this.#giveFirst();
    }
  }

  #verdict({ view }: Waiting): ViewVerdict | undefined {
    if (view === "same" || view === "differs") return view;
    return this.#log.has(view) ? "same" : undefined;
  }

  #giveFirst(): void {
    const first = this.#waiting.shift()!;
    this.#bytes -= first.bytes;
    const given = first.give(this.#verdict(first) ?? "differs");
    if (!given && this.#later.length === 0) return this.#setGiven(first.seq);
    const later = { seq: first.seq, isGiven: !given };
    this.#later.push(later);
    given?.then(() => {
      later.isGiven = true;
      while (this.#later[0]?.isGiven) this.#setGiven(this.#later.shift()!.seq);
    });
  }

  #setGiven(seq: number): void {
    this.given = seq;
    this.onGiven();
  }

  #wait({ receivedAt }: Waiting): void {
    const delay = receivedAt + VIEW_WINDOW_MS - this.#clock.now();
    // Even if the timer fires a little early, the message that it was set for is due.
    this.#timer = this.#clock.after(delay, () => this.advance(receivedAt));
  }
}

/** The inboxes of the instances seen last. */
export class Inboxes {
  readonly #clock: Clock;
  readonly #log: ViewLog;
  readonly #inboxes: BoundedMap<string, Inbox>;

  /** @param isLive Whether a channel uses an inbox. */
  constructor(clock: Clock, log: ViewLog, isLive: (inbox: Inbox) => boolean) {
    this.#clock = clock;
    this.#log = log;
    this.#inboxes = new BoundedMap(STREAMS_REMEMBERED, (inbox) => !inbox.busy && !isLive(inbox));
  }

  /** The inbox of an instance, from now on the one seen last. */
  of(fingerprint: string, instance: string): Inbox {
    const key = `${fingerprint} ${instance}`;
    const inbox = this.#inboxes.get(key) ?? new Inbox(this.#clock, this.#log);
    this.#inboxes.renew(key, inbox);
    return inbox;
  }

  /** Our view has changed. */
  changeView(view: Bytes): void {
    this.#log.change(view);
    for (const inbox of this.#inboxes.values()) if (inbox.busy) inbox.advance();
  }

  /** Gives everything now: nothing more will be decided. */
  flush(): void {
    for (const inbox of this.#inboxes.values()) inbox.advance(Infinity);
  }
}
