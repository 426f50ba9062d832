/**
 * Faults that can be planted into the code under test, to show that the simulation finds them: one for each rule.
 *
 * Each replaces methods of the real classes for as long as it is planted; lib/ knows nothing of them.
 *
 * @module
 */

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { KEEP_KNOWN_MS, KEPT_MS } from "../../lib/protocol/limits.ts";
import { pad } from "../../lib/protocol/padding.ts";
import { Opener, sealAead, Sealer } from "../../lib/protocol/records.ts";
import {
  HandshakeInitiator,
  HandshakeResponder,
  type HandshakeResult,
} from "../../lib/protocol/handshake.ts";
import { hkdfExpand } from "../../lib/protocol/crypto/hash.ts";
import type { Message } from "../../lib/protocol/messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { Operators } from "../../lib/relay/operators.ts";
import type { Member as RelayMember } from "../../lib/relay/room.ts";
import { Guesses } from "../../lib/session/guesses.ts";
import { Inbox, type ViewVerdict } from "../../lib/session/inbox.ts";
import { Membership } from "../../lib/session/membership.ts";
import { Notes, ShownMessages } from "../../lib/session/notes.ts";
import { NickLimit } from "../../lib/session/nick_limit.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import { Peer } from "../../lib/session/peer.ts";
import { PeerChannel, type PeerRecord } from "../../lib/session/peer_channel.ts";
import { PeerTable } from "../../lib/session/peer_table.ts";
import { People, type Person } from "../../lib/session/people.ts";
import { Roster } from "../../lib/session/roster.ts";
import { ViewLog } from "../../lib/session/view_log.ts";
import { Settling } from "../../lib/session/settling.ts";
import { Stream } from "../../lib/session/streams.ts";
import { OutputQueue } from "../../lib/transport/output_queue.ts";
import { cheapKey } from "../support/cheap_key.ts";
import type { World } from "./world.ts";

/** What each fault does. */
export const FAULTS = {
  "resend-left-out": "in a new channel the first unacknowledged message is not sent again",
  "ack-early": "a message is acknowledged when it is taken, before it is shown",
  "ack-unseen": "a message is acknowledged while it waits for a busy screen",
  "ack-late": "what was shown is acknowledged three seconds too late",
  "ack-forgotten": "nothing is acknowledged but at the beginning of a channel",
  "gap-ignored": "a GAP changes nothing at its receiver",
  "gap-miscounted": "a GAP counts one message too few",
  "view-unchecked": "every view counts as the same",
  "key-change-late": "record 1024 is sealed under the key of those before it",
  "bound-ignored": "more and more is taken while nothing is acknowledged",
  "old-channel-kept": "messages go to the first channel for as long as nobody has closed it",
  "renewal-forgotten": "no channel is renewed",
  "member-kept": "a member who leaves stays in the roster",
  "given-up-retried": "what was given up, and reported so, is sent all the same",
  "given-up-late": "what is unacknowledged is kept for longer than 10 minutes",
  "counter-reused": "every 40th record has the number of the one before",
  "lurker-admitted": "a message is for everybody in the roster, shown or not",
  "lost-forgotten": "a lost person is forgotten after 20 s",
  "known-forgotten": "a lost person whom the user knows counts for 10 minutes",
  "night-dropped": "what is written for people whom the user knows is kept for 10 minutes",
  "strangers-kept": "whoever is lost is kept for as long as people whom the user knows",
  "lost-unbounded": "any number of people, and of terminals of one, count as lost",
  "left-kept": "a person who has left counts as lost",
  "delivered-early": "an ACK of one message counts for all that were written",
  "duplicate-shown": "a message that was shown already is shown again",
  "settling-skipped": "what waits is accepted with the next WELCOME",
  "moved-not": "what no instance has acknowledged does not go to another one",
  "moved-too-much": "what one instance has acknowledged goes to the next one, too",
  "slow-waited-for": "an instance that acknowledges nothing is waited for",
  "padding-unchecked": "a record may be padded in any way",
  "cert-unchecked": "a session key needs no certificate of its owner",
  "box-untied": "a box opens with any common",
  "note-of-others": "anybody may change the messages of anybody",
  "note-ignored": "a NOTE has no effect",
  "topic-kept": "a topic is not told in new channels",
  "guesses-uncounted": "the password may be guessed as often as somebody likes",
  "late-unmarked": "what is given to another instance is not marked as late",
  "anybody-operates": "anybody is an operator",
  "ban-ignored": "a ban does not outlast the connection",
  "nick-first": "a person is looked up by the nick as it was sent before anything else",
  "nicks-unlimited": "every change of nick is shown and remembered",
  "remembering-stops": "after 10 changes nobody more is remembered",
  "busy-closed": "the relay takes a receiver for whom much waits for one that is too slow",
} as const;

/** The name of a fault. */
export type Fault = keyof typeof FAULTS;

/** Tells whether there is a fault of this name. */
export function isFault(name: string): name is Fault {
  return Object.hasOwn(FAULTS, name);
}

/**
 * Plants a fault.
 *
 * @returns Takes it out again.
 */
export function plant(fault: Fault, world: World): () => void {
  const undo = new Undo();
  PLANTERS[fault](undo, world);
  return () => undo.run();
}

/** Remembers what methods were before. */
class Undo {
  #steps: (() => void)[] = [];

  /** Replaces a method or a getter. */
  replace<T extends object, Name extends keyof T & string>(
    owner: T,
    name: Name,
    make: (original: PropertyDescriptor) => PropertyDescriptor,
  ): void {
    const original = Object.getOwnPropertyDescriptor(owner, name)!;
    Object.defineProperty(owner, name, { configurable: true, ...make(original) });
    this.#steps.push(() => Object.defineProperty(owner, name, original));
  }

  run(): void {
    for (const step of this.#steps.reverse()) step();
  }
}

const PLANTERS: Readonly<Record<Fault, (undo: Undo, world: World) => void>> = {
  "resend-left-out": (undo) => {
    const begun = new WeakSet<PeerChannel>();
    undo.replace(PeerChannel.prototype, "nextItem", ({ value: nextItem }) => ({
      value: function (this: PeerChannel) {
        const { stream } = this;
        if (stream && this.live && !begun.has(this)) {
          begun.add(this);
          const first = stream.items[0];
          if (first?.message && first.seq <= stream.sentSeq) stream.items.shift();
        }
        return nextItem.call(this);
      },
    }));
  },

  "ack-early": (undo) => {
    undo.replace(PeerChannel.prototype, "take", ({ value: take }) => ({
      value: function (this: PeerChannel, message: Message) {
        take.call(this, message);
        if (message.type !== "chat" || !this.stream || this.closed) return;
        this.send({ type: "ack", received: message.seq });
      },
    }));
  },

  "ack-unseen": (undo) => {
    undo.replace(Inbox.prototype, "add", ({ value: add }) => ({
      value: function (this: Inbox, arrival: Parameters<Inbox["add"]>[0]) {
        add.call(this, { ...arrival, give: (view: ViewVerdict) => void arrival.give(view) });
      },
    }));
  },

  "ack-late": (undo, world) => {
    undo.replace(Peer.prototype, "acknowledgeSoon", ({ value: acknowledgeSoon }) => ({
      value: function (this: Peer) {
        world.clock.after(3_000, () => acknowledgeSoon.call(this));
      },
    }));
  },

  "ack-forgotten": (undo) => {
    undo.replace(Peer.prototype, "acknowledgeSoon", () => ({ value: () => {} }));
  },

  "gap-ignored": (undo) => {
    undo.replace(PeerChannel.prototype, "take", ({ value: take }) => ({
      value: function (this: PeerChannel, message: Message) {
        if (message.type !== "gap") take.call(this, message);
      },
    }));
  },

  "gap-miscounted": (undo) => {
    undo.replace(Inbox.prototype, "skipTo", ({ value: skipTo }) => ({
      value: function (this: Inbox, next: number) {
        return Math.max(0, skipTo.call(this, next) - 1);
      },
    }));
  },

  "view-unchecked": (undo) => {
    undo.replace(ViewLog.prototype, "has", () => ({ value: () => true }));
  },

  "key-change-late": (undo) => {
    const made: Uint8Array[] = [];
    const owners = [[HandshakeInitiator, "consumeM2"], [HandshakeResponder, "consumeM3"]] as const;
    for (const [owner, name] of owners) {
      undo.replace(
        owner.prototype as HandshakeInitiator,
        name as "consumeM2",
        ({ value: consume }) => ({
          value: async function (message: Uint8Array) {
            const result: HandshakeResult = await consume.call(this, message);
            made.push(result.sendKey.slice()); // the channel overwrites its own
            return result;
          },
        }),
      );
    }
    const chains = new WeakMap<Sealer, LateChain>();
    undo.replace(Sealer.prototype, "seal", ({ value: seal }) => ({
      value: function (this: Sealer, plaintext: Uint8Array, ad?: Uint8Array) {
        const ct: Uint8Array<ArrayBuffer> = seal.call(this, plaintext, ad);
        const chain = chains.get(this);
        if (chain) return chain.seal(plaintext, { ct, ad });
        // Which of the keys is this one's? The one that gives the same first record.
        const index = made.findIndex((key) => new LateChain(key).gives(plaintext, ct));
        if (index >= 0) chains.set(this, new LateChain(made.splice(index, 1)[0]!, 1));
        return ct;
      },
    }));
  },

  "bound-ignored": (undo) => {
    undo.replace(Stream.prototype, "full", () => ({ get: () => false }));
    undo.replace(Stream.prototype, "overfull", () => ({ get: () => false }));
  },

  "old-channel-kept": (undo) => {
    const kept = new WeakMap<Peer, PeerChannel>();
    undo.replace(PeerChannel.prototype, "close", ({ value: close }) => ({
      value: function (this: PeerChannel, reason?: number) {
        if (reason !== undefined) close.call(this, reason);
      },
    }));
    undo.replace(Peer.prototype, "channel", ({ get }) => ({
      get: function (this: Peer) {
        const now: PeerChannel | undefined = get!.call(this);
        const old = kept.get(this);
        if (now && old && !old.closed) return old;
        if (now) kept.set(this, now);
        return now;
      },
    }));
  },

  "renewal-forgotten": (undo, world) => {
    undo.replace(Peer.prototype, "start", ({ value: start }) => ({
      value: function (this: Peer) {
        const { channel } = this;
        if (!channel || world.clock.now - channel.startedAt < 0.9 * 3_600_000) start.call(this);
      },
    }));
  },

  "member-kept": (undo) => {
    undo.replace(Membership.prototype, "leave", () => ({ value: () => {} }));
  },

  "given-up-retried": (undo) => {
    undo.replace(Outbox.prototype, "expire", ({ value: expire }) => ({
      value: function (this: Outbox, streams: Iterable<Stream>) {
        const before = [...streams].map((stream) => ({ stream, items: [...stream.items] }));
        expire.call(this, before.map(({ stream }) => stream));
        for (const { stream, items } of before) {
          stream.items.unshift(...items.filter((item) => !stream.items.includes(item)));
        }
      },
    }));
  },

  "given-up-late": (undo) => {
    undo.replace(Stream.prototype, "removeUpTo", ({ value: removeUpTo }) => ({
      value: function (this: Stream, acceptedAt: number) {
        return removeUpTo.call(this, acceptedAt - KEPT_MS);
      },
    }));
  },

  "late-unmarked": (undo) => {
    undo.replace(Stream.prototype, "add", ({ value: add }) => ({
      value: function (this: Stream, item: object) {
        add.call(this, { ...item, moved: false });
      },
    }));
  },

  "anybody-operates": (undo) => {
    undo.replace(Operators.prototype, "answer", ({ value: answer }) => ({
      value: function (this: Operators, member: RelayMember, admin: unknown) {
        this.set(new Set([encodeFingerprint(member.fingerprint)]));
        return answer.call(this, member, admin);
      },
    }));
  },

  "ban-ignored": (undo) => {
    undo.replace(Operators.prototype, "isBanned", () => ({ value: () => false }));
  },

  "nick-first": (undo) => {
    undo.replace(People.prototype, "find", ({ value: find }) => ({
      value: function (this: People, who: string) {
        return this.addressed().find(({ nick }) => nick === who) ?? find.call(this, who);
      },
    }));
    undo.replace(Roster.prototype, "find", ({ value: find }) => ({
      value: function (this: Roster, who: string) {
        for (const member of this.members.values()) {
          if (member.shown && member.id && member.nick === who) return member;
        }
        return find.call(this, who);
      },
    }));
  },

  "nicks-unlimited": (undo) => {
    undo.replace(NickLimit.prototype, "take", () => ({
      value: (_: string, nick: string) => nick,
    }));
  },

  "remembering-stops": (undo) => {
    const counts = new WeakMap<PeerTable, number>();
    undo.replace(PeerTable.prototype, "remember", ({ value: remember }) => ({
      value: function (this: PeerTable, ...args: unknown[]) {
        const count = (counts.get(this) ?? 0) + 1;
        counts.set(this, count);
        if (count <= 10) remember.apply(this, args);
      },
    }));
  },

  "busy-closed": (undo) => {
    undo.replace(OutputQueue.prototype, "take", ({ value: take }) => ({
      value: function (this: OutputQueue) {
        const isBusy = this.bytes > 100_000;
        const batch: ReturnType<OutputQueue["take"]> = take.call(this);
        if (batch && isBusy) batch.since = -Infinity;
        return batch;
      },
    }));
  },

  "counter-reused": (undo) => {
    const counts = new WeakMap<Sealer, number>();
    undo.replace(Sealer.prototype, "seal", ({ value: seal }) => ({
      value: function (this: Sealer, plaintext: Uint8Array, ad?: Uint8Array) {
        const count = counts.get(this) ?? 0;
        if (count > 0 && count % 40 === 0) this["chain"].n = count - 1;
        counts.set(this, count + 1);
        return seal.call(this, plaintext, ad);
      },
    }));
  },

  "lurker-admitted": (undo) => {
    const everybody = new WeakMap<People, Set<Person>>();
    undo.replace(People.prototype, "list", ({ value: list }) => ({
      value: function (this: People, fingerprint: string) {
        everybody.set(this, (everybody.get(this) ?? new Set()).add(this.get(fingerprint)));
        list.call(this, fingerprint);
      },
    }));
    undo.replace(People.prototype, "addressed", ({ value: addressed }) => ({
      value: function (this: People) {
        const listed = [...everybody.get(this) ?? []].filter((person) => person.listed > 0);
        return [...new Set<Person>([...addressed.call(this), ...listed])];
      },
    }));
  },

  "lost-forgotten": (undo) => {
    undo.replace(People.prototype, "tick", ({ value: tick }) => ({
      value: function (this: People) {
        tick.call(this);
        for (const stream of this.streams()) {
          if (this.now() - (stream.lostAt ?? Infinity) > 20_000) stream.lostAt = undefined;
        }
      },
    }));
  },

  "known-forgotten": (undo) => {
    undo.replace(People.prototype, "tick", ({ value: tick }) => ({
      value: function (this: People) {
        tick.call(this);
        for (const stream of this.streams()) {
          if (this.now() - (stream.lostAt ?? Infinity) >= KEPT_MS) stream.lostAt = undefined;
        }
      },
    }));
  },

  "night-dropped": (undo) => {
    undo.replace(Stream.prototype, "removeUpTo", ({ value: removeUpTo }) => ({
      value: function (this: Stream, acceptedAt: number) {
        return removeUpTo.call(this, acceptedAt + KEEP_KNOWN_MS - KEPT_MS);
      },
    }));
  },

  "strangers-kept": (undo) => {
    undo.replace(PeerTable.prototype, "isFamiliar", () => ({ value: () => true }));
  },

  "lost-unbounded": (undo) => {
    undo.replace(People.prototype, "lose", ({ value: lose }) => ({
      value: function (this: People, stream: Stream) {
        const before = [...this.streams()].map((each) => ({ each, lostAt: each.lostAt }));
        lose.call(this, stream);
        for (const { each, lostAt } of before) if (!each.holder) each.lostAt ??= lostAt;
      },
    }));
  },

  "left-kept": (undo) => {
    undo.replace(People.prototype, "leave", () => ({
      value: function (this: People, stream: Stream) {
        if (stream.holder) this.lose(stream);
      },
    }));
  },

  "delivered-early": (undo) => {
    undo.replace(Stream.prototype, "acknowledge", ({ value: acknowledge }) => ({
      value: function (this: Stream, received: number) {
        return acknowledge.call(this, received === 0 ? 0 : this.sentSeq);
      },
    }));
  },

  "duplicate-shown": (undo) => {
    undo.replace(ShownMessages.prototype, "has", () => ({ value: () => false }));
  },

  "settling-skipped": (undo) => {
    undo.replace(Settling.prototype, "welcome", ({ value: welcome }) => ({
      value: function (this: Settling) {
        welcome.call(this);
        this.flush();
      },
    }));
  },

  "moved-not": (undo) => {
    undo.replace(Outbox.prototype, "complete", () => ({ value: () => {} }));
  },

  "moved-too-much": (undo, world) => {
    undo.replace(Outbox.prototype, "complete", ({ value: complete }) => ({
      value: function (this: Outbox, stream: Stream) {
        const own = world.places.find(({ session }) => session.membership.outbox === this);
        const last = [...world.ledger.messages.values()].findLast((sent) =>
          sent.from === own && sent.people.get(stream.fingerprint)?.acked
        );
        const has = stream.items.some(({ message }) => message === last?.outgoing);
        complete.call(this, stream);
        if (!last?.outgoing || has || own === undefined) return;
        stream.add({ message: last.outgoing, moved: true, acceptedAt: own.company.now() });
      },
    }));
  },

  "slow-waited-for": (undo) => {
    undo.replace(Stream.prototype, "overdue", () => ({ get: () => false }));
  },

  "padding-unchecked": (undo) => {
    withOpener(undo, (plaintext, record) => {
      if (!(record instanceof Uint8Array)) return plaintext;
      const end = plaintext.findLastIndex((byte) => byte !== 0);
      return pad(plaintext.subarray(0, Math.max(1, end)));
    });
  },

  "cert-unchecked": (undo) => {
    const owner = Object.getPrototypeOf(cheapKey(1).publicKey);
    undo.replace(owner, "verify" as never, ({ value: verify }) => ({
      value: function (context: string, ...rest: unknown[]) {
        if (context === "hearth/2 member session") return Promise.resolve(true);
        return verify.call(this, context, ...rest);
      },
    }));
  },

  "box-untied": (undo, world) => {
    undo.replace(Opener.prototype, "open", ({ value: open }) => ({
      value: function (this: Opener, ct: Uint8Array, ad?: Uint8Array) {
        return open.call(this, ct, ad && (world.witness.boxes.find(ct)?.ad ?? ad));
      },
    }));
  },

  "note-of-others": (undo, world) => {
    undo.replace(Notes.prototype, "take", ({ value: take }) => ({
      value: function (this: Notes, fingerprint: string, note: { ref: string }, apply: unknown) {
        const about = world.ledger.messages.values().find(({ from, id }) =>
          messageReference(from.identity.key.publicKey.fingerprint, id) === note.ref
        );
        take.call(this, about?.from.fingerprint ?? fingerprint, note, apply);
      },
    }));
  },

  "note-ignored": (undo) => {
    undo.replace(Notes.prototype, "take", () => ({ value: () => {} }));
  },

  "topic-kept": (undo) => {
    undo.replace(PeerChannel.prototype, "send", ({ value: send }) => ({
      value: function (this: PeerChannel, message: Parameters<PeerChannel["send"]>[0]) {
        if (message.type !== "topic" || this.live) send.call(this, message);
      },
    }));
  },

  "guesses-uncounted": (undo) => {
    undo.replace(Guesses.prototype, "allows", () => ({ value: () => true }));
  },
};

/** Changes what peer records open to. */
function withOpener(
  undo: Undo,
  change: (plaintext: Uint8Array<ArrayBuffer>, record: PeerRecord) => Uint8Array,
): void {
  let record: PeerRecord | undefined;
  undo.replace(PeerChannel.prototype, "open", ({ value: open }) => ({
    value: function (this: PeerChannel, next: PeerRecord) {
      record = next;
      try {
        return open.call(this, next);
      } finally {
        record = undefined;
      }
    },
  }));
  undo.replace(Opener.prototype, "open", ({ value: open }) => ({
    value: function (this: Opener, ct: Uint8Array, ad?: Uint8Array) {
      const plaintext = open.call(this, ct, ad);
      return record ? change(plaintext, record) : plaintext;
    },
  }));
}

/** The keys of one direction (§4), but that each comes a record too late. */
class LateChain {
  #chainKey: Uint8Array<ArrayBuffer>;
  #key: Uint8Array<ArrayBuffer>;
  #n: number;

  constructor(chainKey: Uint8Array, n = 0) {
    this.#chainKey = new Uint8Array(chainKey);
    this.#key = hkdfExpand(this.#chainKey, encodeUtf8("hearth/2 key"), 32);
    this.#n = n;
  }

  gives(plaintext: Uint8Array, ct: Uint8Array): boolean {
    const own = this.#seal(0, plaintext);
    return own.length === ct.length && own.every((byte, i) => byte === ct[i]);
  }

  /** @param right What is right. */
  seal(
    plaintext: Uint8Array,
    right: { ct: Uint8Array<ArrayBuffer>; ad: Uint8Array | undefined },
  ): Uint8Array<ArrayBuffer> {
    const n = this.#n++;
    if (n % 1024 !== 0) return right.ct;
    const late = this.#seal(n, plaintext, right.ad);
    this.#chainKey = hkdfExpand(this.#chainKey, encodeUtf8("hearth/2 next"), 32);
    this.#key = hkdfExpand(this.#chainKey, encodeUtf8("hearth/2 key"), 32);
    return late;
  }

  #seal(
    n: number,
    plaintext: Uint8Array,
    ad: Uint8Array = new Uint8Array(0),
  ): Uint8Array<ArrayBuffer> {
    return sealAead(this.#key, n, ad, plaintext);
  }
}
