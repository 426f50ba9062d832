/**
 * The watch of a bucket over one connection: a consumer of JetStream that is made anew when something of it was lost.
 *
 * @module
 */

import { encodeHex } from "../base/bytes.ts";
import { type Clock, systemRandom, type Timer } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { BusHandlers } from "./bus.ts";
import {
  encodeJson,
  HEARTBEAT_MS,
  keySubject,
  readAnswer,
  readDelivery,
  streamOf,
  watchConfig,
} from "./nats_bucket.ts";
import type { Core, CoreMessage } from "./nats_core.ts";

/** A watch that says nothing for so long is gone. */
const SILENT_MS = 3 * HEARTBEAT_MS;
/** The wait before the next attempt to begin. */
const AGAIN_MS = 500;
const ANSWER_MS = 5000;

interface WatchOptions {
  readonly bucket: string;
  readonly clock: Clock;
  readonly handlers: BusHandlers;
  /** Makes the bucket again, if it is gone, and sees whether it is another one. */
  openBucket(): Promise<void>;
  /** What a number of the stream is called. */
  revisionOf(seq: number): number;
  onWarning(text: string): void;
}

/** Tells the newest value of every key, and then each change, until it is stopped. */
export class Watch {
  readonly #core: Core;
  readonly #options: WatchOptions;
  /** Ends the present consumer. */
  #end: (() => void) | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  /** The number of the last change of this consumer. */
  #position = 0;
  #heardAt = 0;
  #isCaughtUp = false;

  constructor(core: Core, options: WatchOptions) {
    this.#core = core;
    this.#options = options;
    void this.#begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#options.clock.cancel(this.#timer);
    this.#end = undefined; // the subscription goes with its connection
  }

  async #begin(): Promise<void> {
    const { bucket, handlers, clock, openBucket } = this.#options;
    const consumer = encodeHex(systemRandom(12));
    const inbox = `_INBOX.${encodeHex(systemRandom(12))}`;
    this.#end?.();
    this.#position = 0;
    this.#isCaughtUp = false;
    handlers.onWatchBegun();
    if (this.#isStopped) return;
    const end = this.#end = this.#core.subscribe(inbox, (message) => {
      if (this.#end === end) this.#take(message);
    });
    const filter = keySubject(bucket, ">");
    const subject = `$JS.API.CONSUMER.CREATE.${streamOf(bucket)}.${consumer}.${filter}`;
    try {
      await openBucket();
      if (this.#isStopped || this.#end !== end) return;
      const data = encodeJson(watchConfig(bucket, consumer, inbox));
      const answer = await this.#core.request(subject, data, { timeoutMs: ANSWER_MS });
      const { num_pending } = readAnswer<{ num_pending?: number }>(answer);
      if (this.#isStopped || this.#end !== end) return;
      if ((num_pending ?? 0) === 0) this.#catchUp();
      this.#heardAt = clock.now();
      this.#await();
    } catch (error) {
      if (this.#isStopped || this.#end !== end) return;
      this.#options.onWarning(`the bucket in NATS cannot be watched: ${describeError(error)}`);
      this.#timer = clock.after(AGAIN_MS, () => void this.#begin());
    }
  }

  /** Begins again after too long a silence. */
  #await(): void {
    const { clock } = this.#options;
    clock.cancel(this.#timer);
    this.#timer = clock.after(HEARTBEAT_MS, () => {
      if (clock.now() - this.#heardAt > SILENT_MS) void this.#begin();
      else this.#await();
    });
  }

  #take({ subject, reply, status, data, header }: CoreMessage): void {
    const { bucket, handlers, clock, revisionOf } = this.#options;
    this.#heardAt = clock.now();
    if (status !== 0) {
      const last = header("Nats-Last-Consumer");
      if (last !== "" && Number(last) !== this.#position) void this.#begin();
      return;
    }
    const delivery = readDelivery(reply);
    if (!delivery) return;
    if (delivery.position !== this.#position + 1) return void this.#begin();
    this.#position = delivery.position;
    const operation = header("KV-Operation");
    handlers.onEntry({
      key: subject.slice(keySubject(bucket, "").length),
      value: operation === "PURGE" || operation === "DEL" ? undefined : data,
      revision: revisionOf(delivery.revision),
    });
    if (delivery.pending === 0) this.#catchUp();
  }

  #catchUp(): void {
    if (this.#isCaughtUp || this.#isStopped) return;
    this.#isCaughtUp = true;
    this.#options.handlers.onWatchCaughtUp();
  }
}
