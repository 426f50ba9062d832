/**
 * The direction to another relay of a cluster. Messages are numbered and sealed, and kept until the other side has taken
 * them: what the bus loses is sent again, so that nothing is lost between two relays that live. What is under way is
 * bounded, and charged to the members who sent it (PROTOCOL.md §10).
 *
 * @module
 */

import { type Bytes, writeU64 } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { encryptInPlace, KEY_NONCE_BYTES, TAG_BYTES } from "../protocol/crypto/aead.ts";
import { MAX_QUEUE_AGE_MS, MAX_QUEUED_FRAMES, MAX_UNDELIVERED_BYTES } from "../protocol/limits.ts";
import type { SendCredit } from "../transport/mod.ts";
import type { Bus } from "./bus.ts";
import { encodeCredit, encodePosition, ENTRY, type Position, POSITION_BYTES } from "./entries.ts";
import type { ClusterKeys } from "./keys.ts";
import { HEADER_BYTES, writeHeader } from "./link_message.ts";

/** Bytes of a message at most. */
const MAX_MESSAGE_BYTES = 60 * 1024;
/** Bytes of entries that were sent and not taken, before nobody sends more to that relay. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** Charged for each entry besides its bytes, so that small ones are bounded in number, too. */
const COUNTED_BYTES = 256;
/** What makes a {@linkcode SendCredit} exhausted, whatever else it is charged. */
const HOLD_BYTES = MAX_UNDELIVERED_BYTES + 1;
/** Credit is given back when it is so much, or after a while. */
const CREDIT_BYTES = 64 * 1024;
const CREDIT_MS = 500;
/** What is not taken after so long is asked for. */
const ASK_MS = 1_000;
/** Between two repetitions of the same. */
const REPEAT_MS = 100;
/** Bytes of credits in one message. */
const MAX_CREDITS_BYTES = 8 * 1024;

/** What is under way of one member. */
interface Outstanding {
  readonly credit: SendCredit;
  bytes: number;
}

/** A message that the other side has not taken. */
interface Kept {
  readonly message: Bytes;
  /** What it counts in the window. */
  readonly cost: number;
  /** Entries of the relay's own in it. */
  readonly own: number;
  /** When it was sent; Infinity if it says only what was taken, which need not arrive. */
  readonly at: number;
}

/** Options of {@linkcode OutgoingLink}. */
interface OutgoingOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly keys: ClusterKeys;
  /** R in hex. */
  readonly from: string;
  readonly to: string;
  /** Runs an action once what happens now has happened. */
  defer(action: () => void): void;
  /** What members sent is lost for good: their connections have to end. */
  onLost(credits: Set<SendCredit>): void;
}

/** What has been taken from the other side, and not given back. */
export interface Debt {
  /** A sid in hex. */
  readonly source: string;
  /** Bytes that were written or dropped. */
  due: number;
}

/** The direction to another relay. */
export class OutgoingLink {
  readonly #options: OutgoingOptions;
  #epoch = 1;
  /** Of the next message. */
  #seq = 0;
  readonly #keyNonce = new Uint8Array(KEY_NONCE_BYTES);
  /** Entries of the next message. */
  readonly #entries = new Uint8Array(MAX_MESSAGE_BYTES);
  #end = 0;
  #cost = 0;
  #own = 0;
  #isDeferred = false;
  #isClosed = false;
  /** In order; the first has the number `#seq - #kept.length`. */
  #kept: Kept[] = [];
  /** Of all that is kept, and of the next message. */
  #window = 0;
  #ownKept = 0;
  readonly #outstanding = new Map<string, Outstanding>();
  /** Members from whom nothing is read. */
  readonly #held = new Set<SendCredit>();
  /** Whose credit is due. */
  readonly #debts = new Set<Debt>();
  #got: Position | undefined;
  #owesGot = false;
  #lost: Position | undefined;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #resentAt = -Infinity;
  #upSince: number;
  /** Messages that were sent again. */
  resent = 0;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#upSince = options.clock.now();
    this.#setKey();
  }

  #setKey(): void {
    const { keys, from, to } = this.#options;
    this.#keyNonce.set(keys.linkKey(from, to, this.#epoch));
  }

  /** How many members nothing is read from because of this link. */
  get held(): number {
    return this.#held.size;
  }

  /** What members are charged that was neither written nor dropped there. */
  get undelivered(): number {
    return this.#outstanding.values().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes that were sent and not taken, with what is counted for each entry. */
  get windowBytes(): number {
    return this.#window;
  }

  // --- Entries ---

  /**
   * Sends a SEND or CAST of a member.
   *
   * @param parts The entry, copied.
   * @param source The member's sid in hex.
   * @param charge What the member is charged, §10.
   */
  forward(parts: readonly Uint8Array[], source: string, charge: Outstanding): void {
    const outstanding = this.#outstanding.get(source);
    charge.credit.charge(charge.bytes);
    if (outstanding) outstanding.bytes += charge.bytes;
    else this.#outstanding.set(source, charge);
    this.#push(parts);
    const { credit } = charge;
    if (!this.#isFull || this.#held.has(credit)) return;
    this.#held.add(credit);
    credit.charge(HOLD_BYTES);
  }

  /** Sends an entry of the relay's own; dropped where too many wait, since the bucket says the same. */
  tell(entry: Uint8Array): void {
    if (this.#ownKept >= MAX_QUEUED_FRAMES) return;
    this.#own++;
    this.#ownKept++;
    this.#push([entry]);
  }

  #push(parts: readonly Uint8Array[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (HEADER_BYTES + TAG_BYTES + this.#end + length + this.#overhead > MAX_MESSAGE_BYTES) {
      this.#seal();
    }
    for (const part of parts) {
      this.#entries.set(part, this.#end);
      this.#end += part.length;
    }
    this.#cost += length + COUNTED_BYTES;
    this.#window += length + COUNTED_BYTES;
    this.#flushSoon();
  }

  /** Room for BEGIN, GOT, LOST and credits. */
  get #overhead(): number {
    return 1 + 2 * POSITION_BYTES + MAX_CREDITS_BYTES;
  }

  get #isFull(): boolean {
    return this.#window > MAX_WINDOW_BYTES ||
      this.#options.bus.unwrittenBytes > MAX_WINDOW_BYTES;
  }

  // --- What is due to the other side ---

  /** What of a member of the other relay has been written or dropped here. */
  owe(debt: Debt): void {
    this.#debts.add(debt);
    if (debt.due >= CREDIT_BYTES) this.#flushSoon();
    else this.#wakeIn(CREDIT_MS);
  }

  /** Says what was taken: now, soon, or with a message that is sent anyway. */
  got(position: Position, when: "now" | "soon" | "anyway"): void {
    this.#got = position;
    if (when === "anyway") return;
    this.#owesGot = true;
    if (when === "now") this.#flushSoon();
    else this.#wakeIn(CREDIT_MS);
  }

  /** Says that something is missing. */
  lost(position: Position): void {
    this.#lost = position;
    this.#flushSoon();
  }

  // --- Sending ---

  #flushSoon(): void {
    if (this.#isDeferred || this.#isClosed) return;
    this.#isDeferred = true;
    this.#options.defer(() => {
      this.#isDeferred = false;
      if (!this.#isClosed) this.flush();
    });
  }

  /** Sends what waits. */
  flush(): void {
    if (this.#end > 0 || this.#owesGot || this.#lost || this.#debts.size > 0) this.#seal();
  }

  /** Makes a message of what waits, and sends it. */
  #seal(): void {
    const { bus, clock, from, to } = this.#options;
    const controls = this.#takeControls();
    const length = controls.reduce((sum, part) => sum + part.length, this.#end);
    const message = new Uint8Array(HEADER_BYTES + length + TAG_BYTES);
    writeHeader(message, from, { epoch: this.#epoch, seq: this.#seq });
    let offset = HEADER_BYTES;
    for (const part of [...controls, this.#entries.subarray(0, this.#end)]) {
      message.set(part, offset);
      offset += part.length;
    }
    writeU64(this.#keyNonce, KEY_NONCE_BYTES - 8, this.#seq);
    encryptInPlace(message.subarray(HEADER_BYTES), {
      keyNonce: this.#keyNonce,
      ad: message.subarray(0, HEADER_BYTES),
    });
    const [cost, own] = [this.#cost, this.#own];
    this.#kept.push({ message, cost, own, at: cost > 0 ? clock.now() : Infinity });
    this.#seq++;
    this.#end = this.#cost = this.#own = 0;
    bus.publish(to, message);
    if (cost > 0) this.#wakeIn(ASK_MS);
  }

  #takeControls(): Bytes[] {
    const controls: Bytes[] = [];
    if (this.#seq === 0) controls.push(Uint8Array.of(ENTRY.BEGIN));
    if (this.#got) controls.push(encodePosition(ENTRY.GOT, this.#got));
    if (this.#lost) controls.push(encodePosition(ENTRY.LOST, this.#lost));
    this.#got = this.#lost = undefined;
    this.#owesGot = false;
    let bytes = 0;
    for (const debt of this.#debts) {
      this.#debts.delete(debt);
      if (debt.due <= 0) continue;
      const credit = encodeCredit(debt.source, debt.due);
      debt.due = 0;
      controls.push(credit);
      this.#cost += credit.length;
      this.#window += credit.length;
      if ((bytes += credit.length) > MAX_CREDITS_BYTES - credit.length) break;
    }
    if (this.#debts.size > 0) this.#flushSoon();
    return controls;
  }

  #wakeIn(delay: number): void {
    const { clock } = this.#options;
    const at = clock.now() + delay;
    if (at >= this.#timerAt || this.#isClosed) return;
    clock.cancel(this.#timer);
    this.#timerAt = at;
    this.#timer = clock.after(delay, () => {
      this.#timerAt = Infinity;
      this.#wake();
    });
  }

  #wake(): void {
    const now = this.#options.clock.now();
    const since = Math.max(this.#keptSince, this.#upSince);
    if (this.#options.bus.isUp) {
      if (now - since >= MAX_QUEUE_AGE_MS) return this.#startOver();
      if (now - since >= ASK_MS && this.#end === 0) this.#push([Uint8Array.of(ENTRY.ASK)]);
    }
    this.flush();
    if (since < Infinity) this.#wakeIn(ASK_MS);
  }

  /** When the first was sent that has to arrive, and was not taken. */
  get #keptSince(): number {
    return this.#kept.find(({ at }) => at < Infinity)?.at ?? Infinity;
  }

  /** The bus is connected again. */
  reconnected(): void {
    this.#upSince = this.#options.clock.now();
    if (this.#keptSince < Infinity) this.#push([Uint8Array.of(ENTRY.ASK)]);
  }

  // --- What the other side says ---

  /** Everything before a position was taken. */
  takeGot({ epoch, seq }: Position): void {
    if (epoch !== this.#epoch || seq > this.#seq) return;
    const count = seq - (this.#seq - this.#kept.length);
    if (count <= 0) return;
    for (const { cost, own } of this.#kept.splice(0, count)) {
      this.#window -= cost;
      this.#ownKept -= own;
    }
    if (this.#window <= MAX_WINDOW_BYTES / 2) this.#release();
  }

  /** Messages from a position on are missing: they are sent again. */
  takeLost(position: Position): void {
    this.takeGot(position);
    const { bus, clock, to } = this.#options;
    const first = this.#seq - this.#kept.length;
    const now = clock.now();
    if (position.epoch !== this.#epoch || position.seq < first) return;
    if (now - this.#resentAt < REPEAT_MS || bus.unwrittenBytes > MAX_WINDOW_BYTES) return;
    this.#resentAt = now;
    for (const { message } of this.#kept) bus.publish(to, message);
    this.resent += this.#kept.length;
  }

  /** Something of a member has been written or dropped there. */
  takeCredit(source: string, bytes: number): void {
    const outstanding = this.#outstanding.get(source);
    if (!outstanding) return;
    const given = Math.min(bytes, outstanding.bytes); // never more than is outstanding
    outstanding.bytes -= given;
    if (outstanding.bytes === 0) this.#outstanding.delete(source);
    outstanding.credit.refund(given);
  }

  #release(): void {
    for (const credit of this.#held) {
      this.#held.delete(credit);
      credit.refund(HOLD_BYTES);
    }
  }

  /** Gives up what is not taken, and begins a new epoch. */
  #startOver(): void {
    const lost = new Set(this.#outstanding.values().map(({ credit }) => credit));
    this.#drop();
    this.#epoch++;
    this.#seq = 0;
    this.#setKey();
    this.tell(Uint8Array.of(ENTRY.ASK));
    this.#options.onLost(lost);
  }

  #drop(): void {
    this.#kept = [];
    this.#end =
      this.#cost =
      this.#own =
      this.#window =
      this.#ownKept =
        0;
    this.#release();
    for (const { credit, bytes } of this.#outstanding.values()) credit.refund(bytes);
    this.#outstanding.clear();
  }

  /** The other relay is gone. */
  close(): void {
    this.#isClosed = true;
    this.#options.clock.cancel(this.#timer);
    this.#drop();
    this.#debts.clear();
  }
}
