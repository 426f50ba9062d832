/**
 * Ten faults that can be planted into the code under test, to show that the simulation would find them.
 *
 * Each replaces methods of the real classes for as long as it is planted; lib/ knows nothing of them.
 *
 * @module
 */

import { encodeUtf8, readU64 } from "../../lib/base/bytes.ts";
import { Channel } from "../../lib/session/peer_channel.ts";
import { sealAead, Sealer } from "../../lib/protocol/records.ts";
import { type HandshakeResult, Initiator, Responder } from "../../lib/protocol/handshake.ts";
import { hkdfExpand } from "../../lib/protocol/crypto/hash.ts";
import { Membership } from "../../lib/session/membership.ts";
import { MESSAGE } from "../../lib/protocol/messages.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import { type Item, Target } from "../../lib/target.ts";
import { Peer } from "../../lib/session/peer.ts";
import { ViewGate } from "../../lib/view.ts";
import type { World } from "./world.ts";

/** What each fault does. */
export const FAULTS = {
  "resend-left-out": "in a new channel the first unacknowledged message is not sent again",
  "ack-early": "a message is acknowledged before it is taken",
  "gap-ignored": "a GAP changes nothing at its receiver",
  "view-unchecked": "every view counts as the same",
  "key-change-late": "record 1024 is sealed under the key of those before it",
  "bound-ignored": "more and more is taken while nothing is acknowledged",
  "old-channel-kept": "messages go to the first channel for as long as nobody has closed it",
  "member-kept": "who leaves stays in the roster",
  "given-up-retried": "what was given up, and reported so, is sent all the same",
  "counter-reused": "every 40th record has the number of the one before",
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
    const begun = new WeakSet<Channel>();
    undo.replace(Channel.prototype, "pump", ({ value: pump }) => ({
      value: function (this: Channel, options: unknown) {
        const target = this.stream?.target;
        if (target && this.live && !begun.has(this)) {
          begun.add(this);
          const first = target.items[0];
          if (first?.message && first.seq <= target.sentSeq) target.items.shift();
        }
        pump.call(this, options);
      },
    }));
  },

  "ack-early": (undo, world) => {
    undo.replace(Channel.prototype, "take", ({ value: take }) => ({
      value: function (this: Channel, plaintext: Uint8Array) {
        const type = plaintext[0];
        const isLate = type === MESSAGE.CHAT || type === MESSAGE.NICK || type === MESSAGE.GAP;
        if (!isLate || !this.stream) return take.call(this, plaintext);
        if (type === MESSAGE.CHAT) {
          this.send({ type: "ack", received: readU64(plaintext, 1, 2 ** 48) });
        }
        const place = world.acting;
        const copy = plaintext.slice();
        world.clock.after(300, () => {
          if (place?.fate === "killed") return;
          world.acting = place;
          take.call(this, copy);
          world.acting = undefined;
        });
      },
    }));
  },

  "gap-ignored": (undo) => {
    undo.replace(Channel.prototype, "take", ({ value: take }) => ({
      value: function (this: Channel, plaintext: Uint8Array) {
        if (plaintext[0] !== MESSAGE.GAP) take.call(this, plaintext);
      },
    }));
  },

  "view-unchecked": (undo) => {
    undo.replace(ViewGate.prototype, "add", ({ value: add }) => ({
      value: function (sender: string, message: unknown, { view }: { view: Uint8Array }) {
        add.call(this, sender, message, { view, own: view });
      },
    }));
  },

  "key-change-late": (undo) => {
    const made: Uint8Array[] = [];
    for (const [owner, name] of [[Initiator, "consumeM2"], [Responder, "consumeM3"]] as const) {
      undo.replace(owner.prototype as Initiator, name as "consumeM2", ({ value: consume }) => ({
        value: async function (message: Uint8Array) {
          const result: HandshakeResult = await consume.call(this, message);
          made.push(result.sendKey);
          return result;
        },
      }));
    }
    const chains = new WeakMap<Sealer, LateChain>();
    undo.replace(Sealer.prototype, "seal", ({ value: seal }) => ({
      value: function (this: Sealer, plaintext: Uint8Array) {
        const ct: Uint8Array<ArrayBuffer> = seal.call(this, plaintext);
        const chain = chains.get(this);
        if (chain) return chain.seal(plaintext, ct);
        // Which of the keys is this one's? The one that gives the same first record.
        const index = made.findIndex((key) => new LateChain(key).gives(plaintext, ct));
        if (index >= 0) chains.set(this, new LateChain(made.splice(index, 1)[0]!, 1));
        return ct;
      },
    }));
  },

  "bound-ignored": (undo) => {
    undo.replace(Target.prototype, "full", () => ({ get: () => false }));
  },

  "old-channel-kept": (undo) => {
    const kept = new WeakMap<Peer, Channel>();
    undo.replace(Channel.prototype, "close", ({ value: close }) => ({
      value: function (this: Channel, reason?: number) {
        if (reason !== undefined) close.call(this, reason);
      },
    }));
    undo.replace(Peer.prototype, "channel", ({ get }) => ({
      get: function (this: Peer) {
        const now: Channel | undefined = get!.call(this);
        const old = kept.get(this);
        if (now && old && !old.closed) return old;
        if (now) kept.set(this, now);
        return now;
      },
    }));
  },

  "member-kept": (undo) => {
    undo.replace(Membership.prototype, "leave", () => ({ value: () => {} }));
  },

  "given-up-retried": (undo) => {
    for (const name of ["expire", "retire"] as const) {
      undo.replace(Outbox.prototype, name, ({ value: giveUp }) => ({
        value: function (this: Outbox, target?: Target) {
          const before = new Map<Target, Item[]>();
          for (const each of this.targets()) before.set(each, [...each.items]);
          giveUp.call(this, target);
          for (const [each, items] of before) {
            if (each.instance === undefined) continue;
            each.items.unshift(...items.filter((item) => !each.items.includes(item)));
          }
        },
      }));
    }
  },

  "counter-reused": (undo) => {
    const counts = new WeakMap<Sealer, number>();
    undo.replace(Sealer.prototype, "seal", ({ value: seal }) => ({
      value: function (this: Sealer, plaintext: Uint8Array) {
        const count = counts.get(this) ?? 0;
        if (count > 0 && count % 40 === 0) this.testOnlySkipTo(count - 1);
        counts.set(this, count + 1);
        return seal.call(this, plaintext);
      },
    }));
  },
};

/** The keys of one direction (§4), but that each comes a record too late. */
class LateChain {
  #chainKey: Uint8Array<ArrayBuffer>;
  #key: Uint8Array<ArrayBuffer>;
  #n: number;

  constructor(chainKey: Uint8Array, n = 0) {
    this.#chainKey = new Uint8Array(chainKey);
    this.#key = hkdfExpand(this.#chainKey, encodeUtf8("hearth/1 key"), 32);
    this.#n = n;
  }

  gives(plaintext: Uint8Array, ct: Uint8Array): boolean {
    const own = this.#seal(0, plaintext);
    return own.length === ct.length && own.every((byte, i) => byte === ct[i]);
  }

  /** @param ct What is right. */
  seal(plaintext: Uint8Array, ct: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const n = this.#n++;
    if (n % 1024 !== 0) return ct;
    const late = this.#seal(n, plaintext);
    this.#chainKey = hkdfExpand(this.#chainKey, encodeUtf8("hearth/1 next"), 32);
    this.#key = hkdfExpand(this.#chainKey, encodeUtf8("hearth/1 key"), 32);
    return late;
  }

  #seal(n: number, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
    return sealAead(this.#key, n, new Uint8Array(0), plaintext);
  }
}
