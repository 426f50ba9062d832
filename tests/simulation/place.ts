/**
 * One client process: a real session on a computer of its own, and what was seen of it.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/mod.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { decodeFrame, type Frame } from "../../lib/protocol/frames.ts";
import type { Sent } from "./ledger.ts";
import type { PasswordKeys } from "../../lib/protocol/password.ts";
import { computeView, roomTag } from "../../lib/protocol/rooms.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import type { KnownServers } from "../../lib/session/known_servers.ts";
import type { PeerChannel } from "../../lib/session/peer_channel.ts";
import type { TopicMessage } from "../../lib/session/topic.ts";
import { Session } from "../../lib/session/session.ts";
import type { KnownPeers } from "../../lib/session/known_peers.ts";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { cheapPrimitives } from "../support/cheap_key.ts";
import { HostClock, type WorldClock } from "./clock.ts";
import { Company, type Sight } from "./company.ts";
import type { Wire } from "./network.ts";
import { GuessJudge } from "./guesses.ts";
import { reopenPeers } from "./books.ts";
import type { Random } from "./random.ts";
import { SettlingJudge } from "./settling.ts";

/** Somebody, who may be there with several processes, one after the other or at once. */
export interface Identity {
  /** A, B, C … */
  readonly name: string;
  readonly key: PrivateKey;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly book: KnownPeers;
  readonly servers: KnownServers;
  readonly room: string;
  readonly password: { readonly text: string; readonly keys: PasswordKeys } | undefined;
  /** Sends only to these, `SHA256:…`: `--strict`. */
  readonly strict: ReadonlySet<string> | undefined;
  /** Keys below this are refused. */
  readonly minKeyBits: number;
  readonly nick: string;
  /** It has somebody's public key and fingerprint, and not their private key. */
  readonly thief?: boolean;
  /** The relay keeps these, by name, and this one apart: neither is ever shown to the other. */
  readonly hidden?: ReadonlySet<string>;
}

/** What became of a process. */
export type Fate =
  /** It runs. */
  | "alive"
  /** It was ended in the middle of whatever it did. */
  | "killed"
  /** It is about to end in order. */
  | "stopping"
  /** It has ended, and said what it had to say. */
  | "ended";

/** A message that was taken. */
export interface Taken {
  readonly at: number;
  readonly seq: number;
  /** Hex digits. */
  readonly view: string;
  readonly late: boolean;
  /** It was given to the face. */
  shown: boolean;
  shownAt?: number;
  /** When it was on the screen. */
  seenAt?: number;
}

/** What came from one instance. */
export interface Inbox {
  /** The highest seq taken or skipped. */
  taken: number;
  /** Something was taken, so that a GAP is a loss. */
  ever: boolean;
  /** How much was lost. */
  missed: number;
  /** The highest seq acknowledged. */
  acked: number;
  /** What is not acknowledged yet. */
  readonly chats: { readonly seq: number; readonly id: string }[];
}

/** What the world is to a place. */
export interface Surroundings {
  readonly clock: WorldClock;
  /** The relay's fingerprint. */
  readonly relay: Uint8Array<ArrayBuffer>;
  /** Most members of a room. */
  readonly capacity: number;
  dial(place: Place, signal: AbortSignal, first: boolean): Promise<ByteStream>;
  /** Something was told to the user. */
  tell(place: Place, event: SessionEvent): void;
  /** The session has ended by itself or because it was told to. */
  over(place: Place, error: unknown): void;
  placeOf(sid: string): Place | undefined;
  fail(what: string): void;
  /** A process keeps nothing for an instance any more. */
  gaveUp(place: Place, sight: Sight): void;
  /** The keys that somebody has met so far, `SHA256:…`. */
  metBy(identity: Identity): ReadonlySet<string>;
  /** Somebody has taken another nick, which may be known with another key. */
  readonly renamed: boolean;
}

/** The screens of some are busy for the first part of each such time: what comes meanwhile is seen later. */
const BUSY_EVERY_MS = 7_000;
const BUSY_MS = 1_500;

/** A client process. */
export class Place {
  /** A1, A2 …: the identity and a number. */
  readonly name: string;
  readonly identity: Identity;
  readonly address: string;
  readonly clock: HostClock;
  readonly session: Session;
  fate: Fate = "alive";
  wire: Wire | undefined;
  /** It cannot reach the relay before then. */
  offlineUntil = 0;
  /** Times at which it was a member, undisturbed. */
  readonly calm: { from: number; to: number }[] = [];

  /** Its own sid, once it has had a WELCOME. */
  sid: string | undefined;
  /** Fingerprints by sid, as its last frames had it. */
  roster: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  /** Its views of the room, and since when. */
  readonly views: { readonly view: string; readonly since: number }[] = [];
  /** Whom it has to count as shown or lost. */
  readonly company: Company;
  readonly settling: SettlingJudge;
  readonly guesses: GuessJudge;
  /** What it has taken, by id. */
  readonly taken: Map<string, Taken> = new Map();
  /** Of whom it was told that they cannot be authenticated, and who was not shown since. */
  readonly warnedOf: Set<string> = new Set();
  readonly inboxes: Map<Place, Inbox> = new Map();
  /** How many messages of whom, by fingerprint, it was told that they are lost. */
  readonly gaps: Map<string, number> = new Map();
  /** The greatest topic that it has heard of, or set. */
  topic: TopicMessage | undefined;
  /** The topic that it knew when a channel began, and the last that it sent there. */
  readonly topicsOwed: WeakMap<PeerChannel, TopicMessage> = new WeakMap();
  readonly topicsSent: WeakMap<PeerChannel, TopicMessage> = new WeakMap();
  /** When which sid came into its roster. */
  listed: Map<string, number> = new Map();
  /** What waits for a busy screen. */
  #unseen: (() => void)[] = [];
  #world: Surroundings;
  #room: Uint8Array<ArrayBuffer>;
  #dialled = false;

  constructor(
    world: Surroundings,
    identity: Identity,
    options: { name: string; address: string; random: Random },
  ) {
    this.#world = world;
    this.name = options.name;
    this.identity = identity;
    this.address = options.address;
    this.clock = new HostClock(world.clock);
    this.#room = roomTag(identity.room);
    this.session = new Session({
      key: identity.key,
      nick: identity.nick,
      room: identity.room,
      ...(identity.password && {
        password: identity.password.text,
        derive: () => Promise.resolve(identity.password!.keys),
      }),
      minKeyBits: identity.minKeyBits,
      strict: identity.strict !== undefined,
      address: "relay:40623",
      knownServers: identity.servers,
      knownPeers: reopenPeers(identity.book),
      // The ledger follows each message from its author's stream; what terminals tell each other would hide a loss.
      keepsApart: true,
      dial: (signal) => {
        const first = !this.#dialled;
        this.#dialled = true;
        return world.dial(this, signal, first);
      },
      emit: (event) => {
        if (this.fate === "killed") return;
        world.tell(this, event);
        return event.event === "chat" ? this.#see(event.id) : undefined;
      },
      clock: this.clock,
      random: options.random.bytes,
      primitives: cheapPrimitives,
    });
    const now = () => world.clock.now;
    this.company = new Company(this, {
      now,
      capacity: world.capacity,
      over: (sight) => world.gaveUp(this, sight),
      known: new Set([identity.fingerprint, ...world.metBy(identity), ...identity.strict ?? []]),
      mayConflict: () => world.renamed,
    });
    this.settling = new SettlingJudge(this, now);
    this.guesses = new GuessJudge(this, now);
    this.#watch();
  }

  /** The two never have a channel: one does not take the other's key, or they know different passwords. */
  refuses({ identity: other }: Place): boolean {
    const { identity } = this;
    return identity.password !== other.password ||
      identity.thief === true || other.thief === true ||
      identity.hidden?.has(other.name) === true || other.hidden?.has(identity.name) === true ||
      other.key.publicKey.bits < identity.minKeyBits ||
      identity.key.publicKey.bits < other.minKeyBits;
  }

  /** `SHA256:…`. */
  get fingerprint(): string {
    return this.identity.fingerprint;
  }

  /** Its own instance, 32 hex digits. */
  get instance(): string {
    return this.session.membership.instance;
  }

  /** It runs, and is not about to end. */
  get alive(): boolean {
    return this.fate === "alive";
  }

  /** Begins to run. */
  start(): void {
    this.session.run().then(
      () => this.#over(undefined),
      (error: unknown) => this.#over(error),
    );
  }

  #over(error: unknown): void {
    if (this.fate === "killed") return;
    const wasStopping = this.fate === "stopping";
    this.fate = "ended";
    this.#world.over(this, wasStopping ? error : error ?? new Error("ended by itself"));
  }

  /** The process is gone from one moment to the next. */
  kill(): void {
    this.fate = "killed";
    this.clock.kill();
  }

  /** The process ends in order. */
  stop(): void {
    if (!this.alive) return;
    this.fate = "stopping";
    void this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#unseen.length > 0) await Promise.resolve(this.#seeAll());
    await this.session.stop();
  }

  /** A message is on the screen: now, or when that is no longer busy. */
  #see(id: string): Promise<void> | undefined {
    const see = () => {
      const taken = this.taken.get(id);
      if (taken) taken.seenAt = this.#world.clock.now;
    };
    const wait = BUSY_MS - this.#world.clock.now % BUSY_EVERY_MS;
    const isBusy = "BDF".includes(this.identity.name) && wait > 0 && this.alive;
    if (!isBusy && this.#unseen.length === 0) return void see();
    if (this.#unseen.length === 0) this.clock.after(wait, () => this.#seeAll());
    return new Promise((resolve) => {
      this.#unseen.push(() => {
        see();
        resolve();
      });
    });
  }

  #seeAll(): void {
    for (const see of this.#unseen.splice(0)) see();
  }

  /** What came from an instance. */
  inbox(from: Place): Inbox {
    const inbox = this.inboxes.get(from) ??
      { taken: 0, ever: false, missed: 0, acked: 0, chats: [] };
    this.inboxes.set(from, inbox);
    return inbox;
  }

  /** A message was shown here, or is its own and was accepted. */
  knows(id: string, messages: ReadonlyMap<string, Sent>): boolean {
    return messages.get(id)?.from === this || this.taken.get(id)?.shown === true;
  }

  /** The places in its roster. */
  present(): Place[] {
    return [...this.roster.keys()].flatMap((sid) => this.#world.placeOf(sid) ?? []);
  }

  /** Its view of the room at this moment, hex digits; of two members only, where `other` is given. */
  view(other?: string): string {
    const entries = [...this.roster].map(([sid, fingerprint]) => ({ sid, fingerprint }));
    const chosen = other === undefined ? entries : entries.filter(({ sid }) => sid === other);
    const own = { sid: this.sid!, fingerprint: this.identity.key.publicKey.fingerprint };
    return encodeHex(computeView(
      this.#world.relay,
      this.#room,
      [own, ...chosen].map(({ sid, fingerprint }) => ({ sid: decodeHex(sid), fingerprint })),
    ));
  }

  /** Tells whether one of its views of the room between two times was this one. */
  sawView(view: string, from: number, to: number): boolean {
    return this.views.some((own, i) =>
      own.view === view && own.since <= to && (this.views[i + 1]?.since ?? Infinity) >= from
    );
  }

  /** Follows what the relay tells, before the membership acts on it. */
  #watch(): void {
    const { membership } = this.session;
    const { welcome, enter, leave, disconnected, receive } = membership;
    membership.disconnected = () => {
      disconnected.call(membership);
      this.company.disconnected();
      this.settling.disconnected();
    };
    membership.welcome = (frame, options) => {
      this.#takeWelcome(frame);
      const { transport } = options;
      const send = (bytes: Uint8Array) => {
        this.#note(bytes);
        transport.send(bytes);
      };
      const watched = {
        send,
        get congested() {
          return transport.congested;
        },
      };
      welcome.call(membership, frame, { ...options, transport: watched });
    };
    membership.enter = (frame) => {
      this.roster.set(frame.sid, frame.fingerprint);
      this.listed.set(frame.sid, this.#world.clock.now);
      this.#changeView();
      enter.call(membership, frame);
    };
    membership.leave = (frame) => {
      this.roster.delete(frame.sid);
      this.company.leaving(frame.sid, frame.why);
      this.#changeView();
      leave.call(membership, frame);
      this.settling.look();
    };
    membership.receive = (frame) => {
      this.guesses.received(this.#fingerprintOf(frame.sid), frame);
      receive.call(membership, frame);
    };
  }

  #fingerprintOf(sid: string): string {
    return encodeHex(this.roster.get(sid) ?? new Uint8Array(0));
  }

  #note(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes[0]!, bytes.subarray(3));
    if (frame.type !== "send") return;
    const wrong = this.guesses.sent(this.#fingerprintOf(frame.sid), frame);
    if (wrong) this.#world.fail(`${this.name} ${wrong}`);
  }

  #takeWelcome(frame: Extract<Frame, { type: "welcome" }>): void {
    const { now } = this.#world.clock;
    this.sid = frame.sid;
    this.roster = new Map(frame.members.map(({ sid, fingerprint }) => [sid, fingerprint]));
    const { listed } = this;
    this.listed = new Map(frame.members.map(({ sid }) => [sid, listed.get(sid) ?? now]));
    this.company.welcome();
    this.settling.welcome();
    this.#changeView();
  }

  #changeView(): void {
    this.views.push({ view: this.view(), since: this.#world.clock.now });
  }
}
