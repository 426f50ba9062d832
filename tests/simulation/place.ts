/**
 * One client process: a real session on a computer of its own, and what was seen of it.
 *
 * @module
 */

import type { ByteStream } from "../../lib/transport/establish.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import type { Frame } from "../../lib/protocol/frames.ts";
import type { Peer } from "../../lib/session/peer.ts";
import type { PasswordKeys } from "../../lib/protocol/password.ts";
import { computeView, roomTag } from "../../lib/protocol/rooms.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import type { ServerBook } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import type { PeerBook } from "../../lib/session/known_peers.ts";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { WHY } from "../../lib/protocol/frames.ts";
import { decodeCheapId } from "../support/cheap_key.ts";
import { HostClock, type WorldClock } from "./clock.ts";
import type { Wire } from "./network.ts";
import type { Random } from "./random.ts";

/** A JOINED that follows its LEFT(2) arrives within this. */
const REPLACING_MS = 100;

/** Somebody, who may be there with several processes, one after the other or at once. */
export interface Identity {
  /** A, B, C … */
  readonly name: string;
  readonly key: PrivateKey;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly book: PeerBook;
  readonly servers: ServerBook;
  readonly room: string;
  readonly password: { readonly text: string; readonly keys: PasswordKeys } | undefined;
  /** Sends only to these, `SHA256:…`: `--strict`. */
  readonly strict: ReadonlySet<string> | undefined;
  /** Keys below this are refused. */
  readonly minKeyBits: number;
  readonly nick: string;
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
  /** Hex digits. */
  readonly view: string;
  readonly late: boolean;
  /** It was shown, too. */
  shown: boolean;
}

/** What the world is to a place. */
export interface Surroundings {
  readonly clock: WorldClock;
  /** The relay's fingerprint. */
  readonly relay: Uint8Array<ArrayBuffer>;
  dial(place: Place, signal: AbortSignal, first: boolean): Promise<ByteStream>;
  /** Something was told to the user. */
  tell(place: Place, event: SessionEvent): void;
  /** The session has ended by itself or because it was told to. */
  over(place: Place, error: unknown): void;
  placeOf(sid: string): Place | undefined;
  /** On whose behalf code runs just now. */
  acting: Place | undefined;
}

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
  /** Who is out of its roster, and since when. */
  readonly lost: Map<Place, number> = new Map();
  /** For how long at most each was out of its roster and came back. */
  readonly absences: Map<Place, number> = new Map();
  /** When those who are lost were last connected together with it. */
  readonly #seen = new Map<Place, number>();
  /** Who was ever out of its roster without a word. */
  readonly everLost: Set<Place> = new Set();
  /** Who is lost, but was only replaced by itself: nothing of theirs moves. */
  readonly #replaced = new Set<Place>();
  /** For how long at most it was not connected itself. */
  absence = 0;
  #absentSince: number | undefined;
  #connectedAt = 0;
  /** Until when it had a channel with those with whom it has none now. */
  readonly #heardUntil = new Map<Place, number>();
  /** When those who had been lost came back. */
  readonly #backAt = new Map<Place, number>();
  /** Whose LEFT was final. */
  readonly left: Set<Place> = new Set();
  /** Whose HELLO it has had. */
  readonly met: Set<Place> = new Set();
  /** What it has taken, by id. */
  readonly taken: Map<string, Taken> = new Map();
  /** How many messages of whom it was told that they are lost. */
  readonly gaps: Map<Place, number> = new Map();
  /** Pairings of the present connection, by sid. */
  readonly peers: Map<string, Peer> = new Map();
  nickChanges = 0;
  /** When which sid came into its roster, as a number of its own that only rises. */
  entered: Map<string, number> = new Map();
  #order = 0;
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
      servers: identity.servers,
      book: identity.book,
      dial: (signal) => {
        const first = !this.#dialled;
        this.#dialled = true;
        return world.dial(this, signal, first);
      },
      emit: (event) => {
        if (this.fate !== "killed") world.tell(this, event);
      },
      clock: this.clock,
      random: options.random.bytes,
      decodeId: decodeCheapId,
    });
    this.#watch();
  }

  /** The two never have a channel: one does not take the other's key, or they know different passwords. */
  refuses({ identity: other }: Place): boolean {
    const { identity } = this;
    return identity.password !== other.password ||
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

  /** A number that is higher each time. */
  nextOrder(): number {
    return this.#order++;
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
    void this.session.stop();
  }

  /** For how long at most it was without a place, or without everybody. */
  longestAbsence(place: Place): number {
    return Math.max(this.absence, this.absences.get(place) ?? 0);
  }

  /** It was without a place at some time since then. */
  hasMissed(place: Place, since: number): boolean {
    return this.left.has(place) || this.lost.has(place) && !this.#replaced.has(place) ||
      (this.#backAt.get(place) ?? -1) >= since || this.#connectedAt >= since && this.absence > 0;
  }

  /** For how long it has been without a place, or without a channel with it; 0 if it is not. */
  goneFor(place: Place): number {
    const { now } = this.#world.clock;
    const seen = this.lost.has(place) ? this.#seen.get(place)! : this.#absentSince ?? now;
    const heard = this.hasHeard(place) ? now : this.#heardUntil.get(place) ?? -Infinity;
    return now - Math.min(seen, heard);
  }

  /** Since when it may give up what it keeps for a place: the later of both being gone. */
  keepsSince(place: Place): number | undefined {
    return this.lost.get(place) ?? this.#absentSince;
  }

  /** It has had the HELLO of a place under the sid of its roster. */
  hasHeard({ sid }: Place): boolean {
    return this.roster.has(sid ?? "") && this.peers.get(sid!)?.channel?.stream !== undefined;
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
    const { welcome, enter, leave, receive, disconnected } = membership;
    membership.disconnected = () => {
      for (const place of this.present()) this.#noteHeard(place);
      this.#absentSince ??= this.#world.clock.now;
      disconnected.call(membership);
    };
    membership.welcome = (frame, options) => {
      this.#takeWelcome(frame);
      this.#act(() => welcome.call(membership, frame, options));
    };
    membership.enter = (frame) => {
      this.#takeJoined(frame.sid, frame.fingerprint);
      this.#act(() => enter.call(membership, frame));
    };
    membership.leave = (frame) => {
      this.#takeLeft(frame.sid, frame.why);
      this.#act(() => leave.call(membership, frame));
    };
    membership.receive = (frame) => this.#act(() => receive.call(membership, frame));
  }

  #act(action: () => void): void {
    this.#world.acting = this;
    try {
      action();
    } finally {
      this.#world.acting = undefined;
    }
  }

  #takeWelcome(frame: Extract<Frame, { type: "welcome" }>): void {
    const { now } = this.#world.clock;
    const before = this.present();
    const seen = this.#absentSince ?? now;
    this.absence = Math.max(this.absence, now - seen);
    this.#connectedAt = now;
    this.#absentSince = undefined;
    this.peers.clear();
    this.sid = frame.sid;
    this.roster = new Map(frame.members.map(({ sid, fingerprint }) => [sid, fingerprint]));
    const { entered } = this;
    this.entered = new Map();
    for (const { sid } of frame.members) {
      this.entered.set(sid, entered.get(sid) ?? this.nextOrder());
    }
    const present = this.present();
    for (const place of before) {
      if (present.includes(place)) continue;
      this.everLost.add(place);
      this.#lose(place, seen);
    }
    for (const place of present) this.#regain(place);
    this.#changeView();
  }

  #takeJoined(sid: string, fingerprint: Uint8Array<ArrayBuffer>): void {
    this.roster.set(sid, fingerprint);
    this.entered.set(sid, this.nextOrder());
    this.#regain(this.#world.placeOf(sid));
    this.#changeView();
  }

  #noteHeard(place: Place): void {
    if (this.hasHeard(place)) this.#heardUntil.set(place, this.#world.clock.now);
  }

  #takeLeft(sid: string, why: number): void {
    const place = this.#world.placeOf(sid);
    if (place) this.#noteHeard(place);
    this.roster.delete(sid);
    this.entered.delete(sid);
    this.peers.delete(sid);
    if (place && (why === WHY.LEFT || why === WHY.REMOVED)) this.left.add(place);
    else if (place) {
      if (why === WHY.REPLACED) this.#replaced.add(place);
      else this.everLost.add(place);
      this.#lose(place, this.#world.clock.now);
    }
    this.#changeView();
  }

  #lose(place: Place, seen: number): void {
    this.lost.set(place, this.#world.clock.now);
    this.#seen.set(place, seen);
  }

  #regain(place: Place | undefined): void {
    if (!place || !this.lost.delete(place)) return;
    const wasReplaced = this.#replaced.delete(place);
    const absence = Math.max(1, this.#world.clock.now - this.#seen.get(place)!);
    if (wasReplaced && absence < REPLACING_MS) return;
    this.#backAt.set(place, this.#world.clock.now);
    this.absences.set(place, Math.max(this.absences.get(place) ?? 0, absence));
  }

  #changeView(): void {
    this.views.push({ view: this.view(), since: this.#world.clock.now });
  }
}
