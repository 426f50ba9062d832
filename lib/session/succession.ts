/**
 * The door of succession to a session: where the room is, who may host it next, and when to go there (PROTOCOL.md §14).
 *
 * @module
 */

import { encodeHex, equalBytes } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { REASON, WHY } from "../protocol/frames.ts";
import { realPrimitives } from "../protocol/primitives.ts";
import {
  type Entry,
  type List,
  type Place,
  type SignedList,
  STATE,
} from "../protocol/succession.ts";
import type { ByteStream } from "../transport/mod.ts";
import { Beforehand } from "./beforehand.ts";
import { firstPlace, listOf, NO_PERSON } from "./first_lists.ts";
import { HeldLists } from "./held_lists.ts";
import type { Hop } from "./hop.ts";
import { HostSide } from "./host_side.ts";
import type { Inquiry } from "./inquiry.ts";
import type { Ended, Link } from "./link.ts";
import { ListChecks, type Verdict } from "./list_checks.ts";
import { Offering } from "./offering.ts";
import { OwnPlace } from "./own_place.ts";
import { keyOf, PassedOver } from "./passed_over.ts";
import type { SuccessionMessage } from "./peer_channel.ts";
import type { RosterMember } from "./roster.ts";
import { ASLEEP_MS, type Found } from "./search.ts";
import { type Loss, Searching } from "./searching.ts";
import { type Standing, standingOf } from "./standing.ts";
import type { SuccessionOptions } from "./succession_options.ts";
import { type LastHost, Ways } from "./ways.ts";

/** A host that was not heard for this long may be gone. */
export const SUSPECT_MS = 5000;
/** Who has heard the host within this time says where the room is. */
const FRESH_MS = 4000;
const TICK_MS = 250;
/** How often the addresses of the own relay are compared with those that were offered. */
const ADDRESSES_MS = 5000;
/** A relay that twice ends a connection within this time of its WELCOME is passed over. */
const STABLE_MS = 30_000;

/** Where the room is, and where it goes. */
export class Succession {
  readonly #options: SuccessionOptions;
  readonly #room: string;
  readonly passedOver: PassedOver;
  readonly #beforehand: Beforehand;
  readonly #lists: HeldLists;
  readonly #checks = new ListChecks<RosterMember>((member, list) => this.#takeList(member, list));
  readonly #searching: Searching;
  /** Where the own relay is; undefined for a guest. */
  readonly #own: OwnPlace | undefined;
  readonly #hostSide: HostSide;
  /** Undefined for who does not stand by. */
  readonly #offering: Offering | undefined;
  #host: LastHost | undefined;
  /** What is searched for: silence while the connection is kept, or a new place after its loss. */
  #phase: "home" | "up" | "silent" | "search" = "home";
  #next: PromiseWithResolvers<Hop | undefined> | undefined;
  /** Found before the session has asked. */
  #hop: Hop | undefined;
  /** The host's person has left the room for good: it is not lost, and is not waited for. */
  #hasHostLeft = false;
  #shortLives = new Map<string, number>();
  #timer: Timer | undefined;
  #tickedAt = 0;
  #addressesAt = 0;
  /** So much of the present silence was this computer's own. */
  #forgivenMs = 0;
  #isStopped = false;

  constructor(options: SuccessionOptions) {
    this.#options = options;
    const { room, own, clock, lastLists, standsBy, primitives = realPrimitives } = options;
    const person = options.key.publicKey.fingerprint;
    this.#room = encodeHex(room);
    this.passedOver = new PassedOver(clock);
    this.#beforehand = new Beforehand(clock, options.joinKey);
    this.#own = own && new OwnPlace(own, person);
    const isOwn = (place: Place) => this.#isOwn(place);
    this.#lists = new HeldLists({ room, primitives, lastLists, isOwn });
    const ways = new Ways(options.network, () => this.#host);
    const { passedOver } = this;
    this.#searching = new Searching(options, {
      lists: this.#lists,
      ways,
      own: this.#own,
      passedOver,
      host: () => this.#host,
      hosts: () => this.hosts,
      listen: () => this.#listen(),
      found: (found) => this.#found(found),
    });
    this.#hostSide = new HostSide(options, {
      place: this.#own,
      passedOver,
      ways,
      ask: (place, listener) => this.#searching.ask(place, listener),
      giveWay: (to, inquiry) => this.#giveWay(to, inquiry),
    });
    if (own && standsBy) {
      const send = options.send.bind(options);
      this.#offering = new Offering({ own, clock, room, person, send });
    }
    if (options.hosts && own) {
      this.#hostSide.beginAgain();
      this.#watch();
    }
  }

  /** This process's own relay hosts the room. */
  get hosts(): boolean {
    return this.#hostSide.isHosting;
  }

  /** A list is held: the room may move, and who is lost is expected to come along. */
  get isWatchful(): boolean {
    return this.hosts || this.#lists.newest !== undefined;
  }

  /** The newest list, or the own one. */
  get list(): List | undefined {
    return this.#hostSide.list ?? this.#lists.newest;
  }

  /** Who hosts and who may; undefined while no list says it. */
  get standing(): Standing | undefined {
    const { list } = this;
    const isFirst = this.#host === undefined || this.#host.way === this.#options.home;
    return standingOf(list, { isFirst, own: this.#ownStanding(list) });
  }

  #ownStanding(list: List | undefined): Standing["own"] {
    if (this.hosts) return "hosts";
    if (list?.entries.slice(list.at + 1).some((entry) => this.#isOwn(entry))) return "stands by";
    if (!this.#offering?.member) return "guest";
    return this.#offering.isLate ? "not named" : "offered";
  }

  /** A new place is being searched for. */
  get searching(): boolean {
    return this.#phase === "search";
  }

  // --- The connection ---

  /** WELCOME. @returns Whether the room has moved to another relay. */
  welcomed(link: Link, hop: Hop | undefined): boolean {
    const relay = link.relay.fingerprint;
    const hasMoved = this.#host !== undefined && !equalBytes(this.#host.relay, relay);
    if (hop && this.hosts && !this.#isOwn(hop.place)) this.#rest();
    this.#searching.welcomed();
    this.#hasHostLeft = false;
    this.#host = {
      relay,
      session: link.session,
      way: hop ? hop.inquiry?.way ?? this.#own!.way : this.#options.home,
      place: hop?.place ?? (hasMoved ? undefined : this.#host?.place),
      local: link.localAddress,
      remote: link.remoteAddress,
      isLocked: link.isLocked,
      isAnswered: link.isAnswered,
      welcomedAt: this.#options.clock.now(),
    };
    this.#phase = "up";
    this.#offering?.forget();
    this.#forgivenMs = 0;
    if (this.isWatchful) this.#watch();
    this.#tell();
    return hasMoved;
  }

  /** From now on silence is noticed soon. */
  #watch(): void {
    this.#options.live()?.connection.watch();
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#tickedAt = this.#options.clock.now();
    this.#timer = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    const { clock, live } = this.#options;
    const now = clock.now();
    const late = now - this.#tickedAt - TICK_MS;
    this.#tickedAt = now;
    if (late >= ASLEEP_MS) this.#forgivenMs = live()?.connection.silentMs ?? 0;
    else this.#forgivenMs += late;
    this.#listen();
    if (now - this.#addressesAt >= ADDRESSES_MS) {
      this.#addressesAt = now;
      const { member } = this.#offering ?? {};
      if (member) void this.#offer(member);
    }
    this.#searching.report();
    this.#hostSide.keepList();
    this.#tell();
    this.#timer = clock.after(TICK_MS, () => this.#tick());
  }

  /** Looks for how long nothing was heard on the live connection. */
  #listen(): void {
    const silentMs = this.#options.live()?.connection.silentMs;
    if (silentMs === undefined) return;
    if (silentMs < this.#forgivenMs) this.#forgivenMs = 0;
    if (!this.hosts) this.#silent(silentMs - this.#forgivenMs);
  }

  /** Nothing was heard on the live connection for so long. */
  #silent(ms: number): void {
    if (this.#phase === "up" && ms >= SUSPECT_MS && this.#lists.newest) {
      this.#phase = "silent";
      this.#beginSearch({ hostClosed: false, keepsConnection: true });
    } else if (this.#phase === "silent" && ms < SUSPECT_MS) {
      this.#searching.cancel();
      this.#phase = "up";
    }
  }

  /** The live connection has ended: what came on it before is looked at first. */
  ended(how: Ended): void {
    const { done } = this.#checks;
    if (done) void done.then(() => this.#ended(how));
    else this.#ended(how);
  }

  #ended({ closed }: Ended): void {
    const { clock } = this.#options;
    const host = this.#host;
    if (this.#phase === "home" || !host) return;
    if (clock.now() - host.welcomedAt < STABLE_MS && host.place) this.#lived(host.place);
    const hostClosed = closed === REASON.SHUTTING_DOWN && !this.#lists.isNewestOwn;
    if (this.hosts) {
      this.#phase = "search";
      this.#offerHop(this.#ownHop());
    } else if (!this.#lists.newest) {
      this.#phase = "home";
      this.#offerHop(undefined);
    } else if (this.#phase === "silent" && !hostClosed) {
      this.#phase = "search";
      this.#searching.lostConnection();
    } else {
      this.#phase = "search";
      this.#beginSearch({ hostClosed, keepsConnection: false });
    }
    this.#tell();
  }

  /** A connection did not last: the second time its relay is passed over. */
  #lived(place: Entry): void {
    const key = keyOf(place);
    const times = (this.#shortLives.get(key) ?? 0) + 1;
    this.#shortLives.set(key, times);
    if (times < 2) return;
    this.#shortLives.delete(key);
    this.passedOver.lied(place);
  }

  /** The session has dropped the old connection, for a hop. */
  dropped(): void {
    this.#phase = "search";
    this.#tell();
  }

  /** A hop did not lead to a WELCOME: the search goes on where it was. */
  failed(hop: Hop, { closed, final }: Ended): void {
    const isRefusal = final !== undefined ||
      closed !== undefined && closed !== REASON.ELSEWHERE && closed !== REASON.SHUTTING_DOWN;
    if (!hop.inquiry) return this.#offerHop({ ...this.#ownHop(), isBack: true }); // but not at once
    if (isRefusal) this.passedOver.refused(hop.place);
    else this.passedOver.lied(hop.place, !hop.keepsOld && this.#lists.isNewestOwn);
    this.missed(hop);
  }

  /** The connection of a hop has ended before the JOIN, perhaps in §5's wait: nobody is to blame. */
  missed({ keepsOld }: Hop): void {
    if (keepsOld) return;
    this.#phase = "search";
    this.#beginSearch();
  }

  /** The next connection; pending while nothing moves, undefined to go where the session began, after §5's waits. */
  next(): Promise<Hop | undefined> {
    const hop = this.#hop;
    this.#hop = undefined;
    if (hop || this.#phase === "home") return Promise.resolve(hop);
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  #offerHop(hop: Hop | undefined): void {
    if (this.#next) this.#next.resolve(hop);
    else this.#hop = hop;
    this.#next = undefined;
  }

  /** Ends everything, but for the room of the own relay. */
  stop(): void {
    this.#isStopped = true;
    this.#options.clock.cancel(this.#timer);
    this.#searching.end();
    this.#hostSide.stop();
    this.#phase = "home";
    this.#offerHop(undefined);
  }

  // --- The search ---

  /**
   * The server was not reached: searches with the list that was kept of it.
   *
   * @param fingerprint The relay's, `SHA256:…`.
   * @returns Whether there is one that names somebody else.
   */
  searchKept(fingerprint: string): boolean {
    const { lastLists, room, pinned } = this.#options;
    const relay = pinned(fingerprint);
    const list = relay && lastLists.find(room, relay);
    if (!list || list.entries.length < 2) return false;
    this.#begin(list);
    return true;
  }

  /** A relay has said, at first contact, that the room is not there: asks it where else. */
  elsewhere(link: Link): void {
    this.#begin(listOf([firstPlace(link)]));
  }

  /**
   * A host that was found has refused this client at first contact: the next is tried, and this process hosts if there
   * is none. It goes on asking whom the last list has named: the room may move to one that does not refuse.
   *
   * @returns Whether there is anything to try.
   */
  async refused(link: Link): Promise<boolean> {
    const { own, lookAgain, lastLists, room } = this.#options;
    const first = firstPlace(link);
    const found = await lookAgain?.(first.relay);
    if (!found || !own && found.length === 0) return false;
    this.passedOver.refused(first);
    const named = (lastLists.find(room)?.entries ?? [])
      .filter(({ relay }) => !equalBytes(relay, first.relay));
    this.#begin(listOf([first, ...found, ...(own ? [this.#own!.entry, ...named] : [])]));
    return true;
  }

  #begin(list: List): void {
    this.#lists.begin(list);
    this.#phase = "search";
    this.#beginSearch({ hostClosed: false, keepsConnection: false });
  }

  /** Connects to the relay of this process. */
  dialOwn(signal: AbortSignal): Promise<ByteStream> {
    return this.#options.own!.dial(signal);
  }

  /** @param loss As the last time, unless told. */
  #beginSearch(loss?: Loss): void {
    this.#searching.begin(loss);
    this.#watch();
  }

  #isOwn(place: Pick<Place, "relay" | "port">): boolean {
    return this.#own?.is(place) ?? false;
  }

  #found(found: Found<Inquiry>): void {
    if (found.type === "host") return void this.#open();
    const { entry, question } = found;
    this.#offerHop({
      place: { person: NO_PERSON, ...entry },
      inquiry: question,
      keepsOld: false,
      mustProve: this.#host?.isAnswered ?? false,
      isBack: this.#phase === "search" && equalBytes(this.#host?.relay ?? NO_PERSON, entry.relay),
      by: this.#lists.namer,
    });
  }

  /** All before this process are out: its own relay opens the room. */
  async #open(): Promise<void> {
    const { own, joinKey } = this.#options;
    if (!await own!.prepare()) {
      if (!this.#isStopped) this.#searching.beginUnfit();
      return;
    }
    const { order, earlier } = this.#searching.order();
    const rank = order.findIndex((entry) => this.#isOwn(entry));
    const isLocked = this.#host?.isLocked ?? true; // at the start it is for whoever started this
    const key = isLocked ? await joinKey(own!.key.fingerprint) : undefined;
    if (this.#isStopped) return;
    own!.open(this.#room, key);
    // A host that has quit is not one that was lost.
    const first = this.#hasHostLeft && this.#searching.hostClosed ? 1 : 0;
    this.#hostSide.begin([...earlier, ...order.slice(first, rank)], order.slice(rank + 1));
    this.#watch();
    this.#offerHop(this.#ownHop());
  }

  #ownHop(): Hop {
    return {
      place: this.#own!.entry,
      inquiry: undefined,
      keepsOld: false,
      mustProve: false,
      isBack: false,
      by: this.#lists.namer,
    };
  }

  // --- Hosting ---

  #giveWay(to: Entry, inquiry: Inquiry): void {
    const { own } = this.#options;
    const isAlone = own!.others(this.#room) === 0;
    const hop = {
      place: to,
      inquiry,
      keepsOld: isAlone,
      mustProve: this.#host?.isAnswered ?? false,
      isBack: false,
      by: undefined,
    };
    if (isAlone) return this.#offerHop(hop);
    // The room ends here with CLOSE(7), for this client, too, which then looks for the other like everybody.
    inquiry.close();
    this.#rest();
  }

  /** The own relay stands by again. */
  #rest(): void {
    this.#lists.remember(this.#hostSide.rest());
  }

  /** What others are answered who ask this process's relay. */
  #tell(): void {
    const { own, live } = this.#options;
    if (!own || this.hosts) return;
    const place = this.#host?.place;
    const silentMs = (live()?.connection.silentMs ?? Infinity) - this.#forgivenMs;
    const isFresh = (this.#phase === "up" || this.#phase === "silent") && silentMs < FRESH_MS;
    if (isFresh && place) own.tell(this.#room, { state: STATE.AT_PLACE, place });
    else own.tell(this.#room, { state: this.#lists.newest ? STATE.LOST : STATE.UNKNOWN });
  }

  // --- Members ---

  /** A member's channel is live. */
  ready(member: RosterMember): void {
    this.#offering?.forget(member);
    if (this.#isOfHost(member)) this.#hasHostLeft = false;
    this.#hostSide.ready(member);
  }

  /** STANDBY or SUCCESSION of a member. */
  message(member: RosterMember, message: SuccessionMessage): void {
    if (message.type === "standby") this.#hostSide.offered(member, message.offer);
    else if (!this.hosts) this.#checks.take(member, message);
  }

  /** A member has left. @param why Of LEFT, §5. */
  left(member: RosterMember, why: number): void {
    this.#offering?.forget(member);
    if (this.#isOfHost(member)) this.#hasHostLeft = why === WHY.LEFT;
    this.#hostSide.left(member, why);
  }

  #isOfHost({ fingerprint }: RosterMember): boolean {
    const person = this.#host?.place?.person;
    return person !== undefined && equalBytes(person, fingerprint);
  }

  /** A list counts if it is the host's own word, signed by its relay. */
  async #takeList(member: RosterMember, signed: SignedList): Promise<Verdict> {
    const host = this.#host;
    const { list } = signed;
    const entry = list.entries[list.at]!;
    if (!host || !equalBytes(entry.person, member.fingerprint)) return "ignored";
    if (!equalBytes(entry.relay, host.relay)) return "ignored";
    if (!await this.#lists.isGenuine(signed, host.relay, host.session)) return "forged";
    if (this.#host !== host && !equalBytes(this.#host!.session, host.session)) return "ignored";
    if (this.hosts || !this.#lists.take(list, host.session)) return "ignored";
    this.#host = { ...this.#host!, place: entry };
    this.#watch();
    this.#beforehand.prepare(
      list.entries.slice(list.at + 1, list.at + 3).map(({ relay }) => relay),
    );
    this.#tell();
    if (this.#offering?.member !== member) void this.#offer(member);
    return "taken";
  }

  async #offer(member: RosterMember): Promise<void> {
    if (this.#host && !this.hosts) await this.#offering?.offer(member, this.#host);
  }
}
