/**
 * What members of different relays say to each other: over a link to each other relay, charged to the sender, in order.
 *
 * @module
 */

import type { BoundedMap } from "../base/bounded_map.ts";
import { type Bytes, encodeHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import {
  CAST_ENTRY_BYTES,
  CAST_HEADER_BYTES,
  FRAME,
  REASON,
  SID_BYTES,
  WHY,
} from "../protocol/frames.ts";
import type { Resident } from "../relay/mod.ts";
import { costOf, type SendCredit } from "../transport/mod.ts";
import type { Bus } from "./bus.ts";
import type { ClusterCounts } from "./cluster_options.ts";
import {
  encodeForwardedHead,
  ENTRY,
  type EntryVisitor,
  forEachEntry,
  forEachPosition,
} from "./entries.ts";
import { Held } from "./held.ts";
import { IncomingLink, type Opened } from "./incoming_link.ts";
import { type ClusterKeys, isForeign } from "./keys.ts";
import { OutgoingLink } from "./link.ts";
import { readSender } from "./link_message.ts";
import { type Remote, RemoteSource } from "./remote.ts";
import type { SharedRoom } from "./shared_room.ts";

/** One who is here. */
export interface LocalMember {
  readonly member: Resident;
  readonly room: SharedRoom;
}

/** Options of {@linkcode Forwarding}; relays by R in hex, members by sid in hex. */
interface ForwardingOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly keys: ClusterKeys;
  readonly lives: { readonly relay: string; isDead(relay: string): boolean };
  /** Those who are here. */
  readonly locals: ReadonlyMap<string, LocalMember>;
  /** Those who have left, and never come back. */
  readonly gone: BoundedMap<string, true>;
  readonly counts: ClusterCounts;
  defer(action: () => void): void;
  /** An operator elsewhere has said something, as in ADMIN, §5. */
  onOrder(verb: number, argument: Uint8Array): void;
}

/** Both directions to all other relays. */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #remotes = new Map<string, Remote>();
  readonly #sources = new Map<string, RemoteSource>();
  /** By R of the other relay. */
  readonly #outgoing = new Map<string, OutgoingLink>();
  readonly #incoming = new Map<string, IncomingLink>();
  readonly #held: Held;

  constructor(options: ForwardingOptions) {
    this.#options = options;
    this.#held = new Held(
      options.clock,
      (pair, { body, from }) =>
        this.#credit(pair.slice(0, SID_BYTES * 2), from, costOf(FRAME.RECV, body.length)),
    );
  }

  /** Bytes that members here have sent and that wait elsewhere, as they are charged. */
  get undelivered(): number {
    return this.#outgoing.values().reduce((sum, { undelivered }) => sum + undelivered, 0);
  }

  /** Members from whom nothing is read, because a link is full; one may count for several links. */
  get held(): number {
    return this.#outgoing.values().reduce((sum, { held }) => sum + held, 0);
  }

  // --- Who is elsewhere ---

  /** A member of another relay is in the room of somebody here. */
  appeared(sid: string, remote: Remote): void {
    this.#remotes.set(sid, remote);
    this.retry(sid);
  }

  /** It is no longer. */
  vanished(sid: string): void {
    this.#remotes.delete(sid);
    this.#sources.delete(sid);
  }

  /** Sends an entry of this relay's own to others. */
  tell(relays: Iterable<string>, entry: Uint8Array): void {
    for (const relay of relays) this.#linkTo(relay)?.tell(entry);
  }

  /** The bus is connected again. */
  reconnected(): void {
    for (const link of this.#outgoing.values()) link.reconnected();
  }

  /** Sends what waits. */
  flush(): void {
    for (const link of this.#outgoing.values()) link.flush();
  }

  /** Another relay is gone: what was on its way to it is given back. */
  forget(relay: string): void {
    this.#outgoing.get(relay)?.close();
    this.#outgoing.delete(relay);
    this.#incoming.delete(relay);
  }

  /** All of them are, or this relay has another R. */
  forgetAll(): void {
    for (const relay of [...this.#outgoing.keys(), ...this.#incoming.keys()]) this.forget(relay);
    this.#held.clear();
  }

  // --- To other relays ---

  #linkTo(relay: string): OutgoingLink | undefined {
    const { bus, clock, keys, defer, lives } = this.#options;
    const known = this.#outgoing.get(relay);
    if (known || relay === lives.relay || lives.isDead(relay)) return known;
    const link = new OutgoingLink({
      ...{ bus, clock, keys, defer },
      from: lives.relay,
      to: relay,
      onLost: (credits) => this.#endSenders(credits),
    });
    this.#outgoing.set(relay, link);
    return link;
  }

  /** What these have sent is lost: they come again, and send it again. */
  #endSenders(credits: ReadonlySet<SendCredit>): void {
    for (const { member } of [...this.#options.locals.values()]) {
      if (!credits.has(member.source.credit)) continue;
      member.why = WHY.LOST;
      void member.connection.close(REASON.SHUTTING_DOWN);
    }
  }

  /** As {@linkcode Registry.send}. */
  send(from: Resident, body: Uint8Array): void {
    const { sid } = from;
    const remote = this.#remoteFor(sid, body);
    const link = remote && this.#linkTo(remote.relay);
    if (!link) return;
    const { source } = from;
    this.#options.counts.sent++;
    link.forward([encodeForwardedHead(ENTRY.SEND, source.sid, body.length), body], sid, {
      credit: source.credit,
      bytes: costOf(FRAME.RECV, body.length),
    });
  }

  /** The member elsewhere whose sid `bytes` begins with, if it is in the room of a member here. */
  #remoteFor(from: string, bytes: Uint8Array): Remote | undefined {
    const remote = this.#remotes.get(encodeHex(bytes.subarray(0, SID_BYTES)));
    return remote && remote.room === this.#options.locals.get(from)?.room ? remote : undefined;
  }

  /** As {@linkcode Registry.cast}. */
  cast(from: Resident, entries: readonly Uint8Array[], common: Uint8Array): void {
    const { sid, source } = from;
    const byRelay = new Map<string, Map<Remote, Uint8Array>>(); // §5: one PART for each member
    for (const entry of entries) {
      const remote = this.#remoteFor(sid, entry);
      if (!remote) continue;
      const parts = byRelay.get(remote.relay) ?? new Map<Remote, Uint8Array>();
      if (!parts.has(remote)) parts.set(remote, entry);
      byRelay.set(remote.relay, parts);
    }
    const cost = costOf(FRAME.PART, CAST_ENTRY_BYTES + common.length);
    for (const [relay, parts] of byRelay) {
      const link = this.#linkTo(relay);
      if (!link) continue;
      const length = CAST_HEADER_BYTES + parts.size * CAST_ENTRY_BYTES + common.length;
      const head = encodeForwardedHead(ENTRY.CAST, source.sid, length);
      this.#options.counts.sent += parts.size;
      link.forward([head, Uint8Array.of(parts.size), ...parts.values(), common], sid, {
        credit: source.credit,
        bytes: parts.size * cost,
      });
    }
  }

  // --- From other relays ---

  /** A message has come. */
  receive(message: Bytes): void {
    const from = readSender(message);
    const { relay } = this.#options.lives;
    if (from === undefined || from === relay || this.#options.lives.isDead(from)) return;
    const incoming = this.#incoming.get(from) ??
      new IncomingLink({ keys: this.#options.keys, from, to: relay });
    const opened = incoming.open(message);
    if (!opened) return;
    this.#incoming.set(from, incoming);
    this.#options.counts.messages++;
    try {
      this.#takeMessage(from, incoming, opened);
    } catch (error) {
      if (!isForeign(error)) throw error;
      this.#options.counts.malformed++;
    }
  }

  #takeMessage(from: string, incoming: IncomingLink, { entries, verdict, at }: Opened): void {
    const link = this.#linkTo(from)!;
    const hasMore = forEachPosition(entries, (type, position) => {
      if (type === ENTRY.GOT) link.takeGot(position);
      else link.takeLost(position);
    });
    if (verdict === "early") {
      this.#options.counts.gaps++;
      const missing = incoming.missing(at, this.#options.clock.now());
      if (missing) link.lost(missing);
      return;
    }
    let when: "now" | "soon" | "anyway" = hasMore ? "soon" : "anyway";
    if (verdict === "next") {
      forEachEntry(entries, this.#visitorOf(from, () => void (when = "now")));
      if (incoming.owesGot) when = "now";
    }
    link.got(incoming.position, when);
  }

  #visitorOf(from: string, onAsk: () => void): EntryVisitor {
    return {
      forwarded: (type, source, body) => {
        const sid = encodeHex(source);
        if (type === ENTRY.CAST) this.#deliverCast(sid, from, body);
        else if (this.#held.has(pairOf(sid, body))) this.#hold(sid, from, body);
        else this.#deliver(sid, from, body);
      },
      left: (sid, why) => this.#takeLeft(encodeHex(sid), why, from),
      credit: (source, bytes) => this.#outgoing.get(from)?.takeCredit(encodeHex(source), bytes),
      order: (verb, argument) => this.#options.onOrder(verb, argument),
      ask: onAsk,
    };
  }

  #takeLeft(sid: string, why: number, from: string): void {
    const remote = this.#remotes.get(sid);
    if (remote) remote.room.takeLeft(sid, why, from);
    else if (!this.#options.locals.has(sid)) this.#options.gone.set(sid, true);
  }

  #source(sid: string, from: string): RemoteSource {
    const known = this.#sources.get(sid);
    if (known) return known;
    const source = new RemoteSource(sid, (debt) => this.#outgoing.get(from)?.owe(debt));
    if (this.#remotes.has(sid)) this.#sources.set(sid, source);
    return source;
  }

  /** Gives back what is charged for something that is dropped. */
  #credit(sid: string, from: string, cost: number): void {
    this.#source(sid, from).take(cost, () => {});
  }

  /** Somebody is known now, or here. */
  retry(sid: string): void {
    for (const pair of this.#held.pairsOf(sid)) {
      const source = pair.slice(0, SID_BYTES * 2);
      for (const { body, from } of this.#held.take(pair)) this.#deliver(source, from, body);
    }
  }

  #hold(sid: string, from: string, body: Uint8Array): void {
    this.#held.add(pairOf(sid, body), { body: body.slice(), from });
  }

  /** A SEND of a member of another relay. */
  #deliver(sid: string, from: string, body: Uint8Array): void {
    const remote = this.#remotes.get(sid);
    if (!remote && !this.#options.gone.has(sid)) return this.#hold(sid, from, body);
    const to = this.#localFor(remote, from, body);
    if (to && !to.room.isMember(to.member.sid)) return this.#hold(sid, from, body);
    const source = this.#source(sid, from);
    source.take(costOf(FRAME.RECV, body.length), () => to?.member.connection.forward(body, source));
    this.#options.counts.received++;
  }

  /** The member here whose sid `bytes` begins with, if the sender is where it says, and in the same room. */
  #localFor(remote: Remote | undefined, from: string, bytes: Uint8Array) {
    if (remote?.relay !== from) return undefined;
    const to = this.#options.locals.get(encodeHex(bytes.subarray(0, SID_BYTES)));
    return to?.room === remote.room ? to : undefined;
  }

  /** A CAST, which does not wait: who does not know its sender has no channel with them. */
  #deliverCast(sid: string, from: string, body: Uint8Array): void {
    const remote = this.#remotes.get(sid);
    const source = this.#source(sid, from);
    const end = CAST_HEADER_BYTES + body[0]! * CAST_ENTRY_BYTES;
    const common = body.slice(end); // shared by all queues that it waits in
    const cost = costOf(FRAME.PART, CAST_ENTRY_BYTES + common.length);
    for (let offset = CAST_HEADER_BYTES; offset < end; offset += CAST_ENTRY_BYTES) {
      const entry = body.subarray(offset, offset + CAST_ENTRY_BYTES);
      const to = this.#localFor(remote, from, entry);
      const member = to?.room.isMember(to.member.sid) ? to.member : undefined;
      source.take(cost, () => member?.connection.forwardPart({ entry, common }, source));
      this.#options.counts.received++;
    }
  }
}

/** From whom to whom a SEND is, as {@linkcode Held} has it. */
function pairOf(source: string, body: Uint8Array): string {
  return source + encodeHex(body.subarray(0, SID_BYTES));
}
