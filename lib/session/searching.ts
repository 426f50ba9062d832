/**
 * The searches of a session for a room whose host is gone: with what each begins, how a relay is asked, and when a search
 * is over (PROTOCOL.md §14).
 *
 * @module
 */

import { isLoopback } from "../base/ip.ts";
import type { Entry, Place } from "../protocol/succession.ts";
import { ANY_PORT } from "./first_lists.ts";
import type { HeldLists } from "./held_lists.ts";
import { Inquiry, INQUIRY_MS, type InquiryListener, SEARCH_INQUIRY_MS } from "./inquiry.ts";
import type { OwnPlace } from "./own_place.ts";
import { keyOf, type PassedOver } from "./passed_over.ts";
import { type Found, Search } from "./search.ts";
import type { SuccessionOptions } from "./succession_options.ts";
import type { LastHost, Ways } from "./ways.ts";

/** A search that takes longer is reported. */
const LONG_SEARCH_MS = 4000;

/** How the host was lost, as {@linkcode SearchOptions} has it. */
export interface Loss {
  readonly hostClosed: boolean;
  readonly keepsConnection: boolean;
}

/** What it shares with the rest of succession. */
export interface SearchingParts {
  readonly lists: HeldLists;
  readonly ways: Ways;
  /** Undefined for a guest. */
  readonly own: OwnPlace | undefined;
  readonly passedOver: PassedOver;
  host(): LastHost | undefined;
  /** This process's own relay hosts the room. */
  hosts(): boolean;
  /** A search is about to be over: looks whether something was heard after all, which may end it. */
  listen(): void;
  found(found: Found<Inquiry>): void;
}

/** At most one search at a time. */
export class Searching {
  readonly #options: SuccessionOptions;
  readonly #parts: SearchingParts;
  #search: Search<Inquiry> | undefined;
  #loss: Loss = { hostClosed: false, keepsConnection: false };
  /** Since when a host is searched for, over all searches up to a WELCOME. */
  #since: number | undefined;
  #isReported = false;
  /** The own relay could not be prepared to host, since the last WELCOME. */
  #isUnfit = false;

  constructor(options: SuccessionOptions, parts: SearchingParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** The host had said that it goes, when the last search began. */
  get hostClosed(): boolean {
    return this.#loss.hostClosed;
  }

  /** Asks everybody in the order. @param loss As the last time, unless told. */
  begin(loss: Loss = this.#loss): void {
    const { clock, random, members } = this.#options;
    const { own, passedOver } = this.#parts;
    this.#loss = loss;
    this.#since ??= clock.now();
    this.#search?.stop();
    const { order, earlier } = this.order();
    const isOwn = (place: Place) => own?.is(place) ?? false;
    const ownIndex = order.findIndex(isOwn);
    const search = this.#search = new Search<Inquiry>({
      clock,
      random,
      order,
      earlier,
      own: ownIndex > 0 && this.#mayHost ? ownIndex : undefined,
      isOwn,
      ...loss,
      members: [...members()].length,
      passedOver,
      ask: (place, isHost, listener) =>
        this.ask(place, listener, { isHost, limitMs: SEARCH_INQUIRY_MS }),
    });
    void search.found.then((found) => {
      this.#parts.listen(); // something may have come at the last moment
      if (search !== this.#search) return;
      this.#search = undefined;
      this.#parts.found(found);
    });
  }

  /** The own relay cannot host: the others are asked again. */
  beginUnfit(): void {
    this.#isUnfit = true;
    this.begin();
  }

  /** Where the room may be; see {@linkcode HeldLists.order}. */
  order(): { order: Entry[]; earlier: Entry[] } {
    return this.#parts.lists.order(this.#parts.host()?.place);
  }

  /** The connection to the host that was kept has ended. */
  lostConnection(): void {
    this.#search?.lostConnection();
  }

  /** The host was heard after all: nothing has happened. */
  cancel(): void {
    if (this.#isReported) this.#options.searching(this.#parts.lists.namer, false);
    this.end();
  }

  /** Asks nobody any more. */
  end(): void {
    this.#search?.stop();
    this.#search = undefined;
    this.#since = undefined;
    this.#isReported = false;
  }

  /** In a room again. */
  welcomed(): void {
    this.end();
    this.#isUnfit = false;
  }

  /** Tells, once, that it takes long. */
  report(): void {
    if (this.#since === undefined || this.#isReported) return;
    if (this.#options.clock.now() - this.#since < LONG_SEARCH_MS) return;
    this.#isReported = true;
    this.#options.searching(this.#parts.lists.namer, true);
  }

  /** Nobody else could come to a relay with loopback addresses alone, unless they were there before. */
  get #mayHost(): boolean {
    const { own } = this.#parts;
    if (this.#isUnfit) return false;
    if (!own?.isOnLoopback) return own !== undefined;
    const host = this.#parts.host();
    return host
      ? host.remote !== undefined && isLoopback(host.remote)
      : this.#options.lookAgain !== undefined;
  }

  /** Asks a relay where the room is. @param options.isHost It is the host of the order. */
  ask(
    place: Place,
    listener: InquiryListener,
    { isHost = false, limitMs = INQUIRY_MS } = {},
  ): Inquiry {
    const { lists, own } = this.#parts;
    const { home } = this.#options;
    const host = this.#parts.host();
    const ways = this.#parts.ways.to(place, lists.newest);
    // Where this relay was reached last, and no other.
    const isLast = host?.place ? keyOf(host.place) === keyOf(place) : !host;
    if (isHost && isLast) ways.unshift(host?.way ?? home);
    else if (place.port === ANY_PORT) ways.unshift(home);
    const asker = this.#parts.hosts() ? own!.entry : undefined;
    const target = { ways, expected: place.relay, own: asker, limitMs };
    return new Inquiry(target, this.#options, listener);
  }
}
