/**
 * The connections of a session, one after the other: attempts, waits, what ends them for good, and the moves to other
 * relays (PROTOCOL.md §5, §8, §14).
 *
 * @module
 */

import { Backoff } from "../base/backoff.ts";
import type { UsageError } from "../base/errors.ts";
import type { Frame } from "../protocol/frames.ts";
import { REASON } from "../protocol/frames.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { isZero } from "../base/bytes.ts";
import type { ByteStream } from "../transport/mod.ts";
import type { SessionEvent } from "./events.ts";
import type { HeadStart } from "./head_start.ts";
import type { Hop } from "./hop.ts";
import { PasswordError } from "./join.ts";
import { ChangedKeyError } from "./known_servers.ts";
import { type Destination, type Ended, Link, type LinkListener, type LinkOptions } from "./link.ts";
import type { Succession } from "./succession.ts";

/** A connection that has lasted this long since its WELCOME resets the delay, §5. */
const STABLE_MS = 30_000;
/** A relay that says that the room is there answers JOIN within this time, §14, also when all join at once. */
const WELCOME_MS = 10_000;
/** The wait before the relay is joined again that this client was at, while others may be found, too. */
const MAX_BACK_MS = 4000;
/** Where a host that was found refuses with one of these, the next is tried, §14. */
const PASSED_OVER: ReadonlySet<number | undefined> = new Set([
  REASON.NOT_ALLOWED,
  REASON.FULL,
  REASON.WEAK_KEY,
]);

interface ConnectorOptions extends LinkOptions {
  /** The name of the room. */
  readonly name: string;
  /** `host:port` as in `known_servers`. */
  readonly address: string;
  readonly askPassword?: ((missing: boolean) => Promise<string | undefined>) | undefined;
  /** The first attempt to connect may fail as any other. */
  readonly keepsTrying?: boolean;
  /** The first connection, where it is begun already. */
  readonly headStart?: HeadStart | undefined;
  /** Connects to the relay that the session begins with. */
  dial(signal: AbortSignal): Promise<ByteStream>;
  emit(event: SessionEvent): void;
  /**
   * WELCOME: this is the live connection now.
   *
   * @param follows The room was lost and found there, §14.
   */
  welcomed(link: Link, frame: Extract<Frame, { type: "welcome" }>, follows: boolean): void;
  frame(frame: Frame): void;
  drained(): void;
  /** The live connection is gone. */
  lost(): void;
}

/** Keeps a session connected. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #stopping = new AbortController();
  readonly #backoff = new Backoff();
  /** Set where the room may move; before {@linkcode Connector.run}. */
  succession: Succession | undefined;
  #live: Link | undefined;
  #attempt: Link | undefined;
  /** Where the attempt leads; undefined for the relay that the session began with. */
  #hop: Hop | undefined;
  #next: Promise<Hop | undefined> | undefined;
  #pinned: Promise<void> | undefined;
  #welcomedAt = Infinity;
  #wasWelcomed = false;
  /** A proof of the password was sent in this process. */
  #everProved = false;
  /** The warning that the server's key has changed was given since the last WELCOME. */
  #warned = false;
  /** The fingerprint of the known server that this address was said to be of. */
  #introduced: string | undefined;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** The connection that has had its WELCOME. */
  get live(): Link | undefined {
    return this.#live;
  }

  /** Failed or ended connections since the last one that lasted. */
  get attempts(): number {
    return this.#backoff.attempts;
  }

  /** Aborted once the session is to end. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * Connects, and reconnects after every loss, until {@linkcode Connector.stop} or a final refusal.
   *
   * @throws {UsageError} The final refusal, with a hint.
   * @throws What `dial` throws, on the first attempt only.
   */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    let hop: Hop | undefined;
    for (let first = true; !signal.aborted; first = false) {
      if (hop) await this.#follow(hop);
      else if (await this.#begin(first)) continue; // with another password
      hop = this.#live && await this.#stay(this.#live);
      if (hop || this.#live || signal.aborted) continue;
      hop = await this.#findNext();
      if (!hop && !signal.aborted) await this.#pause();
    }
  }

  /** Leaves with CLOSE(0), and ends {@linkcode Connector.run}. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.succession?.stop();
    const { headStart } = this.#options;
    await Promise.all([this.#live?.close(), this.#attempt?.close(), headStart?.stop()]);
  }

  /** Resolves when the pin of the last relay is written. */
  async flush(): Promise<void> {
    await this.#pinned;
  }

  // --- Where the session began ---

  /** @returns Whether to try again at once. */
  async #begin(first: boolean): Promise<boolean> {
    const link = await this.#open(first);
    const ended = link && await this.#settle(link);
    if (!ended || this.#stopping.signal.aborted) return false;
    if (ended.final instanceof PasswordError && await this.#askPassword(ended.final)) return true;
    if (ended.closed === REASON.ELSEWHERE && this.succession) {
      this.succession.elsewhere(link);
      return false;
    }
    this.#options.emit({ event: "disconnected", reason: ended.reason });
    if (await this.#passOver(link, ended)) return false;
    if (ended.final) throw ended.final;
    return false;
  }

  /** @returns Whether another host of the room is searched for, at first contact. */
  async #passOver(link: Link, { closed, reason }: Ended): Promise<boolean> {
    if (this.#wasWelcomed || !PASSED_OVER.has(closed)) return false;
    if (!await this.succession?.refused(link)) return false;
    const { emit, address } = this.#options;
    emit({ event: "notice", text: `the host at ${address} refused: ${reason}` });
    return true;
  }

  /** Only a failure of the first attempt ends the program, and only if no list says where else the room may be. */
  async #open(first: boolean): Promise<Link | undefined> {
    const { headStart, address, dial } = this.#options;
    const { signal } = this.#stopping;
    try {
      if (first && headStart) {
        return this.#attempt = await headStart.take(this.#listenFor(undefined));
      }
      const stream = await dial(signal);
      if (!signal.aborted) return this.#makeLink({ address }, undefined).open(stream);
      stream.close();
      return undefined;
    } catch (error) {
      const mayEnd = first && !this.#options.keepsTrying && !this.#stopping.signal.aborted;
      if (mayEnd && !this.#searchKept()) throw error;
      return undefined;
    }
  }

  /** Searches with the list that was kept of this relay, if there is one. */
  #searchKept(): boolean {
    const { knownServers, address } = this.#options;
    const fingerprint = knownServers.find(address)?.fingerprint;
    return fingerprint !== undefined && (this.succession?.searchKept(fingerprint) ?? false);
  }

  /** @returns Whether there is a password to try. */
  async #askPassword({ missing }: PasswordError): Promise<boolean> {
    const { askPassword, password } = this.#options;
    if (this.#wasWelcomed || !askPassword) return false;
    const stopped = Promise.withResolvers<undefined>();
    this.#stopping.signal.addEventListener("abort", () => stopped.resolve(undefined), {
      once: true,
    });
    const answer = await Promise.race([askPassword(missing), stopped.promise]);
    if (answer === undefined) return false;
    password.change(answer);
    return true;
  }

  /** §5: each delay is shortened by a random factor of 0.5 to 1. */
  async #pause(limitMs = Infinity): Promise<void> {
    const { clock, random, emit } = this.#options;
    const full = this.#backoff.next() * (0.5 + (random(1)[0]! / 255) * 0.5);
    const delay = Math.min(full, limitMs);
    emit({ event: "reconnecting", seconds: Math.round(delay / 100) / 10 });
    await new Promise<void>((resolve) => {
      const timer = clock.after(delay, resolve);
      this.#stopping.signal.addEventListener("abort", () => {
        clock.cancel(timer);
        resolve();
      }, { once: true });
    });
  }

  // --- One connection ---

  #makeLink(destination: Destination, hop: Hop | undefined): Link {
    return this.#attempt = new Link(this.#options, destination, this.#listenFor(hop));
  }

  #listenFor(hop: Hop | undefined): LinkListener {
    this.#hop = hop;
    return {
      connected: (link, isTold = false) => {
        if (!hop) this.#connected(link, isTold);
      },
      welcomed: (link, frame) => this.#welcomed(link, frame),
      frame: (frame) => this.#options.frame(frame),
      drained: () => this.#options.drained(),
      failed: (error) => this.#options.emit(error),
    };
  }

  /** Waits for the WELCOME. @returns How the link ended before. */
  async #settle(link: Link): Promise<Ended | undefined> {
    const ended = await link.settled;
    this.#attempt = undefined;
    this.#everProved ||= link.isLocked;
    if (link.pinned) this.#pinned = link.pinned;
    return ended && this.#soften(ended);
  }

  #connected(link: Link, isTold: boolean): void {
    const { address, knownServers, emit } = this.#options;
    const { connectedEvent } = link;
    const { fingerprint } = connectedEvent;
    if (!isTold) emit(connectedEvent);
    const before = knownServers.addressOf(fingerprint);
    if (
      link.judged === "known" && knownServers.find(address) === undefined &&
      before !== undefined && this.#introduced !== fingerprint
    ) {
      this.#introduced = fingerprint;
      const text = `${address} is a new address of a known server: its key is that of ${before}`;
      emit({ event: "notice", text });
    }
  }

  #welcomed(link: Link, frame: Extract<Frame, { type: "welcome" }>): void {
    const { emit, name, clock } = this.#options;
    const hop = this.#hop;
    if (this.#live) this.#drop(this.#live, "moved"); // it was kept until now
    this.#live = link;
    const hasMoved = this.succession?.welcomed(link, hop) ?? false;
    if (hop) this.#arrive(link, hop, hasMoved);
    const { length: members } = frame.members;
    emit({ event: "welcome", room: name, members, authenticated: link.authentication });
    if (!link.isBare && !link.isAnswered) {
      emit({ event: "notice", text: "the server did not show that it knows the password" });
    }
    const follows = this.#wasWelcomed && hop !== undefined && !hop.keepsOld;
    this.#options.welcomed(link, frame, follows);
    this.#welcomedAt = clock.now();
    this.#wasWelcomed = true;
    this.#warned = false;
  }

  #arrive(link: Link, hop: Hop, hasMoved: boolean): void {
    const { emit } = this.#options;
    const { connectedEvent } = link;
    const { address, fingerprint } = connectedEvent;
    emit(connectedEvent);
    if (!hasMoved) return;
    const { person } = hop.place;
    emit({
      event: "moved",
      address,
      fingerprint,
      host: isZero(person) ? null : encodeFingerprint(person),
      by: hop.by ?? null,
      own: !hop.inquiry,
    });
  }

  /** Waits until the live connection ends or the room moves. @returns Where to. */
  async #stay(link: Link): Promise<Hop | undefined> {
    const ended = link.ended.then((how) => ({ how }));
    const moved = this.#findNext().then((hop) => ({ hop }));
    const first = await Promise.race([ended, moved]);
    if ("hop" in first) return first.hop;
    this.#lose();
    if (this.#stopping.signal.aborted) return undefined;
    const { how } = first;
    this.#options.emit({ event: "disconnected", reason: how.reason });
    if (how.final) throw how.final;
    this.succession?.ended(how);
    return undefined;
  }

  /** Drops the live connection without CLOSE. */
  #drop(link: Link, reason: string): void {
    this.#lose();
    link.drop();
    this.#options.emit({ event: "disconnected", reason });
  }

  #lose(): void {
    if (this.#options.clock.now() - this.#welcomedAt >= STABLE_MS) this.#backoff.reset();
    this.#welcomedAt = Infinity;
    this.#live = undefined;
    this.#options.lost();
  }

  // --- Moves ---

  /** The next hop; undefined without succession, and where the session goes on as it began. */
  #findNext(): Promise<Hop | undefined> {
    if (!this.succession) {
      return this.#live ? new Promise(() => {}) : Promise.resolve(undefined);
    }
    this.#next ??= this.succession.next().finally(() => this.#next = undefined);
    return this.#next;
  }

  /** Tries where the room is said to be. */
  async #follow(hop: Hop): Promise<void> {
    const { clock } = this.#options;
    const succession = this.succession!;
    const { place, inquiry, mustProve } = hop;
    if (!hop.keepsOld && this.#live) {
      this.#drop(this.#live, "timeout");
      succession.dropped();
    }
    if (hop.isBack) await this.#pause(MAX_BACK_MS);
    if (this.#stopping.signal.aborted) return inquiry?.close();
    if (inquiry && !inquiry.isOpen) return succession.missed(hop);
    const link = inquiry
      ? this.#makeLink({ address: inquiry.way.address, named: place.relay, mustProve }, hop)
      : await this.#linkToOwn(hop);
    if (!link) return succession.failed(hop, { reason: "cut" });
    // The own relay tells no lies: if it is slow, dropping it makes it slower.
    const timer = inquiry && clock.after(WELCOME_MS, () => link.drop());
    if (inquiry) link.take(inquiry);
    const ended = await this.#settle(link);
    clock.cancel(timer);
    if (ended && !this.#stopping.signal.aborted) succession.failed(hop, ended);
  }

  async #linkToOwn(hop: Hop): Promise<Link | undefined> {
    try {
      const stream = await this.succession!.dialOwn(this.#stopping.signal);
      const address = `localhost:${hop.place.port}`;
      return this.#makeLink({ address, named: hop.place.relay }, hop).open(stream);
    } catch {
      return undefined;
    }
  }

  // --- Ends ---

  /** §8: a stray server at a known address does not end a session that has been in the room. */
  #soften(ended: Ended): Ended {
    const { final, reason } = ended;
    if (final instanceof ChangedKeyError && this.#wasWelcomed) {
      this.#warnOf(final);
      return { reason };
    }
    // §3: a different version is final at first contact.
    if (reason !== "version") return ended;
    const { address, knownServers } = this.#options;
    return knownServers.find(address) || this.#everProved ? { reason } : ended;
  }

  #warnOf({ message, hints }: UsageError): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.emit({ event: "error", code: "changed-key", message, hint: hints.join("; ") });
  }
}
