/**
 * A client of a simulated cluster: says numbered words to everybody it sees, and judges every frame that it gets.
 *
 * @module
 */

import { type Bytes, encodeHex, readU32, writeU32 } from "../../lib/base/bytes.ts";
import { decodeFrame, encodeFrame, type Frame, KIND, REASON } from "../../lib/protocol/frames.ts";
import { NO_SHARE } from "../../lib/protocol/password.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { type ByteStream, type Connection, openConnection } from "../../lib/transport/mod.ts";
import { cheapPrimitives } from "../support/cheap_key.ts";
import { HostClock, type WorldClock } from "./clock.ts";
import type { Wire } from "./network.ts";
import type { Random } from "./random.ts";

const TAG = "00c0ffee";
/** The first of a row of tries, and the longest wait between two. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 8_000;
const BOX_BYTES = 57;
/** A relay that was taken for dead has learnt it by then. */
const LEARN_MS = 8_000;

/** What a client is to its world. */
export interface ClientWorld {
  readonly clock: WorldClock;
  readonly random: Random;
  readonly relay: Bytes;
  readonly capacity: number;
  /** A connection to some relay; undefined if none answers. */
  dial(client: SimClient): Wire | undefined;
  log(text: string): void;
  fail(what: string): void;
  /** A word was shown to who it was for. */
  heard(): void;
  /** A client has got its WELCOME. */
  welcomed(client: SimClient): void;
  /** Whether a relay has ended, was taken for dead, or had been alone, since a time. */
  hasEnded(relay: number, since: number): boolean;
}

/** Options of {@linkcode SimClient}. */
interface ClientOptions {
  readonly name: string;
  readonly key: PrivateKey;
  readonly instance: Bytes;
  readonly room: Bytes;
}

/** One client process, over all its connections. */
export class SimClient {
  readonly name: string;
  readonly fingerprint: string;
  readonly room: string;
  /** Which relay it is connected to, by its number. */
  relay = -1;
  wire: Wire | undefined;
  /** It has been ended, or is about to. */
  isGone = false;
  /** Its sid, while it is a member. */
  sid: string | undefined;
  /** Fingerprints by sid, in the order in which the relay names them. */
  readonly roster = new Map<string, string>();
  /** How it ended last, as REASON. */
  lastReason: number | undefined;
  readonly clock: HostClock;
  readonly #world: ClientWorld;
  readonly #options: ClientOptions;
  #connection: Connection | undefined;
  /** Connections are told apart. */
  #life = 0;
  #waitMs = FIRST_RETRY_MS;
  #connectedAt = 0;
  /** Those who have left while this connection lasts. */
  readonly #left = new Set<string>();
  /** Of the words to and from each sid. */
  readonly #said = new Map<string, number>();
  readonly #heard = new Map<string, number>();

  constructor(world: ClientWorld, options: ClientOptions) {
    this.#world = world;
    this.#options = options;
    this.name = options.name;
    this.room = encodeHex(options.room);
    this.fingerprint = encodeHex(options.key.publicKey.fingerprint);
    this.clock = new HostClock(world.clock);
  }

  /** Since when it waits for its WELCOME, on a connection that lasts; Infinity if it does not. */
  get waitsSince(): number {
    return this.#connection && !this.sid ? this.#connectedAt : Infinity;
  }

  /** Connects, and again whenever the connection has ended. */
  connect(): void {
    if (this.isGone) return;
    const life = ++this.#life;
    this.wire = this.#world.dial(this);
    this.#connectedAt = this.#world.clock.now;
    if (!this.wire) return this.#retry(life);
    void this.#open(this.wire.client, life);
  }

  async #open(stream: ByteStream, life: number): Promise<void> {
    const { key, room, instance } = this.#options;
    try {
      const { connection } = await openConnection(stream, {
        key,
        clock: this.clock,
        random: this.#world.random.bytes,
        primitives: cheapPrimitives,
        expected: this.#world.relay,
        join: () => Promise.resolve(encodeFrame({ type: "join", share: NO_SHARE, room, instance })),
        handlers: {
          onFrame: (type, body) => {
            if (life === this.#life) this.#take(decodeFrame(type, body.slice()));
          },
          onEnd: (end) => this.#ended(life, end.type === "closed" ? end.reason : undefined),
        },
      });
      if (life === this.#life && !this.isGone) this.#connection = connection;
      else connection.abort();
    } catch {
      this.#ended(life, undefined); // the handshake was cut
    }
  }

  #ended(life: number, reason: number | undefined): void {
    if (life !== this.#life) return;
    this.#world.log(`${this.name} is disconnected: ${reason ?? "cut"}`);
    this.lastReason = reason;
    if (this.sid) {
      this.#waitMs = FIRST_RETRY_MS;
      // An applicant may be told so, whose client has come elsewhere as far as the relay knows.
      if (reason === REASON.SHUTTING_DOWN) this.#expectEnd();
    }
    this.#forget();
    const allowed: (number | undefined)[] = [
      undefined,
      REASON.NORMAL,
      REASON.TIMEOUT,
      REASON.FULL,
      REASON.SHUTTING_DOWN,
      REASON.TOO_SLOW,
    ];
    if (!allowed.includes(reason)) this.#fail(`is told ${reason}`);
    this.#retry(++this.#life);
  }

  /** The relay ends, or was taken for dead, which it learns before long. */
  #expectEnd(): void {
    const [relay, since] = [this.relay, this.#connectedAt];
    this.clock.after(LEARN_MS, () => {
      if (!this.#world.hasEnded(relay, since)) this.#fail("had to go, for no cause");
    });
  }

  #retry(life: number): void {
    if (this.isGone) return;
    const wait = this.#waitMs * (0.5 + this.#world.random.below(50) / 100);
    this.#waitMs = Math.min(2 * this.#waitMs, MAX_RETRY_MS);
    this.clock.after(wait, () => life === this.#life && this.connect());
  }

  #forget(): void {
    this.sid = undefined;
    this.#connection = undefined;
    this.roster.clear();
    this.#left.clear();
    this.#said.clear();
    this.#heard.clear();
  }

  /** Ends the process in order. */
  stop(): void {
    this.isGone = true;
    void this.#connection?.close(REASON.NORMAL);
    if (!this.#connection) this.kill();
    this.#forget();
  }

  /** Ends the process in the middle of whatever it does. */
  kill(): void {
    this.isGone = true;
    this.#life++;
    this.#forget();
    this.clock.kill();
  }

  // --- What it says ---

  /** Says the next word to one, and perhaps more, up to so many bytes each. */
  say(to: string, bytes = 0): void {
    if (!this.#connection) return;
    const payload = new Uint8Array(4 + bytes);
    writeU32(payload, 0, this.#next(to));
    this.#connection.send(
      encodeFrame({ type: "send", sid: to, kind: KIND.RECORD, tag: TAG, payload }),
    );
  }

  /** Says the next word to everybody whom it has heard: with nobody else it would have a channel. */
  cast(): void {
    const sids = [...this.roster.keys()].filter((sid) => this.#heard.has(sid));
    if (!this.#connection || sids.length === 0) return;
    const entries = sids.map((sid) => {
      const box = new Uint8Array(BOX_BYTES);
      writeU32(box, 0, this.#next(sid));
      return { sid, tag: TAG, box };
    });
    const common = new Uint8Array(28 + this.#world.random.below(200));
    this.#connection.send(encodeFrame({ type: "cast", entries, common }));
  }

  #next(to: string): number {
    const number = (this.#said.get(to) ?? 0) + 1;
    this.#said.set(to, number);
    return number;
  }

  // --- What it is told ---

  #fail(what: string): void {
    this.#world.fail(`${this.name} ${what}`);
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
        return this.#takeWelcome(frame);
      case "joined":
        this.#world.log(`${this.name} is told that ${frame.sid} JOINED`);
        return this.#takeJoined(frame.sid, encodeHex(frame.fingerprint));
      case "left":
        this.#world.log(`${this.name} is told that ${frame.sid} LEFT(${frame.why})`);
        if (!this.roster.delete(frame.sid)) this.#fail(`is told that a stranger LEFT`);
        this.#left.add(frame.sid);
        return;
      case "recv":
        return this.#hear(frame.sid, readU32(frame.payload, 0));
      case "part":
        return this.#hear(frame.sid, readU32(frame.box, 0));
      default:
        this.#fail(`is sent ${frame.type}`);
    }
  }

  #takeWelcome({ sid, members, capacity }: Extract<Frame, { type: "welcome" }>): void {
    if (this.sid) this.#fail("is welcome twice");
    if (capacity !== this.#world.capacity) this.#fail("is told another capacity");
    this.#world.log(`${this.name} is ${sid} on relay ${this.relay}, with ${members.length} others`);
    this.sid = sid;
    this.#world.welcomed(this);
    for (const member of members) this.#takeJoined(member.sid, encodeHex(member.fingerprint));
  }

  #takeJoined(sid: string, fingerprint: string): void {
    if (!this.sid) this.#fail("is told of others before its WELCOME");
    if (this.roster.has(sid) || sid === this.sid) this.#fail(`is told twice that ${sid} JOINED`);
    if (this.#left.has(sid)) this.#fail(`is told that ${sid} JOINED, which has LEFT`);
    if (fingerprint === this.fingerprint || [...this.roster.values()].includes(fingerprint)) {
      this.#fail(`sees a person twice, as ${sid}`);
    }
    this.roster.set(sid, fingerprint);
    if (this.roster.size >= this.#world.capacity) this.#fail("sees more than the capacity");
    this.say(sid); // at once, as a handshake begins
  }

  /** Nothing is missing between two words, and none comes twice; the first ones may have come before the WELCOME. */
  #hear(sid: string, number: number): void {
    if (!this.roster.has(sid)) {
      return this.#fail(this.#left.has(sid) ? `hears ${sid}, which has LEFT` : `hears a stranger`);
    }
    const last = this.#heard.get(sid);
    if (last !== undefined && number !== last + 1) {
      this.#fail(`hears word ${number} of ${sid} after word ${last}`);
    }
    this.#heard.set(sid, number);
    this.#world.heard();
  }

  /** How many words it has heard of a sid, up to the last. */
  lastHeard(sid: string): number {
    return this.#heard.get(sid) ?? 0;
  }

  /** How many it has said to a sid. */
  lastSaid(sid: string): number {
    return this.#said.get(sid) ?? 0;
  }
}
