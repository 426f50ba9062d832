/**
 * A bus in memory and virtual time, whose network can be as bad as a test wants.
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../../lib/base/bytes.ts";
import type { Clock, Timer } from "../../lib/base/clock.ts";
import type { Bus, BusHandlers, Entry, Written } from "../../lib/cluster/bus.ts";
import { HEADER_BYTES } from "../../lib/cluster/link_message.ts";

/** How bad the network between the relays and the server is; a good one does none of it. */
export interface Weather {
  /** Milliseconds that something takes on its way; asked for each. */
  delay(): number;
  /** Whether a message is lost. */
  loses(): boolean;
  /** Whether a message comes twice. */
  repeats(): boolean;
  /** Whether a message may overtake others. */
  reorders(): boolean;
  /** Whether a write gets no answer; whether it is done is another question. */
  mutes(): boolean;
  /** Whether a write that gets no answer is not done. */
  forgets(): boolean;
}

/** Everything takes a millisecond, and nothing is lost. */
export const FINE: Weather = {
  delay: () => 1,
  loses: () => false,
  repeats: () => false,
  reorders: () => false,
  mutes: () => false,
  forgets: () => false,
};

/** A write that is not answered is unknown after this. */
const WRITE_MS = 5_000;
/** How long the marker of a purged key stays. */
const MARKER_MS = 30_000;

/** What all buses of a cluster are connected to. */
export class BusServer {
  weather: Weather;
  readonly #clock: Clock;
  readonly #bucket = new Map<string, Entry>();
  #revision = 0;
  readonly #buses = new Set<MemoryBus>();
  /** It answers nobody. */
  #isDown = false;
  /** Every message by where it went and its header, which is what its nonce follows from. */
  readonly #sealed = new Map<string, Bytes>();
  /** Two different messages were sealed with one nonce. */
  hasReusedNonce = false;
  /** Markers that are to go. */
  readonly #timers = new Set<Timer>();

  /** @param clock Of the server's computer. */
  constructor(clock: Clock, weather: Weather = FINE) {
    this.#clock = clock;
    this.weather = weather;
  }

  /** Every key that has a value. */
  get entries(): Entry[] {
    return [...this.#bucket.values()].filter(({ value }) => value !== undefined);
  }

  /** A key as it is now. */
  find(key: string): Entry {
    return this.#bucket.get(key) ?? { key, value: undefined, revision: 0 };
  }

  /** Changes a key behind everybody's back. */
  put(key: string, value: Bytes | undefined): Entry {
    const entry = { key, value, revision: ++this.#revision };
    this.#bucket.set(key, entry);
    for (const bus of this.#buses) bus.watched(entry);
    if (value === undefined) this.#forgetLater(entry);
    return entry;
  }

  #forgetLater(entry: Entry): void {
    const timer = this.#clock.after(MARKER_MS, () => {
      this.#timers.delete(timer);
      if (this.#bucket.get(entry.key) === entry) this.#bucket.delete(entry.key);
    });
    this.#timers.add(timer);
  }

  /** @returns The new revision; undefined if the key has another one than is expected. */
  write(key: string, value: Bytes | undefined, expected: number): number | undefined {
    if (this.find(key).revision !== expected) return undefined;
    return this.put(key, value).revision;
  }

  /** A connection for a process with this clock; it is up once it is started. */
  connect(clock: Clock): MemoryBus {
    return new MemoryBus(this, clock);
  }

  add(bus: MemoryBus): void {
    this.#buses.add(bus);
  }

  remove(bus: MemoryBus): void {
    this.#buses.delete(bus);
  }

  /** Looks that no two messages are sealed with one nonce. */
  check(inbox: string, message: Bytes): void {
    const place = inbox + encodeHex(message.subarray(0, HEADER_BYTES));
    const known = this.#sealed.get(place);
    if (known && !equalBytes(known, message)) this.hasReusedNonce = true;
    this.#sealed.set(place, message);
  }

  /** Who listens to an inbox. */
  listener(inbox: string): MemoryBus | undefined {
    return this.#buses.values().find((bus) => bus.inbox === inbox);
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** The server goes; it keeps the bucket. */
  goDown(): void {
    this.#isDown = true;
    for (const bus of [...this.#buses]) bus.cut();
  }

  /** The server comes back: buses may reconnect. */
  comeBack(): void {
    this.#isDown = false;
  }

  /** Ends its timers. */
  close(): void {
    for (const timer of this.#timers) this.#clock.cancel(timer);
    this.#timers.clear();
  }
}

/** Nobody is there to be told. */
const NOBODY: BusHandlers = {
  onMessage() {},
  onNobody() {},
  onEntry() {},
  onWatchBegun() {},
  onWatchCaughtUp() {},
  onUp() {},
  onDown() {},
};

/** The bus of one process. */
export class MemoryBus implements Bus {
  inbox = "";
  readonly unwrittenBytes = 0;
  /** Messages that it has published. */
  published = 0;
  readonly #server: BusServer;
  readonly #clock: Clock;
  #handlers: BusHandlers | undefined;
  #isUp = false;
  #isClosed = false;
  /** The connection, told apart from earlier ones. */
  #life = 0;
  /** What comes in order comes not before this. */
  #lastMessageAt = 0;
  #lastEntryAt = 0;
  /** Writes and questions under way. */
  readonly #open = new Set<() => void>();

  /** Made by {@linkcode BusServer.connect}. */
  constructor(server: BusServer, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  start(inbox: string, handlers: BusHandlers): void {
    this.inbox = inbox;
    this.#handlers = handlers;
    this.reconnect(0);
  }

  moveInbox(inbox: string): void {
    this.inbox = inbox;
  }

  /** Connects after so many ms, if the server is there. */
  reconnect(after: number): void {
    this.#clock.after(after, () => {
      if (this.#isUp || this.#isClosed || this.#server.isDown || !this.#handlers) return;
      this.#isUp = true;
      this.#life++;
      this.#server.add(this);
      this.#handlers.onUp();
      this.#inOrder(() => this.#handlers!.onWatchBegun());
      for (const entry of this.#server.entries) this.watched(entry);
      this.#inOrder(() => this.#handlers!.onWatchCaughtUp());
    });
  }

  /** The connection is gone. */
  cut(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#life++;
    this.#server.remove(this);
    for (const abandon of [...this.#open]) abandon();
    this.#handlers!.onDown();
  }

  /** The computer is gone, and the server does not know it yet. */
  vanish(): void {
    this.#isUp = false;
    this.#handlers = NOBODY;
  }

  /** Does something of this connection after a while, unless it is gone by then. */
  #later(delay: number, action: () => void): void {
    const life = this.#life;
    this.#clock.after(delay, () => life === this.#life && action());
  }

  #inOrder(action: () => void): void {
    const { weather } = this.#server;
    const now = this.#clock.now();
    this.#lastEntryAt = Math.max(this.#lastEntryAt, now + weather.delay());
    this.#later(this.#lastEntryAt - now, action);
  }

  /** A key has changed. */
  watched(entry: Entry): void {
    this.#inOrder(() => this.#handlers!.onEntry(entry));
  }

  publish(inbox: string, message: Bytes): void {
    if (!this.#isUp) return;
    this.published++;
    this.#server.check(inbox, message);
    const { weather } = this.#server;
    const times = weather.loses() ? 0 : weather.repeats() ? 2 : 1;
    for (let i = 0; i < times; i++) this.#server.listener(inbox)?.arrives(message);
  }

  /** A message is on its way to this one. */
  arrives(message: Bytes): void {
    const { weather } = this.#server;
    const now = this.#clock.now();
    let at = now + weather.delay();
    if (!weather.reorders()) at = this.#lastMessageAt = Math.max(this.#lastMessageAt, at);
    const copy = new Uint8Array(message);
    this.#later(at - now, () => this.#handlers!.onMessage(copy));
  }

  probe(inbox: string): void {
    if (!this.#isUp || this.#server.listener(inbox)) return;
    this.#later(2 * this.#server.weather.delay(), () => this.#handlers!.onNobody(inbox));
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#ask<Entry | undefined>((answer) => {
      const { weather } = this.#server;
      if (weather.mutes()) return;
      this.#later(weather.delay(), () => {
        const entry = this.#server.find(key);
        this.#later(weather.delay(), () => answer(entry));
      });
    }, undefined);
  }

  write(key: string, value: Bytes | undefined, expected: number): Promise<Written> {
    return this.#ask<Written>((answer) => {
      const { weather } = this.#server;
      const isMute = weather.mutes();
      if (isMute && weather.forgets()) return;
      // What is under way arrives, even if the connection goes meanwhile.
      this.#clock.after(weather.delay(), () => {
        if (this.#server.isDown) return;
        const revision = this.#server.write(key, value, expected);
        if (isMute) return;
        this.#later(
          weather.delay(),
          () => answer(revision ? { type: "written", revision } : { type: "conflict" }),
        );
      });
    }, { type: "unknown" });
  }

  /** Asks the server; without an answer in time, or without a connection, it is `otherwise`. */
  #ask<T>(send: (answer: (value: T) => void) => void, otherwise: T): Promise<T> {
    if (!this.#isUp) return Promise.resolve(otherwise);
    return new Promise((resolve) => {
      const answer = (value: T) => {
        this.#clock.cancel(timer);
        this.#open.delete(abandon);
        resolve(value);
      };
      const abandon = () => answer(otherwise);
      const timer = this.#clock.after(WRITE_MS, abandon);
      this.#open.add(abandon);
      send(answer);
    });
  }

  flush(): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(1, resolve));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#isUp = false;
    this.#life++;
    this.#server.remove(this);
    for (const abandon of [...this.#open]) abandon();
    return Promise.resolve();
  }
}
