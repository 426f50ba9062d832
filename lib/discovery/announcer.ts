/**
 * Announces a relay on the network for as long as it runs, so that nobody has to type an address (RFC 6762, RFC 6763).
 *
 * Decides when what is said; {@linkcode Responder} knows what. The operating system's own responder, where there is one,
 * is not disturbed: the host names are others.
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
import { type Link, listLinks } from "../base/interfaces.ts";
import { type DnsRecord, MDNS_PORT, type Message, type Question } from "./dns.ts";
import { Multicast, type Origin } from "./multicast.ts";
import { type HostAddress, Responder, type Service } from "./responder.ts";

/** RFC 6762, §8.1. */
const PROBES = 3;
const PROBE_MS = 250;
/** RFC 6762, §8.3. */
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 1000;
/** Several may have an answer: none comes at once, RFC 6762, §6. */
const DELAY_MIN_MS = 20;
const DELAY_SPREAD_MS = 100;
/** The same is not said twice to everybody within this time, RFC 6762, §6. */
const REPEAT_MS = 1000;
/** Answers to single askers in each second; there are never so many who mean it. */
const MAX_REPLIES = 100;
/** Whoever asks more at once means no good. */
const MAX_QUESTIONS = 64;
/** Interfaces come and go. */
const REFRESH_MS = 10_000;
/** Somebody who always has the same name wants it more, RFC 6762, §8.1. */
const MAX_CONFLICTS = 15;
const TAG_BYTES = 4;
const FINGERPRINT_PREFIX = "SHA256:";
/** Characters of a fingerprint that are announced: enough to know it again, and the key has to be proven anyway. */
const SHOWN_CHARACTERS = 16;

/** What an announcer needs besides the service. */
export interface AnnouncerOptions {
  /** The links to announce on; by default all that lead out of this computer. */
  readonly links?: () => Link[];
  /** Tells of an address of this computer whether the relay can be reached there; by default at all. */
  readonly isServed?: (address: string) => boolean;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
}

/** A relay that is listening. */
export interface Place {
  readonly port: number;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** A password is needed. */
  readonly isLocked: boolean;
  /** The only address it listens on; on all by default. */
  readonly hostname?: string;
  /** Of all addresses it listens on those of IPv4 alone. */
  readonly isIpv4Only?: boolean;
}

/**
 * Announces a relay under the name of this computer.
 *
 * @returns undefined when there is no link to announce it on.
 */
export async function announceRelay(place: Place): Promise<Announcer | undefined> {
  const { port, fingerprint, isLocked, hostname, isIpv4Only = false } = place;
  const announcer = new Announcer({
    name: Deno.hostname().split(".", 1)[0] || "hearth",
    port,
    fingerprint: fingerprint.slice(FINGERPRINT_PREFIX.length).slice(0, SHOWN_CHARACTERS),
    isLocked,
  }, {
    links: () =>
      listLinks().filter(({ isLoopback, addresses }) =>
        hostname === undefined ? !isLoopback : addresses.some(({ address }) => address === hostname)
      ),
    isServed: (address) =>
      hostname === undefined ? !(isIpv4Only && address.includes(":")) : address === hostname,
  });
  if (await announcer.start()) return announcer;
  await announcer.stop();
  return undefined;
}

interface Pending {
  readonly questions: Question[];
  readonly known: DnsRecord[];
}

/** Announces one relay. */
export class Announcer {
  readonly #responder: Responder;
  readonly #net: Multicast;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #isServed: (address: string) => boolean;
  /** Answers that are about to be given, by link. */
  #pending = new Map<string, Pending>();
  #toldAt = new Map<string, number>();
  #timers = new Set<Timer>();
  #replies = 0;
  #conflicts = 0;
  /** Changes with each new beginning: what belongs to an old one ends. */
  #round = 0;
  #isEstablished = false;

  constructor(service: Service, options: AnnouncerOptions = {}) {
    const { links = () => listLinks().filter(({ isLoopback }) => !isLoopback) } = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#isServed = options.isServed ?? (() => true);
    this.#responder = new Responder(service, encodeHex(this.#random(TAG_BYTES)));
    this.#net = new Multicast({ links, onMessage: (message, from) => this.#take(message, from) });
  }

  /** The name it is announced under; undefined while it is not yet, or no longer. */
  get label(): string | undefined {
    return this.#isEstablished ? this.#responder.label : undefined;
  }

  /**
   * Begins; the name is sure, and made known, about a second later.
   *
   * @returns Whether there is a link to announce on.
   */
  async start(): Promise<boolean> {
    await this.#net.refresh();
    this.#every(REFRESH_MS, () => this.#refresh());
    this.#every(ANNOUNCE_MS, () => this.#replies = 0);
    this.#establish();
    return this.#net.isListening;
  }

  /** Takes everything back and ends. */
  async stop(): Promise<void> {
    this.#round++;
    for (const timer of this.#timers) this.#clock.cancel(timer);
    if (this.#isEstablished) await this.#tell(this.#net.links, { isGoodbye: true });
    this.#isEstablished = false;
    await this.#net.close();
  }

  #take(message: Message, from: Origin): void {
    if (message.isResponse) {
      if (this.#responder.isTaken(message)) this.#conflict();
    } else if (!this.#isEstablished) {
      if (this.#responder.yieldsTo(message)) this.#conflict();
    } else if (message.questions.length > MAX_QUESTIONS) {
      return;
    } else if (from.port === MDNS_PORT) this.#answerAll(message, from.link);
    else this.#answerOne(message, from);
  }

  /** Whoever had the name first keeps it: they will say so when they are asked again. */
  #conflict(): void {
    if (++this.#conflicts > MAX_CONFLICTS) {
      this.#round++;
      this.#isEstablished = false;
      return;
    }
    if (!this.#isEstablished) this.#responder.rename();
    this.#isEstablished = false;
    this.#establish();
  }

  /** Asks whether the name is free, then makes it known. */
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
        this.#announce(this.#net.links);
      });
    step(PROBES, this.#jitter(PROBE_MS));
  }

  #announce(links: readonly Link[], left = ANNOUNCEMENTS): void {
    const round = this.#round;
    void this.#tell(links, {});
    if (left <= 1) return;
    this.#after(ANNOUNCE_MS, () => {
      if (round === this.#round) this.#announce(links, left - 1);
    });
  }

  async #tell(links: readonly Link[], { isGoodbye = false }): Promise<void> {
    await Promise.all(links.map((link) => {
      this.#toldAt.set(link.name, this.#clock.now());
      const addresses = this.#addressesOf(link);
      return this.#net.send(link, this.#responder.announcement(addresses, isGoodbye));
    }));
  }

  async #refresh(): Promise<void> {
    let fresh: Link[] = [];
    try {
      fresh = await this.#net.refresh();
    } catch {
      // The system does not tell its interfaces just now.
    }
    if (this.#isEstablished && fresh.length > 0) this.#announce(fresh);
  }

  /** Answers everybody on a link: soon, once for all who ask meanwhile, and not too often. */
  #answerAll({ questions, answers, proposed }: Message, link: Link): void {
    const concerned = questions.filter((question) => this.#responder.concerns(question));
    if (concerned.length === 0) return;
    const told = this.#toldAt.get(link.name) ?? -Infinity;
    const rest = told + REPEAT_MS - this.#clock.now();
    if (proposed.length > 0) {
      // Somebody is about to take the name, and asks three times, RFC 6762, §6.
      if (rest <= REPEAT_MS - PROBE_MS) this.#answerNow(concerned, link);
      return;
    }
    const waiting = this.#pending.get(link.name);
    if (waiting) {
      for (const question of concerned) {
        const isAsked = ({ name, type }: Question) =>
          name === question.name && type === question.type;
        if (!waiting.questions.some(isAsked)) waiting.questions.push(question);
      }
      waiting.known.length = 0; // what one knows another may not
      return;
    }
    this.#pending.set(link.name, { questions: concerned, known: [...answers] });
    const delay = DELAY_MIN_MS + this.#jitter(DELAY_SPREAD_MS);
    this.#after(Math.max(rest, delay), () => {
      const { questions, known } = this.#pending.get(link.name)!;
      this.#pending.delete(link.name);
      if (this.#isEstablished) this.#answerNow(questions, link, known);
    });
  }

  #answerNow(questions: readonly Question[], link: Link, known: readonly DnsRecord[] = []): void {
    const answer = this.#responder.answer(questions, this.#addressesOf(link), known);
    if (!answer) return;
    this.#toldAt.set(link.name, this.#clock.now());
    void this.#net.send(link, answer);
  }

  #answerOne(query: Message, from: Origin): void {
    const answer = this.#responder.answerOnce(query, this.#addressesOf(from.link));
    if (answer && ++this.#replies <= MAX_REPLIES) void this.#net.reply(from, answer);
  }

  #addressesOf({ addresses }: Link): HostAddress[] {
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
