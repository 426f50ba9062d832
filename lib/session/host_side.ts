/**
 * A session's own relay as the host of the room: begins, goes on after a restart, and stands by again (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, concat, encodeHex, equalBytes, label } from "../base/bytes.ts";
import { type Primitives, realPrimitives } from "../protocol/primitives.ts";
import type { Entry, List, Offer, Place } from "../protocol/succession.ts";
import type { Hosting } from "./hosting.ts";
import { type Inquiry, type InquiryListener, prove } from "./inquiry.ts";
import { LastShown } from "./last_shown.ts";
import type { OwnPlace } from "./own_place.ts";
import type { PassedOver } from "./passed_over.ts";
import type { RosterMember } from "./roster.ts";
import type { SuccessionOptions } from "./succession_options.ts";
import type { Ways } from "./ways.ts";

/** What it shares with the rest of succession. */
export interface HostSideParts {
  readonly place: OwnPlace | undefined;
  readonly passedOver: PassedOver;
  readonly ways: Ways;
  ask(place: Place, listener: InquiryListener): Inquiry;
  /** As in {@linkcode HostingOptions}. */
  giveWay(to: Entry, inquiry: Inquiry): void;
}

/** Hosts, or does not. */
export class HostSide {
  readonly #options: SuccessionOptions;
  readonly #parts: HostSideParts;
  readonly #primitives: Primitives;
  readonly #lastShown: LastShown;
  #hosting: Hosting | undefined;
  /** The list that was kept last. */
  #keptList: List | undefined;

  constructor(options: SuccessionOptions, parts: HostSideParts) {
    this.#options = options;
    this.#parts = parts;
    this.#primitives = options.primitives ?? realPrimitives;
    this.#lastShown = new LastShown(options.clock);
    options.own?.watchHosts(
      encodeHex(options.room),
      (person, place) => this.#hosting?.visited(person, place),
    );
  }

  /** This process's own relay hosts the room. */
  get isHosting(): boolean {
    return this.#hosting !== undefined;
  }

  /** What is named now; undefined for who does not host. */
  get list(): List | undefined {
    return this.#hosting?.list;
  }

  /** Hosts from the start, after whoever stood before this process in the list that was kept. */
  beginAgain(): void {
    const { lastLists, room, own } = this.#options;
    const { fingerprint } = own!.key;
    const entries = (lastLists.find(room, fingerprint) ?? lastLists.find(room))?.entries ?? [];
    const rank = Math.max(0, entries.findIndex(({ relay }) => equalBytes(relay, fingerprint)));
    const others = entries.filter((entry) => !this.#parts.place!.is(entry));
    this.begin(others.slice(0, rank), others.slice(rank));
  }

  /** Hosts a room that the own relay has opened. The entries are those of {@linkcode HostingOptions}. */
  begin(before: readonly Entry[], behind: readonly Entry[]): void {
    const options = this.#options;
    const { own, network, clock, random, room, key } = options;
    const { passedOver, ask, giveWay } = this.#parts;
    for (const { shown, fingerprint } of options.members()) {
      if (shown) this.#lastShown.add(fingerprint);
    }
    this.#hosting = options.beginHosting({
      own: own!,
      network,
      clock,
      random,
      room,
      person: key.publicKey.fingerprint,
      passedOver,
      lastShown: this.#lastShown,
      mayName: (fingerprint) => options.mayName(fingerprint),
      before,
      behind,
      members: () => options.members(),
      send: (member, message) => options.send(member, message),
      ask,
      prove: (place, signal) => this.#prove(place, signal),
      verify: (key, context, message, signature) =>
        this.#primitives.verifyEd25519(key, concat(label(context), message), signature),
      pinned: (start) => options.pinned(start),
      giveWay,
    });
  }

  async #prove(place: Place, signal: AbortSignal): Promise<Bytes | undefined> {
    const [address] = place.addresses;
    if (address === undefined) return undefined;
    const way = this.#parts.ways.at(address, place.port);
    return await prove(way, place.relay, { ...this.#options, signal });
  }

  /** What this host names is kept, in case it starts again. */
  keepList(): void {
    const { list } = this;
    if (!list || list === this.#keptList) return;
    this.#keptList = list;
    this.#options.lastLists.keep(this.#options.room, list);
  }

  /** The own relay stands by again. @returns What it named last. */
  rest(): List {
    const hosting = this.#hosting!;
    const { list } = hosting;
    this.#hosting = undefined;
    hosting.stop();
    this.#options.own!.shut(encodeHex(this.#options.room));
    return list;
  }

  /** A member's channel is live. */
  ready(member: RosterMember): void {
    this.#lastShown.add(member.fingerprint);
    this.#hosting?.ready(member);
  }

  /** STANDBY of a member. */
  offered(member: RosterMember, offer: Offer | undefined): void {
    this.#hosting?.offered(member, offer);
  }

  /** A member has left. @param why Of LEFT, §5. */
  left(member: RosterMember, why: number): void {
    this.#hosting?.left(member, why);
  }

  /** Asks and names nobody any more; the room stays open. */
  stop(): void {
    this.#hosting?.stop();
  }
}
