/**
 * Announces a relay by multicast DNS while it runs (RFC 6762, RFC 6763): decides when to send what
 * {@linkcode ServiceResponder} says. Uses host names of its own, so it does not conflict with the system's responder.
 *
 * @module
 */

import {
  type Clock,
  type RandomBytes,
  systemClock,
  systemRandom,
  type Timer,
} from "../base/clock.ts";
import { encodeHex } from "../base/bytes.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import { listInterfaces, type NetworkInterface } from "../base/interfaces.ts";
import { type DnsMessage, type DnsRecord, MDNS_PORT, type Question } from "./dns.ts";
import { Multicast, type Origin } from "./multicast.ts";
import { WorkBudget } from "./work_budget.ts";
import { type HostAddress, questionKey, type Service, ServiceResponder } from "./responder.ts";

/** RFC 6762 §8.1. */
const PROBES = 3;
const PROBE_MS = 250;
/** RFC 6762 §8.3. */
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 1000;
/** A random delay spreads the answers of several responders (RFC 6762 §6). */
const DELAY_MIN_MS = 20;
const DELAY_SPREAD_MS = 100;
/** A record is multicast at most once within this time (RFC 6762 §6). */
const REPEAT_MS = 1000;
/** Unicast answers; those who get none ask again, or hear the multicast answer. Each opens a socket. */
const REPLY_BUDGET = { perSecond: 100, burst: 20 };
/** How often to look for new interfaces. */
const REFRESH_MS = 10_000;
/** After this many name conflicts within the time, pause (RFC 6762 §8.1): most likely they are forged. */
const MAX_CONFLICTS = 15;
const CONFLICT_SPAN_MS = 10_000;
const CONFLICT_PAUSE_MS = 10_000;
/** A trouble that returns within this time is not reported again. */
const CALM_MS = 60_000;
/** How often messages may be dropped in that time before it is reported: devices that all wake up cause a few. */
const REPORTED_OVERLOADS = 50;
const TAG_BYTES = 4;
/** How much of the fingerprint is announced: enough to recognise a relay, which proves its key anyway. */
const SHOWN_CHARACTERS = 16;

/** Options of {@linkcode Announcer}. */
interface AnnouncerOptions {
  /** The links to announce on; by default all but loopback. */
  readonly links?: () => NetworkInterface[];
  /** Whether the relay listens on this address; by default it listens on all. */
  readonly isServed?: (address: string) => boolean;
  /** Gets a line for the log when others on the network interfere with the announcement, and when that is over. */
  readonly onTrouble?: (line: string) => void;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
}

/** A listening relay, as {@linkcode announceRelay} needs it. */
interface AnnouncedRelay {
  readonly port: number;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Whether it asks for a password. */
  readonly isLocked: boolean;
  /** The only address it listens on; all by default. */
  readonly hostname?: string;
  /** Whether it listens on IPv4 only. */
  readonly isIpv4Only?: boolean;
  readonly onTrouble?: (line: string) => void;
}

/**
 * Announces a relay under the name of this computer.
 *
 * @returns Undefined when there is no link to announce it on.
 */
export async function announceRelay(relay: AnnouncedRelay): Promise<Announcer | undefined> {
  const { port, fingerprint, isLocked, hostname, isIpv4Only = false, onTrouble } = relay;
  const announcer = new Announcer({
    name: Deno.hostname().split(".", 1)[0] || "hearth",
    port,
    fingerprint: fingerprint.replace("SHA256:", "").slice(0, SHOWN_CHARACTERS),
    isLocked,
  }, {
    links: () =>
      listInterfaces().filter(({ isLoopback, addresses }) =>
        hostname === undefined ? !isLoopback : addresses.some(({ address }) => address === hostname)
      ),
    isServed: (address) =>
      hostname === undefined ? !(isIpv4Only && address.includes(":")) : address === hostname,
    ...(onTrouble && { onTrouble }),
  });
  if (await announcer.start()) return announcer;
  await announcer.stop();
  return undefined;
}

interface Pending {
  /** By type and name: at most one for each record of ours. */
  readonly questions: Map<string, Question>;
  known: readonly DnsRecord[];
}

/** Announces one relay, from {@linkcode start} to {@linkcode stop}. */
export class Announcer {
  readonly #responder: ServiceResponder;
  readonly #net: Multicast;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #isServed: (address: string) => boolean;
  /** Delayed answers, by link. */
  #pending = new Map<string, Pending>();
  /** When we last multicast, by link. */
  #sentAt = new Map<string, number>();
  #timers = new Set<Timer>();
  readonly #replies: WorkBudget;
  readonly #conflicts: SlidingWindow;
  readonly #say: (line: string) => void;
  /** Waits before it claims a name again, and takes nothing that others send. */
  #isPausing = false;
  /** Whether the log says that it pauses, and since when. */
  #isPauseReported = false;
  #pauseReportedAt = -Infinity;
  /** How often messages had to be dropped since it was last calm, and when that was last. */
  #overloads = 0;
  #allOverloads = 0;
  #overloadedAt = 0;
  /** Incremented by each restart; timers of an earlier round do nothing. */
  #round = 0;
  #isEstablished = false;

  constructor(service: Service, options: AnnouncerOptions = {}) {
    const { links = () => listInterfaces().filter(({ isLoopback }) => !isLoopback) } = options;
    this.#clock = options.clock ?? systemClock;
    this.#replies = new WorkBudget(this.#clock, REPLY_BUDGET);
    this.#conflicts = new SlidingWindow(this.#clock, {
      limit: MAX_CONFLICTS,
      spanMs: CONFLICT_SPAN_MS,
    });
    this.#say = options.onTrouble ?? (() => {});
    this.#random = options.random ?? systemRandom;
    this.#isServed = options.isServed ?? (() => true);
    this.#responder = new ServiceResponder(service, encodeHex(this.#random(TAG_BYTES)));
    this.#net = new Multicast({
      links,
      onMessage: (message, from) => this.#take(message, from),
      onOverload: () => this.#countOverload(),
    });
  }

  /** The name it is announced under; undefined while it probes and while it pauses. */
  get label(): string | undefined {
    return this.#isEstablished ? this.#responder.label : undefined;
  }

  /** How often messages had to be dropped. */
  get overloads(): number {
    return this.#allOverloads;
  }

  /**
   * Starts probing for the name, and announces it about a second later.
   *
   * @returns Whether there is a link to announce on.
   */
  async start(): Promise<boolean> {
    await this.#net.refresh();
    this.#every(REFRESH_MS, () => this.#refresh());
    this.#establish();
    return this.#net.isListening;
  }

  /** Withdraws the announcement and closes the sockets. */
  async stop(): Promise<void> {
    this.#round++;
    for (const timer of this.#timers) this.#clock.cancel(timer);
    if (this.#isEstablished) await this.#sendRecords(this.#net.links, { isGoodbye: true });
    this.#isEstablished = false;
    await this.#net.close();
  }

  #take(message: DnsMessage, from: Origin): void {
    if (this.#isPausing) return;
    if (message.isResponse) {
      if (this.#responder.isTaken(message)) this.#conflict();
    } else if (!this.#isEstablished) {
      if (this.#responder.yieldsTo(message)) this.#conflict();
    } else if (from.port === MDNS_PORT) this.#answerAll(message, from.link);
    else this.#answerLegacy(message, from);
  }

  /** Probes again: whoever had the name first keeps it and will defend it (RFC 6762 §9). */
  #conflict(): void {
    this.#conflicts.count();
    if (this.#conflicts.waitMs > 0) return this.#pause();
    if (!this.#isEstablished) this.#responder.rename();
    this.#isEstablished = false;
    this.#establish();
  }

  /** Claims no name for a while, then the first one again. */
  #pause(): void {
    const round = ++this.#round;
    this.#isEstablished = false;
    this.#isPausing = true;
    this.#responder.resetName();
    const now = this.#clock.now();
    if (!this.#isPauseReported && now - this.#pauseReportedAt >= CALM_MS) {
      this.#isPauseReported = true;
      this.#pauseReportedAt = now;
      this.#say(
        "others claim every name this server is announced under: it is announced again when they stop",
      );
    }
    this.#after(CONFLICT_PAUSE_MS, () => {
      if (round !== this.#round) return;
      this.#isPausing = false;
      this.#establish();
    });
  }

  #countOverload(): void {
    this.#overloadedAt = this.#clock.now();
    this.#overloads++;
    this.#allOverloads++;
    if (this.#overloads === 1) this.#awaitCalm(CALM_MS);
    if (this.#overloads !== REPORTED_OVERLOADS) return;
    this.#say(
      "too many multicast DNS messages: most are dropped, and clients may not find this server",
    );
  }

  #awaitCalm(delay: number): void {
    this.#after(delay, () => {
      const rest = this.#overloadedAt + CALM_MS - this.#clock.now();
      if (rest > 0) return this.#awaitCalm(rest);
      const count = this.#overloads;
      this.#overloads = 0;
      if (count < REPORTED_OVERLOADS) return;
      this.#say(`multicast DNS is calm again: messages were dropped ${count} times`);
    });
  }

  /** Probes whether the name is free, then announces it. */
  #establish(): void {
    const round = ++this.#round;
    const step = (left: number, delay: number) =>
      this.#after(delay, () => {
        if (round !== this.#round) return;
        if (left > 0) {
          for (const link of this.#net.links) void this.#net.send(link, this.#responder.probe());
          return step(left - 1, PROBE_MS);
        }
        this.#isEstablished = true;
        if (this.#isPauseReported) this.#say(`announced again as "${this.#responder.label}"`);
        this.#isPauseReported = false;
        this.#announce(this.#net.links);
      });
    step(PROBES, this.#jitter(PROBE_MS));
  }

  #announce(links: readonly NetworkInterface[], left = ANNOUNCEMENTS): void {
    const round = this.#round;
    void this.#sendRecords(links, {});
    if (left <= 1) return;
    this.#after(ANNOUNCE_MS, () => {
      if (round === this.#round) this.#announce(links, left - 1);
    });
  }

  async #sendRecords(links: readonly NetworkInterface[], { isGoodbye = false }): Promise<void> {
    await Promise.all(links.map((link) => {
      this.#sentAt.set(link.name, this.#clock.now());
      const addresses = this.#addressesOf(link);
      return this.#net.send(link, this.#responder.announcement(addresses, isGoodbye));
    }));
  }

  async #refresh(): Promise<void> {
    let fresh: NetworkInterface[] = [];
    try {
      fresh = await this.#net.refresh();
    } catch {
      // The system cannot list its interfaces right now; the next refresh may.
    }
    if (this.#isEstablished && fresh.length > 0) this.#announce(fresh);
  }

  /** Multicasts an answer on a link after a short delay; merges queries that come meanwhile. */
  #answerAll({ questions, answers, proposed }: DnsMessage, link: NetworkInterface): void {
    const concerned = questions.filter((question) => this.#responder.concerns(question));
    if (concerned.length === 0) return;
    const sent = this.#sentAt.get(link.name) ?? -Infinity;
    const rest = sent + REPEAT_MS - this.#clock.now();
    if (proposed.length > 0) {
      // A probe for the name: defend it at once; probes come three times (RFC 6762 §6).
      if (rest <= REPEAT_MS - PROBE_MS) this.#answerNow(concerned, link);
      return;
    }
    const waiting = this.#pending.get(link.name);
    if (waiting) {
      for (const question of concerned) waiting.questions.set(questionKey(question), question);
      waiting.known = []; // another asker may not know them
      return;
    }
    this.#pending.set(link.name, {
      questions: new Map(concerned.map((question) => [questionKey(question), question])),
      known: answers,
    });
    const delay = DELAY_MIN_MS + this.#jitter(DELAY_SPREAD_MS);
    this.#after(Math.max(rest, delay), () => {
      const { questions, known } = this.#pending.get(link.name)!;
      this.#pending.delete(link.name);
      if (this.#isEstablished) this.#answerNow([...questions.values()], link, known);
    });
  }

  #answerNow(
    questions: readonly Question[],
    link: NetworkInterface,
    known: readonly DnsRecord[] = [],
  ): void {
    const answer = this.#responder.answer(questions, this.#addressesOf(link), known);
    if (!answer) return;
    this.#sentAt.set(link.name, this.#clock.now());
    void this.#net.send(link, answer);
  }

  #answerLegacy(query: DnsMessage, from: Origin): void {
    if (this.#replies.waitMs > 0) return;
    const answer = this.#responder.answerLegacy(query, this.#addressesOf(from.link));
    if (!answer) return;
    this.#replies.spend(1);
    void this.#net.reply(from, answer);
  }

  #addressesOf({ addresses }: NetworkInterface): HostAddress[] {
    return addresses.filter(({ address }) => this.#isServed(address));
  }

  #jitter(spread: number): number {
    return this.#random(1)[0]! / 255 * spread;
  }

  #after(delay: number, action: () => void): void {
    const timer = this.#clock.after(delay, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
  }

  #every(delay: number, action: () => void): void {
    this.#after(delay, () => {
      action();
      this.#every(delay, action);
    });
  }
}
