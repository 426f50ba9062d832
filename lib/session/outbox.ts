/**
 * What has been written, for whom it is kept, and what became of it (PROTOCOL.md §6, "What a sender keeps").
 *
 * Every message has one target for each addressee. A target is a stream towards one instance of a fingerprint or,
 * before its HELLO, a waiting list. Knows nothing of channels, records or the relay: it numbers, keeps and reports.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { type Item, type Outgoing, sortUnsent, Target } from "../target.ts";

/** How long something is kept for a member that is gone, §6. */
export const KEEP_MS = 10 * 60 * 1000;
/** Streams whose numbers are remembered; §6 asks for the 1024 seen last. */
const MAX_STREAMS = 4096;

/** What became of a message at one target. */
type Fate =
  | "pending"
  | "acked"
  | "failed"
  /** Nothing more is waited for here, and nothing is to be said of it. */
  | "neutral"
  /** The same, for something that was never sent here: what still waits for whoever says HELLO may bring it back. */
  | "unsent";

/** A message with its fates. */
interface Entry {
  readonly message: Outgoing;
  readonly fates: Map<Target, Fate>;
  pending: number;
  reported: boolean;
}

/** A message on its way from one target to another. */
interface Arrival {
  readonly message: Outgoing;
  readonly moved: boolean;
}

/** Hears what became of messages; fingerprints as `SHA256:…`. */
export interface OutboxListener {
  /** Every addressee has acknowledged; once for each message. */
  delivered(message: Outgoing, to: string[]): void;
  /** These addressees were given up. */
  undelivered(message: Outgoing, to: string[]): void;
}

/** Everything unacknowledged of one session. */
export class Outbox {
  #clock: Clock;
  #listener: OutboxListener;
  #streams = new Map<string, Target>();
  #waiting = new Set<Target>();
  #entries = new Map<Outgoing, Entry>();
  #failed = new Map<Outgoing, Set<string>>();
  #failures = 0;

  constructor(clock: Clock, listener: OutboxListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Every stream and waiting list. */
  *targets(): Iterable<Target> {
    yield* this.#streams.values();
    yield* this.#waiting;
  }

  /** Those lost within the last 10 minutes, who still are addressees (§6). */
  *lost(): Iterable<Target> {
    for (const target of this.targets()) if (target.lostAt !== undefined) yield target;
  }

  /** Messages of which something is still waited for. */
  get unsettled(): number {
    return this.#entries.size;
  }

  /** How often a person, or everybody, did not get a message. */
  get failures(): number {
    return this.#failures;
  }

  /** The fingerprints of the people who have not acknowledged a message yet. */
  missing(id: string): string[] {
    const entry = this.#entries.values().find(({ message }) => message.id === id);
    const pending = [...entry?.fates ?? []].filter(([{ wasUp }, fate]) =>
      wasUp && fate === "pending"
    );
    return [...new Set(pending.map(([{ fingerprint }]) => fingerprint))];
  }

  /** Makes a waiting list for a member whose instance is not known yet. */
  addWaiting(fingerprint: string): Target {
    const target = new Target(fingerprint, undefined, this.#clock.now());
    this.#waiting.add(target);
    return target;
  }

  /** Queues a message for its addressees; with none it is reported at once. */
  add(message: Outgoing, targets: Iterable<Target>): void {
    const fates = new Map<Target, Fate>();
    for (const target of targets) fates.set(target, "pending");
    const entry: Entry = { message, fates, pending: fates.size, reported: false };
    if (entry.pending === 0) {
      this.#failures++;
      this.#listener.undelivered(message, []);
      return;
    }
    this.#entries.set(message, entry);
    for (const target of entry.fates.keys()) this.#push(target, message, false);
    this.#report();
  }

  /** Queues a change of nick for a stream. */
  addNick(target: Target): void {
    this.#push(target, undefined, false);
    this.#report();
  }

  #push(target: Target, message: Outgoing | undefined, moved: boolean): void {
    const seq = target.instance === undefined ? 0 : target.nextSeq++;
    target.items.push({ seq, message, moved, queuedAt: this.#clock.now(), sentAt: undefined });
    target.bytes += message?.bytes ?? 0;
    // Without a channel the oldest of too much is given up, §6.
    while (target.downAt !== undefined && target.overfull) this.#drop(target, 1, "failed");
  }

  /**
   * HELLO has arrived: gives the stream for its instance what waited for the member, without what it has already.
   *
   * @param waiting The member's target so far; may be a stream of the same or of another instance.
   * @param options.adopt What is kept for other instances of the fingerprint, which are gone, comes along (§6).
   * @returns The stream for (fingerprint, instance).
   */
  bind(waiting: Target, instance: string, options: { adopt: boolean }): Target {
    const { fingerprint } = waiting;
    const key = `${fingerprint} ${instance}`;
    let stream = this.#streams.get(key);
    if (!stream) {
      stream = new Target(fingerprint, instance, this.#clock.now());
      this.#makeRoom();
    }
    this.#streams.delete(key);
    this.#streams.set(key, stream); // the one seen last comes last
    stream.lostAt = undefined;
    stream.wasUp = true;
    const arriving: Arrival[] = [];
    if (waiting.instance === undefined) {
      this.#collect(waiting, stream, arriving, { moved: false, orphans: false });
      this.#waiting.delete(waiting);
    }
    if (options.adopt) this.#collectLost(stream, arriving, { orphans: false });
    for (const { message, moved } of arriving) this.#push(stream, message, moved);
    sortUnsent(stream);
    this.#report();
    return stream;
  }

  /** Forgets the numbers of streams that were seen longest ago and hold nothing. */
  #makeRoom(): void {
    if (this.#streams.size < MAX_STREAMS) return;
    const idle = this.#streams.entries().find(([, { downAt, items }]) =>
      downAt !== undefined && items.length === 0
    );
    if (idle) this.#streams.delete(idle[0]);
  }

  /**
   * §6, "A restarted client": gives a stream what is kept for the other instances of its fingerprint that are gone;
   * of `orphans` only what no other of them has acknowledged, or may still.
   */
  adopt(stream: Target, options = { orphans: false }): void {
    const arriving: Arrival[] = [];
    this.#collectLost(stream, arriving, options);
    arriving.sort((a, b) => a.message.serial - b.message.serial);
    for (const { message } of arriving) this.#push(stream, message, true);
    this.#report();
  }

  #collectLost(stream: Target, arriving: Arrival[], { orphans }: { orphans: boolean }): void {
    // First what may have been meant for this very instance, so that the others' is not taken for it.
    const lost = [...this.lost()].sort((a, b) => (a.instance ? 1 : 0) - (b.instance ? 1 : 0));
    for (const gone of lost) {
      if (gone.fingerprint !== stream.fingerprint || gone === stream) continue;
      this.#collect(gone, stream, arriving, { moved: true, orphans });
      if (gone.instance === undefined) this.#waiting.delete(gone);
    }
  }

  /** Takes everything out of `from`; what `to` was never given is added to `arriving` as pending there. */
  #collect(
    from: Target,
    to: Target,
    arriving: Arrival[],
    { moved, orphans }: { moved: boolean; orphans: boolean },
  ): void {
    const kept: Item[] = [];
    for (const item of from.items) {
      const entry = item.message && this.#entries.get(item.message);
      if (!entry) continue;
      const fate = entry.fates.get(to);
      const isQueued = fate !== undefined && (fate !== "unsent" || from.instance !== undefined);
      if (isQueued || orphans && this.#hasTwin(entry, from)) {
        // The same id is queued there: a waiting list ends in it, a gone instance may still come back for it.
        if (moved && from.instance !== undefined) kept.push(item);
        else this.#forget(entry, from);
        continue;
      }
      if (from.instance === undefined) entry.fates.delete(from);
      else entry.fates.set(from, "neutral"); // its stream had this id, and never gets it again
      entry.fates.set(to, "pending");
      arriving.push({ message: entry.message, moved });
    }
    from.items = kept;
    from.bytes = kept.reduce((sum, item) => sum + (item.message?.bytes ?? 0), 0);
  }

  #forget(entry: Entry, target: Target): void {
    if (entry.fates.get(target) === "pending") entry.pending--;
    entry.fates.delete(target);
    this.#settle(entry);
  }

  /** ACK: everything up to `received` has arrived. */
  acknowledge(target: Target, received: number): void {
    const rest = target.items.findIndex(({ seq }) => seq > received);
    this.#drop(target, rest < 0 ? target.items.length : rest, "acked");
    this.#report();
  }

  /** Everything unacknowledged at this target is given up: it left, or was removed. */
  giveUp(target: Target): void {
    this.#drop(target, target.items.length, "failed");
    this.#report();
  }

  /** This target gets nothing more and counts neither as delivered nor as undelivered: refused for good, §6. */
  exclude(target: Target): void {
    this.#drop(target, target.items.length, "neutral");
    this.#report();
  }

  /**
   * A target is no addressee any more; what it still held is given up. A stream keeps its numbers, for its
   * instance may come back and know them.
   */
  retire(target: Target): void {
    this.giveUp(target);
    target.lostAt = undefined;
    this.#waiting.delete(target);
  }

  #drop(target: Target, count: number, fate: "acked" | "failed" | "neutral"): void {
    for (const item of target.items.splice(0, count)) {
      target.bytes -= item.message?.bytes ?? 0;
      const entry = item.message && this.#entries.get(item.message);
      if (!entry) continue;
      let decided: Fate = fate;
      if (fate === "failed" && this.#hasTwin(entry, target)) {
        decided = item.seq > target.sentSeq ? "unsent" : "neutral";
      }
      entry.fates.set(target, decided);
      entry.pending--;
      if (decided === "failed") this.#fail(entry.message, target);
      this.#settle(entry);
    }
  }

  #fail(message: Outgoing, { fingerprint, wasUp }: Target): void {
    if (wasUp) this.#failures++;
    const failed = this.#failed.get(message);
    if (failed) failed.add(fingerprint);
    else this.#failed.set(message, new Set([fingerprint]));
  }

  /** Another instance of the target's fingerprint was given the same id, and speaks for it (§6). */
  #hasTwin(entry: Entry, target: Target): boolean {
    for (const [other, fate] of entry.fates) {
      if (other === target || other.fingerprint !== target.fingerprint) continue;
      if (fate !== "neutral" && fate !== "unsent") return true;
    }
    return false;
  }

  /** Reports a message as delivered as soon as nobody who counts is missing, and forgets it when nobody is. */
  #settle(entry: Entry): void {
    if (!entry.reported && !this.#isMissed(entry)) {
      entry.reported = true;
      const fates = [...entry.fates];
      const to = new Set(fates.filter(([, fate]) => fate === "acked").map(([t]) => t.fingerprint));
      if (fates.every(([, fate]) => fate !== "failed")) {
        if (to.size > 0) this.#listener.delivered(entry.message, [...to]);
        // Whoever was addressed has been refused for good: nobody got it, and the user is told.
        else this.#listener.undelivered(entry.message, []);
      }
    }
    if (entry.pending > 0) return;
    this.#entries.delete(entry.message);
    if (![...entry.fates.values()].includes("acked")) this.#failures++;
  }

  #isMissed(entry: Entry): boolean {
    if (entry.pending === 0) return false;
    for (const [target, fate] of entry.fates) {
      if (fate !== "pending") continue;
      if (target.lostAt === undefined || !this.#hasSpokesman(entry, target)) return true;
    }
    return false;
  }

  /** Another instance of the target's fingerprint has acknowledged the same id, §6. */
  #hasSpokesman(entry: Entry, target: Target): boolean {
    for (const [other, fate] of entry.fates) {
      if (fate === "acked" && other.fingerprint === target.fingerprint) return true;
    }
    return false;
  }

  #report(): void {
    const failed = [...this.#failed];
    this.#failed.clear();
    for (const [message, fingerprints] of failed) {
      this.#listener.undelivered(message, [...fingerprints]);
    }
  }

  /** A target went out of the roster: messages that only wait for it may count as delivered by its twin. */
  settleAll(target: Target): void {
    for (const { message } of [...target.items]) {
      const entry = message && this.#entries.get(message);
      if (entry) this.#settle(entry);
    }
  }

  /** Gives up what has been kept for 10 minutes; call it at least every few seconds. */
  expire(): void {
    const oldest = this.#clock.now() - KEEP_MS;
    for (const target of [...this.targets()]) {
      if (target.lostAt !== undefined && target.lostAt <= oldest) this.retire(target);
      else if (target.downAt !== undefined && target.downAt <= oldest) {
        const kept = target.items.findIndex(({ queuedAt }) => queuedAt > oldest);
        this.#drop(target, kept < 0 ? target.items.length : kept, "failed");
      }
    }
    this.#report();
  }
}
